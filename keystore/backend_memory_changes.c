#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"

/* Which change was the last of each key, of those that are gone too. */

static memory_change *take(ks_memory *m, const char *key_id)
{
    for (memory_change **at = &m->changes; *at != NULL; at = &(*at)->next) {
        memory_change *c = *at;

        if (strcmp(c->key_id, key_id) == 0) {
            *at = c->next;
            return c;
        }
    }
    return NULL;
}

void ks_memory_changed(ks_memory *m, const char *key_id)
{
    memory_change **at = &m->changes;
    memory_change *c = NULL;

    m->key_changes++;
    if (key_id == NULL) {
        return;
    }
    c = take(m, key_id);
    c = c != NULL ? c : calloc(1, sizeof *c);
    if (c == NULL) { /* it is forgotten, and says so */
        m->changes_from = m->key_changes;
        return;
    }
    (void)strncpy(c->key_id, key_id, KS_KEY_ID_MAX);
    c->number = m->key_changes;
    c->next = NULL;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = c;
}

void ks_memory_drop_changes(ks_memory *m)
{
    while (m->changes != NULL) {
        memory_change *c = m->changes;

        m->changes = c->next;
        free(c);
    }
}

tdsa_status ks_memory_key_changed(ks_backend *b, const ks_key_changes *which, ks_key_row_fn fn,
                                  void *ctx, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    size_t left = which->limit;

    (void)err;
    for (const memory_change *c = m->changes; c != NULL && left > 0; c = c->next) {
        const memory_key *k = ks_memory_find_key(m, c->key_id);
        ks_key_row row = {.key_id = c->key_id, .state = KS_KEY_DELETED, .label = ""};

        if (c->number <= which->after || c->number > which->upto) {
            continue;
        }
        if (k != NULL) {
            row = ks_memory_key_row(k);
        }
        row.change = c->number;
        left = fn(ctx, &row) ? left - 1 : 0;
    }
    return TDSA_OK;
}
