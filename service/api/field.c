#include "api/field.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define NAME_MAX_LEN 64u
#define NEAR_MAX     3u /* letters that a suggestion may differ by */

static void fault_of(svc_body_fault *fault, unsigned http, const char *code, const char *prefix,
                     const char *field)
{
    fault->http = http;
    fault->code = code;
    (void)snprintf(fault->field, sizeof fault->field, "%s%.60s", prefix, field);
}

const char *svc_field_json_type(const svc_field *f)
{
    switch (f->type) {
    case SVC_FIELD_INTEGER:
        return "integer";
    case SVC_FIELD_BOOLEAN:
        return "boolean";
    case SVC_FIELD_INTEGERS:
    case SVC_FIELD_CHOICES:
    case SVC_FIELD_BASE64S:
    case SVC_FIELD_OBJECTS:
        return "array";
    case SVC_FIELD_TEXT:
    case SVC_FIELD_ID:
    case SVC_FIELD_HEX:
    case SVC_FIELD_BASE64:
    case SVC_FIELD_CHOICE:
        break;
    }
    return "string";
}

static void choices_rule(const svc_field *f, const char *before, char *out, size_t cap)
{
    size_t used = (size_t)snprintf(out, cap, "%s", before);

    for (size_t i = 0; f->choices[i] != NULL && used < cap; i++) {
        int n = snprintf(out + used, cap - used, "%s \"%s\"", i == 0 ? "" : ",", f->choices[i]);

        used += n > 0 ? (size_t)n : 0;
    }
}

void svc_field_rule(const svc_field *f, char *out, size_t cap)
{
    switch (f->type) {
    case SVC_FIELD_TEXT:
        (void)snprintf(out, cap, "a string of %" PRId64 "..%" PRId64 " bytes", f->min, f->max);
        break;
    case SVC_FIELD_ID:
        (void)snprintf(out, cap,
                       "%" PRId64 "..%" PRId64 " characters of [A-Za-z0-9_.-], not . or ..", f->min,
                       f->max);
        break;
    case SVC_FIELD_HEX:
        (void)snprintf(out, cap, "hex of %" PRId64 "..%" PRId64 " bytes", f->min, f->max);
        break;
    case SVC_FIELD_BASE64:
        (void)snprintf(out, cap, "base64 of at most %" PRId64 " bytes", f->max);
        break;
    case SVC_FIELD_INTEGER:
        (void)snprintf(out, cap, "an integer of %" PRId64 "..%" PRId64, f->min, f->max);
        break;
    case SVC_FIELD_CHOICE:
        choices_rule(f, "one of", out, cap);
        break;
    case SVC_FIELD_BOOLEAN:
        (void)snprintf(out, cap, "true or false");
        break;
    case SVC_FIELD_INTEGERS:
        (void)snprintf(out, cap, "a list of at most %u ascending integers of %" PRId64 "..%" PRId64,
                       SVC_LIST_MAX, f->min, f->max);
        break;
    case SVC_FIELD_CHOICES:
        choices_rule(f, "a list, without repetition, of", out, cap);
        break;
    case SVC_FIELD_BASE64S:
        (void)snprintf(out, cap, "a list of 1..%u strings of base64 of at most %" PRId64 " bytes",
                       SVC_LIST_MAX, f->max);
        break;
    case SVC_FIELD_OBJECTS:
        (void)snprintf(out, cap, "a list of %" PRId64 "..%" PRId64 " objects", f->min, f->max);
        break;
    }
}

/* The place of a word among the choices; -1: not there. */
static int64_t choice_of(const svc_field *f, const char *text)
{
    for (size_t i = 0; f->choices[i] != NULL; i++) {
        if (strcmp(f->choices[i], text) == 0) {
            return (int64_t)i;
        }
    }
    return -1;
}

static bool length_ok(const svc_field *f, size_t len, size_t unit)
{
    return len % unit == 0 && (int64_t)(len / unit) >= f->min && (int64_t)(len / unit) <= f->max;
}

