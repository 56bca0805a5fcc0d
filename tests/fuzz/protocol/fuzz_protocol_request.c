#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken comes back byte by byte: a request has one encoding. The same for policies. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    mpc_request q;
    mpc_policy p;
    tdsa_err err;

    if (mpc_request_decode(&q, data, size, &err) == TDSA_OK) {
        mpc_request_encode(&again, &q);
        if (again.failed || again.len != size || memcmp(again.data, data, size) != 0) {
            __builtin_trap();
        }
    }
    if (mpc_policy_decode(&p, data, size, &err) == TDSA_OK) {
        tdsa_buf_reset(&again);
        mpc_policy_encode(&again, &p);
        if (again.failed || again.len != size || memcmp(again.data, data, size) != 0) {
            __builtin_trap();
        }
    }
    return 0;
}
