#include "config/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/lookup.h"
#include "config/suggest.h"
#include "config/value.h"

#define PROBLEMS_MAX 20u

typedef struct {
    const char *source;
    tdsa_buf list; /* "  * ..." lines */
    size_t count;
    char first[TDSA_ERR_TEXT_MAX]; /* the first problem, one line */
    tdsa_status failed;            /* something else than a problem of the document */
    tdsa_err *err;
} check;

/* `text` is one line; `more` (may be "") stands below it in the list. */
static void problem(check *c, const char *text, const char *one_line, const char *more)
{
    if (c->count++ == 0) {
        (void)snprintf(c->first, sizeof c->first, "%s", one_line);
    }
    if (c->count <= PROBLEMS_MAX) {
        tdsa_buf_appendf(&c->list, "  * %s\n%s", text, more);
    }
}

/* The problem "<before><path><after>" with the place in the document. */
static void problem_at(check *c, const char *before, const cfg_node *n, const char *after)
{
    char path[CFG_PATH_MAX];
    char place[64] = "";
    char line[3 * CFG_PATH_MAX];

    cfg_node_path(n, false, path, sizeof path);
    if (n->line != 0) {
        (void)snprintf(place, sizeof place, " (line %zu, column %zu)", n->line, n->col);
    }
    (void)snprintf(line, sizeof line, "%s%s%s%s", before, path, after, place);
    problem(c, line, line, "");
}

static void unrecognized(check *c, const cfg_node *n)
{
    const char *best[CFG_SUGGESTIONS_MAX];
    char path[CFG_PATH_MAX];
    char text[CFG_PATH_MAX + 32];
    char line[2 * CFG_PATH_MAX];
    TDSA_SCOPED_BUF more = TDSA_BUF_EMPTY;
    size_t total;

    cfg_node_path(n->parent, true, path, sizeof path);
    total = cfg_suggest(path, n->key, best);
    cfg_node_path(n, false, path, sizeof path);
    (void)snprintf(text, sizeof text, "Unrecognized field at: %s", path);
    if (total == 0) {
        problem(c, text, text, "");
        return;
    }
    (void)snprintf(line, sizeof line, "%s. Did you mean %s?", text, best[0]);
    tdsa_buf_append_str(&more, "    Did you mean?:\n");
    for (size_t i = 0; i < total && i < CFG_SUGGESTIONS_MAX; i++) {
        tdsa_buf_appendf(&more, "      - %s\n", best[i]);
    }
    if (total > CFG_SUGGESTIONS_MAX) {
        tdsa_buf_appendf(&more, "        [%zu more]\n", total - CFG_SUGGESTIONS_MAX);
    }
    tdsa_buf_append_u8(&more, 0);
    problem(c, text, line, more.failed ? "" : (const char *)more.data);
}

/* What the value is, in the words of the Java service. */
static const char *kind_name(const cfg_node *n)
{
    int64_t i;
    double d;
    bool b;

    switch (n->kind) {
    case CFG_NODE_NULL:
        return "null";
    case CFG_NODE_MAP:
        return "Object";
    case CFG_NODE_SEQ:
        return "Array";
    case CFG_NODE_SCALAR:
        break;
    }
    if (n->plain && cfg_value_int(n->text, &i)) {
        return "Integer";
    }
    if (n->plain && cfg_value_bool(n->text, &b)) {
        return "Boolean";
    }
    return n->plain && cfg_value_number(n->text, &d) ? "Double" : "String";
}

static void wrong_type(check *c, cfg_node *n)
{
    char detail[128];

    (void)snprintf(detail, sizeof detail, "; is of type: %s, expected: %s", kind_name(n),
                   cfg_type_name(n->row->type));
    problem_at(c, "Incorrect type of value at: ", n, detail);
    n->row = NULL; /* what is below it is not looked at */
}

static const char *unit_of(cfg_type type)
{
    if (type == CFG_DURATION || type == CFG_MILLIS) {
        return " milliseconds";
    }
    if (type == CFG_SIZE) {
        return " bytes";
    }
    return type == CFG_SECONDS ? " seconds" : "";
}

static void check_range(check *c, const cfg_node *n)
{
    const cfg_row *row = n->row;
    const int64_t scale = row->type == CFG_SECONDS ? 1000 : 1;
    char detail[96];

    if ((row->min == 0 && row->max == 0) ||
        (n->number >= row->min * scale && n->number <= row->max * scale)) {
        return;
    }
    (void)snprintf(detail, sizeof detail, " must be between %" PRId64 " and %" PRId64 "%s",
                   row->min, row->max, unit_of(row->type));
    problem_at(c, "", n, detail);
}

