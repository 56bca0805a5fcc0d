#include "protocol/recovery_internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "base/pkey.h"

#define REPS MPC_RECOVERY_REPETITIONS

static tdsa_status open_with_key(void *ctx, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *err)
{
    const tdsa_rsa_key *key = ctx;

    return tdsa_rsa_decrypt(out, key, s, err);
}

mpc_recovery_opener mpc_recovery_opener_of(const tdsa_rsa_key *key)
{
    union {
        const tdsa_rsa_key *lent;
        void *ctx;
    } u = {.lent = key}; /* open_with_key takes it as const again */

    return (mpc_recovery_opener){open_with_key, u.ctx};
}

static void say(mpc_recovery_verdict *v, const char *why)
{
    const size_t len = strlen(why);

    TDSA_ASSERT(len < sizeof v->why); /* our own words */
    memcpy(v->why, why, len + 1);
}

/* Whether half + opened half is the share of X_j; then *x is it. */
static tdsa_status try_halves(const grp *g, const mpc_recovery_info *info, size_t i,
                              const tdsa_buf *plain, grp_scalar *x, bool *good, tdsa_err *err)
{
    const uint8_t *opened = info->opened + i * (info->value_len + RECOVERY_SEED_LEN);
    grp_scalar a;
    grp_scalar b;
    grp_point point;
    tdsa_status st = TDSA_OK;

    *good = false;
    if (plain->len != info->value_len ||
        grp_scalar_decode(g, &a, opened, info->value_len, err) != TDSA_OK ||
        grp_scalar_decode(g, &b, plain->data, plain->len, err) != TDSA_OK) {
        return TDSA_OK;
    }
    grp_scalar_add(g, x, &a, &b);
    st = grp_mul_base(g, &point, x, err);
    grp_scalar_clear(&b);
    tdsa_declassify(&point, sizeof point); /* X_j when it is right, else nobody's */
    *good = st == TDSA_OK && grp_point_equal(g, &point, &info->context.x[info->index]);
    return st;
}

/* The share of an info, from whichever repetition gives it. */
static tdsa_status open_share(const grp *g, const mpc_recovery_info *info,
                              const mpc_recovery_opener *opener, grp_scalar *x, bool *good,
                              tdsa_err *err)
{
    const recovery_subject subject = recovery_subject_of(info);
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
    tdsa_status st = recovery_label(label, &subject, RECOVERY_SHARE, err);

    *good = false;
    for (size_t i = 0; i < REPS && !*good && st == TDSA_OK; i++) {
        TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
        const tdsa_rsa_sealed s = {info->kept + i * info->sealed_len, info->sealed_len, label,
                                   sizeof label};

        st = opener->open(opener->ctx, &plain, &s, err);
        if (st == TDSA_OK) {
            st = try_halves(g, info, i, &plain, x, good, err);
        } else if (st == TDSA_E_CRYPTO) {
            st = TDSA_OK; /* this ciphertext is bad; another one may be good */
        }
    }
    if (!*good) {
        grp_scalar_clear(x);
    }
    return st;
}

/* The chain code of an info, when it is the one of the context. */
static tdsa_status open_cc(const mpc_recovery_info *info, const mpc_recovery_opener *opener,
                           mpc_recovered *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    const recovery_subject subject = recovery_subject_of(info);
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
    const tdsa_rsa_sealed s = {info->cc_sealed, info->sealed_len, label, sizeof label};
    uint8_t hash[64];
    tdsa_status st = recovery_label(label, &subject, RECOVERY_CC, err);

    st = st != TDSA_OK ? st : opener->open(opener->ctx, &plain, &s, err);
    if (st == TDSA_OK && plain.len == sizeof out->cc) {
        st = recovery_cc_hash(hash, plain.data, err);
        tdsa_declassify(hash, sizeof hash); /* the context has it in the clear */
        out->has_cc = st == TDSA_OK && memcmp(hash, info->context.cc_hash, sizeof hash) == 0;
    }
    if (out->has_cc) {
        memcpy(out->cc, plain.data, sizeof out->cc);
    }
    return st == TDSA_E_CRYPTO ? TDSA_OK : st;
}

static bool same_context(const mpc_recovery_info *a, const mpc_recovery_info *b)
{
    return a->context_len == b->context_len &&
           memcmp(a->context_bytes, b->context_bytes, a->context_len) == 0;
}

/* Participants whose infos have the context of info `of`. */
static size_t participants_like(const mpc_recovery_asked *q, size_t of)
{
    bool seen[GRP_PARTIES_MAX] = {false};
    size_t count = 0;

    for (size_t i = 0; i < q->count; i++) {
        if (same_context(&q->infos[i], &q->infos[of]) && !seen[q->infos[i].index]) {
            seen[q->infos[i].index] = true;
            count++;
        }
    }
    return count;
}

/* The first info of the context that is recovered; count when there is none. */
static size_t choose_context(const mpc_recovery_asked *q)
{
    size_t best = q->count;
    size_t most = 0;

    for (size_t i = 0; i < q->count; i++) {
        size_t count = 0;

        if (q->y != NULL && !grp_point_equal(q->g, q->y, &q->infos[i].context.y)) {
            continue;
        }
        count = participants_like(q, i);
        if (count > most) {
            best = i;
            most = count;
        }
    }
    return best;
}

/* Shares that were found. Secret. */
typedef struct {
    grp_scalar share[GRP_THRESHOLD_MAX + 1];
    uint16_t index[GRP_THRESHOLD_MAX + 1];
    size_t count;
} found;

static bool has(const found *f, uint16_t index)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->index[i] == index) {
            return true;
        }
    }
    return false;
}

