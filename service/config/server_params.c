#include "config/server_params.h"

#include <string.h>
#include <strings.h>

#include "config/value.h"

#define TIMEOUT_MAX_S  86400
#define SHOWN_NAME_MAX 60u

typedef struct {
    cfg_server_wish *wish;
    const char *where;
    const tdsa_log *log;
} work;

typedef struct row row;
struct row {
    const char *name;
    tdsa_status (*take)(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err);
    size_t offset;   /* in cfg_server_wish, of what it sets */
    const char *why; /* it is refused, or how it is told */
};

static tdsa_status bad(const work *w, const cfg_server_param *p, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_CONFIG, "%s %s: %s", w->where, p->name, what);
}

static void *target(const work *w, const row *r)
{
    return (char *)w->wish + r->offset;
}

/* ---- kinds of values ---- */

static tdsa_status read_bool(const work *w, const cfg_server_param *p, bool *out, tdsa_err *err)
{
    if (*p->value == '\0' || strcmp(p->value, "1") == 0 || strcmp(p->value, "0") == 0) {
        *out = *p->value != '0';
        return TDSA_OK;
    }
    return cfg_value_bool(p->value, out) ? TDSA_OK : bad(w, p, "must be true or false", err);
}

static tdsa_status take_bool(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    return read_bool(w, p, (bool *)target(w, r), err);
}

static tdsa_status take_text(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    (void)err;
    *(const char **)target(w, r) = p->value;
    return TDSA_OK;
}

static tdsa_status take_file(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    const char *name = p->value;

    if (strncmp(name, "file:", 5) == 0) {
        name += strncmp(name, "file://", 7) == 0 ? 7 : 5;
    }
    if (strncmp(name, "-----", 5) == 0 || strncmp(name, "classpath:", 10) == 0) {
        return bad(w, p, "must be the path of a PEM file", err);
    }
    *(const char **)target(w, r) = *name == '\0' ? NULL : name;
    return TDSA_OK;
}

/* Of two limits the stricter one holds. 0: no limit of its own, ours stays. */
static tdsa_status read_time(const work *w, const row *r, const cfg_server_param *p, bool seconds,
                             tdsa_err *err)
{
    uint32_t *ms = target(w, r);
    int64_t v;

    if (!cfg_value_int(p->value, &v) || v < 0 ||
        v > INT64_C(1) * TIMEOUT_MAX_S * (seconds ? 1 : 1000)) {
        return bad(w, p,
                   seconds ? "must be a number of seconds up to a day"
                           : "must be a number of milliseconds up to a day",
                   err);
    }
    v = seconds ? v * 1000 : v;
    if (v != 0 && (*ms == 0 || v < *ms)) {
        *ms = (uint32_t)v;
    }
    return TDSA_OK;
}

/* pgjdbc counts seconds, MariaDB and MySQL milliseconds. */
static tdsa_status take_time(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    return read_time(w, r, p, w->wish->postgres, err);
}

static tdsa_status take_seconds(const work *w, const row *r, const cfg_server_param *p,
                                tdsa_err *err)
{
    return read_time(w, r, p, true, err);
}

static tdsa_status take_port(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    int64_t v;

    if (!cfg_value_int(p->value, &v) || v < 1 || v > 65535) {
        return bad(w, p, "must be a number from 1 to 65535", err);
    }
    *(uint32_t *)target(w, r) = (uint32_t)v;
    return TDSA_OK;
}

/* ---- single parameters ---- */

static tdsa_status take_mode(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    static const struct {
        const char *word;
        ks_tls_mode mode;
    } words[] = {
        {"disable", KS_TLS_DISABLE},
        {"disabled", KS_TLS_DISABLE},
        {"allow", KS_TLS_PREFER},
        {"prefer", KS_TLS_PREFER},
        {"preferred", KS_TLS_PREFER},
        {"require", KS_TLS_REQUIRE},
        {"required", KS_TLS_REQUIRE},
        {"trust", KS_TLS_REQUIRE},
        {"verify-ca", KS_TLS_VERIFY_CA},
        {"verify_ca", KS_TLS_VERIFY_CA},
        {"verify-full", KS_TLS_VERIFY_FULL},
        {"verify_identity", KS_TLS_VERIFY_FULL},
    };

    (void)r;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i].word, p->value) == 0) {
            w->wish->tls.mode = words[i].mode;
            w->wish->tls.named = true;
            return TDSA_OK;
        }
    }
    return bad(w, p, "must be disable, prefer, require (trust), verify-ca or verify-full", err);
}

