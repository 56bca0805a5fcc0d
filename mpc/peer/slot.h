#ifndef PEER_SLOT_H
#define PEER_SLOT_H

#include <curl/curl.h>

#include "peer/channel.h"
#include "peer/exchange.h"
#include "peer/sockets.h"
#include "peer/url.h"

/** An easy handle of libcurl that stays with one URL, so that a request sets next to nothing. */
typedef struct {
    CURL *easy;
    const peer_http_cfg *cfg; /* lent */
    peer_sockets *sockets;    /* lent */
    struct curl_slist *headers, *resolve;
    peer_request *request; /* the one under way, or NULL */
    uint64_t ends_ms;      /* until when that one may take */
    uint64_t used_ms;      /* when the last one ended well */
    uint64_t resolved_ms;  /* when the name was last looked up */
    bool ever_used, resent, too_long, no_memory;
    bool doubted; /* nobody answers there, or something else: the name is looked up again */
    peer_url parts;
    char url[PEER_URL_MAX + 1];
    char session[PEER_SESSION_ID_MAX + 1];
    char error[CURL_ERROR_SIZE];
} peer_slot;

/** NULL: no memory. */
peer_slot *peer_slot_new(const char *url, const peer_url *parts, const peer_http_cfg *cfg,
                         peer_sockets *sockets) TDSA_NONNULL;
void peer_slot_free(peer_slot *s);
/** Gives it a request, which may take until `ends_ms`; looks the name up when that is due.
 * Errors: TDSA_E_UNAVAILABLE (no address), TDSA_E_NO_MEMORY; the request is then given back. */
TDSA_MUST_USE tdsa_status peer_slot_give(peer_slot *s, peer_request *r, uint64_t ends_ms,
                                         tdsa_err *err) TDSA_NONNULL;
/** Makes the same request ready for a new connection, in what is left of its time. Errors: as above. */
TDSA_MUST_USE tdsa_status peer_slot_again(peer_slot *s, tdsa_err *err) TDSA_NONNULL;
/** Some byte of the request went out. */
bool peer_slot_was_asked(const peer_slot *s) TDSA_NONNULL;

/** Milliseconds of the monotonic clock, and those until `ends_ms`, 0 when it has passed. */
uint64_t peer_now_ms(void);
uint32_t peer_left_ms(uint64_t ends_ms);

#endif
