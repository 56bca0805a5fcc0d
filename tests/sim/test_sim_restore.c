#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* A participant loses its disk and gets its share back from a backup. */

static tdsa_status sign(sim *s, const char *key_id, tdsa_err *err)
{
    static uint32_t tag;
    uint8_t digest[32] = {2};
    part_sign_result sig;
    tdsa_status st;

    tag++;
    memcpy(digest + 1, &tag, sizeof tag);
    st = sim_sign(s, 0, key_id, digest, &sig, err);
    if (st == TDSA_OK) {
        sim_check_signature(s, 0, key_id, digest, &sig);
    }
    return st;
}

static void expect_state(sim *s, const char *key_id, ks_key_state state, uint32_t epoch)
{
    ks_key *row = NULL;
    tdsa_err err;

    sim_must(s, ks_key_get(sim_store(s, 1), key_id, &row, &err), "key", &err);
    assert_int_equal(row->state, state);
    assert_int_equal(row->epoch, epoch);
    ks_key_free(row);
}

static tdsa_status restore(sim *s, part_share_backup *b, tdsa_err *err)
{
    part_result none;
    const uint64_t op = part_start_restore(sim_part(s, 1), b, 0, err);

    return op == PART_OP_NONE ? err->status : sim_finish(s, 1, op, &none, err);
}

/* Participant 1 has lost everything but the backup. */
static sim *loss(const sim_cfg *cfg, char *key_id, part_share_backup *b)
{
    sim *s = sim_new(cfg);
    tdsa_err err;

    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    for (unsigned i = 0; i < 5; i++) {
        sim_must(s, sign(s, key_id, &err), "sign", &err);
    }
    sim_must(s, part_backup_make(sim_part(s, 1), key_id, b, &err), "backup", &err);
    sim_idle(s, 5000);
    sim_key_of(s, key_id)->deleted = true; /* I2 does not hold while the share is lost */
    sim_disk_lose(s, 1);
    sim_start(s, 1);
    return s;
}

static void a_restored_share_signs_after_a_refresh_only(void **state)
{
    const part_reshare_spec same = {.member_count = 0};

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        const sim_cfg cfg = {
            .seed = 300 + k, .n = 3, .t = 1, .with_client = k == 0, .delay_max_ms = 2};
        part_share_backup b;
        char key_id[KS_KEY_ID_MAX + 1];
        tdsa_err err;
        sim *s = loss(&cfg, key_id, &b);

        assert_int_not_equal(sign(s, key_id, &err), TDSA_OK); /* the key is not there */
        sim_must(s, restore(s, &b, &err), "restore", &err);
        expect_state(s, key_id, KS_KEY_RESTORED, 0);
        assert_int_equal(sign(s, key_id, &err), TDSA_E_CONFLICT);
        assert_non_null(strstr(err.text, PART_RESTORED ":"));
        assert_int_equal(part_backup_make(sim_part(s, 1), key_id, &b, &err), TDSA_E_CONFLICT);
        sim_must(s, sim_reshare(s, 0, key_id, &same, &err), "refresh", &err);
        expect_state(s, key_id, KS_KEY_ACTIVE, 1);
        sim_must(s, sign(s, key_id, &err), "sign", &err);
        sim_free(s);
    }
}

static void a_server_asks_for_the_refresh_by_itself(void **state)
{
    const sim_cfg cfg = {.seed = 310, .n = 3, .t = 1, .background = true, .delay_max_ms = 2};
    part_share_backup b;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    sim_must(s, restore(s, &b, &err), "restore", &err);
    sim_crash(s, 1); /* and it does not forget that it waits */
    sim_start(s, 1);
    expect_state(s, key_id, KS_KEY_RESTORED, 0);
    sim_idle(s, 30000);
    expect_state(s, key_id, KS_KEY_ACTIVE, 1);
    sim_must(s, sign(s, key_id, &err), "sign", &err);
    sim_free(s);
}

static tdsa_status run(sim *s, uint16_t at, uint64_t op, tdsa_err *err)
{
    part_result none;

    return op == PART_OP_NONE ? err->status : sim_finish(s, at, op, &none, err);
}

/* Its row stays RESTORED beside the order; the key is DELETING, for people and for peers. */
static void a_restored_share_follows_a_deletion_and_its_undoing(void **state)
{
    const sim_cfg cfg = {
        .seed = 315, .n = 3, .t = 1, .background = true, .grace_ms = 100000, .delay_max_ms = 2};
    part_share_backup b;
    part_key_info info;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    sim_must(s, run(s, 0, part_start_delete(sim_part(s, 0), key_id, 200000, 2000, &err), &err),
             "delete", &err);
    sim_must(s, restore(s, &b, &err), "restore", &err);
    sim_idle(s, 20000); /* its refresh is refused, and it asks why */
    expect_state(s, key_id, KS_KEY_RESTORED, 0);
    sim_must(s, part_key_describe(sim_part(s, 1), key_id, &info, &err), "describe", &err);
    assert_int_equal(info.state, KS_KEY_DELETING);
    assert_true(info.deletion_ms != 0);
    assert_int_equal(run(s, 1, part_start_presign(sim_part(s, 1), key_id, 1, 2000, &err), &err),
                     TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "DELETING:"));
    sim_must(s, run(s, 2, part_start_undelete(sim_part(s, 2), key_id, 2000, &err), &err),
             "undelete", &err);
    sim_idle(s, 5000);
    expect_state(s, key_id, KS_KEY_ACTIVE, 1);
    sim_must(s, sign(s, key_id, &err), "sign", &err);
    sim_free(s);
}

