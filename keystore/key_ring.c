#include "base/assert.h"
#include "keystore/internal.h"

/*
 * Rows are sealed under the current data key and opened with the one whose number they say. A call that finds
 * out that the database has another current key, or a row under one that is not in memory, sets `stale`,
 * and runs again after the keys in memory are those of the database.
 */

/* How often a body runs. */
#define RUNS_MAX 4u
/* From this run on a number that is in no row of the table is gone. */
#define RUNS_SURE 2u

ks_keyed ks_keyed_of(ks *s)
{
    return (ks_keyed){s, 0};
}

bool ks_keyed_next(ks_keyed *k, tdsa_status *st, tdsa_err *err)
{
    ks *s = k->s;

    if (k->runs > 0) {
        s->stale = s->stale || s->backend->fenced;
        s->backend->fenced = false;
        if (!s->stale || k->runs == RUNS_MAX) {
            s->stale = false;
            return false;
        }
        ks_leave(s);
    }
    k->runs++;
    ks_enter_keyed(s);
    s->keyed_runs = k->runs;
    *st = s->stale ? ks_need_key(s, err) : TDSA_OK; /* stale still: the keys are not to be had */
    return *st == TDSA_OK;
}

bool ks_keyed_next_when(ks_keyed *k, bool sealed, tdsa_status *st, tdsa_err *err)
{
    if (sealed) {
        return ks_keyed_next(k, st, err);
    }
    if (k->runs++ == 0) {
        ks_enter(k->s);
        return true;
    }
    return false;
}

/* The current key by way of the one before it, when that is in memory; inside. */
static tdsa_status follow_chain(ks *s, const ks_stored_keys *rows, ks_ring *out, tdsa_err *err)
{
    const ks_stored_key *current = ks_stored_key_in(rows, KS_DATA_KEY_CURRENT);
    const ks_stored_key *old = ks_stored_key_in(rows, KS_DATA_KEY_OLD);
    const ks_data_key *before =
        ks_ring_find(&s->ring, ks_seal_number(current->chained.data, current->chained.len));
    tdsa_status st;

    if (before == NULL) {
        return TDSA_E_NOT_FOUND;
    }
    st = ks_chain_take(&out->current, before, current, err);
    if (st == TDSA_OK && old != NULL && old->number == before->number) {
        st = ks_data_key_copy(&out->old, before, err);
    }
    return st;
}

/* Drops the old key when its rotation is over; inside. */
static void drop_old(ks *s, const ks_stored_keys *rows)
{
    const ks_stored_key *old = ks_stored_key_in(rows, KS_DATA_KEY_OLD);

    if (old == NULL || old->number != s->ring.old.number) {
        tdsa_secret_free(s->ring.old.secret);
        s->ring.old = (ks_data_key){0, NULL};
        s->ring.takes_clear = false;
    }
}

/* Whether what is in memory opens all that is stored, after following the chain where that is possible. */
static bool follow(ks *s, const ks_stored_keys *rows)
{
    const ks_stored_key *current = ks_stored_key_in(rows, KS_DATA_KEY_CURRENT);
    const ks_stored_key *old = ks_stored_key_in(rows, KS_DATA_KEY_OLD);
    ks_ring ring = {.takes_clear = s->ring.takes_clear};
    tdsa_err err;
    bool done = false;

    if (current == NULL || (s->rows_clear && current->number != KS_SEAL_CLEAR)) {
        return false;
    }
    if (s->rows_clear || ks_ring_find(&s->ring, current->number) == &s->ring.current) {
        if (s->rows_clear || old == NULL || old->number == KS_SEAL_CLEAR ||
            ks_ring_find(&s->ring, old->number) != NULL) {
            drop_old(s, rows);
            return true;
        }
        return false; /* the old one is wanted too: from the encryptor */
    }
    done = follow_chain(s, rows, &ring, &err) == TDSA_OK && ks_key_keep(s, &ring, &err) == TDSA_OK;
    ks_ring_clear(&ring);
    if (done) {
        tdsa_logf(s->log, TDSA_LOG_INFO, KS_LOGGER, "rows are sealed under data key %u from now on",
                  current->number);
    }
    return done;
}

bool ks_ring_follow(ks *s)
{
    ks_stored_keys rows = {.count = 0};
    tdsa_err err;

    if (!s->stale || ks_stored_keys_read(s, &rows, &err) != TDSA_OK) {
        return false;
    }
    s->stale = !follow(s, &rows);
    ks_stored_keys_clear(&rows);
    return !s->stale;
}

void ks_ring_watch(ks *s)
{
    if (s->unlocked && (s->rows_clear || s->ring.current.secret != NULL)) {
        const bool was = s->stale;

        s->stale = true;
        (void)ks_ring_follow(s);
        s->stale = was && s->stale; /* what it could not follow is noticed by who needs it */
    }
}

tdsa_status ks_seal_row(ks *s, tdsa_buf *out, const ks_seal_place *place, const uint8_t *plain,
                        size_t len, tdsa_err *err)
{
    tdsa_status st = ks_need_key(s, err);

    if (st != TDSA_OK) {
        return st;
    }
    s->backend->fencing = true; /* until ks_leave */
    s->backend->fence = s->ring.current.number;
    return ks_seal(out, s->rows_clear ? NULL : &s->ring.current, &s->rng, place, plain, len, err);
}

/* Either this process has not followed yet, perhaps not the rotation after the one that it has just followed, or
 * nobody can open the row any more. Numbers only rise. */
static tdsa_status unknown_key(ks *s, const ks_seal_place *place, uint32_t number, tdsa_err *err)
{
    const bool newer = number > s->ring.current.number;

    if (s->keyed_runs < (newer ? RUNS_MAX : RUNS_SURE)) {
        s->stale = true;
        return TDSA_FAIL(err, TDSA_E_STORE, "data key %u is not in memory", number);
    }
    return ks_refused(s,
                      TDSA_FAIL(err, TDSA_E_STORE,
                                "a sealed row of table %s is refused: its data key %u is gone: "
                                "restore a backup of the database that has it",
                                place->table, number),
                      err);
}

tdsa_status ks_unseal_row(ks *s, tdsa_buf *out, const ks_seal_place *place, const uint8_t *record,
                          size_t len, tdsa_err *err)
{
    const uint32_t number = ks_seal_number(record, len);
    const ks_data_key *key = NULL;
    tdsa_status st = ks_need_key(s, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (number == KS_SEAL_CLEAR) {
        key = s->rows_clear || s->ring.takes_clear ? NULL : &s->ring.current;
    } else if (!s->rows_clear) {
        key = ks_ring_find(&s->ring, number);
    }
    if (number != KS_SEAL_CLEAR && key == NULL) {
        return unknown_key(s, place, number, err);
    }
    return ks_refused(s, ks_unseal(out, key, place, record, len, err), err);
}
