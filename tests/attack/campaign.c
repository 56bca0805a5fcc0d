#include "attack/campaign.h"

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
#include "support/export_run.h"

#define KEY_ID "HostileKey000000000000000000"

enum {
    LIAR = 1,
    ROUNDS_MAX = 8,
    EXPORT_STRIDE = 5,
    WHOLE = FIELDS_MAX /* the message instead of a field */
};

typedef struct {
    protocol_run r;
    run_step step;
    run_reshare_spec spec; /* of STEP_RESHARE */
    uint16_t dealer;       /* of STEP_IMPORT */
    mpc_import_key imported;
    run_export_spec exported;                                          /* of STEP_EXPORT */
    tdsa_buf mine[ROUNDS_MAX], other[ROUNDS_MAX], earlier[ROUNDS_MAX]; /* of an honest run, to 0 */
    /* the change under way */
    unsigned round;
    size_t which;
    field_change change;
    bool to_all; /* everybody is told the same lie; else only participant 0 */
    bool applied;
    size_t runs, refused, finished;
    size_t stride;  /* one change of so many of each field, another with the next field; 0: all */
    bool planted;   /* a check is missing on purpose: complaints are counted */
    size_t noticed; /* complaints */
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

/* The whole message of another sender or session. */
static bool replay(const campaign *c, const tdsa_buf *m, tdsa_buf *out)
{
    const tdsa_buf *from =
        c->change == CHANGE_OTHER_SENDER ? &c->other[c->round] : &c->earlier[c->round];

    tdsa_buf_append(out, from->data, from->len);
    return from->len != 0 && (from->len != m->len || memcmp(from->data, m->data, m->len) != 0);
}

static void change(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                   tdsa_buf *m)
{
    campaign *c = ctx;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;

    if (step != c->step || round != c->round || from != LIAR || (!c->to_all && to != 0)) {
        return;
    }
    if (step == STEP_EXPORT && round == MPC_KEYGEN_ROUND_STORED && to != 0) {
        return; /* another message: without an info */
    }
    if (c->which == WHOLE ? replay(c, m, &changed)
                          : field_apply(&changed, c->r.g, m, c->which, c->change, &c->other[round],
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
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
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

/* ---- key generation, import ---- */

static size_t make_key(campaign *c)
{
    return c->step == STEP_IMPORT ? run_import(&c->r, KEY_ID, c->dealer, &c->imported)
                                  : run_keygen(&c->r, KEY_ID);
}

static void run_changed_keygen(campaign *c)
{
    const mpc_key *first = NULL;
    size_t keys = 0;

    c->applied = false;
    (void)make_key(c);
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

/* ---- reshare ---- */

/* The old epoch is there as if nothing had been tried. */
static void back_to_old_epoch(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        mpc_keygen_free(r->keygen[i]);
        r->keygen[i] = r->previous[i];
        r->previous[i] = NULL;
        r->key[i] = r->keygen[i] == NULL ? NULL : mpc_keygen_key(r->keygen[i]);
    }
}

static void run_changed_reshare(campaign *c)
{
    const uint8_t *first = NULL;
    grp_point y = c->r.key[0]->pub.y;
    size_t done = 0;

    c->applied = false;
    (void)run_reshare(&c->r, &c->spec);
    if (c->applied) {
        c->runs++;
        check_errors(c);
        for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
            const mpc_key *k = c->r.key[i];

            if (i == LIAR || k == NULL) {
                continue;
            }
            done++;
            first = first == NULL ? k->pub.stored : first;
            if (memcmp(k->pub.stored, first, sizeof k->pub.stored) != 0 ||
                !grp_point_equal(c->r.g, &k->pub.y, &y)) {
                fail_msg("%s: two keys", what(c));
            }
        }
        if (!c->to_all && c->r.key[0] != NULL) {
            fail_msg("%s: not noticed", what(c));
        }
        c->refused += done == 0 ? 1 : 0;
    }
    back_to_old_epoch(&c->r);
}

/* ---- export ---- */

/* Whatever the liar says, the coordinator has a package of the key or nothing, and the key stays. */
static void run_changed_export(campaign *c)
{
    c->applied = false;
    (void)run_export(&c->r, &c->exported);
    if (c->applied) {
        c->runs++;
        check_errors(c);
        if (!c->to_all && c->r.key[0] != NULL) {
            fail_msg("%s: not noticed", what(c));
        }
        if (c->r.key[0] == NULL) {
            c->refused++;
        } else {
            mpc_recovery_info infos[GRP_PARTIES_MAX];
            tdsa_err err;

            c->finished++;
            run_export_infos(&c->r, 0, infos);
            assert_int_equal(
                mpc_recovery_verify_package_vartime(infos, c->r.n, c->r.g, c->exported.cert, &err),
                TDSA_OK);
        }
    }
    back_to_old_epoch(&c->r);
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
        c->noticed++;
        if (!c->planted) {
            fail_msg("%s: not noticed", what(c));
        }
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

        for (size_t i = 0; i <= count; i++) {
            c->which = i < count ? i : WHOLE;
            for (int k = i < count ? 0 : CHANGE_OTHER_SENDER; k < CHANGE_END; k++) {
                if (c->stride != 0 && (i + (size_t)k) % c->stride != 0) {
                    continue;
                }
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
    campaign *c = r->hook_ctx;

    (void)lane;
    (void)seq;
    return make_key(c);
}

void keygen_campaign(grp_curve curve, mpc_scheme scheme, uint16_t n, uint16_t t)
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

void import_campaign(uint16_t dealer)
{
    campaign *c = calloc(1, sizeof *c);
    uint8_t x[GRP_SCALAR_LEN_MAX] = {0};
    tdsa_secret *secret = NULL;
    tdsa_err err;

    assert_non_null(c);
    weak_off();
    run_init(&c->r, GRP_P256, 3, 1, "fields");
    x[31] = 77;
    assert_int_equal(tdsa_secret_copy(&secret, x, 32, &err), TDSA_OK);
    c->step = STEP_IMPORT;
    c->dealer = dealer;
    c->imported.x = secret;
    record_sessions(c, any_keygen);
    every_change(c, MPC_KEYGEN_ROUNDS, run_changed_keygen);
    print_message("%zu changed imports: %zu refused, %zu ended well\n", c->runs, c->refused,
                  c->finished);
    assert_true(c->refused > 500);
    clear(c);
    tdsa_secret_free(secret);
    free(c);
}

static size_t any_reshare(protocol_run *r, uint64_t lane, uint64_t seq)
{
    const campaign *c = r->hook_ctx;
    const size_t done = run_reshare(r, &c->spec);

    (void)lane;
    (void)seq;
    back_to_old_epoch(r);
    return done;
}

void reshare_campaign(const run_reshare_spec *spec)
{
    campaign *c = calloc(1, sizeof *c);

    assert_non_null(c);
    weak_off();
    run_init(&c->r, GRP_P256, 3, 1, "fields");
    c->r.policy.reshare = true;
    c->step = STEP_RESHARE;
    c->spec = *spec;
    assert_int_equal(run_keygen(&c->r, KEY_ID), 3);
    record_sessions(c, any_reshare);
    every_change(c, MPC_RESHARE_ROUNDS, run_changed_reshare);
    print_message("%zu changed reshares: %zu refused by all\n", c->runs, c->refused);
    assert_true(c->refused > 500);
    honest_run_still_signs(&c->r, 2); /* with the old epoch, which is as it was */
    clear(c);
    free(c);
}

static size_t any_export(protocol_run *r, uint64_t lane, uint64_t seq)
{
    const campaign *c = r->hook_ctx;
    const size_t done = run_export(r, &c->exported);

    (void)lane;
    (void)seq;
    back_to_old_epoch(r);
    return done;
}

void export_campaign(void)
{
    campaign *c = calloc(1, sizeof *c);
    recovery_kit kit;

    assert_non_null(c);
    weak_off();
    recovery_kit_open(&kit);
    run_init(&c->r, GRP_P256, 3, 1, "fields");
    c->r.policy.exportable = true;
    c->step = STEP_EXPORT;
    c->stride = getenv("TDSA_TEST_LONG") != NULL ? 0 : EXPORT_STRIDE; /* a run takes 40 ms */
    c->exported = (run_export_spec){.coordinator = 0, .cert = kit.cert};
    assert_int_equal(run_keygen(&c->r, KEY_ID), 3);
    record_sessions(c, any_export);
    every_change(c, MPC_EXPORT_ROUNDS, run_changed_export);
    print_message("%zu changed exports: %zu refused, %zu ended well\n", c->runs, c->refused,
                  c->finished);
    assert_true(c->refused > (c->stride == 0 ? 500 : 500 / EXPORT_STRIDE));
    honest_run_still_signs(&c->r, 2); /* with the shares that are kept */
    clear(c);
    recovery_kit_close(&kit);
    free(c);
}

static size_t presign_lives(grp_curve curve, mpc_scheme scheme, bool compressed, bool planted)
{
    size_t noticed = 0;
    campaign *c = calloc(1, sizeof *c);

    assert_non_null(c);
    weak_off();
    weak.any_list = planted;
    c->planted = planted;
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
    noticed = c->noticed;
    weak_off();
    clear(c);
    free(c);
    return noticed;
}

void presign_campaign(grp_curve curve, mpc_scheme scheme, bool compressed)
{
    assert_int_equal(presign_lives(curve, scheme, compressed, false), 0);
}

void planted_campaign(void)
{
    assert_true(presign_lives(GRP_P256, MPC_SCHEME_ECDSA, true, true) > 10);
}
