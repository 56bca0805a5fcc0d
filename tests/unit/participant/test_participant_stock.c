#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster.h"

/* Presignatures counted, listed, limited and deleted. */

#define OK(call)                      \
    do {                              \
        if ((call) != TDSA_OK) {      \
            fail_msg("%s", err.text); \
        }                             \
    } while (0)

static void new_key(part_engine *e, const char *wanted, char *key_id)
{
    const part_key_spec spec = {.key_id = wanted,
                                .curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    OK(part_engine_register(e, &spec, 0, key_id, &err));
    OK(part_engine_generate(e, key_id, 0, &err));
}

static tdsa_status sign(part_engine *e, const char *key_id, tdsa_err *err)
{
    const uint8_t digest[32] = {1};
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
    part_sign_result out;

    return part_engine_sign(e, &req, 0, &out, err);
}

static part_stock_info stock(part_engine *e, const char *key_id)
{
    part_stock_info info;
    tdsa_err err;

    OK(part_engine_stock(e, key_id, &info, &err));
    assert_true(info.total.available == 0 || info.committee_count > 0);
    return info;
}

static uint64_t available(part_engine *e, const char *key_id)
{
    uint64_t n = 0;
    tdsa_err err;

    OK(part_engine_available(e, key_id, &n, &err));
    return n;
}

typedef struct {
    part_presig_range range[8];
    size_t count;
} ranges;

static bool note(void *ctx, const part_presig_range *r)
{
    ranges *all = ctx;

    all->range[all->count++] = *r;
    return all->count < 8;
}

static ranges list(part_engine *e, const char *key_id)
{
    ranges all = {.count = 0};
    tdsa_err err;

    OK(part_engine_presignatures(e, key_id, note, &all, &err));
    return all;
}

/* ---- counting ---- */

static void what_is_available_leased_and_used_adds_up(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_stock_info info;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    info = stock(c.node[0].engine, key_id);
    assert_int_equal(info.committee_count, 0);
    assert_int_equal(info.limit, -1);
    OK(part_engine_presign(c.node[0].engine, key_id, 100, 0, &err));
    for (unsigned i = 0; i < 6; i++) { /* ranges of 1, 2 and 4 */
        OK(sign(c.node[0].engine, key_id, &err));
    }
    info = stock(c.node[0].engine, key_id);
    assert_int_equal(info.total.available, 93);
    assert_int_equal(info.total.leased, 1);
    assert_int_equal(info.total.used, 6);
    assert_int_equal(info.committee_count, 1);
    assert_int_equal(info.committee[0].members, 7);
    assert_int_equal(info.committee[0].available, 93);
    assert_int_equal(available(c.node[0].engine, key_id), 94);
    assert_int_equal(part_engine_stock(c.node[0].engine, "none", &info, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(part_engine_stock(c.node[0].engine, "n!", &info, &err), TDSA_E_NOT_FOUND);
    cluster_stop(&c);
}

static void a_server_counts_what_it_may_combine(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, false);
    new_key(c.node[0].engine, "", key_id);
    OK(part_engine_presign(c.node[0].engine, key_id, 10, 0, &err));
    OK(part_engine_presign(c.node[2].engine, key_id, 3, 0, &err));
    assert_int_equal(available(c.node[0].engine, key_id), 10);
    assert_int_equal(available(c.node[1].engine, key_id), 0);
    assert_int_equal(stock(c.node[2].engine, key_id).total.available, 3);
    assert_int_equal(list(c.node[1].engine, key_id).count, 0);
    /* A restart does not lose it. */
    cluster_stop_node(&c, 2);
    cluster_start_node(&c, 2);
    OK(sign(c.node[2].engine, key_id, &err));
    assert_int_equal(available(c.node[2].engine, key_id), 2);
    cluster_stop(&c);
}

static void the_list_names_each_presignature(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    char text[PART_PRESIG_ID_MAX];
    part_presig_id id;
    part_presig_id back;
    ranges all;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    OK(part_engine_presign(c.node[0].engine, key_id, 10, 0, &err));
    OK(part_engine_presign(c.node[0].engine, key_id, 5, 0, &err));
    all = list(c.node[0].engine, key_id);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.range[0].first.index, 0);
    assert_int_equal(all.range[0].to, 10);
    assert_int_equal(all.range[1].to, 5);
    assert_int_equal(all.range[1].members, 7);
    id = all.range[0].first;
    id.index = 7;
    part_presig_id_put(text, &id);
    assert_true(part_presig_id_parse(&back, text));
    assert_memory_equal(back.beta, id.beta, sizeof id.beta);
    assert_int_equal(back.index, 7);
    OK(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err));
    all = list(c.node[0].engine, key_id);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.range[0].to, 7);
    assert_int_equal(all.range[1].first.index, 8);
    cluster_stop(&c);
}

