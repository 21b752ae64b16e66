//! `POST /v1/melt/quote/bolt11`, `GET /v1/melt/quote/bolt11/{quote_id}`, `POST /v1/melt/bolt11` (NUT-05, NUT-08, NUT-15,
//! NUT-23).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{UnknownState, null_as_default, state_text};
use crate::amount::Amount;
use crate::bounded::BoundedVec;
use crate::limits::{MAX_OUTPUTS, MAX_PREIMAGE_BYTES, MAX_REQUEST_BYTES};
use crate::proof::{BlindSignature, Inputs, Outputs};
use crate::quote::QuoteId;
use crate::text::{bounded, bounded_option};
use crate::unit::CurrencyUnit;

/// Asks what paying an invoice would cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeltQuoteBolt11Request {
    /// The BOLT11 invoice, at most [`MAX_REQUEST_BYTES`] bytes.
    #[serde(deserialize_with = "bounded::<_, MAX_REQUEST_BYTES>")]
    pub request: String,
    /// The unit to pay with.
    pub unit: CurrencyUnit,
    /// What the invoice leaves open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<MeltOptions>,
}

/// What the payer decides about a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeltOptions {
    /// For an invoice without an amount (NUT-23).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amountless: Option<AmountlessOption>,
    /// For a payment of a part only (NUT-15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpp: Option<MppOption>,
}

/// The amount for an invoice without one (NUT-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AmountlessOption {
    /// In millisatoshi, whatever the unit of the quote.
    pub amount_msat: Amount,
}

/// The part of an invoice to pay (NUT-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MppOption {
    /// In millisatoshi, whatever the unit of the quote.
    pub amount: Amount,
}

/// A melt quote: what a payment costs, and what became of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeltQuoteBolt11Response {
    /// The id.
    pub quote: QuoteId,
    /// The invoice. Some mints leave it out.
    #[serde(default, deserialize_with = "bounded::<_, MAX_REQUEST_BYTES>")]
    pub request: String,
    /// What the invoice costs, in the minor unit, without any fee.
    pub amount: Amount,
    /// The unit to pay with.
    pub unit: CurrencyUnit,
    /// What to add for routing fees, in the minor unit. The rest of it comes back (NUT-08).
    #[serde(default, deserialize_with = "null_as_default")]
    pub fee_reserve: Amount,
    /// What became of the payment.
    pub state: MeltQuoteState,
    /// Until when the quote holds, in seconds since 1970.
    #[serde(default)]
    pub expiry: Option<u64>,
    /// When the quote last changed, in seconds since 1970; each change has a later one, also within a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<u64>,
    /// The proof of payment, once paid.
    #[serde(default, deserialize_with = "bounded_option::<_, MAX_PREIMAGE_BYTES>")]
    pub payment_preimage: Option<String>,
    /// Signatures for what was paid too much (NUT-08), on the first of the blank outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<BoundedVec<BlindSignature, MAX_OUTPUTS>>,
}

impl fmt::Debug for MeltQuoteBolt11Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeltQuoteBolt11Response")
            .field("quote", &self.quote)
            .field("request", &self.request)
            .field("amount", &self.amount)
            .field("unit", &self.unit)
            .field("fee_reserve", &self.fee_reserve)
            .field("state", &self.state)
            .field("expiry", &self.expiry)
            .field("updated_at", &self.updated_at)
            .field("payment_preimage", &self.payment_preimage.as_ref().map(|_| ".."))
            .field("change", &self.change)
            .finish()
    }
}

/// What became of a melt quote (NUT-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeltQuoteState {
    /// Not paid.
    Unpaid,
    /// Being paid; the outcome is open.
    Pending,
    /// Paid.
    Paid,
}

state_text!(MeltQuoteState { Unpaid = "UNPAID", Pending = "PENDING", Paid = "PAID" });

/// Pays for a melt quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeltRequest {
    /// The quote.
    pub quote: QuoteId,
    /// The proofs to spend: amount, fee reserve and input fee.
    #[serde(deserialize_with = "crate::bounded::inputs")]
    pub inputs: Inputs,
    /// Blank outputs for the change (NUT-08); their amounts mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::bounded::outputs_option")]
    pub outputs: Option<Outputs>,
    /// Whether to answer at once, with the payment still pending.
    #[serde(default, deserialize_with = "null_as_default")]
    pub prefer_async: bool,
}
