//! What can go wrong inside a transaction, sorted by what it means for the rest of the transaction.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why a change was not applied.
#[derive(Debug)]
pub(crate) enum Fault<R> {
    /// The state of the database forbids it.
    Refused(R),
    /// A row is malformed, or a value cannot be stored. Names the table and column, never the value.
    Corrupt(String),
    /// Another transaction was in the way at every look. The same change may well go through a moment later.
    Busy,
    /// PostgreSQL said no, or is gone.
    Postgres(Error),
}

impl<R> From<Error> for Fault<R> {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

/// A row that cannot be right, or a statement that failed: what a read or a helper of a change can meet.
#[derive(Debug)]
pub(crate) enum RowFault {
    /// A row is malformed.
    Corrupt(String),
    /// PostgreSQL said no, or is gone.
    Postgres(Error),
}

impl From<Error> for RowFault {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl RowFault {
    /// A value that a table cannot hold, or should not have held.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

impl<R> From<RowFault> for Fault<R> {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Corrupt(what) => Self::Corrupt(what),
            RowFault::Postgres(error) => Self::Postgres(error),
        }
    }
}

/// How far a failed statement reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This one change or row: a constraint, a type, a value too large. Others may go on.
    Change,
    /// The transaction, by chance: a deadlock, a time-out, a lack of room. Once more may work.
    Transaction,
    /// The connection: it is lost, or the server is going down or is no primary.
    Connection,
    /// The database as it is: a table or a permission is missing.
    Database,
}

/// Sorts an error of PostgreSQL by the class of its code.
pub(crate) fn reach(error: &Error) -> Reach {
    error.code().map_or(Reach::Connection, reach_of)
}

fn reach_of(code: &SqlState) -> Reach {
    match code.code().get(..2).unwrap_or_default() {
        // Data exceptions and broken constraints.
        "22" | "23" => Reach::Change,
        // Serialization failures and deadlocks; lack of resources; locks not to be had; a cancelled statement.
        "40" | "53" | "55" => Reach::Transaction,
        "57" if *code == SqlState::QUERY_CANCELED => Reach::Transaction,
        // Connection exceptions; a server that shuts down; a standby, which a primary may have become.
        "08" | "57" | "58" => Reach::Connection,
        "25" if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Reach::Connection,
        _ => Reach::Database,
    }
}

/// What may be said of an error: its code and the names of what it is about. The server's own text is left out, because its details quote
/// the values of rows.
pub(crate) fn describe(error: &Error) -> String {
    let Some(cause) = error.as_db_error() else {
        return if error.is_closed() { "the connection is closed".to_owned() } else { error.to_string() };
    };
    let names = [("table", cause.table()), ("column", cause.column()), ("constraint", cause.constraint())];
    let names: String = names.iter().filter_map(|(what, name)| name.map(|name| format!(", {what} {name}"))).collect();
    format!("PostgreSQL answered with {}{names}", cause.code().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_reach() {
        for (code, reach) in [
            (SqlState::UNIQUE_VIOLATION, Reach::Change),
            (SqlState::NUMERIC_VALUE_OUT_OF_RANGE, Reach::Change),
            (SqlState::T_R_SERIALIZATION_FAILURE, Reach::Transaction),
            (SqlState::T_R_DEADLOCK_DETECTED, Reach::Transaction),
            (SqlState::LOCK_NOT_AVAILABLE, Reach::Transaction),
            (SqlState::QUERY_CANCELED, Reach::Transaction),
            (SqlState::DISK_FULL, Reach::Transaction),
            (SqlState::ADMIN_SHUTDOWN, Reach::Connection),
            (SqlState::READ_ONLY_SQL_TRANSACTION, Reach::Connection),
            (SqlState::UNDEFINED_TABLE, Reach::Database),
            (SqlState::INSUFFICIENT_PRIVILEGE, Reach::Database),
        ] {
            assert_eq!(reach_of(&code), reach, "{}", code.code());
        }
    }
}
