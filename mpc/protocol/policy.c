#include <string.h>

#include "base/hash.h"
#include "base/statement.h"
#include "protocol/key_internal.h"

#define DIGEST_COUNT    6u /* of tdsa_hash_alg, "none" with them */
#define POLICY_WORD_MAX 16u

_Static_assert((unsigned)TDSA_HASH_NONE + 1 == DIGEST_COUNT, "policy knows every digest");

bool mpc_digest_by_name(tdsa_hash_alg *out, const char *name)
{
    if (strcmp(name, tdsa_hash_name(TDSA_HASH_NONE)) == 0) {
        *out = TDSA_HASH_NONE;
        return true;
    }
    return tdsa_hash_by_name(out, name);
}

static const char *purpose_word(mpc_purpose p)
{
    return p == MPC_PURPOSE_MESSAGE ? "message" : "digest";
}

static const char *derivation_word(mpc_derivation d)
{
    return d == MPC_DERIVE_BIP32 ? "bip32" : "none";
}

void mpc_policy_encode(tdsa_buf *out, const mpc_policy *p)
{
    size_t mark = 0;

    tdsa_stmt_begin(out, "policy");
    tdsa_stmt_text(out, purpose_word(p->purpose));
    tdsa_stmt_text(out, derivation_word(p->derivation));
    tdsa_stmt_uint(out, p->min_path);
    tdsa_stmt_uint(out, p->min_path_xpub);
    tdsa_stmt_uint(out, p->max_path);
    mark = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < p->prefix_len && i < MPC_PREFIX_MAX; i++) {
        tdsa_stmt_uint(out, p->prefix[i]);
    }
    tdsa_stmt_list_end(out, mark);
    tdsa_stmt_uint(out, p->prepare ? 1 : 0);
    tdsa_stmt_uint(out, p->exportable ? 1 : 0);
    tdsa_stmt_uint(out, p->reshare ? 1 : 0);
    tdsa_stmt_uint(out, p->low_s ? 1 : 0);
    tdsa_stmt_uint(out, p->rate);
    mark = tdsa_stmt_list_begin(out);
    for (unsigned i = 0; i < DIGEST_COUNT; i++) {
        if ((p->digests >> i & 1u) != 0) {
            tdsa_stmt_text(out, tdsa_hash_name((tdsa_hash_alg)i));
        }
    }
    tdsa_stmt_list_end(out, mark);
}

static uint32_t read_up_to(tdsa_reader *r, uint32_t max)
{
    const uint64_t v = tdsa_stmt_read_uint(r);

    if (v > max) {
        r->failed = true;
        return 0;
    }
    return (uint32_t)v;
}

static void read_prefix(tdsa_reader *r, mpc_policy *out)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    while (!list.failed && tdsa_reader_left(&list) > 0) {
        if (out->prefix_len == MPC_PREFIX_MAX) {
            list.failed = true;
            break;
        }
        out->prefix[out->prefix_len++] = read_up_to(&list, MPC_HARDENED - 1);
    }
    if (list.failed) {
        r->failed = true;
    }
}

static bool read_flag(tdsa_reader *r)
{
    const uint64_t v = tdsa_stmt_read_uint(r);

    if (v > 1) {
        r->failed = true;
    }
    return v == 1;
}

static void read_words(tdsa_reader *r, mpc_policy *out)
{
    char purpose[POLICY_WORD_MAX];
    char derivation[POLICY_WORD_MAX];

    tdsa_stmt_read_text(r, purpose, sizeof purpose);
    tdsa_stmt_read_text(r, derivation, sizeof derivation);
    out->purpose = strcmp(purpose, "message") == 0 ? MPC_PURPOSE_MESSAGE : MPC_PURPOSE_DIGEST;
    out->derivation = strcmp(derivation, "bip32") == 0 ? MPC_DERIVE_BIP32 : MPC_DERIVE_NONE;
    if (strcmp(purpose, purpose_word(out->purpose)) != 0 ||
        strcmp(derivation, derivation_word(out->derivation)) != 0) {
        r->failed = true;
    }
}

/* Names in the order of tdsa_hash_alg, each at most once: one record has one encoding. */
static void read_digests(tdsa_reader *r, mpc_policy *out)
{
    tdsa_reader list = tdsa_stmt_read_list(r);
    unsigned next = 0;

    while (tdsa_reader_left(&list) > 0) {
        char name[POLICY_WORD_MAX];
        tdsa_hash_alg alg = TDSA_HASH_SHA1;

        tdsa_stmt_read_text(&list, name, sizeof name);
        if (!mpc_digest_by_name(&alg, name) || (unsigned)alg < next) {
            list.failed = true;
            break;
        }
        out->digests |= 1u << (unsigned)alg;
        next = (unsigned)alg + 1;
    }
    if (list.failed) {
        r->failed = true;
    }
}

