#include "keystore/driver_mariadb.h"

#include <errmsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"

#define OUR_COMMENT "TDSA keystore" /* of table schema_version, as 0001 says */
#define TABLE_MADE  "CREATE TABLE IF NOT EXISTS "
/* of this database; names of locks are the server's */
#define LOCK_NAME "concat('tdsa.', md5(database()))"

static void take_number(void *ctx, const char *const *column)
{
    int64_t *out = ctx;

    *out = column[0] != NULL ? strtoll(column[0], NULL, 10) : 0;
}

static ks_sql_step ask(ma_conn *m, const char *text, int64_t *out)
{
    *out = 0;
    return ks_mariadb_query(m, text, take_number, out);
}

/* ---- which tables there are ---- */

#define TABLES_MAX 32u

typedef struct {
    const char *name; /* points into a migration */
    size_t len;
    bool there;
} table;

typedef struct {
    table wanted[TABLES_MAX];
    size_t count;
    int64_t all;       /* in the database, ours or not */
    bool mark;         /* schema_version is there, and ours */
    bool other_engine; /* one of ours cannot undo a transaction */
} table_list;

/* What the migrations up to this number make. */
static void want_tables(table_list *list, uint32_t migrations)
{
    for (uint32_t i = 0; i < migrations; i++) {
        const char *at = ks_mariadb_migration[i];

        while ((at = strstr(at, TABLE_MADE)) != NULL) {
            table *t = &list->wanted[list->count++];

            TDSA_ASSERT(list->count <= TABLES_MAX);
            at += sizeof TABLE_MADE - 1;
            at += *at == '"' ? 1 : 0;
            t->name = at;
            t->len = strcspn(at, "\" (");
            t->there = false;
        }
    }
}

static void note_table(void *ctx, const char *const *column)
{
    table_list *list = ctx;

    list->all++;
    for (size_t i = 0; i < list->count; i++) {
        table *t = &list->wanted[i];

        if (strlen(column[0]) == t->len && memcmp(column[0], t->name, t->len) == 0) {
            t->there = true;
            list->other_engine |= column[1] == NULL || strcmp(column[1], "InnoDB") != 0;
        }
    }
    list->mark |= strcmp(column[0], "schema_version") == 0 && column[2] != NULL &&
                  strcmp(column[2], OUR_COMMENT) == 0;
}

static ks_sql_step list_tables(ma_conn *m, table_list *list, uint32_t migrations)
{
    memset(list, 0, sizeof *list);
    want_tables(list, migrations);
    return ks_mariadb_query(
        m,
        "SELECT table_name, engine, table_comment FROM information_schema.tables"
        " WHERE table_schema = database()",
        note_table, list);
}

static const table *find_table(const table_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->wanted[i].len == strlen(name) &&
            memcmp(list->wanted[i].name, name, list->wanted[i].len) == 0) {
            return &list->wanted[i];
        }
    }
    return NULL;
}

/* ---- version ---- */

/*
 * Tables of ours without a version: whoever makes them is at it, or was killed. They count as none, so
 * that they are made to the end; but never when the store was in use: then a version got lost, and
 * so may tables have been, which would come back without what was burnt.
 */
static ks_sql_step unfinished(ma_conn *m, const table_list *list, ks_sql_schema *out)
{
    const table *meta = find_table(list, "meta");
    int64_t used = 0;
    ks_sql_step step = KS_SQL_DONE;

    if (meta != NULL && meta->there) {
        step = ask(m, "SELECT count(*) FROM meta", &used);
    }
    if (step == KS_SQL_DONE && used == 0) {
        out->tables = 0;
    }
    return step;
}

ks_sql_step ks_mariadb_schema(ks_sql_conn *c, ks_sql_schema *out)
{
    ma_conn *m = ks_mariadb_of(c);
    table_list list;
    ks_sql_step step = list_tables(m, &list, ks_mariadb_migration_count);

    memset(out, 0, sizeof *out);
    out->tables = list.all;
    out->ours = list.mark;
    if (step == KS_SQL_DONE && list.mark) {
        step = ask(m, "SELECT coalesce(max(number), 0) FROM schema_version", &out->version);
    }
    if (step == KS_SQL_DONE && list.mark && out->version == 0) {
        step = unfinished(m, &list, out);
    }
    return step;
}

tdsa_status ks_mariadb_prepare(ks_sql_conn *c, tdsa_err *err)
{
    ma_conn *m = ks_mariadb_of(c);
    table_list list;

    if (list_tables(m, &list, ks_mariadb_migration_count) != KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.100s: reading its tables: %.120s",
                         m->base.name, m->base.error);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (!list.wanted[i].there) {
            return TDSA_FAIL(
                err, TDSA_E_STORE,
                "database %.100s is damaged: no table %.*s (or this user has no right to "
                "it); restore a backup",
                m->base.name, (int)list.wanted[i].len, list.wanted[i].name);
        }
    }
    if (list.other_engine) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.100s: a table of the keystore is not InnoDB: ALTER TABLE ... "
                         "ENGINE = InnoDB",
                         m->base.name);
    }
    return TDSA_OK;
}

