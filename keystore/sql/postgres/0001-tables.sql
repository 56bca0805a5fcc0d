-- Tables of the keystore. Sealed columns are AES-256-GCM records (keystore/seal.h); the rest is
-- public. Numbers of 64 bits without sign are stored as the same 64 bits with sign. Names are compared
-- byte by byte, whatever language the database speaks. Rows that change often have room beside them on their
-- page (fillfactor), so that no index has to change with them.

-- Whose tables these are, and the number of the last file of this folder that was applied.
CREATE TABLE schema_version (
    program TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE TABLE "key" (
    key_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    state SMALLINT NOT NULL,             -- keystore.h: ks_key_state
    label TEXT COLLATE "C" NOT NULL,
    created_ms BIGINT NOT NULL,
    presignature_limit BIGINT NOT NULL,  -- -1: none
    public_part BYTEA,
    attrs BYTEA,
    sealed BYTEA,
    PRIMARY KEY (key_id, epoch)
);
CREATE INDEX key_by_label ON "key" (label, key_id);
CREATE INDEX key_by_state ON "key" (state, key_id, epoch);

-- Small rows, because a lease writes one: what is large stands in batch_data.
CREATE TABLE batch (
    beta BYTEA NOT NULL PRIMARY KEY,
    key_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    state SMALLINT NOT NULL,             -- 1 made, 2 free, 3 void
    lane BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    count INTEGER NOT NULL,
    next INTEGER NOT NULL,               -- first presignature that no combiner leased
    members BIGINT NOT NULL              -- the committee: bit 1 << participantIndex
) WITH (fillfactor = 70);
CREATE INDEX batch_by_key ON batch (key_id, lane, seq);
CREATE INDEX batch_made ON batch (seq) WHERE state = 1;

CREATE TABLE batch_data (
    beta BYTEA NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);
ALTER TABLE batch_data ALTER COLUMN sealed SET STORAGE EXTERNAL; -- ciphertext does not get smaller

-- What a responder has burnt: one bit per presignature.
CREATE TABLE block (
    beta BYTEA NOT NULL,
    block INTEGER NOT NULL,
    mask BIGINT NOT NULL,
    PRIMARY KEY (beta, block)
) WITH (fillfactor = 70);

-- The highest batch number seen of each combiner.
CREATE TABLE lane (
    key_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    lane BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (key_id, epoch, lane)
) WITH (fillfactor = 70);

CREATE TABLE meta (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Data keys, wrapped: sql/sqlite/0004-data-key.sql.
CREATE TABLE data_key (
    number BIGINT NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    wrapped BYTEA NOT NULL,
    chained BYTEA
);

-- Each transaction that writes locks the row 'writer', and most raise another.
CREATE TABLE counter (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO counter (name, value) VALUES ('writer', 0);

-- Orders to delete keys and to undo that, one per key: the newest. Kept after the key is wiped, for
-- participants that have not heard of it.
CREATE TABLE deletion (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    serial BIGINT NOT NULL,              -- odd: delete, even: undo; a higher one replaces this
    state SMALLINT NOT NULL,             -- 1 scheduled, 2 undoing, 3 cancelled, 4 wiped
    due_ms BIGINT NOT NULL,              -- scheduled: when to wipe, by this participant's wall clock
    grace_ms BIGINT NOT NULL,            -- the time between the order and due_ms
    members BIGINT NOT NULL,             -- participants of the key: bit 1 << participantIndex
    told BIGINT NOT NULL                 -- those of them that are known to have it in this state
);
CREATE INDEX deletion_open ON deletion (key_id) WHERE state < 3 OR told <> members;

-- Partial signatures that were given away: which request (transcript T) a presignature has answered, and
-- until when it may be combined. Written together with the burn; collected some time after they expire.
CREATE TABLE partial (
    beta BYTEA NOT NULL,
    place INTEGER NOT NULL,              -- of the presignature in its batch
    key_id TEXT COLLATE "C" NOT NULL,
    transcript BYTEA NOT NULL,
    expires_ms BIGINT NOT NULL,          -- wall clock of this participant
    failed SMALLINT NOT NULL,            -- 1: a signature with it did not verify; never again
    PRIMARY KEY (beta, place)
);
CREATE INDEX partial_by_expiry ON partial (expires_ms);
