#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/cluster.h"

/* Groups with more participants than a committee has members, over real HTTP. */

#define HANG_S 60u

static int set_up(void **state)
{
    (void)state;
    (void)alarm(HANG_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)alarm(0);
    return 0;
}

static void new_key(part_engine *e, char *key_id)
{
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    if (part_engine_register(e, &spec, 0, key_id, &err) != TDSA_OK ||
        part_engine_generate(e, key_id, 0, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static tdsa_status sign(part_engine *e, const char *key_id, uint8_t tag, tdsa_err *err)
{
    uint8_t digest[32] = {1, tag};
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
    part_sign_result out;

    return part_engine_sign(e, &req, 0, &out, err);
}

static void signs(part_engine *e, const char *key_id, unsigned count)
{
    tdsa_err err;

    for (unsigned i = 0; i < count; i++) {
        if (sign(e, key_id, (uint8_t)i, &err) != TDSA_OK) {
            fail_msg("signature %u: %s", i, err.text);
        }
    }
}

static part_stock_info stock(part_engine *e, const char *key_id)
{
    part_stock_info info;
    tdsa_err err;

    assert_int_equal(part_engine_stock(e, key_id, &info, &err), TDSA_OK);
    return info;
}

/* What the committee of exactly these participants has; zeros when it has nothing. */
static part_stock_count of(part_engine *e, const char *key_id, uint32_t members)
{
    const part_stock_info info = stock(e, key_id);

    for (size_t i = 0; i < info.committee_count; i++) {
        if (info.committee[i].members == members) {
            return info.committee[i];
        }
    }
    return (part_stock_count){.members = members};
}

static void every_size_signs(void **state)
{
    static const struct {
        uint16_t n, t;
        uint32_t committee; /* of participant 1 */
    } sizes[] = {{3, 1, 0x7}, {4, 1, 0x7}, {5, 1, 0x7}, {5, 2, 0x1f}, {7, 3, 0x7f}, {9, 4, 0x1ff}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cluster c;
        char key_id[KS_KEY_ID_MAX + 1];
        part_stock_info info;

        cluster_start(&c, sizes[i].n, sizes[i].t, false);
        new_key(c.node[1].engine, key_id);
        signs(c.node[1].engine, key_id, 3);
        info = stock(c.node[1].engine, key_id);
        assert_int_equal(info.committee_count, 1);
        assert_int_equal(info.committee[0].members, sizes[i].committee);
        signs(c.node[sizes[i].n - 1].engine, key_id, 2);
        info = stock(c.node[sizes[i].n - 1].engine, key_id);
        assert_int_equal(info.committee_count, 1);
        cluster_stop(&c);
    }
}

static void with_one_down_another_committee_signs(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 4, 1, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 2);
    assert_true(of(c.node[0].engine, key_id, 0x7).available > 0);
    cluster_stop_node(&c, 2);
    signs(c.node[0].engine, key_id, 5);
    assert_true(of(c.node[0].engine, key_id, 0xb).used > 0);
    assert_true(of(c.node[0].engine, key_id, 0x7).available > 0); /* kept for later */
    cluster_stop(&c);
}

static void one_that_is_back_is_used_again(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t before = 0;

    (void)state;
    cluster_start(&c, 4, 1, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 2);
    cluster_stop_node(&c, 1);
    signs(c.node[0].engine, key_id, 2);
    cluster_start_node(&c, 1);
    before = of(c.node[0].engine, key_id, 0x7).available;
    for (unsigned i = 0; i < 400 && of(c.node[0].engine, key_id, 0x7).available == before; i++) {
        signs(c.node[0].engine, key_id, 1);
        (void)usleep(10000);
    }
    assert_true(of(c.node[0].engine, key_id, 0x7).available < before);
    cluster_stop(&c);
}

static void a_frozen_member_is_left_within_the_deadline(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 4, 1, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 2);
    cluster_freeze_node(&c, 2); /* while signing */
    signs(c.node[0].engine, key_id, 3);
    assert_true(of(c.node[0].engine, key_id, 0xb).used > 0);
    cluster_thaw_node(&c, 2);
    signs(c.node[0].engine, key_id, 3);
    cluster_stop(&c);
}

static void a_batch_is_made_without_a_frozen_member(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 5, 1, false);
    new_key(c.node[3].engine, key_id);
    cluster_freeze_node(&c, 0);
    assert_int_equal(part_engine_presign(c.node[3].engine, key_id, 10, 0, &err), TDSA_OK);
    assert_int_equal(of(c.node[3].engine, key_id, 0xe).available, 10);
    signs(c.node[3].engine, key_id, 1);
    cluster_stop(&c);
}

static void two_of_five_may_be_away(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 5, 1, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 1);
    cluster_stop_node(&c, 1);
    cluster_freeze_node(&c, 2);
    signs(c.node[0].engine, key_id, 3);
    assert_true(of(c.node[0].engine, key_id, 0x19).used > 0);
    cluster_stop(&c);
}

static void without_a_spare_participant_nothing_changes(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 5, 2, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 1);
    cluster_stop_node(&c, 3);
    assert_int_equal(sign(c.node[0].engine, key_id, 9, &err), TDSA_E_UNAVAILABLE);
    assert_int_equal(err.participant, 3);
    cluster_start_node(&c, 3);
    signs(c.node[0].engine, key_id, 2);
    cluster_stop(&c);
}

