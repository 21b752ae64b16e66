//! `POST /v1/restore` (NUT-09).

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::limits::MAX_RESTORE_OUTPUTS;
use crate::proof::{BlindSignature, BlindedMessage};

/// Asks for signatures that the mint gave earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoreRequest {
    /// The outputs that may have been signed; their amounts mean nothing.
    #[serde(deserialize_with = "crate::bounded::outputs")]
    pub outputs: BoundedVec<BlindedMessage, MAX_RESTORE_OUTPUTS>,
}

/// Those of the outputs that were signed, and their signatures; both lists have the same length and order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoreResponse {
    /// The outputs that were signed.
    pub outputs: BoundedVec<BlindedMessage, MAX_RESTORE_OUTPUTS>,
    /// Their signatures.
    pub signatures: BoundedVec<BlindSignature, MAX_RESTORE_OUTPUTS>,
}
