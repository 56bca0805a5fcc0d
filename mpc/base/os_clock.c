#include <time.h>

#include "base/assert.h"
#include "base/env.h"

static uint64_t read_ms(clockid_t id)
{
    struct timespec now;

    TDSA_ASSERT(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t os_mono_ms(void *ctx)
{
    (void)ctx;
    return read_ms(CLOCK_MONOTONIC);
}

static uint64_t os_wall_ms(void *ctx)
{
    (void)ctx;
    return read_ms(CLOCK_REALTIME);
}

tdsa_clock tdsa_os_clock(void)
{
    return (tdsa_clock){.mono_ms = os_mono_ms, .wall_ms = os_wall_ms, .ctx = NULL};
}
