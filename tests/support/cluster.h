#ifndef SUPPORT_CLUSTER_H
#define SUPPORT_CLUSTER_H

#include <pthread.h>

#include "http/http.h"
#include "participant/engine.h"

/**
 * A group of participants in one process that talk over real HTTP on loopback: engines, stores in
 * memory, protocol ports on free ports, one communication thread each. For tests; aborts on failure.
 */
#define CLUSTER_MAX      GRP_PARTIES_MAX
#define CLUSTER_HELD_MAX 64u /* requests that a frozen participant keeps */

typedef struct {
    part_engine *engine;
    ks *store;
    http_server *http; /* NULL: a client, or stopped */
    struct cluster_worker *worker;
    part_engine_cfg cfg;
    uint16_t port;
    bool client;
    pthread_mutex_t frozen_lock;
    bool frozen;
    http_request *held[CLUSTER_HELD_MAX];
    size_t held_count;
} cluster_node;

typedef struct {
    uint16_t n;
    cluster_node node[CLUSTER_MAX];
} cluster;

/** with_client: participant 0 has no port. */
void cluster_start(cluster *c, uint16_t n, uint16_t t, bool with_client);
/** The same after `tune` has changed the usual configuration of each participant. */
typedef void (*cluster_tune)(part_engine_cfg *cfg);
void cluster_start_as(cluster *c, uint16_t n, uint16_t t, bool with_client, cluster_tune tune);
/** Takes a participant's port and engine down; its store stays. */
void cluster_stop_node(cluster *c, uint16_t index);
/** Starts it again on the same port. */
void cluster_start_node(cluster *c, uint16_t index);
/** From now on it accepts requests and answers none, until it is thawed: then it answers them all. */
void cluster_freeze_node(cluster *c, uint16_t index);
void cluster_thaw_node(cluster *c, uint16_t index);
void cluster_stop(cluster *c);

#endif
