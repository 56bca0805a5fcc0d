#include "keystore/driver_mariadb.h"

#include <errmsg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define BINARY_CHARSET 63u

static ks_sql_step no_memory(ma_conn *m)
{
    return ks_mariadb_failed(m, CR_OUT_OF_MEMORY, "no memory");
}

static ks_sql_step failed(ma_conn *m, MYSQL_STMT *stmt)
{
    return ks_mariadb_failed(m, m->f->mysql_stmt_errno(stmt), m->f->mysql_stmt_error(stmt));
}

/* ---- preparing ---- */

static ks_sql_type type_of(const MYSQL_FIELD *field)
{
    switch ((int)field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_NEWDECIMAL: /* a sum */
        return KS_SQL_INT;
    case MYSQL_TYPE_NULL:
        return KS_SQL_NULL;
    case MYSQL_TYPE_VAR_STRING:
        return KS_SQL_TEXT; /* of VARBINARY too: such is a label */
    default:
        return field->charsetnr == BINARY_CHARSET ? KS_SQL_BLOB : KS_SQL_TEXT;
    }
}

/* Numbers go where they belong at once; of the rest only the length is fetched at first. */
static ks_sql_step bind_columns(ma_conn *m, ma_prepared *p)
{
    MYSQL_RES *about = NULL;

    p->columns = m->f->mysql_stmt_field_count(p->stmt);
    if (p->columns == 0) {
        return KS_SQL_DONE;
    }
    p->bind = calloc(p->columns, sizeof *p->bind);
    p->column = calloc(p->columns, sizeof *p->column);
    about = m->f->mysql_stmt_result_metadata(p->stmt);
    if (p->bind == NULL || p->column == NULL || about == NULL) {
        if (about != NULL) {
            m->f->mysql_free_result(about);
        }
        return no_memory(m);
    }
    for (unsigned i = 0; i < p->columns; i++) {
        ma_column *column = &p->column[i];

        column->type = type_of(m->f->mysql_fetch_field_direct(about, i));
        p->bind[i].is_null = &column->null;
        p->bind[i].length = &column->len;
        if (column->type == KS_SQL_INT) {
            p->bind[i].buffer_type = MYSQL_TYPE_LONGLONG;
            p->bind[i].buffer = &column->number;
        } else {
            p->bind[i].buffer_type = MYSQL_TYPE_BLOB;
        }
    }
    m->f->mysql_free_result(about);
    return m->f->mysql_stmt_bind_result(p->stmt, p->bind) != 0 ? failed(m, p->stmt) : KS_SQL_DONE;
}

static void drop(ma_conn *m, ma_prepared *p)
{
    MA_QUIET(m->tls);

    if (p->stmt != NULL) {
        (void)m->f->mysql_stmt_close(p->stmt);
    }
    for (unsigned i = 0; p->column != NULL && i < p->columns; i++) {
        free(p->column[i].bytes);
    }
    free(p->column);
    free(p->bind);
    free(p->say.text);
    memset(p, 0, sizeof *p);
}

static ks_sql_step prepare_part(ma_conn *m, ma_prepared *p, const char *text)
{
    MA_QUIET(m->tls);
    ks_sql_step step = KS_SQL_DONE;

    if (p->stmt != NULL) {
        return KS_SQL_DONE;
    }
    if (!ks_mariadb_rewrite(&p->say, text)) {
        return no_memory(m);
    }
    p->stmt = m->f->mysql_stmt_init(m->db);
    if (p->stmt == NULL) {
        step = no_memory(m);
    } else if (m->f->mysql_stmt_prepare(p->stmt, p->say.text, (unsigned long)strlen(p->say.text)) !=
               0) {
        step = failed(m, p->stmt);
    } else {
        TDSA_ASSERT(m->f->mysql_stmt_param_count(p->stmt) == p->say.count);
        step = bind_columns(m, p);
    }
    if (step != KS_SQL_DONE) {
        drop(m, p);
    }
    return step;
}

