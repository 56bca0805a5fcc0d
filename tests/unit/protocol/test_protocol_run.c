#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/protocol_run.h"

/* Whole runs: key generation, presignatures and signatures that others accept. */

static const char key_id[] = "RunKey0000000000000000000000";

static void sign_and_check(protocol_run *r, uint32_t index, bool low_s)
{
    uint8_t digest[32];
    mpc_request q;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    for (size_t i = 0; i < sizeof digest; i++) {
        digest[i] = (uint8_t)(i * 7 + index);
    }
    q = run_request(r, index, digest, sizeof digest);
    q.low_s = low_s;
    assert_int_equal(run_sign(r, &q, &sig, &ctx, &err), TDSA_OK);
    assert_true(run_openssl_verifies(r->g, &ctx.y_final, digest, sizeof digest, &sig));
    if (low_s) {
        grp_scalar sig_r;
        grp_scalar sig_s;

        run_ecdsa_split(r->g, &sig_r, &sig_s, &sig);
        assert_false(grp_scalar_is_high_vartime(r->g, &sig_s));
        assert_true(grp_ecdsa_verify_vartime(r->g, &ctx.y_final, &ctx.h, &sig_r, &sig_s));
    }
}

static void whole_run(grp_curve curve, uint16_t n, uint16_t t, const uint16_t *committee)
{
    protocol_run r;

    run_init(&r, curve, n, t, "whole run");
    for (uint16_t i = 0; committee != NULL && i < r.committee_count; i++) {
        r.committee[i] = committee[i];
    }
    assert_int_equal(run_keygen(&r, key_id), n);
    for (uint16_t i = 1; i < n; i++) {
        assert_true(grp_point_equal(r.g, &r.key[0]->pub.y, &r.key[i]->pub.y));
        assert_memory_equal(r.key[0]->pub.stored, r.key[i]->pub.stored, 64);
    }
    assert_int_equal(run_presign(&r, 1, 1), r.committee_count);
    sign_and_check(&r, 0, false);
    sign_and_check(&r, 2, true);
    r.compressed_wire = false;
    assert_int_equal(run_presign(&r, 1, 2), r.committee_count);
    sign_and_check(&r, 1, true);
    run_clear(&r);
}

static void three_participants_sign(void **state)
{
    (void)state;
    whole_run(GRP_P256, 3, 1, NULL);
    whole_run(GRP_SECP256K1, 3, 1, NULL);
}

static void three_participants_sign_on_the_long_curves(void **state)
{
    (void)state;
    whole_run(GRP_P384, 3, 1, NULL);
    whole_run(GRP_P521, 3, 1, NULL);
}

static void five_participants_sign_on_p_384_in_a_committee_of_three(void **state)
{
    static const uint16_t committee[3] = {1, 2, 4};

    (void)state;
    whole_run(GRP_P384, 5, 1, committee);
}

static void a_committee_with_a_gap_signs(void **state)
{
    static const uint16_t committee[3] = {0, 1, 3};
    static const uint16_t other[3] = {0, 2, 3};

    (void)state;
    whole_run(GRP_P256, 4, 1, committee);
    whole_run(GRP_SECP256K1, 4, 1, other);
}

static void five_participants_sign(void **state)
{
    (void)state;
    whole_run(GRP_P256, 5, 2, NULL);
    whole_run(GRP_SECP256K1, 5, 2, NULL);
}

static void seven_participants_sign(void **state)
{
    (void)state;
    whole_run(GRP_P256, 7, 3, NULL);
    whole_run(GRP_SECP256K1, 7, 3, NULL);
}

static void nine_participants_of_degree_four_sign(void **state)
{
    (void)state;
    whole_run(GRP_P256, 9, 4, NULL);
}

/* The same seeds and another order of arrival: the same key and the same presignatures. */
static void the_order_of_arrival_does_not_matter(void **state)
{
    protocol_run r[2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        run_init(&r[i], GRP_P256, 5, 2, "order");
        r[i].reverse = i == 1;
        assert_int_equal(run_keygen(&r[i], key_id), 5);
        assert_int_equal(run_presign(&r[i], 1, 1), 5);
    }
    assert_memory_equal(r[0].key[0]->pub.stored, r[1].key[0]->pub.stored, 64);
    assert_int_equal(r[0].data[4].len, r[1].data[4].len);
    assert_memory_equal(r[0].data[4].data, r[1].data[4].data, r[0].data[4].len);
    sign_and_check(&r[1], 0, true);
    run_clear(&r[0]);
    run_clear(&r[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_participants_sign),
        cmocka_unit_test(three_participants_sign_on_the_long_curves),
        cmocka_unit_test(five_participants_sign_on_p_384_in_a_committee_of_three),
        cmocka_unit_test(a_committee_with_a_gap_signs),
        cmocka_unit_test(five_participants_sign),
        cmocka_unit_test(seven_participants_sign),
        cmocka_unit_test(nine_participants_of_degree_four_sign),
        cmocka_unit_test(the_order_of_arrival_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
