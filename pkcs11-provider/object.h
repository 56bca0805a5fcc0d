#ifndef P11_OBJECT_H
#define P11_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>

#include "keystore/object.h"
#include "participant/engine.h"
#include "pkcs11-provider/cryptoki.h"
#include "pkcs11-provider/index.h"
#include "pkcs11-provider/item.h"
#include "pkcs11-provider/names.h"

/** What never changes in the life of a key. */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1]; /* "": a public key alone */
    grp_curve curve;
    mpc_scheme scheme;
    mpc_policy policy;                /* of a pair */
    uint8_t point[GRP_POINT_RAW_MAX]; /* SEC 1 uncompressed; Ed25519: its encoding */
    size_t point_len;
    uint8_t default_id[20]; /* SHA-1 of the point */
} p11_key_facts;

typedef enum {
    P11_PAIR,  /* a threshold key: shows as two objects, public and private */
    P11_ALONE, /* a public key alone: brought in by C_CreateObject, or a copy */
    P11_ITEM   /* a certificate, data, a profile: a list of attributes */
} p11_kind;

typedef enum {
    P11_LIVE,
    P11_GONE,    /* its handles stay dead for ever */
    P11_DELETED, /* a key deleted here through the private key object; the public one may be destroyed
                    once more without an error */
} p11_state;

/** Whose a session object is: it goes with that session, and is of the token in that slot. session 0: a
 * token object. */
typedef struct {
    CK_SESSION_HANDLE session;
    CK_SLOT_ID slot;
} p11_owner;

/** An entry of the table. */
typedef struct {
    p11_kind kind;
    p11_state state;
    uint64_t created_ms;
    uint64_t seen; /* round in which it was read */
    p11_owner owner;
    bool promoted; /* of a session: its key has become a token object by C_CopyObject, and stays */
    p11_key_facts facts; /* keys; of a certificate its curve, GRP_CURVE_END: none of ours */
    p11_names names;     /* keys */
    p11_item *item;      /* items, owned; else NULL */
    bool stored;         /* in the keystore's objects, under store_id */
    uint8_t store_id[KS_OBJECT_ID_LEN]; /* CKA_UNIQUE_ID of an item, stored or not */
} p11_object;

/** What a handle stands for: half of a pair, or the one thing that a key alone or an item is. */
typedef enum { P11_PUBLIC_KEY, P11_PRIVATE_KEY, P11_OTHER } p11_class;
/** The class of an object that is no half of a pair. */
static inline p11_class p11_class_alone(const p11_object *o)
{
    return o->kind == P11_ALONE ? P11_PUBLIC_KEY : P11_OTHER;
}

#define P11_LEFTOVERS_MAX 16u

/**
 * The objects of the token: a cache of the keystore's ACTIVE keys and of its other objects, read again
 * only where the keystore's change counter moved, and the session objects of this process. A handle is
 * 2 * (index + 1); indices are never used twice in the life of the process. That of a private key object
 * is one more, and has the number of logouts in its upper half: C_Logout ends it. Nothing here touches the
 * network.
 */
typedef struct {
    pthread_mutex_t refresh_lock; /* who reads the keystore; it is taken before the other one */
    pthread_mutex_t lock;         /* guards the table; nothing is called under it that may wait */
    grp *const *curves;           /* by grp_curve, lent */
    p11_object **at;              /* owned; count entries */
    size_t count, capacity;
    p11_index by_key;   /* key id: live pairs that are no promoted session keys */
    p11_index by_id;    /* CKA_ID: all live ones */
    p11_index by_label; /* CKA_LABEL: all live ones */
    uint64_t key_round, item_round;
    uint64_t counter;     /* of who reads */
    bool loaded;          /* the same: the keys are as they were at `counter` */
    bool items_changed;   /* the rest must be read again: private items can be, or not any more */
    size_t stored_live;   /* live objects that are in the keystore's objects */
    size_t builtin_count; /* the first objects, of builtin.c */
    atomic_uint logouts;  /* changes with the table locked */
    /* session keys of other processes whose time is over, seen by the last refresh; what does not fit
     * is seen by a later one */
    char leftover[P11_LEFTOVERS_MAX][KS_KEY_ID_MAX + 1];
    size_t leftover_count;
} p11_objects;

/** curves: opened before the first object comes. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_objects_init(p11_objects *o, grp *const *curves, tdsa_err *err)
    TDSA_NONNULL;
void p11_objects_clear(p11_objects *o) TDSA_NONNULL;

/** Whom a table is filled from. */
typedef struct {
    ks *store;
    part_engine *engine;
    const tdsa_log *log; /* may be NULL */
} p11_source;

