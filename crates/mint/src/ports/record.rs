//! The rows of the ledger as plain data.

use std::fmt;

use hazel_protocol::{Amount, CurrencyUnit, Dleq, KeysetId, KeysetKeys, PointBytes, PublicKey, QuoteId, Witness};

use super::Timestamp;
use crate::rate::Rate;

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps the 16 bytes of an id.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id as it is stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&uuid::Uuid::from_bytes(self.0), f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse::<uuid::Uuid>().map(|id| Self(id.into_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id16! {
    /// One attempt at one operation: a UUID v7, so that ids made later sort later. Never reused.
    OperationId
}

id16! {
    /// One start of one mint process: random, never reused, never configured.
    OwnerId
}

/// What an operation does with money. Stored beside every proof and blind signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// NUT-03: proofs in, blind signatures out.
    Swap,
    /// NUT-04: a paid quote in, blind signatures out.
    Issue,
    /// NUT-05: proofs in, a Lightning payment and its change out.
    Melt,
}

impl OperationKind {
    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Issue => "issue",
            Self::Melt => "melt",
        }
    }

    /// Reads the stored spelling; `None` for any other text.
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::Swap, Self::Issue, Self::Melt].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where an unfinished operation stands. A finished one has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationState {
    /// Swap: inputs PENDING, outputs reserved, nothing signed in the ledger.
    SetupComplete,
    /// Melt: inputs PENDING, blanks stored, the backend has not been called.
    Reserved,
    /// Melt: the backend may have been called with our payment id.
    Dispatched,
    /// Melt: the backend has proven the payment; its settlement is owed.
    Paid,
    /// Melt: the backend has reported this attempt as finally failed.
    Failed,
    /// Melt: the backend has acknowledged the payment, and its end is not known. Only evidence leads out of here.
    Unknown,
}

impl OperationState {
    /// Every state, in the order of the sagas.
    pub const ALL: [Self; 6] =
        [Self::SetupComplete, Self::Reserved, Self::Dispatched, Self::Paid, Self::Failed, Self::Unknown];

    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SetupComplete => "setup_complete",
            Self::Reserved => "reserved",
            Self::Dispatched => "dispatched",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the stored spelling; `None` for any other text.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// An unfinished operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    /// Its id; the key of the row, and the fence: whoever ends the row has ended the operation.
    pub id: OperationId,
    /// Swap or melt. An issue has no intermediate state and so no row.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// The process that drives it.
    pub owner: OwnerId,
    /// When it was reserved.
    pub created_at: Timestamp,
    /// The melt's part; `None` for a swap.
    pub melt: Option<MeltProgress>,
}

/// What is known of a melt that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeltProgress {
    /// The quote being paid.
    pub quote: QuoteId,
    /// Written by `DispatchMelt`: no process may call the backend after this time. `None` while `Reserved`.
    pub not_after: Option<Timestamp>,
    /// The owner that dispatched last, and so may still be about to call the backend.
    pub dispatched_by: Option<OwnerId>,
    /// The evidence; `Some` exactly in the state `Paid`.
    pub paid: Option<PaidEvidence>,
}

/// Why an outgoing payment counts as made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PaymentProof {
    /// 32 bytes that hash to the invoice's payment hash.
    Preimage([u8; 32]),
    /// The backend's own word, believed only from one whose [`Capabilities`](super::Capabilities) say `vouches`.
    Vouched,
}

impl PaymentProof {
    /// The preimage, where there is one.
    pub const fn preimage(&self) -> Option<[u8; 32]> {
        match self {
            Self::Preimage(bytes) => Some(*bytes),
            Self::Vouched => None,
        }
    }
}

impl fmt::Debug for PaymentProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preimage(_) => "Preimage",
            Self::Vouched => "Vouched",
        })
    }
}

/// Proof that an outgoing payment was made.
#[derive(Clone, PartialEq, Eq)]
pub struct PaidEvidence {
    /// The preimage or what stands for it.
    pub proof: PaymentProof,
    /// Amount and routing fee together, in msat.
    pub total_msat: u64,
}

impl fmt::Debug for PaidEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaidEvidence").field("proof", &self.proof).field("total_msat", &self.total_msat).finish()
    }
}

