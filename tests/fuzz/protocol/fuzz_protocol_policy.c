#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A policy record that is taken comes back byte by byte, and what it says is lawful. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    uint32_t path[MPC_PATH_MAX] = {0};
    mpc_policy p;
    tdsa_err err;

    if (mpc_policy_decode(&p, data, size, &err) != TDSA_OK) {
        return 0;
    }
    mpc_policy_encode(&again, &p);
    if (again.failed || again.len != size || memcmp(again.data, data, size) != 0 ||
        mpc_policy_check_rules(&p, &err) != TDSA_OK) {
        __builtin_trap();
    }
    memcpy(path, p.prefix, p.prefix_len * sizeof path[0]);
    for (size_t len = 0; len <= MPC_PATH_MAX; len++) {
        const uint32_t max = p.max_path != 0 ? p.max_path : MPC_PATH_MAX;
        const bool lawful = p.derivation == MPC_DERIVE_NONE
                                ? len == 0
                                : len >= p.min_path && len >= p.prefix_len && len <= max;

        if ((mpc_policy_check_path(&p, path, len, &err) == TDSA_OK) != lawful) {
            __builtin_trap();
        }
    }
    return 0;
}
