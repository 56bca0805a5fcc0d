#include "keystore/backend_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static tdsa_status no_memory(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
}

static void drop_bytes(uint8_t **bytes, size_t *len)
{
    (void)ks_memory_copy(bytes, len, NULL, 0); /* needs no memory */
}

static void free_key(memory_key *k)
{
    drop_bytes(&k->public_part, &k->public_len);
    drop_bytes(&k->attrs, &k->attrs_len);
    drop_bytes(&k->sealed, &k->sealed_len);
    free(k);
}

void ks_memory_drop_keys(ks_memory *m)
{
    while (m->keys != NULL) {
        memory_key *k = m->keys;

        m->keys = k->next;
        free_key(k);
    }
}

memory_key *ks_memory_find_key(ks_memory *m, const char *key_id)
{
    memory_key *found = NULL;

    for (memory_key *k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, key_id) == 0 && (found == NULL || !ks_key_in_use(found->state))) {
            found = k; /* epochs ascend */
        }
    }
    return found;
}

static memory_key *find_live(ks_memory *m, const char *key_id, tdsa_err *err)
{
    memory_key *k = ks_memory_find_key(m, key_id);

    if (k == NULL || k->state == KS_KEY_DELETED) {
        (void)TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
        return NULL;
    }
    return k;
}

static memory_key *new_key(const ks_key_row *row)
{
    memory_key *k = calloc(1, sizeof *k);

    if (k == NULL ||
        !ks_memory_copy(&k->public_part, &k->public_len, row->public_part, row->public_len) ||
        !ks_memory_copy(&k->attrs, &k->attrs_len, row->attrs, row->attrs_len) ||
        !ks_memory_copy(&k->sealed, &k->sealed_len, row->sealed, row->sealed_len)) {
        if (k != NULL) {
            free_key(k);
        }
        return NULL;
    }
    (void)strncpy(k->key_id, row->key_id, KS_KEY_ID_MAX);
    (void)strncpy(k->label, row->label, KS_LABEL_MAX);
    k->epoch = row->epoch;
    k->state = row->state;
    k->created_ms = row->created_ms;
    k->presignature_limit = row->presignature_limit;
    return k;
}

static tdsa_status put_key(ks_memory *m, const ks_key_row *row, tdsa_err *err)
{
    memory_key **at = &m->keys;
    memory_key *k = new_key(row);

    if (k == NULL) {
        return no_memory(err);
    }
    while (*at != NULL &&
           (strcmp((*at)->key_id, row->key_id) < 0 ||
            (strcmp((*at)->key_id, row->key_id) == 0 && (*at)->epoch < row->epoch))) {
        at = &(*at)->next;
    }
    k->next = *at;
    *at = k;
    ks_memory_changed(m, row->key_id);
    return TDSA_OK;
}

tdsa_status ks_memory_key_insert(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);

    if (ks_memory_find_key(m, row->key_id) != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s exists already", row->key_id);
    }
    return put_key(m, row, err);
}

tdsa_status ks_memory_key_add(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    ks_key_row merged = *row;

    for (const memory_key *k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, row->key_id) != 0) {
            continue;
        }
        if (k->epoch >= row->epoch || k->state == KS_KEY_PENDING || k->state == KS_KEY_DELETED ||
            k->state == KS_KEY_DELETING) {
            return TDSA_FAIL(
                err, TDSA_E_CONFLICT,
                "key %s has epoch %u or a later one already, one in the making, or was deleted",
                row->key_id, row->epoch);
        }
        merged.label = k->label;
        merged.created_ms = k->created_ms;
        merged.presignature_limit = k->presignature_limit;
        merged.attrs = k->attrs;
        merged.attrs_len = k->attrs_len;
    }
    return put_key(m, &merged, err);
}

static void remove_key(ks_memory *m, memory_key *k);

tdsa_status ks_memory_key_restore(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *next = NULL;

    for (const memory_key *k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, row->key_id) == 0 && k->state != KS_KEY_REGISTERED) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is here already, or was deleted",
                             row->key_id);
        }
    }
    for (memory_key *k = m->keys; k != NULL; k = next) {
        next = k->next;
        if (strcmp(k->key_id, row->key_id) == 0) {
            remove_key(m, k);
        }
    }
    return put_key(m, row, err);
}

static void remove_key(ks_memory *m, memory_key *k)
{
    memory_key **at = &m->keys;

    while (*at != k) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = k->next;
    ks_memory_changed(m, k->key_id);
    free_key(k);
}

