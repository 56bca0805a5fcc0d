#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/cluster.h"

static void new_key(part_engine *e, grp_curve curve, char *key_id)
{
    const part_key_spec spec = {.curve = curve,
                                .label = "a",
                                .policy = part_policy_default(curve, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    if (part_engine_register(e, &spec, 0, key_id, &err) != TDSA_OK ||
        part_engine_generate(e, key_id, 0, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static tdsa_status sign(part_engine *e, const char *key_id, uint8_t tag, part_sign_result *out,
                        tdsa_err *err)
{
    uint8_t digest[32] = {0};
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};

    digest[0] = 1;
    digest[1] = tag;
    return part_engine_sign(e, &req, 0, out, err);
}

static bool verifies(part_engine *e, const char *key_id, uint8_t tag, const part_sign_result *sig)
{
    uint8_t digest[32] = {1, tag};
    part_key_info info;
    grp *g = NULL;
    grp_point y;
    grp_scalar h;
    grp_scalar r;
    grp_scalar s;
    tdsa_err err;
    bool ok = false;

    assert_int_equal(part_engine_key(e, key_id, &info, &err), TDSA_OK);
    assert_int_equal(grp_open(&g, info.curve, &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, info.public_key, info.public_key_len, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &r, sig->rs, 32, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &s, sig->rs + 32, 32, &err), TDSA_OK);
    grp_digest_to_scalar(g, &h, digest, 32);
    ok = grp_ecdsa_verify_vartime(g, &y, &h, &r, &s);
    grp_close(g);
    return ok;
}

static void a_client_signs_over_http(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    for (uint8_t i = 0; i < 100; i++) {
        assert_int_equal(sign(c.node[0].engine, key_id, i, &sig, &err), TDSA_OK);
        assert_true(verifies(c.node[0].engine, key_id, i, &sig));
    }
    cluster_stop(&c);
}

static void a_server_of_a_client_group_does_not_coordinate(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    assert_int_equal(sign(c.node[1].engine, key_id, 1, &sig, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "CLIENT_PARTICIPATES"));
    assert_int_equal(part_engine_delete(c.node[2].engine, key_id, PART_GRACE_DEFAULT, 0, &err),
                     TDSA_E_CONFLICT);
    cluster_stop(&c);
}

static void a_peer_that_is_down_is_named(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    bool alive[GRP_PARTIES_MAX];
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    cluster_stop_node(&c, 2);
    assert_int_equal(sign(c.node[0].engine, key_id, 1, &sig, &err), TDSA_E_UNAVAILABLE);
    assert_int_equal(err.participant, 2);
    assert_int_equal(part_engine_ping(c.node[0].engine, 1000, alive, &err), TDSA_E_UNAVAILABLE);
    assert_true(alive[0] && alive[1] && !alive[2]);
    cluster_start_node(&c, 2);
    assert_int_equal(sign(c.node[0].engine, key_id, 2, &sig, &err), TDSA_OK);
    assert_true(verifies(c.node[0].engine, key_id, 2, &sig));
    assert_int_equal(part_engine_ping(c.node[0].engine, 1000, alive, &err), TDSA_OK);
    cluster_stop(&c);
}

static void a_restarted_peer_costs_nothing_but_a_session(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    for (uint8_t i = 0; i < 10; i++) {
        cluster_stop_node(&c, 1 + i % 2);
        cluster_start_node(&c, 1 + i % 2);
        if (sign(c.node[0].engine, key_id, i, &sig, &err) != TDSA_OK) {
            fail_msg("%s", err.text);
        }
        assert_true(verifies(c.node[0].engine, key_id, i, &sig));
    }
    cluster_stop(&c);
}

static void a_deleted_key_is_gone_everywhere(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_key_info info;
    part_sign_result sig;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, false);
    new_key(c.node[1].engine, GRP_SECP256K1, key_id);
    assert_int_equal(sign(c.node[2].engine, key_id, 1, &sig, &err), TDSA_OK);
    assert_int_equal(part_engine_delete(c.node[0].engine, key_id, PART_GRACE_DEFAULT, 0, &err),
                     TDSA_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(part_engine_key(c.node[i].engine, key_id, &info, &err), TDSA_E_NOT_FOUND);
        assert_int_equal(sign(c.node[i].engine, key_id, 2, &sig, &err), TDSA_E_NOT_FOUND);
    }
    cluster_stop(&c);
}

static void the_presignature_limit_holds(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = 5};
    part_sign_result sig;
    uint64_t have = 0;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    assert_int_equal(part_engine_register(c.node[0].engine, &spec, 0, key_id, &err), TDSA_OK);
    assert_int_equal(part_engine_generate(c.node[0].engine, key_id, 0, &err), TDSA_OK);
    assert_int_equal(part_engine_presign(c.node[0].engine, key_id, 6, 0, &err), TDSA_E_LIMIT);
    assert_int_equal(part_engine_presign(c.node[0].engine, key_id, 5, 0, &err), TDSA_OK);
    assert_int_equal(part_engine_available(c.node[0].engine, key_id, &have, &err), TDSA_OK);
    assert_int_equal(have, 5);
    assert_int_equal(part_engine_purge(c.node[0].engine, key_id, &have, &err), TDSA_OK);
    assert_int_equal(have, 5);
    /* What a signature makes by itself stays within it too: the usual batch would be 16. */
    assert_int_equal(sign(c.node[0].engine, key_id, 1, &sig, &err), TDSA_OK);
    assert_int_equal(part_engine_available(c.node[0].engine, key_id, &have, &err), TDSA_OK);
    assert_int_equal(have, 4);
    cluster_stop(&c);
}

static void spent_batches_do_not_pile_up(void **state)
{
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    ks_batch *first = NULL;
    ks_batch *again = NULL;
    tdsa_err err;

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    assert_int_equal(part_engine_presign(c.node[0].engine, key_id, 4, 0, &err), TDSA_OK);
    assert_int_equal(ks_batch_find(c.node[0].store, key_id, 0, NULL, &first, &err), TDSA_OK);
    for (unsigned i = 0; i < 30; i++) { /* uses up the first batch and needs two more */
        assert_int_equal(sign(c.node[0].engine, key_id, (uint8_t)i, &sig, &err), TDSA_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ks_batch_get(c.node[i].store, first->beta, &again, &err),
                         TDSA_E_NOT_FOUND);
    }
    ks_batch_free(first);
    cluster_stop(&c);
}

/* ---- threads ---- */

#define THREADS    8
#define PER_THREAD 50

typedef struct {
    part_engine *engine;
    const char *key_id;
    uint8_t r[PER_THREAD][32];
    unsigned failed;
} worker;

static void *sign_many(void *arg)
{
    worker *w = arg;
    part_sign_result sig;
    tdsa_err err;

    for (unsigned i = 0; i < PER_THREAD; i++) {
        if (sign(w->engine, w->key_id, (uint8_t)i, &sig, &err) != TDSA_OK) {
            w->failed++;
            (void)fprintf(stderr, "%s\n", err.text);
        }
        memcpy(w->r[i], sig.rs, 32);
    }
    return NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static void eight_threads_sign_at_once_and_no_r_repeats(void **state)
{
    static uint8_t all[THREADS * PER_THREAD][32];
    static worker w[THREADS];
    pthread_t thread[THREADS];
    cluster c;
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    cluster_start(&c, 3, 1, true);
    new_key(c.node[0].engine, GRP_P256, key_id);
    for (size_t i = 0; i < THREADS; i++) {
        w[i] = (worker){.engine = c.node[0].engine, .key_id = key_id};
        assert_int_equal(pthread_create(&thread[i], NULL, sign_many, &w[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(w[i].failed, 0);
        memcpy(all[i * PER_THREAD], w[i].r, sizeof w[i].r);
    }
    qsort(all, THREADS * PER_THREAD, 32, by_bytes);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++) {
        assert_memory_not_equal(all[i - 1], all[i], 32);
    }
    cluster_stop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_signs_over_http),
        cmocka_unit_test(a_server_of_a_client_group_does_not_coordinate),
        cmocka_unit_test(a_peer_that_is_down_is_named),
        cmocka_unit_test(a_restarted_peer_costs_nothing_but_a_session),
        cmocka_unit_test(a_deleted_key_is_gone_everywhere),
        cmocka_unit_test(the_presignature_limit_holds),
        cmocka_unit_test(spent_batches_do_not_pile_up),
        cmocka_unit_test(eight_threads_sign_at_once_and_no_r_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
