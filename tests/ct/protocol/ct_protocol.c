#include "ct/ct.h"

#include "base/secret.h"
#include "base/statement.h"
#include "protocol/keygen_internal.h"
#include "protocol/presign_internal.h"
#include "support/protocol_run.h"

/*
 * Key generation, presignatures and replies of three participants with every random byte marked as
 * secret. Nothing may branch on one or use it as an address but where the code says that a value is
 * public (tdsa_declassify); and what the protocol keeps secret is still marked at each step, up to
 * the reply. check_only then marks one secret alone and follows it into mu and nu.
 */

#define ROUND_COMMIT 1u
#define ROUND_DEAL   2u
#define MESSAGE_MAX  4096u

static tdsa_err err;
/* Of the curve under test: bytes of an encoded scalar. As many of a grp_scalar are in use at least;
 * the limbs above the order's are 0. */
static size_t scalar_len;

/* The seeded generator, its output secret. */
static tdsa_status secret_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    tdsa_test_rng *seeded = ctx;
    const tdsa_rng rng = tdsa_test_rng_of(seeded);
    const tdsa_status st = tdsa_rng_fill(&rng, out, len, e);

    ct_secret(out, len);
    return st;
}

/* ---- key generation ---- */

/* The polynomial and the parts of a dealer that has just committed to them. */
static void expect_secret_dealing(const mpc_keygen *run)
{
    const keygen_secret *sec = run->sec;

    for (size_t m = 0; m <= sec->f.degree; m++) {
        ct_still_secret("a coefficient", &sec->f.coeff[m], scalar_len);
    }
    ct_still_secret("my part of my share", &sec->share, scalar_len);
    ct_still_secret("my part of the chain code", sec->cc[run->round.me], KEYGEN_PART_LEN);
    ct_still_public("my commitments", run->c[run->round.me], sizeof run->c[0]);
    ct_still_public("my opening", run->open[run->round.me].data, run->open[run->round.me].len);
}

/* stmt("deal", opening, private part): the opening goes to everybody, the rest to one. */
static void expect_secret_deal(const tdsa_buf *message)
{
    tdsa_reader r = tdsa_reader_of(message->data, message->len);
    tdsa_reader priv;
    tdsa_reader list;
    const uint8_t *bytes = NULL;
    size_t len = 0;

    tdsa_stmt_expect(&r, "deal");
    bytes = tdsa_stmt_read_octets(&r, &len, MESSAGE_MAX);
    ct_still_public("an opening", bytes, len);
    bytes = tdsa_stmt_read_octets(&r, &len, MESSAGE_MAX);
    priv = tdsa_reader_of(bytes, len);
    tdsa_stmt_expect(&priv, "priv");
    (void)tdsa_stmt_read_octets(&priv, &len, MESSAGE_MAX);
    (void)tdsa_stmt_read_uint(&priv);
    (void)tdsa_stmt_read_uint(&priv);
    bytes = tdsa_stmt_read_item(&priv, TDSA_ITEM_SCALAR, scalar_len);
    ct_require(bytes != NULL, "a share in the deal");
    ct_still_secret("a dealt share", bytes, scalar_len);
    bytes = tdsa_stmt_read_octets(&priv, &len, MESSAGE_MAX);
    ct_still_secret("a dealt part of the chain code", bytes, len);
    list = tdsa_stmt_read_list(&priv);
    while (tdsa_reader_left(&list) > 0) {
        bytes = tdsa_stmt_read_octets(&list, &len, MESSAGE_MAX);
        ct_require(bytes != NULL, "a contribution in the deal");
        ct_still_secret("a dealt contribution", bytes, len);
    }
    ct_require(tdsa_reader_finish(&priv, "private part", &err) == TDSA_OK, "a whole deal");
}

static void watch_keygen(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                         tdsa_buf *message)
{
    const protocol_run *r = ctx;

    (void)to;
    ct_require(step == STEP_KEYGEN, "key generation only");
    if (round == ROUND_COMMIT) {
        expect_secret_dealing(r->keygen[from]);
    }
    if (round == ROUND_DEAL) {
        expect_secret_deal(message);
    }
}

static void expect_secret_key(const mpc_key *key)
{
    ct_still_secret("x_j", &key->sec->share, scalar_len);
    for (size_t i = 0; i < key->sec->set_count; i++) {
        ct_still_secret("kappa of a set", key->sec->sets[i].key, sizeof key->sec->sets[i].key);
    }
    for (uint16_t i = 0; i < key->pub.n; i++) {
        if (i != key->pub.me) {
            ct_still_secret("kappa of a pair", key->sec->pairs[i], sizeof key->sec->pairs[i]);
        }
    }
    ct_still_public("the public half", &key->pub, sizeof key->pub);
}

