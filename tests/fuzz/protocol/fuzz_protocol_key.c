#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/key.h"
#include "protocol/presign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static grp *curve_of(grp_curve curve)
{
    static grp *open[GRP_CURVE_END];
    tdsa_err err;

    if (open[curve] == NULL && grp_open(&open[curve], curve, &err) != TDSA_OK) {
        __builtin_trap();
    }
    return open[curve];
}

/* A public half that is taken comes back byte by byte; its bytes as a secret half and as batch data
 * must be refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t beta[32] = {0};
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    mpc_key *key = NULL;
    mpc_key *with_secret = NULL;
    mpc_batch *batch = NULL;
    grp_curve curve = GRP_P256;
    tdsa_err err;

    if (mpc_key_peek_curve(&curve, data, size, &err) != TDSA_OK ||
        mpc_key_decode(&key, curve_of(curve), data, size, NULL, &err) != TDSA_OK) {
        return 0;
    }
    mpc_key_encode_public(&again, key);
    if (again.failed || again.len != size || memcmp(again.data, data, size) != 0) {
        __builtin_trap();
    }
    if (tdsa_secret_copy(&secret, data, size < 4096 ? size : 4096, &err) == TDSA_OK &&
        mpc_key_decode(&with_secret, curve_of(curve), data, size, secret, &err) == TDSA_OK) {
        __builtin_trap();
    }
    if (mpc_batch_new(&batch, key, beta, 1, data, size, &err) == TDSA_OK) {
        __builtin_trap();
    }
    mpc_key_free(key);
    return 0;
}
