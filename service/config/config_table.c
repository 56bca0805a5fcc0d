#include "config/row.h"

#include <string.h>

#include "config/tables.h"

static const cfg_row root[] = {
    {.name = "tdsaLibrary", .type = CFG_OBJECT, .required = true, .help = "The participant."},
    {.name = "tdsaServer", .type = CFG_OBJECT, .help = "The group of servers."},
    {.name = "vault",
     .type = CFG_OBJECT,
     .handling = CFG_LATER,
     .help = "External vault for secrets; this version refuses selectors."},
    {.name = "server", .type = CFG_OBJECT, .help = "HTTP listeners of the daemon."},
    {.name = "httpClient", .type = CFG_OBJECT, .help = "Requests to other participants."},
    {.name = "logging", .type = CFG_OBJECT, .help = "Log lines."},
    {.name = "database", .type = CFG_OBJECT, .help = "Where rows are kept."},
    {.name = "health", .type = CFG_OBJECT, .help = "Health checks."},
    {.name = "metrics", .type = CFG_OBJECT, .handling = CFG_LATER, .help = "Metric reporters."},
    {.name = "admin", .type = CFG_OBJECT, .help = "The admin port."},
    {.name = "pkcs11", .type = CFG_OBJECT, .help = "Own section. The PKCS#11 module."},
};

const cfg_section cfg_table_root = {"The document", "\0", CFG_ROWS(root)};

const cfg_section *const *cfg_sections(size_t *count)
{
    static const cfg_section *const all[] = {
        &cfg_table_root,        &cfg_table_library,   &cfg_table_participant,
        &cfg_table_storage,     &cfg_table_own,       &cfg_table_vault,
        &cfg_table_server,      &cfg_table_connector, &cfg_table_connector_tls,
        &cfg_table_http_client, &cfg_table_logging,   &cfg_table_appender,
        &cfg_table_database,    &cfg_table_health,    &cfg_table_metrics,
        &cfg_table_admin,
    };

    *count = sizeof all / sizeof all[0];
    _Static_assert(sizeof all / sizeof all[0] <= CFG_SECTIONS_MAX, "more sections than the limit");
    return all;
}

/* The next string of a list in which each ends in NUL; NULL at the end. First call: s = list. */
static const char *list_next(const char *s)
{
    s += strlen(s) + 1;
    return *s == '\0' ? NULL : s;
}

/* What is left of `pattern` below `mount`; NULL when it is not below it. */
static const char *below(const char *pattern, const char *mount)
{
    const size_t len = strlen(mount);

    if (len == 0) {
        return pattern;
    }
    if (strncmp(pattern, mount, len) != 0 || pattern[len] != '.') {
        return NULL;
    }
    return pattern + len + 1;
}

static const cfg_row *find_in(const cfg_section *s, const char *rest)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->rows[i].name, rest) == 0) {
            return &s->rows[i];
        }
    }
    return NULL;
}

const cfg_row *cfg_row_find(const char *pattern)
{
    static const cfg_row document = {.name = "", .type = CFG_OBJECT, .help = "The document."};
    size_t count;
    const cfg_section *const *all = cfg_sections(&count);

    if (pattern[0] == '\0') {
        return &document;
    }
    for (size_t i = 0; i < count; i++) {
        for (const char *m = all[i]->mounts; m != NULL; m = list_next(m)) {
            const char *rest = below(pattern, m);
            const cfg_row *row = rest == NULL ? NULL : find_in(all[i], rest);
            if (row != NULL) {
                return row;
            }
        }
    }
    return NULL;
}

/* Name of the row directly below `parent` (a pattern relative to the mount), or NULL. */
static const char *child_name(const char *row_name, const char *parent)
{
    const char *rest = below(row_name, parent);

    if (rest == NULL || strpbrk(rest, ".[") != NULL || strcmp(rest, "*") == 0) {
        return NULL;
    }
    return rest;
}

static void each_in(const cfg_section *s, const char *parent, cfg_name_fn fn, void *ctx)
{
    for (size_t i = 0; i < s->count; i++) {
        const char *name = child_name(s->rows[i].name, parent);
        if (name != NULL) {
            fn(ctx, name, &s->rows[i]);
        }
    }
}

void cfg_row_each_child(const char *pattern, cfg_name_fn fn, void *ctx)
{
    size_t count;
    const cfg_section *const *all = cfg_sections(&count);

    for (size_t i = 0; i < count; i++) {
        for (const char *m = all[i]->mounts; m != NULL; m = list_next(m)) {
            if (strcmp(pattern, m) == 0) {
                each_in(all[i], "", fn, ctx);
            } else if (pattern[0] != '\0' && below(pattern, m) != NULL) {
                each_in(all[i], below(pattern, m), fn, ctx);
            }
        }
    }
}

const char *cfg_type_name(cfg_type type)
{
    switch (type) {
    case CFG_STRING:
    case CFG_SECRET:
        return "String";
    case CFG_INT:
        return "int";
    case CFG_NUMBER:
        return "double";
    case CFG_BOOL:
        return "boolean";
    case CFG_DURATION:
        return "Duration";
    case CFG_SECONDS:
        return "int (seconds) or Duration";
    case CFG_MILLIS:
        return "int (milliseconds) or Duration";
    case CFG_SIZE:
        return "DataSize";
    case CFG_ENUM:
        return "one word";
    case CFG_LEVEL:
        return "Level";
    case CFG_LEVEL_OR_OBJECT:
        return "Level or Object";
    case CFG_OBJECT:
    case CFG_OBJECT_MAP:
        return "Object";
    case CFG_STRING_MAP:
        return "Object of Strings";
    case CFG_ARRAY:
        return "Array";
    case CFG_STRINGS:
        return "Array of Strings";
    case CFG_INTS:
        return "Array of ints";
    case CFG_ANY:
        return "anything";
    }
    return "unknown";
}
