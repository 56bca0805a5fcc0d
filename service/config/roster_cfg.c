#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "config/internal.h"
#include "config/node.h"
#include "config/url.h"

/* From tdsaLibrary.remoteParticipants, participantIds and the indices to a peer_roster. */

_Static_assert(CFG_PATH_MAX > 96, "paths of this file fit");

tdsa_status cfg_refuse_selector(const cfg *c, const char *path, tdsa_err *err)
{
    static const char selector[] = "vault:";
    const size_t len = sizeof selector - 1;
    const char *text = cfg_str(c, path);

    if (text != NULL && strlen(text) >= len && tdsa_ct_equal(text, selector, len)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s: vault selectors are not supported by this version; set the value "
                         "itself",
                         path);
    }
    return TDSA_OK;
}

void cfg_check_base64_form(const char *text, const char *path, const tdsa_log *log)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    tdsa_base64_form form = {false, false};
    tdsa_err ignored; /* the key was read already */

    if (tdsa_base64_decode(&bytes, text, strlen(text), &form, &ignored) == TDSA_OK &&
        (form.standard_alphabet || form.padded)) {
        tdsa_logf(
            log, TDSA_LOG_WARN, "config",
            "%s is padded or standard base64; the documented form is url-safe without padding",
            path);
    }
}

tdsa_status cfg_read_key(const cfg *c, const char *path, tdsa_dh_kind kind, bool is_private,
                         uint8_t *out, const tdsa_log *log, tdsa_err *err)
{
    const char *text = cfg_str(c, path);
    tdsa_status st = cfg_refuse_selector(c, path, err);

    memset(out, 0, tdsa_dh_len(kind));
    if (st != TDSA_OK) {
        return st;
    }
    if (text == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s must not be null", path);
    }
    st = is_private ? tdsa_dh_parse_private(kind, out, text, err)
                    : tdsa_dh_parse_public(kind, out, text, err);
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "%s", path);
    }
    cfg_check_base64_form(text, path, log);
    return TDSA_OK;
}

static tdsa_status read_indices(peer_roster *r, const cfg *c, tdsa_err *err)
{
    const size_t n = cfg_count(c, "tdsaLibrary.remoteParticipants");
    const int64_t me = cfg_int(c, "tdsaLibrary.participantIndex");
    const int64_t client = cfg_is_set(c, "tdsaLibrary.clientIndex")
                               ? cfg_int(c, "tdsaLibrary.clientIndex")
                               : PEER_NO_CLIENT;
    const size_t ids = cfg_count(c, "tdsaLibrary.participantIds");

    if (n < 3 || n > PEER_PARTICIPANTS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.remoteParticipants has %zu elements; 3 to %u participants "
                         "are supported",
                         n, PEER_PARTICIPANTS_MAX);
    }
    if (me >= (int64_t)n) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.participantIndex is %d, but there are %zu participants",
                         (int)me, n);
    }
    if (client >= (int64_t)n) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.clientIndex is %d, but there are %zu participants",
                         (int)client, n);
    }
    if (cfg_is_set(c, "tdsaLibrary.participantIds") && ids != n) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.participantIds has %zu elements, remoteParticipants %zu", ids,
                         n);
    }
    r->n = (uint16_t)n;
    r->me = (uint16_t)me;
    r->client_index = client < 0 ? PEER_NO_CLIENT : (int)client;
    return TDSA_OK;
}

static tdsa_status read_own_keys(peer_roster *r, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    const char *group;
    tdsa_status st = cfg_read_key(c, "tdsaLibrary.participantPrimaryPrivateKey", TDSA_DH_X25519,
                                  true, r->my_x25519, log, err);

    if (st == TDSA_OK) {
        st = cfg_read_key(c, "tdsaLibrary.participantSecondaryPrivateKey", TDSA_DH_X448, true,
                          r->my_x448, log, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_dh_public(TDSA_DH_X25519, r->my_public.x25519, r->my_x25519, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_dh_public(TDSA_DH_X448, r->my_public.x448, r->my_x448, err);
    }
    if (st == TDSA_OK) {
        st = cfg_refuse_selector(c, "tdsaServer.serverGroupId", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    group = cfg_str(c, "tdsaServer.serverGroupId");
    if (group == NULL || *group == '\0' || strlen(group) > PEER_GROUP_ID_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "tdsaServer.serverGroupId must have 1 to %u bytes",
                         PEER_GROUP_ID_MAX);
    }
    if (!cfg_is_set(c, "tdsaServer.serverGroupId") && (int)r->me != r->client_index) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "tdsaServer.serverGroupId is not set: its default is known to everybody");
    }
    memcpy(r->server_group_id, group, strlen(group) + 1);
    return TDSA_OK;
}

static bool is_id(const char *id)
{
    const size_t len = strlen(id);

    if (len == 0 || len > PEER_ID_MAX) {
        return false;
    }
    for (; *id != '\0'; id++) {
        if (*id <= 0x20 || *id >= 0x7f) {
            return false;
        }
    }
    return true;
}

static tdsa_status read_id(peer_entry *e, const cfg *c, const char *base, bool is_client,
                           tdsa_err *err)
{
    char path[CFG_PATH_MAX];
    const char *id = cfg_str(c, cfg_path(path, sizeof path, "%s.id", base));

    if (is_client) {
        return TDSA_OK; /* a client has none; one that is given means nothing */
    }
    if (id == NULL || !is_id(id)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s must have 1 to %u printable characters without blanks", path,
                         PEER_ID_MAX);
    }
    memcpy(e->id, id, strlen(id) + 1);
    return TDSA_OK;
}