/** Reads again what any process changed. Errors: TDSA_E_STORE, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_objects_refresh(p11_objects *o, const p11_source *from, tdsa_err *err)
    TDSA_NONNULL;
/** After a login: the next refresh reads the items again, and private ones too. */
void p11_objects_remember(p11_objects *o) TDSA_NONNULL;
/** After a logout: private items are wiped, and handles of private objects mean nothing any more, also
 * when the user logs in again. */
void p11_objects_forget(p11_objects *o) TDSA_NONNULL;

/** Takes one session key that was left behind out of the list; false: none is known. */
bool p11_objects_take_leftover(p11_objects *o, char key_id[KS_KEY_ID_MAX + 1]) TDSA_NONNULL;
/** Adds or updates a key after it was made or renamed here; owner: of a new session key, or NULL.
 * index_out: its index. Errors: TDSA_E_NO_MEMORY, TDSA_E_BAD_INPUT (its names), TDSA_E_LIMIT. */
TDSA_MUST_USE tdsa_status p11_objects_put_key(p11_objects *o, const part_key_info *info,
                                              const p11_owner *owner, size_t *index_out,
                                              tdsa_err *err) __attribute__((nonnull(1, 2, 4, 5)));
/** Where an item that is added comes from. */
typedef struct {
    const uint8_t *store_id; /* in the keystore; NULL: it is in no keystore */
    p11_owner owner;
    uint64_t created_ms;
} p11_origin;
/** Adds an item (a copy of it); CKO_PUBLIC_KEY becomes a key alone. Errors: TDSA_E_NO_MEMORY,
 * TDSA_E_BAD_INPUT (a public key that is none), TDSA_E_LIMIT. */
TDSA_MUST_USE tdsa_status p11_objects_put_item(p11_objects *o, const p11_item *item,
                                               const p11_origin *from, size_t *index_out,
                                               tdsa_err *err) TDSA_NONNULL;

/** Gives the object at `index` new contents, unless it is gone meanwhile. Errors: the same. */
TDSA_MUST_USE tdsa_status p11_objects_update_item(p11_objects *o, const p11_item *item,
                                                  const p11_origin *from, size_t index,
                                                  tdsa_err *err) TDSA_NONNULL;

/** The object and class of a handle with the table locked; NULL (and unlocked) when the handle means
 * nothing, or nothing since a logout. Objects that are GONE or DELETED are given too: look at state. */
p11_object *p11_objects_lock(p11_objects *o, CK_OBJECT_HANDLE handle, p11_class *cls) TDSA_NONNULL;
void p11_objects_unlock(p11_objects *o) TDSA_NONNULL;
/** True for a handle that is, or was before a logout, that of a live private key object. */
bool p11_objects_private_key(p11_objects *o, CK_OBJECT_HANDLE handle) TDSA_NONNULL;
/** Entries of the table: indices are below. */
size_t p11_objects_count(p11_objects *o) TDSA_NONNULL;
/** With the table locked: after the names or the state of an object changed. */
void p11_objects_reindex(p11_objects *o, size_t index) TDSA_NONNULL;
/** Gives a pair other names, here and nowhere else; takes them over. */
void p11_objects_rename(p11_objects *o, size_t index, p11_names *names) TDSA_NONNULL;
/** With the table locked: takes an object out; wipes an item. */
void p11_objects_drop(p11_objects *o, size_t index, p11_state state) TDSA_NONNULL;

/** The handle that the object at `index` has now. */
CK_OBJECT_HANDLE p11_object_handle(const p11_objects *o, size_t index, p11_class cls) TDSA_NONNULL;
#define P11_HANDLE_INDEX_BITS (4u * sizeof(CK_OBJECT_HANDLE)) /* the lower half */
static inline size_t p11_object_index(CK_OBJECT_HANDLE handle)
{
    return (size_t)((handle & (((CK_OBJECT_HANDLE)1 << P11_HANDLE_INDEX_BITS) - 1)) / 2) - 1;
}
/** With the table locked: the live pair with this key id: index plus one, or 0. */
size_t p11_objects_find_key(const p11_objects *o, const char *key_id) TDSA_NONNULL;
/** With the table locked: the pair with this point, token objects first: index plus one, or 0. Looks at all
 * of them. */
size_t p11_objects_find_point(const p11_objects *o, const uint8_t *point, size_t len) TDSA_NONNULL;
/** CKA_ID and CKA_LABEL of an object; lent by it. */
p11_bytes p11_object_id(p11_object *o) TDSA_NONNULL;
p11_bytes p11_object_label(const p11_object *o) TDSA_NONNULL;

#endif
