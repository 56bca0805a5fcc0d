#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"

/* /openapi.json and /docs, made from the table once at start. */

#define PATH_MAX_LEN 256u

/* What the holes of a path are called, in their order. */
static const struct {
    const char *name, *text;
} holes[] = {{"keyId", "Name of the key"}, {"presignatureId", "Name of the presignature"}};

#define HOLES_MAX (sizeof holes / sizeof holes[0])

/* "/v1/keys/{}" becomes "/v1/keys/{keyId}" */
static void doc_path(const svc_api_cfg *cfg, const svc_row *row, char out[PATH_MAX_LEN])
{
    const char *rest = row->path;
    size_t used = (size_t)snprintf(out, PATH_MAX_LEN, "%s", cfg->base_path);

    for (size_t i = 0; i < HOLES_MAX && strstr(rest, "{}") != NULL && used < PATH_MAX_LEN; i++) {
        const char *hole = strstr(rest, "{}");

        used += (size_t)snprintf(out + used, PATH_MAX_LEN - used, "%.*s{%s}", (int)(hole - rest),
                                 rest, holes[i].name);
        rest = hole + 2;
    }
    if (used < PATH_MAX_LEN) {
        (void)snprintf(out + used, PATH_MAX_LEN - used, "%s", rest);
    }
}

static json_t *choices_json(const svc_field *f)
{
    json_t *list = json_array();

    for (size_t i = 0; f->choices[i] != NULL; i++) {
        (void)json_array_append_new(list, json_string(f->choices[i]));
    }
    return list;
}

static void put_bounds(json_t *o, const svc_field *f)
{
    const int64_t unit = f->type == SVC_FIELD_HEX ? 2 : 1;

    switch (f->type) {
    case SVC_FIELD_INTEGER:
        svc_put(o, "minimum", json_integer((json_int_t)f->min));
        svc_put(o, "maximum", json_integer((json_int_t)f->max));
        break;
    case SVC_FIELD_CHOICE:
        svc_put(o, "enum", choices_json(f));
        break;
    case SVC_FIELD_INTEGERS:
        svc_put(o, "maxItems", json_integer(SVC_LIST_MAX));
        svc_put(o, "items",
                json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum", (json_int_t)f->min,
                          "maximum", (json_int_t)f->max));
        break;
    case SVC_FIELD_CHOICES:
        svc_put(o, "uniqueItems", json_true());
        svc_put(o, "items", json_pack("{s:s,s:o}", "type", "string", "enum", choices_json(f)));
        break;
    case SVC_FIELD_TEXT:
    case SVC_FIELD_ID:
    case SVC_FIELD_HEX:
        svc_put(o, "minLength", json_integer((json_int_t)(f->min * unit)));
        svc_put(o, "maxLength", json_integer((json_int_t)(f->max * unit)));
        break;
    case SVC_FIELD_BASE64S:
        svc_put(o, "minItems", json_integer(1));
        svc_put(o, "maxItems", json_integer(SVC_LIST_MAX));
        svc_put(o, "items", json_pack("{s:s}", "type", "string"));
        break;
    case SVC_FIELD_BASE64:
    case SVC_FIELD_BOOLEAN:
    case SVC_FIELD_OBJECTS: /* object_schema */
        break;
    }
}

static json_t *field_schema(const svc_field *f)
{
    json_t *o = json_object();
    char rule[240];

    svc_field_rule(f, rule, sizeof rule);
    svc_put(o, "type", json_string(svc_field_json_type(f)));
    svc_put(o, "description", json_sprintf("%s: %s", f->text, rule));
    put_bounds(o, f);
    if (f->example != NULL) {
        svc_put(o, "example", json_loads(f->example, JSON_DECODE_ANY, NULL));
    }
    return o;
}

