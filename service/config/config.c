#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/encode.h"
#include "config/check.h"
#include "config/lookup.h"
#include "config/node.h"
#include "config/override.h"
#include "config/value.h"
#include "config/yaml_reader.h"

struct cfg {
    cfg_tree tree;
};

static tdsa_status read_all(int fd, const char *path, tdsa_buf *out, tdsa_err *err)
{
    struct stat about;
    ssize_t got = 1;

    if (fstat(fd, &about) != 0 || S_ISDIR(about.st_mode)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s is not a file", path);
    }
    while (got > 0) {
        uint8_t *room = tdsa_buf_extend(out, 65536);
        if (room == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory to read %s", path);
        }
        got = read(fd, room, 65536);
        out->len -= got < 0 ? 65536 : 65536 - (size_t)got;
        if (got < 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "cannot read %s: %s", path, strerror(errno));
        }
        if (out->len > CFG_DOCUMENT_MAX) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s is longer than %u bytes", path,
                             CFG_DOCUMENT_MAX);
        }
    }
    return TDSA_OK;
}

static tdsa_status read_file(const char *path, tdsa_buf *out, tdsa_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    tdsa_status st;

    if (fd < 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "cannot open %s: %s", path, strerror(errno));
    }
    st = read_all(fd, path, out, err);
    (void)close(fd);
    return st;
}

static tdsa_status read_source(const cfg_source *source, tdsa_buf *out, const char **name,
                               tdsa_err *err)
{
    *name = "TDSA_CONFIG";
    if (source->base64 != NULL && *source->base64 != '\0') {
        const size_t len = strlen(source->base64);
        if (len > 2 * (size_t)CFG_DOCUMENT_MAX) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "TDSA_CONFIG is too long");
        }
        if (tdsa_base64_decode(out, source->base64, len, NULL, err) != TDSA_OK) {
            err->status = err->status == TDSA_E_NO_MEMORY ? TDSA_E_NO_MEMORY : TDSA_E_CONFIG;
            return tdsa_err_wrap(err, "TDSA_CONFIG has an error");
        }
        return TDSA_OK;
    }
    if (source->file == NULL || *source->file == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "no configuration: neither a file nor TDSA_CONFIG");
    }
    *name = source->file;
    return read_file(source->file, out, err);
}

/* A problem that ends the reading: the list holds this one. */
static tdsa_status single(const char *name, tdsa_buf *problems, tdsa_err *err)
{
    if (problems != NULL) {
        tdsa_buf_appendf(problems, "%s has an error:\n  * %s\n", name, err->text);
    }
    return tdsa_err_wrap(err, "%s has an error", name);
}

static tdsa_status load(cfg *c, const cfg_source *source, tdsa_buf *problems, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const char *name;
    tdsa_status st = read_source(source, &text, &name, err);

    if (st != TDSA_OK) {
        if (problems != NULL) {
            tdsa_buf_appendf(problems, "%s\n", err->text);
        }
        return st;
    }
    st = cfg_yaml_read(&c->tree, text.data, text.len, err);
    if (st == TDSA_OK) {
        st = cfg_override(&c->tree, source->defines, source->use_environment, source->log, err);
    }
    if (st != TDSA_OK) {
        return single(name, problems, err);
    }
    return cfg_check(&c->tree, name, source->log, problems, err);
}

tdsa_status cfg_load(cfg **out, const cfg_source *source, tdsa_buf *problems, tdsa_err *err)
{
    cfg *c = NULL;
    tdsa_status st;

    *out = NULL;
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the configuration");
    }
    st = load(c, source, problems, err);
    if (st != TDSA_OK) {
        cfg_free(c);
        return st;
    }
    *out = c;
    return TDSA_OK;
}

void cfg_free(cfg *c)
{
    if (c != NULL) {
        cfg_tree_clear(&c->tree);
        free(c);
    }
}

/* The node of a path when it is set; the path must be one of the table's. */
static const cfg_node *find(const cfg *c, const char *path, const cfg_row **row)
{
    const cfg_node *n = cfg_lookup_node(&c->tree, path);

    *row = cfg_lookup_row(path);
    TDSA_ASSERT(*row != NULL);
    return n == NULL || n->kind == CFG_NODE_NULL ? NULL : n;
}

