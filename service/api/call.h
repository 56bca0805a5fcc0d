#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"
#include "api/field.h"
#include "api/route.h"

/** One request on its way through a handler. */
typedef struct svc_call {
    const svc_api *api;
    http_request *request;
    const svc_row *row;
    svc_body body;     /* checked against row->fields */
    part_key_info key; /* SVC_RULE_KEY */
    /* the answer */
    json_t *reply;                /* owned; NULL: none or `text` */
    const char *text, *text_type; /* lent */
    unsigned success;             /* 0: that of the row */
    /* a failure beside the tdsa_err */
    unsigned fail_http;    /* 0: from the status */
    const char *fail_code; /* NULL: from the error */
    char fail_details[128];
} svc_call;

struct svc_api {
    svc_api_cfg cfg;
    http_route routes[SVC_OP_COUNT];
    char *openapi, *docs; /* owned */
};

/** Every handler: fills the answer, or fails with `err`. */
#define SVC_API_DECLARE(op, ...) tdsa_status svc_api_do_##op(svc_call *c, tdsa_err *err);
SVC_API_ROUTES(SVC_API_DECLARE)
#undef SVC_API_DECLARE

/** Fails with an HTTP status and code of its own; returns TDSA_E_BAD_INPUT (or the status given). */
tdsa_status svc_call_refuse(svc_call *c, unsigned http, const char *code, const char *details,
                            tdsa_status status, tdsa_err *err, const char *text)
    __attribute__((nonnull(1, 3, 6, 7)));
/** Puts a member into an answer; a failure (no memory) leaves it out. */
void svc_put(json_t *to, const char *name, json_t *value) __attribute__((nonnull(2)));
/** The value of a body field. */
const svc_value *svc_call_value(const svc_call *c, unsigned i) TDSA_NONNULL;

/** What GET /v1/keys/{id} shows. */
json_t *svc_key_json(const part_key_info *k) TDSA_NONNULL;
/** RFC 3339, UTC; NULL: no memory. */
json_t *svc_time_json(uint64_t wall_ms);
/** deletionTime (due_ms 0: it is being undone) and pending of a key that is DELETING. */
void svc_deletion_put(json_t *o, uint64_t due_ms, uint32_t pending) __attribute__((nonnull(1)));

/** The answer of whatever made or changed a key. Errors: TDSA_E_NOT_FOUND. */
tdsa_status svc_key_show(svc_call *c, const char *key_id, tdsa_err *err) TDSA_NONNULL;
/** A new key from the fields of a registration; lent from the body. Errors: TDSA_E_BAD_INPUT. */
tdsa_status svc_key_spec_read(svc_call *c, part_key_spec *spec, tdsa_err *err) TDSA_NONNULL;

/** What a new key may be used for, from the body of a registration: curve, scheme and policy.
 * Errors: TDSA_E_BAD_INPUT. */
tdsa_status svc_policy_read(svc_call *c, part_key_spec *spec, tdsa_err *err) TDSA_NONNULL;
/** The same as a key's document shows it. */
void svc_policy_put(json_t *o, const part_key_info *k) TDSA_NONNULL;
/** "m/44/0" */
json_t *svc_path_json(const uint32_t *path, size_t len) __attribute__((nonnull(1)));
/** The compressed form of a public key in hex. NULL: no memory, no point. */
json_t *svc_point_json(const uint8_t *raw, size_t len) TDSA_NONNULL;

/** The package of a key as a document. */
json_t *svc_recovery_json(const char *key_id, const part_recovery_package *pkg) TDSA_NONNULL;

/* The documents made from the table (document.c). NULL: no memory. Free with free(). */
char *svc_openapi_make(const svc_api_cfg *cfg) TDSA_NONNULL;
char *svc_docs_make(const svc_api_cfg *cfg) TDSA_NONNULL;
const char *svc_method_name(svc_method m);

#endif
