#define _GNU_SOURCE 1 /* wcwidth */
#include "cli/table.h"

#include <string.h>
#include <wchar.h>

#include "base/assert.h"

#define GAP "  "

size_t cli_clean_put(tdsa_buf *out, const char *text)
{
    mbstate_t state;
    size_t left = strlen(text);
    size_t width = 0;

    memset(&state, 0, sizeof state);
    while (left > 0) {
        wchar_t c = 0;
        const size_t len = mbrtowc(&c, text, left, &state);
        const int columns = len == 0 || len > left ? -1 : wcwidth(c);

        if (columns < 0) {
            memset(&state, 0, sizeof state);
            tdsa_buf_append_u8(out, '?');
            width++;
        } else {
            tdsa_buf_append(out, text, len);
            width += (size_t)columns;
        }
        text += columns < 0 && len > left ? 1 : len;
        left -= columns < 0 && len > left ? 1 : len;
    }
    return width;
}

static size_t width_of(const char *text)
{
    TDSA_SCOPED_BUF clean = TDSA_BUF_EMPTY;

    return cli_clean_put(&clean, text);
}

void cli_table_init(cli_table *t, size_t columns)
{
    TDSA_ASSERT(columns >= 1 && columns <= CLI_COLUMNS_MAX);
    memset(t, 0, sizeof *t);
    t->columns = columns;
    t->cells = TDSA_BUF_EMPTY;
}

void cli_table_clear(cli_table *t)
{
    tdsa_buf_clear(&t->cells);
}

void cli_table_cell(cli_table *t, const char *text)
{
    const size_t column = t->cell_count % t->columns;
    const size_t width = width_of(text);

    tdsa_buf_append(&t->cells, text, strlen(text) + 1);
    t->width[column] = width > t->width[column] ? width : t->width[column];
    t->cell_count++;
}

static void pad(tdsa_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tdsa_buf_append_u8(out, ' ');
    }
}

void cli_table_put(const cli_table *t, tdsa_buf *out, bool bold)
{
    const char *at = (const char *)t->cells.data;

    for (size_t i = 0; !t->cells.failed && i < t->cell_count; i++) {
        const size_t column = i % t->columns;
        const bool heading = t->heading && i < t->columns;
        const bool last = column + 1 == t->columns;
        const bool right = (t->right >> column & 1u) != 0;
        const size_t fill = t->width[column] - width_of(at);

        if (heading && bold && column == 0) {
            tdsa_buf_append_str(out, "\033[1m");
        }
        pad(out, right ? fill : 0);
        (void)cli_clean_put(out, at);
        pad(out, right || last ? 0 : fill);
        if (heading && bold && last) {
            tdsa_buf_append_str(out, "\033[0m");
        }
        tdsa_buf_append_str(out, last ? "\n" : GAP);
        at += strlen(at) + 1;
    }
}
