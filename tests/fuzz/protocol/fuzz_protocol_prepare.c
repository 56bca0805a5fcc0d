#include <string.h>

#include "base/statement.h"
#include "fuzz/protocol/fuzz_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    protocol_run run;
    uint8_t t0[64];
    uint32_t index;
    tdsa_buf coin[3];
} prepared;

static void prepare(prepared *p)
{
    static const uint8_t digest[32] = {1};
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_request q;
    tdsa_err err;

    run_init(&p->run, GRP_P256, 3, 1, "fuzz");
    p->run.policy.prepare = true;
    fuzz_require(run_keygen(&p->run, "FuzzKey000000000000000000000") == 3);
    fuzz_require(run_presign(&p->run, 1, 1) == 3);
    q = run_request(&p->run, 0, digest, sizeof digest);
    mpc_request_encode(&bytes, &q);
    for (uint16_t i = 0; i < 3; i++) {
        fuzz_require(mpc_prepare_new(p->t0, p->run.key[i], p->run.batch[i], &q, bytes.data,
                                     bytes.len, &err) == TDSA_OK);
        fuzz_require(mpc_prepare_reply(&p->coin[i], p->run.key[i], p->run.batch[i], 0, p->t0,
                                       &err) == TDSA_OK);
    }
}

/* What is taken as a list of coins comes back byte by byte. */
static void read_list(const prepared *p, const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    tdsa_reader r = tdsa_reader_of(data, size);
    mpc_coins coins;
    tdsa_err err;

    if (mpc_coins_get(&r, p->run.g, 3, &coins, &err) == TDSA_OK) {
        mpc_coins_put(&again, p->run.g, &coins);
        fuzz_require(again.len == r.pos && memcmp(again.data, data, again.len) == 0);
    }
}

/* The coin of 1 is changed: the list is whole and lawful only when nothing changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static prepared p;
    static bool ready;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    fuzz_change change;
    mpc_coins coins = {0};
    bool same = false;
    tdsa_status st = TDSA_OK;
    tdsa_err err;

    if (!fuzz_change_read(&change, 1, data, size)) {
        return 0;
    }
    if (!ready) {
        prepare(&p);
        ready = true;
    }
    read_list(&p, data, size);
    tdsa_buf_append(&changed, p.coin[1].data, p.coin[1].len);
    fuzz_change_apply(&change, &changed);
    same = changed.len == p.coin[1].len && memcmp(changed.data, p.coin[1].data, changed.len) == 0;
    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        const tdsa_buf *coin = i == 1 ? &changed : &p.coin[i];

        st = mpc_prepare_take(&coins, p.run.key[0], p.run.batch[0], p.t0, i, coin->data, coin->len,
                              &err);
        fuzz_require(st == TDSA_OK || (st == TDSA_E_PROTOCOL && err.participant == 1));
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_check(&coins, p.run.key[0], p.run.batch[0], p.index, &err);
    }
    fuzz_require((st == TDSA_OK) == same);
    return 0;
}
