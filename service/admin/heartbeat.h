#ifndef ADMIN_HEARTBEAT_H
#define ADMIN_HEARTBEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/**
 * Finds deadlocks: the daemon's watchdog thread takes every lock that matters once a second, one
 * step after another, and stamps the time after each. A step that has been under way for longer
 * than SVC_HEARTBEAT_MS is stuck, and its name says where.
 *
 * Threads: one thread steps; any may ask.
 */
#define SVC_HEARTBEAT_MS 30000u

typedef struct {
    const char *_Atomic step; /* static text of the step under way; "" between rounds */
    _Atomic uint64_t beat_ms;
} svc_heartbeat;

void svc_heartbeat_init(svc_heartbeat *h, uint64_t now_ms) TDSA_NONNULL;
/** The watchdog is alive at now_ms and goes on to `step` (static text). */
void svc_heartbeat_step(svc_heartbeat *h, const char *step, uint64_t now_ms) TDSA_NONNULL;
/** False when it is stuck; `message` then names the step and the seconds. */
bool svc_heartbeat_ok(svc_heartbeat *h, uint64_t now_ms, char *message, size_t cap) TDSA_NONNULL;

#endif
