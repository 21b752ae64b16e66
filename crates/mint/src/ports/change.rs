//! Every way the ledger can change: one struct per business event, its preconditions in its docs.
//!
//! A change applies whole or not at all. Sent again while its effect stands it answers as the first time.
//! Each is durable before it is acknowledged, except [`ReserveSwap`] and [`ReleaseSwap`], which need only be visible.

use std::fmt;

use hazel_protocol::{Amount, KeysetId, PaymentMethod, QuoteId};

use super::Timestamp;
use super::administer::Administer;
use super::record::{
    InputRow, KeysetRecord, MeltQuote, MintQuote, OperationId, OutputRow, OwnerId, PaidEvidence, SignedRow,
};

/// One atomic change of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is documented at its struct")]
pub enum Change {
    BindSeed(BindSeed),
    AddKeyset(AddKeyset),
    LatchKeyset(LatchKeyset),
    Administer(Administer),
    OpenMintQuote(OpenMintQuote),
    CreditMintQuote(CreditMintQuote),
    Issue(Issue),
    ReserveSwap(ReserveSwap),
    SettleSwap(SettleSwap),
    ReleaseSwap(ReleaseSwap),
    ResolveSwap(ResolveSwap),
    OpenMeltQuote(OpenMeltQuote),
    ReserveMelt(ReserveMelt),
    DispatchMelt(DispatchMelt),
    RecordMelt(RecordMelt),
    SettleMelt(SettleMelt),
    SettleInternally(SettleInternally),
    ReleaseMelt(ReleaseMelt),
    TakeOver(TakeOver),
    Prune(Prune),
}

impl Change {
    /// Whether it must be durable before it is acknowledged. Only a swap's reservation and release need not be:
    /// when they are lost, everything they did is lost together and a later settle fails at the missing row.
    pub const fn durable(&self) -> bool {
        !matches!(self, Self::ReserveSwap(_) | Self::ReleaseSwap(_))
    }
}

/// What an applied change says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It stands; there is nothing more to say.
    Done,
    /// The mint quote as it now is (`OpenMintQuote`, `CreditMintQuote`).
    MintQuote(MintQuote),
    /// The melt quote as it now is (`OpenMeltQuote`, every change of a melt).
    MeltQuote(MeltQuote),
    /// The signatures in the ledger, in the order of the operation's outputs (`Issue`, `SettleSwap`).
    Signatures(Vec<SignedRow>),
    /// What became of an interrupted swap (`ResolveSwap`).
    Resolved(SwapResolution),
    /// How many rows went (`Prune`).
    Pruned(u64),
}

/// Ties the database to one seed.
///
/// Writes `fingerprint` when the database has none. Otherwise it must be equal: [`Conflict::OtherSeed`](super::Conflict).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindSeed {
    /// A hash from which the seed cannot be found.
    pub fingerprint: [u8; 32],
}

/// Adds a keyset; when it is active, every other keyset of its unit becomes inactive in the same change.
///
/// Refused when another keyset has its id, or its unit and index, with other contents ([`Conflict::KeysetExists`](super::Conflict)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddKeyset {
    /// The new keyset: `latched: false`, or for an import `latched: true`, until its history is in.
    pub keyset: KeysetRecord,
}

/// Stops (or, by an operator's hand, allows again) redemption of one keyset. Refused when it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatchKeyset {
    /// The keyset.
    pub keyset: KeysetId,
    /// True stops, false allows.
    pub latched: bool,
}

/// Records a new mint quote with nothing paid and nothing issued.
///
/// Refused when its id or payment hash exists with other contents ([`Conflict::QuoteExists`](super::Conflict)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMintQuote {
    /// The quote; `amount_paid` and `amount_issued` are zero.
    pub quote: MintQuote,
}

/// Records money that arrived for a mint quote.
///
/// A credit id counts once, however often it is delivered; again it changes nothing and answers with the quote.
/// Refused when the quote is unknown. The cursor of the stream of the quote's payment method, if
/// given, moves in the same change and only forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditMintQuote {
    /// The quote that was paid.
    pub quote: QuoteId,
    /// The backend's name for this one payment, unique over all credits; `internal:<melt quote>` for own invoices.
    pub credit: String,
    /// What arrived, in the quote's unit, rounded down; not zero.
    pub amount: Amount,
    /// How far the backend's stream has been read once this is applied.
    pub cursor: Option<u64>,
    /// The time of the change.
    pub now: Timestamp,
}

