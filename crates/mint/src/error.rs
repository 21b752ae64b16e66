//! Why the mint refuses, grouped by who is at fault.
//!
//! What a user may read is fixed here; backend text, SQL and paths stay in the log.

use std::borrow::Cow;

use hazel_protocol::conditions::ConditionError;
use hazel_protocol::{ErrorCode, ErrorResponse};

use crate::ports::{ApplyError, ComputeFailed, Conflict, PaymentsError, RatesError, ReadError, Refusal, SignerError};

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The request; asking again unchanged is refused again (or was answered by another request).
    Client,
    /// Too much at once, or the mint is shutting down: the same request may succeed later.
    Overload,
    /// The payment backend or the database.
    Outside,
    /// The mint itself.
    Bug,
}

/// Refusals that no row of `error_codes.md` names, by the group whose round number they answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// 10000: the request is malformed.
    Request,
    /// 11000: inputs or outputs.
    Transaction,
    /// 12000: a keyset.
    Keyset,
    /// 20000: a quote or its payment.
    Quote,
}

impl Group {
    /// The wire code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Request => 10_000,
            Self::Transaction => 11_000,
            Self::Keyset => 12_000,
            Self::Quote => 20_000,
        }
    }
}

/// The wire code of failures that are not the client's.
pub const INTERNAL_CODE: u16 = 50_000;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// A refusal that the NUTs name.
    #[error("{detail}")]
    Refused {
        /// Which.
        code: ErrorCode,
        /// What was wrong, in public words.
        detail: Cow<'static, str>,
    },
    /// A refusal that the NUTs do not name.
    #[error("{detail}")]
    Invalid {
        /// Which part of the request.
        group: Group,
        /// What was wrong, in public words.
        detail: Cow<'static, str>,
    },
    /// The spending conditions of an input are not met (NUT-10), which may depend on the time.
    #[error(transparent)]
    Locked(#[from] ConditionError),
    /// Try again later: the queue is full, or the mint is shutting down.
    #[error("the mint is busy, try again in {retry_after_secs} s")]
    Busy {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The payment backend did not answer. The text is for the log.
    #[error("payment backend: {0}")]
    Backend(String),
    /// The source of rates did not answer. The text is for the log.
    #[error("rates: {0}")]
    Rates(String),
    /// The ledger did not answer. The text is for the log.
    #[error("ledger: {0}")]
    Ledger(String),
    /// Something that must not happen. The text is for the log.
    #[error("internal: {0}")]
    Bug(String),
}

impl MintError {
    /// A refusal with the sentence that `error_codes.md` has for it.
    pub fn refused(code: ErrorCode) -> Self {
        Self::Refused { code, detail: Cow::Borrowed(code.description()) }
    }

    /// A refusal with a sentence of its own.
    pub fn refused_because(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }

    /// A refusal without a NUT code.
    pub fn invalid(group: Group, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { group, detail: detail.into() }
    }

    /// Who has to do something about it.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Refused { .. } | Self::Invalid { .. } | Self::Locked(_) => Blame::Client,
            Self::Busy { .. } => Blame::Overload,
            Self::Backend(_) | Self::Rates(_) | Self::Ledger(_) => Blame::Outside,
            Self::Bug(_) => Blame::Bug,
        }
    }

    /// What the user reads (NUT-00, errors).
    pub fn response(&self) -> ErrorResponse {
        let locked;
        let (code, detail) = match self {
            Self::Locked(error) => {
                locked = error.to_string();
                (ErrorCode::ProofVerificationFailed.code(), locked.as_str())
            }
            Self::Refused { code, detail } => (code.code(), detail.as_ref()),
            Self::Invalid { group, detail } => (group.code(), detail.as_ref()),
            Self::Busy { .. } => (INTERNAL_CODE, "the mint is busy, try again later"),
            Self::Backend(_) => (Group::Quote.code(), "the lightning backend is not available, try again later"),
            Self::Rates(_) => (Group::Quote.code(), "the mint knows no rate for this unit now, try again later"),
            Self::Ledger(_) => (INTERNAL_CODE, "the mint cannot reach its ledger, try again later"),
            Self::Bug(_) => (INTERNAL_CODE, "the mint failed to handle this request"),
        };
        ErrorResponse { detail: detail.to_owned(), code }
    }

    /// When the same request may succeed; `None` when waiting does not help.
    pub const fn retry_after_secs(&self) -> Option<u32> {
        match self {
            Self::Busy { retry_after_secs } => Some(*retry_after_secs),
            Self::Backend(_) | Self::Rates(_) | Self::Ledger(_) => Some(5),
            _ => None,
        }
    }

    /// Whether this refusal depends on the time or on the ledger, so that a replay of a finished operation may meet it.
    pub(crate) const fn may_be_replay(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: ErrorCode::ProofsAlreadySpent
                    | ErrorCode::ProofsPending
                    | ErrorCode::OutputsAlreadySigned
                    | ErrorCode::OutputsPending
                    | ErrorCode::TransactionNotBalanced
                    | ErrorCode::AmountOutsideLimit
                    | ErrorCode::MaxInputsExceeded
                    | ErrorCode::MaxOutputsExceeded
                    | ErrorCode::KeysetInactive
                    | ErrorCode::KeysetExpired
                    | ErrorCode::QuoteNotPaid
                    | ErrorCode::QuoteAlreadyIssued
                    | ErrorCode::QuotePending
                    | ErrorCode::InvoiceAlreadyPaid
                    | ErrorCode::QuoteExpired,
                ..
            } | Self::Invalid { group: Group::Keyset, .. }
                | Self::Locked(_)
        )
    }
}

