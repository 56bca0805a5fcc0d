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
#include "participant/internal.h"
#include "support/lone_server.h"

/*
 * Plans that a coordinator proposes wrongly. The server is participant 1 of three, 0 is the client; the
 * key is one that it never had. A plan that passes every check fails on the first message, which is
 * none.
 */

#define SESSION "session-0123456789abcdef"
#define KEY_ID  "key-from-elsewhere"
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

static mpc_member member(const lone_server *s, uint16_t index)
{
    mpc_member m = {.index = index};

    memcpy(m.x25519, s->pub[index].x25519, sizeof m.x25519);
    memcpy(m.x448, s->pub[index].x448, sizeof m.x448);
    return m;
}

/* 0 and 2 of an old set {0, 2, 5} give 0, 1 and 2 new shares. */
static part_reshare_plan good_plan(const lone_server *s)
{
    part_reshare_plan plan = {.curve = GRP_P256,
                              .scheme = MPC_SCHEME_ECDSA,
                              .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                              .old_epoch = 3,
                              .old_t = 1,
                              .old_n = 3,
                              .old_indices = {0, 2, 5},
                              .dealer_count = 2,
                              .t = 1,
                              .n = 3};

    plan.dealers[0] = member(s, 0);
    plan.dealers[1] = member(s, 2);
    for (uint16_t i = 0; i < 3; i++) {
        plan.members[i] = member(s, i);
    }
    return plan;
}

static void put_begin(tdsa_buf *out, const tdsa_buf *plan, uint16_t coordinator)
{
    tdsa_stmt_begin(out, "begin-reshare");
    tdsa_stmt_text(out, KEY_ID);
    tdsa_stmt_uint(out, coordinator);
    tdsa_stmt_octets(out, plan->data, plan->len);
    tdsa_stmt_octets(out, "none", 4);
}

/* What the server says to a plan of the client. Nothing of the key is here afterwards. */
static tdsa_status propose(lone_server *s, const tdsa_buf *plan, tdsa_err *err)
{
    static unsigned number;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    char session[32];
    ks_key *row = NULL;
    lone_peer p;
    tdsa_err none;
    tdsa_status st;

    (void)snprintf(session, sizeof session, "session-number-%08u", number++);
    assert_int_equal(lone_open(s, &p, 0, 0, session, PEER_FOR_SECRETS, NULL, err), TDSA_OK);
    put_begin(&body, plan, 0);
    st = lone_ask(&p, 0, PART_ASK_RESHARE, &body, err);
    lone_close(&p);
    assert_int_equal(ks_key_get(s->store, KEY_ID, &row, &none), TDSA_E_NOT_FOUND);
    return st;
}

static void expect(lone_server *s, const part_reshare_plan *plan, tdsa_status want,
                   const char *text)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    part_reshare_put_plan(&b, plan);
    assert_int_equal(propose(s, &b, &err), want);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

/* ---- the audit log ---- */

typedef struct {
    unsigned count;
    bool full;
    char event[41], key_id[65], detail[257];
} recorder;

static tdsa_status record_here(void *ctx, const tdsa_audit_event *e, tdsa_err *err)
{
    recorder *r = ctx;

    r->count++;
    (void)snprintf(r->event, sizeof r->event, "%s", e->event);
    (void)snprintf(r->key_id, sizeof r->key_id, "%s", e->key_id);
    (void)snprintf(r->detail, sizeof r->detail, "%s", e->detail);
    return r->full ? TDSA_FAIL(err, TDSA_E_STORE, "the audit log is full") : TDSA_OK;
}

static void a_reshare_is_recorded_before_it_begins_or_refused(void **state)
{
    lone_server *s = *state;
    const part_reshare_plan good = good_plan(s);
    part_reshare_plan wrong = good;
    recorder r = {.full = true};

    s->part->cfg.audit = (tdsa_audit){.record = record_here, .ctx = &r};
    wrong.old_t = 2;
    expect(s, &wrong, TDSA_E_BAD_INPUT, ""); /* what is refused anyway is not recorded */
    s->part->cfg.disable_reshare = true;
    expect(s, &good, TDSA_E_DENIED, "");
    s->part->cfg.disable_reshare = false;
    r.count = 0;
    expect(s, &good, TDSA_E_STORE, "the audit log is full");
    assert_int_equal(r.count, 1);
    r.full = false;
    expect(s, &good, TDSA_E_PROTOCOL, "round random"); /* it began */
    assert_int_equal(r.count, 2);
    assert_string_equal(r.event, "key.reshare");
    assert_string_equal(r.key_id, KEY_ID);
    assert_string_equal(r.detail, "epoch 3 to 4, asked by participant 0, threshold 1 of 0 1 2");
}

