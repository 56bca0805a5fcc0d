#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "group/group_internal.h"
#include "group/sharing.h"

/* Rows of points that are worked on together: a cache of the first level holds the smaller cases. */
#define OPEN_AT_ONCE 64u
#define ROWS_MAX     (GRP_THRESHOLD_MAX + 1u)

/* The value at one index, the general way: any members. */
static tdsa_status open_one(const grp *g, grp_point *out, const grp_shared *o, size_t index,
                            tdsa_err *err)
{
    grp_point p[GRP_PARTIES_MAX];
    tdsa_status st = TDSA_OK;

    for (size_t j = 0; j < o->member_count; j++) {
        p[j] = o->points[j * o->count + index];
    }
    st = grp_consist_vartime(g, p, o->members, o->member_count, o->t, err);
    if (st != TDSA_OK) {
        return st;
    }
    return grp_interpolate_vartime(g, out, p, o->members, o->t + 1, err);
}

static tdsa_status open_each(const grp *g, grp_point *out, const grp_shared *o, size_t *bad,
                             tdsa_err *err)
{
    for (size_t i = 0; i < o->count; i++) {
        const tdsa_status st = open_one(g, &out[i], o, i, err);

        if (st != TDSA_OK) {
            *bad = i;
            return st;
        }
    }
    return TDSA_OK;
}

static bool is_consecutive(const grp_shared *o)
{
    for (size_t j = 1; j < o->member_count; j++) {
        if (o->members[j] != o->members[0] + j) {
            return false;
        }
    }
    return true;
}

/*
 * Differences of a polynomial of degree t at consecutive ids, for up to OPEN_AT_ONCE indices at a
 * time: low[k] is the k-th forward difference at the first id, high[k] the k-th backward difference
 * at the last id reached. Both end in the same t-th difference.
 */
typedef struct {
    const grp *g;
    size_t t;
    size_t count; /* of the indices */
    grp_point low[ROWS_MAX][OPEN_AT_ONCE];
    grp_point high[ROWS_MAX][OPEN_AT_ONCE];
} differences;

static void differ(const differences *d, grp_point *out, const grp_point *a, const grp_point *b,
                   bool minus)
{
    d->g->backend->add_batch(d->g, out, a, b, minus, d->count);
}

/* The triangle of the first t+1 members: row j loses row j-1, t times. */
static void make_differences(differences *d, const grp_shared *o, size_t first)
{
    const size_t row_len = d->count * sizeof(grp_point);

    for (size_t j = 0; j <= d->t; j++) {
        memcpy(d->low[j], o->points + j * o->count + first, row_len);
    }
    for (size_t k = 0; k <= d->t; k++) {
        memcpy(d->high[k], d->low[d->t], row_len);
        for (size_t j = d->t; j > k; j--) {
            differ(d, d->low[j], d->low[j], d->low[j - 1], true);
        }
    }
}

/* low goes one id down: D_k at the id before = D_k - D_(k+1) at the id before. */
static void step_down(differences *d)
{
    for (size_t k = d->t; k-- > 0;) {
        differ(d, d->low[k], d->low[k], d->low[k + 1], true);
    }
}

/* high goes one id up: D_k at the next id = D_k + D_(k+1) at the next id. */
static void step_up(differences *d)
{
    for (size_t k = d->t; k-- > 0;) {
        differ(d, d->high[k], d->high[k], d->high[k + 1], false);
    }
}

/* Members after the first t+1 must have the points that the polynomial goes through. */
static tdsa_status check_rest(differences *d, const grp_shared *o, size_t first, size_t *bad,
                              tdsa_err *err)
{
    size_t lowest = d->count;

    for (size_t j = d->t + 1; j < o->member_count; j++) {
        const grp_point *theirs = o->points + j * o->count + first;

        step_up(d);
        for (size_t i = 0; i < lowest; i++) {
            if (!grp_point_equal(d->g, &d->high[0][i], &theirs[i])) {
                lowest = i;
            }
        }
    }
    if (lowest == d->count) {
        return TDSA_OK;
    }
    *bad = first + lowest;
    return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                     "the points of participants %u to %u do not fit one polynomial of degree %zu",
                     (unsigned)o->members[0], (unsigned)o->members[o->member_count - 1], d->t);
}

static tdsa_status open_together(const grp *g, grp_point *out, const grp_shared *o, size_t *bad,
                                 tdsa_err *err)
{
    differences *d = malloc(sizeof *d);
    tdsa_status st = TDSA_OK;

    if (d == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory to open %zu points", o->count);
    }
    d->g = g;
    d->t = o->t;
    for (size_t first = 0; first < o->count && st == TDSA_OK; first += OPEN_AT_ONCE) {
        const size_t left = o->count - first;

        d->count = left < OPEN_AT_ONCE ? left : OPEN_AT_ONCE;
        make_differences(d, o, first);
        st = check_rest(d, o, first, bad, err);
        for (size_t id = 0; id <= o->members[0]; id++) { /* from the first id to 0 */
            step_down(d);
        }
        memcpy(out + first, d->low[0], d->count * sizeof out[0]);
    }
    free(d);
    return st;
}

tdsa_status grp_open_batch_vartime(const grp *g, grp_point *out, const grp_shared *o, size_t *bad,
                                   tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    *bad = 0;
    for (size_t i = 0; i < o->count; i++) {
        grp_point_set_identity(&out[i]);
    }
    if (o->t < 1 || o->t > GRP_THRESHOLD_MAX || o->member_count < o->t + 1 ||
        o->member_count > GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu members for degree %zu", o->member_count,
                         o->t);
    }
    for (size_t j = 0; j < o->member_count; j++) {
        if (o->members[j] >= GRP_PARTIES_MAX || (j > 0 && o->members[j] <= o->members[j - 1])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "member %u is out of order or range",
                             (unsigned)o->members[j]);
        }
    }
    st = g->backend->add_batch != NULL && is_consecutive(o) ? open_together(g, out, o, bad, err)
                                                            : open_each(g, out, o, bad, err);
    for (size_t i = 0; st != TDSA_OK && i < o->count; i++) {
        grp_point_set_identity(&out[i]);
    }
    return st;
}
