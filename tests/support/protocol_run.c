#include "support/protocol_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/statement.h"

/* A failure of the test itself, not of what it tests. */
static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "test support: %s\n", what);
        abort();
    }
}

mpc_policy run_policy(void)
{
    return (mpc_policy){.purpose = MPC_PURPOSE_DIGEST,
                        .derivation = MPC_DERIVE_NONE,
                        .min_path = 1,
                        .min_path_xpub = 3,
                        .digests = 1u << TDSA_HASH_SHA256 | 1u << TDSA_HASH_SHA384 |
                                   1u << TDSA_HASH_SHA512};
}

static void init_participant(protocol_run *r, uint16_t i, const char *seed)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_rng rng;
    tdsa_err err;

    tdsa_stmt_begin(&b, "rng");
    tdsa_stmt_text(&b, "participant");
    tdsa_stmt_uint(&b, i);
    tdsa_stmt_text(&b, seed);
    must(tdsa_test_rng_init(&r->rng[i], b.data, b.len, &err) == TDSA_OK, "generator");
    rng = tdsa_test_rng_of(&r->rng[i]);
    r->members[i].index = i;
    must(tdsa_rng_fill(&rng, r->members[i].x25519, 32, &err) == TDSA_OK, "key");
    must(tdsa_rng_fill(&rng, r->members[i].x448, 56, &err) == TDSA_OK, "key");
}

void run_init(protocol_run *r, grp_curve curve, uint16_t n, uint16_t t, const char *seed)
{
    run_init_scheme(r, curve, mpc_scheme_default(curve), n, t, seed);
}

void run_init_scheme(protocol_run *r, grp_curve curve, mpc_scheme scheme, uint16_t n, uint16_t t,
                     const char *seed)
{
    tdsa_err err;

    memset(r, 0, sizeof *r);
    must(grp_open(&r->g, curve, &err) == TDSA_OK, "curve");
    r->scheme = scheme;
    r->n = n;
    r->t = t;
    r->policy = run_policy();
    if (scheme != MPC_SCHEME_ECDSA) {
        r->policy.purpose = MPC_PURPOSE_MESSAGE;
        r->policy.digests = 1u << TDSA_HASH_NONE;
    }
    r->count = 3;
    r->compressed_wire = true;
    r->committee_count = (uint16_t)(2 * t + 1);
    for (uint16_t i = 0; i < r->committee_count; i++) {
        r->committee[i] = i;
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) { /* a reshare may bring in others than 0..n-1 */
        init_participant(r, i, seed);
    }
}

static void drop_batches(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        mpc_batch_free(r->batch[i]);
        r->batch[i] = NULL;
        mpc_presign_free(r->presign[i]);
        r->presign[i] = NULL;
        tdsa_buf_clear(&r->data[i]);
    }
}

static void drop_keys(protocol_run *r)
{
    drop_batches(r);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        mpc_keygen_free(r->keygen[i]);
        r->keygen[i] = NULL;
        r->key[i] = NULL;
        mpc_keygen_free(r->previous[i]);
        r->previous[i] = NULL;
    }
}

void run_clear(protocol_run *r)
{
    drop_keys(r);
    grp_close(r->g);
    r->g = NULL;
}

/* ---- key generation ---- */

mpc_keygen_cfg run_keygen_cfg(const protocol_run *r, uint16_t i, const char *key_id)
{
    protocol_run *mine = (protocol_run *)(uintptr_t)r; /* the generator moves on */

    return (mpc_keygen_cfg){.g = r->g,
                            .scheme = r->scheme,
                            .n = r->n,
                            .t = r->t,
                            .me = i,
                            .members = r->members,
                            .key_id = key_id,
                            .epoch = 0,
                            .policy = r->policy,
                            .rng = tdsa_test_rng_of(&mine->rng[i])};
}

/* All messages of a round, made before any of them is delivered: who fails has spoken already. */
typedef struct {
    tdsa_buf m[GRP_PARTIES_MAX][GRP_PARTIES_MAX];
} mailbag;

static void pass_hook(const protocol_run *r, run_step step, unsigned round, uint16_t from,
                      uint16_t to, tdsa_buf *m)
{
    if (r->hook != NULL && m->len > 0) {
        r->hook(r->hook_ctx, step, round, from, to, m);
    }
}