static tdsa_status read_url(peer_entry *e, const cfg *c, const char *base, bool needed,
                            tdsa_err *err)
{
    char path[CFG_PATH_MAX];
    const char *uri = cfg_str(c, cfg_path(path, sizeof path, "%s.uri", base));

    if (!needed) {
        return TDSA_OK; /* nobody calls a client, nor itself */
    }
    if (uri == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s must not be null", path);
    }
    if (cfg_url_endpoint(e->url, sizeof e->url, uri, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "%s", path);
    }
    return TDSA_OK;
}

/* Public keys; both or none may be absent where they are known otherwise. */
static tdsa_status read_keys(peer_keys *keys, bool *present, const cfg *c, const char *base,
                             bool optional, const tdsa_log *log, tdsa_err *err)
{
    char primary[CFG_PATH_MAX];
    char secondary[CFG_PATH_MAX];
    bool has_primary;
    bool has_secondary;
    tdsa_status st;

    (void)cfg_path(primary, sizeof primary, "%s.primaryPublicKey", base);
    (void)cfg_path(secondary, sizeof secondary, "%s.secondaryPublicKey", base);
    has_primary = cfg_is_set(c, primary);
    has_secondary = cfg_is_set(c, secondary);
    *present = has_primary || has_secondary;
    if (optional && !*present) {
        return TDSA_OK;
    }
    st = cfg_read_key(c, primary, TDSA_DH_X25519, false, keys->x25519, log, err);
    if (st != TDSA_OK) {
        return st;
    }
    return cfg_read_key(c, secondary, TDSA_DH_X448, false, keys->x448, log, err);
}

static void check_my_keys(const peer_roster *r, const peer_keys *listed, const tdsa_log *log)
{
    const bool primary = tdsa_ct_equal(listed->x25519, r->my_public.x25519, sizeof listed->x25519);
    const bool secondary = tdsa_ct_equal(listed->x448, r->my_public.x448, sizeof listed->x448);

    if (!primary || !secondary) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "tdsaLibrary.remoteParticipants[%u]: the %s of this participant does not belong "
                  "to its private key; other participants must know the key that does",
                  (unsigned)r->me,
                  primary ? "secondaryPublicKey"
                          : (secondary ? "primaryPublicKey" : "pair of public keys"));
    }
}

/* One file may serve all alternatives of an index: of mine, the one with my keys stays. */
static tdsa_status keep_mine(peer_roster *r, const char *path, tdsa_err *err)
{
    const peer_entry *mine = peer_roster_find(r, r->me, &r->my_public);

    if (mine == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s lists several participants, but none with the public keys of this one",
                         path);
    }
    if (mine != &r->at[r->me].entry[0]) {
        r->at[r->me].entry[0] = *mine;
    }
    r->at[r->me].count = 1;
    return TDSA_OK;
}

