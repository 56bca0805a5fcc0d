#include "base_test.h"

#include "base/statement.h"

/* stmt('t', absent, 5, 'ab', 0x0102, [1, [0xff]]) as the reference model encodes it */
static const char model_hex[] = "010000000174000000000002000000080000000000000005010000000261620300"
                                "000002010206000000180200000008"
                                "000000000000000106000000060300000001ff";

static void build(tdsa_buf *b)
{
    size_t outer = 0;
    size_t inner = 0;

    tdsa_stmt_begin(b, "t");
    tdsa_stmt_absent(b);
    tdsa_stmt_uint(b, 5);
    tdsa_stmt_text(b, "ab");
    tdsa_stmt_octets(b, "\x01\x02", 2);
    outer = tdsa_stmt_list_begin(b);
    tdsa_stmt_uint(b, 1);
    inner = tdsa_stmt_list_begin(b);
    tdsa_stmt_octets(b, "\xff", 1);
    tdsa_stmt_list_end(b, inner);
    tdsa_stmt_list_end(b, outer);
}

static void the_encoding_is_that_of_the_model(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    (void)state;
    build(&b);
    assert_hex(b.data, b.len, model_hex);
}

static void what_was_written_is_read_back(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_reader r;
    tdsa_reader list;
    tdsa_reader inner;
    char text[8];
    uint8_t two[2];
    size_t len = 0;
    const uint8_t *octets = NULL;
    tdsa_err err;

    (void)state;
    build(&b);
    r = tdsa_reader_of(b.data, b.len);
    tdsa_stmt_expect(&r, "t");
    assert_true(tdsa_stmt_read_absent(&r));
    assert_false(tdsa_stmt_read_absent(&r)); /* a uint: nothing consumed, nothing failed */
    assert_int_equal(tdsa_stmt_read_uint(&r), 5);
    tdsa_stmt_read_text(&r, text, sizeof text);
    assert_string_equal(text, "ab");
    tdsa_stmt_read_exact(&r, two, 2);
    assert_hex(two, 2, "0102");
    list = tdsa_stmt_read_list(&r);
    assert_int_equal(tdsa_stmt_read_uint(&list), 1);
    inner = tdsa_stmt_read_list(&list);
    octets = tdsa_stmt_read_octets(&inner, &len, 5);
    assert_int_equal(len, 1);
    assert_int_equal(octets[0], 0xff);
    assert_int_equal(tdsa_reader_finish(&inner, "inner", &err), TDSA_OK);
    assert_int_equal(tdsa_reader_finish(&list, "list", &err), TDSA_OK);
    assert_int_equal(tdsa_reader_finish(&r, "statement", &err), TDSA_OK);
}

static void every_cut_statement_fails(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    build(&b);
    for (size_t len = 0; len < b.len; len++) {
        tdsa_reader r = tdsa_reader_of(b.data, len);
        uint16_t none[1];
        char text[8];
        uint8_t two[2];

        tdsa_stmt_expect(&r, "t");
        (void)tdsa_stmt_read_absent(&r);
        (void)tdsa_stmt_read_uint(&r);
        tdsa_stmt_read_text(&r, text, sizeof text);
        tdsa_stmt_read_exact(&r, two, 2);
        (void)tdsa_stmt_read_uint_list(&r, none, 1);
        assert_int_equal(tdsa_reader_finish(&r, "cut", &err), TDSA_E_BAD_INPUT);
    }
}

static tdsa_reader reader_of_hex(uint8_t *bytes, size_t len, const char *hex)
{
    from_hex(bytes, len, hex);
    return tdsa_reader_of(bytes, len);
}

