#include "keystore/statements.h"

#define KEY_COLUMNS      KS_SQL_KEY_COLUMNS
#define DELETION_COLUMNS KS_SQL_DELETION_COLUMNS
#define BATCH_COLUMNS    KS_SQL_BATCH_COLUMNS
/* ?2 any state, ?3 whole or part, ?4 any epoch or one, ?6 to ?7 lanes, ?8 not among the members */
#define BATCH_WANTED                                                                  \
    " (?2 = 0 OR state = ?2) AND (?3 = 0 OR next < count) AND (?4 = 1 OR epoch = ?5)" \
    " AND lane BETWEEN ?6 AND ?7 AND (members & ?8) = 0"
/* a column of the key's newest row, else a value */
#define KEPT(column, otherwise)                                                       \
    "CASE WHEN EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1) THEN"                 \
    " (SELECT " column " FROM \"key\" WHERE key_id = ?1 ORDER BY epoch DESC LIMIT 1)" \
    " ELSE " otherwise " END"
#define KEY_ALIVE     "EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1 AND state <> 4)"
#define PURGED_OF_KEY "beta IN (SELECT beta FROM batch WHERE key_id = ?1 AND state = -1)"
#define USED                                                               \
    "greatest(next, coalesce((SELECT CAST(sum(bit_count(mask)) AS BIGINT)" \
    " FROM block WHERE block.beta = batch.beta), 0))"
#define UNUSED_SUM "SELECT coalesce(CAST(sum(count - " USED ") AS BIGINT), 0) FROM batch"
/* ?2: only those that are used up or void */
#define PURGE_WANTED                                             \
    "key_id = ?1 AND (?2 = 0 OR state = 3 OR (" USED " >= count" \
    " AND NOT EXISTS (SELECT 1 FROM partial WHERE partial.beta = batch.beta)))"
/* one more, from 0 */
#define COUNT_UP(name)                                       \
    "INSERT INTO counter (name, value) VALUES (" name ", 1)" \
    " ON CONFLICT (name) DO UPDATE SET value = counter.value + 1"
/* a sealed record that does not begin with ?1: it is under another data key */
#define NOT_UNDER(column) "length(" column ") > 0 AND substr(" column ", 1, 5) <> ?1"
/* what is sealed of an object whose id nobody edited */
#define SEALED_OBJECT NOT_UNDER("sealed") " AND length(id) = 16"
/* ?4 is the highest index that is burnt */
#define BURN(condition)                                                                         \
    "INSERT INTO block (beta, block, mask) SELECT ?1, ?2, ?3"                                   \
    " WHERE EXISTS (SELECT 1 FROM batch WHERE beta = ?1 AND state = 2 AND ?4 < count" condition \
    ") ON CONFLICT (beta, block) DO UPDATE SET mask = block.mask | excluded.mask"               \
    " WHERE (block.mask & excluded.mask) = 0"
/* The row of a key `this` that is shown: that in use, else of the newest epoch. As one look by the primary key:
 * PostgreSQL makes a join of NOT EXISTS, which reads all keys for each page. */
#define SHOWN                                                                              \
    "this.epoch = (SELECT other.epoch FROM \"key\" other WHERE other.key_id = this.key_id" \
    " ORDER BY other.state IN (3, 6, 7) DESC, other.epoch DESC LIMIT 1)"

