#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

typedef struct part_reply_node {
    struct part_reply_node *next;
    part_reply reply;
} part_reply_node;

uint64_t part_now(const part *p)
{
    return p->cfg.clock.mono_ms(p->cfg.clock.ctx);
}

void part_say(const part *p, tdsa_log_level level, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (p->cfg.log == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tdsa_logf(p->cfg.log, level, "com.sepior.tdsa.participant", "%s", text);
}

tdsa_status part_group(part *p, grp_curve curve, const grp **out, tdsa_err *err)
{
    tdsa_status st;

    *out = NULL;
    if (curve < GRP_P256 || (unsigned)curve >= GRP_CURVE_END) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown curve %d", (int)curve);
    }
    if (p->groups[curve] == NULL) {
        st = grp_open(&p->groups[curve], curve, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    *out = p->groups[curve];
    return TDSA_OK;
}

tdsa_status part_may_coordinate(const part *p, tdsa_err *err)
{
    if (part_has_client(p) && !part_is_client(p)) {
        return TDSA_FAIL(
            err, TDSA_E_CONFLICT,
            "CLIENT_PARTICIPATES: participant %d is a client of this group and only it "
            "can start this operation",
            p->cfg.roster.client_index);
    }
    return TDSA_OK;
}

static tdsa_status check_cfg(const part_engine_cfg *cfg, tdsa_err *err)
{
    const peer_roster *r = &cfg->roster;

    if (r->n < 3 || r->n > GRP_PARTIES_MAX || r->me >= r->n) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "participant %u of %u: 3 to %u are supported", r->me,
                         r->n, GRP_PARTIES_MAX);
    }
    if (cfg->t < 1 || cfg->t > GRP_THRESHOLD_MAX || r->n < 2 * cfg->t + 1) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "threshold %u needs at least %u participants, not %u",
                         cfg->t, 2u * cfg->t + 1, r->n);
    }
    if (cfg->presign_batch_min < 1 || cfg->presign_batch_min > cfg->presign_batch_max ||
        cfg->presign_batch_max > MPC_PRESIGN_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "presignature batches of %u to %u: want 1 to %u",
                         cfg->presign_batch_min, cfg->presign_batch_max, MPC_PRESIGN_COUNT_MAX);
    }
    if (cfg->presign_low > cfg->presign_high) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the stock of presignatures is to be kept between %u and %u",
                         cfg->presign_low, cfg->presign_high);
    }
    return TDSA_OK;
}

static tdsa_status copy_clients(part *p, const part_engine_cfg *cfg, tdsa_err *err)
{
    peer_keys *copy = NULL;

    p->cfg.clients = NULL;
    if (cfg->client_count == 0) {
        return TDSA_OK;
    }
    copy = calloc(cfg->client_count, sizeof *copy);
    if (copy == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "list of clients");
    }
    memcpy(copy, cfg->clients, cfg->client_count * sizeof *copy);
    p->cfg.clients = copy;
    return TDSA_OK;
}

/* A batch that was only MADE when its process ended never became FREE here: void for ever. A client
 * shares its database with other processes, whose batches may still be in the making: of those, the
 * ones begun (seq follows the wall clock) so long ago that no run is left. */
static tdsa_status void_made(part *p, tdsa_err *err)
{
    const uint64_t now = p->cfg.clock.wall_ms(p->cfg.clock.ctx);
    const uint64_t longest = 2ull * p->cfg.session_timeout_ms;

    if (!part_is_client(p)) {
        return ks_batch_void_made(p->cfg.store, 0, err);
    }
    return ks_batch_void_made(p->cfg.store, now > longest ? now - longest : 1, err);
}

static size_t keys_max(const part_engine_cfg *cfg)
{
    const size_t wanted = cfg->keys_cached.set ? cfg->keys_cached.max : PART_KEYS_CACHED_USUAL;

    return wanted < PART_KEYS_CACHED_MOST ? wanted : PART_KEYS_CACHED_MOST;
}

