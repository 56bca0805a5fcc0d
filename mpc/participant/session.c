#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/dh.h"
#include "base/hash.h"
#include "participant/internal.h"

static size_t bucket_of(const char *id)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *id != '\0'; id++) {
        h = (h ^ (uint8_t)*id) * 16777619u;
    }
    return h % PART_SESSION_BUCKETS;
}

part_asker part_asker_of(const part *p, uint16_t peer)
{
    return p->cfg.roster.client_index == (int)peer ? PART_BY_CLIENT : PART_BY_SERVER;
}

part_session *part_session_find(part *p, const char *id)
{
    part_session *s = p->sessions[bucket_of(id)];

    while (s != NULL && strcmp(s->id, id) != 0) {
        s = s->next;
    }
    return s;
}

tdsa_status part_session_new(part *p, part_session **out, const char *id, peer_purpose purpose,
                             uint16_t opened_by, tdsa_err *err)
{
    part_session *s = NULL;

    *out = NULL;
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "session");
    }
    TDSA_ASSERT(strlen(id) <= PEER_SESSION_ID_MAX);
    memcpy(s->id, id, strlen(id) + 1);
    s->purpose = purpose;
    s->opened_by = opened_by;
    s->born_ms = part_now(p);
    s->used_ms = s->born_ms;
    s->next_run = 1;
    s->next = p->sessions[bucket_of(id)];
    p->sessions[bucket_of(id)] = s;
    p->session_count++;
    *out = s;
    return TDSA_OK;
}

/* Nothing is under way in it. */
static bool idle(const part *p, const part_session *s)
{
    for (const part_exchange *x = p->exchanges; s->mine && x != NULL; x = x->next) {
        if (x->session == s) {
            return false;
        }
    }
    return s->runs == NULL;
}

/* Of the sessions that `by` opened: one that was never used, else the one used longest ago. */
static part_session *eldest(const part *p, uint16_t by, size_t *count)
{
    part_session *found = NULL;

    *count = 0;
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            if (s->opened_by != by || (s->mine && s->ends_ms <= part_now(p))) {
                continue;
            }
            ++*count;
            if (s == p->control || !idle(p, s)) {
                continue;
            }
            if (found == NULL || s->used < found->used ||
                (s->used == found->used && s->used_ms < found->used_ms)) {
                found = s;
            }
        }
    }
    return found;
}

/* Half of all sessions at most are of one participant, which makes room with its own. A session of
 * mine ends a little later: callers may be walking over the list. */
static tdsa_status make_room(part *p, uint16_t by, tdsa_err *err)
{
    part_session *s = NULL;
    size_t count = 0;
    tdsa_err why;

    if (p->session_count < p->sessions_max / 2) {
        return TDSA_OK;
    }
    s = eldest(p, by, &count);
    if (count < p->sessions_max / 2 &&
        (p->session_count < p->sessions_max || by == p->cfg.roster.me)) {
        return TDSA_OK; /* mine that have ended already go with part_sessions_due */
    }
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "%zu sessions are open: try again later",
                         p->session_count);
    }
    if (s->mine) {
        s->ends_ms = part_now(p);
    } else {
        (void)TDSA_FAIL(&why, TDSA_E_NOT_FOUND, "SESSION_UNKNOWN: it made room for another");
        part_session_end(p, s, &why);
    }
    return TDSA_OK;
}

tdsa_status part_session_open(part *p, part_session **out, peer_purpose purpose, const char *key_id,
                              tdsa_err *err)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    uint8_t random[PART_SESSION_ID_LEN];
    char id[PART_SESSION_ID_LEN + 1];
    tdsa_status st;

    *out = NULL;
    st = make_room(p, p->cfg.roster.me, err);
    if (st == TDSA_OK) {
        st = tdsa_rng_fill(&p->cfg.rng, random, sizeof random, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        id[i] = digits[random[i] & 63];
    }
    id[sizeof random] = '\0';
    st = part_session_new(p, out, id, purpose, p->cfg.roster.me, err);
    if (st != TDSA_OK) {
        return st;
    }
    (*out)->mine = true;
    (*out)->ends_ms =
        (*out)->born_ms +
        (purpose == PEER_FOR_SECRETS ? 2ull * p->cfg.session_timeout_ms : PART_SIGNING_LIFE_MS);
    TDSA_ASSERT(strlen(key_id) <= KS_KEY_ID_MAX);
    memcpy((*out)->key_id, key_id, strlen(key_id) + 1);
    return TDSA_OK;
}

void part_link_free(part *p, part_link *l, const tdsa_err *why)
{
    if (l == NULL) {
        return;
    }
    part_inbound_free(p, l, why);
    peer_channel_free(l->channel);
    tdsa_buf_clear(&l->hello_reply);
    free(l);
}

