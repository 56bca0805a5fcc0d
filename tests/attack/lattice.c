#include "attack/lattice.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#include "attack/hostile.h"

/* ---- reduction of integer vectors, Cohen, A Course in Computational Algebraic Number Theory,
 * algorithm 2.6.7 ---- */

#define DIM (LATTICE_SIGNATURES + 1u)

typedef struct {
    mpz_t b[DIM][DIM]; /* the vectors */
    mpz_t lambda[DIM][DIM];
    mpz_t d[DIM + 1]; /* d[0] = 1 */
    mpz_t s, t;       /* for the moment */
} lattice;

static void init(lattice *l)
{
    for (size_t i = 0; i < DIM; i++) {
        for (size_t j = 0; j < DIM; j++) {
            mpz_inits(l->b[i][j], l->lambda[i][j], NULL);
        }
        mpz_init(l->d[i]);
    }
    mpz_inits(l->d[DIM], l->s, l->t, NULL);
}

static void done(lattice *l)
{
    for (size_t i = 0; i < DIM; i++) {
        for (size_t j = 0; j < DIM; j++) {
            mpz_clears(l->b[i][j], l->lambda[i][j], NULL);
        }
        mpz_clear(l->d[i]);
    }
    mpz_clears(l->d[DIM], l->s, l->t, NULL);
}

static void product(mpz_t out, lattice *l, size_t i, size_t j)
{
    mpz_set_ui(out, 0);
    for (size_t k = 0; k < DIM; k++) {
        mpz_addmul(out, l->b[i][k], l->b[j][k]);
    }
}

/* The Gram-Schmidt coefficients of vector k, as integers. */
static void orthogonalise(lattice *l, size_t k)
{
    for (size_t j = 0; j <= k; j++) {
        product(l->s, l, k, j);
        for (size_t i = 0; i < j; i++) {
            mpz_mul(l->s, l->s, l->d[i + 1]);
            mpz_submul(l->s, l->lambda[k][i], l->lambda[j][i]);
            mpz_divexact(l->s, l->s, l->d[i]);
        }
        mpz_set(j < k ? l->lambda[k][j] : l->d[k + 1], l->s);
    }
}

/* b_k minus the nearest multiple of b_j. */
static void subtract(lattice *l, size_t k, size_t j)
{
    mpz_mul_2exp(l->s, l->lambda[k][j], 1);
    mpz_add(l->s, l->s, l->d[j + 1]);
    mpz_mul_2exp(l->t, l->d[j + 1], 1);
    mpz_fdiv_q(l->s, l->s, l->t); /* rounded */
    if (mpz_sgn(l->s) == 0) {
        return;
    }
    for (size_t i = 0; i < DIM; i++) {
        mpz_submul(l->b[k][i], l->s, l->b[j][i]);
    }
    mpz_submul(l->lambda[k][j], l->s, l->d[j + 1]);
    for (size_t i = 0; i < j; i++) {
        mpz_submul(l->lambda[k][i], l->s, l->lambda[j][i]);
    }
}

static void exchange(lattice *l, size_t k, size_t known)
{
    mpz_t big;

    for (size_t i = 0; i < DIM; i++) {
        mpz_swap(l->b[k][i], l->b[k - 1][i]);
    }
    for (size_t j = 0; j + 1 < k; j++) {
        mpz_swap(l->lambda[k][j], l->lambda[k - 1][j]);
    }
    mpz_init(big);
    mpz_mul(big, l->d[k - 1], l->d[k + 1]);
    mpz_addmul(big, l->lambda[k][k - 1], l->lambda[k][k - 1]);
    mpz_divexact(big, big, l->d[k]);
    for (size_t i = k + 1; i <= known; i++) {
        mpz_set(l->t, l->lambda[i][k]);
        mpz_mul(l->s, l->d[k + 1], l->lambda[i][k - 1]);
        mpz_submul(l->s, l->lambda[k][k - 1], l->t);
        mpz_divexact(l->lambda[i][k], l->s, l->d[k]);
        mpz_mul(l->s, big, l->t);
        mpz_addmul(l->s, l->lambda[k][k - 1], l->lambda[i][k]);
        mpz_divexact(l->lambda[i][k - 1], l->s, l->d[k + 1]);
    }
    mpz_set(l->d[k], big);
    mpz_clear(big);
}

