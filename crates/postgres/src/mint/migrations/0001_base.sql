-- The ledger of a mint. Amounts are in the unit of their keyset or quote, times in seconds since the Unix epoch.
-- A CHECK here is the last line of defence: the store has looked before it writes.
-- Text from outside is kept as its bytes, because TEXT cannot hold every character.
-- Rows are named by what they are (Y, B_, quote id, operation id), so that no table that grows needs a counter.

-- What there is one of. Its row is also locked by every change of keysets, so that those come one after the other.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- A hash from which the seed cannot be found; NULL until the database is bound to a seed.
    seed_fingerprint BYTEA CHECK (octet_length(seed_fingerprint) = 32),
    -- How far the payment backend's stream has been read.
    stream_cursor BIGINT NOT NULL DEFAULT 0 CHECK (stream_cursor >= 0)
);
INSERT INTO meta (id) VALUES (1);

-- One row a keyset, in the order they were added; never removed. Other tables name a keyset by the small number `id`, without a foreign key:
-- its check would lock the row of the keyset for every proof.
CREATE TABLE keysets (
    id INTEGER PRIMARY KEY,
    keyset_id BYTEA NOT NULL UNIQUE CHECK (octet_length(keyset_id) IN (8, 33)),
    unit TEXT NOT NULL,
    -- NULL for an import.
    derivation_index BIGINT CHECK (derivation_index BETWEEN 0 AND 4294967295),
    active BOOLEAN NOT NULL,
    input_fee_ppk BIGINT NOT NULL CHECK (input_fee_ppk >= 0),
    final_expiry BIGINT CHECK (final_expiry >= 0),
    -- For each denomination, ascending: 8 bytes of amount, big endian, and 33 bytes of public key.
    public_keys BYTEA NOT NULL CHECK (octet_length(public_keys) > 0 AND octet_length(public_keys) % 41 = 0),
    created_at BIGINT NOT NULL CHECK (created_at >= 0),
    latched BOOLEAN NOT NULL DEFAULT FALSE,
    -- What was signed of an import elsewhere; NULL while nobody has said, and then nothing bounds what is redeemed.
    carried BIGINT CHECK (carried >= 0),
    UNIQUE (unit, derivation_index),
    CHECK (derivation_index IS NULL OR (carried IS NOT NULL AND carried = 0))
);
CREATE UNIQUE INDEX keysets_one_active ON keysets (unit) WHERE active;

-- The books of the keysets, as what each writer has added to and taken from them. Only the sum over the stripes of a keyset has a meaning:
-- one stripe may well be negative.
CREATE TABLE totals (
    keyset INTEGER NOT NULL REFERENCES keysets (id),
    stripe INTEGER NOT NULL,
    issued BIGINT NOT NULL,
    redeemed BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    PRIMARY KEY (keyset, stripe)
);

CREATE TABLE mint_quotes (
    quote_id TEXT COLLATE "C" PRIMARY KEY,
    method TEXT NOT NULL,
    unit TEXT NOT NULL,
    amount BIGINT CHECK (amount >= 0),
    request BYTEA NOT NULL,
    payment_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(payment_hash) = 32),
    pubkey BYTEA CHECK (octet_length(pubkey) = 33),
    expiry BIGINT NOT NULL CHECK (expiry >= 0),
    created_at BIGINT NOT NULL CHECK (created_at >= 0),
    updated_at BIGINT NOT NULL CHECK (updated_at >= 0),
    amount_paid BIGINT NOT NULL DEFAULT 0 CHECK (amount_paid >= 0),
    amount_issued BIGINT NOT NULL DEFAULT 0 CHECK (amount_issued >= 0),
    CHECK (amount_issued <= amount_paid)
);
-- Covers the look for the oldest of them, so that only the chosen rows are read.
CREATE INDEX mint_quotes_unpaid ON mint_quotes (expiry, created_at, quote_id) WHERE amount_paid = 0;

-- Money that arrived for a mint quote, once for each name the backend gave it.
CREATE TABLE credits (
    credit BYTEA PRIMARY KEY,
    quote TEXT COLLATE "C" NOT NULL REFERENCES mint_quotes (quote_id),
    amount BIGINT NOT NULL CHECK (amount > 0),
    created_at BIGINT NOT NULL CHECK (created_at >= 0)
);
CREATE INDEX credits_by_quote ON credits (quote);

-- What an issue took from its quotes, in the order of the request.
CREATE TABLE draws (
    operation_id BYTEA NOT NULL CHECK (octet_length(operation_id) = 16),
    position BIGINT NOT NULL CHECK (position >= 0),
    quote TEXT COLLATE "C" NOT NULL REFERENCES mint_quotes (quote_id),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (operation_id, position)
);
CREATE INDEX draws_by_quote ON draws (quote);

