//! Every statement of the wallet store, so that one test can ask SQLite how each would run. Columns are decoded by name.

/// Defines the statements and the list of them all.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        /// Every statement with its name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

/// What is read of an operation.
macro_rules! operations {
    ($rest:literal) => {
        concat!(
            "SELECT operation_id, mint, unit, seed, version, session, created_at, updated_at, state, body \
             FROM operations ",
            $rest
        )
    };
}

/// What is read of a proof.
macro_rules! proofs {
    ($rest:literal) => {
        concat!(
            "SELECT y, mint, unit, keyset_id, amount, secret, c, witness, dleq_e, dleq_s, dleq_r, status, held_by, \
             sent_by, seed, counter, p2pk_e FROM proofs ",
            $rest
        )
    };
}

/// What is read of the history.
macro_rules! history {
    ($rest:literal) => {
        concat!("SELECT operation_id, mint, unit, kind, amount, fee, at, memo, invoice, preimage FROM history ", $rest)
    };
}

statements! {
    NEW_SESSION = "SELECT randomblob(16) AS session";

    ADD_MINT = "INSERT INTO mints (url, added_at) VALUES (?1, ?2) ON CONFLICT (url) DO NOTHING";
    SET_INFO = "UPDATE mints SET info = ?2, refreshed_at = ?3 WHERE url = ?1";
    /// The whole of a small table.
    MINTS = "SELECT url, info, added_at, refreshed_at FROM mints ORDER BY url";
    MINT = "SELECT url, info, added_at, refreshed_at FROM mints WHERE url = ?1";

    KEYSETS = "SELECT keyset_id, mint, active, body FROM keysets WHERE mint = ?1 ORDER BY keyset_id";
    KEYSET = "SELECT keyset_id, mint, active, body FROM keysets WHERE mint = ?1 AND keyset_id = ?2";
    COLLIDING = "SELECT keyset_id, mint FROM keysets WHERE mint = ?1 AND short_id = ?2 \
                 UNION ALL SELECT keyset_id, mint FROM keysets WHERE path = ?3 AND keyset_id <> ?4 LIMIT 1";
    ADD_KEYSET = "INSERT INTO keysets (keyset_id, mint, short_id, path, active, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    SET_ACTIVE = "UPDATE keysets SET active = ?3 WHERE mint = ?1 AND keyset_id = ?2";

    COUNTER = "SELECT next FROM counters WHERE seed = ?1 AND keyset_id = ?2";
    SET_COUNTER = "INSERT INTO counters (seed, keyset_id, next) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (seed, keyset_id) DO UPDATE SET next = excluded.next";

    OPERATION = operations!("WHERE operation_id = ?1");
    UNFINISHED = operations!("WHERE finished = 0 AND mint = ?1 AND unit = ?2 ORDER BY operation_id");
    WATCHED = operations!("WHERE watched = 1 AND mint = ?1 AND unit = ?2 ORDER BY operation_id");
    ADD_OPERATION = "INSERT INTO operations (operation_id, mint, unit, seed, version, session, created_at, updated_at, kind, \
                     state, finished, watched, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    SET_OPERATION = "UPDATE operations SET version = ?2, session = ?3, updated_at = ?4, kind = ?5, state = ?6, finished = ?7, \
                     watched = ?8, body = ?9 WHERE operation_id = ?1";
    SET_SESSION = "UPDATE operations SET version = ?2, session = ?3, updated_at = ?4 WHERE operation_id = ?1";

    PROOF = proofs!("WHERE y = ?1");
    PROOFS = proofs!("WHERE mint = ?1 AND unit = ?2 AND status = ?3 ORDER BY y");
    HELD_BY = proofs!("WHERE held_by = ?1 ORDER BY y");
    SENT_BY = proofs!("WHERE sent_by = ?1 ORDER BY y");
    HOLDS_ANY = "SELECT 1 FROM proofs WHERE held_by = ?1 LIMIT 1";
    ADD_PROOF = "INSERT INTO proofs (y, mint, unit, keyset_id, amount, secret, c, witness, dleq_e, dleq_s, dleq_r, status, \
                 held_by, sent_by, seed, counter, p2pk_e) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) ON CONFLICT (y) DO NOTHING";
    HOLD = "UPDATE proofs SET status = 'Held', held_by = ?2 WHERE y = ?1 AND status IN ('Available', 'Sent')";
    SPEND = "UPDATE proofs SET status = 'Spent', held_by = NULL WHERE y = ?1 AND held_by = ?2";
    RELEASE = "UPDATE proofs SET status = iif(sent_by IS NULL, 'Available', 'Sent'), held_by = NULL \
               WHERE y = ?1 AND held_by = ?2";
    SEND = "UPDATE proofs SET status = 'Sent', held_by = NULL, sent_by = ?2 WHERE y = ?1 AND held_by = ?2";
    MARK_SPENT = "UPDATE proofs SET status = 'Spent' WHERE y = ?1 AND held_by IS NULL";

    ERRAND = "SELECT errand_id, version, created_at, updated_at, done, body FROM errands WHERE errand_id = ?1";
    OPEN_ERRANDS = "SELECT errand_id, version, created_at, updated_at, done, body FROM errands INDEXED BY errands_open \
                    WHERE done = 0 ORDER BY errand_id";
    ADD_ERRAND = "INSERT INTO errands (errand_id, version, created_at, updated_at, done, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    SET_ERRAND = "UPDATE errands SET version = ?2, created_at = ?3, updated_at = ?4, done = ?5, body = ?6 WHERE errand_id = ?1";

    /// Reads one covering index of what is unspent.
    BALANCES = "SELECT mint, unit, status, sum(amount) AS amount FROM proofs WHERE status <> 'Spent' \
                GROUP BY mint, unit, status ORDER BY mint, unit, status";

    ADD_HISTORY = "INSERT INTO history (operation_id, mint, unit, kind, amount, fee, at, memo, invoice, preimage) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    HISTORY_NUMBER = "SELECT number FROM history WHERE operation_id = ?1";
    HISTORY = history!("WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
    HISTORY_OF = history!("WHERE mint = ?3 AND unit = ?4 AND number < ?1 ORDER BY number DESC LIMIT ?2");
}

#[cfg(test)]
mod tests;
