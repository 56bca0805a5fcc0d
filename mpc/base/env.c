#include "base/env.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 1024u

void tdsa_logf(const tdsa_log *log, tdsa_log_level level, const char *logger, const char *fmt, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    if (log == NULL || log->line == NULL) {
        return;
    }
    va_start(args, fmt);
    if (vsnprintf(text, sizeof text, fmt, args) < 0) {
        text[0] = '\0';
    }
    va_end(args);
    for (char *p = text; *p != '\0'; p++) { /* no forged lines from quoted input */
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    log->line(log->ctx, level, logger, text);
}
