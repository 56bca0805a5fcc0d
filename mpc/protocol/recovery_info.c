#include "protocol/recovery_internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/key_internal.h"

#define WORD_MAX 16u
/* Longest context: tag and words, n points of P-521 twice over, a path, auxiliary data. */
#define CONTEXT_LEN_MAX 4096u

_Static_assert(MPC_RECOVERY_INFO_MAX >
                   CONTEXT_LEN_MAX +
                       MPC_RECOVERY_REPETITIONS *
                           (GRP_SCALAR_LEN_MAX + RECOVERY_SEED_LEN + TDSA_RSA_LEN_MAX) +
                       TDSA_RSA_LEN_MAX + 256u,
               "the longest info is allowed");
_Static_assert(CONTEXT_LEN_MAX > 512u + (MPC_KEY_ID_MAX + 5u) +
                                     GRP_PARTIES_MAX * (GRP_POINT_LEN_MAX + 5u + 13u) +
                                     MPC_PATH_MAX * 13u + MPC_RECOVERY_AUX_MAX,
               "the longest context is allowed");

static const char *use_word(mpc_recovery_use use)
{
    return use == MPC_RECOVERY_EXPORT ? "export" : "recovery";
}

static bool use_by_word(mpc_recovery_use *out, const char *word)
{
    *out = strcmp(word, use_word(MPC_RECOVERY_EXPORT)) == 0 ? MPC_RECOVERY_EXPORT
                                                            : MPC_RECOVERY_EMERGENCY;
    return strcmp(word, use_word(*out)) == 0;
}

tdsa_status recovery_cc_hash(uint8_t out[64], const uint8_t cc[32], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "cc");
    tdsa_stmt_octets(&b, cc, 32);
    return tdsa_hash_stmt(out, &b, err);
}

tdsa_status mpc_recovery_context_of(mpc_recovery_context *out, const mpc_key *key,
                                    const uint8_t *aux, size_t aux_len, tdsa_err *err)
{
    const mpc_key_public *pub = &key->pub;
    tdsa_status st = TDSA_OK;

    *out = (mpc_recovery_context){.use = MPC_RECOVERY_EMERGENCY,
                                  .epoch = pub->epoch,
                                  .curve = pub->curve,
                                  .scheme = pub->scheme,
                                  .n = pub->n,
                                  .t = pub->t,
                                  .y = pub->y,
                                  .aux_len = aux_len};
    if (aux_len > MPC_RECOVERY_AUX_MAX) {
        out->aux_len = 0;
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "auxiliary data has %zu bytes, at most %u", aux_len,
                         MPC_RECOVERY_AUX_MAX);
    }
    if (aux_len > 0) {
        memcpy(out->aux, aux, aux_len);
    }
    memcpy(out->key_id, pub->key_id, sizeof out->key_id);
    memcpy(out->cluster_id, pub->cluster_id, sizeof out->cluster_id);
    memcpy(out->x, pub->x, sizeof out->x);
    (void)mpc_key_indices(out->members, pub);
    st = mpc_policy_tag(out->policy_tag, &pub->policy, err);
    return st != TDSA_OK ? st : recovery_cc_hash(out->cc_hash, pub->cc, err);
}

void recovery_context_put(tdsa_buf *out, const grp *g, const mpc_recovery_context *c)
{
    size_t mark = 0;

    tdsa_stmt_begin(out, "recovery-context");
    tdsa_stmt_uint(out, MPC_VERSION);
    tdsa_stmt_text(out, grp_curve_name(c->curve));
    tdsa_stmt_text(out, use_word(c->use));
    tdsa_stmt_text(out, mpc_scheme_name(c->scheme));
    tdsa_stmt_text(out, c->key_id);
    tdsa_stmt_uint(out, c->epoch);
    tdsa_stmt_octets(out, c->cluster_id, sizeof c->cluster_id);
    tdsa_stmt_uint(out, c->n);
    tdsa_stmt_uint(out, c->t);
    tdsa_stmt_uint_list(out, c->members, c->n);
    mpc_put_point(out, g, &c->y);
    mark = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < c->n; i++) {
        mpc_put_point(out, g, &c->x[c->members[i]]);
    }
    tdsa_stmt_list_end(out, mark);
    mark = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < c->path_len; i++) {
        tdsa_stmt_uint(out, c->path[i]);
    }
    tdsa_stmt_list_end(out, mark);
    tdsa_stmt_octets(out, c->policy_tag, sizeof c->policy_tag);
    tdsa_stmt_octets(out, c->cc_hash, sizeof c->cc_hash);
    tdsa_stmt_octets(out, c->aux, c->aux_len);
}

tdsa_status recovery_label(uint8_t out[MPC_RECOVERY_LABEL_LEN], const recovery_subject *s,
                           const char *word, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "recovery-label");
    tdsa_stmt_octets(&b, s->context, s->context_len);
    tdsa_stmt_uint(&b, s->index);
    tdsa_stmt_octets(&b, s->certificate, 32);
    tdsa_stmt_text(&b, word);
    return tdsa_hash_stmt(out, &b, err);
}

