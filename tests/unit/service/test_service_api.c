#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/route.h"
#include "api_rig.h"
#include "base/encode.h"
#include "group/group.h"

static void a_key_is_registered_generated_shown_and_deleted(void **state)
{
    rig r;
    test_answer a;
    json_t *o;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    test_json(&a, r.port, "POST", "/v1/keys",
              "{\"keyId\":\"k1\",\"curve\":\"P-256\",\"label\":\"Inv\\u00f6ices\"}");
    assert_int_equal(a.status, 201);
    o = answer_object(&a);
    assert_string_equal(text_of(o, "state"), "REGISTERED");
    assert_null(json_object_get(o, "publicKey"));
    assert_int_equal(json_integer_value(json_object_get(o, "presignatureLimit")), 100);
    json_decref(o);

    test_json(&a, r.port, "POST", "/v1/keys/k1/share", NULL);
    assert_int_equal(a.status, 200);
    o = answer_object(&a);
    assert_string_equal(text_of(o, "state"), "ACTIVE");
    assert_int_equal(strlen(text_of(o, "publicKey")), 66);
    json_decref(o);
    test_json(&a, r.port, "POST", "/v1/keys/k1/share", "{}");
    expect_error(&a, 409, "KEY_ACTIVE", NULL);

    test_json(&a, r.port, "GET", "/v1/keys/k1", NULL);
    assert_int_equal(a.status, 200);
    test_json(&a, r.port, "DELETE", "/v1/keys/k1?graceSeconds=soon", NULL);
    expect_error(&a, 400, "INVALID_QUERY", "graceSeconds");
    test_json(&a, r.port, "DELETE", "/v1/keys/k1", NULL);
    assert_int_equal(a.status, 202);
    o = answer_object(&a);
    assert_string_equal(text_of(o, "state"), "DELETED");
    assert_string_equal(text_of(o, "keyId"), "k1");
    assert_int_equal(json_array_size(json_object_get(o, "pending")), 0);
    json_decref(o);
    test_json(&a, r.port, "GET", "/v1/keys/k1", NULL);
    expect_error(&a, 410, "DELETED", NULL);
    test_json(&a, r.port, "GET", "/v1/keys/nowhere", NULL);
    expect_error(&a, 404, "NOT_FOUND", NULL);
    test_json(&a, r.port, "GET", "/v1/keys/no%20where", NULL);
    expect_error(&a, 404, "NOT_FOUND", NULL);
    rig_stop(&r);
}

static void verify(const char *curve_name, const char *key_hex, const char *r_hex,
                   const char *s_hex, const char *digest_hex)
{
    TDSA_SCOPED_BUF key = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF rb = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sb = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF digest = TDSA_BUF_EMPTY;
    grp_curve curve;
    grp *g;
    grp_point y;
    grp_scalar h, rs, ss;
    tdsa_err err;

    assert_true(grp_curve_by_name(&curve, curve_name));
    assert_int_equal(grp_open(&g, curve, &err), TDSA_OK);
    assert_int_equal(tdsa_hex_decode(&key, key_hex, &err), TDSA_OK);
    assert_int_equal(tdsa_hex_decode(&rb, r_hex, &err), TDSA_OK);
    assert_int_equal(tdsa_hex_decode(&sb, s_hex, &err), TDSA_OK);
    assert_int_equal(tdsa_hex_decode(&digest, digest_hex, &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, &y, key.data, key.len, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &rs, rb.data, rb.len, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, &ss, sb.data, sb.len, &err), TDSA_OK);
    grp_digest_to_scalar(g, &h, digest.data, digest.len);
    assert_true(grp_ecdsa_verify_vartime(g, &y, &h, &rs, &ss));
    grp_close(g);
}

