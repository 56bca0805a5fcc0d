#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/options.h"
#include "daemon/settings.h"
#include "daemon/tables.h"

/* tdsa-service: reads the command line and the configuration, runs the daemon until a signal. */

#define EXIT_FAILED 1 /* the configuration is right, something else is not */
#define EXIT_WRONG  2 /* command line or configuration */
#define CONFIG_ENV  "TDSA_CONFIG"
#define LOGGER      "daemon"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define DUMPABLE 1 /* the leak checker must be able to look at us */
#else
#    define DUMPABLE 0
#endif

/* No core dump and no debugger of the same user: the process holds key shares. */
static void harden(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
}

static int exit_code(tdsa_status st)
{
    return st == TDSA_E_CONFIG || st == TDSA_E_BAD_INPUT ? EXIT_WRONG : EXIT_FAILED;
}

static int fail(const svc_log *log, const char *what, const tdsa_err *err)
{
    tdsa_logf(svc_log_sink(log), TDSA_LOG_ERROR, LOGGER, "%s: %s: %s", what,
              tdsa_status_name(err->status), err->text);
    return exit_code(err->status);
}

/* ---- configuration ---- */

static tdsa_status find_source(cfg_source *out, const svc_options *o, const svc_log *log,
                               tdsa_err *err)
{
    static const char *const files[] = {"/config/config.yml", "/config/config.yaml"};
    const char *inline_text = getenv(CONFIG_ENV);

    memset(out, 0, sizeof *out);
    out->defines = o->defines;
    out->use_environment = true;
    out->log = svc_log_sink(log);
    out->file = o->file;
    if (o->command == SVC_CHECK) {
        return TDSA_OK;
    }
    if (inline_text != NULL && inline_text[0] != '\0') {
        if (o->file != NULL) {
            tdsa_logf(out->log, TDSA_LOG_WARN, LOGGER,
                      CONFIG_ENV " is set and used; the file %s is not read", o->file);
        }
        out->base64 = inline_text;
        out->file = NULL;
        return TDSA_OK;
    }
    for (size_t i = 0; out->file == NULL && i < sizeof files / sizeof files[0]; i++) {
        if (access(files[i], F_OK) == 0) {
            out->file = files[i];
        }
    }
    if (out->file == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "no configuration: " CONFIG_ENV " is not set, no file was named, and "
                         "there is neither %s nor %s",
                         files[0], files[1]);
    }
    return TDSA_OK;
}

static tdsa_status load(cfg **out, const svc_options *o, svc_log *log, tdsa_err *err)
{
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg_source source;
    tdsa_status st = find_source(&source, o, log, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    st = cfg_load(out, &source, &problems, err);
    if (st != TDSA_OK) { /* the whole list for people, besides the one line of the log */
        (void)fprintf(stderr, "%.*s", (int)problems.len, (const char *)problems.data);
        return st;
    }
    st = svc_settings_logging(log, *out, err);
    if (st != TDSA_OK) {
        cfg_free(*out);
        *out = NULL;
    }
    return st;
}

/* ---- signals ---- */

/* While the service starts or stops, which may hang in a token or a file: a signal ends it at once.
 * Killing it is safe for keys at any moment. */
typedef struct {
    sigset_t set;
    int code; /* that the process ends with */
    atomic_bool done;
    bool running;
    pthread_t thread;
} at_once;

static void *wait_for_signal(void *arg)
{
    at_once *a = (at_once *)arg;
    const struct timespec tick = {.tv_sec = 0, .tv_nsec = 20000000L};

    while (!atomic_load(&a->done)) {
        const int number = sigtimedwait(&a->set, NULL, &tick);

        if (number > 0 && atomic_load(&a->done)) {
            (void)kill(getpid(), number); /* the next to wait shall have it */
        } else if (number > 0) {
            _exit(a->code);
        }
    }
    return NULL;
}

static void at_once_begin(at_once *a, const sigset_t *set, int code)
{
    a->set = *set;
    a->code = code;
    atomic_init(&a->done, false);
    a->running = pthread_create(&a->thread, NULL, wait_for_signal, a) == 0;
}

static void at_once_end(at_once *a)
{
    atomic_store(&a->done, true);
    if (a->running) {
        (void)pthread_join(a->thread, NULL);
    }
}

static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk, no reason to die */
}

static void run_until_signal(svc_daemon *d, const sigset_t *set, const svc_log *log)
{
    at_once second;
    int number = 0;

    while (sigwait(set, &number) != 0) {
    }
    tdsa_logf(svc_log_sink(log), TDSA_LOG_INFO, LOGGER, "SIG%s", sigabbrev_np(number));
    at_once_begin(&second, set, EXIT_FAILED);
    svc_daemon_stop(d);
    svc_daemon_free(d);
    at_once_end(&second);
}

/* ---- commands ---- */

static int check(const svc_options *o, svc_log *log)
{
    cfg *c = NULL;
    tdsa_err err;
    tdsa_status st = load(&c, o, log, &err);

    if (st == TDSA_OK) {
        st = svc_daemon_check(c, log, &err);
    }
    cfg_free(c);
    if (st != TDSA_OK) {
        return fail(log, o->file, &err);
    }
    (void)printf("%s: the configuration is right\n", o->file);
    return EXIT_SUCCESS;
}

static int run(const svc_options *o, svc_log *log)
{
    cfg *c = NULL;
    svc_daemon *d = NULL;
    at_once early; /* nothing is under way yet that a signal would have to wait for */
    sigset_t set;
    tdsa_err err;
    tdsa_status st;

    block_signals(&set);
    at_once_begin(&early, &set, EXIT_SUCCESS);
    st = load(&c, o, log, &err);
    if (st != TDSA_OK) {
        at_once_end(&early);
        return fail(log, "configuration", &err);
    }
    st = svc_daemon_start(&d, c, log, &err);
    at_once_end(&early);
    if (st == TDSA_OK) {
        st = svc_daemon_announce(d, &err);
    }
    if (st == TDSA_OK) {
        run_until_signal(d, &set, log);
    } else {
        svc_daemon_free(d);
    }
    cfg_free(c);
    return st == TDSA_OK ? EXIT_SUCCESS : fail(log, "start", &err);
}

static int command(const svc_options *o, svc_log *log)
{
    tdsa_err err;

    switch (o->command) {
    case SVC_HELP:
        (void)fputs(svc_options_help(), stdout);
        return EXIT_SUCCESS;
    case SVC_VERSION:
        (void)puts("tdsa-service " TDSA_VERSION);
        return EXIT_SUCCESS;
    case SVC_CHECK:
        return check(o, log);
    case SVC_RUN:
        return run(o, log);
    case SVC_TABLES_RUN:
    case SVC_TABLES_ONLY:
        if (svc_create_tables(svc_log_sink(log), &err) != TDSA_OK) {
            return fail(log, "create-tables", &err);
        }
        return o->command == SVC_TABLES_RUN ? run(o, log) : EXIT_SUCCESS;
    }
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    svc_options options;
    svc_log *log = NULL;
    tdsa_err err;
    int code;

    harden();
    if (svc_options_read(&options, argc, argv, &err) != TDSA_OK) {
        (void)fprintf(stderr, "tdsa-service: %s\n\n%s", err.text, svc_options_help());
        return EXIT_WRONG;
    }
    if (svc_log_new(&log, STDOUT_FILENO, tdsa_os_clock(), &err) != TDSA_OK) {
        (void)fprintf(stderr, "tdsa-service: %s\n", err.text);
        return EXIT_FAILED;
    }
    code = command(&options, log);
    svc_log_free(log);
    return code;
}
