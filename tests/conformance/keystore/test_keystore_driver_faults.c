/* Every operation of a backend, with each call of its driver failing in each way: the tables say exactly
 * what they said before or exactly what they would say without the fault; the answer is honest; and the
 * store goes on working. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "driver_faulty.h"
#include "fault_operations.h"
#include "ks_tempdir.h"

typedef struct {
    char dir[128], path[160], copy[160];
    tdsa_buf file;      /* a database with rows, closed */
    tdsa_buf old, new_; /* its tables before and after the operation of now */
    tdsa_buf gave;      /* what the operation gives without a fault */
} place;

static void append_table(sqlite3 *db, const char *name, tdsa_buf *out)
{
    sqlite3_stmt *rows = NULL;
    char sql[128];

    (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" ORDER BY 1, 2", name);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    tdsa_buf_appendf(out, "\n%s", name);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        tdsa_buf_append(out, "\n", 1);
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const int len = sqlite3_column_bytes(rows, i);

            tdsa_buf_appendf(out, " %d:", sqlite3_column_type(rows, i));
            tdsa_buf_append(out, sqlite3_column_blob(rows, i), (size_t)len);
        }
    }
    assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
}

/* All rows of all tables. */
static void dump(const place *p, tdsa_buf *out)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *tables = NULL;

    tdsa_buf_clear(out);
    assert_int_equal(sqlite3_open(p->copy, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                        " ORDER BY name",
                                        -1, &tables, NULL),
                     SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        append_table(db, (const char *)sqlite3_column_text(tables, 0), out);
    }
    assert_int_equal(sqlite3_finalize(tables), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static bool same(const tdsa_buf *a, const tdsa_buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static ks_backend *opened(const char *path)
{
    const ks_cfg cfg = {.backend = "faulty", .path = path, .create_tables = true};
    ks_backend *b = NULL;
    tdsa_err err;

    if (ks_sql_open(&b, ks_driver_of_a_test, &cfg, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    return b;
}

/* A database in the state to begin with. */
static ks_backend *fresh(const place *p)
{
    FILE *f = fopen(p->copy, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p->file.data, 1, p->file.len, f), p->file.len);
    assert_int_equal(fclose(f), 0);
    return opened(p->copy);
}

static void shut(ks_backend *b)
{
    b->ops->close(b);
    assert_int_equal(driver_faulty_connections(), 0);
}

/* What the operation does when nothing fails. */
static void learn(place *p, const fault_operation *op)
{
    ks_backend *b = fresh(p);
    tdsa_err err;

    shut(b);
    dump(p, &p->old);
    b = fresh(p);
    tdsa_buf_clear(&p->gave);
    driver_faulty_arm(FAULT_NONE, 0);
    if (op->run(b, &p->gave, &err) != TDSA_OK) {
        fail_msg("%s: %s", op->name, err.text);
    }
    shut(b);
    dump(p, &p->new_);
}

/* The store that had the fault works: the operation is there, or can be done now. */
static void goes_on(const place *p, const fault_operation *op, ks_backend *b, bool done)
{
    TDSA_SCOPED_BUF gave = TDSA_BUF_EMPTY;
    uint64_t number = 0;
    tdsa_err err;

    if (b->ops->counter_get(b, "burns", &number, &err) != TDSA_OK) {
        fail_msg("%s: afterwards: %s", op->name, err.text);
    }
    if (!done) {
        if (op->run(b, &gave, &err) != TDSA_OK) {
            fail_msg("%s: again: %s", op->name, err.text);
        }
        assert_true(same(&gave, &p->gave));
    }
}

/* One fault; false when the operation was over before the k-th call. */
static bool one_fault(place *p, const fault_operation *op, fault_kind kind, unsigned k)
{
    const bool passes = kind == FAULT_AGAIN || kind == FAULT_LOST || kind == FAULT_LOST_AFTER;
    TDSA_SCOPED_BUF now = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF gave = TDSA_BUF_EMPTY;
    ks_backend *b = fresh(p);
    bool at_commit = false;
    bool is_old = false;
    bool is_new = false;
    tdsa_err err;
    tdsa_status st;

    driver_faulty_arm(kind, k);
    st = op->run(b, &gave, &err);
    if (!driver_faulty_struck(&at_commit)) {
        driver_faulty_arm(FAULT_NONE, 0);
        shut(b);
        assert_int_equal(st, TDSA_OK);
        return false;
    }
    dump(p, &now);
    is_old = same(&now, &p->old);
    is_new = same(&now, &p->new_);
    if ((st == TDSA_OK && (!is_new || !same(&gave, &p->gave))) ||
        (st != TDSA_OK && (st != TDSA_E_STORE || !(is_old || is_new)))) {
        fail_msg("%s, fault %d at call %u: %s, tables old %d new %d", op->name, (int)kind, k,
                 tdsa_status_name(st), is_old, is_new);
    }
    if (passes && !(at_commit && kind != FAULT_AGAIN) && !(op->lists && gave.len > 0)) {
        if (st != TDSA_OK) { /* this passes by itself */
            fail_msg("%s, fault %d at call %u: %s", op->name, (int)kind, k, err.text);
        }
    } else if (st == TDSA_OK && !(op->lists && gave.len > 0)) {
        fail_msg("%s, fault %d at call %u: it says that all is well", op->name, (int)kind, k);
    }
    if (at_commit && kind == FAULT_LOST_AFTER) {
        assert_true(is_new);
    } else if (st != TDSA_OK) {
        assert_true(is_old);
    }
    goes_on(p, op, b, is_new && !is_old);
    shut(b);
    if (!(is_new && !is_old)) {
        dump(p, &now);
        assert_true(same(&now, &p->new_));
    }
    return true;
}

/* In the short form BUSY and LOST come at the first and the last call only: between them they are handled
 * as FAIL and LOST_AFTER. */
static void with_every_fault(place *p, const fault_operation *op)
{
    static const fault_kind always[] = {FAULT_FAIL, FAULT_AGAIN, FAULT_LOST_AFTER};
    static const fault_kind ends[] = {FAULT_BUSY, FAULT_LOST};
    const bool whole = getenv("TDSA_TEST_LONG") != NULL;
    unsigned calls = 0;

    learn(p, op);
    for (size_t kind = 0; kind < sizeof always / sizeof always[0]; kind++) {
        for (calls = 0; one_fault(p, op, always[kind], calls + 1); calls++) {
        }
        assert_true(calls > 0);
    }
    for (size_t kind = 0; kind < sizeof ends / sizeof ends[0]; kind++) {
        for (unsigned k = 1; k <= calls; k++) {
            if (whole || k == 1 || k == calls) {
                assert_true(one_fault(p, op, ends[kind], k));
            }
        }
    }
}

static void every_fault_leaves_the_old_state_or_the_new_one(void **state)
{
    for (size_t i = 0; i < fault_operation_count; i++) {
        with_every_fault(*state, &fault_operations[i]);
    }
    for (size_t i = 0; i < fault_sealed_operation_count; i++) {
        with_every_fault(*state, &fault_sealed_operations[i]);
    }
}

static void an_outage_is_survived_by_every_later_call(void **state)
{
    place *p = *state;
    ks_backend *b = fresh(p);
    uint64_t number = 0;
    tdsa_err err;

    for (unsigned i = 0; i < 25; i++) { /* begin, start, two steps, commit */
        const bool commit = i % 5 == 4;

        driver_faulty_arm(FAULT_LOST, 1 + i % 5);
        assert_int_equal(b->ops->counter_next(b, "x", &number, &err),
                         commit ? TDSA_E_STORE : TDSA_OK);
        assert_true(driver_faulty_struck(NULL));
        assert_int_equal(driver_faulty_connections(), commit ? 0 : 1);
    }
    driver_faulty_arm(FAULT_NONE, 0);
    assert_int_equal(b->ops->counter_get(b, "x", &number, &err), TDSA_OK);
    assert_int_equal(number, 20);
    shut(b);
}

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    ks_backend *b = NULL;
    uint8_t bytes[4096];
    size_t n = 0;
    FILE *f = NULL;
    tdsa_err err;

    if (p == NULL || ks_tempdir_make(p->dir, sizeof p->dir) != 0) {
        free(p);
        return -1;
    }
    (void)snprintf(p->path, sizeof p->path, "%s/rows.db", p->dir);
    (void)snprintf(p->copy, sizeof p->copy, "%s/copy.db", p->dir);
    driver_faulty_install();
    b = opened(p->path);
    if (fault_rows(b, &err) != TDSA_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    shut(b);
    f = fopen(p->path, "rb");
    while (f != NULL && (n = fread(bytes, 1, sizeof bytes, f)) > 0) {
        tdsa_buf_append(&p->file, bytes, n);
    }
    *state = p;
    return f != NULL ? fclose(f) : -1;
}

static int teardown(void **state)
{
    place *p = *state;

    tdsa_buf_clear(&p->file);
    tdsa_buf_clear(&p->old);
    tdsa_buf_clear(&p->new_);
    tdsa_buf_clear(&p->gave);
    ks_tempdir_remove(p->dir);
    free(p);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_leaves_the_old_state_or_the_new_one),
        cmocka_unit_test(an_outage_is_survived_by_every_later_call),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
