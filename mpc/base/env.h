#ifndef TDSA_BASE_ENV_H
#define TDSA_BASE_ENV_H

#include <stdint.h>

#include "base/attr.h"

/** Time, handed in. Monotonic for deadlines; wall time only for dates that people read. */
typedef struct {
    uint64_t (*mono_ms)(void *ctx);
    uint64_t (*wall_ms)(void *ctx); /* milliseconds since 1970-01-01 UTC */
    void *ctx;
} tdsa_clock;

tdsa_clock tdsa_os_clock(void);

typedef enum { TDSA_LOG_ERROR, TDSA_LOG_WARN, TDSA_LOG_INFO, TDSA_LOG_DEBUG } tdsa_log_level;

/** Where log lines go. Libraries never write themselves; they are handed one of these. */
typedef struct {
    void (*line)(void *ctx, tdsa_log_level level, const char *logger, const char *text);
    void *ctx;
} tdsa_log;

/** Formats and sends one line (cut at 1 KiB). `log` may be NULL or have no function: nothing then. */
void tdsa_logf(const tdsa_log *log, tdsa_log_level level, const char *logger, const char *fmt, ...)
    TDSA_PRINTF(4, 5);

#endif
