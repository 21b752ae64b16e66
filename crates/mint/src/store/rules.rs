//! Rules over rows, the same for every store: what counts as the same record, and what a settlement may give.

use hazel_protocol::{Amount, KeysetId};

use crate::ports::{ApplyError, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote, MintQuote, SignedRow};

/// Whether two records name the same keys under the same terms. When they were added, and what became of them since, is no
/// part of it: two processes that derive the same keyset agree, and a late repetition does not undo a rotation.
pub fn same_keyset(a: &KeysetRecord, b: &KeysetRecord) -> bool {
    a.id == b.id
        && a.unit == b.unit
        && a.index() == b.index()
        && a.input_fee_ppk == b.input_fee_ppk
        && a.final_expiry == b.final_expiry
        && a.keys == b.keys
}

/// Whether `redeemed + reserved + more` is above what was issued, here and elsewhere. Nothing is above `None`: an unmetered import.
pub fn is_overdrawn(totals: &KeysetTotals, carried: Option<Amount>, more: u128) -> bool {
    let wide = |amount: Amount| u128::from(amount.to_u64());
    let taken = wide(totals.redeemed) + wide(totals.reserved) + more;
    carried.is_some_and(|carried| taken > wide(totals.issued) + wide(carried))
}

/// Whether a mint quote is the one that was opened: all but what the store sets since is equal.
pub fn same_mint_offer(stored: &MintQuote, opened: &MintQuote) -> bool {
    let MintQuote { updated_at, amount_paid, amount_issued, .. } = *stored;
    *stored == MintQuote { updated_at, amount_paid, amount_issued, ..opened.clone() }
}

/// Whether a melt quote is the one that was opened: all but what the store sets since is equal.
pub fn same_melt_offer(stored: &MeltQuote, opened: &MeltQuote) -> bool {
    let MeltQuote { updated_at, status, operation, preimage, .. } = *stored;
    *stored == MeltQuote { updated_at, status, operation, preimage, ..opened.clone() }
}

/// Whether these are the outputs of an operation, in their order. Signatures are not compared.
pub fn same_outputs(known: &[KnownOutput], signed: &[SignedRow]) -> bool {
    known.iter().map(|known| &known.output).eq(signed.iter().map(|signed| &signed.output))
}

/// A swap gives what it takes: inputs are outputs and fees, to the last unit.
///
/// # Errors
/// [`ApplyError::Corrupt`].
pub fn demand_balance(
    inputs: &[KnownInput],
    outputs: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<(), ApplyError> {
    let taken = Amount::checked_sum(inputs.iter().map(|known| known.row.amount));
    let given = given(outputs, fees, Amount::ZERO);
    let balanced = taken.is_ok_and(|taken| given == Some(taken));
    if balanced { Ok(()) } else { Err(ApplyError::Corrupt("inputs are not outputs plus fees".to_owned())) }
}

/// A melt gives no more than it takes: change, fees and what a mint quote is credited are at most its inputs.
///
/// # Errors
/// [`ApplyError::Corrupt`].
pub fn demand_covered(
    inputs: &[KnownInput],
    credited: Amount,
    change: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<(), ApplyError> {
    let taken = Amount::checked_sum(inputs.iter().map(|known| known.row.amount));
    let given = given(change, fees, credited);
    let covered = taken.is_ok_and(|taken| given.is_some_and(|given| given <= taken));
    if covered { Ok(()) } else { Err(ApplyError::Corrupt("more is given than was taken".to_owned())) }
}

/// Everything that is given; `None` when it does not fit.
fn given(outputs: &[SignedRow], fees: &[(KeysetId, Amount)], credited: Amount) -> Option<Amount> {
    let amounts = outputs.iter().map(|signed| signed.output.amount).chain(fees.iter().map(|(_, fee)| *fee));
    Amount::checked_sum(amounts.chain([credited])).ok()
}

/// Change signs unsigned blanks of its melt, in their order, each with the blank's keyset.
///
/// # Errors
/// [`ApplyError::Corrupt`].
pub fn demand_change_of(blanks: &[KnownOutput], change: &[SignedRow]) -> Result<(), ApplyError> {
    let mut blanks = blanks.iter();
    let fits = |signed: &SignedRow, blank: &KnownOutput| {
        blank.output.b == signed.output.b && blank.output.keyset == signed.output.keyset && blank.signature.is_none()
    };
    if change.iter().all(|signed| blanks.any(|blank| fits(signed, blank))) {
        return Ok(());
    }
    Err(ApplyError::Corrupt("the change is not of this melt's blanks, in their order".to_owned()))
}
