#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack/campaign.h"

/* Every field of every message of a reshare and a refresh (attack/campaign.h). */

static void every_field_of_a_reshare_is_checked(void **state)
{
    /* 0 has lost its key, 1 deals and stays, 2 deals and leaves, 3 is new */
    const run_reshare_spec reshare = {.dealers = {1, 2},
                                      .dealer_count = 2,
                                      .members = {0, 1, 3},
                                      .n = 3,
                                      .t = 1,
                                      .lost = 1u << 0};
    const run_reshare_spec refresh = {
        .dealers = {0, 1, 2}, .dealer_count = 3, .members = {0, 1, 2}, .n = 3, .t = 1};

    (void)state;
    reshare_campaign(&reshare);
    reshare_campaign(&refresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_of_a_reshare_is_checked)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
