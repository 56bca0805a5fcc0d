#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/*
 * Deletions and their undoing among signatures, lost messages, partitions, dying processes, failing disks
 * and clocks that jump. Always (sim_check.c): no key is wiped at one participant while another has
 * undone its deletion. In the end: a key whose undoing was acknowledged signs, and one that is to be
 * deleted is gone everywhere.
 */

#define GRACE_MS 60000u
#define STEPS    40u
#define ROUNDS   6u

typedef struct {
    sim *s;
    char key_id[KS_KEY_ID_MAX + 1];
    int64_t offset_ms[GRP_PARTIES_MAX]; /* of the clocks, before they jump */
    bool undone;                        /* acknowledged, and nobody asked to delete it again */
} life;

static tdsa_status run(sim *s, uint16_t at, uint64_t op, tdsa_err *err)
{
    part_result none;

    return sim_finish(s, at, op, &none, err);
}

static uint16_t somebody(sim *s)
{
    uint16_t at = 0;

    do {
        at = s->cfg.with_client ? 0 : (uint16_t)sim_random(s, s->cfg.n);
        if (!sim_is_up(s, at)) {
            sim_start(s, at);
        }
    } while (!sim_is_up(s, at));
    return at;
}

static void delete_it(life *l)
{
    const uint16_t at = somebody(l->s);
    const uint64_t grace = GRACE_MS * (1 + sim_random(l->s, 3));
    tdsa_err err;

    l->undone = false; /* whatever comes of it */
    (void)run(l->s, at, part_start_delete(sim_part(l->s, at), l->key_id, grace, 0, &err), &err);
}

static void undo_it(life *l)
{
    const uint16_t at = somebody(l->s);
    tdsa_err err;

    if (run(l->s, at, part_start_undelete(sim_part(l->s, at), l->key_id, 0, &err), &err) ==
        TDSA_OK) {
        l->undone = true;
        sim_key_of(l->s, l->key_id)->deleted = false; /* from now on all shares must be there */
    }
}

static void cut_off(sim *s, uint16_t index, bool off)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        s->cut[i][index] = off;
        s->cut[index][i] = off;
    }
}

static void sign_it(life *l)
{
    const uint16_t at = somebody(l->s);
    const uint8_t digest[32] = {2};
    part_sign_result sig;
    tdsa_err err;

    if (sim_sign(l->s, at, l->key_id, digest, &sig, &err) == TDSA_OK) {
        sim_check_signature(l->s, at, l->key_id, digest, &sig);
    }
}

static void step(life *l)
{
    sim *s = l->s;
    const uint16_t who = (uint16_t)sim_random(s, s->cfg.n);

    switch (sim_random(s, 10)) {
    case 0:
        delete_it(l);
        break;
    case 1:
    case 2:
        undo_it(l);
        break;
    case 3:
        cut_off(s, who, true);
        break;
    case 4:
    case 5:
        cut_off(s, who, false);
        break;
    case 6:
        sim_crash(s, who);
        break;
    case 7: /* forward or back, a little or much more than the grace period */
        s->node[who].wall_offset_ms +=
            (int64_t)sim_random(s, 6 * GRACE_MS) - (int64_t)(2 * GRACE_MS);
        break;
    case 8:
        sim_idle(s, sim_random(s, 2 * GRACE_MS));
        break;
    default:
        sign_it(l);
        break;
    }
}

static void must_sign(life *l)
{
    const uint8_t digest[32] = {3};
    part_sign_result sig;
    tdsa_err err;

    for (uint16_t i = 0; i < (l->s->cfg.with_client ? 1 : l->s->cfg.n); i++) {
        sim_must(l->s, sim_sign(l->s, i, l->key_id, digest, &sig, &err), "an undone key", &err);
        sim_check_signature(l->s, i, l->key_id, digest, &sig);
    }
}

