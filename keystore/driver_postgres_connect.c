#define _GNU_SOURCE 1 /* dup3 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/driver_postgres.h"

#define CONNECT_MS   5000u
#define STATEMENT_MS 10000u
/* how much longer than a lock a whole statement may take, and its answer */
#define STATEMENT_MORE_MS 500u
#define ANSWER_MORE_MS    1500u
#define USUAL_PORT        5432u
#define VERSION_MIN       140000 /* bit_count */
/* a file that is not there: libpq looks for none in a home */
#define NO_FILE "/dev/null/none"

tdsa_status ks_pq_load(ks_pq *out, const char *library, tdsa_err *err)
{
    /* never unloaded: OpenSSL below it may have handlers for the end of the process */
    void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *missing = NULL;
    void *symbol = NULL;

    if (lib == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "backend postgres needs %.40s: install the package libpq5 (%.120s)",
                         library, dlerror());
    }
#define GET(name)                               \
    symbol = dlsym(lib, "PQ" #name);            \
    missing = symbol == NULL ? #name : missing; \
    memcpy(&out->name, &symbol, sizeof symbol);
    KS_PQ_CALLS(GET)
#undef GET
    (void)dlclose(lib);
    if (missing != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%.40s has no PQ%s: install libpq5 of version 14 or later", library,
                         missing);
    }
    return TDSA_OK;
}

/* ---- what libpq is told ---- */

#define OPTIONS_MAX 24u

typedef struct {
    const char *name[OPTIONS_MAX + 1], *value[OPTIONS_MAX + 1];
    size_t n;
    char port[8], user_timeout[16];
} options;

static void option(options *o, const char *name, const char *value)
{
    if (value != NULL && o->n < OPTIONS_MAX) {
        o->name[o->n] = name;
        o->value[o->n++] = value;
    }
}

static const char *tls_word(ks_tls_mode mode)
{
    switch (mode) {
    case KS_TLS_DISABLE:
        return "disable";
    case KS_TLS_REQUIRE:
        return "require";
    case KS_TLS_VERIFY_CA:
        return "verify-ca";
    case KS_TLS_VERIFY_FULL:
        return "verify-full";
    case KS_TLS_PREFER:
        break;
    }
    return "prefer";
}

/* The certificates that the system trusts; libpq 15 has no word for them. */
static const char *system_ca(void)
{
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], R_OK) == 0) {
            return places[i];
        }
    }
    return NO_FILE;
}

static void fill(options *o, const ks_server *s, const ks_host *host, uint32_t timeout_ms)
{
    const bool verify = s->tls == KS_TLS_VERIFY_CA || s->tls == KS_TLS_VERIFY_FULL;

    (void)snprintf(o->port, sizeof o->port, "%u", host->port != 0 ? host->port : USUAL_PORT);
    (void)snprintf(o->user_timeout, sizeof o->user_timeout, "%u", timeout_ms);
    option(o, "host", host->name);
    option(o, "port", o->port);
    option(o, "dbname", s->database);
    option(o, "user", s->user);
    option(o, "password", s->password);
    option(o, "sslmode", tls_word(s->tls));
    /* with a CA at hand, libpq checks certificates in the mode `require` too */
    option(o, "sslrootcert", !verify ? NO_FILE : s->tls_ca != NULL ? s->tls_ca : system_ca());
    option(o, "sslcert", s->tls_cert != NULL ? s->tls_cert : NO_FILE);
    option(o, "sslkey", s->tls_key);
    option(o, "gssencmode", "disable");
    option(o, "client_encoding", "UTF8");
    option(o, "application_name", "tdsa");
    option(o, "target_session_attrs", "read-write");
    option(o, "tcp_user_timeout", o->user_timeout);
    option(o, "keepalives", "1");
    option(o, "keepalives_idle", "10");
    option(o, "keepalives_interval", "5");
    option(o, "keepalives_count", "3");
}

/* ---- one host ---- */

/* "FATAL:  28P01: text" in a verbose message: the code, "" when there is none. */
static void find_code(char code[6], const char *text)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    code[0] = '\0';
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (strspn(at + 3, digits) == 5 && at[8] == ':') {
            memcpy(code, at + 3, 5);
            code[5] = '\0';
            return;
        }
    }
}

