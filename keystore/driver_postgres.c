#include "keystore/driver_postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Of the server, by their numbers in its catalogue. */
enum { TYPE_BOOL = 16, TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_INT4 = 23 };
enum { TYPE_TEXT = 25, TYPE_VARCHAR = 1043 };

#define TEXT_MAX  2048u      /* of a statement */
#define LOCK_WORD 0x54445341 /* "TDSA": tells our advisory locks from other programs' */

/* Where PostgreSQL says it otherwise than the common texts. */
static const struct {
    const char *common, *own;
} dialect[] = {
    {"bit_count(mask)", "bit_count(mask::bit(64))"},
};

ks_postgres *ks_postgres_of(ks_sql_conn *c)
{
    return (ks_postgres *)(void *)c;
}

/* ---- transactions ---- */

static void postgres_rollback(ks_sql_conn *c)
{
    ks_postgres *p = ks_postgres_of(c);
    char error[sizeof c->error];

    if (p->lost || p->pq.transactionStatus(p->db) == PQTRANS_IDLE) {
        return;
    }
    memcpy(error, c->error, sizeof error); /* of what went wrong before */
    if (ks_postgres_query(p, "ROLLBACK", NULL) != KS_SQL_DONE) {
        p->lost = true;
    }
    memcpy(c->error, error, sizeof error);
}

/* Whoever makes tables comes after whoever does the same, and after whoever writes into those that are
 * there. */
static ks_sql_step begin_before_ready(ks_postgres *p)
{
    PGresult *rows = NULL;
    char text[160];
    ks_sql_step rc;
    bool there;

    (void)snprintf(text, sizeof text,
                   "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
                   " SELECT pg_advisory_xact_lock(%d, hashtext(current_schema()))",
                   LOCK_WORD);
    rc = ks_postgres_query(p, text, NULL);
    if (rc == KS_SQL_DONE) {
        rc = ks_postgres_query(p, "SELECT to_regclass('counter')", &rows);
    }
    there = rc == KS_SQL_DONE && ks_postgres_text(p, rows, 0)[0] != '\0';
    p->pq.clear(rows);
    if (there) {
        rc = ks_postgres_query(p, "SELECT value FROM counter WHERE name = 'writer' FOR UPDATE",
                               NULL);
    }
    return rc;
}

static ks_sql_step begin_ready(ks_postgres *p)
{
    PGresult *rows = NULL;
    ks_sql_step rc =
        ks_postgres_query(p,
                          "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
                          " SELECT value FROM counter WHERE name = 'writer' FOR UPDATE",
                          &rows);

    if (rc == KS_SQL_DONE && p->pq.ntuples(rows) != 1) {
        (void)snprintf(p->base.error, sizeof p->base.error,
                       "the row of the writers' lock is gone from table counter: restore a backup");
        rc = KS_SQL_FAIL;
    }
    p->pq.clear(rows);
    return rc;
}

static ks_sql_step postgres_begin(ks_sql_conn *c)
{
    ks_postgres *p = ks_postgres_of(c);
    const ks_sql_step rc = p->ready ? begin_ready(p) : begin_before_ready(p);

    if (rc != KS_SQL_DONE) {
        postgres_rollback(c);
    }
    return rc;
}

/* A commit that waits for a standby and is told to stop waiting succeeds with a warning: then nobody knows
 * whether the standby has it. */
static ks_sql_step postgres_commit(ks_sql_conn *c)
{
    ks_postgres *p = ks_postgres_of(c);
    PGresult *rows = NULL;
    ks_sql_step rc;

    p->warned = false;
    rc = ks_postgres_query(p, "COMMIT", &rows);
    if (rc == KS_SQL_BUSY || (rc == KS_SQL_DONE && p->warned)) {
        (void)snprintf(c->error, sizeof c->error, "the commit is not known to be on the standby");
        p->lost = true;
        rc = KS_SQL_LOST;
    } else if (rc == KS_SQL_DONE && strcmp(p->pq.cmdStatus(rows), "COMMIT") != 0) {
        (void)snprintf(c->error, sizeof c->error, "the server undid the transaction");
        rc = KS_SQL_FAIL;
    }
    p->pq.clear(rows);
    return rc;
}

static bool postgres_valid(ks_sql_conn *c, const char *query)
{
    ks_postgres *p = ks_postgres_of(c);

    return ks_postgres_query(p, query != NULL ? query : "SELECT 1", NULL) == KS_SQL_DONE &&
           p->pq.transactionStatus(p->db) == PQTRANS_IDLE;
}

/* ---- statements ---- */

/* ?N becomes $N; the rest as `dialect` says. */
static bool translate(char *out, size_t size, const char *text)
{
    size_t n = 0;

    while (*text != '\0') {
        const char *piece = NULL;
        size_t skip = 1;

        for (size_t i = 0; i < sizeof dialect / sizeof dialect[0] && piece == NULL; i++) {
            if (strncmp(text, dialect[i].common, strlen(dialect[i].common)) == 0) {
                piece = dialect[i].own;
                skip = strlen(dialect[i].common);
            }
        }
        if (n + (piece != NULL ? strlen(piece) : 1) >= size) {
            return false;
        }
        if (piece != NULL) {
            memcpy(out + n, piece, strlen(piece));
            n += strlen(piece);
        } else {
            out[n++] = *text == '?' ? '$' : *text;
        }
        text += skip;
    }
    out[n] = '\0';
    return true;
}

