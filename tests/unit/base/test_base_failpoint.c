#include "base_test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"

/* Runs a child that passes "a", "b", "b", "b" and gives back how it ended. */
static int run_child(const char *kill_at, const char *list)
{
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (kill_at != NULL) {
            (void)setenv("TDSA_FAILPOINT_KILL", kill_at, 1);
        }
        if (list != NULL) {
            (void)setenv("TDSA_FAILPOINT_LIST", list, 1);
        }
        TDSA_FAILPOINT("a");
        TDSA_FAILPOINT("b");
        TDSA_FAILPOINT("b");
        TDSA_FAILPOINT("b");
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void without_variables_nothing_happens(void **state)
{
    const int status = run_child(NULL, NULL);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void the_named_point_kills_at_its_hit(void **state)
{
    char list[] = "/tmp/tdsa-failpoint-XXXXXX";
    const int fd = mkstemp(list);
    char text[64] = {0};
    int status = 0;

    (void)state;
    assert_true(fd >= 0);
    status = run_child("b:2", list);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(read(fd, text, sizeof text - 1), 6);
    assert_string_equal(text, "a\nb\nb\n");
    (void)close(fd);
    (void)unlink(list);
    status = run_child("a", NULL);
    assert_true(WIFSIGNALED(status));
    status = run_child("b:4", NULL);
    assert_true(WIFEXITED(status));
    status = run_child("bb", NULL);
    assert_true(WIFEXITED(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_variables_nothing_happens),
        cmocka_unit_test(the_named_point_kills_at_its_hit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
