/* Hosts participants 1 and 2 (real engines, real HTTP on loopback, stores in memory) and a SoftHSM
 * token for participant 0, then runs a program that uses the module as participant 0.
 * usage: p11_host MODULE PROGRAM [ARGUMENT...]; exit code: the program's. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "support/cluster.h"
#include "support/softhsm.h"

#define PIN "1234"

static void put_key(FILE *f, const char *name, const uint8_t *key, size_t len)
{
    tdsa_buf text = TDSA_BUF_EMPTY;

    tdsa_base64url_encode(&text, key, len);
    (void)fprintf(f, "%s: %.*s\n", name, (int)text.len, (const char *)text.data);
    tdsa_buf_clear(&text);
}

static int write_config(const char *path, const char *folder, const cluster *c)
{
    const peer_roster *r = &c->node[0].cfg.roster;
    FILE *f = fopen(path, "w");

    if (f == NULL) {
        return -1;
    }
    (void)fprintf(f, "tdsaLibrary:\n  participantIndex: 0\n  clientIndex: 0\n"
                     "  remoteParticipants:\n    -\n");
    for (unsigned i = 1; i < c->n; i++) {
        const peer_entry *e = &r->at[i].entry[0];

        (void)fprintf(f, "    - - id: %s\n        uri: http://127.0.0.1:%u\n", e->id,
                      c->node[i].port);
        put_key(f, "        primaryPublicKey", e->keys.x25519, sizeof e->keys.x25519);
        put_key(f, "        secondaryPublicKey", e->keys.x448, sizeof e->keys.x448);
    }
    (void)fprintf(f, "  participantIds: [ null, participant1, participant2 ]\n");
    put_key(f, "  participantPrimaryPrivateKey", r->my_x25519, sizeof r->my_x25519);
    put_key(f, "  participantSecondaryPrivateKey", r->my_x448, sizeof r->my_x448);
    (void)fprintf(f,
                  "  storageConfiguration:\n    encryptor: pkcs11\n    encryptorArguments:\n"
                  "      - pkcs11:token=client;object=wrapping?module-path=%s\n"
                  "database:\n  url: jdbc:sqlite:file:%s/client.db\n"
                  "pkcs11:\n  tokenLabel: TDSA\n  ecdsaSha1: true\n  deadline: 60s\n",
                  softhsm_module(), folder);
    return fclose(f);
}

static int run(char *const argv[])
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return 126;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    static cluster c;
    char folder[] = "/tmp/tdsa-p11-e2e-XXXXXX";
    char path[128];
    char rm[] = "rm";
    char all[] = "-rf";
    char *remove[] = {rm, all, folder, NULL};
    int code = 1;

    if (argc < 3 || mkdtemp(folder) == NULL) {
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/pkcs11.yml", folder);
    cluster_start(&c, 3, 1, true);
    cluster_stop_node(&c, 0); /* the module takes its place */
    if (softhsm_make(folder, "client", PIN, "wrapping") == 0 &&
        write_config(path, folder, &c) == 0 && setenv("TDSA_PKCS11_CONFIG", path, 1) == 0 &&
        setenv("TDSA_PKCS11_MODULE", argv[1], 1) == 0 && setenv("TDSA_PIN", PIN, 1) == 0 &&
        setenv("TDSA_TOKEN", "TDSA", 1) == 0 && setenv("TDSA_WORK", folder, 1) == 0) {
        code = run(argv + 2);
    } else {
        (void)fprintf(stderr, "p11_host: could not prepare %s\n", folder);
    }
    cluster_stop(&c);
    (void)run(remove);
    return code;
}
