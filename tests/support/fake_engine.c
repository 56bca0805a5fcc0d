#include "support/fake_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "protocol/schnorr.h"

#define FAKE_KEYS_MAX 2048u

typedef struct {
    bool used;
    part_key_info info;
    grp_scalar secret;
} fake_key;

struct part_engine {
    atomic_bool stopping;
};

fake_control fake;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fake_key keys[FAKE_KEYS_MAX];
static size_t key_places; /* in use, or left by deleted keys */
static atomic_ulong changes;

void fake_changed(void)
{
    atomic_fetch_add(&changes, 1);
}

static atomic_uint next_id;
static atomic_ulong next_ms;

tdsa_status fake_fail_as(atomic_int *what, tdsa_err *err)
{
    const tdsa_status st = (tdsa_status)atomic_load(what);
    const char *why = atomic_load(&fake.why);

    if (st == TDSA_OK) {
        return TDSA_OK;
    }
    (void)TDSA_FAIL(err, st, "%s", why != NULL ? why : "the test wants it");
    err->participant = atomic_load(&fake.blame) - 1;
    return st;
}

static fake_key *find(const char *key_id)
{
    for (size_t i = 0; i < key_places; i++) {
        if (keys[i].used && strcmp(keys[i].info.key_id, key_id) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

/* Places are not used twice: a deleted key stays in its own, to be told. */
static fake_key *add(const char *key_id)
{
    fake_key *k = NULL;

    if (key_places == FAKE_KEYS_MAX) {
        return NULL;
    }
    k = &keys[key_places++];
    memset(k, 0, sizeof *k);
    k->used = true;
    (void)snprintf(k->info.key_id, sizeof k->info.key_id, "%s", key_id);
    return k;
}

static void make_active(fake_key *k)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;
    grp *g = NULL;
    grp_point y;

    TDSA_ASSERT(grp_open(&g, k->info.curve, &err) == TDSA_OK);
    TDSA_ASSERT(grp_scalar_random(g, &k->secret, &rng, &err) == TDSA_OK);
    TDSA_ASSERT(grp_mul_base(g, &y, &k->secret, &err) == TDSA_OK);
    grp_point_encode_raw(g, k->info.public_key, &y);
    k->info.public_key_len = grp_get_info(g)->point_raw_len;
    k->info.state = KS_KEY_ACTIVE;
    k->info.created_ms = atomic_fetch_add(&next_ms, 1);
    grp_close(g);
}

void fake_reset(void)
{
    pthread_mutex_lock(&lock);
    memset(keys, 0, key_places * sizeof keys[0]);
    key_places = 0;
    pthread_mutex_unlock(&lock);
    memset(&fake, 0, sizeof fake);
    fake_objects_reset();
    fake_changed();
}

size_t fake_key_count(void)
{
    size_t n = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < key_places; i++) {
        n += keys[i].used ? 1 : 0;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

bool fake_has_key(const char *key_id)
{
    bool has = false;

    pthread_mutex_lock(&lock);
    has = find(key_id) != NULL;
    pthread_mutex_unlock(&lock);
    return has;
}

void fake_other_process_adds(const char *key_id, grp_curve curve, const char *label)
{
    fake_key *k = NULL;

    pthread_mutex_lock(&lock);
    k = add(key_id);
    TDSA_ASSERT(k != NULL);
    k->info.curve = curve;
    k->info.scheme = mpc_scheme_default(curve);
    k->info.policy = part_policy_default(curve, k->info.scheme);
    (void)snprintf(k->info.label, sizeof k->info.label, "%s", label);
    make_active(k);
    pthread_mutex_unlock(&lock);
    fake_changed();
}

static tdsa_status remove_key(const char *key_id, tdsa_err *err)
{
    fake_key *k = NULL;

    pthread_mutex_lock(&lock);
    k = find(key_id);
    if (k != NULL) {
        k->used = false;
    }
    pthread_mutex_unlock(&lock);
    fake_changed();
    return k != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no key %s", key_id);
}

void fake_other_process_deletes(const char *key_id)
{
    tdsa_err err;

    TDSA_ASSERT(remove_key(key_id, &err) == TDSA_OK);
}

/* ---- keystore ---- */

tdsa_status ks_open(ks **out, const ks_cfg *cfg, tdsa_err *err)
{
    tdsa_status st = fake_fail_as(&fake.fail_open, err);

    (void)cfg;
    *out = NULL;
    if (st == TDSA_OK) {
        *out = calloc(1, sizeof **out);
        TDSA_ASSERT(*out != NULL);
    }
    return st;
}

void ks_close(ks *s)
{
    free(s);
}

void ks_abandon(ks *s)
{
    atomic_fetch_add(&fake.store_abandoned, 1);
    free(s);
}

tdsa_status ks_unlock(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
{
    const tdsa_status st = fake_fail_as(&fake.fail_unlock, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (pin != NULL && (pin_len != strlen(FAKE_PIN) || !tdsa_ct_equal(pin, FAKE_PIN, pin_len))) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "the PIN is wrong");
    }
    atomic_store(&s->unlocked, true);
    return TDSA_OK;
}

void ks_lock(ks *s)
{
    atomic_store(&s->unlocked, false);
}

void ks_fork_prepare(ks *s)
{
    (void)s;
    atomic_fetch_add(&fake.fork_prepared, 1);
}

void ks_fork_parent(ks *s)
{
    (void)s;
    atomic_fetch_add(&fake.fork_released, 1);
}

tdsa_status ks_change_counter(ks *s, uint64_t *out, tdsa_err *err)
{
    (void)s;
    (void)err;
    *out = atomic_load(&changes);
    return TDSA_OK;
}

tdsa_status ks_check_pin(ks *s, const char *pin, size_t len, tdsa_err *err)
{
    (void)s;
    if (len != strlen(FAKE_PIN) || !tdsa_ct_equal(pin, FAKE_PIN, len)) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "the PIN is wrong");
    }
    return TDSA_OK;
}

/* ---- engine ---- */

tdsa_status part_engine_new(part_engine **out, const part_engine_cfg *cfg, tdsa_err *err)
{
    (void)cfg;
    (void)err;
    *out = calloc(1, sizeof **out);
    TDSA_ASSERT(*out != NULL);
    return TDSA_OK;
}

void part_engine_stop(part_engine *e)
{
    atomic_fetch_add(&fake.stop_calls, 1);
    atomic_store(&e->stopping, true);
}

void part_engine_free(part_engine *e)
{
    free(e);
}

void part_engine_abandon(part_engine *e)
{
    atomic_fetch_add(&fake.engine_abandoned, 1);
    free(e);
}

void part_engine_settle(part_engine *e, uint32_t limit_ms)
{
    (void)e;
    (void)limit_ms;
}

void part_engine_forget(part_engine *e)
{
    (void)e;
    atomic_fetch_add(&fake.forget_calls, 1);
}

mpc_policy part_policy_default(grp_curve curve, mpc_scheme scheme)
{
    if (scheme != MPC_SCHEME_ECDSA) {
        return (mpc_policy){.purpose = MPC_PURPOSE_MESSAGE,
                            .derivation = MPC_DERIVE_NONE,
                            .reshare = true,
                            .digests = 1u << TDSA_HASH_NONE};
    }
    return (mpc_policy){.purpose = MPC_PURPOSE_DIGEST,
                        .derivation = MPC_DERIVE_NONE,
                        .reshare = true,
                        .low_s = curve == GRP_SECP256K1,
                        .digests = (1u << TDSA_HASH_SHA224) | (1u << TDSA_HASH_SHA256) |
                                   (1u << TDSA_HASH_SHA384) | (1u << TDSA_HASH_SHA512)};
}

tdsa_status part_engine_register(part_engine *e, const part_key_spec *spec, uint32_t deadline_ms,
                                 char *key_id_out, tdsa_err *err)
{
    fake_key *k = NULL;

    (void)e;
    (void)deadline_ms;
    atomic_fetch_add(&fake.register_calls, 1);
    (void)snprintf(key_id_out, KS_KEY_ID_MAX + 1, "key-%u", atomic_fetch_add(&next_id, 1));
    pthread_mutex_lock(&lock);
    k = add(key_id_out);
    if (k != NULL) {
        k->info.state = KS_KEY_REGISTERED;
        k->info.curve = spec->curve;
        k->info.scheme = spec->scheme != 0 ? spec->scheme : mpc_scheme_default(spec->curve);
        k->info.policy = spec->policy;
        fake.last_policy = spec->policy;
        (void)snprintf(k->info.label, sizeof k->info.label, "%s", spec->label);
        memcpy(k->info.attrs, spec->attrs, spec->attrs_len);
        k->info.attrs_len = spec->attrs_len;
    }
    pthread_mutex_unlock(&lock);
    return k != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_LIMIT, "no room");
}

