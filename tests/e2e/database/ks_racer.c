/* Processes that race for the same presignatures, for test_database_race.py:
 *   ks_racer make BATCHES PLACE      makes key "k" and the batches
 *   ks_racer run  BATCHES PLACE      says "ready", waits for the end of its input, takes what it can get, and says
 *                                    what: "L batch mask" are leases, "B batch mask" burns
 * PLACE is: sqlite FILE, or postgres|mariadb HOST PORT DATABASE USER PASSWORD. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/keystore.h"

#define COUNT  KS_BATCH_COUNT_MAX
#define BLOCKS (COUNT / KS_BLOCK_SIZE)

typedef struct {
    ks *s;
    tdsa_err err;
    uint64_t won[BLOCKS]; /* of the batch at hand */
} racer;

static uint64_t pick(void)
{
    uint64_t v = 0;
    tdsa_err err;
    const tdsa_rng rng = tdsa_os_rng();

    if (tdsa_rng_fill(&rng, (uint8_t *)&v, sizeof v, &err) != TDSA_OK) {
        exit(3);
    }
    return v;
}

static int stop(const racer *r, const char *what)
{
    (void)fprintf(stderr, "ks_racer: %s: %s\n", what, r->err.text);
    return 1;
}

/* Batches 0, 2, 4 ... are for leases, the others for burns. */
static void name_batch(uint8_t beta[KS_BETA_LEN], uint32_t number)
{
    memset(beta, 7, KS_BETA_LEN);
    memcpy(beta, &number, sizeof number);
}

static void tell(const racer *r, char what, uint32_t number)
{
    (void)printf("%c %u ", what, number);
    for (unsigned i = 0; i < BLOCKS; i++) {
        (void)printf("%016llx", (unsigned long long)r->won[BLOCKS - 1 - i]);
    }
    (void)printf("\n");
}

/* Ranges of any length up to a block. */
static int lease_batch(racer *r, uint32_t number)
{
    uint8_t beta[KS_BETA_LEN];
    uint32_t at = 0;

    name_batch(beta, number);
    memset(r->won, 0, sizeof r->won);
    while (at < COUNT) {
        const uint32_t len = 1 + (uint32_t)(pick() % KS_BLOCK_SIZE);
        const uint32_t to = at + len > COUNT ? COUNT : at + len;
        const tdsa_status st = ks_lease(r->s, beta, at, to, &r->err);

        if (st == TDSA_OK) {
            for (; at < to; at++) {
                r->won[at / KS_BLOCK_SIZE] |= (uint64_t)1 << (at % KS_BLOCK_SIZE);
            }
        } else if (st == TDSA_E_CONFLICT) {
            ks_batch *b = NULL;

            if (ks_batch_get(r->s, beta, &b, &r->err) != TDSA_OK) {
                return stop(r, "batch_get");
            }
            at = b->next;
            ks_batch_free(b);
        } else {
            return stop(r, "lease");
        }
    }
    tell(r, 'L', number);
    return 0;
}

/* All of `bits`, or what nobody else has of them. */
static tdsa_status burn(racer *r, const uint8_t *beta, uint32_t block, uint64_t bits)
{
    const tdsa_status st = ks_burn(r->s, beta, block, bits, &r->err);
    uint64_t burnt = 0;

    if (st == TDSA_OK) {
        r->won[block] |= bits;
    }
    if (st != TDSA_E_CONFLICT) {
        return st;
    }
    if (ks_batch_burnt(r->s, beta, block, &burnt, &r->err) != TDSA_OK) {
        return r->err.status;
    }
    return (bits & ~burnt) == 0 ? TDSA_OK : burn(r, beta, block, bits & ~burnt);
}

static int burn_batch(racer *r, uint32_t number)
{
    const uint32_t first = (uint32_t)(pick() % BLOCKS);
    uint8_t beta[KS_BETA_LEN];

    name_batch(beta, number);
    memset(r->won, 0, sizeof r->won);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t block = (first + i) % BLOCKS;
        const uint64_t half = pick() | 1;

        if (burn(r, beta, block, half) != TDSA_OK ||
            (half != UINT64_MAX && burn(r, beta, block, ~half) != TDSA_OK)) {
            return stop(r, "burn");
        }
    }
    tell(r, 'B', number);
    return 0;
}

static int make_batches(racer *r, uint32_t batches)
{
    const uint8_t data[100] = {1};
    ks_key key = {.key_id = "k", .created_ms = 1, .presignature_limit = -1};
    ks_batch b = {.key_id = "k", .state = KS_BATCH_FREE, .lane = 1, .count = COUNT, .members = 7};

    if (ks_key_register(r->s, &key, &r->err) != TDSA_OK) {
        return stop(r, "register");
    }
    b.data = (uint8_t *)(uintptr_t)data;
    b.data_len = sizeof data;
    for (uint32_t i = 0; i < batches; i++) {
        b.seq = i + 1;
        name_batch(b.beta, i);
        if (ks_batch_insert(r->s, &b, &r->err) != TDSA_OK) {
            return stop(r, "insert");
        }
    }
    return 0;
}

static int run(racer *r, const char *mode, uint32_t batches)
{
    int rc = 0;

    if (strcmp(mode, "make") == 0) {
        return make_batches(r, batches);
    }
    (void)puts("ready");
    (void)fflush(stdout);
    (void)getchar(); /* all begin together */
    for (uint32_t i = 0; rc == 0 && i < batches; i++) {
        (void)usleep((useconds_t)(pick() % 2000)); /* SQLite's waiting is not fair: let others in */
        rc = i % 2 == 0 ? lease_batch(r, i) : burn_batch(r, i);
    }
    return rc;
}

int main(int argc, char **argv)
{
    ks_server server = {.hosts = 1,
                        .connect_timeout_ms = 25000, /* many at once */
                        .tls = KS_TLS_DISABLE,
                        .pool = {.initial = 1, .max = 1}};
    ks_cfg cfg = {.create_tables = true,
                  .encryptor = KS_ENCRYPTOR_AESGCM,
                  .encryption_key = "correct horse battery staple",
                  .unlock_at_open = true,
                  .busy_timeout_ms = 20000,
                  .rng = tdsa_os_rng(),
                  .clock = tdsa_os_clock()};
    racer r;
    int rc;

    if (argc != 5 && argc != 9) {
        return 2;
    }
    cfg.backend = argv[3];
    if (argc == 5) {
        cfg.path = argv[4];
    } else {
        server.host[0] = (ks_host){argv[4], (uint16_t)strtoul(argv[5], NULL, 10)};
        server.database = argv[6];
        server.user = argv[7];
        server.password = argv[8];
        server.pool.validation_ms = UINT32_MAX;
        cfg.server = &server;
    }
    if (ks_open(&r.s, &cfg, &r.err) != TDSA_OK) {
        return stop(&r, "open");
    }
    rc = run(&r, argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
    ks_close(r.s);
    return rc;
}
