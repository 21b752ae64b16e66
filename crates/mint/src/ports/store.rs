//! The ledger's port: one funnel for every write, and reads that cost one query each.

use std::sync::Arc;

use async_trait::async_trait;
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};

use super::Timestamp;
use super::administer::AuditRecord;
use super::change::{Applied, Change};
use super::observer::Observer;
use super::record::{
    Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote, MintQuote, OperationId, OperationRecord,
    OwnerId,
};

/// Why the ledger refuses a change. Nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// At least one input is SPENT. Outranks every other reason about inputs and outputs.
    #[error("an input is already spent")]
    InputsSpent,
    /// At least one input is PENDING, none is SPENT.
    #[error("an input is held by another operation")]
    InputsPending,
    /// At least one output is already signed.
    #[error("an output is already signed")]
    OutputsSigned,
    /// At least one output is reserved, none is signed.
    #[error("an output is held by another operation")]
    OutputsPending,
    /// More of this keyset was presented than it ever issued.
    #[error("keyset {0} would redeem more than it issued")]
    Overdrawn(KeysetId),
    /// The keyset was stopped after it had been overdrawn.
    #[error("keyset {0} is stopped until an operator has looked")]
    KeysetLatched(KeysetId),
    /// No such keyset.
    #[error("keyset {0} is not known")]
    KeysetUnknown(KeysetId),
    /// The id, or the unit and index, belong to another keyset.
    #[error("a keyset of this id or index exists")]
    KeysetExists,
    /// The database belongs to another seed.
    #[error("the database belongs to another seed")]
    OtherSeed,
    /// No such quote.
    #[error("the quote is not known")]
    QuoteUnknown,
    /// The id or payment hash belongs to another quote.
    #[error("a quote of this id or payment hash exists")]
    QuoteExists,
    /// The mint quote has not been paid enough, and nothing has been issued on it.
    #[error("the quote is not paid")]
    QuoteNotPaid,
    /// What was paid has been issued.
    #[error("the quote is already issued")]
    QuoteIssued,
    /// The melt quote is held by another operation.
    #[error("the quote is pending")]
    QuotePending,
    /// The melt quote is paid.
    #[error("the quote is paid")]
    QuotePaid,
    /// Another melt quote of this invoice is held by an operation.
    #[error("the invoice is being paid")]
    InvoicePending,
    /// Another melt quote of this invoice is paid.
    #[error("the invoice is paid")]
    InvoicePaid,
    /// The mint quote of an own invoice is paid or issued already.
    #[error("the mint quote is settled already")]
    MintQuoteSettled,
    /// The two legs of an internal settlement differ in unit.
    #[error("the quotes differ in unit")]
    UnitMismatch,
    /// There is no row of this operation that the caller may act on: it was released, or another owner has it.
    #[error("the operation is gone or has another owner")]
    OperationGone,
    /// This id has been used up: the operation finished, or a tombstone stands.
    #[error("the operation has ended")]
    OperationEnded,
    /// The operation is not in a state from which this change leads on.
    #[error("the operation is in another state")]
    WrongState,
}

/// Why a change did not apply, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Refused by the state of the ledger. Definite.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Not applied: the queue is full, the disk is full, the database is away. Definite; try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The commit's outcome is not known. Send the same change again until the answer is definite; never resolve it by a read.
    #[error("the outcome of the commit is not known: {0}")]
    Ambiguous(String),
    /// A row is malformed, or the change breaks its own preconditions. Nothing was applied; the evidence stays.
    #[error("the ledger is corrupt: {0}")]
    Corrupt(String),
}

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A row is malformed. It is never read as a default value.
    #[error("the ledger is corrupt: {0}")]
    Corrupt(String),
}

/// The ledger.
///
/// # Crash semantics
/// [`apply`](Store::apply) returns `Ok` for a durable change only after it would survive a power cut; after such a cut the
/// ledger holds a prefix of the applied changes, in their order, and every durable one that was acknowledged.
/// Reads see every change whose `apply` has returned.
///
/// Lists of keys are bounded by the protocol's limits; a store may refuse more than 10,000 keys as `Corrupt`.
/// Answers to a list of keys have one entry a key, in the order of the keys.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies one change atomically, or nothing at all.
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError>;

    /// Tells `observer` of every change that is committed from now on, in their order, in place of any earlier observer.
    fn observe(&self, observer: Arc<dyn Observer>);

    /// What is known of these proofs, by Y. `None` is UNSPENT.
    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError>;

    /// What is known of these outputs, by B_. `None` was never seen.
    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError>;

    /// Everything that one operation brought in; empty when it left nothing.
    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError>;

    /// One unfinished operation; `None` when it has ended or never was.
    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError>;

    /// Up to `limit` unfinished operations, oldest id first, with ids greater than `after`.
    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError>;

    /// These mint quotes.
    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError>;

    /// The mint quote whose invoice has this payment hash.
    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError>;

    /// Up to `limit` mint quotes with nothing paid that expire after `expiring_after`, oldest first.
    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError>;

    /// This melt quote.
    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError>;

    /// Every keyset, in the order they were added.
    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError>;

    /// The totals of every keyset, read in one statement, in the order of [`keysets`](Store::keysets).
    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError>;

    /// Up to `limit` lines of the audit log, newest first, with sequences smaller than `before`.
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError>;

    /// Whether other processes may change the ledger while this one runs. It then reads again from time to time what it keeps in memory.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether this is the process that does what one of all should do, such as reading the stream of payments. Two may believe so for a moment: what is
    /// done twice has to be done with the same result.
    ///
    /// A store that only one process can open answers yes, which is what this does.
    async fn is_first(&self) -> Result<bool, ReadError> {
        Ok(true)
    }

    /// Makes `owner` known as a process that lives, from now until it ends. The engine calls it once, before the owner takes anything.
    ///
    /// A store that only one process can open need not know, which is what this does; one that is shared keeps a lease for it.
    async fn enlist(&self, _owner: OwnerId) -> Result<(), ReadError> {
        Ok(())
    }

    /// Whether the operations of `owner` may be taken over: it is dead, or has not been heard of for so long that it has lost them. It may still
    /// wake up; what it then settles is refused, because the row of the operation has another owner.
    async fn owner_has_lapsed(&self, owner: OwnerId) -> Result<bool, ReadError> {
        self.owner_is_dead(owner).await
    }

    /// Whether the process that owned operations as `owner` can no longer act: proof, and not only long silence.
    ///
    /// A store that only one process can open answers yes for everyone but the caller, which is what this does; one that is
    /// shared asks the owner's lease.
    async fn owner_is_dead(&self, _owner: OwnerId) -> Result<bool, ReadError> {
        Ok(true)
    }

    /// Whether this process may send a payment now: nobody else can take over what it holds before the payment has arrived. Asked as the last
    /// thing before the payment leaves, so it reads a clock and nothing else.
    ///
    /// A store that only one process can open answers yes, which is what this does; one that is shared looks how long its lease still runs.
    fn may_pay(&self) -> bool {
        true
    }

    /// How far the stream of a payment method has been read; 0 before the first credit with a cursor.
    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError>;
}
