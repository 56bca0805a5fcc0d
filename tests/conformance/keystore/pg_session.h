#ifndef PG_SESSION_H
#define PG_SESSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keystore/driver_postgres.h"
#include "support/db_place.h"

/** The driver of PostgreSQL by itself, in a place of its own, for its own tests. */
typedef struct {
    db_place place;
    ks_cfg cfg;
    tdsa_err err;
    char logged[1024]; /* every line that was logged */
    tdsa_log log;
} pg_session;

#define PG_DRIVER (&ks_driver_postgres)

/** cmocka set-up: *state becomes one. */
int pg_session_setup(void **state);
int pg_session_teardown(void **state);
/** By TCP and with the password instead of by the socket. */
void pg_session_by_tcp(pg_session *s, const char *host);
/** Connects; the test fails when that fails. */
ks_sql_conn *pg_connect(pg_session *s);
/** The same with tables. */
ks_sql_conn *pg_connect_ready(pg_session *s);
/** Connecting fails so, and the error has all of these words (up to NULL). */
void pg_refused(pg_session *s, tdsa_status want, ...);
/** Runs SQL as the administrator; %s is the place's role (and schema). */
void pg_admin(pg_session *s, const char *sql);
/** The server process of the only connection of this place's role. */
int pg_backend(pg_session *s);
/** First column of the first row of a query of the connection itself. */
void pg_ask(ks_sql_conn *c, const char *sql, char *out, size_t size);
/** Raises the counter in a transaction of its own: what the first step that went wrong said, or DONE. */
ks_sql_step pg_count(ks_sql_conn *c, int64_t *out);

#endif
