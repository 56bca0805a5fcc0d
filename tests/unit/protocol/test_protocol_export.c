#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/bip32.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"
#include "support/export_run.h"
#include "support/protocol_tamper.h"
#include "support/rsa_maker.h"

/* An export gives the key to the owner of the certificate, from shares that nobody keeps, or nobody
 * gets anything and the culprit is named. */

#define KEY_ID "ExportedKey00000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_RELEASE };

static const uint32_t child[] = {44, 7};

typedef struct {
    protocol_run r;
    recovery_kit kit;
    run_export_spec spec;
    tamper t;
} fixture;

static void set_up_key(fixture *f, grp_curve curve, mpc_scheme scheme, uint16_t n)
{
    memset(f, 0, sizeof *f);
    recovery_kit_open(&f->kit);
    run_init_scheme(&f->r, curve, scheme, n, (uint16_t)((n - 1) / 2), "export");
    f->r.policy.exportable = true;
    if (curve == GRP_SECP256K1) {
        f->r.policy.derivation = MPC_DERIVE_BIP32;
    }
    assert_int_equal(run_keygen(&f->r, KEY_ID), n);
    f->spec = (run_export_spec){.coordinator = 0, .cert = f->kit.cert};
    f->t = (tamper){.step = STEP_EXPORT, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
    f->t.round = MPC_EXPORT_ROUNDS; /* touches nothing until a test says so */
}

static void set_up(fixture *f)
{
    set_up_key(f, GRP_P256, MPC_SCHEME_ECDSA, 3);
}

static void tear_down(fixture *f)
{
    recovery_kit_close(&f->kit);
    run_clear(&f->r);
}

/* The stored epoch is whole: each share is still that of its verification share. */
static void key_lives(const fixture *f)
{
    for (uint16_t i = 0; i < f->r.n; i++) {
        const mpc_key *key = run_export_key(&f->r, i);
        grp_point mine;
        tdsa_err err;

        assert_int_equal(grp_mul_base(f->r.g, &mine, &key->sec->share, &err), TDSA_OK);
        assert_true(grp_point_equal(f->r.g, &mine, &key->pub.x[i]));
        assert_int_equal(key->pub.epoch, 0);
    }
}

/* The infos of the coordinator make a package, whose key is x of the wanted point. */
static void check_package(const fixture *f)
{
    const uint16_t c = f->spec.coordinator;
    const uint16_t t = f->r.t;
    const mpc_key *key = run_export_key(&f->r, c);
    mpc_recovery_info infos[GRP_PARTIES_MAX];
    mpc_recovered got;
    grp_scalar x;
    grp_scalar epsilon;
    grp_point y;
    grp_point want;
    tdsa_err err;

    run_export_infos(&f->r, c, infos);
    assert_int_equal(mpc_recovery_verify_package_vartime(infos, f->r.n, f->r.g, f->spec.cert, &err),
                     TDSA_OK);
    assert_int_equal(
        mpc_bip32_path_vartime(&epsilon, &want, key, f->spec.path, f->spec.path_len, &err),
        TDSA_OK);
    assert_true(grp_point_equal(f->r.g, &infos[0].context.y, &want));
    assert_int_equal(infos[0].context.use, MPC_RECOVERY_EXPORT);
    assert_int_equal(infos[0].context.path_len, f->spec.path_len);
    assert_memory_equal(infos[0].context.cluster_id, mpc_keygen_sid(f->r.keygen[c]), 32);
    for (uint16_t i = 0; i < f->r.n; i++) { /* not the shares that are kept */
        assert_false(grp_point_equal(f->r.g, &infos[0].context.x[i], &key->pub.x[i]));
    }
    /* the last t+1 will do */
    assert_int_equal(run_export_recover(&f->r, infos + (f->r.n - t - 1), t + 1u, f->kit.key, &got),
                     TDSA_OK);
    assert_true(got.has_cc);
    assert_int_equal(
        grp_scalar_decode(f->r.g, &x, tdsa_secret_view(got.x), tdsa_secret_len(got.x), &err),
        TDSA_OK);
    assert_int_equal(grp_mul_base(f->r.g, &y, &x, &err), TDSA_OK);
    assert_true(grp_point_equal(f->r.g, &y, &want));
    mpc_recovered_clear(&got);
}

static void whole(fixture *f)
{
    const uint8_t zero[sizeof(mpc_key_secret)] = {0};

    assert_int_equal(run_export(&f->r, &f->spec), f->r.n);
    check_package(f);
    key_lives(f);
    for (uint16_t i = 0; i < f->r.n; i++) {
        assert_memory_equal(f->r.keygen[i]->key->sec, zero, sizeof zero);
    }
}

/* `who` is dead and has nothing left; its error names `culprit`. */
static void assert_dead(const fixture *f, uint16_t who, int culprit, const char *text)
{
    const uint8_t zero[sizeof(mpc_key_secret)] = {0};
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(f->r.status[who], TDSA_E_PROTOCOL);
    if (strstr(f->r.err[who].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, f->r.err[who].text);
    }
    assert_int_equal(f->r.err[who].participant, culprit);
    assert_null(f->r.key[who]);
    assert_memory_equal(f->r.keygen[who]->key->sec, zero, sizeof zero);
    assert_int_equal(mpc_keygen_send(f->r.keygen[who], who == 0 ? 1 : 0, &m, &err),
                     TDSA_E_BAD_INPUT);
}

/* ---- what goes well ---- */

static void an_exported_key_is_recovered_from_its_infos(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    whole(&f);
    f.spec.coordinator = 2;
    f.r.reverse = true;
    whole(&f);
    tear_down(&f);
}

static void five_export_with_two_corrupt(void **state)
{
    fixture f;

    (void)state;
    set_up_key(&f, GRP_P256, MPC_SCHEME_ECDSA, 5);
    f.spec.coordinator = 4;
    whole(&f);
    tear_down(&f);
}

static void a_child_is_exported_and_the_root_too(void **state)
{
    fixture f;

    (void)state;
    set_up_key(&f, GRP_SECP256K1, MPC_SCHEME_ECDSA, 3);
    whole(&f);
    f.spec.path = child;
    f.spec.path_len = 2;
    whole(&f);
    tear_down(&f);
    set_up_key(&f, GRP_SECP256K1, MPC_SCHEME_ECDSA, 5);
    f.spec.path = child;
    f.spec.path_len = 1;
    whole(&f);
    tear_down(&f);
}

static void every_curve_and_scheme_is_exported(void **state)
{
    static const struct {
        grp_curve curve;
        mpc_scheme scheme;
        uint16_t n;
    } each[] = {{GRP_ED25519, MPC_SCHEME_EDDSA, 3},    {GRP_ED25519, MPC_SCHEME_EDDSA, 5},
                {GRP_SECP256K1, MPC_SCHEME_BIP340, 3}, {GRP_SECP256K1, MPC_SCHEME_BIP340, 5},
                {GRP_P384, MPC_SCHEME_ECDSA, 3},       {GRP_P521, MPC_SCHEME_ECDSA, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        fixture f;

        set_up_key(&f, each[i].curve, each[i].scheme, each[i].n);
        whole(&f);
        if (each[i].scheme == MPC_SCHEME_BIP340) {
            f.spec.path = child;
            f.spec.path_len = 2;
            whole(&f);
        }
        tear_down(&f);
    }
}

/* A certificate whose ciphertexts have another length. */
static void the_certificate_may_have_3072_bits(void **state)
{
    fixture f;
    rsa_pair pair;
    tdsa_rsa_cert *cert = NULL;
    tdsa_rsa_key *fixed = NULL;
    tdsa_err err;

    (void)state;
    set_up(&f);
    rsa_make_fit(&pair, 3072);
    assert_int_equal(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err), TDSA_OK);
    fixed = f.kit.key;
    assert_int_equal(tdsa_rsa_key_new(&f.kit.key, pair.key_pem.data, pair.key_pem.len, NULL, &err),
                     TDSA_OK);
    f.spec.cert = cert;
    whole(&f);
    tdsa_rsa_key_free(fixed);
    tdsa_rsa_cert_free(cert);
    rsa_pair_clear(&pair);
    tear_down(&f);
}

static void every_export_has_shares_of_its_own(void **state)
{
    fixture f;
    mpc_recovery_info infos[GRP_PARTIES_MAX];
    grp_point first[3];

    (void)state;
    set_up(&f);
    whole(&f);
    run_export_infos(&f.r, 0, infos);
    memcpy(first, infos[0].context.x, sizeof first);
    whole(&f);
    run_export_infos(&f.r, 0, infos);
    for (uint16_t i = 0; i < 3; i++) {
        assert_false(grp_point_equal(f.r.g, &first[i], &infos[0].context.x[i]));
    }
    tear_down(&f);
}

/* ---- round 4 ---- */

static void nothing_leaves_before_it_is_recorded(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    run_export_begin(&f.r);
    run_export_make(&f.r, &f.spec);
    run_export_rounds(&f.r, R_RANDOM, R_RELEASE);
    for (uint16_t i = 0; i < 3; i++) {
        const uint16_t to = i == 0 ? 1 : 0;
        TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
        tdsa_err err;

        assert_int_equal(mpc_keygen_round(f.r.keygen[i]), MPC_KEYGEN_ROUND_STORED);
        f.r.keygen[i]->stored = false; /* as before the driver marked it */
        assert_int_equal(mpc_keygen_send(f.r.keygen[i], to, &m, &err), TDSA_E_BAD_INPUT);
        assert_non_null(strstr(err.text, "not marked as recorded"));
        assert_int_equal(m.len, 0);
        mpc_keygen_mark_stored(f.r.keygen[i]);
    }
    run_export_rounds(&f.r, R_RELEASE, MPC_EXPORT_ROUNDS);
    check_package(&f);
    tear_down(&f);
}

static void only_the_coordinator_gets_infos(void **state)
{
    fixture f;
    const size_t none = MPC_TEXT("release") + MPC_ITEM(64) + MPC_ITEM(0);

    (void)state;
    set_up(&f);
    for (uint16_t to = 0; to < 3; to++) {
        tamper t = {.step = STEP_EXPORT, .round = R_RELEASE, .from = to == 1 ? 2 : 1, .to = to};

        f.r.hook = record_hook;
        f.r.hook_ctx = &t;
        assert_int_equal(run_export(&f.r, &f.spec), 3);
        assert_int_equal(t.hits, 1);
        if (to == 0) {
            assert_true(t.bytes.len > none + 128 * 256);
        } else {
            assert_int_equal(t.bytes.len, none);
        }
        tdsa_buf_clear(&t.bytes);
    }
    tear_down(&f);
}

static void a_bad_info_names_its_sender(void **state)
{
    static const struct {
        tamper_kind kind;
        size_t offset;
        bool from_end;
        const char *text;
    } each[] = {{TAMPER_CUT, 0, false, "bytes"},
                {TAMPER_APPEND, 0, false, "bytes"},
                {TAMPER_FLIP, 40, false, "exports another sharing"},
                {TAMPER_FLIP, 300, false, "of another export"},
                {TAMPER_FLIP, 1, true, "the proof is wrong"}};

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        fixture f;

        set_up(&f);
        f.t.round = R_RELEASE;
        f.t.kind = each[i].kind;
        f.t.offset = each[i].offset;
        f.t.from_end = each[i].from_end;
        (void)run_export(&f.r, &f.spec);
        assert_int_equal(f.t.hits, 1);
        assert_dead(&f, 0, 1, each[i].text);
        key_lives(&f);
        tear_down(&f);
    }
}

