#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/campaign.h"
#include "attack/hostile.h"
#include "attack/weak.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"
#include "support/export_run.h"
#include "support/protocol_tamper.h"

/*
 * Rows 11 and 28 where a key leaves: a dealer that moves it, infos that are of another share, another
 * export or another participant, owners who put together what does not belong together.
 */

#define KEY_ID "HostileKey000000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_RELEASE };
enum { LIAR = 1 };

typedef struct {
    protocol_run r;
    recovery_kit kit;
    run_export_spec spec;
    tamper t;
    grp_scalar more; /* what is added to the constant or to the share */
    unsigned round;  /* before which */
} fixture;

static void set_up(fixture *f)
{
    memset(f, 0, sizeof *f);
    weak_off();
    recovery_kit_open(&f->kit);
    run_init(&f->r, GRP_P256, 3, 1, "export attack");
    f->r.policy.exportable = true;
    f->spec = (run_export_spec){.coordinator = 0, .cert = f->kit.cert};
    f->t = (tamper){.step = STEP_EXPORT, .round = R_RELEASE, .from = LIAR, .to = 0};
    f->more = sc_pick(f->r.g, "more", 1);
    assert_int_equal(run_keygen(&f->r, KEY_ID), 3);
}

/* The key signs as before, and the next export is good. */
static void assert_nothing_lost(fixture *f)
{
    for (uint16_t i = 0; i < 3; i++) {
        assert_true(i == LIAR || f->r.status[i] == TDSA_OK || f->r.err[i].participant == LIAR ||
                    f->r.err[i].participant == TDSA_NOBODY);
        mpc_keygen_free(f->r.keygen[i]);
        f->r.keygen[i] = f->r.previous[i];
        f->r.previous[i] = NULL;
        f->r.key[i] = mpc_keygen_key(f->r.keygen[i]);
        f->r.status[i] = TDSA_OK;
    }
    f->r.hook = NULL;
    honest_run_still_signs(&f->r, 1);
    assert_int_equal(run_export(&f->r, &f->spec), 3);
    recovery_kit_close(&f->kit);
    run_clear(&f->r);
}

/* The coordinator is left without a package and names the liar. */
static void no_package(const fixture *f, const char *text)
{
    assert_int_equal(f->r.status[0], TDSA_E_PROTOCOL);
    assert_int_equal(f->r.err[0].participant, LIAR);
    assert_null(f->r.key[0]);
    if (strstr(f->r.err[0].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, f->r.err[0].text);
    }
}

/* ---- dealings ---- */

/* The liar adds a constant to its polynomial, before or after it is committed to: what is exported
 * would be another key, and the package would look lawful. */
static void row_11_an_export_moves_no_key(void **state)
{
    static const unsigned rounds[] = {R_COMMIT, R_DEAL};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        fixture f;
        keygen_secret *sec = NULL;

        set_up(&f);
        run_export_begin(&f.r);
        run_export_make(&f.r, &f.spec);
        run_export_rounds(&f.r, R_RANDOM, rounds[k]);
        sec = f.r.keygen[LIAR]->sec;
        sec->f.coeff[0] = sc_add(f.r.g, sec->f.coeff[0], f.more);
        run_export_rounds(&f.r, rounds[k], MPC_EXPORT_ROUNDS);
        no_package(&f, "share does not fit");
        assert_int_equal(f.r.err[2].participant, LIAR);
        assert_nothing_lost(&f);
    }
}

/* The same with a commitment to it and a proof, as a dealer of a new key has: the vector is too long. */
static void row_11_an_exporter_deals_no_constant_of_its_own(void **state)
{
    fixture f;
    mpc_keygen *liar = NULL;
    tdsa_err err;

    (void)state;
    set_up(&f);
    run_export_begin(&f.r);
    run_export_make(&f.r, &f.spec);
    run_export_rounds(&f.r, R_RANDOM, R_COMMIT);
    liar = f.r.keygen[LIAR];
    tdsa_buf_reset(&liar->open[LIAR]);
    liar->kind = KEYGEN_RESHARE; /* it deals its share of the key, with a proof */
    assert_int_equal(keygen_deal_make(liar, &err), TDSA_OK);
    liar->kind = KEYGEN_EXPORT;
    run_export_rounds(&f.r, R_COMMIT, MPC_EXPORT_ROUNDS);
    no_package(&f, "length");
    assert_int_equal(f.r.err[2].participant, LIAR);
    assert_nothing_lost(&f);
}

/* A member that was not asked, or does not want, takes no part: not one share is dealt. */
static void row_11_nothing_is_exported_without_every_member(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    run_export_begin(&f.r);
    run_export_make(&f.r, &f.spec);
    mpc_keygen_free(f.r.keygen[2]);
    f.r.keygen[2] = NULL;
    run_export_rounds(&f.r, R_RANDOM, MPC_EXPORT_ROUNDS);
    for (uint16_t i = 0; i < 2; i++) {
        assert_int_equal(mpc_keygen_round(f.r.keygen[i]), R_RANDOM);
        assert_int_equal(f.r.keygen[i]->exported.info[i].len, 0);
    }
    assert_int_equal(run_export(&f.r, &f.spec), 3);
    assert_nothing_lost(&f);
}

/* ---- infos ---- */

