#define _GNU_SOURCE 1 /* asprintf, strerrordesc_np */
#include "keystore/driver_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE       (S_IRUSR | S_IWUSR)
#define RETRY_MS        10
#define BUSY_TIMEOUT_MS 2000u

static tdsa_status check_folder(const ks_sqlite_conn *q, tdsa_err *err)
{
    const char *slash = strrchr(q->path, '/');
    char *folder = NULL;
    struct stat info;
    bool ok = false;

    if (slash == NULL || slash == q->path) {
        return TDSA_OK; /* here, or the root */
    }
    folder = strndup(q->path, (size_t)(slash - q->path));
    if (folder == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    ok = stat(folder, &info) == 0 && S_ISDIR(info.st_mode);
    free(folder);
    if (!ok) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: its folder does not exist", q->path);
    }
    return TDSA_OK;
}

/*
 * Makes the file with mode 0600 whatever the umask says; its -wal and -shm take the same mode. An
 * existing file is never opened and closed here: in another connection of this process that would
 * drop its POSIX locks.
 */
static tdsa_status prepare_file(const ks_sqlite_conn *q, bool create, tdsa_err *err)
{
    struct stat info;
    int fd = -1;

    if (create) {
        fd = open(q->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        if (fd >= 0) {
            const bool ok = fchmod(fd, FILE_MODE) == 0;

            (void)close(fd);
            return ok ? TDSA_OK
                      : TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: cannot set mode 0600",
                                  q->path);
        }
        if (errno != EEXIST) {
            return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s cannot be made: %s", q->path,
                             strerrordesc_np(errno));
        }
    }
    if (stat(q->path, &info) != 0) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: %s%s", q->path,
                         strerrordesc_np(errno),
                         errno == ENOENT ? " (create-tables makes a new one)" : "");
    }
    if (!S_ISREG(info.st_mode)) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s is not a file", q->path);
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0 && chmod(q->path, FILE_MODE) != 0) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s may be read by others: set its mode to 0600", q->path);
    }
    return TDSA_OK;
}

static tdsa_status fail(ks_sqlite_conn *q, int rc, const char *what, tdsa_err *err)
{
    return ks_sql_fail_on(&q->base, ks_sqlite_outcome(q, rc), what, err);
}

static tdsa_status open_handle(ks_sqlite_conn *q, tdsa_err *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_PRIVATECACHE |
                      SQLITE_OPEN_EXRESCODE;
    /* with "./" in front, a name like "file:x" is never taken for a URI */
    char *name = NULL;
    int rc;

    if (asprintf(&name, "%s%s", q->path[0] == '/' ? "" : "./", q->path) < 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    rc = sqlite3_open_v2(name, &q->db, flags, "unix");
    free(name);
    if (rc != SQLITE_OK) {
        return fail(q, rc, "open", err);
    }
    (void)sqlite3_busy_timeout(q->db, (int)q->busy_timeout_ms);
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (sqlite3_db_readonly(q->db, "main") != 0) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s cannot be written", q->path);
    }
    return TDSA_OK;
}

int ks_sqlite_pragma(ks_sqlite_conn *q, const char *sql, int64_t *number, const char *expect)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(q->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (number != NULL) {
            *number = sqlite3_column_int64(stmt, 0);
        }
        if (expect != NULL) {
            const unsigned char *got = sqlite3_column_text(stmt, 0);

            if (got == NULL || sqlite3_stricmp((const char *)got, expect) != 0) {
                rc = SQLITE_CANTOPEN;
            }
        }
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(stmt);
    return rc;
}

/* Changing to WAL needs the file alone, and SQLite does not wait for that by itself. */
static int switch_to_wal(ks_sqlite_conn *q)
{
    int rc = SQLITE_BUSY;

    for (uint32_t waited = 0; (rc & 0xff) == SQLITE_BUSY && waited <= q->busy_timeout_ms;
         waited += RETRY_MS) {
        rc = ks_sqlite_pragma(q, "PRAGMA journal_mode = WAL", NULL, "wal");
        if ((rc & 0xff) == SQLITE_BUSY) {
            (void)sqlite3_sleep(RETRY_MS);
        }
    }
    return rc;
}

