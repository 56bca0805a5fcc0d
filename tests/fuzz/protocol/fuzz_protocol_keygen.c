#include <string.h>

#include "fuzz/protocol/fuzz_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    fuzz_change change;
    bool same; /* the message stayed what it was */
} one_change;

static void change_message(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                           tdsa_buf *m)
{
    one_change *one = ctx;
    TDSA_SCOPED_BUF before = TDSA_BUF_EMPTY;

    (void)step;
    if (round != one->change.round || from != 1 || to != 0) {
        return;
    }
    tdsa_buf_append(&before, m->data, m->len);
    fuzz_change_apply(&one->change, m);
    one->same = before.len == m->len && memcmp(before.data, m->data, m->len) == 0;
}

/* mpc_keygen_take and in round 2 keygen_deal_take behind it: one message of one round from participant
 * 1 to participant 0 is changed: 0 must not end with a
 * key unless nothing changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    protocol_run r;
    one_change one = {.same = true};

    if (!fuzz_change_read(&one.change, MPC_KEYGEN_ROUNDS, data, size)) {
        return 0;
    }
    run_init(&r, GRP_P256, 3, 1, "fuzz");
    r.hook = change_message;
    r.hook_ctx = &one;
    (void)run_keygen(&r, "FuzzKey000000000000000000000");
    fuzz_require((r.key[0] != NULL) == one.same);
    run_clear(&r);
    return 0;
}
