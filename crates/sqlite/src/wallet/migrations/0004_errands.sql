-- What a wallet has to see to that is more than one operation, or none yet. An errand names operations and moves nothing itself.
CREATE TABLE errands (
    errand_id BLOB NOT NULL PRIMARY KEY CHECK (length(errand_id) = 16),
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at INTEGER NOT NULL CHECK (updated_at >= 0),
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    -- The errand as JSON.
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX errands_open ON errands (errand_id) WHERE done = 0;
CREATE TRIGGER errands_are_done_once BEFORE UPDATE ON errands WHEN OLD.done = 1
BEGIN
    SELECT RAISE(ABORT, 'an errand that is done never changes');
END;
