#include <stdio.h>

#include "base/failpoint.h"
#include "keystore/backend_sqlite.h"

/* "TDSA": tells our files from other programs'. */
#define APPLICATION_ID 0x54445341

typedef struct {
    int64_t application, version, tables;
} identity;

static tdsa_status read_identity(ks_sqlite *q, identity *id, tdsa_err *err)
{
    int rc = ks_sqlite_pragma(q, "PRAGMA application_id", &id->application, NULL);

    if (rc == SQLITE_OK) {
        rc = ks_sqlite_pragma(q, "PRAGMA user_version", &id->version, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = ks_sqlite_pragma(q, "SELECT count(*) FROM sqlite_schema", &id->tables, NULL);
    }
    if (rc == SQLITE_NOTADB) {
        return TDSA_FAIL(err, TDSA_E_STORE, "%.120s is not a SQLite database", q->path);
    }
    if (id->tables == 0) { /* whatever an empty file says */
        id->version = 0;
    }
    return rc == SQLITE_OK ? TDSA_OK : ks_sqlite_fail(q, rc, "reading its version", err);
}

/* All three from one snapshot: another process may be making the tables just now. */
static tdsa_status snapshot_identity(ks_sqlite *q, identity *id, tdsa_err *err)
{
    const int rc = sqlite3_exec(q->db, "BEGIN", NULL, NULL, NULL);
    tdsa_status st;

    if (rc != SQLITE_OK) {
        return ks_sqlite_fail(q, rc, "reading its version", err);
    }
    st = read_identity(q, id, err);
    (void)sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

/* Whether this is ours, and not of a newer program. */
static tdsa_status check_identity(const ks_sqlite *q, const identity *id, tdsa_err *err)
{
    if (id->tables == 0) {
        return TDSA_OK;
    }
    if (id->application != APPLICATION_ID) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s belongs to another program", q->path);
    }
    if (id->version < 1 || id->version > (int64_t)ks_sqlite_migration_count) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s has schema version %lld; this program knows version %u%s",
                         q->path, (long long)id->version, ks_sqlite_migration_count,
                         id->version > (int64_t)ks_sqlite_migration_count ? ": install a newer one"
                                                                          : "");
    }
    return TDSA_OK;
}

static int apply_one(ks_sqlite *q, int64_t number)
{
    char stamp[96];
    int rc = sqlite3_exec(q->db, ks_sqlite_migration[number - 1], NULL, NULL, NULL);

    (void)snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %lld",
                   APPLICATION_ID, (long long)number);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(q->db, stamp, NULL, NULL, NULL);
    }
    TDSA_FAILPOINT("migrate.before_commit");
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(q->db, "COMMIT", NULL, NULL, NULL);
    }
    TDSA_FAILPOINT("migrate.after_commit");
    return rc;
}

/* The next migration, as one transaction. Of several processes one applies it, and the others find
 * that it is done: the version is read again under the lock of the writer. */
static tdsa_status migrate_once(ks_sqlite *q, identity *id, tdsa_err *err)
{
    const int64_t from = id->version;
    int rc = sqlite3_exec(q->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    tdsa_status st;

    if (rc != SQLITE_OK) {
        return ks_sqlite_fail(q, rc, "making tables", err);
    }
    st = read_identity(q, id, err);
    if (st == TDSA_OK) {
        st = check_identity(q, id, err);
    }
    if (st == TDSA_OK && id->version == from) {
        rc = apply_one(q, from + 1);
        if (rc != SQLITE_OK) {
            st = ks_sqlite_fail(q, rc, "making tables", err);
        } else if (from > 0) {
            tdsa_logf(q->log, TDSA_LOG_INFO, KS_LOGGER,
                      "database %s: schema version %lld, was %lld", q->path, (long long)(from + 1),
                      (long long)from);
        }
    }
    if (sqlite3_get_autocommit(q->db) == 0) {
        (void)sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return st;
}

tdsa_status ks_sqlite_migrate(ks_sqlite *q, bool create_tables, tdsa_err *err)
{
    identity id = {0, 0, 0};
    tdsa_status st = snapshot_identity(q, &id, err);

    if (st == TDSA_OK) {
        st = check_identity(q, &id, err);
    }
    if (st == TDSA_OK && id.version == 0 && !create_tables) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s has no tables (create-tables makes them)", q->path);
    }
    while (st == TDSA_OK && id.version < (int64_t)ks_sqlite_migration_count) {
        if (!create_tables) {
            return TDSA_FAIL(err, TDSA_E_STORE,
                             "database %.120s has schema version %lld, this program needs %u "
                             "(create-tables brings it there)",
                             q->path, (long long)id.version, ks_sqlite_migration_count);
        }
        st = migrate_once(q, &id, err);
        if (st == TDSA_OK) {
            st = snapshot_identity(q, &id, err);
        }
    }
    return st;
}
