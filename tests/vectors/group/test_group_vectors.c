#include "../../unit/group/group_test.h"

#include <jansson.h>

#include "group/prss.h"

/* sharing.json holds values of the reference model of the protocol; make_sharing.py makes it. */

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    assert_non_null(s);
    return s;
}

static size_t index_list(uint16_t *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        out[i] = (uint16_t)json_integer_value(json_array_get(list, i));
    }
    return json_array_size(list);
}

static void assert_scalar(const grp *g, const grp_scalar *got, const char *hex)
{
    const grp_scalar expect = scalar_from_hex(g, hex);

    assert_true(grp_scalar_equal(g, got, &expect));
}

/* One case of the file with its committee. */
typedef struct {
    const json_t *json;
    grp *g;
    size_t t;
    uint16_t committee[GRP_PARTIES_MAX];
    size_t count;
    uint8_t beta[32];
    uint8_t transcript[64];
} vector_case;

static void read_case(vector_case *v, const json_t *json)
{
    grp_curve curve = GRP_P256;
    tdsa_err err;

    v->json = json;
    assert_true(grp_curve_by_name(&curve, text(json, "curve")));
    assert_int_equal(grp_open(&v->g, curve, &err), TDSA_OK);
    v->t = (size_t)json_integer_value(json_object_get(json, "t"));
    v->count = index_list(v->committee, json_object_get(json, "committee"));
    from_hex(v->beta, 32, text(json, "beta"));
    from_hex(v->transcript, 64, text(json, "transcript"));
}

static void check_sharing(const vector_case *v, const json_t *members)
{
    grp_poly f = {.degree = v->t};
    grp_scalar lambda[GRP_PARTIES_MAX];
    grp_point commitment[GRP_THRESHOLD_MAX + 1];
    tdsa_err err;

    for (size_t m = 0; m <= v->t; m++) {
        f.coeff[m] = scalar_from_hex(
            v->g, json_string_value(json_array_get(json_object_get(v->json, "coeff"), m)));
    }
    assert_int_equal(grp_poly_commit(v->g, commitment, &f, &err), TDSA_OK);
    for (size_t m = 0; m <= v->t; m++) {
        const size_t len = grp_get_info(v->g)->point_len;
        uint8_t got[GRP_POINT_LEN_MAX];
        uint8_t expect[GRP_POINT_LEN_MAX];

        grp_point_encode(v->g, got, &commitment[m]);
        from_hex(expect, len,
                 json_string_value(json_array_get(json_object_get(v->json, "commitments"), m)));
        assert_memory_equal(got, expect, len);
    }
    grp_lagrange(v->g, lambda, v->committee, v->count);
    for (size_t i = 0; i < v->count; i++) {
        const json_t *member = json_array_get(members, i);
        grp_scalar share;

        assert_scalar(v->g, &lambda[i], text(member, "lam"));
        grp_poly_eval(v->g, &share, &f, v->committee[i]);
        assert_scalar(v->g, &share, text(member, "share"));
    }
}

static void check_factors(const vector_case *v, const json_t *member, uint16_t me)
{
    const json_t *list = json_object_get(member, "factors");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        grp_set set;
        grp_scalar f;

        set.count = (uint16_t)index_list(set.member, json_object_get(entry, "set"));
        grp_set_factor(v->g, &f, &set, v->committee, v->count, me);
        assert_scalar(v->g, &f, text(entry, "f"));
    }
}

