#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/recovery_kit.h"
#include "support/rsa_maker.h"

/* Infos: made, taken apart, verified. What is done with them is in test_protocol_recovery_recover.c. */

static recovery_kit kit;
static protocol_run run; /* secp256k1, (3,1) */
static tdsa_buf bytes[3];
static mpc_recovery_info infos[3];
static tdsa_err err;

static int set_up(void **state)
{
    (void)state;
    recovery_kit_open(&kit);
    run_init(&run, GRP_SECP256K1, 3, 1, "recovery");
    assert_int_equal(run_keygen(&run, "RecoveryKey"), 3);
    for (uint16_t i = 0; i < 3; i++) {
        recovery_kit_make(&bytes[i], &run, i, kit.cert, "vault 7");
        assert_int_equal(mpc_recovery_decode(&infos[i], run.g, bytes[i].data, bytes[i].len, &err),
                         TDSA_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&bytes[i]);
    }
    run_clear(&run);
    recovery_kit_close(&kit);
    return 0;
}

static void an_info_says_what_it_is_about(void **state)
{
    const mpc_recovery_context *c = &infos[2].context;
    const mpc_key_public *pub = &run.key[2]->pub;

    (void)state;
    assert_int_equal(c->use, MPC_RECOVERY_EMERGENCY);
    assert_string_equal(c->key_id, "RecoveryKey");
    assert_int_equal(c->epoch, 0);
    assert_memory_equal(c->cluster_id, pub->cluster_id, 32);
    assert_int_equal(c->curve, GRP_SECP256K1);
    assert_int_equal(c->scheme, MPC_SCHEME_ECDSA);
    assert_int_equal(c->n, 3);
    assert_int_equal(c->t, 1);
    assert_true(grp_point_equal(run.g, &c->y, &pub->y));
    assert_true(grp_point_equal(run.g, &c->x[1], &pub->x[1]));
    assert_int_equal(c->path_len, 0);
    assert_int_equal(c->aux_len, 7);
    assert_memory_equal(c->aux, "vault 7", 7);
    assert_int_equal(infos[2].index, 2);
    assert_memory_equal(infos[2].certificate, tdsa_rsa_cert_facts(kit.cert)->sha256, 32);
    assert_int_equal(infos[2].sealed_len, 256);
}

static void a_package_verifies_without_a_private_key(void **state)
{
    (void)state;
    assert_int_equal(mpc_recovery_verify_package_vartime(infos, 3, run.g, kit.cert, &err), TDSA_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mpc_recovery_verify_cc(&infos[i], kit.cert, run.key[0]->pub.cc, &err),
                         TDSA_OK);
    }
}

static void every_curve_and_certificate_length_is_proved(void **state)
{
    static const struct {
        grp_curve curve;
        mpc_scheme scheme;
        unsigned bits;
    } rows[] = {
        {GRP_P256, MPC_SCHEME_ECDSA, 2050},       {GRP_P384, MPC_SCHEME_ECDSA, 3072},
        {GRP_P521, MPC_SCHEME_ECDSA, 2048},       {GRP_ED25519, MPC_SCHEME_EDDSA, 2048},
        {GRP_SECP256K1, MPC_SCHEME_BIP340, 2056},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        TDSA_SCOPED_BUF info_bytes = TDSA_BUF_EMPTY;
        mpc_recovery_info info;
        tdsa_rsa_cert *cert = NULL;
        grp_curve curve;
        protocol_run r;
        rsa_pair pair;

        rsa_make_fit(&pair, rows[i].bits);
        assert_int_equal(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err), TDSA_OK);
        run_init_scheme(&r, rows[i].curve, rows[i].scheme, 3, 1, "recovery");
        assert_int_equal(run_keygen(&r, "RecoveryKey"), 3);
        recovery_kit_make(&info_bytes, &r, 1, cert, NULL);
        assert_int_equal(mpc_recovery_peek_curve(&curve, info_bytes.data, info_bytes.len, &err),
                         TDSA_OK);
        assert_int_equal(curve, rows[i].curve);
        assert_int_equal(mpc_recovery_decode(&info, r.g, info_bytes.data, info_bytes.len, &err),
                         TDSA_OK);
        assert_int_equal(info.sealed_len, tdsa_rsa_cert_facts(cert)->len);
        assert_int_equal(mpc_recovery_verify_vartime(&info, r.g, cert, &err), TDSA_OK);
        tdsa_rsa_cert_free(cert);
        rsa_pair_clear(&pair);
        run_clear(&r);
    }
}

static void two_infos_of_one_share_have_nothing_in_common(void **state)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    mpc_recovery_info other;

    (void)state;
    recovery_kit_make(&again, &run, 0, kit.cert, "vault 7");
    assert_int_equal(mpc_recovery_decode(&other, run.g, again.data, again.len, &err), TDSA_OK);
    assert_memory_not_equal(other.challenge, infos[0].challenge, 16);
    assert_memory_not_equal(other.opened, infos[0].opened, other.value_len);
    assert_memory_not_equal(other.kept, infos[0].kept, other.sealed_len);
    assert_memory_equal(other.cc_sealed, infos[0].cc_sealed, other.sealed_len); /* as it must */
}

