#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "answers.h"
#include "api/api.h"
#include "base/encode.h"
#include "base/hash.h"
#include "support/cluster.h"
#include "support/recovery_kit.h"

/* The API of one server of a real group of three: what the stand-in of the other tests does not do. */

#define DIGEST "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" /* of "test" */

typedef struct {
    cluster group;
    svc_api *api;
    http_server *server;
    uint16_t port;
} rig;

static recovery_kit kit;
static const tdsa_rsa_cert *certificates[1];

static void with_certificate(part_engine_cfg *cfg)
{
    certificates[0] = kit.cert;
    cfg->ers = certificates;
    cfg->ers_count = 1;
}

static int set_up(void **state)
{
    static rig r;
    svc_api_cfg cfg;
    http_cfg http;
    tdsa_err err;

    memset(&r, 0, sizeof r);
    recovery_kit_open(&kit);
    cluster_start_as(&r.group, 3, 1, false, with_certificate);
    cfg = (svc_api_cfg){.engine = r.group.node[0].engine,
                        .version = "test",
                        .n = 3,
                        .t = 1,
                        .client_index = PEER_NO_CLIENT,
                        .may_generate = true,
                        .default_presignature_limit = -1,
                        .min_path = 1,
                        .min_path_xpub = 3,
                        .base_path = ""};
    assert_int_equal(svc_api_new(&r.api, &cfg, &err), TDSA_OK);
    http = (http_cfg){.name = "api",
                      .host = "127.0.0.1",
                      .model = HTTP_BLOCKING,
                      .body_max = 1u << 17,
                      .ctx = r.api,
                      .observer = svc_api_observe};
    http.routes = svc_api_routes(r.api, &http.route_count);
    assert_int_equal(http_server_start(&r.server, &http, &err), TDSA_OK);
    r.port = http_server_port(r.server);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig *r = *state;

    http_server_free(r->server);
    svc_api_free(r->api);
    cluster_stop(&r->group);
    recovery_kit_close(&kit);
    return 0;
}

static json_t *call(const rig *r, unsigned status, const char *method, const char *target,
                    const char *body)
{
    static test_answer a;

    test_json(&a, r->port, method, target, body);
    if (a.status != status) {
        fail_msg("%s %s: %u %s", method, target, a.status, a.body);
    }
    return status == 204 ? NULL : answer_object(&a);
}

static void call_fails(const rig *r, unsigned status, const char *code, const char *method,
                       const char *target, const char *body)
{
    static test_answer a;

    test_json(&a, r->port, method, target, body);
    expect_error(&a, status, code, NULL);
}

static void point_of(const grp *g, grp_point *out, const char *hex)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&b, hex, &err), TDSA_OK);
    assert_int_equal(grp_point_decode(g, out, b.data, b.len, &err), TDSA_OK);
}

static void scalar_of(const grp *g, grp_scalar *out, const char *hex)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&b, hex, &err), TDSA_OK);
    assert_int_equal(grp_scalar_decode(g, out, b.data, b.len, &err), TDSA_OK);
}

static void check_signature(const grp *g, json_t *answer, const grp_point *y)
{
    TDSA_SCOPED_BUF digest = TDSA_BUF_EMPTY;
    grp_scalar h;
    grp_scalar r;
    grp_scalar s;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&digest, DIGEST, &err), TDSA_OK);
    grp_digest_to_scalar(g, &h, digest.data, digest.len);
    scalar_of(g, &r, text_of(answer, "r"));
    scalar_of(g, &s, text_of(answer, "s"));
    assert_true(grp_ecdsa_verify_vartime(g, y, &h, &r, &s));
    assert_false(grp_scalar_is_high_vartime(g, &s));
}

