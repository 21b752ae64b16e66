-- The ledger of a mint. Amounts are in the unit of their keyset or quote, times in seconds since the Unix epoch.
-- A CHECK here is the last line of defence: the store has looked before it writes.

-- What there is one of.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- A hash from which the seed cannot be found; NULL until the database is bound to a seed.
    seed_fingerprint BLOB CHECK (length(seed_fingerprint) = 32),
    -- How far the payment backend's stream has been read.
    stream_cursor INTEGER NOT NULL DEFAULT 0 CHECK (stream_cursor >= 0)
) STRICT;
INSERT INTO meta (id) VALUES (1);

-- One row a keyset, in the order they were added. Other tables name a keyset by the small number `id`.
CREATE TABLE keysets (
    id INTEGER PRIMARY KEY,
    keyset_id BLOB NOT NULL UNIQUE CHECK (length(keyset_id) IN (8, 33)),
    unit TEXT NOT NULL,
    derivation_index INTEGER NOT NULL CHECK (derivation_index BETWEEN 0 AND 4294967295),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    input_fee_ppk INTEGER NOT NULL CHECK (input_fee_ppk >= 0),
    final_expiry INTEGER CHECK (final_expiry >= 0),
    -- For each denomination, ascending: 8 bytes of amount, big endian, and 33 bytes of public key.
    public_keys BLOB NOT NULL CHECK (length(public_keys) > 0 AND length(public_keys) % 41 = 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    latched INTEGER NOT NULL DEFAULT 0 CHECK (latched IN (0, 1)),
    issued INTEGER NOT NULL DEFAULT 0 CHECK (issued >= 0),
    redeemed INTEGER NOT NULL DEFAULT 0 CHECK (redeemed >= 0),
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    fees INTEGER NOT NULL DEFAULT 0 CHECK (fees >= 0),
    UNIQUE (unit, derivation_index),
    CHECK (redeemed + reserved <= issued)
) STRICT;
CREATE UNIQUE INDEX keysets_one_active ON keysets (unit) WHERE active = 1;

CREATE TABLE mint_quotes (
    id INTEGER PRIMARY KEY,
    quote_id TEXT NOT NULL UNIQUE,
    method TEXT NOT NULL,
    unit TEXT NOT NULL,
    amount INTEGER CHECK (amount >= 0),
    request TEXT NOT NULL,
    payment_hash BLOB NOT NULL UNIQUE CHECK (length(payment_hash) = 32),
    pubkey BLOB CHECK (length(pubkey) = 33),
    expiry INTEGER NOT NULL CHECK (expiry >= 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at INTEGER NOT NULL CHECK (updated_at >= 0),
    amount_paid INTEGER NOT NULL DEFAULT 0 CHECK (amount_paid >= 0),
    amount_issued INTEGER NOT NULL DEFAULT 0 CHECK (amount_issued >= 0),
    CHECK (amount_issued <= amount_paid)
) STRICT;
-- Covers the look for the oldest of them, so that only the chosen rows are read.
CREATE INDEX mint_quotes_unpaid ON mint_quotes (expiry, created_at, quote_id) WHERE amount_paid = 0;

-- Money that arrived for a mint quote, once for each name the backend gave it.
CREATE TABLE credits (
    credit TEXT NOT NULL PRIMARY KEY,
    quote INTEGER NOT NULL REFERENCES mint_quotes (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX credits_by_quote ON credits (quote);

-- What an issue took from its quotes, in the order of the request.
CREATE TABLE draws (
    operation_id BLOB NOT NULL CHECK (length(operation_id) = 16),
    position INTEGER NOT NULL CHECK (position >= 0),
    quote INTEGER NOT NULL REFERENCES mint_quotes (id),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX draws_by_quote ON draws (quote);

CREATE TABLE melt_quotes (
    id INTEGER PRIMARY KEY,
    quote_id TEXT NOT NULL UNIQUE,
    method TEXT NOT NULL,
    unit TEXT NOT NULL,
    request TEXT NOT NULL,
    payment_hash BLOB NOT NULL CHECK (length(payment_hash) = 32),
    amount_msat INTEGER NOT NULL CHECK (amount_msat >= 0),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    fee_reserve INTEGER NOT NULL CHECK (fee_reserve >= 0),
    expiry INTEGER NOT NULL CHECK (expiry >= 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at INTEGER NOT NULL CHECK (updated_at >= 0),
    status TEXT NOT NULL DEFAULT 'unpaid' CHECK (status IN ('unpaid', 'pending', 'paid')),
    -- The operation that holds the quote or paid it.
    operation_id BLOB CHECK (length(operation_id) = 16),
    preimage BLOB CHECK (length(preimage) = 32),
    CHECK ((status = 'unpaid') = (operation_id IS NULL)),
    CHECK (preimage IS NULL OR status = 'paid')
) STRICT;
-- One invoice is being paid, or has been paid, by one quote only.
CREATE UNIQUE INDEX melt_quotes_one_payment ON melt_quotes (payment_hash) WHERE status <> 'unpaid';
CREATE UNIQUE INDEX melt_quotes_by_operation ON melt_quotes (operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX melt_quotes_unpaid ON melt_quotes (expiry) WHERE status = 'unpaid';

-- Operations that have begun and not ended. Whoever removes the row has ended the operation.
CREATE TABLE operations (
    operation_id BLOB NOT NULL PRIMARY KEY CHECK (length(operation_id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('swap', 'melt')),
    state TEXT NOT NULL CHECK (state IN ('setup_complete', 'reserved', 'dispatched', 'paid', 'failed', 'unknown')),
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    quote INTEGER UNIQUE REFERENCES melt_quotes (id),
    not_after INTEGER CHECK (not_after >= 0),
    dispatched_by BLOB CHECK (length(dispatched_by) = 16),
    paid_proof TEXT CHECK (paid_proof IN ('preimage', 'vouched')),
    paid_preimage BLOB CHECK (length(paid_preimage) = 32),
    -- 8 bytes, big endian: evidence that a payment was made is kept whatever total the backend named.
    paid_total_msat BLOB CHECK (length(paid_total_msat) = 8),
    CHECK ((kind = 'swap') = (state = 'setup_complete')),
    CHECK ((kind = 'melt') = (quote IS NOT NULL)),
    CHECK ((not_after IS NULL) = (dispatched_by IS NULL)),
    CHECK (not_after IS NULL OR state NOT IN ('setup_complete', 'reserved')),
    CHECK ((state = 'paid') = (paid_proof IS NOT NULL)),
    CHECK ((paid_proof IS NULL) = (paid_total_msat IS NULL)),
    CHECK ((paid_proof IS 'preimage') = (paid_preimage IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Ids that were given up before they were used; a late reservation collides with them.
CREATE TABLE tombstones (
    operation_id BLOB NOT NULL PRIMARY KEY CHECK (length(operation_id) = 16),
    created_at INTEGER NOT NULL CHECK (created_at >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_age ON tombstones (created_at);

-- Proofs that are held by an operation or spent. A proof that is not here is unspent.
CREATE TABLE proofs (
    id INTEGER PRIMARY KEY,
    -- hash_to_curve(secret)
    y BLOB NOT NULL UNIQUE CHECK (length(y) = 33),
    keyset INTEGER NOT NULL REFERENCES keysets (id),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    c BLOB NOT NULL CHECK (length(c) = 33),
    witness TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'spent')),
    operation_id BLOB NOT NULL CHECK (length(operation_id) = 16),
    operation_kind TEXT NOT NULL CHECK (operation_kind IN ('swap', 'melt')),
    position INTEGER NOT NULL CHECK (position >= 0)
) STRICT;
CREATE UNIQUE INDEX proofs_by_operation ON proofs (operation_id, position);

-- Outputs that are reserved (no signature yet) or signed.
CREATE TABLE blind_signatures (
    id INTEGER PRIMARY KEY,
    -- The blinded message B_.
    b BLOB NOT NULL UNIQUE CHECK (length(b) = 33),
    keyset INTEGER NOT NULL REFERENCES keysets (id),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    -- The blind signature C_ and its proof (NUT-12).
    c BLOB CHECK (length(c) = 33),
    dleq_e BLOB CHECK (length(dleq_e) = 32),
    dleq_s BLOB CHECK (length(dleq_s) = 32),
    operation_id BLOB NOT NULL CHECK (length(operation_id) = 16),
    operation_kind TEXT NOT NULL CHECK (operation_kind IN ('swap', 'issue', 'melt')),
    position INTEGER NOT NULL CHECK (position >= 0),
    CHECK ((c IS NULL) = (dleq_e IS NULL) AND (c IS NULL) = (dleq_s IS NULL))
) STRICT;
CREATE UNIQUE INDEX blind_signatures_by_operation ON blind_signatures (operation_id, position);
