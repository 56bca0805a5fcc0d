#include "keystore/internal.h"

#include <string.h>

/*
 * Which database this is, as the server or the file system tells it. Another answer than the one that was
 * stored means a copy, one that was restored, or one that failed over to a server which may have lost the
 * last commits: what was leased and burnt lately may be forgotten, so every presignature is given up.
 */

#define KS_META_IDENTITY KS_META_OWN "identity"

static tdsa_status stored(ks *s, tdsa_buf *out, bool *there, tdsa_err *err)
{
    tdsa_status st = s->backend->ops->meta_get(s->backend, KS_META_IDENTITY, out, err);

    *there = st == TDSA_OK;
    return st == TDSA_E_NOT_FOUND ? TDSA_OK : st;
}

static void copy_text(char out[KS_IDENTITY_MAX + 1], const tdsa_buf *text)
{
    const size_t len = text->len < KS_IDENTITY_MAX ? text->len : KS_IDENTITY_MAX;

    if (len > 0) {
        memcpy(out, text->data, len);
    }
    out[len] = '\0';
}

/* Gives up the presignatures, and leaves word of it for ks_take_moved. */
static tdsa_status give_up(ks *s, const tdsa_buf *was, const tdsa_buf *now, tdsa_err *err)
{
    uint64_t dropped = 0;
    tdsa_status st = s->backend->ops->purge_all(s->backend, &s->marks, &dropped, err);

    if (st == TDSA_OK) {
        st = ks_marks_refresh(s, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    s->moved.dropped += dropped;
    copy_text(s->moved.was, was);
    copy_text(s->moved.now, now);
    atomic_store(&s->has_moved, true);
    tdsa_logf(s->log, TDSA_LOG_WARN, KS_LOGGER,
              "the database was '%s' and is '%s': %llu presignatures are given up", s->moved.was,
              s->moved.now, (unsigned long long)dropped);
    return TDSA_OK;
}

/* `again`: a connection was lost, and came back to another database than this process knew. */
static tdsa_status compare(ks *s, bool again, tdsa_err *err)
{
    TDSA_SCOPED_BUF was = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF now = TDSA_BUF_EMPTY;
    const ks_backend_ops *ops = s->backend->ops;
    bool there = false;
    bool same = false;
    tdsa_status st = ops->identity(s->backend, &now, err);

    if (st == TDSA_OK) {
        st = stored(s, &was, &there, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    same =
        there && was.len == now.len && (now.len == 0 || memcmp(was.data, now.data, now.len) == 0);
    /* another process may have given them up already, but not seen all that this one has */
    if ((there && !same) || again) {
        st = give_up(s, &was, &now, err);
    }
    if (again) {
        s->change_shift = s->change_last + 1;
    }
    if (st == TDSA_OK && !same) {
        st = ops->meta_put(s->backend, KS_META_IDENTITY, now.data, now.len, err);
    }
    if (st == TDSA_OK) {
        ops->settled(s->backend);
    }
    return st;
}

tdsa_status ks_identity_at_open(ks *s, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (s->backend->ops->identity == NULL) {
        return TDSA_OK;
    }
    st = ks_marks_refresh(s, err);
    return st == TDSA_OK ? compare(s, false, err) : st;
}

void ks_identity_follow(ks *s)
{
    const ks_backend_ops *ops = s->backend->ops;
    tdsa_err err;

    if (ops->moved == NULL || !ops->moved(s->backend)) {
        return;
    }
    if (compare(s, true, &err) != TDSA_OK) { /* every call fails until it does */
        tdsa_logf(s->log, TDSA_LOG_WARN, KS_LOGGER, "the database is another one than before: %s",
                  err.text);
    }
}

bool ks_has_moved(ks *s)
{
    return atomic_load(&s->has_moved); /* waits for nobody */
}

bool ks_take_moved(ks *s, ks_moved *out)
{
    bool yes = false;

    ks_enter(s);
    yes = atomic_exchange(&s->has_moved, false);
    *out = s->moved;
    s->moved.dropped = 0;
    ks_leave(s);
    return yes;
}
