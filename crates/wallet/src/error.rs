//! Why something did not work, grouped by who can do something about it.

use hazel_protocol::conditions::ConditionError;
use hazel_protocol::{
    Amount, AmountError, CurrencyUnit, ErrorCode, KeysetId, MintUrl, PaymentRequestError, TokenError,
};

use crate::ports::{ApplyError, Conflict, ConnectorError, OperationId, ReadError, RemoteError};

/// What a mint did that no honest mint does. The wallet believes nothing of that answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The list of signatures has another length than the list of outputs.
    #[error("it returned {got} signatures for {expected} outputs")]
    SignatureCount {
        /// Outputs that were sent. A count.
        expected: usize,
        /// Signatures that came back. A count.
        got: usize,
    },
    /// A signature is for another amount or keyset than its output.
    #[error("it signed another amount or keyset than was asked for")]
    SignatureTerms,
    /// A signature has no DLEQ proof (NUT-12).
    #[error("a signature comes without the proof that the mint used its published key")]
    DleqMissing,
    /// The DLEQ proof of a signature does not hold: the mint used another key.
    #[error("a signature was not made with the mint's published key")]
    DleqInvalid,
    /// The change is more than can have been left over.
    #[error("it returned more change than was left over")]
    TooMuchChange,
    /// The list of proof states does not fit what was asked.
    #[error("its list of proof states does not fit the question")]
    States,
    /// The answer to a restore request does not fit what was asked (NUT-09).
    #[error("its list of restored signatures does not fit the question")]
    Restored,
    /// The quote is for something else than was asked.
    #[error("its quote is not for what was asked: {0}")]
    Quote(&'static str),
    /// The state of a quote went backwards.
    #[error("it took back the state of a quote")]
    Backwards,
    /// The fee reserve is beyond the policy of the wallet.
    #[error("it wants a fee reserve of {0}, more than this wallet accepts")]
    FeeReserve(Amount),
    /// A keyset is listed twice.
    #[error("it lists keyset {0} twice")]
    KeysetTwice(KeysetId),
    /// Keys, unit, fee or expiry under an id changed.
    #[error("it changed keyset {0}, which must never change")]
    KeysetChanged(KeysetId),
    /// The id is not the hash of the keys.
    #[error("the id of keyset {0} does not match its keys")]
    KeysetId(KeysetId),
    /// The keyset cannot be told from one of another mint.
    #[error("its keyset {0} collides with a keyset of {1}")]
    KeysetCollides(KeysetId, MintUrl),
    /// The keys of a listed keyset were not shown.
    #[error("it does not show the keys of keyset {0}")]
    KeysMissing(KeysetId),
    /// More keysets than a wallet can be asked to fetch.
    #[error("it lists {0} keysets of one unit")]
    TooManyKeysets(usize),
    /// It says that a quote is issued which this wallet never used.
    #[error("it says that the ecash of a quote was issued, but not to this wallet")]
    IssuedElsewhere,
}

/// Who can do something about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The caller: another amount, token or mint. Nothing was sent.
    Request,
    /// The mint refused, finally. Nothing moved.
    Refused,
    /// The outcome is open. Nothing is lost: resume later.
    Ambiguous,
    /// The mint cannot be reached. Nothing moved.
    Unreachable,
    /// The mint broke the rules. What is held stays held.
    HostileMint,
    /// The wallet's own database.
    Store,
    /// A bug in this crate.
    Bug,
}