static void unlink_session(part *p, part_session *s)
{
    part_session **at = &p->sessions[bucket_of(s->id)];

    while (*at != s) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = s->next;
    p->session_count--;
}

static void drop_parked(part *p, const part_session *s)
{
    part_parked **at = &p->parked;

    while (*at != NULL) {
        part_parked *k = *at;
        if (k->session == s) {
            *at = k->next;
            tdsa_buf_clear(&k->body);
            free(k);
        } else {
            at = &k->next;
        }
    }
}

void part_session_end(part *p, part_session *s, const tdsa_err *why)
{
    const tdsa_err reason = *why; /* `why` may live inside what is freed here */

    unlink_session(p, s);
    if (p->control == s) {
        p->control = NULL;
    }
    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (k->signing == s) {
            k->signing = NULL;
            part_stock_drop_lease(p, k); /* its ranges live in this session at the responders */
        }
    }
    part_exchanges_forget(p, s);
    while (s->runs != NULL) {
        part_run_end(p, s->runs, &reason);
    }
    drop_parked(p, s);
    part_ranges_free(p, s);
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        part_link_free(p, s->link[i], &reason);
    }
    free(s);
}

/* ---- I ask: open a link ---- */

void part_session_bind(part_session *s, const mpc_member *members, size_t count)
{
    TDSA_ASSERT(count <= GRP_PARTIES_MAX);
    for (size_t i = 0; i < count; i++) {
        TDSA_ASSERT(members[i].index < GRP_PARTIES_MAX);
        memcpy(s->bound[members[i].index].x25519, members[i].x25519, TDSA_X25519_LEN);
        memcpy(s->bound[members[i].index].x448, members[i].x448, TDSA_X448_LEN);
    }
    s->bound_set = true;
}

/* A key keeps the participants that it was made with, whatever participantIds says today. */
static const peer_entry *entry_for(const part *p, const part_session *s, uint16_t peer)
{
    if (s->bound_set) {
        return peer_roster_find(&p->cfg.roster, peer, &s->bound[peer]);
    }
    return peer_roster_selected(&p->cfg.roster, peer);
}

static const char *my_id(const part *p)
{
    const peer_entry *e = peer_roster_selected(&p->cfg.roster, p->cfg.roster.me);

    return e == NULL || part_is_client(p) ? "" : e->id;
}

/* The server group id goes into the prologue when both sides are servers. */
static const char *group_id_with(const part *p, uint16_t peer)
{
    if (part_is_client(p) || part_asker_of(p, peer) == PART_BY_CLIENT) {
        return NULL;
    }
    return p->cfg.roster.server_group_id;
}

static tdsa_status start_handshake(part *p, part_session *s, part_link *l, tdsa_buf *frame,
                                   tdsa_err *err)
{
    part_frame head = {.from = p->cfg.roster.me, .to = l->peer, .purpose = s->purpose};
    const peer_prologue prologue = {
        .session_id = s->id,
        .initiator = p->cfg.roster.me,
        .responder = l->peer,
        .initiator_id = my_id(p),
        .responder_id = l->entry->id,
        .purpose = s->purpose,
        .server_group_id = group_id_with(p, l->peer),
    };

    memcpy(head.from_id, my_id(p), strlen(my_id(p)) + 1);
    memcpy(head.to_id, l->entry->id, strlen(l->entry->id) + 1);
    part_frame_put_handshake(frame, &head);
    return peer_channel_start(&l->channel, &p->identity, &l->entry->keys, &prologue, &p->cfg.rng,
                              NULL, 0, frame, err);
}

tdsa_status part_link_to(part *p, part_session *s, uint16_t peer, uint64_t op, uint64_t deadline_ms,
                         part_link **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    part_link *l = s->link[peer];
    tdsa_status st;

    *out = NULL;
    if (l != NULL && l->state != LINK_LOST) {
        if (!l->initiator) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT, "session with participant %u runs the other way",
                             peer);
        }
        *out = l;
        return TDSA_OK;
    }
    if (l != NULL) {
        return tdsa_err_blame(err, TDSA_E_NOT_FOUND, peer, TDSA_WHERE,
                              "SESSION_LOST: the session with participant %u is lost", peer);
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "link");
    }
    l->peer = peer;
    l->initiator = true;
    l->state = LINK_OPENING;
    l->hello_reply = TDSA_BUF_EMPTY;
    l->entry = entry_for(p, s, peer);
    if (l->entry == NULL || l->entry->url[0] == '\0') {
        free(l);
        return TDSA_FAIL(
            err, TDSA_E_CONFIG,
            "participant %u cannot be called: remoteParticipants[%u] has no entry with a "
            "uri and the keys that this key was made with",
            peer, peer);
    }
    l->keys = l->entry->keys;
    st = part_marks_hello(p, l, err);
    if (st == TDSA_OK) {
        st = start_handshake(p, s, l, &frame, err);
    }
    if (st == TDSA_OK) {
        s->link[peer] = l;
        st = part_put_handshake(p, s, peer, op, deadline_ms, &frame, err);
    }
    if (st != TDSA_OK) {
        s->link[peer] = NULL;
        part_link_free(p, l, err);
        return st;
    }
    *out = l;
    return TDSA_OK;
}

