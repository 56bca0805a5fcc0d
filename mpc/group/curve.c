#include <string.h>

#include "base/assert.h"
#include "group/group_internal.h"

/* The curves: their names, sizes, orders and libraries. */

static const uint8_t oid_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_secp256k1[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
static const uint8_t oid_ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70}; /* RFC 8410 3 */

static const grp_curve_entry curves[] = {
    {.info = {.curve = GRP_P256,
              .name = "P-256",
              .oid = oid_p256,
              .oid_len = sizeof oid_p256,
              .order_bits = 256,
              .scalar_len = 32,
              .point_len = 33,
              .point_raw_len = 65,
              .wide_len = 48},
     .backend = &grp_p256_backend,
     .order = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
               0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
               0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51}},
    {.info = {.curve = GRP_SECP256K1,
              .name = "secp256k1",
              .oid = oid_secp256k1,
              .oid_len = sizeof oid_secp256k1,
              .order_bits = 256,
              .scalar_len = 32,
              .point_len = 33,
              .point_raw_len = 65,
              .wide_len = 48},
     .backend = &grp_secp256k1_backend,
     .order = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
               0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
               0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41}},
    {.info = {.curve = GRP_ED25519,
              .name = "Ed25519",
              .oid = oid_ed25519,
              .oid_len = sizeof oid_ed25519,
              .order_bits = 253,
              .scalar_len = 32,
              .point_len = 32,
              .point_raw_len = 32,
              .wide_len = 48},
     .backend = &grp_ed25519_backend,
     .order = {0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
               0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7,
               0x9c, 0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed}},
};
#define CURVE_COUNT (sizeof curves / sizeof curves[0])

const grp_curve_entry *grp_curve_find(grp_curve curve)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (curves[i].info.curve == curve) {
            return &curves[i];
        }
    }
    return NULL;
}

bool grp_curve_by_name(grp_curve *out, const char *name)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (strcmp(curves[i].info.name, name) == 0) {
            *out = curves[i].info.curve;
            return true;
        }
    }
    return false;
}

const char *grp_curve_name(grp_curve curve)
{
    const grp_curve_entry *c = grp_curve_find(curve);

    TDSA_ASSERT(c != NULL);
    return c->info.name;
}
