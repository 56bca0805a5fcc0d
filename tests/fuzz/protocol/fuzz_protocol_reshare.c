#include <string.h>

#include "fuzz/protocol/fuzz_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    fuzz_change change;
    uint16_t from, to;
    bool armed, same; /* the message stayed what it was */
} one_change;

static void change_message(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                           tdsa_buf *m)
{
    one_change *one = ctx;
    TDSA_SCOPED_BUF before = TDSA_BUF_EMPTY;

    (void)step;
    if (!one->armed || round != one->change.round || from != one->from || to != one->to) {
        return;
    }
    tdsa_buf_append(&before, m->data, m->len);
    fuzz_change_apply(&one->change, m);
    one->same = before.len == m->len && memcmp(before.data, m->data, m->len) == 0;
}

/* Refresh, and a reshare in which 0 leaves and 3 comes: a dealer to a dealer, a dealer to a new
 * member, a new member to a dealer that leaves. */
static const struct {
    run_reshare_spec spec;
    uint16_t from, to;
} cases[] = {
    {{.dealers = {0, 1, 2}, .dealer_count = 3, .members = {0, 1, 2}, .n = 3, .t = 1}, 1, 0},
    {{.dealers = {0, 1, 2}, .dealer_count = 3, .members = {1, 2, 3}, .n = 3, .t = 1}, 1, 3},
    {{.dealers = {0, 1, 2}, .dealer_count = 3, .members = {1, 2, 3}, .n = 3, .t = 1}, 3, 0},
};

/* mpc_keygen_take in the rounds of a reshare: one message is changed, and who gets it must not end
 * with a key unless nothing changed. Key generation stays out of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    protocol_run r;
    one_change one = {.same = true};
    size_t which = 0;

    if (!fuzz_change_read(&one.change, MPC_RESHARE_ROUNDS, data, size)) {
        return 0;
    }
    which = (data[1] >> 1) % (sizeof cases / sizeof cases[0]);
    one.from = cases[which].from;
    one.to = cases[which].to;
    run_init(&r, GRP_P256, 4, 1, "fuzz");
    r.n = 3;
    r.policy.reshare = true;
    r.hook = change_message;
    r.hook_ctx = &one;
    fuzz_require(run_keygen(&r, "FuzzKey000000000000000000000") == 3);
    r.n = 4;
    one.armed = true;
    (void)run_reshare(&r, &cases[which].spec);
    fuzz_require((r.key[one.to] != NULL) == one.same);
    run_clear(&r);
    return 0;
}