/* An object of fields, without what is in lists of objects. */
static json_t *flat_schema(const svc_field *fields, size_t count)
{
    json_t *o = json_object();
    json_t *properties = json_object();
    json_t *required = json_array();

    for (size_t i = 0; i < count; i++) {
        svc_put(properties, fields[i].name, field_schema(&fields[i]));
        if (fields[i].required) {
            (void)json_array_append_new(required, json_string(fields[i].name));
        }
    }
    svc_put(o, "type", json_string("object"));
    svc_put(o, "additionalProperties", json_false());
    svc_put(o, "properties", properties);
    if (json_array_size(required) > 0) {
        svc_put(o, "required", required);
    } else {
        json_decref(required);
    }
    return o;
}

static json_t *body_schema(const svc_row *row)
{
    json_t *o = flat_schema(row->fields, row->field_count);
    json_t *properties = json_object_get(o, "properties");

    for (size_t i = 0; i < row->field_count; i++) {
        const svc_field *f = &row->fields[i];

        if (f->type == SVC_FIELD_OBJECTS) {
            json_t *list = json_object_get(properties, f->name);

            svc_put(list, "minItems", json_integer((json_int_t)f->min));
            svc_put(list, "maxItems", json_integer((json_int_t)f->max));
            svc_put(list, "items", flat_schema(row->items, row->item_count));
        }
    }
    return json_pack("{s:b,s:{s:{s:o}}}", "required", (int)(row->field_count > 0), "content",
                     "application/json", "schema", o);
}

static json_t *parameter(const char *name, const char *in, bool required, const char *text)
{
    return json_pack("{s:s,s:s,s:b,s:s,s:{s:s}}", "name", name, "in", in, "required", (int)required,
                     "description", text, "schema", "type", "string");
}

static json_t *parameters(const svc_row *row)
{
    json_t *list = json_array();
    const char *hole = row->path;

    for (size_t i = 0; i < HOLES_MAX && (hole = strstr(hole, "{}")) != NULL; i++, hole += 2) {
        (void)json_array_append_new(list, parameter(holes[i].name, "path", true, holes[i].text));
    }
    for (size_t i = 0; i < row->query_count; i++) {
        (void)json_array_append_new(
            list, parameter(row->queries[i].name, "query", false, row->queries[i].text));
    }
    return list;
}

static json_t *operation(const svc_row *row)
{
    char status[16];
    json_t *o = json_object();

    (void)snprintf(status, sizeof status, "%u", row->success);
    svc_put(o, "operationId", json_string(row->name));
    svc_put(o, "summary", json_string(row->summary));
    svc_put(o, "parameters", parameters(row));
    if (row->field_count > 0) {
        svc_put(o, "requestBody", body_schema(row));
    }
    svc_put(o, "responses",
            json_pack("{s:{s:s},s:{s:s,s:{s:{s:{s:s}}}}}", status, "description", "Done", "default",
                      "description", "Refused or failed", "content", "application/json", "schema",
                      "$ref", "#/components/schemas/Error"));
    return o;
}

static json_t *error_schema(void)
{
    return json_pack("{s:s,s:{s:{s:s},s:{s:s},s:{s:s},s:{s:s},s:{s:s},s:{s:s}}}", "type", "object",
                     "properties", "code", "type", "integer", "error", "type", "string", "message",
                     "type", "string", "details", "type", "string", "participantIndex", "type",
                     "integer", "requestId", "type", "string");
}

static void add_path(json_t *paths, const svc_api_cfg *cfg, const svc_row *row)
{
    static const char *const lower[SVC_METHOD_COUNT] = {"get",  "post",    "put",  "delete",
                                                        "head", "options", "patch"};
    char path[PATH_MAX_LEN];
    json_t *item;

    doc_path(cfg, row, path);
    item = json_object_get(paths, path);
    if (item == NULL) {
        svc_put(paths, path, json_object());
        item = json_object_get(paths, path);
    }
    svc_put(item, lower[row->method], operation(row));
}

