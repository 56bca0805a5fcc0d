#include "keystore/driver_mariadb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LIBRARY "libmariadb.so.3"
#define PACKAGE "libmariadb3"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static ma_library library;
static char trouble[160]; /* why it is not there; empty: it is */

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    {"mysql_server_init", offsetof(ma_library, mysql_server_init)},
    {"mysql_init", offsetof(ma_library, mysql_init)},
    {"mysql_options", offsetof(ma_library, mysql_options)},
    {"mysql_real_connect", offsetof(ma_library, mysql_real_connect)},
    {"mysql_close", offsetof(ma_library, mysql_close)},
    {"mysql_errno", offsetof(ma_library, mysql_errno)},
    {"mysql_error", offsetof(ma_library, mysql_error)},
    {"mysql_real_query", offsetof(ma_library, mysql_real_query)},
    {"mysql_store_result", offsetof(ma_library, mysql_store_result)},
    {"mysql_fetch_row", offsetof(ma_library, mysql_fetch_row)},
    {"mysql_free_result", offsetof(ma_library, mysql_free_result)},
    {"mysql_get_socket", offsetof(ma_library, mysql_get_socket)},
    {"mysql_get_ssl_cipher", offsetof(ma_library, mysql_get_ssl_cipher)},
    {"mysql_stmt_init", offsetof(ma_library, mysql_stmt_init)},
    {"mysql_stmt_prepare", offsetof(ma_library, mysql_stmt_prepare)},
    {"mysql_stmt_execute", offsetof(ma_library, mysql_stmt_execute)},
    {"mysql_stmt_fetch", offsetof(ma_library, mysql_stmt_fetch)},
    {"mysql_stmt_fetch_column", offsetof(ma_library, mysql_stmt_fetch_column)},
    {"mysql_stmt_store_result", offsetof(ma_library, mysql_stmt_store_result)},
    {"mysql_stmt_param_count", offsetof(ma_library, mysql_stmt_param_count)},
    {"mysql_stmt_bind_param", offsetof(ma_library, mysql_stmt_bind_param)},
    {"mysql_stmt_bind_result", offsetof(ma_library, mysql_stmt_bind_result)},
    {"mysql_stmt_close", offsetof(ma_library, mysql_stmt_close)},
    {"mysql_stmt_free_result", offsetof(ma_library, mysql_stmt_free_result)},
    {"mysql_stmt_result_metadata", offsetof(ma_library, mysql_stmt_result_metadata)},
    {"mysql_stmt_errno", offsetof(ma_library, mysql_stmt_errno)},
    {"mysql_stmt_error", offsetof(ma_library, mysql_stmt_error)},
    {"mysql_stmt_affected_rows", offsetof(ma_library, mysql_stmt_affected_rows)},
    {"mysql_stmt_field_count", offsetof(ma_library, mysql_stmt_field_count)},
    {"mysql_fetch_field_direct", offsetof(ma_library, mysql_fetch_field_direct)},
};
_Static_assert(sizeof functions / sizeof functions[0] == sizeof library / sizeof(void *),
               "all of them are listed");

static void take_functions(void *handle)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = dlsym(handle, functions[i].name);

        if (symbol == NULL) {
            (void)snprintf(trouble, sizeof trouble, "%s has no %s: it is another version", LIBRARY,
                           functions[i].name);
            return;
        }
        memcpy((char *)&library + functions[i].offset, &symbol, sizeof symbol);
    }
}

static bool is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

ma_quiet ks_mariadb_quiet(bool on)
{
    ma_quiet quiet = {.on = on};
    sigset_t pipe;

    if (on) {
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        quiet.pending = is_pending();
        (void)pthread_sigmask(SIG_BLOCK, &pipe, &quiet.before);
    }
    return quiet;
}

void ks_mariadb_loud(const ma_quiet *quiet)
{
    static const struct timespec at_once = {0, 0};
    sigset_t pipe;

    if (!quiet->on) {
        return;
    }
    if (!quiet->pending && is_pending()) { /* then it is of our making */
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        (void)sigtimedwait(&pipe, NULL, &at_once);
    }
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

/* It has the process ignore SIGPIPE, which is not for a library to say. */
static bool initialise(void)
{
    struct sigaction before;
    const bool known = sigaction(SIGPIPE, NULL, &before) == 0;
    const bool ok = library.mysql_server_init(0, NULL, NULL) == 0;

    if (known) {
        (void)sigaction(SIGPIPE, &before, NULL);
    }
    return ok;
}

/* Stays loaded until the process ends: the library keeps threads' data and TLS state of its own. */
static void load(void)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        (void)snprintf(trouble, sizeof trouble, "%s does not load (%.60s)", LIBRARY, dlerror());
        return;
    }
    take_functions(handle);
    if (trouble[0] == '\0' && !initialise()) {
        (void)snprintf(trouble, sizeof trouble, "%s cannot be initialised", LIBRARY);
    }
}

tdsa_status ks_mariadb_library(const ma_library **out, tdsa_err *err)
{
    *out = NULL;
    (void)pthread_once(&once, load);
    if (trouble[0] != '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "backend mariadb needs MariaDB's client library: %s; install package %s",
                         trouble, PACKAGE);
    }
    *out = &library;
    return TDSA_OK;
}
