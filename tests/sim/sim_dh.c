#include <string.h>

#include "base/dh.h"
#include "sim/sim_internal.h"
#include "sim/sim_wrap.h"

/*
 * Half of a simulation would be Diffie-Hellman for handshakes, and each value is computed by both
 * ends: the second one is looked up. What the shipped code computed is remembered, nothing else.
 */

#define BUCKETS 1024u

typedef struct entry {
    struct entry *next;
    tdsa_dh_kind kind;
    uint8_t in[2 * TDSA_X448_LEN]; /* a private key; or two public ones, the smaller first */
    uint8_t out[TDSA_X448_LEN];    /* its public key; or what they share */
    bool shared;
} entry;

static entry *table[BUCKETS];

void sim_dh_forget(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (table[i] != NULL) {
            entry *e = table[i];
            table[i] = e->next;
            sim_give(e);
        }
    }
}

static entry **bucket_of(const entry *e)
{
    return &table[(e->in[0] + 256u * e->in[1]) % BUCKETS];
}

static const entry *find(const entry *e)
{
    const entry *x = *bucket_of(e);

    while (x != NULL && !(x->kind == e->kind && x->shared == e->shared &&
                          memcmp(x->in, e->in, sizeof x->in) == 0)) {
        x = x->next;
    }
    return x;
}

static void keep(const entry *e, const uint8_t *out)
{
    entry *x = sim_take(sizeof *x);

    *x = *e;
    memcpy(x->out, out, tdsa_dh_len(e->kind));
    x->next = *bucket_of(e);
    *bucket_of(e) = x;
}

tdsa_status __wrap_tdsa_dh_public(tdsa_dh_kind kind, uint8_t *pub, const uint8_t *priv,
                                  tdsa_err *err)
{
    entry e = {.kind = kind};
    const entry *known = NULL;
    tdsa_status st;

    memcpy(e.in, priv, tdsa_dh_len(kind));
    known = find(&e);
    if (known != NULL) {
        memcpy(pub, known->out, tdsa_dh_len(kind));
        return TDSA_OK;
    }
    st = __real_tdsa_dh_public(kind, pub, priv, err);
    if (st == TDSA_OK && sim_current() != NULL) {
        keep(&e, pub);
    }
    return st;
}

tdsa_status __wrap_tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                                  const uint8_t *peer_pub, tdsa_err *err)
{
    const size_t len = tdsa_dh_len(kind);
    entry e = {.kind = kind, .shared = true};
    uint8_t mine[TDSA_X448_LEN];
    const entry *known = NULL;
    tdsa_status st = __wrap_tdsa_dh_public(kind, mine, priv, err);
    const bool first = memcmp(mine, peer_pub, len) < 0;

    if (st != TDSA_OK) {
        return st;
    }
    memcpy(e.in, first ? mine : peer_pub, len);
    memcpy(e.in + len, first ? peer_pub : mine, len);
    known = find(&e);
    if (known != NULL) {
        memcpy(shared, known->out, len);
        return TDSA_OK;
    }
    st = __real_tdsa_dh_shared(kind, shared, priv, peer_pub, err);
    if (st == TDSA_OK && sim_current() != NULL) {
        keep(&e, shared);
    }
    return st;
}
