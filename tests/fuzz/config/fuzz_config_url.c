#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "config/server_cfg.h"
#include "config/url.h"
#include "config/value.h"

/* Addresses and scalars from anywhere. cfg_jdbc_parse calls cfg_server_url_parse. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scalars(const char *text)
{
    int64_t v;
    double d;
    bool b;

    if (cfg_value_duration(text, &v)) {
        TDSA_ASSERT(v >= 0);
    }
    if (cfg_value_size(text, &v)) {
        TDSA_ASSERT(v >= 0);
    }
    (void)cfg_value_level(text);
    if (!cfg_value_int(text, &v) && !cfg_value_number(text, &d) && !cfg_value_bool(text, &b)) {
        return;
    }
}

/* Every text that came out of a URL ends inside it. */
static void server(const cfg_jdbc *db)
{
    const cfg_server_url *u = &db->server;
    const char *start;
    cfg_server out;
    tdsa_err err;

    if (u->text == NULL) {
        return;
    }
    start = (const char *)tdsa_secret_view(u->text);
    TDSA_ASSERT(u->hosts >= 1 && u->hosts <= KS_HOSTS_MAX);
    for (size_t i = 0; i < u->params; i++) {
        TDSA_ASSERT(u->param[i].value[strlen(u->param[i].value)] == '\0');
        TDSA_ASSERT(u->param[i].name >= start &&
                    u->param[i].name < start + tdsa_secret_len(u->text));
    }
    if (cfg_server_fill(&out, db, "url", u->param, u->params, NULL, &err) == TDSA_OK &&
        cfg_server_set_init(&out, "SELECT 1", &err) == TDSA_OK) {
        TDSA_ASSERT(strstr(out.server.pool.init_query, "SELECT 1") != NULL);
    }
    cfg_server_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048];
    char out[600];
    char again[600];
    cfg_jdbc db;
    tdsa_err err;

    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (cfg_url_endpoint(out, sizeof out, text, &err) == TDSA_OK) {
        /* an endpoint is its own endpoint */
        TDSA_ASSERT(cfg_url_endpoint(again, sizeof again, out, &err) == TDSA_OK);
        TDSA_ASSERT(strcmp(out, again) == 0);
    } else {
        TDSA_ASSERT(out[0] == '\0');
    }
    if (cfg_jdbc_parse(&db, NULL, text, &err) == TDSA_OK) {
        TDSA_ASSERT(strlen(db.path) <= size);
        server(&db);
        cfg_jdbc_clear(&db);
    }
    scalars(text);
    return 0;
}
