#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keystore/driver_postgres.h"

/* SQLSTATEs, the first that fits from the left: what becomes of the work, and what a person can do. */
static const struct {
    const char *code;
    ks_sql_step step;
    const char *advice;
} known[] = {
    {"40001", KS_SQL_AGAIN, ""},
    {"40P01", KS_SQL_AGAIN, ""},
    {"55P03", KS_SQL_BUSY, ""},
    {"57014", KS_SQL_BUSY, ""},
    {"08", KS_SQL_LOST, ""},
    {"57P03", KS_SQL_LOST, "the server starts or stops: wait"},
    {"57P", KS_SQL_LOST, ""},
    {"25P03", KS_SQL_LOST, ""},
    {"40003", KS_SQL_LOST, ""},
    {"25006", KS_SQL_LOST, "the server takes no writes: is it a standby?"},
    {"26000", KS_SQL_LOST, "is there a pooler between that does not keep sessions?"},
    {"0A000", KS_SQL_LOST, ""}, /* a table was changed under a prepared statement */
    {"53100", KS_SQL_FAIL, "the server's disk is full: make room there"},
    {"53200", KS_SQL_FAIL, "the server has too little memory"},
    {"53300", KS_SQL_LOST, "raise max_connections of the server, or let less programs connect"},
    {"42501", KS_SQL_FAIL,
     "the role has no right to that: GRANT it, or run create-tables as the owner"},
    {"42P01", KS_SQL_FAIL, "a table is gone: restore a backup"},
    {"3D000", KS_SQL_FAIL, "make the database first (CREATE DATABASE ... ENCODING 'UTF8')"},
    {"3F000", KS_SQL_FAIL, "the role's search_path names no schema that exists: make one"},
    {"28", KS_SQL_FAIL, "check user and password, and pg_hba.conf of the server"},
    {"58", KS_SQL_FAIL, "the server's disk fails: see its log"},
    {"XX", KS_SQL_FAIL, "the database is damaged: see the server's log"},
};

static size_t find(const char *code)
{
    size_t i = 0;

    while (i < sizeof known / sizeof known[0] &&
           strncmp(code, known[i].code, strlen(known[i].code)) != 0) {
        i++;
    }
    return i;
}

const char *ks_postgres_advice(const char *code)
{
    const size_t i = find(code);

    return i < sizeof known / sizeof known[0] ? known[i].advice : "";
}

