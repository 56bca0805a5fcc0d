#include "api/error.h"

#include <string.h>

#define CLIENT_PARTICIPATES "CLIENT_PARTICIPATES"
#define KEY_DELETING        "KEY_DELETING"
#define KEY_NOT_ACTIVE      "KEY_NOT_ACTIVE"
#define WAS_DELETED         "was deleted"
#define TOO_MANY_REQUESTS   429u

/* Errors of the engine that begin with a name of their own. */
static const char *own_name(const tdsa_err *err)
{
    static const char *const names[] = {PART_EXPIRED, PART_PRESIGNATURE_USED, PART_SIGNATURE_FAILED,
                                        PART_PARTIAL_UNKNOWN};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const size_t len = strlen(names[i]);

        if (strncmp(err->text, names[i], len) == 0 && err->text[len] == ':') {
            return names[i];
        }
    }
    return NULL;
}

static bool is_expired(const tdsa_err *err)
{
    const char *name = own_name(err);

    return name != NULL && strcmp(name, PART_EXPIRED) == 0;
}

unsigned svc_http_status(const tdsa_err *err)
{
    switch (err->status) {
    case TDSA_OK:
        return 200;
    case TDSA_E_BAD_INPUT:
        return 400;
    case TDSA_E_NOT_FOUND:
        return 404;
    case TDSA_E_DENIED:
        return 403;
    case TDSA_E_LIMIT:
        return part_is_rate_limited(err) ? TOO_MANY_REQUESTS : 409;
    case TDSA_E_CONFLICT:
        return is_expired(err) ? 410 : 409;
    case TDSA_E_PROTOCOL:
    case TDSA_E_VERIFY:
        return 502;
    case TDSA_E_LOGIN:
    case TDSA_E_BUSY:
    case TDSA_E_UNAVAILABLE:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
    case TDSA_E_NO_MEMORY:
        return 503;
    case TDSA_E_TIMEOUT:
        return 504;
    case TDSA_E_CRYPTO:
    case TDSA_E_CONFIG:
    case TDSA_E_INTERNAL:
        return 500;
    }
    return 500;
}

const char *svc_error_code(const tdsa_err *err)
{
    if (err->status == TDSA_E_CONFLICT && strstr(err->text, CLIENT_PARTICIPATES) != NULL) {
        return CLIENT_PARTICIPATES;
    }
    if (err->status == TDSA_E_CONFLICT && strstr(err->text, PART_RESTORED ":") != NULL) {
        return KEY_NOT_ACTIVE; /* here, or at the participant named */
    }
    if (err->status == TDSA_E_CONFLICT && strstr(err->text, "DELETING:") != NULL) {
        return KEY_DELETING;
    }
    if (part_is_rate_limited(err)) {
        return PART_RATE_LIMITED;
    }
    if (err->status == TDSA_E_DENIED && strstr(err->text, PART_NOT_APPROVED ":") != NULL) {
        return PART_NOT_APPROVED; /* here, or at the participant named */
    }
    if (err->status == TDSA_E_DENIED && strstr(err->text, PART_APPROVAL_EXPIRED ":") != NULL) {
        return PART_APPROVAL_EXPIRED;
    }
    return own_name(err) != NULL ? own_name(err) : tdsa_status_name(err->status);
}

bool svc_error_is_tombstone(const tdsa_err *err)
{
    return err->status == TDSA_E_NOT_FOUND && strstr(err->text, WAS_DELETED) != NULL;
}

bool svc_error_is_passing(tdsa_status status)
{
    return status == TDSA_E_BUSY || status == TDSA_E_UNAVAILABLE || status == TDSA_E_TIMEOUT ||
           status == TDSA_E_WRAPPING || status == TDSA_E_STORE; /* they come back by themselves */
}

static void put(json_t *to, const char *name, json_t *value)
{
    (void)json_object_set_new(to, name, value);
}

/* Texts may quote half a UTF-8 character. */
static json_t *text_json(const char *text)
{
    json_t *v = json_string(text);
    char plain[TDSA_ERR_TEXT_MAX];
    size_t i = 0;

    if (v != NULL) {
        return v;
    }
    for (; text[i] != '\0' && i + 1 < sizeof plain; i++) {
        plain[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    }
    plain[i] = '\0';
    return json_string(plain);
}

json_t *svc_failure_json(const svc_failure *f, const tdsa_err *err)
{
    json_t *o = json_object();

    put(o, "code", json_integer((json_int_t)f->http));
    put(o, "error", json_string(f->code));
    put(o, "message", text_json(err->text));
    if (f->details != NULL) {
        put(o, "details", text_json(f->details));
    }
    if (err->participant != TDSA_NOBODY) {
        put(o, "participantIndex", json_integer(err->participant));
    }
    if (f->request_id != NULL) {
        put(o, "requestId", json_string(f->request_id));
    }
    return o;
}
