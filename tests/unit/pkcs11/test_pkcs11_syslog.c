/* Log lines in the system's log. */
#include "support/p11_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/fake_engine.h"

static char folder[] = "/tmp/tdsa-p11-syslog-XXXXXX";
static struct sockaddr_un place;
static int box = -1; /* the other end */

static void listen_there(void)
{
    box = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(box >= 0);
    assert_int_equal(bind(box, (const struct sockaddr *)&place, sizeof place), 0);
}

/* The next datagram; false: there is none. */
static bool next(char *out, size_t cap)
{
    const ssize_t len = recv(box, out, cap - 1, 0);

    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* A life of the module that logs to the socket; what it said when it began is gone. */
static void start(const char *level)
{
    char value[160];
    char text[1400];

    (void)snprintf(value, sizeof value, "syslog:%s", place.sun_path);
    (void)C_Finalize(NULL);
    assert_int_equal(setenv("TDSA_PKCS11_LOG", level, 1), 0);
    assert_int_equal(setenv("TDSA_PKCS11_LOG_FILE", value, 1), 0);
    P11_OK(C_Initialize(NULL));
    assert_int_equal(unsetenv("TDSA_PKCS11_LOG"), 0);
    assert_int_equal(unsetenv("TDSA_PKCS11_LOG_FILE"), 0);
    while (next(text, sizeof text)) {
    }
}

static int setup(void **state)
{
    if (p11_setup(state) != 0 || mkdtemp(folder) == NULL) {
        return -1;
    }
    place = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(place.sun_path, sizeof place.sun_path, "%.64s/log", folder);
    listen_there();
    return 0;
}

static int teardown(void **state)
{
    (void)close(box);
    (void)unlink(place.sun_path);
    (void)rmdir(folder);
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    return p11_teardown(state);
}

static void a_failing_call_is_one_datagram(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    char want[160];
    char text[1400];

    (void)state;
    assert_int_equal(p11_login(s, "wrong"), CKR_PIN_INCORRECT); /* nobody asked for lines */
    assert_false(next(text, sizeof text));
    start("warn");
    assert_int_equal(p11_login(p11_open(0), "7391-secret"), CKR_PIN_INCORRECT);
    assert_true(next(text, sizeof text));
    (void)snprintf(want, sizeof want,
                   "<11>tdsa-pkcs11[%d]: ERROR C_Login: CKR_PIN_INCORRECT: ", (int)getpid());
    assert_memory_equal(text, want, strlen(want));
    assert_null(strchr(text, '\n'));
    assert_null(strstr(text, "7391"));
    assert_false(next(text, sizeof text));
}

static void levels_are_priorities(void **state)
{
    char text[1400];

    (void)state;
    start("debug");
    P11_OK(C_GetInfo(&(CK_INFO){0}));
    assert_true(next(text, sizeof text));
    assert_memory_equal(text, "<15>", 4);
    assert_int_equal(C_CloseSession(1), CKR_SESSION_HANDLE_INVALID);
    assert_true(next(text, sizeof text));
    assert_memory_equal(text, "<12>", 4);
}

static void a_log_that_is_full_or_gone_stops_nobody(void **state)
{
    char text[1400];
    unsigned taken = 0;

    (void)state;
    start("debug");
    for (unsigned i = 0; i < 20000; i++) { /* more than any socket keeps */
        P11_OK(C_GetInfo(&(CK_INFO){0}));
    }
    while (next(text, sizeof text)) {
        taken++;
    }
    assert_in_range(taken, 1, 19999);
    (void)close(box);
    P11_OK(C_GetInfo(&(CK_INFO){0}));
    (void)unlink(place.sun_path);
    start("debug"); /* nobody is there: as if no file were named */
    P11_OK(C_GetInfo(&(CK_INFO){0}));
    listen_there();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failing_call_is_one_datagram),
        TEST(levels_are_priorities),
        TEST(a_log_that_is_full_or_gone_stops_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
