#include "base_test.h"

#include <sys/wait.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

#include "base/crypto.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/statement.h"

static void digests_of_abc_are_those_of_fips_180(void **state)
{
    static const char *const expect[] = {
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134"
        "c8"
        "25a7",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3"
        "fe"
        "ebbd454d4423643ce80e2a9ac94fa54ca49f"};
    uint8_t out[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;

    (void)state;
    for (int i = TDSA_HASH_SHA1; i <= TDSA_HASH_SHA512; i++) {
        const tdsa_hash_alg alg = (tdsa_hash_alg)i;
        tdsa_hash_alg back = TDSA_HASH_SHA1;
        tdsa_hasher *h = NULL;

        assert_int_equal(tdsa_hash(out, alg, "abc", 3, &err), TDSA_OK);
        assert_hex(out, tdsa_hash_len(alg), expect[i]);
        assert_true(tdsa_hash_by_name(&back, tdsa_hash_name(alg)));
        assert_int_equal(back, alg);
        memset(out, 0, sizeof out);
        assert_int_equal(tdsa_hasher_new(&h, alg, &err), TDSA_OK);
        assert_int_equal(tdsa_hasher_update(h, "a", 1, &err), TDSA_OK);
        assert_int_equal(tdsa_hasher_update(h, NULL, 0, &err), TDSA_OK);
        assert_int_equal(tdsa_hasher_update(h, "bc", 2, &err), TDSA_OK);
        assert_int_equal(tdsa_hasher_final(h, out, &err), TDSA_OK);
        assert_int_equal(tdsa_hasher_update(h, "d", 1, &err), TDSA_E_CRYPTO);
        assert_int_equal(tdsa_hasher_final(h, out, &err), TDSA_E_CRYPTO);
        assert_hex(out, tdsa_hash_len(alg), expect[i]);
        tdsa_hasher_free(h);
    }
    tdsa_hasher_free(NULL);
}

static void unknown_names_have_no_algorithm(void **state)
{
    tdsa_hash_alg alg = TDSA_HASH_SHA1;

    (void)state;
    assert_false(tdsa_hash_by_name(&alg, "md5"));
    assert_false(tdsa_hash_by_name(&alg, "SHA256"));
    assert_false(tdsa_hash_by_name(&alg, ""));
}

static void statements_hash_as_in_the_model(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t out[64];
    tdsa_err err;

    (void)state;
    tdsa_stmt_begin(&b, "t");
    tdsa_stmt_uint(&b, 5);
    assert_int_equal(tdsa_hash_stmt(out, &b, &err), TDSA_OK);
    assert_hex(
        out, 64,
        "b6278b2e31dab2a33b3639817a844e99eeac1a8cdecf2091a64d8961d51b5ceea9ea282f5d5fa59b5c085f"
        "308d3256a3fe7795bc6f9374d0f5130cf4b6746762");
    assert_int_equal(tdsa_hash32_stmt(out, &b, &err), TDSA_OK);
    assert_hex(out, 32, "b6278b2e31dab2a33b3639817a844e99eeac1a8cdecf2091a64d8961d51b5cee");
}

static void hkdf_of_a_statement_is_that_of_the_model(void **state)
{
    static const uint16_t committee[3] = {0, 1, 2};
    static const uint8_t ikm[32];
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t out[32];
    tdsa_err err;

    (void)state;
    tdsa_stmt_begin(&b, "committee");
    tdsa_stmt_uint_list(&b, committee, 3);
    assert_int_equal(tdsa_hkdf_stmt(out, ikm, 32, &b, &err), TDSA_OK);
    assert_hex(out, 32, "69f4213e7550dd6f0bbefbe4da681dab7d43cb86841baf49391d2db29559894b");
}

static void a_failed_statement_is_never_hashed(void **state)
{
    tdsa_buf b = {NULL, 0, 0, true};
    uint8_t out[64];
    uint8_t key[32] = {0};
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_hash_stmt(out, &b, &err), TDSA_E_NO_MEMORY);
    assert_int_equal(tdsa_hash32_stmt(out, &b, &err), TDSA_E_NO_MEMORY);
    assert_int_equal(tdsa_hkdf_stmt(out, key, 32, &b, &err), TDSA_E_NO_MEMORY);
    assert_int_equal(tdsa_hkdf_expand(out, 48, key, &b, &err), TDSA_E_NO_MEMORY);
}

