#include "cli/term.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS 30u
#define PERMILLE  1000u

bool cli_colours(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fileno(f)) && (no == NULL || no[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static void draw(cli_progress *p, uint64_t done)
{
    const unsigned now = (unsigned)(p->total > 0 ? done * PERMILLE / p->total : PERMILLE);
    char bar[BAR_CELLS + 1];

    if (now == p->last) {
        return;
    }
    p->last = now;
    for (unsigned i = 0; i < BAR_CELLS; i++) {
        bar[i] = i * PERMILLE < now * BAR_CELLS ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r%s [%s] %llu/%llu", p->what, bar, (unsigned long long)done,
                  (unsigned long long)p->total);
    (void)fflush(stderr);
}

void cli_progress_begin(cli_progress *p, bool quiet, const char *what, uint64_t total)
{
    *p = (cli_progress){!quiet && isatty(STDERR_FILENO), what, total, PERMILLE + 1};
    cli_progress_step(p, 0);
}

void cli_progress_step(cli_progress *p, uint64_t done)
{
    if (p->shown) {
        draw(p, done);
    }
}

void cli_progress_end(cli_progress *p)
{
    if (p->shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
    p->shown = false;
}

tdsa_status cli_confirm(const char *question, tdsa_err *err)
{
    const int tty = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;
    char answer[8] = "";
    ssize_t n;

    if (tty < 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "this needs --yes where there is no terminal to ask");
    }
    (void)dprintf(tty, "%s [y/N] ", question);
    n = read(tty, answer, sizeof answer - 1);
    (void)close(tty);
    if (n < 1 || (answer[0] != 'y' && answer[0] != 'Y')) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "nothing was done");
    }
    return TDSA_OK;
}