/* RFC 3986 5.2.4: clients take "." and ".." out of a path, so no URL would name such a key. */
static bool is_dots(const char *text)
{
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

static bool text_ok(const svc_field *f, const char *text, size_t len)
{
    switch (f->type) {
    case SVC_FIELD_TEXT:
        return length_ok(f, len, 1);
    case SVC_FIELD_ID:
        return length_ok(f, len, 1) && !is_dots(text) &&
               strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
                   len;
    case SVC_FIELD_HEX:
        return length_ok(f, len, 2) && strspn(text, "0123456789abcdefABCDEF") == len;
    case SVC_FIELD_BASE64: /* the handler decodes; here only the length is bounded */
    case SVC_FIELD_BASE64S:
        return len <= ((size_t)f->max + 2) / 3 * 4 + 2;
    case SVC_FIELD_CHOICE:
        return choice_of(f, text) >= 0;
    case SVC_FIELD_INTEGER:
    case SVC_FIELD_BOOLEAN:
    case SVC_FIELD_INTEGERS:
    case SVC_FIELD_CHOICES:
    case SVC_FIELD_OBJECTS:
        break;
    }
    return false;
}

static bool item_ok(const svc_field *f, const json_t *item, svc_value *out)
{
    int64_t v = -1;

    if (f->type == SVC_FIELD_INTEGERS) {
        if (!json_is_integer(item)) {
            return false;
        }
        v = json_integer_value(item);
        if (v < f->min || v > f->max || (out->list_len > 0 && v <= out->list[out->list_len - 1])) {
            return false;
        }
    } else {
        v = json_is_string(item) ? choice_of(f, json_string_value(item)) : -1;
        for (size_t i = 0; i < out->list_len; i++) {
            v = out->list[i] == v ? -1 : v;
        }
        if (v < 0) {
            return false;
        }
    }
    out->list[out->list_len++] = v;
    return true;
}

static bool list_ok(const svc_field *f, const json_t *v, svc_value *out)
{
    const size_t count = json_array_size(v);

    if (!json_is_array(v) || count > SVC_LIST_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!item_ok(f, json_array_get(v, i), out)) {
            return false;
        }
    }
    return true;
}

/* Strings; what is in objects is read later. */
static bool array_ok(const svc_field *f, const json_t *v, svc_value *out)
{
    const size_t count = json_array_size(v);

    if (!json_is_array(v)) {
        return false;
    }
    out->array = v;
    out->list_len = count;
    if (f->type == SVC_FIELD_OBJECTS) {
        return (int64_t)count >= f->min && (int64_t)count <= f->max;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_string(item) ||
            !text_ok(f, json_string_value(item), json_string_length(item))) {
            return false;
        }
    }
    return count >= 1 && count <= SVC_LIST_MAX;
}

static bool value_ok(const svc_field *f, const json_t *v, svc_value *out)
{
    if (f->type == SVC_FIELD_BASE64S || f->type == SVC_FIELD_OBJECTS) {
        return array_ok(f, v, out);
    }
    if (f->type == SVC_FIELD_INTEGERS || f->type == SVC_FIELD_CHOICES) {
        return list_ok(f, v, out);
    }
    if (f->type == SVC_FIELD_BOOLEAN) {
        out->number = json_is_true(v) ? 1 : 0;
        return json_is_boolean(v);
    }
    if (f->type == SVC_FIELD_INTEGER) {
        if (!json_is_integer(v)) {
            return false;
        }
        out->number = json_integer_value(v);
        return out->number >= f->min && out->number <= f->max;
    }
    if (!json_is_string(v)) {
        return false;
    }
    out->text = json_string_value(v);
    out->text_len = json_string_length(v);
    return text_ok(f, out->text, out->text_len);
}

/* Nesting is bounded before the parser recurses. */
static bool depth_ok(const uint8_t *bytes, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted) {
            if (bytes[i] == '\\') {
                i++;
            } else if (bytes[i] == '"') {
                quoted = false;
            }
        } else if (bytes[i] == '"') {
            quoted = true;
        } else if (bytes[i] == '{' || bytes[i] == '[') {
            if (++depth > SVC_JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((bytes[i] == '}' || bytes[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static tdsa_status parse(json_t **out, const uint8_t *bytes, size_t len, svc_body_fault *fault,
                         tdsa_err *err)
{
    json_error_t at;

    if (len == 0) {
        *out = json_object();
        return *out != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory");
    }
    if (!depth_ok(bytes, len)) {
        fault_of(fault, 400, "INVALID_JSON", "", "");
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the body nests deeper than %u levels",
                         SVC_JSON_DEPTH_MAX);
    }
    *out = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, &at);
    if (*out == NULL) {
        fault_of(fault, 400, "INVALID_JSON", "", "");
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the body is not JSON: line %d, column %d: %s",
                         at.line, at.column, at.text);
    }
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        fault_of(fault, 400, "INVALID_JSON", "", "");
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the body is not a JSON object");
    }
    return TDSA_OK;
}

/* Levenshtein's distance of two short words, cut at NEAR_MAX + 1. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    const size_t a_len = strnlen(a, NAME_MAX_LEN + 1);
    const size_t b_len = strnlen(b, NAME_MAX_LEN + 1);

    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN) {
        return NEAR_MAX + 1;
    }
    for (size_t i = 0; i <= b_len; i++) {
        row[i] = i;
    }
    for (size_t i = 0; i < a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < b_len; k++) {
            const size_t change =
                diagonal + (tolower((unsigned char)a[i]) == tolower((unsigned char)b[k]) ? 0 : 1);
            const size_t gap = (row[k] < row[k + 1] ? row[k] : row[k + 1]) + 1;

            diagonal = row[k + 1];
            row[k + 1] = change < gap ? change : gap;
        }
    }
    return row[b_len];
}

const char *svc_field_near(const svc_field *fields, size_t count, const char *name)
{
    const char *best = NULL;
    size_t best_at = NEAR_MAX + 1;

    for (size_t i = 0; i < count; i++) {
        const size_t d = distance(fields[i].name, name);

        if (d < best_at && d < strlen(name)) {
            best = fields[i].name;
            best_at = d;
        }
    }
    return best;
}

static const svc_field *field_of(const svc_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* One object of a body: the body itself, or one in a list. */
typedef struct {
    const char *prefix; /* "", or "items[3]." */
    json_t *doc;
    const svc_field *fields;
    size_t count;
} object;

static tdsa_status refuse_unknown(const object *o, svc_body_fault *fault, tdsa_err *err)
{
    for (void *it = json_object_iter(o->doc); it != NULL; it = json_object_iter_next(o->doc, it)) {
        const char *name = json_object_iter_key(it);

        if (field_of(o->fields, o->count, name) == NULL) {
            const char *near = svc_field_near(o->fields, o->count, name);

            fault_of(fault, 400, "UNKNOWN_FIELD", o->prefix, name);
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown field \"%s%.64s\"%s%s%s", o->prefix,
                             name, near != NULL ? ": did you mean \"" : "",
                             near != NULL ? near : "", near != NULL ? "\"?" : "");
        }
    }
    return TDSA_OK;
}

