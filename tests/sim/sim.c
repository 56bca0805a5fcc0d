#include "sim/sim_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dh.h"

_Noreturn void sim_fail(const sim *s, const char *what, const char *detail)
{
    (void)fprintf(stderr, "SEED=%" PRIu64 " event %" PRIu64 ": %s: %s\n", s->cfg.seed, s->events,
                  what, detail);
    abort();
}

/* splitmix64: small, and the same everywhere */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_random(sim *s, uint64_t below)
{
    return mix(&s->random) % below;
}

static bool chance(sim *s, unsigned permille)
{
    return !s->healed && permille > 0 && sim_random(s, 1000) < permille;
}

uint64_t sim_now(const sim *s)
{
    return s->now_ms;
}

uint64_t sim_events(const sim *s)
{
    return s->events;
}

uint64_t sim_trace(const sim *s)
{
    return s->trace;
}

part *sim_part(sim *s, uint16_t index)
{
    return s->node[index].part;
}

ks *sim_store(sim *s, uint16_t index)
{
    return s->node[index].store;
}

bool sim_is_up(const sim *s, uint16_t index)
{
    return s->node[index].part != NULL;
}

static uint64_t clock_now(void *ctx)
{
    return ((const sim *)ctx)->now_ms;
}

static tdsa_status rng_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    sim *s = ctx;

    (void)err;
    for (size_t i = 0; i < len; i += 8) {
        const uint64_t v = mix(&s->entropy);
        memcpy(out + i, &v, len - i < 8 ? len - i : 8);
    }
    return TDSA_OK;
}

static void log_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    const sim *s = ctx;

    (void)logger;
    if (getenv("TDSA_SIM_LOG") != NULL) {
        (void)fprintf(stderr, "%8" PRIu64 " %d %s\n", s->now_ms, (int)level, text);
    }
}

/* ---- building ---- */

void sim_must(const sim *s, tdsa_status st, const char *what, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        sim_fail(s, what, err->text);
    }
}

static void make_keys(sim *s, uint16_t index, uint8_t x25519[32], uint8_t x448[56], peer_keys *pub)
{
    tdsa_err err;

    (void)index;
    sim_must(s, rng_fill(s, x25519, 32, &err), "keys", &err);
    sim_must(s, rng_fill(s, x448, 56, &err), "keys", &err);
    sim_must(s, tdsa_dh_public(TDSA_DH_X25519, pub->x25519, x25519, &err), "keys", &err);
    sim_must(s, tdsa_dh_public(TDSA_DH_X448, pub->x448, x448, &err), "keys", &err);
}

static void make_rosters(sim *s)
{
    peer_roster all = {.n = s->cfg.n, .client_index = s->cfg.with_client ? 0 : PEER_NO_CLIENT};
    uint8_t x25519[GRP_PARTIES_MAX][32];
    uint8_t x448[GRP_PARTIES_MAX][56];
    tdsa_err err;

    (void)snprintf(all.server_group_id, sizeof all.server_group_id, "simulated group");
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        peer_entry *e = &all.at[i].entry[0];
        make_keys(s, i, x25519[i], x448[i], &e->keys);
        (void)snprintf(e->id, sizeof e->id, "participant%u", i);
        (void)snprintf(e->url, sizeof e->url, "http://p%u.example/protocol/round", i);
        all.at[i].count = 1;
        if (s->cfg.with_client && i == 0) {
            all.at[i].count = 0; /* the client's keys come with its first message */
            e->id[0] = '\0';
            e->url[0] = '\0';
        }
    }
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        part_engine_cfg *c = &s->node[i].cfg;
        c->roster = all;
        c->roster.me = i;
        memcpy(c->roster.my_x25519, x25519[i], 32);
        memcpy(c->roster.my_x448, x448[i], 56);
        sim_must(s, peer_roster_check(&c->roster, &err), "roster", &err);
    }
}

static tdsa_log the_log(sim *s)
{
    return (tdsa_log){log_line, s};
}

static void make_node(sim *s, uint16_t i, const tdsa_log *log)
{
    part_engine_cfg *c = &s->node[i].cfg;
    const ks_cfg store = {.backend = "memory",
                          .create_tables = true,
                          .encryptor = KS_ENCRYPTOR_AESGCM,
                          .encryption_key = "simulated",
                          .unlock_at_open = true,
                          .rng = {rng_fill, s},
                          .clock = {clock_now, clock_now, s}};
    tdsa_err err;

    sim_must(s, ks_open(&s->node[i].store, &store, &err), "store", &err);
    c->t = s->cfg.t;
    c->may_generate = true;
    c->session_timeout_ms = 10000;
    c->retries = 2;
    c->retry_delay_ms = 200;
    c->deadline_ms = 4000;
    c->default_presignature_limit = -1;
    c->presign_batch_min = 2;
    c->presign_batch_max = 8;
    c->store = s->node[i].store;
    c->clock = (tdsa_clock){clock_now, clock_now, s};
    c->rng = (tdsa_rng){rng_fill, s};
    c->log = log;
}

