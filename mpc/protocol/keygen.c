#include "protocol/keygen.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/keygen_internal.h"

_Static_assert(sizeof(keygen_secret) <= TDSA_SECRET_LEN_MAX, "the secrets of a run fit");

typedef tdsa_status (*send_fn)(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err);
typedef tdsa_status (*take_fn)(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err);
typedef tdsa_status (*end_fn)(mpc_keygen *run, tdsa_err *err);

static tdsa_status end_random(mpc_keygen *run, tdsa_err *err);

/* A row of the round table. A wrong length is blamed before the handler sees a byte, but in round
 * "deal", where it is a complaint. */
typedef struct {
    const char *name;
    bool length_is_complaint;
    bool may_complain; /* the shorter form, a complaint, is allowed too */
    send_fn send;
    take_fn take;
    end_fn end; /* NULL: nothing to compute between this round and the next */
} round_row;

static const round_row rounds[MPC_RESHARE_ROUNDS] = {
    {"random", false, false, keygen_send_random, keygen_take_random, end_random},
    {"commit", false, false, keygen_send_commit, keygen_take_commit, NULL},
    {"deal", true, false, keygen_send_deal, keygen_take_deal, keygen_close_deals},
    {"report", false, true, keygen_send_report, keygen_take_report, keygen_finish_key},
    {"stored", false, false, keygen_send_stored, keygen_take_stored, NULL},
    {"active", false, false, keygen_send_active, keygen_take_active, NULL}, /* reshare only */
};

/* Round 4 of an export. */
static const round_row release = {"release",           false, false, export_send_release,
                                  export_take_release, NULL};

static const round_row *row_of(const mpc_keygen *run)
{
    const unsigned round = run->round.round;

    return round == MPC_KEYGEN_ROUND_STORED && run->kind == KEYGEN_EXPORT ? &release
                                                                          : &rounds[round];
}

/* The fields of sid up to the random values, in the order of the specification. */
static void put_inputs(const mpc_keygen *run, tdsa_buf *b)
{
    static const char *const words[] = {[KEYGEN_NEW] = "keygen",
                                        [KEYGEN_RESHARE] = "reshare",
                                        [KEYGEN_REFRESH] = "refresh",
                                        [KEYGEN_IMPORT] = "import",
                                        [KEYGEN_EXPORT] = "export"};
    const mpc_key_public *pub = &run->key->pub;
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;

    tdsa_stmt_uint(b, MPC_VERSION);
    tdsa_stmt_text(b, words[run->kind]);
    tdsa_stmt_text(b, grp_curve_name(pub->curve));
    tdsa_stmt_text(b, mpc_scheme_name(pub->scheme));
    mpc_put_members(b, pub->members, pub->n);
    tdsa_stmt_uint(b, pub->n);
    tdsa_stmt_uint(b, pub->t);
    tdsa_stmt_text(b, pub->key_id);
    tdsa_stmt_uint(b, pub->epoch);
    mpc_policy_encode(&policy, &pub->policy);
    tdsa_stmt_octets(b, policy.data, policy.len);
    if (policy.failed) {
        b->failed = true;
    }
    if (run->kind == KEYGEN_IMPORT) {
        import_put_inputs(run, b);
    } else if (run->kind != KEYGEN_NEW) {
        reshare_put_inputs(run, b);
    }
    if (run->kind == KEYGEN_EXPORT) {
        export_put_inputs(run, b);
    }
}

static tdsa_status hash_inputs(mpc_keygen *run, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "inputs");
    put_inputs(run, &b);
    return tdsa_hash_stmt(run->inputs, &b, err);
}

/* All random values are in: sid, then my dealing under it. */
static tdsa_status end_random(mpc_keygen *run, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;
    tdsa_status st;

    tdsa_stmt_begin(&b, "sid");
    put_inputs(run, &b);
    if (run->kind != KEYGEN_NEW) {
        TDSA_ASSERT(run->old.known); /* every dealer has told it, or the one of an import */
        tdsa_stmt_octets(&b, run->old.digest, sizeof run->old.digest);
    }
    list = tdsa_stmt_list_begin(&b);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (keygen_takes_part(run, i)) {
            tdsa_stmt_octets(&b, run->random[i], sizeof run->random[i]);
        }
    }
    tdsa_stmt_list_end(&b, list);
    st = tdsa_hash_stmt(run->sid, &b, err);
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(run->key->pub.cluster_id, run->sid, sizeof run->key->pub.cluster_id);
    return keygen_deal_make(run, err);
}