static void clear_bag(mailbag *bag)
{
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        for (size_t j = 0; j < GRP_PARTIES_MAX; j++) {
            tdsa_buf_clear(&bag->m[i][j]);
        }
    }
}

static bool in_round(const protocol_run *r, uint16_t i, unsigned round)
{
    return r->keygen[i] != NULL && mpc_keygen_round(r->keygen[i]) == round;
}

static void keygen_post(protocol_run *r, mailbag *bag, run_step step, unsigned round)
{
    for (uint16_t from = 0; from < GRP_PARTIES_MAX; from++) {
        for (uint16_t to = 0; to < GRP_PARTIES_MAX; to++) {
            tdsa_buf *m = &bag->m[from][to];
            tdsa_err err;

            if (from != to && in_round(r, from, round) && r->keygen[to] != NULL &&
                mpc_keygen_send(r->keygen[from], to, m, &err) != TDSA_OK) {
                tdsa_buf_reset(m);
            }
            pass_hook(r, step, round, from, to, m);
        }
    }
}

static void keygen_deliver(protocol_run *r, const mailbag *bag, unsigned round)
{
    for (uint16_t to = 0; to < GRP_PARTIES_MAX; to++) {
        for (uint16_t k = 0; k < GRP_PARTIES_MAX; k++) {
            const uint16_t from = r->reverse ? (uint16_t)(GRP_PARTIES_MAX - 1 - k) : k;
            const tdsa_buf *m = &bag->m[from][to];

            if (m->len > 0 && r->status[to] == TDSA_OK && in_round(r, to, round)) {
                r->status[to] = mpc_keygen_take(r->keygen[to], from, m->data, m->len, &r->err[to]);
            }
        }
    }
}

static void keygen_round(protocol_run *r, run_step step, unsigned round)
{
    mailbag bag = {0};

    keygen_post(r, &bag, step, round);
    keygen_deliver(r, &bag, round);
    clear_bag(&bag);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (r->status[i] == TDSA_OK && in_round(r, i, round) &&
            mpc_keygen_round_complete(r->keygen[i])) {
            r->status[i] = mpc_keygen_advance(r->keygen[i], &r->err[i]);
        }
        if (r->status[i] == TDSA_OK && in_round(r, i, MPC_KEYGEN_ROUND_STORED)) {
            mpc_keygen_mark_stored(r->keygen[i]);
        }
        if (r->status[i] == TDSA_OK && step == STEP_RESHARE &&
            in_round(r, i, MPC_RESHARE_ROUND_ACTIVE)) {
            mpc_keygen_mark_active(r->keygen[i]);
        }
    }
}

static size_t drive(protocol_run *r, run_step step, unsigned round_count)
{
    size_t done = 0;

    for (unsigned round = 0; round < round_count; round++) {
        keygen_round(r, step, round);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (r->status[i] == TDSA_OK && in_round(r, i, round_count)) {
            r->key[i] = mpc_keygen_key(r->keygen[i]);
            done++;
        }
    }
    return done;
}

size_t run_keygen_drive(protocol_run *r)
{
    return drive(r, STEP_KEYGEN, MPC_KEYGEN_ROUNDS);
}

size_t run_keygen(protocol_run *r, const char *key_id)
{
    drop_keys(r);
    for (uint16_t i = 0; i < r->n; i++) {
        const mpc_keygen_cfg cfg = run_keygen_cfg(r, i, key_id);

        r->status[i] = mpc_keygen_new(&r->keygen[i], &cfg, &r->err[i]);
        must(r->status[i] == TDSA_OK, "new key generation");
    }
    return run_keygen_drive(r);
}

/* ---- import ---- */

mpc_import_cfg run_import_cfg(const protocol_run *r, uint16_t i, const char *key_id,
                              uint16_t dealer, const mpc_import_key *key)
{
    return (mpc_import_cfg){
        .keygen = run_keygen_cfg(r, i, key_id), .dealer = dealer, .key = i == dealer ? key : NULL};
}

void run_import_round(protocol_run *r, unsigned round)
{
    keygen_round(r, STEP_IMPORT, round);
}

size_t run_import_drive(protocol_run *r)
{
    return drive(r, STEP_IMPORT, MPC_KEYGEN_ROUNDS);
}

