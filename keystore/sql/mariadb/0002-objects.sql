-- What applications leave in a token beside keys: sql/sqlite/0006-objects.sql.
CREATE TABLE IF NOT EXISTS object (
    id VARBINARY(16) NOT NULL PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    value MEDIUMBLOB,
    sealed MEDIUMBLOB,
    INDEX object_by_age (created_ms, id)
) ENGINE = InnoDB;
