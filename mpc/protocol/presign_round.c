#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/presign_internal.h"

/* Shares that are computed at a time. */
#define SHARES_AT_ONCE 64u
#define LIST_LEN       64u
#define BETA_LEN       32u

static size_t wire_point_len(const mpc_presign *run)
{
    const grp_info *info = grp_get_info(run->g);

    return run->compressed_wire ? info->point_len : info->point_raw_len;
}

/* Points that one member sends. */
static size_t wire_count(const mpc_presign *run)
{
    return (size_t)run->count * run->width;
}

size_t presign_message_len(const mpc_presign *run, unsigned round)
{
    const size_t lens[MPC_PRESIGN_ROUNDS] = {
        MPC_TEXT("N") + MPC_ITEM(strlen(run->key->pub.key_id)) + 4 * MPC_UINT +
            MPC_ITEM(run->committee_count * MPC_UINT) + MPC_UINT + MPC_ITEM(PRESIGN_NONCE_LEN),
        MPC_TEXT("R") + MPC_ITEM(BETA_LEN) + MPC_UINT +
            MPC_ITEM(wire_count(run) * wire_point_len(run)),
        MPC_TEXT("list-echo") + MPC_ITEM(LIST_LEN),
    };

    TDSA_ASSERT(round < MPC_PRESIGN_ROUNDS);
    return lens[round];
}

/* ---- round 0: nonce ---- */

void presign_send_nonce(const mpc_presign *run, tdsa_buf *out)
{
    tdsa_stmt_begin(out, "N");
    tdsa_stmt_text(out, run->key->pub.key_id);
    tdsa_stmt_uint(out, run->key->pub.epoch);
    tdsa_stmt_uint(out, run->lane);
    tdsa_stmt_uint(out, run->seq);
    tdsa_stmt_uint(out, run->count);
    tdsa_stmt_uint_list(out, run->committee, run->committee_count);
    tdsa_stmt_uint(out, run->compressed_wire ? 0 : 1);
    tdsa_stmt_octets(out, run->nonce[run->round.me], PRESIGN_NONCE_LEN);
}

static void note(const char **first, bool differs, const char *name)
{
    if (differs && *first == NULL) {
        *first = name;
    }
}

/* What of the batch a member sees otherwise, the first thing; NULL when all is equal. */
static const char *difference(const mpc_presign *run, tdsa_reader *r)
{
    const char *first = NULL;
    char key_id[MPC_KEY_ID_MAX + 1];
    uint16_t committee[GRP_PARTIES_MAX];
    size_t count = 0;

    tdsa_stmt_read_text(r, key_id, sizeof key_id);
    note(&first, strcmp(key_id, run->key->pub.key_id) != 0, "key id");
    note(&first, tdsa_stmt_read_uint(r) != run->key->pub.epoch, "epoch");
    note(&first, tdsa_stmt_read_uint(r) != run->lane, "lane");
    note(&first, tdsa_stmt_read_uint(r) != run->seq, "seq");
    note(&first, tdsa_stmt_read_uint(r) != run->count, "count");
    count = tdsa_stmt_read_uint_list(r, committee, GRP_PARTIES_MAX);
    note(&first,
         count != run->committee_count ||
             memcmp(committee, run->committee, count * sizeof committee[0]) != 0,
         "committee");
    note(&first, tdsa_stmt_read_uint(r) != (run->compressed_wire ? 0u : 1u), "form of points");
    return first;
}

tdsa_status presign_take_nonce(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    const char *other = NULL;

    tdsa_stmt_expect(&r, "N");
    other = difference(run, &r);
    tdsa_stmt_read_exact(&r, run->nonce[from], PRESIGN_NONCE_LEN);
    if (!r.failed && other != NULL) {
        return TDSA_BLAME(err, from, "participant %u means another batch: %s differs", from, other);
    }
    return tdsa_reader_finish(&r, "N", err);
}

