#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack/fields.h"
#include "attack/hostile.h"
#include "attack/weak.h"
#include "base/statement.h"
#include "support/protocol_tamper.h"

/*
 * Every field of every message, replaced by everything that it must not be. Whoever receives it
 * refuses and blames the sender or nobody, never an honest participant; no two honest ones end with
 * different keys or lists; nobody crashes; the next honest run works.
 */

#define KEY_ID "HostileKey000000000000000000"

enum { LIAR = 1, ROUNDS_MAX = 8 };

typedef struct {
    protocol_run r;
    run_step step;
    tdsa_buf mine[ROUNDS_MAX], other[ROUNDS_MAX], earlier[ROUNDS_MAX]; /* of an honest run, to 0 */
    /* the change under way */
    unsigned round;
    size_t which;
    field_change change;
    bool to_all; /* everybody is told the same lie; else only participant 0 */
    bool applied;
    size_t runs, refused, finished;
} campaign;

/* Keeps what 1 and 2 send to 0. */
static void record(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                   tdsa_buf *m)
{
    campaign *c = ctx;
    tdsa_buf *keep = from == LIAR ? &c->mine[round] : &c->other[round];

    if (step == c->step && to == 0 && (from == LIAR || from == 2)) {
        tdsa_buf_reset(keep);
        tdsa_buf_append(keep, m->data, m->len);
    }
}

static void change(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                   tdsa_buf *m)
{
    campaign *c = ctx;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;

    if (step != c->step || round != c->round || from != LIAR || (!c->to_all && to != 0)) {
        return;
    }
    if (field_apply(&changed, c->r.g, m, c->which, c->change, &c->other[round],
                    &c->earlier[round])) {
        c->applied = true;
        tdsa_buf_reset(m);
        tdsa_buf_append(m, changed.data, changed.len);
    }
}

static const char *what(const campaign *c)
{
    static char text[96];

    (void)snprintf(text, sizeof text, "round %u, field %zu, %s, to %s", c->round, c->which,
                   field_change_name(c->change), c->to_all ? "all" : "one");
    return text;
}

/* Errors of honest participants after a changed message. */
static void check_errors(const campaign *c)
{
    for (uint16_t i = 0; i < c->r.n; i++) {
        const int blamed = c->r.err[i].participant;

        if (i == LIAR || c->r.status[i] == TDSA_OK) {
            continue;
        }
        if (c->r.status[i] != TDSA_E_PROTOCOL) {
            fail_msg("%s: participant %u ends with %s: %s", what(c), i,
                     tdsa_status_name(c->r.status[i]), c->r.err[i].text);
        }
        if (blamed != TDSA_NOBODY && blamed != LIAR) {
            fail_msg("%s: participant %u blames %d: %s", what(c), i, blamed, c->r.err[i].text);
        }
    }
}

/* ---- key generation ---- */

static void run_changed_keygen(campaign *c)
{
    const mpc_key *first = NULL;
    size_t keys = 0;

    c->applied = false;
    (void)run_keygen(&c->r, KEY_ID);
    if (!c->applied) {
        return;
    }
    c->runs++;
    check_errors(c);
    for (uint16_t i = 0; i < c->r.n; i++) {
        const mpc_key *k = c->r.key[i];

        if (i == LIAR || k == NULL) {
            continue;
        }
        keys++;
        first = first == NULL ? k : first;
        if (memcmp(k->pub.stored, first->pub.stored, sizeof k->pub.stored) != 0 ||
            !grp_point_equal(c->r.g, &k->pub.y, &first->pub.y)) {
            fail_msg("%s: two keys", what(c));
        }
    }
    if (!c->to_all && c->r.key[0] != NULL) {
        fail_msg("%s: not noticed", what(c));
    }
    if (keys == c->r.n - 1u) {
        c->finished++;
        honest_run_still_signs(&c->r, 1);
        c->r.hook = change;
    } else {
        c->refused++;
    }
}

/* ---- presignatures ---- */

static void run_changed_presign(campaign *c)
{
    static uint64_t seq = 10;
    const tdsa_buf *first = NULL;
    const size_t lists = c->r.committee_count - 1u;
    size_t done = 0;

    c->applied = false;
    seq++;
    (void)run_presign(&c->r, 1, seq);
    if (!c->applied) {
        return;
    }
    c->runs++;
    check_errors(c);
    for (uint16_t i = 0; i < c->r.n; i++) {
        const tdsa_buf *data = &c->r.data[i];

        if (i == LIAR || c->r.batch[i] == NULL) {
            continue;
        }
        done++;
        first = first == NULL ? data : first;
        if (data->len != first->len || memcmp(data->data, first->data, data->len) != 0) {
            fail_msg("%s: two lists", what(c));
        }
    }
    if (!c->to_all && c->r.batch[0] != NULL) {
        fail_msg("%s: not noticed", what(c));
    }
    if (done == lists) {
        c->finished++;
    } else {
        c->refused++;
    }
}

