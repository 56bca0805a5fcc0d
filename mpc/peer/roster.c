#include "peer/roster.h"

#include <string.h>

#include "base/dh.h"
#include "base/secret.h"
#include "peer/url.h"

void peer_roster_clear(peer_roster *r)
{
    tdsa_wipe(r, sizeof *r);
    r->client_index = PEER_NO_CLIENT;
}

static bool same_keys(const peer_keys *a, const peer_keys *b)
{
    return memcmp(a->x25519, b->x25519, sizeof a->x25519) == 0 &&
           memcmp(a->x448, b->x448, sizeof a->x448) == 0;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++) {
        any = (uint8_t)(any | p[i]);
    }
    return any == 0;
}

/* 0..PEER_ID_MAX printable ASCII characters. */
static bool id_ok(const char *id, size_t cap)
{
    const size_t len = strnlen(id, cap);

    for (size_t i = 0; i < len; i++) {
        if (id[i] < ' ' || id[i] > '~') {
            return false;
        }
    }
    return len <= PEER_ID_MAX;
}

static tdsa_status check_entry(const peer_roster *r, uint16_t index, size_t which, tdsa_err *err)
{
    const peer_entry *e = &r->at[index].entry[which];
    const bool is_client = r->client_index == (int)index;
    peer_url url;

    if (!id_ok(e->id, sizeof e->id)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "participant %u: the id of alternative %zu is not 1 to %u printable ASCII "
                         "characters",
                         index, which, PEER_ID_MAX);
    }
    if (is_client != (e->id[0] == '\0')) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u: %s", index,
                         is_client ? "the client has no id" : "no participantId");
    }
    if (all_zero(e->keys.x25519, sizeof e->keys.x25519) ||
        all_zero(e->keys.x448, sizeof e->keys.x448)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u: %s public key is missing", index,
                         all_zero(e->keys.x25519, sizeof e->keys.x25519) ? "the primary (X25519)"
                                                                         : "the secondary (X448)");
    }
    if (index == r->me || is_client) {
        return TDSA_OK;
    }
    if (peer_url_parse(&url, e->url, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "participant %u", index);
    }
    return TDSA_OK;
}

static tdsa_status check_participant(const peer_roster *r, uint16_t index, tdsa_err *err)
{
    const size_t count = r->at[index].count;
    const bool is_client = r->client_index == (int)index;

    if (count > PEER_ALTERNATIVES_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u: %zu alternatives, at most %u", index,
                         count, PEER_ALTERNATIVES_MAX);
    }
    if (count == 0 && !is_client && index != r->me) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u: remoteParticipants has no entry",
                         index);
    }
    if (count > 0 && r->at[index].selected >= count) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "participant %u: participantIds selects an id that is not listed", index);
    }
    for (size_t i = 0; i < count; i++) {
        if (check_entry(r, index, i, err) != TDSA_OK) {
            return err->status;
        }
        for (size_t k = 0; k < i; k++) {
            const peer_entry *a = &r->at[index].entry[i];
            const peer_entry *b = &r->at[index].entry[k];

            if (same_keys(&a->keys, &b->keys) || (!is_client && strcmp(a->id, b->id) == 0)) {
                return TDSA_FAIL(err, TDSA_E_CONFIG,
                                 "participant %u: alternatives %zu and %zu have the same id or "
                                 "keys",
                                 index, k, i);
            }
        }
    }
    return TDSA_OK;
}

/* No two participants may share a key: one machine would then hold two shares. */
static tdsa_status check_distinct(const peer_roster *r, uint16_t a, uint16_t b, tdsa_err *err)
{
    for (size_t i = 0; i < r->at[a].count; i++) {
        for (size_t k = 0; k < r->at[b].count; k++) {
            const peer_keys *x = &r->at[a].entry[i].keys;
            const peer_keys *y = &r->at[b].entry[k].keys;

            if (memcmp(x->x25519, y->x25519, sizeof x->x25519) == 0 ||
                memcmp(x->x448, y->x448, sizeof x->x448) == 0) {
                return TDSA_FAIL(err, TDSA_E_CONFIG, "participants %u and %u have the same key", a,
                                 b);
            }
        }
    }
    return TDSA_OK;
}

/* My public keys, and whether they are among the entries of my own index. */
static tdsa_status check_me(peer_roster *r, tdsa_err *err)
{
    const size_t count = r->at[r->me].count;

    if (all_zero(r->my_x25519, sizeof r->my_x25519) || all_zero(r->my_x448, sizeof r->my_x448)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u (this one) has no private key", r->me);
    }
    if (tdsa_dh_public(TDSA_DH_X25519, r->my_public.x25519, r->my_x25519, err) != TDSA_OK ||
        tdsa_dh_public(TDSA_DH_X448, r->my_public.x448, r->my_x448, err) != TDSA_OK) {
        return err->status;
    }
    tdsa_declassify(&r->my_public, sizeof r->my_public); /* public keys are public */
    if (count > 0 && peer_roster_find(r, r->me, &r->my_public) == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "participant %u (this one): the private keys do not belong to the public "
                         "keys configured for it",
                         r->me);
    }
    for (uint16_t j = 0; j < r->n; j++) {
        for (size_t i = 0; j != r->me && i < r->at[j].count; i++) {
            const peer_keys *k = &r->at[j].entry[i].keys;

            if (memcmp(k->x25519, r->my_public.x25519, sizeof k->x25519) == 0 ||
                memcmp(k->x448, r->my_public.x448, sizeof k->x448) == 0) {
                return TDSA_FAIL(err, TDSA_E_CONFIG,
                                 "participant %u has a public key of participant %u (this one)", j,
                                 r->me);
            }
        }
    }
    return TDSA_OK;
}

tdsa_status peer_roster_check(peer_roster *r, tdsa_err *err)
{
    if (r->n < 2 || r->n > PEER_PARTICIPANTS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%u participants, not 2 to %u", r->n,
                         PEER_PARTICIPANTS_MAX);
    }
    if (r->me >= r->n) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participantIndex %u, but there are %u participants",
                         r->me, r->n);
    }
    if (r->client_index != PEER_NO_CLIENT && (r->client_index < 0 || r->client_index >= r->n)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "clientIndex %d, but there are %u participants",
                         r->client_index, r->n);
    }
    for (uint16_t i = 0; i < r->n; i++) {
        if (check_participant(r, i, err) != TDSA_OK) {
            return err->status;
        }
        for (uint16_t j = 0; j < i; j++) {
            if (check_distinct(r, j, i, err) != TDSA_OK) {
                return err->status;
            }
        }
    }
    if (strnlen(r->server_group_id, sizeof r->server_group_id) > PEER_GROUP_ID_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "serverGroupId is longer than %u characters",
                         PEER_GROUP_ID_MAX);
    }
    return check_me(r, err);
}

const peer_entry *peer_roster_find(const peer_roster *r, uint16_t index, const peer_keys *keys)
{
    if (index >= r->n) {
        return NULL;
    }
    for (size_t i = 0; i < r->at[index].count; i++) {
        if (same_keys(&r->at[index].entry[i].keys, keys)) {
            return &r->at[index].entry[i];
        }
    }
    return NULL;
}

const peer_entry *peer_roster_selected(const peer_roster *r, uint16_t index)
{
    if (index >= r->n || r->client_index == (int)index || r->at[index].count == 0) {
        return NULL;
    }
    return &r->at[index].entry[r->at[index].selected];
}