static void an_info_for_a_member_that_asked_for_none_is_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RELEASE;
    f.t.to = 2;
    f.t.kind = TAMPER_APPEND;
    (void)run_export(&f.r, &f.spec);
    assert_int_equal(f.t.hits, 1);
    assert_dead(&f, 2, 1, "bytes");
    tear_down(&f);
}

/* ---- what ends before anything is dealt ---- */

/* Participant 1 was asked for something else: everybody sees it in round 0. */
static void differs(fixture *f, const run_export_spec *other)
{
    mpc_export_cfg cfg;

    run_export_begin(&f->r);
    run_export_make(&f->r, &f->spec);
    mpc_keygen_free(f->r.keygen[1]);
    cfg = run_export_cfg(&f->r, 1, other);
    assert_int_equal(mpc_export_new(&f->r.keygen[1], &cfg, &f->r.err[1]), TDSA_OK);
    run_export_rounds(&f->r, R_RANDOM, R_COMMIT);
    assert_dead(f, 0, 1, "has other inputs");
    assert_dead(f, 1, 0, "has other inputs");
    assert_dead(f, 2, 1, "has other inputs");
    key_lives(f);
}

static void all_are_asked_for_the_same(void **state)
{
    static const uint32_t sibling[] = {44, 8};
    fixture f;
    rsa_pair pair;
    tdsa_rsa_cert *cert = NULL;
    run_export_spec other;
    tdsa_err err;

    (void)state;
    set_up_key(&f, GRP_SECP256K1, MPC_SCHEME_ECDSA, 3);
    f.spec.path = child;
    f.spec.path_len = 2;
    other = f.spec;
    other.coordinator = 2;
    differs(&f, &other);
    other = f.spec;
    other.path = sibling;
    differs(&f, &other);
    other = f.spec;
    other.path_len = 1;
    differs(&f, &other);
    other.path_len = 0;
    differs(&f, &other);
    rsa_make_fit(&pair, 2048);
    assert_int_equal(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err), TDSA_OK);
    other = f.spec;
    other.cert = cert;
    differs(&f, &other);
    tdsa_rsa_cert_free(cert);
    rsa_pair_clear(&pair);
    tear_down(&f);
}

