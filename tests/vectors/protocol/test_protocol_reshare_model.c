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

/* Reshares of the C code against tests/model/reshare.py, value by value and message by message. */

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
    const json_t *step;
    size_t seen;
} checker;

static void check_message(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                          tdsa_buf *m)
{
    static const char *const names[] = {"random", "commit", "deal", "report", "stored", "active"};
    checker *c = ctx;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const json_t *entry = NULL;
    size_t i = 0;
    tdsa_err err;

    if (step != STEP_RESHARE) {
        return;
    }
    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, m->data, m->len, &err), TDSA_OK);
    json_array_foreach(get(get(c->step, "messages"), names[round]), i, entry)
    {
        if (number(entry, "sender") == from && number(entry, "to") == to) {
            check_hex(names[round], get(entry, "sha256"), digest, 32);
            c->seen++;
            return;
        }
    }
    fail_msg("the model sends no %s from %u to %u", names[round], from, to);
}

static uint16_t read_list(const json_t *list, uint16_t *out)
{
    const size_t count = json_array_size(list);

    assert_true(count <= GRP_PARTIES_MAX);
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint16_t)json_integer_value(json_array_get(list, i));
    }
    return (uint16_t)count;
}

static run_reshare_spec spec_of(const json_t *step)
{
    run_reshare_spec s = {.t = number(step, "t")};
    uint16_t lost[GRP_PARTIES_MAX];
    const uint16_t lost_count = read_list(get(step, "lost"), lost);

    s.dealer_count = read_list(get(step, "dealers"), s.dealers);
    s.n = read_list(get(step, "members"), s.members);
    for (uint16_t i = 0; i < lost_count; i++) {
        s.lost = (uint16_t)(s.lost | 1u << lost[i]);
    }
    return s;
}

static void check_kappas(const json_t *step, const protocol_run *r, uint16_t member)
{
    const mpc_key_secret *sec = r->key[member]->sec;
    const json_t *entry = NULL;
    size_t at = 0;
    size_t i = 0;

    json_array_foreach(get(step, "kappa"), i, entry)
    {
        uint16_t set[GRP_PARTIES_MAX];
        const uint16_t count = read_list(get(entry, "A"), set);
        const bool is_set = strcmp(json_string_value(get(entry, "kind")), "prss") == 0;
        bool mine = false;

        for (uint16_t k = 0; k < count; k++) {
            mine = mine || set[k] == member;
        }
        if (mine && is_set) {
            check_hex("kappa_A", get(entry, "key"), sec->sets[at++].key, 32);
        } else if (mine) {
            check_hex("kappa_ij", get(entry, "key"), sec->pairs[set[set[0] == member ? 1 : 0]], 32);
        }
    }
    assert_int_equal(at, sec->set_count);
}

static void check_step(const json_t *step, const protocol_run *r)
{
    const json_t *entry = NULL;
    size_t i = 0;

    json_array_foreach(get(step, "shares"), i, entry)
    {
        const uint16_t m = number(entry, "index");
        const mpc_key *k = r->key[m];
        uint8_t x[GRP_SCALAR_LEN_MAX];

        assert_non_null(k);
        assert_int_equal(k->pub.epoch, number(step, "epoch"));
        check_hex("sid", get(step, "sid"), k->pub.cluster_id, 32);
        check_hex("stored", get(step, "stored"), k->pub.stored, 64);
        check_point(r->g, "Y", get(step, "Y"), &k->pub.y);
        check_point(r->g, "X", get(entry, "X"), &k->pub.x[m]);
        grp_scalar_encode(r->g, x, &k->sec->share);
        check_hex("x", get(entry, "x"), x, grp_get_info(r->g)->scalar_len);
        check_kappas(step, r, m);
    }
}

static void check_old(const json_t *step, const protocol_run *r, uint16_t dealer)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    uint8_t want[TDSA_DIGEST_LEN_MAX];
    uint8_t digest[64];
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&record, json_string_value(get(step, "record")), &err),
                     TDSA_OK);
    assert_int_equal(tdsa_hash(want, TDSA_HASH_SHA512, record.data, record.len, &err), TDSA_OK);
    assert_int_equal(mpc_key_digest(digest, mpc_keygen_key(r->previous[dealer]), &err), TDSA_OK);
    assert_memory_equal(digest, want, sizeof digest);
}

static void check_run(const json_t *vector)
{
    protocol_run r;
    checker c = {0};
    grp_curve curve = GRP_P256;
    const json_t *step = NULL;
    size_t i = 0;

    assert_true(grp_curve_by_name(&curve, json_string_value(get(vector, "curve"))));
    run_init(&r, curve, number(vector, "n"), number(vector, "t"),
             json_string_value(get(vector, "seed")));
    r.policy.reshare = true;
    assert_int_equal(run_keygen(&r, json_string_value(get(vector, "key_id"))), r.n);
    r.hook = check_message;
    r.hook_ctx = &c;
    json_array_foreach(get(vector, "steps"), i, step)
    {
        const run_reshare_spec s = spec_of(step);

        c = (checker){.step = step};
        assert_true(run_reshare(&r, &s) >= s.n);
        check_step(step, &r);
        check_old(step, &r, s.dealers[0]);
        assert_int_equal(c.seen, MPC_RESHARE_ROUNDS *
                                     json_array_size(get(get(step, "messages"), "commit")));
    }
    run_clear(&r);
}

static void every_value_is_the_models(void **state)
{
    json_error_t why;
    json_t *file = json_load_file(TDSA_TESTS_DIR "/vectors/protocol/reshare.json", 0, &why);
    const json_t *vector = NULL;
    size_t i = 0;

    (void)state;
    assert_non_null(file);
    assert_int_equal(json_array_size(get(file, "runs")), 5);
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
