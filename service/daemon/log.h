#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>

#include "base/env.h"
#include "base/err.h"

/**
 * The log: one line per event on standard output or error, as logback's Dropwizard layout has it:
 *
 *     INFO  [2026-11-21 06:34:42,123] com.sepior.tdsaservice.daemon: ready
 *
 * Libraries name themselves in full or in one word; service modules appear below com.sepior.tdsaservice, the
 * engine, keystore and peers below com.sepior.tdsa, so that the levels of a TDSA configuration
 * apply. Nothing secret is ever handed to it.
 *
 * Threads: any, except that levels are set before other threads log.
 */
typedef struct svc_log svc_log;

#define SVC_LOGGERS_MAX     64u
#define SVC_LOGGER_NAME_MAX 128u

/** What a logger lets through: lines at or above the level. */
typedef enum { SVC_LOG_OFF, SVC_LOG_ERROR, SVC_LOG_WARN, SVC_LOG_INFO, SVC_LOG_ALL } svc_log_limit;

/** fd: where lines go, lent. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status svc_log_new(svc_log **out, int fd, tdsa_clock clock, tdsa_err *err)
    TDSA_NONNULL;
void svc_log_free(svc_log *l);
/** What to hand to libraries; lives as long as `l`. */
const tdsa_log *svc_log_sink(const svc_log *l) TDSA_NONNULL;
void svc_log_set_fd(svc_log *l, int fd) TDSA_NONNULL;
/** "OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL" in any case, "false", "true". */
bool svc_log_limit_by_name(svc_log_limit *out, const char *name) TDSA_NONNULL;
/** Of loggers that no other limit names. */
void svc_log_set_root(svc_log *l, svc_log_limit limit) TDSA_NONNULL;
/** Nothing below it is written, whatever a logger allows (an appender's threshold). */
void svc_log_set_threshold(svc_log *l, svc_log_limit limit) TDSA_NONNULL;
/** Of `name` and what lies below it ("com.sepior.tdsa"); the longest name that fits counts.
 * False: too many, or too long a name. */
bool svc_log_set_logger(svc_log *l, const char *name, svc_log_limit limit) TDSA_NONNULL;

#endif
