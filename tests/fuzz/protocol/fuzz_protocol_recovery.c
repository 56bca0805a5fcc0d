#include "fuzz_change.h"

#include <string.h>

#include "protocol/recovery_internal.h"
#include "support/recovery_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static recovery_kit kit;
static protocol_run run;
static tdsa_buf valid[2];
static grp *open_groups[GRP_CURVE_END];

static void set_up(void)
{
    static bool done;

    if (done) {
        return;
    }
    done = true;
    recovery_kit_open(&kit);
    run_init(&run, GRP_P256, 3, 1, "fuzz recovery");
    fuzz_require(run_keygen(&run, "FuzzRecoveryKey") == 3);
    for (uint16_t i = 0; i < 2; i++) {
        recovery_kit_make(&valid[i], &run, i, kit.cert, "aux");
    }
}

static const grp *curve_of(grp_curve curve)
{
    tdsa_err err;

    if (open_groups[curve] == NULL) {
        fuzz_require(grp_open(&open_groups[curve], curve, &err) == TDSA_OK);
    }
    return open_groups[curve];
}

/* What is taken apart has one encoding. */
static bool decodes(mpc_recovery_info *info, const tdsa_buf *b)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    grp_curve curve = GRP_P256;
    tdsa_err err;

    if (mpc_recovery_peek_curve(&curve, b->data, b->len, &err) != TDSA_OK ||
        mpc_recovery_decode(info, curve_of(curve), b->data, b->len, &err) != TDSA_OK) {
        return false;
    }
    recovery_context_put(&again, curve_of(curve), &info->context);
    fuzz_require(!again.failed && again.len == info->context_len &&
                 memcmp(again.data, info->context_bytes, again.len) == 0);
    return true;
}

/* A changed info proves nothing, and what is recovered with it is the key or nothing. */
static void check_use(const mpc_recovery_info *changed)
{
    mpc_recovery_info pair[2] = {*changed};
    mpc_recovery_verdict verdicts[2];
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);
    const mpc_recovery_asked asked = {run.g, pair, 2, &run.key[0]->pub.y};
    mpc_recovered out;
    tdsa_err err;

    fuzz_require(mpc_recovery_verify_vartime(changed, run.g, kit.cert, &err) != TDSA_OK);
    fuzz_require(decodes(&pair[1], &valid[1]));
    if (mpc_recovery_recover(&out, verdicts, &asked, &opener, &err) != TDSA_OK) {
        fuzz_require(out.x == NULL);
    }
    mpc_recovered_clear(&out); /* it checked xG = Y */
}

/* Changes one valid info, or is one: fuzz_change.h. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info info;
    fuzz_change c;

    set_up();
    if (!fuzz_change_read(&c, 1, data, size)) {
        return 0;
    }
    tdsa_buf_append(&b, valid[0].data, valid[0].len);
    fuzz_change_apply(&c, &b);
    if (!b.failed && decodes(&info, &b) && info.context.curve == GRP_P256 &&
        (b.len != valid[0].len || memcmp(b.data, valid[0].data, b.len) != 0)) {
        check_use(&info);
    }
    return 0;
}
