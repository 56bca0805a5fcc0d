#ifndef PEER_NOISE_H
#define PEER_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/**
 * The handshake Noise_IKpsk2_25519_AESGCM_SHA256 (Noise specification revision 34), bare: bytes in,
 * bytes out, the ephemeral keys handed in. Only channel.c and the tests use it.
 *
 *     <- s
 *     ...
 *     -> e, es, s, ss
 *     <- e, ee, se, psk
 */
#define PEER_NOISE_KEY_LEN    32u
#define PEER_NOISE_HASH_LEN   32u
#define PEER_NOISE_TAG_LEN    16u
#define PEER_NOISE_FIRST_LEN  96u /* bytes of the first message beside its payload: e, s+tag, tag */
#define PEER_NOISE_SECOND_LEN 48u /* of the second: e, tag */

/** Handshake and symmetric state in one; holds secrets, so it lives in a tdsa_secret and is wiped
 * with it. */
typedef struct {
    uint8_t ck[PEER_NOISE_HASH_LEN], h[PEER_NOISE_HASH_LEN];
    uint8_t k[PEER_NOISE_KEY_LEN];
    uint64_t n;
    uint8_t s[PEER_NOISE_KEY_LEN], s_public[PEER_NOISE_KEY_LEN];
    uint8_t e[PEER_NOISE_KEY_LEN];
    uint8_t rs[PEER_NOISE_KEY_LEN], re[PEER_NOISE_KEY_LEN]; /* the other side's, public */
} peer_noise;

/** My static key pair, and the prologue. */
typedef struct {
    const uint8_t *s_private, *s_public;
    const uint8_t *prologue;
    size_t prologue_len;
} peer_noise_setup;

/** Initialize(); `rs` is the responder's static public key when I am the initiator, NULL when I am
 * the responder. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status peer_noise_init(peer_noise *n, const peer_noise_setup *setup,
                                          const uint8_t *rs, tdsa_err *err)
    __attribute__((nonnull(1, 2, 4)));

/** Initiator: appends e, es, s, ss and the payload; n->e holds the ephemeral private key. */
TDSA_MUST_USE tdsa_status peer_noise_write_first(peer_noise *n, const uint8_t *payload, size_t len,
                                                 tdsa_buf *out, tdsa_err *err)
    __attribute__((nonnull(1, 4, 5)));
/** Responder: appends the payload; n->rs is the initiator's static public key afterwards.
 * Errors: TDSA_E_PROTOCOL (too short, low-order key), TDSA_E_CRYPTO (does not authenticate). */
TDSA_MUST_USE tdsa_status peer_noise_read_first(peer_noise *n, const uint8_t *message, size_t len,
                                                tdsa_buf *payload, tdsa_err *err) TDSA_NONNULL;
/** Responder: appends e, ee, se, psk and the payload; n->e holds the ephemeral private key. */
TDSA_MUST_USE tdsa_status peer_noise_write_second(peer_noise *n, const uint8_t psk[32],
                                                  const uint8_t *payload, size_t len, tdsa_buf *out,
                                                  tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6)));
/** Initiator: appends the payload. Errors as read_first. */
TDSA_MUST_USE tdsa_status peer_noise_read_second(peer_noise *n, const uint8_t psk[32],
                                                 const uint8_t *message, size_t len,
                                                 tdsa_buf *payload, tdsa_err *err) TDSA_NONNULL;
/** Split(): the key of the initiator's messages and that of the responder's. */
TDSA_MUST_USE tdsa_status peer_noise_split(const peer_noise *n, uint8_t initiator[32],
                                           uint8_t responder[32], tdsa_err *err) TDSA_NONNULL;

/** ENCRYPT and DECRYPT of section 12.3: nonce = 32 zero bits, then n big-endian. */
TDSA_MUST_USE tdsa_status peer_noise_seal(tdsa_buf *out, const uint8_t key[32], uint64_t n,
                                          const tdsa_buf *ad, const uint8_t *plain, size_t len,
                                          tdsa_err *err) __attribute__((nonnull(1, 2, 7)));
TDSA_MUST_USE tdsa_status peer_noise_open(tdsa_buf *out, const uint8_t key[32], uint64_t n,
                                          const tdsa_buf *ad, const uint8_t *sealed, size_t len,
                                          tdsa_err *err) __attribute__((nonnull(1, 2, 7)));
/** REKEY(k) of section 4.2. `next` may be `key`. */
TDSA_MUST_USE tdsa_status peer_noise_rekey(uint8_t next[32], const uint8_t key[32], tdsa_err *err)
    TDSA_NONNULL;

#endif
