#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

/* What must hold: I2 after every step, signatures when they come out, I5 at the end. */

/* ---- I2: an epoch that was ever called ACTIVE has matching durable shares at its members ---- */

sim_key *sim_key_of(sim *s, const char *key_id)
{
    sim_key *k = s->keys;

    while (k != NULL && strcmp(k->key_id, key_id) != 0) {
        k = k->next;
    }
    if (k == NULL) {
        k = sim_take(sizeof *k);
        (void)snprintf(k->key_id, sizeof k->key_id, "%s", key_id);
        k->next = s->keys;
        s->keys = k;
    }
    return k;
}

void sim_check_free(sim *s)
{
    while (s->keys != NULL) {
        sim_key *k = s->keys;
        s->keys = k->next;
        sim_give(k);
    }
    while (s->seen != NULL) {
        sim_seen *n = s->seen;
        s->seen = n->next;
        sim_give(n);
    }
}

static uint32_t members_of(sim *s, const ks_key_row *row)
{
    uint16_t indices[GRP_PARTIES_MAX];
    mpc_key *key = NULL;
    grp_curve curve;
    uint32_t mask = 0;
    size_t count = 0;
    tdsa_err err;

    sim_must(s, mpc_key_peek_curve(&curve, row->public_part, row->public_len, &err), "I2", &err);
    sim_must(s,
             mpc_key_decode(&key, s->groups[curve], row->public_part, row->public_len, NULL, &err),
             "I2: a key", &err);
    count = mpc_key_indices(indices, &key->pub);
    for (size_t i = 0; i < count; i++) {
        mask |= 1u << indices[i];
    }
    mpc_key_free(key);
    return mask;
}

static bool find_active(void *ctx, const ks_key_row *row)
{
    sim_key *k = NULL;

    if (row->state == KS_KEY_ACTIVE) {
        k = sim_key_of(ctx, row->key_id);
        k->active = true;
        if (k->members == 0 || row->epoch > k->newest) {
            k->newest = row->epoch;
            k->members = members_of(ctx, row);
        }
    }
    return true;
}

typedef struct {
    sim *s;
    sim_key *key;
    uint16_t who;
    bool there;
} look;

static uint64_t hash_row(const ks_key_row *row)
{
    uint64_t h = row->epoch + 1u;

    for (size_t i = 0; i < row->sealed_len; i++) {
        h = (h ^ row->sealed[i]) * 0x100000001b3ull;
    }
    return h;
}

/* The share opens, fits the verification shares, and those are the ones that all others have. */
static void check_share(const look *l, const ks_key_row *row)
{
    sim *s = l->s;
    sim_key *k = l->key;
    tdsa_secret *share = NULL;
    mpc_key *key = NULL;
    grp_point mine;
    grp_curve curve;
    tdsa_err err;

    sim_must(s, ks_key_open(s->disk[l->who].inspector, k->key_id, row->epoch, &share, &err),
             "I2: a share", &err);
    sim_must(s, mpc_key_peek_curve(&curve, row->public_part, row->public_len, &err), "I2", &err);
    sim_must(s,
             mpc_key_decode(&key, s->groups[curve], row->public_part, row->public_len, share, &err),
             "I2: a key", &err);
    sim_must(s, grp_mul_base(key->g, &mine, &key->sec->share, &err), "I2", &err);
    if (!grp_point_equal(key->g, &mine, &key->pub.x[l->who])) {
        sim_fail(s, "I2: a share does not fit its verification share", k->key_id);
    }
    if (k->epoch == row->epoch && k->compared &&
        memcmp(k->stored, key->pub.stored, sizeof k->stored) != 0) {
        sim_fail(s, "I2: participants hold different keys", k->key_id);
    }
    memcpy(k->stored, key->pub.stored, sizeof k->stored);
    k->epoch = row->epoch;
    k->compared = true;
    mpc_key_free(key);
    tdsa_secret_free(share);
}

static bool look_at(void *ctx, const ks_key_row *row)
{
    look *l = ctx;
    const uint64_t h = hash_row(row);

    if (row->epoch != l->key->newest) {
        return true;
    }
    l->there = ks_key_in_use(row->state) || row->state == KS_KEY_PENDING;
    if (l->there && l->key->checked[l->who] != h) {
        l->key->checked[l->who] = h;
        check_share(l, row);
    }
    return true;
}

