#include "cli/interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PATH_BYTES 4096u

/* Of the process: a signal handler has no argument. Changed with the signals blocked. */
static struct {
    char path[PATH_BYTES]; /* "": none */
    int echo_fd;           /* -1: the terminal is as it was */
    struct termios before;
} undo = {.echo_fd = -1};

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int number)
{
    if (undo.path[0] != '\0') {
        (void)unlink(undo.path);
    }
    if (undo.echo_fd >= 0) {
        (void)tcsetattr(undo.echo_fd, TCSANOW, &undo.before);
    }
    (void)raise(number); /* SA_RESETHAND: the default is back, and ends the process */
}

void cli_interrupt_init(void)
{
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = (int)SA_RESETHAND;
    (void)sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;

        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &act, NULL);
        }
    }
}

static void block(sigset_t *old)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, old);
}

void cli_interrupt_remove(const char *path)
{
    sigset_t old;

    block(&old);
    (void)snprintf(undo.path, sizeof undo.path, "%s", path != NULL ? path : "");
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
}

void cli_interrupt_echo_off(int fd)
{
    struct termios silent;
    sigset_t old;

    block(&old);
    if (tcgetattr(fd, &undo.before) == 0) {
        silent = undo.before;
        silent.c_lflag &= (tcflag_t)~ECHO;
        undo.echo_fd = fd;
        (void)tcsetattr(fd, TCSAFLUSH, &silent);
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
}

void cli_interrupt_echo_on(void)
{
    sigset_t old;

    block(&old);
    if (undo.echo_fd >= 0) {
        (void)tcsetattr(undo.echo_fd, TCSAFLUSH, &undo.before);
        undo.echo_fd = -1;
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
}
