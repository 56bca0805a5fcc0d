-- The last change of each key: sql/sqlite/0007-key-changes.sql.
CREATE TABLE IF NOT EXISTS key_change (
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    INDEX key_change_by_number (number)
) ENGINE = InnoDB;

INSERT INTO counter (name, value) SELECT 'changes-from', value FROM counter WHERE name = 'key-changes'
    ON DUPLICATE KEY UPDATE value = VALUES(value);
