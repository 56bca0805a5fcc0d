#ifndef SUPPORT_CLUSTER_H
#define SUPPORT_CLUSTER_H

#include "http/http.h"
#include "participant/engine.h"

/**
 * A group of participants in one process that talk over real HTTP on loopback: engines, stores in
 * memory, protocol ports on free ports, one communication thread each. For tests; aborts on failure.
 */
#define CLUSTER_MAX 5u

typedef struct {
    part_engine *engine;
    ks *store;
    http_server *http; /* NULL: a client, or stopped */
    struct cluster_worker *worker;
    part_engine_cfg cfg;
    uint16_t port;
} cluster_node;

typedef struct {
    uint16_t n;
    cluster_node node[CLUSTER_MAX];
} cluster;

/** with_client: participant 0 has no port. */
void cluster_start(cluster *c, uint16_t n, uint16_t t, bool with_client);
/** Takes a participant's port and engine down; its store stays. */
void cluster_stop_node(cluster *c, uint16_t index);
/** Starts it again on the same port. */
void cluster_start_node(cluster *c, uint16_t index);
void cluster_stop(cluster *c);

#endif
