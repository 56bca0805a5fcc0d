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

/* Where the pair of public keys stands, or `count`. */
static size_t find_entry(const peer_dh_cache *c, const uint8_t *mine, const uint8_t *peer)
{
    size_t i = 0;

    while (i < c->count && (memcmp(c->of[i].peer, peer, TDSA_X448_LEN) != 0 ||
                            memcmp(c->of[i].mine, mine, TDSA_X448_LEN) != 0)) {
        i++;
    }
    return i;
}

static void remember(peer_dh_cache *c, const uint8_t *shared, const uint8_t *mine,
                     const uint8_t *peer)
{
    memcpy(c->of[c->next].mine, mine, TDSA_X448_LEN);
    memcpy(c->of[c->next].peer, peer, TDSA_X448_LEN);
    memcpy(tdsa_secret_bytes(c->secrets) + c->next * TDSA_X448_LEN, shared, TDSA_X448_LEN);
    c->next = (c->next + 1) % PEER_DH_CACHE_MAX;
    if (c->count < PEER_DH_CACHE_MAX) {
        c->count++;
    }
}

tdsa_status peer_dh_cache_x448(peer_dh_cache *c, uint8_t *shared, const uint8_t *my_private,
                               const uint8_t *my_public, const uint8_t *peer_public, tdsa_err *err)
{
    const size_t at = c == NULL ? 0 : find_entry(c, my_public, peer_public);
    tdsa_status st;

    if (c != NULL && at < c->count) {
        memcpy(shared, tdsa_secret_view(c->secrets) + at * TDSA_X448_LEN, TDSA_X448_LEN);
        return TDSA_OK;
    }
    st = tdsa_dh_shared(TDSA_DH_X448, shared, my_private, peer_public, err);
    if (st == TDSA_OK && c != NULL) {
        remember(c, shared, my_public, peer_public);
    }
    return st;
}