/* ---- the door ---- */

static void bytes_that_are_no_info_are_refused(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info info;
    grp_curve curve;

    (void)state;
    tdsa_buf_append(&b, bytes[0].data, bytes[0].len);
    for (size_t len = 0; len < b.len; len += len < 1000 ? 1 : 997) {
        assert_int_equal(mpc_recovery_decode(&info, run.g, b.data, len, &err), TDSA_E_BAD_INPUT);
        assert_int_equal(info.sealed_len, 0);
    }
    tdsa_buf_append_u8(&b, 0);
    assert_int_equal(mpc_recovery_decode(&info, run.g, b.data, b.len, &err), TDSA_E_BAD_INPUT);
    b.len--;
    assert_non_null(tdsa_buf_extend(&b, MPC_RECOVERY_INFO_MAX + 1 - b.len));
    assert_int_equal(mpc_recovery_decode(&info, run.g, b.data, b.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_recovery_peek_curve(&curve, b.data, b.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_recovery_peek_curve(&curve, b.data, 40, &err), TDSA_E_BAD_INPUT);
}

static void an_info_of_another_curve_is_refused(void **state)
{
    mpc_recovery_info info;
    grp *g = NULL;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    assert_int_equal(mpc_recovery_decode(&info, g, bytes[0].data, bytes[0].len, &err),
                     TDSA_E_BAD_INPUT);
    grp_close(g);
}

/* An info whose context says something that is not so; empty proof. */
static tdsa_status decode_changed(const mpc_recovery_context *c)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info info;
    const tdsa_rng rng = tdsa_test_rng_of(&run.rng[0]);
    const mpc_recovery_making m = {run.g,   c, 0, &run.key[0]->sec->share, run.key[0]->pub.cc,
                                   kit.cert};

    assert_int_equal(mpc_recovery_make(&b, &m, &rng, &err), TDSA_OK);
    return mpc_recovery_decode(&info, run.g, b.data, b.len, &err);
}

static void public_shares_must_be_those_of_the_public_key(void **state)
{
    mpc_recovery_context c = infos[0].context;
    mpc_recovery_context changed = c;

    (void)state;
    assert_int_equal(decode_changed(&changed), TDSA_OK);
    changed.x[2] = c.x[1];
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "not those of one key"));
    changed = c;
    changed.y = c.x[1];
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "do not make the public key"));
    changed = c;
    changed.t = 2;
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    changed = c;
    changed.scheme = MPC_SCHEME_EDDSA;
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    changed = c;
    memcpy(changed.key_id, "with blank", 11);
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    changed = c;
    changed.path[0] = MPC_HARDENED;
    changed.path_len = 1;
    assert_int_equal(decode_changed(&changed), TDSA_E_BAD_INPUT);
    changed.path[0]--;
    assert_int_equal(decode_changed(&changed), TDSA_OK);
}

/* ---- making ---- */

