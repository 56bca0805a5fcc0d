#ifndef TESTS_SUPPORT_SCHNORR_JUDGE_H
#define TESTS_SUPPORT_SCHNORR_JUDGE_H

#include "protocol/sign.h"

/**
 * Judges that share no code with mpc/protocol: libsecp256k1's module for BIP-340 and its key tweaks,
 * OpenSSL's RFC 8032 verification for Ed25519. Keys are the 32 bytes that the schemes publish.
 */
bool judge_bip340(const uint8_t key[32], const uint8_t *msg, size_t len, const uint8_t sig[64]);
bool judge_eddsa(const uint8_t key[32], const uint8_t *msg, size_t len, const uint8_t sig[64]);
/** x of the output key of BIP-341 for internal key x and tweak t = tagged_hash(x | root) computed by
 * the library; root may be NULL. Aborts when the library refuses. */
void judge_tap_output(uint8_t out[32], const uint8_t internal[32], const uint8_t *root);

#endif