/* Before anything is asked it is known whether one of us was put back; the counters that go with what
 * is asked are those that the database has now. */
static tdsa_status hear_welcome(part *p, part_link *l, const tdsa_buf *extra, tdsa_err *err)
{
    ks_marks fresh;
    tdsa_status st = ks_marks_read(p->cfg.store, &fresh, err);

    if (st == TDSA_OK) {
        part_purged_elsewhere(p);
        st = part_marks_heard(p, l, extra->data, extra->len, err);
    }
    return st;
}

void part_session_opened(part *p, part_session *s, uint16_t peer, const uint8_t *body, size_t len)
{
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    part_link *l = s->link[peer];
    tdsa_err err;

    TDSA_ASSERT(l != NULL);
    if (l->state != LINK_OPENING) {
        return; /* it was given up meanwhile */
    }
    if (len < 2 || body[0] != PART_FRAME_VERSION || body[1] != PART_FRAME_HANDSHAKE) {
        (void)TDSA_BLAME(
            &err, peer,
            "participant %u answered the handshake with something else; compare its uri", peer);
    } else if (peer_channel_finish(l->channel, body + 2, len - 2, &extra, &err) == TDSA_OK &&
               hear_welcome(p, l, &extra, &err) == TDSA_OK) {
        l->state = LINK_OPEN;
        part_peer_answered(p, peer);
        part_exchanges_ready(p, s, peer);
        return;
    } else if (err.status != TDSA_E_STORE) { /* mine */
        err.participant = peer;
    }
    l->state = LINK_LOST;
    part_say(p, TDSA_LOG_WARN, "session %.8s with participant %u: %s", s->id, peer, err.text);
    part_exchanges_fail(p, s, peer, &err);
}

/* ---- a peer asks: accept a link ---- */

static tdsa_status check_ids(const part *p, const part_frame *f, tdsa_err *err)
{
    const char *mine = my_id(p);

    /* All participants use the same id for the same participant; say so before decryption fails. */
    if (mine[0] != '\0' && strcmp(mine, f->to_id) != 0) {
        return tdsa_err_blame(err, TDSA_E_PROTOCOL, f->from, TDSA_WHERE,
                              "participant %u calls this participant '%s', but its id is '%s': the "
                              "configurations differ",
                              f->from, f->to_id, mine);
    }
    return TDSA_OK;
}

static bool client_known(const part *p, const peer_keys *keys)
{
    const uint16_t index = (uint16_t)p->cfg.roster.client_index;

    if (p->cfg.roster.at[index].count > 0) {
        return peer_roster_find(&p->cfg.roster, index, keys) != NULL;
    }
    if (!p->cfg.require_known_clients) {
        return true;
    }
    for (size_t i = 0; i < p->cfg.client_count; i++) {
        if (tdsa_ct_equal(&p->cfg.clients[i], keys, sizeof *keys)) {
            return true;
        }
    }
    return false;
}

static tdsa_status identify(const part *p, const part_frame *f, part_link *l, tdsa_err *err)
{
    if (part_asker_of(p, f->from) == PART_BY_CLIENT) {
        if (!client_known(p, &l->keys)) {
            return tdsa_err_blame(err, TDSA_E_DENIED, f->from, TDSA_WHERE,
                                  "this client's keys are not in the list of clients");
        }
        return TDSA_OK;
    }
    l->entry = peer_roster_find(&p->cfg.roster, f->from, &l->keys);
    if (l->entry == NULL || strcmp(l->entry->id, f->from_id) != 0) {
        return tdsa_err_blame(
            err, TDSA_E_DENIED, f->from, TDSA_WHERE,
            "participant %u ('%s') shows keys that remoteParticipants[%u] does not "
            "list for it",
            f->from, f->from_id, f->from);
    }
    return TDSA_OK;
}

