#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/cluster.h"
#include "support/recovery_kit.h"
#include "support/rsa_maker.h"

/* Exports by whole participants, over real HTTP. */

static recovery_kit kit;
static tdsa_rsa_cert *second;
static const tdsa_rsa_cert *both[2];

/* Records of the audit log, and whether those of exports can be made. */
static unsigned approved, exported;
static bool log_full;

static tdsa_status record(void *ctx, const tdsa_audit_event *e, tdsa_err *err)
{
    (void)ctx;
    if (strcmp(e->event, "key.export.approve") == 0) {
        (void)__atomic_add_fetch(&approved, 1, __ATOMIC_SEQ_CST);
    } else if (strcmp(e->event, "key.export") == 0) {
        (void)__atomic_add_fetch(&exported, 1, __ATOMIC_SEQ_CST);
    } else {
        return TDSA_OK;
    }
    return __atomic_load_n(&log_full, __ATOMIC_RELAXED)
               ? TDSA_FAIL(err, TDSA_E_STORE, "the log is full")
               : TDSA_OK;
}

static void with_one(part_engine_cfg *cfg)
{
    cfg->exports = both;
    cfg->export_count = 1;
    cfg->audit = (tdsa_audit){record, NULL};
    cfg->session_timeout_ms = 120000; /* sanitizers and valgrind are slow */
    cfg->deadline_ms = 120000;
    cfg->http.request_timeout_ms = 120000;
}

static void with_both(part_engine_cfg *cfg)
{
    with_one(cfg);
    cfg->export_count = 2;
}

static void with_none_at_2(part_engine_cfg *cfg)
{
    with_one(cfg);
    cfg->export_count = cfg->roster.me == 2 ? 0 : 1;
}

static void without_a_log_at_2(part_engine_cfg *cfg)
{
    with_one(cfg);
    if (cfg->roster.me == 2) {
        cfg->audit.record = NULL;
    }
}

static int set_up(void **state)
{
    rsa_pair pair;
    tdsa_err err;

    (void)state;
    recovery_kit_open(&kit);
    rsa_make_fit(&pair, 2048);
    assert_int_equal(tdsa_rsa_cert_new(&second, pair.der.data, pair.der.len, &err), TDSA_OK);
    rsa_pair_clear(&pair);
    both[0] = kit.cert;
    both[1] = second;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tdsa_rsa_cert_free(second);
    recovery_kit_close(&kit);
    return 0;
}

/* A refused run leaves requests between the others, which wait for its coordinator: answer them. */
static void stop(cluster *c)
{
    for (uint16_t i = 0; i < c->n; i++) {
        part_engine_forget(c->node[i].engine);
    }
    cluster_stop(c);
}

