#ifndef KS_SQL_H
#define KS_SQL_H

#include "keystore/internal.h"
#include "keystore/statements.h"

/**
 * The door between the SQL backend and the client libraries. backend_sql*.c hold each operation of
 * ks_backend once, as statements and transactions; a driver (driver_sqlite.c, driver_postgres.c,
 * driver_mariadb.c) carries statements to one kind of database, with texts of its own where its dialect
 * differs from statements.c. Only a driver's files see its client library's headers.
 *
 * Every transaction that writes holds the database's one lock of writers from begin to its end
 * (SQLite: BEGIN IMMEDIATE; servers: SELECT ... FOR UPDATE on the row 'writer' of table counter), so
 * that its statements see what is newest and nothing changes between them.
 */

#define KS_SQL_ARGS_MAX 10u

typedef enum { KS_SQL_NULL = 0, KS_SQL_INT, KS_SQL_TEXT, KS_SQL_BLOB } ks_sql_type;

/** An argument or a column. Data are lent: arguments until finish, columns until the next step. */
typedef struct {
    ks_sql_type type;
    int64_t number;
    const void *data; /* TEXT: NUL-terminated; BLOB may be of length 0, which is not NULL */
    size_t len;
} ks_sql_value;

typedef enum {
    KS_SQL_ROW,  /* there is a row */
    KS_SQL_DONE, /* no more rows; changes() tells */
    KS_SQL_AGAIN, /* the transaction is undone and may be run again: deadlock, serialization failure */
    KS_SQL_BUSY, /* somebody holds the lock for longer than the timeout; undone */
    KS_SQL_LOST, /* the connection is gone: undone, unless it was a commit: then nobody knows */
    KS_SQL_DEAD, /* an fsync failed: what is on the disk is unknown. This process must not go on */
    KS_SQL_FAIL  /* anything else; undone when in a transaction */
} ks_sql_step;

/** One connection; a driver's own structure starts with this. */
typedef struct ks_sql_conn {
    const struct ks_sql_driver *driver;
    char name[160]; /* set by connect, for errors and logs: the file, "NAME at HOST:PORT" */
    char error
        [240]; /* after anything from AGAIN on: what the database says; never a value or password */
} ks_sql_conn;

/** What a schema migration number is compared with. */
typedef struct {
    int64_t tables;  /* tables, views, anything that is in the database (or its schema) at all */
    int64_t ours;    /* 1: the tables are those of this program */
    int64_t version; /* of the last migration that was applied; 0 when tables is 0 */
} ks_sql_schema;

/** All calls on one connection come from one thread at a time. */
typedef struct ks_sql_driver {
    const char *name;              /* "sqlite", "postgres", "mariadb" */
    const char *const *migrations; /* texts NNNN-*.sql in order; the first is number 1 */
    const uint32_t *migration_count;

    /** Connects. Errors: TDSA_E_CONFIG (unusable cfg, client library not installed: which package),
     * TDSA_E_STORE (says which host or file, what was tried, why and what to do). Statements are not
     * prepared yet: there may be no tables. */
    tdsa_status (*connect)(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err);
    /** After migrations: prepares what needs it. */
    tdsa_status (*prepare)(ks_sql_conn *c, tdsa_err *err);
    void (*close)(ks_sql_conn *c);
    /** In a child after fork: frees without a byte to the server or a change of the file's locks. */
    void (*abandon)(ks_sql_conn *c);
    /** Whether the connection answers (the validation query); false: close it and take another. */
    bool (*valid)(ks_sql_conn *c, const char *query);

    ks_sql_step (*begin)(ks_sql_conn *c); /* DONE, with the writers' lock held, or an error */
    ks_sql_step (*commit)(ks_sql_conn *c);
    void (*rollback)(ks_sql_conn *c); /* allowed at any time */

    /** Starts a statement: DONE when that went well, whatever rows it has, else an error. `args` are lent
     * until finish. One run of each statement at a time, of different ones several (inside the rows of
     * one, others may run). */
    ks_sql_step (*start)(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args, size_t n);
    /** The first and each further row. */
    ks_sql_step (*step)(ks_sql_conn *c, ks_sql_id which);
    void (*column)(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out);
    /** Rows that it changed: those that its condition chose, even when they were the same before. */
    uint64_t (*changes)(ks_sql_conn *c, ks_sql_id which);
    /** After every start, one that failed too. */
    void (*finish)(ks_sql_conn *c, ks_sql_id which);

    /** Reads what is there, in one snapshot; inside begin..commit, in that transaction. */
    ks_sql_step (*schema)(ks_sql_conn *c, ks_sql_schema *out);
    /** Inside begin..commit, except that a driver whose DDL commits by itself (MariaDB) must make
     * each text safe to run again; then notes `number` as the version. begin() works in an empty
     * database too. */
    ks_sql_step (*migrate)(ks_sql_conn *c, uint32_t number);

    /** May be NULL. Changes whenever another connection may have written. */
    ks_sql_step (*data_version)(ks_sql_conn *c, int64_t *out);
    /** Which database this is, as the server or file system tells it, up to 200 characters; another
     * text later means that this is a copy, a restored one, or one that failed over: "sqlite inode=..",
     * "postgres system=7.. timeline=1", "mariadb server=..". */
    tdsa_status (*identity)(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err);
    /** May be NULL. After rows with secrets were deleted: whatever makes them leave the disk. */
    void (*forget)(ks_sql_conn *c);
} ks_sql_driver;

/** The backend over a driver. Errors: those of connect; TDSA_E_STORE when the tables are not ours, or of a
 * version that this program cannot use. */
TDSA_MUST_USE tdsa_status ks_sql_open(ks_backend **out, const ks_sql_driver *driver,
                                      const ks_cfg *cfg, tdsa_err *err) TDSA_NONNULL;

/** TDSA_E_STORE with the database, what was tried, and c->error. */
tdsa_status ks_sql_fail_on(const ks_sql_conn *c, ks_sql_step step, const char *what, tdsa_err *err)
    TDSA_NONNULL;

extern const ks_sql_driver ks_driver_sqlite;
extern const ks_sql_driver ks_driver_postgres;
extern const ks_sql_driver ks_driver_mariadb;
/** One more driver, under its name as backend; NULL outside tests. Set before any store is opened. */
extern const ks_sql_driver *ks_driver_of_a_test;

#endif
