#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/recovery.h"

/*
 * From recovery infos to a private key, offline: usage: recover KEY.pem INFO... Each INFO is a file with
 * the bytes of one. Prints the key as mpc_recovery_put_key writes it, and on stderr what is wrong with
 * an info. The exit code is 1 when there is no key.
 */

#define INFOS_MAX 9

static tdsa_err err;

static void fail(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, err.text);
    exit(EXIT_FAILURE);
}

static void read_file(tdsa_buf *out, const char *path)
{
    FILE *f = fopen(path, "rbe");
    uint8_t chunk[4096];
    size_t len = 0;

    if (f == NULL) {
        fail(path);
    }
    while ((len = fread(chunk, 1, sizeof chunk, f)) > 0) {
        tdsa_buf_append(out, chunk, len);
    }
    (void)fclose(f);
}

static tdsa_rsa_key *read_key(const char *path)
{
    TDSA_SCOPED_BUF pem = TDSA_BUF_EMPTY;
    tdsa_rsa_key *key = NULL;

    read_file(&pem, path);
    if (tdsa_rsa_key_new(&key, pem.data, pem.len, NULL, &err) != TDSA_OK) {
        fail(path);
    }
    return key;
}

int main(int argc, char **argv)
{
    static tdsa_buf bytes[INFOS_MAX];
    static mpc_recovery_info infos[INFOS_MAX];
    static mpc_recovery_verdict verdicts[INFOS_MAX];
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    mpc_recovery_opener opener;
    mpc_recovery_asked asked = {.infos = infos};
    mpc_recovered out;
    tdsa_rsa_key *key = NULL;
    grp_curve curve = GRP_P256;
    grp *g = NULL;
    tdsa_status st = TDSA_OK;

    if (argc < 3 || argc > 2 + INFOS_MAX) {
        return 2;
    }
    key = read_key(argv[1]);
    for (int i = 2; i < argc; i++) {
        tdsa_buf *b = &bytes[asked.count];

        read_file(b, argv[i]);
        if (mpc_recovery_peek_curve(&curve, b->data, b->len, &err) != TDSA_OK ||
            (g == NULL && grp_open(&g, curve, &err) != TDSA_OK) ||
            mpc_recovery_decode(&infos[asked.count], g, b->data, b->len, &err) != TDSA_OK) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], err.text);
            tdsa_buf_clear(b);
            continue;
        }
        asked.count++;
    }
    asked.g = g;
    opener = mpc_recovery_opener_of(key);
    st = mpc_recovery_recover(&out, verdicts, &asked, &opener, &err);
    for (size_t i = 0; i < asked.count; i++) {
        if (verdicts[i].why[0] != '\0') {
            (void)fprintf(stderr, "participant %u: %s\n", infos[i].index, verdicts[i].why);
        }
    }
    if (st != TDSA_OK || mpc_recovery_put_key(&text, g, out.x, &err) != TDSA_OK) {
        fail("recover");
    }
    (void)fwrite(text.data, 1, text.len, stdout);
    return EXIT_SUCCESS;
}
