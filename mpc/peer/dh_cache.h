#ifndef PEER_DH_CACHE_H
#define PEER_DH_CACHE_H

#include "peer/channel.h"

#define PEER_DH_CACHE_MAX 64u

/** The X448 secret of my key pair and the peer's public key, 56 bytes, from the cache (may be NULL)
 * or computed and put there. Errors: TDSA_E_PROTOCOL (low-order key), TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status peer_dh_cache_x448(peer_dh_cache *c, uint8_t *shared,
                                             const uint8_t *my_private, const uint8_t *my_public,
                                             const uint8_t *peer_public, tdsa_err *err)
    __attribute__((nonnull(2, 3, 4, 5, 6)));

#endif
