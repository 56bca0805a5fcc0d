#ifndef TDSA_BASE_HASH_H
#define TDSA_BASE_HASH_H

#include "base/buf.h"
#include "base/secret.h"

#define TDSA_SHA512_LEN 64u
#define TDSA_H32_LEN    32u
#define TDSA_KEY_LEN    32u
/** Longest digest of any supported hash, in bytes. */
#define TDSA_DIGEST_LEN_MAX 64u

typedef enum {
    TDSA_HASH_SHA1,
    TDSA_HASH_SHA224,
    TDSA_HASH_SHA256,
    TDSA_HASH_SHA384,
    TDSA_HASH_SHA512,
    TDSA_HASH_NONE /* the scheme takes the message itself; not a hash that can be asked for */
} tdsa_hash_alg;

/** Length in bytes of a digest; 0 of TDSA_HASH_NONE. */
size_t tdsa_hash_len(tdsa_hash_alg alg);
/** "sha256" and so on: the word used in requests, policies and configuration. */
const char *tdsa_hash_name(tdsa_hash_alg alg);
/** The algorithm of a name; false when there is none. */
bool tdsa_hash_by_name(tdsa_hash_alg *out, const char *name) TDSA_NONNULL;

/** out = alg(in); out has room for TDSA_DIGEST_LEN_MAX. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status tdsa_hash(uint8_t *out, tdsa_hash_alg alg, const void *in, size_t len,
                                    tdsa_err *err);

#define TDSA_HASH160_LEN 20u
/** RIPEMD-160 of SHA-256: names of public keys in BIP32 (fingerprints). Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status tdsa_hash160(uint8_t out[TDSA_HASH160_LEN], const void *in, size_t len,
                                       tdsa_err *err);

/** A digest in parts. */
typedef struct tdsa_hasher tdsa_hasher;
TDSA_MUST_USE tdsa_status tdsa_hasher_new(tdsa_hasher **out, tdsa_hash_alg alg, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status tdsa_hasher_update(tdsa_hasher *h, const void *in, size_t len,
                                             tdsa_err *err);
/** Writes tdsa_hash_len bytes; the hasher may only be freed afterwards (else TDSA_E_CRYPTO). */
TDSA_MUST_USE tdsa_status tdsa_hasher_final(tdsa_hasher *h, uint8_t *out, tdsa_err *err)
    TDSA_NONNULL;
void tdsa_hasher_free(tdsa_hasher *h);

/** H of the specification: SHA-512 of a whole statement. Fails too when `stmt` has failed. */
TDSA_MUST_USE tdsa_status tdsa_hash_stmt(uint8_t out[64], const tdsa_buf *stmt, tdsa_err *err)
    TDSA_NONNULL;
/** Its first 32 bytes (sid, beta, cluster-id, cc, policy tag). */
TDSA_MUST_USE tdsa_status tdsa_hash32_stmt(uint8_t out[32], const tdsa_buf *stmt, tdsa_err *err)
    TDSA_NONNULL;

TDSA_MUST_USE tdsa_status tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key,
                                    size_t key_len, const void *in, size_t len, tdsa_err *err);
/** RFC 5869 with SHA-512, empty salt, info = a statement; 32 bytes out. */
TDSA_MUST_USE tdsa_status tdsa_hkdf_stmt(uint8_t out[32], const uint8_t *ikm, size_t ikm_len,
                                         const tdsa_buf *info, tdsa_err *err) TDSA_NONNULL;
/** RFC 5869 expand with SHA-512 from a 32-byte PRK; len <= 255*64. */
TDSA_MUST_USE tdsa_status tdsa_hkdf_expand(uint8_t *out, size_t len, const uint8_t prk[32],
                                           const tdsa_buf *info, tdsa_err *err) TDSA_NONNULL;
/** A 32-byte PRK made ready for many expansions, each of which then costs half. Secret. */
typedef struct tdsa_hkdf_key tdsa_hkdf_key;
/** Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status tdsa_hkdf_key_new(tdsa_hkdf_key **out, const uint8_t prk[32],
                                            tdsa_err *err) TDSA_NONNULL;
/** tdsa_hkdf_expand with this PRK. Errors: TDSA_E_BAD_INPUT (len), TDSA_E_NO_MEMORY (info failed). */
TDSA_MUST_USE tdsa_status tdsa_hkdf_key_expand(const tdsa_hkdf_key *k, uint8_t *out, size_t len,
                                               const tdsa_buf *info, tdsa_err *err) TDSA_NONNULL;
/** Wipes and frees. NULL is allowed. */
void tdsa_hkdf_key_free(tdsa_hkdf_key *k);
/** RFC 5869 in full with SHA-512 (tests, keystore key-encryption keys). */
TDSA_MUST_USE tdsa_status tdsa_hkdf(uint8_t *out, size_t len, const uint8_t *ikm, size_t ikm_len,
                                    const uint8_t *salt, size_t salt_len, const uint8_t *info,
                                    size_t info_len, tdsa_err *err);

#endif
