#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "participant/internal.h"
#include "protocol/bip32.h"
#include "sim/sim_internal.h"

/* Signing, public keys and extended public keys by path, at every participant of a group. */

#define N 3u

static const uint8_t digest[32] = {9};
static const uint32_t path[] = {44, 0, 7, 2147483647u, 1};

static void new_key(sim *s, grp_curve curve, mpc_derivation derivation, uint32_t min,
                    uint32_t min_xpub, char *key_id)
{
    part_key_spec spec = {.curve = curve,
                          .policy = part_policy_default(curve, MPC_SCHEME_ECDSA),
                          .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_err err;
    part *p = sim_part(s, 0);

    spec.policy.derivation = derivation;
    spec.policy.min_path = min;
    spec.policy.min_path_xpub = min_xpub;
    sim_must(s, sim_finish(s, 0, part_start_register(p, &spec, 0, key_id, &err), &none, &err),
             "register", &err);
    sim_must(s, sim_finish(s, 0, part_start_keygen(p, key_id, 0, &err), &none, &err), "keygen",
             &err);
}

static tdsa_status sign(sim *s, const char *key_id, uint16_t len, part_sign_result *out,
                        tdsa_err *err)
{
    const part_sign_request req = {.key_id = key_id,
                                   .digest_alg = TDSA_HASH_SHA256,
                                   .payload = digest,
                                   .payload_len = sizeof digest,
                                   .path = path,
                                   .path_len = len};
    part_result result;
    const tdsa_status st =
        sim_finish(s, 0, part_start_sign(sim_part(s, 0), &req, 0, err), &result, err);

    *out = result.sign;
    return st;
}

static bool verifies(const grp *g, const uint8_t *raw, size_t raw_len, const part_sign_result *sig)
{
    const size_t len = grp_get_info(g)->scalar_len;
    grp_point y;
    grp_scalar h;
    grp_scalar r;
    grp_scalar v;
    tdsa_err err;

    assert_int_equal(grp_point_decode(g, &y, raw, raw_len, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &r, sig->rs, len, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &v, sig->rs + len, len, &err), TDSA_OK);
    grp_digest_to_scalar(g, &h, digest, sizeof digest);
    return grp_ecdsa_verify_vartime(g, &y, &h, &r, &v);
}

/* Path length 0..4 with one minimum: what is allowed, and that the forms agree. */
static void check_length(sim *s, const char *key_id, grp_curve curve, uint16_t len, uint32_t min)
{
    const grp *g = s->groups[curve];
    const tdsa_status want = len >= min ? TDSA_OK : TDSA_E_DENIED;
    uint8_t raw[GRP_POINT_RAW_MAX];
    char xpub[MPC_XPUB_TEXT_MAX];
    size_t raw_len = 0;
    part_sign_result sig;
    mpc_bip32_node n;
    grp_point y;
    tdsa_err err;

    for (uint16_t i = 0; i < N; i++) {
        part *p = sim_part(s, i);

        assert_int_equal(part_derive_public(p, key_id, path, len, raw, &raw_len, &err), want);
        assert_int_equal(part_derive_xpub(p, key_id, path, len, xpub, &err), want);
    }
    assert_int_equal(sign(s, key_id, len, &sig, &err), want);
    if (want != TDSA_OK) {
        assert_int_equal(raw_len, 0);
        assert_int_equal(xpub[0], 0);
        return;
    }
    assert_true(verifies(g, raw, raw_len, &sig));
    assert_int_equal(mpc_bip32_xpub_decode(&n, g, xpub, strlen(xpub), &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, raw, raw_len, &err), TDSA_OK);
    assert_true(grp_point_equal(g, &y, &n.y));
    assert_int_equal(n.depth, len);
    assert_int_equal(n.child, len == 0 ? 0 : path[len - 1]);
    /* Who has the xpub finds the child keys alone. */
    assert_int_equal(mpc_bip32_walk_vartime(&n, g, path + len, 1, true, &err), TDSA_OK);
    assert_int_equal(
        part_derive_public(sim_part(s, 1), key_id, path, len + 1u, raw, &raw_len, &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, raw, raw_len, &err), TDSA_OK);
    assert_true(grp_point_equal(g, &y, &n.y));
}

static void path_lengths_meet_their_minima(void **state)
{
    static const uint32_t minima[] = {0, 1, 3};
    const sim_cfg cfg = {.seed = 41, .n = N, .t = 1, .delay_max_ms = 1};
    sim *s = sim_new(&cfg);

    (void)state;
    for (size_t m = 0; m < sizeof minima / sizeof minima[0]; m++) {
        const grp_curve curve = m == 1 ? GRP_SECP256K1 : GRP_P256;
        char key_id[KS_KEY_ID_MAX + 1];

        new_key(s, curve, MPC_DERIVE_BIP32, minima[m], minima[m], key_id);
        for (uint16_t len = 0; len <= 4; len++) {
            check_length(s, key_id, curve, len, minima[m]);
        }
    }
    sim_free(s);
}

static void the_two_minima_are_apart(void **state)
{
    const sim_cfg cfg = {.seed = 42, .n = N, .t = 1, .delay_max_ms = 1};
    char key_id[KS_KEY_ID_MAX + 1];
    char xpub[MPC_XPUB_TEXT_MAX];
    uint8_t raw[GRP_POINT_RAW_MAX];
    size_t len = 0;
    tdsa_err err;
    sim *s = sim_new(&cfg);
    part *p = sim_part(s, 2);

    (void)state;
    new_key(s, GRP_SECP256K1, MPC_DERIVE_BIP32, 1, 3, key_id);
    assert_int_equal(part_derive_public(p, key_id, path, 1, raw, &len, &err), TDSA_OK);
    assert_int_equal(part_derive_xpub(p, key_id, path, 2, xpub, &err), TDSA_E_DENIED);
    assert_non_null(strstr(err.text, "minimum of 3"));
    assert_int_equal(part_derive_xpub(p, key_id, path, 3, xpub, &err), TDSA_OK);
    sim_free(s);
}

/* By whoever is asked to register it, before anything is stored, and by every peer. */
static void minima_below_the_configuration_are_refused(void **state)
{
    const sim_cfg cfg = {.seed = 44, .n = N, .t = 1, .delay_max_ms = 1};
    part_key_spec spec = {.key_id = "low",
                          .curve = GRP_P256,
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA)};
    char key_id[KS_KEY_ID_MAX + 1];
    part_key_info info;
    part_result none;
    tdsa_err err;
    sim *s = sim_new(&cfg);
    part *p = sim_part(s, 0);

    (void)state;
    spec.policy.derivation = MPC_DERIVE_BIP32;
    spec.policy.min_path = 1;
    spec.policy.min_path_xpub = 2;
    p->cfg.min_path_xpub = 3;
    assert_int_equal(sim_finish(s, 0, part_start_register(p, &spec, 0, key_id, &err), &none, &err),
                     TDSA_E_DENIED);
    assert_int_equal(err.participant, TDSA_NOBODY);
    assert_int_equal(part_key_describe(p, "low", &info, &err), TDSA_E_NOT_FOUND);
    p->cfg.min_path_xpub = 0;
    sim_part(s, 2)->cfg.min_path_xpub = 3;
    assert_int_equal(sim_finish(s, 0, part_start_register(p, &spec, 0, key_id, &err), &none, &err),
                     TDSA_E_DENIED);
    assert_int_equal(err.participant, 2);
    sim_free(s);
}

