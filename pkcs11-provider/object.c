#include "pkcs11-provider/object.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

#define FIRST_CAPACITY 64u /* keys; a power of two */
#define LIST_PAGE      256u

CK_OBJECT_HANDLE p11_object_handle(size_t index, p11_class cls)
{
    return 2 * ((CK_OBJECT_HANDLE)index + 1) + (cls == P11_PRIVATE_KEY ? 1 : 0);
}

bool p11_object_visible(const p11_key *key, p11_class cls, bool logged_in)
{
    if (key->state != P11_KEY_LIVE) {
        return false;
    }
    return cls == P11_PUBLIC_KEY ? !key->names.public_hidden : logged_in;
}

tdsa_status p11_objects_init(p11_objects *o, tdsa_err *err)
{
    *o = (p11_objects){0};
    if (pthread_mutex_init(&o->lock, NULL) != 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no lock for the objects");
    }
    o->keys = calloc(FIRST_CAPACITY, sizeof *o->keys);
    o->buckets = calloc(FIRST_CAPACITY, sizeof *o->buckets);
    if (o->keys == NULL || o->buckets == NULL) {
        p11_objects_clear(o);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the objects");
    }
    o->capacity = FIRST_CAPACITY;
    o->bucket_count = FIRST_CAPACITY;
    return TDSA_OK;
}

void p11_objects_clear(p11_objects *o)
{
    for (size_t i = 0; i < o->count; i++) {
        p11_names_clear(&o->keys[i]->names);
        free(o->keys[i]);
    }
    free(o->keys);
    free(o->buckets);
    (void)pthread_mutex_destroy(&o->lock);
    *o = (p11_objects){0};
}

p11_key *p11_objects_lock(p11_objects *o, CK_OBJECT_HANDLE handle, p11_class *cls)
{
    const size_t index = handle / 2; /* 1.. */

    *cls = handle % 2 == 1 ? P11_PRIVATE_KEY : P11_PUBLIC_KEY;
    pthread_mutex_lock(&o->lock);
    if (index < 1 || index > o->count) {
        pthread_mutex_unlock(&o->lock);
        return NULL;
    }
    return o->keys[index - 1];
}

void p11_objects_unlock(p11_objects *o)
{
    pthread_mutex_unlock(&o->lock);
}

/* FNV-1a; key ids are chosen by ourselves or by the operator of this very token. */
static size_t bucket_of(const p11_objects *o, const char *key_id)
{
    uint64_t h = 14695981039346656037u;

    for (const char *c = key_id; *c != '\0'; c++) {
        h = (h ^ (uint8_t)*c) * 1099511628211u;
    }
    return (size_t)h & (o->bucket_count - 1);
}

/* The live key with this id: index + 1, or 0. A deleted key's id may come back as another key. */
static size_t find_live(const p11_objects *o, const char *key_id)
{
    size_t at = o->buckets[bucket_of(o, key_id)];

    while (at != 0) {
        const p11_key *key = o->keys[at - 1];

        if (key->state == P11_KEY_LIVE && strcmp(key->facts.key_id, key_id) == 0) {
            return at;
        }
        at = key->next;
    }
    return 0;
}

static void chain(p11_objects *o, size_t index)
{
    const size_t bucket = bucket_of(o, o->keys[index]->facts.key_id);

    o->keys[index]->next = o->buckets[bucket];
    o->buckets[bucket] = index + 1;
}

/* Doubles the table and chains everything anew. */
static tdsa_status grow(p11_objects *o, tdsa_err *err)
{
    const size_t capacity = o->capacity * 2;
    size_t *buckets = calloc(capacity, sizeof *buckets);
    p11_key **keys = realloc(o->keys, capacity * sizeof(p11_key *));

    o->keys = keys != NULL ? keys : o->keys;
    if (buckets == NULL || keys == NULL) {
        free(buckets);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %zu keys", capacity);
    }
    free(o->buckets);
    o->buckets = buckets;
    o->bucket_count = capacity;
    o->capacity = capacity;
    for (size_t i = 0; i < o->count; i++) {
        chain(o, i);
    }
    return TDSA_OK;
}

/* The names of a key from its own attributes; one made by another tool has none, only a label. */
static tdsa_status read_names(p11_names *out, const part_key_info *info, tdsa_err *err)
{
    *out = (p11_names){0};
    if (info->attrs_len > 0) {
        return p11_names_decode(out, info->attrs, info->attrs_len, err);
    }
    if (!p11_bytes_set(&out->label, info->label, strlen(info->label))) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the names of a key");
    }
    return TDSA_OK;
}