/* No key is wiped at one participant while another has undone its deletion after that. */
static void check_orders(sim *s, const sim_key *k)
{
    uint64_t wiped = UINT64_MAX;
    uint64_t undone = 0;

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        ks_deletion d;
        tdsa_err err;

        if (ks_deletion_get(s->disk[i].inspector, k->key_id, &d, &err) != TDSA_OK) {
            continue;
        }
        wiped = d.state == KS_DELETION_WIPED && d.serial < wiped ? d.serial : wiped;
        undone = d.state == KS_DELETION_CANCELLED && d.serial > undone ? d.serial : undone;
    }
    if (undone > wiped) {
        sim_fail(s, "I2: a key is wiped here and undone there", k->key_id);
    }
}

void sim_check_keys(sim *s)
{
    s->keys_touched = false;
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        (void)sim_disk_keys(s, i, find_active, s);
    }
    for (sim_key *k = s->keys; k != NULL; k = k->next) {
        if (k->deleted) {
            check_orders(s, k);
        }
        for (uint16_t i = 0; k->active && !k->deleted && i < s->cfg.n; i++) {
            look l = {.s = s, .key = k, .who = i};
            if ((k->members >> i & 1u) == 0) {
                continue;
            }
            if (!sim_disk_key(s, i, k->key_id, look_at, &l) || !l.there) {
                char what[128];
                (void)snprintf(what, sizeof what, "key %s at participant %u", k->key_id, i);
                sim_fail(s, "I2: a key is ACTIVE, but a share of it is missing", what);
            }
        }
    }
}

/* ---- signatures ---- */

static const char *openssl_name(grp_curve curve)
{
    switch (curve) {
    case GRP_P256:
        return "P-256";
    case GRP_SECP256K1:
        return "secp256k1";
    case GRP_P384:
        return "P-384";
    case GRP_P521:
        return "P-521";
    case GRP_ED25519:
        break;
    }
    return NULL;
}

