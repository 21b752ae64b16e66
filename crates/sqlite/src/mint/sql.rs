//! Every statement of the mint store, so that one test can ask SQLite how each would run.
//!
//! Columns are decoded by name. A look-up joins with LEFT JOIN, so that a row whose partner is missing shows up as malformed instead of
//! not at all: a proof must never look unspent because its keyset's row is gone.

/// Defines the statements and the list of them all.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        /// Every statement with its name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

/// What is read of a keyset.
macro_rules! keyset_columns {
    () => {
        "id, keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, created_at, latched, carried, \
         issued, redeemed, reserved, fees"
    };
}

/// What is read of a mint quote.
macro_rules! mint_quote_columns {
    () => {
        "id, quote_id, method, unit, rate, amount, request, payment_hash, pubkey, expiry, created_at, updated_at, amount_paid, \
         amount_issued"
    };
}

/// What is read of a melt quote.
macro_rules! melt_quote_columns {
    () => {
        "id, quote_id, method, unit, rate, request, payment_hash, amount_msat, amount, fee_reserve, expiry, created_at, \
         updated_at, status, operation_id, preimage"
    };
}

/// Unfinished operations with the quote of a melt.
macro_rules! operations {
    ($rest:literal) => {
        concat!(
            "SELECT o.operation_id, o.kind, o.state, o.owner, o.created_at, q.quote_id, o.not_after, o.dispatched_by, \
             o.paid_proof, o.paid_preimage, o.paid_total_msat \
             FROM operations o LEFT JOIN melt_quotes q ON q.id = o.quote ",
            $rest
        )
    };
}

/// Proofs with the id of their keyset.
macro_rules! proofs {
    ($rest:literal) => {
        concat!(
            "SELECT p.y, k.keyset_id, p.amount, p.c, p.witness, p.state, p.operation_id, p.operation_kind \
             FROM proofs p LEFT JOIN keysets k ON k.id = p.keyset ",
            $rest
        )
    };
}

/// Outputs with the id of their keyset.
macro_rules! blind_signatures {
    ($rest:literal) => {
        concat!(
            "SELECT s.b, k.keyset_id, s.amount, s.c, s.dleq_e, s.dleq_s, s.operation_id, s.operation_kind \
             FROM blind_signatures s LEFT JOIN keysets k ON k.id = s.keyset ",
            $rest
        )
    };
}

