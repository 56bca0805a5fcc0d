#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/protocol_run.h"

/*
 * Memory runs out at the k-th allocation of our own code, for k = 1, 2, 3 ...: a whole run of three
 * participants ends in TDSA_E_NO_MEMORY (or TDSA_E_CRYPTO), without a crash, a leak or a half result. (The linker hands
 * malloc and calloc of this program to the two functions below.)
 */

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);

static size_t seen;
static size_t signing_at; /* `seen` when the signing began */
static size_t fail_at;    /* 0: never */

static bool fails_now(void)
{
    seen++;
    return seen == fail_at;
}

void *__wrap_malloc(size_t len)
{
    return fails_now() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t len)
{
    return fails_now() ? NULL : __real_calloc(count, len);
}

/* One message of a run, from its sender to its receiver. */
static tdsa_status keygen_pass(protocol_run *r, uint16_t from, uint16_t to, tdsa_err *err)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    tdsa_status st = mpc_keygen_send(r->keygen[from], to, &m, err);

    if (st == TDSA_OK) {
        st = mpc_keygen_take(r->keygen[to], from, m.data, m.len, err);
    }
    return st;
}

static tdsa_status keygen_all(protocol_run *r, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        const mpc_keygen_cfg cfg = run_keygen_cfg(r, i, "MemoryKey0000000000000000000");

        st = mpc_keygen_new(&r->keygen[i], &cfg, err);
    }
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS && st == TDSA_OK; round++) {
        for (uint16_t i = 0; i < 9 && st == TDSA_OK; i++) {
            st = i / 3 == i % 3 ? TDSA_OK : keygen_pass(r, i / 3, i % 3, err);
        }
        for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
            st = mpc_keygen_advance(r->keygen[i], err);
            if (st == TDSA_OK && mpc_keygen_round(r->keygen[i]) == MPC_KEYGEN_ROUND_STORED) {
                mpc_keygen_mark_stored(r->keygen[i]);
            }
        }
    }
    return st;
}

/* The keys go through their records, as they do in a participant. */
static tdsa_status reload(protocol_run *r, mpc_key **keys, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
        TDSA_SCOPED_SECRET secret = NULL;

        mpc_key_encode_public(&pub, mpc_keygen_key(r->keygen[i]));
        st = tdsa_buf_check(&pub, err);
        if (st == TDSA_OK) {
            st = mpc_key_encode_secret(&secret, mpc_keygen_key(r->keygen[i]), err);
        }
        if (st == TDSA_OK) {
            st = mpc_key_decode(&keys[i], r->g, pub.data, pub.len, secret, err);
        }
        r->key[i] = keys[i];
    }
    return st;
}

static tdsa_status presign_pass(protocol_run *r, uint16_t from, uint16_t to, tdsa_err *err)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    tdsa_status st = mpc_presign_send(r->presign[from], to, &m, err);

    if (st == TDSA_OK) {
        st = mpc_presign_take(r->presign[to], from, m.data, m.len, err);
    }
    return st;
}

static tdsa_status presign_all(protocol_run *r, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        const mpc_presign_cfg cfg = run_presign_cfg(r, i, 1, 1);

        st = mpc_presign_new(&r->presign[i], &cfg, err);
    }
    for (unsigned round = 0; round < MPC_PRESIGN_ROUNDS && st == TDSA_OK; round++) {
        for (uint16_t i = 0; i < 9 && st == TDSA_OK; i++) {
            st = i / 3 == i % 3 ? TDSA_OK : presign_pass(r, i / 3, i % 3, err);
        }
        for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
            st = mpc_presign_advance(r->presign[i], err);
        }
    }
    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        st = mpc_presign_data(r->presign[i], &r->data[i], err);
        if (st == TDSA_OK) {
            st = mpc_batch_new(&r->batch[i], r->key[i], mpc_presign_beta(r->presign[i]), r->count,
                               r->data[i].data, r->data[i].len, err);
        }
    }
    return st;
}

/* All coins into one list; nothing without prepare mode. */
static tdsa_status coins_all(const protocol_run *r, const mpc_request *q, const tdsa_buf *bytes,
                             mpc_coins *coins, tdsa_err *err)
{
    uint8_t t0[64];
    tdsa_status st = TDSA_OK;

    memset(coins, 0, sizeof *coins);
    for (uint16_t i = 0; i < 3 && r->policy.prepare && st == TDSA_OK; i++) {
        TDSA_SCOPED_BUF coin = TDSA_BUF_EMPTY;

        st = mpc_prepare_new(t0, r->key[i], r->batch[i], q, bytes->data, bytes->len, err);
        if (st == TDSA_OK) {
            st = mpc_prepare_reply(&coin, r->key[i], r->batch[i], q->index, t0, err);
        }
        if (st == TDSA_OK) {
            st = mpc_prepare_take(coins, r->key[0], r->batch[0], t0, i, coin.data, coin.len, err);
        }
    }
    return st;
}