static void check_prss(const vector_case *v, const json_t *member, uint16_t me, const char *name)
{
    const json_t *sets = json_object_get(v->json, "sets");
    const json_t *indices = json_object_get(v->json, "indices");
    const json_t *expect = json_object_get(json_object_get(member, "prss"), name);
    grp_set_key keys[GRP_MY_SETS_MAX];
    grp_prss_cfg cfg = {.keys = keys,
                        .committee = v->committee,
                        .committee_count = v->count,
                        .me = me,
                        .name = name,
                        .beta = v->beta};
    grp_prss *p = NULL;
    tdsa_err err;

    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *entry = json_array_get(sets, i);
        grp_set set;

        set.count = (uint16_t)index_list(set.member, json_object_get(entry, "set"));
        if (grp_set_has(&set, me)) {
            assert_true(cfg.key_count < GRP_MY_SETS_MAX);
            keys[cfg.key_count].set = set;
            from_hex(keys[cfg.key_count].key, 32, text(entry, "key"));
            cfg.key_count++;
        }
    }
    assert_int_equal(grp_prss_new(&p, v->g, &cfg, &err), TDSA_OK);
    assert_true(json_array_size(expect) > 0);
    for (size_t i = 0; i < json_array_size(expect); i++) {
        grp_scalar share;

        assert_int_equal(grp_prss_shares(p, &share,
                                         (uint64_t)json_integer_value(json_array_get(indices, i)),
                                         1, &err),
                         TDSA_OK);
        assert_scalar(v->g, &share, json_string_value(json_array_get(expect, i)));
    }
    grp_prss_free(p);
}

static void pair_key(const vector_case *v, uint8_t out[32], uint16_t a, uint16_t b)
{
    const json_t *pairs = json_object_get(v->json, "pairs");

    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *entry = json_array_get(pairs, i);
        uint16_t set[2];

        (void)index_list(set, json_object_get(entry, "set"));
        if ((set[0] == a && set[1] == b) || (set[0] == b && set[1] == a)) {
            from_hex(out, 32, text(entry, "key"));
        }
    }
}

static void check_pads(const vector_case *v, const json_t *member, uint16_t me)
{
    static const char *const words[] = {"mu", "nu", "z"};
    uint8_t keys[GRP_PARTIES_MAX][32];
    tdsa_err err;

    memset(keys, 0, sizeof keys);
    for (size_t i = 0; i < v->count; i++) {
        pair_key(v, keys[i], me, v->committee[i]);
    }
    for (size_t w = 0; w < 3; w++) {
        const grp_pad_cfg cfg = {.committee = v->committee,
                                 .committee_count = v->count,
                                 .me = me,
                                 .pair_keys = (const uint8_t(*)[32])keys,
                                 .word = words[w],
                                 .transcript = v->transcript};
        grp_scalar pad;

        assert_int_equal(grp_pad(v->g, &pad, &cfg, &err), TDSA_OK);
        assert_scalar(v->g, &pad, text(json_object_get(member, "pads"), words[w]));
    }
}

static void check_hash(const vector_case *v)
{
    TDSA_SCOPED_BUF fields = TDSA_BUF_EMPTY;
    grp_scalar s;
    tdsa_err err;

    tdsa_stmt_octets(&fields, v->transcript, 64);
    assert_int_equal(grp_hash_to_scalar(v->g, &s, "delta", fields.data, fields.len, &err), TDSA_OK);
    assert_scalar(v->g, &s, text(v->json, "h2s"));
}

static void every_value_agrees_with_the_reference_model(void **state)
{
    json_error_t why;
    json_t *cases = json_load_file(TDSA_TESTS_DIR "/vectors/group/sharing.json", 0, &why);

    (void)state;
    assert_non_null(cases);
    assert_true(json_array_size(cases) >= 9);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        vector_case v = {.t = 0};
        const json_t *members = NULL;

        read_case(&v, json_array_get(cases, i));
        members = json_object_get(v.json, "members");
        assert_int_equal(json_array_size(members), v.count);
        check_hash(&v);
        check_sharing(&v, members);
        for (size_t j = 0; j < v.count; j++) {
            const json_t *member = json_array_get(members, j);

            check_factors(&v, member, v.committee[j]);
            check_prss(&v, member, v.committee[j], "k");
            check_prss(&v, member, v.committee[j], "a");
            check_pads(&v, member, v.committee[j]);
        }
        grp_close(v.g);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_agrees_with_the_reference_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
