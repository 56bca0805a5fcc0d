#ifndef P11_OBJECT_H
#define P11_OBJECT_H

#include <pthread.h>

#include "participant/engine.h"
#include "pkcs11-provider/cryptoki.h"
#include "pkcs11-provider/names.h"

/** What never changes in the life of a key. */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    grp_curve curve;
    mpc_policy policy;
    uint64_t created_ms;
    uint8_t point[GRP_POINT_RAW_MAX]; /* SEC 1 uncompressed */
    size_t point_len;
    uint8_t default_id[20]; /* SHA-1 of the point */
} p11_key_facts;

typedef enum {
    P11_KEY_LIVE,
    P11_KEY_GONE,    /* deleted; its handles stay dead for ever */
    P11_KEY_DELETED, /* deleted here through the private key object; the public one may be
                        destroyed once more without an error */
} p11_key_state;

/** One threshold key; shows as two objects, public and private. */
typedef struct {
    p11_key_facts facts;
    p11_names names;
    p11_key_state state;
    uint64_t seen; /* refresh round */
    size_t next;   /* in its hash chain: index + 1, or 0 */
} p11_key;

typedef enum { P11_PUBLIC_KEY, P11_PRIVATE_KEY } p11_class;

/**
 * The key objects of the token: a cache of the keystore's ACTIVE ECDSA keys (keys of other schemes,
 * which other clients of the keystore may make, are left out), read again only when the
 * keystore's change counter moves. A handle is 2 * (index + 1) for the public and one more for the
 * private key object; indices are never used twice in the life of the process.
 * Nothing here touches the network.
 */
typedef struct {
    pthread_mutex_t lock; /* guards all below; the keystore is called under it, never the reverse */
    p11_key **keys;       /* owned; count entries */
    size_t count, capacity;
    size_t *buckets; /* index + 1 of the first of a chain, or 0 */
    size_t bucket_count;
    uint64_t counter, round;
    bool loaded;
} p11_objects;

/** Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_objects_init(p11_objects *o, tdsa_err *err) TDSA_NONNULL;
void p11_objects_clear(p11_objects *o) TDSA_NONNULL;

/** Reads the keys again if any process changed one. Errors: TDSA_E_STORE, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_objects_refresh(p11_objects *o, ks *store, part_engine *engine,
                                              const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
/** Adds or updates one key after it was made or renamed here. index_out: its index. */
TDSA_MUST_USE tdsa_status p11_objects_put(p11_objects *o, const part_key_info *info,
                                          size_t *index_out, tdsa_err *err) TDSA_NONNULL;

/** The key and class of a handle with the table locked; NULL (and unlocked) when the handle means
 * nothing. GONE and DELETED keys are given too: look at state. */
p11_key *p11_objects_lock(p11_objects *o, CK_OBJECT_HANDLE handle, p11_class *cls) TDSA_NONNULL;
void p11_objects_unlock(p11_objects *o) TDSA_NONNULL;

CK_OBJECT_HANDLE p11_object_handle(size_t index, p11_class cls);
/** True when the object can be seen: alive, not hidden, and public or logged in. */
bool p11_object_visible(const p11_key *key, p11_class cls, bool logged_in) TDSA_NONNULL;

#endif
