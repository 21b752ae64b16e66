//! The ledger as a test sees it: reads the books, bends the node, pays invoices.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hazel_mint::ports::{OperationId, Settlement, Timestamp};
use rusqlite::{Connection, Row};

use super::books::{Books, U64};
use super::error::FakeError;
use super::outgoing::stored;
use super::steering::{self, Behaviour, Fate, Steer};
use super::world::{SystemWorld, World};
use super::{incoming, outgoing};

/// What became of one call of `pay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It began a payment.
    Started,
    /// The id was known, and the node is idempotent: it began nothing.
    Joined,
    /// `not_after` had passed, or the fence was closed: it began nothing.
    Late,
    /// The invoice or the amount was wrong: it began nothing.
    Refused,
    /// The node was told to be away: it began nothing.
    Unreachable,
}

impl CallOutcome {
    const ALL: [Self; 5] = [Self::Started, Self::Joined, Self::Late, Self::Refused, Self::Unreachable];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Joined => "joined",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }

    fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// Where a payment really stands, whatever the node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// On its way, waiting for other parts, or stuck.
    InFlight,
    /// The payee has it.
    Paid,
    /// It came back.
    Failed,
}

impl PaymentState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }

    pub(super) fn from_stored(text: &str) -> Option<Self> {
        [Self::InFlight, Self::Paid, Self::Failed].into_iter().find(|state| state.as_str() == text)
    }
}

/// One call of `pay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayCall {
    /// Its number; later calls have greater ones.
    pub number: u64,
    /// The payment id it came with.
    pub id: OperationId,
    /// The invoice's payment hash; `None` when it was no invoice.
    pub payment_hash: Option<[u8; 32]>,
    /// The invoice.
    pub request: String,
    /// What the payee should get, in msat.
    pub amount_msat: u64,
    /// The cap on the fee, in msat.
    pub max_fee_msat: u64,
    /// The deadline it came with.
    pub not_after: Timestamp,
    /// When the node got it, in ms since the Unix epoch.
    pub at_ms: u64,
    /// The label of the process that called.
    pub instance: String,
    /// What became of it.
    pub outcome: CallOutcome,
}

impl PayCall {
    const COLUMNS: &'static str =
        "id, payment_id, payment_hash, request, amount_msat, max_fee_msat, not_after, at_ms, instance, outcome";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get::<_, U64>(0)?.0,
            id: OperationId::from_bytes(row.get(1)?),
            payment_hash: row.get(2)?,
            request: row.get(3)?,
            amount_msat: row.get::<_, U64>(4)?.0,
            max_fee_msat: row.get::<_, U64>(5)?.0,
            not_after: Timestamp::from_unix(row.get::<_, U64>(6)?.0),
            at_ms: row.get::<_, U64>(7)?.0,
            instance: row.get(8)?,
            outcome: stored(row, 9, CallOutcome::from_stored)?,
        })
    }
}

/// One payment that was begun. Of a node that is not idempotent there may be several with one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingPayment {
    /// Its number; later payments have greater ones.
    pub number: u64,
    /// The number of the call that began it.
    pub call: u64,
    /// The payment id.
    pub id: OperationId,
    /// The invoice's payment hash.
    pub payment_hash: [u8; 32],
    /// What the payee gets, in msat.
    pub amount_msat: u64,
    /// What routing costs, in msat.
    pub fee_msat: u64,
    /// Where it really stands.
    pub state: PaymentState,
    /// When it was begun, in ms since the Unix epoch.
    pub started_ms: u64,
    /// When it ended, in ms since the Unix epoch.
    pub ended_ms: Option<u64>,
}

impl OutgoingPayment {
    const COLUMNS: &'static str =
        "id, call, payment_id, payment_hash, amount_msat, fee_msat, state, started_ms, ended_ms";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get::<_, U64>(0)?.0,
            call: row.get::<_, U64>(1)?.0,
            id: OperationId::from_bytes(row.get(2)?),
            payment_hash: row.get(3)?,
            amount_msat: row.get::<_, U64>(4)?.0,
            fee_msat: row.get::<_, U64>(5)?.0,
            state: stored(row, 6, PaymentState::from_stored)?,
            started_ms: row.get::<_, U64>(7)?.0,
            ended_ms: row.get::<_, Option<U64>>(8)?.map(|ended| ended.0),
        })
    }
}

