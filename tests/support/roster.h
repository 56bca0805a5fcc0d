#ifndef SUPPORT_ROSTER_H
#define SUPPORT_ROSTER_H

#include "participant/engine.h"

/** The rosters of a group for tests, one per participant, all alike. Aborts on failure. */
typedef struct {
    uint16_t n;
    bool with_client;     /* participant 0 is a client: no entry, no url */
    const char *group_id; /* serverGroupId */
    tdsa_rng rng;         /* keys are drawn from it: index by index, X25519 before X448 */
    /* Puts the protocol URL of a participant; NULL: http://p<index>.example/protocol/round. */
    void (*url)(void *ctx, uint16_t index, char out[PEER_URL_MAX + 1]);
    void *ctx;
    /* Private and public keys of everybody, when wanted: n of each. */
    uint8_t (*x25519)[32];
    uint8_t (*x448)[56];
    peer_keys *pub;
} roster_spec;

/** Fills the checked roster of each participant. */
void roster_make(peer_roster *const *rosters, const roster_spec *spec);

#endif
