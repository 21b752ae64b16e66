//! What can go wrong inside a transaction, sorted by what it means for the rest of the transaction.

use rusqlite::{Error, ErrorCode, ffi};

/// A statement failed, or a row is not what it must be.
#[derive(Debug)]
pub(crate) enum StoreFault {
    /// SQLite said no.
    Sqlite(Error),
    /// A row is malformed, or a value cannot be stored. Names the table and column, never the value.
    Corrupt(String),
}

impl StoreFault {
    /// A value that a table cannot hold, or should not have held.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

impl From<Error> for StoreFault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Why a change was not applied.
#[derive(Debug)]
pub(crate) enum Fault<R> {
    /// The state of the database forbids it.
    Refused(R),
    /// Something is wrong with the database or the change.
    Store(StoreFault),
}

impl<R> From<StoreFault> for Fault<R> {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

impl<R> From<Error> for Fault<R> {
    fn from(error: Error) -> Self {
        Self::Store(StoreFault::Sqlite(error))
    }
}

/// How far a failed statement reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This one change or row: a constraint, a type, a value too large. Others may go on.
    Change,
    /// The database as a whole, for now: the disk is full or failing, memory is short, another program holds the file.
    Database,
    /// The database file is damaged.
    Damage,
    /// The disk did not confirm a sync. What was written before may be lost although it can still be read: nothing may go on.
    Sync,
}

/// Sorts an error of SQLite.
pub(crate) fn reach(error: &Error) -> Reach {
    let Error::SqliteFailure(failure, _) = error else { return Reach::Change };
    match failure.extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => return Reach::Sync,
        _ => {}
    }
    match failure.code {
        ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::ParameterOutOfRange => Reach::Change,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Reach::Damage,
        _ => Reach::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_reach() {
        let of = |code| reach(&Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(of(ffi::SQLITE_CONSTRAINT_UNIQUE), Reach::Change);
        assert_eq!(of(ffi::SQLITE_FULL), Reach::Database);
        assert_eq!(of(ffi::SQLITE_IOERR_WRITE), Reach::Database);
        assert_eq!(of(ffi::SQLITE_NOMEM), Reach::Database);
        assert_eq!(of(ffi::SQLITE_BUSY), Reach::Database);
        assert_eq!(of(ffi::SQLITE_CORRUPT), Reach::Damage);
        assert_eq!(of(ffi::SQLITE_IOERR_FSYNC), Reach::Sync);
        assert_eq!(reach(&Error::QueryReturnedNoRows), Reach::Change);
    }
}
