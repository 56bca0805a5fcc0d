#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "group/sharing.h"
#include "participant/share_backup.h"

/* Backups that an earlier version wrote are read for ever. */

#define PARTIES 3u

static const char *text(const json_t *doc, const char *name)
{
    const char *found = json_string_value(json_object_get(doc, name));

    assert_non_null(found);
    return found;
}

static void open_one(const json_t *doc, size_t index, const char *passphrase, tdsa_status want,
                     part_share_backup *out)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    const char *base64 = json_string_value(json_array_get(json_object_get(doc, "backups"), index));
    tdsa_err err;

    assert_int_equal(tdsa_base64_decode(&bytes, base64, strlen(base64), NULL, &err), TDSA_OK);
    assert_int_equal(part_share_backup_open(out, bytes.data, bytes.len, passphrase, &err), want);
}

/* What is in it is what was in it; its share is one of the key. */
static void take(const json_t *doc, const grp *g, size_t index, mpc_key **key)
{
    part_share_backup b;
    grp_point mine;
    tdsa_err err;

    open_one(doc, index, text(doc, "passphrase"), TDSA_OK, &b);
    assert_string_equal(b.key_id, text(doc, "keyId"));
    assert_string_equal(b.label, text(doc, "label"));
    assert_int_equal(b.epoch, json_integer_value(json_object_get(doc, "epoch")));
    assert_int_equal(b.presignature_limit, json_integer_value(json_array_get(
                                               json_object_get(doc, "presignatureLimits"), index)));
    assert_int_equal(b.me, index);
    assert_int_equal(b.member_count, PARTIES);
    assert_true(b.created_ms > 0);
    assert_int_equal(mpc_key_decode_share(key, g, b.public_part, b.public_len, b.share, &err),
                     TDSA_OK);
    assert_int_equal((*key)->pub.policy.derivation, MPC_DERIVE_BIP32);
    assert_int_equal(grp_mul_base(g, &mine, &(*key)->sec->share, &err), TDSA_OK);
    assert_true(grp_point_equal(g, &mine, &(*key)->pub.x[index]));
    part_share_backup_clear(&b);
}

/* Two of them are the key: x = sum of lambda_j x_j, and xG is the public key. */
static void recover(const json_t *doc, const grp *g, mpc_key *const key[2],
                    const uint16_t indices[2])
{
    grp_scalar lambda[GRP_PARTIES_MAX];
    grp_scalar part;
    grp_scalar x;
    grp_point y;
    uint8_t point[GRP_POINT_LEN_MAX];
    char hex[2 * sizeof point + 1];
    tdsa_err err;

    grp_lagrange(g, lambda, indices, 2);
    grp_scalar_mul(g, &x, &lambda[0], &key[0]->sec->share);
    grp_scalar_mul(g, &part, &lambda[1], &key[1]->sec->share);
    grp_scalar_add(g, &x, &x, &part);
    assert_int_equal(grp_mul_base(g, &y, &x, &err), TDSA_OK);
    grp_point_encode(g, point, &y);
    tdsa_hex(hex, point, grp_get_info(g)->point_len);
    assert_string_equal(hex, text(doc, "publicKey"));
}

static void backups_of_version_1_open_and_two_are_the_key(void **state)
{
    const uint16_t indices[2] = {1, 2};
    json_t *doc = json_load_file(TDSA_TESTS_DIR "/vectors/participant/backup-1.json", 0, NULL);
    mpc_key *key[2] = {NULL, NULL};
    part_share_backup none;
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_non_null(doc);
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    for (size_t i = 0; i < 2; i++) {
        take(doc, g, indices[i], &key[i]);
    }
    recover(doc, g, key, indices);
    open_one(doc, 0, "kept for even", TDSA_E_DENIED, &none);
    for (size_t i = 0; i < 2; i++) {
        mpc_key_free(key[i]);
    }
    grp_close(g);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backups_of_version_1_open_and_two_are_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