/* ---- migrations ---- */

/* The next statement of a text in memory of its own, without comments; *at is moved behind it. NULL: none,
 * or no memory (then *at stays). */
static char *next_statement(const char **at)
{
    char *out = malloc(strlen(*at) + 1);
    size_t n = 0;
    const char *in = *at;

    while (out != NULL && *in != '\0') {
        const size_t line = strcspn(in, "\n") + (strchr(in, '\n') != NULL ? 1 : 0);
        const bool comment = strncmp(in, "--", 2) == 0;

        if (!comment) {
            memcpy(out + n, in, line);
            n += line;
        }
        in += line;
        if (!comment && n >= 2 &&
            (out[n - 1] == ';' || (out[n - 1] == '\n' && out[n - 2] == ';'))) {
            break;
        }
    }
    if (out == NULL || n < 2) {
        free(out);
        return NULL;
    }
    out[n] = '\0';
    *at = in;
    return out;
}

static ks_sql_step apply(ma_conn *m, uint32_t number)
{
    const char *at = ks_mariadb_migration[number - 1];
    ks_sql_step step = KS_SQL_DONE;
    char note[80];

    while (step == KS_SQL_DONE) {
        char *statement = next_statement(&at);

        if (statement == NULL) {
            break;
        }
        step = ks_mariadb_run(m, statement);
        free(statement);
        TDSA_FAILPOINT("migrate.between");
    }
    if (step == KS_SQL_DONE && strspn(at, "\n ") != strlen(at)) {
        return ks_mariadb_failed(m, CR_OUT_OF_MEMORY, "no memory");
    }
    (void)snprintf(note, sizeof note, "INSERT INTO schema_version (number) VALUES (%u)", number);
    return step == KS_SQL_DONE ? ks_mariadb_run(m, note) : step;
}

/* DDL commits by itself and gives the writers' lock up, so there is one more, of those who make tables. */
ks_sql_step ks_mariadb_migrate(ks_sql_conn *c, uint32_t number)
{
    ma_conn *m = ks_mariadb_of(c);
    ks_sql_schema now;
    char take[96];
    int64_t got = 0;
    ks_sql_step step;

    (void)snprintf(take, sizeof take, "SELECT get_lock(" LOCK_NAME ", %u)", m->lock_wait_s);
    step = ask(m, take, &got);
    if (step != KS_SQL_DONE) {
        return step;
    }
    if (got != 1) {
        (void)snprintf(m->base.error, sizeof m->base.error, "another process is making the tables");
        return KS_SQL_BUSY;
    }
    step = ks_mariadb_schema(c, &now);
    if (step == KS_SQL_DONE && now.version + 1 == (int64_t)number) {
        step = apply(m, number);
    }
    (void)ask(m, "SELECT release_lock(" LOCK_NAME ")", &got); /* it goes with the connection, too */
    return step;
}

/* ---- identity ---- */

static void take_identity(void *ctx, const char *const *column)
{
    tdsa_buf *out = ctx;

    tdsa_buf_append(out, (const uint8_t *)column[0], strlen(column[0]));
}

/*
 * What an ordinary user may read and a restart keeps:
 * - server_id: the servers of one replication differ in it, so a replica that took over shows;
 * - hostname and datadir: two servers whose server_id nobody set;
 * - the time when table `block` came to be: a dump that is read in makes it anew, and so does a copy of
 *   the files (MariaDB takes it from the inode of block.frm). OPTIMIZE, ALTER and TRUNCATE of `block` do
 *   so too: presignatures are then given up without need;
 * - MySQL alone: server_uuid, which is made with the data directory.
 * Not server_uid of MariaDB: it is a hash of port and network address, and changes when a container is
 * started again. Nothing shows a snapshot of the whole disk: the counters do that (counter_file.h).
 */
tdsa_status ks_mariadb_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err)
{
    static const char common[] =
        "SELECT concat('mariadb server=', @@server_id, ' host=', left(@@hostname, 48), ' data=',"
        " left(md5(@@datadir), 16), ' block=', coalesce((SELECT date_format(create_time,"
        " '%Y%m%dT%H%i%s') FROM information_schema.tables WHERE table_schema = database() AND"
        " table_name = 'block'), '?')";
    ma_conn *m = ks_mariadb_of(c);
    char text[sizeof common + 40];
    ks_sql_step step;

    (void)snprintf(text, sizeof text, "%s, ' uuid=', @@server_uuid)", common);
    step = ks_mariadb_query(m, text, take_identity, out);
    if (step == KS_SQL_FAIL) { /* no such variable */
        (void)snprintf(text, sizeof text, "%s)", common);
        step = ks_mariadb_query(m, text, take_identity, out);
    }
    if (step != KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.100s: reading who it is: %.120s",
                         m->base.name, m->base.error);
    }
    return tdsa_buf_check(out, err);
}
