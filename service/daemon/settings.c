#include "daemon/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/route.h"

#define PATH_LEN_MAX         128u
#define POOL_THREADS_MAX     64u
#define BLOCKING_MAX         1024u
#define PROTOCOL_CONNECTIONS 4096u
#define NOT_BUILT            "is not supported by this version"

const char *svc_listener_name(svc_listener_kind kind)
{
    switch (kind) {
    case SVC_PROTOCOL:
        return "protocol";
    case SVC_API:
        return "api";
    case SVC_ADMIN:
        return "admin";
    case SVC_LISTENER_COUNT:
        break;
    }
    return "?";
}

tdsa_status svc_settings_prefix(char out[SVC_PREFIX_MAX + 1], const char *path, const char *text,
                                tdsa_err *err)
{
    size_t len = strlen(text);

    out[0] = '\0';
    if (len >= 2 && strcmp(text + len - 2, "/*") == 0) {
        len -= 2;
    }
    while (len > 0 && text[len - 1] == '/') {
        len--;
    }
    if (len == 0 && text[0] == '/') {
        return TDSA_OK;
    }
    if (text[0] != '/' || len > SVC_PREFIX_MAX ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_.-") < len) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s must begin with / and hold letters, digits, /, _, . and - only", path);
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return TDSA_OK;
}

/* What a connector may ask for and does not get. */
static tdsa_status refuse_unbuilt(const cfg *c, const char *at, tdsa_err *err)
{
    static const char *const switches[] = {"useForwardedHeaders", "useProxyProtocol",
                                           "useServerHeader",     "inheritChannel",
                                           "needClientAuth",      "wantClientAuth"};
    static const char *const rates[] = {"minRequestDataPerSecond", "minResponseDataPerSecond"};
    char path[PATH_LEN_MAX];
    const char *type = cfg_str(c, cfg_path(path, sizeof path, "%s.type", at));

    if (type != NULL && strcmp(type, "http") != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: \"%s\" " NOT_BUILT "; use http", path, type);
    }
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (cfg_bool(c, cfg_path(path, sizeof path, "%s.%s", at, switches[i]))) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: true " NOT_BUILT, path);
        }
    }
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (cfg_size(c, cfg_path(path, sizeof path, "%s.%s", at, rates[i])) > 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "%s " NOT_BUILT "; slow connections end after 30 s anyway", path);
        }
    }
    if (!cfg_bool(c, cfg_path(path, sizeof path, "%s.useDateHeader", at)) ||
        !cfg_bool(c, cfg_path(path, sizeof path, "%s.reuseAddress", at))) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s.useDateHeader, reuseAddress: false " NOT_BUILT,
                         at);
    }
    return TDSA_OK;
}

static tdsa_status read_connector(http_cfg *out, const cfg *c, const char *at, tdsa_err *err)
{
    char path[PATH_LEN_MAX];
    tdsa_status st = refuse_unbuilt(c, at, err);

    if (st != TDSA_OK) {
        return st;
    }
    out->host = cfg_str(c, cfg_path(path, sizeof path, "%s.bindHost", at));
    out->port = (uint16_t)cfg_int(c, cfg_path(path, sizeof path, "%s.port", at));
    out->idle_timeout_ms =
        (uint32_t)cfg_duration_ms(c, cfg_path(path, sizeof path, "%s.idleTimeout", at));
    out->header_max =
        (size_t)cfg_size(c, cfg_path(path, sizeof path, "%s.maxRequestHeaderSize", at));
    (void)cfg_path(path, sizeof path, "%s.acceptQueueSize", at);
    if (cfg_is_set(c, path)) {
        out->backlog = (unsigned)cfg_int(c, path);
    }
    return TDSA_OK;
}

static unsigned at_most(int64_t value, unsigned most)
{
    return value < 1 ? 1 : (value > (int64_t)most ? most : (unsigned)value);
}