impl From<Conflict> for MintError {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::InputsSpent => Self::refused(ErrorCode::ProofsAlreadySpent),
            Conflict::InputsPending => Self::refused(ErrorCode::ProofsPending),
            Conflict::OutputsSigned => Self::refused(ErrorCode::OutputsAlreadySigned),
            Conflict::OutputsPending => Self::refused(ErrorCode::OutputsPending),
            Conflict::Overdrawn(_) | Conflict::KeysetLatched(_) => {
                Self::invalid(Group::Keyset, "this keyset is stopped, ask the operator of the mint")
            }
            Conflict::KeysetUnknown(_) => Self::refused(ErrorCode::KeysetUnknown),
            Conflict::QuoteUnknown => Self::invalid(Group::Quote, "no such quote"),
            Conflict::QuoteNotPaid => Self::refused(ErrorCode::QuoteNotPaid),
            Conflict::QuoteIssued => Self::refused(ErrorCode::QuoteAlreadyIssued),
            Conflict::QuotePending | Conflict::InvoicePending => Self::refused(ErrorCode::QuotePending),
            Conflict::QuotePaid | Conflict::InvoicePaid | Conflict::MintQuoteSettled => {
                Self::refused(ErrorCode::InvoiceAlreadyPaid)
            }
            Conflict::UnitMismatch => Self::refused(ErrorCode::UnitMismatch),
            Conflict::KeysetExists
            | Conflict::OtherSeed
            | Conflict::QuoteExists
            | Conflict::OperationGone
            | Conflict::OperationEnded
            | Conflict::WrongState => Self::Bug(conflict.to_string()),
        }
    }
}

impl From<ApplyError> for MintError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Conflict(conflict) => conflict.into(),
            ApplyError::Unavailable(_) => Self::Busy { retry_after_secs: 1 },
            ApplyError::Ambiguous(text) => Self::Ledger(text),
            ApplyError::Corrupt(text) => Self::Bug(text),
        }
    }
}

impl From<ReadError> for MintError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(text) => Self::Ledger(text),
            ReadError::Corrupt(text) => Self::Bug(text),
        }
    }
}

impl From<SignerError> for MintError {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::NoKey(..) => Self::Bug(error.to_string()),
            SignerError::Unavailable(_) => Self::Busy { retry_after_secs: 1 },
        }
    }
}

impl From<PaymentsError> for MintError {
    fn from(error: PaymentsError) -> Self {
        match error {
            PaymentsError::Refused(refusal, text) => {
                tracing::info!(%text, "the payment backend refused");
                refusal.into()
            }
            PaymentsError::Unavailable(text) => Self::Backend(text),
        }
    }
}

impl From<RatesError> for MintError {
    fn from(error: RatesError) -> Self {
        match error {
            RatesError::NoRate(_) => Self::refused(ErrorCode::UnitUnsupported),
            RatesError::Unavailable(text) => Self::Rates(text),
        }
    }
}

impl From<Refusal> for MintError {
    fn from(refusal: Refusal) -> Self {
        let quote = |detail: &'static str| Self::invalid(Group::Quote, detail);
        match refusal {
            Refusal::NotAnInvoice => quote("this is not an invoice that can be paid"),
            Refusal::WrongNetwork => quote("the invoice is of another network"),
            Refusal::Expired => quote("the invoice has expired"),
            Refusal::AmountMissing => Self::refused_because(
                ErrorCode::AmountlessInvoiceUnsupported,
                "the invoice has no amount and the request gives none",
            ),
            Refusal::AmountlessUnsupported => Self::refused(ErrorCode::AmountlessInvoiceUnsupported),
            Refusal::AmountDiffers => Self::refused(ErrorCode::AmountMismatch),
            Refusal::AmountImpossible => Self::refused(ErrorCode::AmountOutsideLimit),
            Refusal::NoRoute => Self::refused_because(ErrorCode::LightningPaymentFailed, "no route to the payee"),
            Refusal::TooLate => Self::refused(ErrorCode::LightningPaymentFailed),
            Refusal::Other => quote("the lightning backend refuses this request"),
        }
    }
}

impl From<ComputeFailed> for MintError {
    /// The pool is full, or the job panicked, which the pool reports.
    fn from(_: ComputeFailed) -> Self {
        Self::Busy { retry_after_secs: 1 }
    }
}
