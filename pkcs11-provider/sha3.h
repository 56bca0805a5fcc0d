#ifndef P11_SHA3_H
#define P11_SHA3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "pkcs11-provider/cryptoki.h"

/** Digests of SHA-3 in parts (FIPS 202, by nettle), for C_Digest alone: no policy of a key has them. */
typedef struct p11_sha3 p11_sha3;

/** Bytes of a digest of CKM_SHA3_224 to _512; 0: another mechanism. */
size_t p11_sha3_len(CK_MECHANISM_TYPE type);
/** NULL: no memory. */
p11_sha3 *p11_sha3_new(CK_MECHANISM_TYPE type);
void p11_sha3_update(p11_sha3 *h, const void *in, size_t len) __attribute__((nonnull(1)));
/** Writes p11_sha3_len bytes; the digest may only be freed afterwards. */
void p11_sha3_final(p11_sha3 *h, uint8_t *out) TDSA_NONNULL;
void p11_sha3_free(p11_sha3 *h);

#endif
