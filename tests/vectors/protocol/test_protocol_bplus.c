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

/*
 * The C code against the reference model, value by value: same seeds, same order of draws. The
 * vectors come from tests/model/bplus.py; vectors_protocol_model proves that they are its output.
 */

static json_t *get(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);

    if (v == NULL) {
        fail_msg("the vectors have no %s", name);
    }
    return v;
}

static long long number(const json_t *o, const char *name)
{
    assert_true(json_is_integer(get(o, name)));
    return json_integer_value(get(o, name));
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
    check_hex(name, json_string_value(get(o, name)), got, len);
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

/* A message against the model's: whole, or its SHA-256 in the larger runs. */
static void check_message(const json_t *vector, const char *what, const char *want,
                          const uint8_t *got, size_t len)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;

    if (json_is_true(get(vector, "full"))) {
        check_hex(what, want, got, len);
        return;
    }
    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, got, len, &err), TDSA_OK);
    check_hex(what, want, digest, 32);
}

typedef struct {
    const json_t *vector;
    const protocol_run *run;
    size_t seen[5];
} checker;

static size_t committee_position(const protocol_run *r, uint16_t index)
{
    size_t at = 0;

    while (r->committee[at] != index) {
        at++;
        assert_true(at < r->committee_count);
    }
    return at;
}

static void check_keygen_message(const checker *c, unsigned round, uint16_t from, uint16_t to,
                                 const tdsa_buf *m)
{
    static const char *const names[] = {"random", "commit", "deal", "report", "stored"};
    const json_t *messages = get(get(c->vector, "keygen"), names[round]);
    const json_t *entry = NULL;
    size_t i = 0;

    json_array_foreach(messages, i, entry)
    {
        if (number(entry, "sender") == from && number(entry, "to") == to) {
            check_message(c->vector, names[round], json_string_value(get(entry, "body")), m->data,
                          m->len);
            return;
        }
    }
    fail_msg("the model sends no %s from %u to %u", names[round], from, to);
}

static void check_each(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    static const char *const presign[] = {"nonce", "R", "list"};
    checker *c = ctx;
    const json_t *list = NULL;

    c->seen[step]++;
    if (step == STEP_KEYGEN) {
        check_keygen_message(c, round, from, to, m);
        return;
    }
    if (step == STEP_PREPARE) {
        list = get(c->vector, "coin_messages");
        check_hex("coin", json_string_value(json_array_get(list, committee_position(c->run, from))),
                  m->data, m->len);
        return;
    }
    list = step == STEP_REPLY ? get(c->vector, "replies")
                              : get(get(c->vector, "presign"), presign[round]);
    check_hex(step == STEP_REPLY ? "reply" : presign[round],
              json_string_value(json_array_get(list, committee_position(c->run, from))), m->data,
              m->len);
}

/* ---- key ---- */

static void check_kappas(const json_t *vector, const protocol_run *r)
{
    const json_t *entry = NULL;
    size_t at[GRP_PARTIES_MAX] = {0};
    size_t i = 0;

    json_array_foreach(get(vector, "kappa"), i, entry)
    {
        const json_t *members = get(entry, "A");
        const char *want = json_string_value(get(entry, "key"));
        const bool is_set = strcmp(json_string_value(get(entry, "kind")), "prss") == 0;

        for (size_t m = 0; m < json_array_size(members); m++) {
            const json_int_t j = json_integer_value(json_array_get(members, m));
            const mpc_key_secret *sec = r->key[j]->sec;

            if (is_set) {
                assert_true(grp_set_has(&sec->sets[at[j]].set, (uint16_t)j));
                check_hex("kappa_A", want, sec->sets[at[j]++].key, 32);
            } else {
                const json_int_t other = json_integer_value(json_array_get(members, 1 - m));

                check_hex("kappa_ij", want, sec->pairs[other], 32);
            }
        }
    }
    for (uint16_t j = 0; j < r->n; j++) {
        assert_int_equal(at[j], r->key[j]->sec->set_count);
    }
}

static void check_key(const json_t *vector, const protocol_run *r, uint16_t j)
{
    const json_t *me = json_array_get(get(vector, "participants"), j);
    const mpc_key *k = r->key[j];

    check_field(vector, "sid", k->pub.cluster_id, 32);
    check_field(vector, "stored", k->pub.stored, 64);
    check_field(vector, "cc", k->pub.cc, 32);
    check_point(r->g, "Y", json_string_value(get(vector, "Y")), &k->pub.y);
    check_field(me, "x25519", k->pub.members[j].x25519, 32);
    check_field(me, "x448", k->pub.members[j].x448, 56);
    check_scalar(r->g, "x", json_string_value(get(me, "x")), &k->sec->share);
    for (uint16_t i = 0; i < r->n; i++) {
        const json_t *other = json_array_get(get(vector, "participants"), i);

        check_point(r->g, "X", json_string_value(get(other, "X")), &k->pub.x[i]);
    }
}

