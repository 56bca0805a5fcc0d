#include "keystore/backend_sqlite.h"

#define KEY_COLUMNS \
    "key_id, epoch, state, label, created_ms, presignature_limit, public_part, attrs"
#define DELETION_COLUMNS "key_id, serial, state, due_ms, grace_ms, members, told"
#define BATCH_COLUMNS    "beta, key_id, epoch, state, lane, seq, count, next, members"
/* ?2 any state, ?3 whole or part, ?4 any epoch or one, ?6 to ?7 lanes, ?8 not among the members */
#define BATCH_WANTED                                                                      \
    " AND (?2 = 0 OR state = ?2) AND (?3 = 0 OR next < count) AND (?4 = 1 OR epoch = ?5)" \
    " AND lane BETWEEN ?6 AND ?7 AND (members & ?8) = 0"
/* a column of the key's newest row, else a value */
#define KEPT(column, otherwise)                                                               \
    "CASE WHEN EXISTS (SELECT 1 FROM key WHERE key_id = ?1) THEN (SELECT " column " FROM key" \
    " WHERE key_id = ?1 ORDER BY epoch DESC LIMIT 1) ELSE " otherwise " END"
#define IN_USE(row)   "(" row ".state IN (3, 6, 7))"
#define KEY_ALIVE     "EXISTS (SELECT 1 FROM key WHERE key_id = ?1 AND state <> 4)"
#define PURGED_OF_KEY "beta IN (SELECT beta FROM batch WHERE key_id = ?1 AND state = -1)"
#define USED                                                                                     \
    "max(next, coalesce((SELECT sum(popcount(mask)) FROM block WHERE block.beta = batch.beta), " \
    "0))"
/* ?2: only those that are used up or void */
#define PURGE_WANTED                                             \
    "key_id = ?1 AND (?2 = 0 OR state = 3 OR (" USED " >= count" \
    " AND NOT EXISTS (SELECT 1 FROM partial WHERE partial.beta = batch.beta)))"

