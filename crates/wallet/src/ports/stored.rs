//! The text form of records that a store keeps whole: JSON, the same for every store.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// A stored record cannot be read, or one cannot be written. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored record is malformed")]
pub struct MalformedRecord;

/// Writes a [`State`](crate::state::State), a keyset or what a mint says about itself as JSON. A state holds secrets of proofs.
///
/// # Errors
/// [`MalformedRecord`], which does not happen for the records of this crate.
pub fn encode<T: Serialize>(record: &T) -> Result<Zeroizing<String>, MalformedRecord> {
    serde_json::to_string(record).map(Zeroizing::new).map_err(|_| MalformedRecord)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`MalformedRecord`].
pub fn decode<T: DeserializeOwned>(json: &str) -> Result<T, MalformedRecord> {
    serde_json::from_str(json).map_err(|_| MalformedRecord)
}
