//! Between a unit's amounts and the msat that Lightning moves.
//!
//! Rounding is always against whoever pays the mint or is paid by it: what arrives rounds down, what is owed rounds up.

use hazel_protocol::{Amount, CurrencyUnit, ErrorCode};

use crate::error::MintError;

/// How many msat one of `unit` is.
///
/// # Errors
/// 11013 for a unit that is no fixed number of msat.
pub(crate) fn msat_per_unit(unit: &CurrencyUnit) -> Result<u64, MintError> {
    match unit {
        CurrencyUnit::Msat => Ok(1),
        // NUT-01: amounts of `btc` are in its minor unit, the satoshi.
        CurrencyUnit::Sat | CurrencyUnit::Btc => Ok(1_000),
        _ => Err(MintError::refused(ErrorCode::UnitUnsupported)),
    }
}

/// `amount` in msat, exactly.
///
/// # Errors
/// 11013, or 11006 when it does not fit.
pub(crate) fn to_msat(unit: &CurrencyUnit, amount: Amount) -> Result<u64, MintError> {
    let msat = amount.to_u64().checked_mul(msat_per_unit(unit)?);
    msat.ok_or_else(|| MintError::refused(ErrorCode::AmountOutsideLimit))
}

/// `msat` in `unit`, rounded down: what arrived.
///
/// # Errors
/// 11013.
pub(crate) fn arrived(unit: &CurrencyUnit, msat: u64) -> Result<Amount, MintError> {
    Ok(Amount::from_u64(msat / msat_per_unit(unit)?))
}

/// `msat` in `unit`, rounded up: what is owed.
///
/// # Errors
/// 11013.
pub(crate) fn owed(unit: &CurrencyUnit, msat: u64) -> Result<Amount, MintError> {
    Ok(Amount::from_u64(msat.div_ceil(msat_per_unit(unit)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_against_the_payer() {
        assert_eq!(owed(&CurrencyUnit::Sat, 10_500), Ok(Amount::from_u64(11)));
        assert_eq!(owed(&CurrencyUnit::Sat, 10_000), Ok(Amount::from_u64(10)));
        assert_eq!(arrived(&CurrencyUnit::Sat, 10_999), Ok(Amount::from_u64(10)));
        assert_eq!(owed(&CurrencyUnit::Msat, 10_500), Ok(Amount::from_u64(10_500)));
    }

    #[test]
    fn refuses_what_does_not_fit_or_has_no_rate() {
        let too_much = to_msat(&CurrencyUnit::Sat, Amount::from_u64(u64::MAX));
        assert_eq!(too_much, Err(MintError::refused(ErrorCode::AmountOutsideLimit)));
        let no_rate = to_msat(&CurrencyUnit::Usd, Amount::from_u64(1));
        assert_eq!(no_rate, Err(MintError::refused(ErrorCode::UnitUnsupported)));
    }
}
