#include "support/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dh.h"

static void must(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "roster: %s\n", err->text);
        abort();
    }
}

static void make_keys(const roster_spec *spec, uint16_t i, uint8_t x25519[32], uint8_t x448[56],
                      peer_keys *pub)
{
    tdsa_err err;

    must(tdsa_rng_fill(&spec->rng, x25519, 32, &err), &err);
    must(tdsa_rng_fill(&spec->rng, x448, 56, &err), &err);
    must(tdsa_dh_public(TDSA_DH_X25519, pub->x25519, x25519, &err), &err);
    must(tdsa_dh_public(TDSA_DH_X448, pub->x448, x448, &err), &err);
    if (spec->x25519 != NULL) {
        memcpy(spec->x25519[i], x25519, 32);
        memcpy(spec->x448[i], x448, 56);
        spec->pub[i] = *pub;
    }
}

static void make_entry(const roster_spec *spec, uint16_t i, const peer_keys *pub, peer_entry *e)
{
    e->keys = *pub;
    (void)snprintf(e->id, sizeof e->id, "participant%u", i);
    if (spec->url != NULL) {
        spec->url(spec->ctx, i, e->url);
    } else {
        (void)snprintf(e->url, sizeof e->url, "http://p%u.example/protocol/round", i);
    }
}

void roster_make(peer_roster *const *rosters, const roster_spec *spec)
{
    peer_roster *all = calloc(1, sizeof *all);
    uint8_t x25519[GRP_PARTIES_MAX][32];
    uint8_t x448[GRP_PARTIES_MAX][56];
    tdsa_err err;

    if (all == NULL || spec->n > GRP_PARTIES_MAX) {
        abort();
    }
    all->n = spec->n;
    all->client_index = spec->with_client ? 0 : PEER_NO_CLIENT;
    (void)snprintf(all->server_group_id, sizeof all->server_group_id, "%s", spec->group_id);
    for (uint16_t i = 0; i < spec->n; i++) {
        peer_keys pub;

        make_keys(spec, i, x25519[i], x448[i], &pub);
        if (!spec->with_client || i > 0) { /* a client's keys come with its first message */
            make_entry(spec, i, &pub, &all->at[i].entry[0]);
            all->at[i].count = 1;
        }
    }
    for (uint16_t i = 0; i < spec->n; i++) {
        if (rosters[i] == NULL) {
            continue;
        }
        *rosters[i] = *all;
        rosters[i]->me = i;
        memcpy(rosters[i]->my_x25519, x25519[i], 32);
        memcpy(rosters[i]->my_x448, x448[i], 56);
        must(peer_roster_check(rosters[i], &err), &err);
    }
    free(all);
}