static void new_key(part_engine *e, grp_curve curve, bool exportable, char *key_id)
{
    part_key_spec spec = {.curve = curve,
                          .policy = part_policy_default(curve, mpc_scheme_default(curve)),
                          .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    spec.policy.exportable = exportable;
    if (curve == GRP_SECP256K1) {
        spec.policy.derivation = MPC_DERIVE_BIP32;
    }
    if (part_engine_register(e, &spec, 0, key_id, &err) != TDSA_OK ||
        part_engine_generate(e, key_id, 0, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    approved = 0;
    exported = 0;
}

static part_export_spec spec_of(const char *key_id, const uint32_t *path, uint16_t path_len)
{
    part_export_spec spec = {.key_id = key_id, .path = path, .path_len = path_len};

    memcpy(spec.certificate, tdsa_rsa_cert_facts(kit.cert)->sha256, sizeof spec.certificate);
    return spec;
}

static tdsa_status approve(const cluster *c, uint16_t i, const part_export_spec *spec,
                           tdsa_err *err)
{
    uint64_t expires = 0;
    const tdsa_status st = part_engine_approve_export(c->node[i].engine, spec,
                                                      PART_APPROVAL_DEFAULT_MS, &expires, err);

    assert_int_equal(st == TDSA_OK, expires != 0);
    return st;
}

static void all_approve(const cluster *c, const part_export_spec *spec)
{
    tdsa_err err;

    for (uint16_t i = 0; i < c->n; i++) {
        if (!c->node[i].client && approve(c, i, spec, &err) != TDSA_OK) {
            fail_msg("%s", err.text);
        }
    }
}

/* DENIED with this word, and nothing comes out. */
static void refused(const cluster *c, uint16_t at, const part_export_spec *spec, int who,
                    const char *word)
{
    part_recovery_package pkg;
    tdsa_err err;

    assert_int_equal(part_engine_export(c->node[at].engine, spec, 0, &pkg, &err), TDSA_E_DENIED);
    if (strstr(err.text, word) == NULL) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(err.participant, who);
    assert_int_equal(pkg.count, 0);
}

static void export_ok(const cluster *c, uint16_t at, const part_export_spec *spec,
                      part_recovery_package *pkg)
{
    tdsa_err err;

    if (part_engine_export(c->node[at].engine, spec, 0, pkg, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

/* The package of all participants makes the key that it names. */
static void recovers(const part_recovery_package *pkg, grp_curve curve, size_t participants)
{
    mpc_recovery_info infos[GRP_PARTIES_MAX];
    mpc_recovery_verdict verdicts[GRP_PARTIES_MAX];
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);
    mpc_recovery_asked asked = {.infos = infos};
    mpc_recovered out;
    grp_point y;
    grp *g = NULL;
    tdsa_err err;

    assert_int_equal(grp_open(&g, curve, &err), TDSA_OK);
    assert_int_equal(pkg->count, participants);
    for (size_t i = 0; i < pkg->count; i++) {
        const tdsa_buf *b = &pkg->infos[i].bytes;

        assert_int_equal(mpc_recovery_decode(&infos[i], g, b->data, b->len, &err), TDSA_OK);
        assert_int_equal(infos[i].index, pkg->infos[i].participant);
        assert_int_equal(infos[i].context.use, MPC_RECOVERY_EXPORT);
        assert_int_equal(infos[i].context.epoch, pkg->epoch);
    }
    asked.count = pkg->count;
    assert_int_equal(mpc_recovery_verify_package_vartime(infos, asked.count, g, kit.cert, &err),
                     TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, pkg->public_key, pkg->public_key_len, &err), TDSA_OK);
    asked.g = g;
    asked.y = &y;
    assert_int_equal(mpc_recovery_recover(&out, verdicts, &asked, &opener, &err), TDSA_OK);
    mpc_recovered_clear(&out);
    grp_close(g);
}

static void signs(const cluster *c, const char *key_id)
{
    static const uint8_t digest[32] = {7};
    const part_sign_request req = {.key_id = key_id,
                                   .digest_alg = TDSA_HASH_SHA256,
                                   .payload = digest,
                                   .payload_len = sizeof digest};
    part_sign_result out;
    tdsa_err err;

    if (part_engine_sign(c->node[0].engine, &req, 0, &out, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static void what_all_approved_comes_out_once(void **state)
{
    part_recovery_package pkg;
    part_export_spec spec;
    part_key_info info;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    all_approve(&c, &spec);
    assert_int_equal(approved, 3);
    export_ok(&c, 1, &spec, &pkg);
    assert_int_equal(exported, 3);
    recovers(&pkg, GRP_P256, 3);
    assert_int_equal(part_engine_key(c.node[0].engine, key_id, &info, &err), TDSA_OK);
    assert_int_equal(info.epoch, 0);
    assert_int_equal(info.state, KS_KEY_ACTIVE);
    assert_memory_equal(pkg.public_key + 1, info.public_key + 1, 32);
    part_recovery_package_clear(&pkg);
    signs(&c, key_id);
    refused(&c, 1, &spec, TDSA_NOBODY, "NOT_APPROVED: participant 1");
    refused(&c, 0, &spec, TDSA_NOBODY, "NOT_APPROVED: participant 0");
    assert_int_equal(exported, 3);
    stop(&c);
}

static void who_has_not_approved_is_named_and_no_approval_is_used_up(void **state)
{
    part_recovery_package pkg;
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    refused(&c, 0, &spec, TDSA_NOBODY, "NOT_APPROVED: participant 0");
    assert_int_equal(approve(&c, 0, &spec, &err), TDSA_OK);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_OK);
    refused(&c, 0, &spec, 2, "NOT_APPROVED: participant 2");
    cluster_stop_node(&c, 1); /* an approval is durable */
    cluster_start_node(&c, 1);
    assert_int_equal(approve(&c, 2, &spec, &err), TDSA_OK);
    export_ok(&c, 0, &spec, &pkg);
    recovers(&pkg, GRP_P256, 3);
    part_recovery_package_clear(&pkg);
    stop(&c);
}

static void an_approval_is_for_one_certificate_path_and_epoch(void **state)
{
    static const uint32_t path[] = {1, 2};
    const part_reshare_spec refresh = {.member_count = 0};
    part_recovery_package pkg;
    part_export_spec spec, other;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t child[GRP_POINT_RAW_MAX];
    size_t child_len = sizeof child;
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_both);
    new_key(c.node[0].engine, GRP_SECP256K1, true, key_id);
    spec = spec_of(key_id, path, 2);
    all_approve(&c, &spec);
    other = spec_of(key_id, NULL, 0);
    refused(&c, 0, &other, TDSA_NOBODY, "NOT_APPROVED");
    other = spec_of(key_id, path, 1);
    refused(&c, 0, &other, TDSA_NOBODY, "NOT_APPROVED");
    other = spec;
    memcpy(other.certificate, tdsa_rsa_cert_facts(second)->sha256, sizeof other.certificate);
    refused(&c, 0, &other, TDSA_NOBODY, "NOT_APPROVED");
    export_ok(&c, 0, &spec, &pkg);
    recovers(&pkg, GRP_SECP256K1, 3);
    assert_int_equal(
        part_engine_public_key(c.node[0].engine, key_id, path, 2, child, &child_len, &err),
        TDSA_OK);
    assert_memory_equal(pkg.public_key + 1, child + 1, 32);
    part_recovery_package_clear(&pkg);
    all_approve(&c, &spec);
    assert_int_equal(part_engine_reshare(c.node[0].engine, key_id, &refresh, 0, &err), TDSA_OK);
    refused(&c, 0, &spec, TDSA_NOBODY, "NOT_APPROVED");
    stop(&c);
}

static void an_approval_that_expired_is_none(void **state)
{
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t expires = 0;
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    all_approve(&c, &spec);
    assert_int_equal(part_engine_approve_export(c.node[2].engine, &spec, 1, &expires, &err),
                     TDSA_OK);
    while (c.node[2].cfg.clock.wall_ms(c.node[2].cfg.clock.ctx) < expires) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    refused(&c, 0, &spec, 2, "APPROVAL_EXPIRED");
    assert_int_equal(part_engine_approve_export(c.node[0].engine, &spec, 0, &expires, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(part_engine_approve_export(c.node[0].engine, &spec, PART_APPROVAL_MAX_MS + 1,
                                                &expires, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(exported, 0);
    stop(&c);
}

typedef struct {
    part_engine *engine;
    const part_export_spec *spec;
    tdsa_status st;
} racer;

static void *race(void *ctx)
{
    racer *r = ctx;
    part_recovery_package pkg;
    tdsa_err err;

    r->st = part_engine_export(r->engine, r->spec, 0, &pkg, &err);
    part_recovery_package_clear(&pkg);
    return NULL;
}

static void two_at_once_do_not_both_use_it(void **state)
{
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    for (unsigned round = 0; round < 5; round++) {
        racer racers[3];
        pthread_t threads[3];
        unsigned done = 0;

        all_approve(&c, &spec);
        for (unsigned i = 0; i < 3; i++) {
            racers[i] = (racer){c.node[i].engine, &spec, TDSA_OK};
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            done += racers[i].st == TDSA_OK ? 1 : 0;
        }
        assert_in_range(done, 0, 1);
    }
    stop(&c);
}

static void the_call_of_a_client_is_its_approval(void **state)
{
    part_recovery_package pkg;
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, true, with_one);
    new_key(c.node[0].engine, GRP_ED25519, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_OK);
    refused(&c, 0, &spec, 2, "NOT_APPROVED: participant 2");
    assert_int_equal(approve(&c, 2, &spec, &err), TDSA_OK);
    assert_int_equal(part_engine_export(c.node[1].engine, &spec, 0, &pkg, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "CLIENT_PARTICIPATES"));
    export_ok(&c, 0, &spec, &pkg);
    recovers(&pkg, GRP_ED25519, 3);
    part_recovery_package_clear(&pkg);
    stop(&c);
}

static void a_key_that_is_not_exportable_stays(void **state)
{
    static const uint32_t path[] = {1};
    static const uint32_t hardened[] = {MPC_HARDENED};
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, false, key_id);
    spec = spec_of(key_id, NULL, 0);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_E_DENIED);
    assert_non_null(strstr(err.text, "forbids exporting"));
    refused(&c, 0, &spec, TDSA_NOBODY, "forbids exporting");
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, path, 1);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_E_DENIED); /* no derivation */
    spec = spec_of(key_id, hardened, 1);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_E_BAD_INPUT);
    spec = spec_of("nothing", NULL, 0);
    assert_int_equal(approve(&c, 1, &spec, &err), TDSA_E_NOT_FOUND);
    stop(&c);
}

static void every_participant_allows_it_by_itself(void **state)
{
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const char *word = i == 0 ? "none of the exportCertificates" : "needs an audit log";

        cluster_start_as(&c, 3, 1, false, i == 0 ? with_none_at_2 : without_a_log_at_2);
        new_key(c.node[0].engine, GRP_P256, true, key_id);
        spec = spec_of(key_id, NULL, 0);
        assert_int_equal(approve(&c, 0, &spec, &err), TDSA_OK);
        assert_int_equal(approve(&c, 1, &spec, &err), TDSA_OK);
        assert_int_equal(approve(&c, 2, &spec, &err), TDSA_E_DENIED);
        assert_non_null(strstr(err.text, word));
        refused(&c, 0, &spec, 2, word);
        stop(&c);
    }
}

static void what_cannot_be_recorded_does_not_leave(void **state)
{
    part_recovery_package pkg;
    part_export_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, true, key_id);
    spec = spec_of(key_id, NULL, 0);
    all_approve(&c, &spec);
    __atomic_store_n(&log_full, true, __ATOMIC_RELAXED);
    assert_int_equal(approve(&c, 0, &spec, &err), TDSA_E_STORE);
    assert_int_equal(part_engine_export(c.node[0].engine, &spec, 0, &pkg, &err), TDSA_E_STORE);
    assert_int_equal(pkg.count, 0);
    __atomic_store_n(&log_full, false, __ATOMIC_RELAXED);
    refused(&c, 0, &spec, TDSA_NOBODY, "NOT_APPROVED"); /* used up all the same */
    stop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_approved_comes_out_once),
        cmocka_unit_test(who_has_not_approved_is_named_and_no_approval_is_used_up),
        cmocka_unit_test(an_approval_is_for_one_certificate_path_and_epoch),
        cmocka_unit_test(an_approval_that_expired_is_none),
        cmocka_unit_test(two_at_once_do_not_both_use_it),
        cmocka_unit_test(the_call_of_a_client_is_its_approval),
        cmocka_unit_test(a_key_that_is_not_exportable_stays),
        cmocka_unit_test(every_participant_allows_it_by_itself),
        cmocka_unit_test(what_cannot_be_recorded_does_not_leave),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
