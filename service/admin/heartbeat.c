#include "admin/heartbeat.h"

#include <inttypes.h>
#include <stdio.h>

void svc_heartbeat_init(svc_heartbeat *h, uint64_t now_ms)
{
    atomic_init(&h->step, "");
    atomic_init(&h->beat_ms, now_ms);
}

void svc_heartbeat_step(svc_heartbeat *h, const char *step, uint64_t now_ms)
{
    atomic_store(&h->step, step);
    atomic_store(&h->beat_ms, now_ms);
}

bool svc_heartbeat_ok(svc_heartbeat *h, uint64_t now_ms, char *message, size_t cap)
{
    uint64_t beat = atomic_load(&h->beat_ms);
    const char *step = atomic_load(&h->step);

    if (now_ms <= beat || now_ms - beat < SVC_HEARTBEAT_MS) {
        return true;
    }
    (void)snprintf(message, cap, "no heartbeat for %" PRIu64 " s, stuck in: %s",
                   (now_ms - beat) / 1000, step[0] != '\0' ? step : "the watchdog");
    return false;
}
