/* Test double of the keystore's objects that are no keys. */
#include <pthread.h>
#include <string.h>

#include "support/fake_internal.h"

#define FAKE_OBJECTS_MAX 64u

typedef struct {
    bool used;
    ks_object row;
    uint8_t bytes[4096];
} fake_object;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fake_object objects[FAKE_OBJECTS_MAX];

void fake_objects_reset(void)
{
    pthread_mutex_lock(&lock);
    memset(objects, 0, sizeof objects);
    pthread_mutex_unlock(&lock);
}

static fake_object *find_object(const uint8_t *id)
{
    for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
        if (objects[i].used && memcmp(objects[i].row.id, id, KS_OBJECT_ID_LEN) == 0) {
            return &objects[i];
        }
    }
    return NULL;
}

static fake_object *free_object(void)
{
    for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
        if (!objects[i].used) {
            return &objects[i];
        }
    }
    return NULL;
}

tdsa_status ks_object_put(ks *s, const ks_object *o, tdsa_err *err)
{
    fake_object *to = NULL;
    tdsa_status st = fake_fail_as(&fake.fail_object, err);

    if (st == TDSA_OK && o->sealed && !atomic_load(&s->unlocked)) {
        st = TDSA_FAIL(err, TDSA_E_LOGIN, "locked");
    }
    if (st != TDSA_OK) {
        return st;
    }
    pthread_mutex_lock(&lock);
    to = find_object(o->id);
    to = to != NULL ? to : free_object();
    if (to == NULL || o->len > sizeof to->bytes) {
        st = TDSA_FAIL(err, TDSA_E_LIMIT, "no room for an object of %zu bytes", o->len);
    } else {
        to->used = true;
        to->row = *o;
        memcpy(to->bytes, o->bytes, o->len);
        to->row.bytes = to->bytes;
    }
    pthread_mutex_unlock(&lock);
    fake_changed();
    return st;
}

tdsa_status ks_object_each(ks *s, ks_object_fn fn, void *ctx, tdsa_err *err)
{
    (void)err;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
        ks_object row = objects[i].row;

        if (row.sealed && !atomic_load(&s->unlocked)) {
            row.bytes = NULL;
        }
        if (objects[i].used && !fn(ctx, &row)) {
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return TDSA_OK;
}

tdsa_status ks_object_delete(ks *s, const uint8_t id[KS_OBJECT_ID_LEN], tdsa_err *err)
{
    fake_object *o = NULL;

    (void)s;
    pthread_mutex_lock(&lock);
    o = find_object(id);
    if (o != NULL) {
        o->used = false;
    }
    pthread_mutex_unlock(&lock);
    fake_changed();
    return o != NULL ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such object");
}
