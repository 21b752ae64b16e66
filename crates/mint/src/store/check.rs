//! What a change must promise whatever the ledger holds.

use std::collections::BTreeSet;

use hazel_protocol::{Amount, KeysetId, QuoteId};

use crate::ports::{
    Act, AddKeyset, Administer, ApplyError, AuditEntry, Change, CreditMintQuote, ImportRows, InputRow, Issue,
    KeysetOrigin, MAX_ACTOR_BYTES, MAX_AUDIT_DETAIL_BYTES, MAX_IMPORT_ROWS, MeltQuoteStatus, OpenMeltQuote,
    OpenMintQuote, OutputRow, ReserveMelt, SettleInternally, SignedRow,
};

/// How long a tombstone stands, in seconds: longer than any change can be under way.
pub const TOMBSTONE_SECS: u64 = 3600;

/// What the credit id of an internal settlement begins with; the melt quote's id follows.
pub const INTERNAL_CREDIT_PREFIX: &str = "internal:";

/// The credit id of a mint quote that was paid by a melt quote of the same mint.
pub fn internal_credit(melt_quote: &QuoteId) -> String {
    format!("{INTERNAL_CREDIT_PREFIX}{melt_quote}")
}

/// Checks the preconditions that can be read off the change itself. Every store calls this before it looks at a row.
///
/// A list of proofs, outputs, draws or fees names nothing twice; a reservation has inputs, a swap or an issue has outputs;
/// new records are in their first state; no credit and no change output is zero; an issue draws what it signs.
///
/// # Errors
/// [`ApplyError::Corrupt`]: the caller is at fault, and nothing may be applied.
pub fn check(change: &Change) -> Result<(), ApplyError> {
    match change {
        Change::AddKeyset(change) => new_keyset(change),
        Change::Administer(change) => administer(change),
        Change::OpenMintQuote(change) => new_mint_quote(change),
        Change::CreditMintQuote(change) => credit(change),
        Change::Issue(change) => issue(change),
        Change::ReserveSwap(change) => {
            inputs(&change.inputs)?;
            outputs(&change.outputs)?;
            demand(!change.outputs.is_empty(), "a swap without outputs")
        }
        Change::SettleSwap(change) => {
            signatures(&change.outputs)?;
            demand(!change.outputs.is_empty(), "a swap without outputs")?;
            fees(&change.fees)
        }
        Change::OpenMeltQuote(change) => new_melt_quote(change),
        Change::ReserveMelt(change) => reserve_melt(change),
        Change::SettleMelt(change) => {
            change_outputs(&change.change)?;
            fees(&change.fees)
        }
        Change::SettleInternally(change) => settle_internally(change),
        Change::BindSeed(_)
        | Change::LatchKeyset(_)
        | Change::ReleaseSwap(_)
        | Change::ResolveSwap(_)
        | Change::DispatchMelt(_)
        | Change::RecordMelt(_)
        | Change::ReleaseMelt(_)
        | Change::TakeOver(_)
        | Change::Prune(_) => Ok(()),
    }
}

fn new_keyset(change: &AddKeyset) -> Result<(), ApplyError> {
    match change.keyset.origin {
        KeysetOrigin::Seed { .. } => demand(!change.keyset.latched, "a new keyset that is latched")?,
        // Before its history is in, what was spent elsewhere would be taken for unspent.
        KeysetOrigin::Import { .. } => demand(change.keyset.latched, "a new import that is not latched")?,
    }
    let metered = matches!(change.keyset.origin, KeysetOrigin::Import { carried: Some(_) });
    demand(!metered, "a new import that is metered")
}

fn administer(change: &Administer) -> Result<(), ApplyError> {
    let AuditEntry { actor, detail, .. } = &change.entry;
    demand(!actor.is_empty() && actor.len() <= MAX_ACTOR_BYTES, "an actor without a name, or with too long a one")?;
    demand(detail.len() <= MAX_AUDIT_DETAIL_BYTES, "an audit detail that is too long")?;
    match &change.act {
        Act::AddKeyset(act) => new_keyset(act),
        Act::ImportRows(act) => import_rows(act),
        Act::LatchKeyset(_) | Act::MeterKeyset(_) => Ok(()),
    }
}

