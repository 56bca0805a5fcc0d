#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/export.h"
#include "participant/run_internal.h"

#define PLAN_LEN_MAX 8192u /* bytes of a reshare's plan: 18 members and a policy fit */

/* How a run begins: the coordinator says in round 0 what it is about; the others join. */

static const char *begin_tag(part_ask_kind kind)
{
    if (kind == PART_ASK_RESHARE) {
        return "begin-reshare";
    }
    if (kind == PART_ASK_IMPORT) {
        return "begin-import";
    }
    if (kind == PART_ASK_EXPORT) {
        return "begin-export";
    }
    return kind == PART_ASK_KEYGEN ? "begin-keygen" : "begin-presign";
}

/* Round 0 also says what the run is about. */
void part_begin_put(tdsa_buf *out, const part_run *r)
{
    tdsa_stmt_begin(out, begin_tag(part_run_ask_kind(r)));
    tdsa_stmt_text(out, r->key_id);
    tdsa_stmt_uint(out, r->coordinator);
    if (r->kind == RUN_PRESIGN) {
        tdsa_stmt_uint(out, r->key->key->pub.epoch);
        tdsa_stmt_uint(out, r->lane);
        tdsa_stmt_uint(out, r->seq);
        tdsa_stmt_uint(out, r->count);
        tdsa_stmt_uint(out, r->compressed ? 1 : 0);
        tdsa_stmt_uint_list(out, r->members, r->member_count);
    } else if (r->kind == RUN_RESHARE || r->kind == RUN_EXPORT) {
        tdsa_stmt_octets(out, r->plan_bytes.data, r->plan_bytes.len);
    }
}

tdsa_status part_begin_parse(part_begin *b, part_ask_kind kind, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t coordinator = 0;
    uint64_t count = 0;
    uint64_t wire = 0;

    memset(b, 0, sizeof *b);
    tdsa_stmt_expect(&r, begin_tag(kind));
    tdsa_stmt_read_text(&r, b->key_id, sizeof b->key_id);
    coordinator = tdsa_stmt_read_uint(&r);
    if (kind == PART_ASK_PRESIGN) {
        b->epoch = tdsa_stmt_read_uint(&r);
        b->lane = tdsa_stmt_read_uint(&r);
        b->seq = tdsa_stmt_read_uint(&r);
        count = tdsa_stmt_read_uint(&r);
        wire = tdsa_stmt_read_uint(&r);
        b->member_count = tdsa_stmt_read_uint_list(&r, b->members, GRP_PARTIES_MAX);
    } else if (kind == PART_ASK_RESHARE || kind == PART_ASK_EXPORT) {
        b->plan = tdsa_stmt_read_octets(&r, &b->plan_len, PLAN_LEN_MAX);
    }
    b->message = tdsa_stmt_read_octets(&r, &b->message_len, TDSA_BUF_LEN_MAX);
    if (coordinator >= GRP_PARTIES_MAX || count > MPC_PRESIGN_COUNT_MAX || wire > 1 ||
        !part_key_id_ok(b->key_id)) {
        r.failed = true;
    }
    b->coordinator = (uint16_t)coordinator;
    b->count = (uint32_t)count;
    b->compressed = wire == 1;
    return tdsa_reader_finish(&r, "begin", err);
}

static bool plan_fits(const part_run *r, const part_begin *b)
{
    return (r->kind != RUN_RESHARE && r->kind != RUN_EXPORT) ||
           (r->plan_bytes.len == b->plan_len &&
            memcmp(r->plan_bytes.data, b->plan, b->plan_len) == 0);
}

bool part_begin_fits(const part_run *r, const part_begin *b)
{
    return strcmp(r->key_id, b->key_id) == 0 && r->coordinator == b->coordinator &&
           plan_fits(r, b) &&
           (r->kind != RUN_PRESIGN ||
            (r->key->key->pub.epoch == b->epoch && r->lane == b->lane && r->seq == b->seq &&
             r->count == b->count && r->compressed == b->compressed &&
             r->member_count == b->member_count &&
             memcmp(r->members, b->members, b->member_count * sizeof b->members[0]) == 0));
}

/*
 * The coordinator must be a member and show the keys that the key is bound to, or it is told what it
 * would be told of a key that is not here. One session is for one set of participants.
 */