/* beta = H('batch', cluster-id, key-id, epoch, curve, scheme, C, t, lane, seq, count, nonces) */
static tdsa_status hash_label(mpc_presign *run, tdsa_err *err)
{
    const mpc_key_public *pub = &run->key->pub;
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;

    tdsa_stmt_begin(&b, "batch");
    tdsa_stmt_octets(&b, pub->cluster_id, sizeof pub->cluster_id);
    tdsa_stmt_text(&b, pub->key_id);
    tdsa_stmt_uint(&b, pub->epoch);
    tdsa_stmt_text(&b, grp_curve_name(pub->curve));
    tdsa_stmt_text(&b, mpc_scheme_name(pub->scheme));
    tdsa_stmt_uint_list(&b, run->committee, run->committee_count);
    tdsa_stmt_uint(&b, pub->t);
    tdsa_stmt_uint(&b, run->lane);
    tdsa_stmt_uint(&b, run->seq);
    tdsa_stmt_uint(&b, run->count);
    list = tdsa_stmt_list_begin(&b);
    for (uint16_t i = 0; i < run->committee_count; i++) {
        tdsa_stmt_octets(&b, run->nonce[run->committee[i]], PRESIGN_NONCE_LEN);
    }
    tdsa_stmt_list_end(&b, list);
    return tdsa_hash32_stmt(run->beta, &b, err);
}

static uint16_t position_of(const mpc_presign *run, uint16_t index)
{
    uint16_t at = 0;

    while (at < run->committee_count && run->committee[at] != index) {
        at++;
    }
    TDSA_ASSERT(at < run->committee_count);
    return at;
}

/* Encodes R_j into the wire form. */
static void put_wire(mpc_presign *run, const grp_point *p, size_t i)
{
    uint8_t *at = run->wire + i * wire_point_len(run);

    if (run->compressed_wire) {
        grp_point_encode(run->g, at, p);
    } else {
        grp_point_encode_raw(run->g, at, p);
    }
}

/* R_j = k_j*G for the whole batch; of stream `which`: D_j = d_j*G is 0, E_j = e_j*G is 1. */
static tdsa_status make_points(mpc_presign *run, grp_prss *stream, grp_point *mine, size_t which,
                               tdsa_err *err)
{
    grp_scalar k[SHARES_AT_ONCE];
    grp_point made[SHARES_AT_ONCE];
    tdsa_status st = TDSA_OK;

    for (size_t first = 0; first < run->count && st == TDSA_OK; first += SHARES_AT_ONCE) {
        const size_t left = run->count - first;
        const size_t n = left < SHARES_AT_ONCE ? left : SHARES_AT_ONCE;

        st = grp_prss_shares(stream, k, first, n, err);
        if (st == TDSA_OK) {
            st = grp_mul_base_batch(run->g, made, k, n, err);
        }
        tdsa_declassify(made, sizeof made); /* sent to all members */
        for (size_t i = 0; i < n && st == TDSA_OK; i++) {
            const size_t at = (first + i) * run->width + which;

            if (grp_point_is_identity(&made[i])) {
                st = TDSA_FAIL(err, TDSA_E_CRYPTO, "my nonce share %zu is 0", first + i);
                break;
            }
            mine[at] = made[i];
            put_wire(run, &mine[at], at);
        }
    }
    tdsa_wipe(k, sizeof k);
    return st;
}

tdsa_status presign_end_nonce(mpc_presign *run, tdsa_err *err)
{
    const size_t at = position_of(run, run->round.me) * wire_count(run);
    tdsa_status st = hash_label(run, err);

    if (st != TDSA_OK) {
        return st;
    }
    run->wire_len = wire_count(run) * wire_point_len(run);
    run->wire = malloc(run->wire_len);
    run->points = calloc(run->committee_count * wire_count(run), sizeof run->points[0]);
    if (run->wire == NULL || run->points == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %u presignatures", run->count);
    }
    for (size_t which = 0; which < run->width && st == TDSA_OK; which++) {
        const char *name = presign_stream_name(run->key->pub.scheme, which);
        grp_prss *stream = NULL;

        st = presign_stream(&stream, run->key, run->committee, run->committee_count, name,
                            run->beta, err);
        if (st == TDSA_OK) {
            st = make_points(run, stream, run->points + at, which, err);
        }
        grp_prss_free(stream);
    }
    return st;
}

/* ---- round 1: R ---- */

void presign_send_r(const mpc_presign *run, tdsa_buf *out)
{
    tdsa_stmt_begin(out, "R");
    tdsa_stmt_octets(out, run->beta, sizeof run->beta);
    tdsa_stmt_uint(out, run->round.me);
    tdsa_stmt_octets(out, run->wire, run->wire_len);
}

