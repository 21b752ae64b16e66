//! Between a unit's amounts and the msat that Lightning moves.
//!
//! A [`Rate`] is an exact fraction. It is asked for once, when a quote is opened, and kept in the quote: what was agreed is never converted
//! anew at another rate. Rounding is always against whoever pays the mint or is paid by it: an invoice asks for the msat above, what is
//! owed for a payment is the unit above, what arrives counts as the unit below, and the cap on a fee is the msat below.

use std::fmt;
use std::str::FromStr;

use hazel_protocol::{Amount, CurrencyUnit};

/// The largest rate, in msat for one of a unit: ten bitcoin. More than that is a mistake.
pub const MAX_MSAT_PER_UNIT: u64 = 1_000_000_000_000;

/// The most digits on either side of a rate as text.
const MAX_DIGITS: usize = 18;

/// What one of a unit (its minor unit, NUT-01) is worth in msat: an exact fraction, from 1 to [`MAX_MSAT_PER_UNIT`].
///
/// As text it is a number (`1000`, `10526.315`) or a fraction (`100000000000/9500000`: the msat of a bitcoin over the cents it costs).
///
/// ```
/// use hazel_mint::Rate;
/// use hazel_protocol::Amount;
///
/// let cent: Rate = "100000000000/9500000".parse()?;
/// assert_eq!(cent.to_string(), "200000/19");
/// assert_eq!(cent.msat_to_pay(Amount::from_u64(100)), Some(1_052_632), "of 1,052,631.57.. the msat above");
/// assert_eq!(cent.arrived(1_052_632), Amount::from_u64(100));
/// assert_eq!(cent.owed(1_052_632), Amount::from_u64(101));
/// # Ok::<(), hazel_mint::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// So many msat are worth `units`; in lowest terms.
    msat: u64,
    /// At least 1, at most `msat`: then an invoice that is paid exactly is worth exactly what it was made for.
    units: u64,
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Neither a number nor a fraction.
    #[error(
        "a rate is a number of msat such as 1000 or 10526.315, or a fraction such as 200000/19, of at most {MAX_DIGITS} digits each"
    )]
    Malformed,
    /// Out of range.
    #[error("a rate is from 1 to {MAX_MSAT_PER_UNIT} msat for one of the smallest unit")]
    OutOfRange,
}

impl Rate {
    /// One msat.
    pub const MSAT: Self = Self { msat: 1, units: 1 };

    /// One satoshi.
    pub const SAT: Self = Self { msat: 1_000, units: 1 };

    /// `msat` for `units`.
    ///
    /// # Errors
    /// [`RateError::OutOfRange`].
    pub fn new(msat: u64, units: u64) -> Result<Self, RateError> {
        let most = u128::from(MAX_MSAT_PER_UNIT) * u128::from(units);
        if units == 0 || msat < units || u128::from(msat) > most {
            return Err(RateError::OutOfRange);
        }
        let divisor = greatest_divisor(msat, units);
        Ok(Self { msat: msat / divisor, units: units / divisor })
    }

    /// The rate that a unit has by what it is: those of bitcoin; `None` for others, which have a price.
    pub const fn fixed(unit: &CurrencyUnit) -> Option<Self> {
        match unit {
            CurrencyUnit::Msat => Some(Self::MSAT),
            // NUT-01: amounts of `btc` are in its minor unit, the satoshi.
            CurrencyUnit::Sat | CurrencyUnit::Btc => Some(Self::SAT),
            _ => None,
        }
    }

    /// What an invoice for `amount` asks for, in msat, rounded up; `None` when that does not fit.
    pub fn msat_to_pay(self, amount: Amount) -> Option<u64> {
        let msat = u128::from(amount.to_u64()) * u128::from(self.msat);
        u64::try_from(msat.div_ceil(self.units.into())).ok()
    }

    /// The msat that `amount` covers, rounded down; `None` when that does not fit.
    pub fn msat_covered(self, amount: Amount) -> Option<u64> {
        let msat = u128::from(amount.to_u64()) * u128::from(self.msat);
        u64::try_from(msat / u128::from(self.units)).ok()
    }

