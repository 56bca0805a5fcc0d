-- The last change of each key: sql/sqlite/0007-key-changes.sql.
CREATE TABLE key_change (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
CREATE INDEX key_change_by_number ON key_change (number);
INSERT INTO counter (name, value) SELECT 'changes-from', value FROM counter WHERE name = 'key-changes';