static void hmac_agrees_with_openssl_for_all_key_and_text_lengths(void **state)
{
    static const char *const name[] = {"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"};
    uint8_t bytes[300];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31);
    }
    for (int i = TDSA_HASH_SHA1; i <= TDSA_HASH_SHA512; i++) {
        for (size_t key_len = 0; key_len < 140; key_len += 7) {
            uint8_t out[64];
            uint8_t expect[64];
            unsigned len = 0;

            assert_non_null(HMAC(EVP_get_digestbyname(name[i]), bytes, (int)key_len, bytes,
                                 key_len * 2, expect, &len));
            assert_int_equal(
                tdsa_hmac(out, (tdsa_hash_alg)i, bytes, key_len, bytes, key_len * 2, &err),
                TDSA_OK);
            assert_int_equal(len, tdsa_hash_len((tdsa_hash_alg)i));
            assert_memory_equal(out, expect, len);
        }
    }
}

static void openssl_hkdf(uint8_t *out, size_t len, uint8_t *ikm, size_t ikm_len, uint8_t *salt,
                         size_t salt_len, uint8_t *info, size_t info_len)
{
    char digest[] = "SHA512";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm, ikm_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, salt_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
        OSSL_PARAM_construct_end()};

    assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static void hkdf_agrees_with_openssl(void **state)
{
    uint8_t bytes[100];
    uint8_t out[300];
    uint8_t expect[300];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i + 1);
    }
    for (size_t len = 1; len < 300; len += 13) {
        openssl_hkdf(expect, len, bytes, 32, bytes + 40, len % 60, bytes + 10, len % 90);
        assert_int_equal(
            tdsa_hkdf(out, len, bytes, 32, bytes + 40, len % 60, bytes + 10, len % 90, &err),
            TDSA_OK);
        assert_memory_equal(out, expect, len);
    }
}

static void a_prepared_key_expands_to_the_same(void **state)
{
    static const size_t lens[] = {0, 1, 48, 64, 65, 82, 128, 200};
    uint8_t prk[32];
    uint8_t expect[255 * 64 + 1];
    uint8_t got[255 * 64 + 1];
    tdsa_hkdf_key *k = NULL;
    tdsa_err err;

    (void)state;
    memset(prk, 0x61, sizeof prk);
    assert_int_equal(tdsa_hkdf_key_new(&k, prk, &err), TDSA_OK);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;

        tdsa_stmt_begin(&info, "info");
        tdsa_stmt_uint(&info, i);
        assert_int_equal(tdsa_hkdf_expand(expect, lens[i], prk, &info, &err), TDSA_OK);
        assert_int_equal(tdsa_hkdf_key_expand(k, got, lens[i], &info, &err), TDSA_OK);
        assert_memory_equal(got, expect, lens[i]);
        info.failed = true;
        assert_int_equal(tdsa_hkdf_key_expand(k, got, lens[i], &info, &err), TDSA_E_NO_MEMORY);
        info.failed = false;
        assert_int_equal(tdsa_hkdf_key_expand(k, got, sizeof got, &info, &err), TDSA_E_BAD_INPUT);
    }
    tdsa_hkdf_key_free(k);
    tdsa_hkdf_key_free(NULL);
}

static void hkdf_refuses_more_than_255_blocks(void **state)
{
    static uint8_t out[255 * 64 + 1];
    static const uint8_t prk[32];
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_hkdf_expand(out, sizeof out - 1, prk, &info, &err), TDSA_OK);
    assert_int_equal(tdsa_hkdf_expand(out, sizeof out, prk, &info, &err), TDSA_E_BAD_INPUT);
}

