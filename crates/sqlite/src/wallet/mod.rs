//! The memory of wallets in one SQLite file.
//!
//! [`WalletStore`] is the [`Store`](hazel_wallet::ports::Store) of hazel-wallet. Every change is committed with a sync before it is answered.
//! The file holds the secrets of proofs, which are money, but no seed.

mod apply;
mod rows;
mod sql;

use std::path::Path;

use async_trait::async_trait;
use hazel_protocol::{CurrencyUnit, KeysetId, MintUrl, PointBytes};
use hazel_wallet::ports::{
    ApplyError, BalanceRecord, Change, Conflict, ErrandId, ErrandRecord, HistoryEntry, KeysetRecord, MintRecord,
    OperationId, OperationRecord, ProofRecord, ProofStatus, ReadError, SeedFingerprint, SessionId, Store,
};
use rusqlite::Connection;

use crate::columns::one;
use crate::database::{OpenError, OpenOptions};
use crate::engine::Engine;
use crate::fault::{Fault, StoreFault};
use crate::migration::{Migration, Migrations};
use crate::readers::ReadFault;
use crate::writer::{Ledger, WriteError};

/// Says in the file's header whose database it is: "HZLW".
pub const APPLICATION_ID: i32 = 0x485A_4C57;

/// Every version of the schema, in order.
const MIGRATIONS: Migrations = Migrations {
    application_id: APPLICATION_ID,
    owner: "Hazel wallet",
    steps: &[
        Migration { name: "base", sql: include_str!("migrations/0001_base.sql") },
        Migration { name: "keysets of each mint", sql: include_str!("migrations/0002_keysets_of_each_mint.sql") },
        Migration { name: "blinded keys", sql: include_str!("migrations/0003_blinded_keys.sql") },
        Migration { name: "errands", sql: include_str!("migrations/0004_errands.sql") },
    ],
};

/// The memory of wallets in one SQLite file, held exclusively by this process.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hazel_sqlite::{OpenOptions, WalletStore};
/// use hazel_wallet::ports::Store;
///
/// let folder = tempfile::tempdir()?;
/// let store = WalletStore::open(&folder.path().join("wallet.sqlite"), &OpenOptions::default())?;
/// assert!(store.mints().await?.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(example()).expect("it runs");
/// ```
pub struct WalletStore {
    engine: Engine<WalletLedger>,
    session: SessionId,
}

impl WalletStore {
    /// Opens the file at `path`, making it when it is missing and upgrading it when it is old. Blocks meanwhile.
    ///
    /// # Errors
    /// [`OpenError`], one variant for each thing a user can put right.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let mut session = None;
        let engine = Engine::open(path, options, &MIGRATIONS, |connection| {
            session = Some(verify(connection)?);
            Ok(())
        })?;
        let session = session.ok_or(OpenError::NotADatabase)?;
        Ok(Self { engine, session })
    }

    /// Completes, with the reason, when the store has stopped for good because the disk did not confirm a sync. What was written before may
    /// be lost although it can still be read, so the process must end and start again from what the disk holds.
    pub async fn closed(&self) -> String {
        self.engine.closed().await
    }

    /// Commits what is queued, empties the write-ahead log, closes the file and gives its lock back. Blocks meanwhile; dropping the store
    /// does the same. Later calls are answered `Unavailable`.
    pub fn close(&self) {
        self.engine.close();
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, ReadError> {
        Ok(self.engine.read(read).await?)
    }
}

impl std::fmt::Debug for WalletStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalletStore").finish_non_exhaustive()
    }
}

/// Prepares every statement, so that a schema which is not the one of its version shows up at the start, and draws the name of the session.
fn verify(connection: &Connection) -> Result<SessionId, OpenError> {
    for (_, sql) in sql::ALL {
        connection.prepare(sql).map_err(OpenError::sqlite("use the schema of"))?;
    }
    let session = one(connection, sql::NEW_SESSION, [], rows::session);
    match session {
        Ok(Some(session)) => Ok(session),
        Ok(None) | Err(StoreFault::Corrupt(_)) => Err(OpenError::NotADatabase),
        Err(StoreFault::Sqlite(error)) => Err(OpenError::Sqlite { what: "read", error }),
    }
}

/// The rules of the wallet's memory, for the writer.
struct WalletLedger;