static tdsa_status read_entry(peer_roster *r, size_t index, size_t which, size_t count,
                              const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    peer_entry *e = &r->at[index].entry[which];
    const bool is_client = (int)index == r->client_index;
    const bool is_me = index == r->me;
    char base[CFG_PATH_MAX];
    bool present = false;
    tdsa_status st;

    (void)cfg_path(base, sizeof base, "tdsaLibrary.remoteParticipants[%zu][%zu]", index, which);
    st = read_id(e, c, base, is_client, err);
    if (st == TDSA_OK) {
        st = read_url(e, c, base, !is_client && !is_me, err);
    }
    if (st == TDSA_OK) {
        st = read_keys(&e->keys, &present, c, base, is_me && count == 1, log, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (is_me && count == 1) {
        if (present) {
            check_my_keys(r, &e->keys, log);
        }
        e->keys = r->my_public; /* what others see of me comes from the private keys */
    }
    return TDSA_OK;
}

static tdsa_status read_index(peer_roster *r, size_t index, const cfg *c, const tdsa_log *log,
                              tdsa_err *err)
{
    const bool may_be_empty = (int)index == r->client_index || index == r->me;
    char path[CFG_PATH_MAX];
    size_t count;

    (void)cfg_path(path, sizeof path, "tdsaLibrary.remoteParticipants[%zu]", index);
    count = cfg_count(c, path);
    if (count == 0 && !may_be_empty) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s must list at least one participant (it is neither the client nor "
                         "this participant)",
                         path);
    }
    if (count > PEER_ALTERNATIVES_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s lists %zu participants; at most %u", path, count,
                         PEER_ALTERNATIVES_MAX);
    }
    r->at[index].count = count;
    for (size_t i = 0; i < count; i++) {
        const tdsa_status st = read_entry(r, index, i, count, c, log, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    return index == r->me && count > 1 ? keep_mine(r, path, err) : TDSA_OK;
}

/* True when remoteParticipants[index] of the document lists the id. */
static bool is_listed(const cfg *c, size_t index, const char *id)
{
    char path[CFG_PATH_MAX];
    const size_t count =
        cfg_count(c, cfg_path(path, sizeof path, "tdsaLibrary.remoteParticipants[%zu]", index));

    for (size_t i = 0; i < count; i++) {
        const char *other =
            cfg_str(c, cfg_path(path, sizeof path, "tdsaLibrary.remoteParticipants[%zu][%zu].id",
                                index, i));
        if (other != NULL && strcmp(other, id) == 0) {
            return true;
        }
    }
    return false;
}

/* Which alternative new keys use; *mine becomes false when new keys use another than me. */
static tdsa_status select_one(peer_roster *r, size_t index, const cfg *c, bool *mine, tdsa_err *err)
{
    char path[CFG_PATH_MAX];
    const char *id =
        cfg_str(c, cfg_path(path, sizeof path, "tdsaLibrary.participantIds[%zu]", index));

    if ((int)index == r->client_index || (id == NULL && index == r->me)) {
        return TDSA_OK;
    }
    if (id == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s must not be null", path);
    }
    if (r->at[index].count == 0 && is_id(id)) { /* this participant, listed as null */
        r->at[index].count = 1;
        memcpy(r->at[index].entry[0].id, id, strlen(id) + 1);
        r->at[index].entry[0].keys = r->my_public;
    }
    for (size_t i = 0; i < r->at[index].count; i++) {
        if (strcmp(r->at[index].entry[i].id, id) == 0) {
            r->at[index].selected = i;
            return TDSA_OK;
        }
    }
    if (index == r->me && is_listed(c, index, id)) {
        *mine = false;
        return TDSA_OK;
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG,
                     "%s names a participant that remoteParticipants[%zu] does not list", path,
                     index);
}

/* Two entries that would be taken for each other. */
static tdsa_status check_pair(size_t i, size_t k, const peer_entry *a, const peer_entry *b,
                              tdsa_err *err)
{
    if (a->id[0] != '\0' && strcmp(a->id, b->id) == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.remoteParticipants: one id at index %zu and %zu", i, k);
    }
    if (tdsa_ct_equal(a->keys.x25519, b->keys.x25519, sizeof a->keys.x25519) ||
        tdsa_ct_equal(a->keys.x448, b->keys.x448, sizeof a->keys.x448)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.remoteParticipants: one public key at index %zu and %zu", i,
                         k);
    }
    return TDSA_OK;
}

static tdsa_status check_distinct(const peer_roster *r, tdsa_err *err)
{
    const peer_entry *seen[PEER_PARTICIPANTS_MAX * PEER_ALTERNATIVES_MAX];
    size_t index_of[PEER_PARTICIPANTS_MAX * PEER_ALTERNATIVES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < r->at[i].count; k++) {
            index_of[count] = i;
            seen[count++] = &r->at[i].entry[k];
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            const tdsa_status st = check_pair(index_of[i], index_of[k], seen[i], seen[k], err);
            if (st != TDSA_OK) {
                return st;
            }
        }
    }
    return TDSA_OK;
}

/* Ids are part of what participants agree on when they open a channel. */
static void check_my_id(const peer_roster *r, const tdsa_log *log)
{
    if (r->at[r->me].count == 0 && (int)r->me != r->client_index) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "the id of this participant is not known: list it in "
                  "tdsaLibrary.remoteParticipants[%u] or participantIds, or other servers will "
                  "refuse what it sends",
                  (unsigned)r->me);
    }
}

tdsa_status cfg_fill_roster(peer_roster *out, bool *may_generate, const cfg *c, const tdsa_log *log,
                            tdsa_err *err)
{
    const bool has_ids = cfg_is_set(c, "tdsaLibrary.participantIds");
    bool mine = true;
    tdsa_status st = read_indices(out, c, err);

    *may_generate = false;
    if (st == TDSA_OK) {
        st = read_own_keys(out, c, log, err);
    }
    for (size_t i = 0; st == TDSA_OK && i < out->n; i++) {
        st = read_index(out, i, c, log, err);
    }
    for (size_t i = 0; st == TDSA_OK && has_ids && i < out->n; i++) {
        st = select_one(out, i, c, &mine, err);
    }
    if (st == TDSA_OK) {
        st = check_distinct(out, err);
    }
    if (st == TDSA_OK) {
        st = peer_roster_check(out, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    check_my_id(out, log);
    if (!mine) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "tdsaLibrary.participantIds[%u] names another participant than this one: it "
                  "starts no key generation",
                  (unsigned)out->me);
    }
    *may_generate = has_ids && mine;
    return TDSA_OK;
}
