//! What travels and what is hashed in Cashu: amounts, keysets, tokens, messages, blind signatures.

pub mod amount;
pub mod bounded;
pub mod crypto;
pub mod dleq;
pub mod error;
mod hex;
pub mod json;
pub mod keyset;
pub mod limits;
pub mod messages;
pub mod nut08;
pub mod nut13;
pub mod point;
pub mod proof;
pub mod quote;
pub mod scalar;
pub mod secret;
mod text;
pub mod token;
pub mod unit;
pub mod url;

pub use amount::{Amount, AmountError, input_fee};
pub use bounded::{BoundedVec, TooManyItems};
pub use crypto::{Curve, DleqError, InfinityError};
pub use dleq::{Dleq, ProofDleq};
pub use error::{ErrorCode, ErrorResponse};
pub use hex::HexError;
pub use json::{JsonError, from_json};
pub use keyset::{
    KeysetError, KeysetId, KeysetKeys, KeysetVersion, ShortKeysetId, TokenKeysetId, resolve_short_id, verify_keyset_id,
};
pub use limits::*;
pub use messages::*;
pub use point::{PointBytes, PointError, PublicKey};
pub use proof::{BlindSignature, BlindedMessage, Inputs, Outputs, Proof, Witness, WitnessTooLong};
pub use quote::{QuoteId, QuoteIdError};
pub use scalar::{BlindingFactor, Scalar32, ScalarError, SecretKey};
pub use secret::{Secret, SecretError};
pub use text::neutralise;
pub use token::{Token, TokenError, TokenProof, TokenV3, TokenV3Entry, TokenV4};
pub use unit::{CurrencyUnit, CustomUnit, UnitError};
pub use url::{MintUrl, MintUrlError};
