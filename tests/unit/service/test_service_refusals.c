#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/route.h"
#include "api_rig.h"

typedef struct {
    const char *target, *body;
    unsigned status;
    const char *code, *message;
} refusal;

static const refusal refusals[] = {
    {"/v1/keys", "", 422, "MISSING_FIELD", "curve is missing"},
    {"/v1/keys", "{}", 422, "MISSING_FIELD", "curve is missing"},
    {"/v1/keys", "[]", 400, "INVALID_JSON", "not a JSON object"},
    {"/v1/keys", "\"x\"", 400, "INVALID_JSON", NULL},
    {"/v1/keys", "{\"curve\":\"P-256\"", 400, "INVALID_JSON", "line 1"},
    {"/v1/keys", "{\"curve\":\"P-256\"} x", 400, "INVALID_JSON", NULL},
    {"/v1/keys", "{\"curve\":\"P-256\",\"curve\":\"P-256\"}", 400, "INVALID_JSON", "duplicate"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"x\":1}", 400, "UNKNOWN_FIELD", "\"x\""},
    {"/v1/keys", "{\"curve\":[[[[[[[[[[1]]]]]]]]]]}", 400, "INVALID_JSON", "deeper"},
    {"/v1/keys", "{\"curve\":\"P-257\"}", 422, "INVALID_FIELD", "\"P-256\", \"secp256k1\""},
    {"/v1/keys", "{\"curve\":256}", 422, "INVALID_FIELD", "curve"},
    {"/v1/keys", "{\"curve\":null}", 422, "INVALID_FIELD", "curve"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"keyId\":\"\"}", 422, "INVALID_FIELD", "keyId"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"keyId\":\"a b\"}", 422, "INVALID_FIELD", "keyId"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"keyId\":\".\"}", 422, "INVALID_FIELD", "keyId"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"keyId\":\"..\"}", 422, "INVALID_FIELD", "not . or .."},
    {"/v1/keys", "{\"curve\":\"P-256\",\"keyId\":\"a\\u0000b\"}", 400, "INVALID_JSON", NULL},
    {"/v1/keys", "{\"curve\":\"P-256\",\"label\":\"\xff\"}", 400, "INVALID_JSON", NULL},
    {"/v1/keys", "{\"curve\":\"P-256\",\"presignatureLimit\":1.5}", 422, "INVALID_FIELD",
     "presignatureLimit"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"presignatureLimit\":-2}", 422, "INVALID_FIELD",
     "integer of -1"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"presignatureLimit\":99999999999999999999}", 400,
     "INVALID_JSON", NULL},
    {"/v1/keys", "{\"curve\":\"P-256\",\"derivation\":\"slip10\"}", 422, "INVALID_FIELD",
     "derivation"},
    {"/v1/keys", "{\"curv\":\"P-256\"}", 400, "UNKNOWN_FIELD", "did you mean \"curve\"?"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"LowS\":true}", 400, "UNKNOWN_FIELD", "\"lowS\"?"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"lowS\":1}", 422, "INVALID_FIELD", "true or false"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"scheme\":\"rsa\"}", 422, "INVALID_FIELD", "bip340"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"scheme\":\"eddsa\"}", 422, "INVALID_FIELD",
     "does not go with the curve"},
    {"/v1/keys", "{\"curve\":\"Ed25519\",\"prepare\":true}", 422, "INVALID_FIELD",
     "prepare mode is for ecdsa keys"},
    {"/v1/keys", "{\"curve\":\"Ed25519\",\"scheme\":\"ecdsa\"}", 422, "INVALID_FIELD",
     "does not go with the curve"},
    {"/v1/keys", "{\"curve\":\"Ed25519\",\"purpose\":\"digest\"}", 422, "INVALID_FIELD",
     "purpose must be message"},
    {"/v1/keys", "{\"curve\":\"Ed25519\",\"digests\":[\"SHA-256\"]}", 422, "INVALID_FIELD",
     "for ecdsa keys"},
    {"/v1/keys", "{\"curve\":\"Ed25519\",\"lowS\":true}", 422, "INVALID_FIELD", "ecdsa"},
    {"/v1/keys", "{\"curve\":\"P-384\",\"derivation\":\"bip32\"}", 422, "INVALID_FIELD",
     "P-256 and secp256k1"},
    {"/v1/keys", "{\"curve\":\"P-384\",\"minPathLength\":1}", 422, "INVALID_FIELD",
     "path rules are for bip32"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"digests\":[]}", 422, "INVALID_FIELD", "one at least"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"digests\":\"SHA-256\"}", 422, "INVALID_FIELD", "a list"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"digests\":[\"SHA-256\",\"SHA-256\"]}", 422,
     "INVALID_FIELD", "without repetition"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"digests\":[\"MD5\"]}", 422, "INVALID_FIELD", "SHA-1"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"signaturesPerMinute\":1000001}", 422, "INVALID_FIELD",
     "0..1000000"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"maxPathLength\":51}", 422, "INVALID_FIELD", "0..50"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"minPathLength\":4,\"maxPathLength\":3}", 400, "BAD_INPUT",
     "at most 3"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"pathPrefix\":\"m/44'\"}", 422, "INVALID_FIELD", "m/44/0"},
    {"/v1/keys", "{\"curve\":\"P-256\",\"pathPrefix\":\"m/1/2/3/4/5/6/7/8/9\"}", 422,
     "INVALID_FIELD", "8 steps"},
    {"/v1/keys/k/sign", "{\"hash\":\"" DIGEST "\",\"encoding\":\"raw\"}", 422, "INVALID_FIELD",
     "der or rs"},
    {"/v1/keys/k/partial-signatures", "{\"hash\":\"" DIGEST "\"}", 422, "MISSING_FIELD",
     "presignatureId is missing"},
    {"/v1/keys/k/partial-signatures",
     "{\"hash\":\"" DIGEST "\",\"presignatureId\":\"" DIGEST "-1024\"}", 422, "INVALID_FIELD",
     "presignatureId must"},
    {"/v1/keys/k/partial-signatures", "{\"presignatureId\":\"" DIGEST "-0\"}", 422, "MISSING_FIELD",
     "hash is missing"},
    {"/v1/keys/k/partial-signatures",
     "{\"hash\":\"" DIGEST "\",\"presignatureId\":\"" DIGEST "-0\"}", 410, "EXPIRED", "long ago"},
    {"/v1/keys/k/combine", "{\"partials\":[]}", 422, "INVALID_FIELD", "1..16 strings"},
    {"/v1/keys/k/combine", "{\"partials\":[7]}", 422, "INVALID_FIELD", "base64"},
    {"/v1/keys/k/combine", "{\"partials\":[\"*\"]}", 422, "INVALID_FIELD", "base64"},
    {"/v1/keys/k/combine", "{\"partials\":[\"YQ==\"],\"encoding\":\"raw\"}", 422, "INVALID_FIELD",
     "der or rs"},
    {"/v1/keys/k/combine", "{\"partials\":[\"YQ==\"]}", 409, "PRESIGNATURE_USED", "by another"},
    {"/v1/keys/k/sign-batch", "{}", 422, "MISSING_FIELD", "items is missing"},
    {"/v1/keys/k/sign-batch", "{\"items\":[]}", 422, "INVALID_FIELD", "1..1000 objects"},
    {"/v1/keys/k/sign-batch", "{\"items\":{}}", 422, "INVALID_FIELD", "a list of"},
    {"/v1/keys/k/sign-batch", "{\"items\":[{\"hash\":\"" DIGEST "\"},7]}", 422, "INVALID_FIELD",
     "items[1] must be an object"},
    {"/v1/keys/k/sign-batch", "{\"items\":[{\"hash\":\"" DIGEST "\"},{\"hash\":\"xy\"}]}", 422,
     "INVALID_FIELD", "items[1].hash must be hex"},
    {"/v1/keys/k/sign-batch", "{\"items\":[{\"hahs\":\"" DIGEST "\"}]}", 400, "UNKNOWN_FIELD",
     "\"items[0].hahs\": did you mean \"hash\"?"},
    {"/v1/keys/k/sign-batch", "{\"items\":[{\"items\":[]}]}", 400, "UNKNOWN_FIELD",
     "items[0].items"},
    {"/v1/keys/k/sign", "{\"hash\":\"" DIGEST "\",\"taproot\":true}", 422, "INVALID_FIELD",
     "taproot"},
    {"/v1/keys/k/sign", "{\"hash\":\"" DIGEST "\",\"tapRot\":\"\"}", 400, "UNKNOWN_FIELD",
     "\"taproot\"?"},
    {"/v1/keys/k/share", "{\"x\":1}", 400, "UNKNOWN_FIELD", "\"x\""},
    {"/v1/keys/k/presignatures", "{}", 422, "MISSING_FIELD", "count"},
    {"/v1/keys/k/presignatures", "{\"count\":0}", 422, "INVALID_FIELD", "1..1000000"},
    {"/v1/keys/k/presignatures", "{\"count\":1000001}", 422, "INVALID_FIELD", "1..1000000"},
    {"/v1/keys/k/presignatures", "{\"count\":\"5\"}", 422, "INVALID_FIELD", "count"},
    {"/v1/keys/k/sign", "{}", 422, "MISSING_FIELD", "hash"},
    {"/v1/keys/k/sign", "{\"hash\":\"abc\"}", 422, "INVALID_FIELD", "hash"},
    {"/v1/keys/k/sign", "{\"hash\":\"zz" DIGEST "\"}", 422, "INVALID_FIELD", "hash"},
    {"/v1/keys/k/sign", "{\"hash\":\"" DIGEST "00\"}", 422, "INVALID_FIELD", "hash"},
    {"/v1/keys/k/sign", "{\"hash\":\"" DIGEST "\",\"encoding\":\"pem\"}", 422, "INVALID_FIELD",
     "encoding"},
};

