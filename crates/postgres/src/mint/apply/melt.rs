//! Melts: quoted, reserved, dispatched, recorded, settled, released.

use hazel_mint::ports::{
    Applied, Conflict, DispatchMelt, KnownInput, MeltOutcome, MeltProgress, MeltQuote, MeltQuoteStatus, OpenMeltQuote,
    OperationId, OperationKind, OperationRecord, OperationState, OwnerId, PaidEvidence, PaymentProof, RecordMelt,
    ReleaseMelt, ReserveMelt, SettleInternally, SettleMelt, SignedRow, Timestamp,
};
use hazel_mint::store::internal_credit;
use hazel_mint::store::rules::{demand_change_of, demand_covered, same_melt_offer};
use hazel_protocol::{Amount, KeysetId, QuoteId};
use tokio_postgres::error::SqlState;

use super::custody::{Begun, Reservation, refuse_overdrawn_reservation, remove, spend};
use super::{
    LedgerFault, Outcome, Standing, Tx, corrupt, give_up, inputs_of, left_something, mint_quotes, outputs_of,
    precondition, refuse, rows, sql, standing,
};
use crate::columns::stored;
use crate::fault::{Fault, RowFault};

/// The index that lets one invoice be paid by one quote only.
const ONE_PAYMENT: &str = "melt_quotes_one_payment";

pub(super) async fn open(tx: Tx<'_>, change: &OpenMeltQuote) -> Outcome {
    let new = &change.quote;
    if let Some(old) = look(tx, sql::MELT_QUOTE, &new.id).await? {
        return opened_before(old, new);
    }
    refuse_invoice_in_use(tx, new).await?;
    let (id, unit, hash) = (new.id.as_str(), new.unit.as_str(), new.payment_hash.as_slice());
    let rate = new.rate.to_string();
    let (msat, amount, reserve) = (
        stored(new.amount_msat, "an amount")?,
        stored(new.amount.to_u64(), "an amount")?,
        stored(new.fee_reserve.to_u64(), "a fee reserve")?,
    );
    let (expiry, created_at, updated_at) = (
        stored(new.expiry.to_unix(), "a quote's expiry")?,
        stored(new.created_at.to_unix(), "a time")?,
        stored(new.updated_at.to_unix(), "a time")?,
    );
    let values: crate::session::Values<'_> = &[
        &id,
        &new.method,
        &unit,
        &new.request.as_bytes(),
        &hash,
        &msat,
        &amount,
        &reserve,
        &expiry,
        &created_at,
        &updated_at,
        &rate,
    ];
    if tx.run(sql::ADD_MELT_QUOTE, values).await? == 1 {
        return Ok(Applied::MeltQuote(new.clone()));
    }
    // It came between the look and the insert.
    look(tx, sql::MELT_QUOTE, &new.id).await?.map_or(Err(Fault::Busy), |old| opened_before(old, new))
}

fn opened_before(old: MeltQuote, new: &MeltQuote) -> Outcome {
    if same_melt_offer(&old, new) { Ok(Applied::MeltQuote(old)) } else { refuse(Conflict::QuoteExists) }
}

async fn look(tx: Tx<'_>, sql: &'static str, id: &QuoteId) -> Result<Option<MeltQuote>, RowFault> {
    tx.one(sql, &[&id.as_str()], rows::melt_quote).await
}

/// A melt quote that must be there.
async fn known(tx: Tx<'_>, sql: &'static str, id: &QuoteId) -> Result<MeltQuote, LedgerFault> {
    look(tx, sql, id).await?.ok_or_else(|| Conflict::QuoteUnknown.into())
}

/// Refuses when another quote of the same invoice is being paid or has been. There is never more than one such.
async fn refuse_invoice_in_use(tx: Tx<'_>, quote: &MeltQuote) -> Result<(), LedgerFault> {
    let hash = quote.payment_hash.as_slice();
    let in_use = tx.one(sql::MELT_QUOTE_IN_USE, &[&hash], rows::melt_quote).await?;
    match in_use.filter(|other| other.id != quote.id).map(|other| other.status) {
        None | Some(MeltQuoteStatus::Unpaid) => Ok(()),
        Some(MeltQuoteStatus::Pending) => refuse(Conflict::InvoicePending),
        Some(MeltQuoteStatus::Paid) => refuse(Conflict::InvoicePaid),
    }
}