static void a_backup_of_a_deleted_key_is_worth_nothing(void **state)
{
    const sim_cfg cfg = {
        .seed = 316, .n = 3, .t = 1, .background = true, .grace_ms = 10000, .delay_max_ms = 2};
    part_share_backup b;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    sim_must(s, run(s, 0, part_start_delete(sim_part(s, 0), key_id, 10000, 2000, &err), &err),
             "delete", &err);
    sim_idle(s, 60000);
    assert_int_equal(restore(s, &b, &err), TDSA_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "DELETED:"));
    part_share_backup_clear(&b);
    sim_free(s);
}

static void what_was_burnt_before_the_loss_is_out_of_use(void **state)
{
    const sim_cfg cfg = {.seed = 320, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 2};
    part_share_backup b;
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t left = 1;
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    sim_must(s, restore(s, &b, &err), "restore", &err);
    (void)sign(s, key_id, &err); /* the client hears that participant 1 gave up its presignatures */
    sim_must(s, ks_batch_available(sim_store(s, 0), key_id, NULL, &left, &err), "stock", &err);
    assert_int_equal(left, 0);
    sim_free(s);
}

static void a_backup_that_is_not_mine_or_too_old_is_refused(void **state)
{
    const sim_cfg cfg = {.seed = 330, .n = 3, .t = 1, .delay_max_ms = 2};
    const part_reshare_spec same = {.member_count = 0};
    part_share_backup b;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    b.me = 2;
    assert_int_equal(restore(s, &b, &err), TDSA_E_DENIED);
    b.me = 1;
    b.members[1].x25519[0] ^= 1;
    assert_int_equal(restore(s, &b, &err), TDSA_E_DENIED); /* other identity keys */
    b.members[1].x25519[0] ^= 1;
    b.epoch = 1;
    assert_int_equal(restore(s, &b, &err), TDSA_E_BAD_INPUT); /* header and inside differ */
    b.epoch = 0;
    sim_part(s, 1)->cfg.disable_reshare = true;
    assert_int_equal(restore(s, &b, &err), TDSA_E_DENIED);
    sim_part(s, 1)->cfg.disable_reshare = false;
    sim_must(s, sim_reshare(s, 0, key_id, &same, &err), "reshare without it", &err);
    assert_int_equal(restore(s, &b, &err), TDSA_E_CONFLICT); /* it got a share as a new member */
    sim_disk_lose(s, 1);
    sim_start(s, 1);
    assert_int_equal(restore(s, &b, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "BACKUP_TOO_OLD"));
    part_share_backup_clear(&b);
    sim_free(s);
}

static void a_backup_holds_nothing_but_the_share(void **state)
{
    const sim_cfg cfg = {.seed = 340, .n = 3, .t = 1, .delay_max_ms = 2};
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    part_share_backup b;
    part_share_backup again;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;
    sim *s = loss(&cfg, key_id, &b);

    (void)state;
    assert_true(tdsa_secret_len(b.share) <
                120); /* a label, a cluster id, an index and one scalar */
    b.log2_n = 14;
    sim_must(s, part_share_backup_seal(&sealed, &b, "passphrase", &err), "seal", &err);
    assert_int_equal(part_share_backup_open(&again, sealed.data, sealed.len, "passphrasf", &err),
                     TDSA_E_DENIED);
    for (size_t at = 0; at < sealed.len; at += sealed.len / 40) {
        tdsa_status st;
        sealed.data[at] ^= 1;
        st = part_share_backup_open(&again, sealed.data, sealed.len, "passphrase", &err);
        assert_true(st == TDSA_E_DENIED || st == TDSA_E_BAD_INPUT);
        sealed.data[at] ^= 1;
    }
    sim_must(s, part_share_backup_open(&again, sealed.data, sealed.len, "passphrase", &err), "open",
             &err);
    assert_string_equal(again.key_id, key_id);
    assert_string_equal(again.label, b.label);
    assert_int_equal(again.presignature_limit, b.presignature_limit);
    assert_true(tdsa_secret_equal(again.share, b.share));
    part_share_backup_clear(&again);
    part_share_backup_clear(&b);
    tdsa_buf_clear(&sealed); /* what the simulator counts */
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_share_signs_after_a_refresh_only),
        cmocka_unit_test(a_server_asks_for_the_refresh_by_itself),
        cmocka_unit_test(a_restored_share_follows_a_deletion_and_its_undoing),
        cmocka_unit_test(a_backup_of_a_deleted_key_is_worth_nothing),
        cmocka_unit_test(what_was_burnt_before_the_loss_is_out_of_use),
        cmocka_unit_test(a_backup_that_is_not_mine_or_too_old_is_refused),
        cmocka_unit_test(a_backup_holds_nothing_but_the_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
