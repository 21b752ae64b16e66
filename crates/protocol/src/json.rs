//! Reading JSON from another party without repeating it in errors.

use serde::de::DeserializeOwned;

use crate::bounded::{TOO_MANY_INPUTS, TOO_MANY_OUTPUTS, TOO_MANY_QUOTES};
use crate::error::ErrorCode;
use crate::text::neutralise;

/// Why a JSON text was refused.
///
/// Parsers like to quote what they did not understand, and what they quote may be the secret of a proof. Every quoted text is
/// therefore left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    message: String,
    syntax: bool,
}

impl JsonError {
    /// The code of the NUTs for what is wrong, where they have one: too many inputs, outputs or quotes.
    pub fn error_code(&self) -> Option<ErrorCode> {
        // What a peer sent never stands at the beginning of a message.
        if self.message.starts_with(TOO_MANY_INPUTS) {
            Some(ErrorCode::MaxInputsExceeded)
        } else if self.message.starts_with(TOO_MANY_OUTPUTS) {
            Some(ErrorCode::MaxOutputsExceeded)
        } else if self.message.starts_with(TOO_MANY_QUOTES) {
            Some(ErrorCode::MaxBatchSizeExceeded)
        } else {
            None
        }
    }

    /// Whether the text is no JSON at all or ends early; otherwise it is JSON of another shape than expected.
    pub const fn is_syntax(&self) -> bool {
        self.syntax
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self { syntax: !error.is_data(), message: neutralise(&without_quotes(&error.to_string())) }
    }
}

/// Reads one JSON value and nothing after it. Nesting is limited by the parser to 128 levels.
///
/// # Errors
/// [`JsonError`], which holds none of the text.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(json).map_err(JsonError::from)
}

/// Replaces everything from the first double quote to the last one, or else a number that stands in backquotes, and keeps
/// what is around it. Other words in backquotes are names of fields of our own.
fn without_quotes(message: &str) -> String {
    let text = message.find('"').zip(message.rfind('"'));
    let number = ["integer `", "floating point `"].iter().find_map(|kind| {
        let start = message.find(kind)? + kind.len() - 1;
        Some((start, start + 1 + message[start + 1..].find('`')?))
    });
    match text.filter(|(start, end)| start < end).or(number) {
        Some((start, end)) => format!("{}(not shown){}", &message[..start], &message[end + 1..]),
        None => message.to_owned(),
    }
}