static void everything_works_in_a_forked_child(void **state)
{
    uint8_t out[64];
    tdsa_err err;
    int status = 0;
    pid_t child = 0;

    (void)state;
    assert_int_equal(tdsa_hash(out, TDSA_HASH_SHA256, "abc", 3, &err), TDSA_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(tdsa_hmac(out, TDSA_HASH_SHA512, out, 32, out, 32, &err) == TDSA_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_library_context_is_private_and_made_once(void **state)
{
    tdsa_err err;
    struct ossl_lib_ctx_st *ctx = NULL;

    (void)state;
    assert_int_equal(tdsa_crypto_init(&err), TDSA_OK);
    ctx = tdsa_crypto_libctx();
    assert_non_null(ctx);
    assert_int_equal(tdsa_crypto_init(&err), TDSA_OK);
    assert_ptr_equal(ctx, tdsa_crypto_libctx());
    assert_int_equal(ERR_peek_error(), 0);
}

static void the_test_generator_gives_the_stream_of_the_model(void **state)
{
    /* Rng("participant", 0, "vector-1") of the reference model, bytes 0..149 */
    static const char expect[] =
        "18468b5bb8ee6b02b528f192543ae9a62b3d6fdb4b24c8b16a56348016e5e2c962bd5c5d976da19bde2e6faa"
        "ca8492d7aca1f4fac37619e4ffb17395cd405132a062d9a4556c8504f7de3d36e168bceeb2e17974a8896e47"
        "f3747e956b108a6200d9503cd45a806d444a146157790b92cf8a3049332b434ddaf63bf6365b0d5ed0e8d087"
        "4ebb923d532f26cfa99b42bca79404c29268";
    TDSA_SCOPED_BUF seed = TDSA_BUF_EMPTY;
    tdsa_test_rng r;
    tdsa_rng rng;
    uint8_t out[150];
    tdsa_err err;

    (void)state;
    tdsa_stmt_begin(&seed, "rng");
    tdsa_stmt_text(&seed, "participant");
    tdsa_stmt_uint(&seed, 0);
    tdsa_stmt_text(&seed, "vector-1");
    assert_int_equal(tdsa_test_rng_init(&r, seed.data, seed.len, &err), TDSA_OK);
    rng = tdsa_test_rng_of(&r);
    assert_int_equal(tdsa_rng_fill(&rng, out, 1, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, out + 1, 0, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, out + 1, 70, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, out + 71, 79, &err), TDSA_OK);
    assert_hex(out, sizeof out, expect);
}

static tdsa_status broken(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    memset(out, 0x77, len);
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "no entropy");
}

static void a_failed_generator_leaves_nothing_behind(void **state)
{
    const tdsa_rng rng = {broken, NULL};
    uint8_t out[4] = {1, 1, 1, 1};
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_rng_fill(&rng, out, 4, &err), TDSA_E_CRYPTO);
    assert_hex(out, 4, "00000000");
}

static void the_real_generator_does_not_repeat(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    uint8_t a[1000];
    uint8_t b[1000];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_rng_fill(&rng, a, sizeof a, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, b, sizeof b, &err), TDSA_OK);
    for (size_t i = 0; i + 16 <= sizeof a; i += 16) {
        assert_memory_not_equal(a + i, b + i, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_of_abc_are_those_of_fips_180),
        cmocka_unit_test(unknown_names_have_no_algorithm),
        cmocka_unit_test(statements_hash_as_in_the_model),
        cmocka_unit_test(hkdf_of_a_statement_is_that_of_the_model),
        cmocka_unit_test(a_failed_statement_is_never_hashed),
        cmocka_unit_test(hmac_agrees_with_openssl_for_all_key_and_text_lengths),
        cmocka_unit_test(hkdf_agrees_with_openssl),
        cmocka_unit_test(a_prepared_key_expands_to_the_same),
        cmocka_unit_test(hkdf_refuses_more_than_255_blocks),
        cmocka_unit_test(everything_works_in_a_forked_child),
        cmocka_unit_test(the_library_context_is_private_and_made_once),
        cmocka_unit_test(the_test_generator_gives_the_stream_of_the_model),
        cmocka_unit_test(a_failed_generator_leaves_nothing_behind),
        cmocka_unit_test(the_real_generator_does_not_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
