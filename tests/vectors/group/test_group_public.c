#include "unit/group/group_test.h"

#include <stdlib.h>

#include <jansson.h>

#include "base/buf.h"
#include "group/sharing.h"

/* Public vectors, read from the folder that TDSA_VECTORS names: Project Wycheproof's Ed25519
 * signatures, the examples of RFC 9591 (FROST) and of SLIP-10. */

/* NULL when there is no folder: then the test says so and is skipped. */
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

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    assert_non_null(s);
    return s;
}

static grp_point point_from_hex(const grp *g, const char *hex)
{
    const size_t len = grp_get_info(g)->point_len;
    uint8_t bytes[GRP_POINT_LEN_MAX];
    grp_point p;
    tdsa_err err;

    from_hex(bytes, len, hex);
    assert_int_equal(grp_point_decode(g, &p, bytes, len, &err), TDSA_OK);
    return p;
}

/* ---- Ed25519 signatures ---- */

/* h = SHA-512(R | A | M), little-endian, modulo l. */
static grp_scalar challenge(const grp *g, const uint8_t r[32], const uint8_t a[32],
                            const tdsa_buf *message)
{
    TDSA_SCOPED_BUF all = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_SHA512_LEN];
    uint8_t big_endian[TDSA_SHA512_LEN];
    grp_scalar h;
    tdsa_err err;

    tdsa_buf_append(&all, r, 32);
    tdsa_buf_append(&all, a, 32);
    tdsa_buf_append(&all, message->data, message->len);
    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA512, all.data, all.len, &err), TDSA_OK);
    for (size_t i = 0; i < sizeof digest; i++) {
        big_endian[i] = digest[sizeof digest - 1 - i];
    }
    grp_scalar_reduce(g, &h, big_endian, sizeof big_endian);
    return h;
}

/* RFC 8032 5.1.7 with our functions: S*G - h*A = R, everything decoded at the one door. */
static bool verifies(const grp *g, const uint8_t key[32], const tdsa_buf *message,
                     const tdsa_buf *sig)
{
    grp_point a;
    grp_point r;
    grp_point got;
    grp_scalar s;
    grp_scalar h;
    tdsa_err err;

    if (sig->len != 64 || grp_point_decode(g, &a, key, 32, &err) != TDSA_OK ||
        grp_point_decode(g, &r, sig->data, 32, &err) != TDSA_OK ||
        grp_scalar_decode(g, &s, sig->data + 32, 32, &err) != TDSA_OK) {
        return false;
    }
    h = challenge(g, sig->data, key, message);
    grp_scalar_neg(g, &h, &h);
    assert_int_equal(grp_mul_add_vartime(g, &got, &s, &h, &a, &err), TDSA_OK);
    return grp_point_equal(g, &got, &r);
}

static size_t check_signatures(const grp *g, const json_t *group)
{
    const json_t *tests = json_object_get(group, "tests");
    uint8_t key[32];

    from_hex(key, sizeof key, text(json_object_get(group, "publicKey"), "pk"));
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF sig = TDSA_BUF_EMPTY;
        tdsa_err err;

        assert_int_equal(tdsa_hex_decode(&message, text(test, "msg"), &err), TDSA_OK);
        assert_int_equal(tdsa_hex_decode(&sig, text(test, "sig"), &err), TDSA_OK);
        if (verifies(g, key, &message, &sig) != (strcmp(text(test, "result"), "valid") == 0)) {
            fail_msg("Wycheproof test %lld: should be %s",
                     (long long)json_integer_value(json_object_get(test, "tcId")),
                     text(test, "result"));
        }
    }
    return json_array_size(tests);
}

static void ed25519_signatures_are_judged_as_wycheproof_says(void **state)
{
    json_t *file = load("ed25519_test.json");
    const json_t *groups = json_object_get(file, "testGroups");
    grp *g = NULL;
    size_t count = 0;
    tdsa_err err;

    (void)state;
    if (file == NULL) {
        skip();
    }
    assert_int_equal(grp_open(&g, GRP_ED25519, &err), TDSA_OK);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        count += check_signatures(g, json_array_get(groups, i));
    }
    assert_int_equal(count, json_integer_value(json_object_get(file, "numberOfTests")));
    grp_close(g);
    json_decref(file);
}

/* ---- RFC 9591 ---- */

