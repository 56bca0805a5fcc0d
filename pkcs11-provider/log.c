#define _GNU_SOURCE 1 /* secure_getenv */
#include "pkcs11-provider/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* False when the host has closed the descriptor of our log file, or uses its number itself. */
static bool is_our_file(const p11_log *log)
{
    struct stat info;

    return fstat(atomic_load(&log->file_fd), &info) == 0 &&
           (unsigned long)info.st_dev == atomic_load(&log->device) &&
           (unsigned long)info.st_ino == atomic_load(&log->inode);
}

/* Where lines go now; -1: nowhere, from here on. */
static int usable_fd(p11_log *log)
{
    const int fd = atomic_load(&log->fd);

    if (fd >= 0 && fd != STDERR_FILENO && !is_our_file(log)) {
        atomic_store(&log->fd, -1);
        return -1;
    }
    return fd;
}

static void sink_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    p11_log_line(ctx, level, "%s: %s", logger, text);
}

/* Opens the file in place of the last one: a thread that writes just now never meets a number that
 * means something else. */
static int open_file(p11_log *log, const char *path)
{
    const int old = atomic_load(&log->file_fd);
    struct stat info;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return -1;
    }
    if (old >= 0 && is_our_file(log) && dup3(fd, old, O_CLOEXEC) >= 0) {
        (void)close(fd);
        fd = old;
    }
    if (fstat(fd, &info) != 0) {
        (void)close(fd);
        return -1;
    }
    atomic_store(&log->file_fd, fd);
    atomic_store(&log->device, (unsigned long)info.st_dev);
    atomic_store(&log->inode, (unsigned long)info.st_ino);
    return fd;
}

void p11_log_open(p11_log *log)
{
    const char *level_text = secure_getenv("TDSA_PKCS11_LOG");
    const char *file = secure_getenv("TDSA_PKCS11_LOG_FILE");
    tdsa_log_level level = TDSA_LOG_WARN;
    int fd = -1;

    if (level_text != NULL && parse_level(level_text, &level)) {
        fd = STDERR_FILENO;
    }
    if (file != NULL && file[0] != '\0') {
        const int opened = open_file(log, file);

        fd = opened >= 0 ? opened : fd;
    }
    atomic_store(&log->level, (int)level);
    atomic_store(&log->fd, fd);
    log->sink = (tdsa_log){sink_line, log};
}

bool p11_log_wants(const p11_log *log, tdsa_log_level level)
{
    return atomic_load(&log->fd) >= 0 && (int)level <= atomic_load(&log->level);
}

void p11_log_line(p11_log *log, tdsa_log_level level, const char *fmt, ...)
{
    va_list args;
    int fd = -1;

    if (!p11_log_wants(log, level)) {
        return;
    }
    fd = usable_fd(log);
    if (fd < 0) {
        return;
    }
    va_start(args, fmt);
    write_line(fd, level, fmt, args);
    va_end(args);
}

void p11_log_startup(p11_log *log, const char *fmt, ...)
{
    const int fd = usable_fd(log);
    va_list args;

    va_start(args, fmt);
    write_line(fd >= 0 ? fd : STDERR_FILENO, TDSA_LOG_ERROR, fmt, args);
    va_end(args);
}