static void every_part_of_a_plan_is_checked(void **state)
{
    lone_server *s = *state;
    const part_reshare_plan good = good_plan(s);
    part_reshare_plan plan;

    expect(s, &good, TDSA_E_PROTOCOL, "round random");
    s->part->cfg.disable_reshare = true;
    expect(s, &good, TDSA_E_DENIED, "disableReshare is set here");
    s->part->cfg.disable_reshare = false;
#define WRONG(change, status, text)     \
    do {                                \
        plan = good;                    \
        change;                         \
        expect(s, &plan, status, text); \
    } while (0)
    WRONG(plan.policy.reshare = false, TDSA_E_DENIED, "forbids resharing");
    WRONG(plan.members[2].x25519[0] ^= 1, TDSA_E_BAD_INPUT, "other keys than it is to get");
    WRONG((plan.members[2].x25519[0] ^= 1, plan.dealers[1].x25519[0] ^= 1), TDSA_E_CONFLICT,
          "participant 2 of the reshare has other keys");
    WRONG(plan.members[1].x448[5] ^= 1, TDSA_E_CONFLICT, "participant 1 of the reshare");
    WRONG((plan.members[0].x448[5] ^= 1, plan.dealers[0].x448[5] ^= 1), TDSA_E_NOT_FOUND,
          "there is no key"); /* the coordinator does not show these */
    WRONG(plan.members[2].index = 7, TDSA_E_CONFLICT, "participant 7 of the reshare");
    WRONG(plan.t = 2, TDSA_E_BAD_INPUT, "2t+1");
    WRONG(plan.n = 2, TDSA_E_BAD_INPUT, "2t+1");
    WRONG(plan.old_t = 2, TDSA_E_BAD_INPUT, "more than the threshold");
    WRONG(plan.dealer_count = 1, TDSA_E_BAD_INPUT, "more than the threshold");
    WRONG(plan.old_indices[1] = 1, TDSA_E_BAD_INPUT, "dealer 2 is no member");
    WRONG(plan.old_n = 2, TDSA_E_BAD_INPUT, "more than the threshold");
    WRONG((plan.dealers[1] = plan.members[1], plan.old_indices[1] = 1), TDSA_E_NOT_FOUND,
          "there is no key"); /* it is to deal what it does not have */
    WRONG((plan.members[0] = plan.members[1], plan.members[1] = plan.members[2],
           plan.members[2] = (mpc_member){.index = 3}, plan.members[2].x25519[0] = 1),
          TDSA_E_CONFLICT, "participant 3 of the reshare");
    WRONG(plan.old_epoch = UINT32_MAX, TDSA_E_BAD_INPUT, "out of range");
#undef WRONG
}

/* Truncated or changed bytes are refused or, where they mean something else, checked like any plan. */
static void a_damaged_plan_does_no_harm(void **state)
{
    const part_reshare_plan good = good_plan(*state);
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    part_reshare_plan back;
    tdsa_err err;

    part_reshare_put_plan(&b, &good);
    assert_int_equal(part_reshare_parse_plan(&back, b.data, b.len, &err), TDSA_OK);
    assert_int_equal(back.dealer_count, 2);
    assert_int_equal(back.n, 3);
    assert_memory_equal(back.members, good.members, sizeof back.members);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *exact = test_malloc(len + 1);

        memcpy(exact, b.data, len);
        assert_int_equal(part_reshare_parse_plan(&back, exact, len, &err), TDSA_E_BAD_INPUT);
        test_free(exact);
    }
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x40;
        (void)!part_reshare_parse_plan(&back, b.data, b.len, &err);
        b.data[i] ^= 0x40;
    }
}

/* In a group with a client no server may begin one, and the session must be one for secrets. */
static void only_the_client_coordinates_and_in_a_session_for_secrets(void **state)
{
    lone_server *s = *state;
    const part_reshare_plan good = good_plan(s);
    TDSA_SCOPED_BUF plan = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF client = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    part_reshare_put_plan(&plan, &good);
    put_begin(&body, &plan, 2);
    assert_int_equal(lone_open(s, &p, 2, 2, SESSION, PEER_FOR_SECRETS, "group", &err), TDSA_OK);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_RESHARE, &body, &err), TDSA_E_DENIED);
    lone_close(&p);
    put_begin(&client, &plan, 0);
    assert_int_equal(
        lone_open(s, &p, 0, 0, "session-for-control-0123", PEER_FOR_CONTROL, NULL, &err), TDSA_OK);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_RESHARE, &client, &err), TDSA_E_DENIED);
    lone_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reshare_is_recorded_before_it_begins_or_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_part_of_a_plan_is_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_plan_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_client_coordinates_and_in_a_session_for_secrets,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
