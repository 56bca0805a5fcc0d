#ifndef KS_DRIVER_MARIADB_H
#define KS_DRIVER_MARIADB_H

#include <mysql.h>
#include <signal.h>

#include "keystore/server.h"
#include "keystore/sql.h"

/** Only for the files driver_mariadb*.c, the only ones that see mysql.h. MariaDB 10.6 or later, and
 * MySQL 8 as far as its manual goes: only MariaDB is tested. */

/** The functions of libmariadb.so.3 that are used. */
typedef struct {
    __typeof__(mysql_server_init) *mysql_server_init;
    __typeof__(mysql_init) *mysql_init;
    __typeof__(mysql_options) *mysql_options;
    __typeof__(mysql_real_connect) *mysql_real_connect;
    __typeof__(mysql_close) *mysql_close;
    __typeof__(mysql_errno) *mysql_errno;
    __typeof__(mysql_error) *mysql_error;
    __typeof__(mysql_real_query) *mysql_real_query;
    __typeof__(mysql_store_result) *mysql_store_result;
    __typeof__(mysql_fetch_row) *mysql_fetch_row;
    __typeof__(mysql_free_result) *mysql_free_result;
    __typeof__(mysql_get_socket) *mysql_get_socket;
    __typeof__(mysql_get_ssl_cipher) *mysql_get_ssl_cipher;
    __typeof__(mysql_stmt_init) *mysql_stmt_init;
    __typeof__(mysql_stmt_prepare) *mysql_stmt_prepare;
    __typeof__(mysql_stmt_execute) *mysql_stmt_execute;
    __typeof__(mysql_stmt_fetch) *mysql_stmt_fetch;
    __typeof__(mysql_stmt_fetch_column) *mysql_stmt_fetch_column;
    __typeof__(mysql_stmt_store_result) *mysql_stmt_store_result;
    __typeof__(mysql_stmt_param_count) *mysql_stmt_param_count;
    __typeof__(mysql_stmt_bind_param) *mysql_stmt_bind_param;
    __typeof__(mysql_stmt_bind_result) *mysql_stmt_bind_result;
    __typeof__(mysql_stmt_close) *mysql_stmt_close;
    __typeof__(mysql_stmt_free_result) *mysql_stmt_free_result;
    __typeof__(mysql_stmt_result_metadata) *mysql_stmt_result_metadata;
    __typeof__(mysql_stmt_errno) *mysql_stmt_errno;
    __typeof__(mysql_stmt_error) *mysql_stmt_error;
    __typeof__(mysql_stmt_affected_rows) *mysql_stmt_affected_rows;
    __typeof__(mysql_stmt_field_count) *mysql_stmt_field_count;
    __typeof__(mysql_fetch_field_direct) *mysql_fetch_field_direct;
} ma_library;

/** Loads the library once for the process. Errors: TDSA_E_CONFIG, naming the package. */
TDSA_MUST_USE tdsa_status ks_mariadb_library(const ma_library **out, tdsa_err *err) TDSA_NONNULL;

/** Around what may write: TLS writes in a way that raises SIGPIPE when the server is gone, and the process
 * may be somebody else's, who has other plans for that signal. */
typedef struct {
    sigset_t before;
    bool pending, on;
} ma_quiet;
ma_quiet ks_mariadb_quiet(bool on);
void ks_mariadb_loud(const ma_quiet *quiet) TDSA_NONNULL;
/** Quiet until the end of the block. */
#define MA_QUIET(on) \
    __attribute__((cleanup(ks_mariadb_loud), unused)) ma_quiet quiet = ks_mariadb_quiet(on)

/* ---- statements ---- */

/** What is said where the common text is of another dialect. */
typedef struct {
    const char *first;
    const char *otherwise; /* run when `first` changed nothing; NULL: nothing */
    const char *then;      /* run after `first` in any case, for its rows; NULL: nothing */
} ma_text;

/** All NULL: the common text. */
extern const ma_text ks_mariadb_text[KS_SQL_COUNT];

