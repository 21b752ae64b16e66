//! What the wallet has to see to that is more than one operation, or none yet.
//!
//! An errand is a durable note that names its operations and moves no money itself: a request that waits to be paid, a payment that is
//! made but not delivered, an invoice that is paid in parts by several mints. What became of it is read off its operations, so a note
//! that lags behind them is only late. Ids of operations are drawn before the operations begin, so that the note is there first.

use hazel_protocol::{Amount, CurrencyUnit, MintUrl, PaymentRequest, Transport};
use serde::{Deserialize, Serialize};

use crate::invoice::Msat;
use crate::ports::{OperationId, SessionId};

/// One errand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// A payment request of this wallet (NUT-18).
    Request(RequestErrand),
    /// A payment for somebody else's request that has to be brought there (NUT-18).
    Delivery(DeliveryErrand),
    /// An invoice that several mints pay together (NUT-15).
    Parts(PartsErrand),
}

impl Errand {
    /// Whether nothing is left to be seen to. It never changes any more.
    pub const fn is_done(&self) -> bool {
        match self {
            Self::Request(errand) => errand.closed && errand.incoming.is_empty(),
            Self::Delivery(errand) => !matches!(errand.state, DeliveryState::Open),
            Self::Parts(errand) => !matches!(errand.state, PartsState::Open),
        }
    }
}

/// See [`Errand::Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestErrand {
    /// What was asked for.
    pub request: PaymentRequest,
    /// Payments that are being received.
    pub incoming: Vec<Incoming>,
    /// What came in, after fees, in the minor unit.
    pub received: Amount,
    /// In how many payments. A count.
    pub payments: u32,
    /// Whether no further payment is taken.
    pub closed: bool,
}

/// A payment that is being received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The operation that receives it, which may not have begun yet.
    pub operation: OperationId,
    /// Who was about to begin it.
    pub session: SessionId,
}

/// See [`Errand::Delivery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryErrand {
    /// The operation whose token it is.
    pub operation: OperationId,
    /// Its mint.
    pub mint: MintUrl,
    /// Its unit.
    pub unit: CurrencyUnit,
    /// The request that it pays.
    pub request: PaymentRequest,
    /// Which of the request's transports it goes by, counted from 0.
    pub transport: usize,
    /// How often it was tried. A count.
    pub tries: u32,
    /// How it stands.
    pub state: DeliveryState,
}

impl DeliveryErrand {
    /// The way it goes.
    pub fn transport(&self) -> Option<&Transport> {
        self.request.transports.get(self.transport)
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// It has to be made, or made again.
    Open,
    /// The receiver has it.
    Delivered,
    /// The money was taken back, or is being taken back.
    TakenBack,
    /// There never was a token.
    Failed,
}

/// See [`Errand::Parts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsErrand {
    /// The BOLT11 invoice.
    pub invoice: String,
    /// What it is for, in millisatoshi.
    pub amount_msat: Msat,
    /// Who pays how much of it.
    pub parts: Vec<PartOfInvoice>,
    /// How it stands.
    pub state: PartsState,
}

/// A part of an invoice that one mint pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOfInvoice {
    /// The mint.
    pub mint: MintUrl,
    /// The unit.
    pub unit: CurrencyUnit,
    /// The operation that pays.
    pub operation: OperationId,
    /// How much, in millisatoshi.
    pub msat: Msat,
}

/// How an invoice stands that is paid in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartsState {
    /// Some part is not decided.
    Open,
    /// Every part was paid.
    Paid,
    /// No part was paid; their money is free again.
    Failed,
    /// Some parts were paid and some were not, which no honest receiver and mints bring about.
    Torn,
}
