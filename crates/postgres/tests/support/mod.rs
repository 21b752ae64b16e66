//! What the tests of the mint store share. Each makes tables in a schema of its own on the server that `HAZEL_TEST_POSTGRES` names.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]
#![allow(clippy::panic, reason = "a failed test panics")]

#[path = "../../../sqlite/tests/support/workload.rs"]
pub mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hazel_mint::ports::{
    Applied, ApplyError, AuditRecord, Change, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote,
    MintQuote, Observer, OperationId, OperationRecord, ReadError, SignedRow, Store, Timestamp,
};
use hazel_mint::store::contract::{Harness, Plant};
use hazel_postgres::{MintStore, OpenOptions};
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};
use tokio_postgres::{Client, NoTls};

/// The server, on which tests may make what they like.
pub fn server() -> String {
    std::env::var("HAZEL_TEST_POSTGRES")
        .expect("HAZEL_TEST_POSTGRES names a server: `cargo xtask test --only postgres` starts one")
}

/// A connection past the store, as a tool of other hands has it.
pub async fn raw(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    drop(tokio::spawn(connection));
    client
}

/// A place for tables that no other test has.
#[derive(Debug)]
pub struct Place {
    pub url: String,
}

impl Place {
    /// Makes it.
    pub async fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let server = server();
        let admin = raw(&server).await;
        admin
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"))
            .await
            .expect("made");
        let joint = if server.contains('?') { '&' } else { '?' };
        Self { url: format!("{server}{joint}options=-csearch_path%3D{name}") }
    }

    pub async fn open(&self) -> MintStore {
        self.open_as(0).await
    }

    /// Opens the ledger as the process that writes this stripe.
    pub async fn open_as(&self, stripe: u8) -> MintStore {
        MintStore::open(&self.url, &OpenOptions { readers: 2, stripe, ..OpenOptions::default() })
            .await
            .expect("the ledger opens")
    }

    pub async fn raw(&self) -> Client {
        raw(&self.url).await
    }
}

/// Stores on one database, each with a writer of its own; changes go to them in turn.
#[derive(Debug)]
pub struct Ledger {
    pub place: Place,
    stores: Vec<MintStore>,
    next: AtomicUsize,
    /// Held by whoever applies a change while there is more than one writer and an observer that wants one order of all commits.
    observed: AtomicUsize,
}

impl Ledger {
    async fn open(place: Place, writers: usize) -> Self {
        let mut stores = Vec::new();
        for stripe in (0..).take(writers) {
            stores.push(place.open_as(stripe).await);
        }
        Self { place, stores, next: AtomicUsize::new(0), observed: AtomicUsize::new(0) }
    }

    /// Replicas tell of their own commits only, so once somebody listens there is one.
    fn writer(&self) -> &MintStore {
        let listened = self.observed.load(Ordering::SeqCst) > 0;
        let turn = if listened { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) };
        &self.stores[turn % self.stores.len()]
    }

    fn reader(&self) -> &MintStore {
        self.stores.last().expect("a ledger has a store")
    }
}

/// Makes ledgers for the contract suite.
#[derive(Debug)]
pub struct OnServer {
    writers: usize,
}

impl OnServer {
    pub fn one_writer() -> Self {
        Self { writers: 1 }
    }

    pub fn two_writers() -> Self {
        Self { writers: 2 }
    }
}

#[async_trait]
impl Harness for OnServer {
    type Store = Ledger;

    async fn fresh(&self) -> Ledger {
        Ledger::open(Place::new().await, self.writers).await
    }

    async fn reopen(&self, ledger: Ledger) -> Ledger {
        let Ledger { place, stores, .. } = ledger;
        drop(stores);
        Ledger::open(place, self.writers).await
    }

    fn spawn(task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

fn small(amount: hazel_protocol::Amount) -> i64 {
    i64::try_from(amount.to_u64()).expect("a small amount")
}

/// Adds to the books past every writer, in a stripe that none of them uses.
const ADD: &str = "INSERT INTO totals SELECT id, 999, $2, $3, $4, $5 FROM keysets WHERE keyset_id = $1 \
                   ON CONFLICT (keyset, stripe) DO UPDATE SET issued = totals.issued + excluded.issued, \
                   redeemed = totals.redeemed + excluded.redeemed, reserved = totals.reserved + excluded.reserved, \
                   fees = totals.fees + excluded.fees";

#[async_trait]
impl Plant for Ledger {
    async fn plant_signatures(&self, operation: OperationId, rows: &[SignedRow]) {
        let raw = self.place.raw().await;
        let sign = "UPDATE blind_signatures SET c = $3, dleq_e = $4, dleq_s = $5 WHERE b = $1 AND operation_id = $2";
        for row in rows {
            let (b, id, c) = (row.output.b.as_bytes().as_slice(), operation.as_bytes().as_slice(), row.c.as_bytes());
            let (e, s) = (row.dleq.e.as_bytes().as_slice(), row.dleq.s.as_bytes().as_slice());
            let signed = raw.execute(sign, &[&b, &id, &c.as_slice(), &e, &s]).await.expect("signed");
            assert_eq!(signed, 1, "the output is reserved");
            let keyset = row.output.keyset;
            raw.execute(ADD, &[&keyset.as_bytes(), &small(row.output.amount), &0_i64, &0_i64, &0_i64])
                .await
                .expect("counted");
        }
    }

    async fn plant_spent(&self, ys: &[PointBytes]) {
        let raw = self.place.raw().await;
        let spend = "UPDATE proofs p SET state = 'spent' FROM keysets k WHERE p.y = $1 AND p.state = 'pending' \
                     AND k.id = p.keyset RETURNING k.keyset_id, p.amount";
        for y in ys {
            let row = raw.query_one(spend, &[&y.as_bytes().as_slice()]).await.expect("the input is pending");
            let (keyset, amount): (Vec<u8>, i64) = (row.get(0), row.get(1));
            raw.execute(ADD, &[&keyset, &0_i64, &amount, &-amount, &0_i64]).await.expect("counted");
        }
    }

    async fn plant_totals(&self, keyset: KeysetId, totals: KeysetTotals) {
        let raw = self.place.raw().await;
        let clear = "DELETE FROM totals WHERE keyset = (SELECT id FROM keysets WHERE keyset_id = $1)";
        raw.execute(clear, &[&keyset.as_bytes()]).await.expect("cleared");
        let sums = [totals.issued, totals.redeemed, totals.reserved, totals.fees].map(small);
        let planted = raw.execute(ADD, &[&keyset.as_bytes(), &sums[0], &sums[1], &sums[2], &sums[3]]).await;
        assert_eq!(planted.expect("planted"), 1, "the keyset is known");
    }
}

#[async_trait]
impl Store for Ledger {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        self.writer().apply(change).await
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.observed.fetch_add(1, Ordering::SeqCst);
        self.stores[0].observe(observer);
    }

    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        self.reader().inputs(ys).await
    }

    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        self.reader().outputs(bs).await
    }

    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        self.reader().contents(operation).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        self.reader().operation(operation).await
    }

    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        self.reader().unfinished(after, limit).await
    }

    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        self.reader().mint_quotes(ids).await
    }

    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        self.reader().mint_quote_by_hash(payment_hash).await
    }

    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        self.reader().unpaid_mint_quotes(expiring_after, limit).await
    }

    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        self.reader().melt_quote(id).await
    }

    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        self.reader().keysets().await
    }

    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        self.reader().totals().await
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        self.reader().audit(before, limit).await
    }

    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        self.reader().cursor(method).await
    }
}
