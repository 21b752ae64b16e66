//! The payment that answers a request (NUT-18).

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::limits::{MAX_MEMO_BYTES, MAX_PAYMENT_ID_BYTES, MAX_TOKEN_PROOFS};
use crate::text::bounded_option;
use crate::token::{TokenError, TokenProof, TokenV4};
use crate::unit::CurrencyUnit;
use crate::url::MintUrl;

/// What a payer sends to the receiver, as JSON (NUT-18). It *is* money.
///
/// What comes in is worth what the mint says: nothing but structure is checked here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentPayload {
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "id")]
    pub id: Option<String>,
    /// A text of the payer. Show it through [`neutralise`](crate::neutralise).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "memo")]
    pub memo: Option<String>,
    /// The mint of the proofs.
    pub mint: MintUrl,
    /// Their unit.
    pub unit: CurrencyUnit,
    /// The money.
    pub proofs: BoundedVec<TokenProof, MAX_TOKEN_PROOFS>,
}

fn id<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    bounded_option::<D, MAX_PAYMENT_ID_BYTES>(d)
}

fn memo<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    bounded_option::<D, MAX_MEMO_BYTES>(d)
}

impl PaymentPayload {
    /// The payment of a request with this id by what is in a token.
    ///
    /// # Panics
    /// Never: a token and a payment have the same limit.
    pub fn of_token(id: Option<String>, token: &TokenV4) -> Self {
        let proofs = token.token_proofs().to_vec().try_into().expect("a token has the same limit");
        Self {
            id,
            memo: token.memo().map(str::to_owned),
            mint: token.mint_url().clone(),
            unit: token.unit().clone(),
            proofs,
        }
    }

    /// The token of the same proofs, to be received like any other.
    ///
    /// # Errors
    /// [`TokenError`] when there are no proofs, or the same one twice.
    pub fn to_token(&self) -> Result<TokenV4, TokenError> {
        TokenV4::of_token_proofs(self.mint.clone(), self.unit.clone(), self.memo.clone(), self.proofs.to_vec())
    }
}
