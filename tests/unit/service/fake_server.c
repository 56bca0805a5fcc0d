#include "fake_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "group/group.h"

#define KEYS_MAX 64u
#define HELD_MAX 64u

typedef struct {
    part_key_info info;
    grp_scalar x;
    uint64_t stock;
} fake_key;

typedef struct {
    uint8_t *body;
    size_t len;
    part_reply_fn reply;
    void *ctx;
} held;

struct part_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped, hold;
    tdsa_rng rng;
    uint16_t n, t, me;
    int client_index;
    int64_t default_limit;
    part_event_fn on_event;
    void *on_event_ctx;
    grp *groups[2];
    fake_key keys[KEYS_MAX]; /* ascending by id */
    size_t key_count;
    tdsa_err fail;
    bool fail_set;
    tdsa_status down;
    int down_who;
    held kept[HELD_MAX];
    size_t kept_count;
    fake_calls calls;
    unsigned serial;
};

static grp *group_of(part_engine *e, grp_curve curve)
{
    return e->groups[curve == GRP_P256 ? 0 : 1];
}

tdsa_status part_engine_new(part_engine **out, const part_engine_cfg *cfg, tdsa_err *err)
{
    part_engine *e = (part_engine *)calloc(1, sizeof *e);

    *out = NULL;
    if (e == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory");
    }
    (void)pthread_mutex_init(&e->lock, NULL);
    (void)pthread_cond_init(&e->changed, NULL);
    e->rng = tdsa_os_rng();
    e->n = cfg->roster.n;
    e->t = cfg->t;
    e->me = cfg->roster.me;
    e->client_index = cfg->roster.client_index;
    e->default_limit = cfg->default_presignature_limit;
    e->on_event = cfg->on_event;
    e->on_event_ctx = cfg->on_event_ctx;
    if (grp_open(&e->groups[0], GRP_P256, err) != TDSA_OK ||
        grp_open(&e->groups[1], GRP_SECP256K1, err) != TDSA_OK) {
        part_engine_free(e);
        return err->status;
    }
    *out = e;
    return TDSA_OK;
}

void part_engine_stop(part_engine *e)
{
    (void)fake_engine_release(e, TDSA_E_BUSY);
    (void)pthread_mutex_lock(&e->lock);
    e->stopped = true;
    (void)pthread_cond_broadcast(&e->changed);
    (void)pthread_mutex_unlock(&e->lock);
}

void part_engine_free(part_engine *e)
{
    if (e == NULL) {
        return;
    }
    (void)fake_engine_release(e, TDSA_E_BUSY);
    for (size_t i = 0; i < e->key_count; i++) {
        grp_scalar_clear(&e->keys[i].x);
    }
    grp_close(e->groups[0]);
    grp_close(e->groups[1]);
    (void)pthread_cond_destroy(&e->changed);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}

mpc_policy part_policy_default(grp_curve curve, mpc_scheme scheme)
{
    mpc_policy p;

    memset(&p, 0, sizeof p);
    p.purpose = scheme == MPC_SCHEME_ECDSA ? MPC_PURPOSE_DIGEST : MPC_PURPOSE_MESSAGE;
    p.derivation = MPC_DERIVE_NONE;
    p.prepare = true;
    p.reshare = true;
    p.low_s = scheme == MPC_SCHEME_ECDSA && curve == GRP_SECP256K1;
    p.digests = (1u << TDSA_HASH_SHA224) | (1u << TDSA_HASH_SHA256) | (1u << TDSA_HASH_SHA384) |
                (1u << TDSA_HASH_SHA512);
    return p;
}

/* ---- steering ---- */

void fake_engine_fail_next(part_engine *e, tdsa_status status, int participant, const char *text)
{
    (void)pthread_mutex_lock(&e->lock);
    (void)tdsa_err_set(&e->fail, status, "fake", "%s", text);
    e->fail.participant = participant;
    e->fail_set = true;
    (void)pthread_mutex_unlock(&e->lock);
}