static tdsa_status take_ssl(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    (void)r;
    w->wish->tls.set = true;
    return read_bool(w, p, &w->wish->tls.on, err);
}

static tdsa_status take_factory(const work *w, const row *r, const cfg_server_param *p,
                                tdsa_err *err)
{
    (void)r;
    (void)err;
    if (strcmp(p->value, "org.postgresql.ssl.NonValidatingFactory") == 0) {
        w->wish->tls.trust = true;
    } else {
        tdsa_logf(w->log, TDSA_LOG_WARN, "config", "%s %s: classes of Java are not loaded",
                  w->where, p->name);
    }
    return TDSA_OK;
}

static tdsa_status take_target(const work *w, const row *r, const cfg_server_param *p,
                               tdsa_err *err)
{
    static const char *const writes[] = {"any", "primary", "master", "preferPrimary", "read-write"};
    static const char *const wishes[] = {"preferSecondary", "preferSlave", "prefer-standby"};

    (void)r;
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        if (strcasecmp(writes[i], p->value) == 0) {
            return TDSA_OK;
        }
    }
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        if (strcasecmp(wishes[i], p->value) == 0) {
            tdsa_logf(w->log, TDSA_LOG_WARN, "config",
                      "%s %s: the primary is used, because every signature writes", w->where,
                      p->name);
            return TDSA_OK;
        }
    }
    return bad(w, p, "must be any or primary, because every signature writes", err);
}

static tdsa_status take_character_set(const work *w, const row *r, const cfg_server_param *p,
                                      tdsa_err *err)
{
    const char *v = p->value;
    const bool utf8 = strcasecmp(v, "UTF-8") == 0 || strcasecmp(v, "UTF8") == 0 ||
                      strcasecmp(v, "utf8mb4") == 0 || strcasecmp(v, "unicode") == 0;

    (void)r;
    return utf8 ? TDSA_OK : bad(w, p, "must be UTF-8", err);
}

/* ---- what there is not ---- */

static tdsa_status refuse(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    return *p->value == '\0' ? TDSA_OK : bad(w, p, r->why, err);
}

static tdsa_status refuse_true(const work *w, const row *r, const cfg_server_param *p,
                               tdsa_err *err)
{
    bool on = true;

    if (read_bool(w, p, &on, err) != TDSA_OK) {
        return err->status;
    }
    return on ? bad(w, p, r->why, err) : TDSA_OK;
}

static tdsa_status refuse_require(const work *w, const row *r, const cfg_server_param *p,
                                  tdsa_err *err)
{
    return strcasecmp(p->value, "require") == 0 ? bad(w, p, r->why, err) : TDSA_OK;
}

static tdsa_status no_effect(const work *w, const row *r, const cfg_server_param *p, tdsa_err *err)
{
    (void)r;
    (void)err;
    tdsa_logf(w->log, TDSA_LOG_INFO, "config", "%s %s is accepted and has no effect", w->where,
              p->name);
    return TDSA_OK;
}

/* ---- the table ---- */

#define AT(field)  offsetof(cfg_server_wish, field)
#define AS_SET     "write it as a SET statement into database.initializationQuery"
#define JAVA_STORE "stores of Java are not read; use PEM files (sslrootcert, sslcert, sslkey)"

