#include "unit/peer/peer_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/statement.h"

/* First message, as alice makes it for bob. */
static peer_channel *start(const party *alice, const peer_keys *bob, const peer_prologue *p,
                           const char *extra, tdsa_buf *first)
{
    const tdsa_rng rng = tdsa_os_rng();
    peer_channel *a = NULL;
    tdsa_err err;

    assert_int_equal(peer_channel_start(&a, &alice->me, bob, p, &rng, (const uint8_t *)extra,
                                        strlen(extra), first, &err),
                     TDSA_OK);
    return a;
}

static tdsa_status accept_first(peer_channel **b, const party *bob, const peer_prologue *p,
                                const uint8_t *bytes, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_keys seen;
    tdsa_status st = peer_channel_accept(b, &bob->me, p, bytes, len, &seen, &extra, err);

    if (st != TDSA_OK) {
        assert_null(*b);
        assert_int_equal(extra.len, 0);
    }
    return st;
}

static void handshake_carries_extra_bytes_and_keys(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_keys seen;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    tdsa_buf_append_str(&first, "before:"); /* messages are appended */
    a = start(&alice, &bob.keys, &fixture_prologue, "hello bob", &first);
    assert_int_equal(peer_channel_accept(&b, &bob.me, &fixture_prologue, first.data + 7,
                                         first.len - 7, &seen, &extra, &err),
                     TDSA_OK);
    assert_memory_equal(seen.x25519, alice.keys.x25519, 32);
    assert_memory_equal(seen.x448, alice.keys.x448, 56);
    assert_int_equal(extra.len, 9);
    assert_memory_equal(extra.data, "hello bob", 9);
    assert_int_equal(
        peer_channel_answer(b, &rng, (const uint8_t *)"hello alice", 11, &second, &err), TDSA_OK);
    tdsa_buf_reset(&extra);
    assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err), TDSA_OK);
    assert_int_equal(extra.len, 11);
    assert_memory_equal(extra.data, "hello alice", 11);
    peer_channel_free(a);
    peer_channel_free(b);
}

static void wrong_responder_x25519_fails_at_the_first_message(void **state)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    party alice, bob, carol;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    party_make(&carol);
    a = start(&alice, &carol.keys, &fixture_prologue, "", &first);
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 1);
    assert_non_null(strstr(err.text, "serverGroupId"));
    assert_null(strstr(err.text, "group-secret"));
    peer_channel_free(a);
}

/* The X448 key is only in the psk: the answer fails at the initiator. */
static void wrong_x448_fails_at_the_answer(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    party alice, bob, carol;
    peer_keys mixed;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    party_make(&carol);
    mixed = bob.keys;
    memcpy(mixed.x448, carol.keys.x448, sizeof mixed.x448);
    a = start(&alice, &mixed, &fixture_prologue, "", &first);
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_answer(b, &rng, NULL, 0, &second, &err), TDSA_OK);
    assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err),
                     TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 2);
    assert_int_equal(extra.len, 0);
    /* dead: not even the right answer is taken now */
    assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err),
                     TDSA_E_CONFLICT);
    peer_channel_free(a);
    peer_channel_free(b);
}

static void every_field_of_the_prologue_counts(void **state)
{
    peer_prologue other[9];
    party alice, bob;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    for (size_t i = 0; i < 9; i++) {
        other[i] = fixture_prologue;
    }
    other[0].session_id = "session-0123456780";
    other[1].initiator = 3;
    other[2].responder = 3;
    other[3].initiator_id = "alicf";
    other[4].responder_id = "";
    other[5].purpose = PEER_FOR_SECRETS;
    other[6].server_group_id = "another";
    other[7].server_group_id = NULL;
    other[8].server_group_id = "";
    for (size_t i = 0; i < 9; i++) {
        TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
        peer_channel *b = NULL;
        peer_channel *a = start(&alice, &bob.keys, &other[i], "", &first);

        assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                         TDSA_E_PROTOCOL);
        peer_channel_free(a);
    }
}

static void malformed_session_ids_are_refused(void **state)
{
    const char *bad[] = {"", "fifteen-chars--", "with blank 0123456789", "new\nline-0123456789",
                         "0123456789012345678901234567890123456789012345678901234567890123-"};
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    party alice, bob;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        peer_prologue p = fixture_prologue;
        peer_channel *a = NULL;

        p.session_id = bad[i];
        assert_false(peer_session_id_ok(bad[i]));
        assert_int_equal(
            peer_channel_start(&a, &alice.me, &bob.keys, &p, &rng, NULL, 0, &first, &err),
            TDSA_E_BAD_INPUT);
        assert_null(a);
        assert_int_equal(first.len, 0);
    }
    assert_true(peer_session_id_ok("ABCXYZabcxyz09-_"));
}

static void every_flipped_bit_in_the_first_message_is_refused(void **state)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    a = start(&alice, &bob.keys, &fixture_prologue, "abc", &first);
    for (size_t i = 0; i < first.len; i++) {
        first.data[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                         TDSA_E_PROTOCOL);
        first.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t len = 0; len < first.len; len++) {
        assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, len, &err),
                         TDSA_E_PROTOCOL);
    }
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    peer_channel_free(a);
    peer_channel_free(b);
}