static tdsa_status read_prefixes(svc_settings *out, const cfg *c, tdsa_err *err)
{
    char context[SVC_PREFIX_MAX + 1], root[SVC_PREFIX_MAX + 1];
    tdsa_status st = svc_settings_prefix(context, "server.applicationContextPath",
                                         cfg_str(c, "server.applicationContextPath"), err);

    if (st == TDSA_OK) {
        st = svc_settings_prefix(root, "server.rootPath", cfg_str(c, "server.rootPath"), err);
    }
    if (st == TDSA_OK) {
        st = svc_settings_prefix(out->listeners[SVC_ADMIN].prefix, "server.adminContextPath",
                                 cfg_str(c, "server.adminContextPath"), err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (strlen(context) + strlen(root) > SVC_PREFIX_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "server.applicationContextPath and rootPath are longer than %u together",
                         SVC_PREFIX_MAX);
    }
    (void)snprintf(out->listeners[SVC_API].prefix, SVC_PREFIX_MAX + 1, "%.*s%.*s",
                   (int)strlen(context), context, (int)(SVC_PREFIX_MAX - strlen(context)), root);
    memcpy(out->listeners[SVC_PROTOCOL].prefix, out->listeners[SVC_API].prefix, SVC_PREFIX_MAX + 1);
    return TDSA_OK;
}

static void set_limits(svc_settings *out, const cfg *c)
{
    int64_t threads = cfg_int(c, "server.maxThreads");
    http_cfg *protocol = &out->listeners[SVC_PROTOCOL].http;
    http_cfg *api = &out->listeners[SVC_API].http;
    http_cfg *admin = &out->listeners[SVC_ADMIN].http;

    protocol->model = HTTP_POOL;
    protocol->threads =
        at_most(cfg_int(c, "tdsaLibrary.protocolExecutionThreads"), POOL_THREADS_MAX);
    protocol->connections_max = PROTOCOL_CONNECTIONS;
    protocol->body_max = TDSA_BUF_LEN_MAX;
    api->model = HTTP_BLOCKING;
    api->connections_max = at_most(threads, BLOCKING_MAX);
    api->body_max = SVC_BATCH_BODY_MAX;
    admin->model = HTTP_BLOCKING;
    admin->connections_max = at_most(cfg_int(c, "server.adminMaxThreads"), BLOCKING_MAX);
    admin->body_max = SVC_BODY_MAX;
    out->waiting_max = (size_t)(threads + cfg_int(c, "server.maxQueuedRequests"));
}

static tdsa_status read_listeners(svc_settings *out, const cfg *c, tdsa_err *err)
{
    size_t ports = cfg_count(c, "server.applicationConnectors");
    size_t admins = cfg_count(c, "server.adminConnectors");
    tdsa_status st;

    if (strcmp(cfg_str(c, "server.type"), "default") != 0 || cfg_is_set(c, "server.connector")) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "server.type: one connector cannot carry three roles; use default");
    }
    if (ports != 2) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "server.applicationConnectors must have two entries, the protocol port "
                         "and the API port; it has %zu",
                         ports);
    }
    if (admins > 1) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "server.adminConnectors must have one entry or none; it has %zu", admins);
    }
    for (unsigned i = 0; i < SVC_LISTENER_COUNT; i++) {
        out->listeners[i].http.name = svc_listener_name((svc_listener_kind)i);
        out->listeners[i].wanted = i != SVC_ADMIN || admins == 1;
    }
    set_limits(out, c);
    st = read_connector(&out->listeners[SVC_PROTOCOL].http, c, "server.applicationConnectors[0]",
                        err);
    if (st == TDSA_OK) {
        st = read_connector(&out->listeners[SVC_API].http, c, "server.applicationConnectors[1]",
                            err);
    }
    if (st == TDSA_OK && admins == 1) {
        st = read_connector(&out->listeners[SVC_ADMIN].http, c, "server.adminConnectors[0]", err);
    }
    return st == TDSA_OK ? read_prefixes(out, c, err) : st;
}

static tdsa_status read_methods(svc_settings *out, const cfg *c, tdsa_err *err)
{
    size_t count = cfg_count(c, "server.allowedMethods");

    for (size_t i = 0; i < count; i++) {
        char path[PATH_LEN_MAX];
        const char *name = cfg_str(c, cfg_path(path, sizeof path, "server.allowedMethods[%zu]", i));
        svc_method m;

        if (name == NULL || !svc_method_by_name(&m, name)) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s is not a method of HTTP", path);
        }
        out->methods |= 1u << (unsigned)m;
    }
    if ((out->methods & (1u << SVC_POST)) == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "server.allowedMethods must hold POST: the protocol needs it");
    }
    return TDSA_OK;
}

/* Only one console is there; returns whether there is an appender at all. */
static tdsa_status check_appenders(const cfg *c, const char *list, bool *any, tdsa_err *err)
{
    size_t count = cfg_count(c, list);

    *any = count > 0;
    if (count > 1) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: more than one entry " NOT_BUILT, list);
    }
    for (size_t i = 0; i < count; i++) {
        char path[PATH_LEN_MAX];
        const char *type = cfg_str(c, cfg_path(path, sizeof path, "%s[%zu].type", list, i));

        if (type == NULL || strcmp(type, "console") != 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: \"%s\" " NOT_BUILT "; use console", path,
                             type != NULL ? type : "");
        }
    }
    return TDSA_OK;
}

/* Requests are lines of the one log, where its own appender sends it. */
static tdsa_status check_request_log(const cfg *c, bool *any, tdsa_err *err)
{
    static const char list[] = "server.requestLog.appenders";
    tdsa_status st = check_appenders(c, list, any, err);
    const char *log_target = "stdout";
    char path[PATH_LEN_MAX];

    if (st != TDSA_OK || !*any) {
        return st;
    }
    if (cfg_count(c, "logging.appenders") > 0) {
        log_target = cfg_str(c, "logging.appenders[0].target");
    }
    if (strcmp(cfg_str(c, cfg_path(path, sizeof path, "%s[0].target", list)), log_target) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: another one than that of logging " NOT_BUILT,
                         path);
    }
    return TDSA_OK;
}