CREATE TABLE melt_quotes (
    quote_id TEXT COLLATE "C" PRIMARY KEY,
    method TEXT NOT NULL,
    unit TEXT NOT NULL,
    request BYTEA NOT NULL,
    payment_hash BYTEA NOT NULL CHECK (octet_length(payment_hash) = 32),
    amount_msat BIGINT NOT NULL CHECK (amount_msat >= 0),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    fee_reserve BIGINT NOT NULL CHECK (fee_reserve >= 0),
    expiry BIGINT NOT NULL CHECK (expiry >= 0),
    created_at BIGINT NOT NULL CHECK (created_at >= 0),
    updated_at BIGINT NOT NULL CHECK (updated_at >= 0),
    status TEXT NOT NULL DEFAULT 'unpaid' CHECK (status IN ('unpaid', 'pending', 'paid')),
    -- The operation that holds the quote or paid it.
    operation_id BYTEA CHECK (octet_length(operation_id) = 16),
    preimage BYTEA CHECK (octet_length(preimage) = 32),
    CHECK ((status = 'unpaid') = (operation_id IS NULL)),
    CHECK (preimage IS NULL OR status = 'paid')
);
-- One invoice is being paid, or has been paid, by one quote only.
CREATE UNIQUE INDEX melt_quotes_one_payment ON melt_quotes (payment_hash) WHERE status <> 'unpaid';
CREATE UNIQUE INDEX melt_quotes_by_operation ON melt_quotes (operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX melt_quotes_unpaid ON melt_quotes (expiry) WHERE status = 'unpaid';
CREATE INDEX melt_quotes_paid ON melt_quotes (updated_at) WHERE status = 'paid';

-- Operations that have begun and not ended, and ids that were given up before they were used. One key for both, so that a reservation and the
-- release that gives up on it collide whatever their order. Whoever removes a row has ended the operation.
CREATE TABLE operations (
    operation_id BYTEA PRIMARY KEY CHECK (octet_length(operation_id) = 16),
    state TEXT NOT NULL
        CHECK (state IN ('setup_complete', 'reserved', 'dispatched', 'paid', 'failed', 'unknown', 'given_up')),
    kind TEXT CHECK (kind IN ('swap', 'melt')),
    owner BYTEA CHECK (octet_length(owner) = 16),
    created_at BIGINT NOT NULL CHECK (created_at >= 0),
    quote TEXT COLLATE "C",
    not_after BIGINT CHECK (not_after >= 0),
    dispatched_by BYTEA CHECK (octet_length(dispatched_by) = 16),
    paid_proof TEXT CHECK (paid_proof IN ('preimage', 'vouched')),
    paid_preimage BYTEA CHECK (octet_length(paid_preimage) = 32),
    -- 8 bytes, big endian: evidence that a payment was made is kept whatever total the backend named.
    paid_total_msat BYTEA CHECK (octet_length(paid_total_msat) = 8),
    CHECK ((state = 'given_up') = (kind IS NULL)),
    CHECK ((kind IS NULL) = (owner IS NULL)),
    CHECK ((state = 'setup_complete') = (kind IS NOT DISTINCT FROM 'swap')),
    CHECK ((quote IS NOT NULL) = (kind IS NOT DISTINCT FROM 'melt')),
    CHECK ((not_after IS NULL) = (dispatched_by IS NULL)),
    CHECK (not_after IS NULL OR state NOT IN ('setup_complete', 'reserved', 'given_up')),
    CHECK ((state = 'paid') = (paid_proof IS NOT NULL)),
    CHECK ((paid_proof IS NULL) = (paid_total_msat IS NULL)),
    CHECK ((paid_preimage IS NOT NULL) = (paid_proof IS NOT DISTINCT FROM 'preimage'))
);
CREATE INDEX operations_unfinished ON operations (operation_id) WHERE state <> 'given_up';
CREATE INDEX operations_given_up ON operations (created_at) WHERE state = 'given_up';

-- Proofs that are held by an operation or spent. A proof that is not here is unspent.
CREATE TABLE proofs (
    -- hash_to_curve(secret)
    y BYTEA PRIMARY KEY CHECK (octet_length(y) = 33),
    keyset INTEGER NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    c BYTEA NOT NULL CHECK (octet_length(c) = 33),
    witness BYTEA,
    state TEXT NOT NULL CHECK (state IN ('pending', 'spent')),
    operation_id BYTEA NOT NULL CHECK (octet_length(operation_id) = 16),
    operation_kind TEXT NOT NULL CHECK (operation_kind IN ('swap', 'melt')),
    position BIGINT NOT NULL CHECK (position >= 0)
);
CREATE UNIQUE INDEX proofs_by_operation ON proofs (operation_id, position);

-- Outputs that are reserved (no signature yet) or signed.
CREATE TABLE blind_signatures (
    -- The blinded message B_.
    b BYTEA PRIMARY KEY CHECK (octet_length(b) = 33),
    keyset INTEGER NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    -- The blind signature C_ and its proof (NUT-12).
    c BYTEA CHECK (octet_length(c) = 33),
    dleq_e BYTEA CHECK (octet_length(dleq_e) = 32),
    dleq_s BYTEA CHECK (octet_length(dleq_s) = 32),
    operation_id BYTEA NOT NULL CHECK (octet_length(operation_id) = 16),
    operation_kind TEXT NOT NULL CHECK (operation_kind IN ('swap', 'issue', 'melt')),
    position BIGINT NOT NULL CHECK (position >= 0),
    CHECK ((c IS NULL) = (dleq_e IS NULL) AND (c IS NULL) = (dleq_s IS NULL))
);
CREATE UNIQUE INDEX blind_signatures_by_operation ON blind_signatures (operation_id, position);
-- Blanks of melts that got no change are few, and looked for when old ones are pruned.
CREATE INDEX blind_signatures_spare_blanks ON blind_signatures (operation_id) WHERE c IS NULL AND operation_kind = 'melt';

-- What operators did, and what the mint did in their place: one line an act, written in the commit of the act and never changed.
CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY CHECK (sequence > 0),
    entry_id BYTEA NOT NULL UNIQUE CHECK (octet_length(entry_id) = 16),
    at BIGINT NOT NULL CHECK (at >= 0),
    actor BYTEA NOT NULL CHECK (octet_length(actor) > 0),
    action TEXT NOT NULL,
    keyset_id BYTEA NOT NULL,
    detail BYTEA NOT NULL
);
