#include "keystore/driver_mariadb.h"

#include <mysqld_error.h>

static void count_row(void *ctx, const char *const *column)
{
    (void)column;
    *(unsigned *)ctx += 1;
}

static void rollback(ks_sql_conn *c)
{
    ma_conn *m = ks_mariadb_of(c);

    if (m->in_transaction) {
        m->in_transaction = false;
        (void)ks_mariadb_run(m, "ROLLBACK");
    }
    m->undone = false;
}

static ks_sql_step start_transaction(ma_conn *m)
{
    const ks_sql_step step = ks_mariadb_run(m, "START TRANSACTION");

    m->in_transaction = step == KS_SQL_DONE;
    return step;
}

static ks_sql_step begin(ks_sql_conn *c)
{
    ma_conn *m = ks_mariadb_of(c);
    unsigned rows = 0;
    ks_sql_step step;

    rollback(c);
    step = start_transaction(m);
    if (step != KS_SQL_DONE) {
        return step;
    }
    step = ks_mariadb_query(m, "SELECT value FROM counter WHERE name = 'writer' FOR UPDATE",
                            count_row, &rows);
    if (step == KS_SQL_FAIL && m->number == ER_NO_SUCH_TABLE) {
        /* no tables yet; those who make them have a lock of their own */
        rollback(c);
        m->base.error[0] = '\0';
        return start_transaction(m);
    }
    if (step == KS_SQL_DONE && rows == 0) { /* a lock on nothing keeps nobody out */
        step = ks_mariadb_run(m, "INSERT INTO counter (name, value) VALUES ('writer', 0)"
                                 " ON DUPLICATE KEY UPDATE value = value");
    }
    return step;
}

static ks_sql_step commit(ks_sql_conn *c)
{
    ma_conn *m = ks_mariadb_of(c);
    ks_sql_step step;

    if (m->undone) {
        return m->lost ? KS_SQL_LOST : KS_SQL_FAIL;
    }
    m->in_transaction = false;
    step = ks_mariadb_run(m, "COMMIT");
    if (step == KS_SQL_DONE || step == KS_SQL_AGAIN) { /* again: nodes of a cluster disagreed */
        return step;
    }
    m->lost = true; /* whatever went wrong, nobody knows whether it happened */
    return KS_SQL_LOST;
}

static bool valid(ks_sql_conn *c, const char *query)
{
    return ks_mariadb_run(ks_mariadb_of(c), query != NULL ? query : "SELECT 1") == KS_SQL_DONE;
}

const ks_sql_driver ks_driver_mariadb = {
    .name = "mariadb",
    .migrations = ks_mariadb_migration,
    .migration_count = &ks_mariadb_migration_count,
    .connect = ks_mariadb_connect,
    .prepare = ks_mariadb_prepare,
    .close = ks_mariadb_close,
    .abandon = ks_mariadb_abandon,
    .valid = valid,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .start = ks_mariadb_start,
    .step = ks_mariadb_step,
    .column = ks_mariadb_column,
    .changes = ks_mariadb_changes,
    .finish = ks_mariadb_finish,
    .schema = ks_mariadb_schema,
    .migrate = ks_mariadb_migrate,
    .data_version = NULL, /* nothing cheaper than the counter's row */
    .identity = ks_mariadb_identity,
    .forget = NULL, /* purging and the log are the server's: see README.md */
};