uint16_t keygen_member_bits(const mpc_member *members, size_t count)
{
    uint16_t mask = 0;

    for (size_t i = 0; i < count; i++) {
        mask = (uint16_t)(mask | 1u << members[i].index);
    }
    return mask;
}

tdsa_status keygen_check_cfg(const mpc_keygen_cfg *cfg, tdsa_err *err)
{
    if (!mpc_key_sizes_valid(cfg->n, cfg->t) || cfg->me >= GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "n = %u, t = %u, participant %u: 2t+1 <= n <= %u and 1 <= t <= %u", cfg->n,
                         cfg->t, cfg->me, GRP_PARTIES_MAX, GRP_THRESHOLD_MAX);
    }
    if (!mpc_key_id_valid(cfg->key_id)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "a key id is 1 to %u printable ASCII characters without blanks",
                         MPC_KEY_ID_MAX);
    }
    if (!mpc_members_valid(cfg->members, cfg->n)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "members are not participants of 0..%u in order, each once",
                         GRP_PARTIES_MAX - 1);
    }
    return mpc_policy_check(&cfg->policy, cfg->scheme, grp_get_info(cfg->g)->curve, err);
}

static void fill_public(mpc_key_public *pub, const mpc_keygen_cfg *cfg)
{
    pub->scheme = cfg->scheme;
    memcpy(pub->key_id, cfg->key_id, strlen(cfg->key_id) + 1);
    pub->epoch = cfg->epoch;
    pub->n = cfg->n;
    pub->t = cfg->t;
    pub->me = cfg->me;
    memcpy(pub->members, cfg->members, cfg->n * sizeof cfg->members[0]);
    pub->policy = cfg->policy;
}

/* My sets, and how many each member and each pair of members has. */
static void fill_sets(mpc_keygen *run)
{
    const mpc_key_public *pub = &run->key->pub;
    grp_set sets[GRP_MY_SETS_MAX];

    run->key->sec->set_count = mpc_key_sets_with(sets, pub, pub->me);
    for (size_t i = 0; i < run->key->sec->set_count; i++) {
        run->key->sec->sets[i].set = sets[i];
    }
    run->sets_each = mpc_key_sets_with(sets, pub, pub->members[0].index);
    run->sets_shared = 0;
    for (size_t i = 0; i < run->sets_each; i++) {
        run->sets_shared += grp_set_has(&sets[i], pub->members[1].index) ? 1u : 0u;
    }
}

tdsa_status keygen_alloc(mpc_keygen **out, const mpc_keygen_cfg *cfg, keygen_kind kind,
                         uint16_t dealers, tdsa_err *err)
{
    mpc_keygen *run = calloc(1, sizeof *run);
    void *bytes = NULL;
    tdsa_status st;

    *out = run; /* the caller frees it whatever comes */
    if (run == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key generation");
    }
    run->g = cfg->g;
    run->rng = cfg->rng;
    run->kind = kind;
    run->getters = keygen_member_bits(cfg->members, cfg->n);
    run->dealers = dealers;
    run->round = (mpc_round){.round_count = kind == KEYGEN_RESHARE || kind == KEYGEN_REFRESH
                                                ? MPC_RESHARE_ROUNDS
                                                : MPC_KEYGEN_ROUNDS,
                             .me = cfg->me,
                             .members = run->getters | dealers};
    st = mpc_key_alloc(&run->key, cfg->g, true, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = tdsa_secret_new(&run->sec_mem, sizeof *run->sec, err);
    if (st != TDSA_OK) {
        return st;
    }
    bytes = tdsa_secret_bytes(run->sec_mem); /* starts a page: aligned for anything */
    run->sec = bytes;
    fill_public(&run->key->pub, cfg);
    fill_sets(run);
    return TDSA_OK;
}

tdsa_status keygen_begin(mpc_keygen *run, tdsa_err *err)
{
    uint8_t *random = run->random[run->round.me];
    tdsa_status st = hash_inputs(run, err);

    if (st == TDSA_OK) {
        st = tdsa_rng_fill(&run->rng, random, KEYGEN_PART_LEN, err);
    }
    tdsa_declassify(random, KEYGEN_PART_LEN); /* everybody gets it */
    return st;
}

tdsa_status mpc_keygen_new(mpc_keygen **out, const mpc_keygen_cfg *cfg, tdsa_err *err)
{
    mpc_keygen *run = NULL;
    tdsa_status st;

    *out = NULL;
    st = keygen_check_cfg(cfg, err);
    if (st == TDSA_OK && (keygen_member_bits(cfg->members, cfg->n) & 1u << cfg->me) == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u is not among the members", cfg->me);
    }
    if (st == TDSA_OK && cfg->epoch != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key generation makes keys of epoch 0 only");
    }
    if (st != TDSA_OK) {
        return st;
    }
    st = keygen_alloc(&run, cfg, KEYGEN_NEW, keygen_member_bits(cfg->members, cfg->n), err);
    if (st == TDSA_OK) {
        st = keygen_begin(run, err);
    }
    if (st != TDSA_OK) {
        mpc_keygen_free(run);
        return st;
    }
    *out = run;
    return TDSA_OK;
}

void mpc_keygen_free(mpc_keygen *run)
{
    if (run == NULL) {
        return;
    }
    mpc_key_free(run->key);
    tdsa_secret_free(run->sec_mem);
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        tdsa_buf_clear(&run->open[i]);
        tdsa_buf_clear(&run->exported.info[i]);
    }
    tdsa_buf_clear(&run->old.record);
    tdsa_wipe(run, sizeof *run);
    free(run);
}

