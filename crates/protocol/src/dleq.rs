//! DLEQ proofs as they travel (NUT-12). [`crypto`](crate::crypto) makes and verifies them.

use serde::{Deserialize, Serialize};

use crate::scalar::{BlindingFactor, Scalar32};

/// The mint's proof that one key made both the public key and a blind signature. It comes with a
/// [`BlindSignature`](crate::BlindSignature).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dleq {
    /// The challenge.
    pub e: Scalar32,
    /// The response.
    pub s: Scalar32,
}

/// The same proof in the hands of another user, who needs the blinding factor to check it. It comes with a
/// [`Proof`](crate::Proof) inside a token and must not be shown to the mint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProofDleq {
    /// The challenge.
    pub e: Scalar32,
    /// The response.
    pub s: Scalar32,
    /// The blinding factor that the sender used.
    pub r: BlindingFactor,
}

impl Dleq {
    /// The proof for other users.
    #[must_use]
    pub fn with_blinding_factor(self, r: BlindingFactor) -> ProofDleq {
        ProofDleq { e: self.e, s: self.s, r }
    }
}

impl ProofDleq {
    /// The proof as the mint gave it.
    pub fn dleq(&self) -> Dleq {
        Dleq { e: self.e, s: self.s }
    }
}
