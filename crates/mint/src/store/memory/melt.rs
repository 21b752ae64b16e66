//! Melts: quoted, reserved, dispatched, recorded, settled, released.

use hazel_protocol::{Amount, QuoteId};

use crate::ports::{
    Applied, Conflict, DispatchMelt, MeltOutcome, MeltProgress, MeltQuote, MeltQuoteStatus, OpenMeltQuote, OperationId,
    OperationKind, OperationRecord, OperationState, OwnerId, PaidEvidence, RecordMelt, ReleaseMelt, ReserveMelt,
    SettleInternally, SettleMelt, Timestamp,
};
use crate::store::internal_credit;
use crate::store::rules::{demand_change_of, demand_covered, same_melt_offer};

use super::custody::{Reservation, refuse_overdrawn_reservation, remove, spend};
use super::ledger::{Brought, Ledger, Outcome, Writes, corrupt, later, refuse, unchanged};
use super::mint_quotes::paid as credited;

pub(super) fn open(ledger: &Ledger, change: &OpenMeltQuote) -> Outcome {
    let new = &change.quote;
    if let Some(old) = ledger.melt_quotes.get(&new.id) {
        return if same_melt_offer(old, new) {
            Ok(unchanged(Applied::MeltQuote(old.clone())))
        } else {
            refuse(Conflict::QuoteExists)
        };
    }
    refuse_invoice_in_use(ledger, new)?;
    Ok(answering(Writes::default(), new.clone()))
}

/// Refuses when another quote of the same invoice is being paid or has been. There is never more than one such.
fn refuse_invoice_in_use(ledger: &Ledger, quote: &MeltQuote) -> Result<(), Conflict> {
    let others = ledger.melt_quotes.values().filter(|other| other.id != quote.id);
    for other in others.filter(|other| other.payment_hash == quote.payment_hash) {
        match other.status {
            MeltQuoteStatus::Unpaid => {}
            MeltQuoteStatus::Pending => return Err(Conflict::InvoicePending),
            MeltQuoteStatus::Paid => return Err(Conflict::InvoicePaid),
        }
    }
    Ok(())
}

pub(super) fn reserve(ledger: &Ledger, change: &ReserveMelt) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Melt,
        inputs: &change.inputs,
        outputs: &change.blanks,
    };
    if let Some(row) = ledger.operations.get(&change.operation) {
        return reserved_before(ledger, row, change, &reservation);
    }
    ledger.usable(change.operation)?;
    let quote = ledger.melt_quote(&change.quote)?;
    match quote.status {
        MeltQuoteStatus::Unpaid => {}
        MeltQuoteStatus::Pending => return refuse(Conflict::QuotePending),
        MeltQuoteStatus::Paid => return refuse(Conflict::QuotePaid),
    }
    refuse_invoice_in_use(ledger, quote)?;
    let mut writes = reservation.take(ledger)?;
    writes.operations.insert(change.operation, Some(new_row(change)));
    let brought = Brought { quotes: vec![change.quote.clone()], ..reservation.brought() };
    writes.brought.insert(change.operation, Some(brought));
    Ok(answering(writes, held(quote, change.operation, change.now)))
}

fn reserved_before(
    ledger: &Ledger,
    row: &OperationRecord,
    change: &ReserveMelt,
    reservation: &Reservation<'_>,
) -> Outcome {
    if row.owner != change.owner {
        return refuse(Conflict::OperationGone);
    }
    let same_quote = row.melt.as_ref().is_some_and(|melt| melt.quote == change.quote);
    if !same_quote || !reservation.stands(ledger) {
        return corrupt("the id of another operation");
    }
    Ok(unchanged(Applied::MeltQuote(ledger.melt_quote(&change.quote)?.clone())))
}

fn new_row(change: &ReserveMelt) -> OperationRecord {
    OperationRecord {
        id: change.operation,
        kind: OperationKind::Melt,
        state: OperationState::Reserved,
        owner: change.owner,
        created_at: change.now,
        melt: Some(MeltProgress { quote: change.quote.clone(), not_after: None, dispatched_by: None, paid: None }),
    }
}

/// The row of an unfinished melt, and what is known of it.
fn unfinished(ledger: &Ledger, operation: OperationId) -> Result<(&OperationRecord, &MeltProgress), Conflict> {
    let row = ledger.operations.get(&operation).ok_or(Conflict::OperationGone)?;
    row.melt.as_ref().map(|melt| (row, melt)).ok_or(Conflict::OperationGone)
}