const ks_sql_statement ks_sql_common[KS_SQL_COUNT] = {
    [KS_SQL_KEY_CHANGED] = {COUNT_UP("'key-changes'"), ""},
    [KS_SQL_KEY_CHANGES] = {"SELECT value FROM counter WHERE name = 'key-changes'", ""},
    [KS_SQL_CHANGE_NOTE] = {"INSERT INTO key_change (key_id, number)"
                            " SELECT ?1, value FROM counter WHERE name = 'key-changes'"
                            " ON CONFLICT (key_id) DO UPDATE SET number = excluded.number",
                            "t"},
    /* one without rows: DELETED */
    [KS_SQL_CHANGE_EACH] =
        {"SELECT key_change.key_id, coalesce(epoch, 0), coalesce(state, 4), coalesce(label, ''),"
         " coalesce(created_ms, 0), coalesce(presignature_limit, -1), public_part, attrs, NULL,"
         " number FROM key_change LEFT JOIN \"key\" this"
         " ON this.key_id = key_change.key_id AND " SHOWN
         " WHERE number > ?1 AND number <= ?2 ORDER BY number LIMIT ?3",
         "iii"},
    [KS_SQL_KEY_INSERT] = {"INSERT INTO \"key\" (" KEY_COLUMNS ")"
                           " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                           " WHERE NOT EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1)",
                           "tiitiibb"},
    [KS_SQL_KEY_UPDATE] = {"UPDATE \"key\" SET state = ?3, public_part = ?4, sealed = ?5"
                           " WHERE key_id = ?1 AND epoch = ?2 AND state = ?6",
                           "tiibbi"},
    [KS_SQL_KEY_MOVE] = {"UPDATE \"key\" SET state = CASE WHEN ?4 = 3 AND EXISTS"
                         " (SELECT 1 FROM deletion WHERE key_id = ?1 AND state IN (1, 2))"
                         " THEN 6 ELSE ?4 END"
                         " WHERE key_id = ?1 AND epoch = ?2 AND state = ?3",
                         "tiii"},
    [KS_SQL_KEY_RETIRE] = {"UPDATE \"key\" SET state = 5 WHERE key_id = ?1 AND epoch < ?2"
                           " AND state IN (3, 6, 7)",
                           "ti"},
    [KS_SQL_KEY_UNREGISTER] = {"DELETE FROM \"key\" WHERE key_id = ?1 AND epoch < ?2"
                               " AND state = 1",
                               "ti"},
    [KS_SQL_KEY_VOID] = {"UPDATE batch SET state = 3 WHERE key_id = ?1 AND epoch < ?2"
                         " AND state <> 3",
                         "ti"},
    [KS_SQL_KEY_ADD] =
        {"INSERT INTO \"key\" (" KEY_COLUMNS ", sealed) SELECT ?1, ?2, ?3,"
         " " KEPT("label", "?4") ", " KEPT(
             "created_ms",
             "?5") ","
                   " " KEPT("presignature_limit", "?6") ", ?7, " KEPT(
                       "attrs", "?8") ", ?9"
                                      " WHERE NOT EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1"
                                      " AND (epoch >= ?2 OR state IN (2, 4, 6)))",
         "tiitiibbb"},
    [KS_SQL_KEY_UNREGISTER_ALL] = {"DELETE FROM \"key\" WHERE key_id = ?1 AND state = 1", "t"},
    [KS_SQL_KEY_RESTORE] = {"INSERT INTO \"key\" (" KEY_COLUMNS ", sealed)"
                            " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
                            " WHERE NOT EXISTS (SELECT 1 FROM \"key\" WHERE key_id = ?1)",
                            "tiitiibbb"},
    [KS_SQL_KEY_ROWS] = {"SELECT " KEY_COLUMNS ", sealed FROM \"key\" ORDER BY key_id, epoch", ""},
    [KS_SQL_KEY_OF] = {"SELECT " KEY_COLUMNS ", sealed FROM \"key\""
                       " WHERE key_id = ?1 AND (?2 = 0 OR state = ?2) ORDER BY epoch",
                       "ti"},
    [KS_SQL_KEY_IN_STATE] = {"SELECT " KEY_COLUMNS ", sealed FROM \"key\""
                             " WHERE state = ?1 ORDER BY key_id, epoch",
                             "i"},
    [KS_SQL_KEY_DROP] = {"DELETE FROM \"key\" WHERE key_id = ?1 AND epoch = ?2"
                         " AND state IN (1, 2, 5)",
                         "ti"},
    [KS_SQL_KEY_SET_ATTRS] = {"UPDATE \"key\" SET label = ?2, attrs = ?3"
                              " WHERE key_id = ?1 AND state <> 4",
                              "ttb"},
    [KS_SQL_KEY_SET_LIMIT] = {"UPDATE \"key\" SET presignature_limit = ?2"
                              " WHERE key_id = ?1 AND state <> 4",
                              "ti"},
    [KS_SQL_KEY_STATE] = {"SELECT state FROM \"key\" WHERE key_id = ?1 AND epoch = ?2", "ti"},
    [KS_SQL_KEY_LIVE] = {"SELECT 1 FROM \"key\" WHERE key_id = ?1 AND state <> 4", "t"},
    [KS_SQL_KEY_HAS_SHARE] = {"SELECT 1 WHERE EXISTS (SELECT 1 FROM \"key\" WHERE state IN"
                              " (2, 3, 5, 6, 7)) OR EXISTS (SELECT 1 FROM object"
                              " WHERE sealed IS NOT NULL)",
                              ""},
    [KS_SQL_KEY_GET] = {"SELECT " KEY_COLUMNS ", sealed FROM \"key\" WHERE key_id = ?1"
                        " ORDER BY state IN (3, 6, 7) DESC, epoch DESC LIMIT 1",
                        "t"},
    [KS_SQL_KEY_EACH] = {"SELECT " KEY_COLUMNS ", NULL FROM \"key\" this WHERE key_id > ?1"
                         " AND " SHOWN " ORDER BY key_id LIMIT ?2",
                         "ti"},
    [KS_SQL_KEY_LABELLED] = {"SELECT " KEY_COLUMNS ", NULL FROM \"key\" this WHERE label = ?3"
                             " AND key_id > ?1 AND " SHOWN " ORDER BY key_id LIMIT ?2",
                             "tit"},
    [KS_SQL_KEY_DELETE] = {"DELETE FROM \"key\" WHERE key_id = ?1", "t"},
    [KS_SQL_KEY_DELETE_OLD] = {"DELETE FROM \"key\" WHERE key_id = ?1 AND epoch <"
                               " (SELECT max(epoch) FROM \"key\" WHERE key_id = ?1)",
                               "t"},
    [KS_SQL_KEY_BURY] = {"UPDATE \"key\" SET state = 4, label = '', public_part = NULL,"
                         " attrs = NULL, sealed = NULL WHERE key_id = ?1",
                         "t"},
    [KS_SQL_KEY_SCHEDULE] = {"UPDATE \"key\" SET state = 6 WHERE key_id = ?1 AND state = 3", "t"},
    [KS_SQL_KEY_REVIVE] = {"UPDATE \"key\" SET state = 3 WHERE key_id = ?1 AND state = 6", "t"},
    [KS_SQL_LANE_DELETE] = {"DELETE FROM lane WHERE key_id = ?1", "t"},

    /* ?8, ?9: what it replaces, both 0 for nothing */
    [KS_SQL_DELETION_PUT] =
        {"INSERT INTO deletion (" DELETION_COLUMNS ") SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
         " WHERE ?8 = 0 OR EXISTS (SELECT 1 FROM deletion WHERE key_id = ?1)"
         " ON CONFLICT (key_id) DO UPDATE SET serial = ?2, state = ?3, due_ms = ?4, grace_ms = ?5,"
         " members = ?6, told = ?7 WHERE deletion.serial = ?8 AND deletion.state = ?9"
         " AND deletion.state <> 4",
         "tiiiiiiii"},
    [KS_SQL_DELETION_DELETE] = {"DELETE FROM deletion WHERE key_id = ?1", "t"},
    [KS_SQL_DELETION_TOLD] = {"UPDATE deletion SET told = told | (?4 & members)"
                              " WHERE key_id = ?1 AND serial = ?2 AND state = ?3",
                              "tiii"},
    [KS_SQL_DELETION_GET] = {"SELECT " DELETION_COLUMNS " FROM deletion WHERE key_id = ?1", "t"},
    [KS_SQL_DELETION_OPEN] = {"SELECT " DELETION_COLUMNS " FROM deletion"
                              " WHERE state < 3 OR told <> members ORDER BY key_id",
                              ""},

    [KS_SQL_BATCH_INSERT] =
        {"INSERT INTO batch (key_id, beta, epoch, state, lane, seq, count, next, members)"
         " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE " KEY_ALIVE
         " ON CONFLICT (beta) DO NOTHING",
         "tbiiiiiii"},
    [KS_SQL_BATCH_DATA_INSERT] = {"INSERT INTO batch_data (beta, sealed) VALUES (?1, ?2)", "bb"},
    [KS_SQL_BATCH_DATA] = {"SELECT sealed FROM batch_data WHERE beta = ?1", "b"},
    [KS_SQL_BATCH_MOVE] = {"UPDATE batch SET state = ?3 WHERE beta = ?1 AND state = ?2", "bii"},
    [KS_SQL_BATCH_STATE] = {"SELECT state FROM batch WHERE beta = ?1", "b"},
    [KS_SQL_BATCH_BY_BETA] = {"SELECT " BATCH_COLUMNS " FROM batch WHERE beta = ?1 AND" BATCH_WANTED
                              " AND (?9 IS NULL OR key_id = ?9)",
                              "biiiiiiit"},
    [KS_SQL_BATCH_BY_KEY] = {"SELECT " BATCH_COLUMNS
                             " FROM batch WHERE key_id = ?1 AND" BATCH_WANTED
                             " ORDER BY lane, seq LIMIT ?9",
                             "tiiiiiiii"},
    /* ?1 is not looked at */
    [KS_SQL_BATCH_ALL] = {"SELECT " BATCH_COLUMNS " FROM batch WHERE ?1 = 0 AND" BATCH_WANTED
                          " ORDER BY lane, seq LIMIT ?9",
                          "iiiiiiiii"},

    [KS_SQL_PURGE_COUNT] = {UNUSED_SUM " WHERE state <> 3 AND " PURGE_WANTED, "ti"},
    [KS_SQL_PURGE_MARK] = {"UPDATE batch SET state = -1 WHERE " PURGE_WANTED, "ti"},
    [KS_SQL_PURGE_BLOCK] = {"DELETE FROM block WHERE " PURGED_OF_KEY, "t"},
    [KS_SQL_PURGE_DATA] = {"DELETE FROM batch_data WHERE " PURGED_OF_KEY, "t"},
    [KS_SQL_PURGE_BATCH] = {"DELETE FROM batch WHERE key_id = ?1 AND state = -1", "t"},
    [KS_SQL_VOID_MADE] = {"UPDATE batch SET state = 3 WHERE state = 1 AND (?1 = 0 OR seq < ?1)",
                          "i"},

    [KS_SQL_LEASE] = {"UPDATE batch SET next = ?3"
                      " WHERE beta = ?1 AND next = ?2 AND state = 2 AND ?3 <= count",
                      "bii"},
    [KS_SQL_BURN] = {BURN(""), "biii"},
    [KS_SQL_BURN_UNLEASED] = {BURN(" AND next <= ?4"), "biii"},
    [KS_SQL_BURNT] = {"SELECT mask FROM block WHERE beta = ?1 AND block = ?2", "bi"},
    [KS_SQL_BURNT_ALL] = {"SELECT block, mask FROM block WHERE beta = ?1", "b"},
    [KS_SQL_SEQ_RAISE] = {"INSERT INTO lane (key_id, epoch, lane, seq) SELECT ?1, ?2, ?3, ?4"
                          " WHERE " KEY_ALIVE " ON CONFLICT (key_id, epoch, lane)"
                          " DO UPDATE SET seq = excluded.seq WHERE excluded.seq > lane.seq",
                          "tiii"},

    [KS_SQL_PARTIAL_INSERT] =
        {"INSERT INTO partial (beta, place, key_id, transcript, expires_ms, failed)"
         " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM partial) < ?7",
         "bitbiii"},
    [KS_SQL_PARTIAL_GET] = {"SELECT key_id, transcript, expires_ms, failed FROM partial"
                            " WHERE beta = ?1 AND place = ?2",
                            "bi"},
    [KS_SQL_PARTIAL_FAIL] = {"UPDATE partial SET failed = 1 WHERE beta = ?1 AND place = ?2", "bi"},
    [KS_SQL_PARTIAL_COLLECT] = {"DELETE FROM partial WHERE expires_ms < ?1", "i"},
    [KS_SQL_PARTIAL_COUNT] = {"SELECT count(*) FROM partial", ""},
    [KS_SQL_PARTIAL_DELETE] = {"DELETE FROM partial WHERE key_id = ?1", "t"},

    [KS_SQL_OBJECT_PUT] =
        {"INSERT INTO object (id, created_ms, value, sealed) VALUES (?1, ?2, ?3, ?4)"
         " ON CONFLICT (id) DO UPDATE SET created_ms = excluded.created_ms,"
         " value = excluded.value, sealed = excluded.sealed",
         "bibb"},
    [KS_SQL_OBJECT_EACH] = {"SELECT id, created_ms, value, sealed, sealed IS NOT NULL FROM object"
                            " WHERE created_ms >= ?1 AND (created_ms > ?1 OR id > ?2)"
                            " AND length(id) = 16 ORDER BY created_ms, id LIMIT ?3",
                            "ibi"},
    [KS_SQL_OBJECT_DELETE] = {"DELETE FROM object WHERE id = ?1", "b"},

    [KS_SQL_META_PUT] = {"INSERT INTO meta (name, value) VALUES (?1, ?2)"
                         " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                         "tb"},
    [KS_SQL_META_CREATE] = {"INSERT INTO meta (name, value) VALUES (?1, ?2)"
                            " ON CONFLICT (name) DO NOTHING",
                            "tb"},
    [KS_SQL_META_GET] = {"SELECT value FROM meta WHERE name = ?1", "t"},
    [KS_SQL_COUNTER_NEXT] = {COUNT_UP("?1") " RETURNING value", "t"},
    [KS_SQL_COUNTER_GET] = {"SELECT coalesce((SELECT value FROM counter WHERE name = ?1), 0)", "t"},
    [KS_SQL_COUNTER_RAISE] = {"INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name)"
                              " DO UPDATE SET value = greatest(counter.value, excluded.value)",
                              "ti"},
    [KS_SQL_VOID_WITH] = {"UPDATE batch SET state = 3 WHERE key_id = ?1 AND (members & ?2) <> 0"
                          " AND state <> 3",
                          "ti"},
    [KS_SQL_CLEAR_COUNT] = {UNUSED_SUM " WHERE state <> 3", ""},
    [KS_SQL_CLEAR_BLOCK] = {"DELETE FROM block", ""},
    [KS_SQL_CLEAR_DATA] = {"DELETE FROM batch_data", ""},
    [KS_SQL_CLEAR_BATCH] = {"DELETE FROM batch", ""},
    [KS_SQL_PING] = {COUNT_UP("'pings'"), ""},

    /* Data keys: the number of the current one; all. */
    [KS_SQL_DATA_KEY_CURRENT] = {"SELECT number FROM data_key WHERE state = 1", ""},
    [KS_SQL_DATA_KEY_ALL] = {"SELECT number, state, wrapped, chained FROM data_key ORDER BY number",
                             ""},
    [KS_SQL_DATA_KEY_INSERT] = {"INSERT INTO data_key (number, state, wrapped, chained)"
                                " VALUES (?1, 1, ?2, ?3)",
                                "ibb"},
    [KS_SQL_DATA_KEY_AGE] = {"UPDATE data_key SET state = 2 WHERE number = ?1", "i"},
    [KS_SQL_DATA_KEY_WRAP] = {"UPDATE data_key SET wrapped = ?2 WHERE number = ?1 AND wrapped = ?3",
                              "ibb"},
    [KS_SQL_DATA_KEY_UNCHAIN] = {"UPDATE data_key SET chained = NULL WHERE number = ?1", "i"},
    [KS_SQL_DATA_KEY_DELETE] = {"DELETE FROM data_key WHERE number = ?1 AND state = 2", "i"},
    /* Sealed records that do not begin with ?1, behind the primary key ?2 (?3). */
    [KS_SQL_SEALED_KEYS] =
        {"SELECT key_id, epoch, public_part, sealed FROM \"key\""
         " WHERE " NOT_UNDER(
             "sealed") " AND (key_id > ?2"
                       " OR (key_id = ?2 AND epoch > ?3)) ORDER BY key_id, epoch LIMIT ?4",
         "btii"},
    [KS_SQL_SEALED_BATCHES] = {"SELECT batch.beta, key_id, epoch, state, lane, seq, count, next,"
                               " members, sealed FROM batch_data"
                               " JOIN batch ON batch.beta = batch_data.beta"
                               " WHERE " NOT_UNDER("sealed") " AND batch_data.beta > ?2"
                                                             " ORDER BY batch_data.beta LIMIT ?3",
                               "bbi"},
    [KS_SQL_SEALED_METAS] = {"SELECT name, value FROM meta WHERE " NOT_UNDER(
                                 "value") " AND name > ?2 ORDER BY name LIMIT ?3",
                             "bti"},
    [KS_SQL_SEALED_OBJECTS] = {"SELECT id, created_ms, sealed FROM object WHERE " SEALED_OBJECT
                               " AND id > ?2 ORDER BY id LIMIT ?3",
                               "bbi"},
    [KS_SQL_SEALED_KEY_COUNT] = {"SELECT count(*) FROM \"key\" WHERE " NOT_UNDER("sealed"), "b"},
    [KS_SQL_SEALED_BATCH_COUNT] = {"SELECT count(*) FROM batch_data JOIN batch"
                                   " ON batch.beta = batch_data.beta WHERE " NOT_UNDER("sealed"),
                                   "b"},
    [KS_SQL_SEALED_OBJECT_COUNT] = {"SELECT count(*) FROM object WHERE " SEALED_OBJECT, "b"},
    [KS_SQL_RESEAL_KEY] = {"UPDATE \"key\" SET sealed = ?3"
                           " WHERE key_id = ?1 AND epoch = ?2 AND sealed = ?4",
                           "tibb"},
    [KS_SQL_RESEAL_BATCH] = {"UPDATE batch_data SET sealed = ?2 WHERE beta = ?1 AND sealed = ?3",
                             "bbb"},
    [KS_SQL_RESEAL_META] = {"UPDATE meta SET value = ?2 WHERE name = ?1 AND value = ?3", "tbb"},
    [KS_SQL_RESEAL_OBJECT] = {"UPDATE object SET sealed = ?2 WHERE id = ?1 AND sealed = ?3", "bbb"},
};
