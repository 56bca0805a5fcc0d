#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "participant/internal.h"
#include "support/lone_server.h"

#define SESSION "session-0123456789abcdef"
#define OTHER   "session-fedcba9876543210"

static int set_up(void **state)
{
    lone_server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    lone_server_start(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    lone_server_stop(*state);
    free(*state);
    return 0;
}

static void open_as_client(lone_server *s, lone_peer *p, const char *session)
{
    tdsa_err err;

    if (lone_open(s, p, 0, 0, session, PEER_FOR_CONTROL, NULL, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static void put_order(tdsa_buf *out, const char *key_id, uint64_t serial, ks_deletion_state state)
{
    part_word w = {.serial = serial, .state = state};

    memcpy(w.key_id, key_id, strlen(key_id) + 1);
    part_word_put(out, &w);
}

static void put_delete(tdsa_buf *out, const char *key_id)
{
    put_order(out, key_id, 1, KS_DELETION_SCHEDULED);
}

static void the_same_request_twice_is_executed_once(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    lone_peer p;
    ks_stats before;
    ks_stats after;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    lone_registration(s, "key-1", &body);
    const part_ask ask = {.kind = PART_ASK_REGISTER, .body = body.data, .body_len = body.len};
    lone_frame(&p, 0, &ask, &frame);
    assert_int_equal(lone_post(s, SESSION, frame.data, frame.len, &first, &err), TDSA_OK);
    ks_get_stats(s->store, &before);
    assert_int_equal(lone_post(s, SESSION, frame.data, frame.len, &second, &err), TDSA_OK);
    ks_get_stats(s->store, &after);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_int_equal(before.commits, after.commits);
    lone_close(&p);
}

static void two_contents_under_one_number_end_the_session(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    put_delete(&body, "key-1");
    put_delete(&other, "key-2");
    assert_int_equal(lone_ask(&p, 0, PART_ASK_DELETE, &body, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_DELETE, &other, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 0);
    assert_int_equal(lone_ask(&p, 1, PART_ASK_DELETE, &other, &err), TDSA_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "SESSION_UNKNOWN"));
    lone_close(&p);
}

static void garbage_costs_nothing(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    const part_ask ask = {.kind = PART_ASK_PING};
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    lone_frame(&p, 7, &ask, &frame);
    for (size_t i = 0; i < frame.len; i++) {
        frame.data[i] ^= 0x55;
        assert_int_not_equal(lone_post(s, SESSION, frame.data, frame.len, &reply, &err), TDSA_OK);
        frame.data[i] ^= 0x55;
        assert_int_not_equal(lone_post(s, SESSION, frame.data, i, &reply, &err), TDSA_OK);
    }
    assert_int_equal(lone_ask(&p, 7, PART_ASK_PING, &body, &err), TDSA_OK);
    lone_close(&p);
}

static void numbers_may_come_in_any_order(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(lone_ask(&p, (i * 37) % 50, PART_ASK_PING, &body, &err), TDSA_OK);
    }
    lone_close(&p);
}

static void an_unknown_session_is_said_to_be_unknown(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    const part_ask ask = {.kind = PART_ASK_PING};
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    lone_frame(&p, 0, &ask, &frame);
    assert_int_equal(lone_post(s, OTHER, frame.data, frame.len, &reply, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(lone_post(s, "short", frame.data, frame.len, &reply, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(lone_post(s, "session 0123456789 abcdef", frame.data, frame.len, &reply, &err),
                     TDSA_E_BAD_INPUT);
    lone_close(&p);
}

static void a_repeated_first_message_gets_the_same_answer(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    lone_peer other;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    assert_int_equal(lone_post(s, SESSION, p.hello.data, p.hello.len, &reply, &err), TDSA_OK);
    assert_int_equal(reply.len, p.hello_reply.len);
    assert_memory_equal(reply.data, p.hello_reply.data, reply.len);
    /* Another first message cannot take the session over. */
    assert_int_equal(lone_open(s, &other, 0, 0, SESSION, PEER_FOR_CONTROL, NULL, &err),
                     TDSA_E_CONFLICT);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_PING, &body, &err), TDSA_OK);
    lone_close(&other);
    lone_close(&p);
}

static void a_replayed_first_message_only_makes_an_empty_session(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    lone_peer p;
    part_stats stats;
    ks_stats store_before;
    ks_stats store_after;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    ks_get_stats(s->store, &store_before);
    /* The Session-Id is in the prologue: under another one it does not even open. */
    assert_int_equal(lone_post(s, OTHER, p.hello.data, p.hello.len, &reply, &err), TDSA_E_PROTOCOL);
    s->now_ms += 2000000;
    part_due(s->part);
    part_get_stats(s->part, &stats);
    assert_int_equal(stats.sessions, 0);
    assert_int_equal(lone_post(s, SESSION, p.hello.data, p.hello.len, &reply, &err), TDSA_OK);
    part_get_stats(s->part, &stats);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.runs, 0);
    ks_get_stats(s->store, &store_after);
    assert_int_equal(store_before.commits, store_after.commits);
    lone_close(&p);
}

static void strangers_are_refused(void **state)
{
    lone_server *s = *state;
    lone_peer p;
    tdsa_err err;

    /* the client's keys under a server's index */
    assert_int_equal(lone_open(s, &p, 2, 0, SESSION, PEER_FOR_CONTROL, "group", &err),
                     TDSA_E_DENIED);
    assert_int_equal(err.participant, 2);
    lone_close(&p);
    /* a server of another group */
    assert_int_equal(lone_open(s, &p, 2, 2, SESSION, PEER_FOR_CONTROL, "other", &err),
                     TDSA_E_PROTOCOL);
    lone_close(&p);
    /* a server without the group's secret */
    assert_int_equal(lone_open(s, &p, 2, 2, SESSION, PEER_FOR_CONTROL, NULL, &err),
                     TDSA_E_PROTOCOL);
    lone_close(&p);
    assert_int_equal(lone_open(s, &p, 2, 2, SESSION, PEER_FOR_CONTROL, "group", &err), TDSA_OK);
    lone_close(&p);
}

static ks_key_state state_of(lone_server *s, const char *key_id)
{
    ks_key *row = NULL;
    ks_key_state state;
    tdsa_err err;

    assert_int_equal(ks_key_get(s->store, key_id, &row, &err), TDSA_OK);
    state = row->state;
    ks_key_free(row);
    return state;
}

static void servers_of_a_client_group_cannot_register_sign_or_delete(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF del = TDSA_BUF_EMPTY;
    lone_peer client;
    lone_peer control;
    lone_peer signing;
    tdsa_err err;

    assert_int_equal(lone_open(s, &control, 2, 2, SESSION, PEER_FOR_CONTROL, "group", &err),
                     TDSA_OK);
    assert_int_equal(lone_open(s, &signing, 2, 2, OTHER, PEER_FOR_SIGNING, "group", &err), TDSA_OK);
    lone_registration(s, "key-1", &body);
    assert_int_equal(lone_ask(&control, 0, PART_ASK_REGISTER, &body, &err), TDSA_E_DENIED);
    assert_int_equal(lone_ask(&control, 1, PART_ASK_UNDELETE, &body, &err), TDSA_E_DENIED);
    assert_int_equal(lone_ask(&signing, 0, PART_ASK_SIGN, &body, &err), TDSA_E_DENIED);
    assert_int_equal(lone_ask(&control, 2, PART_ASK_PING, &body, &err), TDSA_OK);
    /* they compare what they have, and order nothing */
    open_as_client(s, &client, "session-aaaaaaaaaaaaaaaa");
    assert_int_equal(lone_ask(&client, 0, PART_ASK_REGISTER, &body, &err), TDSA_OK);
    put_delete(&del, "key-1");
    assert_int_equal(lone_ask(&control, 3, PART_ASK_DELETE, &del, &err), TDSA_OK);
    assert_int_equal(state_of(s, "key-1"), KS_KEY_REGISTERED);
    assert_int_equal(lone_ask(&client, 1, PART_ASK_DELETE, &del, &err), TDSA_OK);
    assert_int_equal(state_of(s, "key-1"), KS_KEY_DELETED);
    lone_close(&client);
    lone_close(&control);
    lone_close(&signing);
}

static void put_recovery(tdsa_buf *b, const char *key_id, size_t aux_len)
{
    static const uint8_t aux[MPC_RECOVERY_AUX_MAX + 1];

    tdsa_buf_reset(b);
    tdsa_stmt_begin(b, "recovery");
    tdsa_stmt_text(b, key_id);
    tdsa_stmt_uint(b, 0);
    tdsa_stmt_octets(b, aux, aux_len);
}

static void recovery_infos_are_for_those_who_have_the_key(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    lone_peer thief;
    lone_peer server;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    assert_int_equal(lone_open(s, &thief, 0, 2, OTHER, PEER_FOR_CONTROL, NULL, &err), TDSA_OK);
    lone_registration(s, "key-1", &body);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_REGISTER, &body, &err), TDSA_OK);
    put_recovery(&body, "key-1", 0);
    assert_int_equal(lone_ask(&thief, 0, PART_ASK_RECOVERY, &body, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(lone_ask(&p, 1, PART_ASK_RECOVERY, &body, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "NO_CERTIFICATE"));
    put_recovery(&body, "key-2", 0);
    assert_int_equal(lone_ask(&p, 2, PART_ASK_RECOVERY, &body, &err), TDSA_E_NOT_FOUND);
    put_recovery(&body, "key-1", MPC_RECOVERY_AUX_MAX + 1);
    assert_int_equal(lone_ask(&p, 3, PART_ASK_RECOVERY, &body, &err), TDSA_E_BAD_INPUT);
    tdsa_buf_append_u8(&body, 0);
    assert_int_equal(lone_ask(&p, 4, PART_ASK_RECOVERY, &body, &err), TDSA_E_BAD_INPUT);
    lone_close(&thief);
    lone_close(&p);
    /* in a group with a client the client asks */
    put_recovery(&body, "key-1", 0);
    assert_int_equal(
        lone_open(s, &server, 2, 2, "session-of-a-server", PEER_FOR_CONTROL, "group", &err),
        TDSA_OK);
    assert_int_equal(lone_ask(&server, 0, PART_ASK_RECOVERY, &body, &err), TDSA_E_DENIED);
    lone_close(&server);
}

static void questions_belong_in_sessions_of_their_purpose(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_SIGN, &body, &err), TDSA_E_DENIED);
    assert_int_equal(lone_ask(&p, 1, PART_ASK_KEYGEN, &body, &err), TDSA_E_DENIED);
    assert_int_equal(lone_ask(&p, 2, PART_ASK_PRESIGN, &body, &err), TDSA_E_DENIED);
    lone_close(&p);
}

static void a_key_is_bound_to_the_pair_that_registered_it(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF del = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF undo = TDSA_BUF_EMPTY;
    lone_peer p;
    lone_peer thief;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    lone_registration(s, "key-1", &body);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_REGISTER, &body, &err), TDSA_OK);
    /* Another client (here with the key pair of somebody else) does not even learn that it exists. */
    assert_int_equal(lone_open(s, &thief, 0, 2, OTHER, PEER_FOR_CONTROL, NULL, &err), TDSA_OK);
    put_delete(&del, "key-1");
    assert_int_equal(lone_ask(&thief, 0, PART_ASK_DELETE, &del, &err), TDSA_E_NOT_FOUND);
    put_order(&undo, "key-1", 2, KS_DELETION_UNDOING);
    assert_int_equal(lone_ask(&thief, 2, PART_ASK_UNDELETE, &undo, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(state_of(s, "key-1"), KS_KEY_REGISTERED);
    assert_int_equal(lone_ask(&thief, 1, PART_ASK_REGISTER, &body, &err), TDSA_E_CONFLICT);
    assert_int_equal(lone_ask(&p, 1, PART_ASK_DELETE, &del, &err), TDSA_OK);
    assert_int_equal(lone_ask(&p, 2, PART_ASK_DELETE, &del, &err), TDSA_OK); /* it is gone */
    lone_close(&thief);
    lone_close(&p);
}

static void only_listed_clients_register_when_there_is_a_list(void **state)
{
    lone_server *s = *state;
    lone_peer p;
    tdsa_err err;

    part_free(s->part);
    s->cfg.require_known_clients = true;
    s->cfg.clients = &s->pub[2];
    s->cfg.client_count = 1;
    assert_int_equal(part_new(&s->part, &s->cfg, &err), TDSA_OK);
    assert_int_equal(lone_open(s, &p, 0, 0, SESSION, PEER_FOR_CONTROL, NULL, &err), TDSA_E_DENIED);
    lone_close(&p);
    assert_int_equal(lone_open(s, &p, 0, 2, SESSION, PEER_FOR_CONTROL, NULL, &err), TDSA_OK);
    lone_close(&p);
}

static tdsa_status ask_to_register(lone_server *s, lone_peer *p, uint64_t seq, const char *key_id,
                                   tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;

    lone_registration(s, key_id, &body);
    return lone_ask(p, seq, PART_ASK_REGISTER, &body, err);
}

/* Strangers who reach the port are clients where no list says otherwise. */
static void a_client_registers_so_many_keys_without_shares_only(void **state)
{
    lone_server *s = *state;
    lone_peer p;
    ks_key *row = NULL;
    char name[16];
    tdsa_err err;

    s->part->cfg.registered_client_max = 3;
    s->part->cfg.registered_life_ms = 3600000;
    open_as_client(s, &p, SESSION);
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "key%u", i);
        assert_int_equal(ask_to_register(s, &p, i, name, &err), i < 3 ? TDSA_OK : TDSA_E_LIMIT);
    }
    assert_int_equal(ask_to_register(s, &p, 5, "key0", &err), TDSA_OK); /* the same again */
    assert_int_equal(ks_key_get(s->store, "key3", &row, &err), TDSA_E_NOT_FOUND);
    s->part->cfg.registered_client_max = 0;
    s->part->cfg.registered_max = 4;
    assert_int_equal(ask_to_register(s, &p, 6, "key3", &err), TDSA_OK);
    assert_int_equal(ask_to_register(s, &p, 7, "key4", &err), TDSA_E_LIMIT);
    s->part->cfg.registered_life_ms = 1; /* all are older than that soon */
    s->now_ms += 10;
    assert_int_equal(ask_to_register(s, &p, 8, "key5", &err), TDSA_OK);
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "key%u", i);
        assert_int_equal(ks_key_get(s->store, name, &row, &err), TDSA_E_NOT_FOUND);
    }
    s->part->cfg.registered_life_ms = 0;
    assert_int_equal(ask_to_register(s, &p, 9, "key1", &err), TDSA_OK); /* it may come back */
    lone_close(&p);
}

