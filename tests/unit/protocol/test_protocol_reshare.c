#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_run.h"

/* Reshare and refresh that go well: the key stays, the shares do not, and the new ones sign. */

#define KEY_ID "ReshareKey000000000000000000"

static void set_up(protocol_run *r, uint16_t n, uint16_t t)
{
    run_init(r, GRP_P256, n, t, "reshare");
    r->policy.reshare = true;
    r->count = 1;
    assert_int_equal(run_keygen(r, KEY_ID), n);
}

static run_reshare_spec spec_of(uint16_t dealer_count, uint16_t n, uint16_t t)
{
    run_reshare_spec s = {.dealer_count = dealer_count, .n = n, .t = t};

    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        s.dealers[i] = i;
        s.members[i] = i;
    }
    return s;
}

static const mpc_key *old_key(const protocol_run *r, uint16_t i)
{
    return mpc_keygen_key(r->previous[i]);
}

/* The new epoch is one key: the old public key, shares on one polynomial of degree t. */
static void check_epoch(const protocol_run *r, const run_reshare_spec *s)
{
    const mpc_key *old = old_key(r, s->dealers[0]);

    for (size_t k = 0; k < s->n; k++) {
        const uint16_t i = s->members[k];
        const mpc_key *now = r->key[i];

        assert_non_null(now);
        assert_non_null(now->sec);
        assert_int_equal(now->pub.epoch, old->pub.epoch + 1);
        assert_int_equal(now->pub.n, s->n);
        assert_int_equal(now->pub.t, s->t);
        assert_true(mpc_key_is_member(&now->pub, i));
        assert_true(grp_point_equal(r->g, &now->pub.y, &old->pub.y));
        assert_memory_equal(now->pub.cc, old->pub.cc, 32);
        assert_memory_not_equal(now->pub.cluster_id, old->pub.cluster_id, 32);
        assert_memory_equal(now->pub.stored, r->key[s->members[0]]->pub.stored, 64);
        if (r->previous[i] != NULL) {
            assert_false(grp_scalar_equal(r->g, &now->sec->share, &old_key(r, i)->sec->share));
            assert_memory_not_equal(now->sec->sets[0].key, old_key(r, i)->sec->sets[0].key, 32);
        }
    }
}

/* A committee of the first 2t+1 members signs, and OpenSSL agrees. */
static void check_signs(protocol_run *r, const run_reshare_spec *s)
{
    uint8_t digest[32];
    mpc_signature sig;
    mpc_context ctx;
    mpc_request q;
    tdsa_err err;

    r->committee_count = (uint16_t)(2 * s->t + 1);
    memcpy(r->committee, s->members, sizeof r->committee);
    assert_int_equal(run_presign(r, 1, 1), r->committee_count);
    memset(digest, 0x5c, sizeof digest);
    q = run_request(r, 0, digest, sizeof digest);
    assert_int_equal(run_sign(r, &q, &sig, &ctx, &err), TDSA_OK);
    assert_true(run_openssl_verifies(r->g, &r->key[s->members[0]]->pub.y, digest, 32, &sig));
}

static void whole(protocol_run *r, const run_reshare_spec *s, size_t takes_part)
{
    assert_int_equal(run_reshare(r, s), takes_part);
    check_epoch(r, s);
    check_signs(r, s);
}

