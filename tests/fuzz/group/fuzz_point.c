#include <stdlib.h>
#include <string.h>

#include "group/group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static void check_curve(const grp *g, const uint8_t *data, size_t size)
{
    uint8_t raw[GRP_POINT_RAW_MAX];
    uint8_t zip[GRP_POINT_LEN_MAX];
    grp_point p;
    grp_point sum;
    grp_scalar s;
    tdsa_err err;
    static const int32_t coeff[2] = {2, -2};

    if (grp_scalar_decode(g, &s, data, size, &err) == TDSA_OK) {
        grp_scalar_encode(g, raw, &s);
        require(memcmp(raw, data, size) == 0);
    }
    if (grp_point_decode(g, &p, data, size, &err) != TDSA_OK) {
        require(err.status == TDSA_E_BAD_INPUT);
        require(grp_point_is_identity(&p));
        return;
    }
    grp_point_encode(g, zip, &p);
    grp_point_encode_raw(g, raw, &p);
    require(memcmp(size == grp_get_info(g)->point_len ? zip : raw, data, size) == 0);
    require(grp_small_sum_vartime(g, &sum, (const grp_point[2]){p, p}, coeff, 2, &err) == TDSA_OK);
    require(grp_point_is_identity(&sum));
}

/* What decodes encodes to the same bytes: every point and scalar has one form of each kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const grp_curve numbers[] = {GRP_P256, GRP_SECP256K1, GRP_P384, GRP_P521, GRP_ED25519};
    static grp *curves[sizeof numbers / sizeof numbers[0]];
    tdsa_err err;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (curves[i] == NULL) {
            require(grp_open(&curves[i], numbers[i], &err) == TDSA_OK);
        }
        check_curve(curves[i], data, size);
    }
    return 0;
}
