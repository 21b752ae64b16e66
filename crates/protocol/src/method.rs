//! Names of payment methods.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_METHOD_BYTES;
use crate::text::serde_as_text;

/// How a mint is paid and pays (NUT-04, NUT-05), such as `bolt11`: 1 to 32 characters of `[a-z0-9_-]`.
///
/// ```
/// use hazel_protocol::PaymentMethod;
///
/// assert_eq!("bolt11".parse(), Ok(PaymentMethod::bolt11()));
/// assert!("Bolt 11".parse::<PaymentMethod>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentMethod(String);

/// A text that is not the name of a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payment method has 1 to {MAX_METHOD_BYTES} characters of a-z, 0-9, '_' and '-'")]
pub struct PaymentMethodError;

impl PaymentMethod {
    /// Lightning invoices (NUT-23).
    pub fn bolt11() -> Self {
        Self("bolt11".to_owned())
    }

    /// The name, as on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map by methods can be asked with a text.
impl Borrow<str> for PaymentMethod {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PaymentMethod {
    type Err = PaymentMethodError;

    fn from_str(text: &str) -> Result<Self, PaymentMethodError> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_METHOD_BYTES || !text.bytes().all(allowed) {
            return Err(PaymentMethodError);
        }
        Ok(Self(text.to_owned()))
    }
}

serde_as_text!(PaymentMethod, "the name of a payment method");
