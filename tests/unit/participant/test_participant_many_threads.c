#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster.h"

/* Batches, single signatures and partial signatures of one key from many threads at once: the engine
 * verifies every signature, and no two share r. */

#define THREADS    8u
#define BATCH      25u
#define SINGLES    10u
#define PARTIALS   4u
#define SIGNATURES (THREADS * (BATCH + SINGLES + PARTIALS))

typedef struct {
    cluster *c;
    const char *key_id;
    unsigned number;
    uint8_t r[BATCH + SINGLES + PARTIALS][32];
    size_t count;
    const char *why; /* what failed */
} signer;

static void note(signer *s, const uint8_t *rs)
{
    memcpy(s->r[s->count++], rs, 32);
}

static void fill(signer *s, part_sign_request *req, uint8_t digest[32], uint8_t kind, uint8_t n)
{
    memset(digest, 0, 32);
    digest[0] = 1;
    digest[1] = (uint8_t)s->number;
    digest[2] = kind;
    digest[3] = n;
    *req = (part_sign_request){
        .key_id = s->key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
}

static void sign_batch(signer *s)
{
    uint8_t digest[BATCH][32];
    part_sign_request req[BATCH];
    part_batch_item out[BATCH];
    tdsa_err err;

    for (uint8_t i = 0; i < BATCH; i++) {
        fill(s, &req[i], digest[i], 1, i);
    }
    if (part_engine_sign_batch(s->c->node[0].engine, s->key_id, req, BATCH, 0, out, &err) !=
        TDSA_OK) {
        s->why = "batch";
        return;
    }
    for (size_t i = 0; i < BATCH; i++) {
        if (out[i].err.status == TDSA_OK) {
            note(s, out[i].sign.rs);
        } else {
            s->why = "request of a batch";
        }
    }
}

static void sign_one(signer *s, uint8_t n)
{
    uint8_t digest[32];
    part_sign_request req;
    part_sign_result out;
    tdsa_err err;

    fill(s, &req, digest, 2, n);
    if (part_engine_sign(s->c->node[0].engine, &req, 0, &out, &err) == TDSA_OK) {
        note(s, out.rs);
    } else {
        s->why = "single";
    }
}

static bool take_first(void *ctx, const part_presig_range *r)
{
    *(part_presig_range *)ctx = *r;
    return false;
}

/* The stock moves on under the caller: a presignature that is gone by the time it is asked for is no
 * failure, a signature that comes out is noted. */
static void sign_partially(signer *s, uint8_t n)
{
    part_presig_range range = {.to = 0};
    part_partial_result part[3];
    part_bytes all[3];
    part_sign_request req;
    part_combined out;
    uint8_t digest[32];
    size_t count = 0;
    tdsa_err err;

    fill(s, &req, digest, 3, n);
    if (part_engine_presignatures(s->c->node[0].engine, s->key_id, take_first, &range, &err) !=
            TDSA_OK ||
        range.to == 0) {
        return;
    }
    while (count < 3 && part_engine_partial(s->c->node[count].engine, &req, &range.first,
                                            &part[count], &err) == TDSA_OK) {
        all[count] = (part_bytes){part[count].bytes.data, part[count].bytes.len};
        count++;
    }
    if (count == 3) {
        if (part_engine_combine(s->c->node[s->number % 3].engine, s->key_id, all, 3, &out, &err) ==
            TDSA_OK) {
            note(s, out.rs);
        } else {
            s->why = "combining";
        }
    }
    while (count > 0) {
        tdsa_buf_clear(&part[--count].bytes);
    }
}

static void *work(void *ctx)
{
    signer *s = ctx;

    if (s->number % 2 == 0) {
        sign_batch(s);
    }
    for (uint8_t i = 0; i < SINGLES; i++) {
        sign_one(s, i);
        if (i < PARTIALS) {
            sign_partially(s, i);
        }
    }
    if (s->number % 2 != 0) {
        sign_batch(s);
    }
    return NULL;
}

static void batches_singles_and_partials_at_once_repeat_no_r(void **state)
{
    static signer s[THREADS];
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    pthread_t thread[THREADS];
    part_key_spec spec = {.curve = GRP_P256, .presignature_limit = -1};
    const uint8_t *seen[SIGNATURES];
    size_t count = 0;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, false);
    spec.policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    assert_int_equal(part_engine_register(c.node[0].engine, &spec, 0, key_id, &err), TDSA_OK);
    assert_int_equal(part_engine_generate(c.node[0].engine, key_id, 0, &err), TDSA_OK);
    assert_int_equal(part_engine_presign(c.node[0].engine, key_id, 200, 0, &err), TDSA_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        s[i] = (signer){.c = &c, .key_id = key_id, .number = i};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &s[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_null(s[i].why);
        for (size_t k = 0; k < s[i].count; k++) {
            for (size_t o = 0; o < count; o++) {
                assert_memory_not_equal(seen[o], s[i].r[k], 32);
            }
            seen[count++] = s[i].r[k];
        }
    }
    assert_true(count >= THREADS * (BATCH + SINGLES));
    cluster_stop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_singles_and_partials_at_once_repeat_no_r),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
