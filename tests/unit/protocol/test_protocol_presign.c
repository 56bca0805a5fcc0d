#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/presign_internal.h"
#include "support/protocol_tamper.h"

/* Presignatures with exactly one wrong value: who is blamed, and that no batch comes out. */

#define KEY_ID "PresignKey000000000000000000"

enum { R_NONCE, R_POINTS, R_LIST };

/* "R" and its header, beta, index, header of the points. */
enum { R_BETA = 6 + 5, R_INDEX = R_BETA + 32 + 5 + 7, R_FIRST = R_INDEX + 1 + 5 };

typedef struct {
    protocol_run r;
    tamper t; /* from 1 to 0 unless the test says otherwise */
} fixture;

static void set_up(fixture *f, grp_curve curve, uint16_t n, uint16_t t)
{
    run_init(&f->r, curve, n, t, "presign negative");
    assert_int_equal(run_keygen(&f->r, KEY_ID), n);
    f->t = (tamper){.step = STEP_PRESIGN, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
}

static void assert_dead(const protocol_run *r, uint16_t who, int culprit, const char *text)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(r->status[who], TDSA_E_PROTOCOL);
    assert_int_equal(r->err[who].participant, culprit);
    if (strstr(r->err[who].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, r->err[who].text);
    }
    assert_null(r->batch[who]);
    assert_int_equal(mpc_presign_data(r->presign[who], &out, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_send(r->presign[who], who == 0 ? 1 : 0, &out, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_advance(r->presign[who], &err), TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
}

/* One tampered message from 1 to 0. In the last round the others have finished; else nobody has. */
static void fails(fixture *f, int culprit, const char *text)
{
    f->t.hits = 0;
    assert_int_equal(run_presign(&f->r, 1, 1),
                     f->t.round == R_LIST ? f->r.committee_count - 1u : 0u);
    assert_int_equal(f->t.hits, 1);
    assert_dead(&f->r, 0, culprit, text);
}

static void exact_length_before_anything(void **state)
{
    static const tamper_kind kinds[] = {TAMPER_CUT, TAMPER_APPEND};
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    for (unsigned round = 0; round < MPC_PRESIGN_ROUNDS; round++) {
        for (size_t i = 0; i < 2; i++) {
            f.t.round = round;
            f.t.kind = kinds[i];
            fails(&f, 1, "bytes, ");
        }
        f.t.kind = TAMPER_FLIP;
        f.t.offset = 5; /* the tag */
        fails(&f, 1, "malformed");
        f.t.offset = 0;
    }
    run_clear(&f.r);
}

/* One member means another batch. */
static void every_field_of_the_batch_is_compared(void **state)
{
    static const char *const names[] = {"lane", "seq", "form of points"};
    fixture f;

    (void)state;
    set_up(&f, GRP_SECP256K1, 4, 1);
    f.r.hook = NULL;
    for (size_t field = 0; field < 3; field++) {
        for (uint16_t i = 0; i < 3; i++) {
            mpc_presign_cfg cfg = run_presign_cfg(&f.r, i, 1, 1);

            cfg.lane += i == 1 && field == 0;
            cfg.seq += i == 1 && field == 1;
            cfg.compressed_wire = !(i == 1 && field == 2);
            mpc_presign_free(f.r.presign[i]);
            f.r.presign[i] = NULL;
            assert_int_equal(mpc_presign_new(&f.r.presign[i], &cfg, &f.r.err[i]), TDSA_OK);
            f.r.status[i] = TDSA_OK;
        }
        assert_int_equal(run_presign_drive(&f.r), 0);
        assert_dead(&f.r, 0, 1, names[field]);
        assert_dead(&f.r, 2, 1, names[field]);
        assert_dead(&f.r, 1, 0, names[field]);
    }
    run_clear(&f.r);
}

static void key_epoch_count_and_committee_are_compared(void **state)
{
    /* offsets of a byte of each field in the message: tag 6, key id 5+28, uints 13 each */
    static const struct {
        size_t at;
        const char *name;
    } fields[] = {{6 + 5, "key id"},
                  {39 + 12, "epoch"},
                  {52 + 12, "lane"},
                  {65 + 12, "seq"},
                  {78 + 12, "count"},
                  {91 + 5 + 12, "committee"},
                  {91 + 5 + 39 + 12, "form of points"}};
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_NONCE;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        f.t.offset = fields[i].at;
        fails(&f, 1, fields[i].name);
    }
    run_clear(&f.r);
}

/* 1 tells 0 another nonce: labels differ, so its R_j and those of 2 do not belong to 0's batch. */
static void a_split_nonce_gives_another_beta(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_NONCE;
    f.t.from_end = true;
    f.t.offset = 1;
    fails(&f, TDSA_NOBODY, "other labels");
    run_clear(&f.r);
}

static void points_of_another_batch_or_sender_are_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_POINTS;
    f.t.offset = R_BETA;
    fails(&f, TDSA_NOBODY, "other labels");
    f.t.offset = R_INDEX;
    fails(&f, 1, "another sender");
    run_clear(&f.r);
}

static void a_bad_point_is_blamed(void **state)
{
    fixture f;

    (void)state;
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        set_up(&f, (grp_curve)curve, 3, 1);
        f.t.round = R_POINTS;
        f.t.kind = TAMPER_FILL;
        f.t.offset = R_FIRST + 33; /* the second presignature */
        f.t.len = 33;
        f.t.value = 0; /* no identity */
        fails(&f, 1, "participant 1");
        f.t.offset++;
        f.t.len = 32;
        f.t.value = 0xff; /* x not canonical */
        fails(&f, 1, "participant 1");
        f.t.offset--;
        f.t.len = 1;
        f.t.value = 4; /* another form */
        fails(&f, 1, "participant 1");
        f.r.compressed_wire = false;
        f.t.kind = TAMPER_FLIP;
        f.t.len = 0;
        f.t.offset = R_FIRST + 64; /* not on the curve */
        fails(&f, 1, "participant 1");
        f.t.kind = TAMPER_FILL;
        f.t.offset = R_FIRST;
        f.t.len = 1;
        f.t.value = 7; /* hybrid form */
        fails(&f, 1, "participant 1");
        run_clear(&f.r);
    }
}