static void derived_keys_sign_and_are_found_from_the_xpub(void **state)
{
    const rig *r = *state;
    const uint32_t last = 7;
    mpc_bip32_node node;
    grp_point y;
    grp *g = NULL;
    json_t *o;
    tdsa_err err;

    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    o = call(r, 201, "POST", "/v1/keys:generate", "{\"keyId\":\"d\",\"curve\":\"secp256k1\"}");
    assert_null(json_object_get(o, "publicKey")); /* the root is below the minimum */
    assert_int_equal(json_integer_value(json_object_get(o, "minPathLengthXPub")), 3);
    json_decref(o);
    o = call(r, 200, "GET", "/v1/keys/d/xpub?path=m/44/0/0", NULL);
    assert_string_equal(text_of(o, "path"), "m/44/0/0");
    assert_int_equal(
        mpc_bip32_xpub_decode(&node, g, text_of(o, "xpub"), strlen(text_of(o, "xpub")), &err),
        TDSA_OK);
    assert_int_equal(node.depth, 3);
    json_decref(o);
    assert_int_equal(mpc_bip32_walk_vartime(&node, g, &last, 1, false, &err), TDSA_OK);
    o = call(r, 200, "GET", "/v1/keys/d/public-key?path=m/44/0/0/7", NULL);
    point_of(g, &y, text_of(o, "compressed"));
    assert_true(grp_point_equal(g, &y, &node.y));
    json_decref(o);
    o = call(r, 200, "POST", "/v1/keys/d/sign",
             "{\"hash\":\"" DIGEST "\",\"path\":\"m/44/0/0/7\"}");
    check_signature(g, o, &y);
    json_decref(o);
    grp_close(g);
    call_fails(r, 403, "DENIED", "GET", "/v1/keys/d/xpub?path=m/44/0", NULL);
    call_fails(r, 403, "DENIED", "GET", "/v1/keys/d/public-key", NULL);
    call_fails(r, 403, "DENIED", "POST", "/v1/keys/d/sign", "{\"hash\":\"" DIGEST "\"}");
    call_fails(r, 400, "INVALID_QUERY", "GET", "/v1/keys/d/xpub?path=m/44'/0/0", NULL);
    call_fails(r, 400, "INVALID_QUERY", "GET", "/v1/keys/d/xpub?path=m/2147483648/0/0", NULL);
    json_decref(call(r, 201, "POST", "/v1/keys:generate",
                     "{\"keyId\":\"plain\",\"curve\":\"P-256\",\"derivation\":\"none\"}"));
    call_fails(r, 422, "NO_DERIVATION", "GET", "/v1/keys/plain/xpub", NULL);
}

static int64_t number_of(json_t *o, const char *name)
{
    assert_true(json_is_integer(json_object_get(o, name)));
    return json_integer_value(json_object_get(o, name));
}

static void presignatures_are_counted_limited_and_deleted(void **state)
{
    const rig *r = *state;
    char target[256];
    json_t *o;
    json_t *ranges;

    json_decref(call(r, 201, "POST", "/v1/keys:generate",
                     "{\"keyId\":\"p\",\"curve\":\"P-256\",\"derivation\":\"none\"}"));
    o = call(r, 200, "POST", "/v1/keys/p/presignatures", "{\"count\":5}");
    assert_int_equal(number_of(o, "available"), 5);
    assert_int_equal(number_of(o, "made"), 5);
    json_decref(o);
    o = call(r, 200, "GET", "/v1/keys/p/presignatures?ranges=10", NULL);
    ranges = json_object_get(o, "ranges");
    assert_int_equal(json_array_size(ranges), 1);
    assert_int_equal(number_of(json_array_get(ranges, 0), "count"), 5);
    assert_int_equal(json_array_size(json_object_get(json_array_get(ranges, 0), "members")), 3);
    (void)snprintf(target, sizeof target, "/v1/keys/p/presignatures/%s",
                   text_of(json_array_get(ranges, 0), "first"));
    json_decref(o);
    assert_null(call(r, 204, "DELETE", target, NULL));
    call_fails(r, 409, "CONFLICT", "DELETE", target, NULL);
    call_fails(r, 404, "NOT_FOUND", "DELETE", "/v1/keys/p/presignatures/xyz-1", NULL);
    o = call(r, 200, "PUT", "/v1/keys/p/presignature-limit", "{\"limit\":6}");
    assert_int_equal(number_of(o, "available"), 4);
    assert_int_equal(number_of(o, "limit"), 6);
    json_decref(o);
    call_fails(r, 409, "LIMIT", "POST", "/v1/keys/p/presignatures", "{\"count\":3}");
    call_fails(r, 422, "INVALID_FIELD", "PUT", "/v1/keys/p/presignature-limit", "{\"limit\":-2}");
    call_fails(r, 404, "NOT_FOUND", "PUT", "/v1/keys/x/presignature-limit", "{\"limit\":1}");
    call_fails(r, 400, "INVALID_QUERY", "GET", "/v1/keys/p/presignatures?ranges=0", NULL);
    call_fails(r, 400, "INVALID_QUERY", "GET", "/v1/keys/p/presignatures?ranges=5x", NULL);
    o = call(r, 200, "DELETE", "/v1/presignatures", NULL);
    assert_true(number_of(o, "dropped") >= 4); /* of other keys too */
    json_decref(o);
    o = call(r, 200, "GET", "/v1/keys/p/presignatures", NULL);
    assert_int_equal(number_of(o, "available"), 0);
    json_decref(o);
}

