#include "admin/monitor.h"

#include <stdio.h>
#include <string.h>

#include "admin/health.h"

static tdsa_status check_statistic(const svc_monitor *o, size_t i, svc_metrics *m,
                                   const tdsa_log *log, tdsa_err *err)
{
    svc_metric *x = svc_metrics_find(m, o->metric);

    if (!svc_metrics_knows_statistic(o->statistic)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "health.monitors[%zu].statistic: \"%s\" is none of %s, value", i,
                         o->statistic, svc_metric_statistics(SVC_TIMER));
    }
    if (x == NULL) {
        tdsa_logf(log, TDSA_LOG_WARN, "admin",
                  "health.monitors[%zu].metric: there is no metric \"%s\"; the monitor \"%s\" will "
                  "report unhealthy",
                  i, o->metric, o->name);
        return TDSA_OK;
    }
    if (!svc_metric_has_statistic(svc_metric_get_type(x), o->statistic)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "health.monitors[%zu].statistic: a %s has no \"%s\"; it has %s", i,
                         svc_metric_type_name(svc_metric_get_type(x)), o->statistic,
                         svc_metric_statistics(svc_metric_get_type(x)));
    }
    return TDSA_OK;
}

static tdsa_status check_one(const svc_monitor *list, size_t i, tdsa_err *err)
{
    const svc_monitor *o = &list[i];

    if (strcmp(o->name, SVC_CHECK_DATABASE) == 0 || strcmp(o->name, SVC_CHECK_DEADLOCKS) == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "health.monitors[%zu].name: \"%s\" is the name of a built-in check", i,
                         o->name);
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(list[k].name, o->name) == 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "health.monitors[%zu].name: \"%s\" is used twice",
                             i, o->name);
        }
    }
    if (!o->has_min && !o->has_max) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "health.monitors[%zu]: give min or max or both", i);
    }
    if (o->has_min && o->has_max && o->min > o->max) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "health.monitors[%zu]: min is above max", i);
    }
    return TDSA_OK;
}

tdsa_status svc_monitors_check(const svc_monitor *list, size_t count, svc_metrics *m,
                               const tdsa_log *log, tdsa_err *err)
{
    if (count > SVC_MONITORS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "health.monitors: more than %u entries",
                         SVC_MONITORS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        tdsa_status st = check_one(list, i, err);

        if (st == TDSA_OK) {
            st = check_statistic(&list[i], i, m, log, err);
        }
        if (st != TDSA_OK) {
            return st;
        }
    }
    return TDSA_OK;
}

bool svc_monitor_run(const svc_monitor *o, svc_metrics *m, char message[SVC_MONITOR_TEXT_MAX])
{
    svc_metric *x = svc_metrics_find(m, o->metric);
    double v = 0.0;

    message[0] = '\0';
    if (x == NULL) {
        (void)snprintf(message, SVC_MONITOR_TEXT_MAX, "metric not found: %s", o->metric);
        return false;
    }
    if (!svc_metric_read(x, o->statistic, &v)) {
        (void)snprintf(message, SVC_MONITOR_TEXT_MAX, "a %s has no statistic %s",
                       svc_metric_type_name(svc_metric_get_type(x)), o->statistic);
        return false;
    }
    if (o->has_max && v > o->max) {
        (void)snprintf(message, SVC_MONITOR_TEXT_MAX, "%s of %s is %g, above the maximum %g",
                       o->statistic, o->metric, v, o->max);
        return false;
    }
    if (o->has_min && v < o->min) {
        (void)snprintf(message, SVC_MONITOR_TEXT_MAX, "%s of %s is %g, below the minimum %g",
                       o->statistic, o->metric, v, o->min);
        return false;
    }
    return true;
}
