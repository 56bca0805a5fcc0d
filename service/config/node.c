#include "config/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

static void text_free(char *text)
{
    if (text != NULL) {
        tdsa_wipe(text, strlen(text));
        free(text);
    }
}

void cfg_tree_clear(cfg_tree *t)
{
    cfg_node *n = t->all;

    while (n != NULL) {
        cfg_node *after = n->all;
        text_free(n->key);
        text_free(n->text);
        free(n);
        n = after;
    }
    *t = (cfg_tree){NULL, NULL, 0};
}

static size_t depth_of(const cfg_node *n)
{
    size_t depth = 0;

    for (; n != NULL; n = n->parent) {
        depth++;
    }
    return depth;
}

tdsa_status cfg_tree_add(cfg_tree *t, cfg_node **out, cfg_node *parent, cfg_node_kind kind,
                         const char *key, tdsa_err *err)
{
    cfg_node *n = NULL;

    *out = NULL;
    if (t->count >= CFG_NODES_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "more than %u values", CFG_NODES_MAX);
    }
    if (depth_of(parent) >= CFG_DEPTH_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "nested deeper than %u levels", CFG_DEPTH_MAX);
    }
    n = calloc(1, sizeof *n);
    if (n == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a configuration value");
    }
    if (key != NULL && (n->key = strdup(key)) == NULL) {
        free(n);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a configuration key");
    }
    n->kind = kind;
    n->all = t->all;
    t->all = n;
    t->count++;
    n->parent = parent;
    if (parent == NULL) {
        t->root = n;
    } else {
        n->index = parent->count++;
        if (parent->last != NULL) {
            parent->last->next = n;
        } else {
            parent->first = n;
        }
        parent->last = n;
    }
    *out = n;
    return TDSA_OK;
}

tdsa_status cfg_node_set(cfg_node *n, const char *text, bool plain, tdsa_err *err)
{
    char *copy = NULL;

    if (text != NULL && (copy = strdup(text)) == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a configuration value");
    }
    text_free(n->text);
    n->text = copy;
    n->kind = text == NULL ? CFG_NODE_NULL : CFG_NODE_SCALAR;
    n->plain = plain;
    n->first = NULL; /* what was below stays in the list of all nodes, and is freed with it */
    n->last = NULL;
    n->count = 0;
    return TDSA_OK;
}

cfg_node *cfg_node_child(const cfg_node *n, const char *key)
{
    for (cfg_node *c = n->first; c != NULL; c = c->next) {
        if (c->key != NULL && strcmp(c->key, key) == 0) {
            return c;
        }
    }
    return NULL;
}

cfg_node *cfg_node_at(const cfg_node *n, size_t index)
{
    cfg_node *c = n->first;

    for (; c != NULL && index > 0; index--) {
        c = c->next;
    }
    return c;
}

cfg_node *cfg_node_walk(const cfg_node *n)
{
    const cfg_node *up = n;

    if (n->first != NULL) {
        return n->first;
    }
    while (up != NULL && up->next == NULL) {
        up = up->parent;
    }
    return up == NULL ? NULL : up->next;
}

typedef struct {
    char *out;
    size_t cap, len;
} path_writer;

static void put(path_writer *w, char c)
{
    if (w->len + 1 < w->cap) {
        w->out[w->len++] = c;
        w->out[w->len] = '\0';
    }
}

static void put_key(path_writer *w, const char *key)
{
    if (w->len != 0) {
        put(w, '.');
    }
    for (const char *p = key; *p != '\0'; p++) {
        if (strchr(".[]*\\", *p) != NULL) {
            put(w, '\\');
        }
        put(w, *p > 0x20 && *p < 0x7f ? *p : '?');
    }
}

static void put_step(path_writer *w, const cfg_node *n, bool pattern)
{
    const cfg_row *row = n->parent->row;
    const bool free_name =
        row != NULL && (row->type == CFG_OBJECT_MAP || row->type == CFG_STRING_MAP);
    char digits[24];

    if (n->parent->kind == CFG_NODE_SEQ) {
        (void)snprintf(digits, sizeof digits, "%zu", n->index);
        put(w, '[');
        for (const char *p = pattern ? "" : digits; *p != '\0'; p++) {
            put(w, *p);
        }
        put(w, ']');
    } else if (pattern && free_name) {
        put(w, '.');
        put(w, '*');
    } else {
        put_key(w, n->key);
    }
}

void cfg_node_path(const cfg_node *n, bool pattern, char *out, size_t cap)
{
    const cfg_node *chain[CFG_DEPTH_MAX + 1];
    path_writer w = {out, cap, 0};
    size_t depth = 0;

    out[0] = '\0';
    for (; n->parent != NULL && depth <= CFG_DEPTH_MAX; n = n->parent) {
        chain[depth++] = n;
    }
    while (depth > 0) {
        put_step(&w, chain[--depth], pattern);
    }
}

static bool step_index(const char **path, cfg_step *out)
{
    const char *p = *path + 1;
    size_t v = 0;

    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (size_t)(*p - '0');
        if (v > CFG_NODES_MAX) {
            return false;
        }
    }
    if (*p != ']') {
        return false;
    }
    out->is_index = true;
    out->index = v;
    *path = p + 1;
    return true;
}

bool cfg_path_step(const char **path, cfg_step *out)
{
    const char *p = *path;
    size_t len = 0;

    *out = (cfg_step){{0}, false, 0};
    if (*p == '\0') {
        return false;
    }
    if (*p == '[') {
        return step_index(path, out);
    }
    p += *p == '.' ? 1 : 0;
    for (; *p != '\0' && *p != '.' && *p != '['; p++) {
        p += *p == '\\' && p[1] != '\0' ? 1 : 0;
        if (len >= CFG_KEY_MAX) {
            return false;
        }
        out->name[len++] = *p;
    }
    *path = p;
    return len > 0;
}