tdsa_status recovery_seal_cc(uint8_t *out, const recovery_subject *s, const uint8_t cc[32],
                             const tdsa_rsa_cert *cert, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
    uint8_t seed[64];
    const tdsa_oaep p = {label, sizeof label, cc, 32, seed};
    tdsa_status st = recovery_label(label, s, RECOVERY_CC, err);

    tdsa_stmt_begin(&b, "recovery-seed");
    tdsa_stmt_octets(&b, label, sizeof label);
    tdsa_stmt_octets(&b, cc, 32);
    st = st != TDSA_OK ? st : tdsa_hash_stmt(seed, &b, err);
    st = st != TDSA_OK ? st : tdsa_rsa_encrypt(out, cert, &p, err);
    tdsa_wipe(seed, sizeof seed);
    return st;
}

tdsa_status recovery_challenge(uint8_t out[RECOVERY_CHALLENGE_LEN], const recovery_first *f,
                               tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t hash[64];
    tdsa_status st = TDSA_OK;

    tdsa_stmt_begin(&b, "recovery-challenge");
    tdsa_stmt_octets(&b, f->label, MPC_RECOVERY_LABEL_LEN);
    tdsa_stmt_octets(&b, f->cc_sealed, f->sealed_len);
    tdsa_stmt_octets(&b, f->first, f->first_len);
    st = tdsa_hash_stmt(hash, &b, err);
    memcpy(out, hash, RECOVERY_CHALLENGE_LEN);
    return st;
}

/* ---- reading ---- */

/* Tag, version and curve of a context; false when they are not there. */
static bool read_curve(tdsa_reader *r, grp_curve *out)
{
    char name[WORD_MAX];

    tdsa_stmt_expect(r, "recovery-context");
    if (tdsa_stmt_read_uint(r) != MPC_VERSION) {
        r->failed = true;
    }
    tdsa_stmt_read_text(r, name, sizeof name);
    return !r->failed && grp_curve_by_name(out, name);
}

/* The context's bytes at the head of an info; NULL when they are not there. */
static const uint8_t *read_context_bytes(tdsa_reader *r, size_t *len)
{
    tdsa_stmt_expect(r, "recovery-info");
    return tdsa_stmt_read_octets(r, len, CONTEXT_LEN_MAX);
}

tdsa_status mpc_recovery_peek_curve(grp_curve *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    size_t context_len = 0;
    const uint8_t *context = NULL;

    *out = GRP_P256;
    if (len <= MPC_RECOVERY_INFO_MAX) {
        context = read_context_bytes(&r, &context_len);
    }
    if (context != NULL) {
        tdsa_reader c = tdsa_reader_of(context, context_len);

        if (read_curve(&c, out)) {
            return TDSA_OK;
        }
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a recovery info of version %u on a known curve",
                     MPC_VERSION);
}

/* A uint of at most max. */
static uint32_t read_up_to(tdsa_reader *r, uint32_t max)
{
    const uint64_t v = tdsa_stmt_read_uint(r);

    if (v > max) {
        r->failed = true;
        return 0;
    }
    return (uint32_t)v;
}

static bool members_ascend(const mpc_recovery_context *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->members[i] >= GRP_PARTIES_MAX || (i > 0 && c->members[i] <= c->members[i - 1])) {
            return false;
        }
    }
    return true;
}

/* Curve to the list of participants. */
static tdsa_status read_head(tdsa_reader *r, const grp *g, mpc_recovery_context *c, tdsa_err *err)
{
    char word[WORD_MAX];
    char scheme[WORD_MAX];

    if (!read_curve(r, &c->curve) || c->curve != grp_get_info(g)->curve) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "recovery info: not of a key on %s",
                         grp_get_info(g)->name);
    }
    tdsa_stmt_read_text(r, word, sizeof word);
    tdsa_stmt_read_text(r, scheme, sizeof scheme);
    tdsa_stmt_read_text(r, c->key_id, sizeof c->key_id);
    c->epoch = read_up_to(r, UINT32_MAX);
    tdsa_stmt_read_exact(r, c->cluster_id, sizeof c->cluster_id);
    c->n = (uint16_t)read_up_to(r, GRP_PARTIES_MAX);
    c->t = (uint16_t)read_up_to(r, GRP_THRESHOLD_MAX);
    if (tdsa_stmt_read_uint_list(r, c->members, GRP_PARTIES_MAX) != c->n) {
        r->failed = true;
    }
    if (r->failed || !use_by_word(&c->use, word) || !mpc_scheme_by_name(&c->scheme, scheme) ||
        !mpc_scheme_fits(c->scheme, c->curve) || !mpc_key_id_valid(c->key_id) ||
        !mpc_key_sizes_valid(c->n, c->t) || !members_ascend(c)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "recovery info: wrong use, scheme, key id, epoch, n, t or indices");
    }
    return TDSA_OK;
}

