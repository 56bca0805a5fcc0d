#ifndef TEST_API_RIG_H
#define TEST_API_RIG_H

#include "answers.h"
#include "api/api.h"
#include "fake_server.h"

/** One API on a port of its own over a fake engine. */
typedef struct {
    part_engine *engine;
    svc_api *api;
    http_server *server;
    uint16_t port;
    unsigned seen; /* last status the observer was told */
    char last[32]; /* and its operation */
} rig;

#define DIGEST "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" /* of "test" */

/** client_index: PEER_NO_CLIENT or 0. methods: bits of svc_method, 0 for all. */
void rig_start(rig *r, int client_index, unsigned methods);
void rig_stop(rig *r);
/** POST /v1/keys:generate, which must succeed. */
void rig_make_key(rig *r, const char *body);

#endif
