#ifndef CFG_YAML_READER_H
#define CFG_YAML_READER_H

#include "config/node.h"

/**
 * Reads one YAML document into a tree. The root is a map (an empty document is an empty map).
 * Refused, with line and column: malformed YAML, duplicate keys, anchors, aliases, tags, a second
 * document, keys that are not scalars, NUL inside text, and what passes the limits of node.h.
 * out   empty on failure; clear with cfg_tree_clear.
 * bytes may be NULL when len is 0.
 * Errors: TDSA_E_CONFIG, TDSA_E_NO_MEMORY. No value appears in an error text.
 */
TDSA_MUST_USE tdsa_status cfg_yaml_read(cfg_tree *out, const uint8_t *bytes, size_t len,
                                        tdsa_err *err) __attribute__((nonnull(1, 4)));

#endif
