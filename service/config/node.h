#ifndef CFG_NODE_H
#define CFG_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/row.h"

/** The document as a tree. All text is wiped when the tree is freed: any of it may be a secret. */

#define CFG_DEPTH_MAX    16u      /* collections inside each other */
#define CFG_NODES_MAX    5000u    /* values in one document */
#define CFG_DOCUMENT_MAX 1048576u /* bytes of one document */
#define CFG_KEY_MAX      128u     /* bytes of one key */
#define CFG_TEXT_MAX     65536u   /* bytes of one value */

typedef enum { CFG_NODE_NULL, CFG_NODE_SCALAR, CFG_NODE_MAP, CFG_NODE_SEQ } cfg_node_kind;

typedef struct cfg_node cfg_node;
struct cfg_node {
    cfg_node_kind kind;
    bool plain;       /* a scalar without quotes: it may be a number or a truth value */
    char *key;        /* in a map; owned */
    char *text;       /* of a scalar; owned */
    size_t line, col; /* from 1; 0: from an override */
    cfg_node *parent, *first, *last, *next;
    size_t count, index; /* children; place among the parent's */
    cfg_node *all;       /* every node of the tree, for freeing */
    const cfg_row *row;  /* set by the check; NULL where the table does not look */
    int64_t number;      /* set by the check: int, bool, ms, bytes */
};

typedef struct {
    cfg_node *root; /* a map */
    cfg_node *all;
    size_t count;
} cfg_tree;

void cfg_tree_clear(cfg_tree *t) TDSA_NONNULL;
/** Adds a node below `parent` (NULL: the root). key may be NULL (sequence).
 * Errors: TDSA_E_NO_MEMORY, TDSA_E_CONFIG (too many nodes, too deep). */
TDSA_MUST_USE tdsa_status cfg_tree_add(cfg_tree *t, cfg_node **out, cfg_node *parent,
                                       cfg_node_kind kind, const char *key, tdsa_err *err)
    __attribute__((nonnull(1, 2, 6)));
/** Makes it a scalar (or null for text NULL), dropping what it was. */
TDSA_MUST_USE tdsa_status cfg_node_set(cfg_node *n, const char *text, bool plain, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
cfg_node *cfg_node_child(const cfg_node *n, const char *key) TDSA_NONNULL;
cfg_node *cfg_node_at(const cfg_node *n, size_t index) TDSA_NONNULL;
/** The next node of a walk over the whole tree, parents first; NULL at the end. */
cfg_node *cfg_node_walk(const cfg_node *n) TDSA_NONNULL;

/** Writes the path of a node; as a pattern ("[]", "*") when `pattern`. Dots, brackets and stars
 * inside keys are escaped with a backslash, other odd characters become '?'. Always NUL-terminated. */
void cfg_node_path(const cfg_node *n, bool pattern, char *out, size_t cap) TDSA_NONNULL;

/** One step of a path. */
typedef struct {
    char name[CFG_KEY_MAX + 1]; /* unescaped; "" for an index */
    bool is_index;
    size_t index;
} cfg_step;
/** Takes the next step off *path. False at the end (*path is then "") or when it is malformed. */
bool cfg_path_step(const char **path, cfg_step *out) TDSA_NONNULL;

#endif
