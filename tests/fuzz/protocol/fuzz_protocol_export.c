#include <string.h>

#include "fuzz/protocol/fuzz_change.h"
#include "support/export_run.h"

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

    if (step != STEP_EXPORT || round != one->change.round || from != 1 || to != 0) {
        return;
    }
    tdsa_buf_append(&before, m->data, m->len);
    fuzz_change_apply(&one->change, m);
    one->same = before.len == m->len && memcmp(before.data, m->data, m->len) == 0;
}

/* mpc_keygen_take in the rounds of an export: one message to the coordinator is changed, and it must
 * not end with a package unless nothing changed. Key generation stays out of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    protocol_run r;
    recovery_kit kit;
    one_change one = {.same = true};
    run_export_spec spec = {.coordinator = 0};

    if (!fuzz_change_read(&one.change, MPC_EXPORT_ROUNDS, data, size)) {
        return 0;
    }
    recovery_kit_open(&kit);
    spec.cert = kit.cert;
    run_init(&r, GRP_P256, 3, 1, "fuzz");
    r.policy.exportable = true;
    r.hook = change_message;
    r.hook_ctx = &one;
    fuzz_require(run_keygen(&r, "FuzzKey000000000000000000000") == 3);
    (void)run_export(&r, &spec);
    fuzz_require((r.key[0] != NULL) == one.same);
    run_clear(&r);
    recovery_kit_close(&kit);
    return 0;
}
