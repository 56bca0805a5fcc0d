#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "support/recovery_kit.h"

/* From infos to the key. */

enum { N = 4, T = 1 };

static recovery_kit kit;
static protocol_run run; /* P-256, (4,1) */
static tdsa_buf bytes[N];
static mpc_recovery_info infos[N];
static tdsa_err err;

static void decode(mpc_recovery_info *info, const tdsa_buf *b)
{
    assert_int_equal(mpc_recovery_decode(info, run.g, b->data, b->len, &err), TDSA_OK);
}

static int set_up(void **state)
{
    (void)state;
    recovery_kit_open(&kit);
    run_init(&run, GRP_P256, N, T, "recover");
    run.policy.reshare = true;
    assert_int_equal(run_keygen(&run, "RecoverKey"), N);
    for (uint16_t i = 0; i < N; i++) {
        recovery_kit_make(&bytes[i], &run, i, kit.cert, NULL);
        decode(&infos[i], &bytes[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < N; i++) {
        tdsa_buf_clear(&bytes[i]);
    }
    run_clear(&run);
    recovery_kit_close(&kit);
    return 0;
}

typedef struct {
    mpc_recovered key;
    mpc_recovery_verdict verdicts[MPC_RECOVERY_INFOS_MAX + 1];
} result;

static tdsa_status recover(result *r, const mpc_recovery_info *from, size_t count,
                           const grp_point *y)
{
    const mpc_recovery_asked asked = {run.g, from, count, y};
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);

    memset(r, 0xff, sizeof *r);
    return mpc_recovery_recover(&r->key, r->verdicts, &asked, &opener, &err);
}

/* The key that came out is the one of the run; wipes it. */
static void is_the_key(result *r)
{
    grp_scalar x;
    grp_point y;

    assert_int_equal(tdsa_secret_len(r->key.x), 32);
    assert_int_equal(grp_scalar_decode(run.g, &x, tdsa_secret_view(r->key.x), 32, &err), TDSA_OK);
    assert_int_equal(grp_mul_base(run.g, &y, &x, &err), TDSA_OK);
    assert_true(grp_point_equal(run.g, &y, &run.key[0]->pub.y));
    assert_true(r->key.has_cc);
    assert_memory_equal(r->key.cc, run.key[0]->pub.cc, 32);
    mpc_recovered_clear(&r->key);
    assert_null(r->key.x);
}

static void any_t_plus_one_infos_make_the_key(void **state)
{
    result r;

    (void)state;
    for (size_t a = 0; a < N; a++) {
        for (size_t b = 0; b < N; b++) {
            const mpc_recovery_info from[2] = {infos[a], infos[b]};

            if (a != b) {
                assert_int_equal(recover(&r, from, 2, NULL), TDSA_OK);
                assert_true(r.verdicts[0].good && r.verdicts[1].good);
                is_the_key(&r);
            }
        }
    }
}

static void t_infos_do_not_suffice(void **state)
{
    const mpc_recovery_info from[2] = {infos[2], infos[2]}; /* one participant, twice */
    result r;

    (void)state;
    assert_int_equal(recover(&r, from, 1, NULL), TDSA_E_LIMIT);
    assert_string_equal(err.text, "1 good recovery infos, 2 are needed");
    assert_true(r.verdicts[0].good);
    assert_null(r.key.x);
    assert_int_equal(recover(&r, from, 2, NULL), TDSA_E_LIMIT);
    assert_null(r.key.x);
}

static void without_infos_nothing_is_recovered(void **state)
{
    static mpc_recovery_info many[MPC_RECOVERY_INFOS_MAX + 1];
    const grp_point other = infos[0].context.x[0];
    result r;

    (void)state;
    assert_int_equal(recover(&r, infos, 0, NULL), TDSA_E_NOT_FOUND);
    assert_int_equal(recover(&r, infos, N, &other), TDSA_E_NOT_FOUND);
    assert_int_equal(recover(&r, many, MPC_RECOVERY_INFOS_MAX + 1, NULL), TDSA_E_BAD_INPUT);
}

static void a_corrupt_info_is_named_and_the_others_recover(void **state)
{
    mpc_recovery_info from[N];
    result r;

    (void)state;
    memcpy(from, infos, sizeof from);
    from[0].kept = infos[1].kept; /* ciphertexts under another label */
    assert_int_equal(recover(&r, from, N, &run.key[0]->pub.y), TDSA_OK);
    assert_false(r.verdicts[0].good);
    assert_string_equal(r.verdicts[0].why,
                        "none of its ciphertexts holds the share under this key");
    assert_true(r.verdicts[1].good && r.verdicts[2].good);
    assert_false(r.verdicts[3].good); /* not needed */
    assert_string_equal(r.verdicts[3].why, "");
    is_the_key(&r);
}

static void one_good_ciphertext_of_an_info_is_enough(void **state)
{
    TDSA_SCOPED_BUF kept = TDSA_BUF_EMPTY;
    mpc_recovery_info from[2] = {infos[0], infos[3]};
    result r;

    (void)state;
    tdsa_buf_append(&kept, infos[0].kept, 128 * 256);
    memset(kept.data, 0, 127 * 256);
    from[0].kept = kept.data;
    assert_int_equal(recover(&r, from, 2, NULL), TDSA_OK);
    is_the_key(&r);
}

static void a_chain_code_that_is_not_the_contexts_is_not_given_out(void **state)
{
    mpc_recovery_info from[3] = {infos[0], infos[1], infos[2]};
    result r;

    (void)state;
    from[0].cc_sealed = infos[0].kept;
    from[1].cc_sealed = infos[0].kept;
    assert_int_equal(recover(&r, from, 2, NULL), TDSA_OK);
    assert_false(r.key.has_cc);
    mpc_recovered_clear(&r.key);
    assert_int_equal(recover(&r, from + 1, 2, NULL), TDSA_OK); /* the other one has it */
    is_the_key(&r);
}

static void infos_of_two_epochs_are_not_mixed(void **state)
{
    const run_reshare_spec spec = {
        .dealers = {0, 1, 2, 3}, .dealer_count = 4, .members = {1, 4, 6, 8}, .n = 4, .t = 1};
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF b2 = TDSA_BUF_EMPTY;
    mpc_recovery_info from[3] = {infos[0], infos[0], infos[0]};
    result r;

    (void)state;
    assert_true(run_reshare(&run, &spec) >= 4);
    recovery_kit_make(&b, &run, 6, kit.cert, NULL);
    recovery_kit_make(&b2, &run, 8, kit.cert, NULL);
    decode(&from[1], &b);
    assert_int_equal(from[1].context.epoch, 1);
    assert_int_equal(recover(&r, from, 2, NULL), TDSA_E_LIMIT); /* one of each */
    assert_string_equal(r.verdicts[1].why, "it is of another key, epoch or auxiliary data");
    decode(&from[2], &b2);
    assert_int_equal(recover(&r, from, 3, NULL), TDSA_OK);
    assert_int_equal(r.key.of, 1);
    assert_false(r.verdicts[0].good);
    run.key[0] = run.key[6]; /* is_the_key looks there */
    is_the_key(&r);
}

static tdsa_status no_token(void *ctx, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *e)
{
    (void)out;
    (void)s;
    ++*(unsigned *)ctx;
    return TDSA_FAIL(e, TDSA_E_WRAPPING, "the token is gone");
}

static void an_opener_that_fails_ends_the_recovery(void **state)
{
    unsigned calls = 0;
    const mpc_recovery_opener opener = {no_token, &calls};
    const mpc_recovery_asked asked = {run.g, infos, N, NULL};
    result r;

    (void)state;
    assert_int_equal(mpc_recovery_recover(&r.key, r.verdicts, &asked, &opener, &err),
                     TDSA_E_WRAPPING);
    assert_int_equal(calls, 1);
    assert_null(r.key.x);
}

static void a_key_is_written_as_openssl_reads_it(void **state)
{
    static const grp_curve curves[] = {GRP_P256, GRP_P384, GRP_P521, GRP_SECP256K1};

    (void)state;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
        TDSA_SCOPED_SECRET x = NULL;
        BIGNUM *n = NULL;
        BIO *in = NULL;
        EVP_PKEY *key = NULL;
        uint8_t back[GRP_SCALAR_LEN_MAX];
        grp *g = NULL;

        assert_int_equal(grp_open(&g, curves[i], &err), TDSA_OK);
        assert_int_equal(tdsa_secret_new(&x, grp_get_info(g)->scalar_len, &err), TDSA_OK);
        tdsa_secret_bytes(x)[5] = 0xfb; /* so that the base64 has both letters of its own */
        memset(tdsa_secret_bytes(x) + 6, 0xff, 8);
        assert_int_equal(mpc_recovery_put_key(&text, g, x, &err), TDSA_OK);
        in = BIO_new_mem_buf(text.data, (int)text.len);
        key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &n), 1);
        assert_true(BN_bn2binpad(n, back, (int)tdsa_secret_len(x)) > 0);
        assert_memory_equal(back, tdsa_secret_view(x), tdsa_secret_len(x));
        BN_free(n);
        BIO_free(in);
        EVP_PKEY_free(key);
        grp_close(g);
    }
}

