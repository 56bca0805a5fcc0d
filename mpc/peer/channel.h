#ifndef PEER_CHANNEL_H
#define PEER_CHANNEL_H

#include "base/buf.h"
#include "base/rng.h"
#include "peer/roster.h"

/**
 * The secure channel between two participants inside one session (docs/protocol.md "Channel"):
 * Noise_IKpsk2_25519_AESGCM_SHA256, Noise specification revision 34. psk = HKDF of the X448
 * static-static secret. Bytes in, bytes out.
 *
 * After the handshake every exchange has a number `seq` (0, 1, 2, ...), chosen by the initiator.
 * The request is sealed with nonce seq under the initiator's key, the reply with nonce seq under the
 * responder's. Exchanges may be sealed and opened in any order (Noise rev. 34 section 11.4); that a
 * seq is used for one request only is the caller's duty on the sending side, and the caller's reply
 * cache on the receiving side. Every 2^20 seqs the keys are replaced by REKEY (section 4.2):
 * generation = seq >> 20; an initiator may jump ahead to the next generation; generations before
 * the newest seen minus one no longer open, and none after the next.
 *
 * Threads: one at a time per channel.
 */
typedef struct peer_channel peer_channel;

#define PEER_PROTOCOL_VERSION 1u
#define PEER_SESSION_ID_MIN   16u
#define PEER_SESSION_ID_MAX   64u /* characters of a Session-Id: 16..64 of [A-Za-z0-9_-] */
#define PEER_REKEY_SHIFT      20u
#define PEER_HANDSHAKE_MAX    4096u /* bytes of a handshake message */
#define PEER_CHANNEL_OVERHEAD 16u   /* bytes a sealed message is longer than its plaintext */

/** What the session is for; part of the prologue. */
typedef enum { PEER_FOR_SECRETS = 1, PEER_FOR_SIGNING = 2, PEER_FOR_CONTROL = 3 } peer_purpose;

/** Prologue = stmt("prologue", uint protocol version, text Session-Id, uint initiator index, text
 * initiator id, uint responder index, text responder id, uint purpose, octets serverGroupId or
 * absent). The id of a client is "". psk = HKDF(X448 secret; "psk", initiator's X448 key,
 * responder's). */
typedef struct {
    const char *session_id;
    uint16_t initiator, responder;
    const char *initiator_id, *responder_id;
    peer_purpose purpose;
    const char *server_group_id; /* NULL when one side is the client */
} peer_prologue;

/** True when the text is a well-formed Session-Id. */
bool peer_session_id_ok(const char *id) TDSA_NONNULL;

/** Computing an X448 secret costs 160 us: results are kept per peer, the latest 64. Not thread-safe;
 * one participant, one cache. */
typedef struct peer_dh_cache peer_dh_cache;
/** NULL: no memory. */
peer_dh_cache *peer_dh_cache_new(void);
/** Wipes and frees; not before the channels that use it. NULL is allowed. */
void peer_dh_cache_free(peer_dh_cache *c);

/** My own static keys, private and public; lent for the calls that take it. */
typedef struct {
    const uint8_t *x25519_private, *x448_private;
    const peer_keys *public_keys;
    peer_dh_cache *cache; /* NULL: none; set with peer_identity_cache */
} peer_identity;
/** Channels started or accepted afterwards use the cache (NULL: none). */
void peer_identity_cache(peer_identity *me, peer_dh_cache *cache) __attribute__((nonnull(1)));

/**
 * Initiator: makes the channel and appends the first handshake message. Its payload is
 * stmt("hello", octets my X448 public key, octets extra).
 * Errors: TDSA_E_CRYPTO, TDSA_E_PROTOCOL (the peer's configured key has low order), TDSA_E_BAD_INPUT
 * (malformed Session-Id, extra too long).
 */
TDSA_MUST_USE tdsa_status peer_channel_start(peer_channel **out, const peer_identity *me,
                                             const peer_keys *peer, const peer_prologue *prologue,
                                             const tdsa_rng *rng, const uint8_t *extra,
                                             size_t extra_len, tdsa_buf *message, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 4, 5, 8, 9)));
/** Initiator: takes the answer; the channel is then open. Appends the responder's extra bytes.
 * Errors: TDSA_E_PROTOCOL (does not authenticate: text says what commonly is wrong: keys, ids,
 * serverGroupId), naming the responder; the channel is then of no further use. */
TDSA_MUST_USE tdsa_status peer_channel_finish(peer_channel *c, const uint8_t *message, size_t len,
                                              tdsa_buf *extra, tdsa_err *err) TDSA_NONNULL;

/**
 * Responder: takes the first message, learns the initiator's keys (peer_keys out) and stops there:
 * the caller decides whether they are known, and only then calls peer_channel_answer. Nothing but
 * an empty session may follow from the first message; it can be replayed.
 * Errors: TDSA_E_PROTOCOL naming the initiator, TDSA_E_BAD_INPUT (malformed Session-Id).
 */
TDSA_MUST_USE tdsa_status peer_channel_accept(peer_channel **out, const peer_identity *me,
                                              const peer_prologue *prologue, const uint8_t *message,
                                              size_t len, peer_keys *peer, tdsa_buf *extra,
                                              tdsa_err *err) TDSA_NONNULL;
/** Responder: appends the second handshake message, payload = extra. The channel is then open.
 * Errors: TDSA_E_CRYPTO, TDSA_E_PROTOCOL (low-order key), TDSA_E_BAD_INPUT (extra too long). */
TDSA_MUST_USE tdsa_status peer_channel_answer(peer_channel *c, const tdsa_rng *rng,
                                              const uint8_t *extra, size_t extra_len,
                                              tdsa_buf *message, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6)));

typedef enum { PEER_REQUEST, PEER_REPLY } peer_direction;
/** Seals / opens the request or reply of exchange `seq`; `aad` is authenticated beside it.
 * Opening garbage is TDSA_E_PROTOCOL and changes nothing. Errors besides: TDSA_E_CONFLICT (the
 * channel is not open, or seq is of a generation whose keys are gone or not made yet),
 * TDSA_E_BAD_INPUT (plain longer than a message may be). */
TDSA_MUST_USE tdsa_status peer_channel_seal(peer_channel *c, peer_direction direction, uint64_t seq,
                                            const tdsa_buf *aad, const uint8_t *plain, size_t len,
                                            tdsa_buf *out, tdsa_err *err)
    __attribute__((nonnull(1, 7, 8)));
TDSA_MUST_USE tdsa_status peer_channel_open(peer_channel *c, peer_direction direction, uint64_t seq,
                                            const tdsa_buf *aad, const uint8_t *sealed, size_t len,
                                            tdsa_buf *out, tdsa_err *err)
    __attribute__((nonnull(1, 7, 8)));
/** Wipes and frees. */
void peer_channel_free(peer_channel *c);

#endif