impl Ledger for WalletLedger {
    type Change = Change;
    type Answer = ();
    type Refusal = Conflict;

    /// Counters and requests must be on disk before anything leaves for a mint.
    fn durable(_: &Change) -> bool {
        true
    }

    fn apply(connection: &Connection, change: &Change) -> Result<(), Fault<Conflict>> {
        apply::apply(connection, change)
    }
}

impl From<WriteError<Conflict>> for ApplyError {
    fn from(error: WriteError<Conflict>) -> Self {
        match error {
            WriteError::Refused(conflict) => Self::Conflict(conflict),
            WriteError::Unavailable(reason) => Self::Unavailable(reason),
            WriteError::Ambiguous(reason) => Self::Ambiguous(reason),
            WriteError::Corrupt(reason) => Self::Corrupt(reason),
        }
    }
}

impl From<ReadFault> for ReadError {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Unavailable(reason) => Self::Unavailable(reason),
            ReadFault::Corrupt(reason) => Self::Corrupt(reason),
        }
    }
}

#[async_trait]
impl Store for WalletStore {
    fn session(&self) -> SessionId {
        self.session
    }

    /// Whoever holds the file's lock is the only one.
    async fn session_gone(&self, session: SessionId) -> Result<bool, ReadError> {
        Ok(session != self.session)
    }

    async fn apply(&self, change: Change) -> Result<(), ApplyError> {
        Ok(self.engine.apply(change).await?)
    }

    async fn mints(&self) -> Result<Vec<MintRecord>, ReadError> {
        self.read(rows::mints).await
    }

    async fn mint(&self, url: &MintUrl) -> Result<Option<MintRecord>, ReadError> {
        let url = url.clone();
        self.read(move |connection| rows::mint(connection, &url)).await
    }

    async fn keysets(&self, mint: &MintUrl) -> Result<Vec<KeysetRecord>, ReadError> {
        let mint = mint.clone();
        self.read(move |connection| rows::keysets(connection, &mint)).await
    }

    async fn counter(&self, seed: SeedFingerprint, keyset: KeysetId) -> Result<u64, ReadError> {
        self.read(move |connection| rows::counter(connection, seed, &keyset)).await
    }

    async fn proofs(
        &self,
        mint: &MintUrl,
        unit: &CurrencyUnit,
        status: ProofStatus,
    ) -> Result<Vec<ProofRecord>, ReadError> {
        let (mint, unit) = (mint.clone(), unit.clone());
        self.read(move |connection| rows::proofs(connection, &mint, &unit, status)).await
    }

    async fn proofs_by_y(&self, ys: &[PointBytes]) -> Result<Vec<Option<ProofRecord>>, ReadError> {
        let ys = ys.to_vec();
        self.read(move |connection| ys.iter().map(|y| rows::proof(connection, y)).collect()).await
    }

    async fn held_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError> {
        self.read(move |connection| rows::proofs_of(connection, sql::HELD_BY, operation)).await
    }

    async fn sent_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError> {
        self.read(move |connection| rows::proofs_of(connection, sql::SENT_BY, operation)).await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        self.read(move |connection| rows::operation(connection, id)).await
    }

    async fn unfinished(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError> {
        let (mint, unit) = (mint.clone(), unit.clone());
        self.read(move |connection| rows::operations(connection, sql::UNFINISHED, &mint, &unit)).await
    }

    async fn watched(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError> {
        let (mint, unit) = (mint.clone(), unit.clone());
        self.read(move |connection| rows::operations(connection, sql::WATCHED, &mint, &unit)).await
    }

    async fn errand(&self, id: ErrandId) -> Result<Option<ErrandRecord>, ReadError> {
        self.read(move |connection| rows::errand(connection, id)).await
    }

    async fn open_errands(&self) -> Result<Vec<ErrandRecord>, ReadError> {
        self.read(rows::open_errands).await
    }

    async fn balances(&self) -> Result<Vec<BalanceRecord>, ReadError> {
        self.read(rows::balances).await
    }

    async fn history(
        &self,
        of: Option<(&MintUrl, &CurrencyUnit)>,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, ReadError> {
        let of = of.map(|(mint, unit)| (mint.clone(), unit.clone()));
        self.read(move |connection| rows::history(connection, of.as_ref(), before, limit)).await
    }
}