static tdsa_status set_up(ks_sqlite_conn *q, tdsa_err *err)
{
    static const char *const pragmas[] = {
        "PRAGMA synchronous = FULL",
        "PRAGMA secure_delete = ON",
        "PRAGMA temp_store = MEMORY", /* no temporary file ever holds a row */
        "PRAGMA cell_size_check = ON",
    };
    int rc = switch_to_wal(q);

    for (size_t i = 0; rc == SQLITE_OK && i < sizeof pragmas / sizeof pragmas[0]; i++) {
        rc = ks_sqlite_pragma(q, pragmas[i], NULL, NULL);
    }
    if (rc == SQLITE_NOTADB) {
        return TDSA_FAIL(err, TDSA_E_STORE, "%.120s is not a SQLite database", q->path);
    }
    return rc == SQLITE_OK ? TDSA_OK : fail(q, rc, "set-up", err);
}

/* What the common texts use and SQLite does not have. */
static void bit_count(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    (void)argc;
    sqlite3_result_int(ctx, __builtin_popcountll((unsigned long long)sqlite3_value_int64(argv[0])));
}

static void greatest(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const int64_t a = sqlite3_value_int64(argv[0]);
    const int64_t b = sqlite3_value_int64(argv[1]);

    (void)argc;
    sqlite3_result_int64(ctx, a > b ? a : b);
}

tdsa_status ks_sqlite_prepare(ks_sql_conn *c, tdsa_err *err)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    ks_sqlite_conn *q = ks_sqlite_of(c);
    int rc = sqlite3_create_function(q->db, "bit_count", 1, flags, NULL, bit_count, NULL, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_create_function(q->db, "greatest", 2, flags, NULL, greatest, NULL, NULL);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < KS_SQL_COUNT; i++) {
        rc = sqlite3_prepare_v3(q->db, ks_sql_common[i].text, -1, SQLITE_PREPARE_PERSISTENT,
                                &q->stmt[i], NULL);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < KS_SQLITE_OWN; i++) {
        rc = sqlite3_prepare_v3(q->db, ks_sqlite_own[i], -1, SQLITE_PREPARE_PERSISTENT, &q->own[i],
                                NULL);
    }
    if ((rc & 0xff) == SQLITE_ERROR) { /* tables that are gone are never made again: see README */
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s is damaged: %.80s; restore a backup",
                         q->path, sqlite3_errmsg(q->db));
    }
    return rc == SQLITE_OK ? TDSA_OK : fail(q, rc, "preparing", err);
}

static tdsa_status open_file(ks_sqlite_conn *q, bool create, tdsa_err *err)
{
    tdsa_status st = check_folder(q, err);

    if (st == TDSA_OK) {
        st = prepare_file(q, create, err);
    }
    if (st == TDSA_OK) {
        st = open_handle(q, err);
    }
    if (st == TDSA_OK) {
        st = set_up(q, err);
    }
    return st;
}

tdsa_status ks_sqlite_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err)
{
    ks_sqlite_conn *q = NULL;
    tdsa_status st;

    *out = NULL;
    if (cfg->path == NULL || cfg->path[0] == '\0' || cfg->path[0] == ':') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend sqlite needs the path of a database file");
    }
    q = calloc(1, sizeof *q);
    if (q == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    q->base.driver = &ks_driver_sqlite;
    q->busy_timeout_ms = cfg->busy_timeout_ms != 0 ? cfg->busy_timeout_ms : BUSY_TIMEOUT_MS;
    (void)snprintf(q->base.name, sizeof q->base.name, "%s", cfg->path);
    q->path = strdup(cfg->path);
    st = q->path != NULL ? open_file(q, cfg->create_tables, err)
                         : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    if (st != TDSA_OK) {
        ks_sqlite_close(&q->base);
        return st;
    }
    *out = &q->base;
    return TDSA_OK;
}
