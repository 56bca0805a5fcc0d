#include "support/softhsm.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

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

int softhsm_make(const char *dir, const char *label, const char *pin, const char *key)
{
    char conf[512];
    char *const argv[] = {mutable(TDSA_TESTS_DIR "/../softhsm-conf/setup-token.sh"),
                          mutable(dir),
                          mutable(label),
                          mutable(pin),
                          mutable(key),
                          NULL};

    if (softhsm_run(argv) != 0) {
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
