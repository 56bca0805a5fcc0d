#include "daemon/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 1280u
#define SERVICE      "com.sepior.tdsaservice."
#define LIBRARY      "com.sepior.tdsa."

typedef struct {
    char name[SVC_LOGGER_NAME_MAX];
    svc_log_limit limit;
} logger_limit;

struct svc_log {
    tdsa_log sink;
    tdsa_clock clock;
    int fd;
    pthread_mutex_t lock; /* lines do not mix */
    svc_log_limit root, threshold;
    logger_limit loggers[SVC_LOGGERS_MAX];
    size_t logger_count;
};

static const char *level_name(tdsa_log_level level)
{
    switch (level) {
    case TDSA_LOG_ERROR:
        return "ERROR";
    case TDSA_LOG_WARN:
        return "WARN";
    case TDSA_LOG_INFO:
        return "INFO";
    case TDSA_LOG_DEBUG:
        return "DEBUG";
    }
    return "?";
}

static bool allows(svc_log_limit limit, tdsa_log_level level)
{
    switch (level) {
    case TDSA_LOG_ERROR:
        return limit >= SVC_LOG_ERROR;
    case TDSA_LOG_WARN:
        return limit >= SVC_LOG_WARN;
    case TDSA_LOG_INFO:
        return limit >= SVC_LOG_INFO;
    case TDSA_LOG_DEBUG:
        return limit >= SVC_LOG_ALL;
    }
    return true;
}

bool svc_log_limit_by_name(svc_log_limit *out, const char *name)
{
    static const struct {
        const char *name;
        svc_log_limit limit;
    } names[] = {{"OFF", SVC_LOG_OFF},   {"false", SVC_LOG_OFF}, {"ERROR", SVC_LOG_ERROR},
                 {"WARN", SVC_LOG_WARN}, {"INFO", SVC_LOG_INFO}, {"DEBUG", SVC_LOG_ALL},
                 {"TRACE", SVC_LOG_ALL}, {"ALL", SVC_LOG_ALL},   {"true", SVC_LOG_ALL}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(names[i].name, name) == 0) {
            *out = names[i].limit;
            return true;
        }
    }
    return false;
}

/* "api" is of the service, "keystore" of the library. */
static void full_name(char *out, size_t cap, const char *logger)
{
    static const char *const service[] = {"daemon", "api",    "round",  "admin",
                                          "http",   "config", "request"};
    const char *prefix = strncmp(logger, "com.", 4) == 0 ? "" : LIBRARY; /* full already */

    for (size_t i = 0; i < sizeof service / sizeof service[0]; i++) {
        size_t len = strlen(service[i]);

        if (strncmp(service[i], logger, len) == 0 && (logger[len] == '\0' || logger[len] == '.')) {
            prefix = SERVICE;
        }
    }
    (void)snprintf(out, cap, "%s%s", prefix, logger);
}

static svc_log_limit limit_of(const svc_log *l, const char *name)
{
    svc_log_limit found = l->root;
    size_t best = 0;

    for (size_t i = 0; i < l->logger_count; i++) {
        size_t len = strlen(l->loggers[i].name);

        if (len >= best && strncmp(l->loggers[i].name, name, len) == 0 &&
            (name[len] == '\0' || name[len] == '.')) {
            best = len;
            found = l->loggers[i].limit;
        }
    }
    return found;
}

static void write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* nobody reads the log: nothing better to do than to go on */
        }
        text += n;
        len -= (size_t)n;
    }
}

static void line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    svc_log *l = (svc_log *)ctx;
    char name[SVC_LOGGER_NAME_MAX], when[32], out[LINE_MAX_LEN];
    uint64_t ms = l->clock.wall_ms(l->clock.ctx);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    int n;

    full_name(name, sizeof name, logger);
    if (!allows(limit_of(l, name), level) || !allows(l->threshold, level)) {
        return;
    }
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    n = snprintf(out, sizeof out, "%-5s [%s,%03u] %s: %s\n", level_name(level), when,
                 (unsigned)(ms % 1000), name, text);
    if (n < 0) {
        return;
    }
    if ((size_t)n >= sizeof out) {
        n = (int)sizeof out - 1;
        out[n - 1] = '\n';
    }
    for (int i = 0; i < n - 1; i++) { /* one event is one line */
        const unsigned char c = (unsigned char)out[i];

        if (c < 0x20 || c == 0x7f) {
            out[i] = '?';
        } else if (c == 0xc2 && ((unsigned char)out[i + 1] & 0xe0) == 0x80) { /* U+0080 to U+009F */
            out[i] = '?';
            out[i + 1] = '?';
        }
    }
    (void)pthread_mutex_lock(&l->lock);
    write_all(l->fd, out, (size_t)n);
    (void)pthread_mutex_unlock(&l->lock);
}

tdsa_status svc_log_new(svc_log **out, int fd, tdsa_clock clock, tdsa_err *err)
{
    svc_log *l = (svc_log *)calloc(1, sizeof *l);

    *out = NULL;
    if (l == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the log");
    }
    (void)pthread_mutex_init(&l->lock, NULL);
    l->sink.line = line;
    l->sink.ctx = l;
    l->clock = clock;
    l->fd = fd;
    l->root = SVC_LOG_INFO;
    l->threshold = SVC_LOG_ALL;
    *out = l;
    return TDSA_OK;
}

void svc_log_free(svc_log *l)
{
    if (l != NULL) {
        (void)pthread_mutex_destroy(&l->lock);
        free(l);
    }
}

const tdsa_log *svc_log_sink(const svc_log *l)
{
    return &l->sink;
}

void svc_log_set_fd(svc_log *l, int fd)
{
    l->fd = fd;
}

void svc_log_set_root(svc_log *l, svc_log_limit limit)
{
    l->root = limit;
}

void svc_log_set_threshold(svc_log *l, svc_log_limit limit)
{
    l->threshold = limit;
}

bool svc_log_set_logger(svc_log *l, const char *name, svc_log_limit limit)
{
    if (l->logger_count == SVC_LOGGERS_MAX || strlen(name) >= SVC_LOGGER_NAME_MAX) {
        return false;
    }
    (void)snprintf(l->loggers[l->logger_count].name, SVC_LOGGER_NAME_MAX, "%s", name);
    l->loggers[l->logger_count++].limit = limit;
    return true;
}
