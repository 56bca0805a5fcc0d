#include "support/softhsm.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *softhsm_module(void)
{
    const char *path = getenv("TDSA_SOFTHSM_MODULE");

    return path != NULL ? path : "/usr/lib/softhsm/libsofthsm2.so";
}

int softhsm_run(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int status = 0;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc != 0) {
        return -1;
    }
    rc = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (rc == 0) {
        rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    if (rc != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

static char *mutable(const char *text)
{
    return (char *)(uintptr_t)text; /* posix_spawn does not write to its arguments */
}

/* The first token that a process makes, as it was made. Making one starts a dozen programs and derives keys from its
 * PINs, hundreds of times in some tests. */
static struct {
    char dir[64];
    char what[256]; /* label, PIN and key */
    pid_t owner;    /* a child that ends leaves it in place */
} kept;

/* A token, and a configuration that names its new place. */
static int copy_token(const char *from, const char *to)
{
    static const char script[] =
        "umask 077; mkdir -p \"$2\" && cp -a \"$1/tokens\" \"$1/so-pin\" \"$2\" && "
        "sed \"s,^\\(directories.tokendir = \\).*,\\1$2/tokens,\" \"$1/softhsm2.conf\" "
        ">\"$2/softhsm2.conf\"";
    char *const argv[] = {mutable("sh"), mutable("-euc"), mutable(script),
                          mutable("sh"), mutable(from),   mutable(to),
                          NULL};

    return softhsm_run(argv);
}

static void remove_kept(void)
{
    char *const argv[] = {mutable("rm"), mutable("-rf"), kept.dir, NULL};

    if (kept.owner == getpid()) {
        (void)softhsm_run(argv);
    }
}

static void keep_token(const char *dir, const char *what)
{
    char place[] = "/tmp/tdsa-token-XXXXXX";

    if (kept.dir[0] != '\0' || mkdtemp(place) == NULL) {
        return;
    }
    kept.owner = getpid();
    (void)snprintf(kept.dir, sizeof kept.dir, "%s", place);
    (void)atexit(remove_kept);
    if (copy_token(dir, place) == 0) {
        (void)snprintf(kept.what, sizeof kept.what, "%s", what);
    }
}

static int make_token(const char *dir, const char *label, const char *pin, const char *key)
{
    char *const argv[] = {mutable(TDSA_TESTS_DIR "/../softhsm-conf/setup-token.sh"),
                          mutable(dir),
                          mutable(label),
                          mutable(pin),
                          mutable(key),
                          NULL};
    char tokens[512];
    char what[sizeof kept.what];
    const int n = snprintf(what, sizeof what, "%s\n%s\n%s", label, pin, key);
    bool is_new = false;

    (void)snprintf(tokens, sizeof tokens, "%s/tokens", dir);
    is_new = n > 0 && (size_t)n < sizeof what && access(tokens, F_OK) != 0;
    if (is_new && strcmp(what, kept.what) == 0) {
        return copy_token(kept.dir, dir);
    }
    if (softhsm_run(argv) != 0) {
        return -1;
    }
    if (is_new) {
        keep_token(dir, what);
    }
    return 0;
}

int softhsm_make(const char *dir, const char *label, const char *pin, const char *key)
{
    char conf[512];

    if (make_token(dir, label, pin, key) != 0) {
        return -1;
    }
    (void)snprintf(conf, sizeof conf, "%s/softhsm2.conf", dir);
    return setenv("SOFTHSM2_CONF", conf, 1);
}

int softhsm_add_key(const char *label, const char *pin, const char *key)
{
    char *const argv[] = {mutable("pkcs11-tool"),
                          mutable("--module"),
                          mutable(softhsm_module()),
                          mutable("--token-label"),
                          mutable(label),
                          mutable("--login"),
                          mutable("--pin"),
                          mutable(pin),
                          mutable("--keygen"),
                          mutable("--key-type"),
                          mutable("AES:32"),
                          mutable("--label"),
                          mutable(key),
                          mutable("--sensitive"),
                          NULL};

    return softhsm_run(argv);
}
