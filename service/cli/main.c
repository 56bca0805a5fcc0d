#include <jansson.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/secret.h"
#include "cli/cli.h"
#include "cli/interrupt.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define DUMPABLE 1 /* the leak checker must be able to look at us */
#else
#    define DUMPABLE 0
#endif

/* Documents may hold a private key or a passphrase. */
static void wiping_free(void *p)
{
    tdsa_wipe(p, malloc_usable_size(p));
    free(p);
}

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};

    /* no core dump and no debugger of the same user: it may hold a share, a PIN or a whole key */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, which is reported */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setlocale(LC_CTYPE, ""); /* widths of characters in tables */
    json_set_alloc_funcs(malloc, wiping_free);
    cli_interrupt_init();
    return cli_main(argc, argv);
}
