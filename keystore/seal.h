#ifndef KS_SEAL_H
#define KS_SEAL_H

#include "base/buf.h"
#include "base/rng.h"
#include "base/secret.h"

/**
 * One sealed record, as it lies in a column:
 *   2 | number of the data key (4) | nonce (12) | AES-256-GCM ciphertext | tag (16)
 *   1 | nonce (12) | AES-256-GCM ciphertext | tag (16)   under data key 1: read, not made any more
 *   0 | checksum (16) | plaintext                        in a store without encryption
 * Associated data (and, without encryption, the head of the checksum's input) is
 *   stmt("keystore-row", table, primary key, KS_SEAL_VERSION, epoch, SHA-512(bound))
 * and, for 2, the number of the data key. A record opens only in the row it was made for, and only in a
 * store of its own kind: a store with a data key refuses records of version 0.
 *
 * Nonces are random: one data key may seal 2^32 records; a batch of presignatures is one.
 */

/** What records are bound to: raised only when every record is sealed again. New tables and columns
 * do not change it: their version is the number of the last file in sql/<backend>. */
#define KS_SEAL_VERSION 1u
/** Bytes that sealing adds. */
#define KS_SEAL_OVERHEAD 33u
/** Bytes at the head of a record that tell under which data key it is. */
#define KS_SEAL_HEAD_LEN 5u
/** The number of what is not encrypted. */
#define KS_SEAL_CLEAR 0u

/** A data key and its number, which is 1 or more. */
typedef struct {
    uint32_t number;
    tdsa_secret *secret; /* 32 bytes */
} ks_data_key;

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
 * key  lent; NULL: a store without encryption.
 * Errors: TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. On error `out` is as it was.
 */
TDSA_MUST_USE tdsa_status ks_seal(tdsa_buf *out, const ks_data_key *key, const tdsa_rng *rng,
                                  const ks_seal_place *place, const uint8_t *plain, size_t len,
                                  tdsa_err *err) __attribute__((nonnull(1, 3, 4, 7)));

/** The number of the data key that a record says it is under; KS_SEAL_CLEAR for none. `record` may be
 * anything at all. */
uint32_t ks_seal_number(const uint8_t *record, size_t len);
/** What records under a data key begin with. */
void ks_seal_head(uint8_t out[KS_SEAL_HEAD_LEN], uint32_t number) TDSA_NONNULL;

/**
 * Appends what a record holds to out. `record` may be anything at all.
 * Errors: TDSA_E_STORE (edited, moved from another row, sealed under another key or not sealed at
 * all), TDSA_E_NO_MEMORY. On error `out` is as it was.
 */
TDSA_MUST_USE tdsa_status ks_unseal(tdsa_buf *out, const ks_data_key *key,
                                    const ks_seal_place *place, const uint8_t *record, size_t len,
                                    tdsa_err *err) __attribute__((nonnull(1, 3, 6)));

#endif
