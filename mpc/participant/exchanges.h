#ifndef PART_EXCHANGES_H
#define PART_EXCHANGES_H

#include "participant/internal.h"

/* What is asked of peers, alone or several questions together. Part of internal.h, which includes it. */

/* exchange.c */
typedef struct {
    part_session *session;
    uint16_t peer;
    part_ask ask;
    uint64_t op;     /* whose thread performs it */
    uint64_t for_op; /* whom the answer is for */
    unsigned attempt;
    bool hold; /* until part_wave_go */
    uint64_t deadline_ms;
} part_question;
tdsa_status part_put(part *p, const part_question *q, tdsa_err *err);
tdsa_status part_put_handshake(part *p, part_session *s, uint16_t peer, uint64_t op,
                               uint64_t deadline_ms, tdsa_buf *frame, tdsa_err *err);
/** Seals what waited for the link. */
void part_exchanges_ready(part *p, part_session *s, uint16_t peer);
/** The link could not be opened or is lost: what waited or flies over it fails with `why`. */
void part_exchanges_fail(part *p, part_session *s, uint16_t peer, const tdsa_err *why);
void part_exchanges_forget(part *p, const part_session *s);
/** Exchanges of an operation that ended may be performed by anybody, or not at all. */
void part_exchanges_orphan(part *p, uint64_t op);
void part_exchanges_free(part *p);
void part_exchanges_due(part *p);
uint64_t part_exchanges_next_due(const part *p);
/** One of this operation, or of nobody, waits to be taken by part_take_send. */
bool part_exchange_is_ready(const part *p, uint64_t op);
/** Seals the ask: from here on the bytes never change, so that a resend is the same request. */
tdsa_status part_exchange_seal(part *p, part_exchange *x, tdsa_err *err);
/** An operation that waits for its end, and so stays until then; PART_OP_NONE: none does. */
uint64_t part_exchange_heir(const part *p, const part_exchange *x);
/** Takes it out of the list and frees it; nobody is told. */
void part_exchange_drop(part *p, part_exchange *x);

/* wave.c
 *
 * Questions of single signatures that ride together. While questions of a signature are under way in
 * a session, those of others wait in it (EXCHANGE_HELD), and go as one message to each member when the
 * last of them has been answered and verified, or after PART_HOLD_MS: the thread of the first sends, and who
 * comes before it does so joins. A caller who is alone never waits. Each rider gets its own answer, as if it
 * had gone alone (docs/protocol.md, "Many signatures").
 */

#define PART_HOLD_MS     5u
#define PART_RIDERS_MAX  64u
#define PART_WAVE_BYTES  65536u
#define PART_TOGETHER_MS 1000u /* patience of those that ride together differs by less */

/** One signature among those of a message; of this very attempt: a later one asks anew. */
struct part_rider {
    uint64_t op; /* PART_OP_NONE: it left */
    unsigned attempt;
};

/** Whether a question of a signature is under way in the session. */
bool part_wave_flies(const part *p, const part_session *s);
/** Whether those who ask now wait for others: some fly, or are being verified. */
bool part_wave_gathers(const part *p, const part_session *s);
/** What waits in the session goes with the next thread that sends, unless it still gathers. */
void part_wave_try(part *p, const char *session_id);
/** It does, and `x` is the first of it: its thread sends. */
bool part_wave_leads(const part *p, const part_exchange *x);
/** Sends what waits in the session. */
void part_wave_go(part *p, part_session *s);
/** The answers to the riders of a wave, lent from `a`; a refusal of the whole is everybody's.
 * Errors: TDSA_E_PROTOCOL. */
tdsa_status part_wave_split(const part_exchange *x, const part_answer *a,
                            part_answer out[PART_RIDERS_MAX], tdsa_err *err);
/** Tells the riders. `x` is in no list any more. */
void part_wave_answered(part *p, const part_exchange *x, const part_answer a[PART_RIDERS_MAX]);
void part_wave_failed(part *p, const part_exchange *x, const tdsa_err *why);
/** An operation leaves; true when nobody rides any more. */
bool part_wave_left(part_exchange *x, uint64_t op);

#endif
