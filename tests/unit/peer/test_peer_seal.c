#include "unit/peer/peer_fixture.h"

#define GENERATION (UINT64_C(1) << PEER_REKEY_SHIFT)

typedef struct {
    peer_channel *a, *b; /* initiator, responder */
} pair;

static int make_pair(void **state)
{
    static pair p;
    party alice, bob;

    party_make(&alice);
    party_make(&bob);
    channels_make(&p.a, &p.b, &alice, &bob);
    *state = &p;
    return 0;
}

static int free_pair(void **state)
{
    pair *p = *state;

    peer_channel_free(p->a);
    peer_channel_free(p->b);
    return 0;
}

static tdsa_status seal(peer_channel *c, peer_direction d, uint64_t seq, const char *text,
                        tdsa_buf *out)
{
    tdsa_err err;

    return peer_channel_seal(c, d, seq, NULL, (const uint8_t *)text, strlen(text), out, &err);
}

static tdsa_status open_as(peer_channel *c, peer_direction d, uint64_t seq, const tdsa_buf *sealed,
                           const char *expected)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;
    tdsa_status st = peer_channel_open(c, d, seq, NULL, sealed->data, sealed->len, &out, &err);

    if (st == TDSA_OK) {
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.data == NULL ? (const uint8_t *)"" : out.data, expected, out.len);
    } else {
        assert_int_equal(out.len, 0);
    }
    return st;
}

/* One exchange of the given number, both ways. */
static tdsa_status exchange(pair *p, uint64_t seq)
{
    TDSA_SCOPED_BUF request = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    tdsa_status st = seal(p->a, PEER_REQUEST, seq, "request", &request);

    if (st == TDSA_OK) {
        assert_int_equal(request.len, 7 + PEER_CHANNEL_OVERHEAD);
        st = open_as(p->b, PEER_REQUEST, seq, &request, "request");
    }
    if (st == TDSA_OK) {
        st = seal(p->b, PEER_REPLY, seq, "reply", &reply);
    }
    return st != TDSA_OK ? st : open_as(p->a, PEER_REPLY, seq, &reply, "reply");
}

static void exchanges_may_come_in_any_order(void **state)
{
    const uint64_t order[] = {5, 0, 3, 1, GENERATION - 1, 4};
    TDSA_SCOPED_BUF empty = TDSA_BUF_EMPTY;
    pair *p = *state;

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(exchange(p, order[i]), TDSA_OK);
    }
    assert_int_equal(seal(p->a, PEER_REQUEST, 9, "", &empty), TDSA_OK);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 9, &empty, ""), TDSA_OK);
    /* opening twice gives the same: the reply cache above decides what to do */
    assert_int_equal(open_as(p->b, PEER_REQUEST, 9, &empty, ""), TDSA_OK);
}

static void another_number_or_direction_does_not_open(void **state)
{
    TDSA_SCOPED_BUF request = TDSA_BUF_EMPTY;
    pair *p = *state;

    assert_int_equal(seal(p->a, PEER_REQUEST, 7, "request", &request), TDSA_OK);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 8, &request, ""), TDSA_E_PROTOCOL);
    assert_int_equal(open_as(p->b, PEER_REPLY, 7, &request, ""), TDSA_E_PROTOCOL);
    assert_int_equal(open_as(p->a, PEER_REPLY, 7, &request, ""), TDSA_E_PROTOCOL);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 7 + GENERATION, &request, ""), TDSA_E_PROTOCOL);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 7, &request, "request"), TDSA_OK);
}

static void every_flipped_bit_and_every_cut_is_refused_and_changes_nothing(void **state)
{
    TDSA_SCOPED_BUF request = TDSA_BUF_EMPTY;
    pair *p = *state;
    tdsa_err err;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    assert_int_equal(seal(p->a, PEER_REQUEST, GENERATION, "request", &request), TDSA_OK);
    for (size_t i = 0; i < request.len; i++) {
        const size_t whole = request.len;

        request.data[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(open_as(p->b, PEER_REQUEST, GENERATION, &request, ""), TDSA_E_PROTOCOL);
        request.data[i] ^= (uint8_t)(1u << (i % 8));
        request.len = i;
        assert_int_equal(peer_channel_open(p->b, PEER_REQUEST, GENERATION, NULL, request.data,
                                           request.len, &out, &err),
                         TDSA_E_PROTOCOL);
        assert_int_equal(err.participant, 1);
        request.len = whole;
    }
    assert_int_equal(exchange(p, 0), TDSA_OK); /* garbage of the next generation did not advance */
    assert_int_equal(open_as(p->b, PEER_REQUEST, GENERATION, &request, "request"), TDSA_OK);
}

static void associated_data_is_authenticated(void **state)
{
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    pair *p = *state;
    tdsa_err err;

    tdsa_buf_append_str(&aad, "header");
    assert_int_equal(
        peer_channel_seal(p->a, PEER_REQUEST, 1, &aad, (const uint8_t *)"x", 1, &sealed, &err),
        TDSA_OK);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 1, &sealed, ""), TDSA_E_PROTOCOL);
    assert_int_equal(
        peer_channel_open(p->b, PEER_REQUEST, 1, &aad, sealed.data, sealed.len, &out, &err),
        TDSA_OK);
    aad.data[0] ^= 1;
    assert_int_equal(
        peer_channel_open(p->b, PEER_REQUEST, 1, &aad, sealed.data, sealed.len, &out, &err),
        TDSA_E_PROTOCOL);
    assert_int_equal(out.len, 1); /* what was appended before stays */
}

