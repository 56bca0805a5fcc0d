#ifndef API_FIELD_H
#define API_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/**
 * Request bodies: JSON objects, described field by field; a field may be a list of objects, which are
 * flat. The same description checks the body and writes the documentation.
 */
#define SVC_FIELDS_MAX     20u
#define SVC_LIST_MAX       16u
#define SVC_JSON_DEPTH_MAX 8u

typedef enum {
    SVC_FIELD_TEXT,    /* string of min..max bytes */
    SVC_FIELD_ID,      /* string of min..max characters of [A-Za-z0-9_.-] */
    SVC_FIELD_HEX,     /* string of hex digits for min..max bytes */
    SVC_FIELD_BASE64,  /* string of base64 for at most max bytes */
    SVC_FIELD_INTEGER, /* min..max */
    SVC_FIELD_CHOICE,  /* string, one of `choices` */
    SVC_FIELD_BOOLEAN,
    SVC_FIELD_INTEGERS, /* list of at most SVC_LIST_MAX integers of min..max, ascending */
    SVC_FIELD_CHOICES,  /* list of strings, each one of `choices` and none twice */
    SVC_FIELD_BASE64S,  /* list of 1..SVC_LIST_MAX strings of base64 for at most max bytes each */
    SVC_FIELD_OBJECTS   /* list of min..max objects (svc_shape) */
} svc_field_type;

typedef struct {
    const char *name;
    svc_field_type type;
    bool required;
    int64_t min, max;
    const char *const *choices; /* NULL-terminated */
    const char *example;        /* as it stands in JSON: "\"abc\"" or "5" */
    const char *text;           /* for people */
} svc_field;

/** What a body may hold. At most one of its fields is a list of objects, each of which holds `items`. */
typedef struct {
    const svc_field *fields;
    size_t count;
    const svc_field *items;
    size_t item_count;
} svc_shape;

typedef struct {
    bool present;
    const char *text; /* strings; lent from the document */
    size_t text_len;
    int64_t number;             /* a boolean: 0 or 1 */
    int64_t list[SVC_LIST_MAX]; /* integers, or places in `choices` */
    size_t list_len;            /* of lists of strings and objects too */
    const json_t *array;        /* those; lent */
} svc_value;

/** A checked body: values[i] belongs to fields[i]. */
typedef struct {
    json_t *doc; /* owned */
    svc_value values[SVC_FIELDS_MAX];
} svc_body;

/** What is wrong with a body, beside the tdsa_err text. */
typedef struct {
    unsigned http;    /* 400 or 422 */
    const char *code; /* "INVALID_JSON", "UNKNOWN_FIELD", "INVALID_FIELD", "MISSING_FIELD" */
    char field[96];   /* "" when it is not about one; "items[3].hash" */
} svc_body_fault;

/**
 * Reads `len` bytes strictly: one JSON object, no duplicate key, nothing behind it, nesting up to
 * SVC_JSON_DEPTH_MAX, only the fields described, each of its type and range. null is a wrong type.
 * No bytes at all count as {}.
 * Errors: TDSA_E_BAD_INPUT (fault filled), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status svc_body_read(svc_body *out, const svc_shape *shape, const uint8_t *bytes,
                                        size_t len, svc_body_fault *fault, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6)));
void svc_body_clear(svc_body *b) TDSA_NONNULL;
/** The values of object `i` in a list of them that was read: out[k] belongs to shape->items[k]. */
void svc_value_item(const svc_shape *shape, const svc_value *v, size_t i, svc_value *out)
    TDSA_NONNULL;
/** String `i` of a list of strings; its length in *len. */
const char *svc_value_text(const svc_value *v, size_t i, size_t *len) TDSA_NONNULL;

/** Of the names of fields, the one that was probably meant; NULL when none is near. */
const char *svc_field_near(const svc_field *fields, size_t count, const char *name);
/** "string", "integer", "array": the JSON type of a field. */
const char *svc_field_json_type(const svc_field *f) TDSA_NONNULL;
/** One line that says what the field may hold: "integer of 1..1024". */
void svc_field_rule(const svc_field *f, char *out, size_t cap) TDSA_NONNULL;

#endif