static void a_signature_verifies_under_the_public_key_of_the_answer(void **state)
{
    static const char *const curves[] = {"P-256", "secp256k1"};
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    for (size_t i = 0; i < 2; i++) {
        char body[128];
        json_t *o;

        (void)snprintf(body, sizeof body, "{\"keyId\":\"k%zu\",\"curve\":\"%s\"}", i, curves[i]);
        rig_make_key(&r, body);
        (void)snprintf(body, sizeof body, "/v1/keys/k%zu/sign", i);
        test_json(&a, r.port, "POST", body, "{\"hash\":\"" DIGEST "\",\"algorithm\":\"SHA-256\"}");
        assert_int_equal(a.status, 200);
        o = answer_object(&a);
        verify(curves[i], text_of(o, "publicKey"), text_of(o, "r"), text_of(o, "s"), DIGEST);
        assert_string_equal(text_of(o, "encoding"), "der");
        assert_int_equal(strncmp(text_of(o, "signature"), "30", 2), 0);
        assert_non_null(json_object_get(o, "recoveryId"));
        assert_non_null(strstr(a.head, text_of(o, "sessionId"))); /* header Session-Id */
        json_decref(o);
        test_json(&a, r.port, "POST", body, "{\"hash\":\"" DIGEST "\",\"encoding\":\"rs\"}");
        assert_int_equal(a.status, 200);
        o = answer_object(&a);
        assert_int_equal(strlen(text_of(o, "signature")), 128);
        assert_int_equal(strncmp(text_of(o, "signature"), text_of(o, "r"), 64), 0);
        json_decref(o);
    }
    rig_stop(&r);
}

static void a_message_key_takes_messages_and_a_digest_key_takes_digests(void **state)
{
    rig r;
    test_answer a;
    json_t *o;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"m\",\"curve\":\"P-256\",\"purpose\":\"message\"}");
    rig_make_key(&r, "{\"keyId\":\"d\",\"curve\":\"P-256\",\"derivation\":\"none\"}");
    test_json(&a, r.port, "POST", "/v1/keys/m/sign", "{\"message\":\"dGVzdA==\"}");
    assert_int_equal(a.status, 200);
    o = answer_object(&a); /* sha256("test") is DIGEST */
    verify("P-256", text_of(o, "publicKey"), text_of(o, "r"), text_of(o, "s"), DIGEST);
    json_decref(o);
    test_json(&a, r.port, "POST", "/v1/keys/m/sign", "{\"hash\":\"" DIGEST "\"}");
    expect_error(&a, 422, "INVALID_FIELD", "signs messages");
    test_json(&a, r.port, "POST", "/v1/keys/m/sign", "{}");
    expect_error(&a, 422, "MISSING_FIELD", "message");
    test_json(&a, r.port, "POST", "/v1/keys/m/sign", "{\"message\":\"a*b\"}");
    expect_error(&a, 422, "INVALID_FIELD", "base64");
    test_json(&a, r.port, "POST", "/v1/keys/d/sign", "{\"message\":\"dGVzdA==\"}");
    expect_error(&a, 422, "MISSING_FIELD", "hash");
    test_json(&a, r.port, "POST", "/v1/keys/d/sign",
              "{\"hash\":\"" DIGEST "\",\"message\":\"dGVzdA==\"}");
    expect_error(&a, 422, "INVALID_FIELD", "send hash");
    test_json(&a, r.port, "POST", "/v1/keys/d/sign",
              "{\"hash\":\"" DIGEST "\",\"algorithm\":\"SHA-384\"}");
    expect_error(&a, 422, "INVALID_FIELD", "length");
    test_json(&a, r.port, "POST", "/v1/keys/d/sign", "{\"hash\":\"" DIGEST "\",\"path\":\"m/1\"}");
    expect_error(&a, 422, "NO_DERIVATION", NULL);
    test_json(&a, r.port, "POST", "/v1/keys/d/sign", "{\"hash\":\"" DIGEST "\",\"path\":\"1/2\"}");
    expect_error(&a, 422, "INVALID_FIELD", "m/44");
    test_json(&a, r.port, "GET", "/v1/keys/d/public-key?path=m/7", NULL);
    expect_error(&a, 422, "NO_DERIVATION", NULL);
    rig_stop(&r);
}

