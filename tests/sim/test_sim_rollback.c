#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "participant/marks.h"
#include "sim/sim_internal.h"

/*
 * Disks that are put back, one situation at a time. TDSA_SIM_COUNT=n: so many restores of everybody at
 * once; 40.
 */

#define RESTORES 40u

static void sign_some(sim *s, uint16_t who, const char *key_id, unsigned count)
{
    static uint32_t tag;
    part_sign_result sig;
    tdsa_err err;

    for (unsigned i = 0; i < count; i++) {
        uint8_t digest[32] = {1};
        tag++;
        memcpy(digest + 1, &tag, sizeof tag);
        sim_must(s, sim_sign(s, who, key_id, digest, &sig, &err), "sign", &err);
        sim_check_signature(s, who, key_id, digest, &sig); /* no r twice */
    }
}

static void put_back(sim *s, uint32_t mask)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        if ((mask >> i & 1u) != 0) {
            assert_true(sim_disk_put_back(s, i));
        }
    }
    sim_disks_judge(s, mask);
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        sim_start(s, i);
    }
}

static void presign(sim *s, uint16_t who, const char *key_id)
{
    part_result none;
    tdsa_err err;
    const uint64_t op = part_start_presign(sim_part(s, who), key_id, 8, 0, &err);

    sim_must(s, sim_finish(s, who, op, &none, &err), "presign", &err);
}

static uint64_t rollbacks(sim *s, uint16_t who)
{
    part_stats st;

    part_get_stats(sim_part(s, who), &st);
    return st.rollbacks;
}

/* Sign, copy, sign, put back, sign: with marks that had time to be stored. */
static sim *life(const sim_cfg *cfg, uint32_t mask, char *key_id)
{
    sim *s = sim_new(cfg);
    tdsa_err err;

    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    sign_some(s, 0, key_id, 5);
    for (uint16_t i = 0; i < cfg->n; i++) {
        if ((mask >> i & 1u) != 0) {
            sim_disk_save(s, i);
        }
    }
    sign_some(s, 0, key_id, 9);
    sim_idle(s, 5000);
    put_back(s, mask);
    return s;
}

static void ends_well(sim *s, const char *key_id)
{
    sign_some(s, 0, key_id, 5);
    sim_check_rollback(s);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        assert_int_equal(rollbacks(s, i), s->disk[i].must_purge);
    }
    sign_some(s, 0, key_id, 5);
    sim_free(s);
}

static void each_participant_that_is_put_back_notices(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 12; k++) {
        const sim_cfg cfg = {.seed = k,
                             .n = 3,
                             .t = 1,
                             .with_client = k % 2 == 0,
                             .background = k % 4 < 2,
                             .delay_max_ms = 3};
        const uint32_t mask = 1u << (k / 4);
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = life(&cfg, mask, key_id);

        assert_true(s->disk[k / 4].must_purge);
        ends_well(s, key_id);
    }
}

static void two_of_three_that_are_put_back_notice(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 6; k++) {
        const sim_cfg cfg = {
            .seed = 100 + k, .n = 3, .t = 1, .with_client = k % 2 == 0, .delay_max_ms = 3};
        const uint32_t mask = 7u ^ 1u << (k / 2);
        char key_id[KS_KEY_ID_MAX + 1];

        sim *s = life(&cfg, mask, key_id);

        /* the combiner and its servers know each other; two servers do not */
        assert_true(s->disk[0].must_purge || mask == 6);
        assert_true(mask != 6 || (s->disk[1].must_purge && s->disk[2].must_purge));
        ends_well(s, key_id);
    }
}

/* Nobody is left who knows better but the files. */
static void all_at_once_notice_by_their_files(void **state)
{
    const char *text = getenv("TDSA_SIM_COUNT");
    const uint64_t count = text == NULL ? RESTORES : strtoull(text, NULL, 10);
    unsigned done = 0;
    uint64_t noticed = 0;

    (void)state;
    for (uint64_t k = 0; done < count; k++) {
        const sim_cfg cfg = {.seed = 200 + k,
                             .n = k % 4 == 3 ? 4 : 3,
                             .t = 1,
                             .with_client = k % 2 == 0,
                             .clients = k % 8 == 0 ? 2 : 1,
                             .background = k % 3 == 0,
                             .counter_files = true,
                             .delay_max_ms = 3};
        const uint32_t all = (1u << cfg.n) - 1;
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = life(&cfg, all, key_id);

        for (unsigned again = 0; again < 5; again++) { /* and again, from the same life */
            sign_some(s, 0, key_id, 3);
            for (uint16_t i = 0; i < cfg.n; i++) {
                assert_true(sim_is_up(s, i));
                sim_disk_save(s, i);
            }
            sign_some(s, 0, key_id, 2 + (unsigned)sim_random(s, 9));
            put_back(s, all);
            done++;
            for (uint16_t i = 0; i < cfg.n; i++) { /* else nothing was burnt in between */
                noticed += rollbacks(s, i);
                assert_int_equal(rollbacks(s, i), s->disk[i].must_purge);
            }
        }
        sim_check_rollback(s);
        sign_some(s, 0, key_id, 5);
        sim_free(s);
    }
    print_message("%u restores of everybody, %llu disks that were behind\n", done,
                  (unsigned long long)noticed);
    assert_true(noticed > done);
}

