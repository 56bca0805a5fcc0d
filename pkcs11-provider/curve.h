#ifndef P11_CURVE_H
#define P11_CURVE_H

#include <stdbool.h>

#include "participant/engine.h"
#include "pkcs11-provider/cryptoki.h"

/**
 * Curves and points as PKCS#11 writes them. `curves` is an array by grp_curve; NULL entries are curves
 * that the module does not have.
 */

/** The curve of a CKA_EC_PARAMS: a DER OBJECT IDENTIFIER, or the PrintableString "edwards25519" that
 * version 3.0 had and pkcs11-tool 0.23 sends. NULL: none of ours. */
const grp *p11_curve_of_params(grp *const *curves, const void *params, size_t len) TDSA_NONNULL;

/** Longest CKA_EC_POINT and CKA_PUBLIC_KEY_INFO, in bytes. */
#define P11_POINT_DER_MAX (GRP_POINT_RAW_MAX + 3u)
#define P11_SPKI_MAX      (GRP_POINT_RAW_MAX + 32u)
/** The point as a DER OCTET STRING; returns its length. */
size_t p11_point_der(uint8_t out[P11_POINT_DER_MAX], const uint8_t *point, size_t len) TDSA_NONNULL;
/** The point of a CKA_EC_POINT of this curve, in a DER OCTET STRING or as it is; lent. The length
 * tells them apart. NULL: neither. *len: of the point. */
const uint8_t *p11_point_of(const grp *curve, const void *bytes, size_t count, size_t *len)
    TDSA_NONNULL;
/** SubjectPublicKeyInfo (RFC 5480, RFC 8410) of a point; returns its length. */
size_t p11_spki(uint8_t out[P11_SPKI_MAX], const grp_info *curve, const uint8_t *point, size_t len)
    TDSA_NONNULL;
/** The curve and the point (lent) of a SubjectPublicKeyInfo; NULL: a key of another kind. */
const grp *p11_curve_of_spki(grp *const *curves, const uint8_t *spki, size_t len,
                             const uint8_t **point) TDSA_NONNULL;

#endif
