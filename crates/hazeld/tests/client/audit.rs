//! The books, read from the files themselves while or after the daemon ran: nothing here asks the daemon.

use std::collections::BTreeMap;
use std::path::Path;

use hazel_lightning::fake::{PaymentState, open_ledger};
use rusqlite::{Connection, OpenFlags};

use super::postgres;

/// What the ledger says, added up over every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    /// Everything ever signed, less everything ever spent: what wallets hold.
    pub(crate) outstanding: i64,
    /// Operations that have begun and not ended.
    pub(crate) unfinished: i64,
    /// Proofs held by one.
    pub(crate) pending: i64,
    /// Outputs reserved for a signature that has not come.
    pub(crate) reserved_outputs: i64,
    /// What arrived for mint quotes.
    pub(crate) credited: i64,
    /// What was issued on them.
    pub(crate) drawn: i64,
    /// What melts paid out, without routing fees.
    pub(crate) paid_out: i64,
    /// What the mint kept.
    pub(crate) fees: i64,
    /// Spent, less signed again by swaps and melts, less kept, less paid out: the routing fees.
    pub(crate) routing: i64,
    /// What was signed by issues.
    pub(super) issued: i64,
    /// What the draws on mint quotes add up to.
    pub(super) draws: i64,
    /// What the single credits of mint quotes add up to.
    pub(super) credits: i64,
}

impl Books {
    /// Nothing is under way, and `held` is what wallets hold.
    pub(crate) fn assert_settled(&self, held: u64) {
        assert_eq!((self.unfinished, self.pending, self.reserved_outputs), (0, 0, 0), "nothing is pending: {self:?}");
        assert_eq!(self.outstanding, i64::try_from(held).expect("small"), "wallets hold it all: {self:?}");
    }
}

/// Adds the ledger up, row by row, and compares every sum with the totals it keeps. `database` is the file; on PostgreSQL its folder says which
/// database that is.
pub(crate) fn audit(database: &Path) -> Books {
    let books = postgres::audit(database.parent().expect("a folder")).unwrap_or_else(|| audit_file(database));
    assert_eq!(books.drawn, books.issued, "what quotes say was issued was signed: {books:?}");
    assert_eq!(books.drawn, books.draws);
    assert_eq!(books.credited, books.credits);
    assert!(books.drawn <= books.credited, "nothing was issued that was not paid: {books:?}");
    if books.unfinished == 0 {
        assert!(books.routing >= 0, "nothing came from nowhere: {books:?}");
    }
    books
}

fn audit_file(database: &Path) -> Books {
    let ledger = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the ledger opens");
    ledger.busy_timeout(std::time::Duration::from_secs(10)).expect("set");
    // One transaction: the daemon may be running.
    ledger.execute_batch("BEGIN").expect("a snapshot");
    let intact: String = ledger.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(intact, "ok");
    check_totals(&ledger);
    let sum = |sql: &str| -> i64 { ledger.query_row(sql, [], |row| row.get(0)).expect("a sum") };
    let signed = |kinds: &str| {
        sum(&format!(
            "SELECT coalesce(sum(amount), 0) FROM blind_signatures WHERE c IS NOT NULL AND operation_kind IN ({kinds})"
        ))
    };
    let redeemed = sum("SELECT coalesce(sum(amount), 0) FROM proofs WHERE state = 'spent'");
    let paid_out = sum("SELECT coalesce(sum(amount), 0) FROM melt_quotes WHERE status = 'paid'");
    let fees = sum("SELECT coalesce(sum(fees), 0) FROM keysets");
    Books {
        outstanding: signed("'issue', 'swap', 'melt'") - redeemed,
        unfinished: sum("SELECT count(*) FROM operations"),
        pending: sum("SELECT count(*) FROM proofs WHERE state = 'pending'"),
        // Blanks that the change of a paid melt did not need stay.
        reserved_outputs: sum("SELECT count(*) FROM blind_signatures WHERE c IS NULL AND operation_id NOT IN
             (SELECT operation_id FROM melt_quotes WHERE status = 'paid')"),
        credited: sum("SELECT coalesce(sum(amount_paid), 0) FROM mint_quotes"),
        drawn: sum("SELECT coalesce(sum(amount_issued), 0) FROM mint_quotes"),
        paid_out,
        fees,
        routing: redeemed - signed("'swap', 'melt'") - fees - paid_out,
        issued: signed("'issue'"),
        draws: sum("SELECT coalesce(sum(amount), 0) FROM draws"),
        credits: sum("SELECT coalesce(sum(amount), 0) FROM credits"),
    }
}

/// The totals of each keyset are the sums of its rows.
fn check_totals(ledger: &Connection) {
    let differing: i64 = ledger
        .query_row(
            "SELECT count(*) FROM keysets k WHERE
             issued <> (SELECT coalesce(sum(amount), 0) FROM blind_signatures WHERE keyset = k.id AND c IS NOT NULL) OR
             redeemed <> (SELECT coalesce(sum(amount), 0) FROM proofs WHERE keyset = k.id AND state = 'spent') OR
             reserved <> (SELECT coalesce(sum(amount), 0) FROM proofs WHERE keyset = k.id AND state = 'pending') OR
             redeemed + reserved > issued OR latched <> 0",
            [],
            |row| row.get(0),
        )
        .expect("compared");
    assert_eq!(differing, 0, "every total is the sum of its rows");
}

/// How many payments the fake node really made, by payment hash. A payment that failed moved nothing.
pub(crate) fn payments_by_hash(ledger: &Path) -> BTreeMap<[u8; 32], usize> {
    let mut made = BTreeMap::new();
    let payments = open_ledger(ledger).and_then(|books| books.payments()).expect("the fake's books open");
    for payment in payments.iter().filter(|payment| payment.state != PaymentState::Failed) {
        *made.entry(payment.payment_hash).or_default() += 1;
    }
    made
}