tdsa_status part_new(part **out, const part_engine_cfg *cfg, tdsa_err *err)
{
    part *p = NULL;
    tdsa_status st;

    *out = NULL;
    st = check_cfg(cfg, err);
    if (st != TDSA_OK) {
        return st;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "participant");
    }
    p->cfg = *cfg;
    st = copy_clients(p, cfg, err);
    if (st != TDSA_OK) {
        goto out;
    }
    p->dh_cache = peer_dh_cache_new();
    if (p->dh_cache == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "participant");
        goto out;
    }
    p->identity.x25519_private = p->cfg.roster.my_x25519;
    p->identity.x448_private = p->cfg.roster.my_x448;
    p->identity.public_keys = &p->cfg.roster.my_public;
    peer_identity_cache(&p->identity, p->dh_cache);
    p->keys_max = keys_max(cfg);
    p->cache_over_ms = UINT64_MAX;
    p->sessions_max = PART_SESSIONS_MAX;
    p->ahead_len = KS_BLOCK_SIZE;
    p->next_exchange = 1;
    p->next_op = 1;
    p->seq = cfg->clock.wall_ms(cfg->clock.ctx);
    st = part_marks_begin(p, err);
    if (st == TDSA_OK) {
        st = void_made(p, err);
    }
    if (st != TDSA_OK) {
        goto out;
    }
    part_rollback_at_start(p);
    part_doubts_load(p);
    part_deletions_load(p);
    part_restored_begin(p);
    *out = p;
    p = NULL;
out:
    part_free(p);
    return st;
}

static void end_everything(part *p, const tdsa_err *why)
{
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        part_op_end(p, op, why);
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        while (p->sessions[i] != NULL) {
            part_session_end(p, p->sessions[i], why);
        }
    }
    part_burns_drop(p);
    for (part_key *k = p->keys; k != NULL; k = k->next) {
        part_stock_drop_lease(p, k);
    }
}

void part_forget(part *p)
{
    tdsa_err why;

    (void)TDSA_FAIL(&why, TDSA_E_LOGIN, "logged out");
    end_everything(p, &why);
    part_cache_trim(p, true);
}

void part_free(part *p)
{
    tdsa_err why;

    if (p == NULL) {
        return;
    }
    (void)TDSA_FAIL(&why, TDSA_E_BUSY, "stopping");
    end_everything(p, &why);
    while (p->ops != NULL) {
        tdsa_err ignored;
        part_result dropped;
        (void)part_op_over(p, p->ops->id, &dropped, &ignored);
        part_recovery_free(dropped.recovery);
    }
    part_exchanges_free(p);
    part_marks_end(p);
    part_doubts_free(p);
    part_deletions_free(p);
    part_rates_free(p);
    part_cache_trim(p, true);
    TDSA_ASSERT(p->keys == NULL);
    while (p->replies != NULL) {
        part_reply_node *n = p->replies;
        p->replies = n->next;
        tdsa_buf_clear(&n->reply.body);
        free(n);
    }
    for (size_t i = 0; i < sizeof p->groups / sizeof p->groups[0]; i++) {
        grp_close(p->groups[i]);
    }
    peer_dh_cache_free(p->dh_cache);
    peer_roster_clear(&p->cfg.roster);
    free((void *)(uintptr_t)p->cfg.clients);
    tdsa_wipe(p, sizeof *p);
    free(p);
}

/* ---- replies ---- */

static void push_reply(part *p, part_reply_node *n)
{
    if (p->replies == NULL) {
        p->replies = n;
    } else {
        p->replies_last->next = n;
    }
    p->replies_last = n;
}

static part_reply_node *reply_node(part_ticket ticket)
{
    part_reply_node *n = calloc(1, sizeof *n);

    /* Losing a ticket would leave a connection suspended for ever; there is nobody to tell. */
    TDSA_ASSERT(n != NULL);
    n->reply.ticket = ticket;
    n->reply.body = TDSA_BUF_EMPTY;
    n->reply.err.participant = TDSA_NOBODY;
    return n;
}

void part_reply_with(part *p, part_ticket ticket, const uint8_t *body, size_t len)
{
    part_reply_node *n = reply_node(ticket);

    tdsa_buf_append(&n->reply.body, body, len);
    if (tdsa_buf_check(&n->reply.body, &n->reply.err) != TDSA_OK) {
        tdsa_buf_reset(&n->reply.body);
    }
    push_reply(p, n);
}

void part_reply_error(part *p, part_ticket ticket, const tdsa_err *err)
{
    part_reply_node *n = reply_node(ticket);

    n->reply.err = *err;
    push_reply(p, n);
}

bool part_take_reply(part *p, part_reply *out)
{
    part_reply_node *n = p->replies;

    if (n == NULL) {
        return false;
    }
    p->replies = n->next;
    *out = n->reply;
    free(n);
    return true;
}

