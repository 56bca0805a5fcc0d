#include <stdlib.h>
#include <string.h>

#include "base/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

/* Reads one item of whatever type comes next and writes it again. */
static void copy_item(tdsa_buf *out, tdsa_reader *r, unsigned depth)
{
    const uint8_t type = r->data[r->pos];
    char text[64];
    size_t len = 0;
    const uint8_t *p = NULL;

    switch (type) {
    case TDSA_ITEM_ABSENT:
        if (tdsa_stmt_read_absent(r)) {
            tdsa_stmt_absent(out);
        }
        break;
    case TDSA_ITEM_TEXT:
        tdsa_stmt_read_text(r, text, sizeof text);
        tdsa_stmt_text(out, text);
        break;
    case TDSA_ITEM_UINT:
        tdsa_stmt_uint(out, tdsa_stmt_read_uint(r));
        break;
    case TDSA_ITEM_OCTETS:
        p = tdsa_stmt_read_octets(r, &len, 4096);
        tdsa_stmt_octets(out, p, len);
        break;
    case TDSA_ITEM_SCALAR:
        p = tdsa_stmt_read_item(r, TDSA_ITEM_SCALAR, 32);
        tdsa_stmt_item(out, TDSA_ITEM_SCALAR, p, p != NULL ? 32 : 0);
        break;
    case TDSA_ITEM_POINT:
        p = tdsa_stmt_read_item(r, TDSA_ITEM_POINT, 33);
        tdsa_stmt_item(out, TDSA_ITEM_POINT, p, p != NULL ? 33 : 0);
        break;
    case TDSA_ITEM_LIST:
        if (depth < TDSA_STMT_DEPTH_MAX) {
            tdsa_reader items = tdsa_stmt_read_list(r);
            const size_t mark = tdsa_stmt_list_begin(out);

            while (tdsa_reader_left(&items) > 0) {
                copy_item(out, &items, depth + 1);
            }
            tdsa_stmt_list_end(out, mark);
            r->failed = r->failed || items.failed;
            break;
        }
        r->failed = true;
        break;
    default:
        r->failed = true;
        break;
    }
}

/* A statement that can be read to its last byte is written back byte for byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_reader r = tdsa_reader_of(data, size);
    tdsa_reader again = tdsa_reader_of(data, size);
    uint16_t numbers[8];
    tdsa_err err;

    while (tdsa_reader_left(&r) > 0) {
        copy_item(&out, &r, 0);
    }
    if (tdsa_reader_finish(&r, "input", &err) == TDSA_OK) {
        require(out.len == size);
        require(size == 0 || memcmp(out.data, data, size) == 0);
    }
    tdsa_stmt_expect(&again, "sign");
    require(tdsa_stmt_read_uint_list(&again, numbers, 8) <= 8);
    tdsa_stmt_read_exact(&again, (uint8_t[32]){0}, 32);
    (void)tdsa_read_u64(&again);
    require(again.failed || again.pos <= size);
    return 0;
}
