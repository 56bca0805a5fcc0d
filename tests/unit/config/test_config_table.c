#include "config/row.h"

#include <inttypes.h>
#include <stdlib.h>

#include "config_support.h"

/* Every key of the table, alone in an otherwise minimal document; then with one letter changed. */

#define KEYS_AT_LEAST 230u

typedef struct {
    tdsa_buf *out;
    const char *except; /* name of the key that the document is about */
} sibling_ctx;

#define LIBRARY                                                                       \
    "{participantIndex: 0, remoteParticipants: [], participantPrimaryPrivateKey: a, " \
    "participantSecondaryPrivateKey: b}"

/* A value of the row's type, in flow style; an object is empty. */
static void put_value(tdsa_buf *out, const cfg_row *row)
{
    switch (row->type) {
    case CFG_STRING:
    case CFG_SECRET:
        tdsa_buf_append_str(out, "text");
        return;
    case CFG_INT:
    case CFG_SECONDS:
    case CFG_MILLIS:
        tdsa_buf_appendf(out, "%" PRId64, row->min);
        return;
    case CFG_NUMBER:
        tdsa_buf_append_str(out, "1.5");
        return;
    case CFG_BOOL:
        tdsa_buf_append_str(out, "true");
        return;
    case CFG_DURATION:
        tdsa_buf_appendf(out, "%" PRId64 "ms", row->min);
        return;
    case CFG_SIZE:
        tdsa_buf_appendf(out, "%" PRId64 "B", row->min);
        return;
    case CFG_ENUM:
        tdsa_buf_append(out, row->words, strcspn(row->words, "|"));
        return;
    case CFG_LEVEL:
    case CFG_LEVEL_OR_OBJECT:
        tdsa_buf_append_str(out, "info");
        return;
    case CFG_OBJECT:
        tdsa_buf_append_str(out, strcmp(row->name, "tdsaLibrary") == 0 ? LIBRARY : "{}");
        return;
    case CFG_OBJECT_MAP:
        tdsa_buf_append_str(out, "{}");
        return;
    case CFG_STRING_MAP:
        tdsa_buf_append_str(out, "{k: v}");
        return;
    case CFG_ARRAY:
        tdsa_buf_append_str(out, "[]");
        return;
    case CFG_STRINGS:
        tdsa_buf_append_str(out, "[a, b]");
        return;
    case CFG_INTS:
        tdsa_buf_append_str(out, "[1, 2]");
        return;
    case CFG_ANY:
        tdsa_buf_append_str(out, "{x: [1]}");
        return;
    }
}

static void put_sibling(void *ctx, const char *name, const cfg_row *row)
{
    const sibling_ctx *s = ctx;

    if (row->required && strcmp(name, s->except) != 0) {
        tdsa_buf_appendf(s->out, "%s: ", name);
        put_value(s->out, row);
        tdsa_buf_append_str(s->out, ", ");
    }
}

/* The required keys below `pattern`, each followed by ", ". */
static void put_required(tdsa_buf *out, const char *pattern, const char *except)
{
    sibling_ctx ctx = {out, except};

    cfg_row_each_child(pattern, put_sibling, &ctx);
}

/* A value of the row's type with what an object of that kind requires. */
static void put_sample(tdsa_buf *out, const cfg_row *row, const char *pattern)
{
    if (row->type != CFG_OBJECT || strcmp(row->name, "tdsaLibrary") == 0) {
        put_value(out, row);
        return;
    }
    tdsa_buf_append_str(out, "{");
    put_required(out, pattern, "");
    tdsa_buf_append_str(out, "}");
}

/* The document that holds `value` at `pattern` and what is required around it. `last` replaces the
 * last name when it is not NULL. */
static void put_document(tdsa_buf *out, const char *pattern, const char *last, const char *value)
{
    char closing[64] = "";
    size_t depth = 0;

    for (const char *p = pattern; *p != '\0';) {
        const size_t len = *p == '[' ? 2 : strcspn(p, ".[");
        const bool is_last = p[len] == '\0';
        char above[CFG_PATH_MAX];
        char name[CFG_PATH_MAX];

        (void)snprintf(name, sizeof name, "%.*s", (int)len, p);
        (void)snprintf(above, sizeof above, "%.*s", (int)(p == pattern ? 0 : p - pattern), pattern);
        if (above[0] != '\0' && above[strlen(above) - 1] == '.') {
            above[strlen(above) - 1] = '\0';
        }
        if (*p == '[') {
            tdsa_buf_append_str(out, "[");
            closing[depth++] = ']';
        } else {
            tdsa_buf_append_str(out, "{");
            put_required(out, above, name);
            tdsa_buf_appendf(
                out, "%s: ", is_last && last != NULL ? last : (*p == '*' ? "any.name" : name));
            closing[depth++] = '}';
        }
        p += len + (p[len] == '.' ? 1 : 0);
    }
    tdsa_buf_append_str(out, value);
    while (depth > 0) {
        tdsa_buf_append_u8(out, (uint8_t)closing[--depth]);
    }
    tdsa_buf_append_u8(out, 0);
    assert_false(out->failed);
}

/* Called for every key at every mount. */
typedef void (*key_fn)(const cfg_row *row, const char *pattern);

