#include "keystore/driver_mariadb.h"

/*
 * A conditional upsert is two statements here, an UPDATE and, when it changed nothing, an INSERT: ON
 * DUPLICATE KEY UPDATE takes no condition, and its count of rows does not tell what was chosen. Nothing
 * happens between them, because the writers' lock is held. Bit operators give numbers without sign.
 */

#define KEY_COLUMNS      KS_SQL_KEY_COLUMNS
#define DELETION_COLUMNS KS_SQL_DELETION_COLUMNS
#define BATCH_COLUMNS    KS_SQL_BATCH_COLUMNS
#define KEY_ALIVE        "EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1 AND state <> 4)"
#define USED                                                               \
    "greatest(next, coalesce((SELECT CAST(sum(bit_count(mask)) AS SIGNED)" \
    " FROM block WHERE block.beta = batch.beta), 0))"
#define UNUSED_SUM "SELECT coalesce(CAST(sum(count - " USED ") AS SIGNED), 0) FROM batch"
#define PURGE_WANTED                                             \
    "key_id = ?1 AND (?2 = 0 OR state = 3 OR (" USED " >= count" \
    " AND NOT EXISTS (SELECT 1 FROM partial WHERE partial.beta = batch.beta)))"
#define COUNT_UP(name)                                       \
    "INSERT INTO counter (name, value) VALUES (" name ", 1)" \
    " ON DUPLICATE KEY UPDATE value = value + 1"
#define BURNABLE(condition) \
    "EXISTS (SELECT 1 FROM batch WHERE beta = ?1 AND state = 2 AND ?4 < count" condition ")"
#define BURN(condition)                                                                            \
    {                                                                                              \
        .first = "UPDATE block SET mask = CAST(mask | ?3 AS SIGNED) WHERE beta = ?1"               \
                 " AND block = ?2 AND (mask & ?3) = 0 AND " BURNABLE(condition),                   \
        .otherwise =                                                                               \
            "INSERT INTO block (beta, block, mask) SELECT ?1, ?2, ?3 FROM DUAL"                    \
            " WHERE " BURNABLE(condition) " AND NOT EXISTS"                                        \
                                          " (SELECT 1 FROM block WHERE beta = ?1 AND block = ?2)", \
    }

const ma_text ks_mariadb_text[KS_SQL_COUNT] = {
    [KS_SQL_KEY_CHANGED] = {.first = COUNT_UP("'key-changes'")},
    [KS_SQL_CHANGE_NOTE] = {.first = "INSERT INTO key_change (key_id, number)"
                                     " SELECT ?1, value FROM counter WHERE name = 'key-changes'"
                                     " ON DUPLICATE KEY UPDATE number = VALUES(number)"},
    [KS_SQL_PING] = {.first = COUNT_UP("'pings'")},
    /* MySQL does not select from the table that it deletes from, unless it is made a derived one */
    [KS_SQL_KEY_DELETE_OLD] =
        {.first = "DELETE FROM \"key\" WHERE key_id = ?1 AND epoch < (SELECT newest FROM"
                  " (SELECT max(epoch) AS newest FROM \"key\" WHERE key_id = ?1) AS derived)"},

    [KS_SQL_DELETION_PUT] =
        {.first = "UPDATE deletion SET serial = ?2, state = ?3, due_ms = ?4, grace_ms = ?5,"
                  " members = ?6, told = ?7 WHERE key_id = ?1 AND serial = ?8 AND state = ?9"
                  " AND state <> 4",
         .otherwise = "INSERT INTO deletion (" DELETION_COLUMNS ")"
                      " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 FROM DUAL WHERE ?8 = 0"
                      " AND NOT EXISTS (SELECT 1 FROM deletion WHERE key_id = ?1)"},

    [KS_SQL_BATCH_INSERT] =
        {.first = "INSERT INTO batch (key_id, beta, epoch, state, lane, seq, count, next, members)"
                  " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM DUAL WHERE " KEY_ALIVE
                  " AND NOT EXISTS (SELECT 1 FROM batch WHERE beta = ?2)"},
    [KS_SQL_PURGE_COUNT] = {.first = UNUSED_SUM " WHERE state <> 3 AND " PURGE_WANTED},
    [KS_SQL_PURGE_MARK] = {.first = "UPDATE batch SET state = -1 WHERE " PURGE_WANTED},
    [KS_SQL_CLEAR_COUNT] = {.first = UNUSED_SUM " WHERE state <> 3"},

    [KS_SQL_BURN] = BURN(""),
    [KS_SQL_BURN_UNLEASED] = BURN(" AND next <= ?4"),
    [KS_SQL_SEQ_RAISE] =
        {.first = "UPDATE lane SET seq = ?4 WHERE key_id = ?1 AND epoch = ?2 AND lane = ?3"
                  " AND seq < ?4 AND " KEY_ALIVE,
         .otherwise = "INSERT INTO lane (key_id, epoch, lane, seq) SELECT ?1, ?2, ?3, ?4 FROM DUAL"
                      " WHERE " KEY_ALIVE " AND NOT EXISTS (SELECT 1 FROM lane WHERE key_id = ?1"
                      " AND epoch = ?2 AND lane = ?3)"},

    [KS_SQL_OBJECT_PUT] =
        {.first = "INSERT INTO object (id, created_ms, value, sealed) VALUES (?1, ?2, ?3, ?4)"
                  " ON DUPLICATE KEY UPDATE created_ms = ?2, value = ?3, sealed = ?4"},
    [KS_SQL_META_PUT] = {.first = "INSERT INTO meta (name, value) VALUES (?1, ?2)"
                                  " ON DUPLICATE KEY UPDATE value = ?2"},
    [KS_SQL_META_CREATE] = {.first = "INSERT INTO meta (name, value) SELECT ?1, ?2 FROM DUAL"
                                     " WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = ?1)"},
    /* MySQL has no RETURNING */
    [KS_SQL_COUNTER_NEXT] = {.first = COUNT_UP("?1"),
                             .then = "SELECT value FROM counter WHERE name = ?1"},
    [KS_SQL_COUNTER_RAISE] = {.first = "INSERT INTO counter (name, value) VALUES (?1, ?2)"
                                       " ON DUPLICATE KEY UPDATE value = greatest(value, ?2)"},
};
