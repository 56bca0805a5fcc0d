#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* A deletion that was cut off is finished by asking again. */

static tdsa_status delete_key(sim *s, const char *key_id, tdsa_err *err)
{
    part_result none;

    return sim_finish(s, 0, part_start_delete(sim_part(s, 0), key_id, 2000, err), &none, err);
}

static bool is_deleted(sim *s, uint16_t index, const char *key_id)
{
    part_key_info info;
    tdsa_err err;

    return part_key_describe(sim_part(s, index), key_id, &info, &err) == TDSA_E_NOT_FOUND &&
           strstr(err.text, "deleted") != NULL;
}

static void a_deletion_that_was_cut_off_is_finished_by_asking_again(void **state)
{
    const sim_cfg cfg = {.seed = 51, .n = 3, .t = 1, .delay_max_ms = 1};
    const uint8_t digest[32] = {1};
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;
    sim *s = sim_new(&cfg);

    (void)state;
    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    sim_crash(s, 2);
    assert_int_not_equal(delete_key(s, key_id, &err), TDSA_OK);
    assert_int_equal(err.participant, 2);
    assert_false(is_deleted(s, 0, key_id)); /* whoever asked still knows what to ask for */
    assert_true(is_deleted(s, 1, key_id));
    sim_start(s, 2);
    assert_false(is_deleted(s, 2, key_id));
    assert_int_not_equal(sim_sign(s, 0, key_id, digest, &sig, &err), TDSA_OK);
    sim_must(s, delete_key(s, key_id, &err), "delete again", &err);
    for (uint16_t i = 0; i < 3; i++) {
        assert_true(is_deleted(s, i, key_id));
    }
    assert_int_equal(delete_key(s, key_id, &err), TDSA_E_NOT_FOUND);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deletion_that_was_cut_off_is_finished_by_asking_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
