#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"

#define CLI_COLUMNS_MAX 8u

/**
 * Rows of texts for people, with aligned columns. Texts come from elsewhere: control characters
 * and broken characters become '?', so that no label moves the cursor of a terminal.
 */
typedef struct {
    size_t columns;
    size_t cell_count; /* of all rows */
    bool heading;      /* the first row is one */
    size_t right;      /* bit (1 << column): its numbers stand to the right */
    size_t width[CLI_COLUMNS_MAX];
    tdsa_buf cells; /* NUL-terminated texts, row by row */
} cli_table;

void cli_table_init(cli_table *t, size_t columns) TDSA_NONNULL;
void cli_table_clear(cli_table *t) TDSA_NONNULL;
/** Adds the next cell of a row; the texts are copied. */
void cli_table_cell(cli_table *t, const char *text) TDSA_NONNULL;
/** Appends the lines. bold: the heading in bold letters. */
void cli_table_put(const cli_table *t, tdsa_buf *out, bool bold) TDSA_NONNULL;
/** Appends a text as a terminal may have it; gives its width in columns. */
size_t cli_clean_put(tdsa_buf *out, const char *text) TDSA_NONNULL;

#endif
