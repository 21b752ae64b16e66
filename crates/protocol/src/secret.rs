//! The secret message of a proof.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::crypto::hash_to_curve;
use crate::limits::MAX_SECRET_BYTES;
use crate::point::PublicKey;

/// The secret `x` of a proof (NUT-00): text of 1 to [`MAX_SECRET_BYTES`] bytes of UTF-8. Together with the signature it
/// *is* the money, so it is redacted in `Debug` and erased when dropped.
///
/// The bytes count as they are; nothing is normalised, and 64 hex digits are hashed as text, not as 32 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
pub struct Secret(String);

/// Why a text cannot be a secret. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is empty.
    #[error("the secret is empty")]
    Empty,
    /// The text is longer than the limit; the number is its length in bytes.
    #[error("the secret has {0} bytes, more than the limit of {MAX_SECRET_BYTES}")]
    TooLong(usize),
}

impl Secret {
    /// Takes a text.
    ///
    /// # Errors
    /// [`SecretError`] when it is empty or longer than [`MAX_SECRET_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let mut text = Zeroizing::new(text.into());
        match text.len() {
            0 => Err(SecretError::Empty),
            1..=MAX_SECRET_BYTES => Ok(Self(std::mem::take(&mut *text))),
            length => Err(SecretError::TooLong(length)),
        }
    }

    /// The text. Handle with care.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes that are hashed. Handle with care.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The point `Y = hash_to_curve(x)` by which a mint knows the proof (NUT-00).
    pub fn y(&self) -> PublicKey {
        hash_to_curve(self.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl FromStr for Secret {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the secret as a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                Secret::new(text).map_err(E::custom)
            }
            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Secret, E> {
                Secret::new(text).map_err(E::custom)
            }
        }
        d.deserialize_string(Text)
    }
}
