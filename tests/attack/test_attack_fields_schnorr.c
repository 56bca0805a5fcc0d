#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack/campaign.h"

/* Every field of every message of Schnorr keys (attack/campaign.h). */

static void every_field_of_schnorr_keys_is_checked(void **state)
{
    (void)state;
    keygen_campaign(GRP_ED25519, MPC_SCHEME_EDDSA, 3, 1);
    presign_campaign(GRP_ED25519, MPC_SCHEME_EDDSA, true);
    presign_campaign(GRP_SECP256K1, MPC_SCHEME_BIP340, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_of_schnorr_keys_is_checked)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
