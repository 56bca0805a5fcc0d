#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster.h"

/* A group with a client: whoever has a restored share, the client's next call makes the refresh. */

#define PASSPHRASE "correct horse battery"

static void make_key(cluster *c, char key_id[KS_KEY_ID_MAX + 1])
{
    part_key_spec spec = {.curve = GRP_P256,
                          .scheme = MPC_SCHEME_ECDSA,
                          .label = "restored",
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .presignature_limit = PART_LIMIT_DEFAULT};
    tdsa_err err;

    assert_int_equal(part_engine_register(c->node[0].engine, &spec, 0, key_id, &err), TDSA_OK);
    assert_int_equal(part_engine_generate(c->node[0].engine, key_id, 0, &err), TDSA_OK);
}

static tdsa_status sign(cluster *c, const char *key_id, tdsa_err *err)
{
    const uint8_t digest[32] = {7};
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
    part_sign_result sig;

    return part_engine_sign(c->node[0].engine, &req, 8000, &sig, err);
}

/* The store forgets the key, as if it had never been there. */
static void lose(cluster *c, uint16_t index, const char *key_id)
{
    tdsa_err err;

    cluster_stop_node(c, index);
    assert_int_equal(ks_key_delete(c->node[index].store, key_id, false, &err), TDSA_OK);
    cluster_start_node(c, index);
}

static bool signs_a_batch(const cluster *c, char *key_id)
{
    const uint8_t digest[32] = {8};
    const part_sign_request one = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
    const part_sign_request both[2] = {one, one};
    part_batch_item items[2];
    tdsa_err err;

    return part_engine_sign_batch(c->node[0].engine, key_id, both, 2, 8000, items, &err) ==
               TDSA_OK &&
           items[0].err.status == TDSA_OK && items[1].err.status == TDSA_OK;
}

typedef enum { BY_A_SIGNATURE, BY_A_BATCH, BY_SETTLING } way;

static void the_client_refreshes_what_was_restored(uint16_t index, way how)
{
    cluster c;
    TDSA_SCOPED_BUF backup = TDSA_BUF_EMPTY;
    char key_id[KS_KEY_ID_MAX + 1];
    char restored[KS_KEY_ID_MAX + 1];
    part_key_info info;
    tdsa_err err;

    cluster_start(&c, 3, 1, true);
    make_key(&c, key_id);
    assert_int_equal(sign(&c, key_id, &err), TDSA_OK);
    assert_int_equal(part_engine_backup(c.node[index].engine, key_id, PASSPHRASE, &backup, &err),
                     TDSA_OK);
    assert_int_equal(part_engine_backup(c.node[index].engine, key_id, "short", &backup, &err),
                     TDSA_E_BAD_INPUT);
    lose(&c, index, key_id);
    assert_int_equal(part_engine_restore(c.node[index].engine, backup.data, backup.len,
                                         "another one", 0, restored, &err),
                     TDSA_E_DENIED);
    assert_int_equal(part_engine_restore(c.node[index].engine, backup.data, backup.len, PASSPHRASE,
                                         0, restored, &err),
                     TDSA_OK);
    assert_string_equal(restored, key_id);
    assert_int_equal(part_engine_key(c.node[index].engine, key_id, &info, &err), TDSA_OK);
    assert_int_equal(info.state, KS_KEY_RESTORED);
    if (how == BY_SETTLING) {
        part_engine_settle(c.node[0].engine, 8000);
    } else if (how == BY_A_BATCH) {
        assert_true(signs_a_batch(&c, key_id));
    } else if (sign(&c, key_id, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(part_engine_key(c.node[index].engine, key_id, &info, &err), TDSA_OK);
    assert_int_equal(info.state, KS_KEY_ACTIVE);
    assert_int_equal(info.epoch, 1);
    cluster_stop(&c);
}

static void of_a_server(void **state)
{
    (void)state;
    the_client_refreshes_what_was_restored(1, BY_A_SIGNATURE);
    the_client_refreshes_what_was_restored(1, BY_A_BATCH);
}

static void of_the_client_itself(void **state)
{
    (void)state;
    the_client_refreshes_what_was_restored(0, BY_A_SIGNATURE);
    the_client_refreshes_what_was_restored(0, BY_A_BATCH);
    the_client_refreshes_what_was_restored(0, BY_SETTLING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_server),
        cmocka_unit_test(of_the_client_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