tdsa_status part_engine_generate(part_engine *e, const char *key_id, uint32_t deadline_ms,
                                 tdsa_err *err)
{
    const tdsa_status st = fake_fail_as(&fake.fail_generate, err);

    (void)e;
    (void)deadline_ms;
    atomic_fetch_add(&fake.generate_calls, 1);
    if (st != TDSA_OK) {
        return st;
    }
    pthread_mutex_lock(&lock);
    make_active(find(key_id));
    pthread_mutex_unlock(&lock);
    fake_changed();
    return TDSA_OK;
}

tdsa_status part_engine_import(part_engine *e, const part_import_spec *spec, uint32_t deadline_ms,
                               char *key_id_out, tdsa_err *err)
{
    const tdsa_status st = part_engine_register(e, &spec->key, deadline_ms, key_id_out, err);

    return st == TDSA_OK ? part_engine_generate(e, key_id_out, deadline_ms, err) : st;
}

tdsa_status part_engine_delete(part_engine *e, const char *key_id, uint64_t grace_ms,
                               uint32_t deadline_ms, tdsa_err *err)
{
    const tdsa_status st = fake_fail_as(&fake.fail_delete, err);
    const struct timespec pause = {0, 1000000L * atomic_load(&fake.delete_delay_ms)};

    (void)e;
    (void)grace_ms;
    (void)nanosleep(&pause, NULL);
    atomic_store(&fake.delete_deadline_ms, deadline_ms);
    atomic_fetch_add(&fake.delete_calls, 1);
    return st == TDSA_OK ? remove_key(key_id, err) : st;
}

