#ifndef KS_SEAL_H
#define KS_SEAL_H

#include "base/buf.h"
#include "base/rng.h"
#include "base/secret.h"

/**
 * One sealed record, as it lies in a column:
 *   1 | nonce (12) | AES-256-GCM ciphertext | tag (16)   under the data key
 *   0 | checksum (16) | plaintext                        in a store without encryption
 * Associated data (and, without encryption, the head of the checksum's input) is
 *   stmt("keystore-row", table, primary key, KS_SEAL_VERSION, epoch, SHA-512(bound)).
 * A record opens only in the row it was made for, and only in a store of its own kind: a store with
 * a data key refuses records of version 0.
 *
 * Nonces are random: one data key may seal 2^32 records; a batch of presignatures is one.
 */

/** What records are bound to: raised only when every record is sealed again. New tables and columns
 * do not change it: their version is the number of the last file in sql/<backend>. */
#define KS_SEAL_VERSION 1u
/** Bytes that sealing adds. */
#define KS_SEAL_OVERHEAD 29u

/** Where a record belongs. Everything is lent and public. */
typedef struct {
    const char *table; /* ASCII */
    const void *primary_key;
    size_t primary_key_len;
    uint32_t epoch;
    const void *bound; /* clear columns that must not change under the record */
    size_t bound_len;
} ks_seal_place;

/**
 * Appends the record of `plain` to out.
 * data_key  32 bytes; NULL: a store without encryption.
 * Errors: TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. On error `out` is as it was.
 */
TDSA_MUST_USE tdsa_status ks_seal(tdsa_buf *out, const tdsa_secret *data_key, const tdsa_rng *rng,
                                  const ks_seal_place *place, const uint8_t *plain, size_t len,
                                  tdsa_err *err) __attribute__((nonnull(1, 3, 4, 7)));

/**
 * Appends what a record holds to out. `record` may be anything at all.
 * Errors: TDSA_E_STORE (edited, moved from another row, sealed under another key or not sealed at
 * all), TDSA_E_NO_MEMORY. On error `out` is as it was.
 */
TDSA_MUST_USE tdsa_status ks_unseal(tdsa_buf *out, const tdsa_secret *data_key,
                                    const ks_seal_place *place, const uint8_t *record, size_t len,
                                    tdsa_err *err) __attribute__((nonnull(1, 3, 6)));

#endif
