#ifndef DAEMON_TABLES_H
#define DAEMON_TABLES_H

#include "base/env.h"
#include "base/err.h"

/**
 * create-tables: makes the tables of the database that DB_DRIVER_CLASS and DB_URL name (a native URL
 * needs no class), for PostgreSQL and MariaDB as DB_USERNAME with DB_PASSWORD; these go before what the
 * URL says, and the password is wiped from the environment. Tables that are there already are fine.
 *
 * log: may be NULL.
 * Errors: TDSA_E_BAD_INPUT (a variable is missing: names it), TDSA_E_CONFIG (a URL or database
 * that is not known), TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status svc_create_tables(const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(2)));

#endif
