-- The memory of wallets. Amounts are in the minor unit of their row, times in seconds since the Unix epoch.
-- A CHECK here is the last line of defence: the store has looked before it writes. No seed is kept in this file.

-- The mints that the user trusts.
CREATE TABLE mints (
    url TEXT NOT NULL PRIMARY KEY,
    -- What the mint says about itself, as JSON.
    info TEXT,
    added_at INTEGER NOT NULL CHECK (added_at >= 0),
    refreshed_at INTEGER CHECK (refreshed_at >= 0)
) STRICT, WITHOUT ROWID;

-- Everything but `active` stays as first seen. No two keysets share a short id or a derivation path, whichever mint they are of.
CREATE TABLE keysets (
    keyset_id BLOB NOT NULL PRIMARY KEY CHECK (length(keyset_id) IN (8, 33)),
    mint TEXT NOT NULL REFERENCES mints (url),
    short_id BLOB NOT NULL UNIQUE CHECK (length(short_id) = 8),
    -- The number in the BIP-32 path; NULL for version 2, which derives from the whole id.
    path INTEGER UNIQUE CHECK (path >= 0),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- The keyset as JSON.
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keysets_of_mint ON keysets (mint, keyset_id);

-- The first counter that a seed never used under a keyset.
CREATE TABLE counters (
    seed BLOB NOT NULL CHECK (length(seed) = 16),
    keyset_id BLOB NOT NULL CHECK (length(keyset_id) IN (8, 33)),
    next INTEGER NOT NULL CHECK (next >= 0),
    PRIMARY KEY (seed, keyset_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER counters_only_rise BEFORE UPDATE ON counters WHEN NEW.next < OLD.next
BEGIN
    SELECT RAISE(ABORT, 'a counter never goes back');
END;

CREATE TABLE operations (
    operation_id BLOB NOT NULL PRIMARY KEY CHECK (length(operation_id) = 16),
    mint TEXT NOT NULL REFERENCES mints (url),
    unit TEXT NOT NULL,
    seed BLOB NOT NULL CHECK (length(seed) = 16),
    version INTEGER NOT NULL CHECK (version >= 1),
    session BLOB NOT NULL CHECK (length(session) = 16),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at INTEGER NOT NULL CHECK (updated_at >= 0),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    watched INTEGER NOT NULL CHECK (watched IN (0, 1) AND watched <= finished),
    -- The state as JSON.
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_unfinished ON operations (mint, unit, operation_id) WHERE finished = 0;
CREATE INDEX operations_watched ON operations (mint, unit, operation_id) WHERE watched = 1;
CREATE TRIGGER operations_finish_once BEFORE UPDATE ON operations WHEN OLD.finished = 1
BEGIN
    SELECT RAISE(ABORT, 'a finished operation never changes');
END;

CREATE TABLE proofs (
    y BLOB NOT NULL PRIMARY KEY CHECK (length(y) = 33),
    mint TEXT NOT NULL REFERENCES mints (url),
    unit TEXT NOT NULL,
    keyset_id BLOB NOT NULL CHECK (length(keyset_id) IN (8, 33)),
    amount INTEGER NOT NULL CHECK (amount > 0),
    secret TEXT NOT NULL CHECK (secret <> ''),
    c BLOB NOT NULL CHECK (length(c) = 33),
    witness TEXT,
    dleq_e BLOB CHECK (length(dleq_e) = 32),
    dleq_s BLOB CHECK (length(dleq_s) = 32),
    dleq_r BLOB CHECK (length(dleq_r) = 32),
    status TEXT NOT NULL CHECK (status IN ('Available', 'Held', 'Sent', 'Spent')),
    held_by BLOB REFERENCES operations (operation_id) DEFERRABLE INITIALLY DEFERRED,
    sent_by BLOB REFERENCES operations (operation_id) DEFERRABLE INITIALLY DEFERRED,
    seed BLOB CHECK (length(seed) = 16),
    counter INTEGER CHECK (counter >= 0),
    CHECK ((status = 'Held') = (held_by IS NOT NULL)),
    CHECK (status <> 'Sent' OR sent_by IS NOT NULL),
    CHECK ((dleq_e IS NULL) = (dleq_s IS NULL) AND (dleq_e IS NULL) = (dleq_r IS NULL)),
    CHECK ((seed IS NULL) = (counter IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX proofs_by_status ON proofs (mint, unit, status, y);
CREATE INDEX proofs_unspent ON proofs (mint, unit, status, amount) WHERE status <> 'Spent';
CREATE INDEX proofs_held ON proofs (held_by, y) WHERE held_by IS NOT NULL;
CREATE INDEX proofs_sent ON proofs (sent_by, y) WHERE sent_by IS NOT NULL;
CREATE TRIGGER proofs_spent_is_final BEFORE UPDATE OF status ON proofs WHEN OLD.status = 'Spent' AND NEW.status <> 'Spent'
BEGIN
    SELECT RAISE(ABORT, 'a spent proof stays spent');
END;

-- Completed operations, as the user sees them, in the order they were completed.
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    operation_id BLOB NOT NULL UNIQUE CHECK (length(operation_id) = 16),
    mint TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    fee INTEGER NOT NULL CHECK (fee >= 0),
    at INTEGER NOT NULL CHECK (at >= 0),
    memo TEXT,
    invoice TEXT,
    preimage TEXT
) STRICT;
CREATE INDEX history_of_wallet ON history (mint, unit, number);
