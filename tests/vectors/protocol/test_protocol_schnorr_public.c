#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "protocol/schnorr.h"

/*
 * Public vectors for what the combiner verifies with: the challenge and the equation of each scheme.
 * Read from the folder that TDSA_VECTORS names: bip340.csv of BIP-340, ed25519_test.json of Wycheproof.
 */

#define LINE_MAX_LEN 4096u

/* The path of a file, or NULL when the folder is not there: then the test says so and is skipped. */
static const char *path_of(tdsa_buf *out, const char *file)
{
    const char *folder = getenv("TDSA_VECTORS");

    folder = folder != NULL ? folder : TDSA_VECTORS_DIR;
    if (folder[0] == '\0') {
        print_message("skipped: TDSA_VECTORS does not name a folder with %s\n", file);
        return NULL;
    }
    tdsa_buf_appendf(out, "%s/%s%c", folder, file, 0);
    assert_false(out->failed);
    return (const char *)out->data;
}

/* What a verifier does with the bytes of a key, a message and a signature. */
static bool verifies(const grp *g, mpc_scheme scheme, const tdsa_buf *key, const tdsa_buf *msg,
                     const tdsa_buf *sig)
{
    uint8_t point[1 + SCHNORR_KEY_LEN] = {2}; /* lift_x: the point with even y */
    grp_point y;
    grp_scalar c;
    tdsa_err err;

    if (key->len != SCHNORR_KEY_LEN || sig->len != SCHNORR_SIG_LEN) {
        return false;
    }
    memcpy(point + 1, key->data, SCHNORR_KEY_LEN);
    if (grp_point_decode(g, &y, scheme == MPC_SCHEME_BIP340 ? point : point + 1,
                         grp_get_info(g)->point_len, &err) != TDSA_OK) {
        return false;
    }
    assert_int_equal(
        schnorr_challenge(g, scheme, &c, sig->data, key->data, msg->data, msg->len, &err), TDSA_OK);
    return schnorr_verify_vartime(g, scheme, &y, &c, sig->data, &err) == TDSA_OK;
}

static void from_hex(tdsa_buf *out, const char *hex)
{
    tdsa_err err;

    assert_non_null(hex);
    assert_int_equal(tdsa_hex_decode(out, hex, &err), TDSA_OK);
}

/* index, secret key, public key, aux_rand, message, signature, verification result, comment */
static void check_row(const grp *g, char *line)
{
    TDSA_SCOPED_BUF key = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF msg = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sig = TDSA_BUF_EMPTY;
    char *field[8] = {line};

    for (size_t i = 1; i < 8; i++) {
        char *comma = strchr(field[i - 1], ',');

        assert_non_null(comma);
        *comma = '\0';
        field[i] = comma + 1;
    }
    from_hex(&key, field[2]);
    from_hex(&msg, field[4]);
    from_hex(&sig, field[5]);
    if (verifies(g, MPC_SCHEME_BIP340, &key, &msg, &sig) != (strcmp(field[6], "TRUE") == 0)) {
        fail_msg("row %s: %s", field[0], field[7]);
    }
}

static void bip340_test_vectors_verify(void **state)
{
    TDSA_SCOPED_BUF path = TDSA_BUF_EMPTY;
    const char *name = path_of(&path, "bip340.csv");
    char line[LINE_MAX_LEN];
    grp *g = NULL;
    FILE *f = NULL;
    size_t rows = 0;
    tdsa_err err;

    (void)state;
    if (name == NULL) {
        return;
    }
    f = fopen(name, "r");
    assert_non_null(f);
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] >= '0' && line[0] <= '9') {
            check_row(g, line);
            rows++;
        }
    }
    assert_int_equal(rows, 19);
    (void)fclose(f);
    grp_close(g);
}

static void wycheproof_ed25519_verifies(void **state)
{
    TDSA_SCOPED_BUF path = TDSA_BUF_EMPTY;
    const char *name = path_of(&path, "ed25519_test.json");
    const json_t *group = NULL;
    const json_t *test = NULL;
    json_t *file = NULL;
    json_error_t why;
    grp *g = NULL;
    size_t i = 0;
    size_t k = 0;
    tdsa_err err;

    (void)state;
    if (name == NULL) {
        return;
    }
    file = json_load_file(name, 0, &why);
    assert_non_null(file);
    assert_int_equal(grp_open(&g, GRP_ED25519, &err), TDSA_OK);
    json_array_foreach(json_object_get(file, "testGroups"), i, group)
    {
        TDSA_SCOPED_BUF key = TDSA_BUF_EMPTY;

        from_hex(&key,
                 json_string_value(json_object_get(json_object_get(group, "publicKey"), "pk")));
        json_array_foreach(json_object_get(group, "tests"), k, test)
        {
            const char *verdict = json_string_value(json_object_get(test, "result"));
            TDSA_SCOPED_BUF msg = TDSA_BUF_EMPTY;
            TDSA_SCOPED_BUF sig = TDSA_BUF_EMPTY;

            from_hex(&msg, json_string_value(json_object_get(test, "msg")));
            from_hex(&sig, json_string_value(json_object_get(test, "sig")));
            if (verifies(g, MPC_SCHEME_EDDSA, &key, &msg, &sig) !=
                (strcmp(verdict, "valid") == 0)) {
                fail_msg("case %lld", json_integer_value(json_object_get(test, "tcId")));
            }
        }
    }
    assert_true(json_integer_value(json_object_get(file, "numberOfTests")) > 100);
    json_decref(file);
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bip340_test_vectors_verify),
        cmocka_unit_test(wycheproof_ed25519_verifies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