static tdsa_status sign_all(const protocol_run *r, mpc_combine **combine, mpc_signature *sig,
                            tdsa_err *err)
{
    static const uint8_t digest[32] = {1};
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_request q = {.committee = {0, 1, 2},
                     .committee_count = 3,
                     .digest_alg =
                         r->scheme == MPC_SCHEME_ECDSA ? TDSA_HASH_SHA256 : TDSA_HASH_NONE,
                     .taproot = r->scheme == MPC_SCHEME_BIP340,
                     .payload = digest,
                     .payload_len = sizeof digest};
    mpc_coins coins;
    tdsa_status st = mpc_request_for_key(&q, r->key[0], err);

    memcpy(q.beta, mpc_batch_beta(r->batch[0]), sizeof q.beta);
    mpc_request_encode(&bytes, &q);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&bytes, err);
    }
    if (st == TDSA_OK) {
        st = coins_all(r, &q, &bytes, &coins, err);
    }
    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
        mpc_context ctx;

        st = r->policy.prepare
                 ? mpc_context_prepared(&ctx, r->key[i], r->batch[i], &q, bytes.data, bytes.len,
                                        &coins, err)
                 : mpc_context_new(&ctx, r->key[i], r->batch[i], &q, bytes.data, bytes.len, err);
        if (st == TDSA_OK && i == 0) {
            st = mpc_combine_new(combine, r->key[0], r->batch[0], &ctx, err);
        }
        if (st == TDSA_OK) {
            st = mpc_sign_reply(&reply, r->key[i], r->batch[i], &q, &ctx, err);
        }
        if (st == TDSA_OK) {
            st = mpc_combine_take(*combine, i, reply.data, reply.len, err);
        }
    }
    return st == TDSA_OK ? mpc_combine_finish(*combine, sig, err) : st;
}

static tdsa_status everything(protocol_run *r, tdsa_err *err)
{
    mpc_key *keys[3] = {NULL, NULL, NULL};
    mpc_combine *combine = NULL;
    mpc_signature sig;
    tdsa_status st = keygen_all(r, err);

    if (st == TDSA_OK) {
        st = reload(r, keys, err);
    }
    if (st == TDSA_OK) {
        st = presign_all(r, err);
    }
    signing_at = seen;
    if (st == TDSA_OK) {
        st = sign_all(r, &combine, &sig, err);
    }
    fail_at = 0;
    mpc_combine_free(combine);
    for (uint16_t i = 0; i < 3; i++) {
        mpc_batch_free(r->batch[i]);
        r->batch[i] = NULL;
        mpc_key_free(keys[i]);
    }
    return st;
}

typedef enum { RUN_ECDSA, RUN_PREPARE, RUN_BIP340, RUN_EDDSA } run_kind;

/* at: 0 for a run that goes well. Where OpenSSL is in between it is TDSA_E_CRYPTO. */
static size_t one_run(run_kind kind, size_t at)
{
    static const grp_curve curves[] = {GRP_P256, GRP_P256, GRP_SECP256K1, GRP_ED25519};
    static const mpc_scheme schemes[] = {MPC_SCHEME_ECDSA, MPC_SCHEME_ECDSA, MPC_SCHEME_BIP340,
                                         MPC_SCHEME_EDDSA};

    protocol_run r;
    tdsa_status st;
    tdsa_err err = {.status = TDSA_OK};
    size_t count = 0;

    run_init_scheme(&r, curves[kind], schemes[kind], 3, 1, "memory");
    r.policy.prepare = kind == RUN_PREPARE;
    seen = 0;
    fail_at = at;
    st = everything(&r, &err);
    count = seen;
    run_clear(&r);
    if (at == 0 ? st != TDSA_OK : st != TDSA_E_NO_MEMORY && st != TDSA_E_CRYPTO) {
        fail_msg("allocation %zu: %s (%s at %s)", at, tdsa_status_name(st), err.text, err.where);
    }
    return count;
}

static void running_out_of_memory_ends_the_run_cleanly(void **state)
{
    const size_t count = one_run(RUN_ECDSA, 0);

    (void)state;
    assert_true(count > 200);
    for (size_t at = 1; at <= count; at++) {
        (void)one_run(RUN_ECDSA, at);
    }
}

/* The same from the first signature on, for what other keys do otherwise. */
static void running_out_of_memory_ends_every_kind_of_signature(void **state)
{
    (void)state;
    for (int kind = RUN_PREPARE; kind <= RUN_EDDSA; kind++) {
        const size_t count = one_run((run_kind)kind, 0);
        const size_t from = signing_at;

        assert_true(count > from + 10);
        for (size_t at = from; at <= count; at++) {
            (void)one_run((run_kind)kind, at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_out_of_memory_ends_the_run_cleanly),
        cmocka_unit_test(running_out_of_memory_ends_every_kind_of_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