fn import_rows(act: &ImportRows) -> Result<(), ApplyError> {
    let few = act.spent.len().max(act.signed.len()) <= MAX_IMPORT_ROWS;
    demand(few, "an import of too many rows at a time")?;
    demand(!act.spent.is_empty() || !act.signed.is_empty(), "an import of nothing")?;
    distinct(act.spent.iter().map(|row| row.y), "a Y is given twice")?;
    signatures(&act.signed)?;
    let mut keysets = act.spent.iter().map(|row| row.keyset).chain(act.signed.iter().map(|row| row.output.keyset));
    demand(keysets.all(|keyset| keyset == act.keyset), "an import of rows of another keyset")
}

fn new_mint_quote(change: &OpenMintQuote) -> Result<(), ApplyError> {
    let untouched = change.quote.amount_paid.is_zero() && change.quote.amount_issued.is_zero();
    demand(untouched, "a new mint quote that is paid or issued")
}

fn credit(change: &CreditMintQuote) -> Result<(), ApplyError> {
    demand(!change.credit.is_empty(), "a credit without a name")?;
    demand(!change.amount.is_zero(), "a credit of nothing")
}

fn issue(change: &Issue) -> Result<(), ApplyError> {
    signatures(&change.outputs)?;
    demand(!change.outputs.is_empty(), "an issue without outputs")?;
    distinct(change.draws.iter().map(|(quote, _)| quote), "a quote is drawn from twice")?;
    let drawn = sum(change.draws.iter().map(|(_, amount)| *amount))?;
    let signed = sum(change.outputs.iter().map(|signed| signed.output.amount))?;
    demand(drawn == signed, "an issue whose outputs are not what it draws")
}

fn new_melt_quote(change: &OpenMeltQuote) -> Result<(), ApplyError> {
    let quote = &change.quote;
    let untouched = quote.status == MeltQuoteStatus::Unpaid && quote.operation.is_none() && quote.preimage.is_none();
    demand(untouched, "a new melt quote that is not unpaid")
}

fn reserve_melt(change: &ReserveMelt) -> Result<(), ApplyError> {
    inputs(&change.inputs)?;
    outputs(&change.blanks)?;
    demand(change.blanks.iter().all(|blank| blank.amount.is_zero()), "a blank output with an amount")
}

fn settle_internally(change: &SettleInternally) -> Result<(), ApplyError> {
    change_outputs(&change.change)?;
    fees(&change.fees)?;
    demand(!change.amount.is_zero(), "a credit of nothing")
}

fn inputs(rows: &[InputRow]) -> Result<(), ApplyError> {
    demand(!rows.is_empty(), "a reservation without inputs")?;
    distinct(rows.iter().map(|row| row.y), "a Y is given twice")
}

fn outputs(rows: &[OutputRow]) -> Result<(), ApplyError> {
    distinct(rows.iter().map(|row| row.b), "a B_ is given twice")
}

fn signatures(rows: &[SignedRow]) -> Result<(), ApplyError> {
    distinct(rows.iter().map(|row| row.output.b), "a B_ is given twice")
}

fn change_outputs(rows: &[SignedRow]) -> Result<(), ApplyError> {
    signatures(rows)?;
    demand(rows.iter().all(|row| !row.output.amount.is_zero()), "a change output of nothing")
}

fn fees(fees: &[(KeysetId, Amount)]) -> Result<(), ApplyError> {
    distinct(fees.iter().map(|(keyset, _)| *keyset), "a keyset has two fees")
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, ApplyError> {
    Amount::checked_sum(amounts).map_err(|error| ApplyError::Corrupt(error.to_string()))
}

fn distinct<T: Ord>(keys: impl IntoIterator<Item = T>, otherwise: &str) -> Result<(), ApplyError> {
    let mut seen = BTreeSet::new();
    demand(keys.into_iter().all(|key| seen.insert(key)), otherwise)
}

fn demand(holds: bool, otherwise: &str) -> Result<(), ApplyError> {
    if holds { Ok(()) } else { Err(ApplyError::Corrupt(otherwise.to_owned())) }
}
