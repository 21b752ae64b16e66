//! What unlocks a proof: `{"signatures": [..], "preimage": ".."}` (NUT-11, NUT-14).

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::error::ConditionError;
use super::{MAX_SIGNATURES_PER_WITNESS, secret::hex_any_case};
use crate::hex;
use crate::json::from_json;
use crate::proof::{Witness, WitnessTooLong};

/// Bytes of a BIP-340 signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// A witness of NUT-11 or NUT-14, read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Unlock {
    /// BIP-340 signatures, 64 bytes each.
    pub signatures: Vec<[u8; SIGNATURE_BYTES]>,
    /// The text given as preimage of a hash lock; empty is the same as none.
    pub preimage: Option<String>,
}

impl fmt::Debug for Unlock {
    /// The preimage stays hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlock({} signatures, preimage: {})", self.signatures.len(), self.preimage.is_some())
    }
}

/// As it travels. Wallets leave either field out, or send `null`.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    preimage: Option<String>,
    #[serde(default)]
    signatures: Option<Vec<String>>,
}

impl Unlock {
    /// Reads a witness. No witness, and one of no text, hold nothing.
    ///
    /// # Errors
    /// [`ConditionError::Witness`], [`ConditionError::TooManySignatures`], [`ConditionError::Signature`].
    pub fn read(witness: Option<&Witness>) -> Result<Self, ConditionError> {
        let text = witness.map_or("", Witness::as_str).trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        // Serde also reads a list as a struct; a witness is an object.
        if !text.starts_with('{') {
            return Err(ConditionError::Witness);
        }
        let fields: Fields = from_json(text.as_bytes()).map_err(|_| ConditionError::Witness)?;
        let signatures = fields.signatures.unwrap_or_default();
        if signatures.len() > MAX_SIGNATURES_PER_WITNESS {
            return Err(ConditionError::TooManySignatures);
        }
        let signatures: Option<Vec<_>> = signatures.iter().map(|text| hex_any_case(text)).collect();
        Ok(Self {
            signatures: signatures.ok_or(ConditionError::Signature)?,
            preimage: fields.preimage.filter(|text| !text.is_empty()),
        })
    }

    /// The text for the field `witness` of a proof.
    ///
    /// # Errors
    /// [`WitnessTooLong`].
    pub fn to_witness(&self) -> Result<Witness, WitnessTooLong> {
        let signatures: Vec<_> = self.signatures.iter().map(|bytes| hex::encode(bytes)).collect();
        let fields = match &self.preimage {
            None => json!({ "signatures": signatures }),
            Some(preimage) => json!({ "preimage": preimage, "signatures": signatures }),
        };
        Witness::new(fields.to_string())
    }
}