static void wrong_tag_type_width_and_length_fail(void **state)
{
    uint8_t bytes[16];
    tdsa_reader r = reader_of_hex(bytes, 6, "010000000174");
    char text[4];
    uint8_t out[4] = {9, 9, 9, 9};
    size_t len = 1;

    (void)state;
    tdsa_stmt_expect(&r, "u");
    assert_true(r.failed);
    r = reader_of_hex(bytes, 6, "010000000174");
    tdsa_stmt_expect(&r, "tt");
    assert_true(r.failed);
    r = reader_of_hex(bytes, 6, "030000000174"); /* octets instead of text */
    tdsa_stmt_expect(&r, "t");
    assert_true(r.failed);
    r = reader_of_hex(bytes, 12, "020000000700000000000005"); /* uint of 7 bytes */
    assert_int_equal(tdsa_stmt_read_uint(&r), 0);
    assert_true(r.failed);
    r = reader_of_hex(bytes, 6, "000000000100"); /* absent with a value */
    assert_false(tdsa_stmt_read_absent(&r));
    assert_true(r.failed);
    r = reader_of_hex(bytes, 6, "0300000001aa"); /* octets of another length */
    tdsa_stmt_read_exact(&r, out, 4);
    assert_true(r.failed);
    assert_hex(out, 4, "00000000");
    r = reader_of_hex(bytes, 7, "0300000002aabb"); /* over the limit */
    assert_null(tdsa_stmt_read_octets(&r, &len, 1));
    assert_int_equal(len, 0);
    assert_true(r.failed);
    r = reader_of_hex(bytes, 9, "010000000461626364"); /* text that does not fit with its NUL */
    tdsa_stmt_read_text(&r, text, sizeof text);
    assert_true(r.failed);
    assert_string_equal(text, "");
    r = reader_of_hex(bytes, 6, "0100000001c3"); /* not ASCII */
    tdsa_stmt_read_text(&r, text, sizeof text);
    assert_true(r.failed);
    r = reader_of_hex(bytes, 6, "010000000100"); /* a NUL inside */
    tdsa_stmt_read_text(&r, text, sizeof text);
    assert_true(r.failed);
    r = reader_of_hex(bytes, 5, "03ffffffff"); /* longer than anything */
    assert_null(tdsa_stmt_read_octets(&r, &len, SIZE_MAX));
    assert_true(r.failed);
}

static void scalars_and_points_are_items_of_fixed_length(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_reader r;

    (void)state;
    tdsa_stmt_item(&b, TDSA_ITEM_SCALAR, "abcd", 4);
    r = tdsa_reader_of(b.data, b.len);
    assert_memory_equal(tdsa_stmt_read_item(&r, TDSA_ITEM_SCALAR, 4), "abcd", 4);
    r = tdsa_reader_of(b.data, b.len);
    assert_null(tdsa_stmt_read_item(&r, TDSA_ITEM_POINT, 4));
    r = tdsa_reader_of(b.data, b.len);
    assert_null(tdsa_stmt_read_item(&r, TDSA_ITEM_SCALAR, 3));
}

static void uint_lists_round_trip_and_have_limits(void **state)
{
    static const uint16_t in[4] = {0, 1, 2, 65535};
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint16_t out[4] = {0};
    tdsa_reader r;
    size_t mark = 0;
    tdsa_err err;

    (void)state;
    tdsa_stmt_uint_list(&b, in, 4);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(tdsa_stmt_read_uint_list(&r, out, 4), 4);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(tdsa_reader_finish(&r, "list", &err), TDSA_OK);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(tdsa_stmt_read_uint_list(&r, out, 3), 0); /* too many */
    assert_true(r.failed);
    tdsa_buf_reset(&b);
    mark = tdsa_stmt_list_begin(&b);
    tdsa_stmt_uint(&b, 65536);
    tdsa_stmt_list_end(&b, mark);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(tdsa_stmt_read_uint_list(&r, out, 4), 0);
    assert_true(r.failed);
    tdsa_buf_reset(&b);
    tdsa_stmt_uint_list(&b, NULL, 0);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(tdsa_stmt_read_uint_list(&r, out, 4), 0);
    assert_false(r.failed);
}

static void text_that_is_not_ascii_fails_the_statement(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    tdsa_stmt_text(&b, "caf\xc3\xa9");
    assert_int_equal(tdsa_buf_check(&b, &err), TDSA_E_NO_MEMORY);
    tdsa_stmt_list_end(&b, tdsa_stmt_list_begin(&b)); /* harmless on a failed buffer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_encoding_is_that_of_the_model),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(every_cut_statement_fails),
        cmocka_unit_test(wrong_tag_type_width_and_length_fail),
        cmocka_unit_test(scalars_and_points_are_items_of_fixed_length),
        cmocka_unit_test(uint_lists_round_trip_and_have_limits),
        cmocka_unit_test(text_that_is_not_ascii_fails_the_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