static void only_names_of_presignatures_are_parsed(void **state)
{
#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    static const char *const bad[] = {"",          "-1",         HEX,       HEX "-",      HEX "-01",
                                      HEX "-1024", HEX "-99999", HEX "- 1", HEX "-1 ",    HEX "-1x",
                                      HEX "--1",   HEX "0-1",    HEX "_1",  "0g" HEX "-1"};
    part_presig_id id;
    char odd[] = HEX "-1";

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (part_presig_id_parse(&id, bad[i])) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    odd[5] = 'A';
    assert_false(part_presig_id_parse(&id, odd));
    assert_true(part_presig_id_parse(&id, HEX "-0"));
    assert_int_equal(id.index, 0);
    assert_true(part_presig_id_parse(&id, HEX "-1023"));
    assert_int_equal(id.index, 1023);
    assert_int_equal(id.beta[31], 31);
}

/* ---- deleting ---- */

static void a_deleted_presignature_is_passed_over(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_presig_id id;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    OK(part_engine_presign(c.node[0].engine, key_id, 6, 0, &err));
    id = list(c.node[0].engine, key_id).range[0].first;
    id.index = 2;
    OK(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err)); /* free */
    assert_int_equal(available(c.node[0].engine, key_id), 5);
    assert_int_equal(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err),
                     TDSA_E_CONFLICT);
    OK(sign(c.node[0].engine, key_id, &err)); /* 0 */
    OK(sign(c.node[0].engine, key_id, &err)); /* 1, of a range 1..2 */
    OK(sign(c.node[0].engine, key_id, &err)); /* 3, of a range 3..5 */
    id.index = 4;
    OK(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err)); /* in the lease */
    id.index = 3;
    assert_int_equal(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err),
                     TDSA_E_CONFLICT);
    OK(sign(c.node[0].engine, key_id, &err)); /* 5 */
    assert_int_equal(available(c.node[0].engine, key_id), 0);
    id.index = 6;
    assert_int_equal(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err),
                     TDSA_E_NOT_FOUND);
    id.index = 0;
    id.beta[0] ^= 1;
    assert_int_equal(part_engine_delete_presignature(c.node[0].engine, key_id, &id, &err),
                     TDSA_E_NOT_FOUND);
    assert_int_equal(part_engine_delete_presignature(c.node[0].engine, "none", &id, &err),
                     TDSA_E_NOT_FOUND);
    cluster_stop(&c);
}

static void a_member_can_withdraw_a_presignature(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_presig_id id;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    OK(part_engine_presign(c.node[0].engine, key_id, 4, 0, &err));
    id = list(c.node[0].engine, key_id).range[0].first;
    OK(part_engine_delete_presignature(c.node[1].engine, key_id, &id, &err));
    OK(sign(c.node[0].engine, key_id, &err)); /* with the next one */
    assert_int_equal(stock(c.node[0].engine, key_id).total.used, 2);
    cluster_stop(&c);
}

static void everything_can_be_deleted_at_once(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    char wanted[KS_KEY_ID_MAX + 1];
    uint64_t dropped = 0;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(wanted, sizeof wanted, "key-%u", i);
        new_key(c.node[0].engine, wanted, key_id);
        OK(part_engine_presign(c.node[0].engine, key_id, 4, 0, &err));
    }
    OK(sign(c.node[0].engine, "key-1", &err));
    OK(part_engine_purge_all(c.node[0].engine, &dropped, &err));
    assert_int_equal(dropped, 11);
    assert_int_equal(available(c.node[0].engine, "key-0"), 0);
    OK(part_engine_purge_all(c.node[0].engine, &dropped, &err));
    assert_int_equal(dropped, 0);
    OK(sign(c.node[0].engine, "key-1", &err)); /* with a new batch */
    cluster_stop(&c);
}

/* ---- limits ---- */

static void caps(part_engine_cfg *cfg)
{
    cfg->presign_request_max = 10;
    cfg->presign_global_max = 15;
}

