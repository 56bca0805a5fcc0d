#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/statement.h"
#include "support/protocol_run.h"

/* Records of policies: there and back, what is refused, and what they allow. */

static void a_policy_comes_back_as_it_was(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        const mpc_policy p = {.purpose = bits & 1 ? MPC_PURPOSE_MESSAGE : MPC_PURPOSE_DIGEST,
                              .derivation = bits & 2 ? MPC_DERIVE_BIP32 : MPC_DERIVE_NONE,
                              .min_path = bits % 51,
                              .min_path_xpub = 50 - bits % 51,
                              .max_path = bits & 2 ? 50 : 0,
                              .prefix = {0, MPC_HARDENED - 1, 2, 3, 4, 5, 6, 7},
                              .prefix_len = bits & 2 ? bits % 9 : 0,
                              .rate = bits * 15873,
                              .prepare = (bits & 4) != 0,
                              .exportable = (bits & 8) != 0,
                              .reshare = (bits & 16) != 0,
                              .low_s = (bits & 32) != 0,
                              .digests = bits % 32};
        mpc_policy back;
        tdsa_err err;

        mpc_policy_encode(&b, &p);
        assert_int_equal(mpc_policy_decode(&back, b.data, b.len, &err), TDSA_OK);
        assert_int_equal(back.purpose, p.purpose);
        assert_int_equal(back.derivation, p.derivation);
        assert_int_equal(back.min_path, p.min_path);
        assert_int_equal(back.min_path_xpub, p.min_path_xpub);
        assert_int_equal(back.max_path, p.max_path);
        assert_int_equal(back.prefix_len, p.prefix_len);
        assert_memory_equal(back.prefix, p.prefix, p.prefix_len * sizeof p.prefix[0]);
        assert_int_equal(back.rate, p.rate);
        assert_int_equal(back.prepare, p.prepare);
        assert_int_equal(back.exportable, p.exportable);
        assert_int_equal(back.reshare, p.reshare);
        assert_int_equal(back.low_s, p.low_s);
        assert_int_equal(back.digests, p.digests);
    }
}

static void policy_bytes(tdsa_buf *b, const char *purpose, uint64_t path, uint64_t flag,
                         const char *digest_a, const char *digest_b)
{
    size_t list = 0;

    tdsa_stmt_begin(b, "policy");
    tdsa_stmt_text(b, purpose);
    tdsa_stmt_text(b, "none");
    tdsa_stmt_uint(b, path);
    tdsa_stmt_uint(b, 3);
    tdsa_stmt_uint(b, 0);
    list = tdsa_stmt_list_begin(b);
    tdsa_stmt_list_end(b, list);
    tdsa_stmt_uint(b, flag);
    tdsa_stmt_uint(b, 0);
    tdsa_stmt_uint(b, 0);
    tdsa_stmt_uint(b, 0);
    tdsa_stmt_uint(b, 0);
    list = tdsa_stmt_list_begin(b);
    tdsa_stmt_text(b, digest_a);
    tdsa_stmt_text(b, digest_b);
    tdsa_stmt_list_end(b, list);
}

static void an_unlawful_policy_record_is_refused(void **state)
{
    static const struct {
        const char *purpose;
        uint64_t path, flag;
        const char *a, *b;
        tdsa_status st;
    } cases[] = {{"digest", 1, 0, "sha256", "sha512", TDSA_OK},
                 {"sign", 1, 0, "sha256", "sha512", TDSA_E_BAD_INPUT},
                 {"", 1, 0, "sha256", "sha512", TDSA_E_BAD_INPUT},
                 {"digest", 51, 0, "sha256", "sha512", TDSA_E_BAD_INPUT},
                 {"digest", UINT64_MAX, 0, "sha256", "sha512", TDSA_E_BAD_INPUT},
                 {"digest", 1, 2, "sha256", "sha512", TDSA_E_BAD_INPUT},
                 {"digest", 1, 0, "sha512", "sha256", TDSA_E_BAD_INPUT}, /* order */
                 {"digest", 1, 0, "sha256", "sha256", TDSA_E_BAD_INPUT}, /* twice */
                 {"digest", 1, 0, "sha256", "none", TDSA_OK}, /* mpc_policy_check judges it */
                 {"digest", 1, 0, "none", "sha256", TDSA_E_BAD_INPUT},
                 {"digest", 1, 0, "sha256", "md5", TDSA_E_BAD_INPUT}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        mpc_policy p;
        tdsa_err err;

        policy_bytes(&b, cases[i].purpose, cases[i].path, cases[i].flag, cases[i].a, cases[i].b);
        assert_int_equal(mpc_policy_decode(&p, b.data, b.len, &err), cases[i].st);
        assert_int_equal(mpc_policy_decode(&p, b.data, b.len - 1, &err), TDSA_E_BAD_INPUT);
        tdsa_buf_append_u8(&b, 0);
        assert_int_equal(mpc_policy_decode(&p, b.data, b.len, &err), TDSA_E_BAD_INPUT);
        assert_int_equal(p.digests, 0);
    }
}