/* Y and the X_j. */
static tdsa_status read_points(tdsa_reader *r, const grp *g, mpc_recovery_context *c, tdsa_err *err)
{
    tdsa_status st = mpc_get_point(r, g, &c->y, err);
    tdsa_reader list = tdsa_stmt_read_list(r);

    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        grp_point_set_identity(&c->x[i]);
    }
    for (size_t i = 0; i < c->n && st == TDSA_OK; i++) {
        st = mpc_get_point(&list, g, &c->x[c->members[i]], err);
    }
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "recovery info: public key and shares");
    }
    return tdsa_reader_finish(&list, "recovery info: public shares", err);
}

static tdsa_status read_path(tdsa_reader *r, mpc_recovery_context *c, tdsa_err *err)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    while (tdsa_reader_left(&list) > 0 && c->path_len < MPC_PATH_MAX && !list.failed) {
        c->path[c->path_len++] = read_up_to(&list, MPC_HARDENED - 1u);
    }
    return tdsa_reader_finish(&list, "recovery info: path", err);
}

/* The X_j lie on one polynomial of degree t, whose value at 0 is Y. */
static tdsa_status check_points(const grp *g, const mpc_recovery_context *c, tdsa_err *err)
{
    grp_point x[GRP_PARTIES_MAX];
    grp_point y;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < c->n; i++) {
        x[i] = c->x[c->members[i]];
    }
    st = grp_consist_vartime(g, x, c->members, c->n, c->t, err);
    if (st == TDSA_E_PROTOCOL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "recovery info: the public shares are not those of one key");
    }
    st = st != TDSA_OK ? st : grp_interpolate_vartime(g, &y, x, c->members, c->t + 1u, err);
    if (st == TDSA_OK && !grp_point_equal(g, &y, &c->y)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "recovery info: the public shares do not make the public key");
    }
    return st;
}

static tdsa_status read_context(mpc_recovery_info *out, const grp *g, tdsa_err *err)
{
    mpc_recovery_context *c = &out->context;
    tdsa_reader r = tdsa_reader_of(out->context_bytes, out->context_len);
    const uint8_t *aux = NULL;
    tdsa_status st = read_head(&r, g, c, err);

    st = st != TDSA_OK ? st : read_points(&r, g, c, err);
    st = st != TDSA_OK ? st : read_path(&r, c, err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_read_exact(&r, c->policy_tag, sizeof c->policy_tag);
    tdsa_stmt_read_exact(&r, c->cc_hash, sizeof c->cc_hash);
    aux = tdsa_stmt_read_octets(&r, &c->aux_len, MPC_RECOVERY_AUX_MAX);
    st = tdsa_reader_finish(&r, "recovery info: context", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (c->aux_len > 0) {
        memcpy(c->aux, aux, c->aux_len);
    }
    return check_points(g, c, err);
}

/* Everything behind the context; lengths follow from the curve and from the first ciphertext. */
static tdsa_status read_rest(mpc_recovery_info *out, tdsa_reader *r, tdsa_err *err)
{
    const size_t opened_len = MPC_RECOVERY_REPETITIONS * (out->value_len + RECOVERY_SEED_LEN);

    out->index = (uint16_t)read_up_to(r, GRP_PARTIES_MAX - 1u);
    tdsa_stmt_read_exact(r, out->certificate, sizeof out->certificate);
    out->cc_sealed = tdsa_stmt_read_octets(r, &out->sealed_len, TDSA_RSA_LEN_MAX);
    out->challenge = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, RECOVERY_CHALLENGE_LEN);
    out->opened = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, opened_len);
    out->kept =
        tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, MPC_RECOVERY_REPETITIONS * out->sealed_len);
    return tdsa_reader_finish(r, "recovery info", err);
}

tdsa_status mpc_recovery_decode(mpc_recovery_info *out, const grp *g, const uint8_t *in, size_t len,
                                tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_status st = TDSA_OK;

    *out = (mpc_recovery_info){.value_len = grp_get_info(g)->scalar_len};
    if (len > MPC_RECOVERY_INFO_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a recovery info of %zu bytes", len);
    }
    out->context_bytes = read_context_bytes(&r, &out->context_len);
    st = out->context_bytes == NULL ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a recovery info")
                                    : read_rest(out, &r, err);
    if (st == TDSA_OK && out->sealed_len < TDSA_RSA_BITS_MIN / 8u) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "recovery info: ciphertexts of %zu bytes",
                       out->sealed_len);
    }
    st = st != TDSA_OK ? st : read_context(out, g, err);
    if (st == TDSA_OK && grp_point_is_identity(&out->context.x[out->index])) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                       "recovery info: participant %u has no share of this key", out->index);
    }
    if (st != TDSA_OK) {
        *out = (mpc_recovery_info){.sealed_len = 0};
    }
    return st;
}
