#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/dh.h"
#include "base/hash.h"
#include "base/statement.h"
#include "participant/internal.h"

#define STORE_AFTER_MS 1000u
#define TELL_AGAIN_MS  5000u
#define TELL_TIMES     12u

/* ---- bytes ---- */

static void put_counters(tdsa_buf *out, const ks_marks *m)
{
    tdsa_stmt_uint(out, m->store_id);
    tdsa_stmt_uint(out, m->starts);
    tdsa_stmt_uint(out, m->burns);
    tdsa_stmt_uint(out, m->purges);
}

static void put_mark(tdsa_buf *out, const part_mark *mark)
{
    const size_t list = tdsa_stmt_list_begin(out);

    put_counters(out, &mark->m);
    tdsa_stmt_octets(out, mark->tag, sizeof mark->tag);
    tdsa_stmt_list_end(out, list);
}

static void put_list(tdsa_buf *out, const part_mark *marks, size_t count)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (size_t i = 0; i < count; i++) {
        put_mark(out, &marks[i]);
    }
    tdsa_stmt_list_end(out, list);
}

void part_marks_put(tdsa_buf *out, const part_marks *m)
{
    tdsa_stmt_begin(out, "marks");
    if (m->mine_set) {
        put_mark(out, &m->mine);
    } else {
        tdsa_stmt_absent(out);
    }
    put_list(out, m->seen, m->seen_count);
}

/* Counters stay below what a database can hold, so that a purge can raise them. */
static void read_mark(tdsa_reader *r, part_mark *out)
{
    tdsa_reader one = tdsa_stmt_read_list(r);

    out->m.store_id = tdsa_stmt_read_uint(&one);
    out->m.starts = tdsa_stmt_read_uint(&one);
    out->m.burns = tdsa_stmt_read_uint(&one);
    out->m.purges = tdsa_stmt_read_uint(&one);
    tdsa_stmt_read_exact(&one, out->tag, sizeof out->tag);
    if (one.failed || tdsa_reader_left(&one) > 0 || out->m.starts >= INT64_MAX ||
        out->m.burns >= INT64_MAX || out->m.purges >= INT64_MAX) {
        r->failed = true;
    }
}

static size_t read_list(tdsa_reader *r, part_mark out[PART_STORES_MAX])
{
    tdsa_reader list = tdsa_stmt_read_list(r);
    size_t count = 0;

    while (!list.failed && tdsa_reader_left(&list) > 0 && count < PART_STORES_MAX) {
        read_mark(&list, &out[count++]);
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
        return 0;
    }
    return count;
}

tdsa_status part_marks_parse(part_marks *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_status st;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "marks");
    out->mine_set = !tdsa_stmt_read_absent(&r);
    if (out->mine_set) {
        read_mark(&r, &out->mine);
    }
    out->seen_count = read_list(&r, out->seen);
    st = tdsa_reader_finish(&r, "marks", err);
    if (st != TDSA_OK) {
        memset(out, 0, sizeof *out);
    }
    return st;
}

/* ---- tags ---- */

tdsa_status part_marks_begin(part *p, tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&info, "mark-key");
    return tdsa_hkdf_stmt(p->mark_key, p->identity.x25519_private, TDSA_X25519_LEN, &info, err);
}

static tdsa_status make_tag(const part *p, const ks_marks *m, uint8_t out[PART_MARK_TAG_LEN],
                            tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    uint8_t full[TDSA_DIGEST_LEN_MAX];
    tdsa_status st;

    tdsa_stmt_begin(&text, "mark");
    put_counters(&text, m);
    st = tdsa_buf_check(&text, err);
    if (st == TDSA_OK) {
        st = tdsa_hmac(full, TDSA_HASH_SHA256, p->mark_key, sizeof p->mark_key, text.data, text.len,
                       err);
    }
    if (st == TDSA_OK) {
        memcpy(out, full, PART_MARK_TAG_LEN);
    }
    return st;
}

/* ---- what was seen of others ---- */

static tdsa_status name_of(const part_link *l, uint8_t out[8], tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA256, &l->keys, sizeof l->keys, err);

    if (st == TDSA_OK) {
        memcpy(out, digest, 8);
    }
    return st;
}

