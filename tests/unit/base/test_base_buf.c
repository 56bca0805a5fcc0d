#include "base_test.h"

static void appends_are_big_endian_and_in_order(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    tdsa_buf_append_u8(&b, 1);
    tdsa_buf_append_u16(&b, 0x0203);
    tdsa_buf_append_u32(&b, 0x04050607);
    tdsa_buf_append_u64(&b, 0x08090a0b0c0d0e0f);
    tdsa_buf_append_str(&b, "ab");
    tdsa_buf_append(&b, NULL, 0);
    tdsa_buf_appendf(&b, "%d-%s", 42, "x");
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_OK);
    assert_hex(b.data, b.len, "0102030405060708090a0b0c0d0e0f616234322d78");
    memset(tdsa_buf_extend(&b, 2), 0xee, 2);
    assert_int_equal(b.len, 23);
    tdsa_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.cap > 0);
    tdsa_buf_clear(&b);
    assert_null(b.data);
    tdsa_buf_clear(&b);
}

static void growing_keeps_the_contents(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        tdsa_buf_append_u8(&b, (uint8_t)(i * 7));
    }
    assert_int_equal(b.len, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(b.data[i], (uint8_t)(i * 7));
    }
}

static void a_full_buffer_fails_once_and_for_all(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_non_null(tdsa_buf_extend(&b, TDSA_BUF_LEN_MAX));
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_OK);
    tdsa_buf_append_u8(&b, 1);
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_E_NO_MEMORY);
    assert_int_equal(b.len, TDSA_BUF_LEN_MAX);
    assert_null(tdsa_buf_extend(&b, 0));
    tdsa_buf_reset(&b);
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_OK);
    assert_null(tdsa_buf_extend(&b, SIZE_MAX));
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_E_NO_MEMORY);
    tdsa_buf_appendf(&b, "%d", 1);
    assert_int_equal(b.len, 0);
}

static void reading_gives_back_what_was_appended(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_reader r;
    tdsa_err err;

    (void)state;
    tdsa_buf_append_u8(&b, 0xf1);
    tdsa_buf_append_u16(&b, 0xf203);
    tdsa_buf_append_u32(&b, 0xf4050607);
    tdsa_buf_append_u64(&b, 0xf8090a0b0c0d0e0f);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(tdsa_reader_left(&r), 15);
    assert_int_equal(tdsa_read_u8(&r), 0xf1);
    assert_int_equal(tdsa_read_u16(&r), 0xf203);
    assert_int_equal(tdsa_read_u32(&r), 0xf4050607);
    assert_int_equal(tdsa_reader_finish(&r, "message", &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "message: 8 bytes left"));
    assert_true(tdsa_read_u64(&r) == 0xf8090a0b0c0d0e0f);
    assert_int_equal(tdsa_reader_finish(&r, "message", &err), TDSA_OK);
    assert_int_equal(tdsa_reader_left(&r), 0);
}

static void reading_past_the_end_fails_for_good(void **state)
{
    static const uint8_t bytes[3] = {1, 2, 3};
    tdsa_reader r = tdsa_reader_of(bytes, 3);
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_read_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(tdsa_read_u8(&r), 0);
    assert_null(tdsa_read_bytes(&r, 0));
    assert_int_equal(tdsa_reader_left(&r), 0);
    assert_int_equal(tdsa_reader_finish(&r, "it", &err), TDSA_E_BAD_INPUT);
    r = tdsa_reader_of(bytes, 3);
    assert_null(tdsa_read_bytes(&r, SIZE_MAX));
    r = tdsa_reader_of(NULL, 0);
    assert_non_null(tdsa_read_bytes(&r, 0));
    assert_int_equal(tdsa_reader_finish(&r, "nothing", &err), TDSA_OK);
    assert_null(tdsa_read_bytes(&r, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_are_big_endian_and_in_order),
        cmocka_unit_test(growing_keeps_the_contents),
        cmocka_unit_test(a_full_buffer_fails_once_and_for_all),
        cmocka_unit_test(reading_gives_back_what_was_appended),
        cmocka_unit_test(reading_past_the_end_fails_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
