//! What a wallet and a mint hand to each other: proofs, blinded messages, blind signatures (NUT-00, NUT-12).
//!
//! ```text
//! BlindedMessage  --mint signs-->  BlindSignature  --wallet unblinds-->  Proof
//!   amount, id, B_                   amount, id, C_, dleq                  amount, id, secret, C, witness, dleq, p2pk_e
//! ```

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::amount::Amount;
use crate::bounded::BoundedVec;
use crate::dleq::{Dleq, ProofDleq};
use crate::keyset::KeysetId;
use crate::limits::{MAX_INPUTS, MAX_OUTPUTS, MAX_WITNESS_BYTES};
use crate::point::{PointBytes, PublicKey};
use crate::secret::Secret;

/// The proofs that a request spends.
pub type Inputs = BoundedVec<Proof, MAX_INPUTS>;
/// The blinded messages that a request wants signed.
pub type Outputs = BoundedVec<BlindedMessage, MAX_OUTPUTS>;

/// Ecash: a secret and the mint's signature on it (NUT-00). An input of a swap or melt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// The value, in the minor unit of the keyset.
    pub amount: Amount,
    /// The keyset whose key for `amount` signed it.
    pub id: KeysetId,
    /// The secret `x`.
    pub secret: Secret,
    /// The unblinded signature `C`. The mint compares its bytes and never computes with it.
    #[serde(rename = "C")]
    pub c: PointBytes,
    /// What fulfils the spending condition of the secret, if it has one (NUT-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// Proof that the mint signed it (NUT-12). Meant for other users, never for the mint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<ProofDleq>,
    /// The sender's ephemeral key `E`, by which the receiver finds the keys of a blinded lock (NUT-28). Never meant for the mint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2pk_e: Option<PointBytes>,
}

impl Proof {
    /// The point by which the mint knows the proof: `hash_to_curve(secret)`.
    pub fn y(&self) -> PublicKey {
        self.secret.y()
    }

    /// The proof as a mint may see it: without the DLEQ proof, whose blinding factor would link it to its issuance, and without the
    /// ephemeral key, which has no meaning for a mint (NUT-28).
    #[must_use]
    pub fn for_the_mint(mut self) -> Self {
        self.dleq = None;
        self.p2pk_e = None;
        self
    }
}

/// A request for a signature (NUT-00). An output of a swap, mint or melt. A `witness` field in it is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlindedMessage {
    /// The value wanted, in the minor unit of the keyset. Ignored for the blank outputs of NUT-08.
    pub amount: Amount,
    /// The keyset to sign with.
    pub id: KeysetId,
    /// The blinded secret `B_`. On the curve or not: whoever signs parses it.
    #[serde(rename = "B_")]
    pub b: PointBytes,
}

/// The mint's signature on a blinded message (NUT-00), also called a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlindSignature {
    /// The value signed for, in the minor unit of the keyset.
    pub amount: Amount,
    /// The keyset that signed.
    pub id: KeysetId,
    /// The blind signature `C_`.
    #[serde(rename = "C_")]
    pub c: PublicKey,
    /// Proof that the key of the keyset made the signature (NUT-12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<Dleq>,
}

/// The text that fulfils a spending condition (NUT-10), at most [`MAX_WITNESS_BYTES`] bytes. Its meaning depends on the
/// condition, which this type knows nothing about.
///
/// It is a string in JSON. Some wallets send the object itself instead of its text; that is read as the text of the object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness(String);

/// A witness is longer than [`MAX_WITNESS_BYTES`]; the number is its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the witness has {0} bytes, more than the limit of {MAX_WITNESS_BYTES}")]
pub struct WitnessTooLong(pub usize);

impl Witness {
    /// Takes a text.
    ///
    /// # Errors
    /// [`WitnessTooLong`].
    pub fn new(text: impl Into<String>) -> Result<Self, WitnessTooLong> {
        let text = text.into();
        if text.len() > MAX_WITNESS_BYTES {
            return Err(WitnessTooLong(text.len()));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Witness {
    /// A witness may hold a preimage, so only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({} bytes)", self.0.len())
    }
}

impl FromStr for Witness {
    type Err = WitnessTooLong;
    fn from_str(text: &str) -> Result<Self, WitnessTooLong> {
        Self::new(text)
    }
}

impl Serialize for Witness {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Witness {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(WitnessVisitor)
    }
}

struct WitnessVisitor;

impl<'de> Visitor<'de> for WitnessVisitor {
    type Value = Witness;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a witness: a string or an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Witness, E> {
        Witness::new(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Witness, A::Error> {
        let object = serde_json::Map::deserialize(MapAccessDeserializer::new(entries))?;
        let text = serde_json::Value::Object(object).to_string();
        Witness::new(text).map_err(A::Error::custom)
    }
}
