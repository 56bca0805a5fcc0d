#ifndef KS_STATEMENTS_H
#define KS_STATEMENTS_H

/** Every statement of the SQL backend. What each says, and its arguments ?1, ?2 ...: statements.c. */
typedef enum {
    KS_SQL_KEY_CHANGED,
    KS_SQL_KEY_CHANGES,
    KS_SQL_CHANGE_NOTE,
    KS_SQL_CHANGE_EACH,
    KS_SQL_KEY_INSERT,
    KS_SQL_KEY_UPDATE,
    KS_SQL_KEY_MOVE,
    KS_SQL_KEY_RETIRE,
    KS_SQL_KEY_UNREGISTER,
    KS_SQL_KEY_VOID,
    KS_SQL_KEY_ADD,
    KS_SQL_KEY_UNREGISTER_ALL,
    KS_SQL_KEY_RESTORE,
    KS_SQL_KEY_ROWS,
    KS_SQL_KEY_OF,
    KS_SQL_KEY_IN_STATE,
    KS_SQL_KEY_DROP,
    KS_SQL_KEY_SET_ATTRS,
    KS_SQL_KEY_SET_LIMIT,
    KS_SQL_KEY_STATE,
    KS_SQL_KEY_LIVE,
    KS_SQL_KEY_HAS_SHARE,
    KS_SQL_KEY_GET,
    KS_SQL_KEY_EACH,
    KS_SQL_KEY_LABELLED,
    KS_SQL_KEY_DELETE,
    KS_SQL_KEY_DELETE_OLD,
    KS_SQL_KEY_BURY,
    KS_SQL_KEY_SCHEDULE,
    KS_SQL_KEY_REVIVE,
    KS_SQL_LANE_DELETE,
    KS_SQL_DELETION_PUT,
    KS_SQL_DELETION_DELETE,
    KS_SQL_DELETION_TOLD,
    KS_SQL_DELETION_GET,
    KS_SQL_DELETION_OPEN,
    KS_SQL_BATCH_INSERT,
    KS_SQL_BATCH_DATA_INSERT,
    KS_SQL_BATCH_DATA,
    KS_SQL_BATCH_MOVE,
    KS_SQL_BATCH_STATE,
    KS_SQL_BATCH_BY_BETA,
    KS_SQL_BATCH_BY_KEY,
    KS_SQL_BATCH_ALL,
    KS_SQL_PURGE_COUNT,
    KS_SQL_PURGE_MARK,
    KS_SQL_PURGE_BLOCK,
    KS_SQL_PURGE_DATA,
    KS_SQL_PURGE_BATCH,
    KS_SQL_VOID_MADE,
    KS_SQL_LEASE,
    KS_SQL_BURN,
    KS_SQL_BURN_UNLEASED,
    KS_SQL_BURNT,
    KS_SQL_BURNT_ALL,
    KS_SQL_SEQ_RAISE,
    KS_SQL_PARTIAL_INSERT,
    KS_SQL_PARTIAL_GET,
    KS_SQL_PARTIAL_FAIL,
    KS_SQL_PARTIAL_COLLECT,
    KS_SQL_PARTIAL_COUNT,
    KS_SQL_PARTIAL_DELETE,
    KS_SQL_OBJECT_PUT,
    KS_SQL_OBJECT_EACH,
    KS_SQL_OBJECT_DELETE,
    KS_SQL_META_PUT,
    KS_SQL_META_CREATE,
    KS_SQL_META_GET,
    KS_SQL_COUNTER_NEXT,
    KS_SQL_COUNTER_GET,
    KS_SQL_COUNTER_RAISE,
    KS_SQL_VOID_WITH,
    KS_SQL_CLEAR_COUNT,
    KS_SQL_CLEAR_BLOCK,
    KS_SQL_CLEAR_DATA,
    KS_SQL_CLEAR_BATCH,
    KS_SQL_PING,
    KS_SQL_DATA_KEY_CURRENT,
    KS_SQL_DATA_KEY_ALL,
    KS_SQL_DATA_KEY_INSERT,
    KS_SQL_DATA_KEY_AGE,
    KS_SQL_DATA_KEY_WRAP,
    KS_SQL_DATA_KEY_UNCHAIN,
    KS_SQL_DATA_KEY_DELETE,
    KS_SQL_SEALED_KEYS,
    KS_SQL_SEALED_BATCHES,
    KS_SQL_SEALED_METAS,
    KS_SQL_SEALED_OBJECTS,
    KS_SQL_SEALED_KEY_COUNT,
    KS_SQL_SEALED_BATCH_COUNT,
    KS_SQL_SEALED_OBJECT_COUNT,
    KS_SQL_RESEAL_KEY,
    KS_SQL_RESEAL_BATCH,
    KS_SQL_RESEAL_META,
    KS_SQL_RESEAL_OBJECT,
    KS_SQL_COUNT /* how many there are */
} ks_sql_id;

typedef struct {
    const char *text;
    const char
        *args; /* type of each argument: t text, i integer of 64 bits, b blob; any may be NULL */
} ks_sql_statement;

/**
 * What SQLite and PostgreSQL say alike; a driver has texts of its own where its dialect differs, with
 * the same arguments and columns. Expected of the database beside its own: bit_count(number) and
 * greatest(a, b).
 */
extern const ks_sql_statement ks_sql_common[KS_SQL_COUNT];

/* Parts of the texts, for those of drivers. */
#define KS_SQL_KEY_COLUMNS \
    "key_id, epoch, state, label, created_ms, presignature_limit, public_part, attrs"
#define KS_SQL_DELETION_COLUMNS "key_id, serial, state, due_ms, grace_ms, members, told"
#define KS_SQL_BATCH_COLUMNS    "beta, key_id, epoch, state, lane, seq, count, next, members"

#endif
