//! The reads of the port that are more than one look-up.

use hazel_mint::ports::{
    AuditRecord, KeysetRecord, KeysetTotals, MintQuote, OperationId, OperationRecord, ReadError, Timestamp,
};
use hazel_protocol::KeysetId;
use rusqlite::{Connection, params};

use super::{rows, sql};
use crate::columns::{Columns, all, one, stored};
use crate::fault::StoreFault;

/// Keys that one read may ask for, as the port allows.
const MAX_KEYS: usize = 10_000;

/// The keys of a read, owned so that they can cross to another thread.
pub(super) fn bounded<T: Clone>(keys: &[T]) -> Result<Vec<T>, ReadError> {
    if keys.len() > MAX_KEYS {
        return Err(ReadError::Corrupt(format!("a read of more than {MAX_KEYS} keys")));
    }
    Ok(keys.to_vec())
}

pub(super) fn unfinished(
    connection: &Connection,
    after: Option<OperationId>,
    limit: u32,
) -> Result<Vec<OperationRecord>, StoreFault> {
    match after {
        Some(after) => all(connection, sql::UNFINISHED_AFTER, params![after.as_bytes(), limit], rows::operation_record),
        None => all(connection, sql::UNFINISHED, [limit], rows::operation_record),
    }
}

pub(super) fn unpaid_mint_quotes(
    connection: &Connection,
    expiring_after: Timestamp,
    limit: u32,
) -> Result<Vec<MintQuote>, StoreFault> {
    let expiring_after = stored(expiring_after.to_unix(), "a time")?;
    all(connection, sql::UNPAID_MINT_QUOTES, params![expiring_after, limit], rows::mint_quote_record)
}

pub(super) fn keysets(connection: &Connection) -> Result<Vec<KeysetRecord>, StoreFault> {
    all(connection, sql::KEYSETS, [], rows::keyset_record)
}

pub(super) fn totals(connection: &Connection) -> Result<Vec<(KeysetId, KeysetTotals)>, StoreFault> {
    all(connection, sql::TOTALS, [], rows::identified_totals)
}

pub(super) fn audit(connection: &Connection, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, StoreFault> {
    // No sequence is larger than what SQLite can store, so a larger bound is none.
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).map_or(i64::MAX, |before| before));
    all(connection, sql::AUDIT, params![before, limit], rows::audit_record)
}

pub(super) fn cursor(connection: &Connection, method: &str) -> Result<u64, StoreFault> {
    let cursor = one(connection, sql::CURSOR, [method], |row| Columns::of(row, "streams").unsigned("cursor"))?;
    // not a row: a stream of which nothing was credited has none
    Ok(cursor.unwrap_or(0))
}
