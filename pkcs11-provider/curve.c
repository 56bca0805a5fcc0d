#include "pkcs11-provider/curve.h"

#include <string.h>

#include "base/assert.h"

/* DER tags */
#define BITS     0x03u
#define OCTETS   0x04u
#define SEQUENCE 0x30u

/* PrintableString "edwards25519" */
static const uint8_t edwards_name[] = {0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                       'd',  's',  '2', '5', '5', '1', '9'};
/* OBJECT IDENTIFIER id-ecPublicKey */
static const uint8_t ec_public_key[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

const grp *p11_curve_of_params(grp *const *curves, const void *params, size_t len)
{
    if (len == sizeof edwards_name && memcmp(params, edwards_name, len) == 0) {
        return curves[GRP_ED25519];
    }
    for (unsigned i = 0; i < GRP_CURVE_END; i++) {
        const grp_info *info = curves[i] != NULL ? grp_get_info(curves[i]) : NULL;

        if (info != NULL && info->oid_len == len && memcmp(info->oid, params, len) == 0) {
            return curves[i];
        }
    }
    return NULL;
}

/* Tag and length of a DER element of up to 255 bytes; gives where its contents begin. */
static uint8_t *put_head(uint8_t *p, uint8_t tag, size_t len)
{
    TDSA_ASSERT(len <= 0xff);
    *p++ = tag;
    if (len >= 0x80) { /* P-521 */
        *p++ = 0x81;
    }
    *p++ = (uint8_t)len;
    return p;
}

static size_t head_len(size_t len)
{
    return len >= 0x80 ? 3 : 2;
}

size_t p11_point_der(uint8_t out[P11_POINT_DER_MAX], const uint8_t *point, size_t len)
{
    uint8_t *p = put_head(out, OCTETS, len);

    TDSA_ASSERT(len <= GRP_POINT_RAW_MAX);
    memcpy(p, point, len);
    return head_len(len) + len;
}

const uint8_t *p11_point_of(const grp *curve, const void *bytes, size_t count, size_t *len)
{
    const size_t want = grp_get_info(curve)->point_raw_len;
    uint8_t head[3];

    *len = want;
    if (count == want) {
        return bytes;
    }
    (void)put_head(head, OCTETS, want);
    if (count == head_len(want) + want && memcmp(bytes, head, head_len(want)) == 0) {
        return (const uint8_t *)bytes + head_len(want);
    }
    return NULL;
}

/* Everything before the point of a SubjectPublicKeyInfo. */
static size_t spki_head(uint8_t out[P11_SPKI_MAX], const grp_info *curve, size_t point_len)
{
    const bool edwards = curve->curve == GRP_ED25519; /* RFC 8410: the curve is the algorithm */
    const size_t algorithm_len = (edwards ? 0 : sizeof ec_public_key) + curve->oid_len;
    const size_t bits_len = point_len + 1;
    const size_t inner_len =
        head_len(algorithm_len) + algorithm_len + head_len(bits_len) + bits_len;
    uint8_t *p = out;

    TDSA_ASSERT(head_len(inner_len) + inner_len <= P11_SPKI_MAX);
    p = put_head(p, SEQUENCE, inner_len);
    p = put_head(p, SEQUENCE, algorithm_len);
    if (!edwards) {
        memcpy(p, ec_public_key, sizeof ec_public_key);
        p += sizeof ec_public_key;
    }
    memcpy(p, curve->oid, curve->oid_len);
    p += curve->oid_len;
    p = put_head(p, BITS, bits_len);
    *p++ = 0x00; /* no unused bits */
    return (size_t)(p - out);
}

size_t p11_spki(uint8_t out[P11_SPKI_MAX], const grp_info *curve, const uint8_t *point, size_t len)
{
    const size_t head = spki_head(out, curve, len);

    memcpy(out + head, point, len);
    return head + len;
}

const grp *p11_curve_of_spki(grp *const *curves, const uint8_t *spki, size_t len,
                             const uint8_t **point)
{
    uint8_t head[P11_SPKI_MAX];

    for (unsigned i = 0; i < GRP_CURVE_END; i++) {
        const grp_info *info = curves[i] != NULL ? grp_get_info(curves[i]) : NULL;
        const size_t n = info != NULL ? spki_head(head, info, info->point_raw_len) : 0;

        if (info != NULL && len == n + info->point_raw_len && memcmp(spki, head, n) == 0) {
            *point = spki + n;
            return curves[i];
        }
    }
    return NULL;
}
