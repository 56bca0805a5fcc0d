#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/batch_fixture.h"

/* A key that has signed often gets a table of its public key: the same signatures come out, and the same
 * lies are found. */

#define OFTEN 1000u

static tdsa_status sign(fixture *f, uint8_t tag)
{
    part_result result;
    tdsa_err err;
    uint64_t op = PART_OP_NONE;

    memset(f->digest[0], tag, sizeof f->digest[0]);
    f->req[0].key_id = f->key_id;
    op = part_start_sign(sim_part(f->s, 0), &f->req[0], 0, &err);
    assert_int_not_equal(op, PART_OP_NONE);
    if (sim_finish(f->s, 0, op, &result, &err) == TDSA_OK) {
        sim_check_signature_at(f->s, 0, &f->req[0], &result.sign);
    }
    return err.status;
}

static part_key *key_of(const fixture *f)
{
    part_key *k = part_key_in_memory(sim_part(f->s, 0), f->key_id);

    assert_non_null(k);
    return k;
}

static void make_table(const fixture *f)
{
    part *p = sim_part(f->s, 0);
    part_table_work w;

    key_of(f)->proved = OFTEN;
    assert_true(part_take_table(p, f->key_id, &w));
    part_make_table(&w);
    part_give_table(p, &w);
    assert_non_null(key_of(f)->table);
}

static void the_first_signatures_need_no_table(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_table_work w;

    (void)state;
    assert_false(part_take_table(sim_part(f->s, 0), f->key_id, &w)); /* not in memory yet */
    presign(f, 20);
    assert_int_equal(sign(f, 1), TDSA_OK);
    assert_int_equal(key_of(f)->proved, 1);
    assert_false(part_take_table(sim_part(f->s, 0), f->key_id, &w));
    key_of(f)->proved = OFTEN - 1;
    assert_false(part_take_table(sim_part(f->s, 0), f->key_id, &w));
    tear_down(f);
}

static void signatures_are_verified_with_a_table_too(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_table_work w;

    (void)state;
    presign(f, 20);
    assert_int_equal(sign(f, 1), TDSA_OK);
    make_table(f);
    assert_false(part_take_table(sim_part(f->s, 0), f->key_id, &w)); /* one is enough */
    for (uint8_t i = 2; i < 12; i++) {
        assert_int_equal(sign(f, i), TDSA_OK);
    }
    tear_down(f);
}

static void a_lie_is_found_with_a_table_too(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .lie_permille = 500});
    unsigned refused = 0;

    (void)state;
    presign(f, 60);
    assert_int_equal(sign(f, 1), TDSA_OK);
    make_table(f);
    f->s->liars = 1u << 1;
    for (uint8_t i = 2; i < 42; i++) {
        const tdsa_status st = sign(f, i);

        assert_true(st == TDSA_OK || st == TDSA_E_VERIFY || st == TDSA_E_PROTOCOL);
        refused += st == TDSA_E_VERIFY ? 1 : 0;
    }
    f->s->liars = 0;
    assert_in_range(refused, 1, 39);
    tear_down(f);
}

static void tables_are_counted(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part *p = sim_part(f->s, 0);
    part_table_work w;

    (void)state;
    presign(f, 20);
    assert_int_equal(sign(f, 1), TDSA_OK);
    p->table_count = PART_TABLES_MAX;
    key_of(f)->proved = OFTEN;
    assert_false(part_take_table(p, f->key_id, &w));
    p->table_count = 0;
    make_table(f);
    assert_int_equal(p->table_count, 1);
    part_cache_trim(p, true);
    assert_null(part_key_in_memory(p, f->key_id));
    assert_int_equal(p->table_count, 0);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signatures_need_no_table),
        cmocka_unit_test(signatures_are_verified_with_a_table_too),
        cmocka_unit_test(a_lie_is_found_with_a_table_too),
        cmocka_unit_test(tables_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