tdsa_status part_engine_ping(part_engine *e, uint32_t deadline_ms, bool *ok, tdsa_err *err)
{
    const unsigned missing = atomic_load(&fake.missing);

    (void)deadline_ms;
    atomic_fetch_add(&fake.ping_calls, 1);
    for (unsigned i = 0; i < GRP_PARTIES_MAX; i++) {
        ok[i] = (missing & (1u << i)) == 0;
    }
    if (atomic_load(&e->stopping)) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "stopping");
    }
    return missing == 0 ? TDSA_OK : TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "somebody is missing");
}

tdsa_status part_engine_key(part_engine *e, const char *key_id, part_key_info *out, tdsa_err *err)
{
    const fake_key *k = NULL;

    (void)e;
    pthread_mutex_lock(&lock);
    k = find(key_id);
    if (k != NULL) {
        *out = k->info;
    }
    pthread_mutex_unlock(&lock);
    return k != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no key %s", key_id);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const part_key_info *)a)->key_id, ((const part_key_info *)b)->key_id);
}

/* Every key counts as changed, and those that are gone are told. */
static tdsa_status list_changes(part_key_fn fn, void *ctx)
{
    bool more = true;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; more && i < key_places; i++) {
        part_key_info info = keys[i].info;

        info.state = keys[i].used ? info.state : KS_KEY_DELETED;
        more = fn(ctx, &info);
    }
    pthread_mutex_unlock(&lock);
    return TDSA_OK;
}

tdsa_status part_engine_list(part_engine *e, const part_key_filter *filter, part_key_fn fn,
                             void *ctx, tdsa_err *err)
{
    part_key_info *sorted = NULL;
    size_t n = 0;
    size_t given = 0;

    (void)e;
    (void)err;
    atomic_fetch_add(&fake.list_calls, 1);
    if (filter->changed_after != 0) {
        return list_changes(fn, ctx);
    }
    pthread_mutex_lock(&lock);
    sorted = calloc(key_places + 1, sizeof *sorted);
    TDSA_ASSERT(sorted != NULL);
    for (size_t i = 0; i < key_places; i++) {
        if (keys[i].used && (filter->all_states || keys[i].info.state == KS_KEY_ACTIVE)) {
            sorted[n++] = keys[i].info;
        }
    }
    pthread_mutex_unlock(&lock);
    qsort(sorted, n, sizeof *sorted, by_id);
    for (size_t i = 0; i < n && given < filter->limit; i++) {
        if (filter->after == NULL || strcmp(sorted[i].key_id, filter->after) > 0) {
            given++;
            if (!fn(ctx, &sorted[i])) {
                break;
            }
        }
    }
    free(sorted);
    return TDSA_OK;
}

tdsa_status part_engine_set_attrs(part_engine *e, const char *key_id, const char *label,
                                  const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    fake_key *k = NULL;

    (void)e;
    pthread_mutex_lock(&lock);
    k = find(key_id);
    if (k != NULL) {
        (void)snprintf(k->info.label, sizeof k->info.label, "%s", label);
        memcpy(k->info.attrs, attrs, attrs_len);
        k->info.attrs_len = attrs_len;
    }
    pthread_mutex_unlock(&lock);
    fake_changed();
    return k != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no key %s", key_id);
}