    /// What `msat` that arrived are worth, rounded down.
    pub fn arrived(self, msat: u64) -> Amount {
        amount(u128::from(msat) * u128::from(self.units) / u128::from(self.msat))
    }

    /// What has to be given for `msat`, rounded up.
    pub fn owed(self, msat: u64) -> Amount {
        amount((u128::from(msat) * u128::from(self.units)).div_ceil(self.msat.into()))
    }
}

fn amount(units: u128) -> Amount {
    Amount::from_u64(u64::try_from(units).expect("one of a unit is worth at least one msat"))
}

/// Euclid's; not zero, since neither argument is.
const fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.units == 1 { write!(f, "{}", self.msat) } else { write!(f, "{}/{}", self.msat, self.units) }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        if let Some((msat, units)) = text.split_once('/') {
            return Self::new(digits(msat)?, digits(units)?);
        }
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if text.ends_with('.') || whole.is_empty() {
            return Err(RateError::Malformed);
        }
        let units = decimals.bytes().try_fold(1_u64, |units, _| units.checked_mul(10)).ok_or(RateError::Malformed)?;
        Self::new(digits(&format!("{whole}{decimals}"))?, units)
    }
}

fn digits(text: &str) -> Result<u64, RateError> {
    if text.len() > MAX_DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RateError::Malformed);
    }
    text.parse().map_err(|_| RateError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    #[test]
    fn rounds_against_the_payer() {
        assert_eq!(Rate::SAT.owed(10_500), Amount::from_u64(11));
        assert_eq!(Rate::SAT.owed(10_000), Amount::from_u64(10));
        assert_eq!(Rate::SAT.arrived(10_999), Amount::from_u64(10));
        assert_eq!(Rate::MSAT.owed(10_500), Amount::from_u64(10_500));
        let cent = rate("1052.6315");
        assert_eq!(cent.msat_to_pay(Amount::from_u64(1)), Some(1_053));
        assert_eq!(cent.msat_covered(Amount::from_u64(1)), Some(1_052));
        assert_eq!(cent.arrived(1_052), Amount::ZERO);
        assert_eq!([1, 1_052, 1_053].map(|msat| cent.owed(msat).to_u64()), [1, 1, 2]);
    }

    /// For any rate and amount: an invoice paid exactly is worth exactly the amount, and a cap never costs more than what it was made of.
    #[test]
    fn what_is_paid_exactly_arrives_exactly_and_a_cap_is_covered() {
        let rates = ["1", "1000", "1.000000000000001", "3/2", "20000/19", "999999999999/7", "1000000000000"];
        for rate in rates.map(rate) {
            for amount in [1, 2, 3, 7, 99, 1_000_003].map(Amount::from_u64) {
                let msat = rate.msat_to_pay(amount).expect("fits");
                assert_eq!(rate.arrived(msat), amount, "{rate} {amount}");
                assert!(rate.arrived(msat - 1) < amount, "{rate} {amount}");
                let cap = rate.msat_covered(amount).expect("fits");
                assert_eq!(rate.owed(cap), amount, "{rate} {amount}");
            }
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(Rate::SAT.msat_to_pay(Amount::from_u64(u64::MAX)), None);
        assert_eq!(Rate::SAT.msat_covered(Amount::from_u64(u64::MAX)), None);
        assert_eq!(Rate::MSAT.owed(u64::MAX), Amount::from_u64(u64::MAX));
    }

    #[test]
    fn reads_exactly_and_refuses_the_rest() {
        assert_eq!(rate("1052.50"), Rate::new(2_105, 2).expect("in range"));
        assert_eq!(rate("0010/4"), rate("2.5"));
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1/", "/1", "1/2/3", "1.5/2", "0x1", "1,5"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::Malformed), "{text:?}");
        }
        assert_eq!("1".repeat(19).parse::<Rate>(), Err(RateError::Malformed));
        assert_eq!(format!("1.{}", "0".repeat(18)).parse::<Rate>(), Err(RateError::Malformed));
        for text in ["0", "0.999999", "1/2", "1/0", "0/0", "1000000000001", "1000000000000.1"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::OutOfRange), "{text:?}");
        }
    }
}
