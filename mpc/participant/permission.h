#ifndef PART_PERMISSION_H
#define PART_PERMISSION_H

#include <stdbool.h>

#include "participant/wire.h"

/** Who put a question, as the channel proved. */
typedef enum { PART_BY_CLIENT, PART_BY_SERVER } part_asker;

/** Whether a question is admissible at all; consulted once, before any handler runs. */
typedef struct {
    part_ask_kind kind;
    const char *name;
    bool by_client;              /* the client participant may ask it */
    bool by_server;              /* a server of my group may ask it */
    bool server_in_client_group; /* ... also where a client takes part (rounds between servers) */
    peer_purpose purpose;        /* only in sessions of this purpose */
} part_permission;

/** The row of `kind`. Total: a kind without a row does not compile. */
const part_permission *part_permission_of(part_ask_kind kind);

/** TDSA_OK or TDSA_E_DENIED with a text that names the question. `has_client`: the group has one. */
TDSA_MUST_USE tdsa_status part_permit(part_ask_kind kind, part_asker by, bool has_client,
                                      peer_purpose purpose, tdsa_err *err) TDSA_NONNULL;

#endif