/* The Schnorr schemes with the whole key: z = k + c x, with the signs that make both points even. */
static void sign_schnorr(const fake_key *k, const part_sign_request *req, part_sign_result *out)
{
    const tdsa_rng rng = tdsa_os_rng();
    const bool bip340 = k->info.scheme == MPC_SCHEME_BIP340;
    uint8_t key[SCHNORR_KEY_LEN];
    tdsa_err err;
    grp *g = NULL;
    grp_point y;
    grp_point big_r;
    grp_scalar x = k->secret;
    grp_scalar nonce;
    grp_scalar c;
    bool odd = false;
    bool wrapped = false;

    TDSA_ASSERT(grp_open(&g, k->info.curve, &err) == TDSA_OK);
    TDSA_ASSERT(grp_mul_base(g, &y, &x, &err) == TDSA_OK);
    TDSA_ASSERT(grp_scalar_random(g, &nonce, &rng, &err) == TDSA_OK);
    TDSA_ASSERT(grp_mul_base(g, &big_r, &nonce, &err) == TDSA_OK);
    if (bip340) {
        grp_point_parity(g, &odd, &wrapped, &y);
        if (odd) {
            grp_scalar_neg(g, &x, &x);
        }
        grp_point_parity(g, &odd, &wrapped, &big_r);
        if (odd) {
            grp_scalar_neg(g, &nonce, &nonce);
        }
    }
    schnorr_encode(g, k->info.scheme, key, &y);
    schnorr_encode(g, k->info.scheme, out->rs, &big_r);
    TDSA_ASSERT(schnorr_challenge(g, k->info.scheme, &c, out->rs, key, req->payload,
                                  req->payload_len, &err) == TDSA_OK);
    grp_scalar_mul(g, &c, &c, &x);
    grp_scalar_add(g, &c, &c, &nonce);
    grp_scalar_encode(g, out->rs + SCHNORR_KEY_LEN, &c);
    out->rs_len = SCHNORR_SIG_LEN;
    grp_close(g);
}

/* ECDSA with the whole key: s = (h + r x) / k. */
static void sign_whole(const fake_key *k, const part_sign_request *req, part_sign_result *out)
{
    const tdsa_rng rng = tdsa_os_rng();
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;
    grp *g = NULL;
    grp_point big_r;
    grp_scalar h;
    grp_scalar nonce;
    grp_scalar r;
    grp_scalar s;

    TDSA_ASSERT(grp_open(&g, k->info.curve, &err) == TDSA_OK);
    if (k->info.policy.purpose == MPC_PURPOSE_MESSAGE) {
        TDSA_ASSERT(tdsa_hash(digest, req->digest_alg, req->payload, req->payload_len, &err) ==
                    TDSA_OK);
        grp_digest_to_scalar(g, &h, digest, tdsa_hash_len(req->digest_alg));
    } else {
        grp_digest_to_scalar(g, &h, req->payload, req->payload_len);
    }
    TDSA_ASSERT(grp_scalar_random(g, &nonce, &rng, &err) == TDSA_OK);
    TDSA_ASSERT(grp_mul_base(g, &big_r, &nonce, &err) == TDSA_OK);
    grp_point_x_mod_q(g, &r, &big_r);
    grp_scalar_mul(g, &s, &r, &k->secret);
    grp_scalar_add(g, &s, &s, &h);
    grp_scalar_inv(g, &nonce, &nonce);
    grp_scalar_mul(g, &s, &s, &nonce);
    if (req->low_s && grp_scalar_is_high_vartime(g, &s)) {
        grp_scalar_neg(g, &s, &s);
    }
    grp_scalar_encode(g, out->rs, &r);
    grp_scalar_encode(g, out->rs + grp_get_info(g)->scalar_len, &s);
    out->rs_len = 2 * grp_get_info(g)->scalar_len;
    grp_close(g);
}

tdsa_status part_engine_sign(part_engine *e, const part_sign_request *req, uint32_t deadline_ms,
                             part_sign_result *out, tdsa_err *err)
{
    const struct timespec step = {0, 1000000};
    tdsa_status st = fake_fail_as(&fake.fail_sign, err);
    fake_key key = {0};
    const fake_key *k = NULL;

    (void)deadline_ms;
    memset(out, 0, sizeof *out);
    atomic_fetch_add(&fake.sign_calls, 1);
    TDSA_ASSERT(!atomic_load(&fake.assert_in_sign));
    if (fake.in_sign != NULL) {
        fake.in_sign();
    }
    for (int i = 0; i < atomic_load(&fake.sign_delay_ms); i++) {
        if (atomic_load(&e->stopping)) {
            return TDSA_FAIL(err, TDSA_E_BUSY, "stopping");
        }
        (void)nanosleep(&step, NULL);
    }
    if (st != TDSA_OK) {
        return st;
    }
    pthread_mutex_lock(&lock);
    k = find(req->key_id);
    if (k != NULL) {
        key = *k;
        fake.last_hash = req->digest_alg;
        fake.last_payload_len = req->payload_len;
    }
    pthread_mutex_unlock(&lock);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no key %s", req->key_id);
    }
    if (key.info.scheme == MPC_SCHEME_ECDSA) {
        sign_whole(&key, req, out);
    } else {
        sign_schnorr(&key, req, out);
    }
    (void)snprintf(out->session_id, sizeof out->session_id, "fake-session");
    return TDSA_OK;
}