/* A valid point that is not k_j*G: the honest points fix the polynomial. */
static void a_point_off_the_polynomial_aborts(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_POINTS;
    f.t.offset = R_FIRST; /* 02 <-> 03: -R_j */
    fails(&f, TDSA_NOBODY, "R_j of presignature 0");
    f.t.offset = R_FIRST + 2 * 33;
    fails(&f, TDSA_NOBODY, "R_j of presignature 2");
    run_clear(&f.r);
    set_up(&f, GRP_SECP256K1, 5, 2);
    f.t.round = R_POINTS;
    f.t.offset = R_FIRST + 33;
    fails(&f, TDSA_NOBODY, "R_j of presignature 1");
    run_clear(&f.r);
    set_up(&f, GRP_P256, 4, 1);
    f.r.committee[1] = 1;
    f.r.committee[2] = 3;
    f.t.round = R_POINTS;
    f.t.offset = R_FIRST;
    fails(&f, TDSA_NOBODY, "R_j of presignature 0");
    run_clear(&f.r);
}

/* A liar that swaps two of its own points passes each alone but not with the others. */
static void swapped_points_abort(void **state)
{
    fixture f;
    fixture first;
    uint8_t swap[33];

    (void)state;
    set_up(&first, GRP_P256, 3, 1);
    first.t.round = R_POINTS;
    first.r.hook = record_hook;
    assert_int_equal(run_presign(&first.r, 1, 1), 3);
    memcpy(swap, first.t.bytes.data + R_FIRST, 33);
    memcpy(first.t.bytes.data + R_FIRST, first.t.bytes.data + R_FIRST + 33, 33);
    memcpy(first.t.bytes.data + R_FIRST + 33, swap, 33);
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_POINTS;
    f.t.kind = TAMPER_REPLACE;
    f.t.bytes = first.t.bytes;
    fails(&f, TDSA_NOBODY, "R_j of presignature 0");
    tdsa_buf_clear(&first.t.bytes);
    run_clear(&first.r);
    run_clear(&f.r);
}

