#ifndef KS_KCV_H
#define KS_KCV_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/** Key check values: three bytes that tell keys apart and that people can compare. */
#define KS_KCV_LEN 3u

/** The first bytes of SHA-256(stmt("key-check-value", derived)); `derived` comes from the key by a
 * labelled derivation that is used for nothing else. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status ks_kcv_of(uint8_t out[KS_KCV_LEN], const uint8_t *derived, size_t len,
                                    tdsa_err *err) TDSA_NONNULL;

/** TDSA_E_WRAPPING naming both values when they differ; `what` is "encryption key" or so. */
TDSA_MUST_USE tdsa_status ks_kcv_compare(const uint8_t stored[KS_KCV_LEN],
                                         const uint8_t found[KS_KCV_LEN], const char *what,
                                         tdsa_err *err) TDSA_NONNULL;

#endif