/* ---- requests of peers ---- */

static tdsa_status check_session_id(const char *id, tdsa_err *err)
{
    const size_t len = strnlen(id, PEER_SESSION_ID_MAX + 1);

    if (len < 16 || len > PEER_SESSION_ID_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "Session-Id must have 16 to %u characters",
                         PEER_SESSION_ID_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        const char c = id[i];
        const bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                        (c >= 'a' && c <= 'z') || c == '-' || c == '_';
        if (!ok) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "Session-Id: character %zu is not allowed", i);
        }
    }
    return TDSA_OK;
}

static tdsa_status check_frame(const part *p, const part_frame *f, tdsa_err *err)
{
    if (f->to != p->cfg.roster.me) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "message for participant %u reached participant %u: check the uri in "
                         "remoteParticipants",
                         f->to, p->cfg.roster.me);
    }
    if (f->from >= p->cfg.roster.n || f->from == f->to) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "message from participant %u", f->from);
    }
    return TDSA_OK;
}

void part_handle(part *p, const char *session_id, const uint8_t *body, size_t len,
                 part_ticket ticket)
{
    part_session *s = NULL;
    part_frame f;
    tdsa_err err;

    if (check_session_id(session_id, &err) != TDSA_OK ||
        part_frame_parse(&f, body, len, &err) != TDSA_OK || check_frame(p, &f, &err) != TDSA_OK) {
        part_reply_error(p, ticket, &err);
        return;
    }
    p->stats.heard++;
    if (f.type == PART_FRAME_HANDSHAKE) {
        if (part_session_accept(p, session_id, &f, body, len, ticket, &err) != TDSA_OK) {
            part_say(p, TDSA_LOG_WARN, "session %.8s of participant %u refused: %s", session_id,
                     f.from, err.text);
            part_reply_error(p, ticket, &err);
        }
        return;
    }
    s = part_session_find(p, session_id);
    if (s == NULL || s->link[f.from] == NULL) {
        (void)TDSA_FAIL(&err, TDSA_E_NOT_FOUND, "SESSION_UNKNOWN: open a new session");
        part_reply_error(p, ticket, &err);
        return;
    }
    part_inbound_take(p, s, &f, ticket);
}

/* ---- time ---- */

void part_due(part *p)
{
    part_exchanges_due(p);
    part_runs_due(p);
    part_ops_due(p);
    part_partials_due(p);
    part_sessions_due(p);
    part_epochs_due(p);
    part_doubts_due(p);
    part_deletions_due(p);
    part_peers_due(p);
    part_keeper_due(p);
    part_cache_due(p);
    part_moved_due(p);
    part_marks_due(p);
    part_restored_due(p);
}

uint64_t part_next_due(const part *p)
{
    const uint64_t at[] = {
        part_exchanges_next_due(p), part_runs_next_due(p),      part_ops_next_due(p),
        part_session_next_due(p),   part_doubts_next_due(p),    part_peers_next_due(p),
        part_keeper_next_due(p),    part_cache_next_due(p),     part_epochs_next_due(p),
        part_marks_next_due(p),     part_deletions_next_due(p), part_restored_next_due(p),
        part_partials_next_due(p),  part_moved_next_due(p)};
    uint64_t soonest = UINT64_MAX;

    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        soonest = at[i] < soonest ? at[i] : soonest;
    }
    return soonest;
}

bool part_wants_thread(const part *p)
{
    return part_has_work(p) || part_exchange_is_ready(p, PART_OP_NONE);
}

bool part_op_stirs(const part *p, uint64_t op)
{
    return op != PART_OP_NONE &&
           (part_op_done(p, op) || part_exchange_is_ready(p, op) || part_has_work_of(p, op));
}

void part_get_stats(const part *p, part_stats *out)
{
    *out = p->stats;
    out->keys_cached = p->key_count;
    out->sessions = p->session_count;
    out->runs = 0;
    out->exchanges_waiting = 0;
    out->replies_waiting = 0;
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (const part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            for (const part_run *r = s->runs; r != NULL; r = r->next) {
                out->runs++;
            }
        }
    }
    for (const part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        out->exchanges_waiting++;
    }
    for (const part_reply_node *n = p->replies; n != NULL; n = n->next) {
        out->replies_waiting++;
    }
}
