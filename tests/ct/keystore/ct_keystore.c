#include "ct/ct.h"

#include <string.h>

#include "keystore/kcv.h"
#include "keystore/seal.h"

static tdsa_err err;

/* Sealing and opening: neither the data key nor the share may steer a branch or an address. */
static void check_seal(void)
{
    const ks_seal_place place = {"key", "id", 2, 0, "public", 6};
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET key = NULL;
    uint8_t share[200];

    memset(share, 0x5a, sizeof share);
    ct_require(tdsa_secret_new(&key, 32, &err) == TDSA_OK, "secret");
    ct_secret(tdsa_secret_bytes(key), 32);
    ct_secret(share, sizeof share);
    ct_require(ks_seal(&record, key, &rng, &place, share, sizeof share, &err) == TDSA_OK, "seal");
    ct_public(record.data, record.len); /* a ciphertext is public */
    ct_require(ks_unseal(&plain, key, &place, record.data, record.len, &err) == TDSA_OK, "unseal");
    ct_leak(plain.data);
}

static void check_kcv(void)
{
    uint8_t derived[32] = {1};
    uint8_t a[KS_KCV_LEN];
    uint8_t b[KS_KCV_LEN] = {0};

    ct_secret(derived, sizeof derived);
    ct_require(ks_kcv_of(a, derived, sizeof derived, &err) == TDSA_OK, "check value");
    ct_require(ks_kcv_compare(a, b, "key", &err) == TDSA_E_WRAPPING, "compare");
}

int main(void)
{
    check_seal();
    check_kcv();
    return 0;
}
