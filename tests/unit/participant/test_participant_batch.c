#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/batch_fixture.h"

/* Many signatures at once: what one request suffers the others do not. */

/* ---- what it is for ---- */

static void a_batch_takes_one_exchange_and_few_commits(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint64_t exchanges = 0;
    uint64_t coordinator = 0;
    uint64_t member = 0;
    tdsa_err err;

    (void)state;
    presign(f, 256);
    assert_int_equal(run(f, 1, &err), TDSA_OK); /* opens the session */
    exchanges = sim_part(f->s, 0)->next_exchange;
    coordinator = commits(f, 0);
    member = commits(f, 1);
    f->digest[0][5] = 99;
    assert_int_equal(run(f, 200, &err), TDSA_OK);
    check_all(f);
    assert_int_equal(sim_part(f->s, 0)->next_exchange - exchanges, 2); /* one for each member */
    assert_true(commits(f, 0) - coordinator <= 5);
    assert_true(commits(f, 1) - member <= 5);
    tear_down(f);
}

static void missing_stock_is_made_first(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    presign(f, 3);
    assert_int_equal(run(f, 70, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void the_limit_of_the_key_holds_in_a_batch(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .limit = 8});
    part_stock_info info;
    tdsa_err err;

    (void)state;
    assert_int_equal(run(f, 20, &err), TDSA_OK); /* 8 at a time */
    check_all(f);
    assert_int_equal(part_stock_describe(sim_part(f->s, 0), f->key_id, &info, &err), TDSA_OK);
    assert_true(info.total.available + info.total.leased <= 8);
    assert_int_equal(part_set_limit(sim_part(f->s, 0), f->key_id, 0, &err), TDSA_OK);
    f->digest[0][5] = 99;
    assert_int_equal(part_purge(sim_part(f->s, 0), f->key_id, &(uint64_t){0}, &err), TDSA_OK);
    assert_int_equal(run(f, 2, &err), TDSA_E_LIMIT);
    assert_int_equal(f->out[0].err.status, TDSA_E_LIMIT);
    assert_int_equal(f->out[1].err.status, TDSA_E_LIMIT);
    tear_down(f);
}

static void prepare_mode_takes_one_exchange_more(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .prepare = true});
    uint64_t exchanges = 0;
    tdsa_err err;

    (void)state;
    presign(f, 100);
    assert_int_equal(run(f, 1, &err), TDSA_OK);
    exchanges = sim_part(f->s, 0)->next_exchange;
    f->digest[0][5] = 99;
    assert_int_equal(run(f, 80, &err), TDSA_OK);
    check_all(f);
    assert_int_equal(sim_part(f->s, 0)->next_exchange - exchanges, 4);
    tear_down(f);
}

