//! Points of the curve secp256k1, in two degrees of certainty.
//!
//! [`PublicKey`] is known to be on the curve. [`PointBytes`] only has the shape of a compressed point: it is what a proof
//! carries, because a mint never does arithmetic with the point of a proof. It computes the point that should be there
//! and compares the bytes.

use std::fmt;
use std::str::FromStr;

use crate::hex::{self, HexError};
use crate::text::serde_as_text;

/// Bytes of a compressed point.
pub const POINT_BYTES: usize = 33;

/// Why bytes or text are not a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// Not canonical hexadecimal of 33 bytes.
    #[error("invalid point: {0}")]
    Hex(#[from] HexError),
    /// Not 33 bytes: uncompressed, hybrid and truncated points end up here.
    #[error("invalid point: expected 33 bytes, got {0}")]
    Length(usize),
    /// The first byte is neither 2 nor 3.
    #[error("invalid point: a compressed point starts with 02 or 03")]
    Prefix,
    /// There is no point with this x coordinate.
    #[error("invalid point: not on the curve")]
    NotOnCurve,
}

/// A point on the curve, never the point at infinity. Written as 66 lower-case hex digits (NUT-00).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(secp256k1::PublicKey);

impl PublicKey {
    /// Reads a compressed point of 33 bytes.
    ///
    /// # Errors
    /// [`PointError`] for any other length, another first byte, or an x coordinate that is not on the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PointError> {
        PointBytes::from_bytes(bytes)?.parse()
    }

    /// The compressed form.
    pub fn to_bytes(self) -> [u8; POINT_BYTES] {
        self.0.serialize()
    }

    /// The uncompressed form, which NUT-12 hashes.
    pub fn to_uncompressed(self) -> [u8; 65] {
        self.0.serialize_uncompressed()
    }

    /// The point as the curve library holds it.
    pub const fn as_inner(&self) -> &secp256k1::PublicKey {
        &self.0
    }
}

impl From<secp256k1::PublicKey> for PublicKey {
    fn from(point: secp256k1::PublicKey) -> Self {
        Self(point)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = PointError;
    fn from_str(text: &str) -> Result<Self, PointError> {
        PointBytes::from_str(text)?.parse()
    }
}

serde_as_text!(PublicKey, "a compressed point: 66 lower-case hex digits");

/// 33 bytes that begin like a compressed point and may be on the curve or not. For look-ups and comparison.
///
/// Equal points have equal bytes and one spelling, so this is a sound key for a map or a database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointBytes([u8; POINT_BYTES]);

impl PointBytes {
    /// Takes 33 bytes.
    ///
    /// # Errors
    /// [`PointError::Length`] for another length, [`PointError::Prefix`] unless the first byte is 2 or 3.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PointError> {
        let bytes: [u8; POINT_BYTES] = bytes.try_into().map_err(|_| PointError::Length(bytes.len()))?;
        match bytes[0] {
            0x02 | 0x03 => Ok(Self(bytes)),
            _ => Err(PointError::Prefix),
        }
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; POINT_BYTES] {
        &self.0
    }

    /// The point, if it is on the curve. This costs a square root.
    ///
    /// # Errors
    /// [`PointError::NotOnCurve`] when there is no such point.
    pub fn parse(&self) -> Result<PublicKey, PointError> {
        secp256k1::PublicKey::from_slice(&self.0).map(PublicKey).map_err(|_| PointError::NotOnCurve)
    }
}

impl From<&PublicKey> for PointBytes {
    fn from(point: &PublicKey) -> Self {
        Self(point.to_bytes())
    }
}

impl From<PublicKey> for PointBytes {
    fn from(point: PublicKey) -> Self {
        Self(point.to_bytes())
    }
}

impl fmt::Display for PointBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PointBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PointBytes({self})")
    }
}

impl FromStr for PointBytes {
    type Err = PointError;
    fn from_str(text: &str) -> Result<Self, PointError> {
        Self::from_bytes(&hex::decode::<POINT_BYTES>(text)?)
    }
}

serde_as_text!(PointBytes, "a compressed point: 66 lower-case hex digits");
