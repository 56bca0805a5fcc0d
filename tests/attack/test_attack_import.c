#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/campaign.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_tamper.h"

/*
 * Imports with a dealer or another participant that deviates: nobody ends with a key, nobody honest is
 * blamed, and the next import of the same key succeeds.
 */

#define KEY_ID "ImportedKey00000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT };
enum { DEALER = 0 };

typedef struct {
    protocol_run r;
    tdsa_secret *x;
    mpc_import_key key;
} fixture;

static void set_up(fixture *f, uint16_t n, uint16_t t)
{
    uint8_t x[32] = {[0] = 5, [31] = 42};
    tdsa_err err;

    memset(f, 0, sizeof *f);
    run_init(&f->r, GRP_P256, n, t, "import attack");
    assert_int_equal(tdsa_secret_copy(&f->x, x, sizeof x, &err), TDSA_OK);
    f->key.x = f->x;
    memset(f->key.cc, 0xcc, sizeof f->key.cc);
}

static void make_runs(fixture *f)
{
    for (uint16_t i = 0; i < f->r.n; i++) {
        const mpc_import_cfg cfg = run_import_cfg(&f->r, i, KEY_ID, DEALER, &f->key);

        mpc_keygen_free(f->r.keygen[i]);
        f->r.status[i] = mpc_import_new(&f->r.keygen[i], &cfg, &f->r.err[i]);
        assert_int_equal(f->r.status[i], TDSA_OK);
    }
}

static void ends_without_a_key(const fixture *f, uint16_t who, int culprit, const char *text)
{
    assert_int_equal(f->r.status[who], TDSA_E_PROTOCOL);
    if (strstr(f->r.err[who].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, f->r.err[who].text);
    }
    assert_int_equal(f->r.err[who].participant, culprit);
    assert_null(f->r.key[who]);
}

/* The same participants, honest now, import the key and sign with it. */
static void the_next_import_signs(fixture *f)
{
    static const uint8_t digest[32] = {1, 2, 3};
    mpc_signature sig;
    mpc_request q;
    mpc_context context;
    tdsa_err err;

    f->r.hook = NULL;
    assert_int_equal(run_import(&f->r, KEY_ID, DEALER, &f->key), f->r.n);
    assert_int_equal(run_presign(&f->r, 1, 1), f->r.committee_count);
    q = run_request(&f->r, 0, digest, sizeof digest);
    assert_int_equal(run_sign(&f->r, &q, &sig, &context, &err), TDSA_OK);
    assert_true(run_openssl_verifies(f->r.g, &f->r.key[0]->pub.y, digest, sizeof digest, &sig));
    run_clear(&f->r);
    tdsa_secret_free(f->x);
}

/* Everything that the dealer deals fits together, but it is another key than the one it told. */
static void a_dealer_cannot_deal_another_key_than_it_told(void **state)
{
    fixture f;
    grp_scalar one;

    (void)state;
    set_up(&f, 3, 1);
    make_runs(&f);
    grp_scalar_set_u64(f.r.g, &one, 1);
    grp_scalar_add(f.r.g, &f.r.keygen[DEALER]->sec->old_share, &f.r.keygen[DEALER]->sec->old_share,
                   &one);
    assert_int_equal(run_import_drive(&f.r), 0);
    ends_without_a_key(&f, 1, DEALER, "or of the key that it told");
    ends_without_a_key(&f, 2, DEALER, "or of the key that it told");
    the_next_import_signs(&f);
}

/* Puts into message 0 to participant 2 the record of another key. */
static void tell_another_key(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                             tdsa_buf *m)
{
    const tdsa_buf *other = ctx;

    (void)step;
    if (round == R_RANDOM && from == DEALER && to == 2) {
        assert_true(other->len < m->len);
        memcpy(m->data + m->len - other->len, other->data, other->len);
    }
}

static void a_dealer_cannot_tell_two_keys(void **state)
{
    fixture f;
    tdsa_buf other = TDSA_BUF_EMPTY;
    grp_point y;
    grp_scalar two;
    tdsa_err err;

    (void)state;
    set_up(&f, 3, 1);
    make_runs(&f);
    tdsa_buf_append(&other, f.r.keygen[DEALER]->old.record.data,
                    f.r.keygen[DEALER]->old.record.len);
    grp_scalar_set_u64(f.r.g, &two, 2);
    assert_int_equal(grp_mul_base(f.r.g, &y, &two, &err), TDSA_OK);
    grp_point_encode(f.r.g, other.data + other.len - 37 - 33, &y); /* before the chain code */
    f.r.hook = tell_another_key;
    f.r.hook_ctx = &other;
    assert_int_equal(run_import_drive(&f.r), 0);
    ends_without_a_key(&f, 1, TDSA_NOBODY, "sid differs");
    ends_without_a_key(&f, 2, TDSA_NOBODY, "sid differs");
    tdsa_buf_clear(&other);
    the_next_import_signs(&f);
}

