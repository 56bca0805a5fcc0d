#include "ct/ct.h"

#include "base/dh.h"
#include "base/rng.h"
#include "peer/channel.h"
#include "peer/dh_cache.h"
#include "peer/noise.h"

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

static void expect_secret_party(const party *p)
{
    ct_still_secret("a static X25519 key", p->x25519, sizeof p->x25519);
    ct_still_secret("a static X448 key", p->x448, sizeof p->x448);
}

/* ---- the handshake, message by message ---- */

/* What is marked before a handshake in which all else is public. */
typedef enum { ONLY_NOTHING, ONLY_STATIC, ONLY_EPHEMERAL, ONLY_PSK } only;

/* Both sides in one process. */
typedef struct {
    peer_noise initiator, responder;
    uint8_t s[2][32], e[2][32], s_public[2][32];
    uint8_t psk[2][32]; /* equal, but marked on one side only */
} handshake;

static void make_handshake(handshake *h, only which)
{
    const tdsa_rng os = tdsa_os_rng();
    const uint8_t prologue[4] = "ct";

    ct_require(tdsa_rng_fill(&os, h->s[0], sizeof h->s, &err) == TDSA_OK, "rng");
    ct_require(tdsa_rng_fill(&os, h->e[0], sizeof h->e, &err) == TDSA_OK, "rng");
    memset(h->psk, 7, sizeof h->psk);
    for (size_t i = 0; i < 2; i++) {
        ct_require(tdsa_dh_public(TDSA_DH_X25519, h->s_public[i], h->s[i], &err) == TDSA_OK, "pub");
    }
    if (which == ONLY_STATIC) {
        ct_secret(h->s[0], 32);
    }
    if (which == ONLY_EPHEMERAL) {
        ct_secret(h->e[0], 32);
    }
    if (which == ONLY_PSK) {
        ct_secret(h->psk[0], 32);
    }
    for (size_t i = 0; i < 2; i++) {
        const peer_noise_setup setup = {h->s[i], h->s_public[i], prologue, sizeof prologue};
        peer_noise *n = i == 0 ? &h->initiator : &h->responder;

        ct_require(peer_noise_init(n, &setup, i == 0 ? h->s_public[1] : NULL, &err) == TDSA_OK,
                   "init");
        memcpy(n->e, h->e[i], 32);
    }
}

static void expect_marks(const char *what, bool marked, const uint8_t *bytes)
{
    if (marked) {
        ct_still_secret(what, bytes, 32);
    } else {
        ct_still_public(what, bytes, 32);
    }
}

/* The initiator's keys, of which one may be marked, after a message. */
static void expect_initiator(const handshake *h, only which, bool key_marked)
{
    expect_marks("the static private key", which == ONLY_STATIC, h->initiator.s);
    expect_marks("the ephemeral private key", which == ONLY_EPHEMERAL, h->initiator.e);
    expect_marks("the chaining key", key_marked, h->initiator.ck);
    expect_marks("the message key", key_marked, h->initiator.k);
}

/* The key that is marked at the initiator reaches its transport keys, and nothing else does: the
 * responder, who has only what went over the wire, ends with the same keys unmarked. */
static void check_only(only which)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF payload = TDSA_BUF_EMPTY;
    handshake h;
    uint8_t keys[4][32];

    make_handshake(&h, which);
    ct_require(peer_noise_write_first(&h.initiator, NULL, 0, &first, &err) == TDSA_OK, "first");
    ct_still_public("the ephemeral public key", first.data, 32);
    expect_initiator(&h, which, which == ONLY_STATIC || which == ONLY_EPHEMERAL);
    ct_public(first.data, first.len); /* it has been on the wire */
    ct_require(peer_noise_read_first(&h.responder, first.data, first.len, &payload, &err) ==
                   TDSA_OK,
               "read first");
    ct_require(peer_noise_write_second(&h.responder, h.psk[1], NULL, 0, &second, &err) == TDSA_OK,
               "second");
    ct_still_public("the second message", second.data, second.len);
    ct_require(peer_noise_read_second(&h.initiator, h.psk[0], second.data, second.len, &payload,
                                      &err) == TDSA_OK,
               "read second");
    expect_initiator(&h, which, which != ONLY_NOTHING);
    ct_require(peer_noise_split(&h.initiator, keys[0], keys[1], &err) == TDSA_OK, "split");
    ct_require(peer_noise_split(&h.responder, keys[2], keys[3], &err) == TDSA_OK, "split");
    expect_marks("a transport key", which != ONLY_NOTHING, keys[0]);
    expect_marks("a transport key", which != ONLY_NOTHING, keys[1]);
    ct_still_public("the responder's transport keys", keys[2], 64);
    ct_require(peer_noise_rekey(keys[0], keys[0], &err) == TDSA_OK, "rekey");
    expect_marks("the next transport key", which != ONLY_NOTHING, keys[0]);
}