void fake_engine_peer_down(part_engine *e, tdsa_status status, int participant)
{
    (void)pthread_mutex_lock(&e->lock);
    e->down = status;
    e->down_who = participant;
    (void)pthread_mutex_unlock(&e->lock);
}

void fake_engine_hold(part_engine *e, bool hold)
{
    (void)pthread_mutex_lock(&e->lock);
    e->hold = hold;
    (void)pthread_mutex_unlock(&e->lock);
}

size_t fake_engine_release(part_engine *e, tdsa_status status)
{
    held kept[HELD_MAX];
    size_t count;
    tdsa_err err;

    (void)pthread_mutex_lock(&e->lock);
    count = e->kept_count;
    memcpy(kept, e->kept, sizeof kept);
    e->kept_count = 0;
    (void)pthread_mutex_unlock(&e->lock);
    (void)tdsa_err_set(&err, status, "fake", "refused by the test");
    for (size_t i = 0; i < count; i++) {
        kept[i].reply(kept[i].ctx, status == TDSA_OK ? kept[i].body : NULL,
                      status == TDSA_OK ? kept[i].len : 0, &err);
        free(kept[i].body);
    }
    return count;
}

void fake_engine_calls(part_engine *e, fake_calls *out)
{
    (void)pthread_mutex_lock(&e->lock);
    *out = e->calls;
    (void)pthread_mutex_unlock(&e->lock);
}

/* Called with the lock held. */
static bool planned_failure(part_engine *e, tdsa_err *err)
{
    if (!e->fail_set) {
        return false;
    }
    e->fail_set = false;
    *err = e->fail;
    return true;
}

static fake_key *find(part_engine *e, const char *key_id)
{
    for (size_t i = 0; i < e->key_count; i++) {
        if (strcmp(e->keys[i].info.key_id, key_id) == 0) {
            return &e->keys[i];
        }
    }
    return NULL;
}

void fake_engine_set_state(part_engine *e, const char *key_id, ks_key_state state)
{
    fake_key *k;

    (void)pthread_mutex_lock(&e->lock);
    k = find(e, key_id);
    if (k != NULL) {
        k->info.state = state;
    }
    (void)pthread_mutex_unlock(&e->lock);
}

/* Locks and finds; on failure the lock is not held. */
static tdsa_status enter(part_engine *e, const char *key_id, fake_key **out, tdsa_err *err)
{
    (void)pthread_mutex_lock(&e->lock);
    if (planned_failure(e, err)) {
        (void)pthread_mutex_unlock(&e->lock);
        return err->status;
    }
    *out = find(e, key_id);
    if (*out == NULL) {
        (void)pthread_mutex_unlock(&e->lock);
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %.64s", key_id);
    }
    return TDSA_OK;
}

/* ---- keys ---- */

static void fill_info(part_engine *e, part_key_info *k, const part_key_spec *spec)
{
    if (spec->key_id != NULL && spec->key_id[0] != '\0') {
        (void)snprintf(k->key_id, sizeof k->key_id, "%s", spec->key_id);
    } else {
        (void)snprintf(k->key_id, sizeof k->key_id, "fake%024u", e->serial++);
    }
    (void)snprintf(k->label, sizeof k->label, "%s", spec->label != NULL ? spec->label : "");
    k->state = KS_KEY_REGISTERED;
    k->created_ms = UINT64_C(1790000000123);
    k->curve = spec->curve;
    k->scheme = spec->scheme != 0 ? spec->scheme : MPC_SCHEME_ECDSA;
    k->n = e->n;
    k->t = e->t;
    k->epoch = 1;
    k->client_participates = e->client_index >= 0;
    k->policy = spec->policy;
    k->presignature_limit = spec->presignature_limit == PART_LIMIT_DEFAULT
                                ? e->default_limit
                                : spec->presignature_limit;
    if (spec->attrs != NULL && spec->attrs_len <= sizeof k->attrs) {
        memcpy(k->attrs, spec->attrs, spec->attrs_len);
        k->attrs_len = spec->attrs_len;
    }
}

