//! How far an operation got: one struct for each state, with the name under which it is stored.
//!
//! ```text
//! mint     MintQuoted -> MintRequested -> MintIssued
//! send     SendPrepared -> SendRequested -> SendCompleted      (without a swap: SendPrepared -> SendCompleted)
//! receive  ReceiveRequested -> ReceiveCompleted                (offline: ReceiveStored -> ReceiveRequested)
//!                          \-> ReceiveAbandoned
//! swap     SwapRequested -> SwapCompleted
//! melt     MeltPrepared -> MeltRequested -> MeltPaid
//!                                       \-> MeltReplaced -> Refused
//! restore  RestoreScanning -> RestoreCompleted
//! ```
//!
//! Everything up to a `Prepared` or `Quoted` state can be [`Cancelled`]. A `Requested` state holds the whole request as it
//! leaves, and is left only by evidence from the mint. [`Refused`] is the end of an operation that never was applied.

use hazel_protocol::{Amount, KeysetId, MeltRequest, MintRequest, PointBytes, Proof, QuoteId, SwapRequest};
use serde::{Deserialize, Serialize};

use crate::lock::LockTerms;
use crate::ports::OperationKind;

/// An output of a request, by what it takes to derive it again (NUT-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutput {
    /// The value asked for, in the minor unit; of no meaning for [`Purpose::Blank`].
    pub amount: Amount,
    /// The keyset.
    pub keyset: KeysetId,
    /// The counter under that keyset.
    pub counter: u64,
    /// What the proof made of it is for.
    pub purpose: Purpose,
}

/// What an output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Stays in the wallet.
    Keep,
    /// Goes into the token of the operation.
    Send,
    /// Waits for change whose value the mint decides (NUT-08).
    Blank,
}

/// How often a request was sent, and what the mint said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dispatch {
    /// How many copies of the request may have left, counted before each is sent.
    pub copies: u32,
    /// The NUT code with which the mint last refused a copy.
    pub refused: Option<u16>,
    /// Whether the mint said that it works on the request.
    pub pending: bool,
}

impl Dispatch {
    /// The first copy is about to leave.
    pub const FIRST: Self = Self { copies: 1, refused: None, pending: false };

    /// Another copy is about to leave.
    #[must_use]
    pub fn again(self) -> Self {
        Self { copies: self.copies.saturating_add(1), refused: None, pending: false }
    }

    /// Whether the only copy that ever left was refused, so that none can be applied any more.
    pub fn finally_refused(&self) -> bool {
        self.copies == 1 && self.refused.is_some()
    }
}

/// A swap as it was sent, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request, whole.
    pub request: SwapRequest,
    /// Its outputs, in its order.
    pub outputs: Vec<PlannedOutput>,
    /// The lock on the outputs that go into a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockTerms>,
    /// The ephemeral keys of inputs with blinded locks (NUT-28), which the request does not tell the mint, in the order of the inputs;
    /// empty when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ephemeral: Vec<Option<PointBytes>>,
    /// What the mint takes (NUT-02), in the minor unit.
    pub fee: Amount,
    /// How often it was sent.
    pub dispatch: Dispatch,
    /// Outputs of former requests on the same inputs that may still reach the mint. One request at most is applied.
    pub superseded: Vec<Vec<PlannedOutput>>,
}

impl Exchange {
    /// The inputs with what it takes to open their locks anew.
    pub(crate) fn inputs(&self) -> Vec<Proof> {
        let ephemeral = self.ephemeral.iter().copied().chain(std::iter::repeat(None));
        let inputs = self.request.inputs.iter().cloned().zip(ephemeral);
        inputs.map(|(proof, p2pk_e)| Proof { p2pk_e, ..proof }).collect()
    }
}

/// An invoice was asked for; it may be paid at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintQuoted {
    /// The quote.
    pub quote: QuoteId,
    /// The BOLT11 invoice.
    pub request: String,
    /// What it is for, in the minor unit.
    pub amount: Amount,
    /// Until when it can be paid, in seconds since 1970.
    pub expiry: Option<u64>,
    /// Whether the mint said that it is paid.
    pub paid: bool,
    /// What the key that the quote is locked to derives from (NUT-20), with the seed; none for a quote without a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<[u8; 16]>,
}

