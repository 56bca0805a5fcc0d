#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/file.h"

/* Files that are written whole or not at all. */

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", "/tmp/test-cli-file-XXXXXX");
    (void)umask(022);
    return mkdtemp(folder) == NULL ? 1 : chdir(folder);
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

static void holds(const char *path, const char *text)
{
    TDSA_SCOPED_BUF got = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(cli_read_file(&got, path, 100, &err), TDSA_OK);
    assert_int_equal(got.len, strlen(text));
    assert_memory_equal(got.data, text, got.len);
}

static void a_public_file_replaces_another(void **state)
{
    struct stat is;
    tdsa_err err;

    (void)state;
    assert_int_equal(cli_write_file("public", "old", 3, CLI_PUBLIC, &err), TDSA_OK);
    assert_int_equal(cli_write_file("public", "new", 3, CLI_PUBLIC, &err), TDSA_OK);
    holds("public", "new");
    assert_int_equal(stat("public", &is), 0);
    assert_int_equal(is.st_mode & 0777, 0644);
}

static void a_secret_is_for_its_owner_and_replaces_nothing(void **state)
{
    struct stat is;
    tdsa_err err;

    (void)state;
    assert_int_equal(cli_write_file("secret", "one", 3, CLI_SECRET, &err), TDSA_OK);
    assert_int_equal(stat("secret", &is), 0);
    assert_int_equal(is.st_mode & 0777, 0600);
    assert_int_equal(cli_write_file("secret", "two", 3, CLI_SECRET, &err), TDSA_E_CONFLICT);
    holds("secret", "one");
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(cli_write_file("dangling", "two", 3, CLI_SECRET, &err), TDSA_E_CONFLICT);
    assert_int_equal(access("nowhere", F_OK), -1);
}

static void what_cannot_be_written_is_said(void **state)
{
    tdsa_err err;

    (void)state;
    assert_int_equal(cli_write_file("/dev/full", "x", 1, CLI_PUBLIC, &err), TDSA_E_STORE);
    assert_non_null(strstr(err.text, "No space left"));
    assert_int_equal(cli_write_file("no/such", "x", 1, CLI_PUBLIC, &err), TDSA_E_STORE);
    assert_int_equal(cli_write_file(folder, "x", 1, CLI_PUBLIC, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(access("/dev/full", F_OK), 0); /* not replaced */
}

static void what_cannot_be_read_is_said(void **state)
{
    TDSA_SCOPED_BUF got = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;

    (void)state;
    assert_int_equal(cli_read_file(&got, "missing", 10, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(cli_hash_file(digest, TDSA_HASH_SHA256, "missing", &err), TDSA_E_BAD_INPUT);
    assert_int_equal(cli_write_file("eleven", "12345678901", 11, CLI_PUBLIC, &err), TDSA_OK);
    assert_int_equal(cli_read_file(&got, "eleven", 10, &err), TDSA_E_BAD_INPUT);
    tdsa_buf_reset(&got);
    assert_int_equal(cli_read_file(&got, "eleven", 11, &err), TDSA_OK);
}

static void a_file_is_hashed_as_its_bytes_are(void **state)
{
    uint8_t bytes[200000], one[TDSA_DIGEST_LEN_MAX], other[TDSA_DIGEST_LEN_MAX];
    tdsa_err err;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(cli_write_file("long", bytes, sizeof bytes, CLI_PUBLIC, &err), TDSA_OK);
    assert_int_equal(cli_hash_file(one, TDSA_HASH_SHA384, "long", &err), TDSA_OK);
    assert_int_equal(tdsa_hash(other, TDSA_HASH_SHA384, bytes, sizeof bytes, &err), TDSA_OK);
    assert_memory_equal(one, other, tdsa_hash_len(TDSA_HASH_SHA384));
}

static void the_first_line_of_a_file_is_the_secret(void **state)
{
    cli_secret_source source = {"PIN", "--pin-file", "pin", false};
    TDSA_SCOPED_SECRET pin = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(cli_write_file("pin", "1234\r\nmore\n", 11, CLI_PUBLIC, &err), TDSA_OK);
    assert_int_equal(cli_read_secret(&pin, &source, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_len(pin), 4);
    assert_memory_equal(tdsa_secret_view(pin), "1234", 4);
    tdsa_secret_free(pin);
    pin = NULL;
    assert_int_equal(cli_write_file("pin", "\n", 1, CLI_PUBLIC, &err), TDSA_OK);
    assert_int_equal(cli_read_secret(&pin, &source, &err), TDSA_E_BAD_INPUT);
    assert_null(pin);
    source.path = "missing";
    assert_int_equal(cli_read_secret(&pin, &source, &err), TDSA_E_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_file_replaces_another),
        cmocka_unit_test(a_secret_is_for_its_owner_and_replaces_nothing),
        cmocka_unit_test(what_cannot_be_written_is_said),
        cmocka_unit_test(what_cannot_be_read_is_said),
        cmocka_unit_test(a_file_is_hashed_as_its_bytes_are),
        cmocka_unit_test(the_first_line_of_a_file_is_the_secret),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
