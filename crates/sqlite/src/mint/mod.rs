//! The ledger of a mint in one SQLite file.
//!
//! [`MintStore`] is the [`Store`](hazel_mint::ports::Store) of hazel-mint. Every change of the port is a few indexed statements in a savepoint
//! of the writer's group; a swap's reservation and release are committed without a sync, everything else with one. Totals of a keyset live
//! in its row and move in the same transaction, under a CHECK that more is never redeemed than was issued.

mod apply;
mod read;
mod rows;
mod sql;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hazel_mint::ports::{
    Applied, ApplyError, AuditRecord, Change, Conflict, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput,
    MeltQuote, MintQuote, Observer, OperationId, OperationRecord, ReadError, Store, Timestamp,
};
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};
use rusqlite::Connection;

use crate::database::{OpenError, OpenOptions};
use crate::engine::{Engine, port_errors};
use crate::fault::Fault;
use crate::migration::{Migration, Migrations};
use crate::writer::Ledger;

/// Says in the file's header whose database it is: "HZLM".
pub const APPLICATION_ID: i32 = 0x485A_4C4D;

/// Every version of the schema, in order.
const MIGRATIONS: Migrations = Migrations {
    application_id: APPLICATION_ID,
    owner: "Hazel mint",
    steps: &[
        Migration { name: "base", sql: include_str!("migrations/0001_base.sql") },
        Migration { name: "spare blanks", sql: include_str!("migrations/0002_spare_blanks.sql") },
        Migration { name: "imports and audit", sql: include_str!("migrations/0003_imports_and_audit.sql") },
        Migration { name: "rates and streams", sql: include_str!("migrations/0004_rates_and_streams.sql") },
    ],
};

/// The ledger of a mint in one SQLite file, held exclusively by this process.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hazel_mint::ports::Store;
/// use hazel_sqlite::{MintStore, OpenOptions};
///
/// let folder = tempfile::tempdir()?;
/// let store = MintStore::open(&folder.path().join("mint.sqlite"), &OpenOptions::default())?;
/// assert!(store.keysets().await?.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(example()).expect("it runs");
/// ```
pub struct MintStore {
    engine: Engine<MintLedger>,
}

impl MintStore {
    /// Opens the ledger at `path`, making it when it is missing and upgrading it when it is old. Blocks meanwhile.
    ///
    /// # Errors
    /// [`OpenError`], one variant for each thing an operator can put right.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let engine = Engine::open(path, options, &MIGRATIONS, verify)?;
        Ok(Self { engine })
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
}

impl std::fmt::Debug for MintStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintStore").finish_non_exhaustive()
    }
}

/// Prepares every statement, so that a schema which is not the one of its version shows up at start and not in the middle of a payment.
fn verify(connection: &Connection) -> Result<(), OpenError> {
    for (_, sql) in sql::ALL {
        connection.prepare(sql).map_err(OpenError::sqlite("use the schema of"))?;
    }
    Ok(())
}

/// The rules of the ledger, for the writer.
struct MintLedger;

impl Ledger for MintLedger {
    type Change = Change;
    type Answer = Applied;
    type Refusal = Conflict;

    fn durable(change: &Change) -> bool {
        change.durable()
    }

    fn apply(connection: &Connection, change: &Change) -> Result<Applied, Fault<Conflict>> {
        apply::apply(connection, change)
    }
}

port_errors!(ApplyError, Conflict, ReadError);

#[async_trait]
impl Store for MintStore {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        Ok(self.engine.apply(change).await?)
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.engine.listen(move |change, applied| observer.committed(change, applied));
    }

    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        let ys = read::bounded(ys)?;
        Ok(self.engine.read(move |connection| ys.iter().map(|y| rows::input(connection, y)).collect()).await?)
    }

    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        let bs = read::bounded(bs)?;
        Ok(self.engine.read(move |connection| bs.iter().map(|b| rows::output(connection, b)).collect()).await?)
    }

    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        Ok(self.engine.read(move |connection| rows::contents(connection, operation)).await?)
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        Ok(self.engine.read(move |connection| rows::operation(connection, operation)).await?)
    }

    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        Ok(self.engine.read(move |connection| read::unfinished(connection, after, limit)).await?)
    }

    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        let ids = read::bounded(ids)?;
        Ok(self.engine.read(move |connection| ids.iter().map(|id| rows::mint_quote(connection, id)).collect()).await?)
    }

    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        let hash = *payment_hash;
        Ok(self.engine.read(move |connection| rows::mint_quote_by_hash(connection, &hash)).await?)
    }

    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        Ok(self.engine.read(move |connection| read::unpaid_mint_quotes(connection, expiring_after, limit)).await?)
    }

    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        let id = id.clone();
        Ok(self.engine.read(move |connection| rows::melt_quote(connection, &id)).await?)
    }

    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        Ok(self.engine.read(read::keysets).await?)
    }

    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        Ok(self.engine.read(read::totals).await?)
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        Ok(self.engine.read(move |connection| read::audit(connection, before, limit)).await?)
    }

    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        let method = method.clone();
        Ok(self.engine.read(move |connection| read::cursor(connection, method.as_str())).await?)
    }
}
