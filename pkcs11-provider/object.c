#include "pkcs11-provider/object_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "pkcs11-provider/curve.h"

#define FIRST_CAPACITY 64u /* objects; a power of two */
#define HANDLES_EACH   2u
#define COUNT_MAX      (((CK_OBJECT_HANDLE)1 << (P11_HANDLE_INDEX_BITS - 1)) - 1)

/* The upper half of the handles of private key objects. */
static CK_OBJECT_HANDLE logouts(const p11_objects *o)
{
    return (CK_OBJECT_HANDLE)atomic_load(&o->logouts) << P11_HANDLE_INDEX_BITS;
}

CK_OBJECT_HANDLE p11_object_handle(const p11_objects *o, size_t index, p11_class cls)
{
    const CK_OBJECT_HANDLE handle = HANDLES_EACH * ((CK_OBJECT_HANDLE)index + 1);

    return cls == P11_PRIVATE_KEY ? (handle + 1) | logouts(o) : handle;
}

/* Room for twice as many; nothing changes on failure. */
static tdsa_status grow(p11_objects *o, size_t capacity, tdsa_err *err)
{
    p11_object **at = realloc(o->at, capacity * sizeof(p11_object *));
    tdsa_status st = TDSA_OK;

    if (at == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %zu objects", capacity);
    }
    o->at = at;
    st = p11_index_grow(&o->by_key, capacity, err);
    if (st == TDSA_OK) {
        st = p11_index_grow(&o->by_id, capacity, err);
    }
    if (st == TDSA_OK) {
        st = p11_index_grow(&o->by_label, capacity, err);
    }
    if (st == TDSA_OK) {
        o->capacity = capacity;
    }
    return st;
}

tdsa_status p11_objects_init(p11_objects *o, grp *const *curves, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    *o = (p11_objects){.curves = curves};
    if (pthread_mutex_init(&o->lock, NULL) != 0 ||
        pthread_mutex_init(&o->refresh_lock, NULL) != 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no lock for the objects");
    }
    st = grow(o, FIRST_CAPACITY, err);
    if (st != TDSA_OK) {
        p11_objects_clear(o);
    }
    return st;
}

static void clear_object(p11_object *object)
{
    p11_names_clear(&object->names);
    if (object->item != NULL) {
        p11_item_clear(object->item);
        free(object->item);
        object->item = NULL;
    }
}

void p11_objects_clear(p11_objects *o)
{
    for (size_t i = 0; i < o->count; i++) {
        clear_object(o->at[i]);
        free(o->at[i]);
    }
    free(o->at);
    p11_index_clear(&o->by_key);
    p11_index_clear(&o->by_id);
    p11_index_clear(&o->by_label);
    (void)pthread_mutex_destroy(&o->lock);
    (void)pthread_mutex_destroy(&o->refresh_lock);
    *o = (p11_objects){0};
}

p11_object *p11_objects_lock(p11_objects *o, CK_OBJECT_HANDLE handle, p11_class *cls)
{
    const bool odd = handle % HANDLES_EACH == 1;
    const size_t index = p11_object_index(handle);
    p11_object *object = NULL;

    pthread_mutex_lock(&o->lock);
    if (index < o->count &&
        handle == p11_object_handle(o, index, odd ? P11_PRIVATE_KEY : P11_OTHER)) {
        object = o->at[index];
    }
    if (object == NULL || (odd && object->kind != P11_PAIR)) {
        *cls = P11_OTHER;
        pthread_mutex_unlock(&o->lock);
        return NULL;
    }
    if (object->kind == P11_PAIR) {
        *cls = odd ? P11_PRIVATE_KEY : P11_PUBLIC_KEY;
    } else {
        *cls = p11_class_alone(object);
    }
    return object;
}

void p11_objects_unlock(p11_objects *o)
{
    pthread_mutex_unlock(&o->lock);
}

bool p11_objects_private_key(p11_objects *o, CK_OBJECT_HANDLE handle)
{
    const size_t index = p11_object_index(handle);
    bool is_one = false;

    pthread_mutex_lock(&o->lock);
    is_one = handle % HANDLES_EACH == 1 && index < o->count && o->at[index]->kind == P11_PAIR &&
             o->at[index]->state == P11_LIVE;
    pthread_mutex_unlock(&o->lock);
    return is_one;
}

size_t p11_objects_count(p11_objects *o)
{
    size_t count = 0;

    pthread_mutex_lock(&o->lock);
    count = o->count;
    pthread_mutex_unlock(&o->lock);
    return count;
}

