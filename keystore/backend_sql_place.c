#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "keystore/backend_sql.h"

/* A copy of what connects, because a lost connection is made again after ks_open has returned. */

#define TEXTS_MAX (KS_HOSTS_MAX + 12u)

struct ks_sql_place {
    ks_cfg cfg;
    ks_server server;
    tdsa_secret *password; /* with its NUL */
    char *text[TEXTS_MAX];
    size_t texts;
};

/* NULL stays NULL; false when there is no memory. */
static bool keep(ks_sql_place *p, const char **text)
{
    char *copy = NULL;

    if (*text == NULL) {
        return true;
    }
    if (p->texts < TEXTS_MAX) {
        copy = strdup(*text);
    }
    if (copy != NULL) {
        p->text[p->texts++] = copy;
    }
    *text = copy;
    return copy != NULL;
}

static bool keep_server(ks_sql_place *p, const ks_server *from)
{
    ks_server *s = &p->server;
    bool ok = true;

    *s = *from;
    s->password = NULL;
    for (size_t i = 0; i < KS_HOSTS_MAX; i++) {
        if (i >= s->hosts) {
            s->host[i].name = NULL;
        }
        ok = keep(p, &s->host[i].name) && ok;
    }
    const char **texts[] = {&s->database,       &s->user,    &s->tls_ca,
                            &s->tls_cert,       &s->tls_key, &s->pool.validation_query,
                            &s->pool.init_query};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ok = keep(p, texts[i]) && ok; /* after a failure the rest still stops being the caller's */
    }
    return ok;
}

static tdsa_status fill(ks_sql_place *p, const ks_cfg *cfg, tdsa_err *err)
{
    bool ok = true;

    p->cfg = (ks_cfg){.backend = cfg->backend,
                      .path = cfg->path,
                      .create_tables = false,
                      .busy_timeout_ms = cfg->busy_timeout_ms,
                      .rng = cfg->rng,
                      .clock = cfg->clock,
                      .log = cfg->log};
    ok = keep(p, &p->cfg.backend);
    ok = keep(p, &p->cfg.path) && ok;
    if (cfg->server != NULL) {
        p->cfg.server = &p->server;
        ok = keep_server(p, cfg->server) && ok;
    }
    if (!ok) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    if (cfg->server != NULL && cfg->server->password != NULL) {
        const char *password = cfg->server->password;
        tdsa_status st =
            tdsa_secret_copy(&p->password, (const uint8_t *)password, strlen(password) + 1, err);

        if (st != TDSA_OK) {
            return st;
        }
        p->server.password = (const char *)tdsa_secret_view(p->password);
    }
    return TDSA_OK;
}

tdsa_status ks_sql_place_make(ks_sql_place **out, const ks_cfg *cfg, tdsa_err *err)
{
    ks_sql_place *p = calloc(1, sizeof *p);
    tdsa_status st;

    *out = NULL;
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    st = fill(p, cfg, err);
    if (st != TDSA_OK) {
        ks_sql_place_free(p);
        return st;
    }
    *out = p;
    return TDSA_OK;
}

const ks_cfg *ks_sql_place_cfg(const ks_sql_place *p)
{
    return &p->cfg;
}

void ks_sql_place_free(ks_sql_place *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->texts; i++) {
        free(p->text[i]);
    }
    tdsa_secret_free(p->password);
    free(p);
}
