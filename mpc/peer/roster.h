#ifndef PEER_ROSTER_H
#define PEER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Who the participants are, as the configuration says (remoteParticipants). */

#define PEER_PARTICIPANTS_MAX 9u
#define PEER_ALTERNATIVES_MAX 8u /* allowed participants per index */
#define PEER_ID_MAX           64u
#define PEER_URL_MAX          512u
#define PEER_GROUP_ID_MAX     128u
#define PEER_NO_CLIENT        (-1)

typedef struct {
    uint8_t x25519[32], x448[56];
} peer_keys;

typedef struct {
    char id[PEER_ID_MAX + 1]; /* "" for the client */
    char
        url[PEER_URL_MAX + 1]; /* full URL of the protocol endpoint; "" for the client and myself */
    peer_keys keys;
} peer_entry;

typedef struct {
    uint16_t n, me;
    int client_index; /* PEER_NO_CLIENT: servers only */
    struct {
        size_t count;    /* 0 for a client whose keys come with its first message */
        size_t selected; /* the alternative that new keys use (participantIds) */
        peer_entry entry[PEER_ALTERNATIVES_MAX];
    } at[PEER_PARTICIPANTS_MAX];
    peer_keys my_public;
    uint8_t my_x25519[32], my_x448[56];          /* private keys: wipe with peer_roster_clear */
    char server_group_id[PEER_GROUP_ID_MAX + 1]; /* secret; only in the channel's prologue */
} peer_roster;

void peer_roster_clear(peer_roster *r) TDSA_NONNULL;
/** Cross checks: indices, counts, entries, my public keys from my private ones (filled in here).
 * Errors: TDSA_E_CONFIG naming the index. */
TDSA_MUST_USE tdsa_status peer_roster_check(peer_roster *r, tdsa_err *err) TDSA_NONNULL;
/** The alternative of `index` whose keys are these; NULL when there is none. */
const peer_entry *peer_roster_find(const peer_roster *r, uint16_t index, const peer_keys *keys)
    TDSA_NONNULL;
/** The entry new keys use; NULL for the client and for indices without alternatives. */
const peer_entry *peer_roster_selected(const peer_roster *r, uint16_t index) TDSA_NONNULL;

/** How exchanges go out (httpClient section). */
typedef struct {
    uint32_t connect_timeout_ms; /* 3000; capped by the operation's deadline */
    uint32_t request_timeout_ms; /* 30000; the same */
    uint32_t keep_alive_ms;      /* idle connections older than this are not reused */
    uint32_t connections_max;    /* idle connections kept per peer */
    char user_agent[64];
    char ca_file[PEER_URL_MAX + 1];   /* PEM; "" = the system's */
    char cert_file[PEER_URL_MAX + 1]; /* client certificate and key, PEM; "" = none */
    char key_file[PEER_URL_MAX + 1];
    bool verify_hostname;
} peer_http_cfg;

#endif
