#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/encode.h"
#include "api/error.h"
#include "base/encode.h"

static void der_of(const char *rs_hex, const char *der_hex)
{
    TDSA_SCOPED_BUF rs = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&rs, rs_hex, &err), TDSA_OK);
    svc_der_signature(&der, rs.data, rs.len);
    tdsa_hex_encode(&hex, der.data, der.len);
    tdsa_buf_append_u8(&hex, 0);
    assert_string_equal((const char *)hex.data, der_hex);
}

static void der_integers_are_minimal_and_positive(void **state)
{
    (void)state;
    der_of("0102", "3006020101020102");
    der_of("8000000000ff", "300a020400800000020200ff");
    der_of("0000", "3006020100020100");
}

static void paths_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",     "44",   "m/",  "m//1", "m/44'", "m/4h",         "m/-1",
        "m/01", "m/1/", "M/1", "m 1",  "m/1 ",  "m/2147483648", "m/99999999999999999999",
        "n/1"};
    uint32_t path[MPC_PATH_MAX];
    uint16_t len;
    char longest[8 + 2 * (MPC_PATH_MAX + 1)] = "m";
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_path_read("m", path, &len, &err), TDSA_OK);
    assert_int_equal(len, 0);
    assert_int_equal(svc_path_read("m/44/0/2147483647", path, &len, &err), TDSA_OK);
    assert_int_equal(len, 3);
    assert_int_equal(path[0], 44);
    assert_int_equal(path[2], INT32_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(svc_path_read(wrong[i], path, &len, &err), TDSA_E_BAD_INPUT);
        assert_int_equal(len, 0);
    }
    for (unsigned i = 0; i < MPC_PATH_MAX; i++) {
        memcpy(longest + 1 + 2 * i, "/1", 3);
    }
    assert_int_equal(svc_path_read(longest, path, &len, &err), TDSA_OK);
    memcpy(longest + 1 + 2 * MPC_PATH_MAX, "/1", 3);
    assert_int_equal(svc_path_read(longest, path, &len, &err), TDSA_E_BAD_INPUT);
}

static void points_of_wrong_form_have_no_encoding(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t raw[65] = {0x04};
    tdsa_err err;

    (void)state;
    raw[64] = 3;
    assert_int_equal(svc_point_compress(&out, raw, 65, &err), TDSA_OK);
    assert_int_equal(out.len, 33);
    assert_int_equal(out.data[0], 3);
    assert_int_equal(svc_point_compress(&out, raw, 64, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(svc_point_compress(&out, raw, 0, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(svc_spki(&out, GRP_P256, raw, 33, &err), TDSA_E_BAD_INPUT);
    raw[0] = 6;
    assert_int_equal(svc_point_compress(&out, raw, 65, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(svc_spki(&out, GRP_P256, raw, 65, &err), TDSA_E_BAD_INPUT);
}

static void base64_is_padded_and_of_the_standard_alphabet(void **state)
{
    static const uint8_t bytes[] = {0xfb, 0xef, 0xff, 0x01};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    (void)state;
    tdsa_buf_append_u8(&out, (uint8_t)'>'); /* padding counts from here on */
    svc_base64(&out, bytes, sizeof bytes);
    tdsa_buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, ">++//AQ==");
}

static void every_status_has_its_http_status(void **state)
{
    static const struct {
        tdsa_status status;
        unsigned http;
    } rows[] = {{TDSA_OK, 200},        {TDSA_E_BAD_INPUT, 400}, {TDSA_E_NOT_FOUND, 404},
                {TDSA_E_DENIED, 403},  {TDSA_E_LOGIN, 503},     {TDSA_E_CONFLICT, 409},
                {TDSA_E_LIMIT, 409},   {TDSA_E_BUSY, 503},      {TDSA_E_UNAVAILABLE, 503},
                {TDSA_E_TIMEOUT, 504}, {TDSA_E_PROTOCOL, 502},  {TDSA_E_VERIFY, 502},
                {TDSA_E_CRYPTO, 500},  {TDSA_E_STORE, 503},     {TDSA_E_WRAPPING, 503},
                {TDSA_E_CONFIG, 500},  {TDSA_E_NO_MEMORY, 503}, {TDSA_E_INTERNAL, 500}};

    (void)state;
    assert_int_equal(sizeof rows / sizeof rows[0], TDSA_E_INTERNAL + 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tdsa_err err;

        (void)tdsa_err_set(&err, rows[i].status, "test", "%s", "text");
        assert_int_equal(svc_http_status(&err), rows[i].http);
        (void)tdsa_err_set(&err, rows[i].status, "test", "%s", PART_RATE_LIMITED ": so");
        assert_int_equal(svc_http_status(&err),
                         rows[i].status == TDSA_E_LIMIT ? 429 : rows[i].http);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(der_integers_are_minimal_and_positive),
        cmocka_unit_test(paths_are_read_strictly),
        cmocka_unit_test(points_of_wrong_form_have_no_encoding),
        cmocka_unit_test(base64_is_padded_and_of_the_standard_alphabet),
        cmocka_unit_test(every_status_has_its_http_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
