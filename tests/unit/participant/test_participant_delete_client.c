#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/delete_fixture.h"

/* Deleting keys of a client, which has several processes and may go away. */

static void processes_of_one_client_share_its_orders(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(true, key_id);
    tdsa_err err;

    (void)state;
    must_sign(s, 0, key_id);
    assert_int_equal(delete_key(s, 1, key_id, &err), TDSA_E_CONFLICT); /* servers order nothing */
    assert_int_equal(undelete(s, 1, key_id, &err), TDSA_E_CONFLICT);
    sim_must(s, delete_key(s, 3, key_id, &err), "delete", &err);
    must_not_sign(s, 0, key_id, "DELETING"); /* which has the key in memory */
    sim_must(s, undelete(s, 0, key_id, &err), "undelete", &err);
    all_are(s, key_id, KS_KEY_ACTIVE);
    must_sign(s, 3, key_id);
    must_sign(s, 0, key_id);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_idle(s, 3 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

static void order_at(sim *s, uint16_t index, const char *key_id)
{
    ks_deletion d = {
        .serial = 1, .state = KS_DELETION_SCHEDULED, .grace_ms = GRACE_MS, .members = 7, .told = 7};
    tdsa_err err;

    memcpy(d.key_id, key_id, strlen(key_id) + 1);
    d.due_ms = s->node[index].cfg.clock.wall_ms(s->node[index].cfg.clock.ctx) + 8 * GRACE_MS;
    sim_must(s, ks_deletion_put(sim_store(s, index), &d, NULL, &err), "order", &err);
}

/* A client whose disk went back does not know its own order any more. */
static void a_client_follows_its_servers_but_no_single_one(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(true, key_id);

    (void)state;
    order_at(s, 1, key_id);
    must_not_sign(s, 0, key_id, "DELETING");
    sim_idle(s, 20000);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_ACTIVE); /* one server may lie */
    order_at(s, 2, key_id);
    must_not_sign(s, 0, key_id, "DELETING");
    sim_idle(s, 20000);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETING);
    sim_free(s);
}

static void a_client_that_ended_tells_the_rest_when_it_starts_again(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(true, key_id);
    tdsa_err err;

    (void)state;
    sim_crash(s, 2);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    assert_int_equal(pending_at(s, 0, key_id), 1u << 2);
    sim_crash(s, 0);
    sim_start(s, 2);
    sim_idle(s, 20000);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_ACTIVE);
    sim_start(s, 0);
    sim_idle(s, 20000);
    all_are(s, key_id, KS_KEY_DELETING);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_of_one_client_share_its_orders),
        cmocka_unit_test(a_client_follows_its_servers_but_no_single_one),
        cmocka_unit_test(a_client_that_ended_tells_the_rest_when_it_starts_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