/* ---- the campaign ---- */

static void every_change(campaign *c, unsigned rounds, void (*run)(campaign *c))
{
    field all[FIELDS_MAX];

    c->r.hook = change;
    c->r.hook_ctx = c;
    for (c->round = 0; c->round < rounds; c->round++) {
        const size_t count = fields_of(all, c->r.g, &c->mine[c->round]);

        for (c->which = 0; c->which < count; c->which++) {
            for (int k = 0; k < CHANGE_END; k++) {
                c->change = (field_change)k;
                c->to_all = false;
                run(c);
                c->to_all = c->applied; /* what does not apply to one does not apply to all */
                if (c->applied) {
                    run(c);
                }
            }
        }
    }
}

static void clear(campaign *c)
{
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        tdsa_buf_clear(&c->mine[i]);
        tdsa_buf_clear(&c->other[i]);
        tdsa_buf_clear(&c->earlier[i]);
    }
    run_clear(&c->r);
}

/* Two honest runs: the first is the other session. */
static void record_sessions(campaign *c,
                            size_t (*run)(protocol_run *r, uint64_t lane, uint64_t seq))
{
    c->r.hook = record;
    c->r.hook_ctx = c;
    for (uint64_t seq = 1; seq <= 2; seq++) {
        for (size_t i = 0; i < ROUNDS_MAX; i++) {
            tdsa_buf_reset(&c->earlier[i]);
            tdsa_buf_append(&c->earlier[i], c->mine[i].data, c->mine[i].len);
        }
        assert_true(run(&c->r, 1, seq) > 0);
    }
}

static size_t any_keygen(protocol_run *r, uint64_t lane, uint64_t seq)
{
    (void)lane;
    (void)seq;
    return run_keygen(r, KEY_ID);
}

static void keygen_campaign(grp_curve curve, mpc_scheme scheme, uint16_t n, uint16_t t)
{
    campaign *c = calloc(1, sizeof *c);

    assert_non_null(c);
    weak_off();
    run_init_scheme(&c->r, curve, scheme, n, t, "fields");
    c->step = STEP_KEYGEN;
    record_sessions(c, any_keygen);
    every_change(c, MPC_KEYGEN_ROUNDS, run_changed_keygen);
    print_message("%zu changed key generations: %zu refused, %zu ended well\n", c->runs, c->refused,
                  c->finished);
    assert_true(c->refused > 1000);
    clear(c);
    free(c);
}

static void presign_campaign(grp_curve curve, mpc_scheme scheme, bool compressed)
{
    campaign *c = calloc(1, sizeof *c);

    assert_non_null(c);
    weak_off();
    run_init_scheme(&c->r, curve, scheme, 3, 1, "fields");
    c->step = STEP_PRESIGN;
    c->r.compressed_wire = compressed;
    assert_int_equal(run_keygen(&c->r, KEY_ID), 3);
    record_sessions(c, run_presign);
    every_change(c, MPC_PRESIGN_ROUNDS, run_changed_presign);
    print_message("%zu changed presignature runs: %zu refused, %zu ended well\n", c->runs,
                  c->refused, c->finished);
    assert_true(c->refused > 200);
    if (scheme == MPC_SCHEME_ECDSA) {
        honest_run_still_signs(&c->r, 1000000);
    }
    clear(c);
    free(c);
}

static void every_field_of_key_generation_is_checked(void **state)
{
    (void)state;
    keygen_campaign(GRP_P256, MPC_SCHEME_ECDSA, 3, 1);
}

static void every_field_of_presigning_is_checked(void **state)
{
    (void)state;
    presign_campaign(GRP_SECP256K1, MPC_SCHEME_ECDSA, true);
    presign_campaign(GRP_P256, MPC_SCHEME_ECDSA, false);
}

static void every_field_of_schnorr_keys_is_checked(void **state)
{
    (void)state;
    keygen_campaign(GRP_ED25519, MPC_SCHEME_EDDSA, 3, 1);
    presign_campaign(GRP_ED25519, MPC_SCHEME_EDDSA, true);
    presign_campaign(GRP_SECP256K1, MPC_SCHEME_BIP340, true);
}

/* ---- signing ---- */