tdsa_status part_run_bind(const part *p, part_run *r, const mpc_member *members, size_t count,
                          tdsa_err *err)
{
    part_session *s = r->session;
    bool member = false;

    for (size_t i = 0; i < r->member_count; i++) {
        member = member || r->members[i] == r->coordinator;
    }
    if (r->coordinator != p->cfg.roster.me &&
        (!member ||
         !part_members_have(members, count, r->coordinator, &s->link[r->coordinator]->keys))) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", r->key_id);
    }
    for (size_t i = 0; s->bound_set && i < count; i++) {
        if (!part_member_is(&members[i], &s->bound[members[i].index])) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT, "this session is for other participants");
        }
    }
    part_session_bind(s, members, count);
    return TDSA_OK;
}

tdsa_status part_run_registered(part *p, part_run *r, part_registration *reg, mpc_keygen_cfg *cfg,
                                tdsa_err *err)
{
    ks_key_state state = KS_KEY_DELETED;
    tdsa_status st = part_registration_load(p, r->key_id, reg, &state, err);

    *cfg = (mpc_keygen_cfg){.me = p->cfg.roster.me, .epoch = 0, .rng = p->cfg.rng};
    if (st != TDSA_OK) {
        return st;
    }
    for (uint16_t i = 0; i < reg->n; i++) {
        r->members[i] = reg->members[i].index;
    }
    r->member_count = reg->n;
    st = part_run_bind(p, r, reg->members, reg->n, err);
    if (st == TDSA_OK && state != KS_KEY_REGISTERED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s has a share already", r->key_id);
    }
    if (st == TDSA_OK) {
        st = part_group(p, reg->curve, &cfg->g, err);
    }
    cfg->scheme = reg->scheme;
    cfg->n = reg->n;
    cfg->t = reg->t;
    cfg->members = reg->members;
    cfg->key_id = r->key_id;
    cfg->policy = reg->policy;
    return st;
}

static tdsa_status new_keygen(part *p, part_run *r, tdsa_err *err)
{
    mpc_keygen_cfg cfg;
    part_registration reg;
    tdsa_status st = part_run_registered(p, r, &reg, &cfg, err);

    return st == TDSA_OK ? mpc_keygen_new(&r->keygen, &cfg, err) : st;
}

static tdsa_status new_presign(part *p, part_run *r, tdsa_err *err)
{
    mpc_presign_cfg cfg = {.lane = r->lane,
                           .seq = r->seq,
                           .count = r->count,
                           .compressed_wire = r->compressed,
                           .rng = p->cfg.rng};
    const mpc_key_public *pub = &r->key->key->pub;
    tdsa_status st = part_run_bind(p, r, pub->members, pub->n, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (r->member_count != 2u * pub->t + 1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "committee of %zu, must be %u", r->member_count,
                         2u * pub->t + 1);
    }
    memcpy(cfg.committee, r->members, sizeof cfg.committee);
    cfg.key = r->key->key;
    return mpc_presign_new(&r->presign, &cfg, err);
}

/* ---- begun by me ---- */

tdsa_status part_run_mine(part *p, part_run **out, const part_op *op, part_run_kind kind,
                          tdsa_err *err)
{
    part_session *s = NULL;
    tdsa_status st = part_session_open(p, &s, PEER_FOR_SECRETS, op->key_id, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = part_run_new(p, out, s, kind, s->next_run++, err);
    }
    if (st == TDSA_OK) {
        (*out)->coordinator = p->cfg.roster.me;
        (*out)->op = op->id;
        (*out)->deadline_ms = op->deadline_ms;
        memcpy((*out)->key_id, op->key_id, sizeof(*out)->key_id);
    }
    return st;
}

tdsa_status part_run_go(part *p, part_run *r, tdsa_status st)
{
    if (st == TDSA_OK) {
        part_run_pump(p, r);
    } else {
        part_run_free(p, r);
    }
    return st;
}

tdsa_status part_run_begin_keygen(part *p, part_session *s, const char *key_id, uint64_t op,
                                  uint64_t deadline_ms, tdsa_err *err)
{
    part_run *r = NULL;
    tdsa_status st = part_run_new(p, &r, s, RUN_KEYGEN, s->next_run++, err);

    if (st != TDSA_OK) {
        return st;
    }
    r->coordinator = p->cfg.roster.me;
    r->op = op;
    r->deadline_ms = deadline_ms;
    memcpy(r->key_id, key_id, strlen(key_id) + 1);
    return part_run_go(p, r, new_keygen(p, r, err));
}

tdsa_status part_run_begin_presign(part *p, part_session *s, part_key *k, uint32_t count,
                                   uint32_t members, uint64_t op, uint64_t deadline_ms,
                                   tdsa_err *err)
{
    part_run *r = NULL;
    tdsa_status st = part_run_new(p, &r, s, RUN_PRESIGN, s->next_run++, err);

    if (st != TDSA_OK) {
        return st;
    }
    r->coordinator = p->cfg.roster.me;
    r->op = op;
    r->deadline_ms = deadline_ms;
    r->key = part_key_ref(k);
    r->lane = part_lane(p);
    r->seq = part_next_seq(p);
    r->count = count;
    r->compressed = false;
    memcpy(r->key_id, k->key->pub.key_id, sizeof r->key_id);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members >> i & 1) != 0) {
            r->members[r->member_count++] = i;
        }
    }
    return part_run_go(p, r, new_presign(p, r, err));
}