static tdsa_log sim_logs[1]; /* one simulator at a time prints */

sim *sim_new(const sim_cfg *cfg)
{
    sim *s = calloc(1, sizeof *s);
    tdsa_err err;

    if (s == NULL) {
        abort();
    }
    s->cfg = *cfg;
    s->now_ms = 1000000;
    s->random = cfg->seed;
    s->entropy = cfg->seed ^ 0x7464736120736565ull;
    sim_logs[0] = the_log(s);
    sim_ledger_open(s);
    for (size_t i = GRP_P256; i <= GRP_SECP256K1; i++) {
        sim_must(s, grp_open(&s->groups[i], (grp_curve)i, &err), "group", &err);
    }
    make_rosters(s);
    for (uint16_t i = 0; i < cfg->n; i++) {
        make_node(s, i, &sim_logs[0]);
        sim_start(s, i);
    }
    return s;
}

static void free_tickets(sim_node *n)
{
    while (n->tickets != NULL) {
        sim_ticket *t = n->tickets;
        n->tickets = t->next;
        free(t);
    }
}

void sim_free(sim *s)
{
    sim_ledger_open(NULL);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        part_free(s->node[i].part);
        ks_close(s->node[i].store);
        free_tickets(&s->node[i]);
    }
    while (s->messages != NULL) {
        sim_message *m = s->messages;
        s->messages = m->next;
        tdsa_buf_clear(&m->body);
        free(m);
    }
    while (s->seen != NULL) {
        sim_seen *n = s->seen;
        s->seen = n->next;
        free(n);
    }
    for (size_t i = GRP_P256; i <= GRP_SECP256K1; i++) {
        grp_close(s->groups[i]);
    }
    free(s);
}

void sim_start(sim *s, uint16_t index)
{
    tdsa_err err;

    if (s->node[index].part == NULL) {
        sim_must(s, part_new(&s->node[index].part, &s->node[index].cfg, &err), "start", &err);
    }
}

/* ---- network ---- */

static sim_message *send_message(sim *s, const sim_message *head, const uint8_t *body, size_t len)
{
    sim_message *m = calloc(1, sizeof *m);
    sim_message **at = &s->messages;

    if (m == NULL) {
        abort();
    }
    *m = *head;
    m->body = TDSA_BUF_EMPTY;
    tdsa_buf_append(&m->body, body, len);
    m->at_ms = s->now_ms + 1 + (s->cfg.delay_max_ms > 1 ? sim_random(s, s->cfg.delay_max_ms) : 0);
    m->order = s->order++;
    if (len > 0 && chance(s, s->cfg.corrupt_permille)) {
        m->body.data[sim_random(s, len)] ^= (uint8_t)(1 + sim_random(s, 255));
    }
    while (*at != NULL &&
           ((*at)->at_ms < m->at_ms || ((*at)->at_ms == m->at_ms && (*at)->order < m->order))) {
        at = &(*at)->next;
    }
    m->next = *at;
    *at = m;
    return m;
}

/* A connection that breaks tells the asker so after a while. */
static void send_failure(sim *s, const sim_message *request, tdsa_status status)
{
    sim_message head = *request;

    head.reply = true;
    head.status = status;
    head.code = 0;
    (void)send_message(s, &head, NULL, 0);
}

void sim_crash(sim *s, uint16_t index)
{
    sim_node *n = &s->node[index];

    if (n->part == NULL) {
        return;
    }
    for (sim_ticket *t = n->tickets; t != NULL; t = t->next) {
        const sim_message head = {
            .from = t->from, .to = index, .exchange = t->exchange, .life = t->life};
        send_failure(s, &head, TDSA_E_UNAVAILABLE);
    }
    free_tickets(n);
    part_free(n->part);
    n->part = NULL;
    n->life++;
}

static void flush_replies(sim *s, uint16_t index)
{
    sim_node *n = &s->node[index];
    part_reply r;

    while (n->part != NULL && part_take_reply(n->part, &r)) {
        sim_ticket *t = r.ticket;
        sim_ticket **at = &n->tickets;
        sim_message head = {.reply = true,
                            .from = t->from,
                            .to = index,
                            .exchange = t->exchange,
                            .life = t->life,
                            .status = TDSA_OK,
                            .code = 200};

        while (*at != t) {
            at = &(*at)->next;
        }
        *at = t->next;
        if (r.err.status != TDSA_OK) {
            head.code = r.err.status == TDSA_E_NOT_FOUND ? 404 : 503;
        }
        if (chance(s, s->cfg.drop_permille)) {
            send_failure(s, &head, TDSA_E_TIMEOUT);
        } else {
            (void)send_message(s, &head, r.body.data, r.body.len);
        }
        tdsa_buf_clear(&r.body);
        free(t);
    }
}