/* 4*d_{k+1}*d_{k-1} < 3*d_k^2 - 4*lambda^2 */
static bool too_long(lattice *l, size_t k)
{
    mpz_mul(l->s, l->d[k], l->d[k]);
    mpz_mul_ui(l->s, l->s, 3);
    mpz_mul(l->t, l->lambda[k][k - 1], l->lambda[k][k - 1]);
    mpz_addmul(l->t, l->d[k + 1], l->d[k - 1]);
    mpz_mul_2exp(l->t, l->t, 2);
    return mpz_cmp(l->t, l->s) < 0;
}

static void reduce(lattice *l)
{
    size_t k = 1;
    size_t known = 0;

    mpz_set_ui(l->d[0], 1);
    orthogonalise(l, 0);
    while (k < DIM) {
        if (k > known) {
            known = k;
            orthogonalise(l, k);
        }
        subtract(l, k, k - 1);
        if (too_long(l, k)) {
            exchange(l, k, known);
            k = k > 1 ? k - 1 : 1;
            continue;
        }
        for (size_t j = k - 1; j-- > 0;) {
            subtract(l, k, j);
        }
        k++;
    }
}

/* ---- the hidden number ---- */

static void to_number(const grp *g, mpz_t out, grp_scalar v)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    grp_scalar_encode(g, bytes, &v);
    mpz_import(out, grp_get_info(g)->scalar_len, 1, 1, 1, 0, bytes);
}

static grp_scalar to_scalar(const grp *g, const mpz_t v)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX] = {0};
    const size_t len = (mpz_sizeinbase(v, 2) + 7) / 8;
    grp_scalar out = sc_u64(g, 0);

    if (mpz_sgn(v) != 0 && len <= grp_get_info(g)->scalar_len) {
        mpz_export(bytes, NULL, 1, 1, 1, 0, v);
        grp_scalar_reduce(g, &out, bytes, len);
    }
    return mpz_sgn(v) < 0 ? sc_neg(g, out) : out;
}

/* k_i = c_i*k_0 + e_i mod q: the vectors (k_0, ..., k_4, 2^bits) are in the lattice of these rows. */
static void fill(lattice *l, const grp *g, const grp_scalar *t, const grp_scalar *u, unsigned bits)
{
    mpz_set_ui(l->b[0][0], 1);
    for (size_t i = 1; i < LATTICE_SIGNATURES; i++) {
        const grp_scalar c = sc_div(g, t[i], t[0]);

        to_number(g, l->b[0][i], c);
        to_number(g, l->b[i][i], sc_neg(g, sc_u64(g, 1)));
        mpz_add_ui(l->b[i][i], l->b[i][i], 1); /* q */
        to_number(g, l->b[DIM - 1][i], sc_sub(g, u[i], sc_mul(g, c, u[0])));
    }
    mpz_setbit(l->b[DIM - 1][DIM - 1], bits);
}

bool lattice_finds_key(const grp *g, const grp_scalar t[LATTICE_SIGNATURES],
                       const grp_scalar u[LATTICE_SIGNATURES], unsigned bits, const grp_point *y)
{
    lattice *l = calloc(1, sizeof *l);
    bool found = false;

    if (l == NULL) {
        abort();
    }
    init(l);
    fill(l, g, t, u, bits);
    reduce(l);
    for (size_t i = 0; i < DIM; i++) {
        grp_scalar k = to_scalar(g, l->b[i][0]);

        for (unsigned sign = 0; sign < 2; sign++) {
            const grp_point p = pt_base(g, sc_div(g, sc_sub(g, k, u[0]), t[0]));

            found = found || grp_point_equal(g, &p, y);
            k = sc_neg(g, k);
        }
    }
    done(l);
    free(l);
    return found;
}
