#include "../../unit/base/base_test.h"

#include <stdlib.h>

#include <jansson.h>

#include "base/cipher.h"
#include "base/dh.h"
#include "base/hash.h"
#include "base/rsa.h"

/* Project Wycheproof's vectors, read from the folder that TDSA_VECTORS names. */

/* The file, or NULL when the folder is not there: then the test says so and is skipped. */
static json_t *load(const char *file)
{
    const char *folder = getenv("TDSA_VECTORS");
    TDSA_SCOPED_BUF path = TDSA_BUF_EMPTY;
    json_error_t why;
    json_t *json = NULL;

    folder = folder != NULL ? folder : TDSA_VECTORS_DIR;
    if (folder[0] == '\0') {
        print_message("skipped: TDSA_VECTORS does not name a folder with %s\n", file);
        return NULL;
    }
    tdsa_buf_appendf(&path, "%s/%s%c", folder, file, 0);
    assert_false(path.failed);
    json = json_load_file((const char *)path.data, 0, &why);
    assert_non_null(json);
    return json;
}

typedef void (*case_fn)(const json_t *group, const json_t *test);

/* Calls `check` for every test of the file; false when it is not there. */
static bool for_each(const char *file, case_fn check)
{
    json_t *json = load(file);
    const json_t *groups = json_object_get(json, "testGroups");
    size_t count = 0;

    if (json == NULL) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const json_t *tests = json_object_get(group, "tests");

        for (size_t k = 0; k < json_array_size(tests); k++) {
            check(group, json_array_get(tests, k));
            count++;
        }
    }
    assert_int_equal(count, json_integer_value(json_object_get(json, "numberOfTests")));
    json_decref(json);
    return true;
}

static void get(tdsa_buf *out, const json_t *test, const char *name)
{
    const char *hex = json_string_value(json_object_get(test, name));
    tdsa_err err;

    assert_non_null(hex);
    assert_int_equal(tdsa_hex_decode(out, hex, &err), TDSA_OK);
}

static bool is(const json_t *test, const char *name, const char *value)
{
    return strcmp(json_string_value(json_object_get(test, name)), value) == 0;
}

static void check_xdh(tdsa_dh_kind kind, const json_t *test)
{
    static const uint8_t zero[TDSA_X448_LEN];
    const size_t len = tdsa_dh_len(kind);
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF priv = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF shared = TDSA_BUF_EMPTY;
    uint8_t out[TDSA_X448_LEN];
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    get(&pub, test, "public");
    get(&priv, test, "private");
    get(&shared, test, "shared");
    if (pub.len != len || priv.len != len) {
        assert_false(is(test, "result", "valid"));
        return;
    }
    st = tdsa_dh_shared(kind, out, priv.data, pub.data, &err);
    if (memcmp(shared.data, zero, len) == 0) {
        assert_int_equal(st, TDSA_E_PROTOCOL);
        return;
    }
    assert_int_equal(st, TDSA_OK);
    assert_memory_equal(out, shared.data, len);
}

static void check_x25519(const json_t *group, const json_t *test)
{
    (void)group;
    check_xdh(TDSA_DH_X25519, test);
}

static void check_x448(const json_t *group, const json_t *test)
{
    (void)group;
    check_xdh(TDSA_DH_X448, test);
}

static void x25519_passes_wycheproof(void **state)
{
    (void)state;
    if (!for_each("x25519_test.json", check_x25519)) {
        skip();
    }
}

static void x448_passes_wycheproof(void **state)
{
    (void)state;
    if (!for_each("x448_test.json", check_x448)) {
        skip();
    }
}

static size_t gcm_checked;