static void check_policy(const json_t *vector, const protocol_run *r)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t tag[32];
    tdsa_err err;

    mpc_policy_encode(&b, &r->policy);
    check_field(vector, "policy", b.data, b.len);
    assert_int_equal(mpc_policy_tag(tag, &r->policy, &err), TDSA_OK);
    check_field(vector, "policy_tag", tag, sizeof tag);
}

/* ---- batch ---- */

static void check_shares(const json_t *vector, const protocol_run *r, const char *name, uint16_t j)
{
    const size_t at = committee_position(r, j);
    const grp_prss_cfg cfg = {.keys = r->key[j]->sec->sets,
                              .key_count = r->key[j]->sec->set_count,
                              .committee = r->committee,
                              .committee_count = r->committee_count,
                              .me = j,
                              .name = name,
                              .beta = mpc_batch_beta(r->batch[j])};
    grp_prss *prss = NULL;
    grp_scalar share;
    tdsa_err err;

    assert_int_equal(grp_prss_new(&prss, r->g, &cfg, &err), TDSA_OK);
    for (uint32_t i = 0; i < r->count; i++) {
        const json_t *row = json_array_get(get(get(vector, "prss"), name), i);

        assert_int_equal(grp_prss_shares(prss, &share, i, 1, &err), TDSA_OK);
        check_scalar(r->g, name, json_string_value(json_array_get(row, at)), &share);
    }
    grp_prss_free(prss);
}

static void check_pads(const json_t *vector, const protocol_run *r, uint16_t j,
                       const mpc_context *ctx, const char *word)
{
    const size_t at = committee_position(r, j);
    uint8_t pair[GRP_PARTIES_MAX][32];
    grp_scalar pad;
    tdsa_err err;

    for (size_t i = 0; i < r->committee_count; i++) {
        memcpy(pair[i], r->key[j]->sec->pairs[r->committee[i]], 32);
    }
    assert_int_equal(grp_pad(r->g, &pad,
                             &(grp_pad_cfg){.committee = r->committee,
                                            .committee_count = r->committee_count,
                                            .me = j,
                                            .pair_keys = (const uint8_t(*)[32])pair,
                                            .word = word,
                                            .transcript = ctx->transcript},
                             &err),
                     TDSA_OK);
    check_scalar(r->g, word, json_string_value(json_array_get(get(get(vector, "pads"), word), at)),
                 &pad);
}

static void check_batch(const json_t *vector, const protocol_run *r)
{
    for (size_t a = 0; a < r->committee_count; a++) {
        const uint16_t j = r->committee[a];

        check_field(vector, "beta", mpc_batch_beta(r->batch[j]), 32);
        check_field(vector, "batch_data", r->data[j].data, r->data[j].len);
        check_shares(vector, r, "k", j);
        check_shares(vector, r, "a", j);
    }
}

/* ---- signature ---- */

static mpc_request request_of(const json_t *vector, const protocol_run *r, const tdsa_buf *payload)
{
    mpc_request q = run_request(r, (uint32_t)number(vector, "index"), payload->data, payload->len);
    const json_t *path = get(vector, "path");

    q.low_s = number(vector, "low_s") == 1;
    assert_true(tdsa_hash_by_name(&q.digest_alg, json_string_value(get(vector, "digest_alg"))));
    q.path_len = (uint16_t)json_array_size(path);
    for (uint16_t i = 0; i < q.path_len; i++) {
        q.path[i] = (uint32_t)json_integer_value(json_array_get(path, i));
    }
    return q;
}

static void check_context(const json_t *vector, const protocol_run *r, const mpc_context *ctx)
{
    check_field(vector, "T", ctx->transcript, 64);
    check_field(vector, "T0", ctx->prepared, r->policy.prepare ? sizeof ctx->prepared : 0);
    check_scalar(r->g, "h", json_string_value(get(vector, "h")), &ctx->h);
    check_scalar(r->g, "delta", json_string_value(get(vector, "delta")), &ctx->delta);
    check_scalar(r->g, "r", json_string_value(get(vector, "r")), &ctx->r);
    check_scalar(r->g, "epsilon", json_string_value(get(vector, "epsilon")), &ctx->epsilon);
    check_point(r->g, "Y_final", json_string_value(get(vector, "Y_final")), &ctx->y_final);
}

