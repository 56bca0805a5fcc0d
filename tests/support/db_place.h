#ifndef DB_PLACE_H
#define DB_PLACE_H

#include <stdbool.h>

#include "keystore/server.h"

/**
 * An empty place of its own for one test on a server of db_server.py: a role with a schema (PostgreSQL) or a
 * database with a user (MariaDB). Nobody removes it: it goes with the server.
 */

#define DB_PLACE_KINDS 2u

/** How long its stores wait for a connection: a busy machine may take longer than the usual five seconds. */
#define DB_PLACE_CONNECT_MS 25000u

typedef struct {
    ks_server server; /* by the socket; without TLS */
    char kind[16];
    /* what db_server.py wrote, "" where it did not */
    char folder[128], socket[128], admin[32], admin_password[64], ca[160];
    unsigned port;
    int pid;
    char user[64], password[96], database[64];
} db_place;

/** Whether there is a server of this kind: the environment has TDSA_TEST_POSTGRES or TDSA_TEST_MARIADB, as CTest's
 * fixtures and `db_server.py run` set it. */
bool db_place_offered(const char *kind);
/** Makes one. False, with a line on stderr, when that fails. */
bool db_place_make(db_place *p, const char *kind);
/** Reads again what db_server.py says, after the server was started anew. */
bool db_place_facts(db_place *p);
/** Runs SQL as the administrator, in the place's database. False, with a line on stderr, when that fails. The
 * first column of the first row (may be NULL) is cut at `size`. */
bool db_place_sql(const db_place *p, const char *sql, char *first, size_t size);

/** Nobody uses it any more. MariaDB, which takes long to make tables: it is emptied, tables stay, and the next
 * db_place_make of this process gives it again. */
void db_place_back(const db_place *p);

/** PostgreSQL only: keeps a copy of all rows, in place of what was kept before; puts it back, as a backup that
 * somebody restores. False, with a line on stderr, when that fails. */
bool db_place_postgres_keep(const db_place *p);
bool db_place_postgres_put_back(const db_place *p);

/* ---- one of each for each kind: db_place_postgres.c, db_place_mariadb.c ---- */

bool db_place_postgres_make(db_place *p);
bool db_place_postgres_sql(const db_place *p, const char *sql, char *first, size_t size);
bool db_place_mariadb_make(db_place *p);
bool db_place_mariadb_sql(const db_place *p, const char *sql, char *first, size_t size);
/** False: it cannot be used again. */
bool db_place_mariadb_empty(const db_place *p);

#endif