static tdsa_status read_monitors(svc_settings *out, const cfg *c, tdsa_err *err)
{
    size_t count = cfg_count(c, "health.monitors");

    if (count > SVC_MONITORS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "health.monitors: more than %u entries",
                         SVC_MONITORS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        svc_monitor *o = &out->monitors[i];
        char path[PATH_LEN_MAX];

        o->name = cfg_str(c, cfg_path(path, sizeof path, "health.monitors[%zu].name", i));
        o->metric = cfg_str(c, cfg_path(path, sizeof path, "health.monitors[%zu].metric", i));
        o->statistic = cfg_str(c, cfg_path(path, sizeof path, "health.monitors[%zu].statistic", i));
        (void)cfg_path(path, sizeof path, "health.monitors[%zu].min", i);
        o->has_min = cfg_is_set(c, path);
        o->min = o->has_min ? cfg_number(c, path) : 0.0;
        (void)cfg_path(path, sizeof path, "health.monitors[%zu].max", i);
        o->has_max = cfg_is_set(c, path);
        o->max = o->has_max ? cfg_number(c, path) : 0.0;
    }
    out->monitor_count = count;
    return TDSA_OK;
}

/* Privileges are the service manager's matter. */
static tdsa_status read_process(svc_settings *out, const cfg *c, tdsa_err *err)
{
    static const char *const unbuilt[] = {"server.uid", "server.gid", "server.user",
                                          "server.group"};

    for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++) {
        if (cfg_is_set(c, unbuilt[i])) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "%s " NOT_BUILT "; start the service as the user it shall run as",
                             unbuilt[i]);
        }
    }
    out->file_limit =
        cfg_is_set(c, "server.nofileSoftLimit") ? (long)cfg_int(c, "server.nofileSoftLimit") : 0;
    out->umask = -1;
    if (cfg_is_set(c, "server.umask")) {
        char *end = NULL;
        const char *text = cfg_str(c, "server.umask");
        long mask = strtol(text, &end, 8);

        if (*end != '\0' || mask < 0 || mask > 0777) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "server.umask must be octal, 0 to 777");
        }
        out->umask = (int)mask;
    }
    return TDSA_OK;
}

tdsa_status svc_settings_read(svc_settings *out, const cfg *c, tdsa_err *err)
{
    tdsa_status st;

    memset(out, 0, sizeof *out);
    st = read_listeners(out, c, err);
    if (st == TDSA_OK) {
        st = read_methods(out, c, err);
    }
    if (st == TDSA_OK) {
        st = check_request_log(c, &out->request_log, err);
    }
    if (st == TDSA_OK) {
        st = read_monitors(out, c, err);
    }
    if (st == TDSA_OK) {
        st = read_process(out, c, err);
    }
    out->communication_threads =
        at_most(cfg_int(c, "tdsaLibrary.protocolCommunicationThreads"), BLOCKING_MAX);
    out->grace_ms = (uint32_t)cfg_duration_ms(c, "server.shutdownGracePeriod");
    return st;
}

/* ---- logging ---- */

static tdsa_status limit_at(svc_log_limit *out, const cfg *c, const char *path, tdsa_err *err)
{
    const char *name = cfg_str(c, path);

    if (name == NULL || !svc_log_limit_by_name(out, name)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s is not a log level", path);
    }
    return TDSA_OK;
}

static tdsa_status set_loggers(svc_log *log, const cfg *c, tdsa_err *err)
{
    size_t count = cfg_count(c, "logging.loggers");

    for (size_t i = 0; i < count; i++) {
        char path[PATH_LEN_MAX];
        svc_log_limit limit = SVC_LOG_INFO;
        tdsa_status st;

        (void)cfg_path(path, sizeof path, "logging.loggers[%zu].level", i);
        if (!cfg_is_set(c, path)) {
            (void)cfg_path(path, sizeof path, "logging.loggers[%zu]", i);
        }
        st = limit_at(&limit, c, path, err);
        if (st != TDSA_OK) {
            return st;
        }
        if (!svc_log_set_logger(log, cfg_map_key(c, "logging.loggers", i), limit)) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "logging.loggers: more than %u entries",
                             SVC_LOGGERS_MAX);
        }
    }
    return TDSA_OK;
}

tdsa_status svc_settings_logging(svc_log *log, const cfg *c, tdsa_err *err)
{
    svc_log_limit limit = SVC_LOG_INFO;
    bool any = false;
    tdsa_status st = check_appenders(c, "logging.appenders", &any, err);

    if (st == TDSA_OK) {
        st = limit_at(&limit, c, "logging.level", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    svc_log_set_root(log, limit);
    st = set_loggers(log, c, err);
    if (st == TDSA_OK && any) {
        st = limit_at(&limit, c, "logging.appenders[0].threshold", err);
    }
    if (st == TDSA_OK && any) {
        svc_log_set_threshold(log, limit);
        if (strcmp(cfg_str(c, "logging.appenders[0].target"), "stderr") == 0) {
            svc_log_set_fd(log, STDERR_FILENO);
        }
    }
    return st;
}
