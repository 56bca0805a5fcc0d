#ifndef MARIADB_FIXTURE_H
#define MARIADB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keystore/sql.h"
#include "support/db_place.h"

/** The driver on a database of its own, whose user may do everything there and nothing elsewhere. */
typedef struct {
    db_place place;
    ks_server server; /* by TCP; waits of a second at most */
    ks_cfg cfg;
    tdsa_err err;
} ma_fixture;

int ma_setup(void **state);
int ma_teardown(void **state);
/** Reads again where the server is: it was started anew. */
void ma_find_server(ma_fixture *f);
/** As the administrator; @ stands for the name of the database, which is the user's too. */
void ma_admin(ma_fixture *f, const char *sql);
/** A connection; fails the test when there is none. */
ks_sql_conn *ma_connect(ma_fixture *f);
/** The same, with tables. */
ks_sql_conn *ma_open(ma_fixture *f);
/** Makes all tables through this connection. */
void ma_migrate(ks_sql_conn *c);
/** Expects that connecting fails with this in the text, and without the password. */
void ma_refused(ma_fixture *f, tdsa_status want, const char *text);
/** A child abandons a connection inside a transaction; the parent commits. */
void ma_abandon_in_child(ks_sql_conn *c);

ks_sql_step ma_put(ks_sql_conn *c, const char *name, const void *bytes, size_t len);
/** Length of a stored value, -1: none. */
long ma_get(ks_sql_conn *c, const char *name);

#endif
