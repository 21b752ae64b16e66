//! Tokens: proofs on their way from one user to another (NUT-00).
//!
//! A token is text such as `cashuB...`. Version 3 (`cashuA`) is JSON and may hold proofs of several mints; version 4
//! (`cashuB`) is CBOR, much shorter, and holds proofs of one mint. Both are read; new tokens should be of version 4.
//!
//! The proofs of a token name their keysets by [`TokenKeysetId`], which may be short. So that nobody spends a proof under
//! an id that was only guessed, a [`Proof`] comes out of [`Token::proofs`] alone, which takes the ids that the mint is known
//! to have.
//!
//! A token cannot exist with no proofs, with more than [`MAX_TOKEN_PROOFS`], or with the same secret twice.

mod v3;
mod v4;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use v3::{TokenV3, TokenV3Entry};
pub use v4::TokenV4;

use crate::amount::{Amount, AmountError};
use crate::cbor::CborError;
use crate::dleq::ProofDleq;
use crate::json::JsonError;
use crate::keyset::{KeysetError, KeysetId, TokenKeysetId};
use crate::limits::{MAX_MEMO_BYTES, MAX_TOKEN_BYTES, MAX_TOKEN_PROOFS};
use crate::point::{PointBytes, PointError};
use crate::proof::{Proof, Witness, WitnessTooLong};
use crate::scalar::ScalarError;
use crate::secret::{Secret, SecretError};
use crate::unit::{CurrencyUnit, UnitError};
use crate::url::{MintUrl, MintUrlError};

const PREFIX: &str = "cashu";
const RAW_PREFIX: &[u8] = b"craw";
const URI_SCHEMES: [&str; 2] = ["cashu://", "cashu:"];

