#include "base/failpoint.h"
#include "keystore/backend_sql.h"

/* Whether this is ours, and not of a newer program. */
static tdsa_status check_schema(const ks_sql_conn *c, const ks_sql_schema *is, tdsa_err *err)
{
    const uint32_t known = *c->driver->migration_count;

    if (is->tables == 0) {
        return TDSA_OK;
    }
    if (is->ours != 1) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s belongs to another program", c->name);
    }
    if (is->version < 1 || is->version > (int64_t)known) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s has schema version %lld; this program knows version %u%s",
                         c->name, (long long)is->version, known,
                         is->version > (int64_t)known ? ": install a newer one" : "");
    }
    return TDSA_OK;
}

/* Reads and checks. */
static tdsa_status read_schema(ks_sql *q, ks_sql_conn *c, ks_sql_schema *is, tdsa_err *err)
{
    const ks_sql_step rc = q->driver->schema(c, is);

    if (rc != KS_SQL_DONE) {
        return ks_sql_fail_on(c, rc, "reading its version", err);
    }
    if (is->tables == 0) { /* whatever an empty one says */
        is->version = 0;
    }
    return check_schema(c, is, err);
}

static ks_sql_step apply_one(ks_sql_conn *c, uint32_t number)
{
    ks_sql_step rc = c->driver->migrate(c, number);

    TDSA_FAILPOINT("migrate.before_commit");
    if (rc == KS_SQL_DONE) {
        rc = c->driver->commit(c);
    }
    TDSA_FAILPOINT("migrate.after_commit");
    return rc;
}

/* The next migration, as one transaction. Of several processes one applies it, and the others find
 * that it is done: the version is read again under the lock of the writers. */
static tdsa_status migrate_once(ks_sql *q, ks_sql_conn *c, ks_sql_schema *is, tdsa_err *err)
{
    const int64_t from = is->version;
    ks_sql_step rc = q->driver->begin(c);
    tdsa_status st;

    if (rc != KS_SQL_DONE) {
        return ks_sql_fail_on(c, rc, "making tables", err);
    }
    st = read_schema(q, c, is, err);
    if (st == TDSA_OK && is->version == from) {
        rc = apply_one(c, (uint32_t)from + 1);
        if (rc != KS_SQL_DONE) {
            st = ks_sql_fail_on(c, rc, "making tables", err);
        } else if (from > 0) {
            tdsa_logf(q->log, TDSA_LOG_INFO, KS_LOGGER,
                      "database %s: schema version %lld, was %lld", c->name, (long long)(from + 1),
                      (long long)from);
        }
    }
    q->driver->rollback(c);
    return st;
}

tdsa_status ks_sql_migrate(ks_sql *q, ks_sql_conn *c, bool create, tdsa_err *err)
{
    const uint32_t known = *q->driver->migration_count;
    ks_sql_schema is = {0, 0, 0};
    tdsa_status st = read_schema(q, c, &is, err);

    if (st == TDSA_OK && is.version == 0 && !create) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s has no tables (create-tables makes them)", c->name);
    }
    while (st == TDSA_OK && is.version < (int64_t)known) {
        if (!create) {
            return TDSA_FAIL(err, TDSA_E_STORE,
                             "database %.120s has schema version %lld, this program needs %u "
                             "(create-tables brings it there)",
                             c->name, (long long)is.version, known);
        }
        st = migrate_once(q, c, &is, err);
        if (st == TDSA_OK) {
            st = read_schema(q, c, &is, err);
        }
    }
    return st;
}
