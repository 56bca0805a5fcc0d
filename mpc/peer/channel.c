#include "peer/channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/statement.h"
#include "peer/dh_cache.h"
#include "peer/noise.h"

#define DIRECTIONS    2u
#define GENERATIONS   2u /* the newest and the one before it */
#define SESSION_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
/* What the first message holds beside the caller's extra bytes: Noise's own, and stmt("hello"). */
#define FIRST_FIXED (PEER_NOISE_FIRST_LEN + 5u + 5u + 5u + TDSA_X448_LEN + 5u)

_Static_assert(PEER_CHANNEL_OVERHEAD == PEER_NOISE_TAG_LEN, "a sealed message grows by its tag");
_Static_assert(FIRST_FIXED < PEER_HANDSHAKE_MAX, "the first message fits");

typedef enum { CHANNEL_STARTED, CHANNEL_ACCEPTED, CHANNEL_OPEN, CHANNEL_DEAD } channel_state;

/* All that must not leak, in locked memory. */
typedef struct {
    peer_noise noise;                                         /* wiped when the channel opens */
    uint8_t x448_private[TDSA_X448_LEN];                      /* the same */
    uint8_t key[GENERATIONS][DIRECTIONS][PEER_NOISE_KEY_LEN]; /* [generation & 1][direction] */
} channel_secrets;

struct peer_channel {
    channel_state state;
    uint16_t initiator, responder;
    uint64_t newest; /* generation */
    peer_dh_cache *cache;
    uint8_t my_x448[TDSA_X448_LEN], peer_x448[TDSA_X448_LEN]; /* public */
    tdsa_secret *memory;                                      /* holds the channel_secrets */
    channel_secrets *secrets;
};

bool peer_session_id_ok(const char *id)
{
    const size_t len = strnlen(id, PEER_SESSION_ID_MAX + 1);

    return len >= PEER_SESSION_ID_MIN && len <= PEER_SESSION_ID_MAX &&
           strspn(id, SESSION_CHARS) == len;
}

void peer_identity_cache(peer_identity *me, peer_dh_cache *cache)
{
    me->cache = cache;
}

static void prologue_stmt(tdsa_buf *out, const peer_prologue *p)
{
    tdsa_stmt_begin(out, "prologue");
    tdsa_stmt_uint(out, PEER_PROTOCOL_VERSION);
    tdsa_stmt_text(out, p->session_id);
    tdsa_stmt_uint(out, p->initiator);
    tdsa_stmt_text(out, p->initiator_id);
    tdsa_stmt_uint(out, p->responder);
    tdsa_stmt_text(out, p->responder_id);
    tdsa_stmt_uint(out, (uint64_t)p->purpose);
    if (p->server_group_id == NULL) {
        tdsa_stmt_absent(out);
    } else {
        tdsa_stmt_octets(out, p->server_group_id, strlen(p->server_group_id));
    }
}

/* A channel before its first message; `rs` as peer_noise_init has it. */
static tdsa_status channel_new(peer_channel **out, const peer_identity *me, const uint8_t *rs,
                               const peer_prologue *prologue, tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    peer_noise_setup setup = {me->x25519_private, me->public_keys->x25519, NULL, 0};
    peer_channel *c = NULL;
    tdsa_status st;

    if (!peer_session_id_ok(prologue->session_id)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the Session-Id is not %u to %u characters of A-Z a-z 0-9 _ -",
                         PEER_SESSION_ID_MIN, PEER_SESSION_ID_MAX);
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a channel");
    }
    c->initiator = prologue->initiator;
    c->responder = prologue->responder;
    c->cache = me->cache;
    st = tdsa_secret_new(&c->memory, sizeof *c->secrets, err);
    if (st != TDSA_OK) {
        goto out;
    }
    c->secrets = (void *)tdsa_secret_bytes(c->memory); /* pages: aligned for any type */
    memcpy(c->secrets->x448_private, me->x448_private, TDSA_X448_LEN);
    memcpy(c->my_x448, me->public_keys->x448, TDSA_X448_LEN);
    prologue_stmt(&stmt, prologue);
    st = tdsa_buf_check(&stmt, err);
    if (st != TDSA_OK) {
        goto out;
    }
    setup.prologue = stmt.data;
    setup.prologue_len = stmt.len;
    st = peer_noise_init(&c->secrets->noise, &setup, rs, err);