/* R and F(R) are checked: all members together send R_j that interpolate to the identity. */
static void an_identity_nonce_point_aborts(void **state)
{
    fixture f;
    grp_scalar one;
    grp_point p[3];
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_LIST;
    assert_int_equal(run_presign(&f.r, 1, 1), 2);
    grp_scalar_set_u64(f.r.g, &one, 1);
    for (uint64_t i = 0; i < 3; i++) { /* f(x) = x: R = f(0)*G = O */
        grp_scalar_set_u64(f.r.g, &one, i + 1);
        assert_int_equal(grp_mul_base(f.r.g, &p[i], &one, &err), TDSA_OK);
    }
    free(f.r.presign[0]->r_list);
    f.r.presign[0]->points = calloc(9, sizeof p[0]);
    assert_non_null(f.r.presign[0]->points);
    for (size_t i = 0; i < 9; i++) {
        f.r.presign[0]->points[i] = p[i / 3];
    }
    assert_int_equal(presign_end_r(f.r.presign[0], &err), TDSA_E_PROTOCOL);
    assert_non_null(strstr(err.text, "is the identity"));
    run_clear(&f.r);
}

/* ---- two points per presignature ---- */

static void set_up_two(fixture *f, uint16_t n, uint16_t t)
{
    run_init_scheme(&f->r, GRP_SECP256K1, MPC_SCHEME_BIP340, n, t, "presign two points");
    assert_int_equal(run_keygen(&f->r, KEY_ID), n);
    f->t = (tamper){.step = STEP_PRESIGN, .from = 1, .to = 0};
    f->r.hook_ctx = &f->t;
}

/* D_j and E_j of the members are shares of d*G and e*G, in this order, for each presignature. */
static void two_points_are_opened_for_schnorr_schemes(void **state)
{
    fixture f;
    grp_point opened[PRESIGN_POINTS_MAX];
    tdsa_err err;

    (void)state;
    set_up_two(&f, 5, 2);
    assert_int_equal(run_presign(&f.r, 1, 1), 5);
    for (uint32_t index = 0; index < f.r.count; index++) {
        assert_int_equal(batch_points(opened, f.r.batch[4], index, &err), TDSA_OK);
        for (size_t which = 0; which < 2; which++) {
            grp_scalar share[5];
            grp_point p[5];
            grp_point sum;

            for (size_t j = 0; j < 5; j++) {
                assert_int_equal(
                    grp_prss_shares(f.r.batch[j]->stream[which], &share[j], index, 1, &err),
                    TDSA_OK);
                assert_int_equal(grp_mul_base(f.r.g, &p[j], &share[j], &err), TDSA_OK);
            }
            assert_int_equal(grp_consist_vartime(f.r.g, p, f.r.committee, 5, 2, &err), TDSA_OK);
            assert_int_equal(grp_interpolate_vartime(f.r.g, &sum, p, f.r.committee, 3, &err),
                             TDSA_OK);
            assert_true(grp_point_equal(f.r.g, &sum, &opened[which]));
        }
        assert_false(grp_point_equal(f.r.g, &opened[0], &opened[1]));
    }
    run_clear(&f.r);
}

static void either_point_off_the_polynomial_aborts(void **state)
{
    fixture f;

    (void)state;
    set_up_two(&f, 3, 1);
    f.r.hook = tamper_hook;
    f.t.round = R_POINTS;
    f.t.offset = R_FIRST;
    fails(&f, TDSA_NOBODY, "R_j of presignature 0");
    f.t.offset = R_FIRST + 33;
    fails(&f, TDSA_NOBODY, "R_j of presignature 0");
    f.t.offset = R_FIRST + 3 * 33;
    fails(&f, TDSA_NOBODY, "R_j of presignature 1");
    f.t.offset = 0;
    f.t.kind = TAMPER_CUT;
    fails(&f, 1, "bytes, ");
    run_clear(&f.r);
}

