#define _GNU_SOURCE 1 /* asprintf */
#include "keystore/driver_mariadb.h"

#include <errmsg.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT                 3306u
#define CONNECT_TIMEOUT_MS   5000u
#define STATEMENT_TIMEOUT_MS 10000u
/* The largest row is a batch of KS_BATCH_DATA_MAX bytes; 4 MiB and the statement around it are asked for. */
#define PACKET_MIN ((4ll << 20) + (64ll << 10))
#define PACKET_MAX (64ul << 20)
/* Ways to prove a password that do not tell it to whoever answers. Not mysql_clear_password, not dialog. */
#define PROOFS "mysql_native_password,client_ed25519,parsec,caching_sha2_password,sha256_password"
/* caching_sha2_password would ask a server without TLS for a key, and send the password under it */
#define NO_KEY "/dev/null"

static unsigned seconds(uint32_t ms, uint32_t otherwise)
{
    const uint32_t wanted = ms != 0 ? ms : otherwise;

    return wanted / 1000u + (wanted % 1000u != 0 ? 1u : 0u);
}

static tdsa_status out_of_memory(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
}

/* ---- options ---- */

static void set(const ma_conn *m, enum mysql_option option, const void *value)
{
    /* the library knows all of them; what fails is memory, and then connecting does too */
    (void)m->f->mysql_options(m->db, option, value);
}

