-- Data keys, wrapped by the encryptor. A new one replaces the current one, and stays beside it until each row
-- that was sealed under that is sealed under the new one. Was the value ks.data-key of meta: number 1, or 0 in a
-- database without encryption.
CREATE TABLE data_key (
    number INTEGER NOT NULL PRIMARY KEY,
    state INTEGER NOT NULL,              -- 1 current, 2 old
    wrapped BLOB NOT NULL,
    chained BLOB                         -- this key, sealed under the one before it
);
INSERT INTO data_key (number, state, wrapped)
    SELECT CASE WHEN value = x'0100000008646174612d6b657901000000046e6f6e650300000000' THEN 0 ELSE 1 END, 1, value
    FROM meta WHERE name = 'ks.data-key';
DELETE FROM meta WHERE name = 'ks.data-key';
