//! `POST /v1/checkstate` (NUT-07).

use serde::{Deserialize, Serialize};

use super::{UnknownState, state_text};
use crate::bounded::BoundedVec;
use crate::limits::MAX_YS;
use crate::point::PointBytes;
use crate::proof::Witness;

/// Asks for the states of proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckStateRequest {
    /// `hash_to_curve(secret)` of each proof.
    #[serde(rename = "Ys")]
    pub ys: BoundedVec<PointBytes, MAX_YS>,
}

/// The states, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckStateResponse {
    /// One entry for each point asked for.
    pub states: BoundedVec<ProofStateEntry, MAX_YS>,
}

/// The state of one proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProofStateEntry {
    /// The point asked for.
    #[serde(rename = "Y")]
    pub y: PointBytes,
    /// Its state.
    pub state: ProofState,
    /// The witness that it was spent with; `null` when there was none.
    #[serde(default)]
    pub witness: Option<Witness>,
}

/// Whether a proof can be spent (NUT-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProofState {
    /// Not spent, as far as the mint knows.
    Unspent,
    /// Part of an operation that is not finished.
    Pending,
    /// Spent.
    Spent,
}

state_text!(ProofState { Unspent = "UNSPENT", Pending = "PENDING", Spent = "SPENT" });
