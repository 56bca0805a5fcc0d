-- Tables of the keystore; what they mean: sql/sqlite. MariaDB commits after each statement here: all of them
-- may run again, because whoever makes the tables may be killed in between, and schema_version gets its row
-- last, by the program. Names compare byte by byte.

CREATE TABLE IF NOT EXISTS schema_version (
    number BIGINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB COMMENT = 'TDSA keystore';

CREATE TABLE IF NOT EXISTS "key" (
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    epoch BIGINT NOT NULL,
    state BIGINT NOT NULL,
    label VARBINARY(255) NOT NULL, -- of texts, the collations that MariaDB and MySQL share pass over spaces at the end
    created_ms BIGINT NOT NULL,
    presignature_limit BIGINT NOT NULL,
    public_part MEDIUMBLOB,
    attrs MEDIUMBLOB,
    sealed MEDIUMBLOB,
    PRIMARY KEY (key_id, epoch),
    INDEX key_by_label (label, key_id),
    INDEX key_by_state (state, key_id, epoch)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS batch (
    beta VARBINARY(32) NOT NULL PRIMARY KEY,
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    epoch BIGINT NOT NULL,
    state BIGINT NOT NULL,
    lane BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    count BIGINT NOT NULL,
    next BIGINT NOT NULL,
    members BIGINT NOT NULL,
    INDEX batch_by_key (key_id, lane, seq),
    INDEX batch_made (state, seq)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS batch_data (
    beta VARBINARY(32) NOT NULL PRIMARY KEY,
    sealed LONGBLOB NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS block (
    beta VARBINARY(32) NOT NULL,
    block BIGINT NOT NULL,
    mask BIGINT NOT NULL,
    PRIMARY KEY (beta, block)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS lane (
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    epoch BIGINT NOT NULL,
    lane BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (key_id, epoch, lane)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS deletion (
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    serial BIGINT NOT NULL,
    state BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    grace_ms BIGINT NOT NULL,
    members BIGINT NOT NULL,
    told BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS partial (
    beta VARBINARY(32) NOT NULL,
    place BIGINT NOT NULL,
    key_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    transcript VARBINARY(64) NOT NULL,
    expires_ms BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    PRIMARY KEY (beta, place),
    INDEX partial_by_expiry (expires_ms)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS data_key (
    number BIGINT NOT NULL PRIMARY KEY,
    state BIGINT NOT NULL,
    wrapped BLOB NOT NULL,
    chained BLOB
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS meta (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    value MEDIUMBLOB NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS counter (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) ENGINE = InnoDB;

-- Whoever writes holds the lock of this row.
INSERT IGNORE INTO counter (name, value) VALUES ('writer', 0);