tdsa_status mpc_policy_decode(mpc_policy *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    mpc_policy p = {.purpose = MPC_PURPOSE_DIGEST, .derivation = MPC_DERIVE_NONE};
    tdsa_status st;

    *out = p;
    tdsa_stmt_expect(&r, "policy");
    read_words(&r, &p);
    p.min_path = read_up_to(&r, MPC_PATH_MAX);
    p.min_path_xpub = read_up_to(&r, MPC_PATH_MAX);
    p.max_path = read_up_to(&r, MPC_PATH_MAX);
    read_prefix(&r, &p);
    p.prepare = read_flag(&r);
    p.exportable = read_flag(&r);
    p.reshare = read_flag(&r);
    p.low_s = read_flag(&r);
    p.rate = read_up_to(&r, MPC_RATE_MAX);
    read_digests(&r, &p);
    st = tdsa_reader_finish(&r, "policy record", err);
    if (st == TDSA_OK) {
        st = mpc_policy_check_rules(&p, err);
    }
    if (st == TDSA_OK) {
        *out = p;
    }
    return st;
}

tdsa_status mpc_policy_check_rules(const mpc_policy *p, tdsa_err *err)
{
    if (p->min_path > MPC_PATH_MAX || p->min_path_xpub > MPC_PATH_MAX ||
        p->max_path > MPC_PATH_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: a path length over %u", MPC_PATH_MAX);
    }
    if (p->prefix_len > MPC_PREFIX_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: a path prefix has at most %u elements",
                         MPC_PREFIX_MAX);
    }
    for (size_t i = 0; i < p->prefix_len; i++) {
        if (p->prefix[i] >= MPC_HARDENED) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: the path prefix is hardened");
        }
    }
    if (p->derivation == MPC_DERIVE_NONE && (p->max_path != 0 || p->prefix_len != 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: path rules for a key without derivation");
    }
    if (p->max_path != 0 && (p->min_path > p->max_path || p->prefix_len > p->max_path)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "policy: no path is long enough and at most %u elements long",
                         p->max_path);
    }
    if (p->rate > MPC_RATE_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: at most %u signatures per minute",
                         MPC_RATE_MAX);
    }
    return TDSA_OK;
}

tdsa_status mpc_policy_check_path(const mpc_policy *p, const uint32_t *path, size_t len,
                                  tdsa_err *err)
{
    if (p->derivation == MPC_DERIVE_NONE) {
        return len == 0 ? TDSA_OK
                        : TDSA_FAIL(err, TDSA_E_DENIED,
                                    "the key has no derivation: the path must be empty");
    }
    if (len < p->min_path) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the key signs below paths of %u elements only",
                         p->min_path);
    }
    if (p->max_path != 0 && len > p->max_path) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the key signs for paths of at most %u elements",
                         p->max_path);
    }
    for (size_t i = 0; i < p->prefix_len; i++) {
        if (i >= len || path[i] != p->prefix[i]) {
            return TDSA_FAIL(err, TDSA_E_DENIED,
                             "the path leaves the key's prefix: element %zu must be %u", i + 1,
                             p->prefix[i]);
        }
    }
    return TDSA_OK;
}

static tdsa_status check_digests(const mpc_policy *p, mpc_scheme scheme, tdsa_err *err)
{
    const uint32_t none = 1u << (unsigned)TDSA_HASH_NONE;

    if (scheme == MPC_SCHEME_ECDSA) {
        if (p->digests == 0 || (p->digests & ~(none - 1u)) != 0) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: ECDSA needs digests that are known");
        }
        return TDSA_OK;
    }
    if (p->purpose != MPC_PURPOSE_MESSAGE || p->digests != none || p->low_s) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "policy: a key of scheme %s signs messages, with digest none and without "
                         "low-S",
                         mpc_scheme_name(scheme));
    }
    return TDSA_OK;
}

tdsa_status mpc_policy_check(const mpc_policy *p, mpc_scheme scheme, grp_curve curve, tdsa_err *err)
{
    tdsa_status st;

    if (!mpc_scheme_fits(scheme, curve)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a key on this curve cannot have this scheme");
    }
    if (p->derivation == MPC_DERIVE_BIP32 && curve != GRP_P256 && curve != GRP_SECP256K1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "policy: bip32 derivation is for secp256k1 and P-256 only");
    }
    if (p->prepare && scheme != MPC_SCHEME_ECDSA) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "policy: prepare mode is for ECDSA keys only");
    }
    st = mpc_policy_check_rules(p, err);
    return st == TDSA_OK ? check_digests(p, scheme, err) : st;
}

tdsa_status mpc_policy_tag(uint8_t tag[32], const mpc_policy *p, tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    tdsa_status st;

    mpc_policy_encode(&record, p);
    st = tdsa_buf_check(&record, err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(&stmt, "policy-tag");
    tdsa_stmt_octets(&stmt, record.data, record.len);
    return tdsa_hash32_stmt(tag, &stmt, err);
}