/// The same, when this owner drives it.
fn owned(
    ledger: &Ledger,
    operation: OperationId,
    owner: OwnerId,
) -> Result<(&OperationRecord, &MeltProgress), Conflict> {
    unfinished(ledger, operation)
        .and_then(|found| if found.0.owner == owner { Ok(found) } else { Err(Conflict::OperationGone) })
}

/// Only the very same dispatch stands: another `not_after`, or one of a former owner, is not what the ledger holds.
pub(super) fn dispatch(ledger: &Ledger, change: &DispatchMelt) -> Outcome {
    let (row, melt) = owned(ledger, change.operation, change.owner)?;
    let quote = ledger.melt_quote(&melt.quote)?.clone();
    let dispatched =
        MeltProgress { not_after: Some(change.not_after), dispatched_by: Some(change.owner), ..melt.clone() };
    match row.state {
        OperationState::Dispatched if *melt == dispatched => return Ok(unchanged(Applied::MeltQuote(quote))),
        OperationState::Reserved | OperationState::Unknown => {}
        _ => return refuse(Conflict::WrongState),
    }
    refuse_overdrawn_reservation(ledger, &ledger.contents_of(change.operation).inputs)?;
    Ok((moving(row, OperationState::Dispatched, dispatched), Applied::MeltQuote(quote)))
}

pub(super) fn record(ledger: &Ledger, change: &RecordMelt) -> Outcome {
    match &change.outcome {
        MeltOutcome::Paid(evidence) => record_paid(ledger, change.operation, evidence),
        MeltOutcome::Failed => record_word(ledger, change, OperationState::Failed),
        MeltOutcome::Unknown => record_word(ledger, change, OperationState::Unknown),
    }
}

/// Evidence comes from anybody; the first stays.
fn record_paid(ledger: &Ledger, operation: OperationId, evidence: &PaidEvidence) -> Outcome {
    let (row, melt) = unfinished(ledger, operation)?;
    let quote = ledger.melt_quote(&melt.quote)?.clone();
    match row.state {
        OperationState::Reserved | OperationState::SetupComplete => refuse(Conflict::WrongState),
        OperationState::Paid => Ok(unchanged(Applied::MeltQuote(quote))),
        OperationState::Dispatched | OperationState::Failed | OperationState::Unknown => {
            let paid = MeltProgress { paid: Some(evidence.clone()), ..melt.clone() };
            Ok((moving(row, OperationState::Paid, paid), Applied::MeltQuote(quote)))
        }
    }
}

fn record_word(ledger: &Ledger, change: &RecordMelt, word: OperationState) -> Outcome {
    let (row, melt) = owned(ledger, change.operation, change.owner)?;
    let quote = ledger.melt_quote(&melt.quote)?.clone();
    match row.state {
        state if state == word => Ok(unchanged(Applied::MeltQuote(quote))),
        OperationState::Dispatched | OperationState::Unknown => {
            Ok((moving(row, word, melt.clone()), Applied::MeltQuote(quote)))
        }
        _ => refuse(Conflict::WrongState),
    }
}

pub(super) fn settle(ledger: &Ledger, change: &SettleMelt) -> Outcome {
    if let Some(quote) = paid_by(ledger, change.operation) {
        return Ok(unchanged(Applied::MeltQuote(quote.clone())));
    }
    let (row, melt) = unfinished(ledger, change.operation)?;
    let Some(evidence) = melt.paid.as_ref().filter(|_| row.state == OperationState::Paid) else {
        return refuse(Conflict::WrongState);
    };
    let contents = ledger.contents_of(change.operation);
    demand_change_of(&contents.outputs, &change.change)?;
    demand_covered(&contents.inputs, Amount::ZERO, &change.change, &change.fees)?;
    let writes = spend(ledger, change.operation, &change.change, &change.fees)?;
    let quote = ledger.melt_quote(&melt.quote)?;
    Ok(answering(writes, paid(quote, change.operation, evidence.proof.preimage(), change.now)))
}