/// Why a wallet did not do what it was asked. Each text says what to do next.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The amount is zero.
    #[error("the amount must be greater than zero")]
    ZeroAmount,
    /// Amounts add up to more than 2^64 - 1, or cannot be made from the mint's denominations.
    #[error("the amount cannot be handled: {0}; use another amount")]
    Amount(#[from] AmountError),
    /// Not enough free money for amount and fees.
    #[error("not enough money: {needed} {unit} needed with fees, {available} available; mint or receive more first")]
    InsufficientFunds {
        /// What is needed, in the minor unit; fees included as far as they are known.
        needed: Amount,
        /// What is free to spend, in the minor unit.
        available: Amount,
        /// The unit.
        unit: CurrencyUnit,
    },
    /// No proofs are worth the amount exactly, and the mint was not to be asked for such.
    #[error("no coins in the wallet add up to this amount exactly; use another amount, or let the mint change them")]
    NoExactMatch,
    /// More proofs would be needed than fit into one request.
    #[error("the amount needs too many small proofs at once; send it in smaller parts")]
    TooManyProofs,
    /// The mint was not added.
    #[error("the mint {0} is not in this wallet; add it first if you trust it")]
    MintUnknown(MintUrl),
    /// The mint has no active keyset of the unit.
    #[error("the mint {mint} issues no {unit}; use another unit or mint")]
    NoActiveKeyset {
        /// The mint.
        mint: MintUrl,
        /// The unit.
        unit: CurrencyUnit,
    },
    /// The token holds money of another mint than this wallet's.
    #[error("the token is of {0}; add that mint first if you trust it, and receive it there")]
    TokenOfOtherMint(MintUrl),
    /// The token is in another unit.
    #[error("the token is in {0}; open the wallet for that unit")]
    TokenOfOtherUnit(CurrencyUnit),
    /// The token is malformed or cannot be used.
    #[error("the token cannot be used: {0}; ask the sender for a new one")]
    Token(#[from] TokenError),
    /// A proof of the token does not carry the mint's signature.
    #[error("the token holds a proof that the mint did not sign; do not accept it")]
    TokenForged,
    /// A proof of the token carries no DLEQ proof, and the policy demands one.
    #[error("the token comes without DLEQ proofs; ask the sender for one with them, or allow tokens without")]
    TokenWithoutDleq,
    /// The token is locked (NUT-10), and this wallet cannot open it, or not now.
    #[error("the token is locked and cannot be opened now: {0}")]
    TokenLocked(#[from] ConditionError),
    /// The token cannot be trusted without asking the mint.
    #[error("this token cannot be taken while the mint is away: {0}")]
    NotOffline(&'static str),
    /// Everything of the token was claimed.
    #[error("everything of this token was claimed; there is nothing to take back")]
    Claimed,
    /// The terms of a lock that was asked for make no sense.
    #[error("the lock cannot be made: {0}")]
    Lock(&'static str),
    /// An exchange would make nothing better.
    #[error("the coins of this wallet are few and new already; nothing to do")]
    NothingToConsolidate,
    /// No signature of this wallet would help.
    #[error("no lock of this token can be signed for by this wallet alone and beforehand")]
    NothingToSign,
    /// The wallet has no lock key of this number.
    #[error("this wallet has {} keys to lock money to, numbered from 0", crate::lock::LOCK_KEYS)]
    OutOfKeys,
    /// The token's money is in this wallet already.
    #[error("the token is already in this wallet; nothing to do")]
    TokenAlreadyOwned,
    /// The token is worth less than the fee for receiving it.
    #[error("the token is worth {value}, not more than the fee of {fee} for receiving it")]
    TokenWorthless {
        /// What it holds, in the minor unit.
        value: Amount,
        /// What the mint takes, in the minor unit.
        fee: Amount,
    },
    /// The memo is too long for a token.
    #[error("the memo is longer than {} bytes; shorten it", hazel_protocol::MAX_MEMO_BYTES)]
    MemoTooLong,
    /// The text is not a BOLT11 invoice, or its amount cannot be read.
    #[error("this is not a lightning invoice that can be paid; check that it is complete")]
    Invoice,
    /// The invoice names no amount.
    #[error("the invoice has no amount; say how much to pay")]
    InvoiceWithoutAmount,
    /// The invoice names an amount, and another one was given.
    #[error("the invoice has an amount of its own; leave yours out")]
    InvoiceHasAmount,
    /// The quote or the selected proofs are no longer good; nothing was sent.
    #[error("what was prepared is out of date; prepare it again")]
    Stale,
    /// The invoice was not paid before it expired.
    #[error("the invoice expired unpaid; ask for a new one")]
    InvoiceExpired,
    /// The quote is not paid yet.
    #[error("the invoice is not paid yet; pay it and try again")]
    NotPaid,
    /// No such operation, or it is not of the kind that was asked for.
    #[error("there is no such operation in this wallet")]
    OperationUnknown,
    /// The connection to a mint cannot even be tried.
    #[error("the mint {0} cannot be dealt with: {1}")]
    NoConnection(MintUrl, String),
    /// A payment request cannot be made of what was asked for.
    #[error("the payment request cannot be made: {0}")]
    Request(#[from] PaymentRequestError),
    /// A payment request wants what this wallet cannot give.
    #[error("the payment request cannot be paid: {0}")]
    RequestTerms(&'static str),
    /// No open payment request of this wallet has that id.
    #[error("no open payment request of this wallet has that id; ask for a new one")]
    RequestUnknown,
    /// A payment is not what its request asked for. Nothing of it was taken.
    #[error("the payment is not what was asked for: {0}")]
    PaymentRefused(&'static str),
    /// A server that is no mint gave no answer. Nothing was paid.
    #[error("the server did not do what it was asked: {0}; try again later")]
    Remote(#[from] RemoteError),
    /// The server behind a Lightning address says no. Made safe to show.
    #[error("the payee says: {0}")]
    PayeeSaid(String),
    /// The server behind a Lightning address makes no sense, or does not take what it was to be given. Nothing was paid.
    #[error("this payee cannot be paid like that: {0}")]
    Payee(String),
    /// Of an invoice that several mints paid together some parts were paid and some were not.
    #[error(
        "the invoice was paid in part only, against the rules of the network; ask the payee, the other mints gave the money back"
    )]
    Torn,
    /// The operation belongs to another seed.
    #[error("an operation in this wallet was begun with another seed; open the wallet with that seed to finish it")]
    OtherSeed,
    /// The mint refused and nothing of the operation can be applied any more.
    #[error("{}", refusal(*.code, .detail))]
    Refused {
        /// The NUT error code.
        code: u16,
        /// What the mint wrote, made safe to show.
        detail: String,
    },
    /// The outcome is open.
    #[error("the outcome is not known yet ({reason}); nothing is lost, resume the wallet in a while")]
    Ambiguous {
        /// The operation, if there is one.
        operation: Option<OperationId>,
        /// What stands in the way.
        reason: String,
    },
    /// Not one byte reached the mint.
    #[error("the mint could not be reached ({0}); check the address and the connection, then try again")]
    Unreachable(String),
    /// The mint broke the rules.
    #[error("do not trust this mint: {violation}; nothing of its answer was used")]
    HostileMint {
        /// The operation, if there is one. It stays open.
        operation: Option<OperationId>,
        /// What it did.
        violation: Violation,
    },
    /// Proofs of this wallet were spent by somebody else: the same seed in another wallet, or a thief.
    #[error("{0} of this wallet's money was spent elsewhere; is the same seed in use on another device?")]
    SpentElsewhere(Amount),
    /// The wallet's database refused or failed.
    #[error("{0}; check the disk and try again")]
    Store(#[source] ApplyError),
    /// The wallet's database cannot be read.
    #[error("{0}; check the disk and try again")]
    Read(#[from] ReadError),
    /// Something this crate holds to be impossible.
    #[error("internal error: {0}; please report it")]
    Bug(&'static str),
}

fn refusal(code: u16, detail: &str) -> String {
    let (known, advice) = match ErrorCode::from_code(code) {
        Some(known) => (known.description(), advice(known)),
        None => ("", "try again later"),
    };
    match (known.is_empty(), detail.is_empty()) {
        (false, _) => format!("the mint refused: {known} (code {code}); {advice}"),
        (true, false) => format!("the mint refused: {detail} (code {code}); {advice}"),
        (true, true) => format!("the mint refused (code {code}); {advice}"),
    }
}

/// What the user can do about a refusal.
fn advice(code: ErrorCode) -> &'static str {
    match code.code() {
        10_001 => "the proofs are not this mint's; ask for a new token",
        11_001 => "somebody was faster; ask the sender for a new token",
        11_006 => "use an amount within the mint's limits",
        20_003 => "this mint issues no ecash at the moment; use another one",
        20_004 => "your money is back; try again or use another invoice",
        20_006 => "the receiver already has the money",
        20_007 => "ask for a new quote",
        _ => "try again later",
    }
}

impl Error {
    /// Who can do something about it.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. } | Self::SpentElsewhere(_) => ErrorClass::Refused,
            Self::Ambiguous { .. } => ErrorClass::Ambiguous,
            Self::Unreachable(_) | Self::Remote(_) => ErrorClass::Unreachable,
            Self::HostileMint { .. } => ErrorClass::HostileMint,
            Self::Store(_) | Self::Read(_) => ErrorClass::Store,
            Self::Bug(_) => ErrorClass::Bug,
            _ => ErrorClass::Request,
        }
    }

    /// Names the operation that an open outcome or a violation belongs to.
    #[must_use]
    pub(crate) fn of(self, id: OperationId) -> Self {
        match self {
            Self::Ambiguous { reason, .. } => Self::Ambiguous { operation: Some(id), reason },
            Self::HostileMint { violation, .. } => Self::HostileMint { operation: Some(id), violation },
            other => other,
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::HostileMint { operation: None, violation }
    }
}

impl From<ConnectorError> for Error {
    /// For questions that move nothing.
    fn from(error: ConnectorError) -> Self {
        match error {
            ConnectorError::Refused(answer) => {
                Self::Refused { code: answer.code, detail: hazel_protocol::neutralise(&answer.detail) }
            }
            ConnectorError::Ambiguous(reason) => Self::Ambiguous { operation: None, reason },
            ConnectorError::NotSent(reason) => Self::Unreachable(reason),
        }
    }
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Conflict(conflict) => conflict.into(),
            other => Self::Store(other),
        }
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::MintUnknown(url) => Self::MintUnknown(url),
            Conflict::KeysetChanged(id) => Violation::KeysetChanged(id).into(),
            Conflict::KeysetCollides(id, _, mint) => Violation::KeysetCollides(id, mint).into(),
            Conflict::ProofTaken | Conflict::CounterMoved(_) | Conflict::OperationMoved | Conflict::ErrandMoved => {
                Self::Stale
            }
            Conflict::Malformed(why) => Self::Bug(why),
            other @ (Conflict::OperationExists | Conflict::SessionAlive) => Self::Store(other.into()),
        }
    }
}