static void check_keygen(protocol_run *r)
{
    r->hook = watch_keygen;
    r->hook_ctx = r;
    for (uint16_t i = 0; i < r->n; i++) {
        mpc_keygen_cfg cfg = run_keygen_cfg(r, i, "ConstantTimeKey0000000000000");

        cfg.rng = (tdsa_rng){secret_fill, &r->rng[i]};
        ct_require(mpc_keygen_new(&r->keygen[i], &cfg, &err) == TDSA_OK, "new keygen");
    }
    ct_require(run_keygen_drive(r) == r->n, "keygen");
    for (uint16_t i = 0; i < r->n; i++) {
        expect_secret_key(r->key[i]);
    }
    r->hook = NULL;
}

static void check_records(const protocol_run *r)
{
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    mpc_key *back = NULL;

    mpc_key_encode_public(&pub, r->key[0]);
    ct_still_public("the record of the public half", pub.data, pub.len);
    ct_require(mpc_key_encode_secret(&secret, r->key[0], &err) == TDSA_OK, "encode");
    ct_require(mpc_key_decode(&back, r->g, pub.data, pub.len, secret, &err) == TDSA_OK, "decode");
    expect_secret_key(back);
    mpc_key_free(back);
    tdsa_secret_free(secret);
    ct_require(mpc_key_encode_share(&secret, r->key[0], &err) == TDSA_OK, "encode the share");
    ct_require(mpc_key_decode_share(&back, r->g, pub.data, pub.len, secret, &err) == TDSA_OK,
               "decode the share");
    mpc_key_free(back);
}

/* ---- presignatures ---- */

static void check_presign(protocol_run *r)
{
    for (uint16_t i = 0; i < r->committee_count; i++) {
        mpc_presign_cfg cfg = run_presign_cfg(r, i, 1, 1);

        cfg.rng = (tdsa_rng){secret_fill, &r->rng[i]};
        ct_require(mpc_presign_new(&r->presign[i], &cfg, &err) == TDSA_OK, "new presign");
    }
    ct_require(run_presign_drive(r) == r->committee_count, "presign");
    for (uint16_t i = 0; i < r->committee_count; i++) {
        ct_still_public("batch data", r->data[i].data, r->data[i].len);
    }
}

/* What a reply is made of, by the calls that mpc_sign_reply makes. */
static void check_parts_of_reply(const protocol_run *r, const mpc_context *ctx)
{
    const mpc_key *key = r->key[0];
    mpc_batch *batch = r->batch[0];
    uint8_t pairs[GRP_PARTIES_MAX][32];
    grp_pad_cfg cfg = {.committee = batch->committee,
                       .committee_count = r->committee_count,
                       .me = key->pub.me,
                       .pair_keys = (const uint8_t(*)[32])pairs,
                       .transcript = ctx->transcript};
    grp_scalar v;

    for (uint16_t i = 0; i < r->committee_count; i++) {
        memcpy(pairs[i], key->sec->pairs[batch->committee[i]], sizeof pairs[i]);
    }
    ct_require(grp_prss_shares(batch->stream[0], &v, 1, 1, &err) == TDSA_OK, "k");
    ct_still_secret("k_j", &v, scalar_len);
    ct_require(grp_prss_shares(batch->stream[1], &v, 1, 1, &err) == TDSA_OK, "a");
    ct_still_secret("a_j", &v, scalar_len);
    cfg.word = "mu";
    ct_require(grp_pad(key->g, &v, &cfg, &err) == TDSA_OK, "pad");
    ct_still_secret("the pad of mu_j", &v, scalar_len);
    cfg.word = "nu";
    ct_require(grp_pad(key->g, &v, &cfg, &err) == TDSA_OK, "pad");
    ct_still_secret("the pad of nu_j", &v, scalar_len);
}

/* ---- replies ---- */

/* Whether mu and nu of the replies must be marked. */
typedef struct {
    const char *what;
    bool mu, nu;
} reply_marks;

static void expect_marks(const char *what, bool marked, const uint8_t *bytes)
{
    ct_require(bytes != NULL, "a scalar in the reply");
    if (marked) {
        ct_still_secret(what, bytes, scalar_len);
    } else {
        ct_still_public(what, bytes, scalar_len);
    }
}

/* stmt("reply", me, T, committee, [mu, nu]): looked at before it is sent, and public from then on,
 * for the pads hide what it is made of. */