static void a_key_is_used_as_its_policy_says(void **state)
{
    const rig *r = *state;
    static test_answer a;
    json_t *o;

    o = call(r, 201, "POST", "/v1/keys:generate",
             "{\"keyId\":\"q\",\"curve\":\"P-256\",\"digests\":[\"SHA-256\"],\"lowS\":true,"
             "\"signaturesPerMinute\":2,\"minPathLength\":2,\"maxPathLength\":3,"
             "\"pathPrefix\":\"m/44/0\",\"reshare\":false}");
    assert_int_equal(number_of(o, "signaturesPerMinute"), 2);
    assert_int_equal(number_of(o, "minPathLength"), 2);
    assert_int_equal(number_of(o, "maxPathLength"), 3);
    assert_string_equal(text_of(o, "pathPrefix"), "m/44/0");
    assert_string_equal(text_of(o, "scheme"), "ecdsa");
    assert_true(json_is_false(json_object_get(o, "reshare")));
    assert_true(json_is_true(json_object_get(o, "lowS")));
    assert_int_equal(json_array_size(json_object_get(o, "digests")), 1);
    json_decref(o);
    call_fails(r, 403, "DENIED", "POST", "/v1/keys/q/sign",
               "{\"hash\":\"" DIGEST "\",\"path\":\"m/44/1\"}");
    call_fails(r, 403, "DENIED", "POST", "/v1/keys/q/sign",
               "{\"hash\":\"" DIGEST "\",\"path\":\"m/44/0/1/2\"}");
    call_fails(r, 403, "DENIED", "POST", "/v1/keys/q/sign",
               "{\"hash\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\",\"path\":\"m/44/0\"}");
    for (unsigned i = 0; i < 2; i++) {
        json_decref(call(r, 200, "POST", "/v1/keys/q/sign",
                         "{\"hash\":\"" DIGEST "\",\"path\":\"m/44/0\"}"));
    }
    test_json(&a, r->port, "POST", "/v1/keys/q/sign",
              "{\"hash\":\"" DIGEST "\",\"path\":\"m/44/0/5\"}");
    expect_error(&a, 429, "RATE_LIMITED", "2 times a minute");
    assert_non_null(strstr(a.head, "Retry-After: 30\r\n"));
}

