#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/partial_run.h"

/* Partial signatures and combining them. What an attacker tries with them: tests/attack. */

static void refused(partial_run *f, uint16_t who, tdsa_status st, const char *name)
{
    tdsa_err err;

    assert_int_equal(partial_run_ask(f, who, &err), st);
    if (name != NULL && !partial_run_says(&err, name)) {
        fail_msg("not %s: %s", name, err.text);
    }
}

static void not_combined(partial_run *f, uint16_t who, tdsa_status st, const char *text)
{
    tdsa_err err;

    assert_int_equal(partial_run_combine(f, who, &err), st);
    if (strstr(err.text, text) == NULL) {
        fail_msg("no '%s' in: %s", text, err.text);
    }
}

static void parts_of_a_committee_make_a_signature_at_any_member(void **state)
{
    static const struct {
        grp_curve curve;
        mpc_scheme scheme;
    } kinds[] = {{GRP_P256, MPC_SCHEME_ECDSA},
                 {GRP_P521, MPC_SCHEME_ECDSA},
                 {GRP_SECP256K1, MPC_SCHEME_BIP340},
                 {GRP_ED25519, MPC_SCHEME_EDDSA}};
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        partial_run *f =
            partial_run_new(&(partial_wish){.curve = kinds[i].curve, .scheme = kinds[i].scheme});
        partial_run_ask_all(f);
        for (uint16_t who = 0; who < 3; who++) {
            f->digest[1] = (uint8_t)who;
            partial_run_choose(f);
            partial_run_ask_all(f);
            if (partial_run_combine(f, who, &err) != TDSA_OK) {
                fail_msg("%s", err.text);
            }
        }
        partial_run_free(f);
    }
}

static void the_same_request_gets_the_same_bytes_also_after_a_restart(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    TDSA_SCOPED_BUF before = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    tdsa_buf_append(&before, f->partial[1].data, f->partial[1].len);
    assert_int_equal(partial_run_ask(f, 1, &err), TDSA_OK);
    assert_int_equal(f->partial[1].len, before.len);
    assert_memory_equal(f->partial[1].data, before.data, before.len);
    for (uint16_t i = 0; i < 3; i++) {
        sim_crash(f->s, i);
        sim_start(f->s, i);
    }
    assert_int_equal(partial_run_ask(f, 1, &err), TDSA_OK);
    assert_int_equal(f->partial[1].len, before.len);
    assert_memory_equal(f->partial[1].data, before.data, before.len);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    tdsa_buf_clear(&before); /* the simulator counts */
    partial_run_free(f);
}

static void combining_again_gives_the_same_signature(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    part_bytes all[3];
    part_combined a;
    part_combined b;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    for (size_t i = 0; i < 3; i++) {
        all[i] = (part_bytes){f->partial[i].data, f->partial[i].len};
    }
    assert_int_equal(part_combine(sim_part(f->s, 0), f->key_id, all, 3, &a, &err), TDSA_OK);
    assert_int_equal(part_combine(sim_part(f->s, 2), f->key_id, all, 3, &b, &err), TDSA_OK);
    assert_memory_equal(a.rs, b.rs, a.rs_len);
    partial_run_free(f);
}

/* R040 */
static void a_partial_signature_is_combined_until_it_expires_and_not_after(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    part_stock_info info;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    sim_idle(f->s, PARTIAL_TIMEOUT_MS - 1000);
    if (partial_run_combine(f, 0, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    sim_idle(f->s, 2000);
    not_combined(f, 0, TDSA_E_CONFLICT, PART_EXPIRED);
    refused(f, 0, TDSA_E_CONFLICT, PART_EXPIRED);
    refused(f, 1, TDSA_E_CONFLICT, PART_EXPIRED);
    f->digest[0] = 99;
    refused(f, 1, TDSA_E_CONFLICT, PART_PRESIGNATURE_USED);
    assert_int_equal(part_stock_describe(sim_part(f->s, 0), f->key_id, &info, &err), TDSA_OK);
    assert_int_equal(info.total.available, 7);
    partial_run_free(f);
}

static void records_are_collected_and_the_presignature_stays_used(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    ks_partial row;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    sim_idle(f->s, 4 * PARTIAL_TIMEOUT_MS);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(ks_partial_get(sim_store(f->s, i), f->id.beta, f->id.index, &row, &err),
                         TDSA_E_NOT_FOUND);
        refused(f, i, TDSA_E_CONFLICT, PART_PRESIGNATURE_USED);
    }
    not_combined(f, 0, TDSA_E_NOT_FOUND, PART_PARTIAL_UNKNOWN);
    partial_run_free(f);
}

static void a_used_up_batch_stays_as_long_as_a_part_of_it_can_be_combined(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.stock = 1});
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    partial_run_presign(f, 1); /* drops what is used up */
    partial_run_presign(f, 1);
    assert_int_equal(partial_run_combine(f, 1, &err), TDSA_OK);
    partial_run_free(f);
}

static void what_the_policy_forbids_burns_nothing(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    static const uint32_t path[] = {1};
    part_sign_request good = f->req;
    ks_partial row;
    tdsa_err err;

    (void)state;
    f->req.digest_alg = TDSA_HASH_SHA1;
    refused(f, 1, TDSA_E_DENIED, NULL);
    f->req = good;
    f->req.payload_len = 31;
    refused(f, 1, TDSA_E_BAD_INPUT, NULL);
    f->req = good;
    f->req.path = path;
    f->req.path_len = 1;
    refused(f, 1, TDSA_E_DENIED, NULL);
    f->req = good;
    f->req.key_id = "nobody";
    refused(f, 1, TDSA_E_NOT_FOUND, NULL);
    f->req = good;
    f->id.index = 8;
    refused(f, 1, TDSA_E_NOT_FOUND, NULL);
    f->id.index = 0;
    f->id.beta[0] ^= 1;
    refused(f, 1, TDSA_E_NOT_FOUND, NULL);
    f->id.beta[0] ^= 1;
    assert_int_equal(ks_partial_get(sim_store(f->s, 1), f->id.beta, 0, &row, &err),
                     TDSA_E_NOT_FOUND);
    partial_run_ask_all(f);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    partial_run_free(f);
}

