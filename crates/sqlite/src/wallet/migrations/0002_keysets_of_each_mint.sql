-- Anybody can list another mint's keyset, for its keys are public: a keyset belongs to each mint that lists it. Only within one mint
-- must short ids differ; two keysets of one derivation path must still not meet in one wallet, whichever mints they are of.
CREATE TABLE keysets_of_mints (
    keyset_id BLOB NOT NULL CHECK (length(keyset_id) IN (8, 33)),
    mint TEXT NOT NULL REFERENCES mints (url),
    short_id BLOB NOT NULL CHECK (length(short_id) = 8),
    -- The number in the BIP-32 path; NULL for version 2, which derives from the whole id.
    path INTEGER CHECK (path >= 0),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- The keyset as JSON.
    body TEXT NOT NULL,
    PRIMARY KEY (mint, keyset_id),
    UNIQUE (mint, short_id)
) STRICT, WITHOUT ROWID;
INSERT INTO keysets_of_mints (keyset_id, mint, short_id, path, active, body)
    SELECT keyset_id, mint, short_id, path, active, body FROM keysets;
DROP TABLE keysets;
ALTER TABLE keysets_of_mints RENAME TO keysets;
CREATE INDEX keysets_of_path ON keysets (path, keyset_id) WHERE path IS NOT NULL;
