#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/encode.h"
#include "base/hash.h"
#include "support/recovery_kit.h"

/* Recovery infos of the C code against tests/model/recovery.py, value by value. */

static recovery_kit kit;

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

static const char *text(const json_t *o, const char *name)
{
    return json_string_value(get(o, name));
}

static void check_hex(const json_t *o, const char *name, const void *got, size_t len)
{
    char *hex = test_malloc(2 * len + 1);

    tdsa_hex(hex, got, len);
    if (strcmp(hex, text(o, name)) != 0) {
        fail_msg("%s: %s, the model has %s", name, hex, text(o, name));
    }
    test_free(hex);
}

static void check_digest(const json_t *o, const char *name, const void *got, size_t len)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;

    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, got, len, &err), TDSA_OK);
    check_hex(o, name, digest, 32);
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

/* The key of a vector, with its reshares. */
static void make_key(protocol_run *r, const json_t *v)
{
    const json_t *step = NULL;
    size_t i = 0;
    mpc_scheme scheme;
    grp_curve curve;

    assert_true(grp_curve_by_name(&curve, text(v, "curve")));
    assert_true(mpc_scheme_by_name(&scheme, text(v, "scheme")));
    run_init_scheme(r, curve, scheme, number(v, "n"), number(v, "first_t"), text(v, "seed"));
    r->policy.reshare = scheme == MPC_SCHEME_ECDSA;
    assert_int_equal(run_keygen(r, text(v, "key_id")), r->n);
    json_array_foreach(get(v, "reshares"), i, step)
    {
        run_reshare_spec s = {.t = number(step, "t")};

        s.dealer_count = read_list(get(step, "dealers"), s.dealers);
        s.n = read_list(get(step, "members"), s.members);
        assert_true(run_reshare(r, &s) >= s.n);
    }
}

static void check_info(const json_t *one, protocol_run *r, const char *aux, tdsa_buf *bytes,
                       mpc_recovery_info *info)
{
    const uint16_t j = number(one, "index");
    tdsa_err err;

    recovery_kit_make(bytes, r, j, kit.cert, aux);
    assert_int_equal(mpc_recovery_decode(info, r->g, bytes->data, bytes->len, &err), TDSA_OK);
    assert_int_equal(info->index, j);
    check_digest(one, "cc_sealed", info->cc_sealed, info->sealed_len);
    check_hex(one, "challenge", info->challenge, MPC_RECOVERY_REPETITIONS / 8);
    check_digest(one, "opened", info->opened, MPC_RECOVERY_REPETITIONS * (info->value_len + 32));
    check_digest(one, "kept", info->kept, MPC_RECOVERY_REPETITIONS * info->sealed_len);
    check_digest(one, "info", bytes->data, bytes->len);
    assert_int_equal(bytes->len, number(one, "info_len"));
}

static void check_recovery(const json_t *v, const protocol_run *r, const mpc_recovery_info *infos)
{
    mpc_recovery_verdict verdicts[GRP_PARTIES_MAX];
    mpc_recovery_info chosen[GRP_PARTIES_MAX];
    uint16_t from[GRP_PARTIES_MAX];
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);
    mpc_recovery_asked asked = {r->g, chosen, read_list(get(v, "recovered_from"), from), NULL};
    mpc_recovered out;
    tdsa_err err;

    for (size_t i = 0; i < asked.count; i++) {
        chosen[i] = infos[from[i]];
    }
    assert_int_equal(mpc_recovery_recover(&out, verdicts, &asked, &opener, &err), TDSA_OK);
    check_hex(v, "recovered", tdsa_secret_view(out.x), tdsa_secret_len(out.x));
    assert_true(out.has_cc);
    check_hex(v, "cc", out.cc, sizeof out.cc);
    mpc_recovered_clear(&out);
}

static void check_run(const json_t *v)
{
    static mpc_recovery_info infos[GRP_PARTIES_MAX];
    static tdsa_buf bytes[GRP_PARTIES_MAX];
    TDSA_SCOPED_BUF aux = TDSA_BUF_EMPTY;
    protocol_run r;
    const json_t *one = NULL;
    size_t i = 0;
    tdsa_err err;

    make_key(&r, v);
    assert_int_equal(tdsa_hex_decode(&aux, text(v, "aux"), &err), TDSA_OK);
    tdsa_buf_append_u8(&aux, 0);
    json_array_foreach(get(v, "infos"), i, one)
    {
        const uint16_t j = number(one, "index");
        mpc_recovery_info *info = &infos[j];

        check_info(one, &r, (const char *)aux.data, &bytes[j], info);
        check_hex(v, "context", info->context_bytes, info->context_len);
        check_hex(v, "certificate", info->certificate, 32);
        assert_int_equal(mpc_recovery_verify_vartime(info, r.g, kit.cert, &err), TDSA_OK);
    }
    check_recovery(v, &r, infos);
    for (size_t j = 0; j < GRP_PARTIES_MAX; j++) {
        tdsa_buf_clear(&bytes[j]);
    }
    run_clear(&r);
}

static void every_value_of_an_info_is_the_models(void **state)
{
    json_error_t why;
    json_t *file = json_load_file(TDSA_TESTS_DIR "/vectors/protocol/recovery.json", 0, &why);
    const json_t *runs = json_object_get(file, "runs");

    (void)state;
    assert_true(json_array_size(runs) >= 6);
    recovery_kit_open(&kit);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        check_run(json_array_get(runs, i));
    }
    recovery_kit_close(&kit);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_an_info_is_the_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
