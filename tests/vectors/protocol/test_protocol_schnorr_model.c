#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "protocol/schnorr.h"
#include "support/protocol_run.h"
#include "support/schnorr_judge.h"

/*
 * The Schnorr schemes against the reference model, value by value. The vectors come from
 * tests/model/schnorr.py; vectors_protocol_schnorr_model proves that they are its output. The
 * messages of key generation, which know no scheme, are compared in test_protocol_bplus.
 */

static json_t *get(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);

    if (v == NULL) {
        fail_msg("the vectors have no %s", name);
    }
    return v;
}

static unsigned number(const json_t *o, const char *name)
{
    assert_true(json_is_integer(get(o, name)));
    return (unsigned)json_integer_value(get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
    return json_string_value(get(o, name));
}

static const char *entry(const json_t *list, size_t i)
{
    return json_string_value(json_array_get(list, i));
}

static void check_hex(const char *what, const char *want, const void *got, size_t len)
{
    char *hex = test_malloc(2 * len + 1);

    assert_non_null(want);
    tdsa_hex(hex, got, len);
    if (strcmp(hex, want) != 0) {
        fail_msg("%s: %s, the model has %s", what, hex, want);
    }
    test_free(hex);
}

static void check_field(const json_t *o, const char *name, const void *got, size_t len)
{
    check_hex(name, text(o, name), got, len);
}

static void check_scalar(const grp *g, const char *what, const char *want, const grp_scalar *got)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    grp_scalar_encode(g, bytes, got);
    check_hex(what, want, bytes, grp_get_info(g)->scalar_len);
}

static void check_point(const grp *g, const char *what, const char *want, const grp_point *got)
{
    uint8_t bytes[GRP_POINT_LEN_MAX];

    grp_point_encode(g, bytes, got);
    check_hex(what, want, bytes, grp_get_info(g)->point_len);
}

typedef struct {
    const json_t *vector;
    const protocol_run *run;
    size_t seen[5];
} checker;

static size_t position_of(const protocol_run *r, uint16_t index)
{
    size_t at = 0;

    while (r->committee[at] != index) {
        at++;
        assert_true(at < r->committee_count);
    }
    return at;
}

static void check_each(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    static const char *const rounds[] = {"nonce", "R", "list"};
    checker *c = ctx;
    const json_t *list = NULL;

    (void)to;
    c->seen[step]++;
    if (step == STEP_PRESIGN) {
        list = get(get(c->vector, "presign"), rounds[round]);
    } else if (step == STEP_REPLY) {
        list = get(c->vector, "replies");
    } else {
        return;
    }
    check_hex("message", entry(list, position_of(c->run, from)), m->data, m->len);
}

static void check_key(const json_t *vector, const protocol_run *r)
{
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;
    uint8_t tag[32];
    tdsa_err err;

    mpc_policy_encode(&policy, &r->policy);
    check_field(vector, "policy", policy.data, policy.len);
    assert_int_equal(mpc_policy_tag(tag, &r->policy, &err), TDSA_OK);
    check_field(vector, "policy_tag", tag, sizeof tag);
    for (uint16_t j = 0; j < r->n; j++) {
        const json_t *me = json_array_get(get(vector, "participants"), j);
        const mpc_key *k = r->key[j];

        check_field(vector, "sid", k->pub.cluster_id, 32);
        check_field(vector, "stored", k->pub.stored, 64);
        check_field(vector, "cc", k->pub.cc, 32);
        check_point(r->g, "Y", text(vector, "Y"), &k->pub.y);
        check_scalar(r->g, "x", text(me, "x"), &k->sec->share);
        check_point(r->g, "X", text(me, "X"), &k->pub.x[j]);
    }
}

static void check_batch(const json_t *vector, const protocol_run *r)
{
    static const char *const names[] = {"d", "e"};
    static const char *const points[] = {"D", "E"};
    tdsa_err err;

    for (size_t a = 0; a < r->committee_count; a++) {
        const uint16_t j = r->committee[a];

        check_field(vector, "beta", mpc_batch_beta(r->batch[j]), 32);
        check_field(vector, "batch_data", r->data[j].data, r->data[j].len);
        for (uint32_t i = 0; i < r->count; i++) {
            grp_point opened[PRESIGN_POINTS_MAX];

            assert_int_equal(batch_points(opened, r->batch[j], i, &err), TDSA_OK);
            for (size_t w = 0; w < 2; w++) {
                const json_t *row = json_array_get(get(get(vector, "prss"), names[w]), i);
                grp_scalar share;

                assert_int_equal(grp_prss_shares(r->batch[j]->stream[w], &share, i, 1, &err),
                                 TDSA_OK);
                check_scalar(r->g, names[w], entry(row, a), &share);
                check_point(r->g, points[w], entry(get(vector, points[w]), i), &opened[w]);
            }
        }
    }
}

static void check_context(const json_t *vector, const protocol_run *r, const mpc_context *ctx)
{
    const json_t *signs = get(vector, "signs");

    check_field(vector, "T", ctx->transcript, 64);
    check_scalar(r->g, "rho", text(vector, "rho"), &ctx->rho);
    check_field(vector, "R", ctx->r_bytes, 32);
    check_scalar(r->g, "c", text(vector, "c"), &ctx->c);
    check_scalar(r->g, "epsilon", text(vector, "epsilon"), &ctx->epsilon);
    check_scalar(r->g, "tweak", text(vector, "tweak"), &ctx->tweak);
    check_point(r->g, "Y_final", text(vector, "Y_final"), &ctx->y_final);
    assert_int_equal(json_integer_value(json_array_get(signs, 0)), ctx->negate_nonce ? -1 : 1);
    assert_int_equal(json_integer_value(json_array_get(signs, 1)), ctx->negate_key ? -1 : 1);
    assert_int_equal(json_integer_value(json_array_get(signs, 2)), ctx->negate_output ? -1 : 1);
}