static void check_product(const grp *g, const json_t *o, const char *scalar, const char *point)
{
    const grp_scalar a = scalar_from_hex(g, text(o, scalar));
    const grp_point expect = point_from_hex(g, text(o, point));
    const grp_point got = base_times(g, &a);

    assert_points_equal(g, &got, &expect);
}

/* Shares of a secret, their commitments, and the secret's point from any two of them. */
static void check_frost_shares(const grp *g, const json_t *in)
{
    const json_t *shares = json_object_get(in, "participant_shares");
    const char *slope =
        json_string_value(json_array_get(json_object_get(in, "share_polynomial_coefficients"), 0));
    const grp_point public_key = point_from_hex(g, text(in, "group_public_key"));
    static const uint16_t pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    grp_point point[3];
    grp_poly f = {.degree = 1};
    tdsa_err err;

    f.coeff[0] = scalar_from_hex(g, text(in, "group_secret_key"));
    f.coeff[1] = scalar_from_hex(g, slope);
    assert_int_equal(json_array_size(shares), 3);
    for (uint16_t i = 0; i < 3; i++) {
        const grp_scalar expect =
            scalar_from_hex(g, text(json_array_get(shares, i), "participant_share"));
        grp_scalar got;

        grp_poly_eval(g, &got, &f, i);
        assert_true(grp_scalar_equal(g, &got, &expect));
        point[i] = base_times(g, &expect);
    }
    for (size_t i = 0; i < 3; i++) {
        const grp_point both[2] = {point[pairs[i][0]], point[pairs[i][1]]};
        grp_point got;

        assert_int_equal(grp_interpolate_vartime(g, &got, both, pairs[i], 2, &err), TDSA_OK);
        assert_points_equal(g, &got, &public_key);
    }
}

static void check_frost(const char *name, grp_curve curve)
{
    json_t *file = load(name);
    const json_t *in = json_object_get(file, "inputs");
    const json_t *outputs = json_object_get(json_object_get(file, "round_one_outputs"), "outputs");
    grp *g = NULL;
    tdsa_err err;

    if (file == NULL) {
        skip();
    }
    assert_int_equal(grp_open(&g, curve, &err), TDSA_OK);
    check_product(g, in, "group_secret_key", "group_public_key");
    check_frost_shares(g, in);
    assert_true(json_array_size(outputs) >= 2);
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *o = json_array_get(outputs, i);

        check_product(g, o, "hiding_nonce", "hiding_nonce_commitment");
        check_product(g, o, "binding_nonce", "binding_nonce_commitment");
    }
    grp_close(g);
    json_decref(file);
}

static void shares_and_points_are_those_of_rfc_9591(void **state)
{
    (void)state;
    check_frost("frost-p256-sha256.json", GRP_P256);
    check_frost("frost-secp256k1-sha256.json", GRP_SECP256K1);
    check_frost("frost-ed25519-sha512.json", GRP_ED25519);
}

/* ---- SLIP-10 ---- */

static void every_public_key_of_slip10_decodes(void **state)
{
    static const struct {
        const char *name;
        grp_curve curve;
        size_t skip; /* hex digits before the point: SLIP-10 writes 00 before Ed25519 points */
    } curves[] = {
        {"secp256k1", GRP_SECP256K1, 0}, {"nist256p1", GRP_P256, 0}, {"ed25519", GRP_ED25519, 2}};
    json_t *file = load("slip10.json");
    size_t seen = 0;

    (void)state;
    if (file == NULL) {
        skip();
    }
    for (size_t i = 0; i < 3 * json_array_size(file); i++) {
        const json_t *set = json_array_get(file, i / 3);
        const json_t *chains = json_object_get(set, "chains");
        const char *name = strstr(text(set, "name"), "for ");
        grp *g = NULL;
        tdsa_err err;

        if (name == NULL || strcmp(name + 4, curves[i % 3].name) != 0) {
            continue;
        }
        assert_int_equal(grp_open(&g, curves[i % 3].curve, &err), TDSA_OK);
        for (size_t k = 0; k < json_array_size(chains); k++) {
            (void)point_from_hex(g, text(json_array_get(chains, k), "public") + curves[i % 3].skip);
            seen++;
        }
        grp_close(g);
    }
    assert_true(seen >= 36);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_signatures_are_judged_as_wycheproof_says),
        cmocka_unit_test(shares_and_points_are_those_of_rfc_9591),
        cmocka_unit_test(every_public_key_of_slip10_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
