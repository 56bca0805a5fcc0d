#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base58.h"
#include "base/encode.h"
#include "base/hash.h"

/* Addresses of well-known keys: the block reward of Bitcoin's first block, and all zeros. */
static const struct {
    const char *hex, *text;
} known[] = {
    {"0062e907b15cbf27d5425399ebf6f0fb50ebb88f18", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"},
    {"000000000000000000000000000000000000000000", "1111111111111111111114oLvT2"},
    {"", "3QJmnh"},
};

static void known_texts_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
        const uint8_t nothing = 0;
        tdsa_err err;

        assert_int_equal(tdsa_hex_decode(&bytes, known[i].hex, &err), TDSA_OK);
        assert_int_equal(
            tdsa_base58check_encode(&text, bytes.len == 0 ? &nothing : bytes.data, bytes.len, &err),
            TDSA_OK);
        assert_int_equal(text.len, strlen(known[i].text));
        assert_memory_equal(text.data, known[i].text, text.len);
        assert_int_equal(tdsa_base58check_decode(&back, known[i].text, text.len, &err), TDSA_OK);
        assert_int_equal(back.len, bytes.len);
        if (bytes.len > 0) {
            assert_memory_equal(back.data, bytes.data, bytes.len);
        }
    }
}

static void every_length_comes_back(void **state)
{
    uint8_t bytes[TDSA_BASE58CHECK_BYTES_MAX + 1];
    tdsa_err err;

    (void)state;
    for (size_t lead = 0; lead < 3; lead++) { /* zeros in front count */
        memset(bytes, 0xff, sizeof bytes);
        memset(bytes, 0, lead);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
            TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;

            if (len == sizeof bytes) {
                assert_int_equal(tdsa_base58check_encode(&text, bytes, len, &err),
                                 TDSA_E_BAD_INPUT);
                continue;
            }
            assert_int_equal(tdsa_base58check_encode(&text, bytes, len, &err), TDSA_OK);
            assert_int_equal(
                tdsa_base58check_decode(&back, (const char *)text.data, text.len, &err), TDSA_OK);
            assert_int_equal(back.len, len);
            if (len > 0) {
                assert_memory_equal(back.data, bytes, len);
            }
        }
    }
}

static void what_is_not_base58check_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "111",
                                      "3QJmnH",
                                      "3QJmn0",
                                      "3QJmnhI",
                                      "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
                                      "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf a",
                                      "11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"};
    char longest[300];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

        assert_int_equal(tdsa_base58check_decode(&out, bad[i], strlen(bad[i]), &err),
                         TDSA_E_BAD_INPUT);
        assert_int_equal(out.len, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        memset(longest, i == 0 ? 'z' : '1', sizeof longest);
        for (size_t len = 1; len <= sizeof longest; len++) {
            TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

            assert_int_equal(tdsa_base58check_decode(&out, longest, len, &err), TDSA_E_BAD_INPUT);
        }
    }
}

static void hash160_is_ripemd_of_sha256(void **state)
{
    /* the public key 1*G of secp256k1, compressed: its address is known to everybody */
    static const char point[] =
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_HASH160_LEN];
    char hex[2 * TDSA_HASH160_LEN + 1];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_hex_decode(&bytes, point, &err), TDSA_OK);
    assert_int_equal(tdsa_hash160(digest, bytes.data, bytes.len, &err), TDSA_OK);
    tdsa_hex(hex, digest, sizeof digest);
    assert_string_equal(hex, "751e76e8199196d454941c45d1b3a323f1433bd6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_there_and_back),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(what_is_not_base58check_is_refused),
        cmocka_unit_test(hash160_is_ripemd_of_sha256),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
