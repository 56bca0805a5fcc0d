#include "support/partial_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void make_key(partial_run *f, const partial_wish *w)
{
    part_key_spec spec = {.curve = w->curve,
                          .scheme = w->scheme,
                          .policy = part_policy_default(w->curve, w->scheme),
                          .presignature_limit = -1};
    part *p = sim_part(f->s, 0);
    part_result none;
    tdsa_err err;

    spec.policy.prepare = w->prepare;
    spec.policy.rate = w->rate;
    sim_must(f->s,
             sim_finish(f->s, 0, part_start_register(p, &spec, 0, f->key_id, &err), &none, &err),
             "register", &err);
    sim_must(f->s, sim_finish(f->s, 0, part_start_keygen(p, f->key_id, 0, &err), &none, &err),
             "keygen", &err);
}

partial_run *partial_run_new(const partial_wish *w)
{
    partial_wish all = *w;
    partial_run *f = calloc(1, sizeof *f);

    TDSA_ASSERT(f != NULL);
    all.n = all.n == 0 ? 3 : all.n;
    all.curve = all.curve == 0 ? GRP_P256 : all.curve;
    all.scheme = all.scheme == 0 ? mpc_scheme_default(all.curve) : all.scheme;
    const sim_cfg cfg = {
        .seed = 23, .n = all.n, .t = 1, .delay_max_ms = 2, .with_client = all.with_client};

    f->s = sim_new(&cfg);
    for (uint16_t i = 0; i < all.n; i++) {
        f->partial[i] = TDSA_BUF_EMPTY;
    }
    make_key(f, &all);
    memset(f->digest, 7, sizeof f->digest);
    f->req = (part_sign_request){.key_id = f->key_id,
                                 .digest_alg = all.scheme == MPC_SCHEME_ECDSA ? TDSA_HASH_SHA256
                                                                              : TDSA_HASH_NONE,
                                 .payload = f->digest,
                                 .payload_len = sizeof f->digest};
    partial_run_presign(f, all.stock == 0 ? 8 : all.stock);
    partial_run_choose(f);
    return f;
}

void partial_run_free(partial_run *f)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        tdsa_buf_clear(&f->partial[i]);
    }
    sim_free(f->s);
    free(f);
}

void partial_run_presign(partial_run *f, uint32_t count)
{
    part_result none;
    tdsa_err err;

    sim_must(f->s,
             sim_finish(f->s, 0, part_start_presign(sim_part(f->s, 0), f->key_id, count, 0, &err),
                        &none, &err),
             "presign", &err);
}

static bool take_first(void *ctx, const part_presig_range *r)
{
    *(part_presig_range *)ctx = *r;
    return false;
}

void partial_run_choose(partial_run *f)
{
    part_presig_range r = {.to = 0};
    tdsa_err err;

    sim_must(f->s, part_presignatures(sim_part(f->s, 0), f->key_id, take_first, &r, &err), "list",
             &err);
    TDSA_ASSERT(r.to > 0);
    f->id = r.first;
    f->members = r.members;
}

tdsa_status partial_run_ask(partial_run *f, uint16_t who, tdsa_err *err)
{
    part_partial_result out;
    const tdsa_status st = part_partial(sim_part(f->s, who), &f->req, &f->id, &out, err);

    if (st == TDSA_OK) {
        TDSA_ASSERT(out.participant == who);
        tdsa_buf_clear(&f->partial[who]);
        f->partial[who] = out.bytes;
    }
    return st;
}

void partial_run_ask_all(partial_run *f)
{
    tdsa_err err;

    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((f->members >> i & 1) != 0) {
            sim_must(f->s, partial_run_ask(f, i, &err), "partial signature", &err);
        }
    }
}

tdsa_status partial_run_combine(partial_run *f, uint16_t who, tdsa_err *err)
{
    part_bytes all[GRP_PARTIES_MAX];
    part_combined out;
    part_sign_result sig = {.rs_len = 0};
    const uint32_t dishonest = f->s->dishonest;
    size_t count = 0;
    tdsa_status st;

    f->s->dishonest |= PARTIAL_CALLER; /* what is refused need not have been made by a member */
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (f->partial[i].len > 0) {
            all[count++] = (part_bytes){f->partial[i].data, f->partial[i].len};
        }
    }
    st = part_combine(sim_part(f->s, who), f->key_id, all, count, &out, err);
    f->s->dishonest = dishonest;
    TDSA_ASSERT(st == TDSA_OK || out.rs_len == 0);
    if (st == TDSA_OK) {
        memcpy(sig.rs, out.rs, out.rs_len);
        sig.rs_len = out.rs_len;
        sig.recovery_id = out.recovery_id;
        sim_check_signature_at(f->s, who, &f->req, &sig);
    }
    return st;
}

tdsa_status partial_run_sign(partial_run *f, uint16_t who, uint8_t first, tdsa_err *err)
{
    part_sign_request req = f->req;
    uint8_t digest[32] = {first};
    part_result result;
    tdsa_status st;

    req.payload = digest;
    st = sim_finish(f->s, who, part_start_sign(sim_part(f->s, who), &req, 0, err), &result, err);
    if (st == TDSA_OK) {
        sim_check_signature_at(f->s, who, &req, &result.sign);
    }
    return st;
}

static size_t reply_at(const tdsa_buf *partial)
{
    part_partial_view v;
    tdsa_err err;

    TDSA_ASSERT(part_partial_parse(&v, partial->data, partial->len, &err) == TDSA_OK);
    return (size_t)(v.reply - partial->data);
}

/* stmt("reply", sender, T, ...): 5 + 5 bytes of the tag, 5 + 8 of the sender, 5 before T. */
size_t partial_run_sender_at(const tdsa_buf *partial)
{
    return reply_at(partial) + 10 + 5 + 7;
}

size_t partial_run_transcript_at(const tdsa_buf *partial)
{
    return reply_at(partial) + 10 + 13 + 5;
}

bool partial_run_says(const tdsa_err *err, const char *name)
{
    return strncmp(err->text, name, strlen(name)) == 0 && err->text[strlen(name)] == ':';
}