/* The liar's release with an info that it made itself: for `index`, with any share. */
static void forge(fixture *f, uint16_t index, const grp_scalar *share, tdsa_buf *message)
{
    const mpc_keygen *run = f->r.keygen[LIAR];
    const tdsa_buf *mine = &run->exported.info[LIAR];
    const tdsa_rng rng = tdsa_test_rng_of(&f->r.rng[LIAR]);
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info info;
    tdsa_err err;

    assert_int_equal(mpc_recovery_decode(&info, f->r.g, mine->data, mine->len, &err), TDSA_OK);
    const mpc_recovery_making m = {f->r.g, &info.context,    index,
                                   share,  run->exported.cc, f->kit.cert};
    assert_int_equal(mpc_recovery_make(&b, &m, &rng, &err), TDSA_OK);
    tdsa_stmt_begin(message, "release");
    tdsa_stmt_octets(message, run->key->pub.stored, 64);
    tdsa_stmt_octets(message, b.data, b.len);
}

/* Runs up to the release and puts a forged one in the place of the liar's. */
static void release_forged(fixture *f, uint16_t index, const grp_scalar *share, const char *text)
{
    run_export_begin(&f->r);
    run_export_make(&f->r, &f->spec);
    run_export_rounds(&f->r, R_RANDOM, R_RELEASE);
    forge(f, index, share, &f->t.bytes);
    f->t.kind = TAMPER_REPLACE;
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
    run_export_rounds(&f->r, R_RELEASE, MPC_EXPORT_ROUNDS);
    assert_int_equal(f->t.hits, 1);
    no_package(f, text);
    tdsa_buf_clear(&f->t.bytes);
    assert_nothing_lost(f);
}

/* Of the share that it keeps, or of any number: made without a fault, but not of its X'. */
static void row_28_an_info_of_another_share_is_refused_by_name(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    release_forged(&f, LIAR, &f.more, "the proof is wrong");
    set_up(&f);
    const grp_scalar kept = f.r.key[LIAR]->sec->share;
    release_forged(&f, LIAR, &kept, "the proof is wrong");
}

static void row_28_an_info_in_the_name_of_another_is_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    release_forged(&f, 2, &f.more, "gives an info of participant 2");
}

/* A good info of an earlier export, with today's digest and with its own. */
static void row_28_an_info_of_an_earlier_export_is_refused(void **state)
{
    static const char *const texts[] = {"exports another sharing", "of another export"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        fixture f;

        set_up(&f);
        f.r.hook = record_hook;
        f.r.hook_ctx = &f.t;
        assert_int_equal(run_export(&f.r, &f.spec), 3);
        run_export_begin(&f.r);
        run_export_make(&f.r, &f.spec);
        run_export_rounds(&f.r, R_RANDOM, R_RELEASE);
        if (k == 1) { /* after the word and the header */
            memcpy(f.t.bytes.data + MPC_TEXT("release") + 5, f.r.keygen[LIAR]->key->pub.stored, 64);
        }
        f.t.kind = TAMPER_REPLACE;
        f.t.hits = 0;
        f.r.hook = tamper_hook;
        run_export_rounds(&f.r, R_RELEASE, MPC_EXPORT_ROUNDS);
        assert_int_equal(f.t.hits, 1);
        no_package(&f, texts[k]);
        tdsa_buf_clear(&f.t.bytes);
        assert_nothing_lost(&f);
    }
}

/* Copies the info of a participant out of an export that is over. */
static void copy_info(const fixture *f, uint16_t i, tdsa_buf *bytes, mpc_recovery_info *info)
{
    const uint8_t *from = NULL;
    size_t len = 0;
    tdsa_err err;

    mpc_export_info(f->r.keygen[0], i, &from, &len);
    tdsa_buf_append(bytes, from, len);
    assert_int_equal(mpc_recovery_decode(info, f->r.g, bytes->data, bytes->len, &err), TDSA_OK);
}

/* One share of each of two exports, and one of an export with one that is kept: t of each, which are
 * worth nothing together, and are not taken together. */
static void row_28_infos_of_two_exports_do_not_combine(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF a = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF kept = TDSA_BUF_EMPTY;
    mpc_recovery_info mixed[3];
    mpc_recovered got;
    tdsa_err err;

    (void)state;
    set_up(&f);
    recovery_kit_make(&kept, &f.r, 2, f.kit.cert, NULL);
    assert_int_equal(mpc_recovery_decode(&mixed[2], f.r.g, kept.data, kept.len, &err), TDSA_OK);
    assert_int_equal(run_export(&f.r, &f.spec), 3);
    copy_info(&f, 0, &a, &mixed[0]);
    assert_int_equal(run_export(&f.r, &f.spec), 3);
    copy_info(&f, 1, &b, &mixed[1]);
    assert_int_equal(run_export_recover(&f.r, mixed, 2, f.kit.key, &got), TDSA_E_LIMIT);
    assert_int_equal(run_export_recover(&f.r, mixed + 1, 2, f.kit.key, &got), TDSA_E_LIMIT);
    assert_int_equal(run_export_recover(&f.r, mixed, 3, f.kit.key, &got), TDSA_E_LIMIT);
    assert_int_equal(mpc_recovery_verify_package_vartime(mixed, 3, f.r.g, f.kit.cert, &err),
                     TDSA_E_PROTOCOL);
    assert_nothing_lost(&f);
}

static void every_field_of_an_export_is_checked(void **state)
{
    (void)state;
    export_campaign();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_11_an_export_moves_no_key),
        cmocka_unit_test(row_11_an_exporter_deals_no_constant_of_its_own),
        cmocka_unit_test(row_11_nothing_is_exported_without_every_member),
        cmocka_unit_test(row_28_an_info_of_another_share_is_refused_by_name),
        cmocka_unit_test(row_28_an_info_in_the_name_of_another_is_refused),
        cmocka_unit_test(row_28_an_info_of_an_earlier_export_is_refused),
        cmocka_unit_test(row_28_infos_of_two_exports_do_not_combine),
        cmocka_unit_test(every_field_of_an_export_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
