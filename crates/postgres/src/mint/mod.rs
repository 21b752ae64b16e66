//! The ledger of a mint in a PostgreSQL database.
//!
//! [`MintStore`] is the [`Store`](hazel_mint::ports::Store) of hazel-mint. Every change of the port is a few statements, each for all rows of its
//! kind, in a transaction that the writer shares among the changes that wait. Totals of a keyset are kept as what each writer has added to and
//! taken from them, so that no row is everybody's.

mod apply;
mod lease;
mod read;
mod rows;
mod sql;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use hazel_mint::ports::{
    Applied, ApplyError, AuditRecord, Change, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote,
    MintQuote, Observer, OperationId, OperationRecord, OwnerId, ReadError, Store, Timestamp,
};
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};

use crate::migration::{Migration, Migrations};
use crate::readers::Readers;
use crate::session::Session;
use crate::settings::{Durability, OpenError, Settings};
use lease::Lease;
use writer::Writer;

/// Every version of the schema, in order.
const MIGRATIONS: Migrations = Migrations {
    owner: "Hazel mint",
    steps: &[
        Migration { name: "base", sql: include_str!("migrations/0001_base.sql") },
        Migration { name: "instances", sql: include_str!("migrations/0002_instances.sql") },
        Migration { name: "rates and streams", sql: include_str!("migrations/0003_rates_and_streams.sql") },
    ],
};

/// Into how many stripes the books are cut. Two writers with one stripe wait for each other's commits and are as right.
const STRIPES: u8 = 64;

/// How a ledger is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Most connections that read at the same time, besides the one that writes.
    pub readers: usize,
    /// Any number, best another in each process: it chooses the stripe of the books that this process writes to.
    pub stripe: u8,
    /// What it takes for a change to be durable. `None` asks for a standby when the URL names several hosts.
    pub durability: Option<Durability>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { readers: 4, stripe: 0, durability: None }
    }
}

/// The ledger of a mint in a PostgreSQL database.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hazel_mint::ports::Store;
/// use hazel_postgres::{MintStore, OpenOptions};
///
/// let store = MintStore::open("postgres://mint@localhost/mint", &OpenOptions::default()).await?;
/// assert!(store.keysets().await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct MintStore {
    settings: Settings,
    writer: Writer,
    readers: Readers,
    lease: Lease,
}

impl MintStore {
    /// Opens the ledger that `url` names (`postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE`), making its tables
    /// when there are none and upgrading them when they are old.
    ///
    /// # Errors
    /// [`OpenError`], one variant for each thing an operator can put right.
    pub async fn open(url: &str, options: &OpenOptions) -> Result<Self, OpenError> {
        let settings = Settings::from_url(url, options.durability)?;
        let session = Session::open_durable(&settings).await?;
        MIGRATIONS.run(&session).await?;
        // A schema that is not the one of its version shows up at start and not in the middle of a payment.
        for (_, sql) in sql::ALL {
            session.prepare(sql).await.map_err(OpenError::failed("use the tables of"))?;
        }
        let (readers, lease) = (Readers::new(settings.clone(), options.readers), Lease::none());
        let stripe = i32::from(options.stripe % STRIPES);
        let writer = Writer::start(settings.clone(), session, stripe, lease.clone());
        Ok(Self { settings, writer, readers, lease })
    }

    /// Completes, with the reason, when the lease of this process has run out, because it was stopped or cut off for longer than that. Others take
    /// over what it held, so the process must end and start again.
    pub async fn closed(&self) -> String {
        self.lease.lost().await
    }

    /// Gives the lease back, so that others take over at once what this process leaves unfinished. Whatever is still sent is refused.
    pub async fn close(&self) {
        self.lease.give_back(&self.settings).await;
    }

    /// How many processes have a lease on this database that runs.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn living(&self) -> Result<u64, ReadError> {
        let count = |row: &tokio_postgres::Row| crate::columns::Columns::of(row, "instances").unsigned("living");
        let found = read::all(&self.readers, sql::LIVING, &[], count).await?.pop();
        found.ok_or_else(|| ReadError::Corrupt("a query for one row gave none".to_owned()))
    }
}