static void a_message_for_somebody_else_says_so(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    tdsa_err err;

    part_frame_put_sealed_head(&frame, 0, 2, 0);
    assert_int_equal(lone_post(s, SESSION, frame.data, frame.len, &reply, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "remoteParticipants"));
}

static void registrations_that_do_not_fit_are_refused(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF bad = TDSA_BUF_EMPTY;
    lone_peer p;
    peer_keys keep = s->pub[2];
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    s->pub[2].x25519[3] ^= 1; /* other keys for participant 2 than configured here */
    lone_registration(s, "key-1", &bad);
    s->pub[2] = keep;
    assert_int_equal(lone_ask(&p, 0, PART_ASK_REGISTER, &bad, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "participant 2"));
    lone_registration(s, "bad id", &body);
    assert_int_equal(lone_ask(&p, 1, PART_ASK_REGISTER, &body, &err), TDSA_E_BAD_INPUT);
    tdsa_buf_reset(&body);
    lone_registration(s, "key-1", &body);
    tdsa_buf_append_u8(&body, 0);
    assert_int_equal(lone_ask(&p, 2, PART_ASK_REGISTER, &body, &err), TDSA_E_BAD_INPUT);
    for (size_t len = 0; len + 1 < body.len; len++) {
        const tdsa_buf cut = {body.data, len, len, false};
        assert_int_equal(lone_ask(&p, 3 + len, PART_ASK_REGISTER, &cut, &err), TDSA_E_BAD_INPUT);
    }
    lone_close(&p);
}