static EVP_PKEY *ec_key(grp_curve curve, const uint8_t *point, size_t len)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    (void)OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, openssl_name(curve),
                                          0);
    (void)OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, len);
    params = OSSL_PARAM_BLD_to_param(build);
    (void)EVP_PKEY_fromdata_init(ctx);
    (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool ecdsa_verifies(EVP_PKEY *key, const part_sign_request *req, const part_sign_result *sig)
{
    const size_t half = sig->rs_len / 2;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    unsigned char *der = NULL;
    bool ok = false;
    int len = 0;

    (void)ECDSA_SIG_set0(pair, BN_bin2bn(sig->rs, (int)half, NULL),
                         BN_bin2bn(sig->rs + half, (int)half, NULL));
    len = i2d_ECDSA_SIG(pair, &der);
    ok = len > 0 && EVP_PKEY_verify_init(ctx) == 1 &&
         EVP_PKEY_verify(ctx, der, (size_t)len, req->payload, req->payload_len) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool eddsa_verifies(const uint8_t *point, const part_sign_request *req,
                           const part_sign_result *sig)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok =
        key != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(ctx, sig->rs, sig->rs_len, req->payload, req->payload_len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

/* BIP-340: R = s*G - e*P has even y and the x that the signature begins with. */
static bool bip340_verifies(const grp *g, const uint8_t *point, const part_sign_request *req,
                            const part_sign_result *sig)
{
    static const char tag[] = "BIP0340/challenge";
    uint8_t tag_hash[64];
    uint8_t even[33] = {2};
    uint8_t e_hash[32];
    uint8_t r[33];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    grp_scalar e;
    grp_scalar s;
    grp_point p;
    tdsa_err err;

    memcpy(even + 1, point + 1, 32);
    (void)EVP_Digest(tag, sizeof tag - 1, tag_hash, NULL, EVP_sha256(), NULL);
    memcpy(tag_hash + 32, tag_hash, 32);
    (void)EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    (void)EVP_DigestUpdate(ctx, tag_hash, sizeof tag_hash);
    (void)EVP_DigestUpdate(ctx, sig->rs, 32);
    (void)EVP_DigestUpdate(ctx, even + 1, 32);
    (void)EVP_DigestUpdate(ctx, req->payload, req->payload_len);
    (void)EVP_DigestFinal_ex(ctx, e_hash, NULL);
    EVP_MD_CTX_free(ctx);
    grp_scalar_reduce(g, &e, e_hash, sizeof e_hash);
    grp_scalar_neg(g, &e, &e);
    if (sig->rs_len != 64 || grp_point_decode(g, &p, even, sizeof even, &err) != TDSA_OK ||
        grp_scalar_decode(g, &s, sig->rs + 32, 32, &err) != TDSA_OK ||
        grp_mul_add_vartime(g, &p, &s, &e, &p, &err) != TDSA_OK || grp_point_is_identity(&p)) {
        return false;
    }
    grp_point_encode(g, r, &p);
    return r[0] == 2 && memcmp(r + 1, sig->rs, 32) == 0;
}

/* No two signatures of one key share r (I1). */
static void note_r(sim *s, const char *key_id, const part_sign_result *sig)
{
    const size_t len = sig->rs_len / 2;
    sim_seen *n = NULL;

    for (n = s->seen; n != NULL; n = n->next) {
        if (memcmp(n->r, sig->rs, len) == 0 && strcmp(n->key_id, key_id) == 0) {
            sim_fail(s, "I1", "two signatures of one key share r");
        }
    }
    n = sim_take(sizeof *n);
    (void)snprintf(n->key_id, sizeof n->key_id, "%s", key_id);
    memcpy(n->r, sig->rs, len);
    n->next = s->seen;
    s->seen = n;
}

void sim_check_signature_at(sim *s, uint16_t index, const part_sign_request *req,
                            const part_sign_result *sig)
{
    uint8_t point[GRP_POINT_RAW_MAX];
    size_t point_len = 0;
    part_key_info info;
    EVP_PKEY *key = NULL;
    bool ok = false;
    tdsa_err err;
    const unsigned disk = s->cfg.store_permille;

    s->cfg.store_permille = 0; /* the simulator's own question */
    sim_must(s, part_key_describe(s->node[index].part, req->key_id, &info, &err), "key", &err);
    sim_must(s,
             part_derive_public(s->node[index].part, req->key_id, req->path, req->path_len, point,
                                &point_len, &err),
             "key", &err);
    s->cfg.store_permille = disk;
    if (info.curve == GRP_ED25519) {
        ok = eddsa_verifies(point, req, sig);
    } else if (info.scheme == MPC_SCHEME_BIP340) {
        ok = bip340_verifies(s->groups[info.curve], point, req, sig);
    } else {
        key = ec_key(info.curve, point, point_len);
        ok = key != NULL && ecdsa_verifies(key, req, sig);
        EVP_PKEY_free(key);
    }
    if (!ok) {
        sim_fail(s, "I4", "a released signature does not verify");
    }
    note_r(s, req->key_id, sig);
    s->releases++;
}

void sim_check_signature(sim *s, uint16_t index, const char *key_id, const uint8_t digest[32],
                         const part_sign_result *sig)
{
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};

    sim_check_signature_at(s, index, &req, sig);
}

/* ---- I5 ---- */

void sim_check_bounds(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        const part *p = s->node[i].part;
        part_stats st;
        size_t parked = 0;
        size_t ops = 0;
        size_t doubts = 0;
        char what[200];

        part_get_stats(p, &st);
        for (const part_parked *x = p->parked; x != NULL; x = x->next) {
            parked++;
        }
        for (const part_op *x = p->ops; x != NULL; x = x->next) {
            ops++;
        }
        for (const part_doubt *x = p->doubts; x != NULL; x = x->next) {
            doubts++;
        }
        if (st.sessions + st.runs + st.exchanges_waiting + st.replies_waiting + parked + ops +
                    doubts !=
                0 ||
            s->node[i].tickets != NULL || s->node[i].waits != NULL) {
            (void)snprintf(what, sizeof what,
                           "node %u keeps %llu sessions, %llu runs, %llu exchanges, %llu replies, "
                           "%zu parked, %zu operations, %zu doubts",
                           i, (unsigned long long)st.sessions, (unsigned long long)st.runs,
                           (unsigned long long)st.exchanges_waiting,
                           (unsigned long long)st.replies_waiting, parked, ops, doubts);
            sim_fail(s, "I5", what);
        }
    }
}
