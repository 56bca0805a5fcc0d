#ifndef MPC_PROTOCOL_ROUND_H
#define MPC_PROTOCOL_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/**
 * What every run counts: the round, who has spoken in it, and whether the run is dead. Only for the
 * files of mpc/protocol.
 */
typedef struct {
    unsigned round, round_count;
    bool dead;
    uint16_t me;
    uint16_t members; /* bit (1 << index) per participant of the run, me included */
    uint16_t seen;    /* the same, of those whose message of this round is in */
} mpc_round;

/** Asks whether `from` may speak now. Errors: TDSA_E_BAD_INPUT (run over or dead, not a peer of this
 * run, second message). Nothing changes. */
TDSA_MUST_USE tdsa_status mpc_round_may_take(const mpc_round *r, uint16_t from, tdsa_err *err)
    TDSA_NONNULL;
/** The same for a message of mine to `to`. */
TDSA_MUST_USE tdsa_status mpc_round_may_send(const mpc_round *r, uint16_t to, tdsa_err *err)
    TDSA_NONNULL;
void mpc_round_mark(mpc_round *r, uint16_t from) TDSA_NONNULL;
bool mpc_round_has(const mpc_round *r, uint16_t from) TDSA_NONNULL;
bool mpc_round_complete(const mpc_round *r) TDSA_NONNULL;
/** Errors: TDSA_E_BAD_INPUT (run over or dead, messages missing: the first is named). */
TDSA_MUST_USE tdsa_status mpc_round_may_advance(const mpc_round *r, tdsa_err *err) TDSA_NONNULL;
void mpc_round_next(mpc_round *r) TDSA_NONNULL;
/** A message of `len` bytes where one of `want` bytes (or of `other`, when not 0) is due. Errors:
 * TDSA_E_PROTOCOL naming `from`. */
TDSA_MUST_USE tdsa_status mpc_round_check_len(const char *name, uint16_t from, size_t len,
                                              size_t want, size_t other, tdsa_err *err)
    TDSA_NONNULL;
/** Turns TDSA_E_BAD_INPUT of reading `from`'s message into TDSA_E_PROTOCOL with the sender to blame;
 * other errors (the handler has blamed already, no memory, broken library) stay what they are. */
TDSA_MUST_USE tdsa_status mpc_round_blame(tdsa_status st, const char *name, uint16_t from,
                                          tdsa_err *err) TDSA_NONNULL;

#endif
