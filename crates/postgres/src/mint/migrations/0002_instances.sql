-- The processes that own operations, one row for each start, with the time until when each is taken to live. The clock is the database's.
CREATE TABLE instances (
    owner BYTEA PRIMARY KEY CHECK (octet_length(owner) = 16),
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    expires_at TIMESTAMPTZ NOT NULL
);