static void bad_bodies_are_refused_with_the_name_of_the_field(void **state)
{
    rig r;
    fake_calls calls;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\"}");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const refusal *c = &refusals[i];
        test_answer a;

        test_json(&a, r.port, "POST", c->target, c->body);
        expect_error(&a, c->status, c->code, c->message);
    }
    fake_engine_calls(r.engine, &calls);
    assert_int_equal(calls.registered, 1); /* nothing of it reached the engine */
    assert_int_equal(calls.signed_count, 0);
    rig_stop(&r);
}

static void wrong_type_method_and_path_are_refused(void **state)
{
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, (1u << SVC_GET) | (1u << SVC_POST));
    test_http(&a, r.port, "POST", "/v1/keys", "Content-Type: text/plain\r\n", "{}", 2);
    expect_error(&a, 415, "UNSUPPORTED_MEDIA_TYPE", NULL);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\"}");
    test_json(&a, r.port, "DELETE", "/v1/keys/k", NULL);
    expect_error(&a, 405, "METHOD_NOT_ALLOWED", NULL);
    test_json(&a, r.port, "PUT", "/v1/keys/k", NULL);
    assert_int_equal(a.status, 405);
    assert_non_null(strstr(a.head, "Allow:"));
    test_json(&a, r.port, "POST", "/protocol/round", NULL);
    assert_int_equal(a.status, 404);
    test_json(&a, r.port, "GET", "/metrics", NULL);
    assert_int_equal(a.status, 404);
    rig_stop(&r);
}