static memory_key *find_epoch(ks_memory *m, const char *key_id, uint32_t epoch)
{
    memory_key *k = m->keys;

    while (k != NULL && (strcmp(k->key_id, key_id) != 0 || k->epoch != epoch)) {
        k = k->next;
    }
    return k;
}

tdsa_status ks_memory_key_drop(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *k = find_epoch(m, key_id, epoch);

    if (k == NULL || k->state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s of epoch %u", key_id, epoch);
    }
    if (ks_key_in_use(k->state)) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is %s, not %s", key_id,
                         ks_key_state_name(k->state), ks_key_state_name(KS_KEY_OLD));
    }
    remove_key(m, k);
    return TDSA_OK;
}

/* A newer epoch is ACTIVE now. */
static void replace_earlier(ks_memory *m, const char *key_id, uint32_t epoch)
{
    memory_key *next = NULL;

    for (memory_key *k = m->keys; k != NULL; k = next) {
        next = k->next;
        if (strcmp(k->key_id, key_id) != 0 || k->epoch >= epoch) {
            continue;
        }
        if (ks_key_in_use(k->state)) {
            k->state = KS_KEY_OLD;
        } else if (k->state == KS_KEY_REGISTERED) {
            remove_key(m, k);
        }
    }
    ks_memory_void_before(m, key_id, epoch);
}

/* The live key, when it has this epoch and state. */
static tdsa_status find_in_state(ks_memory *m, memory_key **out, const char *key_id, uint32_t epoch,
                                 ks_key_state state, tdsa_err *err)
{
    memory_key *k = find_epoch(m, key_id, epoch);

    *out = NULL;
    if (k == NULL || k->state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s of epoch %u", key_id, epoch);
    }
    if (k->state != state) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is %s, not %s", key_id,
                         ks_key_state_name(k->state), ks_key_state_name(state));
    }
    *out = k;
    return TDSA_OK;
}

tdsa_status ks_memory_key_update(ks_backend *b, const ks_key_row *row, ks_key_state from,
                                 tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *k = NULL;
    uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    tdsa_status st = find_in_state(m, &k, row->key_id, row->epoch, from, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (!ks_memory_copy(&sealed, &sealed_len, row->sealed, row->sealed_len)) {
        return no_memory(err);
    }
    if (!ks_memory_copy(&k->public_part, &k->public_len, row->public_part, row->public_len)) {
        drop_bytes(&sealed, &sealed_len);
        return no_memory(err);
    }
    drop_bytes(&k->sealed, &k->sealed_len);
    k->sealed = sealed;
    k->sealed_len = sealed_len;
    k->state = row->state;
    ks_memory_changed(m, k->key_id);
    return TDSA_OK;
}

tdsa_status ks_memory_key_move(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                               ks_key_state to, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *k = NULL;
    tdsa_status st = find_in_state(m, &k, key_id, epoch, from, err);

    if (st == TDSA_OK) {
        k->state = to;
        ks_memory_changed(m, key_id);
        if (to == KS_KEY_ACTIVE) {
            replace_earlier(m, key_id, epoch);
            k->state = ks_memory_deleting(m, key_id) ? KS_KEY_DELETING : to;
        }
    }
    return st;
}

tdsa_status ks_memory_key_set_attrs(ks_backend *b, const char *key_id, const char *label,
                                    const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *k = find_live(m, key_id, err);

    if (k == NULL) {
        return err->status;
    }
    for (k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, key_id) != 0) {
            continue;
        }
        if (!ks_memory_copy(&k->attrs, &k->attrs_len, attrs, attrs_len)) {
            return no_memory(err);
        }
        memset(k->label, 0, sizeof k->label);
        (void)strncpy(k->label, label, KS_LABEL_MAX);
    }
    ks_memory_changed(m, key_id);
    return TDSA_OK;
}

tdsa_status ks_memory_key_set_limit(ks_backend *b, const char *key_id, int64_t limit, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_key *k = find_live(m, key_id, err);

    if (k == NULL) {
        return err->status;
    }
    for (k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, key_id) == 0) {
            k->presignature_limit = limit;
        }
    }
    ks_memory_changed(m, key_id);
    return TDSA_OK;
}

