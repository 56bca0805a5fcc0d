#include "ct/ct.h"

#include "base/secret.h"
#include "base/statement.h"
#include "protocol/presign_internal.h"
#include "protocol/sign.h"
#include "support/protocol_run.h"

/*
 * Presignatures and replies of the Schnorr schemes with the secret half of each key marked, all of it
 * or one kind alone: nothing may branch on it, what is sent is public, and z_j depends on each kind.
 * Key generation is the one of ct_protocol; it knows no scheme.
 */

#define SCALAR_BYTES 32u
#define MESSAGE_MAX  4096u

static tdsa_err err;

typedef enum { MARK_NOTHING, MARK_SHARE, MARK_PAIRS, MARK_SETS, MARK_ALL } mark;

static void mark_keys(const protocol_run *r, mark which)
{
    for (uint16_t i = 0; i < r->n; i++) {
        mpc_key_secret *sec = r->key[i]->sec;

        if (which == MARK_SHARE || which == MARK_ALL) {
            ct_secret(&sec->share, SCALAR_BYTES);
        }
        for (uint16_t p = 0; p < r->n && (which == MARK_PAIRS || which == MARK_ALL); p++) {
            ct_secret(sec->pairs[p], sizeof sec->pairs[p]);
        }
        for (size_t s = 0; s < sec->set_count && (which == MARK_SETS || which == MARK_ALL); s++) {
            ct_secret(sec->sets[s].key, sizeof sec->sets[s].key);
        }
    }
}

/* stmt("reply", me, T, committee, [z]): looked at before it is sent, and public from then on, for the
 * pad hides what it is made of. */
static void watch_reply(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                        tdsa_buf *message)
{
    const bool *want = ctx;
    tdsa_reader r = tdsa_reader_of(message->data, message->len);
    uint16_t committee[GRP_PARTIES_MAX];
    const uint8_t *z = NULL;
    tdsa_reader list;
    size_t len = 0;

    (void)round;
    (void)from;
    (void)to;
    if (step != STEP_REPLY) {
        ct_still_public("a message of presigning", message->data, message->len);
        return;
    }
    tdsa_stmt_expect(&r, "reply");
    (void)tdsa_stmt_read_uint(&r);
    (void)tdsa_stmt_read_octets(&r, &len, MESSAGE_MAX);
    (void)tdsa_stmt_read_uint_list(&r, committee, GRP_PARTIES_MAX);
    ct_still_public("the head of a reply", message->data, r.pos);
    list = tdsa_stmt_read_list(&r);
    z = tdsa_stmt_read_item(&list, TDSA_ITEM_SCALAR, SCALAR_BYTES);
    ct_require(z != NULL, "a scalar in the reply");
    if (*want) {
        ct_still_secret("z_j", z, SCALAR_BYTES);
    } else {
        ct_still_public("z_j", z, SCALAR_BYTES);
    }
    ct_public(message->data, message->len);
}

static void check_nonces(const protocol_run *r)
{
    for (uint16_t i = 0; i < r->committee_count; i++) {
        ct_still_public("batch data", r->data[i].data, r->data[i].len);
        for (size_t s = 0; s < PRESIGN_STREAMS; s++) {
            grp_scalar v;

            ct_require(grp_prss_shares(r->batch[i]->stream[s], &v, 0, 1, &err) == TDSA_OK, "share");
            ct_still_secret(s == 0 ? "d_j" : "e_j", &v, SCALAR_BYTES);
        }
    }
}

static void sign_and_watch(protocol_run *r, bool taproot)
{
    static const uint8_t message[] = "constant time";
    mpc_request q = run_request(r, taproot ? 1 : 0, message, sizeof message);
    mpc_signature sig;
    mpc_context ctx;

    q.taproot = taproot;
    ct_require(run_sign(r, &q, &sig, &ctx, &err) == TDSA_OK, "a signature");
    ct_still_public("the signature", sig.bytes, sig.len);
    ct_still_public("the context", &ctx, sizeof ctx);
}

static void check_marked(mpc_scheme scheme, mark which)
{
    const grp_curve curve = scheme == MPC_SCHEME_EDDSA ? GRP_ED25519 : GRP_SECP256K1;
    bool want = which != MARK_NOTHING;
    protocol_run r;

    run_init_scheme(&r, curve, scheme, 3, 1, "constant time");
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000002") == r.n, "keygen");
    mark_keys(&r, which);
    r.hook = watch_reply;
    r.hook_ctx = &want;
    ct_require(run_presign(&r, 1, 1) == r.committee_count, "presign");
    if (which == MARK_ALL || which == MARK_SETS) {
        check_nonces(&r);
    }
    sign_and_watch(&r, false);
    if (scheme == MPC_SCHEME_BIP340) {
        sign_and_watch(&r, true);
    }
    for (uint16_t i = 0; i < r.n && which == MARK_ALL; i++) { /* answering declassified nothing */
        ct_still_secret("x_j", &r.key[i]->sec->share, SCALAR_BYTES);
    }
    run_clear(&r);
}

int main(void)
{
    static const mpc_scheme schemes[] = {MPC_SCHEME_BIP340, MPC_SCHEME_EDDSA};

    for (size_t i = 0; i < 2; i++) {
        for (int which = MARK_NOTHING; which <= MARK_ALL; which++) {
            check_marked(schemes[i], (mark)which);
        }
    }
    return ct_end();
}
