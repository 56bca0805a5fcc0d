#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "keystore/backend_sql.h"

/* How often a body runs at most. */
#define WRITES_MAX 5u
#define READS_MAX  2u
#define PAUSE_MS   5u

tdsa_status ks_sql_fail_on(const ks_sql_conn *c, ks_sql_step step, const char *what, tdsa_err *err)
{
    if (step == KS_SQL_BUSY) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s is busy: %s (another process holds it)", c->name, what);
    }
    return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: %s: %.200s", c->name, what, c->error);
}

tdsa_status ks_sql_fail(ks_sql *q, ks_sql_step step, const char *what, tdsa_err *err)
{
    if (q->dead) {
        return TDSA_FAIL(
            err, TDSA_E_STORE,
            "database %.120s: %s: its disk failed, and what is on it is unknown: restart",
            q->conn->name, what);
    }
    return ks_sql_fail_on(q->conn, step, what, err);
}

/* Remembers what went wrong, for the end of the transaction. */
static ks_sql_step noted(ks_sql *q, ks_sql_step step)
{
    if (step >= KS_SQL_AGAIN) {
        q->trouble = step;
    }
    if (step == KS_SQL_DEAD) {
        q->dead = true;
    }
    return step;
}

/* ---- statements ---- */

ks_stmt ks_stmt_use(ks_sql *q, ks_sql_id which)
{
    TDSA_ASSERT(q->conn != NULL);
    return (ks_stmt){.q = q, .c = q->conn, .which = which, .last = KS_SQL_ROW};
}

static void arg(ks_stmt *b, ks_sql_value v)
{
    TDSA_ASSERT(!b->started && b->n < KS_SQL_ARGS_MAX);
    b->arg[b->n++] = v;
}

void ks_arg_text(ks_stmt *b, const char *v)
{
    arg(b, (ks_sql_value){.type = KS_SQL_TEXT, .data = v, .len = strlen(v)});
}

void ks_arg_int(ks_stmt *b, int64_t v)
{
    arg(b, (ks_sql_value){.type = KS_SQL_INT, .number = v});
}

void ks_arg_u64(ks_stmt *b, uint64_t v)
{
    ks_arg_int(b, (int64_t)v);
}

void ks_arg_null(ks_stmt *b)
{
    arg(b, (ks_sql_value){.type = KS_SQL_NULL});
}

void ks_arg_bytes(ks_stmt *b, const uint8_t *v, size_t len)
{
    arg(b, (ks_sql_value){.type = KS_SQL_BLOB, .data = len > 0 ? (const void *)v : "", .len = len});
}

void ks_arg_blob(ks_stmt *b, const uint8_t *v, size_t len)
{
    if (len == 0) {
        ks_arg_null(b);
    } else {
        ks_arg_bytes(b, v, len);
    }
}

ks_sql_step ks_stmt_step(ks_stmt *b)
{
    if (b->last != KS_SQL_ROW) {
        return b->last;
    }
    if (b->q->dead) {
        b->last = noted(b->q, KS_SQL_DEAD);
        return b->last;
    }
    if (!b->started) {
        TDSA_ASSERT(strlen(ks_sql_common[b->which].args) == b->n);
        b->started = true;
        b->last = noted(b->q, b->c->driver->start(b->c, b->which, b->arg, b->n));
        if (b->last >= KS_SQL_AGAIN) {
            return b->last;
        }
    }
    b->last = noted(b->q, b->c->driver->step(b->c, b->which));
    return b->last;
}

void ks_stmt_done(ks_stmt *b)
{
    if (b->started) {
        b->c->driver->finish(b->c, b->which);
        b->started = false;
    }
}

tdsa_status ks_stmt_run(ks_stmt *b, uint64_t *changes, const char *what, tdsa_err *err)
{
    const ks_sql_step rc = ks_stmt_step(b);

    if (changes != NULL) {
        *changes = rc == KS_SQL_DONE ? b->c->driver->changes(b->c, b->which) : 0;
    }
    ks_stmt_done(b);
    return rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(b->q, rc, what, err);
}

static ks_sql_value column(ks_stmt *b, unsigned number)
{
    ks_sql_value v = {.type = KS_SQL_NULL};

    b->c->driver->column(b->c, b->which, number, &v);
    return v;
}

int64_t ks_col_int(ks_stmt *b, unsigned number)
{
    const ks_sql_value v = column(b, number);

    return v.type == KS_SQL_INT ? v.number : 0;
}

const char *ks_col_text(ks_stmt *b, unsigned number)
{
    const ks_sql_value v = column(b, number);

    return v.type == KS_SQL_TEXT ? v.data : NULL;
}

