#ifndef KS_DRIVER_POSTGRES_H
#define KS_DRIVER_POSTGRES_H

#include <libpq-fe.h>

#include "keystore/server.h"
#include "keystore/sql.h"

/** Only for the files driver_postgres*.c, the only ones that see libpq-fe.h. */

/** The calls of libpq that we make, without their PQ. */
#define KS_PQ_CALLS(X)    \
    X(clear)              \
    X(cmdStatus)          \
    X(cmdTuples)          \
    X(connectPoll)        \
    X(connectStartParams) \
    X(consumeInput)       \
    X(errorMessage)       \
    X(finish)             \
    X(flush)              \
    X(ftype)              \
    X(getResult)          \
    X(getisnull)          \
    X(getlength)          \
    X(getvalue)           \
    X(isBusy)             \
    X(ntuples)            \
    X(parameterStatus)    \
    X(resultErrorField)   \
    X(resultStatus)       \
    X(sendPrepare)        \
    X(sendQuery)          \
    X(sendQueryPrepared)  \
    X(serverVersion)      \
    X(setErrorVerbosity)  \
    X(setNoticeReceiver)  \
    X(setnonblocking)     \
    X(socket)             \
    X(status)             \
    X(transactionStatus)

#define KS_PQ_MEMBER(name) __typeof__(PQ##name) *name;
typedef struct {
    KS_PQ_CALLS(KS_PQ_MEMBER)
} ks_pq;

#define KS_PQ_LIBRARY "libpq.so.5"

typedef struct {
    ks_sql_conn base;
    ks_pq pq;
    PGconn *db;
    uint32_t timeout_ms; /* of statements and of waits for a lock */
    uint32_t
        patience_ms; /* longest wait for an answer: the server ends its own waits before that */
    bool lost;       /* nothing is sent any more */
    bool warned;     /* the server sent a warning */
    bool ready;      /* tables are there */
    bool prepared[KS_SQL_COUNT];
    PGresult *rows[KS_SQL_COUNT]; /* NULL: not in use */
    int row[KS_SQL_COUNT];        /* the present one; -1: before the first */
} ks_postgres;

ks_postgres *ks_postgres_of(ks_sql_conn *c) TDSA_NONNULL;

/** Loads libpq for the rest of the process's life. Errors: TDSA_E_CONFIG with the package to install. */
TDSA_MUST_USE tdsa_status ks_pq_load(ks_pq *out, const char *library, tdsa_err *err) TDSA_NONNULL;

/* ---- driver_postgres_wait.c ---- */

/** Monotonic milliseconds. */
uint64_t ks_postgres_now(void);
/** Waits for the whole answer to what was sent (`sent` 0: it could not be); *out (may be NULL) are its rows,
 * to be cleared. A server that does not answer in time costs the connection: LOST. */
ks_sql_step ks_postgres_answer(ks_postgres *p, int sent, PGresult **out)
    __attribute__((nonnull(1)));
/** Sends a text of one or more statements and waits. */
ks_sql_step ks_postgres_query(ks_postgres *p, const char *text, PGresult **out)
    __attribute__((nonnull(1, 2)));
/** A text column of the first row as a number; 0 when there is none. */
int64_t ks_postgres_number(const ks_postgres *p, const PGresult *rows, int column) TDSA_NONNULL;
/** A text column of the first row; "" when there is none. */
const char *ks_postgres_text(const ks_postgres *p, const PGresult *rows, int column) TDSA_NONNULL;
/** What can be done about an error with this code (5 characters); "" when that is not known. */
const char *ks_postgres_advice(const char *code) TDSA_NONNULL;
/** One line of printable characters. */
void ks_postgres_tidy(char *out, size_t size, const char *text) TDSA_NONNULL;

/* ---- driver_postgres_connect.c ---- */

tdsa_status ks_postgres_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err);
void ks_postgres_close(ks_sql_conn *c);
void ks_postgres_abandon(ks_sql_conn *c);

/* ---- driver_postgres_schema.c ---- */

/** Makes the schema with our tables, else the first of search_path, the only one that is looked at. */
ks_sql_step ks_postgres_settle(ks_postgres *p) TDSA_NONNULL;
ks_sql_step ks_postgres_schema(ks_sql_conn *c, ks_sql_schema *out);
ks_sql_step ks_postgres_migrate(ks_sql_conn *c, uint32_t number);
tdsa_status ks_postgres_prepare(ks_sql_conn *c, tdsa_err *err);
tdsa_status ks_postgres_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err);

/** The files keystore/sql/postgres/NNNN-*.sql, put in by the build. */
extern const char *const ks_postgres_migration[];
extern const uint32_t ks_postgres_migration_count;

#endif
