#include <string.h>

#include "fuzz/protocol/fuzz_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    protocol_run run;
    mpc_context ctx;
    tdsa_buf reply[3];
} prepared;

static void prepare(prepared *p, grp_curve curve, mpc_scheme scheme)
{
    static const uint8_t digest[32] = {1};
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_request q;
    tdsa_err err;

    run_init_scheme(&p->run, curve, scheme, 3, 1, "fuzz");
    fuzz_require(run_keygen(&p->run, "FuzzKey000000000000000000000") == 3);
    fuzz_require(run_presign(&p->run, 1, 1) == 3);
    q = run_request(&p->run, 0, digest, sizeof digest);
    mpc_request_encode(&bytes, &q);
    for (uint16_t i = 0; i < 3; i++) {
        fuzz_require(mpc_context_new(&p->ctx, p->run.key[i], p->run.batch[i], &q, bytes.data,
                                     bytes.len, &err) == TDSA_OK);
        fuzz_require(mpc_sign_reply(&p->reply[i], p->run.key[i], p->run.batch[i], &q, &p->ctx,
                                    &err) == TDSA_OK);
    }
}

/* The reply of 1 to a key of some scheme is changed: a signature comes out only when nothing changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static prepared prepared_all[3];
    static bool ready;
    prepared *p = NULL;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    fuzz_change change;
    mpc_combine *c = NULL;
    mpc_signature sig;
    bool same = false;
    tdsa_status st = TDSA_OK;
    tdsa_err err;

    if (!fuzz_change_read(&change, 1, data, size)) {
        return 0;
    }
    if (!ready) {
        prepare(&prepared_all[0], GRP_P256, MPC_SCHEME_ECDSA);
        prepare(&prepared_all[1], GRP_SECP256K1, MPC_SCHEME_BIP340);
        prepare(&prepared_all[2], GRP_ED25519, MPC_SCHEME_EDDSA);
        ready = true;
    }
    p = &prepared_all[(data[1] >> 2) % 3];
    tdsa_buf_append(&changed, p->reply[1].data, p->reply[1].len);
    fuzz_change_apply(&change, &changed);
    same =
        changed.len == p->reply[1].len && memcmp(changed.data, p->reply[1].data, changed.len) == 0;
    fuzz_require(mpc_combine_new(&c, p->run.key[0], p->run.batch[0], &p->ctx, &err) == TDSA_OK);
    st = mpc_combine_take(c, 1, changed.data, changed.len, &err);
    fuzz_require(st == TDSA_OK || (st == TDSA_E_PROTOCOL && err.participant == 1));
    if (st == TDSA_OK) {
        fuzz_require(mpc_combine_take(c, 0, p->reply[0].data, p->reply[0].len, &err) == TDSA_OK);
        fuzz_require(mpc_combine_take(c, 2, p->reply[2].data, p->reply[2].len, &err) == TDSA_OK);
        st = mpc_combine_finish(c, &sig, &err);
    }
    fuzz_require((st == TDSA_OK) == same);
    mpc_combine_free(c);
    return 0;
}
