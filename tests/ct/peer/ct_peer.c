#include "ct/ct.h"

#include "base/dh.h"
#include "base/rng.h"
#include "peer/channel.h"

static tdsa_err err;

/* Randomness of the ephemeral keys, secret from the start. */
static tdsa_status secret_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    const tdsa_rng os = tdsa_os_rng();
    const tdsa_status st = tdsa_rng_fill(&os, out, len, e);

    (void)ctx;
    ct_secret(out, len);
    return st;
}

typedef struct {
    uint8_t x25519[32], x448[56];
    peer_keys keys;
    peer_identity me;
} party;

static void make_party(party *p)
{
    const tdsa_rng rng = {secret_fill, NULL};

    ct_require(tdsa_rng_fill(&rng, p->x25519, 32, &err) == TDSA_OK, "rng");
    ct_require(tdsa_rng_fill(&rng, p->x448, 56, &err) == TDSA_OK, "rng");
    ct_require(tdsa_dh_public(TDSA_DH_X25519, p->keys.x25519, p->x25519, &err) == TDSA_OK, "pub");
    ct_require(tdsa_dh_public(TDSA_DH_X448, p->keys.x448, p->x448, &err) == TDSA_OK, "pub");
    ct_public(&p->keys, sizeof p->keys);
    p->me = (peer_identity){p->x25519, p->x448, &p->keys, NULL};
}

int main(void)
{
    const tdsa_rng rng = {secret_fill, NULL};
    const peer_prologue prologue = {"session-0123456789", 1,      2, "alice", "bob",
                                    PEER_FOR_SIGNING,     "group"};
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    peer_dh_cache *cache = peer_dh_cache_new();
    uint8_t plain[40] = {0};
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    party alice, bob;
    peer_keys seen;

    make_party(&alice);
    make_party(&bob);
    peer_identity_cache(&alice.me, cache);
    ct_require(peer_channel_start(&a, &alice.me, &bob.keys, &prologue, &rng, NULL, 0, &first,
                                  &err) == TDSA_OK,
               "start");
    ct_public(first.data, first.len); /* it has been on the wire */
    ct_require(peer_channel_accept(&b, &bob.me, &prologue, first.data, first.len, &seen, &out,
                                   &err) == TDSA_OK,
               "accept");
    ct_require(peer_channel_answer(b, &rng, NULL, 0, &second, &err) == TDSA_OK, "answer");
    ct_public(second.data, second.len);
    ct_require(peer_channel_finish(a, second.data, second.len, &out, &err) == TDSA_OK, "finish");
    ct_secret(plain, sizeof plain);
    for (uint64_t seq = 0; seq < 2u << PEER_REKEY_SHIFT; seq += 1u << PEER_REKEY_SHIFT) {
        tdsa_buf_reset(&sealed);
        ct_require(peer_channel_seal(a, PEER_REQUEST, seq, NULL, plain, sizeof plain, &sealed,
                                     &err) == TDSA_OK,
                   "seal");
        ct_public(sealed.data, sealed.len);
        ct_require(peer_channel_open(b, PEER_REQUEST, seq, NULL, sealed.data, sealed.len, &out,
                                     &err) == TDSA_OK,
                   "open");
    }
    ct_leak(out.data);
    peer_channel_free(a);
    peer_channel_free(b);
    peer_dh_cache_free(cache);
    return 0;
}
