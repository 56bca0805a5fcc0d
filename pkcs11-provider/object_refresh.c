/* The table of objects follows the keystore. One at a time reads, and holds the table's lock only while it changes
 * the table: whoever signs does not wait for a database. */
#include "pkcs11-provider/object_internal.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/curve.h"

#define LIST_PAGE 256u

typedef struct {
    p11_objects *objects;
    const tdsa_log *log;
    char last[KS_KEY_ID_MAX + 1];
    size_t rows;
    tdsa_status status;
    tdsa_err *err;
} list_run;

/* ---- keys ---- */

static bool take_key(void *ctx, const part_key_info *info)
{
    list_run *run = ctx;
    size_t index = 0;

    run->rows++;
    memcpy(run->last, info->key_id, sizeof run->last);
    pthread_mutex_lock(&run->objects->lock);
    run->status = p11_objects_put_key_locked(run->objects, info, NULL, &index, run->err);
    pthread_mutex_unlock(&run->objects->lock);
    if (run->status == TDSA_E_BAD_INPUT) { /* one odd key must not hide the others */
        tdsa_logf(run->log, TDSA_LOG_WARN, "objects", "key %s is left out: %s", info->key_id,
                  run->err->text);
        run->status = TDSA_OK;
    }
    return run->status == TDSA_OK;
}