/* t+1 shares of the context of out->of, and a verdict on every info that was looked at. */
static tdsa_status collect(const mpc_recovery_asked *q, const mpc_recovery_opener *opener,
                           mpc_recovered *out, mpc_recovery_verdict *verdicts, found *f,
                           tdsa_err *err)
{
    const size_t wanted = q->infos[out->of].context.t + 1u;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < q->count && st == TDSA_OK; i++) {
        const mpc_recovery_info *info = &q->infos[i];
        bool good = false;

        if (!same_context(info, &q->infos[out->of])) {
            say(&verdicts[i], "it is of another key, epoch or auxiliary data");
            continue;
        }
        if (f->count == wanted || has(f, info->index)) {
            continue;
        }
        st = open_share(q->g, info, opener, &f->share[f->count], &good, err);
        if (st == TDSA_OK && !good) {
            say(&verdicts[i], "none of its ciphertexts holds the share under this key");
        }
        if (st == TDSA_OK && good) {
            verdicts[i].good = true;
            f->index[f->count++] = info->index;
            st = out->has_cc ? TDSA_OK : open_cc(info, opener, out, err);
        }
    }
    return st;
}

/* x = sum of lambda_j x_j, when it is the private key of Y. */
static tdsa_status combine(const mpc_recovery_asked *q, mpc_recovered *out, const found *f,
                           tdsa_err *err)
{
    const mpc_recovery_context *c = &q->infos[out->of].context;
    grp_scalar lambda[GRP_THRESHOLD_MAX + 1];
    grp_scalar x = {0};
    grp_point y;
    tdsa_status st = TDSA_OK;

    grp_lagrange(q->g, lambda, f->index, f->count);
    for (size_t i = 0; i < f->count; i++) {
        grp_scalar_mul(q->g, &lambda[i], &lambda[i], &f->share[i]);
        grp_scalar_add(q->g, &x, &x, &lambda[i]);
    }
    st = grp_mul_base(q->g, &y, &x, err);
    tdsa_declassify(&y, sizeof y); /* the public key */
    if (st == TDSA_OK && !grp_point_equal(q->g, &y, &c->y)) {
        st = TDSA_FAIL(err, TDSA_E_INTERNAL, "right shares do not make the key"); /* cannot be */
    }
    st = st != TDSA_OK ? st : tdsa_secret_new(&out->x, grp_get_info(q->g)->scalar_len, err);
    if (st == TDSA_OK) {
        grp_scalar_encode(q->g, tdsa_secret_bytes(out->x), &x);
    }
    tdsa_wipe(lambda, sizeof lambda);
    grp_scalar_clear(&x);
    return st;
}

tdsa_status mpc_recovery_recover(mpc_recovered *out, mpc_recovery_verdict *verdicts,
                                 const mpc_recovery_asked *asked, const mpc_recovery_opener *opener,
                                 tdsa_err *err)
{
    found f = {.count = 0};
    tdsa_status st = TDSA_OK;

    *out = (mpc_recovered){.x = NULL};
    if (asked->count > MPC_RECOVERY_INFOS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu recovery infos, at most %u", asked->count,
                         MPC_RECOVERY_INFOS_MAX);
    }
    for (size_t i = 0; i < asked->count; i++) {
        verdicts[i] = (mpc_recovery_verdict){.good = false};
    }
    out->of = choose_context(asked);
    if (out->of == asked->count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no recovery info of this key");
    }
    st = collect(asked, opener, out, verdicts, &f, err);
    if (st == TDSA_OK && f.count < asked->infos[out->of].context.t + 1u) {
        st = TDSA_FAIL(err, TDSA_E_LIMIT, "%zu good recovery infos, %u are needed", f.count,
                       asked->infos[out->of].context.t + 1u);
    }
    st = st != TDSA_OK ? st : combine(asked, out, &f, err);
    tdsa_wipe(&f, sizeof f);
    if (st != TDSA_OK) {
        mpc_recovered_clear(out);
    }
    return st;
}

void mpc_recovered_clear(mpc_recovered *r)
{
    tdsa_secret_free(r->x);
    tdsa_wipe(r, sizeof *r);
}

/* The public key of a private one, uncompressed. */
static tdsa_status public_of(uint8_t out[GRP_POINT_RAW_MAX], const grp *g, const tdsa_secret *x,
                             tdsa_err *err)
{
    grp_scalar a;
    grp_point y;
    tdsa_status st = grp_scalar_decode(g, &a, tdsa_secret_view(x), tdsa_secret_len(x), err);

    st = st != TDSA_OK ? st : grp_mul_base(g, &y, &a, err);
    grp_scalar_clear(&a);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(&y, sizeof y); /* the public key */
    if (grp_point_is_identity(&y)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "0 is no private key");
    }
    grp_point_encode_raw(g, out, &y);
    return TDSA_OK;
}

tdsa_status mpc_recovery_put_key(tdsa_buf *out, const grp *g, const tdsa_secret *x, tdsa_err *err)
{
    const grp_info *info = grp_get_info(g);
    uint8_t point[GRP_POINT_RAW_MAX];
    const tdsa_pkey key = {info->oid,        info->oid_len, tdsa_secret_view(x),
                           info->scalar_len, point,         info->point_raw_len};
    const size_t before = out->len;
    tdsa_status st = public_of(point, g, x, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (info->curve != GRP_ED25519) {
        return tdsa_pkey_to_pem(out, &key, err);
    }
    tdsa_buf_append_str(out, "ed25519-scalar ");
    tdsa_hex_encode(out, tdsa_secret_view(x), info->scalar_len);
    tdsa_buf_append_u8(out, '\n');
    st = tdsa_buf_check(out, err);
    if (st != TDSA_OK) {
        out->len = before;
    }
    return st;
}
