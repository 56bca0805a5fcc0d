#ifndef SUPPORT_LONE_SERVER_H
#define SUPPORT_LONE_SERVER_H

#include "participant/participant.h"
#include "participant/wire.h"
#include "peer/channel.h"

/**
 * One real participant (server 1 of a group of three, participant 0 is the client) and, around it,
 * peers made by hand that can say anything: frames are built, sealed and changed at will. No
 * network, no threads. Aborts when its own set-up fails.
 */
typedef struct {
    part *part;
    ks *store;
    part_engine_cfg cfg;
    uint64_t now_ms;
    uint8_t x25519[3][32], x448[3][56]; /* private keys of all three */
    peer_keys pub[3];
} lone_server;

void lone_server_start(lone_server *s);
void lone_server_stop(lone_server *s);

/** A peer's end of one session. */
typedef struct {
    lone_server *server;
    uint16_t index; /* who it says it is */
    char session_id[PEER_SESSION_ID_MAX + 1];
    peer_channel *channel;
    tdsa_buf hello; /* its first message, kept for replays */
    tdsa_buf hello_reply;
} lone_peer;

/** Puts bytes on the protocol port and gives the reply; TDSA_E_BUSY when it waits. */
tdsa_status lone_post(lone_server *s, const char *session_id, const uint8_t *body, size_t len,
                      tdsa_buf *reply, tdsa_err *err);
/** Opens a session; private keys `as` (0..2), index and ids as told. */
tdsa_status lone_open(lone_server *s, lone_peer *p, uint16_t index, unsigned as,
                      const char *session_id, peer_purpose purpose, const char *group_id,
                      tdsa_err *err);
void lone_close(lone_peer *p);
/** Builds the sealed frame of an ask. */
void lone_frame(lone_peer *p, uint64_t seq, const part_ask *ask, tdsa_buf *out);
/** Asks and opens the answer. The status is the answer's, or that of the refusal in HTTP. */
tdsa_status lone_ask(lone_peer *p, uint64_t seq, part_ask_kind kind, const tdsa_buf *body,
                     tdsa_err *err);
/** A registration of a new key with the keys of all three. */
void lone_registration(lone_server *s, const char *key_id, tdsa_buf *out);

#endif