static void set_timeouts(ma_conn *m, const ks_server *server)
{
    const unsigned connect_s = seconds(server->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    unsigned answer_s;

    m->lock_wait_s = seconds(server->statement_timeout_ms, STATEMENT_TIMEOUT_MS);
    answer_s = m->lock_wait_s + 1; /* the server says first that a lock is held for too long */
    set(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    set(m, MYSQL_OPT_READ_TIMEOUT, &answer_s);
    set(m, MYSQL_OPT_WRITE_TIMEOUT, &answer_s);
}

/* Without a CA to check against, the chain is still checked where verify-full asks for it. */
static void set_tls(const ma_conn *m, const ks_server *server)
{
    const my_bool want = server->tls != KS_TLS_DISABLE;
    const my_bool whole = server->tls == KS_TLS_VERIFY_FULL;

    set(m, MYSQL_OPT_SSL_ENFORCE, &want); /* means: when the server offers it; see check_tls */
    set(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &whole);
    if (!want) {
        return;
    }
    if (server->tls >= KS_TLS_VERIFY_CA) {
        set(m, MYSQL_OPT_SSL_CA, server->tls_ca);
        if (server->tls_ca == NULL) {
            set(m, MYSQL_OPT_SSL_CAPATH, "/etc/ssl/certs");
        }
    }
    if (server->tls_cert != NULL) {
        set(m, MYSQL_OPT_SSL_CERT, server->tls_cert);
        set(m, MYSQL_OPT_SSL_KEY, server->tls_key != NULL ? server->tls_key : server->tls_cert);
    }
    set(m, MYSQL_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    if (server->tls != KS_TLS_PREFER) {
        set(m, MYSQL_SERVER_PUBLIC_KEY, NO_KEY);
    }
}

static void set_options(ma_conn *m, const ks_server *server, bool local)
{
    const my_bool off = 0;
    const unsigned no_files = 0;
    const unsigned protocol = local ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    const unsigned long packet = PACKET_MAX;
    const my_bool truncated = 1;

    set(m, MYSQL_OPT_RECONNECT, &off); /* it would go on outside of a transaction */
    set(m, MYSQL_OPT_LOCAL_INFILE, &no_files);
    set(m, MYSQL_OPT_PROTOCOL, &protocol); /* or "localhost" would mean a socket */
    set(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    set(m, MYSQL_REPORT_DATA_TRUNCATION, &truncated);
    set(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set(m, MARIADB_OPT_RESTRICTED_AUTH, PROOFS);
    set_timeouts(m, server);
    if (!local) {
        set_tls(m, server);
    }
}

/* ---- one host ---- */

/* A socket, or the one in a folder. */
static char *socket_path(const char *name)
{
    static const char *const usual[] = {"mysqld.sock", "mysql.sock", "mariadb.sock"};
    struct stat info;
    char *path = NULL;

    if (stat(name, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return strdup(name);
    }
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        free(path);
        path = NULL;
        if (asprintf(&path, "%s/%s", name, usual[i]) < 0) {
            return NULL;
        }
        if (stat(path, &info) == 0) {
            break;
        }
    }
    return path;
}

/* TLS that was asked for is there. Over a socket nobody listens. */
static tdsa_status check_tls(const ma_conn *m, const ks_server *server, bool local, tdsa_err *err)
{
    if (local || server->tls <= KS_TLS_DISABLE || m->tls) {
        return TDSA_OK;
    }
    return TDSA_FAIL(err, TDSA_E_STORE,
                     "database %.100s: TLS is required, but the server does not offer it",
                     m->base.name);
}

static tdsa_status reach(ma_conn *m, const ks_server *server, const ks_host *host, tdsa_err *err)
{
    MA_QUIET(true);
    const bool local = host->name[0] == '/';
    char *path = local ? socket_path(host->name) : NULL;
    const unsigned port = host->port != 0 ? host->port : PORT;
    /* a password that is NULL would be looked for in the environment */
    const char *password = server->password != NULL ? server->password : "";
    MYSQL *got = NULL;

    m->db = m->f->mysql_init(NULL);
    if (m->db == NULL || (local && path == NULL)) {
        free(path);
        return out_of_memory(err);
    }
    set_options(m, server, local);
    got = m->f->mysql_real_connect(m->db, local ? NULL : host->name, server->user, password,
                                   server->database, port, path,
                                   /* options stay after a failure, until `disconnect` */
                                   CLIENT_FOUND_ROWS | CLIENT_REMEMBER_OPTIONS);
    free(path);
    if (got == NULL) {
        ks_mariadb_explain(m->base.error, sizeof m->base.error, m->f->mysql_errno(m->db),
                           m->f->mysql_error(m->db));
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.100s: %.140s", m->base.name, m->base.error);
    }
    m->tls = m->f->mysql_get_ssl_cipher(m->db) != NULL;
    return check_tls(m, server, local, err);
}

/* ---- session ---- */

static tdsa_status failed(const ma_conn *m, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE, "database %.80s: %s: %.140s", m->base.name, what,
                     m->base.error);
}

/* What the administrator of the server may have set otherwise. */
static tdsa_status set_up(ma_conn *m, tdsa_err *err)
{
    static const char *const fixed[] = {
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,"
        "NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', time_zone = '+00:00', autocommit = 1,"
        " completion_type = 0, sql_safe_updates = 0, sql_select_limit = DEFAULT",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
    };
    char waits[160];
    ks_sql_step step = KS_SQL_DONE;

    for (size_t i = 0; step == KS_SQL_DONE && i < sizeof fixed / sizeof fixed[0]; i++) {
        step = ks_mariadb_run(m, fixed[i]);
    }
    (void)snprintf(waits, sizeof waits,
                   "SET SESSION innodb_lock_wait_timeout = %u, lock_wait_timeout = %u",
                   m->lock_wait_s, m->lock_wait_s);
    if (step == KS_SQL_DONE) {
        step = ks_mariadb_run(m, waits);
    }
    /* MariaDB alone: a process that was stopped inside a transaction does not keep the others out */
    (void)snprintf(waits, sizeof waits, "SET SESSION idle_transaction_timeout = %u",
                   m->lock_wait_s);
    if (step == KS_SQL_DONE && ks_mariadb_run(m, waits) == KS_SQL_LOST) {
        step = KS_SQL_LOST;
    }
    return step == KS_SQL_DONE ? TDSA_OK : failed(m, "setting up the session", err);
}

typedef struct {
    long long packet, flush, log, log_sync;
    bool read_only;
} facts;

static bool is_on(const char *value)
{
    return value != NULL && strcmp(value, "0") != 0 && strcmp(value, "OFF") != 0;
}

static long long number(const char *value)
{
    return value != NULL ? strtoll(value, NULL, 10) : 0;
}

static void note_facts(void *ctx, const char *const *column)
{
    facts *f = ctx;

    f->packet = number(column[0]);
    f->flush = number(column[1]);
    f->log = is_on(column[2]);
    f->log_sync = number(column[3]);
    f->read_only = is_on(column[4]) || is_on(column[5]);
}

/*
 * A burn that a power cut takes back is a nonce that may sign twice, so a server that says OK before its
 * log is on the disk is refused. With a binary log that is not synchronous, recovery undoes what the
 * binary log lacks: the same.
 */
static tdsa_status check_facts(const ma_conn *m, const facts *f, tdsa_err *err)
{
    if (f->packet < PACKET_MIN) {
        return TDSA_FAIL(
            err, TDSA_E_STORE,
            "database %.80s: max_allowed_packet is %lld: rows have up to 4 MiB, set it "
            "to 16M",
            m->base.name, f->packet);
    }
    if (f->flush != 1) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.80s: innodb_flush_log_at_trx_commit is %lld: what was used up "
                         "would not survive a power cut; set it to 1",
                         m->base.name, f->flush);
    }
    if (f->log != 0 && f->log_sync != 1) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.80s: log_bin is on and sync_binlog is %lld: what was used up "
                         "would not survive a power cut; set it to 1",
                         m->base.name, f->log_sync);
    }
    return TDSA_OK;
}

