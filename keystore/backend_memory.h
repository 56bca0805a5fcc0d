#ifndef KS_BACKEND_MEMORY_H
#define KS_BACKEND_MEMORY_H

#include "keystore/internal.h"

/** Only for the files backend_memory*.c: lists, each sorted as queries want it. */
typedef struct memory_key memory_key;
struct memory_key {
    memory_key *next; /* ascending by key id and epoch */
    char key_id[KS_KEY_ID_MAX + 1];
    char label[KS_LABEL_MAX + 1];
    uint32_t epoch;
    ks_key_state state;
    uint64_t created_ms;
    int64_t presignature_limit;
    uint8_t *public_part, *attrs, *sealed;
    size_t public_len, attrs_len, sealed_len;
};

typedef struct memory_batch memory_batch;
struct memory_batch {
    memory_batch *next; /* ascending (lane, seq) as signed numbers */
    uint8_t beta[KS_BETA_LEN];
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    ks_batch_state state;
    uint64_t lane, seq;
    uint32_t count, leased, members;
    uint64_t masks[KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE];
    uint8_t *sealed;
    size_t sealed_len;
};

typedef struct memory_deletion memory_deletion;
struct memory_deletion {
    memory_deletion *next; /* ascending by key id */
    ks_deletion d;
};

typedef struct memory_lane memory_lane;
struct memory_lane {
    memory_lane *next;
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    uint64_t lane, seq;
};

typedef struct memory_partial memory_partial;
struct memory_partial {
    memory_partial *next;
    ks_partial row;
};

typedef struct memory_object memory_object;
struct memory_object {
    memory_object *next; /* ascending by created_ms and id */
    uint8_t id[KS_OBJECT_ID_LEN];
    uint64_t created_ms;
    bool is_sealed;
    uint8_t *value, *sealed;
    size_t value_len, sealed_len;
};

typedef struct memory_change memory_change;
struct memory_change {
    memory_change *next; /* ascending by number */
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t number;
};

typedef struct memory_meta memory_meta;
struct memory_meta {
    memory_meta *next;
    char name[KS_META_NAME_MAX + 1];
    uint8_t *value;
    size_t len;
};

typedef struct {
    uint32_t number;
    ks_data_key_state state;
    uint8_t *wrapped, *chained;
    size_t wrapped_len, chained_len;
} memory_data_key;

typedef struct {
    ks_backend base;
    memory_data_key data_keys[KS_DATA_KEYS_MAX]; /* ascending */
    size_t data_key_count;
    memory_key *keys;
    memory_batch *batches;
    memory_lane *lanes;
    memory_partial *partials;
    memory_deletion *deletions;
    memory_object *objects;
    memory_change *changes; /* all since changes_from */
    memory_meta *metas;
    uint64_t starts, burns, purges, key_changes, changes_from;
} ks_memory;

ks_memory *ks_memory_of(ks_backend *b) TDSA_NONNULL;
/** Replaces *out, whose old bytes are wiped; false (nothing changed) without memory. */
bool ks_memory_copy(uint8_t **out, size_t *out_len, const uint8_t *bytes, size_t len);
/** Counts a change of this key; NULL: of an object. */
void ks_memory_changed(ks_memory *m, const char *key_id) __attribute__((nonnull(1)));
void ks_memory_drop_changes(ks_memory *m) TDSA_NONNULL;
tdsa_status ks_memory_key_changed(ks_backend *b, const ks_key_changes *which, ks_key_row_fn fn,
                                  void *ctx, tdsa_err *err);
/** Lent like k. */
ks_key_row ks_memory_key_row(const memory_key *k) TDSA_NONNULL;
void ks_memory_drop_keys(ks_memory *m) TDSA_NONNULL;
/** Wipes what a key has; false when there is no row of it. */
bool ks_memory_key_wipe(ks_memory *m, const char *key_id, bool tombstone);
/** Of one key, or all (NULL). */
void ks_memory_drop_deletions(ks_memory *m, const char *key_id);
/** An order about this key is SCHEDULED or UNDOING. */
bool ks_memory_deleting(const ks_memory *m, const char *key_id) TDSA_NONNULL;
tdsa_status ks_memory_deletion_put(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                   tdsa_err *err);
tdsa_status ks_memory_deletion_told(ks_backend *b, const ks_deletion *d, uint32_t told,
                                    tdsa_err *err);
tdsa_status ks_memory_deletion_each(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                    tdsa_err *err);
/** The row of the epoch in use, else of the newest; NULL when there is none. */
memory_key *ks_memory_find_key(ks_memory *m, const char *key_id) TDSA_NONNULL;
/** Batches of earlier epochs become VOID. */
void ks_memory_void_before(ks_memory *m, const char *key_id, uint32_t epoch);
/** All batches of a key, or all (NULL). */
void ks_memory_drop_batches(ks_memory *m, const char *key_id);

