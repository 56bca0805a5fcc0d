#include "config/server_cfg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/server_params.h"

#define APPLICATION_MAX 63u /* what PostgreSQL keeps */
#define SCHEMA_MAX      200u

static ks_tls_mode choose_tls(const cfg_server_wish *w)
{
    if (w->tls.named) {
        return w->tls.mode;
    }
    if (w->tls.set && !w->tls.on) {
        return KS_TLS_DISABLE;
    }
    if (w->tls.trust && (w->tls.on || w->tls.required)) {
        return KS_TLS_REQUIRE;
    }
    if (w->tls.on || w->tls.checked) {
        return w->tls.any_host ? KS_TLS_VERIFY_CA : KS_TLS_VERIFY_FULL;
    }
    return w->tls.required ? KS_TLS_REQUIRE : KS_TLS_PREFER;
}

static tdsa_status finish(cfg_server *out, const cfg_server_wish *w, const char *url_name,
                          tdsa_err *err)
{
    ks_server *s = &out->server;

    *s = w->server;
    s->tls = choose_tls(w);
    if (w->host != NULL && *w->host != '\0') {
        s->hosts = 1;
        s->host[0] = (ks_host){w->host, s->host[0].port};
    }
    for (size_t i = 0; w->port != 0 && i < s->hosts; i++) {
        s->host[i].port = s->host[i].port == 0 ? (uint16_t)w->port : s->host[i].port;
    }
    if ((s->tls_cert == NULL) != (s->tls_key == NULL)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: sslcert and sslkey belong together", url_name);
    }
    out->schema = w->postgres ? w->schema : NULL;
    out->application = w->postgres ? w->application : NULL;
    return TDSA_OK;
}

tdsa_status cfg_server_fill(cfg_server *out, const cfg_jdbc *db, const char *url_name,
                            const cfg_server_param *properties, size_t count, const tdsa_log *log,
                            tdsa_err *err)
{
    const cfg_server_url *url = &db->server;
    cfg_server_wish w;
    char where[64];
    tdsa_status st;

    memset(out, 0, sizeof *out);
    memset(&w, 0, sizeof w);
    w.postgres = db->kind == CFG_JDBC_POSTGRESQL;
    st = cfg_server_params(&w, "database.properties:", properties, count, log, err);
    memcpy(w.server.host, url->host, sizeof w.server.host);
    w.server.hosts = url->hosts;
    if (url->database != NULL) {
        w.server.database = url->database;
    }
    if (url->user != NULL) {
        w.server.user = url->user;
        w.server.password = url->password;
    }
    (void)snprintf(where, sizeof where, "%s: parameter", url_name);
    if (st == TDSA_OK) {
        st = cfg_server_params(&w, where, url->param, url->params, log, err);
    }
    if (st == TDSA_OK && db->any_order) {
        tdsa_logf(log, TDSA_LOG_WARN, "config", "%s: the hosts are tried in their order", url_name);
    }
    return st == TDSA_OK ? finish(out, &w, url_name, err) : st;
}

/* ---- the first statement of each connection ---- */

static tdsa_status check_schema(const char *schema, tdsa_err *err)
{
    const size_t len = strlen(schema);

    if (len == 0 || len > SCHEMA_MAX ||
        strspn(schema, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$, ") !=
            len) {
        return TDSA_FAIL(
            err, TDSA_E_CONFIG,
            "currentSchema: only names of letters, digits and _ are taken; set others in "
            "database.initializationQuery");
    }
    return TDSA_OK;
}

/* A quotation mark, a backslash or a control character would have to be written in another way. */
static tdsa_status check_application(const char *name, tdsa_err *err)
{
    for (const char *c = name; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == '\'' || *c == '\\') {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "ApplicationName: quotation marks and backslashes are not taken");
        }
    }
    return strlen(name) <= APPLICATION_MAX
               ? TDSA_OK
               : TDSA_FAIL(err, TDSA_E_CONFIG, "ApplicationName: longer than %u bytes",
                           APPLICATION_MAX);
}

tdsa_status cfg_server_set_init(cfg_server *s, const char *query, tdsa_err *err)
{
    const char *schema = s->schema;
    const char *name = s->application;
    const size_t cap = 128 + SCHEMA_MAX + APPLICATION_MAX + (query == NULL ? 0 : strlen(query));
    size_t len = 0;
    tdsa_status st = TDSA_OK;

    if (schema != NULL) {
        st = check_schema(schema, err);
    }
    if (st == TDSA_OK && name != NULL) {
        st = check_application(name, err);
    }
    if (st != TDSA_OK || (schema == NULL && name == NULL)) {
        s->server.pool.init_query = query;
        return st;
    }
    s->init = calloc(1, cap);
    if (s->init == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database's first statement");
    }
    if (schema != NULL) {
        len += (size_t)snprintf(s->init, cap, "SET search_path TO %s; ", schema);
    }
    if (name != NULL) {
        len += (size_t)snprintf(s->init + len, cap - len, "SET application_name TO '%s'; ", name);
    }
    (void)snprintf(s->init + len, cap - len, "%s", query == NULL ? "" : query);
    s->server.pool.init_query = s->init;
    return TDSA_OK;
}

void cfg_server_clear(cfg_server *s)
{
    free(s->init);
    memset(s, 0, sizeof *s);
}
