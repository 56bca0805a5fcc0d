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
 * Imports that a client begins at a server: what each server asks for by itself before it takes part. The
 * server is participant 1 of three. An import that passes every check fails on the first message, which
 * is none.
 */

#define KEY_ID "imported"
#define HANG_S 20u /* a test that takes longer hangs */

typedef struct {
    lone_server server;
    unsigned records;
    bool full;
    char event[41], detail[257];
} rig;

static tdsa_status record_here(void *ctx, const tdsa_audit_event *e, tdsa_err *err)
{
    rig *r = ctx;

    r->records++;
    (void)snprintf(r->event, sizeof r->event, "%s", e->event);
    (void)snprintf(r->detail, sizeof r->detail, "%s", e->detail);
    return r->full ? TDSA_FAIL(err, TDSA_E_STORE, "the audit log is full") : TDSA_OK;
}

static int set_up(void **state)
{
    rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    lone_server_start(&r->server);
    r->server.part->cfg.import_keys = true;
    r->server.part->cfg.audit = (tdsa_audit){.record = record_here, .ctx = r};
    (void)alarm(HANG_S);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig *r = *state;

    (void)alarm(0);
    lone_server_stop(&r->server);
    free(r);
    return 0;
}

static void register_key(rig *r)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    lone_peer p;
    tdsa_err err;

    lone_registration(&r->server, KEY_ID, &body);
    assert_int_equal(
        lone_open(&r->server, &p, 0, 0, "session-for-registration", PEER_FOR_CONTROL, NULL, &err),
        TDSA_OK);
    assert_int_equal(lone_ask(&p, 0, PART_ASK_REGISTER, &body, &err), TDSA_OK);
    lone_close(&p);
}

/* What the server says to an import that participant `from` begins with the keys of `as`. */
static tdsa_status begin(rig *r, uint16_t from, unsigned as, peer_purpose purpose, tdsa_err *err)
{
    static unsigned number;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    char session[32];
    lone_peer p;
    tdsa_status st;

    (void)snprintf(session, sizeof session, "session-number-%08u", number++);
    tdsa_stmt_begin(&body, "begin-import");
    tdsa_stmt_text(&body, KEY_ID);
    tdsa_stmt_uint(&body, from);
    tdsa_stmt_octets(&body, "none", 4);
    assert_int_equal(
        lone_open(&r->server, &p, from, as, session, purpose, from == 0 ? NULL : "group", err),
        TDSA_OK);
    st = lone_ask(&p, 0, PART_ASK_IMPORT, &body, err);
    lone_close(&p);
    return st;
}

static void expect(rig *r, tdsa_status want, const char *text)
{
    tdsa_err err;

    assert_int_equal(begin(r, 0, 0, PEER_FOR_SECRETS, &err), want);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

static void a_server_that_does_not_allow_imports_takes_no_part(void **state)
{
    rig *r = *state;

    register_key(r);
    r->server.part->cfg.import_keys = false;
    expect(r, TDSA_E_DENIED, "importKeys is not set here");
    assert_int_equal(r->records, 0);
    r->server.part->cfg.import_keys = true;
    expect(r, TDSA_E_PROTOCOL, "round random"); /* it began */
}

static void an_import_without_an_audit_log_is_refused(void **state)
{
    rig *r = *state;

    register_key(r);
    r->server.part->cfg.audit.record = NULL;
    expect(r, TDSA_E_DENIED, "auditLog is not set here");
}

static void an_import_is_recorded_before_it_begins_or_refused(void **state)
{
    rig *r = *state;

    register_key(r);
    r->full = true;
    expect(r, TDSA_E_STORE, "the audit log is full");
    assert_int_equal(r->records, 1);
    r->full = false;
    expect(r, TDSA_E_PROTOCOL, "round random");
    assert_int_equal(r->records, 2);
    assert_string_equal(r->event, "key.import");
    assert_string_equal(r->detail, "P-256 ecdsa, asked by participant 0, threshold 1 of 0 1 2");
}

static void only_a_registered_key_without_a_share_is_imported(void **state)
{
    rig *r = *state;
    tdsa_err err;

    expect(r, TDSA_E_NOT_FOUND, "key");
    register_key(r);
    assert_int_equal(ks_key_delete(r->server.store, KEY_ID, true, &err), TDSA_OK);
    expect(r, TDSA_E_NOT_FOUND, "key");
    assert_int_equal(r->records, 0);
}

static void only_the_client_deals_and_in_a_session_for_secrets(void **state)
{
    rig *r = *state;
    tdsa_err err;

    register_key(r);
    assert_int_equal(begin(r, 2, 2, PEER_FOR_SECRETS, &err), TDSA_E_DENIED);
    assert_int_equal(begin(r, 0, 0, PEER_FOR_CONTROL, &err), TDSA_E_DENIED);
    assert_int_equal(begin(r, 0, 2, PEER_FOR_SECRETS, &err), TDSA_E_NOT_FOUND); /* another client */
    assert_int_equal(r->records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_that_does_not_allow_imports_takes_no_part, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_import_without_an_audit_log_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_import_is_recorded_before_it_begins_or_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_a_registered_key_without_a_share_is_imported, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_client_deals_and_in_a_session_for_secrets, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