/* Why there is no connection, in one line. */
static void explain(ks_postgres *p)
{
    char text[512];
    char code[6];
    char *place = NULL;

    (void)snprintf(text, sizeof text, "%s", p->pq.errorMessage(p->db));
    place = strstr(text, "LOCATION:");
    if (place != NULL) {
        *place = '\0'; /* in the server's source */
    }
    find_code(code, text);
    if (ks_postgres_advice(code)[0] != '\0') {
        char said[512];
        const char *after = strstr(text, code);

        ks_postgres_tidy(said, sizeof said, after + 7);
        (void)snprintf(p->base.error, sizeof p->base.error, "%.120s (%s)", said,
                       ks_postgres_advice(code));
        return;
    }
    place = strstr(text, " failed: "); /* after where it tried to connect, which we say ourselves */
    ks_postgres_tidy(p->base.error, sizeof p->base.error, place != NULL ? place + 9 : text);
}

/* Connects to one host; false with error filled. */
static bool connect_host(ks_postgres *p, const options *o, uint32_t limit_ms)
{
    const uint64_t deadline = ks_postgres_now() + limit_ms;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    p->db = p->pq.connectStartParams(o->name, o->value, 0);
    if (p->db == NULL) {
        (void)snprintf(p->base.error, sizeof p->base.error, "no memory");
        return false;
    }
    (void)p->pq.setErrorVerbosity(p->db, PQERRORS_VERBOSE); /* with codes */
    if (p->pq.status(p->db) == CONNECTION_BAD) {
        next = PGRES_POLLING_FAILED;
    }
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        const uint64_t now = ks_postgres_now();
        struct pollfd fd = {.fd = p->pq.socket(p->db),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        const int n = now < deadline ? poll(&fd, 1, (int)(deadline - now)) : 0;

        if (n == 0) {
            (void)snprintf(p->base.error, sizeof p->base.error, "no answer within %u ms", limit_ms);
            return false;
        }
        if (n > 0) {
            next = p->pq.connectPoll(p->db);
        }
    }
    if (next != PGRES_POLLING_OK) {
        explain(p);
        return false;
    }
    return true;
}

static void hear(void *ctx, const PGresult *r)
{
    ks_postgres *p = ctx;
    const char *code = p->pq.resultErrorField(r, PG_DIAG_SQLSTATE);

    p->warned = p->warned || code == NULL || strncmp(code, "00", 2) != 0;
}

/* The session's settings. What is stronger on the server stays: remote_apply. */
static ks_sql_step set_up(ks_postgres *p, const ks_server *s, const ks_cfg *cfg)
{
    PGresult *rows = NULL;
    char text[1024];
    ks_sql_step rc;

    (void)snprintf(text, sizeof text,
                   "SET statement_timeout = %u; SET lock_timeout = %u;"
                   " SET idle_in_transaction_session_timeout = %u;"
                   " SET client_min_messages = warning; SET standard_conforming_strings = on;"
                   " SET jit = off; SET default_transaction_isolation = 'read committed';"
                   " SELECT set_config('synchronous_commit', 'on', false)"
                   " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');"
                   " SELECT current_setting('fsync')",
                   p->timeout_ms + STATEMENT_MORE_MS, p->timeout_ms, p->timeout_ms);
    rc = ks_postgres_query(p, text, &rows);
    if (rc != KS_SQL_DONE) {
        return rc;
    }
    if (strcmp(ks_postgres_text(p, rows, 0), "on") != 0) {
        tdsa_logf(cfg->log, TDSA_LOG_WARN, KS_LOGGER,
                  "database %s: the server runs with fsync = off: after a power cut it may have "
                  "forgotten "
                  "which presignatures were used",
                  p->base.name);
    }
    p->pq.clear(rows);
    if (s->pool.init_query != NULL) {
        rc = ks_postgres_query(p, s->pool.init_query, NULL);
    }
    return rc == KS_SQL_DONE ? ks_postgres_settle(p) : rc;
}

/* What is wrong with the server for us; NULL: nothing. */
static const char *unfit(const ks_postgres *p)
{
    const char *encoding = p->pq.parameterStatus(p->db, "server_encoding");

    if (p->pq.serverVersion(p->db) < VERSION_MIN) {
        return "the server is older than PostgreSQL 14: use a newer one";
    }
    if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
        return "its encoding is not UTF8: make it with ENCODING 'UTF8'";
    }
    return NULL;
}

