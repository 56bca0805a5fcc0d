#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "base/hash.h"
#include "support/protocol_run.h"

/* Imports of the C code against tests/model/importing.py, value by value and message by message. */

static json_t *get(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);

    if (v == NULL) {
        fail_msg("the vectors have no %s", name);
    }
    return v;
}

static uint16_t number(const json_t *o, const char *name)
{
    assert_true(json_is_integer(get(o, name)));
    return (uint16_t)json_integer_value(get(o, name));
}

static void check_hex(const char *what, const json_t *want, const void *got, size_t len)
{
    char *hex = test_malloc(2 * len + 1);

    tdsa_hex(hex, got, len);
    if (strcmp(hex, json_string_value(want)) != 0) {
        fail_msg("%s: %s, the model has %s", what, hex, json_string_value(want));
    }
    test_free(hex);
}

static void check_point(const grp *g, const char *what, const json_t *want, const grp_point *got)
{
    uint8_t bytes[GRP_POINT_LEN_MAX];

    grp_point_encode(g, bytes, got);
    check_hex(what, want, bytes, grp_get_info(g)->point_len);
}

typedef struct {
    const json_t *vector;
    size_t seen;
} checker;

static void check_message(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                          tdsa_buf *m)
{
    static const char *const names[] = {"random", "commit", "deal", "report", "stored"};
    checker *c = ctx;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const json_t *entry = NULL;
    size_t i = 0;
    tdsa_err err;

    assert_int_equal(step, STEP_IMPORT);
    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, m->data, m->len, &err), TDSA_OK);
    json_array_foreach(get(get(c->vector, "messages"), names[round]), i, entry)
    {
        if (number(entry, "sender") == from && number(entry, "to") == to) {
            check_hex(names[round], get(entry, "sha256"), digest, 32);
            c->seen++;
            return;
        }
    }
    fail_msg("the model sends no %s from %u to %u", names[round], from, to);
}

static void check_kappas(const json_t *vector, const protocol_run *r, uint16_t member)
{
    const mpc_key_secret *sec = r->key[member]->sec;
    const json_t *entry = NULL;
    size_t at = 0;
    size_t i = 0;

    json_array_foreach(get(vector, "kappa"), i, entry)
    {
        const json_t *set = get(entry, "A");
        const bool is_set = strcmp(json_string_value(get(entry, "kind")), "prss") == 0;
        uint16_t other = 0;
        bool mine = false;

        for (size_t k = 0; k < json_array_size(set); k++) {
            const uint16_t index = (uint16_t)json_integer_value(json_array_get(set, k));

            mine = mine || index == member;
            other = index != member ? index : other;
        }
        if (mine) {
            check_hex("kappa", get(entry, "key"), is_set ? sec->sets[at].key : sec->pairs[other],
                      32);
            at += is_set ? 1u : 0u;
        }
    }
    assert_int_equal(at, sec->set_count);
}

static void check_keys(const json_t *vector, const protocol_run *r)
{
    const json_t *entry = NULL;
    size_t i = 0;

    json_array_foreach(get(vector, "shares"), i, entry)
    {
        const uint16_t m = number(entry, "index");
        const mpc_key *k = r->key[m];
        uint8_t x[GRP_SCALAR_LEN_MAX];

        assert_int_equal(k->pub.epoch, 0);
        check_hex("sid", get(vector, "sid"), k->pub.cluster_id, 32);
        check_hex("stored", get(vector, "stored"), k->pub.stored, 64);
        check_hex("cc", get(vector, "cc"), k->pub.cc, 32);
        check_point(r->g, "Y", get(vector, "Y"), &k->pub.y);
        check_point(r->g, "X", get(entry, "X"), &k->pub.x[m]);
        grp_scalar_encode(r->g, x, &k->sec->share);
        check_hex("x", get(entry, "x"), x, grp_get_info(r->g)->scalar_len);
        check_kappas(vector, r, m);
    }
}

static void hex_into(const json_t *vector, const char *name, tdsa_buf *out)
{
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(out, json_string_value(get(vector, name)), &err), TDSA_OK);
}

static void check_run(const json_t *vector)
{
    protocol_run r;
    checker c = {.vector = vector};
    TDSA_SCOPED_BUF x = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF cc = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    mpc_import_key key;
    grp_curve curve = GRP_P256;
    mpc_scheme scheme = MPC_SCHEME_ECDSA;
    tdsa_err err;

    assert_true(grp_curve_by_name(&curve, json_string_value(get(vector, "curve"))));
    assert_true(mpc_scheme_by_name(&scheme, json_string_value(get(vector, "scheme"))));
    run_init_scheme(&r, curve, scheme, number(vector, "n"), number(vector, "t"),
                    json_string_value(get(vector, "seed")));
    hex_into(vector, "x", &x);
    hex_into(vector, "cc", &cc);
    assert_int_equal(tdsa_secret_copy(&secret, x.data, x.len, &err), TDSA_OK);
    key.x = secret;
    memcpy(key.cc, cc.data, sizeof key.cc);
    r.hook = check_message;
    r.hook_ctx = &c;
    assert_int_equal(
        run_import(&r, json_string_value(get(vector, "key_id")), number(vector, "dealer"), &key),
        r.n);
    check_keys(vector, &r);
    assert_int_equal(c.seen, MPC_KEYGEN_ROUNDS * r.n * (r.n - 1u));
    run_clear(&r);
}

static void every_value_is_the_models(void **state)
{
    json_error_t why;
    json_t *file = json_load_file(TDSA_TESTS_DIR "/vectors/protocol/import.json", 0, &why);
    const json_t *vector = NULL;
    size_t i = 0;

    (void)state;
    assert_non_null(file);
    assert_int_equal(json_array_size(get(file, "runs")), 6);
    json_array_foreach(get(file, "runs"), i, vector)
    {
        check_run(vector);
    }
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_value_is_the_models)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
