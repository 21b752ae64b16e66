//! Every statement of the mint store, so that one test can ask PostgreSQL how each would run.
//!
//! Columns are decoded by name. A look-up joins with LEFT JOIN, so that a row whose partner is missing shows up as malformed instead of
//! not at all: a proof must never look unspent because its keyset's row is gone. Lists go in as arrays (`unnest`) in sorted order, so that two
//! transactions that want the same rows meet at the first of them.

/// Defines the statements and the list of them all.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        /// Every statement with its name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

/// What is read of a keyset.
macro_rules! keysets {
    ($rest:literal) => {
        concat!(
            "SELECT id, keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, created_at, latched, \
             carried FROM keysets ",
            $rest
        )
    };
}

/// Keysets with the sums of their books. A sum that does not fit fails the statement.
macro_rules! books {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.keyset_id, k.latched, k.derivation_index, k.carried, coalesce(sum(t.issued), 0)::BIGINT AS issued, \
             coalesce(sum(t.redeemed), 0)::BIGINT AS redeemed, coalesce(sum(t.reserved), 0)::BIGINT AS reserved, \
             coalesce(sum(t.fees), 0)::BIGINT AS fees FROM keysets k LEFT JOIN totals t ON t.keyset = k.id ",
            $rest
        )
    };
}

macro_rules! mint_quote_columns {
    () => {
        "quote_id, method, unit, rate, amount, request, payment_hash, pubkey, expiry, created_at, updated_at, amount_paid, \
         amount_issued"
    };
}

macro_rules! melt_quote_columns {
    () => {
        "quote_id, method, unit, rate, request, payment_hash, amount_msat, amount, fee_reserve, expiry, created_at, updated_at, \
         status, operation_id, preimage"
    };
}

