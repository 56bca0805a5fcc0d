#include "protocol/recovery_internal.h"

#include <string.h>

#include "base/statement.h"

#define REPS MPC_RECOVERY_REPETITIONS

_Static_assert(REPS % 8u == 0, "the challenge is whole bytes");

_Static_assert(REPS * sizeof(grp_scalar) <= TDSA_SECRET_LEN_MAX, "one secret holds the r_i");
_Static_assert(REPS * 2u * RECOVERY_SEED_LEN <= TDSA_SECRET_LEN_MAX, "one holds the seeds");

typedef struct {
    const mpc_recovery_making *m;
    recovery_subject subject;
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
    size_t sealed_len;
    size_t point_len, value_len;
    tdsa_secret *r_mem, *seed_mem;
    grp_scalar *r;                         /* r_i, in r_mem */
    uint8_t (*seed)[2][RECOVERY_SEED_LEN]; /* by repetition and half, in seed_mem */
    tdsa_buf first;                        /* 128 times A_i | E_{i,0} | E_{i,1} */
    uint8_t cc_sealed[TDSA_RSA_LEN_MAX];
    uint8_t challenge[RECOVERY_CHALLENGE_LEN];
} maker;

/* Half b of repetition i: r_i, or x_j - r_i. */
static void half_of(const maker *k, size_t i, unsigned b, grp_scalar *out)
{
    if (b == 0) {
        *out = k->r[i];
    } else {
        grp_scalar_sub(k->m->g, out, k->m->share, &k->r[i]);
    }
}

static tdsa_status draw(maker *k, const tdsa_rng *rng, tdsa_err *err)
{
    tdsa_status st = tdsa_secret_new(&k->r_mem, REPS * sizeof *k->r, err);

    st = st != TDSA_OK ? st : tdsa_secret_new(&k->seed_mem, REPS * sizeof *k->seed, err);
    if (st != TDSA_OK) {
        return st;
    }
    k->r = (void *)tdsa_secret_bytes(k->r_mem); /* starts a page: aligned for anything */
    k->seed = (void *)tdsa_secret_bytes(k->seed_mem);
    for (size_t i = 0; i < REPS && st == TDSA_OK; i++) {
        st = grp_scalar_random(k->m->g, &k->r[i], rng, err);
        st = st != TDSA_OK ? st : tdsa_rng_fill(rng, k->seed[i][0], sizeof k->seed[i], err);
    }
    return st;
}

/* E_{i,b} to its place. */
static tdsa_status seal_half(const maker *k, size_t i, unsigned b, uint8_t *out, tdsa_err *err)
{
    uint8_t value[GRP_SCALAR_LEN_MAX];
    const tdsa_oaep p = {k->label, sizeof k->label, value, k->value_len, k->seed[i][b]};
    grp_scalar half;
    tdsa_status st = TDSA_OK;

    half_of(k, i, b, &half);
    grp_scalar_encode(k->m->g, value, &half);
    st = tdsa_rsa_encrypt(out, k->m->cert, &p, err);
    tdsa_declassify(out, k->sealed_len); /* a ciphertext is public */
    grp_scalar_clear(&half);
    tdsa_wipe(value, sizeof value);
    return st;
}

/* All A_i and both ciphertexts of each repetition. */
static tdsa_status fill_first(maker *k, tdsa_err *err)
{
    grp_point a[REPS];
    tdsa_status st = grp_mul_base_batch(k->m->g, a, k->r, REPS, err);

    for (size_t i = 0; i < REPS && st == TDSA_OK; i++) {
        uint8_t *to = tdsa_buf_extend(&k->first, k->point_len + 2 * k->sealed_len);

        if (to == NULL) {
            return tdsa_buf_check(&k->first, err);
        }
        tdsa_declassify(&a[i], sizeof a[i]); /* A_i is sent in the clear */
        grp_point_encode(k->m->g, to, &a[i]);
        st = seal_half(k, i, 0, to + k->point_len, err);
        st = st != TDSA_OK ? st : seal_half(k, i, 1, to + k->point_len + k->sealed_len, err);
    }
    return st;
}