const uint8_t *ks_col_blob(ks_stmt *b, unsigned number, size_t *len)
{
    const ks_sql_value v = column(b, number);

    *len = 0;
    if (v.type != KS_SQL_BLOB && v.type != KS_SQL_TEXT) {
        return NULL;
    }
    *len = v.len;
    return v.len > 0 ? v.data : NULL;
}

/* ---- transactions ---- */

ks_sql_tx ks_sql_write(ks_sql *q)
{
    return (ks_sql_tx){.q = q, .writes = true};
}

ks_sql_tx ks_sql_read(ks_sql *q)
{
    return (ks_sql_tx){.q = q};
}

ks_sql_tx ks_sql_anywhere(ks_sql_tx tx)
{
    tx.anywhere = true;
    return tx;
}

static void lost(ks_sql *q)
{
    tdsa_logf(q->log, TDSA_LOG_WARN, KS_LOGGER, "database %s: the connection is lost: %s",
              q->conn->name, q->conn->error);
    ks_sql_drop(q);
}

/* The end of a body that went well. */
static ks_sql_step commit(ks_sql_tx *tx, tdsa_status *st, tdsa_err *err)
{
    ks_sql *q = tx->q;
    const ks_sql_step rc = noted(q, q->driver->commit(q->conn));

    if (rc == KS_SQL_LOST) {
        *st = TDSA_FAIL(err, TDSA_E_STORE,
                        "database %.120s: the connection was lost during commit, and whether that "
                        "happened is unknown: %.120s",
                        q->conn->name, q->conn->error);
    } else if (rc != KS_SQL_DONE) {
        *st = ks_sql_fail(q, rc, "commit", err);
    }
    return rc;
}

static bool may_run(const ks_sql_tx *tx)
{
    return !tx->given && tx->runs < (tx->writes ? WRITES_MAX : READS_MAX);
}

static bool passes(ks_sql_step trouble)
{
    return trouble == KS_SQL_AGAIN || trouble == KS_SQL_LOST;
}

/* After a body: whether it is to run again. */
static bool again(ks_sql_tx *tx, tdsa_status *st, tdsa_err *err)
{
    ks_sql *q = tx->q;
    const bool ended = *st == TDSA_OK && tx->writes;
    bool unknown = false;

    if (*st == TDSA_OK && (!tx->writes || commit(tx, st, err) == KS_SQL_DONE)) {
        return false;
    }
    if (q->trouble == KS_SQL_LOST) {
        unknown = ended;
        lost(q);
    } else if (tx->writes) {
        q->driver->rollback(q->conn);
    }
    return passes(q->trouble) && !unknown && may_run(tx);
}

/* In a transaction that has begun, which ends when it is of no use. */
static tdsa_status check_fence(ks_sql *q, tdsa_err *err)
{
    const tdsa_status st = ks_sql_fence(q, err);

    if (st != TDSA_OK && q->trouble == KS_SQL_LOST) {
        lost(q);
    } else if (st != TDSA_OK) {
        q->driver->rollback(q->conn);
    }
    return st;
}

/* Takes a connection and begins. */
static tdsa_status start(ks_sql_tx *tx, tdsa_err *err)
{
    ks_sql *q = tx->q;
    ks_sql_step rc = KS_SQL_DONE;
    tdsa_status st;

    if (q->trouble == KS_SQL_AGAIN) { /* let the other one get on */
        ks_sql_pause(tx->runs * tx->runs * PAUSE_MS + (uint32_t)getpid() % PAUSE_MS);
    }
    q->trouble = KS_SQL_DONE;
    tx->runs++;
    st = ks_sql_ensure(q, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (q->moved && q->fenced && !tx->anywhere) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s is not the one of before (%.120s)",
                         q->conn->name, q->identity);
    }
    if (tx->writes) {
        rc = noted(q, q->dead ? KS_SQL_DEAD : q->driver->begin(q->conn));
    }
    if (rc != KS_SQL_DONE) {
        st = ks_sql_fail(q, rc, "begin", err);
    }
    if (rc == KS_SQL_LOST) {
        lost(q);
    }
    return st == TDSA_OK && tx->writes && q->base.fencing ? check_fence(q, err) : st;
}

bool ks_sql_tx_next(ks_sql_tx *tx, tdsa_status *st, tdsa_err *err)
{
    if (!tx->running) {
        tx->q->trouble = KS_SQL_DONE;
    } else if (!again(tx, st, err)) {
        return false;
    }
    do {
        *st = start(tx, err);
    } while (*st != TDSA_OK && passes(tx->q->trouble) && may_run(tx));
    tx->running = *st == TDSA_OK;
    return tx->running;
}