/* A dead run keeps nothing that could be used. */
static void kill_run(mpc_keygen *run)
{
    run->round.dead = true;
    tdsa_wipe(run->sec, sizeof *run->sec);
    if (run->key->sec != NULL) {
        tdsa_wipe(run->key->sec, sizeof *run->key->sec);
    }
}

unsigned mpc_keygen_round(const mpc_keygen *run)
{
    return run->round.round;
}

tdsa_status mpc_keygen_send(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    const size_t before = out->len;
    tdsa_status st = mpc_round_may_send(&run->round, to, err);

    if (st == TDSA_OK) {
        st = row_of(run)->send(run, to, out, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(out, err);
    }
    if (st != TDSA_OK && !out->failed && out->len > before) {
        tdsa_wipe(out->data + before, out->len - before);
        out->len = before;
    }
    return st;
}

tdsa_status mpc_keygen_take(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                            tdsa_err *err)
{
    const round_row *row = NULL;
    tdsa_status st = mpc_round_may_take(&run->round, from, err);

    if (st != TDSA_OK) {
        return st;
    }
    row = row_of(run); /* a run that is over takes nothing */
    if (!row->length_is_complaint) {
        st = mpc_round_check_len(row->name, from, len,
                                 keygen_message_len(run, run->round.round, from),
                                 row->may_complain ? keygen_complaint_len() : 0, err);
    }
    if (st == TDSA_OK) {
        st = row->take(run, from, in, len, err);
    }
    if (st != TDSA_OK) {
        kill_run(run);
        return mpc_round_blame(st, row->name, from, err);
    }
    mpc_round_mark(&run->round, from);
    return TDSA_OK;
}

bool mpc_keygen_round_complete(const mpc_keygen *run)
{
    return mpc_round_complete(&run->round);
}

bool mpc_keygen_has(const mpc_keygen *run, uint16_t from)
{
    return mpc_round_has(&run->round, from);
}

tdsa_status mpc_keygen_advance(mpc_keygen *run, tdsa_err *err)
{
    const unsigned round = run->round.round;
    tdsa_status st = mpc_round_may_advance(&run->round, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (round == MPC_KEYGEN_ROUND_STORED && !run->stored) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "what was made is not marked as stored yet");
    }
    if (round == MPC_RESHARE_ROUND_ACTIVE && !run->active) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the new epoch is not marked as active yet");
    }
    if (row_of(run)->end != NULL) {
        st = row_of(run)->end(run, err);
    }
    if (st != TDSA_OK) {
        kill_run(run);
        return st;
    }
    mpc_round_next(&run->round);
    return TDSA_OK;
}

const mpc_key *mpc_keygen_key(const mpc_keygen *run)
{
    TDSA_ASSERT(run->round.round >= MPC_KEYGEN_ROUND_STORED);
    return run->key;
}

void mpc_keygen_mark_stored(mpc_keygen *run)
{
    TDSA_ASSERT(run->round.round >= MPC_KEYGEN_ROUND_STORED);
    run->stored = true;
}

const uint8_t *mpc_keygen_sid(const mpc_keygen *run)
{
    TDSA_ASSERT(run->round.round >= 1);
    return run->sid;
}

void mpc_keygen_mark_active(mpc_keygen *run)
{
    TDSA_ASSERT(run->round.round >= MPC_RESHARE_ROUND_ACTIVE);
    run->active = true;
}

unsigned mpc_keygen_round_count(const mpc_keygen *run)
{
    return run->round.round_count;
}

bool mpc_keygen_gets_share(const mpc_keygen *run)
{
    return keygen_gets(run, run->round.me);
}