size_t run_import(protocol_run *r, const char *key_id, uint16_t dealer, const mpc_import_key *key)
{
    drop_keys(r);
    for (uint16_t i = 0; i < r->n; i++) {
        const mpc_import_cfg cfg = run_import_cfg(r, i, key_id, dealer, key);

        r->status[i] = mpc_import_new(&r->keygen[i], &cfg, &r->err[i]);
        must(r->status[i] == TDSA_OK, "new import");
    }
    return run_import_drive(r);
}

/* ---- reshare ---- */

static void pick_members(const protocol_run *r, const uint16_t *indices, size_t count,
                         mpc_member *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = r->members[indices[i]];
    }
}

void run_reshare_prepare(const protocol_run *r, uint16_t i, const run_reshare_spec *spec,
                         run_reshare_setup *out)
{
    protocol_run *mine = (protocol_run *)(uintptr_t)r; /* the generator moves on */
    const mpc_key *old = mpc_keygen_key(r->previous[spec->dealers[0]]);
    const bool has = r->previous[i] != NULL && (spec->lost >> i & 1u) == 0;

    memset(out, 0, sizeof *out);
    pick_members(r, spec->dealers, spec->dealer_count, out->dealers);
    pick_members(r, spec->members, spec->n, out->members);
    (void)mpc_key_indices(out->old_indices, &old->pub);
    out->cfg = (mpc_reshare_cfg){.g = r->g,
                                 .key_id = old->pub.key_id,
                                 .scheme = old->pub.scheme,
                                 .policy = old->pub.policy,
                                 .old_epoch = old->pub.epoch,
                                 .old_t = old->pub.t,
                                 .old_indices = out->old_indices,
                                 .old_n = old->pub.n,
                                 .dealers = out->dealers,
                                 .dealer_count = spec->dealer_count,
                                 .members = out->members,
                                 .n = spec->n,
                                 .t = spec->t,
                                 .me = i,
                                 .mine = has ? mpc_keygen_key(r->previous[i]) : NULL,
                                 .rng = tdsa_test_rng_of(&mine->rng[i])};
}

void run_reshare_begin(protocol_run *r)
{
    drop_batches(r);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        mpc_keygen_free(r->previous[i]);
        r->previous[i] = r->keygen[i];
        r->keygen[i] = NULL;
        r->key[i] = NULL;
        r->status[i] = TDSA_OK;
    }
}

size_t run_reshare_drive(protocol_run *r)
{
    return drive(r, STEP_RESHARE, MPC_RESHARE_ROUNDS);
}

void run_reshare_rounds(protocol_run *r, unsigned from, unsigned to)
{
    for (unsigned round = from; round < to; round++) {
        keygen_round(r, STEP_RESHARE, round);
    }
}

size_t run_export_drive(protocol_run *r)
{
    return drive(r, STEP_EXPORT, MPC_EXPORT_ROUNDS);
}

void run_export_rounds(protocol_run *r, unsigned from, unsigned to)
{
    for (unsigned round = from; round < to; round++) {
        keygen_round(r, STEP_EXPORT, round);
    }
}

size_t run_reshare(protocol_run *r, const run_reshare_spec *spec)
{
    uint16_t all = 0;

    run_reshare_begin(r);
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        all = (uint16_t)(all | (i < spec->dealer_count ? 1u << spec->dealers[i] : 0u) |
                         (i < spec->n ? 1u << spec->members[i] : 0u));
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        run_reshare_setup setup;

        if ((all & 1u << i) != 0) {
            run_reshare_prepare(r, i, spec, &setup);
            r->status[i] = mpc_reshare_new(&r->keygen[i], &setup.cfg, &r->err[i]);
        }
    }
    return run_reshare_drive(r);
}

/* ---- presignatures ---- */

mpc_presign_cfg run_presign_cfg(const protocol_run *r, uint16_t i, uint64_t lane, uint64_t seq)
{
    protocol_run *mine = (protocol_run *)(uintptr_t)r; /* the generator moves on */
    mpc_presign_cfg cfg = {.key = r->key[i],
                           .lane = lane,
                           .seq = seq,
                           .count = r->count,
                           .compressed_wire = r->compressed_wire,
                           .rng = tdsa_test_rng_of(&mine->rng[i])};

    memcpy(cfg.committee, r->committee, sizeof cfg.committee);
    return cfg;
}