static void an_ed25519_scalar_is_written_as_hex(void **state)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET x = NULL;
    grp *g = NULL;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_ED25519, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_new(&x, 32, &err), TDSA_OK);
    assert_int_equal(mpc_recovery_put_key(&text, g, x, &err), TDSA_E_BAD_INPUT); /* 0 */
    assert_int_equal(text.len, 0);
    tdsa_secret_bytes(x)[0] = 0x5a;
    assert_int_equal(mpc_recovery_put_key(&text, g, x, &err), TDSA_OK);
    tdsa_buf_append_u8(&text, 0);
    assert_string_equal((const char *)text.data,
                        "ed25519-scalar 5a"
                        "00000000000000000000000000000000000000000000000000000000000000\n");
    memset(tdsa_secret_bytes(x), 0xff, 32);
    assert_int_equal(mpc_recovery_put_key(&text, g, x, &err), TDSA_E_BAD_INPUT); /* over l */
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_t_plus_one_infos_make_the_key),
        cmocka_unit_test(t_infos_do_not_suffice),
        cmocka_unit_test(without_infos_nothing_is_recovered),
        cmocka_unit_test(a_corrupt_info_is_named_and_the_others_recover),
        cmocka_unit_test(one_good_ciphertext_of_an_info_is_enough),
        cmocka_unit_test(a_chain_code_that_is_not_the_contexts_is_not_given_out),
        cmocka_unit_test(an_opener_that_fails_ends_the_recovery),
        cmocka_unit_test(a_key_is_written_as_openssl_reads_it),
        cmocka_unit_test(an_ed25519_scalar_is_written_as_hex),
        cmocka_unit_test(infos_of_two_epochs_are_not_mixed), /* last: it moves the key on */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