static Oid type_of(char arg)
{
    return arg == 't' ? TYPE_TEXT : arg == 'b' ? TYPE_BYTEA : TYPE_INT8;
}

static ks_sql_step prepare(ks_postgres *p, ks_sql_id which, const char *name)
{
    const ks_sql_statement *s = &ks_sql_common[which];
    const size_t n = strlen(s->args);
    Oid types[KS_SQL_ARGS_MAX];
    char text[TEXT_MAX];
    ks_sql_step rc;

    TDSA_ASSERT(n <= KS_SQL_ARGS_MAX);
    TDSA_ASSERT(translate(text, sizeof text, s->text));
    for (size_t i = 0; i < n; i++) {
        types[i] = type_of(s->args[i]);
    }
    rc = ks_postgres_answer(p, p->lost ? 0 : p->pq.sendPrepare(p->db, name, text, (int)n, types),
                            NULL);
    p->prepared[which] = rc == KS_SQL_DONE;
    return rc;
}

static void put_number(char out[8], int64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (char)(uint8_t)((uint64_t)v >> (56 - 8 * i));
    }
}

static ks_sql_step execute(ks_postgres *p, ks_sql_id which, const char *name,
                           const ks_sql_value *args, size_t n)
{
    const char *values[KS_SQL_ARGS_MAX];
    int lengths[KS_SQL_ARGS_MAX], formats[KS_SQL_ARGS_MAX];
    char numbers[KS_SQL_ARGS_MAX][8];

    for (size_t i = 0; i < n; i++) {
        formats[i] = 1;
        lengths[i] = (int)args[i].len;
        values[i] = args[i].data;
        if (args[i].type == KS_SQL_INT) {
            put_number(numbers[i], args[i].number);
            values[i] = numbers[i];
            lengths[i] = 8;
        } else if (args[i].type == KS_SQL_NULL) {
            values[i] = NULL;
            lengths[i] = 0;
        }
    }
    return ks_postgres_answer(
        p, p->lost ? 0 : p->pq.sendQueryPrepared(p->db, name, (int)n, values, lengths, formats, 1),
        &p->rows[which]);
}

static void postgres_finish(ks_sql_conn *c, ks_sql_id which)
{
    ks_postgres *p = ks_postgres_of(c);

    p->pq.clear(p->rows[which]);
    p->rows[which] = NULL;
}

static ks_sql_step postgres_start(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args,
                                  size_t n)
{
    ks_postgres *p = ks_postgres_of(c);
    ks_sql_step rc = KS_SQL_DONE;
    char name[16];

    TDSA_ASSERT(n <= KS_SQL_ARGS_MAX);
    postgres_finish(c, which);
    p->row[which] = -1;
    (void)snprintf(name, sizeof name, "s%u", (unsigned)which);
    if (!p->prepared[which]) {
        rc = prepare(p, which, name);
    }
    return rc == KS_SQL_DONE ? execute(p, which, name, args, n) : rc;
}

static ks_sql_step postgres_step(ks_sql_conn *c, ks_sql_id which)
{
    ks_postgres *p = ks_postgres_of(c);

    if (p->rows[which] == NULL || p->row[which] + 1 >= p->pq.ntuples(p->rows[which])) {
        return KS_SQL_DONE;
    }
    p->row[which]++;
    return KS_SQL_ROW;
}

/* Of 1, 2, 4 or 8 bytes, with sign. */
static int64_t get_number(const char *bytes, int len)
{
    uint64_t v = len > 0 && ((unsigned char)bytes[0] & 0x80u) != 0 ? UINT64_MAX : 0;

    for (int i = 0; i < len; i++) {
        v = (v << 8) | (unsigned char)bytes[i];
    }
    return (int64_t)v;
}

static void postgres_column(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out)
{
    ks_postgres *p = ks_postgres_of(c);
    const PGresult *rows = p->rows[which];
    const int row = p->row[which];
    const int at = (int)column;

    *out = (ks_sql_value){.type = KS_SQL_NULL};
    if (p->pq.getisnull(rows, row, at) != 0) {
        return;
    }
    out->data = p->pq.getvalue(rows, row, at);
    out->len = (size_t)p->pq.getlength(rows, row, at);
    switch (p->pq.ftype(rows, at)) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        out->type = KS_SQL_TEXT; /* libpq puts a NUL behind */
        return;
    case TYPE_BYTEA:
        out->type = KS_SQL_BLOB;
        return;
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        out->type = KS_SQL_INT;
        out->number = get_number(out->data, (int)out->len);
        return;
    default:
        break;
    }
    *out = (ks_sql_value){.type = KS_SQL_NULL};
}

static uint64_t postgres_changes(ks_sql_conn *c, ks_sql_id which)
{
    ks_postgres *p = ks_postgres_of(c);

    return p->rows[which] == NULL ? 0 : strtoull(p->pq.cmdTuples(p->rows[which]), NULL, 10);
}

const ks_sql_driver ks_driver_postgres = {
    .name = "postgres",
    .migrations = ks_postgres_migration,
    .migration_count = &ks_postgres_migration_count,
    .connect = ks_postgres_connect,
    .prepare = ks_postgres_prepare,
    .close = ks_postgres_close,
    .abandon = ks_postgres_abandon,
    .valid = postgres_valid,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .start = postgres_start,
    .step = postgres_step,
    .column = postgres_column,
    .changes = postgres_changes,
    .finish = postgres_finish,
    .schema = ks_postgres_schema,
    .migrate = ks_postgres_migrate,
    .identity = ks_postgres_identity,
};