static tdsa_status make_key(p11_key **out, const part_key_info *info, tdsa_err *err)
{
    p11_key *key = calloc(1, sizeof *key);
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (key == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    TDSA_ASSERT(info->public_key_len <= sizeof key->facts.point);
    memcpy(key->facts.key_id, info->key_id, sizeof key->facts.key_id);
    memcpy(key->facts.point, info->public_key, info->public_key_len);
    key->facts.point_len = info->public_key_len;
    key->facts.curve = info->curve;
    key->facts.policy = info->policy;
    key->facts.created_ms = info->created_ms;
    st = tdsa_hash(digest, TDSA_HASH_SHA1, info->public_key, info->public_key_len, err);
    if (st != TDSA_OK) {
        free(key);
        return st;
    }
    memcpy(key->facts.default_id, digest, sizeof key->facts.default_id);
    *out = key;
    return TDSA_OK;
}

static tdsa_status put_locked(p11_objects *o, const part_key_info *info, size_t *index_out,
                              tdsa_err *err)
{
    const size_t found = find_live(o, info->key_id);
    p11_names names = {0};
    p11_key *key = NULL;
    tdsa_status st = read_names(&names, info, err);

    *index_out = 0;
    if (st != TDSA_OK) {
        return st;
    }
    if (found != 0) {
        key = o->keys[found - 1];
        p11_names_clear(&key->names);
        key->names = names;
        key->seen = o->round;
        *index_out = found - 1;
        return TDSA_OK;
    }
    if (o->count == o->capacity) {
        st = grow(o, err);
    }
    if (st == TDSA_OK) {
        st = make_key(&key, info, err);
    }
    if (st != TDSA_OK) {
        p11_names_clear(&names);
        return st;
    }
    key->names = names;
    key->seen = o->round;
    *index_out = o->count;
    o->keys[o->count] = key;
    o->count++;
    chain(o, *index_out);
    return TDSA_OK;
}

tdsa_status p11_objects_put(p11_objects *o, const part_key_info *info, size_t *index_out,
                            tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    st = put_locked(o, info, index_out, err);
    pthread_mutex_unlock(&o->lock);
    return st;
}

typedef struct {
    p11_objects *objects;
    const tdsa_log *log;
    char last[KS_KEY_ID_MAX + 1];
    size_t rows;
    tdsa_status status;
    tdsa_err *err;
} list_run;

static bool take_row(void *ctx, const part_key_info *info)
{
    list_run *run = ctx;
    size_t index = 0;

    run->rows++;
    memcpy(run->last, info->key_id, sizeof run->last);
    if (info->scheme != MPC_SCHEME_ECDSA) { /* the module has no mechanism for such a key */
        return true;
    }
    run->status = put_locked(run->objects, info, &index, run->err);
    if (run->status == TDSA_E_BAD_INPUT) { /* one odd key must not hide the others */
        tdsa_logf(run->log, TDSA_LOG_WARN, "objects", "key %s is left out: %s", info->key_id,
                  run->err->text);
        run->status = TDSA_OK;
    }
    return run->status == TDSA_OK;
}

static tdsa_status read_all(p11_objects *o, part_engine *engine, const tdsa_log *log, tdsa_err *err)
{
    list_run run = {.objects = o, .log = log, .err = err};
    tdsa_status st = TDSA_OK;

    o->round++;
    do {
        const part_key_filter filter = {.after = run.last[0] == '\0' ? NULL : run.last,
                                        .limit = LIST_PAGE};

        run.rows = 0;
        st = part_engine_list(engine, &filter, take_row, &run, err);
        st = st != TDSA_OK ? st : run.status;
    } while (st == TDSA_OK && run.rows == LIST_PAGE);
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < o->count; i++) {
        if (o->keys[i]->state == P11_KEY_LIVE && o->keys[i]->seen != o->round) {
            o->keys[i]->state = P11_KEY_GONE;
        }
    }
    return TDSA_OK;
}

tdsa_status p11_objects_refresh(p11_objects *o, ks *store, part_engine *engine, const tdsa_log *log,
                                tdsa_err *err)
{
    uint64_t counter = 0;
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    st = ks_change_counter(store, &counter, err);
    if (st == TDSA_OK && (!o->loaded || counter != o->counter)) {
        st = read_all(o, engine, log, err);
        o->loaded = st == TDSA_OK;
        o->counter = counter; /* as it was before reading: a later change is seen next time */
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}
