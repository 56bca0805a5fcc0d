#include "driver_faulty.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    ks_sql_conn base;
    ks_sql_conn *inner;
    bool gone; /* every further call is lost too */
    unsigned generation;
} faulty;

static fault_kind armed;
static unsigned calls_left, refusals, refused, silence_ms;
static atomic_uint connections, made, asked, generation; /* a ping has a thread of its own */
static const char *identity;
static bool struck, struck_at_commit;

static const ks_sql_driver *const sqlite = &ks_driver_sqlite;

void driver_faulty_arm(fault_kind kind, unsigned k)
{
    armed = kind;
    calls_left = k;
    struck = false;
    struck_at_commit = false;
}

bool driver_faulty_struck(bool *at_commit)
{
    if (at_commit != NULL) {
        *at_commit = struck_at_commit;
    }
    return struck;
}

unsigned driver_faulty_connections(void)
{
    return connections;
}

unsigned driver_faulty_made(void)
{
    return made;
}

unsigned driver_faulty_asked(void)
{
    return asked;
}

void driver_faulty_refuse(unsigned n)
{
    refusals = n;
}

unsigned driver_faulty_refused(void)
{
    return refused;
}

void driver_faulty_silence(unsigned ms)
{
    silence_ms = ms;
}

void driver_faulty_lose(void)
{
    generation++;
}

void driver_faulty_identity(const char *text)
{
    identity = text;
}

static faulty *of(ks_sql_conn *c)
{
    return (faulty *)(void *)c;
}

static ks_sql_step said(faulty *f, ks_sql_step step)
{
    if (step >= KS_SQL_AGAIN) {
        (void)snprintf(f->base.error, sizeof f->base.error, "%s", f->inner->error);
    }
    return step;
}

/* What this call is to answer instead; KS_SQL_DONE: nothing, go on. The transaction is undone, as a
 * driver promises. */
static ks_sql_step strike(faulty *f, bool commit)
{
    static const ks_sql_step answer[FAULT_KINDS] = {
        [FAULT_NONE] = KS_SQL_DONE,   [FAULT_FAIL] = KS_SQL_FAIL, [FAULT_BUSY] = KS_SQL_BUSY,
        [FAULT_AGAIN] = KS_SQL_AGAIN, [FAULT_LOST] = KS_SQL_LOST, [FAULT_LOST_AFTER] = KS_SQL_LOST,
    };
    ks_sql_step step = KS_SQL_DONE;

    if (f->gone || f->generation != generation) {
        sqlite->rollback(f->inner);
        (void)snprintf(f->base.error, sizeof f->base.error, "the test cuts connections");
        return KS_SQL_LOST;
    }
    if (armed == FAULT_NONE || --calls_left > 0) {
        return KS_SQL_DONE;
    }
    step = answer[armed];
    struck = true;
    struck_at_commit = commit;
    f->gone = step == KS_SQL_LOST;
    if (commit && armed == FAULT_LOST_AFTER) {
        (void)sqlite->commit(f->inner);
    }
    if (armed != FAULT_FAIL) { /* there it is left to the backend */
        sqlite->rollback(f->inner);
    }
    armed = FAULT_NONE;
    (void)snprintf(f->base.error, sizeof f->base.error, "a fault of the test");
    return step;
}

static tdsa_status faulty_connect(ks_sql_conn **out, const ks_cfg *cfg, tdsa_err *err)
{
    faulty *f = calloc(1, sizeof *f);
    tdsa_status st;

    *out = NULL;
    if (f == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory");
    }
    if (refusals > 0) {
        refusals--;
        refused++;
        (void)usleep(silence_ms * 1000u);
        free(f);
        return TDSA_FAIL(err, TDSA_E_STORE, "the test refuses connections");
    }
    st = sqlite->connect(&f->inner, cfg, err);
    if (st != TDSA_OK) {
        free(f);
        return st;
    }
    f->base = *f->inner;
    f->base.driver = ks_driver_of_a_test;
    f->generation = generation;
    connections++;
    made++;
    *out = &f->base;
    return TDSA_OK;
}