void ks_mariadb_drop_statements(ma_conn *m)
{
    for (size_t i = 0; i < KS_SQL_COUNT; i++) {
        for (size_t part = 0; part < MA_PARTS; part++) {
            drop(m, &m->statement[i].part[part]);
        }
    }
}

/* ---- running ---- */

static void give_argument(MYSQL_BIND *to, const ks_sql_value *from, long long *number)
{
    switch (from->type) {
    case KS_SQL_NULL:
        to->buffer_type = MYSQL_TYPE_NULL;
        break;
    case KS_SQL_INT:
        *number = from->number;
        to->buffer_type = MYSQL_TYPE_LONGLONG;
        to->buffer = number;
        break;
    case KS_SQL_TEXT:
    case KS_SQL_BLOB:
        to->buffer_type = from->type == KS_SQL_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        memcpy(&to->buffer, &from->data, sizeof to->buffer); /* the library only reads it */
        to->buffer_length = (unsigned long)from->len;
        break;
    }
}

static ks_sql_step run_part(ma_conn *m, ma_statement *s, ma_prepared *p, const ks_sql_value *args,
                            size_t n)
{
    MA_QUIET(m->tls);
    MYSQL_BIND bind[sizeof p->say.arg];
    long long number[sizeof p->say.arg];

    memset(bind, 0, sizeof bind);
    for (unsigned i = 0; i < p->say.count; i++) {
        TDSA_ASSERT(p->say.arg[i] < n);
        give_argument(&bind[i], &args[p->say.arg[i]], &number[i]);
    }
    if (p->say.count > 0 && m->f->mysql_stmt_bind_param(p->stmt, bind) != 0) {
        return failed(m, p->stmt);
    }
    if (m->f->mysql_stmt_execute(p->stmt) != 0) {
        return failed(m, p->stmt);
    }
    if (p->columns == 0) {
        s->changes = m->f->mysql_stmt_affected_rows(p->stmt);
        return KS_SQL_DONE;
    }
    s->rows = p;
    /* all of them are here then: others may run while they are read */
    return m->f->mysql_stmt_store_result(p->stmt) != 0 ? failed(m, p->stmt) : KS_SQL_DONE;
}

static ks_sql_step prepare_and_run(ma_conn *m, ks_sql_id which, int part, const char *text,
                                   const ks_sql_value *args, size_t n)
{
    ma_statement *s = &m->statement[which];
    const ks_sql_step step = prepare_part(m, &s->part[part], text);

    return step == KS_SQL_DONE ? run_part(m, s, &s->part[part], args, n) : step;
}

ks_sql_step ks_mariadb_start(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args, size_t n)
{
    ma_conn *m = ks_mariadb_of(c);
    const ma_text *own = &ks_mariadb_text[which];
    ma_statement *s = &m->statement[which];
    const char *first = own->first != NULL ? own->first : ks_sql_common[which].text;
    ks_sql_step step;

    TDSA_ASSERT(s->rows == NULL);
    s->changes = 0;
    if (m->lost) {
        return KS_SQL_LOST;
    }
    if (m->undone) { /* outside of its transaction it must not happen */
        return KS_SQL_FAIL;
    }
    step = prepare_and_run(m, which, MA_FIRST, first, args, n);
    if (step == KS_SQL_DONE && own->otherwise != NULL && s->changes == 0) {
        step = prepare_and_run(m, which, MA_OTHERWISE, own->otherwise, args, n);
    }
    if (step == KS_SQL_DONE && own->then != NULL) {
        step = prepare_and_run(m, which, MA_THEN, own->then, args, n);
    }
    return step;
}

