#ifndef MPC_PROTOCOL_EXPORT_H
#define MPC_PROTOCOL_EXPORT_H

#include "base/rsa.h"
#include "protocol/keygen.h"

/**
 * Export of a key, docs/protocol.md "Export": a refresh whose result is not kept. It is run like a key
 * generation (R0..R3, the same machine) among all members of the key; each ends with a share x'_j of a
 * sharing of its own, which never leaves this code but encrypted: as a recovery info
 * (protocol/recovery.h, MPC_RECOVERY_EXPORT) under the RSA key of a certificate. Then one round more:
 *   4 release  only after mpc_keygen_mark_stored: the approval is used up and recorded. The info goes
 *              to the coordinator, and to nobody else
 * The key and its epoch stay what they are. mpc_keygen_key has the public half of the exported
 * sharing (before derivation) and no secret: it is wiped once the info is made.
 *
 * Threads, time: as mpc_keygen; to make and to verify infos takes as long as recovery.h says.
 */
#define MPC_EXPORT_ROUNDS 5u

typedef struct {
    const mpc_key *key;        /* with its secret half; lent for the call */
    uint16_t coordinator;      /* who gets the infos: a member */
    const uint32_t *path;      /* of a child, or NULL; lent for the call */
    size_t path_len;           /* 0: the key itself */
    const tdsa_rsa_cert *cert; /* lent: must outlive the run */
    tdsa_rng rng;
} mpc_export_cfg;

/** Errors: TDSA_E_BAD_INPUT (no secret half, the coordinator is no member, a path that leads nowhere),
 * TDSA_E_DENIED (the policy forbids export, or nothing may be signed under that path),
 * TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_export_new(mpc_keygen **out, const mpc_export_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;

/** At the coordinator, when the run is over (mpc_keygen_round is MPC_EXPORT_ROUNDS): the verified info
 * of `from`, a member (me included). Lent from the run. */
void mpc_export_info(const mpc_keygen *run, uint16_t from, const uint8_t **bytes, size_t *len)
    TDSA_NONNULL;

#endif