static void check_gcm(const json_t *group, const json_t *test)
{
    TDSA_SCOPED_BUF key = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF iv = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF msg = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_gcm p = {NULL, NULL, NULL, 0};
    tdsa_err err;

    if (json_integer_value(json_object_get(group, "keySize")) != 256 ||
        json_integer_value(json_object_get(group, "ivSize")) != 96 ||
        json_integer_value(json_object_get(group, "tagSize")) != 128) {
        return; /* forms that we do not have */
    }
    get(&key, test, "key");
    get(&iv, test, "iv");
    get(&aad, test, "aad");
    get(&msg, test, "msg");
    get(&sealed, test, "ct");
    get(&sealed, test, "tag");
    p = (tdsa_gcm){key.data, iv.data, aad.data, aad.len};
    gcm_checked++;
    if (!is(test, "result", "valid")) {
        assert_int_equal(tdsa_gcm_open(&out, &p, sealed.data, sealed.len, &err), TDSA_E_CRYPTO);
        return;
    }
    assert_int_equal(tdsa_gcm_seal(&out, &p, msg.data, msg.len, &err), TDSA_OK);
    assert_int_equal(out.len, sealed.len);
    assert_memory_equal(out.data, sealed.data, sealed.len);
    tdsa_buf_reset(&out);
    assert_int_equal(tdsa_gcm_open(&out, &p, sealed.data, sealed.len, &err), TDSA_OK);
    assert_int_equal(out.len, msg.len);
    if (msg.len > 0) {
        assert_memory_equal(out.data, msg.data, msg.len);
    }
}

static void aes_256_gcm_passes_wycheproof(void **state)
{
    (void)state;
    if (!for_each("aes_gcm_test.json", check_gcm)) {
        skip();
    }
    assert_true(gcm_checked > 50);
}

/* RFC 5869 with SHA-256, built here from our HMAC: our HKDF has SHA-512 only, and no public
 * vectors. What the two share is tested here, the rest against OpenSSL in the unit tests. */
static void check_hkdf(const json_t *group, const json_t *test)
{
    TDSA_SCOPED_BUF ikm = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF salt = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF okm = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF got = TDSA_BUF_EMPTY;
    uint8_t prk[32];
    tdsa_err err;

    (void)group;
    if (!is(test, "result", "valid")) {
        return;
    }
    get(&ikm, test, "ikm");
    get(&salt, test, "salt");
    get(&info, test, "info");
    get(&okm, test, "okm");
    assert_int_equal(tdsa_hmac(prk, TDSA_HASH_SHA256, salt.data, salt.len, ikm.data, ikm.len, &err),
                     TDSA_OK);
    for (uint8_t n = 1; got.len < okm.len; n++) {
        TDSA_SCOPED_BUF in = TDSA_BUF_EMPTY;
        uint8_t t[32];

        if (got.len > 0) {
            tdsa_buf_append(&in, got.data + got.len - sizeof t, sizeof t);
        }
        tdsa_buf_append(&in, info.data, info.len);
        tdsa_buf_append_u8(&in, n);
        assert_int_equal(tdsa_hmac(t, TDSA_HASH_SHA256, prk, sizeof prk, in.data, in.len, &err),
                         TDSA_OK);
        tdsa_buf_append(&got, t, sizeof t);
    }
    assert_memory_equal(got.data, okm.data, okm.len);
}

static void hmac_sha256_passes_wycheproof_hkdf(void **state)
{
    (void)state;
    if (!for_each("hkdf_sha256_test.json", check_hkdf)) {
        skip();
    }
}

static void check_oaep(const json_t *group, const json_t *test)
{
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF label = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF msg = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_rsa_key *key = NULL;
    tdsa_rsa_sealed s = {NULL, 0, NULL, 0};
    tdsa_err err;

    assert_true(is(group, "sha", "SHA-256") && is(group, "mgfSha", "SHA-256"));
    get(&der, group, "privateKeyPkcs8");
    get(&sealed, test, "ct");
    get(&label, test, "label");
    get(&msg, test, "msg");
    s = (tdsa_rsa_sealed){sealed.data, sealed.len, label.data, label.len};
    assert_int_equal(tdsa_rsa_key_new(&key, der.data, der.len, NULL, &err), TDSA_OK);
    if (is(test, "result", "valid")) {
        assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_OK);
        assert_int_equal(out.len, msg.len);
        assert_true(msg.len == 0 || memcmp(out.data, msg.data, msg.len) == 0);
    } else {
        assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO);
        assert_int_equal(out.len, 0);
    }
    tdsa_rsa_key_free(key);
}

static void rsa_oaep_sha256_passes_wycheproof(void **state)
{
    (void)state;
    if (!for_each("rsa_oaep_3072_sha256_mgf1sha256_test.json", check_oaep)) {
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_passes_wycheproof),
        cmocka_unit_test(x448_passes_wycheproof),
        cmocka_unit_test(aes_256_gcm_passes_wycheproof),
        cmocka_unit_test(hmac_sha256_passes_wycheproof_hkdf),
        cmocka_unit_test(rsa_oaep_sha256_passes_wycheproof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