static void a_refresh_changes_every_share_and_nothing_else(void **state)
{
    const run_reshare_spec s = spec_of(3, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    for (unsigned epoch = 1; epoch <= 3; epoch++) {
        whole(&r, &s, 3);
        assert_int_equal(r.keygen[0]->kind, KEYGEN_REFRESH);
        assert_int_equal(r.key[0]->pub.epoch, epoch);
    }
    run_clear(&r);
}

static void a_member_that_lost_its_key_gets_a_new_share(void **state)
{
    run_reshare_spec s = spec_of(2, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    s.dealers[1] = 2;
    s.lost = 1u << 1;
    whole(&r, &s, 3);
    assert_int_equal(r.keygen[0]->kind, KEYGEN_RESHARE);
    run_clear(&r);
}

/* Another machine takes the place of participant 1: other identity keys, no key. */
static void a_replaced_member_gets_a_share(void **state)
{
    run_reshare_spec s = spec_of(2, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    s.dealers[1] = 2;
    s.lost = 1u << 1;
    memset(r.members[1].x25519, 0x77, sizeof r.members[1].x25519);
    whole(&r, &s, 3);
    assert_memory_equal(r.key[0]->pub.members[1].x25519, r.members[1].x25519, 32);
    run_clear(&r);
}

/* It was not asked to deal, and has its share: it is compared with what the dealers say. */
static void a_member_that_does_not_deal_gets_a_share(void **state)
{
    run_reshare_spec s = spec_of(2, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    whole(&r, &s, 3);
    run_clear(&r);
}

static void three_become_five(void **state)
{
    const run_reshare_spec s = spec_of(3, 5, 2);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    whole(&r, &s, 5);
    run_clear(&r);
}

static void five_become_three_with_gaps_and_five_again(void **state)
{
    run_reshare_spec s = spec_of(5, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 5, 2);
    s.members[1] = 2;
    s.members[2] = 4;
    whole(&r, &s, 5);
    assert_null(r.key[1]->sec); /* it leaves: the public half is all that it keeps */
    assert_null(r.key[3]->sec);
    assert_true(grp_point_equal(r.g, &r.key[1]->pub.y, &r.key[0]->pub.y));
    memcpy(s.dealers, s.members, sizeof s.dealers);
    s.dealer_count = 3;
    whole(&r, &s, 3); /* a refresh with gaps */
    assert_int_equal(r.keygen[0]->kind, KEYGEN_REFRESH);
    s.n = 5;
    s.t = 2;
    for (uint16_t i = 0; i < 5; i++) {
        s.members[i] = (uint16_t)(2 * i);
    }
    whole(&r, &s, 5);
    run_clear(&r);
}

static void a_key_moves_to_others_altogether(void **state)
{
    run_reshare_spec s = spec_of(3, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    for (uint16_t i = 0; i < 3; i++) {
        s.members[i] = (uint16_t)(4 + 2 * i);
    }
    whole(&r, &s, 6);
    run_clear(&r);
}

static void the_threshold_changes(void **state)
{
    run_reshare_spec s = spec_of(5, 5, 2);
    protocol_run r;

    (void)state;
    set_up(&r, 5, 1);
    whole(&r, &s, 5);
    s.t = 1;
    whole(&r, &s, 5);
    run_clear(&r);
}

static void seven_refresh_in_any_order_of_arrival(void **state)
{
    const run_reshare_spec s = spec_of(7, 7, 3);
    protocol_run r;

    (void)state;
    set_up(&r, 7, 3);
    r.reverse = true;
    whole(&r, &s, 7);
    run_clear(&r);
}

/* Shares of two epochs are of two polynomials: t of each are worth nothing together. */
static void shares_of_two_epochs_do_not_fit(void **state)
{
    const run_reshare_spec s = spec_of(3, 3, 1);
    static const uint16_t both[] = {0, 1};
    grp_scalar lambda[2];
    grp_scalar x;
    grp_scalar part;
    grp_point y;
    protocol_run r;
    tdsa_err err;

    (void)state;
    set_up(&r, 3, 1);
    whole(&r, &s, 3);
    grp_lagrange(r.g, lambda, both, 2);
    grp_scalar_mul(r.g, &x, &lambda[0], &old_key(&r, 0)->sec->share);
    grp_scalar_mul(r.g, &part, &lambda[1], &r.key[1]->sec->share);
    grp_scalar_add(r.g, &x, &x, &part);
    assert_int_equal(grp_mul_base(r.g, &y, &x, &err), TDSA_OK);
    assert_false(grp_point_equal(r.g, &y, &r.key[0]->pub.y));
    run_clear(&r);
}

static void secp256k1_is_reshared_too(void **state)
{
    run_reshare_spec s = spec_of(2, 4, 1);
    protocol_run r;

    (void)state;
    run_init(&r, GRP_SECP256K1, 3, 1, "reshare k1");
    r.policy.reshare = true;
    r.count = 1;
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    whole(&r, &s, 4);
    run_clear(&r);
}

static void every_curve_and_scheme_is_reshared(void **state)
{
    static const struct {
        grp_curve curve;
        mpc_scheme scheme;
    } each[] = {{GRP_P384, MPC_SCHEME_ECDSA},
                {GRP_P521, MPC_SCHEME_ECDSA},
                {GRP_ED25519, MPC_SCHEME_EDDSA},
                {GRP_SECP256K1, MPC_SCHEME_BIP340}};

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        run_reshare_spec s = spec_of(2, 4, 1);
        protocol_run r;

        run_init(&r, each[i].curve, 3, 1, "reshare each");
        r.scheme = each[i].scheme;
        if (each[i].scheme != MPC_SCHEME_ECDSA) {
            r.policy.purpose = MPC_PURPOSE_MESSAGE;
            r.policy.digests = 1u << TDSA_HASH_NONE;
        }
        r.policy.reshare = true;
        assert_int_equal(run_keygen(&r, KEY_ID), 3);
        assert_int_equal(run_reshare(&r, &s), 4);
        check_epoch(&r, &s);
        s = spec_of(4, 4, 1);
        assert_int_equal(run_reshare(&r, &s), 4); /* a refresh */
        check_epoch(&r, &s);
        run_clear(&r);
    }
}

/* The members of a key need not be 0..n-1 from the start. */
static void a_key_of_any_members_is_made_and_signs(void **state)
{
    run_reshare_spec s = {.n = 3, .t = 1, .members = {1, 4, 8}};
    mpc_member members[3];
    protocol_run r;

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "gaps");
    r.count = 1;
    for (uint16_t k = 0; k < 3; k++) {
        members[k] = r.members[s.members[k]];
    }
    for (uint16_t k = 0; k < 3; k++) {
        const uint16_t i = s.members[k];
        mpc_keygen_cfg cfg = run_keygen_cfg(&r, i, KEY_ID);

        cfg.members = members;
        assert_int_equal(mpc_keygen_new(&r.keygen[i], &cfg, &r.err[i]), TDSA_OK);
    }
    assert_int_equal(run_keygen_drive(&r), 3);
    check_signs(&r, &s);
    run_clear(&r);
}

/* Records of a key with gaps, and of one who left: there and back. */
static void records_of_members_with_gaps_come_back(void **state)
{
    run_reshare_spec s = spec_of(3, 3, 1);
    protocol_run r;

    (void)state;
    set_up(&r, 3, 1);
    s.members[1] = 4;
    s.members[2] = 7;
    whole(&r, &s, 5);
    for (uint16_t i = 0; i < 5; i++) {
        TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
        TDSA_SCOPED_SECRET secret = NULL;
        mpc_key *back = NULL;
        tdsa_err err;

        if (i == 3) {
            continue;
        }
        mpc_key_encode_public(&pub, r.key[i]);
        if (r.key[i]->sec != NULL) {
            assert_int_equal(mpc_key_encode_secret(&secret, r.key[i], &err), TDSA_OK);
        }
        assert_int_equal(mpc_key_decode(&back, r.g, pub.data, pub.len, secret, &err), TDSA_OK);
        assert_int_equal(back->pub.me, i);
        for (size_t k = 0; k < 3; k++) {
            assert_true(
                grp_point_equal(r.g, &back->pub.x[s.members[k]], &r.key[0]->pub.x[s.members[k]]));
            if (secret != NULL && s.members[k] != i) {
                assert_memory_equal(back->sec->pairs[s.members[k]],
                                    r.key[i]->sec->pairs[s.members[k]], 32);
            }
        }
        mpc_key_free(back);
    }
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_changes_every_share_and_nothing_else),
        cmocka_unit_test(a_member_that_lost_its_key_gets_a_new_share),
        cmocka_unit_test(a_replaced_member_gets_a_share),
        cmocka_unit_test(a_member_that_does_not_deal_gets_a_share),
        cmocka_unit_test(three_become_five),
        cmocka_unit_test(five_become_three_with_gaps_and_five_again),
        cmocka_unit_test(a_key_moves_to_others_altogether),
        cmocka_unit_test(the_threshold_changes),
        cmocka_unit_test(seven_refresh_in_any_order_of_arrival),
        cmocka_unit_test(shares_of_two_epochs_do_not_fit),
        cmocka_unit_test(secp256k1_is_reshared_too),
        cmocka_unit_test(every_curve_and_scheme_is_reshared),
        cmocka_unit_test(a_key_of_any_members_is_made_and_signs),
        cmocka_unit_test(records_of_members_with_gaps_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