out:
    if (st != TDSA_OK) {
        peer_channel_free(c);
        c = NULL;
    }
    *out = c;
    return st;
}

/* psk of this pair: HKDF of the X448 static-static secret, bound to both keys and their roles. */
static tdsa_status make_psk(uint8_t psk[32], peer_channel *c, bool initiator, tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    uint8_t shared[TDSA_X448_LEN];
    tdsa_status st = peer_dh_cache_x448(c->cache, shared, c->secrets->x448_private, c->my_x448,
                                        c->peer_x448, err);

    tdsa_stmt_begin(&info, "psk");
    tdsa_stmt_octets(&info, initiator ? c->my_x448 : c->peer_x448, TDSA_X448_LEN);
    tdsa_stmt_octets(&info, initiator ? c->peer_x448 : c->my_x448, TDSA_X448_LEN);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&info, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_hkdf_stmt(psk, shared, sizeof shared, &info, err);
    }
    tdsa_wipe(shared, sizeof shared);
    return st;
}

/* Derives the transport keys and forgets the handshake. */
static tdsa_status channel_open(peer_channel *c, tdsa_err *err)
{
    channel_secrets *s = c->secrets;
    tdsa_status st =
        peer_noise_split(&s->noise, s->key[0][PEER_REQUEST], s->key[0][PEER_REPLY], err);

    c->state = st == TDSA_OK ? CHANNEL_OPEN : CHANNEL_DEAD;
    tdsa_wipe(&s->noise, sizeof s->noise);
    tdsa_wipe(s->x448_private, sizeof s->x448_private);
    return st;
}

tdsa_status peer_channel_start(peer_channel **out, const peer_identity *me, const peer_keys *peer,
                               const peer_prologue *prologue, const tdsa_rng *rng,
                               const uint8_t *extra, size_t extra_len, tdsa_buf *message,
                               tdsa_err *err)
{
    TDSA_SCOPED_BUF payload = TDSA_BUF_EMPTY;
    const size_t before = message->len;
    peer_channel *c = NULL;
    tdsa_status st;

    *out = NULL;
    if (extra_len > PEER_HANDSHAKE_MAX - FIRST_FIXED) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu bytes do not fit into a handshake", extra_len);
    }
    st = channel_new(&c, me, peer->x25519, prologue, err);
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(c->peer_x448, peer->x448, TDSA_X448_LEN);
    tdsa_stmt_begin(&payload, "hello");
    tdsa_stmt_octets(&payload, c->my_x448, TDSA_X448_LEN);
    tdsa_stmt_octets(&payload, extra, extra_len);
    st = tdsa_buf_check(&payload, err);
    if (st == TDSA_OK) {
        st = tdsa_rng_fill(rng, c->secrets->noise.e, sizeof c->secrets->noise.e, err);
    }
    if (st == TDSA_OK) {
        st = peer_noise_write_first(&c->secrets->noise, payload.data, payload.len, message, err);
    }
    if (st != TDSA_OK) {
        message->len = before;
        peer_channel_free(c);
        return tdsa_err_wrap(err, "channel to participant %u", prologue->responder);
    }
    c->state = CHANNEL_STARTED;
    *out = c;
    return TDSA_OK;
}

tdsa_status peer_channel_finish(peer_channel *c, const uint8_t *message, size_t len,
                                tdsa_buf *extra, tdsa_err *err)
{
    const size_t before = extra->len;
    uint8_t psk[32] = {0};
    tdsa_status st;

    if (c->state != CHANNEL_STARTED) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the channel does not wait for an answer");
    }
    c->state = CHANNEL_DEAD;
    if (len < PEER_NOISE_SECOND_LEN || len > PEER_HANDSHAKE_MAX) {
        return TDSA_BLAME(err, c->responder, "participant %u answered the handshake with %zu bytes",
                          c->responder, len);
    }
    st = make_psk(psk, c, true, err);
    if (st == TDSA_OK) {
        st = peer_noise_read_second(&c->secrets->noise, psk, message, len, extra, err);
        if (st != TDSA_OK) {
            st = TDSA_BLAME(err, c->responder,
                            "handshake answer of participant %u does not authenticate; compare on "
                            "both sides: X448 and X25519 keys, ids, serverGroupId",
                            c->responder);
        }
    }
    if (st == TDSA_OK) {
        st = channel_open(c, err);
    }
    if (st != TDSA_OK) {
        extra->len = before;
    }
    tdsa_wipe(psk, sizeof psk);
    return st;
}

