#define OPENSSL_SUPPRESS_DEPRECATED /* the padding alone is in the old interface only */
#include "base_test.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/oaep.h"

static const uint8_t label[] = "label";
static const uint8_t seed[TDSA_OAEP_SEED_LEN] = {7};
static const uint8_t message[] = "what is kept";

static tdsa_oaep known(void)
{
    return (tdsa_oaep){label, sizeof label, message, sizeof message, seed};
}

static tdsa_status decode(tdsa_buf *out, const uint8_t *em, size_t len)
{
    tdsa_err err;

    return tdsa_oaep_decode(out, em, len, label, sizeof label, &err);
}

static void openssl_takes_our_padding_off(void **state)
{
    const tdsa_oaep p = known();
    uint8_t em[256];
    uint8_t out[256];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_oaep_encode(em, sizeof em, &p, &err), TDSA_OK);
    assert_int_equal(RSA_padding_check_PKCS1_OAEP_mgf1(out, sizeof out, em + 1, sizeof em - 1,
                                                       sizeof em, label, sizeof label, EVP_sha256(),
                                                       EVP_sha256()),
                     sizeof message);
    assert_memory_equal(out, message, sizeof message);
}

static void we_take_openssls_padding_off(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t em[512];

    (void)state;
    for (size_t len = TDSA_OAEP_OVERHEAD + sizeof message; len <= sizeof em; len += 7) {
        tdsa_buf_reset(&out);
        assert_int_equal(RSA_padding_add_PKCS1_OAEP_mgf1(em, (int)len, message, sizeof message,
                                                         label, sizeof label, EVP_sha256(),
                                                         EVP_sha256()),
                         1);
        assert_int_equal(decode(&out, em, len), TDSA_OK);
        assert_int_equal(out.len, sizeof message);
        assert_memory_equal(out.data, message, sizeof message);
    }
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    const tdsa_oaep p = known();
    uint8_t other_seed[TDSA_OAEP_SEED_LEN] = {8};
    tdsa_oaep q = known();
    uint8_t a[256];
    uint8_t b[256];
    tdsa_err err;

    (void)state;
    q.seed = other_seed;
    assert_int_equal(tdsa_oaep_encode(a, sizeof a, &p, &err), TDSA_OK);
    assert_int_equal(tdsa_oaep_encode(b, sizeof b, &p, &err), TDSA_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(tdsa_oaep_encode(b, sizeof b, &q, &err), TDSA_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

static void every_length_of_message_comes_back(void **state)
{
    uint8_t text[128 - TDSA_OAEP_OVERHEAD];
    uint8_t em[128];
    tdsa_err err;

    (void)state;
    memset(text, 1, sizeof text); /* looks like the end of the padding */
    for (size_t len = 0; len <= sizeof text; len++) {
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
        const tdsa_oaep p = {NULL, 0, text, len, seed};

        tdsa_buf_append_str(&out, "before");
        assert_int_equal(tdsa_oaep_encode(em, sizeof em, &p, &err), TDSA_OK);
        assert_int_equal(tdsa_oaep_decode(&out, em, sizeof em, NULL, 0, &err), TDSA_OK);
        assert_int_equal(out.len, 6 + len);
        assert_memory_equal(out.data, "before", 6);
        assert_true(len == 0 || memcmp(out.data + 6, text, len) == 0);
    }
}

static void lengths_out_of_range_are_refused(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t em[TDSA_OAEP_LEN_MAX + 1] = {0};
    uint8_t text[TDSA_OAEP_LEN_MAX] = {0};
    tdsa_oaep p = known();
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_oaep_encode(em, TDSA_OAEP_OVERHEAD - 1, &p, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(tdsa_oaep_encode(em, sizeof em, &p, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(decode(&out, em, TDSA_OAEP_OVERHEAD - 1), TDSA_E_BAD_INPUT);
    assert_int_equal(decode(&out, em, 0), TDSA_E_BAD_INPUT);
    assert_int_equal(decode(&out, em, sizeof em), TDSA_E_BAD_INPUT);
    p.message = text;
    p.message_len = 256 - TDSA_OAEP_OVERHEAD + 1;
    assert_int_equal(tdsa_oaep_encode(em, 256, &p, &err), TDSA_E_BAD_INPUT);
    p.message_len--;
    assert_int_equal(tdsa_oaep_encode(em, 256, &p, &err), TDSA_OK);
}

static void every_changed_bit_is_refused_alike(void **state)
{
    const tdsa_oaep p = known();
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t em[128];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_oaep_encode(em, sizeof em, &p, &err), TDSA_OK);
    for (size_t bit = 0; bit < 8 * (1 + TDSA_OAEP_SEED_LEN); bit++) {
        em[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(decode(&out, em, sizeof em), TDSA_E_CRYPTO);
        assert_int_equal(out.len, 0);
        em[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(tdsa_oaep_decode(&out, em, sizeof em, label, sizeof label - 1, &err),
                     TDSA_E_CRYPTO);
    assert_int_equal(decode(&out, em, sizeof em), TDSA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_takes_our_padding_off),
        cmocka_unit_test(we_take_openssls_padding_off),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(every_length_of_message_comes_back),
        cmocka_unit_test(lengths_out_of_range_are_refused),
        cmocka_unit_test(every_changed_bit_is_refused_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
