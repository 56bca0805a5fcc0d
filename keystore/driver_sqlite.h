#ifndef KS_DRIVER_SQLITE_H
#define KS_DRIVER_SQLITE_H

#include <sqlite3.h>

#include "keystore/sql.h"

/** Only for the files driver_sqlite*.c, the only ones that see sqlite3.h. */

/** Statements beside the common ones. */
typedef enum {
    KS_SQLITE_BEGIN,
    KS_SQLITE_COMMIT,
    KS_SQLITE_DATA_VERSION,
    KS_SQLITE_OWN
} ks_sqlite_own_id;
extern const char *const ks_sqlite_own[KS_SQLITE_OWN];

typedef struct {
    ks_sql_conn base;
    sqlite3 *db;
    sqlite3_stmt *stmt[KS_SQL_COUNT]; /* kept prepared */
    uint64_t changes[KS_SQL_COUNT];
    sqlite3_stmt *own[KS_SQLITE_OWN];
    char *path;
    uint32_t busy_timeout_ms;
} ks_sqlite_conn;

ks_sqlite_conn *ks_sqlite_of(ks_sql_conn *c) TDSA_NONNULL;
/** What a result code of SQLite means; fills in the error. */
ks_sql_step ks_sqlite_outcome(ks_sqlite_conn *q, int rc) TDSA_NONNULL;
/** Runs one statement and gives its first column as a number (when number is set) or compares it as text
 * (when expect is set; SQLITE_CANTOPEN when it differs). */
int ks_sqlite_pragma(ks_sqlite_conn *q, const char *sql, int64_t *number, const char *expect)
    __attribute__((nonnull(1, 2)));

tdsa_status ks_sqlite_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err);
tdsa_status ks_sqlite_prepare(ks_sql_conn *c, tdsa_err *err);
void ks_sqlite_close(ks_sql_conn *c);

#endif