static tdsa_status faulty_prepare(ks_sql_conn *c, tdsa_err *err)
{
    return sqlite->prepare(of(c)->inner, err);
}

static void faulty_close(ks_sql_conn *c)
{
    sqlite->close(of(c)->inner);
    free(of(c));
    connections--;
}

static void faulty_abandon(ks_sql_conn *c)
{
    sqlite->abandon(of(c)->inner);
    free(of(c));
    connections--;
}

static bool faulty_valid(ks_sql_conn *c, const char *query)
{
    (void)query;
    asked++;
    return !of(c)->gone && of(c)->generation == generation;
}

static ks_sql_step faulty_begin(ks_sql_conn *c)
{
    const ks_sql_step step = strike(of(c), false);

    return step != KS_SQL_DONE ? step : said(of(c), sqlite->begin(of(c)->inner));
}

static ks_sql_step faulty_commit(ks_sql_conn *c)
{
    const ks_sql_step step = strike(of(c), true);

    return step != KS_SQL_DONE ? step : said(of(c), sqlite->commit(of(c)->inner));
}

static void faulty_rollback(ks_sql_conn *c)
{
    sqlite->rollback(of(c)->inner);
}

static ks_sql_step faulty_start(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args, size_t n)
{
    const ks_sql_step step = strike(of(c), false);

    return step != KS_SQL_DONE ? step : said(of(c), sqlite->start(of(c)->inner, which, args, n));
}

static ks_sql_step faulty_step(ks_sql_conn *c, ks_sql_id which)
{
    const ks_sql_step step = strike(of(c), false);

    return step != KS_SQL_DONE ? step : said(of(c), sqlite->step(of(c)->inner, which));
}

static void faulty_column(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out)
{
    sqlite->column(of(c)->inner, which, column, out);
}

static uint64_t faulty_changes(ks_sql_conn *c, ks_sql_id which)
{
    return sqlite->changes(of(c)->inner, which);
}

static void faulty_finish(ks_sql_conn *c, ks_sql_id which)
{
    sqlite->finish(of(c)->inner, which);
}

static ks_sql_step faulty_schema(ks_sql_conn *c, ks_sql_schema *out)
{
    return said(of(c), sqlite->schema(of(c)->inner, out));
}

static ks_sql_step faulty_migrate(ks_sql_conn *c, uint32_t number)
{
    return said(of(c), sqlite->migrate(of(c)->inner, number));
}

static ks_sql_step faulty_data_version(ks_sql_conn *c, int64_t *out)
{
    const ks_sql_step step = strike(of(c), false);

    return step != KS_SQL_DONE ? step : said(of(c), sqlite->data_version(of(c)->inner, out));
}

static tdsa_status faulty_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err)
{
    if (identity == NULL) {
        return sqlite->identity(of(c)->inner, out, err);
    }
    tdsa_buf_append_str(out, identity);
    return tdsa_buf_check(out, err);
}

void driver_faulty_install(void)
{
    static ks_sql_driver faulty_driver;

    faulty_driver = (ks_sql_driver){
        .name = "faulty",
        .migrations = ks_driver_sqlite.migrations,
        .migration_count = ks_driver_sqlite.migration_count,
        .connect = faulty_connect,
        .prepare = faulty_prepare,
        .close = faulty_close,
        .abandon = faulty_abandon,
        .valid = faulty_valid,
        .begin = faulty_begin,
        .commit = faulty_commit,
        .rollback = faulty_rollback,
        .start = faulty_start,
        .step = faulty_step,
        .column = faulty_column,
        .changes = faulty_changes,
        .finish = faulty_finish,
        .schema = faulty_schema,
        .migrate = faulty_migrate,
        .data_version = faulty_data_version,
        .identity = faulty_identity,
    };
    ks_driver_of_a_test = &faulty_driver;
}
