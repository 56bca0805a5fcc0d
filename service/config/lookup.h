#ifndef CFG_LOOKUP_H
#define CFG_LOOKUP_H

#include "config/node.h"

/** Finds rows and nodes by path. */

/** The row of a path such as "server.adminConnectors[0].port"; NULL when the table has none.
 * An element of CFG_STRINGS, CFG_INTS or a value of CFG_STRING_MAP gives a row of its type. */
const cfg_row *cfg_lookup_row(const char *path) TDSA_NONNULL;
/** The row of a child of `parent_row`; name NULL: an array element. `pattern` is the child's. */
const cfg_row *cfg_lookup_child_row(const cfg_row *parent_row, const char *pattern) TDSA_NONNULL;
/** The node of a path; NULL when the document does not have it. An index also picks an entry of a
 * map of free names. */
cfg_node *cfg_lookup_node(const cfg_tree *t, const char *path) TDSA_NONNULL;

#endif