char *svc_openapi_make(const svc_api_cfg *cfg)
{
    json_t *doc = json_object();
    json_t *paths = json_object();
    char *text;

    for (size_t i = 0; i < SVC_OP_COUNT; i++) {
        add_path(paths, cfg, &svc_rows[i]);
    }
    svc_put(doc, "openapi", json_string("3.0.3"));
    svc_put(doc, "info",
            json_pack("{s:s,s:s,s:s}", "title", "tdsa-service", "version", cfg->version,
                      "description", "Keys that exist nowhere: shared among participants."));
    svc_put(doc, "paths", paths);
    svc_put(doc, "components", json_pack("{s:{s:o}}", "schemas", "Error", error_schema()));
    text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    return text;
}

/* ---- the page ---- */

static void add_row(tdsa_buf *out, const char *prefix, const svc_field *f)
{
    char rule[240];

    svc_field_rule(f, rule, sizeof rule);
    tdsa_buf_appendf(out, "<tr><td><code>%s%s</code></td><td>%s</td><td>%s. %s</td></tr>\n", prefix,
                     f->name, f->required ? "required" : "optional", f->text, rule);
}

static void add_field(tdsa_buf *out, const svc_row *row, const svc_field *f)
{
    char prefix[40];

    add_row(out, "", f);
    (void)snprintf(prefix, sizeof prefix, "%.32s[].", f->name);
    for (size_t i = 0; f->type == SVC_FIELD_OBJECTS && i < row->item_count; i++) {
        add_row(out, prefix, &row->items[i]);
    }
}

static void add_section(tdsa_buf *out, const svc_api_cfg *cfg, const svc_row *row)
{
    char path[PATH_MAX_LEN];

    doc_path(cfg, row, path);
    tdsa_buf_appendf(out, "<h2 id=\"%s\"><code>%s %s</code></h2>\n<p>%s. Success: %u.", row->name,
                     svc_method_name(row->method), path, row->summary, row->success);
    if ((row->rules & SVC_RULE_NO_CLIENT) != 0) {
        tdsa_buf_append_str(out,
                            " Refused with 409 CLIENT_PARTICIPATES where a client takes part.");
    }
    tdsa_buf_append_str(out, "</p>\n");
    if (row->field_count + row->query_count == 0) {
        return;
    }
    tdsa_buf_append_str(out, "<table>\n");
    for (size_t i = 0; i < row->query_count; i++) {
        tdsa_buf_appendf(out, "<tr><td><code>?%s=</code></td><td>optional</td><td>%s</td></tr>\n",
                         row->queries[i].name, row->queries[i].text);
    }
    for (size_t i = 0; i < row->field_count; i++) {
        add_field(out, row, &row->fields[i]);
    }
    tdsa_buf_append_str(out, "</table>\n");
}

char *svc_docs_make(const svc_api_cfg *cfg)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    tdsa_buf_append_str(
        &out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
              "<title>tdsa-service API</title>\n<style>body{font-family:sans-serif;max-width:60em;"
              "margin:2em auto;padding:0 1em}td{padding:.2em 1em .2em 0;vertical-align:top}"
              "code{background:#eee}</style></head>\n<body><h1>tdsa-service API</h1>\n");
    tdsa_buf_appendf(&out,
                     "<p>Version %s. Bodies are JSON; unknown fields are refused. A failure is "
                     "<code>{\"code\":503,\"error\":\"UNAVAILABLE\",\"message\":\"...\","
                     "\"participantIndex\":2,\"requestId\":\"...\"}</code>. "
                     "The same as a document: <a href=\"openapi.json\">openapi.json</a>.</p>\n",
                     cfg->version);
    for (size_t i = 0; i < SVC_OP_COUNT; i++) {
        add_section(&out, cfg, &svc_rows[i]);
    }
    tdsa_buf_append_str(&out, "</body></html>\n");
    tdsa_buf_append_u8(&out, 0);
    return out.failed ? NULL : strdup((const char *)out.data);
}
