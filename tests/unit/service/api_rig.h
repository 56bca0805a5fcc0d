#ifndef TEST_API_RIG_H
#define TEST_API_RIG_H

#include <jansson.h>

#include "api/api.h"
#include "fake_server.h"
#include "http_client.h"

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

/** The body as an object; decref it. */
json_t *answer_object(const test_answer *a);
/** A string member; it must be there. */
const char *text_of(json_t *o, const char *name);
/** The answer is an error of this status and code; message may be part of the text, or NULL. */
void expect_error(const test_answer *a, unsigned status, const char *code, const char *message);

#endif
