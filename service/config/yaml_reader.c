#include "config/yaml_reader.h"

#include <string.h>

#include <yaml.h>

#include "base/secret.h"

typedef struct {
    yaml_parser_t parser;
    cfg_tree *tree;
    cfg_node *open; /* the collection being filled; NULL before the root and after it */
    bool has_key;   /* a key of `open` was read and waits for its value */
    bool done;      /* end of the stream */
    size_t documents;
    char key[CFG_KEY_MAX + 1];
} reader;

static tdsa_status fail_at(const yaml_mark_t *mark, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_CONFIG, "%s at line %zu, column %zu", what, mark->line + 1,
                     mark->column + 1);
}

/* libyaml keeps the text in its own buffers and frees them as they are. */
static void wipe_parser(yaml_parser_t *p)
{
    if (p->raw_buffer.start != NULL) {
        tdsa_wipe(p->raw_buffer.start, (size_t)(p->raw_buffer.end - p->raw_buffer.start));
    }
    if (p->buffer.start != NULL) {
        tdsa_wipe(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
    }
    yaml_parser_delete(p);
}

static void wipe_event(yaml_event_t *e)
{
    if (e->type == YAML_SCALAR_EVENT && e->data.scalar.value != NULL) {
        tdsa_wipe(e->data.scalar.value, e->data.scalar.length);
    }
    yaml_event_delete(e);
}

static tdsa_status take_key(reader *r, const yaml_event_t *e, tdsa_err *err)
{
    const char *text = (const char *)e->data.scalar.value;

    if (e->data.scalar.length > CFG_KEY_MAX) {
        return fail_at(&e->start_mark, "key too long", err);
    }
    if (e->data.scalar.length == 0 || strlen(text) != e->data.scalar.length) {
        return fail_at(&e->start_mark, "empty key or NUL inside a key", err);
    }
    if (cfg_node_child(r->open, text) != NULL) {
        return fail_at(&e->start_mark, "duplicate key", err);
    }
    memcpy(r->key, text, e->data.scalar.length + 1);
    r->has_key = true;
    return TDSA_OK;
}

/* Adds a node where the reader stands. */
static tdsa_status add(reader *r, cfg_node **out, cfg_node_kind kind, const yaml_event_t *e,
                       tdsa_err *err)
{
    const bool in_map = r->open != NULL && r->open->kind == CFG_NODE_MAP;
    tdsa_status st;

    *out = NULL;
    if (in_map && !r->has_key) {
        return fail_at(&e->start_mark, "a key must be a scalar", err);
    }
    st = cfg_tree_add(r->tree, out, r->open, kind, in_map ? r->key : NULL, err);
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "line %zu, column %zu", e->start_mark.line + 1,
                             e->start_mark.column + 1);
    }
    r->has_key = false;
    (*out)->line = e->start_mark.line + 1;
    (*out)->col = e->start_mark.column + 1;
    return TDSA_OK;
}

static bool is_null(const char *text)
{
    return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static tdsa_status take_scalar(reader *r, const yaml_event_t *e, tdsa_err *err)
{
    const char *text = (const char *)e->data.scalar.value;
    const bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    cfg_node *n;
    tdsa_status st;

    if (e->data.scalar.anchor != NULL) {
        return fail_at(&e->start_mark, "anchors are not supported", err);
    }
    if (e->data.scalar.tag != NULL) {
        return fail_at(&e->start_mark, "tags are not supported", err);
    }
    if (r->open != NULL && r->open->kind == CFG_NODE_MAP && !r->has_key) {
        return take_key(r, e, err);
    }
    if (e->data.scalar.length > CFG_TEXT_MAX) {
        return fail_at(&e->start_mark, "value too long", err);
    }
    if (strlen(text) != e->data.scalar.length) {
        return fail_at(&e->start_mark, "NUL inside a value", err);
    }
    if (r->open == NULL && !(plain && is_null(text))) {
        return fail_at(&e->start_mark, "the document is not a map of keys", err);
    }
    if (r->open == NULL) {
        return add(r, &n, CFG_NODE_MAP, e, err); /* an empty document */
    }
    st = add(r, &n, CFG_NODE_SCALAR, e, err);
    if (st != TDSA_OK) {
        return st;
    }
    return cfg_node_set(n, plain && is_null(text) ? NULL : text, plain, err);
}

static tdsa_status open_collection(reader *r, cfg_node_kind kind, const yaml_event_t *e,
                                   const yaml_char_t *anchor, const yaml_char_t *tag, tdsa_err *err)
{
    cfg_node *n;
    tdsa_status st;

    if (anchor != NULL) {
        return fail_at(&e->start_mark, "anchors are not supported", err);
    }
    if (tag != NULL) {
        return fail_at(&e->start_mark, "tags are not supported", err);
    }
    if (r->open == NULL && kind != CFG_NODE_MAP) {
        return fail_at(&e->start_mark, "the document is not a map of keys", err);
    }
    st = add(r, &n, kind, e, err);
    if (st == TDSA_OK) {
        r->open = n;
    }
    return st;
}

static tdsa_status take(reader *r, const yaml_event_t *e, tdsa_err *err)
{
    switch (e->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return TDSA_OK;
    case YAML_STREAM_END_EVENT:
        r->done = true;
        return TDSA_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++ > 0) {
            return fail_at(&e->start_mark, "a second document begins", err);
        }
        return TDSA_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(&e->start_mark, "aliases are not supported", err);
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e, err);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(r, CFG_NODE_SEQ, e, e->data.sequence_start.anchor,
                               e->data.sequence_start.tag, err);
    case YAML_MAPPING_START_EVENT:
        return open_collection(r, CFG_NODE_MAP, e, e->data.mapping_start.anchor,
                               e->data.mapping_start.tag, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->open = r->open->parent;
        return TDSA_OK;
    }
    return fail_at(&e->start_mark, "unexpected YAML", err);
}

static tdsa_status malformed(const yaml_parser_t *p, tdsa_err *err)
{
    const char *what = p->problem == NULL ? "unreadable" : p->problem;

    if (p->error == YAML_MEMORY_ERROR) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory to read YAML");
    }
    if (p->error == YAML_READER_ERROR) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "Malformed YAML at byte %zu: %s", p->problem_offset,
                         what);
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG, "Malformed YAML at line %zu, column %zu: %s",
                     p->problem_mark.line + 1, p->problem_mark.column + 1, what);
}

tdsa_status cfg_yaml_read(cfg_tree *out, const uint8_t *bytes, size_t len, tdsa_err *err)
{
    reader r = {.tree = out};
    yaml_event_t event;
    cfg_node *root;
    tdsa_status st = TDSA_OK;

    *out = (cfg_tree){NULL, NULL, 0};
    if (len > CFG_DOCUMENT_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the document is longer than %u bytes",
                         CFG_DOCUMENT_MAX);
    }
    if (yaml_parser_initialize(&r.parser) == 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory to read YAML");
    }
    yaml_parser_set_input_string(&r.parser, bytes == NULL ? (const uint8_t *)"" : bytes, len);
    while (st == TDSA_OK && !r.done) {
        if (yaml_parser_parse(&r.parser, &event) == 0) {
            st = malformed(&r.parser, err);
            break;
        }
        st = take(&r, &event, err);
        wipe_event(&event);
    }
    wipe_parser(&r.parser);
    if (st == TDSA_OK && out->root == NULL) {
        st = cfg_tree_add(out, &root, NULL, CFG_NODE_MAP, NULL, err);
    }
    if (st != TDSA_OK) {
        cfg_tree_clear(out);
    }
    return st;
}