static uint16_t index_of_url(const sim *s, const char *url)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        if (strcmp(s->node[i].cfg.roster.at[i].entry[0].url, url) == 0) {
            return i;
        }
    }
    sim_fail(s, "unknown url", url);
}

static void flush_sends(sim *s, uint16_t index)
{
    sim_node *n = &s->node[index];
    part_send out;

    while (n->part != NULL && part_take_send(n->part, PART_OP_ANY, &out)) {
        sim_message head = {.from = index,
                            .to = index_of_url(s, out.url),
                            .exchange = out.exchange,
                            .life = n->life};
        memcpy(head.session_id, out.session_id, strlen(out.session_id) + 1);
        if (chance(s, s->cfg.drop_permille)) {
            send_failure(s, &head, TDSA_E_TIMEOUT);
            continue;
        }
        if (chance(s, s->cfg.dup_permille)) {
            sim_message copy = head;
            copy.exchange = 0; /* nobody waits for the second answer */
            (void)send_message(s, &copy, out.body, out.body_len);
        }
        (void)send_message(s, &head, out.body, out.body_len);
    }
}

void sim_flush(sim *s)
{
    bool worked = true;

    while (worked) {
        worked = false;
        for (uint16_t i = 0; i < s->cfg.n; i++) {
            flush_sends(s, i);
            flush_replies(s, i);
            flush_sends(s, i);
            if (s->node[i].part != NULL && part_work(s->node[i].part)) {
                worked = true;
            }
        }
    }
}

static void note(sim *s, const sim_message *m)
{
    uint64_t h = s->trace ^ (m->at_ms * 31 + m->from * 7 + m->to * 3 + (m->reply ? 1 : 0));

    for (size_t i = 0; i < m->body.len; i += 13) {
        h = (h ^ m->body.data[i]) * 0x100000001b3ull;
    }
    s->trace = mix(&h);
}

static void deliver_request(sim *s, const sim_message *m)
{
    sim_node *n = &s->node[m->to];
    sim_ticket *t = NULL;

    if (n->part == NULL) {
        if (m->exchange != 0) {
            send_failure(s, m, TDSA_E_UNAVAILABLE);
        }
        return;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        abort();
    }
    t->from = m->from;
    t->to = m->to;
    t->exchange = m->exchange;
    t->life = m->life;
    t->next = n->tickets;
    n->tickets = t;
    part_handle(n->part, m->session_id, m->body.data, m->body.len, t);
}

static void deliver(sim *s, const sim_message *m)
{
    sim_node *asker = &s->node[m->from];

    note(s, m);
    if (!m->reply) {
        deliver_request(s, m);
    } else if (m->exchange != 0 && asker->part != NULL && asker->life == m->life) {
        part_exchange_done(asker->part, m->exchange, m->status, m->code, m->body.data, m->body.len,
                           "simulated failure");
    }
}

/* One event: the next message, or time passes to the next thing that is due. */
bool sim_step(sim *s, uint64_t until_ms)
{
    uint64_t due = UINT64_MAX;
    sim_message *m = s->messages;

    s->events++;
    if (chance(s, s->cfg.crash_permille)) {
        const uint16_t victim = (uint16_t)sim_random(s, s->cfg.n);
        sim_is_up(s, victim) ? sim_crash(s, victim) : sim_start(s, victim);
    }
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        const uint64_t at = s->node[i].part == NULL ? UINT64_MAX : part_next_due(s->node[i].part);
        due = at < due ? at : due;
    }
    due = due < s->now_ms + 1 ? s->now_ms + 1 : due;
    m = s->messages;
    if (m != NULL && m->at_ms <= due && m->at_ms <= until_ms) {
        s->messages = m->next;
        s->now_ms = m->at_ms > s->now_ms ? m->at_ms : s->now_ms;
        deliver(s, m);
        tdsa_buf_clear(&m->body);
        free(m);
    } else if (due <= until_ms) {
        s->now_ms = due;
        for (uint16_t i = 0; i < s->cfg.n; i++) {
            if (s->node[i].part != NULL) {
                part_due(s->node[i].part);
            }
        }
    } else {
        s->now_ms = until_ms;
        return false;
    }
    sim_flush(s);
    return true;
}

void sim_idle(sim *s, uint64_t ms)
{
    const uint64_t until = s->now_ms + ms;

    sim_flush(s);
    while (s->now_ms < until && sim_step(s, until)) {
    }
}

void sim_heal(sim *s)
{
    s->healed = true;
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        sim_start(s, i);
    }
    sim_flush(s);
}
