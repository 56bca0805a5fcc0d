-- Keys by state and by label, and batches that were not finished: neither a start nor a question for a
-- label reads every row.
CREATE INDEX key_by_state ON key (state, key_id, epoch);
CREATE INDEX key_by_label ON key (label, key_id);
CREATE INDEX batch_made ON batch (seq) WHERE state = 1;
