-- What applications leave in a token beside keys: sql/sqlite/0006-objects.sql.
CREATE TABLE object (
    id BYTEA NOT NULL PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    value BYTEA,
    sealed BYTEA
);
ALTER TABLE object ALTER COLUMN sealed SET STORAGE EXTERNAL; -- ciphertext does not get smaller
CREATE INDEX object_by_age ON object (created_ms, id);
