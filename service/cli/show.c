#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/term.h"

/* Documents of the API for people: one member a line, its name in words. What the API adds later
 * shows up by itself. */

const char *cli_text(const json_t *doc, const char *name)
{
    const char *text = json_string_value(json_object_get(doc, name));

    return text != NULL ? text : "";
}

static void put_value(tdsa_buf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        tdsa_buf_append_str(out, json_string_value(value));
        return;
    case JSON_INTEGER:
        tdsa_buf_appendf(out, "%lld", (long long)json_integer_value(value));
        return;
    case JSON_REAL:
        tdsa_buf_appendf(out, "%g", json_real_value(value));
        return;
    case JSON_TRUE:
        tdsa_buf_append_str(out, "yes");
        return;
    case JSON_FALSE:
        tdsa_buf_append_str(out, "no");
        return;
    case JSON_NULL:
        tdsa_buf_append_str(out, "none");
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return; /* put_item */
    }
}

/* One level below the document: lists in a line, objects as name and value. */
static void put_item(tdsa_buf *out, const json_t *value)
{
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            tdsa_buf_append_str(out, i > 0 ? ", " : "");
            put_value(out, json_array_get(value, i));
        }
        return;
    }
    put_value(out, value);
}

/* "clientParticipates" to "Client participates" */
static void put_name(tdsa_buf *out, const char *name)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)name[i];

        if (i == 0) {
            tdsa_buf_append_u8(out, (uint8_t)toupper(c));
        } else if (isupper(c) && name[i + 1] != '\0' && islower((unsigned char)name[i - 1])) {
            tdsa_buf_appendf(out, " %c", tolower(c));
        } else {
            tdsa_buf_append_u8(out, c);
        }
    }
}

static void add_name(cli_table *t, const char *name)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    put_name(&text, name);
    tdsa_buf_append_u8(&text, 0);
    cli_table_cell(t, text.failed ? "?" : (const char *)text.data);
}

static void add_cell(cli_table *t, const json_t *value)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    if (value != NULL) {
        put_item(&text, value);
    }
    tdsa_buf_append_u8(&text, 0);
    cli_table_cell(t, text.failed ? "?" : (const char *)text.data);
}

static void add_row(cli_table *t, const char *name, const json_t *value)
{
    add_name(t, name);
    add_cell(t, value);
}

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static void add_members(cli_table *t, json_t *doc)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(doc, name, value)
    {
        if (json_is_object(value)) {
            const char *inner = NULL;
            json_t *part = NULL;

            json_object_foreach(value, inner, part)
            {
                add_row(t, inner, part);
            }
        } else if (!is_table(value)) {
            add_row(t, name, value);
        }
    }
}

/* A list of objects of the same kind below the rest. */
static void put_list(tdsa_buf *out, const char *title, json_t *list, bool bold)
{
    json_t *first = json_array_get(list, 0);
    const size_t columns = json_object_size(first);
    const char *name = NULL;
    json_t *value = NULL;
    cli_table t;

    if (columns == 0 || columns > CLI_COLUMNS_MAX) {
        return;
    }
    tdsa_buf_append_u8(out, '\n');
    put_name(out, title);
    tdsa_buf_append_str(out, ":\n");
    cli_table_init(&t, columns);
    t.heading = true;
    json_object_foreach(first, name, value)
    {
        add_name(&t, name);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_object_foreach(first, name, value)
        {
            add_cell(&t, json_object_get(json_array_get(list, i), name));
        }
    }
    cli_table_put(&t, out, bold);
    cli_table_clear(&t);
}

void cli_print(cli *c, const void *bytes, size_t len)
{
    errno = EIO;
    if (len > 0 && fwrite(bytes, 1, len, stdout) != len && c->out_errno == 0) {
        c->out_errno = errno;
    }
}

void cli_print_line(cli *c, const char *text)
{
    cli_print(c, text, strlen(text));
    cli_print(c, "\n", 1);
}

void cli_show(cli *c, json_t *doc)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const bool bold = cli_colours(stdout);
    const char *name = NULL;
    json_t *value = NULL;
    cli_table t;

    if (c->json) {
        char *text = json_dumps(doc, JSON_INDENT(2));

        cli_print_line(c, text != NULL ? text : "{}");
        free(text);
        return;
    }
    cli_table_init(&t, 2);
    add_members(&t, doc);
    cli_table_put(&t, &out, false);
    cli_table_clear(&t);
    json_object_foreach(doc, name, value)
    {
        if (is_table(value)) {
            put_list(&out, name, value, bold);
        }
    }
    cli_print(c, out.data, out.len);
}