/* One share of the dealer is wrong: its victim complains and names it; the others hear the pair. */
static void a_share_that_does_not_fit_names_the_dealer(void **state)
{
    fixture f;
    tamper t = {.step = STEP_IMPORT, .round = R_DEAL, .from = DEALER, .to = 2, .from_end = true};

    (void)state;
    set_up(&f, 5, 2);
    t.offset = 3 * 37 + 37 + 5 + 5 + 2; /* behind it: cc absent, a list of 3 sets and a pair */
    f.r.hook = tamper_hook;
    f.r.hook_ctx = &t;
    assert_int_equal(run_import(&f.r, KEY_ID, DEALER, &f.key), 0);
    assert_int_equal(t.hits, 1);
    ends_without_a_key(&f, 2, DEALER, "participant 2 (here) complains about participant 0");
    ends_without_a_key(&f, 1, TDSA_NOBODY, "participant 2 complains about participant 0");
    the_next_import_signs(&f);
}

/* A participant that is not the dealer adds a number of its own: the key would be moved by it. */
static void nobody_else_moves_the_key(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, 3, 1);
    f.r.hook = NULL;
    make_runs(&f);
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS; round++) {
        /* after its commitments are made, before its shares are */
        if (round == R_DEAL) {
            grp_scalar_set_u64(f.r.g, &f.r.keygen[1]->sec->f.coeff[0], 5);
        }
        run_import_round(&f.r, round);
    }
    ends_without_a_key(&f, 0, 1, "the share does not fit");
    ends_without_a_key(&f, 2, 1, "the share does not fit");
    the_next_import_signs(&f);
}

/* The same with a commitment and a proof for it, as the dealer has: the vector is too long. */
static void nobody_else_deals_as_the_dealer(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, 3, 1);
    make_runs(&f);
    f.r.keygen[1]->importer = 1; /* it takes itself for the dealer, with the record of the dealer */
    f.r.keygen[1]->sec->old_share = f.r.keygen[DEALER]->sec->old_share;
    assert_int_equal(run_import_drive(&f.r), 0);
    assert_int_equal(f.r.status[0], TDSA_E_PROTOCOL);
    assert_int_equal(f.r.err[0].participant, 1);
    assert_int_equal(f.r.status[2], TDSA_E_PROTOCOL);
    assert_int_equal(f.r.err[2].participant, 1);
    the_next_import_signs(&f);
}

/* What the dealer dealt in an earlier import is worth nothing in another. */
static void a_dealing_of_an_earlier_import_is_refused(void **state)
{
    fixture f;
    tamper t = {.step = STEP_IMPORT, .round = R_DEAL, .from = DEALER, .to = 1};

    (void)state;
    set_up(&f, 3, 1);
    f.r.hook = record_hook;
    f.r.hook_ctx = &t;
    assert_int_equal(run_import(&f.r, KEY_ID, DEALER, &f.key), 3);
    t.kind = TAMPER_REPLACE;
    f.r.hook = tamper_hook;
    t.hits = 0;
    assert_int_equal(run_import(&f.r, KEY_ID, DEALER, &f.key), 0);
    assert_int_equal(t.hits, 1);
    ends_without_a_key(&f, 1, DEALER, "malformed opening");
    ends_without_a_key(&f, 2, TDSA_NOBODY, "participant 1 complains about participant 0");
    tdsa_buf_clear(&t.bytes);
    the_next_import_signs(&f);
}

static void every_field_of_an_import_is_checked(void **state)
{
    (void)state;
    import_campaign(1); /* the dealer lies */
    import_campaign(0); /* another one does */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dealer_cannot_deal_another_key_than_it_told),
        cmocka_unit_test(a_dealer_cannot_tell_two_keys),
        cmocka_unit_test(a_share_that_does_not_fit_names_the_dealer),
        cmocka_unit_test(nobody_else_moves_the_key),
        cmocka_unit_test(nobody_else_deals_as_the_dealer),
        cmocka_unit_test(a_dealing_of_an_earlier_import_is_refused),
        cmocka_unit_test(every_field_of_an_import_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