static void row_name(const part_identity *id, char out[KS_KEY_ID_MAX])
{
    (void)snprintf(out, KS_KEY_ID_MAX, "mark.%u.%02x%02x%02x%02x%02x%02x%02x%02x", id->index,
                   id->name[0], id->name[1], id->name[2], id->name[3], id->name[4], id->name[5],
                   id->name[6], id->name[7]);
}

static tdsa_status load(part *p, part_identity *id, tdsa_err *err)
{
    TDSA_SCOPED_BUF row = TDSA_BUF_EMPTY;
    part_marks m = {.mine_set = false};
    char name[KS_KEY_ID_MAX];
    tdsa_status st;

    row_name(id, name);
    st = ks_meta_get(p->cfg.store, name, false, &row, err);
    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_OK;
    }
    if (st == TDSA_OK && part_marks_parse(&m, row.data, row.len, err) != TDSA_OK) {
        part_say(p, TDSA_LOG_ERROR, "what was seen of participant %u is damaged: %s", id->index,
                 err->text); /* it is written anew */
    }
    id->count = m.seen_count;
    memcpy(id->at, m.seen, sizeof id->at);
    return st;
}

static tdsa_status store(part *p, part_identity *id, tdsa_err *err)
{
    TDSA_SCOPED_BUF row = TDSA_BUF_EMPTY;
    part_marks m = {.seen_count = id->count};
    char name[KS_KEY_ID_MAX];
    tdsa_status st;

    memcpy(m.seen, id->at, sizeof m.seen);
    part_marks_put(&row, &m);
    st = tdsa_buf_check(&row, err);
    row_name(id, name);
    if (st == TDSA_OK) {
        st = ks_meta_put(p->cfg.store, name, false, row.data, row.len, err);
    }
    if (st == TDSA_OK) {
        id->dirty = false;
    }
    return st;
}

/* The one used longest ago makes room; what it knows is in the store. */
static void trim(part *p)
{
    part_identity **at = &p->identities;
    size_t count = 0;
    tdsa_err err;

    while (*at != NULL) {
        part_identity *id = *at;
        if (++count <= PART_IDENTITIES_MAX || (id->dirty && store(p, id, &err) != TDSA_OK)) {
            at = &id->next;
        } else {
            *at = id->next;
            free(id);
        }
    }
}

static tdsa_status identity_of(part *p, const part_link *l, part_identity **out, tdsa_err *err)
{
    part_identity **at = &p->identities;
    part_identity *id = NULL;
    uint8_t name[8];
    tdsa_status st = name_of(l, name, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    while (*at != NULL &&
           ((*at)->index != l->peer || memcmp((*at)->name, name, sizeof name) != 0)) {
        at = &(*at)->next;
    }
    id = *at;
    if (id != NULL) {
        *at = id->next;
    } else {
        id = calloc(1, sizeof *id);
        if (id == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "marks of a participant");
        }
        id->index = l->peer;
        memcpy(id->name, name, sizeof name);
        st = load(p, id, err);
        if (st != TDSA_OK) {
            free(id);
            return st;
        }
    }
    id->next = p->identities;
    p->identities = id;
    trim(p);
    *out = id;
    return TDSA_OK;
}

static part_mark *of_store(part_mark *at, size_t count, uint64_t store_id)
{
    for (size_t i = 0; i < count; i++) {
        if (at[i].m.store_id == store_id) {
            return &at[i];
        }
    }
    return NULL;
}

/* The latest database first; a fifth one pushes the oldest out. */
static void put_first(part_identity *id, const part_mark *mark)
{
    const part_mark *old = of_store(id->at, id->count, mark->m.store_id);
    size_t from = old == NULL ? id->count : (size_t)(old - id->at);

    if (old == NULL && id->count < PART_STORES_MAX) {
        id->count++;
    } else if (old == NULL) {
        from = PART_STORES_MAX - 1;
    }
    memmove(&id->at[1], &id->at[0], from * sizeof id->at[0]);
    id->at[0] = *mark;
    id->dirty = true;
}

/* ---- telling ---- */

tdsa_status part_marks_hello(part *p, part_link *l, tdsa_err *err)
{
    part_identity *id = NULL;
    tdsa_status st = identity_of(p, l, &id, err);

    if (st == TDSA_OK) {
        l->then_count = id->count;
        memcpy(l->then, id->at, sizeof l->then);
    }
    return st;
}