/* A whole number in units of `scale` milliseconds, or a duration. */
static bool read_time(const char *text, int64_t scale, int64_t *out_ms)
{
    int64_t v;

    if (cfg_value_int(text, &v)) {
        return !__builtin_mul_overflow(v, scale, out_ms);
    }
    return cfg_value_duration(text, out_ms);
}

static bool read_scalar(cfg_node *n)
{
    bool truth = false;
    double fraction;

    switch (n->row->type) {
    case CFG_INT:
        return cfg_value_int(n->text, &n->number);
    case CFG_NUMBER:
        return cfg_value_number(n->text, &fraction);
    case CFG_BOOL:
        if (!cfg_value_bool(n->text, &truth)) {
            return false;
        }
        n->number = truth;
        return true;
    case CFG_DURATION:
        return cfg_value_duration(n->text, &n->number);
    case CFG_SECONDS:
        return read_time(n->text, 1000, &n->number);
    case CFG_MILLIS:
        return read_time(n->text, 1, &n->number);
    case CFG_SIZE:
        return cfg_value_size(n->text, &n->number);
    case CFG_STRING:
    case CFG_SECRET:
    case CFG_ANY:
        return true;
    case CFG_ENUM:
    case CFG_LEVEL:
    case CFG_LEVEL_OR_OBJECT:
    case CFG_OBJECT:
    case CFG_OBJECT_MAP:
    case CFG_STRING_MAP:
    case CFG_ARRAY:
    case CFG_STRINGS:
    case CFG_INTS:
        return false;
    }
    return false;
}

static void set_text(check *c, cfg_node *n, const char *text)
{
    if (cfg_node_set(n, text, n->plain, c->err) != TDSA_OK) {
        c->failed = TDSA_E_NO_MEMORY;
    }
}

static void check_word(check *c, cfg_node *n)
{
    char canonical[64];
    char detail[256];
    const char *word;
    size_t len;

    if (cfg_value_word(n->text, n->row->words, &word, &len) && len < sizeof canonical) {
        memcpy(canonical, word, len);
        canonical[len] = '\0';
        set_text(c, n, canonical);
        return;
    }
    (void)snprintf(detail, sizeof detail, " must be one of: %s", n->row->words);
    for (char *p = detail; *p != '\0'; p++) {
        *p = *p == '|' ? ' ' : *p;
    }
    problem_at(c, "", n, detail);
}

static void check_level(check *c, cfg_node *n)
{
    const char *level = cfg_value_level(n->text);

    if (level == NULL) {
        problem_at(c, "", n, " must be one of: OFF ERROR WARN INFO DEBUG TRACE ALL");
        return;
    }
    set_text(c, n, level);
}

static void check_scalar(check *c, cfg_node *n)
{
    switch (n->row->type) {
    case CFG_ENUM:
        check_word(c, n);
        return;
    case CFG_LEVEL:
    case CFG_LEVEL_OR_OBJECT:
        check_level(c, n);
        return;
    case CFG_STRING:
    case CFG_SECRET:
    case CFG_INT:
    case CFG_NUMBER:
    case CFG_BOOL:
    case CFG_DURATION:
    case CFG_SECONDS:
    case CFG_MILLIS:
    case CFG_SIZE:
    case CFG_ANY:
    case CFG_OBJECT:
    case CFG_OBJECT_MAP:
    case CFG_STRING_MAP:
    case CFG_ARRAY:
    case CFG_STRINGS:
    case CFG_INTS:
        break;
    }
    if (!read_scalar(n)) {
        wrong_type(c, n);
    } else {
        check_range(c, n);
    }
}

static bool takes_map(cfg_type type)
{
    return type == CFG_OBJECT || type == CFG_OBJECT_MAP || type == CFG_STRING_MAP ||
           type == CFG_LEVEL_OR_OBJECT || type == CFG_ANY;
}

static bool takes_seq(cfg_type type)
{
    return type == CFG_ARRAY || type == CFG_STRINGS || type == CFG_INTS || type == CFG_ANY;
}

