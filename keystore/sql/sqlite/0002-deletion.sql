-- State 6 of a key: it is being deleted (keystore.h).
--
-- Orders to delete keys and to undo that, one per key: the newest. Kept after the key is wiped, for
-- participants that have not heard of it.
CREATE TABLE deletion (
    key_id TEXT NOT NULL PRIMARY KEY,
    serial INTEGER NOT NULL,             -- odd: delete, even: undo; a higher one replaces this
    state INTEGER NOT NULL,              -- 1 scheduled, 2 undoing, 3 cancelled, 4 wiped
    due_ms INTEGER NOT NULL,             -- scheduled: when to wipe, by this participant's wall clock
    grace_ms INTEGER NOT NULL,           -- the time between the order and due_ms
    members INTEGER NOT NULL,            -- participants of the key: bit 1 << participantIndex
    told INTEGER NOT NULL                -- those of them that are known to have it in this state
) WITHOUT ROWID;
CREATE INDEX deletion_open ON deletion (key_id) WHERE state < 3 OR told <> members;