static void presign_round(protocol_run *r, unsigned round)
{
    mailbag bag = {0};

    for (uint16_t a = 0; a < r->committee_count; a++) {
        for (uint16_t b = 0; b < r->committee_count; b++) {
            const uint16_t from = r->committee[a];
            const uint16_t to = r->committee[b];
            tdsa_buf *m = &bag.m[from][to];
            tdsa_err err;

            if (a != b && mpc_presign_round(r->presign[from]) == round &&
                mpc_presign_send(r->presign[from], to, m, &err) != TDSA_OK) {
                tdsa_buf_reset(m);
            }
            pass_hook(r, STEP_PRESIGN, round, from, to, m);
        }
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX * GRP_PARTIES_MAX; i++) {
        const uint16_t to = i / GRP_PARTIES_MAX;
        const uint16_t k = i % GRP_PARTIES_MAX;
        const uint16_t from = r->reverse ? (uint16_t)(GRP_PARTIES_MAX - 1 - k) : k;
        const tdsa_buf *m = &bag.m[from][to];

        if (m->len > 0 && r->status[to] == TDSA_OK && mpc_presign_round(r->presign[to]) == round) {
            r->status[to] = mpc_presign_take(r->presign[to], from, m->data, m->len, &r->err[to]);
        }
    }
    clear_bag(&bag);
    for (uint16_t a = 0; a < r->committee_count; a++) {
        const uint16_t i = r->committee[a];

        if (r->status[i] == TDSA_OK && mpc_presign_round(r->presign[i]) == round &&
            mpc_presign_round_complete(r->presign[i])) {
            r->status[i] = mpc_presign_advance(r->presign[i], &r->err[i]);
        }
    }
}

size_t run_presign_drive(protocol_run *r)
{
    size_t done = 0;

    for (unsigned round = 0; round < MPC_PRESIGN_ROUNDS; round++) {
        presign_round(r, round);
    }
    for (uint16_t a = 0; a < r->committee_count; a++) {
        const uint16_t i = r->committee[a];
        tdsa_err err;

        if (r->status[i] != TDSA_OK || mpc_presign_round(r->presign[i]) != MPC_PRESIGN_ROUNDS) {
            continue;
        }
        must(mpc_presign_data(r->presign[i], &r->data[i], &err) == TDSA_OK, "batch data");
        must(mpc_batch_new(&r->batch[i], r->key[i], mpc_presign_beta(r->presign[i]), r->count,
                           r->data[i].data, r->data[i].len, &err) == TDSA_OK,
             "batch");
        done++;
    }
    return done;
}

size_t run_presign(protocol_run *r, uint64_t lane, uint64_t seq)
{
    drop_batches(r);
    for (uint16_t a = 0; a < r->committee_count; a++) {
        const uint16_t i = r->committee[a];
        const mpc_presign_cfg cfg = run_presign_cfg(r, i, lane, seq);

        r->status[i] = mpc_presign_new(&r->presign[i], &cfg, &r->err[i]);
        must(r->status[i] == TDSA_OK, "new presignature run");
    }
    return run_presign_drive(r);
}

/* ---- signing ---- */

mpc_request run_request(const protocol_run *r, uint32_t index, const uint8_t *payload, size_t len)
{
    const uint16_t first = r->committee[0];
    mpc_request q = {.index = index,
                     .committee_count = r->committee_count,
                     .digest_alg =
                         r->scheme == MPC_SCHEME_ECDSA ? TDSA_HASH_SHA256 : TDSA_HASH_NONE,
                     .payload = payload,
                     .payload_len = len};
    tdsa_err err;

    must(mpc_request_for_key(&q, r->key[first], &err) == TDSA_OK, "request");
    memcpy(q.beta, mpc_batch_beta(r->batch[first]), sizeof q.beta);
    memcpy(q.committee, r->committee, sizeof q.committee);
    return q;
}

/* One member decodes the bytes, checks them and gives its coin. */
static tdsa_status give_coin(protocol_run *r, uint16_t i, const tdsa_buf *q_bytes, tdsa_buf *out,
                             uint8_t t0[64], tdsa_err *err)
{
    mpc_request q;
    tdsa_status st = mpc_request_decode(&q, q_bytes->data, q_bytes->len, err);

    if (st == TDSA_OK) {
        st = mpc_prepare_new(t0, r->key[i], r->batch[i], &q, q_bytes->data, q_bytes->len, err);
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_reply(out, r->key[i], r->batch[i], q.index, t0, err);
    }
    return st;
}