static void check_node(check *c, cfg_node *n)
{
    const cfg_row *parent_row = n->parent->row;
    char pattern[CFG_PATH_MAX];

    if (parent_row == NULL || parent_row->type == CFG_ANY) {
        return;
    }
    cfg_node_path(n, true, pattern, sizeof pattern);
    n->row = cfg_lookup_child_row(parent_row, pattern);
    if (n->row == NULL) {
        unrecognized(c, n);
        return;
    }
    switch (n->kind) {
    case CFG_NODE_NULL:
        if (n->parent->kind == CFG_NODE_SEQ && !n->row->nullable) {
            problem_at(c, "", n, " must not be null");
        }
        return;
    case CFG_NODE_SCALAR:
        check_scalar(c, n);
        return;
    case CFG_NODE_MAP:
        if (!takes_map(n->row->type)) {
            wrong_type(c, n);
        }
        return;
    case CFG_NODE_SEQ:
        if (!takes_seq(n->row->type)) {
            wrong_type(c, n);
        }
        return;
    }
}

typedef struct {
    check *c;
    const cfg_node *n;
} require_ctx;

static void require(void *ctx, const char *name, const cfg_row *row)
{
    const require_ctx *r = ctx;
    const cfg_node *child = cfg_node_child(r->n, name);
    char detail[CFG_KEY_MAX + 32];

    if (!row->required || (child != NULL && child->kind != CFG_NODE_NULL)) {
        return;
    }
    (void)snprintf(detail, sizeof detail, "%s%s must not be null (it is required)",
                   r->n->parent == NULL ? "" : ".", name);
    problem_at(r->c, "", r->n, detail);
}

static void check_required(check *c, const cfg_node *n)
{
    char pattern[CFG_PATH_MAX];
    require_ctx ctx = {c, n};

    if (n->kind != CFG_NODE_MAP || n->row == NULL || n->row->type != CFG_OBJECT) {
        return;
    }
    cfg_node_path(n, true, pattern, sizeof pattern);
    cfg_row_each_child(pattern, require, &ctx);
}

static void say_handling(const cfg_node *n, const tdsa_log *log)
{
    const cfg_row *row = n->row;
    const cfg_row *above = n->parent->row;
    char path[CFG_PATH_MAX];

    if (row == NULL || n->kind == CFG_NODE_NULL || row->handling == CFG_HONOURED ||
        (above != NULL && above->handling == row->handling) ||
        (row->fallback != NULL && n->text != NULL && strcmp(row->fallback, n->text) == 0)) {
        return;
    }
    cfg_node_path(n, false, path, sizeof path);
    switch (row->handling) {
    case CFG_IGNORED:
        tdsa_logf(log, TDSA_LOG_INFO, "config", "%s is accepted and has no effect", path);
        return;
    case CFG_LATER:
        tdsa_logf(log, TDSA_LOG_INFO, "config",
                  "%s is accepted, but this version does not act on it", path);
        return;
    case CFG_WARNED:
        tdsa_logf(log, TDSA_LOG_WARN, "config", "%s is accepted, but not done: %s", path,
                  row->help);
        return;
    case CFG_HONOURED:
    case CFG_MAPPED:
    case CFG_REFUSED:
        return;
    }
}

static tdsa_status report(check *c, tdsa_buf *problems, tdsa_err *err)
{
    if (problems != NULL) {
        tdsa_buf_appendf(problems, "%s has %s:\n", c->source,
                         c->count == 1 ? "an error" : "the following errors");
        tdsa_buf_append(problems, c->list.data, c->list.len);
        if (c->count > PROBLEMS_MAX) {
            tdsa_buf_appendf(problems, "  [%zu more]\n", c->count - PROBLEMS_MAX);
        }
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG, "%s has an error: %s", c->source, c->first);
}

tdsa_status cfg_check(cfg_tree *t, const char *source, const tdsa_log *log, tdsa_buf *problems,
                      tdsa_err *err)
{
    check c = {.source = source, .err = err};
    tdsa_status st = TDSA_OK;

    t->root->row = cfg_row_find("");
    for (cfg_node *n = cfg_node_walk(t->root); n != NULL; n = cfg_node_walk(n)) {
        check_node(&c, n);
    }
    for (cfg_node *n = t->root; n != NULL; n = cfg_node_walk(n)) {
        check_required(&c, n);
    }
    if (c.failed != TDSA_OK) {
        st = c.failed;
    } else if (c.count > 0) {
        st = report(&c, problems, err);
    }
    for (cfg_node *n = st == TDSA_OK ? cfg_node_walk(t->root) : NULL; n != NULL;
         n = cfg_node_walk(n)) {
        say_handling(n, log);
    }
    tdsa_buf_clear(&c.list);
    return st;
}
