//! `POST /v1/mint/quote/bolt11`, `GET /v1/mint/quote/bolt11/{quote_id}`, `POST /v1/mint/bolt11` (NUT-04, NUT-20, NUT-23).

use serde::{Deserialize, Serialize};

use super::{UnknownState, state_text};
use crate::amount::Amount;
use crate::bounded::BoundedVec;
use crate::limits::{MAX_DESCRIPTION_BYTES, MAX_OUTPUTS, MAX_REQUEST_BYTES, MAX_SIGNATURE_BYTES};
use crate::point::PublicKey;
use crate::proof::{BlindSignature, Outputs};
use crate::quote::QuoteId;
use crate::text::{bounded, bounded_option};
use crate::unit::CurrencyUnit;

/// Asks for an invoice to pay for new ecash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintQuoteBolt11Request {
    /// How much ecash, in the minor unit.
    pub amount: Amount,
    /// The unit of the ecash.
    pub unit: CurrencyUnit,
    /// Text for the invoice, at most [`MAX_DESCRIPTION_BYTES`] bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, MAX_DESCRIPTION_BYTES>"
    )]
    pub description: Option<String>,
    /// The key that must sign the mint request (NUT-20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubkey: Option<PublicKey>,
}

/// A mint quote: an invoice, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintQuoteBolt11Response {
    /// The id, secret between mint and wallet.
    pub quote: QuoteId,
    /// The BOLT11 invoice to pay.
    #[serde(deserialize_with = "bounded::<_, MAX_REQUEST_BYTES>")]
    pub request: String,
    /// How much ecash, in the minor unit. Some mints leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The unit of the ecash.
    pub unit: CurrencyUnit,
    /// What became of the quote.
    pub state: MintQuoteState,
    /// Until when the invoice can be paid, in seconds since 1970; `null` if for ever.
    #[serde(default)]
    pub expiry: Option<u64>,
    /// The key that must sign the mint request (NUT-20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubkey: Option<PublicKey>,
    /// How much was paid so far, in the minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<Amount>,
    /// How much ecash was issued so far, in the minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_issued: Option<Amount>,
    /// When the quote last changed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<u64>,
}

/// What became of a mint quote (NUT-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MintQuoteState {
    /// The invoice is not paid.
    Unpaid,
    /// The invoice is paid, the ecash not issued.
    Paid,
    /// The ecash is issued.
    Issued,
}

state_text!(MintQuoteState { Unpaid = "UNPAID", Paid = "PAID", Issued = "ISSUED" });

/// Asks for signatures in exchange for a paid quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintRequest {
    /// The quote.
    pub quote: QuoteId,
    /// The outputs to sign.
    #[serde(deserialize_with = "crate::bounded::outputs")]
    pub outputs: Outputs,
    /// Signature over quote id and outputs by the quote's key (NUT-20), in hex.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, MAX_SIGNATURE_BYTES>"
    )]
    pub signature: Option<String>,
}

/// The signatures, in the order of the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintResponse {
    /// One signature for each output.
    pub signatures: BoundedVec<BlindSignature, MAX_OUTPUTS>,
}