/// A proof as the ledger keeps it. The secret itself is not stored: `y` is all that spending once needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRow {
    /// `hash_to_curve(secret)`; unique over all keysets.
    pub y: PointBytes,
    /// The keyset that signed it.
    pub keyset: KeysetId,
    /// Its value in the keyset's unit.
    pub amount: Amount,
    /// The unblinded signature.
    pub c: PointBytes,
    /// What unlocked it, for NUT-07.
    pub witness: Option<Witness>,
}

/// Whether a known proof can still come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputState {
    /// Held by an unfinished operation.
    Pending,
    /// Gone for ever.
    Spent,
}

/// A proof the ledger knows, and the operation that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownInput {
    /// The proof.
    pub row: InputRow,
    /// PENDING or SPENT; a proof the ledger does not know is UNSPENT.
    pub state: InputState,
    /// The operation that holds or spent it.
    pub operation: OperationId,
    /// That operation's kind.
    pub kind: OperationKind,
}

/// An output that is to be signed. For a melt's blank the amount is zero until it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRow {
    /// The blinded message `B_`; unique over all keysets.
    pub b: PointBytes,
    /// The keyset that shall sign it.
    pub keyset: KeysetId,
    /// Its value in the keyset's unit.
    pub amount: Amount,
}

/// An output with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRow {
    /// What was signed. For melt change the amount imprinted on the blank.
    pub output: OutputRow,
    /// The blind signature `C_`.
    pub c: PointBytes,
    /// Its NUT-12 proof.
    pub dleq: Dleq,
}

/// An output the ledger knows, and the operation that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOutput {
    /// The output.
    pub output: OutputRow,
    /// `C_` and its proof once signed, `None` while reserved (or a blank that got no change).
    pub signature: Option<(PointBytes, Dleq)>,
    /// The operation that reserved or signed it.
    pub operation: OperationId,
    /// That operation's kind.
    pub kind: OperationKind,
}

/// Everything one operation brought into the ledger, in the order of its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Its inputs.
    pub inputs: Vec<KnownInput>,
    /// Its outputs, signed or not.
    pub outputs: Vec<KnownOutput>,
    /// Issue: the quotes it drew on; melt: the quote it paid; swap: none.
    pub quotes: Vec<QuoteId>,
}

/// NUT-04: a promise to issue ecash for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintQuote {
    /// Bearer secret of the user; a UUID v7 with 74 random bits.
    pub id: QuoteId,
    /// The payment method, e.g. `bolt11`.
    pub method: String,
    /// The unit of the ecash.
    pub unit: CurrencyUnit,
    /// What one `unit` is worth, as agreed when it was opened.
    pub rate: Rate,
    /// What was asked for, in `unit`.
    pub amount: Option<Amount>,
    /// What the payer pays: the invoice.
    pub request: String,
    /// The invoice's payment hash; unique.
    pub payment_hash: [u8; 32],
    /// NUT-20: the key that must sign the mint request.
    pub pubkey: Option<PublicKey>,
    /// When the invoice expires. A quote that was paid can be issued after that.
    pub expiry: Timestamp,
    /// When it was opened.
    pub created_at: Timestamp,
    /// `max(now, previous + 1)` at each change, set by the store.
    pub updated_at: Timestamp,
    /// The sum of its credits, in `unit`.
    pub amount_paid: Amount,
    /// The sum of what was issued on it, in `unit`; at most `amount_paid`.
    pub amount_issued: Amount,
}

/// Where a melt quote stands (NUT-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeltQuoteStatus {
    /// Nothing is being paid.
    Unpaid,
    /// An operation holds it.
    Pending,
    /// Paid; final.
    Paid,
}