/// Issues ecash on paid quotes: one commit decides, no intermediate state.
///
/// For each quote `issued + amount <= paid`, else [`Conflict::QuoteNotPaid`](super::Conflict) (nothing issued yet) or
/// `QuoteIssued`. No output known to the ledger, else `OutputsSigned` or `OutputsPending`.
/// `issued` of each keyset grows. Applied again with the same operation it answers with its signatures, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The attempt.
    pub operation: OperationId,
    /// What is drawn from each quote, in its unit; one quote for NUT-04, several for NUT-29. No quote twice.
    pub draws: Vec<(QuoteId, Amount)>,
    /// The outputs with their signatures; their sum is the sum of the draws.
    pub outputs: Vec<SignedRow>,
    /// The time of the change.
    pub now: Timestamp,
}

/// `Initial -> SetupComplete`: inputs become PENDING, outputs reserved, the operation row is written.
///
/// Refused, in this order: by a tombstone or a finished operation of this id (`OperationEnded`); an input SPENT; an input
/// PENDING; an output signed; an output pending; a keyset latched; `redeemed + reserved + inputs > issued` (`Overdrawn`).
/// Visible, not durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveSwap {
    /// The attempt; a new try takes a new id.
    pub operation: OperationId,
    /// Who drives it.
    pub owner: OwnerId,
    /// The verified inputs, no Y twice.
    pub inputs: Vec<InputRow>,
    /// The outputs, no B_ twice.
    pub outputs: Vec<OutputRow>,
    /// The time of the change.
    pub now: Timestamp,
}

/// `Signed -> Completed`: signatures are stored, inputs become SPENT, the operation row goes.
///
/// Refused when the operation has no row of this owner (`OperationGone`), unless it finished with exactly these outputs: then it
/// answers with their stored signatures. Refused when a keyset of the inputs is `Overdrawn` (a leaked key; two
/// reservations that could not see each other). `reserved` shrinks, `redeemed`, `issued` and `fees` grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleSwap {
    /// The attempt.
    pub operation: OperationId,
    /// Who drives it; the fence.
    pub owner: OwnerId,
    /// Every reserved output with its signature, in the order of the reservation.
    pub outputs: Vec<SignedRow>,
    /// The NUT-02 fee by keyset; the sum is inputs minus outputs.
    pub fees: Vec<(KeysetId, Amount)>,
    /// The time of the change.
    pub now: Timestamp,
}

/// Undoes a reservation: PENDING inputs, reserved outputs and the operation row go, `reserved` shrinks.
///
/// When there is no row it leaves a tombstone, kept for an hour, that a late `ReserveSwap` of this id collides with.
/// Refused when the operation has finished (`OperationEnded`) or belongs to another owner (`OperationGone`); `Corrupt` when other hands
/// have stored a signature for it, which [`ResolveSwap`] decides. Visible, not durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSwap {
    /// The attempt.
    pub operation: OperationId,
    /// Who drives it; the fence.
    pub owner: OwnerId,
    /// The time of the change.
    pub now: Timestamp,
}

/// Decides an interrupted swap by what the ledger holds of it.
///
/// All its outputs signed: its inputs become SPENT and the row goes. None: inputs, outputs and row are removed.
/// Some but not all: nothing is touched. Refused when it has no row of kind swap of this owner (`OperationGone`).
/// Only its PENDING rows are acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveSwap {
    /// The interrupted attempt.
    pub operation: OperationId,
    /// The owner in the row; take over first.
    pub owner: OwnerId,
    /// The time of the change.
    pub now: Timestamp,
}

/// What [`ResolveSwap`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapResolution {
    /// Signatures for every output were there: inputs are SPENT.
    Spent,
    /// No signature was there: inputs can be spent again.
    Removed,
    /// Some outputs are signed and some are not: nothing was touched, an operator must look.
    Mixed,
}

/// Records a new melt quote, UNPAID.
///
/// Refused when its id exists with other contents (`QuoteExists`), or another quote of its payment hash is PENDING
/// (`InvoicePending`) or PAID (`InvoicePaid`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMeltQuote {
    /// The quote, `status: Unpaid`.
    pub quote: MeltQuote,
}

/// Takes custody of a melt's inputs: they become PENDING, the blanks are stored in order, the quote becomes PENDING.
///
/// Refused, in this order: `OperationEnded`; quote unknown, PAID or PENDING; another quote of the same payment hash PENDING or
/// PAID; then inputs, outputs and totals as for [`ReserveSwap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveMelt {
    /// The attempt.
    pub operation: OperationId,
    /// Who drives it.
    pub owner: OwnerId,
    /// The quote to pay.
    pub quote: QuoteId,
    /// The verified inputs, no Y twice.
    pub inputs: Vec<InputRow>,
    /// NUT-08 blanks, amount zero, no B_ twice, in the order of the request.
    pub blanks: Vec<OutputRow>,
    /// The time of the change.
    pub now: Timestamp,
}

