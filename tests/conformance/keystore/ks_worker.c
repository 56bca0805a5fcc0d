/* A process of its own for test_keystore_processes: ks_worker MODE FILE, or ks_worker MODE BACKEND SOCKET PORT
 * DATABASE USER. Every success is written to standard output at once, so that it is known even if the
 * process is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ks_worker.h"

static int stop(const char *what, const tdsa_err *err)
{
    (void)fprintf(stderr, "ks_worker: %s: %s\n", what, err->text);
    return 1;
}

static void say(char what, uint32_t number)
{
    char line[32];
    const int n = snprintf(line, sizeof line, "%c %u\n", what, number);

    if (write(STDOUT_FILENO, line, (size_t)n) != n) {
        _exit(9);
    }
}

/* Leases one by one until the batch is used up. */
static int lease_all(ks *s, tdsa_err *err)
{
    uint8_t beta[KS_BETA_LEN];
    uint32_t at = 0;

    memset(beta, KS_WORKER_LEASED, sizeof beta);
    while (at < KS_WORKER_COUNT) {
        const tdsa_status st = ks_lease(s, beta, at, at + 1, err);

        if (st == TDSA_OK) {
            say('L', at);
            at++;
        } else if (st == TDSA_E_CONFLICT) {
            ks_batch *b = NULL;

            if (ks_batch_get(s, beta, &b, err) != TDSA_OK) {
                return stop("batch_get", err);
            }
            at = b->next;
            ks_batch_free(b);
        } else {
            return stop("lease", err);
        }
    }
    return 0;
}

/* Tries to burn every presignature, in an order of its own. */
static int burn_all(ks *s, tdsa_err *err)
{
    const uint32_t step = 2 * (uint32_t)getpid() + 1; /* odd: comes by every number */
    uint8_t beta[KS_BETA_LEN];
    uint32_t at = 0;

    memset(beta, KS_WORKER_BURNT, sizeof beta);
    for (uint32_t i = 0; i < KS_WORKER_COUNT; i++) {
        tdsa_status st;

        at = (at + step) % KS_WORKER_COUNT;
        st = ks_burn(s, beta, at / KS_BLOCK_SIZE, (uint64_t)1 << (at % KS_BLOCK_SIZE), err);
        if (st == TDSA_OK) {
            say('B', at);
        } else if (st != TDSA_E_CONFLICT) {
            return stop("burn", err);
        }
    }
    return 0;
}

/* A bit of everything that writes, for ever. */
static int write_all(ks *s, tdsa_err *err)
{
    uint8_t leased[KS_BETA_LEN];
    uint8_t burnt[KS_BETA_LEN];

    memset(leased, KS_WORKER_LEASED, sizeof leased);
    memset(burnt, KS_WORKER_BURNT, sizeof burnt);
    for (uint32_t i = 0;; i++) {
        if (i < KS_WORKER_COUNT) {
            if (ks_lease(s, leased, i, i + 1, err) != TDSA_OK) {
                return stop("lease", err);
            }
            say('L', i);
            if (ks_burn(s, burnt, i / KS_BLOCK_SIZE, (uint64_t)1 << (i % KS_BLOCK_SIZE), err) !=
                TDSA_OK) {
                return stop("burn", err);
            }
            say('B', i);
        }
        if (ks_seq_raise(s, "k", 0, ks_lane(s), i + 1, err) != TDSA_OK ||
            ks_key_set_limit(s, "k", i, err) != TDSA_OK) {
            return stop("seq_raise", err);
        }
    }
}

int main(int argc, char **argv)
{
    tdsa_err err;
    ks *s = NULL;
    int rc = 2;

    if (argc != 3 && argc != 7) {
        return 2;
    }
    const ks_server server = {
        .host = {{.name = argc == 7 ? argv[3] : NULL,
                  .port = argc == 7 ? (uint16_t)strtoul(argv[4], NULL, 10) : 0}},
        .hosts = 1,
        .database = argc == 7 ? argv[5] : NULL,
        .user = argc == 7 ? argv[6] : NULL,
        .tls = KS_TLS_DISABLE,
        .statement_timeout_ms = 20000};
    const ks_cfg cfg = {.backend = argc == 7 ? argv[2] : "sqlite",
                        .path = argc == 7 ? NULL : argv[2],
                        .server = argc == 7 ? &server : NULL,
                        .create_tables = true,
                        .encryptor = KS_ENCRYPTOR_AESGCM,
                        .encryption_key = "correct horse battery staple",
                        .unlock_at_open = true,
                        .busy_timeout_ms = 20000,
                        .rng = tdsa_os_rng(),
                        .clock = tdsa_os_clock()};

    if (ks_open(&s, &cfg, &err) != TDSA_OK) {
        return stop("open", &err);
    }
    say('O', 0);
    if (strcmp(argv[1], "lease") == 0) {
        rc = lease_all(s, &err);
    } else if (strcmp(argv[1], "burn") == 0) {
        rc = burn_all(s, &err);
    } else if (strcmp(argv[1], "write") == 0) {
        rc = write_all(s, &err);
    } else if (strcmp(argv[1], "open") == 0) {
        rc = 0;
    }
    ks_close(s);
    return rc;
}
