#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nettle/ecc.h>
#include <sodium.h>

#include "group/group.h"

/* Curve libraries that are not what our code was written for: these functions stand in front of the
 * libraries' own. */

/* As libsodium before the correction of CVE-2025-69277 answers about points of order 2l. */
int crypto_core_ed25519_is_valid_point(const unsigned char *p)
{
    (void)p;
    return 1;
}

static int nettle_answers;

/* A nettle that keeps the limbs of a scalar in another way, or refuses the scalar. */
int ecc_scalar_set(struct ecc_scalar *s, const mpz_t z)
{
    (void)z;
    memset(s->p, 0x5a, (size_t)ecc_size(s->ecc) * sizeof s->p[0]);
    return nettle_answers;
}

static void assert_not_opened(grp_curve curve, const char *word)
{
    grp *g = NULL;
    tdsa_err err;

    assert_int_equal(grp_open(&g, curve, &err), TDSA_E_CRYPTO);
    assert_null(g);
    assert_non_null(strstr(err.text, word));
}

static void a_libsodium_that_accepts_torsion_is_refused(void **state)
{
    (void)state;
    assert_not_opened(GRP_ED25519, "CVE-2025-69277");
}

static void a_nettle_with_other_scalars_is_refused(void **state)
{
    (void)state;
    for (nettle_answers = 0; nettle_answers < 2; nettle_answers++) {
        assert_not_opened(GRP_P384, "P-384");
        assert_not_opened(GRP_P521, "P-521");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_libsodium_that_accepts_torsion_is_refused),
        cmocka_unit_test(a_nettle_with_other_scalars_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