p11_bytes p11_object_id(p11_object *o)
{
    const p11_bytes *id = NULL;

    if (o->kind == P11_ITEM) {
        id = p11_item_get(o->item, CKA_ID);
        return id != NULL ? *id : (p11_bytes){NULL, 0};
    }
    if (o->names.id.len == 0) {
        return (p11_bytes){o->facts.default_id, sizeof o->facts.default_id};
    }
    return o->names.id;
}

p11_bytes p11_object_label(const p11_object *o)
{
    const p11_bytes *label = NULL;

    if (o->kind != P11_ITEM) {
        return o->names.label;
    }
    label = p11_item_get(o->item, CKA_LABEL);
    return label != NULL ? *label : (p11_bytes){NULL, 0};
}

void p11_objects_reindex(p11_objects *o, size_t index)
{
    p11_object *object = o->at[index];
    p11_bytes bytes;

    p11_index_remove(&o->by_key, index);
    p11_index_remove(&o->by_id, index);
    p11_index_remove(&o->by_label, index);
    if (object->state != P11_LIVE) {
        return;
    }
    if (object->kind == P11_PAIR && !object->promoted) {
        p11_index_put(&o->by_key, index, object->facts.key_id, strlen(object->facts.key_id));
    } else if (object->stored) {
        p11_index_put(&o->by_key, index, object->store_id, sizeof object->store_id);
    }
    bytes = p11_object_id(object);
    p11_index_put(&o->by_id, index, bytes.data, bytes.len);
    bytes = p11_object_label(object);
    p11_index_put(&o->by_label, index, bytes.data, bytes.len);
}

void p11_objects_drop(p11_objects *o, size_t index, p11_state state)
{
    o->stored_live -= o->at[index]->state == P11_LIVE && o->at[index]->stored ? 1 : 0;
    o->at[index]->state = state;
    p11_objects_reindex(o, index);
    clear_object(o->at[index]);
}

void p11_objects_rename(p11_objects *o, size_t index, p11_names *names)
{
    pthread_mutex_lock(&o->lock);
    if (o->at[index]->state == P11_LIVE) {
        p11_names_clear(&o->at[index]->names);
        o->at[index]->names = *names;
        *names = (p11_names){0};
        p11_objects_reindex(o, index);
    }
    pthread_mutex_unlock(&o->lock);
}

/* Appends an object, which the table owns from now on; on failure it is freed. */
static tdsa_status append(p11_objects *o, p11_object *object, size_t *index_out, tdsa_err *err)
{
    tdsa_status st = o->count == o->capacity ? grow(o, o->capacity * 2, err) : TDSA_OK;

    if (st == TDSA_OK && o->count >= COUNT_MAX) {
        st = TDSA_FAIL(err, TDSA_E_LIMIT, "no more handles for objects");
    }
    if (st != TDSA_OK) {
        clear_object(object);
        free(object);
        return st;
    }
    object->seen = object->kind == P11_PAIR ? o->key_round : o->item_round;
    o->stored_live += object->stored ? 1 : 0;
    *index_out = o->count;
    o->at[o->count++] = object;
    p11_objects_reindex(o, *index_out);
    return TDSA_OK;
}

/* Gives an object the contents of another one, which is freed. */
static void replace(p11_objects *o, size_t index, p11_object *object)
{
    p11_object *old = o->at[index];

    clear_object(old);
    old->facts = object->facts;
    old->names = object->names;
    old->item = object->item;
    old->seen = o->item_round;
    free(object);
    p11_objects_reindex(o, index);
}

/* ---- keys ---- */

/* A deleted key's id may come back as another key. */
size_t p11_objects_find_key(const p11_objects *o, const char *key_id)
{
    size_t at = p11_index_first(&o->by_key, key_id, strlen(key_id));

    while (at != 0 &&
           (o->at[at - 1]->kind != P11_PAIR || strcmp(o->at[at - 1]->facts.key_id, key_id) != 0)) {
        at = p11_index_next(&o->by_key, at);
    }
    return at;
}

/* The live object with this id in the keystore: index plus one, or 0. */
static size_t find_stored(const p11_objects *o, const uint8_t store_id[KS_OBJECT_ID_LEN])
{
    size_t at = p11_index_first(&o->by_key, store_id, KS_OBJECT_ID_LEN);

    while (at != 0 && (!o->at[at - 1]->stored ||
                       memcmp(o->at[at - 1]->store_id, store_id, KS_OBJECT_ID_LEN) != 0)) {
        at = p11_index_next(&o->by_key, at);
    }
    return at;
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

size_t p11_objects_find_point(const p11_objects *o, const uint8_t *point, size_t len)
{
    size_t found = 0;

    for (size_t i = 0; i < o->count; i++) {
        const p11_object *object = o->at[i];

        if (object->kind == P11_PAIR && object->state == P11_LIVE &&
            object->facts.point_len == len && memcmp(object->facts.point, point, len) == 0) {
            found = i + 1;
            if (object->owner.session == 0) {
                break;
            }
        }
    }
    return found;
}

static tdsa_status set_point(p11_key_facts *facts, const uint8_t *point, size_t len, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA1, point, len, err);

    TDSA_ASSERT(len <= sizeof facts->point);
    memcpy(facts->point, point, len);
    facts->point_len = len;
    if (st == TDSA_OK) {
        memcpy(facts->default_id, digest, sizeof facts->default_id);
    }
    return st;
}

