//! Version 3: JSON, deprecated (NUT-00).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{TokenError, TokenProof, check, write_text};
use crate::bounded::BoundedVec;
use crate::json::from_json;
use crate::limits::MAX_TOKEN_PROOFS;
use crate::proof::Proof;
use crate::unit::CurrencyUnit;
use crate::url::MintUrl;

/// A token of version 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenV3(Content);

/// The proofs of one mint in a token of version 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenV3Entry {
    /// The mint.
    pub mint: MintUrl,
    /// Its proofs.
    pub proofs: BoundedVec<TokenProof, MAX_TOKEN_PROOFS>,
}

/// The JSON of the token. The order of the fields is the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    token: BoundedVec<TokenV3Entry, MAX_TOKEN_PROOFS>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<CurrencyUnit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
}

impl TokenV3 {
    /// A token of one mint.
    ///
    /// # Errors
    /// [`TokenError`] when there are no proofs, too many, the same one twice, or the memo is too long.
    pub fn new(
        mint: MintUrl,
        unit: Option<CurrencyUnit>,
        memo: Option<String>,
        proofs: &[Proof],
    ) -> Result<Self, TokenError> {
        let proofs: Vec<TokenProof> = proofs.iter().map(TokenProof::from).collect();
        let proofs = proofs.try_into().map_err(|_| TokenError::TooManyProofs)?;
        Self::from_entries(vec![TokenV3Entry { mint, proofs }], unit, memo)
    }

    /// A token of several mints.
    ///
    /// # Errors
    /// As [`TokenV3::new`].
    pub fn from_entries(
        entries: Vec<TokenV3Entry>,
        unit: Option<CurrencyUnit>,
        memo: Option<String>,
    ) -> Result<Self, TokenError> {
        let token = entries.try_into().map_err(|_| TokenError::TooManyProofs)?;
        Self::checked(Content { token, unit, memo })
    }

    /// Reads the JSON of a token, without prefix and base64.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, TokenError> {
        Self::checked(from_json(json)?)
    }

    fn checked(content: Content) -> Result<Self, TokenError> {
        check(content.token.iter().flat_map(|entry| entry.proofs.iter()), content.memo.as_deref())?;
        Ok(Self(content))
    }

    /// The unit, if the sender gave it.
    pub const fn unit(&self) -> Option<&CurrencyUnit> {
        self.0.unit.as_ref()
    }

    /// The text of the sender.
    pub fn memo(&self) -> Option<&str> {
        self.0.memo.as_deref()
    }

    /// The proofs by mint, in the order of the token. A mint may come more than once.
    pub fn entries(&self) -> &[TokenV3Entry] {
        &self.0.token
    }

    /// The mints, in the order of the token, each once.
    pub fn mints(&self) -> Vec<&MintUrl> {
        let mut seen = BTreeSet::new();
        let mints = self.0.token.iter().map(|entry| &entry.mint);
        mints.filter(|mint| seen.insert(*mint)).collect()
    }

    /// All proofs with the mint of each.
    pub fn token_proofs(&self) -> impl Iterator<Item = (&MintUrl, &TokenProof)> {
        self.0.token.iter().flat_map(|entry| entry.proofs.iter().map(|proof| (&entry.mint, proof)))
    }
}

impl fmt::Display for TokenV3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&self.0).expect("a token has string keys only");
        write_text(f, 'A', &Zeroizing::new(json))
    }
}