/* Value and seed of the halves that the challenge picks, then the other ciphertexts. */
static void put_halves(tdsa_buf *out, const maker *k)
{
    TDSA_SCOPED_BUF opened = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF kept = TDSA_BUF_EMPTY;

    for (size_t i = 0; i < REPS; i++) {
        const unsigned b = recovery_bit(k->challenge, i);
        const uint8_t *row = k->first.data + i * (k->point_len + 2 * k->sealed_len);
        uint8_t value[GRP_SCALAR_LEN_MAX];
        grp_scalar half;

        half_of(k, i, b, &half);
        tdsa_declassify(&half, sizeof half); /* one half alone is uniform: it is opened */
        grp_scalar_encode(k->m->g, value, &half);
        tdsa_declassify(k->seed[i][b], RECOVERY_SEED_LEN); /* and its seed with it */
        tdsa_buf_append(&opened, value, k->value_len);
        tdsa_buf_append(&opened, k->seed[i][b], RECOVERY_SEED_LEN);
        tdsa_buf_append(&kept, row + k->point_len + (1u - b) * k->sealed_len, k->sealed_len);
    }
    tdsa_stmt_octets(out, opened.data, opened.len);
    tdsa_stmt_octets(out, kept.data, kept.len);
    if (opened.failed || kept.failed) {
        out->failed = true;
    }
}

static void put_info(tdsa_buf *out, const maker *k)
{
    tdsa_stmt_begin(out, "recovery-info");
    tdsa_stmt_octets(out, k->subject.context, k->subject.context_len);
    tdsa_stmt_uint(out, k->subject.index);
    tdsa_stmt_octets(out, k->subject.certificate, 32);
    tdsa_stmt_octets(out, k->cc_sealed, k->sealed_len);
    tdsa_stmt_octets(out, k->challenge, sizeof k->challenge);
    put_halves(out, k);
}

/* Participant and chain code are those of the context. */
static tdsa_status check_making(const mpc_recovery_making *m, tdsa_err *err)
{
    uint8_t cc_hash[64];
    bool member = false;
    bool same = false;
    tdsa_status st = recovery_cc_hash(cc_hash, m->cc, err);

    for (size_t i = 0; i < m->context->n; i++) {
        member = member || m->context->members[i] == m->index;
    }
    same = tdsa_ct_equal(cc_hash, m->context->cc_hash, sizeof cc_hash);
    tdsa_declassify(&same, sizeof same); /* the commitment is public */
    if (st == TDSA_OK && (!member || !same)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s is not of this key",
                         member ? "the chain code" : "the participant");
    }
    return st;
}

static tdsa_status make(tdsa_buf *out, maker *k, const tdsa_rng *rng, tdsa_err *err)
{
    tdsa_status st = recovery_label(k->label, &k->subject, RECOVERY_SHARE, err);

    st =
        st != TDSA_OK ? st : recovery_seal_cc(k->cc_sealed, &k->subject, k->m->cc, k->m->cert, err);
    tdsa_declassify(k->cc_sealed, k->sealed_len); /* a ciphertext is public */
    st = st != TDSA_OK ? st : draw(k, rng, err);
    st = st != TDSA_OK ? st : fill_first(k, err);
    if (st == TDSA_OK) {
        const recovery_first f = {k->label, k->cc_sealed, k->sealed_len, k->first.data,
                                  k->first.len};

        st = recovery_challenge(k->challenge, &f, err);
    }
    if (st == TDSA_OK) {
        put_info(out, k);
        st = tdsa_buf_check(out, err);
    }
    return st;
}

tdsa_status mpc_recovery_make(tdsa_buf *out, const mpc_recovery_making *m, const tdsa_rng *rng,
                              tdsa_err *err)
{
    const size_t before = out->len;
    TDSA_SCOPED_BUF context = TDSA_BUF_EMPTY;
    maker k = {.m = m,
               .sealed_len = tdsa_rsa_cert_facts(m->cert)->len,
               .point_len = grp_get_info(m->g)->point_len,
               .value_len = grp_get_info(m->g)->scalar_len,
               .first = TDSA_BUF_EMPTY};
    tdsa_status st = check_making(m, err);

    if (st != TDSA_OK) {
        return st;
    }
    recovery_context_put(&context, m->g, m->context);
    st = tdsa_buf_check(&context, err);
    if (st == TDSA_OK) {
        k.subject = (recovery_subject){context.data, context.len, m->index,
                                       tdsa_rsa_cert_facts(m->cert)->sha256};
        st = make(out, &k, rng, err);
    }
    if (st != TDSA_OK) {
        out->len = before;
    }
    tdsa_buf_clear(&k.first);
    tdsa_secret_free(k.r_mem);
    tdsa_secret_free(k.seed_mem);
    return st;
}
