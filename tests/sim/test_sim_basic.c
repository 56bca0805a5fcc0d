#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim.h"

static void run_some(const sim_cfg *cfg, grp_curve curve, uint16_t coordinator, uint8_t count)
{
    sim *s = sim_new(cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t digest[32] = {1, 2, 3};
    part_sign_result sig;
    tdsa_err err;

    if (sim_keygen(s, coordinator, curve, key_id, &err) != TDSA_OK) {
        sim_fail(s, "keygen", err.text);
    }
    for (uint8_t i = 0; i < count; i++) {
        digest[31] = i;
        if (sim_sign(s, coordinator, key_id, digest, &sig, &err) != TDSA_OK) {
            sim_fail(s, "sign", err.text);
        }
        sim_check_signature(s, coordinator, key_id, digest, &sig);
    }
    sim_free(s);
}

static void run_quietly(const sim_cfg *cfg, grp_curve curve, uint16_t coordinator)
{
    run_some(cfg, curve, coordinator, 40);
}

static void a_client_and_two_servers_sign(void **state)
{
    const sim_cfg cfg = {.seed = 1, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};

    (void)state;
    run_quietly(&cfg, GRP_P256, 0);
    run_quietly(&cfg, GRP_SECP256K1, 0);
}

static void any_server_of_three_can_coordinate(void **state)
{
    const sim_cfg cfg = {.seed = 2, .n = 3, .t = 1, .delay_max_ms = 5};

    (void)state;
    run_quietly(&cfg, GRP_P256, 0);
    run_quietly(&cfg, GRP_P256, 1);
    run_quietly(&cfg, GRP_P256, 2);
}

static void five_participants_sign(void **state)
{
    const sim_cfg cfg = {.seed = 3, .n = 5, .t = 2, .delay_max_ms = 5};

    (void)state;
    run_quietly(&cfg, GRP_P256, 1);
}

static void the_long_curves_sign(void **state)
{
    const sim_cfg cfg = {.seed = 4, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};

    (void)state;
    run_quietly(&cfg, GRP_P384, 0);
    run_quietly(&cfg, GRP_P521, 0);
}

/* The longest records and messages that there are fit every limit of store and wire. */
static void nine_participants_sign_on_the_longest_curve(void **state)
{
    const sim_cfg cfg = {.seed = 5, .n = 9, .t = 4, .delay_max_ms = 1};

    (void)state;
    run_some(&cfg, GRP_P521, 3, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_and_two_servers_sign),
        cmocka_unit_test(any_server_of_three_can_coordinate),
        cmocka_unit_test(five_participants_sign),
        cmocka_unit_test(the_long_curves_sign),
        cmocka_unit_test(nine_participants_sign_on_the_longest_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
