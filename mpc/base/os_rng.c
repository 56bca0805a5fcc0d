#include <errno.h>
#include <sys/random.h>

#include "base/rng.h"

/* getrandom(2): up to 256 bytes come whole; longer requests may be cut or interrupted. */
#define GETRANDOM_LEN_MAX 256u

static tdsa_status os_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    while (len > 0) {
        const size_t part = len < GETRANDOM_LEN_MAX ? len : GETRANDOM_LEN_MAX;
        const ssize_t got = getrandom(out, part, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return TDSA_FAIL(err, TDSA_E_CRYPTO, "getrandom failed with errno %d", errno);
        }
        out += got;
        len -= (size_t)got;
    }
    return TDSA_OK;
}

tdsa_rng tdsa_os_rng(void)
{
    return (tdsa_rng){.fill = os_fill, .ctx = NULL};
}