ks_key_row ks_memory_key_row(const memory_key *k)
{
    return (ks_key_row){
        .key_id = k->key_id,
        .epoch = k->epoch,
        .state = k->state,
        .label = k->label,
        .created_ms = k->created_ms,
        .presignature_limit = k->presignature_limit,
        .public_part = k->public_part,
        .attrs = k->attrs,
        .sealed = k->sealed,
        .public_len = k->public_len,
        .attrs_len = k->attrs_len,
        .sealed_len = k->sealed_len,
    };
}

static bool give_key(const memory_key *k, ks_key_row_fn fn, void *ctx)
{
    const ks_key_row row = ks_memory_key_row(k);

    return fn(ctx, &row);
}

tdsa_status ks_memory_key_get(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                              tdsa_err *err)
{
    const memory_key *k = ks_memory_find_key(ks_memory_of(b), key_id);

    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    (void)give_key(k, fn, ctx);
    return TDSA_OK;
}

tdsa_status ks_memory_key_each(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                               void *ctx, tdsa_err *err)
{
    size_t given = 0;

    ks_memory *m = ks_memory_of(b);

    (void)err;
    for (const memory_key *k = m->keys; k != NULL && given < limit; k = k->next) {
        if ((after != NULL && strcmp(k->key_id, after) <= 0) ||
            ks_memory_find_key(m, k->key_id) != k) {
            continue;
        }
        given++;
        if (!give_key(k, fn, ctx)) {
            break;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_key_labelled(ks_backend *b, const char *label, const ks_key_page *page,
                                   ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    size_t given = 0;

    (void)err;
    for (const memory_key *k = m->keys; k != NULL && given < page->limit; k = k->next) {
        if ((page->after != NULL && strcmp(k->key_id, page->after) <= 0) ||
            strcmp(k->label, label) != 0 || ks_memory_find_key(m, k->key_id) != k) {
            continue;
        }
        given++;
        if (!give_key(k, fn, ctx)) {
            break;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_key_has_share(ks_backend *b, bool *out, tdsa_err *err)
{
    (void)err;
    *out = false;
    for (const memory_key *k = ks_memory_of(b)->keys; k != NULL && !*out; k = k->next) {
        *out = k->state != KS_KEY_REGISTERED && k->state != KS_KEY_DELETED;
    }
    for (const memory_object *o = ks_memory_of(b)->objects; o != NULL && !*out; o = o->next) {
        *out = o->is_sealed;
    }
    return TDSA_OK;
}

tdsa_status ks_memory_key_rows(ks_backend *b, const char *key_id, ks_key_state state,
                               ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    (void)err;
    for (const memory_key *k = ks_memory_of(b)->keys; k != NULL; k = k->next) {
        if ((key_id == NULL || strcmp(k->key_id, key_id) == 0) &&
            (state == 0 || k->state == state) && !give_key(k, fn, ctx)) {
            break;
        }
    }
    return TDSA_OK;
}

static void drop_lanes(ks_memory *m, const char *key_id)
{
    memory_lane **at = &m->lanes;

    while (*at != NULL) {
        memory_lane *l = *at;

        if (strcmp(l->key_id, key_id) == 0) {
            *at = l->next;
            free(l);
        } else {
            at = &l->next;
        }
    }
}

bool ks_memory_key_wipe(ks_memory *m, const char *key_id, bool tombstone)
{
    memory_key *newest = NULL;
    memory_key *next = NULL;

    for (memory_key *k = m->keys; k != NULL; k = k->next) {
        newest = strcmp(k->key_id, key_id) == 0 ? k : newest; /* epochs ascend */
    }
    if (newest == NULL) {
        return false;
    }
    ks_memory_drop_batches(m, key_id);
    ks_memory_drop_partials(m, key_id);
    drop_lanes(m, key_id);
    for (memory_key *k = m->keys; k != NULL; k = next) {
        next = k->next;
        if (strcmp(k->key_id, key_id) == 0 && (k != newest || !tombstone)) {
            remove_key(m, k);
        }
    }
    ks_memory_changed(m, key_id);
    if (!tombstone) {
        ks_memory_drop_deletions(m, key_id);
        return true;
    }
    drop_bytes(&newest->public_part, &newest->public_len);
    drop_bytes(&newest->attrs, &newest->attrs_len);
    drop_bytes(&newest->sealed, &newest->sealed_len);
    memset(newest->label, 0, sizeof newest->label);
    newest->state = KS_KEY_DELETED;
    return true;
}

tdsa_status ks_memory_key_delete(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err)
{
    if (!ks_memory_key_wipe(ks_memory_of(b), key_id, tombstone)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return TDSA_OK;
}
