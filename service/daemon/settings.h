#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "admin/monitor.h"
#include "config/config.h"
#include "daemon/log.h"
#include "http/http.h"

/**
 * What the configuration says about the process itself: listeners, limits, log levels, monitors.
 * Checked here because it spans keys, and because this version does not build all of it: what was
 * asked for and is not there is refused by its path, never ignored.
 */
typedef enum { SVC_PROTOCOL, SVC_API, SVC_ADMIN, SVC_LISTENER_COUNT } svc_listener_kind;
const char *svc_listener_name(svc_listener_kind kind);

#define SVC_PREFIX_MAX 128u

typedef struct {
    bool wanted;   /* false: no such port (admin only) */
    http_cfg http; /* without routes, ctx and observer; strings lent from the cfg */
    char prefix[SVC_PREFIX_MAX + 1]; /* of every path: "" or "/tdsa" */
} svc_listener_cfg;

typedef struct {
    svc_listener_cfg listeners[SVC_LISTENER_COUNT];
    unsigned communication_threads;
    uint32_t grace_ms;                      /* shutdownGracePeriod */
    size_t waiting_max;                     /* requests inside the engine at once */
    unsigned methods;                       /* bits of svc_method */
    bool request_log;                       /* requestLog.appenders names the console */
    long file_limit;                        /* nofileSoftLimit; 0: as it is */
    int umask;                              /* -1: as it is */
    svc_monitor monitors[SVC_MONITORS_MAX]; /* strings lent from the cfg */
    size_t monitor_count;
} svc_settings;

/** c must outlive `out`. Errors: TDSA_E_CONFIG naming the path. */
TDSA_MUST_USE tdsa_status svc_settings_read(svc_settings *out, const cfg *c, tdsa_err *err)
    TDSA_NONNULL;
/** Applies section logging to the log. Errors: TDSA_E_CONFIG (an appender that is not built). */
TDSA_MUST_USE tdsa_status svc_settings_logging(svc_log *log, const cfg *c, tdsa_err *err)
    TDSA_NONNULL;
/** "/", "/tdsa", "/api/ *" to the prefix of paths. Errors: TDSA_E_CONFIG naming `path`. */
TDSA_MUST_USE tdsa_status svc_settings_prefix(char out[SVC_PREFIX_MAX + 1], const char *path,
                                              const char *text, tdsa_err *err) TDSA_NONNULL;

#endif