static void neither_point_may_be_the_identity(void **state)
{
    fixture f;
    tdsa_err err;

    (void)state;
    for (size_t which = 0; which < 2; which++) {
        mpc_presign *run = NULL;

        set_up_two(&f, 3, 1);
        f.r.hook = tamper_hook;
        f.t.round = R_LIST;
        f.t.kind = TAMPER_CUT;
        assert_int_equal(run_presign(&f.r, 1, 1), 2);
        run = f.r.presign[0];
        free(run->r_list);
        run->points = calloc(18, sizeof run->points[0]);
        assert_non_null(run->points);
        for (uint64_t i = 0; i < 18; i++) { /* f(x) = x is 0 at 0, f(x) = 1 is not */
            grp_scalar v;

            grp_scalar_set_u64(f.r.g, &v, i % 2 == which ? i / 6 + 1 : 1);
            assert_int_equal(grp_mul_base(f.r.g, &run->points[i], &v, &err), TDSA_OK);
        }
        assert_int_equal(presign_end_r(run, &err), TDSA_E_PROTOCOL);
        assert_non_null(strstr(err.text, "is the identity"));
        run_clear(&f.r);
    }
}

static void different_lists_void_the_batch(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.t.round = R_LIST;
    f.t.from_end = true;
    f.t.offset = 1;
    fails(&f, TDSA_NOBODY, "participants 1 and 0 hold different lists");
    run_clear(&f.r);
}

static void each_label_is_new(void **state)
{
    fixture f;
    uint8_t beta[32];

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.r.hook = NULL;
    assert_int_equal(run_presign(&f.r, 1, 1), 3);
    memcpy(beta, mpc_batch_beta(f.r.batch[0]), sizeof beta);
    assert_int_equal(run_presign(&f.r, 1, 1), 3); /* the same seq: fresh nonces all the same */
    assert_memory_not_equal(beta, mpc_batch_beta(f.r.batch[0]), sizeof beta);
    run_clear(&f.r);
}