/// NUT-05: an offer to pay an invoice for ecash.
#[derive(Clone, PartialEq, Eq)]
pub struct MeltQuote {
    /// Bearer secret of the user; a UUID v7 with 74 random bits.
    pub id: QuoteId,
    /// The payment method, e.g. `bolt11`.
    pub method: String,
    /// The unit of the ecash.
    pub unit: CurrencyUnit,
    /// What one `unit` is worth, as agreed when it was opened. Fees are capped and change is reckoned by it.
    pub rate: Rate,
    /// The invoice to pay.
    pub request: String,
    /// Its payment hash.
    pub payment_hash: [u8; 32],
    /// What the payee gets, in msat.
    pub amount_msat: u64,
    /// What the payee gets, in `unit`, rounded up.
    pub amount: Amount,
    /// What routing may cost at most, in `unit`.
    pub fee_reserve: Amount,
    /// Until when the offer stands.
    pub expiry: Timestamp,
    /// When it was opened.
    pub created_at: Timestamp,
    /// `max(now, previous + 1)` at each change, set by the store.
    pub updated_at: Timestamp,
    /// UNPAID, PENDING or PAID; set by the store.
    pub status: MeltQuoteStatus,
    /// The operation that holds it or paid it; `None` while UNPAID. Set by the store.
    pub operation: Option<OperationId>,
    /// The preimage once PAID. `None` while it is not, and where a payment was vouched for or settled inside the mint without one.
    pub preimage: Option<[u8; 32]>,
}

impl fmt::Debug for MeltQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeltQuote")
            .field("id", &self.id)
            .field("unit", &self.unit)
            .field("amount", &self.amount)
            .field("fee_reserve", &self.fee_reserve)
            .field("status", &self.status)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// Where a keyset's private keys come from, and what that means for its books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeysetOrigin {
    /// Derived from the mint's seed. Its totals are whole from its first signature.
    Seed {
        /// The index in the unit's derivation path; unique per unit.
        index: u32,
    },
    /// Brought from another mint, with its private keys.
    Import {
        /// What was signed of it elsewhere and is not among the rows of this ledger, in its unit. `None` while nobody has said:
        /// then the keyset is unmetered, and nothing bounds what is redeemed of it.
        carried: Option<Amount>,
    },
}

impl KeysetOrigin {
    /// What was signed elsewhere; zero for a keyset of the seed, `None` for an import that is unmetered.
    pub const fn carried(&self) -> Option<Amount> {
        match self {
            Self::Seed { .. } => Some(Amount::ZERO),
            Self::Import { carried } => *carried,
        }
    }
}

/// A keyset as the ledger keeps it: public keys and where the private ones come from, never those themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysetRecord {
    /// NUT-02 id.
    pub id: KeysetId,
    /// Its unit.
    pub unit: CurrencyUnit,
    /// Where its private keys come from.
    pub origin: KeysetOrigin,
    /// Whether it signs. At most one per unit.
    pub active: bool,
    /// Fee per input, in thousandths of the unit.
    pub input_fee_ppk: u64,
    /// NUT-02 final expiry.
    pub final_expiry: Option<Timestamp>,
    /// Its public keys by amount; those of the private keys must equal them.
    pub keys: KeysetKeys,
    /// When it was added.
    pub created_at: Timestamp,
    /// Set when more was presented than ever issued; nothing of it is redeemed until an operator clears it.
    pub latched: bool,
}

impl KeysetRecord {
    /// The index in the unit's derivation path; `None` for an import.
    pub const fn index(&self) -> Option<u32> {
        match self.origin {
            KeysetOrigin::Seed { index } => Some(index),
            KeysetOrigin::Import { .. } => None,
        }
    }

    /// What was signed of it elsewhere; zero for a keyset of the seed, `None` for an import that is unmetered.
    pub const fn carried(&self) -> Option<Amount> {
        self.origin.carried()
    }

    /// Whether its final expiry has passed.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.final_expiry.is_some_and(|expiry| expiry <= now)
    }

    /// Whether it signs outputs: nothing is sold that could not be spent.
    pub fn signs(&self, now: Timestamp) -> bool {
        self.active && !self.latched && !self.has_expired(now)
    }
}

/// The money of one keyset, in its unit. The store keeps `redeemed + reserved <= issued`, with what an import carries on the right
/// side; an import that is unmetered has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeysetTotals {
    /// The sum of everything ever signed.
    pub issued: Amount,
    /// The sum of everything ever spent.
    pub redeemed: Amount,
    /// The sum held by unfinished operations.
    pub reserved: Amount,
    /// The part of `redeemed` kept as NUT-02 input fees and unclaimed melt reserves.
    pub fees: Amount,
}
