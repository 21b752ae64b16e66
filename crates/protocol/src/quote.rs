//! Quote ids.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_QUOTE_ID_BYTES;
use crate::text::{prefix, serde_as_text};

/// The id of a mint or melt quote (NUT-04, NUT-05): 1 to 64 characters of `[A-Za-z0-9_-]`.
///
/// Whoever knows the id of a paid mint quote can take its money, so `Debug` shows its beginning only. `Display` shows
/// all of it, for messages and URLs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuoteId(String);

/// A text that is not a quote id. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quote id has 1 to {MAX_QUOTE_ID_BYTES} characters of A-Z, a-z, 0-9, '_' and '-'")]
pub struct QuoteIdError;

impl QuoteId {
    /// Takes a text.
    ///
    /// # Errors
    /// [`QuoteIdError`] for other characters, an empty text or a text longer than [`MAX_QUOTE_ID_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, QuoteIdError> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > MAX_QUOTE_ID_BYTES || !text.bytes().all(allowed) {
            return Err(QuoteIdError);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QuoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QuoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A quarter of the id at most, so that a short id is not shown whole.
        let shown = (self.0.len() / 4).min(8);
        write!(f, "QuoteId({}..)", prefix(&self.0, shown))
    }
}

impl FromStr for QuoteId {
    type Err = QuoteIdError;
    fn from_str(text: &str) -> Result<Self, QuoteIdError> {
        Self::new(text)
    }
}

serde_as_text!(QuoteId, "a quote id");