static void the_rate_counts_partial_signatures_once_each(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.rate = 2});
    tdsa_err err;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        f->digest[2] = (uint8_t)i;
        partial_run_choose(f);
        partial_run_ask_all(f);
        partial_run_ask_all(f); /* the same again */
        assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    }
    partial_run_choose(f);
    assert_int_equal(partial_run_ask(f, 1, &err), TDSA_E_LIMIT);
    assert_true(part_is_rate_limited(&err));
    partial_run_free(f);
}

static void keys_of_prepare_mode_and_of_clients_are_refused(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.prepare = true});
    tdsa_err err;

    (void)state;
    refused(f, 0, TDSA_E_DENIED, NULL);
    f->partial[0] = (tdsa_buf){0};
    tdsa_buf_append(&f->partial[0], "x", 1);
    not_combined(f, 0, TDSA_E_DENIED, "prepare mode");
    partial_run_free(f);
    f = partial_run_new(&(partial_wish){.with_client = true});
    assert_int_equal(partial_run_ask(f, 1, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "CLIENT_PARTICIPATES"));
    partial_run_free(f);
}

static void what_is_combined_must_be_one_part_of_each_member(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 4});
    tdsa_buf kept;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    kept = f->partial[2];
    f->partial[2] = TDSA_BUF_EMPTY;
    not_combined(f, 0, TDSA_E_BAD_INPUT, "participant 2 is missing");
    tdsa_buf_append(&f->partial[2], f->partial[1].data, f->partial[1].len);
    not_combined(f, 0, TDSA_E_BAD_INPUT, "participant 1 replied twice");
    f->partial[2].data[partial_run_sender_at(&f->partial[2])] = 3; /* no member */
    not_combined(f, 0, TDSA_E_BAD_INPUT, "participant 3 is not asked");
    f->partial[2].len--;
    not_combined(f, 0, TDSA_E_BAD_INPUT, "partial signature 2: malformed");
    tdsa_buf_clear(&f->partial[2]);
    f->partial[2] = kept;
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK); /* nothing of that was fatal */
    not_combined(f, 3, TDSA_E_NOT_FOUND, "no such presignature");
    partial_run_free(f);
}

static void nothing_and_too_much_are_not_combined(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    part_bytes all[GRP_PARTIES_MAX + 1];
    part_combined out;
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    for (size_t i = 0; i <= GRP_PARTIES_MAX; i++) {
        all[i] = (part_bytes){f->partial[0].data, f->partial[0].len};
    }
    assert_int_equal(part_combine(sim_part(f->s, 0), f->key_id, all, 0, &out, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(
        part_combine(sim_part(f->s, 0), f->key_id, all, GRP_PARTIES_MAX + 1, &out, &err),
        TDSA_E_BAD_INPUT);
    assert_int_equal(part_combine(sim_part(f->s, 0), "nobody", all, 1, &out, &err),
                     TDSA_E_NOT_FOUND);
    partial_run_free(f);
}

static void a_reshare_ends_what_was_not_combined(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    const part_reshare_spec same = {.t = 0};
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    assert_int_equal(sim_reshare(f->s, 0, f->key_id, &same, &err), TDSA_OK);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_CONFLICT);
    refused(f, 0, TDSA_E_NOT_FOUND, NULL);
    partial_run_free(f);
}

static void signatures_go_on_around_presignatures_given_away(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.stock = 16});
    tdsa_err err;

    (void)state;
    for (uint32_t i = 1; i < 16; i += 3) { /* 1, 4, 7, ... are given away */
        f->id.index = i;
        f->digest[3] = (uint8_t)i;
        partial_run_ask_all(f);
        assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    }
    for (uint8_t i = 0; i < 11; i++) { /* the other 11, in ranges between */
        if (partial_run_sign(f, 0, (uint8_t)(100 + i), &err) != TDSA_OK) {
            fail_msg("%u: %s", i, err.text);
        }
    }
    part_stock_info info;
    assert_int_equal(part_stock_describe(sim_part(f->s, 0), f->key_id, &info, &err), TDSA_OK);
    assert_int_equal(info.total.available + info.total.leased, 0); /* none was lost */
    partial_run_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_committee_make_a_signature_at_any_member),
        cmocka_unit_test(the_same_request_gets_the_same_bytes_also_after_a_restart),
        cmocka_unit_test(combining_again_gives_the_same_signature),
        cmocka_unit_test(a_partial_signature_is_combined_until_it_expires_and_not_after),
        cmocka_unit_test(records_are_collected_and_the_presignature_stays_used),
        cmocka_unit_test(a_used_up_batch_stays_as_long_as_a_part_of_it_can_be_combined),
        cmocka_unit_test(what_the_policy_forbids_burns_nothing),
        cmocka_unit_test(the_rate_counts_partial_signatures_once_each),
        cmocka_unit_test(keys_of_prepare_mode_and_of_clients_are_refused),
        cmocka_unit_test(what_is_combined_must_be_one_part_of_each_member),
        cmocka_unit_test(nothing_and_too_much_are_not_combined),
        cmocka_unit_test(a_reshare_ends_what_was_not_combined),
        cmocka_unit_test(signatures_go_on_around_presignatures_given_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
