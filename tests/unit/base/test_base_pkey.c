#include "base_test.h"

#include <openssl/pem.h>

#include "base/pkey.h"

static const uint8_t oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

/* G of P-256 (SEC 2), so that the private key is 1. */
static const char base_point[] =
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

static void openssl_reads_the_key_with_its_public_half(void **state)
{
    TDSA_SCOPED_BUF pem = TDSA_BUF_EMPTY;
    uint8_t scalar[32] = {0};
    uint8_t point[65];
    const tdsa_pkey key = {oid, sizeof oid, scalar, sizeof scalar, point, sizeof point};
    uint8_t *again = NULL;
    BIO *in = NULL;
    EVP_PKEY *read = NULL;
    tdsa_err err;

    (void)state;
    scalar[31] = 1;
    from_hex(point, sizeof point, base_point);
    assert_int_equal(tdsa_pkey_to_pem(&pem, &key, &err), TDSA_OK);
    in = BIO_new_mem_buf(pem.data, (int)pem.len);
    read = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    assert_non_null(read);
    assert_int_equal(EVP_PKEY_get1_encoded_public_key(read, &again), sizeof point);
    assert_memory_equal(again, point, sizeof point);
    OPENSSL_free(again);
    EVP_PKEY_free(read);
    BIO_free(in);
}

static void lengths_out_of_range_are_refused(void **state)
{
    static const uint8_t bytes[TDSA_PKEY_POINT_MAX + 1];
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const tdsa_pkey good = {oid, sizeof oid, bytes, 32, bytes, 65};
    tdsa_pkey bad = good;
    tdsa_err err;

    (void)state;
    bad.scalar_len = TDSA_PKEY_SCALAR_MAX + 1;
    assert_int_equal(tdsa_pkey_to_pem(&out, &bad, &err), TDSA_E_BAD_INPUT);
    bad.scalar_len = 0;
    assert_int_equal(tdsa_pkey_to_pem(&out, &bad, &err), TDSA_E_BAD_INPUT);
    bad = good;
    bad.point_len = sizeof bytes;
    assert_int_equal(tdsa_pkey_to_pem(&out, &bad, &err), TDSA_E_BAD_INPUT);
    bad.point_len = 0;
    assert_int_equal(tdsa_pkey_to_pem(&out, &bad, &err), TDSA_E_BAD_INPUT);
    bad = good;
    bad.oid_len = TDSA_PKEY_OID_MAX + 1;
    assert_int_equal(tdsa_pkey_to_pem(&out, &bad, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_reads_the_key_with_its_public_half),
        cmocka_unit_test(lengths_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
