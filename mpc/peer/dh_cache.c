#include "peer/dh_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/secret.h"

struct peer_dh_cache {
    size_t count, next; /* used entries; the one that is replaced next */
    struct {
        uint8_t mine[TDSA_X448_LEN], peer[TDSA_X448_LEN];
    } of[PEER_DH_CACHE_MAX];
    tdsa_secret *secrets; /* PEER_DH_CACHE_MAX * TDSA_X448_LEN bytes */
};

_Static_assert(PEER_DH_CACHE_MAX *TDSA_X448_LEN <= TDSA_SECRET_LEN_MAX, "fits into one secret");

peer_dh_cache *peer_dh_cache_new(void)
{
    peer_dh_cache *c = calloc(1, sizeof *c);
    tdsa_err err;

    if (c != NULL &&
        tdsa_secret_new(&c->secrets, (size_t)PEER_DH_CACHE_MAX * TDSA_X448_LEN, &err) != TDSA_OK) {
        free(c);
        c = NULL;
    }
    return c;
}

void peer_dh_cache_free(peer_dh_cache *c)
{
    if (c != NULL) {
        tdsa_secret_free(c->secrets);
        free(c);
    }
}

tdsa_status peer_dh_cache_x448(peer_dh_cache *c, uint8_t *shared, const uint8_t *my_private,
                               const uint8_t *my_public, const uint8_t *peer_public, tdsa_err *err)
{
    tdsa_status st;
    uint8_t *kept = NULL;

    for (size_t i = 0; c != NULL && i < c->count; i++) {
        if (memcmp(c->of[i].peer, peer_public, TDSA_X448_LEN) == 0 &&
            memcmp(c->of[i].mine, my_public, TDSA_X448_LEN) == 0) {
            memcpy(shared, tdsa_secret_bytes(c->secrets) + i * TDSA_X448_LEN, TDSA_X448_LEN);
            return TDSA_OK;
        }
    }
    st = tdsa_dh_shared(TDSA_DH_X448, shared, my_private, peer_public, err);
    if (st != TDSA_OK || c == NULL) {
        return st;
    }
    memcpy(c->of[c->next].mine, my_public, TDSA_X448_LEN);
    memcpy(c->of[c->next].peer, peer_public, TDSA_X448_LEN);
    kept = tdsa_secret_bytes(c->secrets) + c->next * TDSA_X448_LEN;
    memcpy(kept, shared, TDSA_X448_LEN);
    c->next = (c->next + 1) % PEER_DH_CACHE_MAX;
    if (c->count < PEER_DH_CACHE_MAX) {
        c->count++;
    }
    return TDSA_OK;
}
