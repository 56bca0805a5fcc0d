#include "base_test.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"

/* AddressSanitizer and ThreadSanitizer replace mlock by a function that does nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define MLOCK_WORKS false
#else
#    define MLOCK_WORKS true
#endif

static void secret_new_gives_zeroes(void **state)
{
    TDSA_SCOPED_SECRET s = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_secret_new(&s, 32, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_len(s), 32);
    for (size_t i = 0; i < tdsa_secret_len(s); i++) {
        assert_int_equal(tdsa_secret_view(s)[i], 0);
    }
}

static void secret_new_refuses_zero_and_too_long(void **state)
{
    tdsa_secret *s = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_secret_new(&s, 0, &err), TDSA_E_BAD_INPUT);
    assert_null(s);
    assert_int_equal(tdsa_secret_new(&s, TDSA_SECRET_LEN_MAX + 1, &err), TDSA_E_BAD_INPUT);
    assert_null(s);
    assert_int_equal(tdsa_secret_new(&s, TDSA_SECRET_LEN_MAX, &err), TDSA_OK);
    tdsa_secret_free(s);
    tdsa_secret_free(NULL);
}

static void copies_are_equal_until_a_byte_differs(void **state)
{
    static const uint8_t bytes[5] = {1, 2, 3, 4, 5};
    TDSA_SCOPED_SECRET a = NULL;
    TDSA_SCOPED_SECRET b = NULL;
    TDSA_SCOPED_SECRET shorter = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_secret_copy(&a, bytes, 5, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_copy(&b, bytes, 5, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_copy(&shorter, bytes, 4, &err), TDSA_OK);
    assert_true(tdsa_secret_equal(a, b));
    assert_false(tdsa_secret_equal(a, shorter));
    tdsa_secret_bytes(b)[4] ^= 0x80;
    assert_false(tdsa_secret_equal(a, b));
}

static void wipe_and_ct_equal_work_on_plain_memory(void **state)
{
    uint8_t a[3] = {1, 2, 3};
    static const uint8_t zero[3];

    (void)state;
    assert_false(tdsa_ct_equal(a, zero, 3));
    tdsa_wipe(a, 3);
    assert_true(tdsa_ct_equal(a, zero, 3));
    tdsa_wipe(NULL, 0);
    assert_true(tdsa_ct_equal(a, "x", 0));
}

/* The flags of the mapping that holds p, from the kernel: "lo" locked, "dd" not dumped. */
static void flags_of(char *out, size_t cap, const void *p)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;

    assert_non_null(f);
    out[0] = '\0';
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(out, cap, "%s", line);
        }
    }
    (void)fclose(f);
}

static void secrets_stay_out_of_core_dumps(void **state)
{
    TDSA_SCOPED_SECRET s = NULL;
    char flags[512];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_secret_new(&s, 32, &err), TDSA_OK);
    flags_of(flags, sizeof flags, tdsa_secret_view(s));
    assert_non_null(strstr(flags, " dd"));
    if (MLOCK_WORKS && tdsa_secret_unlocked_count() == 0) {
        assert_non_null(strstr(flags, " lo"));
    }
}

static void without_lockable_memory_secrets_work_and_are_counted(void **state)
{
    int status = 0;
    pid_t child = 0;

    (void)state;
    if (!MLOCK_WORKS) {
        skip();
    }
    child = fork(); /* the limit and the rights are given up in a process of its own */
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        tdsa_secret *s = NULL;
        tdsa_err err;
        bool ok = setrlimit(RLIMIT_MEMLOCK, &none) == 0;

        if (geteuid() == 0) {
            ok = ok && setreuid(65534, 65534) == 0; /* root may lock without limit */
        }
        ok = ok && tdsa_secret_new(&s, 32, &err) == TDSA_OK && tdsa_secret_unlocked_count() == 1;
        tdsa_secret_free(s);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void secrets_live_on_in_a_forked_child(void **state)
{
    static const uint8_t bytes[3] = {7, 8, 9};
    TDSA_SCOPED_SECRET s = NULL;
    tdsa_err err;
    pid_t child = 0;
    int status = 0;

    (void)state;
    assert_int_equal(tdsa_secret_copy(&s, bytes, 3, &err), TDSA_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(memcmp(tdsa_secret_view(s), bytes, 3) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_new_gives_zeroes),
        cmocka_unit_test(secret_new_refuses_zero_and_too_long),
        cmocka_unit_test(copies_are_equal_until_a_byte_differs),
        cmocka_unit_test(wipe_and_ct_equal_work_on_plain_memory),
        cmocka_unit_test(secrets_stay_out_of_core_dumps),
        cmocka_unit_test(without_lockable_memory_secrets_work_and_are_counted),
        cmocka_unit_test(secrets_live_on_in_a_forked_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
