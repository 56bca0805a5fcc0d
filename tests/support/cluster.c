#include "support/cluster.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/roster.h"

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

static void hand_in(const cluster_node *n, http_request *r)
{
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);
    const char *session = http_request_header(r, "Session-Id");

    part_engine_handle(n->engine, session == NULL ? "" : session, body, len, reply, r);
}

/* A frozen participant takes what comes and does not look at it. */
static bool hold(cluster_node *n, http_request *r)
{
    bool frozen = false;

    pthread_mutex_lock(&n->frozen_lock);
    frozen = n->frozen && n->held_count < CLUSTER_HELD_MAX;
    if (frozen) {
        n->held[n->held_count++] = r;
    }
    pthread_mutex_unlock(&n->frozen_lock);
    return frozen;
}

static void on_round(void *ctx, http_request *r)
{
    cluster_node *n = ctx;

    pthread_mutex_lock(&starting);
    pthread_mutex_unlock(&starting);
    if (!hold(n, r)) {
        hand_in(n, r);
    }
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

static void configure(cluster *c, uint16_t i, uint16_t t)
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

static void put_url(void *ctx, uint16_t index, char out[PEER_URL_MAX + 1])
{
    const cluster *c = ctx;

    (void)snprintf(out, PEER_URL_MAX + 1, "http://127.0.0.1:%u/protocol/round",
                   c->node[index].port);
}

void cluster_start_as(cluster *c, uint16_t n, uint16_t t, bool with_client, cluster_tune tune)
{
    const roster_spec spec = {.n = n,
                              .with_client = with_client,
                              .group_id = "test group",
                              .rng = tdsa_os_rng(),
                              .url = put_url,
                              .ctx = c};
    peer_roster *rosters[GRP_PARTIES_MAX];

    if (n > CLUSTER_MAX) {
        abort();
    }
    memset(c, 0, sizeof *c);
    c->n = n;
    pthread_mutex_lock(&starting);
    for (uint16_t i = 0; i < n; i++) {
        c->node[i].client = with_client && i == 0;
        pthread_mutex_init(&c->node[i].frozen_lock, NULL);
        rosters[i] = &c->node[i].cfg.roster;
        if (!c->node[i].client) {
            listen_on(&c->node[i], 0);
        }
    }
    roster_make(rosters, &spec);
    for (uint16_t i = 0; i < n; i++) {
        configure(c, i, t);
        if (tune != NULL) {
            tune(&c->node[i].cfg);
        }
        start_engine(&c->node[i]);
    }
    pthread_mutex_unlock(&starting);
}

void cluster_start(cluster *c, uint16_t n, uint16_t t, bool with_client)
{
    cluster_start_as(c, n, t, with_client, NULL);
}

void cluster_freeze_node(cluster *c, uint16_t index)
{
    cluster_node *n = &c->node[index];

    pthread_mutex_lock(&n->frozen_lock);
    n->frozen = true;
    pthread_mutex_unlock(&n->frozen_lock);
}

void cluster_thaw_node(cluster *c, uint16_t index)
{
    cluster_node *n = &c->node[index];
    http_request *held[CLUSTER_HELD_MAX];
    size_t count = 0;

    pthread_mutex_lock(&n->frozen_lock);
    n->frozen = false;
    count = n->held_count;
    memcpy(held, n->held, count * sizeof held[0]);
    n->held_count = 0;
    pthread_mutex_unlock(&n->frozen_lock);
    for (size_t i = 0; i < count; i++) {
        hand_in(n, held[i]);
    }
}

void cluster_stop_node(cluster *c, uint16_t index)
{
    cluster_node *n = &c->node[index];

    if (n->engine == NULL) {
        return;
    }
    cluster_thaw_node(c, index);
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
        (void)pthread_mutex_destroy(&c->node[i].frozen_lock);
        ks_close(c->node[i].store);
        peer_roster_clear(&c->node[i].cfg.roster);
    }
}