static void keys_are_replaced_by_generation(void **state)
{
    TDSA_SCOPED_BUF old = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    pair *p = *state;

    assert_int_equal(seal(p->a, PEER_REQUEST, 2, "old", &old), TDSA_OK);
    assert_int_equal(exchange(p, GENERATION + 5), TDSA_OK);
    assert_int_equal(exchange(p, GENERATION - 3), TDSA_OK); /* the one before still opens */
    assert_int_equal(open_as(p->b, PEER_REQUEST, 2, &old, "old"), TDSA_OK);
    assert_int_equal(exchange(p, 2 * GENERATION), TDSA_OK);
    assert_int_equal(open_as(p->b, PEER_REQUEST, 2, &old, "old"), TDSA_E_CONFLICT);
    assert_int_equal(seal(p->a, PEER_REQUEST, 2, "old", &again), TDSA_E_CONFLICT);
    assert_int_equal(again.len, 0);
    assert_int_equal(exchange(p, GENERATION + 6), TDSA_OK);
}

static void no_jump_beyond_the_next_generation(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF garbage = TDSA_BUF_EMPTY;
    pair *p = *state;

    tdsa_buf_append(&garbage, "0123456789abcdef0123456789", 26);
    assert_int_equal(seal(p->a, PEER_REQUEST, 2 * GENERATION, "x", &out), TDSA_E_CONFLICT);
    assert_int_equal(seal(p->a, PEER_REQUEST, UINT64_MAX, "x", &out), TDSA_E_CONFLICT);
    assert_int_equal(open_as(p->b, PEER_REQUEST, UINT64_MAX, &garbage, ""), TDSA_E_CONFLICT);
    for (uint64_t g = 0; g < 20; g++) {
        assert_int_equal(exchange(p, g * GENERATION + g), TDSA_OK);
    }
}

static void the_same_number_in_two_generations_has_other_keys(void **state)
{
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    pair *p = *state;

    assert_int_equal(seal(p->a, PEER_REQUEST, 3, "text", &first), TDSA_OK);
    assert_int_equal(seal(p->a, PEER_REPLY, 3, "text", &second), TDSA_OK);
    assert_memory_not_equal(first.data, second.data, first.len);
    tdsa_buf_reset(&second);
    assert_int_equal(seal(p->a, PEER_REQUEST, GENERATION + 3, "text", &second), TDSA_OK);
    assert_memory_not_equal(first.data, second.data, first.len);
}

static void a_channel_that_is_not_open_neither_seals_nor_opens(void **state)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    party alice, bob;
    peer_channel *a = NULL;
    tdsa_err err;

    (void)state;
    party_make(&alice);
    party_make(&bob);
    assert_int_equal(peer_channel_start(&a, &alice.me, &bob.keys, &fixture_prologue, &rng, NULL, 0,
                                        &first, &err),
                     TDSA_OK);
    assert_int_equal(seal(a, PEER_REQUEST, 0, "x", &out), TDSA_E_CONFLICT);
    assert_int_equal(open_as(a, PEER_REPLY, 0, &first, ""), TDSA_E_CONFLICT);
    assert_int_equal(peer_channel_answer(a, &rng, NULL, 0, &out, &err), TDSA_E_CONFLICT);
    peer_channel_free(a);
    peer_channel_free(NULL);
}

static void messages_have_a_limit(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF opened = TDSA_BUF_EMPTY;
    const size_t most = TDSA_BUF_LEN_MAX - PEER_CHANNEL_OVERHEAD;
    uint8_t *big = test_malloc(most + 1);
    pair *p = *state;
    tdsa_err err;

    memset(big, 7, most + 1);
    assert_int_equal(peer_channel_seal(p->a, PEER_REQUEST, 0, NULL, big, most + 1, &out, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(peer_channel_seal(p->a, PEER_REQUEST, 0, NULL, big, most, &out, &err),
                     TDSA_OK);
    assert_int_equal(
        peer_channel_open(p->b, PEER_REQUEST, 0, NULL, out.data, out.len, &opened, &err), TDSA_OK);
    assert_int_equal(opened.len, most);
    test_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exchanges_may_come_in_any_order, make_pair, free_pair),
        cmocka_unit_test_setup_teardown(another_number_or_direction_does_not_open, make_pair,
                                        free_pair),
        cmocka_unit_test_setup_teardown(
            every_flipped_bit_and_every_cut_is_refused_and_changes_nothing, make_pair, free_pair),
        cmocka_unit_test_setup_teardown(associated_data_is_authenticated, make_pair, free_pair),
        cmocka_unit_test_setup_teardown(keys_are_replaced_by_generation, make_pair, free_pair),
        cmocka_unit_test_setup_teardown(no_jump_beyond_the_next_generation, make_pair, free_pair),
        cmocka_unit_test_setup_teardown(the_same_number_in_two_generations_has_other_keys,
                                        make_pair, free_pair),
        cmocka_unit_test(a_channel_that_is_not_open_neither_seals_nor_opens),
        cmocka_unit_test_setup_teardown(messages_have_a_limit, make_pair, free_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