static void who_may_speak_and_when(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    mpc_presign *run[2];
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, 4, 1);
    for (uint16_t i = 0; i < 2; i++) {
        const mpc_presign_cfg cfg = run_presign_cfg(&f.r, i, 1, 1);

        assert_int_equal(mpc_presign_new(&run[i], &cfg, &err), TDSA_OK);
    }
    assert_int_equal(mpc_presign_send(run[1], 0, &m, &err), TDSA_OK);
    assert_int_equal(mpc_presign_take(run[0], 3, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_take(run[0], 0, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_take(run[0], 1, m.data, m.len, &err), TDSA_OK);
    assert_true(mpc_presign_has(run[0], 1));
    assert_int_equal(mpc_presign_take(run[0], 1, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_send(run[0], 3, &m, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_presign_send(run[0], 0, &m, &err), TDSA_E_BAD_INPUT);
    assert_false(mpc_presign_round_complete(run[0]));
    assert_int_equal(mpc_presign_advance(run[0], &err), TDSA_E_BAD_INPUT);
    tdsa_buf_reset(&m);
    assert_int_equal(mpc_presign_data(run[0], &m, &err), TDSA_E_BAD_INPUT);
    mpc_presign_free(run[0]);
    mpc_presign_free(run[1]);
    run_clear(&f.r);
}

static void refused(const mpc_presign_cfg *cfg, const char *text)
{
    mpc_presign *run = NULL;
    tdsa_err err;

    assert_int_equal(mpc_presign_new(&run, cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(run);
    assert_non_null(strstr(err.text, text));
}

static void wrong_configurations_are_refused(void **state)
{
    fixture f;
    mpc_presign_cfg good;
    mpc_presign_cfg cfg;
    mpc_key no_secret;

    (void)state;
    set_up(&f, GRP_P256, 4, 1);
    good = run_presign_cfg(&f.r, 1, 1, 1);
    cfg = good;
    cfg.count = 0;
    refused(&cfg, "a batch of 0");
    cfg.count = MPC_PRESIGN_COUNT_MAX + 1;
    refused(&cfg, "a batch of 1025");
    cfg = good;
    cfg.committee[0] = 2; /* does not ascend */
    refused(&cfg, "committee");
    cfg = good;
    cfg.committee[1] = 0; /* twice */
    refused(&cfg, "committee");
    cfg = good;
    cfg.committee[1] = 2;
    cfg.committee[2] = 3; /* without me */
    refused(&cfg, "participant 1 among them");
    cfg = good;
    cfg.committee[2] = 4; /* no such participant */
    refused(&cfg, "committee");
    cfg = good;
    no_secret = *f.r.key[1];
    no_secret.sec = NULL;
    cfg.key = &no_secret;
    refused(&cfg, "secret half");
    run_clear(&f.r);
}

/* ---- batches from stored data ---- */

static void batch_refused(const fixture *f, const tdsa_buf *data, uint32_t count)
{
    mpc_batch *b = NULL;
    tdsa_err err;

    assert_int_equal(mpc_batch_new(&b, f->r.key[0], mpc_batch_beta(f->r.batch[0]), count,
                                   data->data, data->len, &err),
                     TDSA_E_BAD_INPUT);
    assert_null(b);
}

static void damaged_batch_data_is_refused(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF d = TDSA_BUF_EMPTY;

    (void)state;
    set_up(&f, GRP_P256, 3, 1);
    f.r.hook = NULL;
    assert_int_equal(run_presign(&f.r, 1, 1), 3);
    tdsa_buf_append(&d, f.r.data[0].data, f.r.data[0].len);
    batch_refused(&f, &d, 2);
    batch_refused(&f, &d, 4);
    batch_refused(&f, &d, 0);
    batch_refused(&f, &d, UINT32_MAX);
    d.len--;
    batch_refused(&f, &d, 3);
    d.len++;
    tdsa_buf_append_u8(&d, 0);
    batch_refused(&f, &d, 3);
    d.len--;
    d.data[15 + 5 + 12] = 1; /* the committee 1, 1, 2 */
    batch_refused(&f, &d, 3);
    d.data[5] ^= 1;
    batch_refused(&f, &d, 3);
    d.len = 0;
    batch_refused(&f, &d, 3);
    run_clear(&f.r);
}

static void a_batch_tells_what_it_is(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, 4, 1);
    f.r.hook = NULL;
    f.r.committee[2] = 3;
    assert_int_equal(run_presign(&f.r, 1, 1), 3);
    assert_int_equal(mpc_batch_count(f.r.batch[3]), 3);
    assert_int_equal(mpc_batch_committee(f.r.batch[3])[2], 3);
    assert_memory_equal(mpc_batch_beta(f.r.batch[3]), mpc_presign_beta(f.r.presign[0]), 32);
    mpc_batch_free(NULL);
    mpc_presign_free(NULL);
    mpc_keygen_free(NULL);
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_length_before_anything),
        cmocka_unit_test(every_field_of_the_batch_is_compared),
        cmocka_unit_test(key_epoch_count_and_committee_are_compared),
        cmocka_unit_test(a_split_nonce_gives_another_beta),
        cmocka_unit_test(points_of_another_batch_or_sender_are_refused),
        cmocka_unit_test(a_bad_point_is_blamed),
        cmocka_unit_test(a_point_off_the_polynomial_aborts),
        cmocka_unit_test(swapped_points_abort),
        cmocka_unit_test(an_identity_nonce_point_aborts),
        cmocka_unit_test(two_points_are_opened_for_schnorr_schemes),
        cmocka_unit_test(either_point_off_the_polynomial_aborts),
        cmocka_unit_test(neither_point_may_be_the_identity),
        cmocka_unit_test(different_lists_void_the_batch),
        cmocka_unit_test(each_label_is_new),
        cmocka_unit_test(who_may_speak_and_when),
        cmocka_unit_test(wrong_configurations_are_refused),
        cmocka_unit_test(damaged_batch_data_is_refused),
        cmocka_unit_test(a_batch_tells_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
