#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/keygen.h"
#include "support/lone_server.h"

/* Runs that peers begin wrongly. The server is participant 1 of three, 0 is the client. */

#define CONTROL "session-control-0123456789"
#define SESSION "session-0123456789abcdef"
#define HANG_S  20u /* a test that takes longer hangs */

static int set_up(void **state)
{
    lone_server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    lone_server_start(s);
    (void)alarm(HANG_S);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    (void)alarm(0);
    lone_server_stop(*state);
    free(*state);
    return 0;
}

static void open_session(lone_server *s, lone_peer *p, uint16_t index, unsigned as,
                         const char *session, peer_purpose purpose)
{
    tdsa_err err;

    if (lone_open(s, p, index, as, session, purpose, index == 0 ? NULL : "group", &err) !=
        TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

static void register_key(lone_server *s, const char *key_id)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    open_session(s, &p, 0, 0, CONTROL, PEER_FOR_CONTROL);
    lone_registration(s, key_id, &body);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_REGISTER, &body, &err), TDSA_OK);
    lone_close(&p);
}

static void put_begin(tdsa_buf *out, const char *key_id, const tdsa_buf *message)
{
    tdsa_stmt_begin(out, "begin-keygen");
    tdsa_stmt_text(out, key_id);
    tdsa_stmt_uint(out, 0); /* coordinator */
    tdsa_stmt_octets(out, message->data, message->len);
}

/* The client's true first message for participant 1. */
static void first_message(const lone_server *s, const char *key_id, tdsa_buf *out)
{
    mpc_member members[GRP_PARTIES_MAX];
    mpc_keygen_cfg cfg = {.scheme = MPC_SCHEME_ECDSA,
                          .n = 3,
                          .t = 1,
                          .me = 0,
                          .members = members,
                          .key_id = key_id,
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .rng = tdsa_os_rng()};
    mpc_keygen *run = NULL;
    grp *g = NULL;
    tdsa_err err;

    for (uint16_t i = 0; i < 3; i++) {
        members[i].index = i;
        memcpy(members[i].x25519, s->pub[i].x25519, sizeof members[i].x25519);
        memcpy(members[i].x448, s->pub[i].x448, sizeof members[i].x448);
    }
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    cfg.g = g;
    assert_int_equal(mpc_keygen_new(&run, &cfg, &err), TDSA_OK);
    assert_int_equal(mpc_keygen_send(run, 1, out, &err), TDSA_OK);
    mpc_keygen_free(run);
    grp_close(g);
}

/* Puts a message of run 1 in round 0 on the port; true when it waits for its answer. */
static bool begin(lone_peer *p, uint64_t seq, const tdsa_buf *body)
{
    const part_ask ask = {
        .kind = PART_ASK_KEYGEN, .run = 1, .body = body->data, .body_len = body->len};
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    tdsa_err err;

    lone_frame(p, seq, &ask, &frame);
    return lone_post(p->server, p->session_id, frame.data, frame.len, &reply, &err) == TDSA_E_BUSY;
}

static unsigned replies(lone_server *s)
{
    part_reply r;
    unsigned count = 0;

    while (part_take_reply(s->part, &r)) {
        tdsa_buf_clear(&r.body);
        count++;
    }
    return count;
}

static void early_messages_of_a_run_that_fails_are_answered(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF empty = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF early = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    lone_peer server;
    lone_peer client;
    part_stats stats;

    register_key(s, "key-1");
    put_begin(&early, "key-1", &empty);
    /* Participant 2 opens the session that it should be called in, and speaks too soon. */
    open_session(s, &server, 2, 2, SESSION, PEER_FOR_SECRETS);
    assert_true(begin(&server, 0, &early));
    assert_true(begin(&server, 1, &early));
    open_session(s, &client, 0, 0, SESSION, PEER_FOR_SECRETS);
    first_message(s, "key-1", &message);
    put_begin(&first, "key-1", &message);
    assert_false(begin(&client, 0, &first));
    assert_int_equal(replies(s), 2);
    part_get_stats(s->part, &stats);
    assert_int_equal(stats.runs, 0);
    lone_close(&server);
    lone_close(&client);
}

static void few_and_short_messages_may_come_early(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF early = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF longer = TDSA_BUF_EMPTY;
    lone_peer server;
    unsigned waiting = 0;

    put_begin(&early, "key-1", &message);
    for (unsigned i = 0; i < 20000; i++) {
        tdsa_buf_append_u8(&message, 0);
    }
    put_begin(&longer, "key-1", &message);
    for (unsigned i = 0; i < 100; i++) {
        char session[32];
        (void)snprintf(session, sizeof session, "session-number-%04u", i);
        open_session(s, &server, 2, 2, session, PEER_FOR_SECRETS);
        assert_false(begin(&server, 0, &longer));
        for (unsigned k = 1; k < 10; k++) {
            waiting += begin(&server, k, &early) ? 1 : 0;
        }
        lone_close(&server);
    }
    assert_int_equal(waiting, 256);
    s->now_ms += 20000; /* the coordinator never came */
    part_due(s->part);
    assert_int_equal(replies(s), 256);
}

static void a_stranger_begins_nothing(void **state)
{
    lone_server *s = *state;
    TDSA_SCOPED_BUF empty = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    lone_peer thief;
    part_stats stats;
    tdsa_err err;

    register_key(s, "key-1");
    open_session(s, &thief, 0, 2, SESSION, PEER_FOR_SECRETS); /* a client with other keys */
    put_begin(&first, "key-1", &empty);
    put_begin(&other, "key-2", &empty);
    /* What is somebody else's and what is not there sound the same. */
    assert_int_equal(lone_ask(&thief, 0, PART_ASK_KEYGEN, &first, &err), TDSA_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no key key-1");
    assert_int_equal(lone_ask(&thief, 1, PART_ASK_KEYGEN, &other, &err), TDSA_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no key key-2");
    part_get_stats(s->part, &stats);
    assert_int_equal(stats.runs, 0);
    lone_close(&thief);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(early_messages_of_a_run_that_fails_are_answered),
        TEST(few_and_short_messages_may_come_early),
        TEST(a_stranger_begins_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