impl std::fmt::Debug for MintStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MintStore {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        self.writer.apply(change).await
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.writer.observe(observer);
    }

    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        let keys: Vec<&[u8]> = ys.iter().map(|y| y.as_bytes().as_slice()).collect();
        read::by_key(&self.readers, sql::PROOFS, ys, &[&keys], rows::input, |known| known.row.y).await
    }

    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        let keys: Vec<&[u8]> = bs.iter().map(|b| b.as_bytes().as_slice()).collect();
        read::by_key(&self.readers, sql::BLIND_SIGNATURES, bs, &[&keys], rows::output, |known| known.output.b).await
    }

    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        read::contents(&self.readers, operation.as_bytes()).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        let id = operation.as_bytes().as_slice();
        Ok(read::all(&self.readers, sql::OPERATION, &[&id], rows::operation).await?.pop())
    }

    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        let limit = i64::from(limit);
        match after {
            None => read::all(&self.readers, sql::UNFINISHED, &[&limit], rows::operation).await,
            Some(after) => {
                let after = after.as_bytes().as_slice();
                read::all(&self.readers, sql::UNFINISHED_AFTER, &[&after, &limit], rows::operation).await
            }
        }
    }

    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        let keys: Vec<&str> = ids.iter().map(QuoteId::as_str).collect();
        read::by_key(&self.readers, sql::MINT_QUOTES, ids, &[&keys], rows::mint_quote, |quote| quote.id.clone()).await
    }

    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        let hash = payment_hash.as_slice();
        Ok(read::all(&self.readers, sql::MINT_QUOTE_BY_HASH, &[&hash], rows::mint_quote).await?.pop())
    }

    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        // No time in the table is later than what PostgreSQL can store, so none expires after a later one.
        let Ok(expiring_after) = i64::try_from(expiring_after.to_unix()) else { return Ok(Vec::new()) };
        let values: crate::session::Values<'_> = &[&expiring_after, &i64::from(limit)];
        read::all(&self.readers, sql::UNPAID_MINT_QUOTES, values, rows::mint_quote).await
    }

    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        Ok(read::all(&self.readers, sql::MELT_QUOTE, &[&id.as_str()], rows::melt_quote).await?.pop())
    }

    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        read::all(&self.readers, sql::KEYSETS, &[], rows::keyset).await
    }

    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        let accounts = read::all(&self.readers, sql::TOTALS, &[], rows::account).await?;
        Ok(accounts.into_iter().map(|(keyset, account)| (keyset, account.totals)).collect())
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        // No sequence is larger than what PostgreSQL can store, so a larger bound is none.
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).map_or(i64::MAX, |before| before));
        read::all(&self.readers, sql::AUDIT, &[&before, &i64::from(limit)], rows::audit_line).await
    }

    async fn enlist(&self, owner: OwnerId) -> Result<(), ReadError> {
        self.lease.take_out(self.settings.clone(), owner).await.map_err(ReadError::Unavailable)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn is_first(&self) -> Result<bool, ReadError> {
        let Some(owner) = self.lease.owner() else { return Ok(false) };
        let is_first = |row: &tokio_postgres::Row| crate::columns::Columns::of(row, "instances").flag("is_first");
        let found = read::all(&self.readers, sql::IS_FIRST, &[&owner.as_bytes().as_slice()], is_first).await?.pop();
        // Without a row nobody lives, this process neither.
        Ok(found == Some(true))
    }

    fn may_pay(&self) -> bool {
        self.lease.has_time_to_pay()
    }

    async fn owner_has_lapsed(&self, owner: OwnerId) -> Result<bool, ReadError> {
        let is_alive = |row: &tokio_postgres::Row| crate::columns::Columns::of(row, "instances").flag("is_alive");
        let found = read::all(&self.readers, sql::IS_ALIVE, &[&owner.as_bytes().as_slice()], is_alive).await?.pop();
        found.map(|is_alive| !is_alive).ok_or_else(|| ReadError::Corrupt("a query for one row gave none".to_owned()))
    }

    /// A process that is silent may be paused and wake up: nothing here can prove that it will not.
    async fn owner_is_dead(&self, _owner: OwnerId) -> Result<bool, ReadError> {
        Ok(false)
    }

    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        let cursor = |row: &tokio_postgres::Row| crate::columns::Columns::of(row, "streams").unsigned("cursor");
        // not a row: a stream of which nothing was credited has none
        Ok(read::all(&self.readers, sql::CURSOR, &[&method.as_str()], cursor).await?.pop().unwrap_or(0))
    }
}
