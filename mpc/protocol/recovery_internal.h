#ifndef MPC_PROTOCOL_RECOVERY_INTERNAL_H
#define MPC_PROTOCOL_RECOVERY_INTERNAL_H

#include "base/hash.h"
#include "protocol/recovery.h"

/* Only for the files of mpc/protocol. */

#define RECOVERY_CHALLENGE_LEN (MPC_RECOVERY_REPETITIONS / 8u)
#define RECOVERY_SEED_LEN      TDSA_OAEP_SEED_LEN
#define RECOVERY_SHARE         "share"
#define RECOVERY_CC            "chain-code"

/** Whose ciphertexts under which certificate: what a label names beside the context. */
typedef struct {
    const uint8_t *context; /* encoded */
    size_t context_len;
    uint16_t index;
    const uint8_t *certificate; /* SHA-256 */
} recovery_subject;

/** The context's statement. */
void recovery_context_put(tdsa_buf *out, const grp *g, const mpc_recovery_context *c) TDSA_NONNULL;
/** The OAEP label of all halves (RECOVERY_SHARE) or of the chain code (RECOVERY_CC). */
TDSA_MUST_USE tdsa_status recovery_label(uint8_t out[MPC_RECOVERY_LABEL_LEN],
                                         const recovery_subject *s, const char *word, tdsa_err *err)
    TDSA_NONNULL;
/** H('cc', cc). */
TDSA_MUST_USE tdsa_status recovery_cc_hash(uint8_t out[64], const uint8_t cc[32], tdsa_err *err)
    TDSA_NONNULL;
/** The ciphertext of the chain code, facts.len bytes; its seed follows from label and chain code. */
TDSA_MUST_USE tdsa_status recovery_seal_cc(uint8_t *out, const recovery_subject *s,
                                           const uint8_t cc[32], const tdsa_rsa_cert *cert,
                                           tdsa_err *err) TDSA_NONNULL;

/** What the challenge is drawn from; all lent and public. */
typedef struct {
    const uint8_t *label;     /* of the halves */
    const uint8_t *cc_sealed; /* one ciphertext */
    size_t sealed_len;
    const uint8_t *first; /* 128 times A_i | E_{i,0} | E_{i,1} */
    size_t first_len;
} recovery_first;
/** 128 bits; repetition i opens half b = bit i, the most significant bit of each byte first. */
TDSA_MUST_USE tdsa_status recovery_challenge(uint8_t out[RECOVERY_CHALLENGE_LEN],
                                             const recovery_first *f, tdsa_err *err) TDSA_NONNULL;

static inline unsigned recovery_bit(const uint8_t *challenge, size_t i)
{
    return (unsigned)challenge[i / 8] >> (7u - i % 8u) & 1u;
}

static inline recovery_subject recovery_subject_of(const mpc_recovery_info *info)
{
    return (recovery_subject){info->context_bytes, info->context_len, info->index,
                              info->certificate};
}

#endif