pub(super) async fn reserve(tx: Tx<'_>, change: &ReserveMelt) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Melt,
        state: OperationState::Reserved,
        owner: change.owner,
        quote: Some(&change.quote),
        inputs: &change.inputs,
        outputs: &change.blanks,
        now: change.now,
    };
    if reservation.begin(tx).await? == Begun::Again {
        return Ok(Applied::MeltQuote(known(tx, sql::MELT_QUOTE, &change.quote).await?));
    }
    let quote = known(tx, sql::LOCK_MELT_QUOTE, &change.quote).await?;
    match quote.status {
        MeltQuoteStatus::Unpaid => {}
        MeltQuoteStatus::Pending => return refuse(Conflict::QuotePending),
        MeltQuoteStatus::Paid => return refuse(Conflict::QuotePaid),
    }
    refuse_invoice_in_use(tx, &quote).await?;
    reservation.take(tx).await?;
    let held = Move { status: MeltQuoteStatus::Pending, operation: Some(change.operation), preimage: None };
    held.apply(tx, &quote.id, change.now).await
}

/// What becomes of a melt quote.
struct Move {
    status: MeltQuoteStatus,
    operation: Option<OperationId>,
    preimage: Option<[u8; 32]>,
}

impl Move {
    /// Changes the quote, and answers with it as it then is.
    async fn apply(&self, tx: Tx<'_>, id: &QuoteId, now: Timestamp) -> Outcome {
        let operation = self.operation.as_ref().map(|id| id.as_bytes().as_slice());
        let preimage = self.preimage.as_ref().map(<[u8; 32]>::as_slice);
        let (status, now) = (rows::spelling(self.status), stored(now.to_unix(), "a time")?);
        let values: crate::session::Values<'_> = &[&id.as_str(), &status, &operation, &preimage, &now];
        match tx.one(sql::MOVE_MELT_QUOTE, values, rows::melt_quote).await {
            Ok(Some(quote)) => Ok(Applied::MeltQuote(quote)),
            Ok(None) => corrupt("a melt quote was not there to be changed"),
            // Another quote of the invoice was taken at the same moment.
            Err(RowFault::Postgres(error)) if is_second_payment(&error) => refuse(Conflict::InvoicePending),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn is_second_payment(error: &tokio_postgres::Error) -> bool {
    let cause = error.as_db_error().filter(|cause| *cause.code() == SqlState::UNIQUE_VIOLATION);
    cause.is_some_and(|cause| cause.constraint() == Some(ONE_PAYMENT))
}

/// The row of an unfinished melt, and what is known of it.
fn melt_of(found: Standing) -> Result<(OperationRecord, MeltProgress), LedgerFault> {
    let row = found.running().ok_or(Conflict::OperationGone)?;
    let melt = row.melt.clone().ok_or(Conflict::OperationGone)?;
    Ok((row, melt))
}

/// The same, when this owner drives it.
fn owned(found: Standing, owner: OwnerId) -> Result<(OperationRecord, MeltProgress), LedgerFault> {
    let melt = melt_of(found)?;
    if melt.0.owner == owner { Ok(melt) } else { refuse(Conflict::OperationGone) }
}

/// Only the very same dispatch stands: another `not_after`, or one of a former owner, is not what the ledger holds.
pub(super) async fn dispatch(tx: Tx<'_>, change: &DispatchMelt) -> Outcome {
    let (row, melt) = owned(standing(tx, change.operation).await?, change.owner)?;
    let quote = known(tx, sql::MELT_QUOTE, &melt.quote).await?;
    let dispatched =
        MeltProgress { not_after: Some(change.not_after), dispatched_by: Some(change.owner), ..melt.clone() };
    match row.state {
        // The row that is read may not be durable yet: the answer waits for a write of its own.
        OperationState::Dispatched if melt == dispatched => {
            tx.mark().await?;
            return Ok(Applied::MeltQuote(quote));
        }
        OperationState::Reserved | OperationState::Unknown => {}
        _ => return refuse(Conflict::WrongState),
    }
    refuse_overdrawn_reservation(tx, &inputs_of(tx, change.operation).await?).await?;
    move_operation(tx, change.operation, OperationState::Dispatched, &dispatched).await?;
    Ok(Applied::MeltQuote(quote))
}

/// Writes where a melt stands.
async fn move_operation(
    tx: Tx<'_>,
    operation: OperationId,
    state: OperationState,
    melt: &MeltProgress,
) -> Result<(), LedgerFault> {
    let (id, state) = (operation.as_bytes().as_slice(), state.as_str());
    let not_after = melt.not_after.map(|time| stored(time.to_unix(), "a time")).transpose()?;
    let dispatched_by = melt.dispatched_by.as_ref().map(|owner| owner.as_bytes().as_slice());
    let proof = melt.paid.as_ref().map(|paid| match paid.proof {
        PaymentProof::Preimage(_) => "preimage",
        PaymentProof::Vouched => "vouched",
    });
    let preimage = melt.paid.as_ref().and_then(|paid| paid.proof.preimage());
    let preimage = preimage.as_ref().map(<[u8; 32]>::as_slice);
    let total = melt.paid.as_ref().map(|paid| paid.total_msat.to_be_bytes());
    let total = total.as_ref().map(<[u8; 8]>::as_slice);
    let values: crate::session::Values<'_> = &[&id, &state, &not_after, &dispatched_by, &proof, &preimage, &total];
    Ok(tx.run_one(sql::MOVE_OPERATION, values, "an operation's row was not there to be changed").await?)
}

pub(super) async fn record(tx: Tx<'_>, change: &RecordMelt) -> Outcome {
    let found = standing(tx, change.operation).await?;
    match &change.outcome {
        MeltOutcome::Paid(evidence) => record_paid(tx, found, evidence.clone()).await,
        MeltOutcome::Failed => record_word(tx, found, change, OperationState::Failed).await,
        MeltOutcome::Unknown => record_word(tx, found, change, OperationState::Unknown).await,
    }
}

/// Evidence comes from anybody; the first stays.
async fn record_paid(tx: Tx<'_>, found: Standing, evidence: PaidEvidence) -> Outcome {
    let (row, melt) = melt_of(found)?;
    let quote = known(tx, sql::MELT_QUOTE, &melt.quote).await?;
    match row.state {
        OperationState::Reserved | OperationState::SetupComplete => return refuse(Conflict::WrongState),
        OperationState::Paid => tx.mark().await?,
        OperationState::Dispatched | OperationState::Failed | OperationState::Unknown => {
            let paid = MeltProgress { paid: Some(evidence), ..melt };
            move_operation(tx, row.id, OperationState::Paid, &paid).await?;
        }
    }
    Ok(Applied::MeltQuote(quote))
}

async fn record_word(tx: Tx<'_>, found: Standing, change: &RecordMelt, word: OperationState) -> Outcome {
    let (row, melt) = owned(found, change.owner)?;
    let quote = known(tx, sql::MELT_QUOTE, &melt.quote).await?;
    match row.state {
        state if state == word => tx.mark().await?,
        OperationState::Dispatched | OperationState::Unknown => {
            move_operation(tx, change.operation, word, &melt).await?;
        }
        _ => return refuse(Conflict::WrongState),
    }
    Ok(Applied::MeltQuote(quote))
}

pub(super) async fn settle(tx: Tx<'_>, change: &SettleMelt) -> Outcome {
    let found = standing(tx, change.operation).await?;
    if let Some(quote) = paid_by(tx, &found, change.operation).await? {
        return Ok(Applied::MeltQuote(quote));
    }
    let (row, melt) = melt_of(found)?;
    let Some(evidence) = melt.paid.filter(|_| row.state == OperationState::Paid) else {
        return refuse(Conflict::WrongState);
    };
    let inputs = custody_of(tx, change.operation, Amount::ZERO, &change.change, &change.fees).await?;
    spend(tx, change.operation, inputs, &change.change, &change.fees).await?;
    let preimage = evidence.proof.preimage();
    let paid = Move { status: MeltQuoteStatus::Paid, operation: Some(change.operation), preimage };
    paid.apply(tx, &melt.quote, change.now).await
}

pub(super) async fn settle_internally(tx: Tx<'_>, change: &SettleInternally) -> Outcome {
    let found = standing(tx, change.operation).await?;
    if let Some(quote) = paid_by(tx, &found, change.operation).await? {
        return Ok(Applied::MeltQuote(quote));
    }
    let (row, melt) = owned(found, change.owner)?;
    if row.state != OperationState::Reserved {
        return refuse(Conflict::WrongState);
    }
    let quote = known(tx, sql::MELT_QUOTE, &melt.quote).await?;
    let mint_quote = mint_quotes::known(tx, &change.mint_quote).await?;
    if !mint_quote.amount_paid.is_zero() || !mint_quote.amount_issued.is_zero() {
        return refuse(Conflict::MintQuoteSettled);
    }
    if mint_quote.unit != quote.unit {
        return refuse(Conflict::UnitMismatch);
    }
    let credit = internal_credit(&quote.id);
    let is_other = mint_quote.payment_hash != quote.payment_hash;
    if is_other || mint_quotes::credited(tx, &credit).await?.is_some() {
        return corrupt("the mint quote is not the one that is being paid");
    }
    let inputs = custody_of(tx, change.operation, change.amount, &change.change, &change.fees).await?;
    refuse_overdrawn_reservation(tx, &inputs).await?;
    spend(tx, change.operation, inputs, &change.change, &change.fees).await?;
    mint_quotes::add_credit(tx, &mint_quote, &credit, change.amount, change.now).await?;
    let paid = Move { status: MeltQuoteStatus::Paid, operation: Some(change.operation), preimage: change.preimage };
    paid.apply(tx, &quote.id, change.now).await
}

/// The quote that a finished melt has paid.
async fn paid_by(tx: Tx<'_>, found: &Standing, operation: OperationId) -> Result<Option<MeltQuote>, LedgerFault> {
    if matches!(found, Standing::Running(_)) || !left_something(tx, operation).await? {
        return Ok(None);
    }
    tx.mark().await?;
    Ok(tx.one(sql::MELT_QUOTE_BY_OPERATION, &[&operation.as_bytes().as_slice()], rows::melt_quote).await?)
}

/// The inputs of a melt whose settlement adds up: the change is of its blanks, and no more is given than was taken.
async fn custody_of(
    tx: Tx<'_>,
    operation: OperationId,
    credited: Amount,
    change: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<Vec<KnownInput>, LedgerFault> {
    demand_change_of(&outputs_of(tx, operation).await?, change).map_err(precondition)?;
    let inputs = inputs_of(tx, operation).await?;
    demand_covered(&inputs, credited, change, fees).map_err(precondition)?;
    Ok(inputs)
}

pub(super) async fn release(tx: Tx<'_>, change: &ReleaseMelt) -> Outcome {
    let found = standing(tx, change.operation).await?;
    if !matches!(found, Standing::Running(_)) {
        return give_up_melt(tx, &found, change).await;
    }
    let (row, melt) = owned(found, change.owner)?;
    if melt.quote != change.quote {
        return corrupt("the melt is of another quote");
    }
    if !matches!(row.state, OperationState::Reserved | OperationState::Failed) {
        return refuse(Conflict::WrongState);
    }
    remove(tx, change.operation).await?;
    let freed = Move { status: MeltQuoteStatus::Unpaid, operation: None, preimage: None };
    freed.apply(tx, &melt.quote, change.now).await
}

/// Nothing was reserved: leaves a tombstone, unless the operation has finished.
async fn give_up_melt(tx: Tx<'_>, found: &Standing, change: &ReleaseMelt) -> Outcome {
    if left_something(tx, change.operation).await? {
        return refuse(Conflict::OperationEnded);
    }
    let quote = known(tx, sql::MELT_QUOTE, &change.quote).await?;
    if matches!(found, Standing::Absent) {
        give_up(tx, change.operation, change.now).await?;
    }
    Ok(Applied::MeltQuote(quote))
}