static void a_limit_can_be_changed(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    OK(part_engine_set_limit(c.node[0].engine, key_id, 5, &err));
    assert_int_equal(part_engine_presign(c.node[0].engine, key_id, 6, 0, &err), TDSA_E_LIMIT);
    assert_int_equal(available(c.node[0].engine, key_id), 0);
    OK(part_engine_presign(c.node[0].engine, key_id, 5, 0, &err));
    OK(part_engine_set_limit(c.node[0].engine, key_id, 2, &err));
    assert_int_equal(available(c.node[0].engine, key_id), 5); /* what is there stays */
    OK(part_engine_set_limit(c.node[0].engine, key_id, -1, &err));
    OK(part_engine_presign(c.node[0].engine, key_id, 20, 0, &err));
    assert_int_equal(stock(c.node[0].engine, key_id).limit, -1);
    OK(part_engine_set_limit(c.node[0].engine, key_id, 0, &err));
    for (unsigned i = 0; i < 25; i++) {
        OK(sign(c.node[0].engine, key_id, &err));
    }
    assert_int_equal(sign(c.node[0].engine, key_id, &err), TDSA_E_LIMIT);
    assert_int_equal(part_engine_set_limit(c.node[0].engine, key_id, -2, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(part_engine_set_limit(c.node[0].engine, "none", 1, &err), TDSA_E_NOT_FOUND);
    cluster_stop(&c);
}

static void requests_and_the_whole_stock_are_capped(void **state)
{
    cluster c;
    char one[KS_KEY_ID_MAX + 1];
    char two[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 3, 1, true, caps);
    new_key(c.node[0].engine, "", one);
    new_key(c.node[0].engine, "", two);
    assert_int_equal(part_engine_presign(c.node[0].engine, one, 11, 0, &err), TDSA_E_LIMIT);
    OK(part_engine_presign(c.node[0].engine, one, 10, 0, &err));
    assert_int_equal(part_engine_presign(c.node[0].engine, two, 6, 0, &err), TDSA_E_LIMIT);
    OK(part_engine_presign(c.node[0].engine, two, 5, 0, &err));
    OK(sign(c.node[0].engine, one, &err));
    OK(part_engine_presign(c.node[0].engine, two, 1, 0, &err)); /* one was used */
    cluster_stop(&c);
}

/* ---- what an earlier start left ---- */

static void leave_made(ks *store, const char *key_id, uint8_t tag, uint64_t seq)
{
    ks_batch b = {.state = KS_BATCH_MADE, .lane = 1, .seq = seq, .count = 4, .members = 7};
    tdsa_err err;

    memset(b.beta, tag, sizeof b.beta);
    (void)snprintf(b.key_id, sizeof b.key_id, "%s", key_id);
    OK(ks_batch_insert(store, &b, &err));
}

static ks_batch_state state_of(ks *store, uint8_t tag)
{
    uint8_t beta[KS_BETA_LEN];
    ks_batch *b = NULL;
    ks_batch_state state;
    tdsa_err err;

    memset(beta, tag, sizeof beta);
    OK(ks_batch_get(store, beta, &b, &err));
    state = b->state;
    ks_batch_free(b);
    return state;
}

static void a_client_voids_what_nobody_can_be_making_any_more(void **state)
{
    const tdsa_clock clock = tdsa_os_clock();
    const uint64_t now = clock.wall_ms(clock.ctx);
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, "", key_id);
    leave_made(c.node[0].store, key_id, 1, now - 3600000);
    leave_made(c.node[0].store, key_id, 2, now); /* another process may be at it */
    leave_made(c.node[1].store, key_id, 3, now);
    cluster_stop_node(&c, 0);
    cluster_start_node(&c, 0);
    cluster_stop_node(&c, 1);
    cluster_start_node(&c, 1);
    assert_int_equal(state_of(c.node[0].store, 1), KS_BATCH_VOID);
    assert_int_equal(state_of(c.node[0].store, 2), KS_BATCH_MADE);
    assert_int_equal(state_of(c.node[1].store, 3), KS_BATCH_VOID); /* a server voids all */
    cluster_stop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_available_leased_and_used_adds_up),
        cmocka_unit_test(a_server_counts_what_it_may_combine),
        cmocka_unit_test(the_list_names_each_presignature),
        cmocka_unit_test(only_names_of_presignatures_are_parsed),
        cmocka_unit_test(a_deleted_presignature_is_passed_over),
        cmocka_unit_test(a_member_can_withdraw_a_presignature),
        cmocka_unit_test(everything_can_be_deleted_at_once),
        cmocka_unit_test(a_limit_can_be_changed),
        cmocka_unit_test(requests_and_the_whole_stock_are_capped),
        cmocka_unit_test(a_client_voids_what_nobody_can_be_making_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