static void check_signature(const json_t *vector, protocol_run *r)
{
    TDSA_SCOPED_BUF payload = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF q_bytes = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    mpc_request q;
    mpc_signature sig;
    grp_scalar sig_r;
    grp_scalar sig_s;
    mpc_context ctx;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&payload, json_string_value(get(vector, "payload")), &err),
                     TDSA_OK);
    q = request_of(vector, r, &payload);
    mpc_request_encode(&q_bytes, &q);
    check_field(vector, "Q", q_bytes.data, q_bytes.len);
    assert_int_equal(run_sign(r, &q, &sig, &ctx, &err), TDSA_OK);
    check_context(vector, r, &ctx);
    for (size_t a = 0; a < r->committee_count; a++) {
        check_pads(vector, r, r->committee[a], &ctx, "mu");
        check_pads(vector, r, r->committee[a], &ctx, "nu");
    }
    run_ecdsa_split(r->g, &sig_r, &sig_s, &sig);
    check_scalar(r->g, "r", json_string_value(get(vector, "r")), &sig_r);
    check_scalar(r->g, "s", json_string_value(get(vector, "s")), &sig_s);
    assert_int_equal(sig.recovery_id, number(vector, "recovery_id"));
    memcpy(digest, payload.data, payload.len < sizeof digest ? payload.len : sizeof digest);
    if (r->policy.purpose == MPC_PURPOSE_MESSAGE) {
        assert_int_equal(tdsa_hash(digest, q.digest_alg, payload.data, payload.len, &err), TDSA_OK);
    }
    assert_true(
        run_openssl_verifies(r->g, &ctx.y_final, digest, tdsa_hash_len(q.digest_alg), &sig));
}

/* ---- whole runs ---- */

static void set_up(protocol_run *r, const json_t *vector)
{
    grp_curve curve = GRP_P256;

    assert_true(grp_curve_by_name(&curve, json_string_value(get(vector, "curve"))));
    run_init(r, curve, (uint16_t)number(vector, "n"), (uint16_t)number(vector, "t"),
             json_string_value(get(vector, "seed")));
    r->count = (uint32_t)number(vector, "count");
    r->compressed_wire = number(vector, "form") == 0;
    r->policy.low_s = number(vector, "low_s") == 1;
    r->policy.prepare = number(vector, "prepare") == 1;
    r->policy.max_path = (uint32_t)number(vector, "max_path");
    r->policy.rate = (uint32_t)number(vector, "rate");
    r->policy.prefix_len = (uint32_t)json_array_size(get(vector, "prefix"));
    for (size_t i = 0; i < r->policy.prefix_len; i++) {
        r->policy.prefix[i] =
            (uint32_t)json_integer_value(json_array_get(get(vector, "prefix"), i));
    }
    if (strcmp(json_string_value(get(vector, "purpose")), "message") == 0) {
        r->policy.purpose = MPC_PURPOSE_MESSAGE;
    }
    if (strcmp(json_string_value(get(vector, "derivation")), "bip32") == 0) {
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
    check_policy(vector, &r);
    assert_int_equal(run_keygen(&r, json_string_value(get(vector, "key_id"))), r.n);
    for (uint16_t j = 0; j < r.n; j++) {
        check_key(vector, &r, j);
    }
    check_kappas(vector, &r);
    assert_int_equal(
        run_presign(&r, (uint64_t)number(vector, "lane"), (uint64_t)number(vector, "seq")),
        r.committee_count);
    check_batch(vector, &r);
    check_signature(vector, &r);
    assert_int_equal(c.seen[STEP_KEYGEN], (size_t)MPC_KEYGEN_ROUNDS * r.n * (r.n - 1u));
    assert_int_equal(c.seen[STEP_PRESIGN],
                     (size_t)MPC_PRESIGN_ROUNDS * r.committee_count * (r.committee_count - 1u));
    assert_int_equal(c.seen[STEP_REPLY], r.committee_count);
    assert_int_equal(c.seen[STEP_PREPARE], r.policy.prepare ? r.committee_count : 0);
    run_clear(&r);
}

static void every_value_is_the_models(void **state)
{
    json_error_t why;
    json_t *file = json_load_file(TDSA_TESTS_DIR "/vectors/protocol/bplus.json", 0, &why);
    const json_t *vector = NULL;
    size_t i = 0;

    (void)state;
    assert_non_null(file);
    assert_true(json_array_size(get(file, "runs")) >= 5);
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