statements! {
    META = "SELECT seed_fingerprint FROM meta WHERE id = 1";
    BIND_SEED = "UPDATE meta SET seed_fingerprint = ?1 WHERE id = 1";
    CURSOR = "SELECT cursor FROM streams WHERE method = ?1";
    MOVE_CURSOR = "INSERT INTO streams (method, cursor) VALUES (?1, ?2) \
                   ON CONFLICT (method) DO UPDATE SET cursor = max(cursor, excluded.cursor)";

    /// The whole of a small table.
    KEYSETS = concat!("SELECT ", keyset_columns!(), " FROM keysets ORDER BY id");
    KEYSET = concat!("SELECT ", keyset_columns!(), " FROM keysets WHERE keyset_id = ?1");
    KEYSET_BY_INDEX = concat!("SELECT ", keyset_columns!(), " FROM keysets WHERE unit = ?1 AND derivation_index = ?2");
    /// The whole of a small table, in one statement.
    TOTALS = "SELECT keyset_id, issued, redeemed, reserved, fees FROM keysets ORDER BY id";
    ACCOUNT = "SELECT id, latched, derivation_index, carried, issued, redeemed, reserved, fees FROM keysets WHERE keyset_id = ?1";
    SET_TOTALS = "UPDATE keysets SET issued = ?2, redeemed = ?3, reserved = ?4, fees = ?5 WHERE id = ?1";
    RETIRE_KEYSETS = "UPDATE keysets SET active = 0 WHERE unit = ?1 AND active = 1";
    ADD_KEYSET = "INSERT INTO keysets (keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, \
                  created_at, carried, latched) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    LATCH_KEYSET = "UPDATE keysets SET latched = ?2 WHERE keyset_id = ?1";

    METER_KEYSET = "UPDATE keysets SET carried = ?2 WHERE keyset_id = ?1";

    AUDIT = "SELECT sequence, entry_id, at, actor, action, keyset_id, detail FROM audit WHERE sequence < ?1 \
             ORDER BY sequence DESC LIMIT ?2";
    AUDIT_LINE = "SELECT sequence, entry_id, at, actor, action, keyset_id, detail FROM audit WHERE entry_id = ?1";
    ADD_AUDIT_LINE = "INSERT INTO audit (entry_id, at, actor, action, keyset_id, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

    MINT_QUOTE = concat!("SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE quote_id = ?1");
    MINT_QUOTE_BY_HASH = concat!("SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE payment_hash = ?1");
    UNPAID_MINT_QUOTES = concat!(
        "SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE id IN (SELECT id FROM mint_quotes \
         WHERE amount_paid = 0 AND expiry > ?1 ORDER BY created_at, quote_id LIMIT ?2) ORDER BY created_at, quote_id"
    );
    ADD_MINT_QUOTE = "INSERT INTO mint_quotes (quote_id, method, unit, amount, request, payment_hash, pubkey, expiry, \
                      created_at, updated_at, rate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    CREDIT_MINT_QUOTE = concat!(
        "UPDATE mint_quotes SET amount_paid = ?2, updated_at = max(?3, updated_at + 1) WHERE quote_id = ?1 RETURNING ",
        mint_quote_columns!()
    );
    DRAW_MINT_QUOTE = "UPDATE mint_quotes SET amount_issued = ?2, updated_at = max(?3, updated_at + 1) WHERE quote_id = ?1 \
                       AND ?2 <= amount_paid";
    CREDITED_QUOTE = "SELECT q.quote_id FROM credits c LEFT JOIN mint_quotes q ON q.id = c.quote WHERE c.credit = ?1";
    ADD_CREDIT = "INSERT INTO credits (credit, quote, amount, created_at) \
                  SELECT ?1, id, ?3, ?4 FROM mint_quotes WHERE quote_id = ?2";
    ADD_DRAW = "INSERT INTO draws (operation_id, position, quote, amount) \
                SELECT ?1, ?2, id, ?4 FROM mint_quotes WHERE quote_id = ?3";
    DRAWN_QUOTES = "SELECT q.quote_id FROM draws d LEFT JOIN mint_quotes q ON q.id = d.quote \
                    WHERE d.operation_id = ?1 ORDER BY d.position";

    MELT_QUOTE = concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE quote_id = ?1");
    MELT_QUOTE_BY_OPERATION = concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE operation_id = ?1");
    /// At most one row, by the unique index.
    MELT_QUOTE_IN_USE =
        concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE payment_hash = ?1 AND status <> 'unpaid'");
    ADD_MELT_QUOTE = "INSERT INTO melt_quotes (quote_id, method, unit, request, payment_hash, amount_msat, amount, fee_reserve, \
                      expiry, created_at, updated_at, rate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    MOVE_MELT_QUOTE = concat!(
        "UPDATE melt_quotes SET status = ?2, operation_id = ?3, preimage = ?4, updated_at = max(?5, updated_at + 1) \
         WHERE quote_id = ?1 RETURNING ",
        melt_quote_columns!()
    );

    OPERATION = operations!("WHERE o.operation_id = ?1");
    UNFINISHED = operations!("ORDER BY o.operation_id LIMIT ?1");
    UNFINISHED_AFTER = operations!("WHERE o.operation_id > ?1 ORDER BY o.operation_id LIMIT ?2");
    ADD_SWAP = "INSERT INTO operations (operation_id, kind, state, owner, created_at) \
                VALUES (?1, 'swap', 'setup_complete', ?2, ?3)";
    ADD_MELT = "INSERT INTO operations (operation_id, kind, state, owner, created_at, quote) \
                SELECT ?1, 'melt', 'reserved', ?2, ?3, id FROM melt_quotes WHERE quote_id = ?4";
    MOVE_OPERATION = "UPDATE operations SET state = ?2, not_after = ?3, dispatched_by = ?4, paid_proof = ?5, paid_preimage = ?6, \
                      paid_total_msat = ?7 WHERE operation_id = ?1";
    TAKE_OVER = "UPDATE operations SET owner = ?2 WHERE operation_id = ?1 AND owner = ?3";
    END_OPERATION = "DELETE FROM operations WHERE operation_id = ?1";
    TOMBSTONE = "SELECT created_at FROM tombstones WHERE operation_id = ?1";
    ADD_TOMBSTONE = "INSERT INTO tombstones (operation_id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    /// Whether anything that an operation brought in is there.
    HAS_CONTENTS = "SELECT EXISTS (SELECT 1 FROM proofs WHERE operation_id = ?1) \
                    OR EXISTS (SELECT 1 FROM blind_signatures WHERE operation_id = ?1) AS has_contents";

    PROOF = proofs!("WHERE p.y = ?1");
    PROOF_STATE = "SELECT state FROM proofs WHERE y = ?1";
    PROOFS_OF = proofs!("WHERE p.operation_id = ?1 ORDER BY p.position");
    ADD_PROOF = "INSERT INTO proofs (y, keyset, amount, c, witness, state, operation_id, operation_kind, position) \
                 VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8)";
    SPEND_PROOFS = "UPDATE proofs SET state = 'spent' WHERE operation_id = ?1 AND state = 'pending'";
    REMOVE_PROOFS = "DELETE FROM proofs WHERE operation_id = ?1 AND state = 'pending'";

    BLIND_SIGNATURE = blind_signatures!("WHERE s.b = ?1");
    OUTPUT_STATE = "SELECT c IS NOT NULL AS is_signed FROM blind_signatures WHERE b = ?1";
    BLIND_SIGNATURES_OF = blind_signatures!("WHERE s.operation_id = ?1 ORDER BY s.position");
    ADD_SPENT_PROOF = "INSERT INTO proofs (y, keyset, amount, c, witness, state, operation_id, operation_kind, position) \
                       VALUES (?1, ?2, ?3, ?4, ?5, 'spent', ?6, 'swap', ?7)";
    ADD_OUTPUT = "INSERT INTO blind_signatures (b, keyset, amount, operation_id, operation_kind, position) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    ADD_SIGNATURE = "INSERT INTO blind_signatures (b, keyset, amount, c, dleq_e, dleq_s, operation_id, operation_kind, position) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    SIGN_OUTPUT = "UPDATE blind_signatures SET amount = ?3, c = ?4, dleq_e = ?5, dleq_s = ?6 \
                   WHERE b = ?1 AND operation_id = ?2 AND c IS NULL";
    REMOVE_OUTPUTS = "DELETE FROM blind_signatures WHERE operation_id = ?1 AND c IS NULL";

    /// A quote that an operation names stays, whatever was paid on it.
    PRUNE_MINT_QUOTES = "DELETE FROM mint_quotes WHERE id IN (SELECT q.id FROM mint_quotes q WHERE q.amount_paid = 0 \
                         AND q.expiry < ?1 AND q.method = ?3 AND NOT EXISTS (SELECT 1 FROM draws d WHERE d.quote = q.id) \
                         ORDER BY q.expiry LIMIT ?2)";
    PRUNE_MELT_QUOTES = "DELETE FROM melt_quotes WHERE id IN (SELECT id FROM melt_quotes WHERE status = 'unpaid' \
                         AND expiry < ?1 AND method = ?3 ORDER BY expiry LIMIT ?2)";
    PRUNE_BLANKS = "DELETE FROM blind_signatures WHERE id IN (SELECT s.id FROM blind_signatures s \
                    JOIN melt_quotes q ON q.operation_id = s.operation_id WHERE s.operation_kind = 'melt' AND s.c IS NULL \
                    AND q.status = 'paid' AND q.updated_at < ?1 LIMIT ?2)";
    PRUNE_TOMBSTONES = "DELETE FROM tombstones WHERE operation_id IN (SELECT operation_id FROM tombstones \
                        WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
}

/// Statements that read a whole table on purpose: there are few keysets, and unfinished operations are read page by page in key order.
#[cfg(test)]
pub(super) const WHOLE_TABLE: &[&str] = &["KEYSETS", "TOTALS", "UNFINISHED"];

#[cfg(test)]
mod tests;