static void checks(const mpc_policy *p, mpc_scheme scheme, grp_curve curve, const char *text)
{
    tdsa_err err;

    if (text == NULL) {
        assert_int_equal(mpc_policy_check(p, scheme, curve, &err), TDSA_OK);
        return;
    }
    assert_int_equal(mpc_policy_check(p, scheme, curve, &err), TDSA_E_BAD_INPUT);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

static void a_policy_must_fit_scheme_and_curve(void **state)
{
    const mpc_policy digests = run_policy();
    mpc_policy p = digests;

    (void)state;
    checks(&digests, MPC_SCHEME_ECDSA, GRP_P256, NULL);
    checks(&digests, MPC_SCHEME_ECDSA, GRP_P521, NULL);
    checks(&digests, MPC_SCHEME_ECDSA, GRP_ED25519, "cannot have this scheme");
    checks(&digests, MPC_SCHEME_BIP340, GRP_P256, "cannot have this scheme");
    checks(&digests, MPC_SCHEME_EDDSA, GRP_SECP256K1, "cannot have this scheme");
    checks(&digests, MPC_SCHEME_BIP340, GRP_SECP256K1, "signs messages");
    p.derivation = MPC_DERIVE_BIP32;
    checks(&p, MPC_SCHEME_ECDSA, GRP_SECP256K1, NULL);
    checks(&p, MPC_SCHEME_ECDSA, GRP_P384, "bip32 derivation");
    p.digests = 1u << TDSA_HASH_NONE;
    checks(&p, MPC_SCHEME_ECDSA, GRP_SECP256K1, "digests that are known");
    checks(&p, MPC_SCHEME_BIP340, GRP_SECP256K1, "signs messages");
    p.purpose = MPC_PURPOSE_MESSAGE;
    checks(&p, MPC_SCHEME_BIP340, GRP_SECP256K1, NULL);
    checks(&p, MPC_SCHEME_EDDSA, GRP_ED25519, "bip32 derivation");
    p.derivation = MPC_DERIVE_NONE;
    checks(&p, MPC_SCHEME_EDDSA, GRP_ED25519, NULL);
    p.low_s = true;
    checks(&p, MPC_SCHEME_EDDSA, GRP_ED25519, "without low-S");
    p.low_s = false;
    p.digests |= 1u << TDSA_HASH_SHA256;
    checks(&p, MPC_SCHEME_EDDSA, GRP_ED25519, "digest none");
    p.digests = 1u << TDSA_HASH_NONE;
    p.min_path_xpub = MPC_PATH_MAX + 1;
    checks(&p, MPC_SCHEME_EDDSA, GRP_ED25519, "path length");
}

static void path_and_rate_rules_have_bounds(void **state)
{
    static const struct {
        mpc_derivation derivation;
        uint32_t min, max, prefix_len, element, rate;
        tdsa_status st;
    } cases[] = {
        {MPC_DERIVE_BIP32, 1, 0, 8, 44, 1000000, TDSA_OK},
        {MPC_DERIVE_BIP32, 3, 3, 3, 44, 0, TDSA_OK},
        {MPC_DERIVE_BIP32, 1, 51, 0, 0, 0, TDSA_E_BAD_INPUT},
        {MPC_DERIVE_BIP32, 4, 3, 0, 0, 0, TDSA_E_BAD_INPUT}, /* no path fits */
        {MPC_DERIVE_BIP32, 1, 2, 3, 44, 0, TDSA_E_BAD_INPUT},
        {MPC_DERIVE_BIP32, 1, 0, 1, MPC_HARDENED, 0, TDSA_E_BAD_INPUT},
        {MPC_DERIVE_BIP32, 1, 0, 0, 0, 1000001, TDSA_E_BAD_INPUT},
        {MPC_DERIVE_NONE, 1, 0, 0, 0, 6, TDSA_OK},
        {MPC_DERIVE_NONE, 1, 1, 0, 0, 0, TDSA_E_BAD_INPUT},
        {MPC_DERIVE_NONE, 1, 0, 1, 0, 0, TDSA_E_BAD_INPUT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        mpc_policy p = run_policy();
        mpc_policy back;
        tdsa_err err;

        p.derivation = cases[i].derivation;
        p.min_path = cases[i].min;
        p.max_path = cases[i].max;
        p.prefix_len = cases[i].prefix_len;
        for (size_t k = 0; k < cases[i].prefix_len; k++) {
            p.prefix[k] = cases[i].element;
        }
        p.rate = cases[i].rate;
        assert_int_equal(mpc_policy_check_rules(&p, &err), cases[i].st);
        mpc_policy_encode(&b, &p);
        assert_int_equal(mpc_policy_decode(&back, b.data, b.len, &err), cases[i].st);
    }
}

/* The encoder of an honest participant cannot write nine elements, so the record is built by hand. */
static void a_prefix_of_nine_elements_is_refused(void **state)
{
    (void)state;
    for (uint32_t count = 8; count <= 9; count++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        mpc_policy p;
        size_t list = 0;
        tdsa_err err;

        tdsa_stmt_begin(&b, "policy");
        tdsa_stmt_text(&b, "digest");
        tdsa_stmt_text(&b, "bip32");
        for (unsigned i = 0; i < 3; i++) {
            tdsa_stmt_uint(&b, 0);
        }
        list = tdsa_stmt_list_begin(&b);
        for (uint32_t i = 0; i < count; i++) {
            tdsa_stmt_uint(&b, i);
        }
        tdsa_stmt_list_end(&b, list);
        for (unsigned i = 0; i < 5; i++) {
            tdsa_stmt_uint(&b, 0);
        }
        list = tdsa_stmt_list_begin(&b);
        tdsa_stmt_text(&b, "sha256");
        tdsa_stmt_list_end(&b, list);
        assert_int_equal(mpc_policy_decode(&p, b.data, b.len, &err),
                         count == 8 ? TDSA_OK : TDSA_E_BAD_INPUT);
    }
}

static void signing_paths_follow_the_policy(void **state)
{
    const mpc_policy p = {.derivation = MPC_DERIVE_BIP32,
                          .min_path = 1,
                          .max_path = 4,
                          .prefix = {44, 60},
                          .prefix_len = 2};
    static const struct {
        uint32_t path[5];
        size_t len;
        tdsa_status st;
    } cases[] = {
        {{44, 60}, 2, TDSA_OK},
        {{44, 60, 0, 7}, 4, TDSA_OK},
        {{0}, 0, TDSA_E_DENIED},
        {{44}, 1, TDSA_E_DENIED},
        {{44, 61, 0}, 3, TDSA_E_DENIED},
        {{60, 44}, 2, TDSA_E_DENIED},
        {{44, 60, 0, 0, 0}, 5, TDSA_E_DENIED},
    };
    mpc_policy free = {.derivation = MPC_DERIVE_BIP32};
    const uint32_t fifty[MPC_PATH_MAX] = {0};
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mpc_policy_check_path(&p, cases[i].path, cases[i].len, &err), cases[i].st);
    }
    assert_int_equal(mpc_policy_check_path(&free, fifty, MPC_PATH_MAX, &err), TDSA_OK);
    assert_int_equal(mpc_policy_check_path(&free, NULL, 0, &err), TDSA_OK);
    free.derivation = MPC_DERIVE_NONE;
    assert_int_equal(mpc_policy_check_path(&free, NULL, 0, &err), TDSA_OK);
    assert_int_equal(mpc_policy_check_path(&free, fifty, 1, &err), TDSA_E_DENIED);
}