/// The paid quote was exchanged for signatures, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintRequested {
    /// The quote.
    pub quoted: MintQuoted,
    /// The request, whole.
    pub request: MintRequest,
    /// Its outputs, in its order.
    pub outputs: Vec<PlannedOutput>,
    /// How often it was sent.
    pub dispatch: Dispatch,
    /// Outputs of former requests on the same quote that may still reach the mint.
    pub superseded: Vec<Vec<PlannedOutput>>,
}

/// The ecash of a quote is in the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintIssued {
    /// The quote.
    pub quote: QuoteId,
    /// How much, in the minor unit.
    pub amount: Amount,
}

/// The quote was not paid in time. Should it be paid after all, the ecash is still there to be minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintExpired {
    /// The quote.
    pub quoted: MintQuoted,
}

/// Proofs are held for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendPrepared {
    /// What the receiver gets, in the minor unit.
    pub amount: Amount,
    /// What the token holds: `amount`, and the receiver's fee if the sender pays it.
    pub token_value: Amount,
    /// What the mint takes for the swap before, in the minor unit; zero when none is needed.
    pub fee: Amount,
    /// Whether the proofs must be swapped first.
    pub swap: bool,
    /// The memo of the token.
    pub memo: Option<String>,
    /// The lock on the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockTerms>,
}

/// The swap that makes the proofs of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequested {
    /// What was asked for.
    pub prepared: SendPrepared,
    /// The swap.
    pub exchange: Exchange,
}

/// The token can be handed out: its proofs are those the operation has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendCompleted {
    /// What the token holds, in the minor unit.
    pub token_value: Amount,
    /// The memo of the token.
    pub memo: Option<String>,
}

/// Somebody else's proofs that only this wallet can open, kept until the mint can be asked to swap them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStored {
    /// The memo of the token.
    pub memo: Option<String>,
    /// The proofs, each locked to this wallet and with its DLEQ proof.
    pub proofs: Vec<Proof>,
}

/// The swap that makes somebody else's proofs our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveRequested {
    /// The memo of the token.
    pub memo: Option<String>,
    /// The swap.
    pub exchange: Exchange,
}

/// The token's money is in the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveCompleted {
    /// How much arrived, after the fee, in the minor unit.
    pub amount: Amount,
}

/// The mint says for good that the token's proofs are not its own, while a copy of the swap may still be under way. Should it
/// be applied after all, the outputs tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveAbandoned {
    /// The NUT error code.
    pub code: u16,
    /// Outputs of every request that was made.
    pub outputs: Vec<PlannedOutput>,
}

/// A swap of own proofs for own new ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapRequested {
    /// The swap.
    pub exchange: Exchange,
}

/// The new proofs are in the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapCompleted {
    /// How much, after the fee, in the minor unit.
    pub amount: Amount,
}

/// What paying an invoice costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltQuote {
    /// The quote.
    pub quote: QuoteId,
    /// The BOLT11 invoice.
    pub request: String,
    /// What the receiver of the payment gets, in the minor unit.
    pub amount: Amount,
    /// The most that routing may cost, in the minor unit.
    pub fee_reserve: Amount,
    /// Until when the quote holds, in seconds since 1970.
    pub expiry: Option<u64>,
}

/// Proofs are held for a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltPrepared {
    /// The quote.
    pub quote: MeltQuote,
    /// The value of the proofs, in the minor unit.
    pub inputs: Amount,
    /// What the mint takes for the proofs (NUT-02), in the minor unit; with that of the swap before, if there is one.
    pub input_fee: Amount,
    /// Whether the proofs must be swapped for fitting ones first, because the mint gives no change.
    pub swap: bool,
}

/// The payment was ordered, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltRequested {
    /// What was prepared.
    pub prepared: MeltPrepared,
    /// The request, whole.
    pub request: MeltRequest,
    /// Its blank outputs, in its order.
    pub blanks: Vec<PlannedOutput>,
    /// How often it was sent.
    pub dispatch: Dispatch,
}

/// The mint refused the payment while an earlier copy of the order may still reach it: its proofs are swapped for own new ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltReplaced {
    /// The order that may still reach the mint.
    pub requested: MeltRequested,
    /// The swap.
    pub exchange: Exchange,
}

/// The invoice is paid and the change in the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltPaid {
    /// The quote.
    pub quote: QuoteId,
    /// What the receiver of the payment got, in the minor unit.
    pub amount: Amount,
    /// What mint and network took, in the minor unit.
    pub fee: Amount,
    /// What came back, in the minor unit.
    pub change: Amount,
    /// The proof of payment, as the mint wrote it.
    pub preimage: Option<String>,
}