static void a_flood_of_sessions_locks_nobody_out(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer client;
    lone_peer server;
    lone_peer flood;
    part_stats stats;
    tdsa_err err;

    s->part->sessions_max = 16;
    open_as_client(s, &client, SESSION);
    assert_int_equal(lone_ask(&client, 0, PART_ASK_PING, &body, &err), TDSA_OK);
    for (unsigned i = 0; i < 100; i++) {
        char session[32];
        (void)snprintf(session, sizeof session, "session-number-%04u", i);
        s->now_ms++;
        assert_int_equal(lone_open(s, &flood, 0, 2, session, PEER_FOR_SIGNING, NULL, &err),
                         TDSA_OK);
        lone_close(&flood);
    }
    part_get_stats(s->part, &stats);
    assert_int_equal(stats.sessions, 8);
    /* One that was used outlives those that were only opened; others do not notice. */
    assert_int_equal(lone_ask(&client, 1, PART_ASK_PING, &body, &err), TDSA_OK);
    assert_int_equal(lone_open(s, &server, 2, 2, OTHER, PEER_FOR_CONTROL, "group", &err), TDSA_OK);
    assert_int_equal(lone_ask(&server, 0, PART_ASK_PING, &body, &err), TDSA_OK);
    lone_close(&server);
    lone_close(&client);
}

