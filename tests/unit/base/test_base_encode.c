#include "base_test.h"

static void hex_round_trips_every_byte(void **state)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    uint8_t all[256];
    char direct[513];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < 256; i++) {
        char expect[3];

        all[i] = (uint8_t)i;
        (void)snprintf(expect, sizeof expect, "%02x", (unsigned)i);
        tdsa_hex(direct, &all[i], 1);
        assert_string_equal(direct, expect);
    }
    tdsa_hex_encode(&text, all, sizeof all);
    assert_int_equal(text.len, 512);
    tdsa_hex(direct, all, sizeof all);
    assert_memory_equal(direct, text.data, 512);
    assert_int_equal(tdsa_hex_decode(&back, direct, &err), TDSA_OK);
    assert_memory_equal(back.data, all, 256);
    tdsa_buf_reset(&back);
    assert_int_equal(tdsa_hex_decode(&back, "ABcdEF", &err), TDSA_OK);
    assert_int_equal(back.data[0], 0xab);
    assert_int_equal(back.data[2], 0xef);
    tdsa_hex_encode(&text, NULL, 0);
    assert_int_equal(text.len, 512);
}

static void hex_refuses_odd_lengths_and_any_other_character(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    tdsa_buf_append_str(&out, "kept");
    assert_int_equal(tdsa_hex_decode(&out, "abc", &err), TDSA_E_BAD_INPUT);
    for (int c = 1; c < 256; c++) {
        const char text[5] = {'0', '0', (char)c, '0', '\0'};
        const bool good = strchr("0123456789abcdefABCDEF", c) != NULL;

        assert_int_equal(tdsa_hex_decode(&out, text, &err), good ? TDSA_OK : TDSA_E_BAD_INPUT);
        if (good) {
            out.len = 4;
        }
        assert_int_equal(out.len, 4);
    }
}

static void check_base64(const char *plain, const char *url)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    tdsa_base64_form form = {true, true};
    tdsa_err err;

    tdsa_base64url_encode(&text, plain, strlen(plain));
    assert_int_equal(text.len, strlen(url));
    if (text.len > 0) {
        assert_memory_equal(text.data, url, text.len);
    }
    assert_int_equal(tdsa_base64_decode(&back, url, strlen(url), &form, &err), TDSA_OK);
    assert_int_equal(back.len, strlen(plain));
    if (back.len > 0) {
        assert_memory_equal(back.data, plain, back.len);
    }
    assert_false(form.standard_alphabet);
    assert_false(form.padded);
}

static void base64_gives_the_values_of_rfc_4648(void **state)
{
    (void)state;
    check_base64("", "");
    check_base64("f", "Zg");
    check_base64("fo", "Zm8");
    check_base64("foo", "Zm9v");
    check_base64("foob", "Zm9vYg");
    check_base64("fooba", "Zm9vYmE");
    check_base64("foobar", "Zm9vYmFy");
    check_base64("\xfb\xff\xbf", "-_-_");
}

static void base64_tells_the_form_it_saw(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_base64_form form = {false, false};
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_base64_decode(&out, "+/+/\r\n Zg==\t", 12, &form, &err), TDSA_OK);
    assert_hex(out.data, out.len, "fbffbf66");
    assert_true(form.standard_alphabet);
    assert_true(form.padded);
    assert_int_equal(tdsa_base64_decode(&out, "Zm8=", 4, NULL, &err), TDSA_OK);
}

static void assert_bad(const char *text)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_base64_form form = {false, false};
    tdsa_err err;

    tdsa_buf_append_u8(&out, 0x55);
    assert_int_equal(tdsa_base64_decode(&out, text, strlen(text), &form, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 1);
}

static void base64_refuses_what_is_not_canonical(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_bad("Z");       /* impossible length */
    assert_bad("Zm9vY");   /* the same after a full group */
    assert_bad("Zh");      /* trailing bits */
    assert_bad("Zm9");     /* trailing bits */
    assert_bad("Zg=");     /* wrong padding */
    assert_bad("Zg===");   /* too much of it */
    assert_bad("Zm9v=");   /* none is due */
    assert_bad("Zg==Zg");  /* more after the padding */
    assert_bad("====");    /* nothing else */
    assert_bad("Zm9v!");   /* illegal character */
    assert_bad("Zm\x80v"); /* not ASCII */
    assert_int_equal(tdsa_base64_decode(&out, "Zm*v", 4, NULL, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "position 2"));
    assert_int_equal(tdsa_base64_decode(&out, "Zm\0v", 4, NULL, &err), TDSA_E_BAD_INPUT);
}

static void base64_knows_its_64_characters_and_no_other(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        const char text[5] = {'A', 'A', 'A', (char)c, '\0'};
        const bool good = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                 "+/-_=",
                                 c) != NULL;
        const bool blank = strchr(" \t\r\n", c) != NULL;
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
        tdsa_err err;

        assert_int_equal(tdsa_base64_decode(&out, text, 4, NULL, &err),
                         good || blank ? TDSA_OK : TDSA_E_BAD_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_round_trips_every_byte),
        cmocka_unit_test(hex_refuses_odd_lengths_and_any_other_character),
        cmocka_unit_test(base64_gives_the_values_of_rfc_4648),
        cmocka_unit_test(base64_tells_the_form_it_saw),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(base64_knows_its_64_characters_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
