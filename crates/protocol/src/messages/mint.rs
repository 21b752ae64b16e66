//! `POST /v1/mint/quote/bolt11`, `GET /v1/mint/quote/bolt11/{quote_id}`, `POST /v1/mint/bolt11` (NUT-04, NUT-20, NUT-23), and
//! `POST /v1/mint/quote/bolt11/check`, `POST /v1/mint/bolt11/batch` (NUT-29).

use serde::{Deserialize, Serialize};

use super::{UnknownState, state_text};
use crate::amount::Amount;
use crate::bounded::BoundedVec;
use crate::limits::{MAX_BATCH, MAX_DESCRIPTION_BYTES, MAX_OUTPUTS, MAX_REQUEST_BYTES, MAX_SIGNATURE_BYTES};
use crate::point::PublicKey;
use crate::proof::{BlindSignature, Outputs};
use crate::quote::QuoteId;
use crate::text::{bounded, bounded_option};
use crate::unit::CurrencyUnit;

/// Asks for an invoice to pay for new ecash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// Asks for several quotes at once (NUT-29).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MintQuotesCheckRequest {
    /// The quotes, none twice.
    #[serde(deserialize_with = "crate::bounded::quotes")]
    pub quotes: BoundedVec<QuoteId, MAX_BATCH>,
}

/// Asks for signatures in exchange for several paid quotes at once (NUT-29).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MintBatchRequest {
    /// The quotes, none twice.
    #[serde(deserialize_with = "crate::bounded::quotes")]
    pub quotes: BoundedVec<QuoteId, MAX_BATCH>,
    /// What is expected of each quote, in the minor unit and the order of `quotes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_amounts: Option<BoundedVec<Amount, MAX_BATCH>>,
    /// The outputs to sign; their sum is that of the quotes.
    #[serde(deserialize_with = "crate::bounded::outputs")]
    pub outputs: Outputs,
    /// For each quote that is locked the signature of its key over quote id and all outputs (NUT-20), in hex; `null` for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<BoundedVec<Option<QuoteSignature>, MAX_BATCH>>,
}

/// A signature for a locked quote (NUT-20), in hex, at most [`MAX_SIGNATURE_BYTES`] bytes. Whether it is one shows when it is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct QuoteSignature(#[serde(deserialize_with = "bounded::<_, MAX_SIGNATURE_BYTES>")] pub String);

/// The signatures, in the order of the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MintResponse {
    /// One signature for each output.
    pub signatures: BoundedVec<BlindSignature, MAX_OUTPUTS>,
}
