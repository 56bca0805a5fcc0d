#ifndef API_API_H
#define API_API_H

#include "http/http.h"
#include "participant/engine.h"

/**
 * The API port: JSON over HTTP for keys, presignatures and signatures (docs/api.md). One table
 * (route.h) drives routing, permissions, validation, /openapi.json and /docs.
 *
 * Handlers block while the participants talk, so the listener's model is HTTP_BLOCKING.
 * Threads: any number of requests at once.
 */
typedef struct svc_api svc_api;

/** Told when a request has ended: `operation` is the row's name ("sign"), "" when no row fitted. Must
 * not block. */
typedef void (*svc_api_done_fn)(void *ctx, const char *operation, const http_done *done);

typedef struct {
    part_engine *engine; /* lent */
    const tdsa_log *log; /* lent, may be NULL */
    const char *service; /* who answers, for GET /v1/info; NULL: "tdsa-service"; lent */
    const char *version; /* of the service; lent */
    /* facts for GET /v1/info and for refusals before the engine is asked */
    uint16_t n, t, me;
    int client_index; /* PEER_NO_CLIENT: servers only */
    bool may_generate;
    int64_t default_presignature_limit;
    uint32_t min_path, min_path_xpub; /* of new bip32 keys */
    uint32_t presign_request_max;     /* presignatures in one request; 0: no cap */
    const char *base_path; /* prefix of every route, "" or "/tdsa"; for the documentation; lent */
    unsigned methods;      /* bit (1 << svc_method) per allowed method; 0: all */
    svc_api_done_fn done;  /* may be NULL */
    void *done_ctx;
} svc_api_cfg;

typedef enum {
    SVC_GET,
    SVC_POST,
    SVC_PUT,
    SVC_DELETE,
    SVC_HEAD,
    SVC_OPTIONS,
    SVC_PATCH,
    SVC_METHOD_COUNT
} svc_method;
/** False when there is no such method. */
bool svc_method_by_name(svc_method *out, const char *name) TDSA_NONNULL;

/** Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status svc_api_new(svc_api **out, const svc_api_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
void svc_api_free(svc_api *a);

/** The routes, without base_path; their listener's ctx is the svc_api. Owned by `a`. */
const http_route *svc_api_routes(const svc_api *a, size_t *count) TDSA_NONNULL;
/** The listener's observer. */
void svc_api_observe(void *ctx, const http_done *done);

#endif