static tdsa_status make_pair(p11_object **out, const part_key_info *info, tdsa_err *err)
{
    p11_object *object = calloc(1, sizeof *object);
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (object == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    object->kind = P11_PAIR;
    object->created_ms = info->created_ms;
    memcpy(object->facts.key_id, info->key_id, sizeof object->facts.key_id);
    object->facts.curve = info->curve;
    object->facts.scheme = info->scheme;
    object->facts.policy = info->policy;
    st = set_point(&object->facts, info->public_key, info->public_key_len, err);
    if (st != TDSA_OK) {
        free(object);
        return st;
    }
    *out = object;
    return TDSA_OK;
}

/* A session key of another process: not shown, only remembered when its time is over. */
static void pass_over(p11_objects *o, const part_key_info *info, const p11_names *names)
{
    const tdsa_clock clock = tdsa_os_clock();

    if (names->session_until_ms < clock.wall_ms(clock.ctx) &&
        o->leftover_count < P11_LEFTOVERS_MAX) {
        memcpy(o->leftover[o->leftover_count++], info->key_id, KS_KEY_ID_MAX + 1);
    }
}

tdsa_status p11_objects_put_key_locked(p11_objects *o, const part_key_info *info,
                                       const p11_owner *owner, size_t *index_out, tdsa_err *err)
{
    const size_t found = p11_objects_find_key(o, info->key_id);
    p11_names names = {0};
    p11_object *object = NULL;
    tdsa_status st = read_names(&names, info, err);

    *index_out = found;
    if (st == TDSA_OK && found != 0 && o->at[found - 1]->owner.session != 0 &&
        names.session_until_ms == 0) {
        /* C_CopyObject made a token object of it: that is another object from now on */
        o->at[found - 1]->promoted = true;
        p11_objects_reindex(o, found - 1);
        p11_names_clear(&names);
        return p11_objects_put_key_locked(o, info, NULL, index_out, err);
    }
    if (st == TDSA_OK && found != 0) {
        object = o->at[found - 1];
        p11_names_clear(&object->names);
        object->names = names;
        object->seen = o->key_round;
        p11_objects_reindex(o, found - 1);
        return TDSA_OK;
    }
    if (st == TDSA_OK && names.session_until_ms != 0 && owner == NULL) {
        pass_over(o, info, &names);
        p11_names_clear(&names);
        return TDSA_OK;
    }
    st = st == TDSA_OK ? make_pair(&object, info, err) : st;
    if (st != TDSA_OK) {
        p11_names_clear(&names);
        return st;
    }
    object->names = names;
    if (owner != NULL) {
        object->owner = *owner;
    }
    st = append(o, object, index_out, err);
    *index_out += st == TDSA_OK ? 1 : 0;
    return st;
}

tdsa_status p11_objects_put_key(p11_objects *o, const part_key_info *info, const p11_owner *owner,
                                size_t *index_out, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    st = p11_objects_put_key_locked(o, info, owner, index_out, err);
    pthread_mutex_unlock(&o->lock);
    TDSA_ASSERT(st != TDSA_OK || *index_out > 0);
    *index_out -= st == TDSA_OK ? 1 : 0;
    return st;
}

/* ---- items ---- */

static tdsa_status take_bytes(p11_bytes *to, const p11_item *item, CK_ATTRIBUTE_TYPE type,
                              tdsa_err *err)
{
    const p11_bytes *b = p11_item_get(item, type);

    return b == NULL || p11_bytes_set(to, b->data, b->len)
               ? TDSA_OK
               : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a name");
}

static tdsa_status take_names(p11_names *to, const p11_item *item, tdsa_err *err)
{
    tdsa_status st = take_bytes(&to->id, item, CKA_ID, err);

    if (st == TDSA_OK) {
        st = take_bytes(&to->label, item, CKA_LABEL, err);
    }
    if (st == TDSA_OK) {
        st = take_bytes(&to->subject, item, CKA_SUBJECT, err);
    }
    if (st == TDSA_OK) {
        st = take_bytes(&to->start_date, item, CKA_START_DATE, err);
    }
    return st == TDSA_OK ? take_bytes(&to->end_date, item, CKA_END_DATE, err) : st;
}

/* CKO_PUBLIC_KEY as it was written down: curve, point and names. */
static tdsa_status fill_alone(p11_object *object, grp *const *curves, const p11_item *item,
                              tdsa_err *err)
{
    const p11_bytes *params = p11_item_get(item, CKA_EC_PARAMS);
    const p11_bytes *written = p11_item_get(item, CKA_EC_POINT);
    const grp *g = params != NULL ? p11_curve_of_params(curves, params->data, params->len) : NULL;
    const uint8_t *point = NULL;
    grp_point checked;
    size_t len = 0;
    tdsa_status st = TDSA_OK;

    if (g != NULL && written != NULL) {
        point = p11_point_of(g, written->data, written->len, &len);
    }
    if (point == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a public key without a curve of ours or a point");
    }
    st = grp_point_decode(g, &checked, point, len, err);
    object->facts.curve = grp_get_info(g)->curve;
    object->facts.scheme = mpc_scheme_default(object->facts.curve);
    if (st == TDSA_OK) {
        st = set_point(&object->facts, point, len, err);
    }
    return st == TDSA_OK ? take_names(&object->names, item, err) : st;
}

static tdsa_status fill_item(p11_object *object, grp *const *curves, const p11_item *item,
                             tdsa_err *err)
{
    const p11_bytes *spki = p11_item_get(item, CKA_PUBLIC_KEY_INFO);
    const uint8_t *point = NULL;
    const grp *g = spki != NULL ? p11_curve_of_spki(curves, spki->data, spki->len, &point) : NULL;

    object->facts.curve = g != NULL ? grp_get_info(g)->curve : GRP_CURVE_END;
    object->item = calloc(1, sizeof *object->item);
    return object->item != NULL ? p11_item_copy(object->item, item, err)
                                : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an object");
}

/* An id for an object that is in no keystore, of what it is and its place in the table: that of a file's
 * certificate is the same in each process. */
static tdsa_status name_alone(p11_object *object, size_t place, const p11_item *item, tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = TDSA_OK;

    p11_item_encode(&bytes, item);
    tdsa_buf_append_u64(&bytes, place);
    st = tdsa_buf_check(&bytes, err);
    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA256, bytes.data, bytes.len, err);
    }
    if (st == TDSA_OK) {
        memcpy(object->store_id, digest, sizeof object->store_id);
    }
    return st;
}

