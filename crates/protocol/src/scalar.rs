//! Scalars: public ones as they travel, secret ones that erase themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::crypto::Curve;
use crate::hex::{self, HexError};
use crate::point::PublicKey;
use crate::text::{serde_as_text, serde_from_text};

/// Bytes of a scalar, big-endian.
pub const SCALAR_BYTES: usize = 32;

/// Why bytes or text are not a scalar. Holds nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// Not canonical hexadecimal of 32 bytes.
    #[error("invalid scalar: {0}")]
    Hex(#[from] HexError),
    /// Not 32 bytes.
    #[error("invalid scalar: expected 32 bytes, got {0}")]
    Length(usize),
    /// Zero, or not below the order of the curve.
    #[error("invalid scalar: out of range")]
    OutOfRange,
}

/// 32 bytes that stand for a public scalar: `e` and `s` of a DLEQ proof (NUT-12).
///
/// The range is not checked here; verification of the proof does that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalar32([u8; SCALAR_BYTES]);

impl Scalar32 {
    /// Takes big-endian bytes.
    pub const fn from_bytes(bytes: [u8; SCALAR_BYTES]) -> Self {
        Self(bytes)
    }

    /// The big-endian bytes.
    pub const fn as_bytes(&self) -> &[u8; SCALAR_BYTES] {
        &self.0
    }
}

impl fmt::Display for Scalar32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Scalar32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar32({self})")
    }
}

impl FromStr for Scalar32 {
    type Err = ScalarError;
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        Ok(Self(hex::decode(text)?))
    }
}

serde_as_text!(Scalar32, "a scalar: 64 lower-case hex digits");

/// A secret key of a mint for one amount (`k` in NUT-00), erased when dropped.
///
/// It cannot be printed or serialised. It enters constant-time operations only: see [`crypto`](crate::crypto).
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; SCALAR_BYTES]>);

impl SecretKey {
    /// Takes a big-endian scalar.
    ///
    /// # Errors
    /// [`ScalarError::OutOfRange`] for zero and for values not below the order of the curve.
    pub fn from_bytes(bytes: &[u8; SCALAR_BYTES]) -> Result<Self, ScalarError> {
        check_range(bytes)?;
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The big-endian bytes, for storage under encryption. Handle with care.
    pub fn expose_bytes(&self) -> &[u8; SCALAR_BYTES] {
        &self.0
    }

    /// The public key `K = kG`, computed in constant time on the randomised context.
    pub fn public_key(&self, curve: &Curve) -> PublicKey {
        self.with(|key| curve.multiply_generator(key))
    }

    /// Lends the key to `work` in the form of the curve library and erases that copy afterwards.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&secp256k1::SecretKey) -> T) -> T {
        lend(&self.0, work)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The blinding factor of a wallet (`r` in NUT-00), erased when dropped.
///
/// Whoever knows it can link a proof to the signature that the mint gave, so it is shown to other users in a DLEQ proof
/// and never to the mint.
#[derive(Clone)]
pub struct BlindingFactor(Zeroizing<[u8; SCALAR_BYTES]>);

impl BlindingFactor {
    /// Takes a big-endian scalar.
    ///
    /// # Errors
    /// [`ScalarError::Length`] unless there are 32 bytes, [`ScalarError::OutOfRange`] for zero and for values not below
    /// the order of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScalarError> {
        let bytes: &[u8; SCALAR_BYTES] = bytes.try_into().map_err(|_| ScalarError::Length(bytes.len()))?;
        check_range(bytes)?;
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The big-endian bytes. Handle with care.
    pub fn expose_bytes(&self) -> &[u8; SCALAR_BYTES] {
        &self.0
    }

    /// The 64 hex digits that travel in a token (NUT-12). Handle with care.
    pub fn expose_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&*self.0))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&secp256k1::SecretKey) -> T) -> T {
        lend(&self.0, work)
    }
}

impl fmt::Debug for BlindingFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindingFactor(..)")
    }
}

impl PartialEq for BlindingFactor {
    /// Compares all bytes, however early they differ.
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(other.0.iter());
        differences.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl Eq for BlindingFactor {}

impl FromStr for BlindingFactor {
    type Err = ScalarError;
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let bytes = Zeroizing::new(hex::decode::<SCALAR_BYTES>(text)?);
        Self::from_bytes(&*bytes)
    }
}

impl Serialize for BlindingFactor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.expose_hex())
    }
}

serde_from_text!(BlindingFactor, "a scalar: 64 lower-case hex digits");

fn check_range(bytes: &[u8; SCALAR_BYTES]) -> Result<(), ScalarError> {
    let mut key = secp256k1::SecretKey::from_slice(bytes).map_err(|_| ScalarError::OutOfRange)?;
    key.non_secure_erase();
    Ok(())
}

fn lend<T>(bytes: &[u8; SCALAR_BYTES], work: impl FnOnce(&secp256k1::SecretKey) -> T) -> T {
    let mut key = secp256k1::SecretKey::from_slice(bytes).expect("the range was checked when it was made");
    let result = work(&key);
    key.non_secure_erase();
    result
}