static void a_group_with_a_client_refuses_what_the_client_must_ask(void **state)
{
    static const struct {
        const char *method, *target, *body;
        unsigned status;
    } rows[] = {
        {"POST", "/v1/keys", "{\"curve\":\"P-256\"}", 409},
        {"POST", "/v1/keys:generate", "{\"curve\":\"P-256\"}", 409},
        {"POST", "/v1/keys/k/share", NULL, 409},
        {"POST", "/v1/keys/k/presignatures", "{\"count\":1}", 409},
        {"POST", "/v1/keys/k/sign", "{\"hash\":\"" DIGEST "\"}", 409},
        {"DELETE", "/v1/keys/k", NULL, 409},
        {"GET", "/v1/keys/k", NULL, 200},
        {"GET", "/v1/keys", NULL, 200},
        {"GET", "/v1/keys/k/public-key", NULL, 200},
        {"GET", "/v1/keys/k/presignatures", NULL, 200},
        {"DELETE", "/v1/keys/k/presignatures", NULL, 200},
    };
    rig r;
    part_key_spec spec;
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    rig_start(&r, 0, 0);
    memset(&spec, 0, sizeof spec);
    spec.key_id = "k"; /* as the client would have made it */
    spec.curve = GRP_P256;
    spec.policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    assert_int_equal(part_engine_register(r.engine, &spec, 0, key_id, &err), TDSA_OK);
    assert_int_equal(part_engine_generate(r.engine, "k", 0, &err), TDSA_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_answer a;

        test_json(&a, r.port, rows[i].method, rows[i].target, rows[i].body);
        if (rows[i].status == 409) {
            expect_error(&a, 409, "CLIENT_PARTICIPATES", NULL);
        } else {
            assert_int_equal(a.status, rows[i].status);
        }
    }
    rig_stop(&r);
}

