#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/protocol_tamper.h"

/* One bit of every byte of every message, one at a time: whoever gets it ends with nothing. */

#define KEY_ID "EveryByteKey0000000000000000"

static size_t length_of(const tamper *t, protocol_run *r, bool presign)
{
    tamper copy = *t;
    size_t len = 0;

    copy.bytes = TDSA_BUF_EMPTY;
    r->hook = record_hook;
    r->hook_ctx = &copy;
    assert_int_equal(presign ? run_presign(r, 1, 1) : run_keygen(r, KEY_ID), 3);
    len = copy.bytes.len;
    tdsa_buf_clear(&copy.bytes);
    assert_true(len > 64);
    return len;
}

static void no_byte_of_key_generation_is_ignored(void **state)
{
    protocol_run r;
    tamper t = {.step = STEP_KEYGEN, .from = 1, .to = 0};

    (void)state;
    run_init(&r, GRP_SECP256K1, 3, 1, "every byte");
    for (t.round = 0; t.round < MPC_KEYGEN_ROUNDS; t.round++) {
        const size_t len = length_of(&t, &r, false);

        r.hook = tamper_hook;
        r.hook_ctx = &t;
        for (t.offset = 0; t.offset < len; t.offset++) {
            (void)run_keygen(&r, KEY_ID);
            assert_null(r.key[0]);
            assert_int_equal(r.status[0], TDSA_E_PROTOCOL);
        }
    }
    run_clear(&r);
}

static void no_byte_of_presigning_is_ignored(void **state)
{
    protocol_run r;
    tamper t = {.step = STEP_PRESIGN, .from = 1, .to = 0};

    (void)state;
    run_init(&r, GRP_SECP256K1, 3, 1, "every byte");
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    for (t.round = 0; t.round < MPC_PRESIGN_ROUNDS; t.round++) {
        const size_t len = length_of(&t, &r, true);

        r.hook = tamper_hook;
        r.hook_ctx = &t;
        for (t.offset = 0; t.offset < len; t.offset++) {
            (void)run_presign(&r, 1, 1);
            assert_null(r.batch[0]);
            assert_int_equal(r.status[0], TDSA_E_PROTOCOL);
        }
    }
    run_clear(&r);
}

static void no_byte_of_a_reply_is_ignored(void **state)
{
    static const uint8_t digest[32] = {1};
    protocol_run r;
    tamper t = {.step = STEP_REPLY, .from = 2, .to = 0};
    mpc_request q;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;
    const size_t len = 10 + 13 + 69 + 44 + 5 + 2 * 37; /* "reply", me, T, C, [mu, nu] */

    (void)state;
    run_init(&r, GRP_SECP256K1, 3, 1, "every byte");
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    assert_int_equal(run_presign(&r, 1, 1), 3);
    q = run_request(&r, 0, digest, sizeof digest);
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    for (t.offset = 0; t.offset < len; t.offset++) {
        const tdsa_status st = run_sign(&r, &q, &sig, &ctx, &err);

        assert_true(st == TDSA_E_PROTOCOL || st == TDSA_E_VERIFY);
    }
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_of_key_generation_is_ignored),
        cmocka_unit_test(no_byte_of_presigning_is_ignored),
        cmocka_unit_test(no_byte_of_a_reply_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
