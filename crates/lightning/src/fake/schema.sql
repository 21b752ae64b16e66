-- The node's own key.
CREATE TABLE node (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- Invoices made by any process on this ledger. Times in ms since the epoch, expiry in seconds.
CREATE TABLE invoices (
    id           INTEGER PRIMARY KEY,
    payment_hash BLOB NOT NULL UNIQUE CHECK (length(payment_hash) = 32),
    preimage     BLOB NOT NULL CHECK (length(preimage) = 32),
    request      TEXT NOT NULL UNIQUE,
    amount_msat  INTEGER NOT NULL CHECK (amount_msat > 0),
    created_ms   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    instance     TEXT NOT NULL,
    cancelled    INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
    -- When it pays itself; NULL once it has, or when it will not.
    due_ms       INTEGER
) STRICT;
CREATE INDEX invoices_due ON invoices (due_ms) WHERE due_ms IS NOT NULL;

-- Money that arrived. One row per credit; the key is the place in the stream.
CREATE TABLE settlements (
    cursor       INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_hash BLOB NOT NULL REFERENCES invoices (payment_hash),
    credit       TEXT NOT NULL UNIQUE,
    amount_msat  INTEGER NOT NULL CHECK (amount_msat > 0),
    at_ms        INTEGER NOT NULL
) STRICT;
CREATE INDEX settlements_hash ON settlements (payment_hash);

-- Every call of `pay`, whatever became of it.
CREATE TABLE pay_calls (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id   BLOB NOT NULL CHECK (length(payment_id) = 16),
    payment_hash BLOB,
    request      TEXT NOT NULL,
    amount_msat  INTEGER NOT NULL,
    max_fee_msat INTEGER NOT NULL,
    not_after    INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL,
    instance     TEXT NOT NULL,
    outcome      TEXT NOT NULL CHECK (outcome IN ('started', 'joined', 'late', 'refused', 'unreachable'))
) STRICT;
CREATE INDEX pay_calls_payment ON pay_calls (payment_id);

-- Payments that were begun: what really happens, and what the node says about it.
CREATE TABLE payments (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    call         INTEGER NOT NULL UNIQUE REFERENCES pay_calls (id),
    payment_id   BLOB NOT NULL CHECK (length(payment_id) = 16),
    payment_hash BLOB NOT NULL CHECK (length(payment_hash) = 32),
    amount_msat  INTEGER NOT NULL CHECK (amount_msat > 0),
    fee_msat     INTEGER NOT NULL CHECK (fee_msat >= 0),
    started_ms   INTEGER NOT NULL,
    fate         TEXT NOT NULL CHECK (fate IN ('paid', 'failed', 'stuck')),
    state        TEXT NOT NULL DEFAULT 'in_flight' CHECK (state IN ('in_flight', 'paid', 'failed')),
    -- When the fate strikes; NULL once it has.
    due_ms       INTEGER,
    ended_ms     INTEGER,
    -- A part of an invoice that waits for the others, and how long it does.
    held         INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    hold_ms      INTEGER NOT NULL CHECK (hold_ms > 0),
    forgotten    INTEGER NOT NULL DEFAULT 0 CHECK (forgotten IN (0, 1)),
    -- The script: what is said instead of the truth.
    pay_says     TEXT,
    check_says   TEXT,
    pay_err      INTEGER NOT NULL DEFAULT 0 CHECK (pay_err IN (0, 1)),
    check_err    INTEGER NOT NULL DEFAULT 0 CHECK (check_err IN (0, 1)),
    CHECK ((state = 'in_flight') = (ended_ms IS NULL)),
    CHECK (state = 'in_flight' OR due_ms IS NULL)
) STRICT;
CREATE INDEX payments_due ON payments (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX payments_payment ON payments (payment_id);
CREATE INDEX payments_hash ON payments (payment_hash);

-- One row per bent knob.
CREATE TABLE steering (
    knob TEXT PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