static const row rows[] = {
    {"sslmode", take_mode, 0, NULL},
    {"ssl", take_ssl, 0, NULL},
    {"useSsl", take_ssl, 0, NULL},
    {"requireSSL", take_bool, AT(tls.required), NULL},
    {"verifyServerCertificate", take_bool, AT(tls.checked), NULL},
    {"trustServerCertificate", take_bool, AT(tls.trust), NULL},
    {"disableSslHostnameVerification", take_bool, AT(tls.any_host), NULL},
    {"sslfactory", take_factory, 0, NULL},
    {"sslrootcert", take_file, AT(server.tls_ca), NULL},
    {"serverSslCert", take_file, AT(server.tls_ca), NULL},
    {"sslcert", take_file, AT(server.tls_cert), NULL},
    {"sslkey", take_file, AT(server.tls_key), NULL},
    {"connectTimeout", take_time, AT(server.connect_timeout_ms), NULL},
    {"connect_timeout", take_seconds, AT(server.connect_timeout_ms), NULL},
    {"loginTimeout", take_seconds, AT(server.connect_timeout_ms), NULL},
    {"socketTimeout", take_time, AT(server.statement_timeout_ms), NULL},
    {"targetServerType", take_target, 0, NULL},
    {"target_session_attrs", take_target, 0, NULL},
    {"host", take_text, AT(host), NULL},
    {"localSocket", take_text, AT(host), NULL},
    {"port", take_port, AT(port), NULL},
    {"dbname", take_text, AT(server.database), NULL},
    {"user", take_text, AT(server.user), NULL},
    {"password", take_text, AT(server.password), NULL},
    {"charSet", take_character_set, 0, NULL},
    {"characterEncoding", take_character_set, 0, NULL},
    {"client_encoding", take_character_set, 0, NULL},
    {"ApplicationName", take_text, AT(application), NULL},
    {"application_name", take_text, AT(application), NULL},
    {"currentSchema", take_text, AT(schema), NULL},
    {"readOnly", refuse_true, 0, "every signature writes"},
    {"gssEncMode", refuse_require, 0, "GSSAPI encryption is not there; use TLS"},
    {"options", refuse, 0, AS_SET},
    {"sessionVariables", refuse, 0, AS_SET},
    {"keyStore", refuse, 0, JAVA_STORE},
    {"trustStore", refuse, 0, JAVA_STORE},
    {"clientCertificateKeyStoreUrl", refuse, 0, JAVA_STORE},
    {"trustCertificateKeyStoreUrl", refuse, 0, JAVA_STORE},
    {"sslpassword", refuse, 0, "a key file with a password is not read"},
    {"allowMultiQueries", no_effect, 0, NULL},
    {"allowPublicKeyRetrieval", no_effect, 0, NULL},
    {"assumeMinServerVersion", no_effect, 0, NULL},
    {"autoReconnect", no_effect, 0, NULL},
    {"binaryTransfer", no_effect, 0, NULL},
    {"cachePrepStmts", no_effect, 0, NULL},
    {"defaultRowFetchSize", no_effect, 0, NULL},
    {"hostRecheckSeconds", no_effect, 0, NULL},
    {"keepalives", no_effect, 0, NULL},
    {"loadBalanceHosts", no_effect, 0, NULL},
    {"preparedStatementCacheQueries", no_effect, 0, NULL},
    {"preparedStatementCacheSizeMiB", no_effect, 0, NULL},
    {"prepareThreshold", no_effect, 0, NULL},
    {"prepStmtCacheSize", no_effect, 0, NULL},
    {"prepStmtCacheSqlLimit", no_effect, 0, NULL},
    {"reWriteBatchedInserts", no_effect, 0, NULL},
    {"rewriteBatchedStatements", no_effect, 0, NULL},
    {"serverTimezone", no_effect, 0, NULL},
    {"stringtype", no_effect, 0, NULL},
    {"tcpKeepAlive", no_effect, 0, NULL},
    {"useCompression", no_effect, 0, NULL},
    {"useServerPrepStmts", no_effect, 0, NULL},
    {"useUnicode", no_effect, 0, NULL},
};

static const row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Letters only, so that a piece of something else does not stand in the log. */
static bool can_be_shown(const char *name)
{
    const size_t len = strlen(name);

    return len <= SHOWN_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.") == len;
}

tdsa_status cfg_server_params(cfg_server_wish *wish, const char *where, const cfg_server_param *all,
                              size_t count, const tdsa_log *log, tdsa_err *err)
{
    const work w = {wish, where, log};
    bool after = false; /* the password was before: what follows may be a piece of it */
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < count; i++) {
        const row *r = find_row(all[i].name);

        if (r != NULL) {
            st = r->take(&w, r, &all[i], err);
            after = after || r->offset == AT(server.password);
        } else if (after || !can_be_shown(all[i].name)) {
            tdsa_logf(log, TDSA_LOG_WARN, "config", "%s number %zu is not known and has no effect",
                      where, i + 1);
        } else {
            tdsa_logf(log, TDSA_LOG_WARN, "config", "%s %s is not known and has no effect", where,
                      all[i].name);
        }
    }
    return st;
}
