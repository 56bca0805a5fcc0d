#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/sim_scenario.h"

/*
 * Random lives of random groups (sim_scenario.c), each from one seed.
 *
 *   TDSA_SIM_SEED=n    run this seed only, here      TDSA_SIM_LOG=1      say what happens (2: messages too)
 *   TDSA_SIM_COUNT=n   run n seeds                   TDSA_SIM_FIRST=n    begin with seed n
 *   TDSA_SIM_WORKERS=n processes; 2
 */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SEEDS 60u /* several times as slow */
#else
#    define SEEDS 200u
#endif

static uint64_t number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text == NULL ? usual : strtoull(text, NULL, 10);
}

static void invariants_hold(void **state)
{
    const sim_campaign_cfg cfg = {.first = number_of("TDSA_SIM_FIRST", 1),
                                  .count = number_of("TDSA_SIM_COUNT", SEEDS),
                                  .workers = (unsigned)number_of("TDSA_SIM_WORKERS", 2),
                                  .failures_max = 10};
    sim_campaign_result r;

    (void)state;
    if (getenv("TDSA_SIM_SEED") != NULL) {
        const sim_scenario_cfg one = {.seed = number_of("TDSA_SIM_SEED", 0)};
        sim_scenario_result result;
        sim_scenario(&one, &result);
        print_message("trace %016llx, %llu events, %llu operations, %llu signatures\n",
                      (unsigned long long)result.trace, (unsigned long long)result.events,
                      (unsigned long long)result.operations, (unsigned long long)result.signatures);
        return;
    }
    sim_campaign(&cfg, &r);
    print_message("%llu scenarios in %.1f s: %.0f a minute; %llu operations, %llu signatures, "
                  "%llu keys, %llu disks put back\n",
                  (unsigned long long)r.scenarios, r.seconds, (double)r.scenarios * 60 / r.seconds,
                  (unsigned long long)r.operations, (unsigned long long)r.signatures,
                  (unsigned long long)r.keys, (unsigned long long)r.put_back);
    assert_int_equal(r.failures, 0);
    assert_true(r.signatures > 5 * r.scenarios); /* they did more than fail */
}

/* In a process of its own, whose memory lies elsewhere. */
static uint64_t trace_elsewhere(uint64_t seed)
{
    const sim_scenario_cfg cfg = {.seed = seed};
    sim_scenario_result r = {0};
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sim_child_begins();
        void *shift = malloc(100000 + (size_t)seed);
        sim_scenario(&cfg, &r);
        free(shift);
        _exit(write(ends[1], &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1);
    }
    (void)close(ends[1]); /* a child that died leaves an end of file */
    assert_int_equal(read(ends[0], &r, sizeof r), sizeof r);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ends[0]);
    return r.trace;
}

static void a_seed_replays_bit_for_bit(void **state)
{
    sim_scenario_result a;
    sim_scenario_result b;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const sim_scenario_cfg cfg = {.seed = seed};
        sim_scenario(&cfg, &a);
        sim_scenario(&cfg, &b);
        assert_int_equal(a.trace, b.trace);
        assert_int_equal(a.events, b.events);
        assert_int_equal(a.trace, trace_elsewhere(seed));
    }
}

static void seeds_differ(void **state)
{
    assert_true(trace_elsewhere(7) != trace_elsewhere(9));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold),
        cmocka_unit_test(a_seed_replays_bit_for_bit),
        cmocka_unit_test(seeds_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