tdsa_status presign_take_r(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                           tdsa_err *err)
{
    const size_t point_len = wire_point_len(run);
    const size_t count = wire_count(run);
    grp_point *points = run->points + position_of(run, from) * count;
    tdsa_reader r = tdsa_reader_of(in, len);
    uint8_t beta[BETA_LEN];
    const uint8_t *wire = NULL;
    uint64_t index = 0;
    tdsa_status st = TDSA_OK;

    tdsa_stmt_expect(&r, "R");
    tdsa_stmt_read_exact(&r, beta, sizeof beta);
    index = tdsa_stmt_read_uint(&r);
    wire = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, count * point_len);
    st = tdsa_reader_finish(&r, "R", err);
    if (st != TDSA_OK || wire == NULL) {
        return st;
    }
    if (index != from) {
        return TDSA_BLAME(err, from, "participant %u sent R_j of another sender", from);
    }
    if (memcmp(beta, run->beta, sizeof beta) != 0) { /* a third member may have told two nonces */
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "participants %u and %u have other labels of the batch: one of them or a "
                         "third participant lies",
                         from, run->round.me);
    }
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        st = grp_point_decode(run->g, &points[i], wire + i * point_len, point_len, err);
    }
    return st;
}

/* R, D or E is not the identity, and ECDSA divides by F(R) in all but name: it must not be 0. */
static tdsa_status check_opened(const mpc_presign *run, const grp_point *p, size_t index,
                                tdsa_err *err)
{
    grp_scalar x;

    if (grp_point_is_identity(p)) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "R of presignature %zu is the identity", index);
    }
    if (run->key->pub.scheme != MPC_SCHEME_ECDSA) {
        return TDSA_OK;
    }
    grp_point_x_mod_q(run->g, &x, p);
    if (grp_scalar_is_zero(run->g, &x)) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "x(R) of presignature %zu is 0", index);
    }
    return TDSA_OK;
}

/* The points of all indices and streams, each on one polynomial with those of the other members. */
static tdsa_status open_points(const mpc_presign *run, grp_point *opened, tdsa_err *err)
{
    const grp_shared shared = {.points = run->points,
                               .members = run->committee,
                               .member_count = run->committee_count,
                               .t = run->key->pub.t,
                               .count = wire_count(run)};
    size_t bad = 0;
    tdsa_status st = grp_open_batch_vartime(run->g, opened, &shared, &bad, err);

    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "R_j of presignature %zu", bad / run->width);
    }
    for (size_t i = 0; i < shared.count && st == TDSA_OK; i++) {
        st = check_opened(run, &opened[i], i / run->width, err);
    }
    return st;
}

/* Opens every R; keeps them uncompressed, which costs a signature one decoding less, and puts them
 * into the list: one list per presignature, with R, or D and E. */
static tdsa_status open_all(mpc_presign *run, tdsa_buf *list, tdsa_err *err)
{
    const size_t raw_len = grp_get_info(run->g)->point_raw_len;
    grp_point *opened = calloc(wire_count(run), sizeof *opened);
    tdsa_status st = TDSA_OK;

    if (opened == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %u presignatures", run->count);
    }
    st = open_points(run, opened, err);
    for (size_t i = 0; i < wire_count(run) && st == TDSA_OK; i++) {
        grp_point_encode_raw(run->g, run->r_list + i * raw_len, &opened[i]);
        if (i % run->width == 0) {
            mpc_put_points(list, run->g, &opened[i], run->width);
        }
    }
    free(opened);
    return st;
}

tdsa_status presign_end_r(mpc_presign *run, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;
    tdsa_status st;

    run->r_list_len = wire_count(run) * grp_get_info(run->g)->point_raw_len;
    run->r_list = malloc(run->r_list_len);
    if (run->r_list == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %u presignatures", run->count);
    }
    tdsa_stmt_begin(&b, "list"); /* H('list', beta, all R) */
    tdsa_stmt_octets(&b, run->beta, sizeof run->beta);
    list = tdsa_stmt_list_begin(&b);
    st = open_all(run, &b, err);
    tdsa_stmt_list_end(&b, list);
    if (st != TDSA_OK) {
        return st;
    }
    free(run->points);
    run->points = NULL;
    return tdsa_hash_stmt(run->list, &b, err);
}

/* ---- round 2: list ---- */

void presign_send_list(const mpc_presign *run, tdsa_buf *out)
{
    tdsa_stmt_begin(out, "list-echo");
    tdsa_stmt_octets(out, run->list, sizeof run->list);
}

tdsa_status presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                              tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint8_t list[LIST_LEN];
    tdsa_status st;

    tdsa_stmt_expect(&r, "list-echo");
    tdsa_stmt_read_exact(&r, list, sizeof list);
    st = tdsa_reader_finish(&r, "list", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(list, run->list, sizeof list) != 0) { /* the liar may be a third member */
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "participants %u and %u hold different lists of R: the batch is void",
                         from, run->round.me);
    }
    return TDSA_OK;
}