/* The error of one item; its fields are those of a failure of the whole. */
static void expect_item_error(const json_t *item, int code, const char *name, const char *message)
{
    const json_t *error = json_object_get(item, "error");

    assert_non_null(error);
    assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
    assert_string_equal(text_of(error, "error"), name);
    assert_non_null(strstr(text_of(error, "message"), message));
    assert_null(json_object_get(item, "signature"));
}

static void a_batch_answers_each_item_on_its_own(void **state)
{
    rig r;
    test_answer a;
    json_t *o;
    const json_t *list;
    const json_t *item;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\",\"derivation\":\"none\"}");
    test_json(&a, r.port, "POST", "/v1/keys/k/sign-batch",
              "{\"items\":[{\"hash\":\"" DIGEST "\"},{\"message\":\"dGVzdA==\"},"
              "{\"hash\":\"" DIGEST "\",\"algorithm\":\"SHA-384\"},"
              "{\"hash\":\"" DIGEST "\",\"path\":\"m/1\"},"
              "{\"hash\":\"" DIGEST "\",\"encoding\":\"raw\"},"
              "{\"hash\":\"" DIGEST "\",\"encoding\":\"rs\",\"lowS\":true}]}");
    assert_int_equal(a.status, 200);
    o = answer_object(&a);
    assert_string_equal(text_of(o, "keyId"), "k");
    list = json_object_get(o, "results");
    assert_int_equal(json_array_size(list), 6);
    item = json_array_get(list, 0);
    verify("P-256", text_of(item, "publicKey"), text_of(item, "r"), text_of(item, "s"), DIGEST);
    assert_string_equal(text_of(item, "encoding"), "der");
    expect_item_error(json_array_get(list, 1), 422, "MISSING_FIELD", "hash");
    expect_item_error(json_array_get(list, 2), 422, "INVALID_FIELD", "length");
    expect_item_error(json_array_get(list, 3), 422, "NO_DERIVATION", "without derivation");
    expect_item_error(json_array_get(list, 4), 422, "INVALID_FIELD", "der or rs");
    item = json_array_get(list, 5);
    verify("P-256", text_of(item, "publicKey"), text_of(item, "r"), text_of(item, "s"), DIGEST);
    assert_string_equal(text_of(item, "encoding"), "rs");
    json_decref(o);
    test_json(&a, r.port, "POST", "/v1/keys/nobody/sign-batch",
              "{\"items\":[{\"hash\":\"" DIGEST "\"}]}");
    assert_int_equal(a.status, 404);
    rig_stop(&r);
}

static void the_public_key_comes_in_all_its_forms(void **state)
{
    rig r;
    test_answer a;
    json_t *o;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"secp256k1\"}");
    test_json(&a, r.port, "GET", "/v1/keys/k/public-key", NULL);
    assert_int_equal(a.status, 200);
    o = answer_object(&a);
    assert_int_equal(strlen(text_of(o, "compressed")), 66);
    assert_int_equal(strlen(text_of(o, "uncompressed")), 130);
    assert_int_equal(strncmp(text_of(o, "compressed") + 2, text_of(o, "uncompressed") + 2, 64), 0);
    assert_int_equal(strncmp(text_of(o, "spki"), "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE", 32), 0);
    assert_int_equal(strncmp(text_of(o, "pem"), "-----BEGIN PUBLIC KEY-----\nMFYw", 31), 0);
    json_decref(o);
    rig_stop(&r);
}

static void presignatures_are_made_all_or_none_counted_and_dropped(void **state)
{
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\",\"presignatureLimit\":5}");
    test_json(&a, r.port, "POST", "/v1/keys/k/presignatures", "{\"count\":6}");
    expect_error(&a, 409, "LIMIT", NULL);
    test_json(&a, r.port, "GET", "/v1/keys/k/presignatures", NULL);
    assert_string_equal(
        a.body,
        "{\"keyId\":\"k\",\"available\":0,\"leased\":0,\"used\":0,\"limit\":5,\"committees\":[]}");
    test_json(&a, r.port, "POST", "/v1/keys/k/presignatures", "{\"count\":5}");
    assert_string_equal(a.body, "{\"keyId\":\"k\",\"available\":5,\"leased\":0,\"used\":0,"
                                "\"limit\":5,\"committees\":[],\"made\":5}");
    test_json(&a, r.port, "DELETE", "/v1/keys/k/presignatures", NULL);
    assert_string_equal(a.body, "{\"keyId\":\"k\",\"dropped\":5}");
    rig_stop(&r);
}