/* Clocks are right again, everybody is there: it must come to one end. */
static void settle(life *l)
{
    sim *s = l->s;
    ks_key_state first = KS_KEY_ACTIVE;

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        cut_off(s, i, false);
        s->node[i].wall_offset_ms = l->offset_ms[i];
    }
    sim_heal(s);
    sim_idle(s, 40 * GRACE_MS);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        ks_key *row = NULL;
        tdsa_err err;

        sim_must(s, ks_key_get(sim_store(s, i), l->key_id, &row, &err), "the key", &err);
        first = i == 0 ? row->state : first;
        if (row->state != first || (first != KS_KEY_ACTIVE && first != KS_KEY_DELETED)) {
            sim_fail(s, "a deletion does not come to one end", l->key_id);
        }
        ks_key_free(row);
    }
    if (l->undone && first != KS_KEY_ACTIVE) {
        sim_fail(s, "an undone key is gone", l->key_id);
    }
    if (first == KS_KEY_ACTIVE) {
        must_sign(l);
    }
}

static void one_life(uint64_t seed, uint16_t n, bool with_client, bool faults)
{
    const sim_cfg cfg = {.seed = seed,
                         .n = n,
                         .t = 1,
                         .delay_max_ms = 20,
                         .grace_ms = GRACE_MS,
                         .with_client = with_client,
                         .background = true,
                         .skewed = true};
    life l = {.s = sim_new(&cfg)};
    tdsa_err err;

    for (uint16_t i = 0; i < n; i++) {
        l.offset_ms[i] = l.s->node[i].wall_offset_ms;
    }
    sim_must(l.s, sim_keygen(l.s, 0, GRP_P256, l.key_id, &err), "keygen", &err);
    if (faults) {
        l.s->cfg.drop_permille = 100;
        l.s->cfg.crash_permille = 2;
        l.s->cfg.store_permille = 10;
        l.s->cfg.torn_permille = 10;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(&l);
    }
    settle(&l);
    sim_free(l.s);
}

static uint64_t first_seed(void)
{
    const char *text = getenv("TDSA_SIM_SEED");

    return text == NULL ? 7000 : strtoull(text, NULL, 10);
}

static unsigned rounds(void)
{
    const char *text = getenv("TDSA_SIM_ROUNDS");

    return text == NULL ? ROUNDS : (unsigned)strtoul(text, NULL, 10);
}

static void deletions_among_servers_come_to_one_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rounds(); i++) {
        one_life(first_seed() + i, 3, false, false);
        one_life(first_seed() + i, 4, false, true);
    }
}

static void deletions_of_a_client_come_to_one_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rounds(); i++) {
        one_life(first_seed() + 1000 + i, 3, true, i % 2 == 1);
    }
}

static void put_order(sim *s, uint16_t at, const char *key_id, ks_deletion_state state,
                      uint64_t serial)
{
    ks_deletion d = {.serial = serial, .state = state, .members = 7, .told = 7};
    tdsa_err err;

    memcpy(d.key_id, key_id, strlen(key_id) + 1);
    sim_must(s, ks_deletion_put(sim_store(s, at), &d, NULL, &err), "order", &err);
}

/* Whether the simulator ends itself over what two participants have. */
static bool is_found(uint64_t wiped, uint64_t undone)
{
    const sim_cfg cfg = {.seed = 1, .n = 3, .t = 1, .delay_max_ms = 1, .grace_ms = GRACE_MS};
    const pid_t child = fork();
    char key_id[KS_KEY_ID_MAX + 1];
    int status = 0;
    tdsa_err err;

    assert_true(child >= 0);
    if (child == 0) {
        sim_child_begins();
        sim *s = sim_new(&cfg);
        sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
        sim_key_of(s, key_id)->deleted = true;
        put_order(s, 1, key_id, KS_DELETION_WIPED, wiped);
        put_order(s, 2, key_id, KS_DELETION_CANCELLED, undone);
        sim_check_keys(s);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_key_wiped_here_and_undone_there_is_found(void **state)
{
    (void)state;
    assert_true(is_found(1, 2));
    assert_false(is_found(3, 2)); /* it was deleted again after that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_wiped_here_and_undone_there_is_found),
        cmocka_unit_test(deletions_among_servers_come_to_one_end),
        cmocka_unit_test(deletions_of_a_client_come_to_one_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
