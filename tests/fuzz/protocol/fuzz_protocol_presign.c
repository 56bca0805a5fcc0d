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

    if (step != STEP_PRESIGN || round != one->change.round || from != 1 || to != 0) {
        return;
    }
    tdsa_buf_append(&before, m->data, m->len);
    fuzz_change_apply(&one->change, m);
    one->same = before.len == m->len && memcmp(before.data, m->data, m->len) == 0;
}

/* mpc_presign_take: one message from 1 to 0 is changed: 0 must not end with a batch unless nothing changed. The keys
 * are made once, one of each kind; uncompressed points every other time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static protocol_run runs[3];
    static bool ready;
    protocol_run *r = NULL;
    one_change one = {.same = true};

    if (!fuzz_change_read(&one.change, MPC_PRESIGN_ROUNDS, data, size)) {
        return 0;
    }
    if (!ready) {
        run_init(&runs[0], GRP_P256, 3, 1, "fuzz");
        run_init_scheme(&runs[1], GRP_SECP256K1, MPC_SCHEME_BIP340, 3, 1, "fuzz");
        run_init(&runs[2], GRP_ED25519, 3, 1, "fuzz");
        for (size_t i = 0; i < 3; i++) {
            fuzz_require(run_keygen(&runs[i], "FuzzKey000000000000000000000") == 3);
        }
        ready = true;
    }
    r = &runs[(data[1] >> 2) % 3];
    r->compressed_wire = (data[1] & 2) == 0;
    r->hook = change_message;
    r->hook_ctx = &one;
    (void)run_presign(r, 1, 1);
    fuzz_require((r->batch[0] != NULL) == one.same);
    return 0;
}
