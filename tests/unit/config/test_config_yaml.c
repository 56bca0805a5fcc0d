#include "config/yaml_reader.h"

#include <stdlib.h>

#include "config_support.h"

static tdsa_status read_text(cfg_tree *t, const char *text, tdsa_err *err)
{
    return cfg_yaml_read(t, (const uint8_t *)text, strlen(text), err);
}

static void document_becomes_a_tree(void **state)
{
    static const char text[] = "a: 1\n"
                               "b:\n"
                               "  - x\n"
                               "  - \"2\"\n"
                               "  -\n"
                               "c: {d: [], e: ~, f: ''}\n";
    cfg_tree t;
    tdsa_err err;
    const cfg_node *b;
    const cfg_node *c;

    (void)state;
    assert_int_equal(read_text(&t, text, &err), TDSA_OK);
    assert_int_equal(t.root->count, 3);
    assert_string_equal(cfg_node_child(t.root, "a")->text, "1");
    assert_true(cfg_node_child(t.root, "a")->plain);
    b = cfg_node_child(t.root, "b");
    assert_int_equal(b->kind, CFG_NODE_SEQ);
    assert_int_equal(b->count, 3);
    assert_false(cfg_node_at(b, 1)->plain);
    assert_int_equal(cfg_node_at(b, 1)->line, 4);
    assert_int_equal(cfg_node_at(b, 1)->col, 5);
    assert_int_equal(cfg_node_at(b, 2)->kind, CFG_NODE_NULL);
    assert_null(cfg_node_at(b, 3));
    c = cfg_node_child(t.root, "c");
    assert_int_equal(cfg_node_child(c, "d")->count, 0);
    assert_int_equal(cfg_node_child(c, "e")->kind, CFG_NODE_NULL);
    assert_int_equal(cfg_node_child(c, "f")->kind, CFG_NODE_SCALAR);
    cfg_tree_clear(&t);
    assert_null(t.root);
}

static void empty_documents_are_empty_maps(void **state)
{
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "--- ~\n", "{}"};
    cfg_tree t;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(read_text(&t, texts[i], &err), TDSA_OK);
        assert_int_equal(t.root->kind, CFG_NODE_MAP);
        assert_int_equal(t.root->count, 0);
        cfg_tree_clear(&t);
    }
    assert_int_equal(cfg_yaml_read(&t, NULL, 0, &err), TDSA_OK);
    cfg_tree_clear(&t);
}

static void what_is_refused_is_named_with_its_place(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"a: 1\nb: [1, 2\nc: 3\n", "Malformed YAML at line 3, column 2"},
        {"a: 1\n b: 2\n", "Malformed YAML at line 2, column 3"},
        {"a: \"open\n", "Malformed YAML at line 2, column 1"},
        {"a:\n\t- b\n", "Malformed YAML at line 2, column 1"},
        {"a: 1\nb: 2\na: 3\n", "duplicate key at line 3, column 1"},
        {"a: {b: 1, b: 2}\n", "duplicate key at line 1, column 11"},
        {"a: &x 1\n", "anchors are not supported at line 1, column 4"},
        {"a: &x [1]\n", "anchors are not supported at line 1"},
        {"a: &x {b: 1}\n", "anchors are not supported at line 1"},
        {"a: *x\n", "aliases are not supported at line 1, column 4"},
        {"a: !!str 1\n", "tags are not supported at line 1, column 4"},
        {"a: !x [1]\n", "tags are not supported at line 1, column 4"},
        {"a: !x {b: 1}\n", "tags are not supported at line 1, column 4"},
        {"a: 1\n---\nb: 2\n", "a second document begins at line 2, column 1"},
        {"- a\n- b\n", "not a map of keys at line 1, column 1"},
        {"just text\n", "not a map of keys at line 1, column 1"},
        {"? [a, b]\n: c\n", "a key must be a scalar at line 1, column 3"},
        {"? {a: b}\n: c\n", "a key must be a scalar at line 1, column 3"},
        {"\"\": 1\n", "empty key"},
        {"\"a\\0b\": 1\n", "NUL inside a key"},
        {"a: \"b\\0c\"\n", "NUL inside a value at line 1, column 4"},
        {"a: \x01\n", "Malformed YAML at byte"},
        {"a: \xff\xfe\n", "Malformed YAML at byte"},
    };
    cfg_tree t;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (read_text(&t, cases[i].text, &err) != TDSA_E_CONFIG) {
            fail_msg("accepted: %s", cases[i].text);
        }
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s -> %s", cases[i].text, err.text);
        }
        assert_null(t.root);
    }
}