static void what_does_not_belong_together_is_not_made(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    const tdsa_rng rng = tdsa_test_rng_of(&run.rng[0]);
    static const uint8_t other_cc[32] = {1};
    mpc_recovery_making m = {
        run.g, &infos[0].context, 3, &run.key[0]->sec->share, run.key[0]->pub.cc, kit.cert};

    (void)state;
    tdsa_buf_append_str(&b, "before");
    assert_int_equal(mpc_recovery_make(&b, &m, &rng, &err), TDSA_E_BAD_INPUT);
    m.index = 0;
    m.cc = other_cc;
    assert_int_equal(mpc_recovery_make(&b, &m, &rng, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(b.len, 6);
}

static tdsa_status dry(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    (void)ctx;
    (void)out;
    (void)len;
    return TDSA_FAIL(e, TDSA_E_CRYPTO, "dry");
}

static void without_randomness_nothing_is_made(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    const tdsa_rng rng = {dry, NULL};
    const mpc_recovery_making m = {
        run.g, &infos[0].context, 0, &run.key[0]->sec->share, run.key[0]->pub.cc, kit.cert};

    (void)state;
    assert_int_equal(mpc_recovery_make(&b, &m, &rng, &err), TDSA_E_CRYPTO);
    assert_int_equal(b.len, 0);
}

static void too_much_auxiliary_data_is_refused(void **state)
{
    static const uint8_t aux[MPC_RECOVERY_AUX_MAX + 1];
    mpc_recovery_context c;

    (void)state;
    assert_int_equal(mpc_recovery_context_of(&c, run.key[0], aux, sizeof aux, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(c.aux_len, 0);
    assert_int_equal(mpc_recovery_context_of(&c, run.key[0], aux, sizeof aux - 1, &err), TDSA_OK);
}

/* ---- verifying ---- */

static void another_certificate_is_told_from_a_wrong_proof(void **state)
{
    tdsa_rsa_cert *other = NULL;
    rsa_pair pair;

    (void)state;
    rsa_make_fit(&pair, 2048);
    assert_int_equal(tdsa_rsa_cert_new(&other, pair.der.data, pair.der.len, &err), TDSA_OK);
    assert_int_equal(mpc_recovery_verify_vartime(&infos[1], run.g, other, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(err.participant, 1);
    assert_int_equal(mpc_recovery_verify_cc(&infos[1], other, run.key[0]->pub.cc, &err),
                     TDSA_E_BAD_INPUT);
    tdsa_rsa_cert_free(other);
    rsa_pair_clear(&pair);
}

static void another_chain_code_is_seen_by_who_knows_it(void **state)
{
    static const uint8_t cc[32] = {1};
    mpc_recovery_info info = infos[1];

    (void)state;
    assert_int_equal(mpc_recovery_verify_cc(&info, kit.cert, cc, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 1);
    info.cc_sealed = infos[2].cc_sealed; /* for another participant */
    assert_int_equal(mpc_recovery_verify_cc(&info, kit.cert, run.key[0]->pub.cc, &err),
                     TDSA_E_PROTOCOL);
    assert_non_null(strstr(err.text, "does not hold the chain code"));
}

static void check_package(const mpc_recovery_info *package, size_t count, int who, const char *text)
{
    assert_int_equal(mpc_recovery_verify_package_vartime(package, count, run.g, kit.cert, &err),
                     TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, who);
    assert_non_null(strstr(err.text, text));
}

static void a_package_has_every_participant_once_and_one_context(void **state)
{
    TDSA_SCOPED_BUF other_bytes = TDSA_BUF_EMPTY;
    mpc_recovery_info package[3] = {infos[0], infos[1], infos[1]};

    (void)state;
    check_package(package, 3, 1, "twice");
    check_package(package, 2, 2, "missing");
    recovery_kit_make(&other_bytes, &run, 2, kit.cert, "vault 8");
    assert_int_equal(
        mpc_recovery_decode(&package[2], run.g, other_bytes.data, other_bytes.len, &err), TDSA_OK);
    check_package(package, 3, 2, "auxiliary data");
    assert_int_equal(mpc_recovery_verify_package_vartime(package, 0, run.g, kit.cert, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_recovery_verify_package_vartime(package, MPC_RECOVERY_INFOS_MAX + 1, run.g,
                                                         kit.cert, &err),
                     TDSA_E_BAD_INPUT);
}

static void a_wrong_proof_names_its_participant(void **state)
{
    uint8_t challenge[MPC_RECOVERY_REPETITIONS / 8];
    mpc_recovery_info package[3] = {infos[0], infos[1], infos[2]};

    (void)state;
    memcpy(challenge, infos[1].challenge, sizeof challenge);
    challenge[5] ^= 1;
    package[1].challenge = challenge;
    check_package(package, 3, 1, "the challenge is not that of the ciphertexts");
    package[1] = infos[1];
    package[1].opened = infos[0].opened;
    check_package(package, 3, 1, "the proof is wrong");
    package[1] = infos[1];
    package[1].kept = infos[0].kept;
    check_package(package, 3, 1, "the proof is wrong");
    package[1] = infos[1];
    package[1].sealed_len = 384;
    check_package(package, 3, 1, "ciphertexts of 384 bytes under a key of 256");
}

static void an_opened_value_is_a_canonical_scalar_and_splits_the_share(void **state)
{
    TDSA_SCOPED_BUF opened = TDSA_BUF_EMPTY;
    mpc_recovery_info package[3] = {infos[0], infos[1], infos[2]};
    const unsigned first_bit = infos[1].challenge[0] >> 7;

    (void)state;
    tdsa_buf_append(&opened, infos[1].opened, MPC_RECOVERY_REPETITIONS * 64);
    package[1].opened = opened.data;
    memset(opened.data, 0xff, 32);
    check_package(package, 3, 1, "no scalar");
    memset(opened.data, 0, 32); /* r = 0, or s = x_j: the point would be O */
    if (first_bit == 1) {
        grp_scalar_encode(run.g, opened.data, &run.key[1]->sec->share);
    }
    check_package(package, 3, 1, "does not split the share");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_info_says_what_it_is_about),
        cmocka_unit_test(a_package_verifies_without_a_private_key),
        cmocka_unit_test(every_curve_and_certificate_length_is_proved),
        cmocka_unit_test(two_infos_of_one_share_have_nothing_in_common),
        cmocka_unit_test(bytes_that_are_no_info_are_refused),
        cmocka_unit_test(an_info_of_another_curve_is_refused),
        cmocka_unit_test(public_shares_must_be_those_of_the_public_key),
        cmocka_unit_test(what_does_not_belong_together_is_not_made),
        cmocka_unit_test(without_randomness_nothing_is_made),
        cmocka_unit_test(too_much_auxiliary_data_is_refused),
        cmocka_unit_test(another_certificate_is_told_from_a_wrong_proof),
        cmocka_unit_test(another_chain_code_is_seen_by_who_knows_it),
        cmocka_unit_test(a_package_has_every_participant_once_and_one_context),
        cmocka_unit_test(a_wrong_proof_names_its_participant),
        cmocka_unit_test(an_opened_value_is_a_canonical_scalar_and_splits_the_share),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
