//! `GET /v1/keys`, `/v1/keys/{keyset_id}`, `/v1/keysets` (NUT-01, NUT-02).

use serde::{Deserialize, Serialize};

use super::null_as_default;
use crate::bounded::BoundedVec;
use crate::keyset::{KeysetError, KeysetId, KeysetKeys, verify_keyset_id};
use crate::limits::MAX_KEYSETS;
use crate::unit::CurrencyUnit;

/// Keysets with their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeysResponse {
    /// The active keysets, or the one that was asked for.
    pub keysets: BoundedVec<KeysetWithKeys, MAX_KEYSETS>,
}

/// A keyset with its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeysetWithKeys {
    /// The id, which commits to the keys.
    pub id: KeysetId,
    /// What its amounts count.
    pub unit: CurrencyUnit,
    /// Whether the mint signs new outputs with it; taken for true when a mint leaves it out.
    #[serde(default = "yes")]
    pub active: bool,
    /// Fee per input, in thousandths of the minor unit; missing and `null` are zero.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_fee_ppk: u64,
    /// When the mint stops honouring it, in seconds since 1970; none if never.
    #[serde(default)]
    pub final_expiry: Option<u64>,
    /// The public key for each amount.
    pub keys: KeysetKeys,
}

impl KeysetWithKeys {
    /// Checks that the id commits to keys and properties.
    ///
    /// # Errors
    /// [`KeysetError::Mismatch`].
    pub fn verify_id(&self) -> Result<(), KeysetError> {
        verify_keyset_id(&self.id, &self.keys, &self.unit, self.input_fee_ppk, self.final_expiry)
    }

    /// The keyset without its keys.
    pub fn info(&self) -> KeysetInfo {
        KeysetInfo {
            id: self.id,
            unit: self.unit.clone(),
            active: self.active,
            input_fee_ppk: self.input_fee_ppk,
            final_expiry: self.final_expiry,
        }
    }
}

const fn yes() -> bool {
    true
}

/// All keysets of a mint, without keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeysetsResponse {
    /// Active and inactive keysets.
    pub keysets: BoundedVec<KeysetInfo, MAX_KEYSETS>,
}

/// A keyset without its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeysetInfo {
    /// The id.
    pub id: KeysetId,
    /// What its amounts count.
    pub unit: CurrencyUnit,
    /// Whether the mint signs new outputs with it.
    pub active: bool,
    /// Fee per input, in thousandths of the minor unit; missing and `null` are zero.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_fee_ppk: u64,
    /// When the mint stops honouring it, in seconds since 1970; none if never.
    #[serde(default)]
    pub final_expiry: Option<u64>,
}
