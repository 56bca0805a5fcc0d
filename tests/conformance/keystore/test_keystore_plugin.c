#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ks_fixture.h"

/* Encryptors of other people: PLUGIN_DIR holds what plugin_kinds.c was built into, and the example. */

static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

static const char *const words[] = {"a word", "second"};
static char folder[160];
static char warned[2048]; /* the warnings of the last opening */

static void note(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    const size_t at = strlen(warned);

    (void)ctx;
    (void)logger;
    if (level == TDSA_LOG_WARN) {
        (void)snprintf(warned + at, sizeof warned - at, "%s\n", text);
    }
}

static const tdsa_log log_to_warned = {note, NULL};

/* Copies a plugin into the folder of this test. */
static void put(const char *kind, const char *as, mode_t mode)
{
    char path[256];
    uint8_t bytes[4096];
    FILE *in = NULL;
    FILE *out = NULL;
    size_t n = 0;

    (void)snprintf(path, sizeof path, "%s/%s.so", PLUGIN_DIR, kind);
    in = fopen(path, "rb");
    (void)snprintf(path, sizeof path, "%s/%s", folder, as);
    out = fopen(path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    }
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void drop(const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

/* An empty database, an empty folder, and the wish for the plugin of that name. */
static ks_fixture *begin(void **state, const char *name)
{
    ks_fixture *f = *state;

    ks_close(f->s);
    f->s = NULL;
    assert_int_equal(unlink(f->path), 0);
    (void)snprintf(folder, sizeof folder, "%s/plugins", f->dir);
    assert_int_equal(mkdir(folder, 0755), 0);
    f->cfg.encryptor = KS_ENCRYPTOR_PLUGIN;
    f->cfg.encryption_key = NULL;
    f->cfg.plugin_name = name;
    f->cfg.plugin_folder = folder;
    f->cfg.plugin_arguments = words;
    f->cfg.plugin_argument_count = 2;
    f->cfg.log = &log_to_warned;
    warned[0] = '\0';
    return f;
}

static void refused(ks_fixture *f, tdsa_status want, const char *text)
{
    ks *s = NULL;

    warned[0] = '\0';
    EXPECT(f, want, ks_open(&s, &f->cfg, &f->err));
    assert_null(s);
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
}

static void use_it(ks_fixture *f)
{
    tdsa_secret *share = NULL;

    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    ks_fixture_active(f, "k", "the share");
    ks_fixture_reopen(f);
    assert_false(ks_needs_login(f->s));
    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    assert_memory_equal(tdsa_secret_view(share), "the share", 9);
    tdsa_secret_free(share);
    ks_close(f->s);
    f->s = NULL;
}

static void the_one_that_declares_the_name_is_taken(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");

    put("plugin_xor", "b.so", 0644);
    put("plugin_other", "a.so", 0644);
    put("plugin_newer", "c.so", 0644);
    put("plugin_xor", "not-a-plugin.txt", 0644);
    use_it(f);
    assert_non_null(strstr(
        warned, "c.so is passed over: com.example.Newer has version 7, this program needs 1"));
}

static void a_broken_file_is_named_and_passed_over(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");
    char path[256];
    FILE *broken = NULL;

    (void)snprintf(path, sizeof path, "%s/a.so", folder);
    broken = fopen(path, "w");
    assert_non_null(broken);
    (void)fprintf(broken, "this is no library");
    (void)fclose(broken);
    assert_int_equal(chmod(path, 0755), 0);
    put("plugin_nothing", "b.so", 0755);
    put("plugin_xor", "z.so", 0755);
    use_it(f);
    assert_non_null(strstr(warned, "plugins/a.so is passed over: "));
    assert_non_null(strstr(warned, "plugins/b.so is passed over: it does not export"));
}

static void a_missing_one_is_an_error_that_lists_what_there_is(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");

    refused(f, TDSA_E_CONFIG, "declares com.example.Xor; found no *.so");
    put("plugin_other", "a.so", 0755);
    put("plugin_nothing", "b.so", 0755);
    refused(f, TDSA_E_CONFIG, "found a.so: com.example.Other, b.so: it does not export");
    f->cfg.plugin_folder = "/nowhere/at/all";
    refused(f, TDSA_E_CONFIG, "/nowhere/at/all: No such file");
    f->cfg.plugin_name = "word";
    refused(f, TDSA_E_CONFIG, "such as com.example.Name");
}

static void a_wrong_version_says_both(void **state)
{
    ks_fixture *f = begin(state, "com.example.Newer");

    put("plugin_newer", "a.so", 0755);
    refused(f, TDSA_E_CONFIG, "com.example.Newer has version 7, this program needs 1");
}

static void two_of_one_name_are_an_error(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");

    put("plugin_xor", "a.so", 0755);
    put("plugin_xor", "b.so", 0755);
    refused(f, TDSA_E_CONFIG, "declare the name com.example.Xor: a.so and b.so");
    drop("a.so");
    use_it(f);
}

static void what_others_may_write_is_not_loaded(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");
    char path[256];

    put("plugin_xor", "a.so", 0757);
    refused(f, TDSA_E_CONFIG, "a.so: others may write to it");
    assert_non_null(strstr(warned, "a.so is passed over: others may write"));
    put("plugin_xor", "a.so", 0775);
    refused(f, TDSA_E_CONFIG, "a.so: others may write to it");
    put("plugin_xor", "a.so", 0755);
    assert_int_equal(chmod(folder, 0777), 0);
    refused(f, TDSA_E_CONFIG, "others may write to it");
    assert_int_equal(chmod(folder, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a.so", folder);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        refused(f, TDSA_E_CONFIG, "a.so: it belongs to another user");
        assert_int_equal(chown(path, 0, 0), 0);
    }
    use_it(f);
}

static void wrong_arguments_are_told_in_one_line(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");

    put("plugin_xor", "a.so", 0755);
    f->cfg.plugin_argument_count = 1;
    refused(f, TDSA_E_CONFIG, "encryptor com.example.Xor: create: wants?a word?");
}

static void another_argument_is_named_by_both_check_values(void **state)
{
    static const char *const other[] = {"another", "second"};
    ks_fixture *f = begin(state, "com.example.Xor");
    char first[256];

    put("plugin_xor", "a.so", 0755);
    use_it(f);
    f->cfg.plugin_arguments = other;
    refused(f, TDSA_E_WRAPPING, "wrapping key with check value");
    memcpy(first, f->err.text, sizeof first);
    assert_null(strstr(first, "another"));
    f->cfg.plugin_arguments = words;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
}

static void another_plugin_is_named(void **state)
{
    ks_fixture *f = begin(state, "com.example.Xor");

    put("plugin_xor", "a.so", 0755);
    put("plugin_other", "b.so", 0755);
    use_it(f);
    f->cfg.plugin_name = "com.example.Other";
    refused(f, TDSA_E_WRAPPING, "'com.example.Xor', but 'com.example.Other' is configured");
    refused(f, TDSA_E_WRAPPING, "check values");
}

static void one_that_does_not_give_back_what_it_wrapped_is_refused(void **state)
{
    ks_fixture *f = begin(state, "com.example.Liar");

    put("plugin_liar", "a.so", 0755);
    refused(f, TDSA_E_WRAPPING, "does not give back what it wrapped");
}

static void the_example_works(void **state)
{
    ks_fixture *f = begin(state, "com.example.KeyFile");
    char key_file[200];
    const char *arguments[] = {key_file, "the second secret"};
    FILE *file = NULL;

    put("key_file", "key_file.so", 0755);
    (void)snprintf(key_file, sizeof key_file, "%s/wrap.key", f->dir);
    f->cfg.plugin_arguments = arguments;
    refused(f, TDSA_E_CONFIG, "cannot open");
    file = fopen(key_file, "w");
    assert_non_null(file);
    (void)fputs("0123456789abcdef0123456789abcdef", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(key_file, 0644), 0);
    refused(f, TDSA_E_CONFIG, "others may read");
    assert_int_equal(chmod(key_file, 0400), 0);
    use_it(f);
    arguments[1] = "another secret";
    refused(f, TDSA_E_WRAPPING, "wrapping key with check value");
    f->cfg.plugin_argument_count = 1;
    refused(f, TDSA_E_WRAPPING, "wrapping key with check value");
}

static struct CMUnitTest with(struct CMUnitTest test)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)&gcm;
    return test;
}

#define TEST(f) with((struct CMUnitTest)cmocka_unit_test(f))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_one_that_declares_the_name_is_taken),
        TEST(a_broken_file_is_named_and_passed_over),
        TEST(a_missing_one_is_an_error_that_lists_what_there_is),
        TEST(a_wrong_version_says_both),
        TEST(two_of_one_name_are_an_error),
        TEST(what_others_may_write_is_not_loaded),
        TEST(wrong_arguments_are_told_in_one_line),
        TEST(another_argument_is_named_by_both_check_values),
        TEST(another_plugin_is_named),
        TEST(one_that_does_not_give_back_what_it_wrapped_is_refused),
        TEST(the_example_works),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
