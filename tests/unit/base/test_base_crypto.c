#include "base_test.h"

#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/cipher.h"
#include "base/crypto.h"
#include "base/dh.h"
#include "base/hash.h"

/* A process whose OpenSSL configuration leaves the default context without any algorithm. Nothing
 * of OpenSSL may run before main has set it. */
static int write_configuration(char *path)
{
    static const char text[] = "openssl_conf = init\n[init]\nproviders = list\n"
                               "[list]\nnull = on\nmissing = gone\n[on]\nactivate = 1\n"
                               "[gone]\nmodule = /nonexistent/provider.so\nactivate = 1\n";
    const int fd = mkstemp(path);
    const bool ok = fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)(sizeof text - 1);

    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? setenv("OPENSSL_CONF", path, 1) : -1;
}

static void the_configuration_of_the_host_does_not_reach_us(void **state)
{
    static const uint8_t key[32];
    static const uint8_t nonce[12];
    const tdsa_gcm p = {key, nonce, NULL, 0};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t bytes[TDSA_SHA512_LEN] = {9};
    EVP_MD *md = NULL;
    tdsa_err err;

    (void)state;
    assert_null(tdsa_crypto_libctx());
    assert_int_equal(tdsa_crypto_init(&err), TDSA_OK);
    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert_null(md); /* the configuration was obeyed where it belongs */
    ERR_clear_error();
    assert_int_equal(tdsa_gcm_seal(&out, &p, "x", 1, &err), TDSA_OK);
    assert_int_equal(tdsa_hash(bytes, TDSA_HASH_SHA512, "x", 1, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X448, bytes, bytes, &err), TDSA_OK);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_of_the_host_does_not_reach_us),
    };
    char path[] = "/tmp/tdsa-openssl-XXXXXX";
    int failed = 1;

    if (write_configuration(path) == 0) {
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    (void)unlink(path);
    return failed;
}
