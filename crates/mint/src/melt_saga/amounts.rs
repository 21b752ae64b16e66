//! The arithmetic of a melt: what it needs, what it leaves, how change is laid onto blanks (NUT-05, NUT-08).

use std::collections::BTreeSet;

use hazel_protocol::{Amount, ErrorCode, KeysetId};

use crate::config::QuoteLimits;
use crate::error::MintError;
use crate::keyring::Keyring;
use crate::ports::{InputRow, MeltQuote, OutputRow};
use crate::verify::attribute_fee;

/// How the inputs of a paid melt are divided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// Blanks with the amounts imprinted on them, in the order of the blanks.
    pub change: Vec<OutputRow>,
    /// What stays with the mint, by keyset.
    pub fees: Vec<(KeysetId, Amount)>,
}

/// Inputs must cover the amount, the fee reserve and the input fee.
///
/// # Errors
/// 11005.
pub(super) fn require_covered(quote: &MeltQuote, inputs: Amount, fee: Amount) -> Result<(), MintError> {
    let needed = Amount::checked_sum([quote.amount, quote.fee_reserve, fee])
        .map_err(|_| MintError::refused(ErrorCode::TransactionNotBalanced))?;
    if inputs >= needed {
        return Ok(());
    }
    Err(MintError::refused_because(
        ErrorCode::TransactionNotBalanced,
        format!("inputs of {inputs} do not cover {needed}: amount, fee reserve and input fee"),
    ))
}

/// Divides the inputs of a melt that cost `cost`, in the unit of its quote: change on the blanks, the rest is kept.
///
/// The same for the same melt at any time, since it is done again after a crash: keys and fees of a keyset never change, and a
/// keyset that was rotated or has expired meanwhile still signs change.
///
/// # Errors
/// A bug: the inputs do not add up.
pub(super) fn divide(
    ring: &Keyring,
    quote: &MeltQuote,
    inputs: &[InputRow],
    blanks: &[OutputRow],
    cost: Amount,
) -> Result<Division, MintError> {
    let broken = |_| MintError::Bug("the amounts of a melt do not fit".to_owned());
    let sum = Amount::checked_sum(inputs.iter().map(|input| input.amount)).map_err(broken)?;
    let input_fee = input_fee(ring, inputs)?;
    let paid = charged(quote, cost)?;
    let left = sum.checked_sub(paid).map_err(broken)?;
    let overpaid = left.checked_sub(input_fee).map_err(broken)?;
    let change = imprint(ring, blanks, overpaid)?;
    let given = Amount::checked_sum(change.iter().map(|output| output.amount)).map_err(broken)?;
    let fees = attribute_fee(inputs, left.checked_sub(given).map_err(broken)?);
    Ok(Division { change, fees })
}

/// What the payment is charged at: what it cost, but never less than the amount, which left the mint for certain, and never more than
/// amount and reserve, which is what the user agreed to and the backend was capped at.
fn charged(quote: &MeltQuote, cost: Amount) -> Result<Amount, MintError> {
    let most = quote.amount.checked_add(quote.fee_reserve);
    let most = most.map_err(|_| MintError::Bug("amount and reserve of a quote do not fit".to_owned()))?;
    if cost < quote.amount || cost > most {
        tracing::error!(quote = ?quote.id, %cost, "ALARM: the backend names a cost outside what it was allowed");
    }
    Ok(cost.clamp(quote.amount, most))
}

fn input_fee(ring: &Keyring, inputs: &[InputRow]) -> Result<Amount, MintError> {
    let fees: Result<Vec<u64>, MintError> =
        inputs.iter().map(|input| Ok(ring.known(&input.keyset)?.input_fee_ppk)).collect();
    hazel_protocol::input_fee(fees?).map_err(|_| MintError::Bug("the input fee does not fit".to_owned()))
}

/// Lays as much of `overpaid` onto the blanks as they can carry, ascending, one amount a blank.
fn imprint(ring: &Keyring, blanks: &[OutputRow], overpaid: Amount) -> Result<Vec<OutputRow>, MintError> {
    let Some(first) = blanks.first() else { return Ok(Vec::new()) };
    // All blanks of one melt are of one keyset when wallets follow the NUT; the first one's denominations serve for
    // all, and a blank of another keyset that lacks the amount gets nothing.
    let denominations: BTreeSet<Amount> = ring.known(&first.keyset)?.keys.amounts();
    let mut amounts = largest_parts(overpaid, &denominations, blanks.len());
    amounts.sort_unstable();
    let has_key = |blank: &OutputRow, amount| Ok::<_, MintError>(ring.known(&blank.keyset)?.keys.get(amount).is_some());
    let mut imprinted = Vec::new();
    for (blank, amount) in blanks.iter().zip(amounts) {
        if has_key(blank, amount)? {
            imprinted.push(OutputRow { amount, ..blank.clone() });
        }
    }
    Ok(imprinted)
}

/// At most `count` denominations, the largest first, that sum to at most `amount`.
fn largest_parts(amount: Amount, denominations: &BTreeSet<Amount>, count: usize) -> Vec<Amount> {
    let mut left = amount;
    let mut parts = Vec::new();
    for denomination in denominations.iter().rev() {
        while let Ok(rest) = left.checked_sub(*denomination) {
            if parts.len() == count {
                return parts;
            }
            parts.push(*denomination);
            left = rest;
        }
    }
    parts
}

/// Amount and fee reserve together must be within the limits, so that no melt is refused later for them.
///
/// # Errors
/// 11006.
pub(super) fn within_limits(limits: QuoteLimits, amount: Amount, fee_reserve: Amount) -> Result<(), MintError> {
    let outside = || MintError::refused(ErrorCode::AmountOutsideLimit);
    let total = amount.checked_add(fee_reserve).map_err(|_| outside())?;
    if amount < limits.melt_min || total > limits.melt_max {
        return Err(outside());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers() -> BTreeSet<Amount> {
        (0..10).map(|power| Amount::from_u64(1 << power)).collect()
    }

    fn parts(amount: u64, count: usize) -> Vec<u64> {
        largest_parts(Amount::from_u64(amount), &powers(), count).into_iter().map(Amount::to_u64).collect()
    }

    #[test]
    fn change_is_laid_largest_first_and_stops_at_the_blanks() {
        assert_eq!(parts(900, 10), [512, 256, 128, 4]);
        assert_eq!(parts(900, 2), [512, 256]);
        assert_eq!(parts(0, 10), Vec::<u64>::new());
        assert_eq!(parts(2_000, 3), [512, 512, 512]);
    }
}
