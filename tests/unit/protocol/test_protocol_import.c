#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "support/protocol_run.h"

/* What mpc_import_scalar and mpc_import_new take and refuse. */

#define KEY_ID "ImportedKey00000000000000000"

static tdsa_secret *secret_of(const char *hex)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    tdsa_secret *s = NULL;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&bytes, hex, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_copy(&s, bytes.data, bytes.len, &err), TDSA_OK);
    return s;
}

static void scalar_is_refused(const grp *g, const char *hex, const char *public_hex,
                              const char *why)
{
    TDSA_SCOPED_SECRET key = secret_of(hex);
    TDSA_SCOPED_BUF public_key = TDSA_BUF_EMPTY;
    tdsa_secret *x = NULL;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&public_key, public_hex, &err), TDSA_OK);
    assert_int_equal(mpc_import_scalar(&x, g, key, public_key.data, public_key.len, &err),
                     TDSA_E_BAD_INPUT);
    assert_null(x);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, err.text);
    }
}

#define ZEROS  "00000000000000000000000000000000"
#define G_P256 "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"

static void numbers_of_any_length_below_the_order_are_taken(void **state)
{
    static const char *const ones[] = {"01", ZEROS ZEROS "01", ZEROS "0001"};
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    for (size_t i = 0; i < 3; i++) {
        TDSA_SCOPED_SECRET key = secret_of(ones[i]);
        TDSA_SCOPED_SECRET x = NULL;

        assert_int_equal(mpc_import_scalar(&x, g, key, NULL, 0, &err), TDSA_OK);
        assert_int_equal(tdsa_secret_len(x), 32);
        assert_int_equal(tdsa_secret_view(x)[31], 1);
    }
    scalar_is_refused(g, ZEROS ZEROS, G_P256, "the key is 0");
    scalar_is_refused(g, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", G_P256,
                      "not below the order of P-256");
    scalar_is_refused(g, "01" ZEROS ZEROS, G_P256, "of another curve");
    scalar_is_refused(g, "02", G_P256, "not that of the private key");
    scalar_is_refused(g, "01", "02", "not that of the private key");
    grp_close(g);
}

/* RFC 8032 7.1, tests 1 and 2 */
static void a_key_of_ed25519_has_the_public_key_of_rfc_8032(void **state)
{
    static const char *const pairs[][2] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"}};
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_ED25519, &err), TDSA_OK);
    for (size_t i = 0; i < 2; i++) {
        TDSA_SCOPED_SECRET key = secret_of(pairs[i][0]);
        TDSA_SCOPED_SECRET x = NULL;
        TDSA_SCOPED_BUF public_key = TDSA_BUF_EMPTY;

        assert_int_equal(tdsa_hex_decode(&public_key, pairs[i][1], &err), TDSA_OK);
        assert_int_equal(mpc_import_scalar(&x, g, key, public_key.data, 32, &err), TDSA_OK);
        scalar_is_refused(g, pairs[i][0], pairs[1 - i][1], "not that of the private key");
    }
    scalar_is_refused(g, "0102", pairs[0][1], "has 32 bytes, not 2");
    grp_close(g);
}

static void refused(const mpc_import_cfg *cfg, const char *why)
{
    mpc_keygen *run = NULL;
    tdsa_err err;

    assert_int_equal(mpc_import_new(&run, cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(run);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, err.text);
    }
}

static void the_dealer_has_the_key_and_nobody_else(void **state)
{
    TDSA_SCOPED_SECRET x = secret_of(ZEROS "000000000000000000000000000000ff");
    TDSA_SCOPED_SECRET zero = secret_of(ZEROS ZEROS);
    TDSA_SCOPED_SECRET brief = secret_of("ff");
    mpc_import_key key = {.x = x};
    protocol_run r;
    mpc_import_cfg cfg;

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "import");
    cfg = run_import_cfg(&r, 0, KEY_ID, 0, NULL);
    refused(&cfg, "the dealer has the key");
    cfg = run_import_cfg(&r, 1, KEY_ID, 0, NULL);
    cfg.key = &key;
    refused(&cfg, "and nobody else");
    cfg = run_import_cfg(&r, 0, KEY_ID, 5, NULL);
    refused(&cfg, "who deals, is no member");
    cfg = run_import_cfg(&r, 0, KEY_ID, 0, &key);
    cfg.keygen.epoch = 1;
    refused(&cfg, "epoch 0");
    cfg.keygen.epoch = 0;
    cfg.keygen.me = 4;
    refused(&cfg, "participant 4 is to be a member");
    cfg.keygen.me = 0;
    cfg.keygen.n = 2;
    refused(&cfg, "n = 2");
    cfg.keygen.n = 3;
    key.x = zero;
    refused(&cfg, "not a number of 1 to q-1");
    key.x = brief;
    refused(&cfg, "not a number of 1 to q-1");
    run_clear(&r);
}

static void chain_code_and_epoch_are_those_of_the_import(void **state)
{
    TDSA_SCOPED_SECRET x = secret_of(ZEROS "000000000000000000000000000000ff");
    mpc_import_key key = {.x = x, .cc = {[0] = 1, [31] = 2}};
    protocol_run r;

    (void)state;
    run_init(&r, GRP_SECP256K1, 5, 2, "import");
    r.reverse = true;
    assert_int_equal(run_import(&r, KEY_ID, 4, &key), 5);
    for (uint16_t i = 0; i < 5; i++) {
        assert_memory_equal(r.key[i]->pub.cc, key.cc, sizeof key.cc);
        assert_int_equal(r.key[i]->pub.epoch, 0);
    }
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_any_length_below_the_order_are_taken),
        cmocka_unit_test(a_key_of_ed25519_has_the_public_key_of_rfc_8032),
        cmocka_unit_test(the_dealer_has_the_key_and_nobody_else),
        cmocka_unit_test(chain_code_and_epoch_are_those_of_the_import),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