static void an_error_of_the_engine_keeps_its_name_and_participant(void **state)
{
    rig r;
    test_answer a;
    json_t *o;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\"}");
    fake_engine_fail_next(r.engine, TDSA_E_UNAVAILABLE, 2, "participant 2 refuses connections");
    test_json(&a, r.port, "POST", "/v1/keys/k/presignatures", "{\"count\":1}");
    expect_error(&a, 503, "UNAVAILABLE", "refuses connections");
    assert_non_null(strstr(a.head, "Retry-After: 1"));
    o = answer_object(&a);
    assert_int_equal(json_integer_value(json_object_get(o, "participantIndex")), 2);
    json_decref(o);
    fake_engine_fail_next(r.engine, TDSA_E_CONFLICT, TDSA_NOBODY,
                          "CLIENT_PARTICIPATES: ask the client");
    test_json(&a, r.port, "POST", "/v1/keys/k/presignatures", "{\"count\":1}");
    expect_error(&a, 409, "CLIENT_PARTICIPATES", NULL);
    fake_engine_fail_next(r.engine, TDSA_E_STORE, TDSA_NOBODY, "half a letter \xc3");
    test_json(&a, r.port, "GET", "/v1/keys", NULL);
    expect_error(&a, 503, "STORE", "half a letter ?");
    assert_non_null(strstr(a.head, "Retry-After: 1"));
    test_json(&a, r.port, "POST", "/v1/keys", "{\"keyId\":\"h\",\"curve\":\"P-256\"}");
    test_json(&a, r.port, "POST", "/v1/keys/h/sign", "{\"hash\":\"" DIGEST "\"}");
    expect_error(&a, 409, "KEY_NOT_ACTIVE", NULL);
    rig_stop(&r); /* the observer may be a little later than the answer */
    assert_string_equal(r.last, "sign");
    assert_int_equal(r.seen, 409);
}

static void ids_of_session_and_request_come_back(void **state)
{
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    test_http(&a, r.port, "GET", "/v1/info",
              "Session-Id: session-0123456789\r\nX-Request-Id: req-7\r\n", "", 0);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Session-Id: session-0123456789"));
    assert_non_null(strstr(a.head, "X-Request-Id: req-7"));
    test_http(&a, r.port, "GET", "/v1/info", "Session-Id: short\r\n", "", 0);
    assert_null(strstr(a.head, "Session-Id"));
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_bodies_are_refused_with_the_name_of_the_field),
        cmocka_unit_test(wrong_type_method_and_path_are_refused),
        cmocka_unit_test(a_group_with_a_client_refuses_what_the_client_must_ask),
        cmocka_unit_test(an_error_of_the_engine_keeps_its_name_and_participant),
        cmocka_unit_test(ids_of_session_and_request_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