pub(super) fn settle_internally(ledger: &Ledger, change: &SettleInternally) -> Outcome {
    if let Some(quote) = paid_by(ledger, change.operation) {
        return Ok(unchanged(Applied::MeltQuote(quote.clone())));
    }
    let (row, melt) = owned(ledger, change.operation, change.owner)?;
    if row.state != OperationState::Reserved {
        return refuse(Conflict::WrongState);
    }
    let quote = ledger.melt_quote(&melt.quote)?;
    let mint_quote = ledger.mint_quote(&change.mint_quote)?;
    if !mint_quote.amount_paid.is_zero() || !mint_quote.amount_issued.is_zero() {
        return refuse(Conflict::MintQuoteSettled);
    }
    if mint_quote.unit != quote.unit {
        return refuse(Conflict::UnitMismatch);
    }
    let credit = internal_credit(&quote.id);
    if mint_quote.payment_hash != quote.payment_hash || ledger.credits.contains_key(&credit) {
        return corrupt("the mint quote is not the one that is being paid");
    }
    let contents = ledger.contents_of(change.operation);
    demand_change_of(&contents.outputs, &change.change)?;
    demand_covered(&contents.inputs, change.amount, &change.change, &change.fees)?;
    refuse_overdrawn_reservation(ledger, &contents.inputs)?;
    let mut writes = spend(ledger, change.operation, &change.change, &change.fees)?;
    let mint_quote = credited(mint_quote, change.amount, change.now)?;
    writes.credits.insert(credit, mint_quote.id.clone());
    writes.mint_quotes.insert(mint_quote.id.clone(), Some(mint_quote));
    Ok(answering(writes, paid(quote, change.operation, change.preimage, change.now)))
}

/// The quote that a finished melt has paid.
fn paid_by(ledger: &Ledger, operation: OperationId) -> Option<&MeltQuote> {
    if !ledger.finished(operation) {
        return None;
    }
    let brought = ledger.brought.get(&operation)?;
    let quote = brought.quotes.first().and_then(|id| ledger.melt_quotes.get(id))?;
    (quote.operation == Some(operation)).then_some(quote)
}

pub(super) fn release(ledger: &Ledger, change: &ReleaseMelt) -> Outcome {
    if ledger.finished(change.operation) {
        return refuse(Conflict::OperationEnded);
    }
    if !ledger.operations.contains_key(&change.operation) {
        return give_up(ledger, change.operation, &change.quote, change.now);
    }
    let (row, melt) = owned(ledger, change.operation, change.owner)?;
    if melt.quote != change.quote {
        return corrupt("the melt is of another quote");
    }
    if !matches!(row.state, OperationState::Reserved | OperationState::Failed) {
        return refuse(Conflict::WrongState);
    }
    let writes = remove(ledger, change.operation)?;
    let quote = ledger.melt_quote(&melt.quote)?;
    Ok(answering(writes, freed(quote, change.now)))
}

/// Leaves a tombstone that a late reservation collides with.
fn give_up(ledger: &Ledger, operation: OperationId, quote: &QuoteId, now: Timestamp) -> Outcome {
    let quote = ledger.melt_quote(quote)?.clone();
    let mut writes = Writes::default();
    if !ledger.tombstones.contains_key(&operation) {
        writes.tombstones.insert(operation, Some(now));
    }
    Ok((writes, Applied::MeltQuote(quote)))
}

fn held(quote: &MeltQuote, operation: OperationId, now: Timestamp) -> MeltQuote {
    let updated_at = later(now, quote.updated_at);
    MeltQuote { status: MeltQuoteStatus::Pending, operation: Some(operation), updated_at, ..quote.clone() }
}

fn paid(quote: &MeltQuote, operation: OperationId, preimage: Option<[u8; 32]>, now: Timestamp) -> MeltQuote {
    let updated_at = later(now, quote.updated_at);
    MeltQuote { status: MeltQuoteStatus::Paid, operation: Some(operation), preimage, updated_at, ..quote.clone() }
}

fn freed(quote: &MeltQuote, now: Timestamp) -> MeltQuote {
    let updated_at = later(now, quote.updated_at);
    MeltQuote { status: MeltQuoteStatus::Unpaid, operation: None, updated_at, ..quote.clone() }
}

/// The operation's row in another state.
fn moving(row: &OperationRecord, state: OperationState, melt: MeltProgress) -> Writes {
    let mut writes = Writes::default();
    writes.operations.insert(row.id, Some(OperationRecord { state, melt: Some(melt), ..row.clone() }));
    writes
}

/// Writes the quote along with the rest, and answers with it.
fn answering(mut writes: Writes, quote: MeltQuote) -> (Writes, Applied) {
    writes.melt_quotes.insert(quote.id.clone(), Some(quote.clone()));
    (writes, Applied::MeltQuote(quote))
}