/// The mint is asked for everything that the seed ever got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreScanning {
    /// The keysets to scan, in the order they are scanned.
    pub keysets: Vec<KeysetScan>,
    /// Value of the unspent proofs found so far, in the minor unit.
    pub found: Amount,
    /// Signatures so far that were none. A count.
    #[serde(default)]
    pub bad: u64,
}

/// How far the scan of one keyset got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysetScan {
    /// The keyset.
    pub keyset: KeysetId,
    /// The next counter to ask for.
    pub next: u64,
    /// Batches without a signature since the last one with any.
    pub empty_batches: u32,
    /// Whether the scan of this keyset is done.
    pub done: bool,
}

/// Everything the mint signed for the seed has been looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreCompleted {
    /// Value of the unspent proofs found, in the minor unit.
    pub found: Amount,
}

/// Given up before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// What it would have been.
    pub kind: OperationKind,
}

/// The mint refused, finally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What it would have been.
    pub kind: OperationKind,
    /// The NUT error code, if there was one.
    pub code: Option<u16>,
}

macro_rules! states {
    ($($name:ident: $kind:ident, $end:ident;)*) => {
        /// The state of an operation.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant holds the struct of its name")]
        pub enum State {
            $($name($name),)*
            Cancelled(Cancelled),
            Refused(Refused),
        }

        impl State {
            /// The stored name, which is the name of the struct.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                    Self::Cancelled(_) => "Cancelled",
                    Self::Refused(_) => "Refused",
                }
            }

            /// What the operation is for.
            pub const fn kind(&self) -> OperationKind {
                match self {
                    $(Self::$name(_) => OperationKind::$kind,)*
                    Self::Cancelled(end) => end.kind,
                    Self::Refused(end) => end.kind,
                }
            }

            /// Whether the operation is over.
            pub const fn is_finished(&self) -> bool {
                match self {
                    $(Self::$name(_) => states!(@end $end),)*
                    Self::Cancelled(_) | Self::Refused(_) => true,
                }
            }
        }

        $(impl From<$name> for State {
            fn from(state: $name) -> Self {
                Self::$name(state)
            }
        })*
    };
    (@end open) => { false };
    (@end end) => { true };
}

states! {
    MintQuoted: Mint, open;
    MintRequested: Mint, open;
    MintIssued: Mint, end;
    MintExpired: Mint, end;
    SendPrepared: Send, open;
    SendRequested: Send, open;
    SendCompleted: Send, end;
    ReceiveStored: Receive, open;
    ReceiveRequested: Receive, open;
    ReceiveCompleted: Receive, end;
    ReceiveAbandoned: Receive, end;
    SwapRequested: Swap, open;
    SwapCompleted: Swap, end;
    MeltPrepared: Melt, open;
    MeltRequested: Melt, open;
    MeltReplaced: Melt, open;
    MeltPaid: Melt, end;
    RestoreScanning: Restore, open;
    RestoreCompleted: Restore, end;
}

impl From<Cancelled> for State {
    fn from(state: Cancelled) -> Self {
        Self::Cancelled(state)
    }
}

impl From<Refused> for State {
    fn from(state: Refused) -> Self {
        Self::Refused(state)
    }
}

impl State {
    /// Every output that a request of the unfinished or watched operation may have had signed.
    pub fn outputs(&self) -> Vec<&PlannedOutput> {
        fn of(exchange: &Exchange) -> Vec<&PlannedOutput> {
            exchange.outputs.iter().chain(exchange.superseded.iter().flatten()).collect()
        }
        match self {
            Self::MintRequested(state) => state.outputs.iter().chain(state.superseded.iter().flatten()).collect(),
            Self::SendRequested(state) => of(&state.exchange),
            Self::ReceiveRequested(state) => of(&state.exchange),
            Self::ReceiveAbandoned(state) => state.outputs.iter().collect(),
            Self::SwapRequested(state) => of(&state.exchange),
            Self::MeltRequested(state) => state.blanks.iter().collect(),
            Self::MeltReplaced(state) => state.requested.blanks.iter().chain(of(&state.exchange)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether something at the mint may still turn up for the finished operation.
    pub const fn is_watched(&self) -> bool {
        matches!(self, Self::MintExpired(_) | Self::ReceiveAbandoned(_))
    }
}