/* The X448 secret of two parties, computed and then from the cache. */
static void check_x448(const party *a, const party *b, peer_dh_cache *cache)
{
    uint8_t shared[TDSA_X448_LEN];

    for (size_t i = 0; i < 2; i++) {
        ct_require(peer_dh_cache_x448(cache, shared, a->x448, a->keys.x448, b->keys.x448, &err) ==
                       TDSA_OK,
                   "x448");
        ct_still_secret("an X448 secret", shared, sizeof shared);
    }
}

/* ---- a channel ---- */

static void open_channel(peer_channel **a, peer_channel **b, party *alice, party *bob)
{
    const tdsa_rng rng = {secret_fill, NULL};
    const peer_prologue prologue = {"session-0123456789", 1,      2, "alice", "bob",
                                    PEER_FOR_SIGNING,     "group"};
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    peer_keys seen;

    ct_require(peer_channel_start(a, &alice->me, &bob->keys, &prologue, &rng, NULL, 0, &first,
                                  &err) == TDSA_OK,
               "start");
    ct_public(first.data, first.len); /* it has been on the wire */
    ct_require(peer_channel_accept(b, &bob->me, &prologue, first.data, first.len, &seen, &out,
                                   &err) == TDSA_OK,
               "accept");
    ct_require(peer_channel_answer(*b, &rng, NULL, 0, &second, &err) == TDSA_OK, "answer");
    ct_public(second.data, second.len);
    ct_require(peer_channel_finish(*a, second.data, second.len, &out, &err) == TDSA_OK, "finish");
}

/* Messages of several key generations; the plaintext is marked only where the channel opens it, so
 * its mark comes from the channel's keys. */
static void check_messages(peer_channel *a, peer_channel *b)
{
    static const uint8_t plain[40] = {0};
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    for (uint64_t seq = 0; seq < 2u << PEER_REKEY_SHIFT; seq += 1u << PEER_REKEY_SHIFT) {
        tdsa_buf_reset(&sealed);
        tdsa_buf_reset(&out);
        ct_require(peer_channel_seal(a, PEER_REQUEST, seq, NULL, plain, sizeof plain, &sealed,
                                     &err) == TDSA_OK,
                   "seal");
        ct_public(sealed.data, sealed.len);
        ct_require(peer_channel_open(b, PEER_REQUEST, seq, NULL, sealed.data, sealed.len, &out,
                                     &err) == TDSA_OK,
                   "open");
        ct_still_secret("an opened message", out.data, out.len);
    }
}

int main(void)
{
    peer_dh_cache *cache = peer_dh_cache_new();
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    party alice;
    party bob;

    for (int which = ONLY_NOTHING; which <= ONLY_PSK; which++) {
        check_only((only)which);
    }
    make_party(&alice);
    make_party(&bob);
    peer_identity_cache(&alice.me, cache);
    check_x448(&bob, &alice, NULL);
    open_channel(&a, &b, &alice, &bob);
    check_x448(&alice, &bob, cache);
    check_messages(a, b);
    expect_secret_party(&alice);
    expect_secret_party(&bob);
    peer_channel_free(a);
    peer_channel_free(b);
    peer_dh_cache_free(cache);
    return ct_end();
}