static tdsa_status insert(part_engine *e, const fake_key *k, tdsa_err *err)
{
    size_t at = 0;

    if (e->key_count == KEYS_MAX) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "the fake engine is full");
    }
    while (at < e->key_count && strcmp(e->keys[at].info.key_id, k->info.key_id) < 0) {
        at++;
    }
    memmove(&e->keys[at + 1], &e->keys[at], (e->key_count - at) * sizeof e->keys[0]);
    e->keys[at] = *k;
    e->key_count++;
    return TDSA_OK;
}

tdsa_status part_engine_register(part_engine *e, const part_key_spec *spec, uint32_t deadline_ms,
                                 char *key_id_out, tdsa_err *err)
{
    fake_key k;
    const fake_key *old;
    tdsa_status st = TDSA_OK;

    (void)deadline_ms;
    memset(&k, 0, sizeof k);
    key_id_out[0] = '\0';
    (void)pthread_mutex_lock(&e->lock);
    e->calls.registered++;
    if (planned_failure(e, err)) {
        st = err->status;
    } else {
        fill_info(e, &k.info, spec);
        old = find(e, k.info.key_id);
        if (old == NULL) {
            st = insert(e, &k, err);
        } else if (old->info.curve != spec->curve) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "the key exists with another specification");
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (st == TDSA_OK) {
        memcpy(key_id_out, k.info.key_id, sizeof k.info.key_id);
    }
    return st;
}

static tdsa_status make_key(part_engine *e, fake_key *k, tdsa_err *err)
{
    grp *g = group_of(e, k->info.curve);
    grp_point y;
    tdsa_status st = grp_scalar_random(g, &k->x, &e->rng, err);

    if (st == TDSA_OK) {
        st = grp_mul_base(g, &y, &k->x, err);
    }
    if (st == TDSA_OK) {
        grp_point_encode_raw(g, k->info.public_key, &y);
        k->info.public_key_len = grp_get_info(g)->point_raw_len;
        k->info.state = KS_KEY_ACTIVE;
    }
    return st;
}

tdsa_status part_engine_generate(part_engine *e, const char *key_id, uint32_t deadline_ms,
                                 tdsa_err *err)
{
    fake_key *k;
    tdsa_status st = enter(e, key_id, &k, err);

    (void)deadline_ms;
    if (st != TDSA_OK) {
        return st;
    }
    e->calls.generated++;
    st = k->info.state == KS_KEY_REGISTERED
             ? make_key(e, k, err)
             : TDSA_FAIL(err, TDSA_E_CONFLICT, "the key is not REGISTERED");
    (void)pthread_mutex_unlock(&e->lock);
    return st;
}

