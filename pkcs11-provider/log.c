#define _GNU_SOURCE 1 /* secure_getenv */
#include "pkcs11-provider/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN 1200u

static const char *const level_names[] = {
    [TDSA_LOG_ERROR] = "ERROR",
    [TDSA_LOG_WARN] = "WARN",
    [TDSA_LOG_INFO] = "INFO",
    [TDSA_LOG_DEBUG] = "DEBUG",
};

static bool parse_level(const char *text, tdsa_log_level *out)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (tdsa_log_level)i;
            return true;
        }
    }
    return false;
}

static void TDSA_PRINTF(3, 0)
    write_line(int fd, tdsa_log_level level, const char *fmt, va_list args)
{
    char line[LINE_MAX_LEN];
    int head =
        snprintf(line, sizeof line, "tdsa-pkcs11[%d] %s ", (int)getpid(), level_names[level]);
    int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, args);
    size_t len = 0;

    if (head < 0 || body < 0) {
        return;
    }
    len = (size_t)head + (size_t)body;
    len = len > sizeof line - 2 ? sizeof line - 2 : len;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?'; /* one call, one line, whatever the text holds */
        }
    }
    line[len++] = '\n';
    if (write(fd, line, len) < 0) {
        return; /* a log that cannot be written never fails a call */
    }
}

static void sink_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    p11_log_line(ctx, level, "%s: %s", logger, text);
}

void p11_log_open(p11_log *log)
{
    const char *level_text = secure_getenv("TDSA_PKCS11_LOG");
    const char *file = secure_getenv("TDSA_PKCS11_LOG_FILE");
    tdsa_log_level level = TDSA_LOG_WARN;
    const int old = atomic_load(&log->fd);
    int fd = -1;

    if (level_text != NULL && parse_level(level_text, &level)) {
        fd = STDERR_FILENO;
    }
    if (file != NULL && file[0] != '\0') {
        const int opened = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

        fd = opened >= 0 ? opened : fd;
    }
    atomic_store(&log->level, (int)level);
    atomic_store(&log->fd, fd);
    log->sink = (tdsa_log){sink_line, log};
    if (old > STDERR_FILENO) {
        (void)close(old);
    }
}

bool p11_log_wants(const p11_log *log, tdsa_log_level level)
{
    return atomic_load(&log->fd) >= 0 && (int)level <= atomic_load(&log->level);
}

void p11_log_line(p11_log *log, tdsa_log_level level, const char *fmt, ...)
{
    va_list args;

    if (!p11_log_wants(log, level)) {
        return;
    }
    va_start(args, fmt);
    write_line(atomic_load(&log->fd), level, fmt, args);
    va_end(args);
}

void p11_log_startup(p11_log *log, const char *fmt, ...)
{
    const int fd = atomic_load(&log->fd);
    va_list args;

    va_start(args, fmt);
    write_line(fd >= 0 ? fd : STDERR_FILENO, TDSA_LOG_ERROR, fmt, args);
    va_end(args);
}
