#include <stdlib.h>
#include <string.h>

#include "participant/internal.h"

/*
 * Keys that clients registered and never generated. Without a list of clients anybody who reaches the
 * protocol port is a client: what such strangers can leave here is bounded per pair of keys and in
 * all, and forgotten after a while. The client may register such a key again.
 */

#define EXPIRED_AT_ONCE 32u

typedef struct {
    part *p;
    const part_registration *wanted;
    uint16_t client;
    uint64_t now_ms;
    uint32_t mine, total; /* of this client, of all */
    bool known;           /* the wanted one is there already: asking again costs nothing */
    size_t expired_count;
    struct {
        char key_id[KS_KEY_ID_MAX + 1];
        uint32_t epoch;
    } expired[EXPIRED_AT_ONCE];
} census;

static bool count_row(void *ctx, const ks_key *row)
{
    census *c = ctx;
    const uint64_t life_ms = c->p->cfg.registered_life_ms;
    part_registration r;
    tdsa_err err;

    if (strcmp(row->key_id, c->wanted->key_id) == 0) {
        c->known = true;
        return true;
    }
    if (life_ms != 0 && c->now_ms >= row->created_ms && c->now_ms - row->created_ms > life_ms &&
        c->expired_count < EXPIRED_AT_ONCE) {
        memcpy(c->expired[c->expired_count].key_id, row->key_id, sizeof row->key_id);
        c->expired[c->expired_count++].epoch = row->epoch;
        return true;
    }
    c->total++;
    if (part_registration_of(c->p, row, &r, &err) == TDSA_OK) {
        const mpc_member *theirs = &r.members[c->client];
        const mpc_member *wanted = &c->wanted->members[c->client];

        c->mine += memcmp(theirs->x25519, wanted->x25519, sizeof theirs->x25519) == 0 &&
                           memcmp(theirs->x448, wanted->x448, sizeof theirs->x448) == 0
                       ? 1
                       : 0;
    }
    return true;
}

/* A row that is no longer REGISTERED stays: the store looks again. */
static void forget_expired(census *c)
{
    for (size_t i = 0; i < c->expired_count; i++) {
        tdsa_err err;

        if (ks_key_drop_epoch(c->p->cfg.store, c->expired[i].key_id, c->expired[i].epoch, &err) ==
            TDSA_OK) {
            part_say(c->p, TDSA_LOG_INFO, "key %s was registered and never generated: forgotten",
                     c->expired[i].key_id);
        }
    }
}

tdsa_status part_registered_check(part *p, const part_registration *r, uint16_t from, tdsa_err *err)
{
    census c = {
        .p = p, .wanted = r, .client = from, .now_ms = p->cfg.clock.wall_ms(p->cfg.clock.ctx)};
    tdsa_status st;

    if (part_asker_of(p, from) != PART_BY_CLIENT) {
        return TDSA_OK;
    }
    st = ks_key_each_in(p->cfg.store, KS_KEY_REGISTERED, count_row, &c, err);
    if (st != TDSA_OK) {
        return st;
    }
    forget_expired(&c);
    if (c.known) {
        return TDSA_OK;
    }
    if (p->cfg.registered_client_max != 0 && c.mine >= p->cfg.registered_client_max) {
        return TDSA_FAIL(err, TDSA_E_LIMIT,
                         "this client has registered %u keys that have no shares yet", c.mine);
    }
    if (p->cfg.registered_max != 0 && c.total >= p->cfg.registered_max) {
        return TDSA_FAIL(err, TDSA_E_LIMIT,
                         "clients have registered %u keys that have no shares yet", c.total);
    }
    return TDSA_OK;
}
