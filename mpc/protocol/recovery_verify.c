#include "protocol/recovery_internal.h"

#include <string.h>

#include "base/assert.h"

#define REPS MPC_RECOVERY_REPETITIONS

_Static_assert(MPC_RECOVERY_INFOS_MAX >= GRP_PARTIES_MAX, "a package of all participants fits");

typedef struct {
    const mpc_recovery_info *info;
    const grp *g;
    const tdsa_rsa_cert *cert;
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
} checker;

static tdsa_status check_certificate(const mpc_recovery_info *info, const tdsa_rsa_cert *cert,
                                     tdsa_err *err)
{
    const tdsa_rsa_facts *f = tdsa_rsa_cert_facts(cert);

    if (memcmp(f->sha256, info->certificate, sizeof f->sha256) != 0) {
        return tdsa_err_blame(err, TDSA_E_BAD_INPUT, info->index, TDSA_WHERE,
                              "the recovery info is for another certificate");
    }
    if (f->len != info->sealed_len) {
        return TDSA_BLAME(err, info->index, "ciphertexts of %zu bytes under a key of %zu",
                          info->sealed_len, f->len);
    }
    return TDSA_OK;
}

/* A_i of the opened half: rG, or X_j - sG. */
static tdsa_status first_point(const checker *c, unsigned b, const grp_scalar *half, grp_point *a,
                               tdsa_err *err)
{
    const grp_point *xj = &c->info->context.x[c->info->index];
    grp_scalar minus;

    if (b == 0) {
        return grp_mul_base(c->g, a, half, err);
    }
    grp_scalar_neg(c->g, &minus, half);
    return grp_mul_base_add_vartime(c->g, a, &minus, xj, err);
}

/* A_i | E_{i,0} | E_{i,1} of one repetition, made again from the opened half and the kept one. */
static tdsa_status rebuild(const checker *c, size_t i, tdsa_buf *first, tdsa_err *err)
{
    const mpc_recovery_info *info = c->info;
    const size_t point_len = grp_get_info(c->g)->point_len;
    const uint8_t *value = info->opened + i * (info->value_len + RECOVERY_SEED_LEN);
    const tdsa_oaep p = {c->label, sizeof c->label, value, info->value_len,
                         value + info->value_len};
    const unsigned b = recovery_bit(info->challenge, i);
    uint8_t *to = tdsa_buf_extend(first, point_len + 2 * info->sealed_len);
    grp_scalar half;
    grp_point a;
    tdsa_status st = TDSA_OK;

    if (to == NULL) {
        return tdsa_buf_check(first, err);
    }
    st = grp_scalar_decode(c->g, &half, value, info->value_len, err);
    if (st != TDSA_OK) {
        return TDSA_BLAME(err, info->index, "repetition %zu opens what is no scalar", i);
    }
    st = first_point(c, b, &half, &a, err);
    if (st == TDSA_OK && grp_point_is_identity(&a)) {
        return TDSA_BLAME(err, info->index, "repetition %zu does not split the share", i);
    }
    if (st != TDSA_OK) {
        return st;
    }
    grp_point_encode(c->g, to, &a);
    memcpy(to + point_len + (1u - b) * info->sealed_len, info->kept + i * info->sealed_len,
           info->sealed_len);
    return tdsa_rsa_encrypt(to + point_len + b * info->sealed_len, c->cert, &p, err);
}

tdsa_status mpc_recovery_verify_vartime(const mpc_recovery_info *info, const grp *g,
                                        const tdsa_rsa_cert *cert, tdsa_err *err)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    const recovery_subject subject = recovery_subject_of(info);
    uint8_t challenge[RECOVERY_CHALLENGE_LEN];
    checker c = {.info = info, .g = g, .cert = cert};
    recovery_first f = {c.label, info->cc_sealed, info->sealed_len, NULL, 0};
    tdsa_status st = check_certificate(info, cert, err);

    st = st != TDSA_OK ? st : recovery_label(c.label, &subject, RECOVERY_SHARE, err);
    for (size_t i = 0; i < REPS && st == TDSA_OK; i++) {
        st = rebuild(&c, i, &first, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    f.first = first.data;
    f.first_len = first.len;
    st = recovery_challenge(challenge, &f, err);
    if (st == TDSA_OK && memcmp(challenge, info->challenge, sizeof challenge) != 0) {
        return TDSA_BLAME(err, info->index,
                          "the proof is wrong: the challenge is not that of the ciphertexts");
    }
    return st;
}

tdsa_status mpc_recovery_verify_cc(const mpc_recovery_info *info, const tdsa_rsa_cert *cert,
                                   const uint8_t cc[32], tdsa_err *err)
{
    const recovery_subject subject = recovery_subject_of(info);
    uint8_t hash[64];
    uint8_t sealed[TDSA_RSA_LEN_MAX];
    tdsa_status st = check_certificate(info, cert, err);

    st = st != TDSA_OK ? st : recovery_cc_hash(hash, cc, err);
    if (st == TDSA_OK && memcmp(hash, info->context.cc_hash, sizeof hash) != 0) {
        return TDSA_BLAME(err, info->index, "the recovery info names another chain code");
    }
    st = st != TDSA_OK ? st : recovery_seal_cc(sealed, &subject, cc, cert, err);
    if (st == TDSA_OK && memcmp(sealed, info->cc_sealed, info->sealed_len) != 0) {
        return TDSA_BLAME(err, info->index, "the recovery info does not hold the chain code");
    }
    return st;
}

static bool same_context(const mpc_recovery_info *a, const mpc_recovery_info *b)
{
    return a->context_len == b->context_len &&
           memcmp(a->context_bytes, b->context_bytes, a->context_len) == 0;
}

/* Every participant of the first info's key, each once, all with its context. */
static tdsa_status check_members(const mpc_recovery_info *infos, size_t count, tdsa_err *err)
{
    const mpc_recovery_context *c = &infos[0].context;
    bool seen[GRP_PARTIES_MAX] = {false};

    for (size_t i = 0; i < count; i++) {
        if (!same_context(&infos[i], &infos[0])) {
            return TDSA_BLAME(err, infos[i].index,
                              "its recovery info is of another key, epoch or auxiliary data");
        }
        if (seen[infos[i].index]) {
            return TDSA_BLAME(err, infos[i].index, "its recovery info is there twice");
        }
        seen[infos[i].index] = true;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (!seen[c->members[i]]) {
            return TDSA_BLAME(err, c->members[i], "its recovery info is missing");
        }
    }
    return TDSA_OK;
}

tdsa_status mpc_recovery_verify_package_vartime(const mpc_recovery_info *infos, size_t count,
                                                const grp *g, const tdsa_rsa_cert *cert,
                                                tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (count == 0 || count > MPC_RECOVERY_INFOS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a package of %zu recovery infos", count);
    }
    st = check_members(infos, count, err);
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        st = mpc_recovery_verify_vartime(&infos[i], g, cert, err);
    }
    return st;
}
