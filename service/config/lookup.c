#include "config/lookup.h"

#include <stdio.h>
#include <string.h>

const cfg_row *cfg_lookup_child_row(const cfg_row *parent_row, const char *pattern)
{
    static const cfg_row text = {.name = "", .type = CFG_STRING, .help = ""};
    static const cfg_row number = {.name = "", .type = CFG_INT, .help = ""};

    if (parent_row->type == CFG_STRINGS || parent_row->type == CFG_STRING_MAP) {
        return &text;
    }
    return parent_row->type == CFG_INTS ? &number : cfg_row_find(pattern);
}

/* Adds one step to a pattern. False when it does not fit. */
static bool extend(char *pattern, size_t cap, const cfg_step *step, bool free_names)
{
    const size_t len = strlen(pattern);
    const char *name = free_names ? "*" : step->name;
    int n;

    if (step->is_index && !free_names) {
        n = snprintf(pattern + len, cap - len, "[]");
    } else {
        n = snprintf(pattern + len, cap - len, "%s%s", len == 0 ? "" : ".", name);
    }
    return n > 0 && (size_t)n < cap - len;
}

const cfg_row *cfg_lookup_row(const char *path)
{
    char pattern[CFG_PATH_MAX] = "";
    const cfg_row *row = cfg_row_find("");
    cfg_step step;

    while (row != NULL && cfg_path_step(&path, &step)) {
        const bool free_names = row->type == CFG_OBJECT_MAP || row->type == CFG_STRING_MAP;
        if (strpbrk(step.name, ".[]*") != NULL && !free_names) {
            return NULL;
        }
        if (!extend(pattern, sizeof pattern, &step, free_names)) {
            return NULL;
        }
        row = cfg_lookup_child_row(row, pattern);
    }
    return *path == '\0' ? row : NULL;
}

cfg_node *cfg_lookup_node(const cfg_tree *t, const char *path)
{
    cfg_node *n = t->root;
    cfg_step step;

    while (n != NULL && cfg_path_step(&path, &step)) {
        n = step.is_index ? cfg_node_at(n, step.index) : cfg_node_child(n, step.name);
    }
    return *path == '\0' ? n : NULL;
}