static void depth_is_limited(void **state)
{
    char text[4 * CFG_DEPTH_MAX + 64] = "a: ";
    cfg_tree t;
    tdsa_err err;

    (void)state;
    memset(text + 3, '[', CFG_DEPTH_MAX - 2);
    memset(text + 3 + CFG_DEPTH_MAX - 2, ']', CFG_DEPTH_MAX - 2);
    assert_int_equal(read_text(&t, text, &err), TDSA_OK);
    cfg_tree_clear(&t);
    memset(text, '[', sizeof text - 1);
    memcpy(text, "a: ", 3);
    text[sizeof text - 1] = '\0';
    assert_int_equal(read_text(&t, text, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "nested deeper than"));
    assert_non_null(strstr(err.text, "line 1"));
}

/* head, then `count` times `part`. */
static void *repeat(const char *head, const char *part, size_t count)
{
    const size_t len = strlen(head) + count * strlen(part) + 1;
    char *text = malloc(len);
    char *p = text;

    assert_non_null(text);
    p += snprintf(p, len, "%s", head);
    for (size_t i = 0; i < count; i++) {
        p += snprintf(p, len - (size_t)(p - text), "%s", part);
    }
    return text;
}

static void size_and_number_of_values_are_limited(void **state)
{
    static const struct {
        const char *head, *part;
        size_t count;
        const char *says;
    } cases[] = {
        {"a:\n", "- b\n", CFG_NODES_MAX, "more than 5000 values"},
        {"a: ", "b", CFG_TEXT_MAX + 1, "value too long at line 1, column 4"},
        {"# ", "x", CFG_DOCUMENT_MAX, "the document is longer than"},
    };
    cfg_tree t;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = repeat(cases[i].head, cases[i].part, cases[i].count);
        assert_int_equal(read_text(&t, text, &err), TDSA_E_CONFIG);
        assert_non_null(strstr(err.text, cases[i].says));
        free(text);
    }
}

static void long_keys_are_refused(void **state)
{
    char text[CFG_KEY_MAX + 8];
    cfg_tree t;
    tdsa_err err;

    (void)state;
    memset(text, 'k', sizeof text);
    memcpy(text + CFG_KEY_MAX, ": 1", 4);
    assert_int_equal(read_text(&t, text, &err), TDSA_OK);
    cfg_tree_clear(&t);
    memset(text, 'k', sizeof text);
    memcpy(text + CFG_KEY_MAX + 1, ": 1", 4);
    assert_int_equal(read_text(&t, text, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "key too long at line 1, column 1"));
}

static void paths_name_every_node(void **state)
{
    cfg_tree t;
    tdsa_err err;
    char path[64];
    char small[8];
    const cfg_node *n;

    (void)state;
    assert_int_equal(read_text(&t, "a: {\"b.c[*]\": [x, [\"y\"]]}\n", &err), TDSA_OK);
    n = cfg_node_at(cfg_node_at(cfg_node_child(cfg_node_child(t.root, "a"), "b.c[*]"), 1), 0);
    cfg_node_path(n, false, path, sizeof path);
    assert_string_equal(path, "a.b\\.c\\[\\*\\][1][0]");
    cfg_node_path(n, true, path, sizeof path);
    assert_string_equal(path, "a.b\\.c\\[\\*\\][][]");
    cfg_node_path(n, false, small, sizeof small);
    assert_int_equal(strlen(small), sizeof small - 1);
    cfg_tree_clear(&t);
}

static void paths_are_taken_apart_step_by_step(void **state)
{
    static const char *const bad[] = {"[x]", "[1", "[]", "[99999999]", ".", ".[0]"};
    const char *path = "a.b\\.c[12].d";
    cfg_step step;

    (void)state;
    assert_true(cfg_path_step(&path, &step));
    assert_string_equal(step.name, "a");
    assert_true(cfg_path_step(&path, &step));
    assert_string_equal(step.name, "b.c");
    assert_true(cfg_path_step(&path, &step));
    assert_true(step.is_index);
    assert_int_equal(step.index, 12);
    assert_true(cfg_path_step(&path, &step));
    assert_string_equal(step.name, "d");
    assert_false(cfg_path_step(&path, &step));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        path = bad[i];
        assert_false(cfg_path_step(&path, &step));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_becomes_a_tree),
        cmocka_unit_test(empty_documents_are_empty_maps),
        cmocka_unit_test(what_is_refused_is_named_with_its_place),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_and_number_of_values_are_limited),
        cmocka_unit_test(long_keys_are_refused),
        cmocka_unit_test(paths_name_every_node),
        cmocka_unit_test(paths_are_taken_apart_step_by_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
