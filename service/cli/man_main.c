#include <stdio.h>

#include "cli/text.h"

/* Writes docs/man/tdsa.1. */
int main(void)
{
    TDSA_SCOPED_BUF page = TDSA_BUF_EMPTY;

    cli_man(&page, TDSA_VERSION);
    if (page.failed || fwrite(page.data, 1, page.len, stdout) != page.len || fflush(stdout) != 0) {
        (void)fputs("tdsa-man: the page cannot be written\n", stderr);
        return 1;
    }
    return 0;
}
