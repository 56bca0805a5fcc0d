#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/rsa.h"
#include "support/rsa_fixed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

/* A certificate is refused, or it can be used. */
static void check_certificate(const uint8_t *data, size_t size)
{
    static const uint8_t seed[TDSA_OAEP_SEED_LEN];
    const tdsa_oaep p = {data, size, seed, sizeof seed, seed};
    tdsa_rsa_cert *c = NULL;
    uint8_t out[TDSA_RSA_LEN_MAX];
    tdsa_err err;

    if (tdsa_rsa_cert_read(&c, data, size, &err) != TDSA_OK) {
        require(c == NULL);
        return;
    }
    require(tdsa_rsa_cert_facts(c)->len <= sizeof out);
    require(memchr(tdsa_rsa_cert_facts(c)->subject, 0, TDSA_RSA_SUBJECT_MAX) != NULL);
    if (tdsa_rsa_encrypt(out, c, &p, &err) != TDSA_OK) {
        require(err.status == TDSA_E_CRYPTO); /* a modulus that is none */
    }
    tdsa_rsa_cert_free(c);
}

/* What decodes is no longer than it can be, and encodes to the same length. */
static void check_padding(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (tdsa_oaep_decode(&out, data, size, NULL, 0, &err) == TDSA_OK) {
        require(out.len + TDSA_OAEP_OVERHEAD <= size);
    } else {
        require(out.len == 0);
    }
}

/* A ciphertext of anybody's under a key of ours. */
static void check_ciphertext(const uint8_t *data, size_t size)
{
    static tdsa_rsa_key *key;
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const tdsa_rsa_sealed s = {data, size, NULL, 0};
    tdsa_err err;

    if (key == NULL) {
        require(tdsa_hex_decode(&der, rsa_fixed_key, &err) == TDSA_OK);
        require(tdsa_rsa_key_new(&key, der.data, der.len, NULL, &err) == TDSA_OK);
    }
    if (tdsa_rsa_decrypt(&out, key, &s, &err) != TDSA_OK) {
        require(out.len == 0);
    }
}

static void check_key(const uint8_t *data, size_t size)
{
    tdsa_rsa_key *k = NULL;
    tdsa_err err;

    if (tdsa_rsa_key_new(&k, data, size, "pin", &err) != TDSA_OK) {
        require(k == NULL);
    }
    tdsa_rsa_key_free(k);
}

/* The first byte says what the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        check_certificate(data + 1, size - 1);
        break;
    case 1:
        check_padding(data + 1, size - 1);
        break;
    case 2:
        check_ciphertext(data + 1, size - 1);
        break;
    case 3:
        check_key(data + 1, size - 1);
        break;
    }
    return 0;
}