/* Reads stmt("hello", ...). */
static tdsa_status read_hello(peer_channel *c, const tdsa_buf *payload, tdsa_buf *extra,
                              tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(payload->data, payload->len);
    const uint8_t *bytes = NULL;
    size_t len = 0;

    tdsa_declassify(payload->data, payload->len); /* public keys and control data */
    tdsa_stmt_expect(&r, "hello");
    tdsa_stmt_read_exact(&r, c->peer_x448, TDSA_X448_LEN);
    bytes = tdsa_stmt_read_octets(&r, &len, PEER_HANDSHAKE_MAX);
    if (tdsa_reader_finish(&r, "hello", err) != TDSA_OK) {
        return TDSA_BLAME(err, c->initiator, "participant %u: malformed hello", c->initiator);
    }
    tdsa_buf_append(extra, bytes, len);
    return tdsa_buf_check(extra, err);
}

tdsa_status peer_channel_accept(peer_channel **out, const peer_identity *me,
                                const peer_prologue *prologue, const uint8_t *message, size_t len,
                                peer_keys *peer, tdsa_buf *extra, tdsa_err *err)
{
    TDSA_SCOPED_BUF payload = TDSA_BUF_EMPTY;
    peer_channel *c = NULL;
    tdsa_status st;

    *out = NULL;
    memset(peer, 0, sizeof *peer);
    if (len < FIRST_FIXED || len > PEER_HANDSHAKE_MAX) {
        return TDSA_BLAME(err, prologue->initiator,
                          "participant %u opened a session with %zu bytes, not %u to %u",
                          prologue->initiator, len, FIRST_FIXED, PEER_HANDSHAKE_MAX);
    }
    st = channel_new(&c, me, NULL, prologue, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (peer_noise_read_first(&c->secrets->noise, message, len, &payload, err) != TDSA_OK) {
        st = TDSA_BLAME(err, prologue->initiator,
                        "handshake of participant %u does not authenticate; compare on both sides: "
                        "my X25519 key, ids, indices, serverGroupId",
                        prologue->initiator);
        goto out;
    }
    st = read_hello(c, &payload, extra, err);
    if (st != TDSA_OK) {
        goto out;
    }
    memcpy(peer->x25519, c->secrets->noise.rs, sizeof peer->x25519);
    memcpy(peer->x448, c->peer_x448, sizeof peer->x448);
    c->state = CHANNEL_ACCEPTED;
    *out = c;
    c = NULL;
out:
    peer_channel_free(c);
    return st;
}

tdsa_status peer_channel_answer(peer_channel *c, const tdsa_rng *rng, const uint8_t *extra,
                                size_t extra_len, tdsa_buf *message, tdsa_err *err)
{
    const size_t before = message->len;
    uint8_t psk[32] = {0};
    tdsa_status st;

    if (c->state != CHANNEL_ACCEPTED) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the channel has no handshake to answer");
    }
    if (extra_len > PEER_HANDSHAKE_MAX - PEER_NOISE_SECOND_LEN) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu bytes do not fit into a handshake", extra_len);
    }
    c->state = CHANNEL_DEAD;
    st = make_psk(psk, c, false, err);
    if (st == TDSA_OK) {
        st = tdsa_rng_fill(rng, c->secrets->noise.e, sizeof c->secrets->noise.e, err);
    }
    if (st == TDSA_OK) {
        st = peer_noise_write_second(&c->secrets->noise, psk, extra, extra_len, message, err);
    }
    if (st == TDSA_OK) {
        st = channel_open(c, err);
    }
    tdsa_wipe(psk, sizeof psk);
    if (st != TDSA_OK) {
        message->len = before;
        return tdsa_err_wrap(err, "answering the handshake of participant %u", c->initiator);
    }
    return TDSA_OK;
}