tdsa_status part_engine_presign(part_engine *e, const char *key_id, uint32_t count,
                                uint32_t deadline_ms, tdsa_err *err)
{
    fake_key *k;
    tdsa_status st = enter(e, key_id, &k, err);

    (void)deadline_ms;
    if (st != TDSA_OK) {
        return st;
    }
    e->calls.presigned++;
    if (k->info.presignature_limit >= 0 &&
        k->stock + count > (uint64_t)k->info.presignature_limit) {
        st = TDSA_FAIL(err, TDSA_E_LIMIT, "the key's limit is %lld",
                       (long long)k->info.presignature_limit);
    } else {
        k->stock += count;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return st;
}

tdsa_status part_engine_stock(part_engine *e, const char *key_id, part_stock_info *out,
                              tdsa_err *err)
{
    fake_key *k;
    tdsa_status st = enter(e, key_id, &k, err);

    memset(out, 0, sizeof *out);
    if (st == TDSA_OK) {
        out->total.available = k->stock;
        out->limit = k->info.presignature_limit;
        (void)pthread_mutex_unlock(&e->lock);
    }
    return st;
}

tdsa_status part_engine_purge(part_engine *e, const char *key_id, uint64_t *dropped, tdsa_err *err)
{
    fake_key *k = NULL;
    const tdsa_status st = enter(e, key_id, &k, err);

    *dropped = st == TDSA_OK ? k->stock : 0;
    if (st == TDSA_OK) {
        k->stock = 0;
        (void)pthread_mutex_unlock(&e->lock);
    }
    return st;
}

tdsa_status part_engine_delete(part_engine *e, const char *key_id, uint64_t grace_ms,
                               uint32_t deadline_ms, tdsa_err *err)
{
    fake_key *k;
    tdsa_status st = enter(e, key_id, &k, err);

    (void)(grace_ms + deadline_ms);
    if (st == TDSA_OK) {
        e->calls.deleted++;
        k->info.state = KS_KEY_DELETED;
        grp_scalar_clear(&k->x);
        (void)pthread_mutex_unlock(&e->lock);
    }
    return st;
}

tdsa_status part_engine_key(part_engine *e, const char *key_id, part_key_info *out, tdsa_err *err)
{
    fake_key *k = NULL;
    bool deleted = false;

    memset(out, 0, sizeof *out);
    (void)pthread_mutex_lock(&e->lock);
    k = find(e, key_id);
    deleted = k != NULL && k->info.state == KS_KEY_DELETED;
    if (k != NULL && !deleted) {
        *out = k->info;
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (deleted) { /* as the real one says it */
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %.64s was deleted", key_id);
    }
    return k != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %.64s", key_id);
}

tdsa_status part_engine_list(part_engine *e, const part_key_filter *filter, part_key_fn fn,
                             void *ctx, tdsa_err *err)
{
    size_t shown = 0;
    tdsa_status st;

    (void)pthread_mutex_lock(&e->lock);
    st = planned_failure(e, err) ? err->status : TDSA_OK;
    for (size_t i = 0; st == TDSA_OK && i < e->key_count && shown < filter->limit; i++) {
        const part_key_info *k = &e->keys[i].info;

        if ((filter->after != NULL && strcmp(k->key_id, filter->after) <= 0) ||
            (filter->label != NULL && strcmp(k->label, filter->label) != 0) ||
            (!filter->all_states && k->state != KS_KEY_ACTIVE)) {
            continue;
        }
        shown++;
        if (!fn(ctx, k)) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    return st;
}

/* ---- signing ---- */

static tdsa_status sign_scalar(part_engine *e, const fake_key *k, const grp_scalar *h, bool low_s,
                               part_sign_result *out, tdsa_err *err)
{
    grp *g = group_of(e, k->info.curve);
    size_t len = grp_get_info(g)->scalar_len;
    grp_scalar nonce, r, s;
    grp_point point;
    bool odd, wrapped;
    tdsa_status st = grp_scalar_random(g, &nonce, &e->rng, err);

    if (st == TDSA_OK) {
        st = grp_mul_base(g, &point, &nonce, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    grp_point_x_mod_q(g, &r, &point);
    grp_point_parity(g, &odd, &wrapped, &point);
    grp_scalar_mul(g, &s, &r, &k->x);
    grp_scalar_add(g, &s, &s, h);
    grp_scalar_inv(g, &nonce, &nonce);
    grp_scalar_mul(g, &s, &s, &nonce);
    if (low_s && grp_scalar_is_high_vartime(g, &s)) {
        grp_scalar_neg(g, &s, &s);
        odd = !odd;
    }
    grp_scalar_encode(g, out->rs, &r);
    grp_scalar_encode(g, out->rs + len, &s);
    out->rs_len = 2 * len;
    out->recovery_id = (uint8_t)((odd ? 1u : 0u) + (wrapped ? 2u : 0u));
    return TDSA_OK;
}

tdsa_status part_engine_sign(part_engine *e, const part_sign_request *req, uint32_t deadline_ms,
                             part_sign_result *out, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    size_t digest_len = tdsa_hash_len(req->digest_alg);
    fake_key *k;
    grp_scalar h;
    tdsa_status st;

    (void)deadline_ms;
    memset(out, 0, sizeof *out);
    st = enter(e, req->key_id, &k, err);
    if (st != TDSA_OK) {
        return st;
    }
    e->calls.signed_count++;
    if (k->info.state != KS_KEY_ACTIVE) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "the key is not ACTIVE");
    } else if (k->info.policy.purpose == MPC_PURPOSE_MESSAGE) {
        st = tdsa_hash(digest, req->digest_alg, req->payload, req->payload_len, err);
    } else if (req->payload_len == 0 || req->payload_len > sizeof digest) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "bad digest length");
    } else {
        digest_len = req->payload_len;
        memcpy(digest, req->payload, digest_len);
    }
    if (st == TDSA_OK) {
        grp_digest_to_scalar(group_of(e, k->info.curve), &h, digest, digest_len);
        st = sign_scalar(e, k, &h, req->low_s, out, err);
    }
    if (st == TDSA_OK) {
        k->stock -= k->stock > 0 ? 1 : 0;
        (void)snprintf(out->session_id, sizeof out->session_id, "fake-session-%08u", e->serial++);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return st;
}

tdsa_status part_engine_public_key(part_engine *e, const char *key_id, const uint32_t *path,
                                   uint16_t path_len, uint8_t *out, size_t *out_len, tdsa_err *err)
{
    fake_key *k;
    tdsa_status st;

    (void)path;
    if (path_len > 0) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the fake engine derives nothing");
    }
    st = enter(e, key_id, &k, err);
    if (st == TDSA_OK) {
        memcpy(out, k->info.public_key, k->info.public_key_len);
        *out_len = k->info.public_key_len;
        (void)pthread_mutex_unlock(&e->lock);
    }
    return st;
}

/* ---- servers ---- */

void part_engine_handle(part_engine *e, const char *session_id, const uint8_t *body, size_t len,
                        part_reply_fn reply, void *ctx)
{
    tdsa_err err;
    bool kept = false;

    (void)session_id;
    (void)tdsa_err_set(&err, TDSA_OK, "fake", "%s", "");
    (void)pthread_mutex_lock(&e->lock);
    e->calls.handled++;
    if (planned_failure(e, &err)) {
        body = NULL;
        len = 0;
    } else if (e->hold && e->kept_count < HELD_MAX) {
        uint8_t *copy = (uint8_t *)malloc(len);

        if (copy != NULL) {
            memcpy(copy, body, len);
            e->kept[e->kept_count++] = (held){copy, len, reply, ctx};
            kept = true;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (!kept) {
        reply(ctx, body, len, &err);
    }
}

void part_engine_work(part_engine *e)
{
    (void)pthread_mutex_lock(&e->lock);
    while (!e->stopped) {
        (void)pthread_cond_wait(&e->changed, &e->lock);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

tdsa_status part_engine_ping(part_engine *e, uint32_t deadline_ms, bool *ok, tdsa_err *err)
{
    tdsa_status st;

    (void)deadline_ms;
    (void)pthread_mutex_lock(&e->lock);
    e->calls.pinged++;
    st = e->down;
    for (int i = 0; i < e->n; i++) {
        ok[i] = st == TDSA_OK || i != e->down_who;
    }
    if (st != TDSA_OK) {
        (void)tdsa_err_blame(err, st, (unsigned)e->down_who, "fake",
                             "participant %d does not answer", e->down_who);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return st;
}

void part_engine_stats(part_engine *e, part_stats *out)
{
    memset(out, 0, sizeof *out);
    (void)pthread_mutex_lock(&e->lock);
    out->replies_waiting = e->kept_count;
    (void)pthread_mutex_unlock(&e->lock);
}