const char *const ks_sqlite_text[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_DATA_VERSION] = "PRAGMA data_version",

    [SQL_KEY_CHANGED] = "INSERT INTO counter (name, value) VALUES ('key-changes', 1)"
                        " ON CONFLICT (name) DO UPDATE SET value = value + 1",
    [SQL_KEY_CHANGES] = "SELECT value FROM counter WHERE name = 'key-changes'",
    [SQL_KEY_INSERT] = "INSERT INTO key (" KEY_COLUMNS ")"
                       " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                       " WHERE NOT EXISTS (SELECT 1 FROM key WHERE key_id = ?1)",
    [SQL_KEY_UPDATE] = "UPDATE key SET state = ?3, public_part = ?4, sealed = ?5"
                       " WHERE key_id = ?1 AND epoch = ?2 AND state = ?6",
    [SQL_KEY_MOVE] = "UPDATE key SET state = CASE WHEN ?4 = 3 AND EXISTS (SELECT 1 FROM deletion"
                     " WHERE key_id = ?1 AND state IN (1, 2)) THEN 6 ELSE ?4 END"
                     " WHERE key_id = ?1 AND epoch = ?2 AND state = ?3",
    [SQL_KEY_RETIRE] = "UPDATE key SET state = 5 WHERE key_id = ?1 AND epoch < ?2"
                       " AND state IN (3, 6, 7)",
    [SQL_KEY_UNREGISTER] = "DELETE FROM key WHERE key_id = ?1 AND epoch < ?2 AND state = 1",
    [SQL_KEY_VOID] = "UPDATE batch SET state = 3 WHERE key_id = ?1 AND epoch < ?2 AND state <> 3",
    [SQL_KEY_ADD] =
        "INSERT INTO key (" KEY_COLUMNS ", sealed)"
        " SELECT ?1, ?2, ?3, " KEPT("label", "?4") ", " KEPT("created_ms", "?5") ", " KEPT(
            "presignature_limit",
            "?6") ", ?7, " KEPT("attrs",
                                "?8") ", ?9"
                                      " WHERE NOT EXISTS (SELECT 1 FROM key WHERE key_id = ?1"
                                      " AND (epoch >= ?2 OR state IN (2, 4, 6)))",
    [SQL_KEY_UNREGISTER_ALL] = "DELETE FROM key WHERE key_id = ?1 AND state = 1",
    [SQL_KEY_RESTORE] = "INSERT INTO key (" KEY_COLUMNS ", sealed)"
                        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
                        " WHERE NOT EXISTS (SELECT 1 FROM key WHERE key_id = ?1)",
    [SQL_KEY_ROWS] = "SELECT " KEY_COLUMNS ", sealed FROM key WHERE (?1 IS NULL OR key_id = ?1)"
                     " AND (?2 = 0 OR state = ?2) ORDER BY key_id, epoch",
    [SQL_KEY_DROP] = "DELETE FROM key WHERE key_id = ?1 AND epoch = ?2 AND state IN (1, 2, 5)",
    [SQL_KEY_SET_ATTRS] = "UPDATE key SET label = ?2, attrs = ?3 WHERE key_id = ?1 AND state <> 4",
    [SQL_KEY_SET_LIMIT] = "UPDATE key SET presignature_limit = ?2 WHERE key_id = ?1 AND state <> 4",
    [SQL_KEY_STATE] = "SELECT state FROM key WHERE key_id = ?1 AND epoch = ?2",
    [SQL_KEY_LIVE] = "SELECT 1 FROM key WHERE key_id = ?1 AND state <> 4",
    [SQL_KEY_GET] = "SELECT " KEY_COLUMNS ", sealed FROM key WHERE key_id = ?1"
                    " ORDER BY state IN (3, 6, 7) DESC, epoch DESC LIMIT 1",
    [SQL_KEY_EACH] =
        "SELECT " KEY_COLUMNS ", NULL FROM key WHERE key_id > ?1"
        " AND NOT EXISTS (SELECT 1 FROM key other"
        " WHERE other.key_id = key.key_id AND (" IN_USE("other") " > " IN_USE("key") " OR (" IN_USE(
            "other") " = " IN_USE("key") " AND other.epoch > key.epoch)))"
                                         " ORDER BY key_id LIMIT ?2",
    [SQL_KEY_DELETE] = "DELETE FROM key WHERE key_id = ?1",
    [SQL_KEY_DELETE_OLD] = "DELETE FROM key WHERE key_id = ?1"
                           " AND epoch < (SELECT max(epoch) FROM key WHERE key_id = ?1)",
    [SQL_KEY_BURY] = "UPDATE key SET state = 4, label = '', public_part = NULL, attrs = NULL,"
                     " sealed = NULL WHERE key_id = ?1",
    [SQL_KEY_SCHEDULE] = "UPDATE key SET state = 6 WHERE key_id = ?1 AND state = 3",
    [SQL_KEY_REVIVE] = "UPDATE key SET state = 3 WHERE key_id = ?1 AND state = 6",
    [SQL_LANE_DELETE] = "DELETE FROM lane WHERE key_id = ?1",

    /* ?8, ?9: what it replaces, both 0 for nothing */
    [SQL_DELETION_PUT] =
        "INSERT INTO deletion (" DELETION_COLUMNS ") SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
        " WHERE ?8 = 0 OR EXISTS (SELECT 1 FROM deletion WHERE key_id = ?1)"
        " ON CONFLICT (key_id) DO UPDATE SET serial = ?2, state = ?3, due_ms = ?4, grace_ms = ?5,"
        " members = ?6, told = ?7 WHERE serial = ?8 AND state = ?9 AND state <> 4",
    [SQL_DELETION_DELETE] = "DELETE FROM deletion WHERE key_id = ?1",
    [SQL_DELETION_TOLD] = "UPDATE deletion SET told = told | (?4 & members)"
                          " WHERE key_id = ?1 AND serial = ?2 AND state = ?3",
    [SQL_DELETION_GET] = "SELECT " DELETION_COLUMNS " FROM deletion WHERE key_id = ?1",
    [SQL_DELETION_OPEN] = "SELECT " DELETION_COLUMNS " FROM deletion"
                          " WHERE state < 3 OR told <> members ORDER BY key_id",

    [SQL_BATCH_INSERT] =
        "INSERT INTO batch (key_id, beta, epoch, state, lane, seq, count, next, members)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE " KEY_ALIVE
        " ON CONFLICT (beta) DO NOTHING",
    [SQL_BATCH_DATA_INSERT] = "INSERT INTO batch_data (beta, sealed) VALUES (?1, ?2)",
    [SQL_BATCH_DATA] = "SELECT sealed FROM batch_data WHERE beta = ?1",
    [SQL_BATCH_MOVE] = "UPDATE batch SET state = ?3 WHERE beta = ?1 AND state = ?2",
    [SQL_BATCH_STATE] = "SELECT state FROM batch WHERE beta = ?1",
    [SQL_BATCH_BY_BETA] = "SELECT " BATCH_COLUMNS " FROM batch WHERE beta = ?1" BATCH_WANTED
                          " AND (?9 IS NULL OR key_id = ?9)",
    [SQL_BATCH_BY_KEY] = "SELECT " BATCH_COLUMNS " FROM batch WHERE key_id = ?1" BATCH_WANTED
                         " ORDER BY lane, seq LIMIT ?9",
    [SQL_BATCH_ALL] = "SELECT " BATCH_COLUMNS " FROM batch WHERE ?1 IS NULL" BATCH_WANTED
                      " ORDER BY lane, seq LIMIT ?9",

    [SQL_PURGE_COUNT] = "SELECT coalesce(sum(count - " USED "), 0) FROM batch WHERE state <> 3"
                        " AND " PURGE_WANTED,
    [SQL_PURGE_MARK] = "UPDATE batch SET state = -1 WHERE " PURGE_WANTED,
    [SQL_PURGE_BLOCK] = "DELETE FROM block WHERE " PURGED_OF_KEY,
    [SQL_PURGE_DATA] = "DELETE FROM batch_data WHERE " PURGED_OF_KEY,
    [SQL_PURGE_BATCH] = "DELETE FROM batch WHERE key_id = ?1 AND state = -1",
    [SQL_VOID_MADE] = "UPDATE batch SET state = 3 WHERE state = 1 AND (?1 = 0 OR seq < ?1)",

    [SQL_LEASE] = "UPDATE batch SET next = ?3"
                  " WHERE beta = ?1 AND next = ?2 AND state = 2 AND ?3 <= count",
    /* ?4 is the highest index that is burnt */
    [SQL_BURN] = "INSERT INTO block (beta, block, mask) SELECT ?1, ?2, ?3"
                 " WHERE EXISTS (SELECT 1 FROM batch WHERE beta = ?1 AND state = 2 AND ?4 < count)"
                 " ON CONFLICT (beta, block) DO UPDATE SET mask = mask | excluded.mask"
                 " WHERE (mask & excluded.mask) = 0",
    [SQL_BURN_UNLEASED] =
        "INSERT INTO block (beta, block, mask) SELECT ?1, ?2, ?3"
        " WHERE EXISTS (SELECT 1 FROM batch WHERE beta = ?1 AND state = 2 AND ?4 < count"
        " AND next <= ?4)"
        " ON CONFLICT (beta, block) DO UPDATE SET mask = mask | excluded.mask"
        " WHERE (mask & excluded.mask) = 0",
    [SQL_BURNT] = "SELECT mask FROM block WHERE beta = ?1 AND block = ?2",
    [SQL_BURNT_ALL] = "SELECT block, mask FROM block WHERE beta = ?1",
    [SQL_SEQ_RAISE] = "INSERT INTO lane (key_id, epoch, lane, seq) SELECT ?1, ?2, ?3, ?4"
                      " WHERE " KEY_ALIVE " ON CONFLICT (key_id, epoch, lane)"
                      " DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",

    [SQL_PARTIAL_INSERT] =
        "INSERT INTO partial (beta, place, key_id, transcript, expires_ms, failed)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM partial) < ?7",
    [SQL_PARTIAL_GET] = "SELECT key_id, transcript, expires_ms, failed FROM partial"
                        " WHERE beta = ?1 AND place = ?2",
    [SQL_PARTIAL_FAIL] = "UPDATE partial SET failed = 1 WHERE beta = ?1 AND place = ?2",
    [SQL_PARTIAL_COLLECT] = "DELETE FROM partial WHERE expires_ms < ?1",
    [SQL_PARTIAL_COUNT] = "SELECT count(*) FROM partial",
    [SQL_PARTIAL_DELETE] = "DELETE FROM partial WHERE key_id = ?1",

    [SQL_META_PUT] = "INSERT INTO meta (name, value) VALUES (?1, ?2)"
                     " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [SQL_META_CREATE] = "INSERT INTO meta (name, value) VALUES (?1, ?2)"
                        " ON CONFLICT (name) DO NOTHING",
    [SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
    [SQL_COUNTER_NEXT] = "INSERT INTO counter (name, value) VALUES (?1, 1)"
                         " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    [SQL_COUNTER_GET] = "SELECT coalesce((SELECT value FROM counter WHERE name = ?1), 0)",
    [SQL_COUNTER_RAISE] = "INSERT INTO counter (name, value) VALUES (?1, ?2)"
                          " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    [SQL_VOID_WITH] = "UPDATE batch SET state = 3 WHERE key_id = ?1 AND (members & ?2) <> 0"
                      " AND state <> 3",
    [SQL_CLEAR_COUNT] = "SELECT coalesce(sum(count - " USED "), 0) FROM batch WHERE state <> 3",
    [SQL_CLEAR_BLOCK] = "DELETE FROM block",
    [SQL_CLEAR_DATA] = "DELETE FROM batch_data",
    [SQL_CLEAR_BATCH] = "DELETE FROM batch",
    [SQL_PING] = "INSERT INTO counter (name, value) VALUES ('pings', 1)"
                 " ON CONFLICT (name) DO UPDATE SET value = value + 1",
};
