#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/presign_internal.h"
#include "sim/sim_scenario.h"

/*
 * Mistakes made on purpose (sim_plant.c) are found: most of them by random lives within so many
 * seeds, some in a situation that a dishonest combiner brings about. That the same seeds without a
 * mistake show nothing is what test_sim_random says.
 */

#define REASONS_MAX 3u

/* reasons: what it must be found as, one of them. */
static void found_as(sim_plant plant, uint64_t seeds, const char *const reasons[REASONS_MAX])
{
    const sim_campaign_cfg cfg = {
        .first = 1, .count = seeds, .workers = 2, .plant = plant, .failures_max = 1, .quiet = true};
    sim_campaign_result r;
    bool known = false;

    sim_campaign(&cfg, &r);
    print_message("%s: seed %llu of %llu: %s\n", sim_plant_name(plant),
                  (unsigned long long)r.failed_seed, (unsigned long long)seeds, r.why);
    assert_int_equal(r.failures, 1);
    for (size_t i = 0; i < REASONS_MAX; i++) {
        known = known || (reasons[i] != NULL && strstr(r.why, reasons[i]) != NULL);
    }
    assert_true(known);
}

static void found_within(sim_plant plant, uint64_t seeds, const char *why)
{
    found_as(plant, seeds, (const char *const[REASONS_MAX]){why});
}

static void an_answer_without_a_burn_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_NO_BURN, 20, "before it is burnt");
}

static void a_burn_after_the_answer_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_LATE_BURN, 20, "before it is burnt");
}

static void a_lease_after_its_use_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_LATE_LEASE, 20, "before it is burnt");
}

static void a_database_that_was_put_back_is_found(void **state)
{
    (void)state;
    /* I1; or its signatures fail because members have burnt ahead what is leased again */
    found_as(SIM_PLANT_ROLLED_BACK, 200,
             (const char *const[REASONS_MAX]){"answers two requests", "given for two requests",
                                              "NOT_MY_RANGE"});
}

static void a_repeated_request_that_is_executed_again_is_found(void **state)
{
    (void)state;
    /* of a signature, or of a round of a run, whose second answer is another */
    found_as(SIM_PLANT_TWICE, 200,
             (const char *const[REASONS_MAX]){"executed twice", "honest message is refused"});
}

static void a_presignature_that_failed_and_is_used_again_is_found(void **state)
{
    (void)state;
    /* I4, or I1 when the request that it is used for is another */
    found_as(SIM_PLANT_RETRY, 1000,
             (const char *const[REASONS_MAX]){"a presignature ", "of one presignature"});
}

static void a_combiner_that_does_not_verify_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_NO_VERIFY, 200, "does not verify");
}

static void lists_that_are_not_compared_are_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_ANY_LIST, 400, "different lists");
}

static void the_digest_of_the_list_stops_points_that_do_not_fit(void **state)
{
    const sim_campaign_cfg cfg = {
        .first = 1, .count = 50, .workers = 2, .plant = SIM_PLANT_ANY_POINTS, .failures_max = 1};
    sim_campaign_result r;

    (void)state;
    sim_campaign(&cfg, &r);
    assert_int_equal(r.failures, 0);
}

static void a_key_that_is_active_too_early_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_EARLY_ACTIVE, 20, "I2");
}

static void a_key_that_is_collected_without_asking_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_COLLECT, 1000, "I2");
}

static void a_rollback_that_is_ignored_is_found(void **state)
{
    (void)state;
    found_as(SIM_PLANT_IGNORED, 1000,
             (const char *const[REASONS_MAX]){"I7", "answers two requests"});
}

static void peers_that_are_not_told_of_a_rollback_are_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_UNTOLD, 400, "I7");
}

static void burns_that_are_not_counted_are_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_UNCOUNTED, 20, "I7");
}

static void memory_that_is_kept_is_found(void **state)
{
    (void)state;
    found_within(SIM_PLANT_LEAK, 20, "I5");
}

/* ---- a dishonest combiner ---- */

static void make_key(sim *s, char *key_id)
{
    part_sign_result sig;
    tdsa_err err;
    const uint8_t digest[32] = {1};

    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    sim_must(s, sim_sign(s, 0, key_id, digest, &sig, &err), "sign", &err);
}

/* The combiner's own memory names another committee from now on. */
static void change_committee(sim *s)
{
    for (part_batch *b = sim_part(s, 0)->batches; b != NULL; b = b->next) {
        b->batch->committee[2] = 3;
    }
}

/* In a child: what the simulator finds ends it. */
static bool is_found(sim_plant plant, bool other_committee)
{
    const sim_cfg cfg = {.seed = 1, .n = 4, .t = 1, .with_client = true, .delay_max_ms = 1};
    const uint8_t digest[32] = {2};
    const pid_t child = fork();
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        sim_child_begins();
        sim *s = sim_new(&cfg);
        make_key(s, key_id);
        s->plant = plant;
        s->dishonest = 1u << 0;
        if (other_committee) {
            change_committee(s);
        }
        (void)sim_sign(s, 0, key_id, digest, &sig, &err);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_committee_that_is_not_compared_is_found(void **state)
{
    (void)state;
    assert_false(is_found(SIM_PLANT_NOTHING, true));
    assert_true(is_found(SIM_PLANT_ANY_COMMITTEE, true));
}

static void r_that_comes_from_the_combiner_is_found(void **state)
{
    (void)state;
    assert_false(is_found(SIM_PLANT_NOTHING, false));
    assert_true(is_found(SIM_PLANT_FOREIGN_R, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_without_a_burn_is_found),
        cmocka_unit_test(a_burn_after_the_answer_is_found),
        cmocka_unit_test(a_lease_after_its_use_is_found),
        cmocka_unit_test(a_database_that_was_put_back_is_found),
        cmocka_unit_test(a_repeated_request_that_is_executed_again_is_found),
        cmocka_unit_test(a_presignature_that_failed_and_is_used_again_is_found),
        cmocka_unit_test(a_combiner_that_does_not_verify_is_found),
        cmocka_unit_test(lists_that_are_not_compared_are_found),
        cmocka_unit_test(the_digest_of_the_list_stops_points_that_do_not_fit),
        cmocka_unit_test(a_key_that_is_active_too_early_is_found),
        cmocka_unit_test(a_key_that_is_collected_without_asking_is_found),
        cmocka_unit_test(a_rollback_that_is_ignored_is_found),
        cmocka_unit_test(peers_that_are_not_told_of_a_rollback_are_found),
        cmocka_unit_test(burns_that_are_not_counted_are_found),
        cmocka_unit_test(memory_that_is_kept_is_found),
        cmocka_unit_test(a_committee_that_is_not_compared_is_found),
        cmocka_unit_test(r_that_comes_from_the_combiner_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
