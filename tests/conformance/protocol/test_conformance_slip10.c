#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "protocol/bip32.h"

/*
 * Public derivation against the vectors of SLIP-10 (for secp256k1 those of BIP32): every step that is
 * not hardened, from the parent's public key and chain code. The folder with the vectors is given to
 * the build as TDSA_VECTORS; without it the test is skipped.
 */

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    assert_non_null(s);
    return s;
}

static void node_from(mpc_bip32_node *n, const grp *g, const json_t *node)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    memset(n, 0, sizeof *n);
    assert_int_equal(tdsa_hex_decode(&b, text(node, "public"), &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, &n->y, b.data, b.len, &err), TDSA_OK);
    tdsa_buf_reset(&b);
    assert_int_equal(tdsa_hex_decode(&b, text(node, "chain code"), &err), TDSA_OK);
    assert_int_equal(b.len, sizeof n->cc);
    memcpy(n->cc, b.data, b.len);
    tdsa_buf_reset(&b);
    assert_int_equal(tdsa_hex_decode(&b, text(node, "fingerprint"), &err), TDSA_OK);
    assert_int_equal(b.len, sizeof n->parent);
    memcpy(n->parent, b.data, b.len);
}

/* True when `child` follows from `parent` in one step without the private key. */
static bool is_public_step(const json_t *parent, const json_t *child, uint32_t *index)
{
    const char *from = text(parent, "path");
    const char *to = text(child, "path");
    const size_t len = strlen(from);
    char *end = NULL;

    if (strncmp(from, to, len) != 0 || to[len] != '/') {
        return false;
    }
    *index = (uint32_t)strtoul(to + len + 1, &end, 10);
    return *end == '\0';
}

/* Returns 1 when the child is the vector's, 0 when we refuse where SLIP-10 tries again. */
static size_t check_step(const grp *g, const json_t *parent, const json_t *child, uint32_t index)
{
    mpc_bip32_node n;
    mpc_bip32_node want;
    tdsa_err err;
    tdsa_status st;

    node_from(&n, g, parent);
    node_from(&want, g, child);
    st = mpc_bip32_walk_vartime(&n, g, &index, 1, true, &err);
    if (st == TDSA_E_BAD_INPUT) {
        return 0;
    }
    assert_int_equal(st, TDSA_OK);
    assert_true(grp_point_equal(g, &n.y, &want.y));
    assert_memory_equal(n.cc, want.cc, sizeof n.cc);
    assert_memory_equal(n.parent, want.parent, sizeof n.parent);
    return 1;
}

static void check_vectors(const json_t *file, grp_curve curve, const char *name, size_t steps,
                          size_t refused)
{
    const json_t *vector = NULL;
    grp *g = NULL;
    size_t seen = 0;
    size_t right = 0;
    size_t v = 0;
    tdsa_err err;

    assert_int_equal(grp_open(&g, curve, &err), TDSA_OK);
    json_array_foreach(file, v, vector)
    {
        const json_t *chains = json_object_get(vector, "chains");

        if (strstr(text(vector, "name"), name) == NULL) {
            continue;
        }
        for (size_t i = 1; i < json_array_size(chains); i++) {
            const json_t *parent = json_array_get(chains, i - 1);
            const json_t *child = json_array_get(chains, i);
            uint32_t index = 0;

            if (is_public_step(parent, child, &index)) {
                seen++;
                right += check_step(g, parent, child, index);
            }
        }
    }
    grp_close(g);
    assert_int_equal(seen, steps);
    assert_int_equal(seen - right, refused);
}

static void public_derivation_is_that_of_slip10(void **state)
{
    json_error_t why;
    json_t *file = NULL;

    (void)state;
    if (TDSA_VECTORS_DIR[0] == '\0') {
        skip();
    }
    file = json_load_file(TDSA_VECTORS_DIR "/slip10.json", 0, &why);
    assert_non_null(file);
    check_vectors(file, GRP_SECP256K1, "secp256k1", 6, 0);
    check_vectors(file, GRP_P256, "nist256p1", 6, 0);
    json_decref(file);
}

static size_t check_xpub_step(const grp *g, const json_t *parent, const json_t *child)
{
    mpc_bip32_node n;
    char out[MPC_XPUB_TEXT_MAX];
    uint32_t index = 0;
    tdsa_err err;

    assert_int_equal(
        mpc_bip32_xpub_decode(&n, g, text(parent, "xpub"), strlen(text(parent, "xpub")), &err),
        TDSA_OK);
    assert_int_equal(mpc_bip32_xpub(out, &n, g, &err), TDSA_OK);
    assert_string_equal(out, text(parent, "xpub"));
    if (!is_public_step(parent, child, &index)) {
        return 0;
    }
    assert_int_equal(mpc_bip32_walk_vartime(&n, g, &index, 1, true, &err), TDSA_OK);
    assert_int_equal(mpc_bip32_xpub(out, &n, g, &err), TDSA_OK);
    assert_string_equal(out, text(child, "xpub"));
    return 1;
}

static void extended_keys_are_those_of_bip32(void **state)
{
    const json_t *vector = NULL;
    const json_t *bad = NULL;
    json_t *file = NULL;
    grp *g = NULL;
    size_t steps = 0;
    size_t refused = 0;
    size_t v = 0;
    size_t k = 0;
    json_error_t why;
    tdsa_err err;

    (void)state;
    if (TDSA_VECTORS_DIR[0] == '\0') {
        skip();
    }
    file = json_load_file(TDSA_VECTORS_DIR "/bip32.json", 0, &why);
    assert_non_null(file);
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    json_array_foreach(file, v, vector)
    {
        const json_t *chains = json_object_get(vector, "chains");

        for (size_t i = 1; i < json_array_size(chains); i++) {
            steps += check_xpub_step(g, json_array_get(chains, i - 1), json_array_get(chains, i));
        }
        json_array_foreach(json_object_get(vector, "invalid"), k, bad)
        {
            const char *key = text(bad, "key");
            mpc_bip32_node n;

            assert_int_equal(mpc_bip32_xpub_decode(&n, g, key, strlen(key), &err),
                             TDSA_E_BAD_INPUT);
            refused++;
        }
    }
    grp_close(g);
    json_decref(file);
    assert_int_equal(steps, 6);
    assert_int_equal(refused, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_derivation_is_that_of_slip10),
        cmocka_unit_test(extended_keys_are_those_of_bip32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
