#ifndef PART_SHARE_BACKUP_H
#define PART_SHARE_BACKUP_H

#include "participant/engine.h"
#include "protocol/key.h"

/**
 * The backup of one participant's share of one key: the share, the public half, label, attributes and
 * limit; no presignature and no key for randomness, since no field of it could hold one. Sealed under a
 * passphrase; the header is readable and authenticated (docs/protocol.md, "Share backup").
 */
typedef struct {
    /* header */
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    uint16_t me;
    size_t member_count;
    mpc_member members[GRP_PARTIES_MAX];
    unsigned log2_n;
    uint8_t salt[16], nonce[12];
    /* inside */
    char label[KS_LABEL_MAX + 1];
    uint64_t created_ms;
    int64_t presignature_limit;
    uint8_t *attrs, *public_part; /* owned */
    size_t attrs_len, public_len;
    tdsa_secret *share; /* owned: mpc_key_encode_share */
} part_share_backup;

#define PART_BACKUP_LOG2_N 17u /* 128 MiB, about half a second */

/** Wipes and frees what is inside. */
void part_share_backup_clear(part_share_backup *b) TDSA_NONNULL;
/** The length that is accepted of a passphrase. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status part_passphrase_check(const char *passphrase, tdsa_err *err) TDSA_NONNULL;
/** Seals under the passphrase, salt, nonce and cost of `b`. Errors: TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status part_share_backup_seal(tdsa_buf *out, const part_share_backup *b,
                                                 const char *passphrase, tdsa_err *err)
    TDSA_NONNULL;
/** The header alone; `sealed` is lent from `in`, `head_len` how much of `in` is authenticated. Errors:
 * TDSA_E_BAD_INPUT (cut, malformed, another version, a cost out of bounds). */
TDSA_MUST_USE tdsa_status part_share_backup_parse(part_share_backup *out, const uint8_t *in,
                                                  size_t len, size_t *head_len,
                                                  const uint8_t **sealed, size_t *sealed_len,
                                                  tdsa_err *err) TDSA_NONNULL;
/** Opens all of it; takes as long and as much memory as scrypt does. Clear it afterwards. Errors besides:
 * TDSA_E_DENIED (wrong passphrase, or edited). */
TDSA_MUST_USE tdsa_status part_share_backup_open(part_share_backup *out, const uint8_t *in,
                                                 size_t len, const char *passphrase, tdsa_err *err)
    TDSA_NONNULL;

#endif
