/*
 * Opens a participant's own keystore as the participant does and prints every secret of its keys, so
 * that the canary test can search for them where they must not be. For tests only.
 *
 * usage: dump_secrets CONFIG PIN      prints "<key id> <hex>" per secret
 */
#include <stdio.h>
#include <string.h>

#include "base/statement.h"
#include "config/participant_cfg.h"
#include "keystore/keystore.h"

#define SHORTEST 16u /* bytes; anything shorter is no secret of ours */

typedef struct {
    ks *store;
    unsigned long count;
} dump;

static void print_hex(const char *key_id, const uint8_t *bytes, size_t len)
{
    size_t i = 0;

    (void)printf("%s ", key_id);
    for (i = 0; i < len; i++) {
        (void)printf("%02x", bytes[i]);
    }
    (void)printf("\n");
}

/* The secret half repeats a public value (the cluster id), which may lie anywhere. */
static bool is_public(const ks_key *k, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at + len <= k->public_len; at++) {
        if (memcmp(k->public_part + at, bytes, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Every secret scalar and octets item of an encoded secret half, lists included. */
static unsigned long print_items(const ks_key *k, const uint8_t *in, size_t len, unsigned depth)
{
    unsigned long count = 0;
    size_t at = 0;

    while (at + 5u <= len) {
        const uint8_t type = in[at];
        const size_t n = ((size_t)in[at + 1] << 24) | ((size_t)in[at + 2] << 16) |
                         ((size_t)in[at + 3] << 8) | in[at + 4];

        at += 5u;
        if (n > len - at) {
            break;
        }
        if (type == TDSA_ITEM_LIST && depth < TDSA_STMT_DEPTH_MAX) {
            count += print_items(k, in + at, n, depth + 1u);
        } else if ((type == TDSA_ITEM_SCALAR || type == TDSA_ITEM_OCTETS) && n >= SHORTEST &&
                   !is_public(k, in + at, n)) {
            print_hex(k->key_id, in + at, n);
            count++;
        }
        at += n;
    }
    return count;
}

static bool dump_key(void *ctx, const ks_key *k)
{
    dump *d = ctx;
    tdsa_secret *secret = NULL;
    tdsa_err err;

    if (k->state == KS_KEY_ACTIVE &&
        ks_key_open(d->store, k->key_id, k->epoch, &secret, &err) == TDSA_OK) {
        d->count += print_items(k, tdsa_secret_view(secret), tdsa_secret_len(secret), 0);
    }
    tdsa_secret_free(secret);
    return true;
}

int main(int argc, char **argv)
{
    cfg *c = NULL;
    cfg_participant *p = NULL;
    dump d = {NULL, 0};
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: dump_secrets CONFIG PIN\n");
        return 2;
    }
    st = cfg_load(&c, &(cfg_source){.file = argv[1]}, NULL, &err);
    if (st == TDSA_OK) {
        st = cfg_participant_new(&p, c, NULL, &err);
    }
    if (st == TDSA_OK) {
        ks_cfg store = *cfg_participant_keystore(p);

        store.unlock_at_open = false;
        store.rng = tdsa_os_rng();
        store.clock = tdsa_os_clock();
        st = ks_open(&d.store, &store, &err);
    }
    if (st == TDSA_OK) {
        st = ks_unlock(d.store, argv[2], strlen(argv[2]), &err);
    }
    if (st == TDSA_OK) {
        st = ks_key_each(d.store, NULL, 1000, dump_key, &d, &err);
    }
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "%s: %s\n", tdsa_status_name(st), err.text);
    }
    ks_close(d.store);
    cfg_participant_free(p);
    cfg_free(c);
    return st == TDSA_OK && d.count > 0 ? 0 : 1;
}
