#include "protocol/round.h"

#include <string.h>

#include "base/assert.h"

static tdsa_status alive(const mpc_round *r, tdsa_err *err)
{
    if (r->dead) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the run has failed before and takes nothing more");
    }
    if (r->round >= r->round_count) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the run is over");
    }
    return TDSA_OK;
}

static bool is_peer(const mpc_round *r, uint16_t index)
{
    return index < 16 && index != r->me && (r->members >> index & 1u) != 0;
}

tdsa_status mpc_round_may_take(const mpc_round *r, uint16_t from, tdsa_err *err)
{
    const tdsa_status st = alive(r, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (!is_peer(r, from)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u is no peer of this run", from);
    }
    if (mpc_round_has(r, from)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "second message of participant %u in round %u",
                         from, r->round);
    }
    return TDSA_OK;
}

tdsa_status mpc_round_may_send(const mpc_round *r, uint16_t to, tdsa_err *err)
{
    const tdsa_status st = alive(r, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (!is_peer(r, to)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u is no peer of this run", to);
    }
    return TDSA_OK;
}

void mpc_round_mark(mpc_round *r, uint16_t from)
{
    TDSA_ASSERT(from < 16);
    r->seen = (uint16_t)(r->seen | 1u << from);
}

bool mpc_round_has(const mpc_round *r, uint16_t from)
{
    return from < 16 && (r->seen >> from & 1u) != 0;
}

bool mpc_round_complete(const mpc_round *r)
{
    return !r->dead && (r->seen | 1u << r->me) == r->members;
}

tdsa_status mpc_round_may_advance(const mpc_round *r, tdsa_err *err)
{
    const tdsa_status st = alive(r, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (uint16_t i = 0; i < 16; i++) {
        if (is_peer(r, i) && !mpc_round_has(r, i)) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u has not spoken in round %u", i,
                             r->round);
        }
    }
    return TDSA_OK;
}

void mpc_round_next(mpc_round *r)
{
    TDSA_ASSERT(mpc_round_complete(r));
    r->round++;
    r->seen = 0;
}

tdsa_status mpc_round_check_len(const char *name, uint16_t from, size_t len, size_t want,
                                size_t other, tdsa_err *err)
{
    if (len == want || (other != 0 && len == other)) {
        return TDSA_OK;
    }
    return TDSA_BLAME(err, from, "round %s: participant %u sent %zu bytes, %zu are due", name, from,
                      len, want);
}

tdsa_status mpc_round_blame(tdsa_status st, const char *name, uint16_t from, tdsa_err *err)
{
    char text[TDSA_ERR_TEXT_MAX];

    if (st != TDSA_E_BAD_INPUT) {
        return st;
    }
    memcpy(text, err->text, sizeof text);
    return TDSA_BLAME(err, from, "round %s, participant %u: %s", name, from, text);
}
