//! Melts: quoted, reserved, dispatched, recorded, settled, released.

use hazel_mint::ports::{
    Applied, Conflict, DispatchMelt, KnownInput, MeltOutcome, MeltProgress, MeltQuote, MeltQuoteStatus, OpenMeltQuote,
    OperationId, OperationKind, OperationRecord, OperationState, OwnerId, PaidEvidence, PaymentProof, RecordMelt,
    ReleaseMelt, ReserveMelt, SettleInternally, SettleMelt, SignedRow, Timestamp,
};
use hazel_mint::store::internal_credit;
use hazel_mint::store::rules::{demand_change_of, demand_covered, same_melt_offer};
use hazel_protocol::{Amount, KeysetId, QuoteId};
use rusqlite::{Connection, params};

use super::custody::{Reservation, refuse_overdrawn_reservation, remove, spend};
use super::swap::give_up;
use super::{
    LedgerFault, Outcome, corrupt, demand_unused, left_something, mint_quotes, precondition, refuse, rows, sql,
};
use crate::columns::{one, run_one, stored};
use crate::fault::StoreFault;

pub(super) fn open(connection: &Connection, change: &OpenMeltQuote) -> Outcome {
    let new = &change.quote;
    if let Some(old) = rows::melt_quote(connection, &new.id)? {
        return if same_melt_offer(&old, new) { Ok(Applied::MeltQuote(old)) } else { refuse(Conflict::QuoteExists) };
    }
    refuse_invoice_in_use(connection, new)?;
    let row = params![
        new.id.as_str(),
        new.method,
        new.unit.as_str(),
        new.request,
        new.payment_hash,
        stored(new.amount_msat, "an amount")?,
        stored(new.amount.to_u64(), "an amount")?,
        stored(new.fee_reserve.to_u64(), "a fee reserve")?,
        stored(new.expiry.to_unix(), "a quote's expiry")?,
        stored(new.created_at.to_unix(), "a time")?,
        stored(new.updated_at.to_unix(), "a time")?,
        new.rate.to_string(),
    ];
    run_one(connection, sql::ADD_MELT_QUOTE, row, "a melt quote was not added")?;
    Ok(Applied::MeltQuote(new.clone()))
}

/// Refuses when another quote of the same invoice is being paid or has been. There is never more than one such.
fn refuse_invoice_in_use(connection: &Connection, quote: &MeltQuote) -> Result<(), LedgerFault> {
    let in_use = one(connection, sql::MELT_QUOTE_IN_USE, [quote.payment_hash], rows::melt_quote_record)?;
    match in_use.filter(|other| other.id != quote.id).map(|other| other.status) {
        None | Some(MeltQuoteStatus::Unpaid) => Ok(()),
        Some(MeltQuoteStatus::Pending) => refuse(Conflict::InvoicePending),
        Some(MeltQuoteStatus::Paid) => refuse(Conflict::InvoicePaid),
    }
}

/// A melt quote that must be there.
fn known(connection: &Connection, id: &QuoteId) -> Result<MeltQuote, LedgerFault> {
    rows::melt_quote(connection, id)?.ok_or_else(|| Conflict::QuoteUnknown.into())
}

pub(super) fn reserve(connection: &Connection, change: &ReserveMelt) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Melt,
        inputs: &change.inputs,
        outputs: &change.blanks,
    };
    if let Some(row) = rows::operation(connection, change.operation)? {
        return reserved_before(connection, &row, change, &reservation);
    }
    demand_unused(connection, change.operation)?;
    let quote = known(connection, &change.quote)?;
    match quote.status {
        MeltQuoteStatus::Unpaid => {}
        MeltQuoteStatus::Pending => return refuse(Conflict::QuotePending),
        MeltQuoteStatus::Paid => return refuse(Conflict::QuotePaid),
    }
    refuse_invoice_in_use(connection, &quote)?;
    reservation.take(connection)?;
    let now = stored(change.now.to_unix(), "a time")?;
    let row = params![change.operation.as_bytes(), change.owner.as_bytes(), now, quote.id.as_str()];
    run_one(connection, sql::ADD_MELT, row, "an operation was not added")?;
    move_quote(connection, &quote.id, MeltQuoteStatus::Pending, Some(change.operation), None, change.now)
}

fn reserved_before(
    connection: &Connection,
    row: &OperationRecord,
    change: &ReserveMelt,
    reservation: &Reservation<'_>,
) -> Outcome {
    if row.owner != change.owner {
        return refuse(Conflict::OperationGone);
    }
    let same_quote = row.melt.as_ref().is_some_and(|melt| melt.quote == change.quote);
    if !same_quote || !reservation.stands(connection)? {
        return corrupt("the id of another operation");
    }
    Ok(Applied::MeltQuote(known(connection, &change.quote)?))
}