static tdsa_status answer_hello(part *p, const part_session *s, const part_frame *f, part_link *l,
                                tdsa_err *err)
{
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF welcome = TDSA_BUF_EMPTY;
    const peer_prologue prologue = {
        .session_id = s->id,
        .initiator = f->from,
        .responder = f->to,
        .initiator_id = f->from_id,
        .responder_id = f->to_id,
        .purpose = f->purpose,
        .server_group_id = group_id_with(p, f->from),
    };
    tdsa_status st;

    st = peer_channel_accept(&l->channel, &p->identity, &prologue, f->rest, f->rest_len, &l->keys,
                             &extra, err);
    if (st == TDSA_OK) {
        st = identify(p, f, l, err);
    }
    if (st == TDSA_OK) {
        st = part_marks_hello(p, l, err);
    }
    if (st == TDSA_OK) {
        st = part_marks_welcome(p, l, &welcome, err);
    }
    if (st == TDSA_OK) {
        tdsa_buf_append_u8(&l->hello_reply, PART_FRAME_VERSION);
        tdsa_buf_append_u8(&l->hello_reply, PART_FRAME_HANDSHAKE);
        st = peer_channel_answer(l->channel, &p->cfg.rng, welcome.data, welcome.len,
                                 &l->hello_reply, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&l->hello_reply, err);
    }
    return st;
}

/* The same first message again (a resend) gets the same answer; anything else is refused. */
static tdsa_status hello_again(part *p, const part_session *s, const part_link *l,
                               const uint8_t digest[32], part_ticket ticket, tdsa_err *err)
{
    if (l->initiator || !tdsa_ct_equal(l->hello_digest, digest, 32)) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "session %.8s exists already", s->id);
    }
    part_reply_with(p, ticket, l->hello_reply.data, l->hello_reply.len);
    return TDSA_OK;
}

tdsa_status part_session_accept(part *p, const char *session_id, const part_frame *f,
                                const uint8_t *body, size_t len, part_ticket ticket, tdsa_err *err)
{
    part_session *s = part_session_find(p, session_id);
    part_link *l = NULL;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const bool fresh = s == NULL;
    tdsa_status st;

    st = tdsa_hash(digest, TDSA_HASH_SHA256, body, len, err);
    if (st == TDSA_OK) {
        st = check_ids(p, f, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (s != NULL && s->link[f->from] != NULL) {
        return hello_again(p, s, s->link[f->from], digest, ticket, err);
    }
    if (s != NULL && s->mine) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "session %.8s exists already", session_id);
    }
    if (s != NULL && s->purpose != f->purpose) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "session %.8s has another purpose", session_id);
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "link");
    }
    l->peer = f->from;
    l->state = LINK_OPEN;
    l->hello_reply = TDSA_BUF_EMPTY;
    memcpy(l->hello_digest, digest, sizeof l->hello_digest);
    if (fresh) {
        st = make_room(p, f->from, err);
    }
    if (st == TDSA_OK && fresh) {
        st = part_session_new(p, &s, session_id, f->purpose, f->from, err);
    }
    if (st == TDSA_OK) {
        st = answer_hello(p, s, f, l, err);
    }
    if (st != TDSA_OK) {
        part_link_free(p, l, err);
        if (fresh && s != NULL) {
            part_session_end(p, s, err);
        }
        return st;
    }
    s->link[f->from] = l;
    part_say(p, TDSA_LOG_INFO, "session %.8s: opened by participant %u", s->id, f->from);
    part_reply_with(p, ticket, l->hello_reply.data, l->hello_reply.len);
    return TDSA_OK;
}

/* ---- ageing ---- */

static uint64_t dies_at(const part *p, const part_session *s)
{
    if (s->mine) {
        return s->ends_ms;
    }
    if (s->purpose == PEER_FOR_SECRETS) {
        return s->born_ms + 2ull * p->cfg.session_timeout_ms;
    }
    return s->used_ms + PART_SIGNING_IDLE_MS;
}

uint64_t part_session_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (const part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            const uint64_t at = dies_at(p, s);
            soonest = at < soonest ? at : soonest;
        }
    }
    return soonest;
}

void part_sessions_due(part *p)
{
    const uint64_t now = part_now(p);
    tdsa_err why;

    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        part_session *s = p->sessions[i];
        while (s != NULL) {
            part_session *next = s->next;
            /* A session of mine that is in use ends a little later, but not for ever. */
            const bool grace =
                s->mine && !idle(p, s) && now < dies_at(p, s) + p->cfg.session_timeout_ms;
            if (now >= dies_at(p, s) && !grace) {
                (void)TDSA_FAIL(&why, TDSA_E_TIMEOUT, "session %.8s has ended", s->id);
                part_session_end(p, s, &why);
            }
            s = next;
        }
    }
}