static void a_record_of_another_key_names_its_sender(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.offset = 1; /* the last byte of the chain code in 1's record */
    f.t.from_end = true;
    assert_int_equal(run_export(&f.r, &f.spec), 0);
    assert_int_equal(f.t.hits, 1);
    assert_dead(&f, 0, 1, "another old epoch");
    key_lives(&f);
    tear_down(&f);
}

/* ---- dealings ---- */

/* The constant is left out and must be 0: a share of another polynomial is a complaint. */
static void a_constant_that_is_not_0_is_a_complaint(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    run_export_begin(&f.r);
    run_export_make(&f.r, &f.spec);
    run_export_rounds(&f.r, R_RANDOM, R_DEAL);
    grp_scalar_set_u64(f.r.g, &f.r.keygen[1]->sec->f.coeff[0], 5); /* after its commitments */
    run_export_rounds(&f.r, R_DEAL, MPC_EXPORT_ROUNDS);
    assert_dead(&f, 0, 1, "share does not fit");
    assert_dead(&f, 2, 1, "share does not fit");
    assert_int_equal(mpc_keygen_round(f.r.keygen[0]), R_REPORT);
    key_lives(&f);
    tear_down(&f);
}

/* ---- refusals ---- */

static void refused(const mpc_export_cfg *cfg, tdsa_status st, const char *why)
{
    mpc_keygen *run = NULL;
    tdsa_err err;

    assert_int_equal(mpc_export_new(&run, cfg, &err), st);
    assert_null(run);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, err.text);
    }
}

