#ifndef API_ERROR_H
#define API_ERROR_H

#include <jansson.h>
#include <stdbool.h>

#include "participant/engine.h"

/**
 * How a failure looks on the API port; the only place that maps tdsa_status to HTTP. The stable
 * name in "error" is the status' own (tdsa_status_name), the same that logs show, or a finer one
 * where a caller must tell cases apart.
 */
typedef struct {
    unsigned http;
    const char *code; /* "error" of the body; static or lent */
    const char *details;
    const char *request_id;
} svc_failure;

/** HTTP status of a failure. */
unsigned svc_http_status(const tdsa_err *err) TDSA_NONNULL;
/** Finer name of an error of the engine, else tdsa_status_name: CLIENT_PARTICIPATES, RATE_LIMITED,
 * and the names of the errors of partial signatures (engine.h). */
const char *svc_error_code(const tdsa_err *err) TDSA_NONNULL;
/** True when the key was there and was deleted: 410 rather than 404. */
bool svc_error_is_tombstone(const tdsa_err *err) TDSA_NONNULL;
/** True when trying again later can help (Retry-After is sent). */
bool svc_error_is_passing(tdsa_status status);

/**
 * {"code":503,"error":"UNAVAILABLE","message":"...","details":"...","participantIndex":2,
 * "requestId":"..."}; details and participantIndex only when known. NULL when out of memory.
 */
json_t *svc_failure_json(const svc_failure *f, const tdsa_err *err) TDSA_NONNULL;

#endif