static tdsa_status read_fields(const object *o, svc_value *out, svc_body_fault *fault,
                               tdsa_err *err)
{
    for (size_t i = 0; i < o->count; i++) {
        const svc_field *f = &o->fields[i];
        const json_t *v = json_object_get(o->doc, f->name);
        char rule[240];

        memset(&out[i], 0, sizeof out[i]);
        if (v == NULL && !f->required) {
            continue;
        }
        if (v != NULL && value_ok(f, v, &out[i])) {
            out[i].present = true;
            continue;
        }
        svc_field_rule(f, rule, sizeof rule);
        fault_of(fault, 422, v == NULL ? "MISSING_FIELD" : "INVALID_FIELD", o->prefix, f->name);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s%s %s be %s", o->prefix, f->name,
                         v == NULL ? "is missing: it must" : "must", rule);
    }
    return TDSA_OK;
}

static tdsa_status read_object(const object *o, svc_value *out, svc_body_fault *fault,
                               tdsa_err *err)
{
    const tdsa_status st = refuse_unknown(o, fault, err);

    return st == TDSA_OK ? read_fields(o, out, fault, err) : st;
}

/* The objects in a list, each by its place. */
static tdsa_status check_items(const svc_shape *shape, const char *name, const svc_value *v,
                               svc_body_fault *fault, tdsa_err *err)
{
    svc_value values[SVC_FIELDS_MAX];
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < v->list_len; i++) {
        char prefix[48];
        const object o = {.prefix = prefix,
                          .doc = json_array_get(v->array, i),
                          .fields = shape->items,
                          .count = shape->item_count};

        if (!json_is_object(o.doc)) {
            (void)snprintf(prefix, sizeof prefix, "%.16s[%zu]", name, i);
            fault_of(fault, 422, "INVALID_FIELD", prefix, "");
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s must be an object", prefix);
        }
        (void)snprintf(prefix, sizeof prefix, "%.16s[%zu].", name, i);
        st = read_object(&o, values, fault, err);
    }
    return st;
}

void svc_value_item(const svc_shape *shape, const svc_value *v, size_t i, svc_value *out)
{
    const object o = {.prefix = "",
                      .doc = json_array_get(v->array, i),
                      .fields = shape->items,
                      .count = shape->item_count};
    svc_body_fault fault;
    tdsa_err err;

    TDSA_ASSERT(read_fields(&o, out, &fault, &err) == TDSA_OK); /* it was checked */
}

const char *svc_value_text(const svc_value *v, size_t i, size_t *len)
{
    const json_t *item = json_array_get(v->array, i);

    TDSA_ASSERT(json_is_string(item));
    *len = json_string_length(item);
    return json_string_value(item);
}

tdsa_status svc_body_read(svc_body *out, const svc_shape *shape, const uint8_t *bytes, size_t len,
                          svc_body_fault *fault, tdsa_err *err)
{
    object body = {.prefix = "", .fields = shape->fields, .count = shape->count};
    tdsa_status st;

    memset(out, 0, sizeof *out);
    memset(fault, 0, sizeof *fault);
    st = parse(&out->doc, bytes, len, fault, err);
    body.doc = out->doc;
    if (st == TDSA_OK) {
        st = read_object(&body, out->values, fault, err);
    }
    for (size_t i = 0; st == TDSA_OK && i < shape->count; i++) {
        if (shape->fields[i].type == SVC_FIELD_OBJECTS && out->values[i].present) {
            st = check_items(shape, shape->fields[i].name, &out->values[i], fault, err);
        }
    }
    if (st != TDSA_OK) {
        svc_body_clear(out);
    }
    return st;
}

void svc_body_clear(svc_body *b)
{
    json_decref(b->doc);
    memset(b, 0, sizeof *b);
}