/** A text with ? for ?N. */
typedef struct {
    char *text;
    unsigned count;                         /* of ? */
    unsigned char arg[4 * KS_SQL_ARGS_MAX]; /* which argument each is, from 0 */
} ma_rewritten;

/** False when memory ran out. Texts are ours: one that is wrong fails an assertion. */
TDSA_MUST_USE bool ks_mariadb_rewrite(ma_rewritten *out, const char *text) TDSA_NONNULL;

typedef struct {
    ks_sql_type type; /* as far as the column says; NULL stands in `null` */
    my_bool null;
    long long number;
    unsigned long len;
    unsigned char *bytes; /* len and a NUL */
    size_t room;
} ma_column;

typedef struct {
    MYSQL_STMT *stmt;
    ma_rewritten say;
    MYSQL_BIND *bind; /* one for each column */
    ma_column *column;
    unsigned columns;
} ma_prepared;

enum { MA_FIRST, MA_OTHERWISE, MA_THEN, MA_PARTS };

/** One ks_sql_id: prepared when it is first used, kept until the connection goes. */
typedef struct {
    ma_prepared part[MA_PARTS];
    ma_prepared *rows; /* the one whose rows are being read */
    uint64_t changes;
} ma_statement;

typedef struct {
    ks_sql_conn base;
    const ma_library *f;
    MYSQL *db;
    bool in_transaction;
    bool undone; /* a statement of the transaction failed: no other until it is rolled back */
    bool lost;   /* nothing more is sent */
    bool tls;
    unsigned lock_wait_s;
    unsigned number; /* of the last error */
    ma_statement statement[KS_SQL_COUNT];
} ma_conn;

static inline ma_conn *ks_mariadb_of(ks_sql_conn *c)
{
    return (ma_conn *)(void *)c;
}

ks_sql_step ks_mariadb_start(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args, size_t n);
ks_sql_step ks_mariadb_step(ks_sql_conn *c, ks_sql_id which);
void ks_mariadb_column(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out);
uint64_t ks_mariadb_changes(ks_sql_conn *c, ks_sql_id which);
void ks_mariadb_finish(ks_sql_conn *c, ks_sql_id which);
/** Frees all statements. */
void ks_mariadb_drop_statements(ma_conn *m) TDSA_NONNULL;

/* ---- plain queries ---- */

/** Runs a text without arguments; its rows, if any, go unread. */
ks_sql_step ks_mariadb_run(ma_conn *m, const char *text) TDSA_NONNULL;
/** Called for each row; columns are NUL-terminated texts, or NULL. */
typedef void (*ma_row_fn)(void *ctx, const char *const *column);
ks_sql_step ks_mariadb_query(ma_conn *m, const char *text, ma_row_fn fn, void *ctx)
    __attribute__((nonnull(1, 2)));

/* ---- errors ---- */

/** What an error number of client or server means, with m->base.error filled in and, inside a transaction,
 * everything undone. */
ks_sql_step ks_mariadb_failed(ma_conn *m, unsigned number, const char *message) TDSA_NONNULL;
/** The text alone: what it means and what to do, never a value. */
void ks_mariadb_explain(char *out, size_t room, unsigned number, const char *message) TDSA_NONNULL;
/** The server is gone, or this connection to it. */
bool ks_mariadb_is_lost(unsigned number);

/* ---- connections and tables ---- */

tdsa_status ks_mariadb_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err);
void ks_mariadb_close(ks_sql_conn *c);
void ks_mariadb_abandon(ks_sql_conn *c);
tdsa_status ks_mariadb_prepare(ks_sql_conn *c, tdsa_err *err);
ks_sql_step ks_mariadb_schema(ks_sql_conn *c, ks_sql_schema *out);
ks_sql_step ks_mariadb_migrate(ks_sql_conn *c, uint32_t number);
tdsa_status ks_mariadb_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err);

/** The files keystore/sql/mariadb/NNNN-*.sql, put in by the build. */
extern const char *const ks_mariadb_migration[];
extern const uint32_t ks_mariadb_migration_count;

#endif