/// Changes the state of a quote, and answers with it as it then is.
fn move_quote(
    connection: &Connection,
    id: &QuoteId,
    status: MeltQuoteStatus,
    operation: Option<OperationId>,
    preimage: Option<[u8; 32]>,
    now: Timestamp,
) -> Outcome {
    let operation = operation.as_ref().map(OperationId::as_bytes);
    let now = stored(now.to_unix(), "a time")?;
    let row = params![id.as_str(), rows::status_text(status), operation, preimage, now];
    let quote = one(connection, sql::MOVE_MELT_QUOTE, row, rows::melt_quote_record)?;
    quote.map(Applied::MeltQuote).ok_or_else(|| StoreFault::corrupt("a melt quote was not there to be changed").into())
}

/// The row of an unfinished melt, and what is known of it.
fn unfinished(connection: &Connection, operation: OperationId) -> Result<(OperationRecord, MeltProgress), LedgerFault> {
    let row = rows::operation(connection, operation)?.ok_or(Conflict::OperationGone)?;
    let melt = row.melt.clone().ok_or(Conflict::OperationGone)?;
    Ok((row, melt))
}

/// The same, when this owner drives it.
fn owned(
    connection: &Connection,
    operation: OperationId,
    owner: OwnerId,
) -> Result<(OperationRecord, MeltProgress), LedgerFault> {
    let found = unfinished(connection, operation)?;
    if found.0.owner == owner { Ok(found) } else { refuse(Conflict::OperationGone) }
}

/// Only the very same dispatch stands: another `not_after`, or one of a former owner, is not what the ledger holds.
pub(super) fn dispatch(connection: &Connection, change: &DispatchMelt) -> Outcome {
    let (row, melt) = owned(connection, change.operation, change.owner)?;
    let quote = known(connection, &melt.quote)?;
    let dispatched =
        MeltProgress { not_after: Some(change.not_after), dispatched_by: Some(change.owner), ..melt.clone() };
    match row.state {
        OperationState::Dispatched if melt == dispatched => return Ok(Applied::MeltQuote(quote)),
        OperationState::Reserved | OperationState::Unknown => {}
        _ => return refuse(Conflict::WrongState),
    }
    refuse_overdrawn_reservation(connection, &rows::inputs_of(connection, change.operation)?)?;
    move_operation(connection, change.operation, OperationState::Dispatched, &dispatched)?;
    Ok(Applied::MeltQuote(quote))
}

/// Writes where a melt stands.
fn move_operation(
    connection: &Connection,
    operation: OperationId,
    state: OperationState,
    melt: &MeltProgress,
) -> Result<(), LedgerFault> {
    let proof = melt.paid.as_ref().map(|paid| match paid.proof {
        PaymentProof::Preimage(_) => "preimage",
        PaymentProof::Vouched => "vouched",
    });
    let row = params![
        operation.as_bytes(),
        state.as_str(),
        melt.not_after.map(|time| stored(time.to_unix(), "a time")).transpose()?,
        melt.dispatched_by.as_ref().map(OwnerId::as_bytes),
        proof,
        melt.paid.as_ref().and_then(|paid| paid.proof.preimage()),
        melt.paid.as_ref().map(|paid| paid.total_msat.to_be_bytes()),
    ];
    Ok(run_one(connection, sql::MOVE_OPERATION, row, "an operation's row was not there to be changed")?)
}

pub(super) fn record(connection: &Connection, change: &RecordMelt) -> Outcome {
    match &change.outcome {
        MeltOutcome::Paid(evidence) => record_paid(connection, change.operation, evidence.clone()),
        MeltOutcome::Failed => record_word(connection, change, OperationState::Failed),
        MeltOutcome::Unknown => record_word(connection, change, OperationState::Unknown),
    }
}

/// Evidence comes from anybody; the first stays.
fn record_paid(connection: &Connection, operation: OperationId, evidence: PaidEvidence) -> Outcome {
    let (row, melt) = unfinished(connection, operation)?;
    let quote = known(connection, &melt.quote)?;
    match row.state {
        OperationState::Reserved | OperationState::SetupComplete => return refuse(Conflict::WrongState),
        OperationState::Paid => {}
        OperationState::Dispatched | OperationState::Failed | OperationState::Unknown => {
            let paid = MeltProgress { paid: Some(evidence), ..melt };
            move_operation(connection, operation, OperationState::Paid, &paid)?;
        }
    }
    Ok(Applied::MeltQuote(quote))
}