/* Tries a host to the end; leaves p->db NULL when it will not do. */
static bool try_host(ks_postgres *p, const ks_cfg *cfg, const ks_host *host)
{
    const ks_server *s = cfg->server;
    options o = {.n = 0};
    const char *why = NULL;
    bool ok;

    fill(&o, s, host, p->patience_ms);
    (void)snprintf(p->base.name, sizeof p->base.name, "%.60s at %.80s:%s", s->database, host->name,
                   o.port);
    p->lost = false;
    ok = connect_host(p, &o, s->connect_timeout_ms != 0 ? s->connect_timeout_ms : CONNECT_MS);
    if (ok) {
        (void)p->pq.setErrorVerbosity(p->db, PQERRORS_DEFAULT);
        (void)p->pq.setNoticeReceiver(p->db, hear, p);
        why = p->pq.setnonblocking(p->db, 1) != 0 ? "no memory" : unfit(p);
        if (why != NULL) {
            (void)snprintf(p->base.error, sizeof p->base.error, "%s", why);
        }
        ok = why == NULL && set_up(p, s, cfg) == KS_SQL_DONE;
    }
    if (!ok) {
        p->pq.finish(p->db);
        p->db = NULL;
    }
    return ok;
}

static tdsa_status check(const ks_server *s, tdsa_err *err)
{
    if (s == NULL || s->hosts == 0 || s->hosts > KS_HOSTS_MAX || s->database == NULL ||
        s->database[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend postgres needs a host and a database");
    }
    if ((s->tls == KS_TLS_VERIFY_CA || s->tls == KS_TLS_VERIFY_FULL) &&
        access(s->tls_ca != NULL ? s->tls_ca : system_ca(), R_OK) != 0) {
        return TDSA_FAIL(
            err, TDSA_E_CONFIG,
            "the file of CAs that the database's certificate is checked with cannot be read: "
            "%.120s",
            s->tls_ca != NULL ? s->tls_ca : "none of the system is known");
    }
    return TDSA_OK;
}

/* Appends "HOST:PORT: why" to what is wrong. */
static void note(char *all, size_t size, const ks_postgres *p, size_t hosts)
{
    const size_t used = strlen(all);
    const size_t share = 200u / (hosts < 3 ? hosts : 3);
    const char *host = strstr(p->base.name, " at ");

    (void)snprintf(all + used, size - used, "%s%s%s%.*s", used > 0 ? "; " : "",
                   hosts > 1 ? host + 4 : "", hosts > 1 ? ": " : "", (int)share, p->base.error);
}

tdsa_status ks_postgres_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err)
{
    const ks_server *s = cfg->server;
    ks_postgres *p = NULL;
    char why[512] = "";
    tdsa_status st = check(s, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    p->base.driver = &ks_driver_postgres;
    p->timeout_ms = s->statement_timeout_ms != 0 ? s->statement_timeout_ms : STATEMENT_MS;
    p->patience_ms = p->timeout_ms + ANSWER_MORE_MS;
    st = ks_pq_load(&p->pq, KS_PQ_LIBRARY, err);
    for (size_t i = 0; st == TDSA_OK && i < s->hosts; i++) {
        if (try_host(p, cfg, &s->host[i])) {
            *out = &p->base;
            return TDSA_OK;
        }
        note(why, sizeof why, p, s->hosts);
    }
    if (st == TDSA_OK) {
        st = TDSA_FAIL(err, TDSA_E_STORE, "database %.80s: cannot connect: %.200s",
                       s->hosts > 1 ? s->database : p->base.name, why);
    }
    free(p);
    return st;
}

/* ---- its end ---- */

void ks_postgres_close(ks_sql_conn *c)
{
    ks_postgres *p = ks_postgres_of(c);

    for (size_t i = 0; i < KS_SQL_COUNT; i++) {
        p->pq.clear(p->rows[i]);
    }
    p->pq.finish(p->db); /* says goodbye, and does not wait */
    free(p);
}

/* Whatever libpq and TLS below it say in parting goes nowhere: the parent has the same socket. */
void ks_postgres_abandon(ks_sql_conn *c)
{
    ks_postgres *p = ks_postgres_of(c);
    const int at = p->pq.socket(p->db);
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    const bool safe = at < 0 || (nowhere >= 0 && dup3(nowhere, at, O_CLOEXEC) == at);

    if (nowhere >= 0) {
        (void)close(nowhere);
    }
    if (safe) { /* else rather a leak than a byte */
        ks_postgres_close(c);
    }
}