/* The key of RFC 5915 in PEM, made by openssl for number 1. */
static void an_import_hands_the_key_to_the_engine(void **state)
{
    static const char body[] =
        "{\"keyId\":\"i\",\"derivation\":\"none\",\"signaturesPerMinute\":%u,\"privateKey\":\""
        "MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49AwEH\"}";
    static const char *const bad[] = {
        "{\"keyId\":\"i\"}", "{\"privateKey\":\"\"}", "{\"privateKey\":\"AAAA\"}",
        "{\"privateKey\":\"-----BEGIN ENCRYPTED PRIVATE KEY-----\\n\"}"};
    const part_import_spec *spec = NULL;
    const uint8_t *key = NULL;
    char text[512];
    size_t len = 0;
    test_answer a;
    rig r;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    (void)snprintf(text, sizeof text, body, 5u);
    test_json(&a, r.port, "POST", "/v1/keys:import", text);
    assert_int_equal(a.status, 201);
    spec = fake_engine_imported(&key, &len);
    assert_int_equal(spec->key.curve, GRP_P256);
    assert_int_equal(spec->key.policy.rate, 5);
    assert_int_equal(len, 32);
    assert_int_equal(key[31], 1);
    assert_int_equal(key[30], 0);
    assert_null(spec->chain_code);
    assert_int_equal(spec->public_key_len, 65);
    (void)snprintf(text, sizeof text, body, 7u);
    test_json(&a, r.port, "POST", "/v1/keys:import", text);
    assert_int_equal(a.status, 403);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_json(&a, r.port, "POST", "/v1/keys:import", bad[i]);
        assert_int_equal(a.status, 422);
    }
    rig_stop(&r);
}

static void a_reshare_takes_members_and_threshold(void **state)
{
    static const char *const bad[] = {"{\"members\":[0,1]}",   "{\"members\":[0,2,1]}",
                                      "{\"members\":[0,1,9]}", "{\"members\":\"all\"}",
                                      "{\"threshold\":0}",     "{\"threshold\":5}",
                                      "{\"member\":[0,1,2]}"};
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\"}");
    test_json(&a, r.port, "POST", "/v1/keys/k/reshare", "");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"keyId\":\"k\""));
    assert_int_equal(fake_engine_reshared()->member_count, 0);
    assert_int_equal(fake_engine_reshared()->t, 0);
    test_json(&a, r.port, "POST", "/v1/keys/k/reshare", "{\"members\":[0,2,4],\"threshold\":1}");
    assert_int_equal(a.status, 200);
    assert_int_equal(fake_engine_reshared()->member_count, 3);
    assert_int_equal(fake_engine_reshared()->members[2], 4);
    assert_int_equal(fake_engine_reshared()->t, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_json(&a, r.port, "POST", "/v1/keys/k/reshare", bad[i]);
        assert_true(a.status == 400 || a.status == 422);
    }
    test_json(&a, r.port, "POST", "/v1/keys/k/reshare", "{\"threshold\":4}");
    assert_int_equal(a.status, 403);
    test_json(&a, r.port, "POST", "/v1/keys/none/reshare", "");
    assert_int_equal(a.status, 404);
    rig_stop(&r);
}