/// Base64 with the URL alphabet: written without padding, read with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text or bytes are not a token, or why a token cannot be used. Holds nothing of any secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text does not begin like a token.
    #[error("not a cashu token: it must start with cashuA or cashuB")]
    Prefix,
    /// The version is not known.
    #[error("the token has an unknown version")]
    Version,
    /// The token is longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The part after the prefix is not base64.
    #[error("the token is not valid base64")]
    Base64,
    /// The content of a version 3 token is not what it should be.
    #[error("the token is malformed: {0}")]
    Json(#[from] JsonError),
    /// The content of a version 4 token is not what it should be.
    #[error("the token is malformed: {0}")]
    Cbor(#[from] CborError),
    /// Something follows the content.
    #[error("the token is malformed: it has trailing bytes")]
    TrailingBytes,
    /// There are no proofs.
    #[error("the token holds no proofs")]
    NoProofs,
    /// There are more than [`MAX_TOKEN_PROOFS`] proofs.
    #[error("the token holds more than {MAX_TOKEN_PROOFS} proofs")]
    TooManyProofs,
    /// Two proofs have the same secret.
    #[error("the token holds the same proof twice")]
    DuplicateProof,
    /// The memo is longer than [`MAX_MEMO_BYTES`].
    #[error("the memo of the token is longer than {MAX_MEMO_BYTES} bytes")]
    MemoTooLong,
    /// Only tokens of version 4 have a binary form.
    #[error("tokens of this version have no binary form")]
    NoRawForm,
    /// The token holds no proofs of this mint.
    #[error("the token holds no proofs of this mint")]
    OtherMint,
    /// The sum of the proofs is too large.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A keyset id is malformed, unknown or ambiguous.
    #[error(transparent)]
    Keyset(#[from] KeysetError),
    /// A signature is malformed.
    #[error(transparent)]
    Point(#[from] PointError),
    /// A scalar of a DLEQ proof is malformed.
    #[error(transparent)]
    Scalar(#[from] ScalarError),
    /// A secret is empty or too long.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A witness is too long.
    #[error(transparent)]
    Witness(#[from] WitnessTooLong),
    /// The URL of the mint is malformed.
    #[error(transparent)]
    MintUrl(#[from] MintUrlError),
    /// The unit is malformed.
    #[error(transparent)]
    Unit(#[from] UnitError),
}

/// A proof as it stands in a token: the same as [`Proof`], but for the keyset id, which may be short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenProof {
    /// The value, in the minor unit of the keyset.
    pub amount: Amount,
    /// The keyset, full or short.
    pub id: TokenKeysetId,
    /// The secret.
    pub secret: Secret,
    /// The unblinded signature.
    #[serde(rename = "C")]
    pub c: PointBytes,
    /// What fulfils the spending condition of the secret (NUT-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// Proof that the mint signed it (NUT-12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<ProofDleq>,
    /// The sender's ephemeral key, for a lock with blinded keys (NUT-28).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2pk_e: Option<PointBytes>,
}

impl TokenProof {
    /// The proof with its full keyset id, given the ids that the mint is known to have.
    ///
    /// # Errors
    /// [`KeysetError::Unknown`] or [`KeysetError::Ambiguous`].
    pub fn resolve(&self, known: &[KeysetId]) -> Result<Proof, KeysetError> {
        Ok(Proof {
            amount: self.amount,
            id: self.id.resolve(known)?,
            secret: self.secret.clone(),
            c: self.c,
            witness: self.witness.clone(),
            dleq: self.dleq.clone(),
            p2pk_e: self.p2pk_e,
        })
    }
}

impl From<&Proof> for TokenProof {
    fn from(proof: &Proof) -> Self {
        Self {
            amount: proof.amount,
            id: TokenKeysetId::Full(proof.id),
            secret: proof.secret.clone(),
            c: proof.c,
            witness: proof.witness.clone(),
            dleq: proof.dleq.clone(),
            p2pk_e: proof.p2pk_e,
        }
    }
}

/// A token of either version.
///
/// Its text *is* money, so `Debug` redacts the secrets; `Display` writes the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// JSON, deprecated, perhaps of several mints.
    V3(TokenV3),
    /// CBOR, of one mint.
    V4(TokenV4),
}

impl Token {
    /// The unit; tokens of version 3 may leave it out.
    pub const fn unit(&self) -> Option<&CurrencyUnit> {
        match self {
            Self::V3(token) => token.unit(),
            Self::V4(token) => Some(token.unit()),
        }
    }

    /// The text of the sender, as the sender wrote it: show it through [`neutralise`](crate::neutralise).
    pub fn memo(&self) -> Option<&str> {
        match self {
            Self::V3(token) => token.memo(),
            Self::V4(token) => token.memo(),
        }
    }

    /// The mints whose proofs the token holds, in the order of the token, each once.
    pub fn mints(&self) -> Vec<&MintUrl> {
        match self {
            Self::V3(token) => token.mints(),
            Self::V4(token) => vec![token.mint_url()],
        }
    }

    /// All proofs with the mint of each, as they stand in the token.
    pub fn token_proofs(&self) -> Vec<(&MintUrl, &TokenProof)> {
        match self {
            Self::V3(token) => token.token_proofs().collect(),
            Self::V4(token) => token.token_proofs().iter().map(|proof| (token.mint_url(), proof)).collect(),
        }
    }

    /// The sum of the proofs, in the minor unit.
    ///
    /// # Errors
    /// [`TokenError::Amount`] above 2^64 - 1.
    pub fn value(&self) -> Result<Amount, TokenError> {
        let amounts = self.token_proofs().into_iter().map(|(_, proof)| proof.amount);
        Ok(Amount::checked_sum(amounts)?)
    }

    /// All proofs with full keyset ids, given the ids that the mint is known to have.
    ///
    /// # Errors
    /// [`TokenError::Keyset`] when a short id fits none of `known`, or several.
    pub fn proofs(&self, known: &[KeysetId]) -> Result<Vec<Proof>, TokenError> {
        let proofs = self.token_proofs();
        Ok(proofs.into_iter().map(|(_, proof)| proof.resolve(known)).collect::<Result<_, _>>()?)
    }

    /// The proofs of one mint with full keyset ids, given the ids that this mint is known to have.
    ///
    /// # Errors
    /// [`TokenError::OtherMint`] when there are none; [`TokenError::Keyset`] as in [`Token::proofs`].
    pub fn proofs_of(&self, mint: &MintUrl, known: &[KeysetId]) -> Result<Vec<Proof>, TokenError> {
        let proofs = self.token_proofs().into_iter().filter(|(url, _)| *url == mint);
        let proofs: Vec<Proof> = proofs.map(|(_, proof)| proof.resolve(known)).collect::<Result<_, _>>()?;
        if proofs.is_empty() {
            return Err(TokenError::OtherMint);
        }
        Ok(proofs)
    }

    /// The binary form: `craw`, the version, the content.
    ///
    /// # Errors
    /// [`TokenError::NoRawForm`] for version 3.
    pub fn to_raw(&self) -> Result<Vec<u8>, TokenError> {
        match self {
            Self::V3(_) => Err(TokenError::NoRawForm),
            Self::V4(token) => Ok(token.to_raw()),
        }
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`TokenError`] for anything that is not a sound token of version 4.
    pub fn from_raw(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        match bytes.strip_prefix(RAW_PREFIX).and_then(<[u8]>::split_first) {
            None => Err(TokenError::Prefix),
            Some((b'A', _)) => Err(TokenError::NoRawForm),
            Some((b'B', content)) => TokenV4::from_cbor(content).map(Self::V4),
            Some(_) => Err(TokenError::Version),
        }
    }
}

impl From<TokenV3> for Token {
    fn from(token: TokenV3) -> Self {
        Self::V3(token)
    }
}

impl From<TokenV4> for Token {
    fn from(token: TokenV4) -> Self {
        Self::V4(token)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V3(token) => token.fmt(f),
            Self::V4(token) => token.fmt(f),
        }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Reads a token with or without `cashu:` or `cashu://` before it and blanks around it, with or without padding.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let text = URI_SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let content = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        match content.as_bytes().first() {
            Some(b'A') => TokenV3::from_json(&decode_base64(&content[1..])?).map(Self::V3),
            Some(b'B') => TokenV4::from_cbor(&decode_base64(&content[1..])?).map(Self::V4),
            _ => Err(TokenError::Version),
        }
    }
}

fn decode_base64(text: &str) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| TokenError::Base64)
}

fn write_text(f: &mut fmt::Formatter<'_>, version: char, content: &[u8]) -> fmt::Result {
    let text = Zeroizing::new(BASE64.encode(content));
    write!(f, "{PREFIX}{version}{}", *text)
}

/// Checks what holds for the proofs and the memo of every token.
fn check<'a>(proofs: impl IntoIterator<Item = &'a TokenProof>, memo: Option<&str>) -> Result<(), TokenError> {
    if memo.is_some_and(|memo| memo.len() > MAX_MEMO_BYTES) {
        return Err(TokenError::MemoTooLong);
    }
    let mut secrets = BTreeSet::new();
    for proof in proofs {
        if secrets.len() == MAX_TOKEN_PROOFS {
            return Err(TokenError::TooManyProofs);
        }
        if !secrets.insert(proof.secret.as_bytes()) {
            return Err(TokenError::DuplicateProof);
        }
    }
    if secrets.is_empty() {
        return Err(TokenError::NoProofs);
    }
    Ok(())
}
