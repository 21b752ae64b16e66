//! `POST /v1/swap` (NUT-03).

use serde::{Deserialize, Serialize};

use crate::bounded::{self, BoundedVec};
use crate::limits::MAX_OUTPUTS;
use crate::proof::{BlindSignature, Inputs, Outputs};

/// Exchanges proofs for signatures on new outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwapRequest {
    /// The proofs to spend.
    #[serde(deserialize_with = "bounded::inputs")]
    pub inputs: Inputs,
    /// The outputs to sign.
    #[serde(deserialize_with = "bounded::outputs")]
    pub outputs: Outputs,
}

/// The signatures, in the order of the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwapResponse {
    /// One signature for each output.
    pub signatures: BoundedVec<BlindSignature, MAX_OUTPUTS>,
}