bool cfg_is_set(const cfg *c, const char *path)
{
    const cfg_row *row;

    return find(c, path, &row) != NULL;
}

/* Element `index` of a default list; NULL when it is shorter. count (may be NULL): all of them. */
static const char *fallback_at(const cfg_row *row, size_t index, size_t *count)
{
    const char *found = NULL;
    size_t i = 0;

    if (row->type == CFG_STRINGS && row->fallback != NULL) {
        for (const char *s = row->fallback; *s != '\0'; s += strlen(s) + 1, i++) {
            found = i == index ? s : found;
        }
    }
    if (count != NULL) {
        *count = i;
    }
    return found;
}

size_t cfg_count(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    size_t count;

    if (n != NULL) {
        return n->count;
    }
    (void)fallback_at(row, 0, &count);
    return count;
}

/* The default of "list[i]" stands with the list. */
static const char *element_fallback(const cfg *c, const char *path)
{
    const char *bracket = strrchr(path, '[');
    char list[CFG_PATH_MAX];
    const cfg_row *row;
    const char *p = bracket;
    cfg_step step;

    if (bracket == NULL || !cfg_path_step(&p, &step) || *p != '\0' ||
        (size_t)(bracket - path) >= sizeof list) {
        return NULL;
    }
    memcpy(list, path, (size_t)(bracket - path));
    list[bracket - path] = '\0';
    return find(c, list, &row) == NULL ? fallback_at(row, step.index, NULL) : NULL;
}

const char *cfg_str(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);

    if (n != NULL) {
        return n->text;
    }
    return row->name[0] == '\0' ? element_fallback(c, path) : row->fallback;
}

const char *cfg_map_key(const cfg *c, const char *path, size_t index)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    const cfg_node *entry = n == NULL ? NULL : cfg_node_at(n, index);

    return entry == NULL ? NULL : entry->key;
}

int64_t cfg_int(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    int64_t v = 0;

    TDSA_ASSERT(row->type == CFG_INT || row->type == CFG_SECONDS || row->type == CFG_MILLIS);
    if (n != NULL) {
        return row->type == CFG_SECONDS ? n->number / 1000 : n->number;
    }
    TDSA_ASSERT(row->fallback == NULL || cfg_value_int(row->fallback, &v));
    return v;
}

double cfg_number(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    const char *text = n == NULL ? row->fallback : n->text;
    double v = 0.0;

    TDSA_ASSERT(row->type == CFG_NUMBER);
    TDSA_ASSERT(text == NULL || cfg_value_number(text, &v));
    return v;
}

bool cfg_bool(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    bool v = false;

    TDSA_ASSERT(row->type == CFG_BOOL);
    if (n != NULL) {
        return n->number != 0;
    }
    TDSA_ASSERT(row->fallback == NULL || cfg_value_bool(row->fallback, &v));
    return v;
}

int64_t cfg_duration_ms(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    int64_t v = 0;

    TDSA_ASSERT(row->type == CFG_DURATION || row->type == CFG_SECONDS || row->type == CFG_MILLIS);
    if (n != NULL || row->fallback == NULL) {
        return n == NULL ? 0 : n->number;
    }
    if (row->type == CFG_DURATION) {
        TDSA_ASSERT(cfg_value_duration(row->fallback, &v));
        return v;
    }
    TDSA_ASSERT(cfg_value_int(row->fallback, &v));
    return row->type == CFG_SECONDS ? v * 1000 : v;
}

int64_t cfg_size(const cfg *c, const char *path)
{
    const cfg_row *row;
    const cfg_node *n = find(c, path, &row);
    int64_t v = 0;

    TDSA_ASSERT(row->type == CFG_SIZE);
    if (n != NULL) {
        return n->number;
    }
    TDSA_ASSERT(row->fallback == NULL || cfg_value_size(row->fallback, &v));
    return v;
}

const char *cfg_path(char *out, size_t cap, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(out, cap, fmt, args);
    va_end(args);
    TDSA_ASSERT(n >= 0 && (size_t)n < cap);
    return out;
}
