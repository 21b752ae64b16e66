//! Currency units.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_UNIT_BYTES;
use crate::text::serde_as_text;

/// What an amount counts (NUT-01): the minor unit of a currency.
///
/// The text form is lower case. A unit that has a variant of its own is never `Custom`, so that equal units are equal
/// values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CurrencyUnit {
    /// Satoshi, `sat`.
    Sat,
    /// A thousandth of a satoshi, `msat`.
    Msat,
    /// US cent, `usd`.
    Usd,
    /// Euro cent, `eur`.
    Eur,
    /// `btc`: the amounts count its minor unit, one hundred-millionth.
    Btc,
    /// Reserved for blind authentication (NUT-22), `auth`; never money.
    Auth,
    /// Any other unit.
    Custom(CustomUnit),
}

/// The name of a unit that has no variant in [`CurrencyUnit`]: 1 to 32 characters of `[a-z0-9_-]`.
///
/// It is made by parsing a [`CurrencyUnit`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomUnit(String);

/// A text that is not the name of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a unit has 1 to {MAX_UNIT_BYTES} characters of a-z, 0-9, '_' and '-'")]
pub struct UnitError;

impl CustomUnit {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CurrencyUnit {
    /// The name, as on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sat => "sat",
            Self::Msat => "msat",
            Self::Usd => "usd",
            Self::Eur => "eur",
            Self::Btc => "btc",
            Self::Auth => "auth",
            Self::Custom(name) => name.as_str(),
        }
    }
}

impl fmt::Display for CurrencyUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CurrencyUnit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_UNIT_BYTES || !text.bytes().all(allowed) {
            return Err(UnitError);
        }
        Ok(match text {
            "sat" => Self::Sat,
            "msat" => Self::Msat,
            "usd" => Self::Usd,
            "eur" => Self::Eur,
            "btc" => Self::Btc,
            "auth" => Self::Auth,
            other => Self::Custom(CustomUnit(other.to_owned())),
        })
    }
}

serde_as_text!(CurrencyUnit, "the name of a currency unit");
