#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster.h"
#include "support/recovery_kit.h"
#include "support/rsa_maker.h"

/* Recovery infos of whole participants, over real HTTP. */

static recovery_kit kit;
static tdsa_rsa_cert *second;
static const tdsa_rsa_cert *both[2];

/* The participant that sends infos with a changed bit, or nobody. */
static int liar = -1;
/* Records of the audit log, and whether they can be made. */
static unsigned records;
static bool log_full;

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_mpc_recovery_make(tdsa_buf *out, const mpc_recovery_making *m,
                                     const tdsa_rng *rng, tdsa_err *err);
tdsa_status __wrap_mpc_recovery_make(tdsa_buf *out, const mpc_recovery_making *m,
                                     const tdsa_rng *rng, tdsa_err *err);
/* NOLINTEND */

tdsa_status __wrap_mpc_recovery_make(tdsa_buf *out, const mpc_recovery_making *m,
                                     const tdsa_rng *rng, tdsa_err *err)
{
    const tdsa_status st = __real_mpc_recovery_make(out, m, rng, err);

    if (st == TDSA_OK && m->index == __atomic_load_n(&liar, __ATOMIC_RELAXED)) {
        out->data[out->len - 1] ^= 1u; /* of a ciphertext that is kept */
    }
    return st;
}

static tdsa_status record(void *ctx, const tdsa_audit_event *e, tdsa_err *err)
{
    (void)ctx;
    if (strcmp(e->event, "key.recovery-info") != 0) {
        return TDSA_OK;
    }
    (void)__atomic_add_fetch(&records, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&log_full, __ATOMIC_RELAXED)
               ? TDSA_FAIL(err, TDSA_E_STORE, "the log is full")
               : TDSA_OK;
}

static void with_one(part_engine_cfg *cfg)
{
    cfg->ers = both;
    cfg->ers_count = 1;
    cfg->audit = (tdsa_audit){record, NULL};
}

static void with_both(part_engine_cfg *cfg)
{
    with_one(cfg);
    cfg->ers_count = 2;
}

/* One participant has a certificate less. */
static void differently(part_engine_cfg *cfg)
{
    with_both(cfg);
    cfg->ers_count = cfg->roster.me == 2 ? 1 : 2;
}

static void with_none_at_2(part_engine_cfg *cfg)
{
    with_one(cfg);
    cfg->ers_count = cfg->roster.me == 2 ? 0 : 1;
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

static void new_key(part_engine *e, grp_curve curve, char *key_id)
{
    const part_key_spec spec = {.curve = curve,
                                .policy = part_policy_default(curve, mpc_scheme_default(curve)),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    if (part_engine_register(e, &spec, 0, key_id, &err) != TDSA_OK ||
        part_engine_generate(e, key_id, 0, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static tdsa_status ask(part_engine *e, const char *key_id, bool local, part_recovery_package *out,
                       tdsa_err *err)
{
    const part_recovery_request req = {
        .key_id = key_id, .aux = (const uint8_t *)"vault 7", .aux_len = 7, .local = local};

    return part_engine_recovery(e, &req, 0, out, err);
}

/* The infos of a package under one certificate make the key that it names. */
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
    for (size_t i = 0; i < pkg->count; i++) {
        const part_recovery_info *one = &pkg->infos[i];

        if (memcmp(one->certificate, tdsa_rsa_cert_facts(kit.cert)->sha256, 32) == 0) {
            assert_int_equal(
                mpc_recovery_decode(&infos[asked.count], g, one->bytes.data, one->bytes.len, &err),
                TDSA_OK);
            assert_int_equal(infos[asked.count].index, one->participant);
            asked.count++;
        }
    }
    assert_int_equal(asked.count, participants);
    assert_int_equal(mpc_recovery_verify_package_vartime(infos, asked.count, g, kit.cert, &err),
                     TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, pkg->public_key, pkg->public_key_len, &err), TDSA_OK);
    asked.g = g;
    asked.y = &y;
    assert_int_equal(mpc_recovery_recover(&out, verdicts, &asked, &opener, &err), TDSA_OK);
    assert_true(out.has_cc);
    assert_int_equal(infos[0].context.epoch, pkg->epoch);
    assert_memory_equal(infos[0].context.aux, "vault 7", 7);
    mpc_recovered_clear(&out);
    grp_close(g);
}

static void servers_give_a_package_that_recovers_in_every_epoch(void **state)
{
    const part_reshare_spec refresh = {.member_count = 0};
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_both);
    new_key(c.node[0].engine, GRP_P256, key_id);
    __atomic_store_n(&records, 0, __ATOMIC_SEQ_CST);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        assert_int_equal(ask(c.node[epoch + 1].engine, key_id, false, &pkg, &err), TDSA_OK);
        assert_int_equal(pkg.epoch, epoch);
        assert_int_equal(pkg.count, 6); /* three participants, two certificates */
        recovers(&pkg, GRP_P256, 3);
        part_recovery_package_clear(&pkg);
        assert_int_equal(__atomic_load_n(&records, __ATOMIC_SEQ_CST),
                         3 * (epoch + 1)); /* one at each */
        assert_int_equal(part_engine_reshare(c.node[0].engine, key_id, &refresh, 0, &err), TDSA_OK);
    }
    cluster_stop(&c);
}

static void a_client_collects_and_servers_give_their_own_only(void **state)
{
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, true, with_one);
    new_key(c.node[0].engine, GRP_ED25519, key_id);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_OK);
    recovers(&pkg, GRP_ED25519, 3);
    part_recovery_package_clear(&pkg);
    assert_int_equal(ask(c.node[1].engine, key_id, false, &pkg, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "CLIENT_PARTICIPATES"));
    cluster_stop_node(&c, 2); /* its own needs nobody */
    assert_int_equal(ask(c.node[1].engine, key_id, true, &pkg, &err), TDSA_OK);
    assert_int_equal(pkg.count, 1);
    assert_int_equal(pkg.infos[0].participant, 1);
    part_recovery_package_clear(&pkg);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_E_UNAVAILABLE);
    assert_int_equal(err.participant, 2);
    cluster_stop(&c);
}