fn record_word(connection: &Connection, change: &RecordMelt, word: OperationState) -> Outcome {
    let (row, melt) = owned(connection, change.operation, change.owner)?;
    let quote = known(connection, &melt.quote)?;
    match row.state {
        state if state == word => {}
        OperationState::Dispatched | OperationState::Unknown => {
            move_operation(connection, change.operation, word, &melt)?;
        }
        _ => return refuse(Conflict::WrongState),
    }
    Ok(Applied::MeltQuote(quote))
}

pub(super) fn settle(connection: &Connection, change: &SettleMelt) -> Outcome {
    if let Some(quote) = paid_by(connection, change.operation)? {
        return Ok(Applied::MeltQuote(quote));
    }
    let (row, melt) = unfinished(connection, change.operation)?;
    let Some(evidence) = melt.paid.filter(|_| row.state == OperationState::Paid) else {
        return refuse(Conflict::WrongState);
    };
    let inputs = custody_of(connection, change.operation, Amount::ZERO, &change.change, &change.fees)?;
    spend(connection, change.operation, inputs, &change.change, &change.fees)?;
    let preimage = evidence.proof.preimage();
    move_quote(connection, &melt.quote, MeltQuoteStatus::Paid, Some(change.operation), preimage, change.now)
}

pub(super) fn settle_internally(connection: &Connection, change: &SettleInternally) -> Outcome {
    if let Some(quote) = paid_by(connection, change.operation)? {
        return Ok(Applied::MeltQuote(quote));
    }
    let (row, melt) = owned(connection, change.operation, change.owner)?;
    if row.state != OperationState::Reserved {
        return refuse(Conflict::WrongState);
    }
    let quote = known(connection, &melt.quote)?;
    let mint_quote = mint_quotes::known(connection, &change.mint_quote)?;
    if !mint_quote.amount_paid.is_zero() || !mint_quote.amount_issued.is_zero() {
        return refuse(Conflict::MintQuoteSettled);
    }
    if mint_quote.unit != quote.unit {
        return refuse(Conflict::UnitMismatch);
    }
    let credit = internal_credit(&quote.id);
    let is_other = mint_quote.payment_hash != quote.payment_hash;
    if is_other || mint_quotes::credited(connection, &credit)?.is_some() {
        return corrupt("the mint quote is not the one that is being paid");
    }
    let inputs = custody_of(connection, change.operation, change.amount, &change.change, &change.fees)?;
    refuse_overdrawn_reservation(connection, &inputs)?;
    spend(connection, change.operation, inputs, &change.change, &change.fees)?;
    mint_quotes::add_credit(connection, &mint_quote, &credit, change.amount, change.now)?;
    move_quote(connection, &quote.id, MeltQuoteStatus::Paid, Some(change.operation), change.preimage, change.now)
}

/// The quote that a finished melt has paid.
fn paid_by(connection: &Connection, operation: OperationId) -> Result<Option<MeltQuote>, StoreFault> {
    if rows::operation(connection, operation)?.is_some() || !left_something(connection, operation)? {
        return Ok(None);
    }
    rows::melt_quote_of(connection, operation)
}

/// The inputs of a melt whose settlement adds up: the change is of its blanks, and no more is given than was taken.
fn custody_of(
    connection: &Connection,
    operation: OperationId,
    credited: Amount,
    change: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<Vec<KnownInput>, LedgerFault> {
    demand_change_of(&rows::outputs_of(connection, operation)?, change).map_err(precondition)?;
    let inputs = rows::inputs_of(connection, operation)?;
    demand_covered(&inputs, credited, change, fees).map_err(precondition)?;
    Ok(inputs)
}

pub(super) fn release(connection: &Connection, change: &ReleaseMelt) -> Outcome {
    if rows::operation(connection, change.operation)?.is_none() {
        return give_up_melt(connection, change);
    }
    let (row, melt) = owned(connection, change.operation, change.owner)?;
    if melt.quote != change.quote {
        return corrupt("the melt is of another quote");
    }
    if !matches!(row.state, OperationState::Reserved | OperationState::Failed) {
        return refuse(Conflict::WrongState);
    }
    remove(connection, change.operation)?;
    move_quote(connection, &melt.quote, MeltQuoteStatus::Unpaid, None, None, change.now)
}

/// Nothing was reserved: leaves a tombstone, unless the operation has finished.
fn give_up_melt(connection: &Connection, change: &ReleaseMelt) -> Outcome {
    if left_something(connection, change.operation)? {
        return refuse(Conflict::OperationEnded);
    }
    let quote = known(connection, &change.quote)?;
    give_up(connection, change.operation, change.now)?;
    Ok(Applied::MeltQuote(quote))
}