static size_t each_key(key_fn fn)
{
    size_t count;
    size_t keys = 0;
    const cfg_section *const *all = cfg_sections(&count);
    char pattern[CFG_PATH_MAX];

    for (size_t i = 0; i < count; i++) {
        for (const char *m = all[i]->mounts; m == all[i]->mounts || *m != '\0';
             m += strlen(m) + 1) {
            for (size_t k = 0; k < all[i]->count; k++) {
                const cfg_row *row = &all[i]->rows[k];
                (void)snprintf(pattern, sizeof pattern, "%s%s%s", m, *m == '\0' ? "" : ".",
                               row->name);
                fn(row, pattern);
                keys++;
            }
        }
    }
    return keys;
}

static void loads_with(const char *pattern, const char *value)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    cfg *c = NULL;
    tdsa_err err;

    put_document(&text, pattern, NULL, value);
    if (load_text(&c, (const char *)text.data, NULL, NULL, NULL, &err) != TDSA_OK) {
        fail_msg("%s: %s: %s", pattern, (const char *)text.data, err.text);
    }
    cfg_free(c);
}

static void check_alone(const cfg_row *row, const char *pattern)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;

    put_sample(&value, row, pattern);
    tdsa_buf_append_u8(&value, 0);
    loads_with(pattern, (const char *)value.data);
}

static void every_key_alone_is_accepted(void **state)
{
    (void)state;
    assert_true(each_key(check_alone) >= KEYS_AT_LEAST);
}

static void check_null(const cfg_row *row, const char *pattern)
{
    const size_t len = strlen(pattern);

    if (!row->required && strcmp(pattern + len - 2, "[]") != 0) {
        loads_with(pattern, "");
    }
}

static void every_key_that_is_not_required_may_be_null(void **state)
{
    (void)state;
    (void)each_key(check_null);
}

static void check_default(const cfg_row *row, const char *pattern)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;

    if (row->fallback == NULL) {
        return;
    }
    if (row->type == CFG_STRINGS) {
        tdsa_buf_append_str(&value, "[");
        for (const char *s = row->fallback; *s != '\0'; s += strlen(s) + 1) {
            tdsa_buf_appendf(&value, "'%s', ", s);
        }
        tdsa_buf_append_str(&value, "]");
    } else {
        tdsa_buf_appendf(&value, "'%s'", row->fallback);
    }
    tdsa_buf_append_u8(&value, 0);
    loads_with(pattern, (const char *)value.data);
}

static void every_default_is_a_valid_value(void **state)
{
    (void)state;
    (void)each_key(check_default);
}

static void check_misspelt(const cfg_row *row, const char *pattern)
{
    const char *dot = strrchr(pattern, '.');
    const char *last = dot == NULL ? pattern : dot + 1;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    char wrong[CFG_PATH_MAX];
    char suggestion[3 * CFG_PATH_MAX];
    cfg *c = NULL;
    tdsa_err err;

    (void)row;
    if (strpbrk(last, "[*") != NULL) {
        return;
    }
    (void)snprintf(wrong, sizeof wrong, "%s", last);
    wrong[strlen(wrong) / 2] = wrong[strlen(wrong) / 2] == 'q' ? 'z' : 'q';
    put_document(&text, pattern, wrong, "1");
    if (load_text(&c, (const char *)text.data, NULL, NULL, &problems, &err) != TDSA_E_CONFIG) {
        fail_msg("accepted: %s", (const char *)text.data);
    }
    tdsa_buf_append_u8(&problems, 0);
    (void)snprintf(suggestion, sizeof suggestion, "Did you mean?:\n      - %s\n", last);
    if (strstr((const char *)problems.data, suggestion) == NULL) {
        fail_msg("%s: %s", (const char *)text.data, (const char *)problems.data);
    }
    (void)snprintf(suggestion, sizeof suggestion, "%s. Did you mean %s?", wrong, last);
    assert_non_null(strstr(err.text, suggestion));
}

static void one_wrong_letter_is_refused_with_the_right_key_first(void **state)
{
    (void)state;
    (void)each_key(check_misspelt);
}

static void check_shape(const cfg_row *row, const char *pattern)
{
    char other[CFG_PATH_MAX];
    char *cut;

    assert_non_null(row->help);
    assert_true(strlen(row->help) > 4);
    assert_true(row->min <= row->max);
    assert_int_equal(row->type == CFG_ENUM, row->words != NULL);
    assert_ptr_equal(cfg_row_find(pattern), row); /* no key stands twice */
    if (row->type == CFG_ARRAY) {
        (void)snprintf(other, sizeof other, "%s[]", pattern);
        assert_non_null(cfg_row_find(other));
    }
    (void)snprintf(other, sizeof other, "%s", pattern);
    cut = strcmp(pattern + strlen(pattern) - 2, "[]") == 0 ? strrchr(other, '[')
                                                           : strrchr(other, '.');
    if (cut != NULL) { /* what holds it is in the table too */
        *cut = '\0';
        assert_non_null(cfg_row_find(other));
    }
}

static void rows_are_complete_and_unique(void **state)
{
    (void)state;
    (void)each_key(check_shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete_and_unique),
        cmocka_unit_test(every_key_alone_is_accepted),
        cmocka_unit_test(every_key_that_is_not_required_may_be_null),
        cmocka_unit_test(every_default_is_a_valid_value),
        cmocka_unit_test(one_wrong_letter_is_refused_with_the_right_key_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
