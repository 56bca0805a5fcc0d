#define _GNU_SOURCE 1 /* secure_getenv */
#include "pkcs11-provider/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_LEN 1200u

#define SYSLOG        "syslog"
#define SYSLOG_SOCKET "/dev/log"

/* RFC 3164, 4.1.1: facility 1, "user-level messages", times 8 and the severity. */
static const int priorities[] = {
    [TDSA_LOG_ERROR] = 8 + 3,
    [TDSA_LOG_WARN] = 8 + 4,
    [TDSA_LOG_INFO] = 8 + 6,
    [TDSA_LOG_DEBUG] = 8 + 7,
};

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

/* Where a line goes. */
typedef struct {
    int fd;
    bool syslog;
} target;

static void TDSA_PRINTF(3, 0)
    write_line(target to, tdsa_log_level level, const char *fmt, va_list args)
{
    char line[LINE_MAX_LEN];
    int head = to.syslog ? snprintf(line, sizeof line, "<%d>tdsa-pkcs11[%d]: %s ",
                                    priorities[level], (int)getpid(), level_names[level])
                         : snprintf(line, sizeof line, "tdsa-pkcs11[%d] %s ", (int)getpid(),
                                    level_names[level]);
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
    line[len] = '\n';
    if (write(to.fd, line, to.syslog ? len : len + 1) < 0) {
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
static target usable(p11_log *log)
{
    const int fd = atomic_load(&log->fd);

    if (fd >= 0 && fd != STDERR_FILENO && !is_our_file(log)) {
        atomic_store(&log->fd, -1);
        return (target){-1, false};
    }
    return (target){fd, fd != STDERR_FILENO && atomic_load(&log->syslog)};
}

static void sink_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    p11_log_line(ctx, level, "%s: %s", logger, text);
}

/* The socket of the system's log. A line that it does not take at once is lost: no call waits for a log. */
static int open_socket(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = -1;

    if (strlen(path) >= sizeof at.sun_path) {
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* "syslog", or "syslog:" and a path; else NULL: the name of a file. */
static const char *socket_path(const char *file)
{
    const size_t len = strlen(SYSLOG);

    if (strncmp(file, SYSLOG, len) != 0 || (file[len] != '\0' && file[len] != ':')) {
        return NULL;
    }
    return file[len] == ':' ? file + len + 1 : SYSLOG_SOCKET;
}

/* Opens it in place of the last one: a thread that writes just now never meets a number that means
 * something else. */
static int open_file(p11_log *log, const char *file)
{
    const int old = atomic_load(&log->file_fd);
    const char *socket = socket_path(file);
    struct stat info;
    int fd = socket != NULL ? open_socket(socket)
                            : open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return -1;
    }
    atomic_store(&log->syslog, socket != NULL);
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
    target to = {-1, false};

    if (!p11_log_wants(log, level)) {
        return;
    }
    to = usable(log);
    if (to.fd < 0) {
        return;
    }
    va_start(args, fmt);
    write_line(to, level, fmt, args);
    va_end(args);
}

void p11_log_startup(p11_log *log, const char *fmt, ...)
{
    target to = usable(log);
    va_list args;

    if (to.fd < 0) {
        to = (target){STDERR_FILENO, false};
    }
    va_start(args, fmt);
    write_line(to, TDSA_LOG_ERROR, fmt, args);
    va_end(args);
}
