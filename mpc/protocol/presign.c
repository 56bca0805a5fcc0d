#include "protocol/presign.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/presign_internal.h"

typedef void (*send_fn)(const mpc_presign *run, tdsa_buf *out);
typedef tdsa_status (*take_fn)(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err);
typedef tdsa_status (*end_fn)(mpc_presign *run, tdsa_err *err);

/* The round table; the same message goes to every other member. */
static const struct {
    const char *name;
    send_fn send;
    take_fn take;
    end_fn end;
} rounds[MPC_PRESIGN_ROUNDS] = {
    {"nonce", presign_send_nonce, presign_take_nonce, presign_end_nonce},
    {"R", presign_send_r, presign_take_r, presign_end_r},
    {"list", presign_send_list, presign_take_list, NULL},
};

static tdsa_status check_cfg(const mpc_presign_cfg *cfg, tdsa_err *err)
{
    const mpc_key *key = cfg->key;

    if (key->sec == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: its secret half is not loaded",
                         key->pub.key_id);
    }
    if (cfg->count < 1 || cfg->count > MPC_PRESIGN_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch of %u presignatures, allowed are 1 to %u",
                         cfg->count, MPC_PRESIGN_COUNT_MAX);
    }
    if (!mpc_committee_valid(key, cfg->committee, 2u * key->pub.t + 1u)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "a committee is %u members of the key in ascending order, participant %u "
                         "among them",
                         2u * key->pub.t + 1u, key->pub.me);
    }
    return TDSA_OK;
}

tdsa_status mpc_presign_new(mpc_presign **out, const mpc_presign_cfg *cfg, tdsa_err *err)
{
    mpc_presign *run = NULL;
    tdsa_status st;

    *out = NULL;
    st = check_cfg(cfg, err);
    if (st != TDSA_OK) {
        return st;
    }
    run = calloc(1, sizeof *run);
    if (run == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a presignature run");
    }
    run->g = cfg->key->g;
    run->key = cfg->key;
    run->committee_count = (uint16_t)(2u * cfg->key->pub.t + 1u);
    run->round = (mpc_round){.round_count = MPC_PRESIGN_ROUNDS, .me = cfg->key->pub.me};
    for (uint16_t i = 0; i < run->committee_count; i++) {
        run->committee[i] = cfg->committee[i];
        run->round.members = (uint16_t)(run->round.members | 1u << cfg->committee[i]);
    }
    run->lane = cfg->lane;
    run->seq = cfg->seq;
    run->count = cfg->count;
    run->width = mpc_scheme_points(cfg->key->pub.scheme);
    run->compressed_wire = cfg->compressed_wire;
    st = tdsa_rng_fill(&cfg->rng, run->nonce[run->round.me], PRESIGN_NONCE_LEN, err);
    if (st != TDSA_OK) {
        mpc_presign_free(run);
        return st;
    }
    tdsa_declassify(run->nonce[run->round.me], PRESIGN_NONCE_LEN); /* every member gets it */
    *out = run;
    return TDSA_OK;
}

void mpc_presign_free(mpc_presign *run)
{
    if (run == NULL) {
        return;
    }
    free(run->points);
    free(run->wire);
    free(run->r_list);
    tdsa_wipe(run, sizeof *run);
    free(run);
}

unsigned mpc_presign_round(const mpc_presign *run)
{
    return run->round.round;
}

tdsa_status mpc_presign_send(mpc_presign *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    const tdsa_status st = mpc_round_may_send(&run->round, to, err);

    if (st != TDSA_OK) {
        return st;
    }
    rounds[run->round.round].send(run, out);
    return tdsa_buf_check(out, err);
}

tdsa_status mpc_presign_take(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    const unsigned round = run->round.round;
    tdsa_status st = mpc_round_may_take(&run->round, from, err);

    if (st != TDSA_OK) {
        return st;
    }
    st =
        mpc_round_check_len(rounds[round].name, from, len, presign_message_len(run, round), 0, err);
    if (st == TDSA_OK) {
        st = rounds[round].take(run, from, in, len, err);
    }
    if (st != TDSA_OK) {
        run->round.dead = true;
        return mpc_round_blame(st, rounds[round].name, from, err);
    }
    mpc_round_mark(&run->round, from);
    return TDSA_OK;
}

bool mpc_presign_has(const mpc_presign *run, uint16_t from)
{
    return mpc_round_has(&run->round, from);
}

bool mpc_presign_round_complete(const mpc_presign *run)
{
    return mpc_round_complete(&run->round);
}

tdsa_status mpc_presign_advance(mpc_presign *run, tdsa_err *err)
{
    const unsigned round = run->round.round;
    tdsa_status st = mpc_round_may_advance(&run->round, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (rounds[round].end != NULL) {
        st = rounds[round].end(run, err);
    }
    if (st != TDSA_OK) {
        run->round.dead = true;
        return st;
    }
    mpc_round_next(&run->round);
    return TDSA_OK;
}

const uint8_t *mpc_presign_beta(const mpc_presign *run)
{
    TDSA_ASSERT(run->round.round >= 1);
    return run->beta;
}

tdsa_status mpc_presign_data(const mpc_presign *run, tdsa_buf *out, tdsa_err *err)
{
    if (run->round.dead || run->round.round < 2) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the batch is not made");
    }
    tdsa_stmt_begin(out, "batch-data");
    tdsa_stmt_uint_list(out, run->committee, run->committee_count);
    tdsa_stmt_octets(out, run->r_list, run->r_list_len);
    return tdsa_buf_check(out, err);
}