/* An object that is in no table yet. */
static tdsa_status make_item(p11_object **out, const p11_objects *o, const p11_item *item,
                             const p11_origin *from, tdsa_err *err)
{
    const bool alone = p11_item_number(item, CKA_CLASS, CKO_DATA) == CKO_PUBLIC_KEY;
    p11_object *object = calloc(1, sizeof *object);
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (object == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an object");
    }
    object->kind = alone ? P11_ALONE : P11_ITEM;
    object->created_ms = from->created_ms;
    object->owner = from->owner;
    object->stored = from->store_id != NULL;
    if (object->stored) {
        memcpy(object->store_id, from->store_id, sizeof object->store_id);
    }
    st = alone ? fill_alone(object, o->curves, item, err) : fill_item(object, o->curves, item, err);
    if (st == TDSA_OK && !object->stored) {
        st = name_alone(object, o->count, item, err);
    }
    if (st != TDSA_OK) {
        clear_object(object);
        free(object);
        return st;
    }
    *out = object;
    return TDSA_OK;
}

static tdsa_status put_item(p11_objects *o, const p11_item *item, const p11_origin *from,
                            size_t *index_out, tdsa_err *err)
{
    const size_t found = from->store_id != NULL ? find_stored(o, from->store_id) : 0;
    p11_object *object = NULL;
    const tdsa_status st = make_item(&object, o, item, from, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (found != 0) {
        *index_out = found - 1;
        replace(o, *index_out, object);
        return TDSA_OK;
    }
    return append(o, object, index_out, err);
}

tdsa_status p11_objects_put_item(p11_objects *o, const p11_item *item, const p11_origin *from,
                                 size_t *index_out, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    st = put_item(o, item, from, index_out, err);
    pthread_mutex_unlock(&o->lock);
    return st;
}

tdsa_status p11_objects_update_item(p11_objects *o, const p11_item *item, const p11_origin *from,
                                    size_t index, tdsa_err *err)
{
    p11_object *object = NULL;
    tdsa_status st = TDSA_OK;

    pthread_mutex_lock(&o->lock);
    st = make_item(&object, o, item, from, err);
    if (st == TDSA_OK && o->at[index]->state == P11_LIVE) {
        replace(o, index, object);
    } else if (st == TDSA_OK) {
        clear_object(object);
        free(object);
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}