tdsa_status ks_memory_key_insert(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_memory_key_update(ks_backend *b, const ks_key_row *row, ks_key_state from,
                                 tdsa_err *err);
tdsa_status ks_memory_key_move(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                               ks_key_state to, tdsa_err *err);
tdsa_status ks_memory_key_add(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_memory_key_restore(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_memory_key_has_share(ks_backend *b, bool *out, tdsa_err *err);
tdsa_status ks_memory_key_rows(ks_backend *b, const char *key_id, ks_key_state state,
                               ks_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_memory_key_drop(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err);
tdsa_status ks_memory_key_set_attrs(ks_backend *b, const char *key_id, const char *label,
                                    const uint8_t *attrs, size_t attrs_len, tdsa_err *err);
tdsa_status ks_memory_key_set_limit(ks_backend *b, const char *key_id, int64_t limit,
                                    tdsa_err *err);
tdsa_status ks_memory_key_get(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                              tdsa_err *err);
tdsa_status ks_memory_key_each(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                               void *ctx, tdsa_err *err);
tdsa_status ks_memory_key_labelled(ks_backend *b, const char *label, const ks_key_page *page,
                                   ks_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_memory_key_delete(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err);
tdsa_status ks_memory_batch_insert(ks_backend *b, const ks_batch_row *row, tdsa_err *err);
tdsa_status ks_memory_batch_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                                 ks_batch_state to, tdsa_err *err);
tdsa_status ks_memory_batch_each(ks_backend *b, const ks_batch_query *q, ks_batch_row_fn fn,
                                 void *ctx, tdsa_err *err);
tdsa_status ks_memory_batch_purge(ks_backend *b, const char *key_id, bool only_spent,
                                  uint64_t *dropped, tdsa_err *err);
tdsa_status ks_memory_batch_void_made(ks_backend *b, uint64_t seq_below, tdsa_err *err);
tdsa_status ks_memory_burnt(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                            tdsa_err *err);
tdsa_status ks_memory_lease(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                            uint64_t *burns, tdsa_err *err);
tdsa_status ks_memory_burn(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                           uint64_t *burns, tdsa_err *err);
tdsa_status ks_memory_burn_range(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                                 uint64_t *burns, tdsa_err *err);
tdsa_status ks_memory_batch_void_with(ks_backend *b, const char *key_id, uint32_t members,
                                      tdsa_err *err);
tdsa_status ks_memory_purge_all(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                                tdsa_err *err);
tdsa_status ks_memory_seq_raise(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                                uint64_t seq, tdsa_err *err);
void ks_memory_drop_objects(ks_memory *m) TDSA_NONNULL;
tdsa_status ks_memory_object_put(ks_backend *b, const ks_object_row *row, tdsa_err *err);
tdsa_status ks_memory_object_each(ks_backend *b, const ks_object_query *query, ks_object_row_fn fn,
                                  void *ctx, tdsa_err *err);
tdsa_status ks_memory_object_delete(ks_backend *b, const uint8_t *id, tdsa_err *err);
tdsa_status ks_memory_meta_put(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err);
tdsa_status ks_memory_meta_create(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                                  tdsa_err *err);
tdsa_status ks_memory_meta_get(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err);
tdsa_status ks_memory_counter_next(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err);
tdsa_status ks_memory_counter_get(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err);
/** One presignature that is not leased. */
tdsa_status ks_memory_burn_unleased(ks_backend *b, const uint8_t *beta, uint32_t index,
                                    uint64_t *burns, tdsa_err *err);
/** Whether a batch has records of partial signatures. */
bool ks_memory_has_partial(const ks_memory *m, const uint8_t *beta);
/** All records of a key, or all (NULL). */
void ks_memory_drop_partials(ks_memory *m, const char *key_id);
tdsa_status ks_memory_partial_burn(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                   tdsa_err *err);
tdsa_status ks_memory_partial_get(ks_backend *b, const uint8_t *beta, uint32_t index,
                                  ks_partial *out, tdsa_err *err);
tdsa_status ks_memory_partial_fail(ks_backend *b, const uint8_t *beta, uint32_t index,
                                   tdsa_err *err);
tdsa_status ks_memory_partial_collect(ks_backend *b, uint64_t before_ms, uint64_t *left,
                                      tdsa_err *err);
/** Wipes what it holds. */
void ks_memory_drop_data_key(memory_data_key *k) TDSA_NONNULL;
tdsa_status ks_memory_data_key_each(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_memory_data_key_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err);
tdsa_status ks_memory_data_key_wrap(ks_backend *b, const ks_data_key_row *now,
                                    const ks_data_key_row *was, size_t count, tdsa_err *err);
tdsa_status ks_memory_data_key_drop(ks_backend *b, uint32_t number, const uint8_t *head,
                                    tdsa_err *err);
tdsa_status ks_memory_data_key_unchain(ks_backend *b, uint32_t number, tdsa_err *err);
tdsa_status ks_memory_sealed_each(ks_backend *b, const ks_sealed_query *query, ks_sealed_row_fn fn,
                                  void *ctx, tdsa_err *err);
tdsa_status ks_memory_sealed_count(ks_backend *b, const uint8_t *head, uint64_t *out,
                                   tdsa_err *err);
tdsa_status ks_memory_reseal(ks_backend *b, uint32_t number, const ks_reseal *rows, size_t count,
                             tdsa_err *err);

#endif