/// One invoice of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerInvoice {
    /// Its payment hash.
    pub payment_hash: [u8; 32],
    /// The BOLT11 text.
    pub request: String,
    /// What it asks for, in msat.
    pub amount_msat: u64,
    /// What has arrived, in msat.
    pub settled_msat: u64,
    /// When it was made, in ms since the Unix epoch.
    pub created_ms: u64,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The label of the process that made it.
    pub instance: String,
    /// It was made unpayable.
    pub cancelled: bool,
}

impl LedgerInvoice {
    const COLUMNS: &'static str = "payment_hash, request, amount_msat,
        (SELECT coalesce(sum(s.amount_msat), 0) FROM settlements s WHERE s.payment_hash = invoices.payment_hash),
        created_ms, expires_at, instance, cancelled";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            payment_hash: row.get(0)?,
            request: row.get(1)?,
            amount_msat: row.get::<_, U64>(2)?.0,
            settled_msat: row.get::<_, U64>(3)?.0,
            created_ms: row.get::<_, U64>(4)?.0,
            expires_at: Timestamp::from_unix(row.get::<_, U64>(5)?.0),
            instance: row.get(6)?,
            cancelled: row.get(7)?,
        })
    }
}

/// A handle on the ledger file for tests and tools, in any process, while nodes run on it.
///
/// Every method first lets everything happen that is due, then answers from the books. The methods block the calling thread for a file
/// access; under load up to some seconds while another process writes. A method fails only when the file cannot be read or written,
/// unless it says otherwise.
pub struct FakeLedger {
    books: Mutex<Books>,
}

impl fmt::Debug for FakeLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLedger").finish_non_exhaustive()
    }
}

/// Opens the ledger file, or makes one, with the clock of the operating system.
///
/// # Errors
/// [`FakeError::NotALedger`] or [`FakeError::Newer`] for a file that is something else; [`FakeError::Io`] or [`FakeError::Database`]
/// when it cannot be had.
pub fn open_ledger(path: impl AsRef<Path>) -> Result<FakeLedger, FakeError> {
    FakeLedger::open(path, Arc::new(SystemWorld))
}

impl FakeLedger {
    /// Opens the ledger file, or makes one, with a clock of the caller's.
    ///
    /// # Errors
    /// As [`open_ledger`].
    pub fn open(path: impl AsRef<Path>, world: Arc<dyn World>) -> Result<Self, FakeError> {
        let books = Books::open(path.as_ref(), world, Behaviour::default())?;
        Ok(Self { books: Mutex::new(books) })
    }

