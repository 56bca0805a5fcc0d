#include "pkcs11-provider/sha3.h"

#include <stdlib.h>

#include <nettle/nettle-meta.h>
#include <nettle/sha3.h>

#include "base/assert.h"
#include "base/secret.h"

struct p11_sha3 {
    const struct nettle_hash *hash;
    union {
        struct sha3_224_ctx sha224;
        struct sha3_256_ctx sha256;
        struct sha3_384_ctx sha384;
        struct sha3_512_ctx sha512;
    } state;
};

static const struct nettle_hash *hash_of(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_SHA3_224:
        return &nettle_sha3_224;
    case CKM_SHA3_256:
        return &nettle_sha3_256;
    case CKM_SHA3_384:
        return &nettle_sha3_384;
    case CKM_SHA3_512:
        return &nettle_sha3_512;
    default:
        return NULL;
    }
}

size_t p11_sha3_len(CK_MECHANISM_TYPE type)
{
    const struct nettle_hash *hash = hash_of(type);

    return hash != NULL ? hash->digest_size : 0;
}

p11_sha3 *p11_sha3_new(CK_MECHANISM_TYPE type)
{
    p11_sha3 *h = calloc(1, sizeof *h);

    if (h != NULL) {
        h->hash = hash_of(type);
        TDSA_ASSERT(h->hash != NULL);
        TDSA_ASSERT(h->hash->context_size <= sizeof h->state);
        h->hash->init(&h->state);
    }
    return h;
}

void p11_sha3_update(p11_sha3 *h, const void *in, size_t len)
{
    if (len > 0) {
        h->hash->update(&h->state, len, in);
    }
}

void p11_sha3_final(p11_sha3 *h, uint8_t *out)
{
    h->hash->digest(&h->state, h->hash->digest_size, out);
}

void p11_sha3_free(p11_sha3 *h)
{
    if (h != NULL) {
        tdsa_wipe(h, sizeof *h); /* what is digested may be a secret of the application */
        free(h);
    }
}
