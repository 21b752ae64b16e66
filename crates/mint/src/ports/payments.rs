//! The Lightning node's port.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Timestamp;
use super::record::{OperationId, PaidEvidence};

/// What a backend can do. Advertised in NUT-06, so it must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent abilities, each shown or used by itself")]
pub struct Capabilities {
    /// Invoices can carry a description.
    pub description: bool,
    /// Invoices without an amount can be paid.
    pub amountless: bool,
    /// Part of an invoice can be paid (NUT-15).
    pub mpp: bool,
    /// A second `pay` with the same payment id never pays twice, even after a failure: it may be called again when the first is in doubt.
    pub idempotent_by_id: bool,
    /// Its word that a payment was made counts where it cannot show the preimage. False for every backend that moves real money.
    pub vouches: bool,
}

/// An invoice to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvoice {
    /// What the payer pays, in msat; not zero.
    pub amount_msat: u64,
    /// Shown to the payer.
    pub description: Option<String>,
    /// How long it can be paid, in seconds.
    pub expiry_secs: u32,
}

/// An invoice made by the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The BOLT11 text.
    pub request: String,
    /// Its payment hash.
    pub payment_hash: [u8; 32],
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Money that arrived on an invoice of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The invoice.
    pub payment_hash: [u8; 32],
    /// The backend's stable name of this one payment; delivered again it is the same.
    pub credit: String,
    /// What arrived, in msat.
    pub amount_msat: u64,
    /// Its place in the stream of settlements: greater than that of every earlier one.
    pub cursor: u64,
}

/// How much of an invoice is to be paid.
///
/// Without one of its own an amount below the invoice's is a mistake: only [`Part`](Self::Part) means it (NUT-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// What the invoice asks for.
    Whole,
    /// So many msat, because the invoice leaves it open (NUT-23).
    Chosen(u64),
    /// So many msat of what the invoice asks for: other nodes pay the rest (NUT-15).
    Part(u64),
}

/// What an invoice asks for and what paying it would cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The invoice's payment hash.
    pub payment_hash: [u8; 32],
    /// When the invoice expires, or has expired.
    pub expires_at: Timestamp,
    /// What the payee gets of this mint, in msat.
    pub amount_msat: u64,
    /// The most that routing may cost, in msat.
    pub fee_reserve_msat: u64,
}

/// What stops a process that has lost its operations to another from paying for them.
///
/// Between the commit that allows a payment and the call that makes it a process may be stopped for any time. So the backend asks once more, as the
/// last thing before the payment leaves.
#[derive(Clone, Default)]
pub struct Fence(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Fence {
    /// A fence that stands open while `holds` says so.
    pub fn new(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(holds)))
    }

    /// Whether the payment may be sent now. One that may not is refused as [`Refusal::TooLate`].
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|holds| holds())
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").finish_non_exhaustive()
    }
}

/// A payment to make.
#[derive(Debug, Clone)]
pub struct Payment {
    /// Our stable id; the operation's.
    pub id: OperationId,
    /// The invoice.
    pub request: String,
    /// What the payee gets, in msat. Less than the invoice asks for only where a [`Portion::Part`] was quoted: then the payment tells the
    /// payee the whole amount and waits for the other parts (NUT-15).
    pub amount_msat: u64,
    /// The most that routing may cost, in msat. A backend cannot be asked to pay without a cap.
    pub max_fee_msat: u64,
    /// The backend is not called after this time, and its own time-out ends by it.
    pub not_after: Timestamp,
    /// The backend is not called either when this is closed. The default is always open.
    pub fence: Fence,
}

/// What the backend knows of a payment by our id.
#[derive(Clone, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Paid; the proof has still to be checked against the payment hash.
    Paid(PaidEvidence),
    /// On its way.
    Pending,
    /// This attempt has finally failed: no part of it will be paid any more.
    Failed,
    /// The backend has never heard of this id.
    NeverHeard,
    /// The backend cannot say.
    Unknown,
}

impl fmt::Debug for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paid(_) => "Paid",
            Self::Pending => "Pending",
            Self::Failed => "Failed",
            Self::NeverHeard => "NeverHeard",
            Self::Unknown => "Unknown",
        })
    }
}

/// What is wrong with a request to the backend. Users read a fixed sentence for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It does not decode, or its signature is wrong.
    NotAnInvoice,
    /// It is of another network.
    WrongNetwork,
    /// It has expired.
    Expired,
    /// It has no amount and none was given.
    AmountMissing,
    /// The amount given is not the invoice's.
    AmountDiffers,
    /// The amount is zero or more than there is.
    AmountImpossible,
    /// This backend pays no invoices without an amount.
    AmountlessUnsupported,
    /// There is no way to the payee.
    NoRoute,
    /// The time in which it could have been sent is over.
    TooLate,
    /// Something else.
    Other,
}

/// Why the backend did not do as asked. The texts are for the log, never for users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentsError {
    /// The request itself is wrong. From `pay` it says that nothing was sent and nothing will be.
    #[error("the payment backend refuses: {1}")]
    Refused(Refusal, String),
    /// The backend is away, slow or broken. Says nothing about a payment that was under way.
    #[error("the payment backend is unavailable: {0}")]
    Unavailable(String),
}

/// Makes and pays invoices and reports what it knows.
///
/// [`PaymentsError::Unavailable`] from [`pay`](Payments::pay) is no evidence that nothing was paid. [`PaymentStatus::Failed`] is. So is
/// [`PaymentStatus::NeverHeard`], but only once no call can be on its way any more, and only of a payment the backend never acknowledged.
#[async_trait]
pub trait Payments: Send + Sync + 'static {
    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes an invoice.
    async fn create_invoice(&self, invoice: NewInvoice) -> Result<Invoice, PaymentsError>;

    /// Makes an invoice unpayable where the backend can; best effort.
    async fn cancel_invoice(&self, payment_hash: &[u8; 32]) -> Result<(), PaymentsError>;

    /// Settlements after `cursor`, oldest first, at most 1,000. Waits up to a few seconds for the first one.
    async fn settlements(&self, cursor: u64) -> Result<Vec<Settlement>, PaymentsError>;

    /// What arrived on one invoice; empty when nothing did.
    async fn invoice_settlements(&self, payment_hash: &[u8; 32]) -> Result<Vec<Settlement>, PaymentsError>;

    /// Reads `request` and says what paying so much of it would cost. A chosen amount must equal the invoice's where it has one; a part
    /// must not exceed it, and an invoice without an amount has no parts. A backend that cannot pay an expired invoice refuses it here.
    async fn route(&self, request: &str, portion: Portion) -> Result<Route, PaymentsError>;

    /// Pays. Returns what is known when it returns; `Pending` when it is still on its way.
    async fn pay(&self, payment: Payment) -> Result<PaymentStatus, PaymentsError>;

    /// The ids of payments that were made or are on their way, newest first, at most 1,000; those that failed are not among them. Other mints'
    /// on the same node may be. A backend that keeps no ids has none to give: then an old copy of the ledger is not noticed.
    async fn made(&self) -> Result<Vec<OperationId>, PaymentsError> {
        Ok(Vec::new())
    }

    /// What is known of the payment with our id.
    async fn status(&self, id: OperationId) -> Result<PaymentStatus, PaymentsError>;
}