static tdsa_status tell(part *p, part_link *l, bool all, tdsa_buf *out, tdsa_err *err)
{
    part_marks m = {.mine_set = true};
    part_identity *id = NULL;
    tdsa_status st = TDSA_OK;

    ks_marks_known(p->cfg.store, &m.mine.m);
    if (all) {
        st = identity_of(p, l, &id, err);
    }
    if (st == TDSA_OK && all) {
        m.seen_count = id->count;
        memcpy(m.seen, id->at, sizeof m.seen);
    }
    if (st == TDSA_OK) {
        st = make_tag(p, &m.mine.m, m.mine.tag, err);
    }
    if (st == TDSA_OK) {
        part_marks_put(out, &m);
        st = tdsa_buf_check(out, err);
        l->told = m.mine.m;
    }
    return st;
}

tdsa_status part_marks_welcome(part *p, part_link *l, tdsa_buf *out, tdsa_err *err)
{
    ks_marks fresh;
    tdsa_status st = ks_marks_read(p->cfg.store, &fresh, err);

    return st == TDSA_OK ? tell(p, l, true, out, err) : st;
}

tdsa_status part_marks_tell(part *p, part_link *l, tdsa_buf *out, tdsa_err *err)
{
    const bool all = l->initiator && !l->marks_taken;
    ks_marks now;

    ks_marks_known(p->cfg.store, &now);
    if (!all && now.burns == l->told.burns && now.purges == l->told.purges) {
        return TDSA_OK;
    }
    return tell(p, l, all, out, err);
}

/* ---- hearing ---- */

/* What the peer saw of me, if I said so, against what is in the database now. */
static tdsa_status judge_me(part *p, const part_link *l, const part_marks *m, tdsa_err *err)
{
    ks_marks mine;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < m->seen_count && st == TDSA_OK; i++) {
        const ks_marks *seen = &m->seen[i].m;
        uint8_t tag[PART_MARK_TAG_LEN];

        st = ks_marks_read(p->cfg.store, &mine, err);
        if (st != TDSA_OK || seen->store_id != mine.store_id || !ks_marks_behind(&mine, seen)) {
            continue;
        }
        st = make_tag(p, seen, tag, err);
        if (st == TDSA_OK && !tdsa_ct_equal(tag, m->seen[i].tag, sizeof tag)) {
            part_say(p, TDSA_LOG_WARN,
                     "participant %u says that this database once counted %llu starts and %llu "
                     "burns, without proof: ignored",
                     l->peer, (unsigned long long)seen->starts, (unsigned long long)seen->burns);
        } else if (st == TDSA_OK) {
            st = part_rolled_back(p, seen, err);
        }
    }
    return st;
}

static tdsa_status peer_lost_stock(part *p, const part_link *l, const char *why, tdsa_err *err)
{
    part_say(p, TDSA_LOG_WARN, "participant %u %s: presignatures with it are void", l->peer, why);
    return part_void_with(p, l->peer, &l->keys, err);
}

/* `mark` is not older than the handshake, when the peer had told `then`. */
static tdsa_status judge_peer(part *p, part_link *l, part_identity *id, const part_mark *mark,
                              tdsa_err *err)
{
    const part_mark *then = of_store(l->then, l->then_count, mark->m.store_id);
    const part_mark *last = of_store(id->at, id->count, mark->m.store_id);
    const uint64_t purges = last == NULL ? 0 : last->m.purges;
    tdsa_status st = TDSA_OK;

    if (then != NULL && ks_marks_behind(&mark->m, &then->m)) {
        l->then_count = 0; /* said once; it has been told what was seen of it */
        return peer_lost_stock(p, l, "has counted less than it had before", err);
    }
    if (mark->m.purges > purges) {
        st = peer_lost_stock(p, l, "gave up its presignatures", err);
    }
    if (st == TDSA_OK && (last == NULL || (!ks_marks_behind(&mark->m, &last->m) &&
                                           ks_marks_behind(&last->m, &mark->m)))) {
        put_first(id, mark);
        if (p->marks_store_ms == 0) {
            p->marks_store_ms = part_now(p) + STORE_AFTER_MS;
        }
    }
    return st;
}