/* `standby`: it takes no writes, another host may. */
static tdsa_status inspect(ma_conn *m, bool *standby, tdsa_err *err)
{
    facts f = {0};
    const ks_sql_step step = ks_mariadb_query(
        m,
        "SELECT @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog,"
        " @@global.read_only, @@innodb_read_only",
        note_facts, &f);

    if (step != KS_SQL_DONE) {
        return failed(m, "reading its settings", err);
    }
    *standby = f.read_only;
    if (f.read_only) {
        return TDSA_FAIL(
            err, TDSA_E_STORE,
            "database %.100s takes no writes (read_only; a replica?): name the primary",
            m->base.name);
    }
    return check_facts(m, &f, err);
}

/* ---- all hosts ---- */

static void name_it(ma_conn *m, const ks_server *server, const ks_host *host)
{
    const unsigned port = host->port != 0 ? host->port : PORT;

    if (host->name[0] == '/') {
        (void)snprintf(m->base.name, sizeof m->base.name, "%.40s at %.100s", server->database,
                       host->name);
    } else {
        (void)snprintf(m->base.name, sizeof m->base.name, "%.40s at %.90s:%u", server->database,
                       host->name, port);
    }
}

static void disconnect(ma_conn *m)
{
    MA_QUIET(true);

    if (m->db != NULL) {
        set(m, MYSQL_SERVER_PUBLIC_KEY, NULL); /* this one is not freed otherwise */
        m->f->mysql_close(m->db);
        m->db = NULL;
    }
}

static tdsa_status try_host(ma_conn *m, const ks_server *server, const ks_host *host, bool *standby,
                            tdsa_err *err)
{
    tdsa_status st;

    name_it(m, server, host);
    st = reach(m, server, host, err);
    /* before our own settings, which it may not change */
    if (st == TDSA_OK && server->pool.init_query != NULL &&
        ks_mariadb_run(m, server->pool.init_query) != KS_SQL_DONE) {
        st = failed(m, "the initialization query", err);
    }
    if (st == TDSA_OK) {
        st = set_up(m, err);
    }
    if (st == TDSA_OK) {
        st = inspect(m, standby, err);
    }
    if (st != TDSA_OK) {
        disconnect(m);
        m->lost = false;
    }
    return st;
}

static tdsa_status check_server(const ks_server *server, tdsa_err *err)
{
    if (server == NULL || server->hosts == 0 || server->hosts > KS_HOSTS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend mariadb needs 1 to %u hosts", KS_HOSTS_MAX);
    }
    if (server->database == NULL || server->database[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend mariadb needs the name of a database");
    }
    if (server->user == NULL || server->user[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend mariadb needs the name of a user");
    }
    for (size_t i = 0; i < server->hosts; i++) {
        if (server->host[i].name == NULL || server->host[i].name[0] == '\0') {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "host %zu of the database has no name", i + 1);
        }
    }
    return TDSA_OK;
}

/* Tells of the first host that is no standby, because that is the one to repair. */
static tdsa_status try_all(ma_conn *m, const ks_server *server, tdsa_err *err)
{
    tdsa_err first = {0};
    bool told = false;

    for (size_t i = 0; i < server->hosts; i++) {
        bool standby = false;
        const tdsa_status st = try_host(m, server, &server->host[i], &standby, err);

        if (st == TDSA_OK || st == TDSA_E_NO_MEMORY) {
            return st;
        }
        if (!told) {
            first = *err;
            told = !standby;
        }
    }
    *err = first;
    return server->hosts == 1 ? err->status
                              : tdsa_err_wrap(err, "none of %zu hosts", server->hosts);
}

tdsa_status ks_mariadb_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err)
{
    const ma_library *library = NULL;
    ma_conn *m = NULL;
    tdsa_status st = check_server(cfg->server, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = ks_mariadb_library(&library, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return out_of_memory(err);
    }
    m->base.driver = &ks_driver_mariadb;
    m->f = library;
    st = try_all(m, cfg->server, err);
    if (st != TDSA_OK) {
        free(m);
        return st;
    }
    *out = &m->base;
    return TDSA_OK;
}

void ks_mariadb_close(ks_sql_conn *c)
{
    ma_conn *m = ks_mariadb_of(c);

    ks_mariadb_drop_statements(m);
    disconnect(m);
    free(m);
}

/*
 * Closing says goodbye to the server, and to TLS, through the descriptor that the parent uses as well. So
 * that descriptor is pointed elsewhere first, in this process alone; what the library writes then ends
 * there, and the parent's connection does not see any of it.
 */
void ks_mariadb_abandon(ks_sql_conn *c)
{
    ma_conn *m = ks_mariadb_of(c);
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fd = (int)m->f->mysql_get_socket(m->db);
    bool turned = false;

    if (nowhere >= 0) {
        turned = fd < 0 || dup3(nowhere, fd, O_CLOEXEC) >= 0;
        (void)close(nowhere);
    }
    if (turned) {
        ks_mariadb_close(c);
    } /* else rather a leak than a byte */
}
