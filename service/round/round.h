#ifndef ROUND_ROUND_H
#define ROUND_ROUND_H

#include <stdatomic.h>

#include "http/http.h"
#include "participant/engine.h"

/**
 * The protocol port: POST /protocol/round hands a peer's message to the engine and answers when the
 * engine does, on whatever thread that is. Needs the header Session-Id (16..64 characters of
 * [A-Za-z0-9._-]) and an application/octet-stream body. Errors are small JSON objects
 * {"code":404,"error":"NOT_FOUND","message":"..."}.
 */
#define SVC_ROUND_PATH         "/protocol/round"
#define SVC_SESSION_ID_LEN_MIN 16u
#define SVC_SESSION_ID_LEN_MAX 64u
#define SVC_ROUND_WAITING_MAX  4096u
#define SVC_ROUND_CONTENT_TYPE "application/octet-stream"

typedef void (*svc_round_done_fn)(void *ctx, const http_done *done);

typedef struct {
    part_engine *engine; /* lent */
    const tdsa_log *log; /* may be NULL */
    size_t waiting_max;  /* requests inside the engine at once; more: 503 */
    atomic_size_t waiting;
    svc_round_done_fn done; /* told when a request has ended; must not block; may be NULL */
    void *done_ctx;
} svc_round;

/** waiting_max 0: SVC_ROUND_WAITING_MAX. Nobody is told of the end of requests. */
void svc_round_init(svc_round *r, part_engine *engine, const tdsa_log *log, size_t waiting_max)
    __attribute__((nonnull(1, 2)));

/** The route; its listener's ctx is a svc_round. Static. */
const http_route *svc_round_routes(size_t *count) TDSA_NONNULL;

/** The listener's observer. */
void svc_round_observe(void *ctx, const http_done *done);

bool svc_session_id_ok(const char *text) TDSA_NONNULL;

/** HTTP status of an error on this port (engine.h, part_engine_handle). */
unsigned svc_round_http_status(tdsa_status status);

#endif
