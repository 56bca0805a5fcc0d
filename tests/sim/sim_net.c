#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

/* Messages under way, the answers that processes wait for, and what happens next. */

#define STEP_MAX_MS 3000u

/* ---- the heap of messages: the earliest first, then the one that was sent first ---- */

static bool before(const sim_message *a, const sim_message *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_push(sim *s, sim_message *m)
{
    size_t i = s->heap_count++;

    if (s->heap_count > s->heap_room) {
        const size_t room = s->heap_room == 0 ? 64 : 2 * s->heap_room;
        sim_message **heap = sim_take(room * sizeof(sim_message *));
        if (s->heap_room > 0) {
            memcpy(heap, s->heap, s->heap_room * sizeof(sim_message *));
        }
        sim_give(s->heap);
        s->heap = heap;
        s->heap_room = room;
    }
    while (i > 0 && before(m, s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = m;
}

static sim_message *heap_pop(sim *s)
{
    sim_message *top = s->heap[0];
    sim_message *last = s->heap[--s->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count) {
            break;
        }
        if (child + 1 < s->heap_count && before(s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (before(last, s->heap[child])) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static void message_free(sim_message *m)
{
    tdsa_buf_clear(&m->body);
    sim_give(m);
}

/* ---- sending ---- */

/* What lines do to bytes that nobody protects. */
static void damage(sim *s, tdsa_buf *body)
{
    uint8_t extra[3] = {1, 2, 3};

    switch (sim_random(s, 6)) {
    case 0:
        body->len -= 1 + sim_random(s, body->len);
        break;
    case 1:
        tdsa_buf_append(body, extra, 1 + sim_random(s, sizeof extra));
        break;
    default:
        body->data[sim_random(s, body->len)] ^= (uint8_t)(1 + sim_random(s, 255));
        break;
    }
}

static sim_message *send_message(sim *s, const sim_message *head, const uint8_t *body, size_t len)
{
    sim_message *m = sim_take(sizeof *m);

    *m = *head;
    m->body = TDSA_BUF_EMPTY;
    tdsa_buf_append(&m->body, body, len);
    m->at_ms += s->now_ms + 1;
    m->at_ms += s->cfg.delay_max_ms > 1 ? sim_random(s, s->cfg.delay_max_ms) : 0;
    m->order = s->order++;
    if (len > 0 && sim_chance(s, s->cfg.corrupt_permille)) {
        damage(s, &m->body);
    }
    heap_push(s, m);
    return m;
}

/* A connection that breaks tells the asker so after a while, or nobody does. */
static void send_failure(sim *s, const sim_message *request, tdsa_status status)
{
    sim_message head = *request;

    if (request->exchange == 0 || sim_chance(s, s->cfg.hang_permille)) {
        return; /* its wait ends */
    }
    head.reply = true;
    head.status = status;
    head.code = 0;
    (void)send_message(s, &head, NULL, 0);
}

void sim_break_tickets(sim *s, uint16_t node)
{
    sim_node *n = &s->node[node];

    while (n->tickets != NULL) {
        sim_ticket *t = n->tickets;
        const sim_message head = {
            .from = t->from, .to = node, .exchange = t->exchange, .life = t->life};
        send_failure(s, &head, TDSA_E_UNAVAILABLE);
        n->tickets = t->next;
        sim_give(t);
    }
    while (n->waits != NULL) {
        sim_wait *w = n->waits;
        n->waits = w->next;
        sim_give(w);
    }
}

void sim_net_free(sim *s)
{
    while (s->heap_count > 0) {
        message_free(heap_pop(s));
    }
    sim_give(s->heap);
    s->heap = NULL;
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        while (s->node[i].tickets != NULL) {
            sim_ticket *t = s->node[i].tickets;
            s->node[i].tickets = t->next;
            sim_give(t);
        }
        while (s->node[i].waits != NULL) {
            sim_wait *w = s->node[i].waits;
            s->node[i].waits = w->next;
            sim_give(w);
        }
    }
}

static bool is_cut(const sim *s, uint16_t from, uint16_t to)
{
    return s->cut[s->node[from].index][s->node[to].index];
}

static void flush_replies(sim *s, uint16_t index)
{
    static const uint8_t page[] = "<html>502 Bad Gateway</html>";
    static const long codes[] = {502, 500, 404, 503, 200, 429};
    sim_node *n = &s->node[index];
    part_reply r;

    while (n->part != NULL && !n->doomed && part_take_reply(n->part, &r)) {
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
        if (sim_chance(s, s->cfg.drop_permille) || is_cut(s, index, t->from)) {
            send_failure(s, &head, TDSA_E_TIMEOUT);
        } else if (sim_chance(s, s->cfg.http_permille)) {
            head.code = codes[sim_random(s, sizeof codes / sizeof codes[0])];
            (void)send_message(s, &head, page, sizeof page - 1);
        } else {
            (void)send_message(s, &head, r.body.data, r.body.len);
        }
        tdsa_buf_clear(&r.body);
        sim_give(t);
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

    while (n->part != NULL && !n->doomed && part_take_send(n->part, PART_OP_ANY, &out)) {
        sim_message head = {.from = index,
                            .to = index_of_url(s, out.url),
                            .exchange = out.exchange,
                            .life = n->life};
        sim_wait *w = sim_take(sizeof *w);

        w->exchange = out.exchange;
        w->at_ms = sim_time_of(n, sim_mono(n) + out.timeout_ms);
        w->next = n->waits;
        n->waits = w;
        memcpy(head.session_id, out.session_id, strlen(out.session_id) + 1);
        if (sim_chance(s, s->cfg.drop_permille) || is_cut(s, index, head.to)) {
            send_failure(s, &head, TDSA_E_TIMEOUT);
            continue;
        }
        if (sim_chance(s, s->cfg.dup_permille)) {
            sim_message copy = head;
            copy.exchange = 0; /* nobody waits for the second answer */
            copy.at_ms = sim_chance(s, s->cfg.stale_permille) ? sim_random(s, 60000) : 0;
            (void)send_message(s, &copy, out.body, out.body_len);
        }
        (void)send_message(s, &head, out.body, out.body_len);
    }
}

/* When the node wants to be looked at again. */
static void plan(sim *s, sim_node *n)
{
    n->due_ms = UINT64_MAX;
    if (n->part == NULL) {
        return;
    }
    n->due_ms = sim_time_of(n, part_next_due(n->part));
    for (const sim_wait *w = n->waits; w != NULL; w = w->next) {
        n->due_ms = w->at_ms < n->due_ms ? w->at_ms : n->due_ms;
    }
    n->due_ms = n->lease.key != NULL && n->lease_ms < n->due_ms ? n->lease_ms : n->due_ms;
    n->due_ms = part_step_is_out(&n->step) && n->step_ms < n->due_ms ? n->step_ms : n->due_ms;
    n->due_ms = n->due_ms <= s->now_ms ? s->now_ms + 1 : n->due_ms;
}

void sim_end_step(sim_node *n)
{
    if (part_step_is_out(&n->step)) {
        part_make_step(&n->step);
        part_give_step(n->part, &n->step);
        n->step = (part_step){.run = NULL};
    }
}

/* A step is made at once, or messages come and deadlines pass meanwhile. */
static void take_step(sim *s, sim_node *n, const part_step *step)
{
    if (!part_step_is_out(&n->step)) {
        n->step = *step;
        n->step_ms = s->now_ms;
        if (sim_chance(s, s->cfg.step_permille)) {
            n->step_ms += 1 + sim_random(s, STEP_MAX_MS);
        } else {
            sim_end_step(n);
        }
    } else { /* another thread */
        part_step other = *step;

        part_make_step(&other);
        part_give_step(n->part, &other);
    }
}

void sim_end_lease(sim_node *n)
{
    if (n->lease.key != NULL) {
        part_make_lease(&n->lease);
        n->tell_op = part_give_lease(n->part, &n->lease);
        n->lease.key = NULL;
    }
}

static void end_telling(sim_node *n)
{
    part_result none;
    tdsa_err err;

    if (n->part != NULL && n->tell_op != PART_OP_NONE &&
        part_op_poll(n->part, n->tell_op, &none, &err)) {
        n->tell_op = PART_OP_NONE;
    }
}

static void lease_ahead(sim *s, sim_node *n)
{
    const part_key *k = n->part == NULL || s->cfg.ahead_len == 0 ? NULL : n->part->keys;

    end_telling(n);
    while (k != NULL && n->lease.key == NULL && n->tell_op == PART_OP_NONE && !n->doomed) {
        if (!k->gone && part_take_lease(n->part, k->key->pub.key_id, &n->lease)) {
            n->lease_ms = s->now_ms + sim_random(s, STEP_MAX_MS);
        }
        k = k->next;
    }
    if (n->lease.key != NULL && !sim_chance(s, s->cfg.step_permille)) {
        sim_end_lease(n);
    }
}

static bool flush_node(sim *s, uint16_t i)
{
    sim_node *n = &s->node[i];
    bool worked = false;
    part_step step;

    do {
        sim_bury(s, i);
        flush_sends(s, i);
        flush_replies(s, i);
        flush_sends(s, i);
        worked = n->part != NULL && part_work(n->part, PART_OP_ANY, &step);
        if (worked && part_step_is_out(&step)) {
            take_step(s, n, &step);
        }
    } while (worked);
    lease_ahead(s, n);
    n->touched = false;
    plan(s, n);
    return worked;
}

static void flush_touched(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        if (s->node[i].touched || s->node[i].doomed) {
            (void)flush_node(s, i);
        }
    }
    sim_plant_step(s);
    if (s->keys_touched) {
        sim_check_keys(s);
    }
}

void sim_flush(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        s->node[i].touched = true;
    }
    flush_touched(s);
}

/* ---- arriving ---- */

static void note(sim *s, const sim_message *m)
{
    uint64_t h = m->at_ms * 31 + m->from * 7u + m->to * 3u + (m->reply ? 1 : 0);

    for (size_t i = 0; i < m->body.len; i += 13) {
        h = (h ^ m->body.data[i]) * 0x100000001b3ull;
    }
    sim_note(s, h);
}

/* TDSA_SIM_LOG=2: every message that arrives. */
static void tell(const sim *s, const sim_message *m)
{
    const char *log = getenv("TDSA_SIM_LOG");

    if (log != NULL && log[0] == '2') {
        (void)fprintf(stderr, "%8llu   %u %s %u exchange %llu, %zu bytes, %s %ld\n",
                      (unsigned long long)s->now_ms, m->from, m->reply ? "<-" : "->", m->to,
                      (unsigned long long)m->exchange, m->body.len, tdsa_status_name(m->status),
                      m->code);
    }
}

static void deliver_request(sim *s, const sim_message *m)
{
    sim_node *n = &s->node[m->to];
    sim_ticket *t = NULL;

    if (n->part == NULL) {
        send_failure(s, m, TDSA_E_UNAVAILABLE);
        return;
    }
    t = sim_take(sizeof *t);
    t->from = m->from;
    t->to = m->to;
    t->exchange = m->exchange;
    t->life = m->life;
    t->next = n->tickets;
    n->tickets = t;
    n->touched = true;
    part_handle(n->part, m->session_id, m->body.data, m->body.len, t);
}

/* The end of an exchange that the node still waits for. */
static void end_exchange(sim *s, uint16_t node, const sim_message *m)
{
    sim_node *n = &s->node[node];
    sim_wait **at = &n->waits;

    while (*at != NULL && (*at)->exchange != m->exchange) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        sim_wait *w = *at;
        *at = w->next;
        sim_give(w);
        n->touched = true;
        part_exchange_done(n->part, m->exchange, m->status, m->code, m->body.data, m->body.len,
                           "simulated failure");
    }
}

static void deliver(sim *s, const sim_message *m)
{
    const sim_node *asker = &s->node[m->from];

    note(s, m);
    tell(s, m);
    if (!m->reply) {
        deliver_request(s, m);
    } else if (m->exchange != 0 && asker->part != NULL && asker->life == m->life) {
        end_exchange(s, m->from, m);
    }
}

static void node_due(sim *s, uint16_t i)
{
    sim_node *n = &s->node[i];
    sim_wait *w = n->waits;

    while (w != NULL) {
        const sim_message late = {.exchange = w->exchange, .status = TDSA_E_TIMEOUT};
        const bool over = w->at_ms <= s->now_ms;
        w = w->next;
        if (over) {
            end_exchange(s, i, &late);
        }
    }
    n->touched = true;
    if (n->step_ms <= s->now_ms) {
        sim_end_step(n);
    }
    if (n->lease_ms <= s->now_ms) {
        sim_end_lease(n);
    }
    if (!n->doomed) {
        part_due(n->part);
    }
}

static void maybe_crash(sim *s)
{
    if (sim_chance(s, s->cfg.crash_permille)) {
        const uint16_t victim = (uint16_t)sim_random(s, sim_nodes(s));
        sim_is_up(s, victim) ? sim_crash(s, victim) : sim_start(s, victim);
        s->node[victim].touched = true;
    }
}

bool sim_step(sim *s, uint64_t until_ms)
{
    uint64_t due = UINT64_MAX;

    s->events++;
    maybe_crash(s);
    flush_touched(s);
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        due = s->node[i].due_ms < due ? s->node[i].due_ms : due;
    }
    due = due < s->now_ms + 1 ? s->now_ms + 1 : due;
    if (s->heap_count > 0 && s->heap[0]->at_ms <= due && s->heap[0]->at_ms <= until_ms) {
        sim_message *m = heap_pop(s);
        s->now_ms = m->at_ms > s->now_ms ? m->at_ms : s->now_ms;
        deliver(s, m);
        message_free(m);
    } else if (due <= until_ms) {
        s->now_ms = due;
        for (uint16_t i = 0; i < sim_nodes(s); i++) {
            if (s->node[i].part != NULL && s->node[i].due_ms <= due) {
                node_due(s, i);
            }
        }
    } else {
        s->now_ms = until_ms;
        return false;
    }
    flush_touched(s);
    return true;
}

void sim_idle(sim *s, uint64_t ms)
{
    const uint64_t until = s->now_ms + ms;

    sim_flush(s);
    while (s->now_ms < until && sim_step(s, until)) {
    }
}