/* The bytes of one column, after a row was fetched. */
static ks_sql_step fetch_bytes(ma_conn *m, ma_prepared *p, unsigned i)
{
    ma_column *column = &p->column[i];
    MYSQL_BIND bind;
    unsigned long len = 0;
    my_bool null = 0;

    if (column->room < column->len + 1) {
        unsigned char *more = realloc(column->bytes, column->len + 1);

        if (more == NULL) {
            return no_memory(m);
        }
        column->bytes = more;
        column->room = column->len + 1;
    }
    column->bytes[column->len] = '\0';
    if (column->len == 0) {
        return KS_SQL_ROW;
    }
    memset(&bind, 0, sizeof bind);
    bind.buffer_type = MYSQL_TYPE_BLOB;
    bind.buffer = column->bytes;
    bind.buffer_length = column->len;
    bind.length = &len;
    bind.is_null = &null;
    return m->f->mysql_stmt_fetch_column(p->stmt, &bind, i, 0) != 0 ? failed(m, p->stmt)
                                                                    : KS_SQL_ROW;
}

ks_sql_step ks_mariadb_step(ks_sql_conn *c, ks_sql_id which)
{
    ma_conn *m = ks_mariadb_of(c);
    ma_prepared *p = m->statement[which].rows;
    ks_sql_step step = KS_SQL_ROW;
    int rc;

    if (p == NULL) {
        return KS_SQL_DONE;
    }
    rc = m->f->mysql_stmt_fetch(p->stmt);
    if (rc == MYSQL_NO_DATA) {
        return KS_SQL_DONE;
    }
    if (rc != 0 && rc != MYSQL_DATA_TRUNCATED) {
        return failed(m, p->stmt);
    }
    for (unsigned i = 0; step == KS_SQL_ROW && i < p->columns; i++) {
        if (!p->column[i].null && p->column[i].type >= KS_SQL_TEXT) {
            step = fetch_bytes(m, p, i);
        }
    }
    return step;
}

void ks_mariadb_column(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out)
{
    const ma_prepared *p = ks_mariadb_of(c)->statement[which].rows;
    const ma_column *from = NULL;

    TDSA_ASSERT(p != NULL && column < p->columns);
    from = &p->column[column];
    memset(out, 0, sizeof *out);
    out->type = from->null ? KS_SQL_NULL : from->type;
    if (out->type == KS_SQL_INT) {
        out->number = from->number;
    } else if (out->type != KS_SQL_NULL) {
        out->data = from->bytes;
        out->len = from->len;
    }
}

uint64_t ks_mariadb_changes(ks_sql_conn *c, ks_sql_id which)
{
    return ks_mariadb_of(c)->statement[which].changes;
}

void ks_mariadb_finish(ks_sql_conn *c, ks_sql_id which)
{
    ma_conn *m = ks_mariadb_of(c);
    ma_statement *s = &m->statement[which];

    if (s->rows != NULL) {
        (void)m->f->mysql_stmt_free_result(s->rows->stmt);
        s->rows = NULL;
    }
}

/* ---- plain queries ---- */

ks_sql_step ks_mariadb_query(ma_conn *m, const char *text, ma_row_fn fn, void *ctx)
{
    MA_QUIET(m->tls);
    MYSQL_RES *rows = NULL;

    if (m->lost) {
        return KS_SQL_LOST;
    }
    if (m->f->mysql_real_query(m->db, text, (unsigned long)strlen(text)) != 0) {
        return ks_mariadb_failed(m, m->f->mysql_errno(m->db), m->f->mysql_error(m->db));
    }
    rows = m->f->mysql_store_result(m->db);
    if (rows == NULL) {
        const unsigned number = m->f->mysql_errno(m->db);

        return number == 0 ? KS_SQL_DONE : ks_mariadb_failed(m, number, m->f->mysql_error(m->db));
    }
    for (MYSQL_ROW row = m->f->mysql_fetch_row(rows); row != NULL;
         row = m->f->mysql_fetch_row(rows)) {
        if (fn != NULL) {
            fn(ctx, (const char *const *)row);
        }
    }
    m->f->mysql_free_result(rows);
    return KS_SQL_DONE;
}

ks_sql_step ks_mariadb_run(ma_conn *m, const char *text)
{
    return ks_mariadb_query(m, text, NULL, NULL);
}
