-- Partial signatures that were given away: which request (transcript T) a presignature has answered, and
-- until when it may be combined. Written together with the burn; collected some time after they expire.
CREATE TABLE partial (
    beta BLOB NOT NULL,
    place INTEGER NOT NULL,              -- of the presignature in its batch
    key_id TEXT NOT NULL,
    transcript BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,         -- wall clock of this participant
    failed INTEGER NOT NULL,             -- 1: a signature with it did not verify; never again
    PRIMARY KEY (beta, place)
) WITHOUT ROWID;
CREATE INDEX partial_by_expiry ON partial (expires_ms);