static void a_request_that_comes_much_too_late_asks_for_another_session(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    open_as_client(s, &p, SESSION);
    for (uint64_t i = 1; i < 300; i++) {
        assert_int_equal(lone_ask(&p, i, PART_ASK_PING, &body, &err), TDSA_OK);
    }
    /* The asker takes NOT_FOUND for a lost session and tries once more, with another presignature. */
    assert_int_equal(lone_ask(&p, 0, PART_ASK_PING, &body, &err), TDSA_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "too old"));
    lone_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(the_same_request_twice_is_executed_once),
        TEST(two_contents_under_one_number_end_the_session),
        TEST(garbage_costs_nothing),
        TEST(numbers_may_come_in_any_order),
        TEST(an_unknown_session_is_said_to_be_unknown),
        TEST(a_repeated_first_message_gets_the_same_answer),
        TEST(a_replayed_first_message_only_makes_an_empty_session),
        TEST(strangers_are_refused),
        TEST(servers_of_a_client_group_cannot_register_sign_or_delete),
        TEST(recovery_infos_are_for_those_who_have_the_key),
        TEST(questions_belong_in_sessions_of_their_purpose),
        TEST(a_key_is_bound_to_the_pair_that_registered_it),
        TEST(only_listed_clients_register_when_there_is_a_list),
        TEST(a_client_registers_so_many_keys_without_shares_only),
        TEST(a_message_for_somebody_else_says_so),
        TEST(a_flood_of_sessions_locks_nobody_out),
        TEST(a_request_that_comes_much_too_late_asks_for_another_session),
        TEST(registrations_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