static void watch_reply(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                        tdsa_buf *message)
{
    const reply_marks *want = ctx;
    tdsa_reader r = tdsa_reader_of(message->data, message->len);
    uint16_t committee[GRP_PARTIES_MAX];
    tdsa_reader list;
    size_t len = 0;

    (void)round;
    (void)from;
    (void)to;
    if (step == STEP_PREPARE) {
        ct_still_public("a coin that is sent", message->data, message->len);
        return;
    }
    ct_require(step == STEP_REPLY, "replies only");
    tdsa_stmt_expect(&r, "reply");
    (void)tdsa_stmt_read_uint(&r);
    (void)tdsa_stmt_read_octets(&r, &len, MESSAGE_MAX);
    (void)tdsa_stmt_read_uint_list(&r, committee, GRP_PARTIES_MAX);
    ct_still_public("the head of a reply", message->data, r.pos);
    list = tdsa_stmt_read_list(&r);
    expect_marks("mu_j", want->mu, tdsa_stmt_read_item(&list, TDSA_ITEM_SCALAR, scalar_len));
    expect_marks("nu_j", want->nu, tdsa_stmt_read_item(&list, TDSA_ITEM_SCALAR, scalar_len));
    ct_public(message->data, message->len);
}

static void sign_and_watch(protocol_run *r, uint32_t index, reply_marks want, mpc_context *ctx)
{
    static const uint8_t digest[32] = {1};
    const mpc_request q = run_request(r, index, digest, sizeof digest);
    mpc_signature sig;

    r->hook = watch_reply;
    r->hook_ctx = &want;
    ct_require(run_sign(r, &q, &sig, ctx, &err) == TDSA_OK, want.what);
    ct_still_public("the signature", sig.bytes, sig.len);
    r->hook = NULL;
}

static void check_sign(protocol_run *r)
{
    mpc_context ctx;

    sign_and_watch(r, 1, (reply_marks){"every secret", true, true}, &ctx);
    ct_still_public("the context", &ctx, sizeof ctx);
    check_parts_of_reply(r, &ctx);
    for (uint16_t i = 0; i < r->committee_count; i++) {
        expect_secret_key(r->key[i]); /* answering declassified nothing */
    }
}

/* ---- one secret alone ---- */

typedef enum { ONLY_NOTHING, ONLY_SHARE, ONLY_PAIRS, ONLY_SETS } only;

static void mark_only(const protocol_run *r, only which)
{
    for (uint16_t i = 0; i < r->n; i++) {
        mpc_key_secret *sec = r->key[i]->sec;

        ct_public(sec, sizeof *sec);
        if (which == ONLY_SHARE) {
            ct_secret(&sec->share, scalar_len);
        }
        if (which == ONLY_PAIRS) {
            ct_secret(sec->pairs, sizeof sec->pairs);
        }
        for (size_t s = 0; which == ONLY_SETS && s < sec->set_count; s++) {
            ct_secret(sec->sets[s].key, sizeof sec->sets[s].key);
        }
    }
}

/* A run in the clear, in which one kind of secret is marked when the signing starts. */
static void check_only(grp_curve curve, only which, reply_marks want)
{
    protocol_run r;
    mpc_context ctx;

    run_init(&r, curve, 3, 1, want.what);
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000001") == r.n, "keygen");
    mark_only(&r, which);
    ct_require(run_presign(&r, 1, 1) == r.committee_count, "presign");
    sign_and_watch(&r, 1, want, &ctx);
    run_clear(&r);
}

/* A whole run in which everything is marked. */
static void check_run(grp_curve curve)
{
    protocol_run r;

    run_init(&r, curve, 3, 1, "constant time");
    scalar_len = grp_get_info(r.g)->scalar_len;
    check_keygen(&r);
    check_records(&r);
    check_presign(&r);
    check_sign(&r);
    run_clear(&r);
}

/* Prepare mode: coins are public once sent, and the list is checked against my own share of it. */
static void check_prepare(void)
{
    protocol_run r;
    mpc_context ctx;

    run_init(&r, GRP_P256, 3, 1, "prepare");
    r.policy.prepare = true;
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000003") == r.n, "keygen");
    mark_only(&r, ONLY_SETS);
    ct_require(run_presign(&r, 1, 1) == r.committee_count, "presign");
    sign_and_watch(&r, 1, (reply_marks){"k_j, a_j with coins", true, true}, &ctx);
    ct_still_public("the context", &ctx, sizeof ctx);
    run_clear(&r);
}

int main(void)
{
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        check_run((grp_curve)curve);
        check_only((grp_curve)curve, ONLY_NOTHING, (reply_marks){"nothing", false, false});
        check_only((grp_curve)curve, ONLY_SHARE, (reply_marks){"x_j alone", false, true});
        check_only((grp_curve)curve, ONLY_PAIRS, (reply_marks){"pads alone", true, true});
        check_only((grp_curve)curve, ONLY_SETS, (reply_marks){"k_j, a_j alone", true, true});
    }
    check_prepare();
    check_run(GRP_P384);
    check_run(GRP_P521);
    return ct_end();
}