static void every_policy_field_changes_the_tag(void **state)
{
    const mpc_policy base = run_policy();
    mpc_policy p[13];
    uint8_t tag[14][32];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < 13; i++) {
        p[i] = base;
    }
    p[0].purpose = MPC_PURPOSE_MESSAGE;
    p[1].derivation = MPC_DERIVE_BIP32;
    p[2].min_path++;
    p[3].min_path_xpub++;
    p[4].prepare = true;
    p[5].exportable = true;
    p[6].reshare = true;
    p[7].low_s = true;
    p[8].digests ^= 1;
    p[9].max_path = 50;
    p[10].prefix_len = 1;
    p[11].prefix_len = 2;
    p[12].rate = 1;
    assert_int_equal(mpc_policy_tag(tag[13], &base, &err), TDSA_OK);
    for (size_t i = 0; i < 13; i++) {
        assert_int_equal(mpc_policy_tag(tag[i], &p[i], &err), TDSA_OK);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(tag[i], tag[j], 32);
        }
        assert_memory_not_equal(tag[i], tag[13], 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_comes_back_as_it_was),
        cmocka_unit_test(an_unlawful_policy_record_is_refused),
        cmocka_unit_test(a_policy_must_fit_scheme_and_curve),
        cmocka_unit_test(path_and_rate_rules_have_bounds),
        cmocka_unit_test(a_prefix_of_nine_elements_is_refused),
        cmocka_unit_test(signing_paths_follow_the_policy),
        cmocka_unit_test(every_policy_field_changes_the_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