/* ---- begun by a peer ---- */

static tdsa_status check_coordinator(const part *p, const part_session *s, uint16_t from,
                                     const part_begin *b, tdsa_err *err)
{
    if (b->coordinator != from || s->mine) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "participant %u does not coordinate this session",
                         from);
    }
    if (part_has_client(p) && part_asker_of(p, from) != PART_BY_CLIENT) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "only the client starts runs in this group");
    }
    return TDSA_OK;
}

static part_run_kind kind_of_ask(part_ask_kind ask)
{
    if (ask == PART_ASK_RESHARE) {
        return RUN_RESHARE;
    }
    if (ask == PART_ASK_IMPORT) {
        return RUN_IMPORT;
    }
    if (ask == PART_ASK_EXPORT) {
        return RUN_EXPORT;
    }
    return ask == PART_ASK_KEYGEN ? RUN_KEYGEN : RUN_PRESIGN;
}

/* What the coordinator proposes; part_reshare_begin checks every field of it. */
static tdsa_status take_plan(part *p, part_run *r, const part_begin *b, tdsa_err *err)
{
    tdsa_status st;

    r->plan = calloc(1, sizeof *r->plan);
    if (r->plan == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "plan of a reshare");
    }
    tdsa_buf_append(&r->plan_bytes, b->plan, b->plan_len);
    st = tdsa_buf_check(&r->plan_bytes, err);
    if (st == TDSA_OK) {
        st = part_reshare_parse_plan(r->plan, b->plan, b->plan_len, err);
    }
    return st == TDSA_OK ? part_reshare_begin(p, r, err) : st;
}

static tdsa_status take_export_plan(part *p, part_run *r, const part_begin *b, tdsa_err *err)
{
    tdsa_status st;

    r->export_plan = calloc(1, sizeof *r->export_plan);
    if (r->export_plan == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "plan of an export");
    }
    tdsa_buf_append(&r->plan_bytes, b->plan, b->plan_len);
    st = tdsa_buf_check(&r->plan_bytes, err);
    if (st == TDSA_OK) {
        st = part_export_parse_plan(r->export_plan, b->plan, b->plan_len, err);
    }
    return st == TDSA_OK ? part_export_begin(p, r, err) : st;
}

static tdsa_status join_presign(part *p, part_run *r, uint16_t from, const part_begin *b,
                                tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    r->lane = b->lane;
    r->seq = b->seq;
    r->count = b->count;
    r->compressed = b->compressed;
    r->member_count = b->member_count;
    memcpy(r->members, b->members, sizeof r->members);
    if (r->lane >> 56 != from) {
        st = TDSA_BLAME(err, from, "lane %llx is not of participant %u",
                        (unsigned long long)r->lane, from);
    }
    if (st == TDSA_OK) {
        st = part_key_hold(p, r->key_id, &r->key, err);
    }
    if (st == TDSA_OK) {
        st = part_epoch_check(p, r->key, b->epoch, err);
    }
    return st == TDSA_OK ? new_presign(p, r, err) : st;
}

tdsa_status part_run_join(part *p, part_session *s, uint16_t from, const part_ask *a,
                          const part_begin *b, part_run **out, tdsa_err *err)
{
    part_run *r = NULL;
    tdsa_status st = check_coordinator(p, s, from, b, err);

    if (st == TDSA_OK) {
        st = part_run_new(p, &r, s, kind_of_ask(a->kind), a->run, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    r->coordinator = from;
    memcpy(r->key_id, b->key_id, sizeof r->key_id);
    if (r->kind == RUN_KEYGEN) {
        st = new_keygen(p, r, err);
    } else if (r->kind == RUN_IMPORT) {
        st = part_import_begin(p, r, NULL, err);
    } else if (r->kind == RUN_RESHARE) {
        st = take_plan(p, r, b, err);
    } else if (r->kind == RUN_EXPORT) {
        st = take_export_plan(p, r, b, err);
    } else {
        st = join_presign(p, r, from, b, err);
    }
    if (st != TDSA_OK) {
        part_run_free(p, r);
        return st;
    }
    part_op_event(p, part_run_op_kind(r), PART_EVENT_STARTED, r->born_ms);
    *out = r;
    return TDSA_OK;
}
