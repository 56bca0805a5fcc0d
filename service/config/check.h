#ifndef CFG_CHECK_H
#define CFG_CHECK_H

#include "base/env.h"
#include "config/node.h"

/**
 * Compares a tree with the table: unknown keys, types, words, ranges, required keys. Fills in the
 * rows and the numbers of the nodes and gives words and levels their canonical form. Then, if all is
 * well, says which keys have no effect.
 *
 * source    name of the document for the texts: a path or "TDSA_CONFIG".
 * problems  may be NULL; the whole list for people, as Dropwizard writes it.
 * log       may be NULL.
 * Errors: TDSA_E_CONFIG (err->text: the first problem in one line), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status cfg_check(cfg_tree *t, const char *source, const tdsa_log *log,
                                    tdsa_buf *problems, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5)));

#endif