static void a_key_is_reshared_and_keeps_its_public_key(void **state)
{
    const rig *r = *state;
    grp_point y;
    grp *g = NULL;
    json_t *o;
    tdsa_err err;

    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    o = call(r, 201, "POST", "/v1/keys:generate",
             "{\"keyId\":\"s\",\"curve\":\"P-256\",\"derivation\":\"none\",\"lowS\":true}");
    point_of(g, &y, text_of(o, "publicKey"));
    assert_int_equal(number_of(o, "epoch"), 0);
    json_decref(o);
    o = call(r, 200, "POST", "/v1/keys/s/reshare", NULL);
    assert_int_equal(number_of(o, "epoch"), 1);
    json_decref(o);
    o = call(r, 200, "POST", "/v1/keys/s/reshare", "{\"members\":[0,1,2],\"threshold\":1}");
    assert_int_equal(number_of(o, "epoch"), 2);
    json_decref(o);
    o = call(r, 200, "POST", "/v1/keys/s/sign", "{\"hash\":\"" DIGEST "\"}");
    check_signature(g, o, &y);
    json_decref(o);
    grp_close(g);
    call_fails(r, 400, "BAD_INPUT", "POST", "/v1/keys/s/reshare", "{\"threshold\":2}");
    call_fails(r, 422, "INVALID_FIELD", "POST", "/v1/keys/s/reshare", "{\"members\":[]}");
    call_fails(r, 422, "INVALID_FIELD", "POST", "/v1/keys/s/reshare", "{\"members\":[2,1,0]}");
    call_fails(r, 422, "INVALID_FIELD", "POST", "/v1/keys/s/reshare", "{\"members\":[0,1,9]}");
    json_decref(call(r, 201, "POST", "/v1/keys", "{\"keyId\":\"half\",\"curve\":\"P-256\"}"));
    call_fails(r, 409, "KEY_NOT_ACTIVE", "POST", "/v1/keys/half/reshare", NULL);
    json_decref(call(r, 201, "POST", "/v1/keys:generate",
                     "{\"keyId\":\"fixed\",\"curve\":\"P-256\",\"reshare\":false}"));
    call_fails(r, 403, "DENIED", "POST", "/v1/keys/fixed/reshare", NULL);
}

static void recovery_infos_are_a_package_that_verifies(void **state)
{
    const rig *r = *state;
    mpc_recovery_info infos[3];
    tdsa_buf bytes[3] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    grp *g = NULL;
    json_t *o;
    tdsa_err err;

    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    json_decref(call(r, 201, "POST", "/v1/keys:generate",
                     "{\"keyId\":\"rec\",\"curve\":\"P-256\",\"derivation\":\"none\"}"));
    o = call(r, 200, "POST", "/v1/keys/rec/recovery-info", "{\"auxiliaryData\":\"dmF1bHQ=\"}");
    assert_string_equal(text_of(o, "keyId"), "rec");
    assert_int_equal(json_integer_value(json_object_get(o, "epoch")), 0);
    assert_int_equal(strlen(text_of(o, "publicKey")), 66);
    assert_int_equal(json_array_size(json_object_get(o, "participants")), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *p = json_array_get(json_object_get(o, "participants"), i);
        json_t *one = json_array_get(json_object_get(p, "infos"), 0);
        const char *text = text_of(one, "recoveryInfo");

        assert_int_equal(json_integer_value(json_object_get(p, "participantIndex")), i);
        assert_int_equal(strlen(text_of(one, "certificate")), 64);
        assert_int_equal(tdsa_base64_decode(&bytes[i], text, strlen(text), NULL, &err), TDSA_OK);
        assert_int_equal(mpc_recovery_decode(&infos[i], g, bytes[i].data, bytes[i].len, &err),
                         TDSA_OK);
        assert_memory_equal(infos[i].context.aux, "vault", 5);
    }
    assert_int_equal(mpc_recovery_verify_package_vartime(infos, 3, g, kit.cert, &err), TDSA_OK);
    json_decref(o);
    o = call(r, 200, "POST", "/v1/keys/rec/recovery-info", "{\"local\":true}");
    assert_int_equal(json_array_size(json_object_get(o, "participants")), 1);
    json_decref(o);
    call_fails(r, 422, "INVALID_FIELD", "POST", "/v1/keys/rec/recovery-info",
               "{\"auxiliaryData\":\"!\"}");
    call_fails(r, 404, "NOT_FOUND", "POST", "/v1/keys/none/recovery-info", "{}");
    for (size_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&bytes[i]);
    }
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derived_keys_sign_and_are_found_from_the_xpub),
        cmocka_unit_test(presignatures_are_counted_limited_and_deleted),
        cmocka_unit_test(a_key_is_used_as_its_policy_says),
        cmocka_unit_test(a_key_is_reshared_and_keeps_its_public_key),
        cmocka_unit_test(recovery_infos_are_a_package_that_verifies),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
