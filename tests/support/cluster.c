#include "support/cluster.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dh.h"

struct cluster_worker {
    pthread_t thread;
};

static void must(tdsa_status st, const char *what, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "cluster: %s: %s\n", what, err->text);
        abort();
    }
}

static unsigned code_of(tdsa_status st)
{
    return st == TDSA_E_NOT_FOUND ? 404 : 503;
}

static void reply(void *ctx, const uint8_t *body, size_t len, const tdsa_err *err)
{
    http_request *r = ctx;

    if (err->status == TDSA_OK) {
        http_reply(r, 200, "application/octet-stream", body, len);
    } else {
        http_reply_error(r, code_of(err->status), err->text, NULL);
    }
}

/* Held while engines are made: the ports listen before, because engines must know their numbers. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

static void on_round(void *ctx, http_request *r)
{
    const cluster_node *n = ctx;
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);
    const char *session = http_request_header(r, "Session-Id");

    pthread_mutex_lock(&starting);
    pthread_mutex_unlock(&starting);
    part_engine_handle(n->engine, session == NULL ? "" : session, body, len, reply, r);
}

static const http_route routes[] = {{.method = "POST",
                                     .path = "/protocol/round",
                                     .handler = on_round,
                                     .body_max = TDSA_BUF_LEN_MAX}};

static void *work(void *engine)
{
    part_engine_work(engine);
    return NULL;
}

static void listen_on(cluster_node *n, uint16_t port)
{
    const http_cfg cfg = {.name = "protocol",
                          .host = "127.0.0.1",
                          .port = port,
                          .model = HTTP_POOL,
                          .threads = 2,
                          .body_max = TDSA_BUF_LEN_MAX,
                          .routes = routes,
                          .route_count = 1,
                          .ctx = n};
    tdsa_err err;

    must(http_server_start(&n->http, &cfg, &err), "listen", &err);
    n->port = http_server_port(n->http);
}

static void start_engine(cluster_node *n)
{
    tdsa_err err;

    must(part_engine_new(&n->engine, &n->cfg, &err), "engine", &err);
    if (n->port != 0) {
        n->worker = calloc(1, sizeof *n->worker);
        if (n->worker == NULL || pthread_create(&n->worker->thread, NULL, work, n->engine) != 0) {
            abort();
        }
    }
}

static void make_entry(peer_entry *e, uint16_t index, part_engine_cfg *cfg)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    must(tdsa_rng_fill(&rng, cfg->roster.my_x25519, 32, &err), "keys", &err);
    must(tdsa_rng_fill(&rng, cfg->roster.my_x448, 56, &err), "keys", &err);
    must(tdsa_dh_public(TDSA_DH_X25519, e->keys.x25519, cfg->roster.my_x25519, &err), "keys", &err);
    must(tdsa_dh_public(TDSA_DH_X448, e->keys.x448, cfg->roster.my_x448, &err), "keys", &err);
    (void)snprintf(e->id, sizeof e->id, "participant%u", index);
}

static void configure(cluster *c, uint16_t i, uint16_t t, bool with_client, const peer_roster *all)
{
    part_engine_cfg *cfg = &c->node[i].cfg;
    const ks_cfg store = {.backend = "memory",
                          .create_tables = true,
                          .encryptor = KS_ENCRYPTOR_AESGCM,
                          .encryption_key = "a secret of this test",
                          .unlock_at_open = true,
                          .rng = tdsa_os_rng(),
                          .clock = tdsa_os_clock()};
    tdsa_err err;

    memcpy(cfg->roster.at, all->at, sizeof all->at);
    cfg->roster.n = c->n;
    cfg->roster.me = i;
    cfg->roster.client_index = with_client ? 0 : PEER_NO_CLIENT;
    (void)snprintf(cfg->roster.server_group_id, sizeof cfg->roster.server_group_id, "test group");
    must(peer_roster_check(&cfg->roster, &err), "roster", &err);
    must(ks_open(&c->node[i].store, &store, &err), "store", &err);
    cfg->t = t;
    cfg->may_generate = true;
    cfg->session_timeout_ms = 10000;
    cfg->retries = 2;
    cfg->retry_delay_ms = 100;
    cfg->deadline_ms = 4000;
    cfg->default_presignature_limit = -1;
    cfg->presign_batch_min = 16;
    cfg->presign_batch_max = 256;
    cfg->http.connect_timeout_ms = 1000;
    cfg->http.request_timeout_ms = 10000;
    cfg->http.keep_alive_ms = 30000;
    cfg->http.connections_max = 8;
    cfg->store = c->node[i].store;
    cfg->clock = tdsa_os_clock();
    cfg->rng = tdsa_os_rng();
}

void cluster_start(cluster *c, uint16_t n, uint16_t t, bool with_client)
{
    peer_roster *all = calloc(1, sizeof *all);

    if (all == NULL || n > CLUSTER_MAX) {
        abort();
    }
    memset(c, 0, sizeof *c);
    c->n = n;
    pthread_mutex_lock(&starting);
    for (uint16_t i = 0; i < n; i++) {
        peer_entry *e = &all->at[i].entry[0];
        make_entry(e, i, &c->node[i].cfg);
        all->at[i].count = 1;
        if (with_client && i == 0) {
            all->at[i].count = 0;
            memset(e, 0, sizeof *e);
            continue;
        }
        listen_on(&c->node[i], 0);
        (void)snprintf(e->url, sizeof e->url, "http://127.0.0.1:%u/protocol/round",
                       c->node[i].port);
    }
    for (uint16_t i = 0; i < n; i++) {
        configure(c, i, t, with_client, all);
        start_engine(&c->node[i]);
    }
    pthread_mutex_unlock(&starting);
    free(all);
}

void cluster_stop_node(cluster *c, uint16_t index)
{
    cluster_node *n = &c->node[index];

    if (n->engine == NULL) {
        return;
    }
    part_engine_stop(n->engine);
    if (n->http != NULL) {
        (void)http_server_stop(n->http, 0);
    }
    if (n->worker != NULL) {
        (void)pthread_join(n->worker->thread, NULL);
        free(n->worker);
        n->worker = NULL;
    }
    part_engine_free(n->engine); /* answers what was suspended */
    n->engine = NULL;
    http_server_free(n->http);
    n->http = NULL;
}

void cluster_start_node(cluster *c, uint16_t index)
{
    cluster_node *n = &c->node[index];

    start_engine(n);
    if (n->port != 0) {
        listen_on(n, n->port);
    }
}

void cluster_stop(cluster *c)
{
    for (uint16_t i = 0; i < c->n; i++) {
        cluster_stop_node(c, i);
    }
    for (uint16_t i = 0; i < c->n; i++) {
        ks_close(c->node[i].store);
        peer_roster_clear(&c->node[i].cfg.roster);
    }
}