static void every_field_of_a_reply_is_checked(void **state)
{
    static const uint8_t digest[32] = {8};
    TDSA_SCOPED_BUF earlier = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    hostile_answer a[3];
    field all[FIELDS_MAX];
    protocol_run r;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, NULL);
    mpc_request q = run_request(&r, 0, digest, sizeof digest);
    assert_int_equal(hostile_ask(&r, LIAR, &q, &a[0], &err), TDSA_OK);
    tdsa_buf_append(&earlier, a[0].bytes.data, a[0].bytes.len);
    hostile_answer_clear(&a[0]);
    q = run_request(&r, 1, digest, sizeof digest);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(hostile_ask(&r, i, &q, &a[i], &err), TDSA_OK);
    }
    const size_t count = fields_of(all, r.g, &a[LIAR].bytes);
    for (size_t which = 0; which < count; which++) {
        for (int k = 0; k < CHANGE_END; k++) {
            mpc_combine *c = NULL;
            mpc_signature sig;
            tdsa_status st;

            if (!field_apply(&changed, r.g, &a[LIAR].bytes, which, (field_change)k, &a[2].bytes,
                             &earlier)) {
                continue;
            }
            assert_int_equal(mpc_combine_new(&c, r.key[0], r.batch[0], &a[0].ctx, &err), TDSA_OK);
            assert_int_equal(mpc_combine_take(c, 0, a[0].bytes.data, a[0].bytes.len, &err),
                             TDSA_OK);
            assert_int_equal(mpc_combine_take(c, 2, a[2].bytes.data, a[2].bytes.len, &err),
                             TDSA_OK);
            st = mpc_combine_take(c, LIAR, changed.data, changed.len, &err);
            if (st != TDSA_OK) {
                assert_int_equal(st, TDSA_E_PROTOCOL);
                assert_int_equal(err.participant, LIAR);
            } else { /* another value: only the whole can tell */
                assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
                assert_int_equal(sig.len, 0);
            }
            mpc_combine_free(c);
        }
    }
    for (uint16_t i = 0; i < 3; i++) {
        hostile_answer_clear(&a[i]);
    }
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* A hostile combiner's request: refused, or it is another request with another transcript. */
static void every_field_of_a_request_is_checked(void **state)
{
    static const uint8_t digest[32] = {8};
    static const uint8_t other_digest[32] = {9};
    const mpc_policy policy = hostile_policy_bip32();
    TDSA_SCOPED_BUF good = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF earlier = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    protocol_run r;
    mpc_request q;
    mpc_context honest;
    size_t refused = 0;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, &policy);
    q = run_request(&r, 0, other_digest, sizeof other_digest);
    q.path_len = 1;
    mpc_request_encode(&earlier, &q);
    q = run_request(&r, 1, digest, sizeof digest);
    q.path_len = 1;
    q.path[0] = 5;
    mpc_request_encode(&good, &q);
    assert_int_equal(mpc_context_new(&honest, r.key[0], r.batch[0], &q, good.data, good.len, &err),
                     TDSA_OK);
    const size_t count = fields_of(all, r.g, &good);
    for (size_t which = 0; which < count; which++) {
        for (int k = 0; k < CHANGE_END; k++) {
            mpc_context ctx;
            mpc_request seen;
            tdsa_status st;

            if (!field_apply(&changed, r.g, &good, which, (field_change)k, NULL, &earlier)) {
                continue;
            }
            st = mpc_request_decode(&seen, changed.data, changed.len, &err);
            if (st == TDSA_OK) {
                st = mpc_context_new(&ctx, r.key[0], r.batch[0], &seen, changed.data, changed.len,
                                     &err);
            }
            if (st != TDSA_OK) { /* a refusal that says what is wrong, no failure of ours */
                assert_true(st == TDSA_E_BAD_INPUT || st == TDSA_E_CONFLICT ||
                            st == TDSA_E_DENIED || st == TDSA_E_NOT_FOUND);
                refused++;
            } else {
                assert_memory_not_equal(ctx.transcript, honest.transcript, 64);
                assert_false(sc_equal(r.g, ctx.r, honest.r));
            }
        }
    }
    assert_true(refused > 100);
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* The campaign sees what it must see: a field that nobody checks is found. */
static void the_changes_are_what_they_say(void **state)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    grp *g = NULL;
    tdsa_err err;
    size_t list = 0;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    tdsa_stmt_begin(&m, "tag");
    list = tdsa_stmt_list_begin(&m);
    tdsa_stmt_uint(&m, 5);
    tdsa_stmt_list_end(&m, list);
    tdsa_stmt_octets(&m,
                     "\x01\x00\x00\x00\x01"
                     "a",
                     6); /* a statement inside */
    assert_int_equal(fields_of(all, g, &m), 5);
    assert_true(field_apply(&out, g, &m, 2, CHANGE_LONGER, NULL, NULL));
    assert_int_equal(out.len, m.len + 1);
    assert_int_equal(out.data[8 + 4], 14);    /* the list has grown */
    assert_int_equal(out.data[8 + 5 + 4], 9); /* and the number in it */
    assert_true(field_apply(&out, g, &m, 4, CHANGE_REMOVED, NULL, NULL));
    assert_int_equal(out.len, m.len - 6);
    assert_int_equal(out.data[out.len - 1], 0); /* empty octets at the end */
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_changes_are_what_they_say),
        cmocka_unit_test(every_field_of_key_generation_is_checked),
        cmocka_unit_test(every_field_of_presigning_is_checked),
        cmocka_unit_test(every_field_of_schnorr_keys_is_checked),
        cmocka_unit_test(every_field_of_a_reply_is_checked),
        cmocka_unit_test(every_field_of_a_request_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
