//! Amounts of money and the arithmetic that is allowed on them.
//!
//! An [`Amount`] counts the smallest part of one [`CurrencyUnit`](crate::CurrencyUnit) (a satoshi, a cent) and does
//! not know which one. It has no operators: every sum and difference returns a result, so that no total can wrap
//! unnoticed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::limits::MAX_OUTPUTS;

/// A number of minor units of a currency, 0 to 2^64 - 1 (NUT-00, NUT-01).
///
/// In JSON it is a plain whole number. Fractions, strings, negative numbers and `null` are refused.
///
/// ```
/// use hazel_protocol::{Amount, AmountError};
/// let a = Amount::from_u64(u64::MAX);
/// assert_eq!(a.checked_add(Amount::from_u64(1)), Err(AmountError::Overflow));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// Why an amount could not be computed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The result is above 2^64 - 1.
    #[error("the amount is too large")]
    Overflow,
    /// The result would be negative.
    #[error("the amount would be negative")]
    Underflow,
    /// The amount cannot be made of the given denominations, or only of more than [`MAX_OUTPUTS`] pieces.
    #[error("the amount cannot be made of the available denominations")]
    NotRepresentable,
    /// The text is not a canonical decimal number.
    #[error("not a whole decimal number")]
    NotANumber,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u64::MAX);

    /// The amount of `value` minor units.
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The number of minor units.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] above 2^64 - 1.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        let sum = self.0.checked_add(other.0).ok_or(AmountError::Overflow)?;
        Ok(Self(sum))
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::Underflow`] when `other` is larger.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        let rest = self.0.checked_sub(other.0).ok_or(AmountError::Underflow)?;
        Ok(Self(rest))
    }

    /// The sum of all `amounts`; nothing for an empty list.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] above 2^64 - 1.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Pieces of the given denominations that add up to this amount: largest pieces first while choosing, the
    /// result in ascending order (NUT-03 asks for that order, for privacy). Zero gives no pieces.
    ///
    /// The choice is greedy, which is exact for powers of two and for every set in which each denomination divides the
    /// next.
    ///
    /// # Errors
    /// [`AmountError::NotRepresentable`] when a rest remains or more than [`MAX_OUTPUTS`] pieces would be needed.
    pub fn split(self, denominations: &BTreeSet<Self>) -> Result<Vec<Self>, AmountError> {
        let mut pieces = Vec::new();
        let mut rest = self.0;
        for denomination in denominations.iter().rev().filter(|d| !d.is_zero()) {
            let count = usize::try_from(rest / denomination.0).map_err(|_| AmountError::NotRepresentable)?;
            if count > MAX_OUTPUTS - pieces.len() {
                return Err(AmountError::NotRepresentable);
            }
            pieces.extend(std::iter::repeat_n(*denomination, count));
            rest %= denomination.0;
        }
        if rest != 0 {
            return Err(AmountError::NotRepresentable);
        }
        pieces.reverse();
        Ok(pieces)
    }
}

/// The fee for spending inputs, given the `input_fee_ppk` of the keyset of each: a thousandth of the sum, rounded up
/// (NUT-02). The result is in the unit of the keysets.
///
/// ```
/// use hazel_protocol::{Amount, input_fee};
/// assert_eq!(input_fee([100; 10]), Ok(Amount::from_u64(1)));
/// assert_eq!(input_fee([100; 11]), Ok(Amount::from_u64(2)));
/// ```
///
/// # Errors
/// [`AmountError::Overflow`] when the sum is above 2^64 - 1.
pub fn input_fee(ppk_of_each_input: impl IntoIterator<Item = u64>) -> Result<Amount, AmountError> {
    let sum = Amount::checked_sum(ppk_of_each_input.into_iter().map(Amount))?;
    Ok(Amount(sum.0.div_ceil(1000)))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads a decimal number in its one canonical spelling: digits only, no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || (text.len() > 1 && text.starts_with('0')) {
            return Err(AmountError::NotANumber);
        }
        text.parse().map(Self).map_err(|_| AmountError::Overflow)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_u64(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount: a whole number from 0 to 18446744073709551615")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Amount, E> {
        Ok(Amount(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Amount, E> {
        match u64::try_from(value) {
            Ok(value) => Ok(Amount(value)),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Amount, E> {
        // JSON readers hand over whole numbers above 2^64 - 1 in this form, too.
        Err(E::invalid_value(Unexpected::Float(value), &self))
    }
}