    fn with<T>(&self, job: impl FnOnce(&mut Books) -> Result<T, FakeError>) -> Result<T, FakeError> {
        // A job that panicked has rolled its transaction back.
        job(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn rows<T>(&self, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, FakeError> {
        self.with(|books| books.read(|conn| rows(conn, sql, read)))
    }

    /// Every call of `pay`, oldest first.
    pub fn pay_calls(&self) -> Result<Vec<PayCall>, FakeError> {
        self.rows(&format!("SELECT {} FROM pay_calls ORDER BY id", PayCall::COLUMNS), PayCall::read)
    }

    /// Every payment that was begun, oldest first.
    pub fn payments(&self) -> Result<Vec<OutgoingPayment>, FakeError> {
        self.rows(&format!("SELECT {} FROM payments ORDER BY id", OutgoingPayment::COLUMNS), OutgoingPayment::read)
    }

    /// The payments with one id, oldest first.
    pub fn payments_of(&self, id: OperationId) -> Result<Vec<OutgoingPayment>, FakeError> {
        let mut payments = self.payments()?;
        payments.retain(|payment| payment.id == id);
        Ok(payments)
    }

    /// Ids and payment hashes of payments made more than once: by one id, or for one foreign invoice by whatever ids. Parts of an
    /// invoice of the ledger (NUT-15) are one payment.
    pub fn paid_twice(&self) -> Result<Vec<OutgoingPayment>, FakeError> {
        let columns = OutgoingPayment::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM payments p WHERE state = 'paid' AND EXISTS (
                SELECT 1 FROM payments q WHERE q.state = 'paid' AND q.id < p.id AND (q.payment_id = p.payment_id
                    OR (q.payment_hash = p.payment_hash AND p.payment_hash NOT IN (SELECT payment_hash FROM invoices))))
             ORDER BY id"
        );
        self.rows(&sql, OutgoingPayment::read)
    }

    /// Every invoice, oldest first.
    pub fn invoices(&self) -> Result<Vec<LedgerInvoice>, FakeError> {
        self.rows(&format!("SELECT {} FROM invoices ORDER BY id", LedgerInvoice::COLUMNS), LedgerInvoice::read)
    }

    /// At most 1,000 settlements after `cursor`, oldest first.
    pub fn settlements(&self, cursor: u64) -> Result<Vec<Settlement>, FakeError> {
        self.with(|books| books.read(|conn| incoming::settlements_after(conn, cursor)))
    }

    /// Everything that ever arrived, in msat.
    pub fn settled_total_msat(&self) -> Result<u64, FakeError> {
        self.sum("SELECT coalesce(sum(amount_msat), 0) FROM settlements")
    }

    /// Everything that ever went out, routing included, in msat.
    pub fn paid_total_msat(&self) -> Result<u64, FakeError> {
        self.sum("SELECT coalesce(sum(amount_msat + fee_msat), 0) FROM payments WHERE state = 'paid'")
    }

    fn sum(&self, sql: &str) -> Result<u64, FakeError> {
        self.with(|books| books.read(|conn| Ok(conn.query_row(sql, [], |row| row.get::<_, U64>(0))?.0)))
    }

    /// Bends the node, in every process on this ledger, from its next call on and over restarts.
    pub fn steer(&self, steer: &Steer) -> Result<(), FakeError> {
        self.with(|books| books.write(|write| steering::store(&write.tx, steer)))
    }

    /// Lets the node behave as its processes were configured.
    pub fn steer_back(&self) -> Result<(), FakeError> {
        self.with(|books| {
            books.write(|write| {
                write.tx.execute("DELETE FROM steering", [])?;
                Ok(())
            })
        })
    }

    /// How the node is bent now.
    pub fn steering(&self) -> Result<Vec<Steer>, FakeError> {
        self.with(|books| books.read(steering::load))
    }

    /// Pays `amount_msat` to an invoice of the ledger, whatever it asks for, has got, or when it expires. May be called again.
    ///
    /// # Errors
    /// [`FakeError::NotFound`] for an unknown invoice; [`FakeError::Refused`] for a cancelled one, and for an amount of zero.
    pub fn settle(&self, payment_hash: &[u8; 32], amount_msat: u64) -> Result<(), FakeError> {
        self.with(|books| books.write(|write| incoming::pay_in(write, payment_hash, amount_msat)))
    }

    /// Ends a payment that is on its way or stuck. The node forgets the script and tells the truth about it from now on.
    ///
    /// # Errors
    /// [`FakeError::NotFound`] when no payment with this id is on its way.
    pub fn resolve(&self, id: OperationId, fate: Fate) -> Result<(), FakeError> {
        self.with(|books| books.write(|write| outgoing::resolve(write, id, fate)))
    }

    /// Lets the node forget what it has seen of this id; what those payments do goes on.
    ///
    /// # Errors
    /// [`FakeError::NotFound`] when there is no payment with this id.
    pub fn forget(&self, id: OperationId) -> Result<(), FakeError> {
        self.with(|books| books.write(|write| outgoing::forget(&write.tx, id)))
    }
}

fn rows<T>(conn: &Connection, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, FakeError> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
