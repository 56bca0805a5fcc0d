#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/dh.h"
#include "base/rng.h"
#include "base/statement.h"
#include "peer/channel.h"

/*
 * Row 20: sessions that begin again under the same name after a crash, a thief of one participant's
 * keys who plays another towards it (key-compromise impersonation), and messages out of their place.
 * What the attacks would win is the share that a key generation or a reshare sends.
 */

static const peer_prologue prologue = {.session_id = "session-0123456789",
                                       .initiator = 1,
                                       .responder = 2,
                                       .initiator_id = "alice",
                                       .responder_id = "bob",
                                       .purpose = PEER_FOR_SECRETS,
                                       .server_group_id = "group-secret"};

typedef struct {
    uint8_t x25519[32], x448[56];
    peer_keys keys;
    peer_identity me;
} party;

static void make_party(party *p)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    assert_int_equal(tdsa_rng_fill(&rng, p->x25519, sizeof p->x25519, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, p->x448, sizeof p->x448, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X25519, p->keys.x25519, p->x25519, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X448, p->keys.x448, p->x448, &err), TDSA_OK);
    p->me = (peer_identity){p->x25519, p->x448, &p->keys, NULL};
}

/* ---- what a thief of bob's keys can compute ---- */

/* Eve wants to be alice. She has bob's private keys, and `unknown` where alice's would be. */
static struct {
    bool on;
    bool
        without_se; /* weakness: the handshake does not mix alice's static with bob's ephemeral key */
    party alice, bob, eve;
} theft;

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                                  const uint8_t *peer_pub, tdsa_err *err);
tdsa_status __wrap_tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                                  const uint8_t *peer_pub, tdsa_err *err);
/* NOLINTEND */

tdsa_status __wrap_tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                                  const uint8_t *peer_pub, tdsa_err *err)
{
    const size_t len = tdsa_dh_len(kind);
    const bool x448 = kind == TDSA_DH_X448;
    const uint8_t *unknown = x448 ? theft.eve.x448 : theft.eve.x25519;
    const uint8_t *bob = x448 ? theft.bob.x448 : theft.bob.x25519;
    const uint8_t *bob_pub = x448 ? theft.bob.keys.x448 : theft.bob.keys.x25519;
    const uint8_t *alice_pub = x448 ? theft.alice.keys.x448 : theft.alice.keys.x25519;
    const bool as_alice = memcmp(priv, unknown, len) == 0;
    const bool with_alice = memcmp(peer_pub, alice_pub, len) == 0;

    if (!theft.on) {
        return __real_tdsa_dh_shared(kind, shared, priv, peer_pub, err);
    }
    if (as_alice &&
        memcmp(peer_pub, bob_pub, len) == 0) { /* alice's secret with bob is bob's too */
        return __real_tdsa_dh_shared(kind, shared, bob, alice_pub, err);
    }
    if (as_alice || (theft.without_se && with_alice && memcmp(priv, bob, len) != 0)) {
        memset(shared, 0x42, len); /* Eve can but guess */
        return TDSA_OK;
    }
    return __real_tdsa_dh_shared(kind, shared, priv, peer_pub, err);
}

static void steal(bool without_se)
{
    make_party(&theft.alice);
    make_party(&theft.bob);
    make_party(&theft.eve);
    theft.eve.me.public_keys = &theft.alice.keys; /* she says so */
    theft.on = true;
    theft.without_se = without_se;
}

/* Eve calls bob in alice's name. True when bob reads a request of hers as alice's. */
static bool bob_believes_eve(void)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    peer_channel *eve = NULL;
    peer_channel *bob = NULL;
    peer_keys seen;
    tdsa_err err;
    bool believed = false;

    assert_int_equal(peer_channel_start(&eve, &theft.eve.me, &theft.bob.keys, &prologue, &rng, NULL,
                                        0, &first, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_accept(&bob, &theft.bob.me, &prologue, first.data, first.len,
                                         &seen, &extra, &err),
                     TDSA_OK); /* the first message alone is worth nothing, as documented */
    assert_memory_equal(seen.x25519, theft.alice.keys.x25519, 32);
    assert_int_equal(peer_channel_answer(bob, &rng, NULL, 0, &second, &err), TDSA_OK);
    if (peer_channel_finish(eve, second.data, second.len, &extra, &err) == TDSA_OK) {
        assert_int_equal(peer_channel_seal(eve, PEER_REQUEST, 0, NULL, (const uint8_t *)"share?", 6,
                                           &sealed, &err),
                         TDSA_OK);
        believed = peer_channel_open(bob, PEER_REQUEST, 0, NULL, sealed.data, sealed.len, &plain,
                                     &err) == TDSA_OK;
    } else {
        assert_int_equal(err.status, TDSA_E_PROTOCOL);
        assert_int_equal(peer_channel_seal(eve, PEER_REQUEST, 0, NULL, (const uint8_t *)"share?", 6,
                                           &sealed, &err),
                         TDSA_E_CONFLICT);
    }
    peer_channel_free(eve);
    peer_channel_free(bob);
    return believed;
}

/* Bob calls alice, and Eve sits there. True when she reads so much as the first message. */
static bool eve_answers_bob(void)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_channel *bob = NULL;
    peer_channel *eve = NULL;
    peer_keys seen;
    tdsa_err err;
    bool read = false;

    assert_int_equal(peer_channel_start(&bob, &theft.bob.me, &theft.alice.keys, &prologue, &rng,
                                        (const uint8_t *)"hello", 5, &first, &err),
                     TDSA_OK);
    read = peer_channel_accept(&eve, &theft.eve.me, &prologue, first.data, first.len, &seen, &extra,
                               &err) == TDSA_OK;
    peer_channel_free(bob);
    peer_channel_free(eve);
    return read;
}