static void a_participant_that_was_started_again_is_asked_in_another_session(void **state)
{
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_SECP256K1, key_id);
    for (uint16_t i = 0; i < 2; i++) {
        assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_OK);
        recovers(&pkg, GRP_SECP256K1, 3);
        part_recovery_package_clear(&pkg);
        cluster_stop_node(&c, 1 + i);
        cluster_start_node(&c, 1 + i);
    }
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_OK);
    part_recovery_package_clear(&pkg);
    cluster_stop(&c);
}

static void a_participant_that_sends_a_bad_info_is_named(void **state)
{
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, key_id);
    __atomic_store_n(&liar, 2, __ATOMIC_RELAXED);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 2);
    assert_non_null(strstr(err.text, "the proof is wrong"));
    assert_int_equal(pkg.count, 0);
    __atomic_store_n(&liar, -1, __ATOMIC_RELAXED);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_OK);
    part_recovery_package_clear(&pkg);
    cluster_stop(&c);
}

static void participants_with_other_certificates_are_named(void **state)
{
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, differently);
    new_key(c.node[0].engine, GRP_P256, key_id);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_E_CONFLICT);
    assert_int_equal(err.participant, 2);
    assert_non_null(strstr(err.text, "CERTIFICATES_DIFFER"));
    assert_int_equal(ask(c.node[2].engine, key_id, false, &pkg, &err), TDSA_E_CONFLICT);
    assert_in_range(err.participant, 0, 1);
    cluster_stop(&c);
    cluster_start_as(&c, 3, 1, false, with_none_at_2);
    new_key(c.node[0].engine, GRP_P256, key_id);
    assert_int_equal(ask(c.node[0].engine, key_id, false, &pkg, &err), TDSA_E_CONFLICT);
    assert_int_equal(err.participant, 2);
    assert_non_null(strstr(err.text, "NO_CERTIFICATE"));
    assert_int_equal(ask(c.node[2].engine, key_id, true, &pkg, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "NO_CERTIFICATE"));
    cluster_stop(&c);
}

static void what_cannot_be_recorded_is_not_made(void **state)
{
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, key_id);
    __atomic_store_n(&log_full, true, __ATOMIC_RELAXED);
    assert_int_equal(ask(c.node[0].engine, key_id, true, &pkg, &err), TDSA_E_STORE);
    assert_int_equal(pkg.count, 0);
    __atomic_store_n(&log_full, false, __ATOMIC_RELAXED);
    cluster_stop(&c);
}

static void wrong_requests_are_refused(void **state)
{
    static const uint8_t aux[MPC_RECOVERY_AUX_MAX + 1];
    part_recovery_request req = {.aux = aux, .aux_len = sizeof aux};
    part_recovery_package pkg;
    char key_id[KS_KEY_ID_MAX + 1];
    cluster c;
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, false, with_one);
    new_key(c.node[0].engine, GRP_P256, key_id);
    req.key_id = key_id;
    assert_int_equal(part_engine_recovery(c.node[0].engine, &req, 0, &pkg, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(ask(c.node[0].engine, "nothing", false, &pkg, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(ask(c.node[0].engine, "", true, &pkg, &err), TDSA_E_NOT_FOUND);
    cluster_stop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_give_a_package_that_recovers_in_every_epoch),
        cmocka_unit_test(a_client_collects_and_servers_give_their_own_only),
        cmocka_unit_test(a_participant_that_was_started_again_is_asked_in_another_session),
        cmocka_unit_test(a_participant_that_sends_a_bad_info_is_named),
        cmocka_unit_test(participants_with_other_certificates_are_named),
        cmocka_unit_test(what_cannot_be_recorded_is_not_made),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
