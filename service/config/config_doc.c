#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/row.h"

/* Writes docs/configuration.md, made from the table alone, to standard output. */

static const char intro[] =
    "# Configuration\n"
    "\n"
    "This page is made from the table of keys by `tdsa-config-doc`; a test compares them. Do not "
    "edit "
    "it.\n"
    "\n"
    "The file is YAML in the format of the TDSA service (Dropwizard style), with a few keys of our "
    "own. The daemon `tdsa-service` and the PKCS#11 module read the same format; the module uses "
    "the "
    "sections `tdsaLibrary`, `database`, `httpClient`, `logging` and `pkcs11`.\n"
    "\n"
    "- Unknown keys are refused, with the nearest names. Duplicate keys, anchors, aliases and tags "
    "are refused too.\n"
    "- Binary values are url-safe base64 without padding.\n"
    "- Durations are a whole number and a unit: `ns us ms s m h d` or an English word. Sizes: `B K "
    "KB "
    "KiB M MB MiB ...`. A key in seconds or milliseconds takes a plain number or a duration.\n"
    "- Any key can be set from the command line: "
    "`-Ddw.server.applicationConnectors[0].port=9000`; dots inside a name are written `\\.`, lists "
    "with commas.\n"
    "- The environment (`PARTICIPANT_PRIMARY_PRIVATE_KEY`, `PARTICIPANT_SECONDARY_PRIVATE_KEY`, "
    "`DATABASE_ENCRYPTION_KEY`) goes before -D, and -D before the file. `TDSA_CONFIG` holds a "
    "whole "
    "file in base64 and goes before any file.\n"
    "\n"
    "What happens with a key: **honoured**; **mapped** to the nearest thing there is; **ignored**: "
    "accepted, with a line in the log; **warned**: accepted, not done, with a warning; **later**: "
    "accepted, but this version does not act on it; **refused**: anything but the default ends the "
    "start. A star marks a key that must be given wherever "
    "its section is.\n";

static const char *handling_name(cfg_handling handling)
{
    switch (handling) {
    case CFG_HONOURED:
        return "honoured";
    case CFG_MAPPED:
        return "mapped";
    case CFG_IGNORED:
        return "ignored";
    case CFG_WARNED:
        return "warned";
    case CFG_LATER:
        return "later";
    case CFG_REFUSED:
        return "refused";
    }
    return "";
}

static const char *type_name(cfg_type type)
{
    switch (type) {
    case CFG_SECRET:
        return "secret";
    case CFG_SECONDS:
        return "seconds";
    case CFG_MILLIS:
        return "milliseconds";
    case CFG_DURATION:
        return "duration";
    case CFG_SIZE:
        return "size";
    case CFG_STRING:
        return "string";
    case CFG_LEVEL:
        return "level";
    case CFG_OBJECT_MAP:
    case CFG_OBJECT:
        return "object";
    case CFG_STRING_MAP:
        return "object of strings";
    case CFG_ARRAY:
        return "list";
    case CFG_STRINGS:
        return "list of strings";
    case CFG_INTS:
        return "list of ints";
    case CFG_INT:
    case CFG_NUMBER:
    case CFG_BOOL:
    case CFG_ENUM:
    case CFG_LEVEL_OR_OBJECT:
    case CFG_ANY:
        return cfg_type_name(type);
    }
    return "";
}

/* Text in a cell of a table. */
static void put_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            (void)fputs(", ", stdout);
        } else if (*text == '*' || *text == '<') {
            (void)printf("\\%c", *text);
        } else {
            (void)putchar(*text);
        }
    }
}

static void put_default(const cfg_row *row)
{
    const char *text = row->fallback;

    if (text == NULL) {
        return;
    }
    if (row->type != CFG_STRINGS) {
        (void)printf("`%s`", *text == '\0' ? "\"\"" : text);
        return;
    }
    for (; *text != '\0'; text += strlen(text) + 1) {
        (void)printf("%s`%s`", text == row->fallback ? "" : " ", text);
    }
}

static void put_type(const cfg_row *row)
{
    if (row->type == CFG_ENUM) {
        put_cell(row->words);
        return;
    }
    (void)fputs(type_name(row->type), stdout);
    if (row->min != 0 || row->max != 0) {
        const char *unit = row->type == CFG_DURATION ? " ms" : (row->type == CFG_SIZE ? " B" : "");
        (void)printf(" %" PRId64 "..%" PRId64 "%s", row->min, row->max, unit);
    }
}

static void put_section(const cfg_section *s)
{
    (void)printf("\n## %s\n\n", s->title);
    for (const char *m = s->mounts; *m != '\0'; m += strlen(m) + 1) {
        (void)printf("%s`%s`", m == s->mounts ? "Below " : ", ", m);
    }
    (void)printf("%s| key | type | default | handling | |\n|---|---|---|---|---|\n",
                 s->mounts[0] == '\0' ? "" : ":\n\n");
    for (size_t i = 0; i < s->count; i++) {
        const cfg_row *row = &s->rows[i];
        const size_t len = strlen(row->name);

        if (len > 2 && strcmp(row->name + len - 2, "[]") == 0) {
            continue; /* an element; its list has a line */
        }
        (void)printf("| `%s`%s | ", row->name, row->required ? " \\*" : "");
        put_type(row);
        (void)fputs(" | ", stdout);
        put_default(row);
        (void)printf(" | %s | ", handling_name(row->handling));
        put_cell(row->help);
        (void)fputs(" |\n", stdout);
    }
}

int main(void)
{
    size_t count;
    const cfg_section *const *all = cfg_sections(&count);

    (void)fputs(intro, stdout);
    for (size_t i = 0; i < count; i++) {
        put_section(all[i]);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
