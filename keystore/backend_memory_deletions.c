#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"

static memory_deletion *find(const ks_memory *m, const char *key_id)
{
    memory_deletion *d = m->deletions;

    while (d != NULL && strcmp(d->d.key_id, key_id) != 0) {
        d = d->next;
    }
    return d;
}

bool ks_memory_deleting(const ks_memory *m, const char *key_id)
{
    const memory_deletion *d = find(m, key_id);

    return d != NULL && (d->d.state == KS_DELETION_SCHEDULED || d->d.state == KS_DELETION_UNDOING);
}

void ks_memory_drop_deletions(ks_memory *m, const char *key_id)
{
    memory_deletion **at = &m->deletions;

    while (*at != NULL) {
        memory_deletion *d = *at;

        if (key_id == NULL || strcmp(d->d.key_id, key_id) == 0) {
            *at = d->next;
            free(d);
        } else {
            at = &d->next;
        }
    }
}

static void move_keys(ks_memory *m, const ks_deletion *d)
{
    if (d->state == KS_DELETION_WIPED) {
        (void)ks_memory_key_wipe(m, d->key_id, true);
    }
    for (memory_key *k = m->keys; k != NULL; k = k->next) {
        if (strcmp(k->key_id, d->key_id) != 0) {
            continue;
        }
        if (d->state == KS_DELETION_SCHEDULED && k->state == KS_KEY_ACTIVE) {
            k->state = KS_KEY_DELETING;
        } else if (d->state == KS_DELETION_CANCELLED && k->state == KS_KEY_DELETING) {
            k->state = KS_KEY_ACTIVE;
        }
    }
    ks_memory_changed(m, d->key_id);
}

static memory_deletion *insert(ks_memory *m, const char *key_id)
{
    memory_deletion *fresh = calloc(1, sizeof *fresh);
    memory_deletion **at = &m->deletions;

    if (fresh == NULL) {
        return NULL;
    }
    while (*at != NULL && strcmp((*at)->d.key_id, key_id) < 0) {
        at = &(*at)->next;
    }
    fresh->next = *at;
    *at = fresh;
    return fresh;
}

tdsa_status ks_memory_deletion_put(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                   tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    const memory_key *k = ks_memory_find_key(m, d->key_id);
    memory_deletion *now = find(m, d->key_id);
    const uint64_t serial = now != NULL ? now->d.serial : 0;
    const int state = now != NULL ? (int)now->d.state : 0;

    if (k == NULL || (k->state == KS_KEY_DELETED && d->state != KS_DELETION_WIPED)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", d->key_id);
    }
    if (serial != (was != NULL ? was->serial : 0) || state != (was != NULL ? (int)was->state : 0)) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "another order about key %s is stored meanwhile",
                         d->key_id);
    }
    if (now == NULL) {
        now = insert(m, d->key_id);
    }
    if (now == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
    }
    now->d = *d;
    move_keys(m, d);
    return TDSA_OK;
}

tdsa_status ks_memory_deletion_told(ks_backend *b, const ks_deletion *d, uint32_t told,
                                    tdsa_err *err)
{
    memory_deletion *now = find(ks_memory_of(b), d->key_id);

    (void)err;
    if (now != NULL && now->d.serial == d->serial && now->d.state == d->state) {
        now->d.told |= told & now->d.members;
    }
    return TDSA_OK;
}

tdsa_status ks_memory_deletion_each(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                    tdsa_err *err)
{
    (void)err;
    for (const memory_deletion *d = ks_memory_of(b)->deletions; d != NULL; d = d->next) {
        const bool open = d->d.state < KS_DELETION_CANCELLED || d->d.told != d->d.members;
        const bool wanted = key_id == NULL ? open : strcmp(d->d.key_id, key_id) == 0;

        if (wanted && !fn(ctx, &d->d)) {
            break;
        }
    }
    return TDSA_OK;
}
