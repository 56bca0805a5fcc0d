#include "base/assert.h"
#include "keystore/counter_file.h"
#include "keystore/internal.h"

/* Commits whose copy in the file may be missing after a crash: one of each process that shares the
 * database. Where more are missing, somebody put back the file. */
#define UNCOPIED_MAX 64u

/* The counters of the database: by them it is seen that an old copy was put in its place. */

/* After a commit: what it did is not answered before the file has it too. */
static tdsa_status copy_counters(ks *s, tdsa_err *err)
{
    return s->counter_file == NULL ? TDSA_OK
                                   : ks_counter_file_raise(s->counter_file, false, &s->marks, err);
}

static void keep(ks *s, const ks_marks *now)
{
    TDSA_ASSERT(pthread_mutex_lock(&s->marks_mu) == 0);
    s->marks = *now;
    TDSA_ASSERT(pthread_mutex_unlock(&s->marks_mu) == 0);
}

tdsa_status ks_note_burn(ks *s, tdsa_status st, uint64_t burns, tdsa_err *err)
{
    if (st == TDSA_OK && burns > s->marks.burns) {
        ks_marks now = s->marks;

        now.burns = burns;
        keep(s, &now);
    }
    if (st == TDSA_OK) {
        s->stats.commits++;
        st = copy_counters(s, err);
    }
    return st;
}

tdsa_status ks_leave_burn(ks *s, tdsa_status st, uint64_t burns, tdsa_err *err)
{
    st = ks_note_burn(s, st, burns, err);
    ks_leave(s);
    return st;
}

static tdsa_status read_all(ks *s, ks_marks *out, tdsa_err *err)
{
    const ks_backend_ops *ops = s->backend->ops;
    tdsa_status st = ops->counter_get(s->backend, KS_COUNTER_START, &out->starts, err);

    if (st == TDSA_OK) {
        st = ops->counter_get(s->backend, KS_COUNTER_BURN, &out->burns, err);
    }
    if (st == TDSA_OK) {
        st = ops->counter_get(s->backend, KS_COUNTER_PURGE, &out->purges, err);
    }
    return st;
}

tdsa_status ks_marks_refresh(ks *s, tdsa_err *err)
{
    ks_marks now = {.store_id = s->marks.store_id};
    tdsa_status st = read_all(s, &now, err);

    if (st == TDSA_OK) {
        keep(s, &now);
    }
    return st;
}

tdsa_status ks_marks_read(ks *s, ks_marks *out, tdsa_err *err)
{
    tdsa_status st;

    *out = (ks_marks){0};
    ks_enter(s);
    st = ks_marks_refresh(s, err);
    if (st == TDSA_OK) {
        *out = s->marks;
    }
    ks_leave(s);
    return st;
}

void ks_marks_known(ks *s, ks_marks *out)
{
    TDSA_ASSERT(pthread_mutex_lock(&s->marks_mu) == 0);
    *out = s->marks;
    TDSA_ASSERT(pthread_mutex_unlock(&s->marks_mu) == 0);
}

tdsa_status ks_purge_all(ks *s, const ks_marks *at_least, uint64_t *dropped, tdsa_err *err)
{
    tdsa_status st;

    *dropped = 0;
    if (at_least->starts >= KS_SEQ_MAX || at_least->burns >= KS_SEQ_MAX ||
        at_least->purges >= KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a counter of the store would be too large");
    }
    ks_enter(s);
    st = s->backend->ops->purge_all(s->backend, at_least, dropped, err);
    if (st == TDSA_OK) {
        st = ks_marks_refresh(s, err);
    }
    if (st == TDSA_OK) {
        s->stats.commits++;
        st = copy_counters(s, err);
    }
    ks_leave(s);
    return st;
}

tdsa_status ks_batch_void_with(ks *s, const char *key_id, uint32_t members, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->batch_void_with(s->backend, key_id, members, err));
}

bool ks_found_rollback(ks *s, ks_marks *was, ks_marks *seen)
{
    *was = s->found_was;
    *seen = s->found_seen;
    return s->rolled_back;
}

/* ---- at open ---- */

static tdsa_status no_file(const ks *s, const ks_marks *mine, tdsa_err *err)
{
    return TDSA_FAIL(
        err, TDSA_E_CONFIG,
        "counterFile %s is missing, and the database was started %llu times: where the "
        "setting is new or the file was lost, make an empty file there (touch), and "
        "all presignatures are given up once",
        s->counter_file, (unsigned long long)mine->starts);
}

/* An old copy of the database, or one of the file: either way what was burnt is not known. */
static bool differ(const ks_marks *mine, const ks_marks *file)
{
    return ks_marks_behind(mine, file) || mine->starts > file->starts + UNCOPIED_MAX ||
           mine->burns > file->burns + UNCOPIED_MAX || mine->purges > file->purges + UNCOPIED_MAX;
}

static tdsa_status give_up(ks *s, const ks_marks *mine, const ks_marks *file, tdsa_err *err)
{
    uint64_t dropped = 0;
    tdsa_status st = s->backend->ops->purge_all(s->backend, file, &dropped, err);

    if (st == TDSA_OK) {
        s->rolled_back = true;
        s->found_was = *mine;
        s->found_seen = *file;
        tdsa_logf(s->log, TDSA_LOG_WARN, KS_LOGGER, "%llu presignatures are given up",
                  (unsigned long long)dropped);
    }
    return st;
}

/* The file is read first: it is written after the database, so it can only be behind. */
static tdsa_status compare(ks *s, ks_file_state *state, tdsa_err *err)
{
    ks_marks mine = {.store_id = s->marks.store_id};
    ks_marks file;
    uint64_t dropped = 0;
    tdsa_status st = ks_counter_file_read(s->counter_file, state, &file, err);

    if (st == TDSA_OK) {
        st = read_all(s, &mine, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    switch (*state) {
    case KS_FILE_MISSING:
        return mine.starts == 0 ? TDSA_OK : no_file(s, &mine, err);
    case KS_FILE_EMPTY:
        return mine.starts == 0 ? TDSA_OK
                                : s->backend->ops->purge_all(s->backend, &mine, &dropped, err);
    case KS_FILE_FILLED:
        break;
    }
    if (file.store_id != mine.store_id) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "counterFile %s belongs to another database: each has a file of its own. "
                         "Where the database was replaced on purpose, empty the file",
                         s->counter_file);
    }
    return differ(&mine, &file) ? give_up(s, &mine, &file, err) : TDSA_OK;
}

tdsa_status ks_count_start(ks *s, tdsa_err *err)
{
    ks_file_state state = KS_FILE_FILLED;
    uint64_t starts = 0;
    tdsa_status st = s->counter_file == NULL ? TDSA_OK : compare(s, &state, err);

    if (st == TDSA_OK) {
        st = s->backend->ops->counter_next(s->backend, KS_COUNTER_START, &starts, err);
    }
    if (st == TDSA_OK) {
        s->stats.start_counter = starts; /* mine, whoever starts beside me */
        st = read_all(s, &s->marks, err);
    }
    if (st == TDSA_OK && s->counter_file != NULL) {
        st = ks_counter_file_raise(s->counter_file, state == KS_FILE_MISSING, &s->marks, err);
    }
    return st;
}