static void an_export_takes_a_certificate_and_a_path(void **state)
{
    static const char cert[] =
        "\"certificate\":\"00000000000000000000000000000000000000000000000000000000000000fF\"";
    static const char *const bad[] = {"\"path\":\"m/1\"", "\"certificate\":\"00ff\"",
                                      "\"certificate\":\"zz\"", "\"certificate\":7"};
    char text[300];
    rig r;
    test_answer a;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    rig_make_key(&r, "{\"keyId\":\"k\",\"curve\":\"P-256\",\"exportable\":true}");
    test_json(&a, r.port, "GET", "/v1/keys/k", "");
    assert_non_null(strstr(a.body, "\"exportable\":true"));
    (void)snprintf(text, sizeof text, "{%s,\"path\":\"m/1/2\",\"validSeconds\":60}", cert);
    test_json(&a, r.port, "POST", "/v1/keys/k/export-approvals", text);
    assert_int_equal(a.status, 201);
    assert_non_null(strstr(a.body, "\"path\":\"m/1/2\""));
    assert_non_null(strstr(a.body, "\"expiresAt\":\"1970-01-01T00:01:00.000Z\""));
    assert_int_equal(fake_engine_exported()->certificate[31], 0xff);
    assert_int_equal(fake_engine_exported()->path_len, 2);
    (void)snprintf(text, sizeof text, "{%s}", cert);
    test_json(&a, r.port, "POST", "/v1/keys/k/export-approvals", text);
    assert_non_null(strstr(a.body, "\"expiresAt\":\"1970-01-01T00:15:00.000Z\""));
    test_json(&a, r.port, "POST", "/v1/keys/k/export", text);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"export\":true"));
    assert_int_equal(fake_engine_exported()->path_len, 0);
    (void)snprintf(text, sizeof text, "{%s,\"path\":\"m/1/2/3/4/5/6/7\"}", cert);
    test_json(&a, r.port, "POST", "/v1/keys/k/export", text);
    assert_int_equal(a.status, 403);
    assert_non_null(strstr(a.body, "\"error\":\"NOT_APPROVED\""));
    assert_non_null(strstr(a.body, "\"participantIndex\":2"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "{%s}", bad[i]);
        test_json(&a, r.port, "POST", "/v1/keys/k/export", text);
        assert_int_equal(a.status, 422);
    }
    (void)snprintf(text, sizeof text, "{%s,\"path\":\"m/2147483648\"}", cert);
    test_json(&a, r.port, "POST", "/v1/keys/k/export", text);
    assert_int_equal(a.status, 422);
    rig_stop(&r);
}

static void keys_are_listed_page_by_page(void **state)
{
    rig r;
    test_answer a;
    json_t *o;
    unsigned seen = 0;
    char target[160] = "/v1/keys?limit=3";

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    for (unsigned i = 0; i < 7; i++) {
        char body[80];

        (void)snprintf(body, sizeof body, "{\"keyId\":\"k%u\",\"curve\":\"P-256\"}", i);
        rig_make_key(&r, body);
    }
    test_json(&a, r.port, "POST", "/v1/keys", "{\"keyId\":\"half\",\"curve\":\"P-256\"}");
    assert_int_equal(a.status, 201);
    for (bool more = true; more;) {
        json_t *keys;

        test_json(&a, r.port, "GET", target, NULL);
        assert_int_equal(a.status, 200);
        o = answer_object(&a);
        keys = json_object_get(o, "keys");
        assert_true(json_array_size(keys) <= 3);
        seen += (unsigned)json_array_size(keys);
        more = json_object_get(o, "next") != NULL;
        if (more) {
            (void)snprintf(target, sizeof target, "/v1/keys?limit=3&after=%s", text_of(o, "next"));
        }
        json_decref(o);
    }
    assert_int_equal(seen, 7); /* the half-made key is not shown */
    test_json(&a, r.port, "GET", "/v1/keys?state=all", NULL);
    o = answer_object(&a);
    assert_int_equal(json_array_size(json_object_get(o, "keys")), 8);
    json_decref(o);
    rig_make_key(&r, "{\"keyId\":\"named\",\"curve\":\"P-256\",\"label\":\"of one\"}");
    test_json(&a, r.port, "GET", "/v1/keys?label=of%20one", NULL);
    o = answer_object(&a);
    assert_int_equal(json_array_size(json_object_get(o, "keys")), 1);
    json_decref(o);
    test_json(&a, r.port, "GET", "/v1/keys?limit=0", NULL);
    expect_error(&a, 400, "INVALID_QUERY", "limit");
    test_json(&a, r.port, "GET", "/v1/keys?limit=1001", NULL);
    expect_error(&a, 400, "INVALID_QUERY", "limit");
    test_json(&a, r.port, "GET", "/v1/keys?limit=3x", NULL);
    expect_error(&a, 400, "INVALID_QUERY", "limit");
    test_json(&a, r.port, "GET", "/v1/keys?state=PENDING", NULL);
    expect_error(&a, 400, "INVALID_QUERY", "state");
    rig_stop(&r);
}