/* The answer to a fixed first message, changed by `change`; what the initiator says. */
static void every_flipped_bit_in_the_answer_is_refused(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    party alice, bob;
    size_t len = 64;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    for (size_t i = 0; i < 2 * len; i++) {
        TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
        peer_channel *b = NULL;
        peer_channel *a = start(&alice, &bob.keys, &fixture_prologue, "", &first);

        assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                         TDSA_OK);
        assert_int_equal(
            peer_channel_answer(b, &rng, (const uint8_t *)"extra bytes here", 16, &second, &err),
            TDSA_OK);
        assert_int_equal(second.len, len);
        if (i < len) {
            second.data[i] ^= (uint8_t)(1u << (i % 8));
        } else {
            second.len = i - len;
        }
        assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err),
                         TDSA_E_PROTOCOL);
        assert_int_equal(err.participant, 2);
        assert_int_equal(extra.len, 0);
        peer_channel_free(a);
        peer_channel_free(b);
    }
}

/* A replayed first message is accepted, but nobody without the keys gets further. */
static void a_replayed_first_message_opens_nothing_readable(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF third = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    peer_channel *replayed = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    a = start(&alice, &bob.keys, &fixture_prologue, "", &first);
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    assert_int_equal(accept_first(&replayed, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_answer(b, &rng, NULL, 0, &second, &err), TDSA_OK);
    assert_int_equal(peer_channel_answer(replayed, &rng, NULL, 0, &third, &err), TDSA_OK);
    assert_memory_not_equal(second.data, third.data, second.len);
    assert_int_equal(peer_channel_finish(a, second.data, second.len, &extra, &err), TDSA_OK);
    assert_int_equal(
        peer_channel_seal(a, PEER_REQUEST, 0, NULL, (const uint8_t *)"order", 5, &sealed, &err),
        TDSA_OK);
    assert_int_equal(
        peer_channel_open(replayed, PEER_REQUEST, 0, NULL, sealed.data, sealed.len, &extra, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(b, PEER_REQUEST, 0, NULL, sealed.data, sealed.len, &extra, &err),
        TDSA_OK);
    peer_channel_free(a);
    peer_channel_free(b);
    peer_channel_free(replayed);
}

static void low_order_keys_are_refused(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_keys zero = {0};
    peer_channel *a = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    assert_int_equal(
        peer_channel_start(&a, &alice.me, &zero, &fixture_prologue, &rng, NULL, 0, &first, &err),
        TDSA_E_PROTOCOL);
    assert_null(a);
    assert_int_equal(first.len, 0);
}

static void a_low_order_x448_of_the_initiator_fails_at_the_answer(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    memset(alice.keys.x448, 0, sizeof alice.keys.x448);
    a = start(&alice, &bob.keys, &fixture_prologue, "", &first);
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_answer(b, &rng, NULL, 0, &second, &err), TDSA_E_PROTOCOL);
    assert_int_equal(second.len, 0);
    assert_int_equal(peer_channel_answer(b, &rng, NULL, 0, &second, &err), TDSA_E_CONFLICT);
    peer_channel_free(a);
    peer_channel_free(b);
}

static void oversized_extra_bytes_are_refused(void **state)
{
    static const uint8_t big[PEER_HANDSHAKE_MAX];
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_channel *a = NULL;
    peer_channel *b = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    assert_int_equal(peer_channel_start(&a, &alice.me, &bob.keys, &fixture_prologue, &rng, big,
                                        sizeof big, &first, &err),
                     TDSA_E_BAD_INPUT);
    a = start(&alice, &bob.keys, &fixture_prologue, "", &first);
    assert_int_equal(accept_first(&b, &bob, &fixture_prologue, first.data, first.len, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_answer(b, &rng, big, sizeof big, &second, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(peer_channel_answer(b, &rng, big, sizeof big - 48, &second, &err), TDSA_OK);
    assert_int_equal(second.len, PEER_HANDSHAKE_MAX);
    peer_channel_free(a);
    peer_channel_free(b);
}

static void the_cache_gives_the_same_channel(void **state)
{
    peer_dh_cache *cache = peer_dh_cache_new();
    party alice, bob;
    peer_channel *a = NULL;
    peer_channel *b = NULL;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    assert_non_null(cache);
    peer_identity_cache(&alice.me, cache);
    channels_make(&a, &b, &alice, &bob); /* fills it */
    peer_channel_free(a);
    peer_channel_free(b);
    channels_make(&a, &b, &alice, &bob); /* uses it */
    peer_channel_free(a);
    peer_channel_free(b);
    for (int i = 0; i < 70; i++) { /* more peers than it holds */
        party_make(&bob);
        channels_make(&a, &b, &alice, &bob);
        peer_channel_free(a);
        peer_channel_free(b);
    }
    peer_dh_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_carries_extra_bytes_and_keys),
        cmocka_unit_test(wrong_responder_x25519_fails_at_the_first_message),
        cmocka_unit_test(wrong_x448_fails_at_the_answer),
        cmocka_unit_test(every_field_of_the_prologue_counts),
        cmocka_unit_test(malformed_session_ids_are_refused),
        cmocka_unit_test(every_flipped_bit_in_the_first_message_is_refused),
        cmocka_unit_test(every_flipped_bit_in_the_answer_is_refused),
        cmocka_unit_test(a_replayed_first_message_opens_nothing_readable),
        cmocka_unit_test(low_order_keys_are_refused),
        cmocka_unit_test(a_low_order_x448_of_the_initiator_fails_at_the_answer),
        cmocka_unit_test(oversized_extra_bytes_are_refused),
        cmocka_unit_test(the_cache_gives_the_same_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