/* A client that nobody knows may not fill the database: one that has told nothing worth a row yet is
 * remembered by its link only, until it proves to share a key. */
static bool worth_a_row(const part *p, const part_link *l, const part_identity *id)
{
    return part_asker_of(p, l->peer) == PART_BY_SERVER || l->known || id->count > 0;
}

static tdsa_status hear_peer(part *p, part_link *l, const part_mark *mark, tdsa_err *err)
{
    part_identity *id = NULL;
    tdsa_status st = identity_of(p, l, &id, err);

    l->last = *mark;
    l->last_set = true;
    if (st == TDSA_OK && worth_a_row(p, l, id)) {
        st = judge_peer(p, l, id, mark, err);
    }
    return st;
}

tdsa_status part_marks_heard(part *p, part_link *l, const uint8_t *in, size_t len, tdsa_err *err)
{
    part_marks m;
    tdsa_status st;

    if (len == 0) {
        return TDSA_OK;
    }
    st = part_marks_parse(&m, in, len, err);
    if (st == TDSA_OK) {
        st = judge_me(p, l, &m, err);
    }
    if (st == TDSA_OK && m.mine_set) {
        st = hear_peer(p, l, &m.mine, err);
    }
    return st;
}

void part_marks_keep(part *p, part_link *l)
{
    tdsa_err err;

    if (l != NULL && !l->known) {
        l->known = true;
        if (l->last_set && hear_peer(p, l, &l->last, &err) != TDSA_OK) {
            part_say(p, TDSA_LOG_WARN, "what participant %u told is not kept: %s", l->peer,
                     err.text);
        }
    }
}

/* ---- time ---- */

void part_marks_announce(part *p)
{
    p->marks_left = TELL_TIMES;
    p->marks_tell_ms = part_now(p);
    p->marks_untold = 0;
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if (i != p->cfg.roster.me && part_asker_of(p, i) == PART_BY_SERVER &&
            peer_roster_selected(&p->cfg.roster, i) != NULL) {
            p->marks_untold |= 1u << i;
        }
    }
}

void part_marks_told(part *p, uint16_t peer)
{
    p->marks_untold &= ~(1u << peer);
}

static void tell_servers(part *p)
{
    tdsa_err err;

    p->marks_left--;
    p->marks_tell_ms = part_now(p) + TELL_AGAIN_MS;
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        part_question q = {.peer = i,
                           .deadline_ms = part_now(p) + p->cfg.deadline_ms,
                           .ask = {.kind = PART_ASK_MARKS}};

        if ((p->marks_untold >> i & 1u) != 0 &&
            part_control_session(p, i, &q.session, &err) == TDSA_OK) {
            (void)part_put(p, &q, &err); /* again later; and with the next link in any case */
        }
    }
}

static bool is_telling(const part *p)
{
    return p->marks_untold != 0 && p->marks_left > 0;
}

static void store_dirty(part *p)
{
    tdsa_err err;

    p->marks_store_ms = 0;
    for (part_identity *id = p->identities; id != NULL; id = id->next) {
        if (id->dirty && store(p, id, &err) != TDSA_OK) {
            part_say(p, TDSA_LOG_WARN, "what was seen of participant %u is not stored: %s",
                     id->index, err.text);
            p->marks_store_ms = part_now(p) + STORE_AFTER_MS;
        }
    }
}

void part_marks_due(part *p)
{
    const uint64_t now = part_now(p);

    if (p->marks_store_ms != 0 && p->marks_store_ms <= now) {
        store_dirty(p);
    }
    if (is_telling(p) && p->marks_tell_ms <= now) {
        tell_servers(p);
    }
}

uint64_t part_marks_next_due(const part *p)
{
    uint64_t soonest = p->marks_store_ms == 0 ? UINT64_MAX : p->marks_store_ms;

    return is_telling(p) && p->marks_tell_ms < soonest ? p->marks_tell_ms : soonest;
}

void part_marks_end(part *p)
{
    store_dirty(p);
    while (p->identities != NULL) {
        part_identity *id = p->identities;
        p->identities = id->next;
        free(id);
    }
    tdsa_wipe(p->mark_key, sizeof p->mark_key);
}
