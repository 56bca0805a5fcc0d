#include <string.h>

#include "fuzz/protocol/fuzz_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    fuzz_change change;
    uint16_t from;
    bool same; /* the message stayed what it was */
} one_change;

static void change_message(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                           tdsa_buf *m)
{
    one_change *one = ctx;
    TDSA_SCOPED_BUF before = TDSA_BUF_EMPTY;

    (void)step;
    if (round != one->change.round || from != one->from || to != 2) {
        return;
    }
    tdsa_buf_append(&before, m->data, m->len);
    fuzz_change_apply(&one->change, m);
    one->same = before.len == m->len && memcmp(before.data, m->data, m->len) == 0;
}

/* mpc_keygen_take in the rounds of an import: one message of the dealer or of another is changed, and who
 * gets it must not end with a key unless nothing changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t number[32] = {[31] = 9};
    protocol_run r;
    one_change one = {.same = true};
    mpc_import_key key = {.cc = {7}};
    tdsa_secret *x = NULL;
    tdsa_err err;

    if (!fuzz_change_read(&one.change, MPC_KEYGEN_ROUNDS, data, size)) {
        return 0;
    }
    one.from = (uint16_t)(data[1] >> 1 & 1); /* 0: the dealer */
    run_init(&r, GRP_P256, 3, 1, "fuzz");
    r.hook = change_message;
    r.hook_ctx = &one;
    fuzz_require(tdsa_secret_copy(&x, number, sizeof number, &err) == TDSA_OK);
    key.x = x;
    (void)run_import(&r, "FuzzKey000000000000000000000", 0, &key);
    fuzz_require((r.key[2] != NULL) == one.same);
    run_clear(&r);
    tdsa_secret_free(x);
    return 0;
}
