#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"

static memory_partial *find(const ks_memory *m, const uint8_t *beta, uint32_t index)
{
    memory_partial *x = m->partials;

    while (x != NULL &&
           (x->row.index != index || memcmp(x->row.beta, beta, sizeof x->row.beta) != 0)) {
        x = x->next;
    }
    return x;
}

bool ks_memory_has_partial(const ks_memory *m, const uint8_t *beta)
{
    const memory_partial *x = m->partials;

    while (x != NULL && memcmp(x->row.beta, beta, sizeof x->row.beta) != 0) {
        x = x->next;
    }
    return x != NULL;
}

static uint64_t drop(ks_memory *m, const char *key_id, uint64_t before_ms)
{
    memory_partial **at = &m->partials;
    uint64_t left = 0;

    while (*at != NULL) {
        memory_partial *x = *at;

        if (key_id != NULL ? strcmp(x->row.key_id, key_id) == 0 : x->row.expires_ms < before_ms) {
            *at = x->next;
            free(x);
        } else {
            left++;
            at = &x->next;
        }
    }
    return left;
}

void ks_memory_drop_partials(ks_memory *m, const char *key_id)
{
    (void)drop(m, key_id, UINT64_MAX);
}

tdsa_status ks_memory_partial_burn(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                   tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_partial *x = NULL;
    size_t count = 0;
    tdsa_status st = TDSA_OK;

    for (const memory_partial *o = m->partials; o != NULL; o = o->next) {
        count++;
    }
    if (count >= KS_PARTIALS_MAX) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "%u partial signatures are waiting already",
                         KS_PARTIALS_MAX);
    }
    x = calloc(1, sizeof *x);
    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
    }
    st = ks_memory_burn_unleased(b, row->beta, row->index, burns, err);
    if (st != TDSA_OK) {
        free(x);
        return st;
    }
    x->row = *row;
    x->next = m->partials;
    m->partials = x;
    return TDSA_OK;
}

tdsa_status ks_memory_partial_get(ks_backend *b, const uint8_t *beta, uint32_t index,
                                  ks_partial *out, tdsa_err *err)
{
    const memory_partial *x = find(ks_memory_of(b), beta, index);

    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
    }
    *out = x->row;
    return TDSA_OK;
}

tdsa_status ks_memory_partial_fail(ks_backend *b, const uint8_t *beta, uint32_t index,
                                   tdsa_err *err)
{
    memory_partial *x = find(ks_memory_of(b), beta, index);

    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
    }
    x->row.failed = true;
    return TDSA_OK;
}

tdsa_status ks_memory_partial_collect(ks_backend *b, uint64_t before_ms, uint64_t *left,
                                      tdsa_err *err)
{
    (void)err;
    *left = drop(ks_memory_of(b), NULL, before_ms);
    return TDSA_OK;
}
