#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/campaign.h"
#include "attack/fields.h"
#include "attack/hostile.h"
#include "attack/weak.h"
#include "base/statement.h"

/* Every field of every message of ECDSA keys, requests and replies (attack/campaign.h). */

enum { LIAR = 1 };

static void every_field_of_key_generation_is_checked(void **state)
{
    (void)state;
    keygen_campaign(GRP_P256, MPC_SCHEME_ECDSA, 3, 1);
}

static void every_field_of_presigning_is_checked(void **state)
{
    (void)state;
    presign_campaign(GRP_SECP256K1, MPC_SCHEME_ECDSA, true);
    presign_campaign(GRP_P256, MPC_SCHEME_ECDSA, false);
}

/* ---- signing ---- */

static void a_missing_check_is_found(void **state)
{
    (void)state;
    planted_campaign();
}

static void every_field_of_a_reply_is_checked(void **state)
{
    static const uint8_t digest[32] = {8};
    TDSA_SCOPED_BUF earlier = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    hostile_answer a[3];
    field all[FIELDS_MAX];
    protocol_run r;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, NULL);
    mpc_request q = run_request(&r, 0, digest, sizeof digest);
    assert_int_equal(hostile_ask(&r, LIAR, &q, &a[0], &err), TDSA_OK);
    tdsa_buf_append(&earlier, a[0].bytes.data, a[0].bytes.len);
    hostile_answer_clear(&a[0]);
    q = run_request(&r, 1, digest, sizeof digest);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(hostile_ask(&r, i, &q, &a[i], &err), TDSA_OK);
    }
    const size_t count = fields_of(all, r.g, &a[LIAR].bytes);
    for (size_t which = 0; which < count; which++) {
        for (int k = 0; k < CHANGE_END; k++) {
            mpc_combine *c = NULL;
            mpc_signature sig;
            tdsa_status st;

            if (!field_apply(&changed, r.g, &a[LIAR].bytes, which, (field_change)k, &a[2].bytes,
                             &earlier)) {
                continue;
            }
            assert_int_equal(mpc_combine_new(&c, r.key[0], r.batch[0], &a[0].ctx, &err), TDSA_OK);
            assert_int_equal(mpc_combine_take(c, 0, a[0].bytes.data, a[0].bytes.len, &err),
                             TDSA_OK);
            assert_int_equal(mpc_combine_take(c, 2, a[2].bytes.data, a[2].bytes.len, &err),
                             TDSA_OK);
            st = mpc_combine_take(c, LIAR, changed.data, changed.len, &err);
            if (st != TDSA_OK) {
                assert_int_equal(st, TDSA_E_PROTOCOL);
                assert_int_equal(err.participant, LIAR);
            } else { /* another value: only the whole can tell */
                assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
                assert_int_equal(sig.len, 0);
            }
            mpc_combine_free(c);
        }
    }
    for (uint16_t i = 0; i < 3; i++) {
        hostile_answer_clear(&a[i]);
    }
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* A hostile combiner's request: refused, or it is another request with another transcript. */
static void every_field_of_a_request_is_checked(void **state)
{
    static const uint8_t digest[32] = {8};
    static const uint8_t other_digest[32] = {9};
    const mpc_policy policy = hostile_policy_bip32();
    TDSA_SCOPED_BUF good = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF earlier = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    protocol_run r;
    mpc_request q;
    mpc_context honest;
    size_t refused = 0;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, &policy);
    q = run_request(&r, 0, other_digest, sizeof other_digest);
    q.path_len = 1;
    mpc_request_encode(&earlier, &q);
    q = run_request(&r, 1, digest, sizeof digest);
    q.path_len = 1;
    q.path[0] = 5;
    mpc_request_encode(&good, &q);
    assert_int_equal(mpc_context_new(&honest, r.key[0], r.batch[0], &q, good.data, good.len, &err),
                     TDSA_OK);
    const size_t count = fields_of(all, r.g, &good);
    for (size_t which = 0; which < count; which++) {
        for (int k = 0; k < CHANGE_END; k++) {
            mpc_context ctx;
            mpc_request seen;
            tdsa_status st;

            if (!field_apply(&changed, r.g, &good, which, (field_change)k, NULL, &earlier)) {
                continue;
            }
            st = mpc_request_decode(&seen, changed.data, changed.len, &err);
            if (st == TDSA_OK) {
                st = mpc_context_new(&ctx, r.key[0], r.batch[0], &seen, changed.data, changed.len,
                                     &err);
            }
            if (st != TDSA_OK) { /* a refusal that says what is wrong, no failure of ours */
                assert_true(st == TDSA_E_BAD_INPUT || st == TDSA_E_CONFLICT ||
                            st == TDSA_E_DENIED || st == TDSA_E_NOT_FOUND);
                refused++;
            } else {
                assert_memory_not_equal(ctx.transcript, honest.transcript, 64);
                assert_false(sc_equal(r.g, ctx.r, honest.r));
            }
        }
    }
    assert_true(refused > 100);
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* The campaign sees what it must see: a field that nobody checks is found. */
static void the_changes_are_what_they_say(void **state)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    grp *g = NULL;
    tdsa_err err;
    size_t list = 0;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    tdsa_stmt_begin(&m, "tag");
    list = tdsa_stmt_list_begin(&m);
    tdsa_stmt_uint(&m, 5);
    tdsa_stmt_list_end(&m, list);
    tdsa_stmt_octets(&m,
                     "\x01\x00\x00\x00\x01"
                     "a",
                     6); /* a statement inside */
    assert_int_equal(fields_of(all, g, &m), 5);
    assert_true(field_apply(&out, g, &m, 2, CHANGE_LONGER, NULL, NULL));
    assert_int_equal(out.len, m.len + 1);
    assert_int_equal(out.data[8 + 4], 14);    /* the list has grown */
    assert_int_equal(out.data[8 + 5 + 4], 9); /* and the number in it */
    assert_true(field_apply(&out, g, &m, 4, CHANGE_REMOVED, NULL, NULL));
    assert_int_equal(out.len, m.len - 6);
    assert_int_equal(out.data[out.len - 1], 0); /* empty octets at the end */
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_changes_are_what_they_say),
        cmocka_unit_test(every_field_of_key_generation_is_checked),
        cmocka_unit_test(every_field_of_presigning_is_checked),
        cmocka_unit_test(a_missing_check_is_found),
        cmocka_unit_test(every_field_of_a_reply_is_checked),
        cmocka_unit_test(every_field_of_a_request_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