static void what_cannot_be_derived_is_refused(void **state)
{
    static const uint32_t hardened[] = {44, 0x80000000u, 0};
    static const uint32_t deep[MPC_PATH_MAX + 1];
    const sim_cfg cfg = {.seed = 43, .n = N, .t = 1, .delay_max_ms = 1};
    char plain[KS_KEY_ID_MAX + 1];
    char bip32[KS_KEY_ID_MAX + 1];
    char xpub[MPC_XPUB_TEXT_MAX];
    uint8_t raw[GRP_POINT_RAW_MAX];
    size_t len = 0;
    tdsa_err err;
    sim *s = sim_new(&cfg);
    part *p = sim_part(s, 0);

    (void)state;
    new_key(s, GRP_P256, MPC_DERIVE_NONE, 0, 0, plain);
    new_key(s, GRP_P256, MPC_DERIVE_BIP32, 0, 0, bip32);
    assert_int_equal(part_derive_public(p, plain, NULL, 0, raw, &len, &err), TDSA_OK);
    assert_int_equal(part_derive_public(p, plain, path, 1, raw, &len, &err), TDSA_E_DENIED);
    assert_int_equal(part_derive_xpub(p, plain, NULL, 0, xpub, &err), TDSA_E_DENIED);
    assert_int_equal(part_derive_public(p, bip32, hardened, 3, raw, &len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(part_derive_xpub(p, bip32, hardened, 3, xpub, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(part_derive_xpub(p, bip32, deep, MPC_PATH_MAX + 1, xpub, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(part_derive_xpub(p, bip32, deep, MPC_PATH_MAX, xpub, &err), TDSA_OK);
    assert_int_equal(part_derive_xpub(p, "nobody", path, 3, xpub, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(part_derive_xpub(p, "no body", path, 3, xpub, &err), TDSA_E_NOT_FOUND);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_lengths_meet_their_minima),
        cmocka_unit_test(the_two_minima_are_apart),
        cmocka_unit_test(minima_below_the_configuration_are_refused),
        cmocka_unit_test(what_cannot_be_derived_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