/* What was told in the last second before a crash a peer may have forgotten: it burnt too, and refuses. */
static void a_peer_that_forgot_still_refuses(void **state)
{
    const sim_cfg cfg = {.seed = 7, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    sign_some(s, 0, key_id, 5);
    sim_idle(s, 5000);
    sim_disk_save(s, 0);
    sign_some(s, 0, key_id, 3);
    for (uint16_t i = 1; i < 3; i++) { /* before they could store what they heard */
        s->node[i].doomed = true;
        sim_bury(s, i);
    }
    put_back(s, 1);
    sign_some(s, 0, key_id, 8);
    sim_free(s);
}

/* ---- lies about me ---- */

static part_link *some_link(sim *s, uint16_t at, uint16_t peer)
{
    part *p = sim_part(s, at);

    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *x = p->sessions[i]; x != NULL; x = x->next) {
            if (x->link[peer] != NULL && x->link[peer]->state == LINK_OPEN) {
                return x->link[peer];
            }
        }
    }
    fail_msg("no link");
    return NULL;
}

static tdsa_status say(sim *s, const part_marks *m, tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;

    part_marks_put(&bytes, m);
    return part_marks_heard(sim_part(s, 1), some_link(s, 1, 0), bytes.data, bytes.len, err);
}

static void a_peer_cannot_claim_what_was_never_said(void **state)
{
    const sim_cfg cfg = {.seed = 8, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    sim *s = sim_new(&cfg);
    part_marks m = {.seen_count = 1};
    part_identity *id = NULL;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    sign_some(s, 0, key_id, 5);
    for (id = sim_part(s, 0)->identities; id->index != 1; id = id->next) {
    }
    m.seen[0] = id->at[0]; /* what participant 1 did say */
    sim_must(s, say(s, &m, &err), "the truth", &err);
    m.seen[0].m.burns += 1000;
    sim_must(s, say(s, &m, &err), "a lie", &err);
    m.seen[0] = id->at[0];
    m.seen[0].m.starts++;
    sim_must(s, say(s, &m, &err), "a lie", &err);
    m.seen[0] = id->at[0];
    m.seen[0].m.store_id ^= 1;
    m.seen[0].m.purges += 7;
    sim_must(s, say(s, &m, &err), "a lie", &err);
    assert_int_equal(rollbacks(s, 1), 0);
    m.seen[0].m.burns = INT64_MAX; /* no counter can be raised beyond */
    assert_int_equal(say(s, &m, &err), TDSA_E_BAD_INPUT);
    sign_some(s, 0, key_id, 5);
    sim_free(s);
}

/* A peer that takes back what it said costs presignatures with itself, of nobody else. */
static void a_peer_that_claims_less_loses_its_own_stock(void **state)
{
    const sim_cfg cfg = {.seed = 9, .n = 4, .t = 1, .delay_max_ms = 1};
    sim *s = sim_new(&cfg);
    part_marks m = {.mine_set = true};
    part_link *l = NULL;
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t with = 0;
    uint64_t without = 0;
    tdsa_err err;

    (void)state;
    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    presign(s, 0, key_id); /* with 1 and 2 */
    presign(s, 3, key_id); /* with 0 and 1 */
    sim_idle(s, 5000);
    l = some_link(s, 1, 3);
    assert_true(l->last_set);
    l->then[0] = l->last;
    l->then_count = 1;
    m.mine = l->last;
    m.mine.m.starts--;
    {
        TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
        part_marks_put(&bytes, &m);
        sim_must(s, part_marks_heard(sim_part(s, 1), l, bytes.data, bytes.len, &err), "less", &err);
    }
    const ks_batch_filter spared = {.within = 7};
    sim_must(s, ks_batch_available(sim_store(s, 1), key_id, NULL, &with, &err), "stock", &err);
    sim_must(s, ks_batch_available(sim_store(s, 1), key_id, &spared, &without, &err), "stock",
             &err);
    assert_true(without > 0);
    assert_int_equal(with, without);
    assert_int_equal(rollbacks(s, 1), 0);
    sign_some(s, 3, key_id, 5);
    sign_some(s, 0, key_id, 5);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_participant_that_is_put_back_notices),
        cmocka_unit_test(two_of_three_that_are_put_back_notice),
        cmocka_unit_test(all_at_once_notice_by_their_files),
        cmocka_unit_test(a_peer_that_forgot_still_refuses),
        cmocka_unit_test(a_peer_cannot_claim_what_was_never_said),
        cmocka_unit_test(a_peer_that_claims_less_loses_its_own_stock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