/* The first member collects the coins of all; nothing without prepare mode. */
static tdsa_status collect_coins(protocol_run *r, const tdsa_buf *q_bytes, mpc_coins *coins,
                                 tdsa_err *err)
{
    const uint16_t first = r->committee[0];
    uint8_t t0[64];
    tdsa_status st = TDSA_OK;

    memset(coins, 0, sizeof *coins);
    for (uint16_t a = 0; a < r->committee_count && r->policy.prepare && st == TDSA_OK; a++) {
        const uint16_t i = r->committee[a];
        TDSA_SCOPED_BUF coin = TDSA_BUF_EMPTY;

        st = give_coin(r, i, q_bytes, &coin, t0, err);
        if (st == TDSA_OK && r->hook != NULL) {
            r->hook(r->hook_ctx, STEP_PREPARE, 0, i, first, &coin);
        }
        if (st == TDSA_OK) {
            st = mpc_prepare_take(coins, r->key[first], r->batch[first], t0, i, coin.data, coin.len,
                                  err);
        }
    }
    return st;
}

/* One member decodes the bytes, checks them and answers. */
static tdsa_status answer(protocol_run *r, uint16_t i, const tdsa_buf *q_bytes,
                          const mpc_coins *coins, tdsa_buf *out, mpc_context *ctx, tdsa_err *err)
{
    mpc_request q;
    tdsa_status st = mpc_request_decode(&q, q_bytes->data, q_bytes->len, err);

    if (st == TDSA_OK && r->policy.prepare) {
        st = mpc_context_prepared(ctx, r->key[i], r->batch[i], &q, q_bytes->data, q_bytes->len,
                                  coins, err);
    } else if (st == TDSA_OK) {
        st = mpc_context_new(ctx, r->key[i], r->batch[i], &q, q_bytes->data, q_bytes->len, err);
    }
    if (st == TDSA_OK) {
        st = mpc_sign_reply(out, r->key[i], r->batch[i], &q, ctx, err);
    }
    return st;
}

static tdsa_status collect(protocol_run *r, mpc_combine **combine, const tdsa_buf *q_bytes,
                           mpc_context *first_ctx, tdsa_err *err)
{
    const uint16_t first = r->committee[0];
    mpc_coins coins;
    tdsa_status st = collect_coins(r, q_bytes, &coins, err);

    for (uint16_t a = 0; a < r->committee_count && st == TDSA_OK; a++) {
        const uint16_t i = r->committee[a];
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
        mpc_context ctx;

        st = answer(r, i, q_bytes, &coins, &reply, &ctx, err);
        if (st == TDSA_OK && i == first) {
            *first_ctx = ctx;
            st = mpc_combine_new(combine, r->key[first], r->batch[first], &ctx, err);
        }
        if (st == TDSA_OK && r->hook != NULL) {
            r->hook(r->hook_ctx, STEP_REPLY, 0, i, first, &reply);
        }
        if (st == TDSA_OK) {
            st = mpc_combine_take(*combine, i, reply.data, reply.len, err);
        }
    }
    return st;
}

void run_ecdsa_split(const grp *g, grp_scalar *r, grp_scalar *s, const mpc_signature *sig)
{
    const size_t len = sig->len / 2;
    tdsa_err err;

    must(len == grp_get_info(g)->scalar_len, "length of a signature");
    must(grp_scalar_decode(g, r, sig->bytes, len, &err) == TDSA_OK, "r");
    must(grp_scalar_decode(g, s, sig->bytes + len, len, &err) == TDSA_OK, "s");
}

tdsa_status run_sign(protocol_run *r, const mpc_request *q, mpc_signature *sig, mpc_context *ctx,
                     tdsa_err *err)
{
    TDSA_SCOPED_BUF q_bytes = TDSA_BUF_EMPTY;
    mpc_combine *combine = NULL;
    tdsa_status st;

    memset(sig, 0, sizeof *sig);
    mpc_request_encode(&q_bytes, q);
    must(!q_bytes.failed, "request bytes");
    st = collect(r, &combine, &q_bytes, ctx, err);
    if (st == TDSA_OK) {
        st = mpc_combine_finish(combine, sig, err);
    }
    mpc_combine_free(combine);
    return st;
}