void ks_postgres_tidy(char *out, size_t size, const char *text)
{
    size_t n = 0;

    while (*text != '\0' && n + 1 < size) {
        const bool blank = *text == ' ' || *text == '\n' || *text == '\t';

        if (blank && (n == 0 || out[n - 1] == ' ')) {
            text++;
            continue;
        }
        out[n++] = (char)(blank ? ' ' : (unsigned char)*text < 0x20 ? '?' : *text);
        text++;
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}

uint64_t ks_postgres_now(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* The connection is of no use any more. */
static ks_sql_step drop(ks_postgres *p, const char *why)
{
    p->lost = true;
    ks_postgres_tidy(p->base.error, sizeof p->base.error, why);
    return KS_SQL_LOST;
}

static ks_sql_step hangs(ks_postgres *p)
{
    char why[96];

    (void)snprintf(why, sizeof why, "the server did not answer within %u ms; connection given up",
                   p->patience_ms);
    return drop(p, why);
}

/* Sends what is left and waits for something to read: DONE, or LOST. */
static ks_sql_step wait(ks_postgres *p, uint64_t deadline)
{
    const int unsent = p->pq.flush(p->db);
    const uint64_t now = ks_postgres_now();
    struct pollfd fd = {.fd = p->pq.socket(p->db),
                        .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
    int n;

    if (fd.fd < 0 || unsent < 0) {
        return drop(p, p->pq.errorMessage(p->db));
    }
    if (now >= deadline) {
        return hangs(p);
    }
    n = poll(&fd, 1, (int)(deadline - now));
    if (n < 0 && errno != EINTR) {
        return drop(p, "poll failed");
    }
    if (n > 0 && p->pq.consumeInput(p->db) == 0) {
        return drop(p, p->pq.errorMessage(p->db));
    }
    return KS_SQL_DONE;
}

/* What a result means; fills error. */
static ks_sql_step outcome(ks_postgres *p, const PGresult *r)
{
    const ExecStatusType status = p->pq.resultStatus(r);
    const char *code = p->pq.resultErrorField(r, PG_DIAG_SQLSTATE);
    const char *text = p->pq.resultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    char said[160];
    size_t i;

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        return KS_SQL_DONE;
    }
    if (code == NULL || p->pq.status(p->db) != CONNECTION_OK) {
        return drop(p, text != NULL ? text : p->pq.errorMessage(p->db));
    }
    i = find(code);
    ks_postgres_tidy(said, sizeof said, text != NULL ? text : "?");
    (void)snprintf(p->base.error, sizeof p->base.error, "%s%s%.80s (SQLSTATE %.5s)",
                   ks_postgres_advice(code), ks_postgres_advice(code)[0] != '\0' ? ": " : "", said,
                   code);
    if (i == sizeof known / sizeof known[0]) {
        return KS_SQL_FAIL;
    }
    p->lost = p->lost || known[i].step == KS_SQL_LOST;
    return known[i].step;
}

/* The next result, NULL at the end; LOST when none comes. */
static ks_sql_step next_result(ks_postgres *p, uint64_t deadline, PGresult **out)
{
    ks_sql_step rc = KS_SQL_DONE;

    *out = NULL;
    while (rc == KS_SQL_DONE && p->pq.isBusy(p->db) != 0) {
        rc = wait(p, deadline);
    }
    /* what came before the connection broke says more than that it broke */
    if (rc == KS_SQL_DONE || p->pq.isBusy(p->db) == 0) {
        *out = p->pq.getResult(p->db);
    }
    return rc;
}

ks_sql_step ks_postgres_answer(ks_postgres *p, int sent, PGresult **out)
{
    const uint64_t deadline = ks_postgres_now() + p->patience_ms;
    ks_sql_step rc = KS_SQL_DONE;
    PGresult *rows = NULL;

    if (p->lost) {
        return KS_SQL_LOST;
    }
    if (sent == 0) {
        return drop(p, p->pq.errorMessage(p->db));
    }
    for (;;) {
        PGresult *r = NULL;
        const ks_sql_step came = next_result(p, deadline, &r);
        const ks_sql_step one = r != NULL ? outcome(p, r) : came;

        rc = rc == KS_SQL_DONE || one == KS_SQL_LOST ? one : rc;
        if (r != NULL && p->pq.resultStatus(r) == PGRES_TUPLES_OK) {
            p->pq.clear(rows);
            rows = r;
        } else if (r != NULL && out != NULL && rows == NULL) {
            rows = r;
        } else {
            p->pq.clear(r);
        }
        if (r == NULL || came != KS_SQL_DONE || p->lost) {
            break;
        }
    }
    if (rc == KS_SQL_DONE && out != NULL) {
        *out = rows;
    } else {
        p->pq.clear(rows);
    }
    return rc;
}

ks_sql_step ks_postgres_query(ks_postgres *p, const char *text, PGresult **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    return ks_postgres_answer(p, p->lost ? 0 : p->pq.sendQuery(p->db, text), out);
}

const char *ks_postgres_text(const ks_postgres *p, const PGresult *rows, int column)
{
    return p->pq.ntuples(rows) > 0 ? p->pq.getvalue(rows, 0, column) : "";
}

int64_t ks_postgres_number(const ks_postgres *p, const PGresult *rows, int column)
{
    return strtoll(ks_postgres_text(p, rows, column), NULL, 10);
}