macro_rules! operations {
    ($rest:literal) => {
        concat!(
            "SELECT operation_id, kind, state, owner, created_at, quote, not_after, dispatched_by, paid_proof, paid_preimage, \
             paid_total_msat FROM operations ",
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

/// What is read of the audit log.
macro_rules! audit {
    ($rest:literal) => {
        concat!("SELECT sequence, entry_id, at, actor, action, keyset_id, detail FROM audit ", $rest)
    };
}

statements! {
    ENLIST = "INSERT INTO instances (owner, expires_at) VALUES ($1, clock_timestamp() + INTERVAL '10 seconds')";
    /// A lease that has run out stays so.
    RENEW = "UPDATE instances SET expires_at = clock_timestamp() + INTERVAL '10 seconds' \
             WHERE owner = $1 AND expires_at > clock_timestamp()";
    IS_ALIVE = "SELECT EXISTS (SELECT 1 FROM instances WHERE owner = $1 AND expires_at > clock_timestamp()) AS is_alive";
    /// Only by its owner, who does nothing afterwards.
    GIVE_BACK = "DELETE FROM instances WHERE owner = $1";
    LIVING = "SELECT count(*) AS living FROM instances WHERE expires_at > clock_timestamp()";
    /// The eldest of those that live. No row when none does.
    IS_FIRST = "SELECT owner = $1 AS is_first FROM instances WHERE expires_at > clock_timestamp() ORDER BY started_at, owner LIMIT 1";
    /// One that has no row is as dead as one whose lease has run out.
    FORGET_INSTANCES = "DELETE FROM instances WHERE expires_at < clock_timestamp() - INTERVAL '1 day'";

    /// Changes nothing, and makes the commit wait for the disk and the standby as any write does. So what another transaction wrote, and this one
    /// only read, is as durable as its own by the time that it is told.
    MARK = "UPDATE hazel_schema SET version = version WHERE id = 1";

    CURSOR = "SELECT cursor FROM streams WHERE method = $1";
    /// Every change of keysets and of the audit log begins with this, so that they come one after the other.
    LOCK_META = "SELECT id FROM meta WHERE id = 1 FOR UPDATE";
    BIND_SEED = "UPDATE meta SET seed_fingerprint = coalesce(seed_fingerprint, $1) WHERE id = 1 RETURNING seed_fingerprint";
    MOVE_CURSOR = "INSERT INTO streams (method, cursor) VALUES ($1, $2) \
                   ON CONFLICT (method) DO UPDATE SET cursor = greatest(streams.cursor, excluded.cursor)";

    KEYSETS = keysets!("ORDER BY id");
    KEYSET = keysets!("WHERE keyset_id = $1");
    KEYSET_BY_INDEX = keysets!("WHERE unit = $1 AND derivation_index = $2");
    /// In one statement, so that the sums are of one moment.
    TOTALS = books!("GROUP BY k.id ORDER BY k.id");
    ACCOUNTS = books!("WHERE k.keyset_id = ANY($1) GROUP BY k.id");
    ADD_TO_TOTALS = "INSERT INTO totals (keyset, stripe, issued, redeemed, reserved, fees) \
                     SELECT u.keyset, $2::INTEGER, u.issued, u.redeemed, u.reserved, u.fees \
                     FROM unnest($1::INTEGER[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[]) \
                     AS u (keyset, issued, redeemed, reserved, fees) ORDER BY u.keyset \
                     ON CONFLICT (keyset, stripe) DO UPDATE SET issued = totals.issued + excluded.issued, \
                     redeemed = totals.redeemed + excluded.redeemed, reserved = totals.reserved + excluded.reserved, \
                     fees = totals.fees + excluded.fees";
    RETIRE_KEYSETS = "UPDATE keysets SET active = FALSE WHERE unit = $1 AND active";
    ADD_KEYSET = "INSERT INTO keysets (id, keyset_id, unit, derivation_index, active, input_fee_ppk, final_expiry, public_keys, \
                  created_at, carried, latched) SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM keysets";
    LATCH_KEYSET = "UPDATE keysets SET latched = $2 WHERE keyset_id = $1";
    METER_KEYSET = "UPDATE keysets SET carried = $2 WHERE keyset_id = $1";

    AUDIT = audit!("WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2");
    AUDIT_LINE = audit!("WHERE entry_id = $1");
    ADD_AUDIT_LINE = "INSERT INTO audit (sequence, entry_id, at, actor, action, keyset_id, detail) \
                      SELECT coalesce((SELECT max(sequence) FROM audit), 0) + 1, $1, $2, $3, $4, $5, $6";

    MINT_QUOTES = concat!("SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE quote_id = ANY($1)");
    MINT_QUOTE_BY_HASH = concat!("SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE payment_hash = $1");
    LOCK_MINT_QUOTES = concat!(
        "SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE quote_id = ANY($1) ORDER BY quote_id FOR UPDATE"
    );
    UNPAID_MINT_QUOTES = concat!(
        "SELECT ", mint_quote_columns!(), " FROM mint_quotes WHERE amount_paid = 0 AND expiry > $1 \
         ORDER BY created_at, quote_id LIMIT $2"
    );
    ADD_MINT_QUOTE = "INSERT INTO mint_quotes (quote_id, method, unit, amount, request, payment_hash, pubkey, expiry, created_at, \
                      updated_at, rate) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    CREDIT_MINT_QUOTE = concat!(
        "UPDATE mint_quotes SET amount_paid = $2, updated_at = greatest($3, updated_at + 1) WHERE quote_id = $1 RETURNING ",
        mint_quote_columns!()
    );
    DRAW_MINT_QUOTES = "UPDATE mint_quotes SET amount_issued = u.issued, updated_at = greatest($3, updated_at + 1) \
                        FROM unnest($1::TEXT[], $2::BIGINT[]) AS u (id, issued) WHERE quote_id = u.id AND u.issued <= amount_paid";
    CREDITED_QUOTE = "SELECT quote FROM credits WHERE credit = $1";
    ADD_CREDIT = "INSERT INTO credits (credit, quote, amount, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (credit) DO NOTHING";
    ADD_DRAWS = "INSERT INTO draws (operation_id, position, quote, amount) SELECT $1, u.position - 1, u.quote, u.amount \
                 FROM unnest($2::TEXT[], $3::BIGINT[]) WITH ORDINALITY AS u (quote, amount, position)";
    DRAWN_QUOTES = "SELECT quote FROM draws WHERE operation_id = $1 ORDER BY position";

    MELT_QUOTE = concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE quote_id = $1");
    LOCK_MELT_QUOTE = concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE quote_id = $1 FOR UPDATE");
    MELT_QUOTE_BY_OPERATION = concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE operation_id = $1");
    /// At most one row, by the unique index.
    MELT_QUOTE_IN_USE =
        concat!("SELECT ", melt_quote_columns!(), " FROM melt_quotes WHERE payment_hash = $1 AND status <> 'unpaid'");
    ADD_MELT_QUOTE = "INSERT INTO melt_quotes (quote_id, method, unit, request, payment_hash, amount_msat, amount, fee_reserve, \
                      expiry, created_at, updated_at, rate) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                      ON CONFLICT (quote_id) DO NOTHING";
    MOVE_MELT_QUOTE = concat!(
        "UPDATE melt_quotes SET status = $2, operation_id = $3, preimage = $4, updated_at = greatest($5, updated_at + 1) \
         WHERE quote_id = $1 RETURNING ",
        melt_quote_columns!()
    );

    OPERATION = operations!("WHERE operation_id = $1 AND state <> 'given_up'");
    LOCK_OPERATION = operations!("WHERE operation_id = $1 FOR UPDATE");
    UNFINISHED = operations!("WHERE state <> 'given_up' ORDER BY operation_id LIMIT $1");
    UNFINISHED_AFTER = operations!("WHERE state <> 'given_up' AND operation_id > $1 ORDER BY operation_id LIMIT $2");
    ADD_OPERATION = "INSERT INTO operations (operation_id, kind, state, owner, created_at, quote) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (operation_id) DO NOTHING";
    MOVE_OPERATION = "UPDATE operations SET state = $2, not_after = $3, dispatched_by = $4, paid_proof = $5, paid_preimage = $6, \
                      paid_total_msat = $7 WHERE operation_id = $1";
    TAKE_OVER = "UPDATE operations SET owner = $2 WHERE operation_id = $1 AND owner = $3";
    END_OPERATION = "DELETE FROM operations WHERE operation_id = $1 AND state <> 'given_up'";
    GIVE_UP = "INSERT INTO operations (operation_id, state, created_at) VALUES ($1, 'given_up', $2) \
               ON CONFLICT (operation_id) DO NOTHING";
    /// Whether anything that an operation brought in is there, and whether it is still running: both of one moment.
    HAS_CONTENTS = "SELECT EXISTS (SELECT 1 FROM proofs WHERE operation_id = $1) \
                    OR EXISTS (SELECT 1 FROM blind_signatures WHERE operation_id = $1) AS has_contents, \
                    EXISTS (SELECT 1 FROM operations WHERE operation_id = $1 AND state <> 'given_up') AS is_running";

    PROOFS = proofs!("WHERE p.y = ANY($1)");
    /// Of proofs that another operation brought.
    PROOF_STATES = "SELECT state FROM proofs WHERE y = ANY($1) AND operation_id <> $2";
    PROOFS_OF = proofs!("WHERE p.operation_id = $1 ORDER BY p.position");
    ADD_PROOFS = "INSERT INTO proofs (y, keyset, amount, c, witness, position, state, operation_id, operation_kind) \
                  SELECT u.y, u.keyset, u.amount, u.c, u.witness, u.position, $7, $8, $9 \
                  FROM unnest($1::BYTEA[], $2::INTEGER[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BIGINT[]) \
                  AS u (y, keyset, amount, c, witness, position) ORDER BY u.y ON CONFLICT (y) DO NOTHING";
    SPEND_PROOFS = "UPDATE proofs SET state = 'spent' WHERE operation_id = $1 AND state = 'pending'";
    REMOVE_PROOFS = "DELETE FROM proofs WHERE operation_id = $1 AND state = 'pending'";

    BLIND_SIGNATURES = blind_signatures!("WHERE s.b = ANY($1)");
    /// Of outputs that another operation brought.
    OUTPUT_STATES = "SELECT c IS NOT NULL AS is_signed FROM blind_signatures WHERE b = ANY($1) AND operation_id <> $2";
    BLIND_SIGNATURES_OF = blind_signatures!("WHERE s.operation_id = $1 ORDER BY s.position");
    ADD_OUTPUTS = "INSERT INTO blind_signatures (b, keyset, amount, c, dleq_e, dleq_s, position, operation_id, operation_kind) \
                   SELECT u.b, u.keyset, u.amount, u.c, u.e, u.s, u.position, $8, $9 \
                   FROM unnest($1::BYTEA[], $2::INTEGER[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BYTEA[], $7::BIGINT[]) \
                   AS u (b, keyset, amount, c, e, s, position) ORDER BY u.b ON CONFLICT (b) DO NOTHING";
    SIGN_OUTPUTS = "UPDATE blind_signatures SET amount = u.amount, c = u.c, dleq_e = u.e, dleq_s = u.s \
                    FROM unnest($2::BYTEA[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BYTEA[]) AS u (b, amount, c, e, s) \
                    WHERE blind_signatures.b = u.b AND operation_id = $1 AND blind_signatures.c IS NULL";
    REMOVE_OUTPUTS = "DELETE FROM blind_signatures WHERE operation_id = $1 AND c IS NULL";

    /// A quote that an operation names stays, whatever was paid on it. Rows that another transaction holds stay for the next time, and the
    /// rows are chosen once, before any is deleted.
    PRUNE_MINT_QUOTES = "WITH old AS MATERIALIZED (SELECT q.quote_id FROM mint_quotes q WHERE q.amount_paid = 0 AND q.expiry < $1 AND q.method = $3 \
                         AND NOT EXISTS (SELECT 1 FROM draws d WHERE d.quote = q.quote_id) \
                         ORDER BY q.expiry LIMIT $2 FOR UPDATE OF q SKIP LOCKED) \
                         DELETE FROM mint_quotes WHERE quote_id = ANY(ARRAY(SELECT quote_id FROM old))";
    PRUNE_MELT_QUOTES = "WITH old AS MATERIALIZED (SELECT quote_id FROM melt_quotes WHERE status = 'unpaid' AND expiry < $1 AND method = $3 \
                         ORDER BY expiry LIMIT $2 FOR UPDATE SKIP LOCKED) \
                         DELETE FROM melt_quotes WHERE quote_id = ANY(ARRAY(SELECT quote_id FROM old))";
    /// A melt that was paid never changes again, so its blanks are nobody's.
    PRUNE_BLANKS = "WITH old AS MATERIALIZED (SELECT s.b FROM blind_signatures s \
                    JOIN melt_quotes q ON q.operation_id = s.operation_id WHERE s.operation_kind = 'melt' AND s.c IS NULL \
                    AND q.status = 'paid' AND q.updated_at < $1 ORDER BY s.b LIMIT $2 FOR UPDATE OF s SKIP LOCKED) \
                    DELETE FROM blind_signatures WHERE b = ANY(ARRAY(SELECT b FROM old))";
    PRUNE_TOMBSTONES = "WITH old AS MATERIALIZED (SELECT operation_id FROM operations WHERE state = 'given_up' AND created_at < $1 \
                        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                        DELETE FROM operations WHERE operation_id = ANY(ARRAY(SELECT operation_id FROM old))";
}

#[cfg(all(test, feature = "server-tests"))]
mod tests;