static void a_refusal_is_not_asked_of_another_committee(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 4, 1, true);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 1);
    assert_int_equal(ks_key_delete(c.node[2].store, key_id, true, &err), TDSA_OK);
    cluster_stop_node(&c, 2); /* it forgets what it had in memory */
    cluster_start_node(&c, 2);
    assert_int_equal(sign(c.node[0].engine, key_id, 2, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(err.participant, 2);
    assert_int_equal(stock(c.node[0].engine, key_id).committee_count, 1);
    cluster_stop(&c);
}

static void limit_three(part_engine_cfg *cfg)
{
    cfg->default_presignature_limit = 3;
}

static void stock_that_cannot_be_used_makes_room(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start_as(&c, 4, 1, true, limit_three);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 1);
    assert_int_equal(of(c.node[0].engine, key_id, 0x7).available, 2);
    cluster_stop_node(&c, 1);
    signs(c.node[0].engine, key_id, 2);
    assert_int_equal(of(c.node[0].engine, key_id, 0x7).available, 0);
    assert_true(of(c.node[0].engine, key_id, 0xd).used > 0);
    cluster_stop(&c);
}

/* ---- waiting for each other ---- */

typedef struct {
    pthread_t thread;
    part_engine *engine;
    const char *key_id;
    unsigned failed;
} maker;

static void *make_batches(void *arg)
{
    maker *m = arg;
    tdsa_err err;

    for (unsigned i = 0; i < 6; i++) {
        if (part_engine_presign(m->engine, m->key_id, 8, 0, &err) != TDSA_OK) {
            m->failed++;
            (void)fprintf(stderr, "%s\n", err.text);
        }
    }
    return NULL;
}

/* Each has one communication thread, and all are members of all runs: whoever waited for one run only
 * would keep the others waiting. */
static void all_of_five_coordinate_at_once(void **state)
{
    maker m[10];
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 5, 2, false);
    new_key(c.node[0].engine, key_id);
    for (unsigned i = 0; i < 10; i++) {
        m[i] = (maker){.engine = c.node[i % 5].engine, .key_id = key_id};
        assert_int_equal(pthread_create(&m[i].thread, NULL, make_batches, &m[i]), 0);
    }
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(pthread_join(m[i].thread, NULL), 0);
        assert_int_equal(m[i].failed, 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(stock(c.node[i].engine, key_id).total.available, 96);
    }
    cluster_stop(&c);
}

/* ---- the stock keeper ---- */

static void keep_stock(part_engine_cfg *cfg)
{
    cfg->presign_low = 20;
    cfg->presign_high = 50;
    cfg->presign_batch_min = 1;
    cfg->presign_batch_max = 20;
}

static bool comes_to(part_engine *e, const char *key_id, uint32_t members, uint64_t at_least)
{
    for (unsigned i = 0; i < 200; i++) {
        const part_stock_count n = of(e, key_id, members);
        if (n.available + n.leased >= at_least) {
            return true;
        }
        (void)usleep(50000);
    }
    return false;
}

static void the_keeper_fills_stocks_in_use(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    char other[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    cluster_start_as(&c, 4, 1, false, keep_stock);
    new_key(c.node[0].engine, key_id);
    new_key(c.node[0].engine, other);
    signs(c.node[0].engine, key_id, 1);
    assert_true(comes_to(c.node[0].engine, key_id, 0x7, 50));
    assert_int_equal(stock(c.node[0].engine, other).total.available, 0); /* not in use */
    cluster_stop_node(&c, 1);
    signs(c.node[0].engine, key_id, 2);
    assert_true(comes_to(c.node[0].engine, key_id, 0xd, 50));
    assert_int_equal(part_engine_set_limit(c.node[0].engine, other, 12, &err), TDSA_OK);
    signs(c.node[0].engine, other, 1);
    assert_true(comes_to(c.node[0].engine, other, 0xd, 12));
    assert_true(stock(c.node[0].engine, other).total.available <= 12);
    cluster_stop(&c);
}

static void the_keeper_finds_those_that_are_back(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t before = 0;

    (void)state;
    cluster_start_as(&c, 4, 1, false, keep_stock);
    new_key(c.node[0].engine, key_id);
    signs(c.node[0].engine, key_id, 1);
    assert_true(comes_to(c.node[0].engine, key_id, 0x7, 50));
    cluster_stop_node(&c, 2);
    signs(c.node[0].engine, key_id, 3);
    before = of(c.node[0].engine, key_id, 0x7).available;
    cluster_start_node(&c, 2);
    for (unsigned i = 0; i < 400 && of(c.node[0].engine, key_id, 0x7).available == before; i++) {
        signs(c.node[0].engine, key_id, 1);
        (void)usleep(10000);
    }
    assert_true(of(c.node[0].engine, key_id, 0x7).available < before);
    cluster_stop(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_size_signs),
        TEST(with_one_down_another_committee_signs),
        TEST(one_that_is_back_is_used_again),
        TEST(a_frozen_member_is_left_within_the_deadline),
        TEST(a_batch_is_made_without_a_frozen_member),
        TEST(two_of_five_may_be_away),
        TEST(without_a_spare_participant_nothing_changes),
        TEST(a_refusal_is_not_asked_of_another_committee),
        TEST(stock_that_cannot_be_used_makes_room),
        TEST(all_of_five_coordinate_at_once),
        TEST(the_keeper_fills_stocks_in_use),
        TEST(the_keeper_finds_those_that_are_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
