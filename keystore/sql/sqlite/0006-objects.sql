-- What applications leave in a token beside keys: certificates, data. One of `value` and `sealed` is not NULL.
CREATE TABLE object (
    id BLOB NOT NULL PRIMARY KEY,        -- 16 bytes
    created_ms INTEGER NOT NULL,
    value BLOB,                          -- in clear
    sealed BLOB                          -- bound to id and created_ms; empty: it did not open in a rotation
);
CREATE INDEX object_by_age ON object (created_ms, id);
