//! What can go wrong with the ledger file.

use hazel_mint::ports::{PaymentsError, Refusal};

/// Why the fake node or its ledger did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum FakeError {
    /// The request itself is wrong. Says what.
    #[error("{1}")]
    Refused(Refusal, String),
    /// The ledger has no such invoice or payment.
    #[error("the fake ledger has no such {0}")]
    NotFound(&'static str),
    /// The file is something else than a ledger of this fake.
    #[error("the file is not a ledger of the fake Lightning node")]
    NotALedger,
    /// The ledger was made by a newer version of this crate.
    #[error("the fake ledger has schema version {found}, newer than {known}")]
    Newer {
        /// The version in the file.
        found: i64,
        /// The newest version this crate reads.
        known: i64,
    },
    /// A row of the ledger does not read back.
    #[error("the fake ledger holds a row that does not read back: {0}")]
    Corrupt(String),
    /// SQLite failed.
    #[error("the fake ledger cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file or the thread that serves it cannot be had.
    #[error("the fake ledger cannot be opened: {0}")]
    Io(#[from] std::io::Error),
}

impl FakeError {
    /// What is wrong with the request, as the mint's port puts it.
    pub(super) const fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal, _) => *refusal,
            _ => Refusal::Other,
        }
    }
}

impl From<FakeError> for PaymentsError {
    fn from(error: FakeError) -> Self {
        match error {
            FakeError::Refused(refusal, why) => Self::Refused(refusal, why),
            FakeError::NotFound(_) => Self::Refused(Refusal::Other, error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
