#ifndef ADMIN_MONITOR_H
#define ADMIN_MONITOR_H

#include "admin/metrics.h"

/** health.monitors[]: bounds on one statistic of one metric, part of GET /healthcheck. */
typedef struct {
    const char *name, *metric, *statistic; /* lent */
    bool has_min, has_max;
    double min, max; /* the value itself still passes */
} svc_monitor;

#define SVC_MONITORS_MAX     64u
#define SVC_MONITOR_TEXT_MAX 256u

/**
 * Checks the list at start. A metric that does not exist is only a warning to `log`, since the
 * monitor then reports unhealthy for ever.
 * Errors: TDSA_E_CONFIG naming "health.monitors[i]": neither min nor max, min above max, duplicate
 * name, name of a built-in check, statistic unknown or illegal for the metric's type (the text
 * lists the legal ones), more than SVC_MONITORS_MAX.
 */
TDSA_MUST_USE tdsa_status svc_monitors_check(const svc_monitor *list, size_t count, svc_metrics *m,
                                             const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(3, 5)));

/** True when the value is inside the bounds; else `message` says what was found. */
bool svc_monitor_run(const svc_monitor *o, svc_metrics *m, char message[SVC_MONITOR_TEXT_MAX])
    TDSA_NONNULL;

#endif
