#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* What random lives found once, as single situations. */

static void must_keygen(sim *s, uint16_t who, char *key_id)
{
    tdsa_err err;

    sim_must(s, sim_keygen(s, who, GRP_P256, key_id, &err), "keygen", &err);
}

static void must_sign(sim *s, uint16_t who, const char *key_id, uint8_t tag)
{
    const uint8_t digest[32] = {1, tag};
    part_sign_result sig;
    tdsa_err err;

    sim_must(s, sim_sign(s, who, key_id, digest, &sig, &err), "sign", &err);
    sim_check_signature(s, who, key_id, digest, &sig);
}

/* One peer took part in a signature that did not verify, another failed a while ago: the committee
 * that new batches are made with must be one that signatures take their presignatures from. */
static void a_doubted_and_a_failed_peer_do_not_stop_signatures(void **state)
{
    const sim_cfg cfg = {.seed = 21, .n = 4, .t = 1, .with_client = true, .delay_max_ms = 3};
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);

    (void)state;
    must_keygen(s, 0, key_id);
    for (uint8_t i = 0; i < 8; i++) {
        part *p = sim_part(s, 0);
        p->peers[1].doubts = 1;
        p->peers[3].failures = 1;
        p->peers[3].avoid_until_ms = i % 2 == 0 ? 0 : part_now(p) + 1000;
        must_sign(s, 0, key_id, i);
    }
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_doubted_and_a_failed_peer_do_not_stop_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