static void row_20_a_thief_of_bobs_keys_is_not_alice(void **state)
{
    (void)state;
    steal(false);
    assert_false(bob_believes_eve());
    assert_false(eve_answers_bob());
    theft.on = false;
}

static void row_20_without_the_ephemeral_key_the_thief_is_alice(void **state)
{
    (void)state;
    steal(true);
    assert_true(bob_believes_eve());
    theft.on = false;
}

/* ---- the same session twice ---- */

static const uint8_t share[32] = "the share of a key, 32 bytes....";
static const uint8_t known[32] = {0};

/* One session from two generators; seals `plain` as its first request. */
static void open_and_seal(const party *alice, const party *bob, const tdsa_rng *rng,
                          const uint8_t plain[32], tdsa_buf *sealed)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    peer_keys seen;
    tdsa_err err;

    assert_int_equal(
        peer_channel_start(&a, &alice->me, &bob->keys, &prologue, rng, NULL, 0, &first, &err),
        TDSA_OK);
    assert_int_equal(
        peer_channel_accept(&b, &bob->me, &prologue, first.data, first.len, &seen, &extra, &err),
        TDSA_OK);
    assert_int_equal(peer_channel_answer(b, rng, NULL, 0, &second, &err), TDSA_OK);
    assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err), TDSA_OK);
    assert_int_equal(peer_channel_seal(a, PEER_REQUEST, 0, NULL, plain, 32, sealed, &err), TDSA_OK);
    peer_channel_free(a);
    peer_channel_free(b);
}

/* XOR of two messages under one keystream, and one of them known, is the other. */
static bool reads_the_share(const tdsa_buf *first, const tdsa_buf *second)
{
    uint8_t guess[32];

    for (size_t i = 0; i < 32; i++) {
        guess[i] = (uint8_t)(first->data[i] ^ second->data[i] ^ known[i]);
    }
    return memcmp(guess, share, 32) == 0;
}

static bool crash_repeats_the_keystream(const tdsa_rng *before, const tdsa_rng *after)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    party alice;
    party bob;

    make_party(&alice);
    make_party(&bob);
    open_and_seal(&alice, &bob, before, share, &first);
    open_and_seal(&alice, &bob, after, known, &second); /* same keys, ids and Session-Id */
    return reads_the_share(&first, &second);
}

static void row_20_a_session_of_the_same_name_has_another_keystream(void **state)
{
    const tdsa_rng os = tdsa_os_rng();

    (void)state;
    assert_false(crash_repeats_the_keystream(&os, &os));
}

static void row_20_equal_ephemeral_keys_reveal_the_share(void **state)
{
    TDSA_SCOPED_BUF seed = TDSA_BUF_EMPTY;
    tdsa_test_rng before;
    tdsa_test_rng after;
    tdsa_rng one;
    tdsa_rng two;
    tdsa_err err;

    (void)state;
    tdsa_stmt_begin(&seed, "rng");
    assert_int_equal(tdsa_test_rng_init(&before, seed.data, seed.len, &err), TDSA_OK);
    after = before;
    one = tdsa_test_rng_of(&before);
    two = tdsa_test_rng_of(&after);
    assert_true(crash_repeats_the_keystream(&one, &two));
}

/* ---- messages out of their place ---- */

static void row_20_a_message_opens_in_its_place_only(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    party alice;
    party bob;
    peer_channel *a[2] = {NULL};
    peer_channel *b[2] = {NULL};
    tdsa_err err;

    (void)state;
    make_party(&alice);
    make_party(&bob);
    for (size_t i = 0; i < 2; i++) {
        TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
        peer_keys seen;

        assert_int_equal(
            peer_channel_start(&a[i], &alice.me, &bob.keys, &prologue, &rng, NULL, 0, &first, &err),
            TDSA_OK);
        assert_int_equal(peer_channel_accept(&b[i], &bob.me, &prologue, first.data, first.len,
                                             &seen, &out, &err),
                         TDSA_OK);
        assert_int_equal(peer_channel_answer(b[i], &rng, NULL, 0, &second, &err), TDSA_OK);
        assert_int_equal(peer_channel_finish(a[i], second.data, second.len, &out, &err), TDSA_OK);
    }
    assert_int_equal(peer_channel_seal(a[0], PEER_REQUEST, 7, NULL, share, 32, &sealed, &err),
                     TDSA_OK);
    /* another session, another number, the other direction, back to its sender */
    assert_int_equal(
        peer_channel_open(b[1], PEER_REQUEST, 7, NULL, sealed.data, sealed.len, &out, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(b[0], PEER_REQUEST, 8, NULL, sealed.data, sealed.len, &out, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(b[0], PEER_REPLY, 7, NULL, sealed.data, sealed.len, &out, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(a[0], PEER_REPLY, 7, NULL, sealed.data, sealed.len, &out, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(b[0], PEER_REQUEST, 7, NULL, sealed.data, sealed.len, &out, &err),
        TDSA_OK); /* where it belongs */
    for (size_t i = 0; i < 2; i++) {
        peer_channel_free(a[i]);
        peer_channel_free(b[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_20_a_thief_of_bobs_keys_is_not_alice),
        cmocka_unit_test(row_20_without_the_ephemeral_key_the_thief_is_alice),
        cmocka_unit_test(row_20_a_session_of_the_same_name_has_another_keystream),
        cmocka_unit_test(row_20_equal_ephemeral_keys_reveal_the_share),
        cmocka_unit_test(row_20_a_message_opens_in_its_place_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
