-- The last change of each key, of those that are gone too: what the counter key-changes was after it. Earlier
-- ones than `changes-from` were not noted.
CREATE TABLE key_change (
    key_id TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX key_change_by_number ON key_change (number);
INSERT INTO counter (name, value) SELECT 'changes-from', value FROM counter WHERE name = 'key-changes';
