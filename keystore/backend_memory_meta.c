#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "keystore/backend_memory.h"

/* Small named values and counters. */

static memory_meta *find_meta(ks_memory *m, const char *name)
{
    for (memory_meta *v = m->metas; v != NULL; v = v->next) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

tdsa_status ks_memory_meta_put(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_meta *v = find_meta(m, name);

    if (v == NULL) {
        v = calloc(1, sizeof *v);
        if (v == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
        }
        (void)strncpy(v->name, name, sizeof v->name - 1);
        v->next = m->metas;
        m->metas = v;
    }
    return ks_memory_copy(&v->value, &v->len, value, len)
               ? TDSA_OK
               : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
}

tdsa_status ks_memory_meta_create(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                                  tdsa_err *err)
{
    if (find_meta(ks_memory_of(b), name) != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the value %s exists already", name);
    }
    return ks_memory_meta_put(b, name, value, len, err);
}

tdsa_status ks_memory_meta_get(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err)
{
    const memory_meta *v = find_meta(ks_memory_of(b), name);

    if (v == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no value named %s is stored", name);
    }
    tdsa_buf_append(out, v->value, v->len);
    return tdsa_buf_check(out, err);
}

static uint64_t *counter_of(ks_memory *m, const char *name)
{
    if (strcmp(name, KS_COUNTER_BURN) == 0) {
        return &m->burns;
    }
    if (strcmp(name, KS_COUNTER_PURGE) == 0) {
        return &m->purges;
    }
    if (strcmp(name, KS_COUNTER_CHANGES_FROM) == 0) {
        return &m->changes_from;
    }
    TDSA_ASSERT(strcmp(name, KS_COUNTER_START) == 0);
    return &m->starts;
}

tdsa_status ks_memory_counter_next(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    (void)err;
    *out = ++*counter_of(ks_memory_of(b), name);
    return TDSA_OK;
}

tdsa_status ks_memory_counter_get(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    (void)err;
    *out = *counter_of(ks_memory_of(b), name);
    return TDSA_OK;
}