/* The key of a generation: kept, or the next one made into `made`. NULL: refused, `err` says why. */
static const uint8_t *key_of(const peer_channel *c, peer_direction d, uint64_t generation,
                             uint8_t made[DIRECTIONS][PEER_NOISE_KEY_LEN], tdsa_err *err)
{
    if (c->state != CHANNEL_OPEN) {
        (void)TDSA_FAIL(err, TDSA_E_CONFLICT, "the channel is not open");
        return NULL;
    }
    if (generation > c->newest + 1 || generation + 1 < c->newest) {
        (void)TDSA_FAIL(err, TDSA_E_CONFLICT,
                        "message of key generation %llu, the channel is at %llu",
                        (unsigned long long)generation, (unsigned long long)c->newest);
        return NULL;
    }
    if (generation <= c->newest) {
        return c->secrets->key[generation % GENERATIONS][d];
    }
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        if (peer_noise_rekey(made[i], c->secrets->key[c->newest % GENERATIONS][i], err) !=
            TDSA_OK) {
            return NULL;
        }
    }
    return made[d];
}

/* A message of the next generation was made or opened: its keys replace the oldest. */
static void advance(peer_channel *c, uint64_t generation,
                    uint8_t made[DIRECTIONS][PEER_NOISE_KEY_LEN])
{
    if (generation == c->newest + 1) {
        memcpy(c->secrets->key[generation % GENERATIONS], made, sizeof c->secrets->key[0]);
        c->newest = generation;
    }
}

tdsa_status peer_channel_seal(peer_channel *c, peer_direction direction, uint64_t seq,
                              const tdsa_buf *aad, const uint8_t *plain, size_t len, tdsa_buf *out,
                              tdsa_err *err)
{
    uint8_t made[DIRECTIONS][PEER_NOISE_KEY_LEN] = {{0}};
    const uint64_t generation = seq >> PEER_REKEY_SHIFT;
    const uint8_t *key = key_of(c, direction, generation, made, err);
    tdsa_status st;

    if (key == NULL) {
        st = err->status;
    } else if (len > TDSA_BUF_LEN_MAX - PEER_CHANNEL_OVERHEAD) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a message of %zu bytes is too long", len);
    } else {
        st = peer_noise_seal(out, key, seq, aad, plain, len, err);
    }
    if (st == TDSA_OK) {
        advance(c, generation, made);
    }
    tdsa_wipe(made, sizeof made);
    return st;
}

tdsa_status peer_channel_open(peer_channel *c, peer_direction direction, uint64_t seq,
                              const tdsa_buf *aad, const uint8_t *sealed, size_t len, tdsa_buf *out,
                              tdsa_err *err)
{
    uint8_t made[DIRECTIONS][PEER_NOISE_KEY_LEN] = {{0}};
    const uint64_t generation = seq >> PEER_REKEY_SHIFT;
    const uint16_t sender = direction == PEER_REQUEST ? c->initiator : c->responder;
    const uint8_t *key = NULL;
    tdsa_status st;

    if (len < PEER_CHANNEL_OVERHEAD || len > TDSA_BUF_LEN_MAX) {
        return TDSA_BLAME(err, sender, "sealed message of %zu bytes from participant %u", len,
                          sender);
    }
    key = key_of(c, direction, generation, made, err);
    st = key == NULL ? err->status : peer_noise_open(out, key, seq, aad, sealed, len, err);
    if (st == TDSA_OK) {
        advance(c, generation, made);
    } else if (key != NULL && st != TDSA_E_NO_MEMORY) {
        st = TDSA_BLAME(err, sender, "message %llu of participant %u does not authenticate",
                        (unsigned long long)seq, sender);
    }
    tdsa_wipe(made, sizeof made);
    return st;
}

void peer_channel_free(peer_channel *c)
{
    if (c != NULL) {
        tdsa_secret_free(c->memory);
        free(c);
    }
}