static void a_key_that_is_not_exportable_is_refused(void **state)
{
    fixture f;
    mpc_export_cfg cfg;

    (void)state;
    set_up(&f);
    run_clear(&f.r);
    run_init(&f.r, GRP_P256, 3, 1, "not exportable");
    assert_int_equal(run_keygen(&f.r, KEY_ID), 3);
    run_export_begin(&f.r);
    cfg = run_export_cfg(&f.r, 0, &f.spec);
    refused(&cfg, TDSA_E_DENIED, "the policy of key " KEY_ID " forbids its export");
    tear_down(&f);
}

static void what_leads_nowhere_is_refused(void **state)
{
    static const uint32_t hardened[] = {44, MPC_HARDENED};
    static const uint32_t deep[MPC_PATH_MAX + 1] = {0};
    fixture f;
    mpc_key no_secret;
    mpc_export_cfg cfg;

    (void)state;
    set_up(&f);
    run_export_begin(&f.r);
    cfg = run_export_cfg(&f.r, 0, &f.spec);
    cfg.coordinator = 3;
    refused(&cfg, TDSA_E_BAD_INPUT, "is no member");
    cfg = run_export_cfg(&f.r, 0, &f.spec);
    no_secret = *cfg.key;
    no_secret.sec = NULL;
    cfg.key = &no_secret;
    refused(&cfg, TDSA_E_BAD_INPUT, "no share here");
    cfg = run_export_cfg(&f.r, 0, &f.spec);
    cfg.path = child;
    cfg.path_len = 2;
    refused(&cfg, TDSA_E_DENIED, "no derivation");
    tear_down(&f);

    set_up_key(&f, GRP_SECP256K1, MPC_SCHEME_ECDSA, 3);
    run_export_begin(&f.r);
    cfg = run_export_cfg(&f.r, 0, &f.spec);
    cfg.path = hardened;
    cfg.path_len = 2;
    refused(&cfg, TDSA_E_BAD_INPUT, "hardened");
    cfg.path = deep;
    cfg.path_len = MPC_PATH_MAX + 1;
    refused(&cfg, TDSA_E_BAD_INPUT, "more than 50");
    cfg.path = NULL;
    cfg.path_len = 1;
    refused(&cfg, TDSA_E_BAD_INPUT, "path");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exported_key_is_recovered_from_its_infos),
        cmocka_unit_test(five_export_with_two_corrupt),
        cmocka_unit_test(a_child_is_exported_and_the_root_too),
        cmocka_unit_test(every_curve_and_scheme_is_exported),
        cmocka_unit_test(the_certificate_may_have_3072_bits),
        cmocka_unit_test(every_export_has_shares_of_its_own),
        cmocka_unit_test(nothing_leaves_before_it_is_recorded),
        cmocka_unit_test(only_the_coordinator_gets_infos),
        cmocka_unit_test(a_bad_info_names_its_sender),
        cmocka_unit_test(an_info_for_a_member_that_asked_for_none_is_refused),
        cmocka_unit_test(all_are_asked_for_the_same),
        cmocka_unit_test(a_record_of_another_key_names_its_sender),
        cmocka_unit_test(a_constant_that_is_not_0_is_a_complaint),
        cmocka_unit_test(a_key_that_is_not_exportable_is_refused),
        cmocka_unit_test(what_leads_nowhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