/* "/v1/keys/{}/presignatures/{}" with the names of its holes */
static void documented_path(const char *pattern, char *out, size_t cap)
{
    static const char *const names[] = {"{keyId}", "{presignatureId}"};
    size_t used = 0;
    size_t hole = 0;

    for (const char *at = pattern; *at != '\0';) {
        const bool is_hole = strncmp(at, "{}", 2) == 0;

        used += (size_t)snprintf(out + used, cap - used, "%.*s", is_hole ? 20 : 1,
                                 is_hole ? names[hole] : at);
        hole += is_hole ? 1 : 0;
        at += is_hole ? 2 : 1;
    }
}

static void every_row_is_routed_and_documented(void **state)
{
    rig r;
    test_answer a;
    json_t *doc;

    (void)state;
    rig_start(&r, PEER_NO_CLIENT, 0);
    test_json(&a, r.port, "GET", "/openapi.json", NULL);
    assert_int_equal(a.status, 200);
    doc = answer_object(&a);
    assert_string_equal(text_of(doc, "openapi"), "3.0.3");
    for (size_t i = 0; i < SVC_OP_COUNT; i++) {
        const svc_row *row = &svc_rows[i];
        char path[128], section[64];

        assert_int_equal(row->op, i);
        assert_non_null(row->handler);
        assert_non_null(row->summary);
        documented_path(row->path, path, sizeof path);
        assert_non_null(json_object_get(json_object_get(doc, "paths"), path));
        test_json(&a, r.port, "GET", "/docs", NULL);
        assert_int_equal(a.status, 200);
        (void)snprintf(section, sizeof section, "<h2 id=\"%s\">", row->name);
        assert_non_null(strstr(a.body, section));
    }
    assert_null(strstr(a.body, "<script"));
    assert_non_null(strstr(a.head, "Content-Security-Policy: default-src 'none'"));
    json_decref(doc);
    rig_stop(&r);
}

static void examples_of_the_documentation_are_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < SVC_OP_COUNT; i++) {
        const svc_row *row = &svc_rows[i];
        json_t *o = json_object();
        const svc_shape shape = svc_row_shape(row);
        svc_body body;
        svc_body_fault fault;
        tdsa_err err;
        char *text;

        for (size_t k = 0; k < row->field_count; k++) {
            if (row->fields[k].example != NULL) {
                json_t *v = json_loads(row->fields[k].example, JSON_DECODE_ANY, NULL);

                assert_non_null(v);
                (void)json_object_set_new(o, row->fields[k].name, v);
            } else {
                assert_false(row->fields[k].required);
            }
        }
        text = json_dumps(o, 0);
        assert_int_equal(
            svc_body_read(&body, &shape, (const uint8_t *)text, strlen(text), &fault, &err),
            TDSA_OK);
        svc_body_clear(&body);
        free(text);
        json_decref(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_registered_generated_shown_and_deleted),
        cmocka_unit_test(a_signature_verifies_under_the_public_key_of_the_answer),
        cmocka_unit_test(a_message_key_takes_messages_and_a_digest_key_takes_digests),
        cmocka_unit_test(a_batch_answers_each_item_on_its_own),
        cmocka_unit_test(the_public_key_comes_in_all_its_forms),
        cmocka_unit_test(presignatures_are_made_all_or_none_counted_and_dropped),
        cmocka_unit_test(an_import_hands_the_key_to_the_engine),
        cmocka_unit_test(a_reshare_takes_members_and_threshold),
        cmocka_unit_test(an_export_takes_a_certificate_and_a_path),
        cmocka_unit_test(keys_are_listed_page_by_page),
        cmocka_unit_test(every_row_is_routed_and_documented),
        cmocka_unit_test(examples_of_the_documentation_are_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