static tdsa_status read_all_keys(p11_objects *o, const p11_source *from, tdsa_err *err)
{
    list_run run = {.objects = o, .log = from->log, .err = err};
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    o->key_round++;
    o->leftover_count = 0;
    pthread_mutex_unlock(&o->lock);
    do {
        const part_key_filter filter = {.after = run.last[0] == '\0' ? NULL : run.last,
                                        .limit = LIST_PAGE};

        run.rows = 0;
        st = part_engine_list(from->engine, &filter, take_key, &run, err);
        st = st != TDSA_OK ? st : run.status;
    } while (st == TDSA_OK && run.rows == LIST_PAGE);
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; st == TDSA_OK && i < o->count; i++) {
        const p11_object *object = o->at[i];

        if (object->state == P11_LIVE && object->kind == P11_PAIR && !object->promoted &&
            object->seen != o->key_round) {
            p11_objects_drop(o, i, P11_GONE);
        }
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

/* One key that changed: it is shown as it is now, or not any more. */
static bool take_change(void *ctx, const part_key_info *info)
{
    list_run *run = ctx;
    p11_objects *o = run->objects;
    size_t found = 0;

    if (info->state == KS_KEY_ACTIVE) {
        return take_key(ctx, info);
    }
    pthread_mutex_lock(&o->lock);
    found = p11_objects_find_key(o, info->key_id);
    if (found != 0) {
        p11_objects_drop(o, found - 1, P11_GONE);
    }
    pthread_mutex_unlock(&o->lock);
    return true;
}

/* What changed since the last time, where that is known; else all. */
static tdsa_status read_keys(p11_objects *o, const p11_source *from, tdsa_err *err)
{
    list_run run = {.objects = o, .log = from->log, .err = err};
    const part_key_filter filter = {.changed_after = o->counter};
    tdsa_status st = TDSA_E_CONFLICT;

    if (o->loaded && o->counter != 0) {
        st = part_engine_list(from->engine, &filter, take_change, &run, err);
        st = st != TDSA_OK ? st : run.status;
    }
    return st == TDSA_E_CONFLICT ? read_all_keys(o, from, err) : st;
}

/* ---- other objects ---- */

static bool take_item(void *ctx, const ks_object *stored)
{
    list_run *run = ctx;
    p11_objects *o = run->objects;
    const p11_origin from = {.store_id = stored->id, .created_ms = stored->created_ms};
    p11_item *item = NULL;
    size_t index = 0;

    if (stored->bytes == NULL) { /* private, and nobody is logged in */
        return true;
    }
    item = calloc(1, sizeof *item);
    run->status = item != NULL ? p11_item_decode(item, stored->bytes, stored->len, run->err)
                               : TDSA_FAIL(run->err, TDSA_E_NO_MEMORY, "no memory for an object");
    if (run->status == TDSA_OK) {
        run->status = p11_objects_put_item(o, item, &from, &index, run->err);
        run->rows += run->status == TDSA_OK ? 1 : 0;
        p11_item_clear(item);
    }
    free(item);
    if (run->status == TDSA_E_BAD_INPUT) {
        tdsa_logf(run->log, TDSA_LOG_WARN, "objects", "an object is left out: %s", run->err->text);
        run->status = TDSA_OK;
    }
    return run->status == TDSA_OK;
}

static tdsa_status read_items(p11_objects *o, const p11_source *from, tdsa_err *err)
{
    list_run run = {.objects = o, .log = from->log, .err = err};
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    o->item_round++;
    pthread_mutex_unlock(&o->lock);
    st = ks_object_each(from->store, take_item, &run, err);
    st = st != TDSA_OK ? st : run.status;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; st == TDSA_OK && o->stored_live > run.rows && i < o->count; i++) {
        const p11_object *object = o->at[i];

        if (object->state == P11_LIVE && object->stored && object->seen != o->item_round) {
            p11_objects_drop(o, i, P11_GONE);
        }
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

/* Certificates of files have the names of the key that they are of: clients look for pairs by id. */
static tdsa_status name_certificates(p11_objects *o, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < o->builtin_count; i++) {
        p11_object *cert = o->at[i];
        const p11_bytes *spki = p11_item_get(cert->item, CKA_PUBLIC_KEY_INFO);
        const uint8_t *point = NULL;
        const grp *g =
            spki != NULL ? p11_curve_of_spki(o->curves, spki->data, spki->len, &point) : NULL;
        const size_t key =
            g != NULL ? p11_objects_find_point(o, point, grp_get_info(g)->point_raw_len) : 0;

        if (key != 0) {
            const p11_bytes id = p11_object_id(o->at[key - 1]);
            const p11_bytes label = p11_object_label(o->at[key - 1]);

            st = p11_item_set(cert->item, CKA_ID, id.data, id.len, err);
            if (st == TDSA_OK) {
                st = p11_item_set(cert->item, CKA_LABEL, label.data, label.len, err);
            }
            p11_objects_reindex(o, i);
        }
    }
    return st;
}

static tdsa_status read_changes(p11_objects *o, const p11_source *from, uint64_t counter,
                                tdsa_err *err)
{
    tdsa_status st = read_keys(o, from, err);

    o->loaded = st == TDSA_OK;
    o->counter = counter; /* as it was before reading: a later change is seen next time */
    if (st == TDSA_OK) {
        st = read_items(o, from, err);
    }
    pthread_mutex_lock(&o->lock);
    if (st == TDSA_OK) {
        st = name_certificates(o, err);
    }
    o->items_changed = o->items_changed || st != TDSA_OK;
    pthread_mutex_unlock(&o->lock);
    return st;
}

tdsa_status p11_objects_refresh(p11_objects *o, const p11_source *from, tdsa_err *err)
{
    uint64_t counter = 0;
    bool items_changed = false;
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->refresh_lock);
    st = ks_change_counter(from->store, &counter, err);
    if (st == TDSA_OK) {
        pthread_mutex_lock(&o->lock);
        items_changed = o->items_changed;
        o->items_changed = false;
        pthread_mutex_unlock(&o->lock);
    }
    if (st == TDSA_OK && (!o->loaded || counter != o->counter || items_changed)) {
        st = read_changes(o, from, counter, err);
    }
    pthread_mutex_unlock(&o->refresh_lock);
    return st;
}

bool p11_objects_take_leftover(p11_objects *o, char key_id[KS_KEY_ID_MAX + 1])
{
    bool found = false;

    pthread_mutex_lock(&o->lock);
    if (o->leftover_count > 0) {
        memcpy(key_id, o->leftover[--o->leftover_count], KS_KEY_ID_MAX + 1);
        found = true;
    }
    pthread_mutex_unlock(&o->lock);
    return found;
}

void p11_objects_remember(p11_objects *o)
{
    pthread_mutex_lock(&o->lock);
    o->items_changed = true;
    pthread_mutex_unlock(&o->lock);
}

void p11_objects_forget(p11_objects *o)
{
    pthread_mutex_lock(&o->lock);
    o->items_changed = true;
    atomic_fetch_add(&o->logouts, 1);
    for (size_t i = 0; i < o->count; i++) {
        const p11_object *object = o->at[i];

        if (object->kind == P11_ITEM && object->state == P11_LIVE &&
            p11_item_bool(object->item, CKA_PRIVATE, false)) {
            p11_objects_drop(o, i, P11_GONE);
        }
    }
    pthread_mutex_unlock(&o->lock);
}
