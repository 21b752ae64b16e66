-- Keysets that were brought from another mint have no place in the derivation, and carry what was signed of them elsewhere.
CREATE TABLE keysets_new (
    id INTEGER PRIMARY KEY,
    keyset_id BLOB NOT NULL UNIQUE CHECK (length(keyset_id) IN (8, 33)),
    unit TEXT NOT NULL,
    -- NULL for an import.
    derivation_index INTEGER CHECK (derivation_index BETWEEN 0 AND 4294967295),
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
    -- What was signed of an import elsewhere; NULL while nobody has said, and then nothing bounds what is redeemed.
    carried INTEGER CHECK (carried >= 0),
    UNIQUE (unit, derivation_index),
    CHECK (derivation_index IS NULL OR carried IS 0),
    CHECK (carried IS NULL OR redeemed + reserved <= issued + carried)
) STRICT;
INSERT INTO keysets_new (id, keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, created_at,
    latched, issued, redeemed, reserved, fees, carried)
SELECT id, keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, created_at,
    latched, issued, redeemed, reserved, fees, 0 FROM keysets;
DROP TABLE keysets;
ALTER TABLE keysets_new RENAME TO keysets;
CREATE UNIQUE INDEX keysets_one_active ON keysets (unit) WHERE active = 1;

-- What operators did, and what the mint did in their place: one line an act, written in the commit of the act and never changed.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    entry_id BLOB NOT NULL UNIQUE CHECK (length(entry_id) = 16),
    at INTEGER NOT NULL CHECK (at >= 0),
    actor TEXT NOT NULL CHECK (length(actor) > 0),
    action TEXT NOT NULL,
    keyset_id BLOB NOT NULL,
    detail TEXT NOT NULL
) STRICT;
