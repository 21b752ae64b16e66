//! What the tests of the mint store share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hazel_mint::ports::{
    Applied, ApplyError, AuditRecord, Change, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote,
    MintQuote, Observer, OperationId, OperationRecord, ReadError, SignedRow, Store, Timestamp,
};
use hazel_mint::store::contract::{Harness, Plant};
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};
use hazel_sqlite::{MintStore, OpenOptions};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// The passphrase-free key of encrypted test databases.
pub const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Options as tests use them: encrypted where the build can.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions { readers: 2, ..OpenOptions::default() };
    if cfg!(feature = "sqlcipher") {
        options.key = Some(hazel_sqlite::DatabaseKey::from_text(KEY).expect("a key"));
    }
    options
}

/// A connection past the store, as a tool of other hands has it. It may break every CHECK.
pub fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the file opens");
    if cfg!(feature = "sqlcipher") {
        connection.execute_batch(&format!("PRAGMA key = \"x'{KEY}'\"")).expect("keyed");
    }
    connection.busy_timeout(std::time::Duration::from_secs(5)).expect("set");
    connection.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").expect("set");
    connection
}

/// A store in a folder of its own.
#[derive(Debug)]
pub struct Disk {
    pub store: MintStore,
    pub folder: TempDir,
}

impl Disk {
    pub fn new() -> Self {
        Self::with(&options())
    }

    pub fn with(options: &OpenOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = MintStore::open(&file(folder.path()), options).expect("a new ledger");
        Self { store, folder }
    }

    pub fn path(&self) -> PathBuf {
        file(self.folder.path())
    }

    /// Closes and opens again.
    pub fn reopen(self) -> Self {
        let Self { store, folder } = self;
        drop(store);
        let store = MintStore::open(&file(folder.path()), &options()).expect("the ledger again");
        Self { store, folder }
    }

    /// Runs statements past the store.
    pub fn by_other_hands(&self, sql: &str) {
        raw(&self.path()).execute_batch(sql).expect("planted");
    }
}

/// The ledger's file in a folder.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("mint.sqlite")
}

/// Makes stores for the contract suite.
#[derive(Debug)]
pub struct OnDisk;

#[async_trait]
impl Harness for OnDisk {
    type Store = Disk;

    async fn fresh(&self) -> Disk {
        Disk::new()
    }

    async fn reopen(&self, store: Disk) -> Disk {
        store.reopen()
    }

    fn spawn(task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

#[async_trait]
impl Plant for Disk {
    async fn plant_signatures(&self, operation: OperationId, rows: &[SignedRow]) {
        let mut connection = raw(&self.path());
        let transaction = connection.transaction().expect("begun");
        for row in rows {
            let amount = i64::try_from(row.output.amount.to_u64()).expect("a small amount");
            let sign =
                "UPDATE blind_signatures SET c = ?3, dleq_e = ?4, dleq_s = ?5 WHERE b = ?1 AND operation_id = ?2";
            let (b, c) = (row.output.b.as_bytes(), row.c.as_bytes());
            let signature = params![b, operation.as_bytes(), c, row.dleq.e.as_bytes(), row.dleq.s.as_bytes()];
            assert_eq!(transaction.execute(sign, signature).expect("signed"), 1, "the output is reserved");
            let count = "UPDATE keysets SET issued = issued + ?2 WHERE keyset_id = ?1";
            transaction.execute(count, params![row.output.keyset.as_bytes(), amount]).expect("counted");
        }
        transaction.commit().expect("committed");
    }

    async fn plant_spent(&self, ys: &[PointBytes]) {
        let mut connection = raw(&self.path());
        let transaction = connection.transaction().expect("begun");
        for y in ys {
            let spend = "UPDATE proofs SET state = 'spent' WHERE y = ?1 AND state = 'pending' RETURNING keyset, amount";
            let (keyset, amount): (i64, i64) = transaction
                .query_row(spend, [y.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .expect("the input is pending");
            let count = "UPDATE keysets SET reserved = reserved - ?2, redeemed = redeemed + ?2 WHERE id = ?1";
            transaction.execute(count, [keyset, amount]).expect("counted");
        }
        transaction.commit().expect("committed");
    }

    async fn plant_totals(&self, keyset: KeysetId, totals: KeysetTotals) {
        let [issued, redeemed, reserved, fees] = [totals.issued, totals.redeemed, totals.reserved, totals.fees]
            .map(|amount| i64::try_from(amount.to_u64()).expect("a small amount"));
        let set = "UPDATE keysets SET issued = ?2, redeemed = ?3, reserved = ?4, fees = ?5 WHERE keyset_id = ?1";
        let row = params![keyset.as_bytes(), issued, redeemed, reserved, fees];
        assert_eq!(raw(&self.path()).execute(set, row).expect("planted"), 1, "the keyset is known");
    }
}

#[async_trait]
impl Store for Disk {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        self.store.apply(change).await
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.store.observe(observer);
    }

    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        self.store.inputs(ys).await
    }

    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        self.store.outputs(bs).await
    }

    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        self.store.contents(operation).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        self.store.operation(operation).await
    }

    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        self.store.unfinished(after, limit).await
    }

    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        self.store.mint_quotes(ids).await
    }

    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        self.store.mint_quote_by_hash(payment_hash).await
    }

    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        self.store.unpaid_mint_quotes(expiring_after, limit).await
    }

    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        self.store.melt_quote(id).await
    }

    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        self.store.keysets().await
    }

    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        self.store.totals().await
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        self.store.audit(before, limit).await
    }

    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        self.store.cursor(method).await
    }
}