/// `Reserved | Unknown -> Dispatched`: after this is durable the backend may be called, until `not_after`.
///
/// Refused when there is no row of this owner (`OperationGone`), in another state (`WrongState`), or a keyset of the inputs is
/// `Overdrawn`. From `Unknown` only a backend that is idempotent by our payment id may be called again.
/// Sent again while `Dispatched` by the same owner it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchMelt {
    /// The attempt; also our stable payment id.
    pub operation: OperationId,
    /// Who drives it; the fence.
    pub owner: OwnerId,
    /// No process may call the backend after this time.
    pub not_after: Timestamp,
    /// The time of the change.
    pub now: Timestamp,
}

/// What the backend's word on a dispatched payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeltOutcome {
    /// Paid, with the proof.
    Paid(PaidEvidence),
    /// This attempt has finally failed, and no process can still call `pay`.
    Failed,
    /// The backend has the payment; how it ends is not known.
    Unknown,
}

/// Writes down the backend's word.
///
/// `Paid` is final evidence: accepted from any owner (give the one in the row or your own) and from every state but
/// `Reserved`. `Failed` and `Unknown` need the row's owner and a state of `Dispatched` or `Unknown`, else `OperationGone` or
/// `WrongState`. Sent again with the same outcome it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMelt {
    /// The attempt.
    pub operation: OperationId,
    /// Who says so.
    pub owner: OwnerId,
    /// The word.
    pub outcome: MeltOutcome,
    /// The time of the change.
    pub now: Timestamp,
}

/// `Paid -> ` ended: inputs become SPENT, change is stored, the quote becomes PAID with its preimage, the row goes.
///
/// Needs a row in state `Paid` (any owner may settle), else `OperationGone` or `WrongState`; when the operation finished already it
/// answers with the quote. `change` names blanks of this operation, each with its imprinted amount and signature; blanks left out stay
/// unsigned until they are pruned. Change counts as issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleMelt {
    /// The attempt.
    pub operation: OperationId,
    /// Signed blanks, in the order of the blanks.
    pub change: Vec<SignedRow>,
    /// What stays with the mint, by keyset: input fees and what the blanks could not carry.
    pub fees: Vec<(KeysetId, Amount)>,
    /// The time of the change.
    pub now: Timestamp,
}

/// `Reserved -> ` ended without the backend: the invoice is one of this mint's own. Both legs in one commit.
///
/// Needs a row of this owner in state `Reserved`. Refused with `MintQuoteSettled` when the mint quote has been paid or issued
/// already, with `UnitMismatch` when its unit differs. The credit id is `internal:<melt quote>`.
/// When the operation finished already it answers with the quote.
#[derive(Clone, PartialEq, Eq)]
pub struct SettleInternally {
    /// The attempt.
    pub operation: OperationId,
    /// Who drives it; the fence.
    pub owner: OwnerId,
    /// The mint quote whose invoice is being paid.
    pub mint_quote: QuoteId,
    /// What it is credited, in its unit.
    pub amount: Amount,
    /// Signed blanks, in the order of the blanks.
    pub change: Vec<SignedRow>,
    /// What stays with the mint, by keyset.
    pub fees: Vec<(KeysetId, Amount)>,
    /// The invoice's preimage where the backend gave it out.
    pub preimage: Option<[u8; 32]>,
    /// The time of the change.
    pub now: Timestamp,
}

impl fmt::Debug for SettleInternally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleInternally")
            .field("operation", &self.operation)
            .field("mint_quote", &self.mint_quote)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// `Reserved | Failed -> ` ended: inputs and blanks are removed, the quote is UNPAID again, the row goes.
///
/// Needs a row of this owner in one of these states, else `OperationGone` or `WrongState`. When there is no row and the operation did
/// not finish it leaves a tombstone and stands; when it finished: `OperationEnded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseMelt {
    /// The attempt.
    pub operation: OperationId,
    /// Who drives it; the fence.
    pub owner: OwnerId,
    /// The quote it would have paid.
    pub quote: QuoteId,
    /// The time of the change.
    pub now: Timestamp,
}

/// Makes `to` the owner of an unfinished operation of a dead owner.
///
/// Refused when the row is gone or has another owner, or the owner lives after all (`OperationGone`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeOver {
    /// The operation.
    pub operation: OperationId,
    /// Its owner so far, known to be dead.
    pub from: OwnerId,
    /// Its new owner.
    pub to: OwnerId,
    /// The time of the change.
    pub now: Timestamp,
}

/// Removes what nobody can need any more, at most `limit` rows of each kind: mint quotes of `method` never paid that expired before
/// `before`, UNPAID melt quotes of it that expired before `before`, unsigned blanks of melts PAID before `before` (so that a wallet restored from its
/// seed can use them), tombstones older than an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// The payment method whose quotes go: those of another may have been paid without anybody here knowing.
    pub method: PaymentMethod,
    /// Quotes that expired earlier than this go.
    pub before: Timestamp,
    /// At most this many of each kind.
    pub limit: u32,
    /// The time of the change.
    pub now: Timestamp,
}