static void each_request_has_its_own_path_and_options(void **state)
{
    static const uint32_t path[] = {44, 0, 7};
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    f->req[1].path = path;
    f->req[1].path_len = 3;
    f->req[2].low_s = true;
    f->req[3].path = path;
    f->req[3].path_len = 1;
    assert_int_equal(run(f, 4, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

/* ---- what is refused ---- */

static void a_bad_request_does_not_fail_the_others(void **state)
{
    static const uint32_t path[MPC_PATH_MAX + 1] = {0};
    static const uint32_t hardened[] = {1u << 31};
    fixture *f = set_up(&(wish){.n = 3});
    static const uint8_t zero[32] = {0};
    tdsa_err err;

    (void)state;
    f->req[0].digest_alg = TDSA_HASH_SHA1; /* not of the policy */
    f->req[1].payload_len = 31;
    f->req[3].path = path;
    f->req[3].path_len = MPC_PATH_MAX + 1;
    f->req[4].payload = zero; /* h = 0: found when its presignature is known */
    f->req[5].path = hardened;
    f->req[5].path_len = 1;
    assert_int_equal(run(f, 7, &err), TDSA_OK);
    assert_int_equal(f->out[0].err.status, TDSA_E_DENIED);
    assert_int_equal(f->out[1].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[3].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[4].err.status, TDSA_E_BAD_INPUT);
    assert_int_not_equal(f->out[5].err.status, TDSA_OK);
    check_item(f, 2);
    check_item(f, 6);
    tear_down(f);
}

static void a_batch_of_bad_requests_ends_at_once(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_err err;

    (void)state;
    f->req[0].payload_len = 1;
    f->req[1].payload_len = 2;
    op = begin(f, 2, &err);
    assert_int_not_equal(op, PART_OP_NONE);
    assert_true(part_op_poll(sim_part(f->s, 0), op, &none, &err));
    assert_int_equal(f->out[0].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[1].err.status, TDSA_E_BAD_INPUT);
    tear_down(f);
}

static void a_batch_that_is_too_large_is_refused_with_the_numbers(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint8_t *long_one = calloc(1, MPC_MESSAGE_MAX);
    part_sign_request *many = calloc(PART_BATCH_ITEMS_MAX + 1, sizeof *many);
    tdsa_err err;

    (void)state;
    assert_non_null(long_one);
    assert_non_null(many);
    assert_int_equal(begin(f, 0, &err), PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    for (size_t i = 0; i <= PART_BATCH_ITEMS_MAX; i++) {
        many[i] = (part_sign_request){.payload = long_one, .payload_len = MPC_MESSAGE_MAX};
    }
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), f->key_id, many,
                                           PART_BATCH_ITEMS_MAX + 1, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "1001"));
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), f->key_id, many, 33, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "2162688")); /* 33 * 65536 */
    assert_non_null(strstr(err.text, "2097152"));
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), "nobody", f->req, 1, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_NOT_FOUND);
    free(long_one);
    free(many);
    tear_down(f);
}

static void only_so_many_batches_are_signed_at_a_time(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint64_t op[32] = {0};
    unsigned begun = 0;
    part_result none;
    tdsa_err err;

    (void)state;
    f->count = 1;
    while (begun < 32 && (op[begun] = begin(f, 1, &err)) != PART_OP_NONE) {
        begun++;
    }
    assert_int_equal(begun, 16);
    assert_int_equal(err.status, TDSA_E_BUSY);
    for (unsigned i = 0; i < begun; i++) {
        assert_int_equal(sim_finish(f->s, 0, op[i], &none, &err), TDSA_OK);
    }
    assert_int_not_equal(op[0] = begin(f, 1, &err), PART_OP_NONE);
    part_op_cancel(sim_part(f->s, 0), op[0], &(tdsa_err){.status = TDSA_E_BUSY, .text = "stop"});
    assert_int_equal(f->out[0].err.status, TDSA_E_BUSY);
    tear_down(f);
}

static void the_rate_counts_each_request(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .rate = 5});
    unsigned signatures = 0;
    tdsa_err err;

    (void)state;
    presign(f, 16);
    assert_int_equal(run(f, 8, &err), TDSA_OK);
    for (size_t i = 0; i < 8; i++) {
        if (f->out[i].err.status == TDSA_OK) {
            check_item(f, i);
            signatures++;
        } else {
            assert_true(part_is_rate_limited(&f->out[i].err));
        }
    }
    assert_int_equal(signatures, 5);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_takes_one_exchange_and_few_commits),
        cmocka_unit_test(missing_stock_is_made_first),
        cmocka_unit_test(the_limit_of_the_key_holds_in_a_batch),
        cmocka_unit_test(prepare_mode_takes_one_exchange_more),
        cmocka_unit_test(each_request_has_its_own_path_and_options),
        cmocka_unit_test(a_bad_request_does_not_fail_the_others),
        cmocka_unit_test(a_batch_of_bad_requests_ends_at_once),
        cmocka_unit_test(a_batch_that_is_too_large_is_refused_with_the_numbers),
        cmocka_unit_test(only_so_many_batches_are_signed_at_a_time),
        cmocka_unit_test(the_rate_counts_each_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
