//! The mint's ledger, read from its file while the mint runs: nothing here asks the mint.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hazel_lightning::fake::{PaymentState, open_ledger};
use rusqlite::{Connection, OpenFlags};

/// What the ledger says, row by row.
#[derive(Debug)]
pub(crate) struct Books {
    /// Everything ever signed, less everything ever spent.
    outstanding: u64,
    /// Operations that have begun and not ended.
    unfinished: u64,
    /// Proofs held by one.
    pending: u64,
    /// Outputs that wait for a signature, but for the blanks of paid melts, which stay.
    reserved: u64,
}

impl Books {
    /// Reads the ledger in `database`.
    pub(crate) fn of(database: &Path) -> Self {
        let ledger = read_only(database);
        // One transaction, so that all numbers are of one moment.
        ledger.execute_batch("BEGIN").expect("a snapshot");
        let number = |sql: &str| -> u64 {
            let found: i64 = ledger.query_row(sql, [], |row| row.get(0)).expect("a number");
            found.try_into().expect("never negative")
        };
        let signed = number("SELECT coalesce(sum(amount), 0) FROM blind_signatures WHERE c IS NOT NULL");
        let spent = number("SELECT coalesce(sum(amount), 0) FROM proofs WHERE state = 'spent'");
        Self {
            outstanding: signed.checked_sub(spent).expect("never more spent than signed"),
            unfinished: number("SELECT count(*) FROM operations"),
            pending: number("SELECT count(*) FROM proofs WHERE state = 'pending'"),
            reserved: number(
                "SELECT count(*) FROM blind_signatures WHERE c IS NULL AND operation_id NOT IN
                 (SELECT operation_id FROM melt_quotes WHERE status = 'paid')",
            ),
        }
    }

    /// Nothing is under way, and `owned` is what wallets hold.
    #[track_caller]
    pub(crate) fn assert_owned(&self, owned: u64, at: &str) {
        assert_eq!((self.unfinished, self.pending, self.reserved), (0, 0, 0), "{at}: nothing is pending: {self:?}");
        assert_eq!(self.outstanding, owned, "{at}: wallets hold all that the mint owes");
    }
}

/// The fake node has made no payment twice. One that failed moved nothing.
#[track_caller]
pub(crate) fn assert_paid_once(lightning: &Path, at: &str) {
    let payments = open_ledger(lightning).and_then(|books| books.payments()).expect("the node's books open");
    let mut made = BTreeMap::<_, u32>::new();
    for payment in payments {
        if payment.state != PaymentState::Failed {
            *made.entry(payment.payment_hash).or_default() += 1;
        }
    }
    assert!(made.values().all(|times| *times == 1), "{at}: no invoice is paid twice: {made:?}");
}

/// Opens a database of a program that may be running.
pub(crate) fn read_only(path: &Path) -> Connection {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    database.busy_timeout(Duration::from_secs(10)).expect("set");
    database
}
