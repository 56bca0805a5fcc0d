-- Tables of the keystore. Sealed columns are AES-256-GCM records (keystore/seal.h); the rest is
-- public. Numbers of 64 bits without sign are stored as the same 64 bits with sign.

CREATE TABLE key (
    key_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    state INTEGER NOT NULL,              -- 1 registered, 2 pending, 3 active, 4 deleted, 5 old
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    presignature_limit INTEGER NOT NULL, -- -1: none
    public_part BLOB,
    attrs BLOB,
    sealed BLOB,
    PRIMARY KEY (key_id, epoch)
);

-- Small rows, because a lease writes one: what is large stands in batch_data.
CREATE TABLE batch (
    beta BLOB NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    state INTEGER NOT NULL,              -- 1 made, 2 free, 3 void
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    next INTEGER NOT NULL,               -- first presignature that no combiner leased
    members INTEGER NOT NULL             -- the committee: bit 1 << participantIndex
) WITHOUT ROWID;
CREATE INDEX batch_by_key ON batch (key_id, lane, seq);

CREATE TABLE batch_data (
    beta BLOB NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
);

-- What a responder has burnt: one bit per presignature.
CREATE TABLE block (
    beta BLOB NOT NULL,
    block INTEGER NOT NULL,
    mask INTEGER NOT NULL,
    PRIMARY KEY (beta, block)
) WITHOUT ROWID;

-- The highest batch number seen of each combiner.
CREATE TABLE lane (
    key_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (key_id, epoch, lane)
) WITHOUT ROWID;

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