static void check_pads(const json_t *vector, const protocol_run *r, const mpc_context *ctx)
{
    for (size_t a = 0; a < r->committee_count; a++) {
        uint8_t pair[GRP_PARTIES_MAX][32];
        const uint16_t j = r->committee[a];
        const grp_pad_cfg cfg = {.committee = r->committee,
                                 .committee_count = r->committee_count,
                                 .me = j,
                                 .pair_keys = (const uint8_t(*)[32])pair,
                                 .word = "z",
                                 .transcript = ctx->transcript};
        grp_scalar pad;
        tdsa_err err;

        for (size_t i = 0; i < r->committee_count; i++) {
            memcpy(pair[i], r->key[j]->sec->pairs[r->committee[i]], 32);
        }
        assert_int_equal(grp_pad(r->g, &pad, &cfg, &err), TDSA_OK);
        check_scalar(r->g, "pad_z", entry(get(vector, "pad_z"), a), &pad);
    }
}

static mpc_request request_of(const json_t *vector, const protocol_run *r, const tdsa_buf *payload)
{
    mpc_request q = run_request(r, number(vector, "index"), payload->data, payload->len);
    const json_t *path = get(vector, "path");
    TDSA_SCOPED_BUF root = TDSA_BUF_EMPTY;
    tdsa_err err;

    q.path_len = (uint16_t)json_array_size(path);
    for (uint16_t i = 0; i < q.path_len; i++) {
        q.path[i] = (uint32_t)json_integer_value(json_array_get(path, i));
    }
    q.taproot = number(vector, "taproot") == 1;
    q.has_merkle_root = json_is_string(get(vector, "root"));
    if (q.has_merkle_root) {
        assert_int_equal(tdsa_hex_decode(&root, text(vector, "root"), &err), TDSA_OK);
        assert_int_equal(root.len, sizeof q.merkle_root);
        memcpy(q.merkle_root, root.data, root.len);
    }
    return q;
}

static void check_signature(const json_t *vector, protocol_run *r)
{
    TDSA_SCOPED_BUF payload = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF q_bytes = TDSA_BUF_EMPTY;
    uint8_t key[SCHNORR_KEY_LEN];
    mpc_request q;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&payload, text(vector, "payload"), &err), TDSA_OK);
    q = request_of(vector, r, &payload);
    mpc_request_encode(&q_bytes, &q);
    check_field(vector, "Q", q_bytes.data, q_bytes.len);
    assert_int_equal(run_sign(r, &q, &sig, &ctx, &err), TDSA_OK);
    check_context(vector, r, &ctx);
    check_pads(vector, r, &ctx);
    check_field(vector, "signature", sig.bytes, sig.len);
    schnorr_encode(r->g, r->scheme, key, &ctx.y_final);
    assert_true(r->scheme == MPC_SCHEME_EDDSA
                    ? judge_eddsa(key, payload.data, payload.len, sig.bytes)
                    : judge_bip340(key, payload.data, payload.len, sig.bytes));
}

static void set_up(protocol_run *r, const json_t *vector)
{
    grp_curve curve = GRP_P256;
    mpc_scheme scheme = MPC_SCHEME_ECDSA;

    assert_true(grp_curve_by_name(&curve, text(vector, "curve")));
    assert_true(mpc_scheme_by_name(&scheme, text(vector, "scheme")));
    run_init_scheme(r, curve, scheme, (uint16_t)number(vector, "n"), (uint16_t)number(vector, "t"),
                    text(vector, "seed"));
    r->count = number(vector, "count");
    r->compressed_wire = number(vector, "form") == 0;
    if (strcmp(text(vector, "derivation"), "bip32") == 0) {
        r->policy.derivation = MPC_DERIVE_BIP32;
    }
    for (uint16_t i = 0; i < r->committee_count; i++) {
        r->committee[i] = (uint16_t)json_integer_value(json_array_get(get(vector, "committee"), i));
    }
}

static void check_run(const json_t *vector)
{
    protocol_run r;
    checker c = {.vector = vector, .run = &r};

    set_up(&r, vector);
    r.hook = check_each;
    r.hook_ctx = &c;
    assert_int_equal(run_keygen(&r, text(vector, "key_id")), r.n);
    check_key(vector, &r);
    assert_int_equal(run_presign(&r, number(vector, "lane"), number(vector, "seq")),
                     r.committee_count);
    check_batch(vector, &r);
    check_signature(vector, &r);
    assert_int_equal(c.seen[STEP_PRESIGN],
                     (size_t)MPC_PRESIGN_ROUNDS * r.committee_count * (r.committee_count - 1u));
    assert_int_equal(c.seen[STEP_REPLY], r.committee_count);
    run_clear(&r);
}

static void every_value_is_the_models(void **state)
{
    json_error_t why;
    json_t *file = json_load_file(TDSA_TESTS_DIR "/vectors/protocol/schnorr.json", 0, &why);
    const json_t *vector = NULL;
    size_t i = 0;

    (void)state;
    assert_non_null(file);
    assert_true(json_array_size(get(file, "runs")) >= 8);
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
