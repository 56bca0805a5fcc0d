#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/lattice.h"
#include "attack/weak.h"

/*
 * Row 10: numbers modulo q made of too few bytes are small or uneven, and a lattice finds the key in a
 * handful of signatures (48 bytes on P-521: five). Every number that the engine makes is watched.
 */

static const struct {
    grp_curve curve;
    mpc_scheme scheme;
    size_t bytes; /* L(q) of the specification */
} keys[] = {
    {GRP_P256, MPC_SCHEME_ECDSA, 48},       {GRP_SECP256K1, MPC_SCHEME_ECDSA, 48},
    {GRP_SECP256K1, MPC_SCHEME_BIP340, 48}, {GRP_ED25519, MPC_SCHEME_EDDSA, 48},
    {GRP_P384, MPC_SCHEME_ECDSA, 64},       {GRP_P521, MPC_SCHEME_ECDSA, 82},
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])

/* Key generation, a batch and a reply of each member: challenges, PRSS values, delta or rho, pads. */
static void make_numbers(size_t which, uint32_t count)
{
    static const uint8_t payload[32] = {1};
    protocol_run r;

    run_init_scheme(&r, keys[which].curve, keys[which].scheme, 3, 1, "widths");
    r.count = count;
    assert_int_equal(run_keygen(&r, "WidthKey00000000000000000000"), 3);
    assert_int_equal(run_presign(&r, 1, 1), 3);
    assert_int_equal(weak.narrow, 0); /* all of these are random numbers */
    const mpc_request q = run_request(&r, 0, payload, sizeof payload);
    for (uint16_t i = 0; i < 3; i++) {
        (void)hostile_must_ask(&r, i, &q);
    }
    run_clear(&r);
}

static void row_10_every_number_is_made_of_enough_bytes(void **state)
{
    (void)state;
    for (size_t k = 0; k < KEY_COUNT; k++) {
        grp *g = NULL;
        tdsa_err err;

        assert_int_equal(grp_open(&g, keys[k].curve, &err), TDSA_OK);
        assert_int_equal(grp_get_info(g)->wide_len, keys[k].bytes);
        grp_close(g);
        weak_off();
        make_numbers(k, 4);
        /* per member: 2 sets, a value each of 'k' for 4 presignatures; two values, delta and four
         * pads of a reply; proofs of key generation */
        assert_true(weak.reductions >= 3 * (2 * 4 + 4 + 3));
        /* only digests and challenges of a standard are as long as they are: one per reply */
        assert_in_range(weak.narrow, 0, 3);
    }
    weak_off();
}

/* About half of all numbers lie above q/2. */
static bool look_even(size_t which)
{
    size_t wide = 0;

    make_numbers(which, 300);
    wide = weak.reductions - weak.narrow;
    assert_true(wide > 1500);
    return weak.high * 10 > wide * 4 && weak.high * 10 < wide * 6;
}

static void row_10_numbers_fill_the_field(void **state)
{
    (void)state;
    for (size_t k = 0; k < KEY_COUNT; k++) {
        weak_off();
        assert_true(look_even(k));
    }
    weak_off();
}

static void row_10_numbers_of_48_bytes_do_not_fill_p521(void **state)
{
    (void)state;
    weak_off();
    weak.short_values = true;
    assert_false(look_even(KEY_COUNT - 1));
    assert_int_equal(weak.high, 0); /* all below 2^384 */
    weak_off();
}

/* Five signatures of a P-521 key: k_i = h/s - delta + (r/s)x, k_i the presignature's nonce. */
static bool five_signatures_give_the_key(void)
{
    uint8_t digest[32] = {1};
    grp_scalar t[LATTICE_SIGNATURES];
    grp_scalar u[LATTICE_SIGNATURES];
    protocol_run r;
    bool found = false;

    run_init(&r, GRP_P521, 3, 1, "lattice");
    r.count = LATTICE_SIGNATURES;
    assert_int_equal(run_keygen(&r, "LatticeKey000000000000000000"), 3);
    assert_int_equal(run_presign(&r, 1, 1), 3);
    for (uint32_t i = 0; i < LATTICE_SIGNATURES; i++) {
        const mpc_request q = run_request(&r, i, digest, sizeof digest);
        mpc_signature sig;
        mpc_context ctx;
        grp_scalar big_r;
        grp_scalar s;
        tdsa_err err;

        assert_int_equal(run_sign(&r, &q, &sig, &ctx, &err), TDSA_OK);
        run_ecdsa_split(r.g, &big_r, &s, &sig);
        t[i] = sc_div(r.g, big_r, s);
        u[i] = sc_sub(r.g, sc_div(r.g, ctx.h, s), ctx.delta);
    }
    weak_off(); /* the adversary's own arithmetic is whole */
    found = lattice_finds_key(r.g, t, u, 386, &r.key[0]->pub.y); /* three values of 384 bits */
    run_clear(&r);
    return found;
}

static void row_10_a_lattice_finds_no_key(void **state)
{
    (void)state;
    weak_off();
    assert_false(five_signatures_give_the_key());
}

static void row_10_a_lattice_finds_the_key_of_48_byte_numbers(void **state)
{
    (void)state;
    weak_off();
    weak.short_values = true;
    assert_true(five_signatures_give_the_key());
    weak_off();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_10_every_number_is_made_of_enough_bytes),
        cmocka_unit_test(row_10_numbers_fill_the_field),
        cmocka_unit_test(row_10_numbers_of_48_bytes_do_not_fill_p521),
        cmocka_unit_test(row_10_a_lattice_finds_no_key),
        cmocka_unit_test(row_10_a_lattice_finds_the_key_of_48_byte_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
