#include "support/protocol_tamper.h"

#include <stdlib.h>
#include <string.h>

static bool concerns(const tamper *t, run_step step, unsigned round, uint16_t from, uint16_t to)
{
    return step == t->step && round == t->round && (t->from == ANYBODY || t->from == from) &&
           (t->to == ANYBODY || t->to == to);
}

static void change(const tamper *t, tdsa_buf *m, size_t at)
{
    switch (t->kind) {
    case TAMPER_FLIP:
        m->data[at] ^= 1;
        break;
    case TAMPER_FILL:
        memset(m->data + at, t->value, t->len);
        break;
    case TAMPER_CUT:
        m->len--;
        break;
    case TAMPER_APPEND:
        tdsa_buf_append_u8(m, 0);
        break;
    case TAMPER_REPLACE:
        tdsa_buf_reset(m);
        tdsa_buf_append(m, t->bytes.data, t->bytes.len);
        break;
    case TAMPER_DROP:
        tdsa_buf_reset(m);
        break;
    }
}

void tamper_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                 tdsa_buf *message)
{
    tamper *t = ctx;
    size_t at = 0;

    if (!concerns(t, step, round, from, to)) {
        return;
    }
    at = t->from_end ? message->len - t->offset : t->offset;
    if (at + t->len > message->len) {
        abort(); /* the test means another message */
    }
    change(t, message, at);
    t->hits++;
}

void record_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                 tdsa_buf *message)
{
    tamper *t = ctx;

    if (concerns(t, step, round, from, to)) {
        tdsa_buf_reset(&t->bytes);
        tdsa_buf_append(&t->bytes, message->data, message->len);
        t->hits++;
    }
}
