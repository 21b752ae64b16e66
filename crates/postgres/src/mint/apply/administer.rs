//! Acts with their line in the audit log.

use hazel_mint::ports::{
    Act, Administer, Applied, Conflict, ImportRows, InputState, KeysetOrigin, MeterKeyset, OperationId, OperationKind,
};
use hazel_mint::store::rules::is_overdrawn;
use hazel_protocol::KeysetId;

use super::custody::{Books, add_inputs, refuse_known_inputs, refuse_known_outputs};
use super::mint_quotes::add_signatures;
use super::{LedgerFault, Outcome, Standing, Tx, keysets, left_something, refuse, rows, sql, standing};
use crate::columns::stored;

pub(super) async fn administer(tx: Tx<'_>, change: &Administer) -> Outcome {
    keysets::alone(tx).await?;
    let id = change.entry.id.as_bytes().as_slice();
    if let Some(line) = tx.one(sql::AUDIT_LINE, &[&id], rows::audit_line).await? {
        return if line.is_of(change) { Ok(Applied::Done) } else { refuse(Conflict::OperationEnded) };
    }
    let applied = match &change.act {
        Act::AddKeyset(act) => keysets::add(tx, act).await?,
        Act::LatchKeyset(act) => keysets::latch(tx, act).await?,
        Act::ImportRows(act) => import_rows(tx, change.entry.id, act).await?,
        Act::MeterKeyset(act) => meter(tx, act).await?,
    };
    let (at, action, keyset) = (stored(change.entry.at.to_unix(), "a time")?, change.act.name(), change.act.keyset());
    let values: crate::session::Values<'_> =
        &[&id, &at, &change.entry.actor.as_bytes(), &action, &keyset.as_bytes(), &change.entry.detail.as_bytes()];
    tx.run_one(sql::ADD_AUDIT_LINE, values, "a line of the audit log was not written").await?;
    Ok(applied)
}

async fn import_rows(tx: Tx<'_>, operation: OperationId, act: &ImportRows) -> Outcome {
    let mut books = Books::default();
    if imported(tx, &mut books, act.keyset).await?.carried().is_some() {
        return refuse(Conflict::WrongState);
    }
    let is_absent = matches!(standing(tx, operation).await?, Standing::Absent);
    if !is_absent || left_something(tx, operation).await? {
        return refuse(Conflict::OperationEnded);
    }
    refuse_known_inputs(tx, operation, &act.spent).await?;
    refuse_known_outputs(tx, operation, act.signed.iter().map(|row| &row.output)).await?;
    add_inputs(tx, (operation, OperationKind::Swap), InputState::Spent, &act.spent, &books).await?;
    for row in &act.spent {
        books.redeem(act.keyset, row.amount)?;
    }
    books.write(tx).await?;
    add_signatures(tx, operation, &act.signed).await?;
    Ok(Applied::Done)
}

async fn meter(tx: Tx<'_>, act: &MeterKeyset) -> Outcome {
    let mut books = Books::default();
    let origin = imported(tx, &mut books, act.keyset).await?;
    if let Some(known) = origin.carried() {
        return if known == act.carried { Ok(Applied::Done) } else { refuse(Conflict::WrongState) };
    }
    if is_overdrawn(&books.account_of(act.keyset)?.totals, Some(act.carried), 0) {
        return refuse(Conflict::Overdrawn(act.keyset));
    }
    let carried = stored(act.carried.to_u64(), "an amount")?;
    let missing = "a keyset's row was not there to be changed";
    tx.run_one(sql::METER_KEYSET, &[&act.keyset.as_bytes(), &carried], missing).await?;
    Ok(Applied::Done)
}

/// The origin of a keyset that is an import, with its books opened.
async fn imported(tx: Tx<'_>, books: &mut Books, id: KeysetId) -> Result<KeysetOrigin, LedgerFault> {
    books.demand(tx, std::iter::once(id)).await?;
    match books.account_of(id)?.origin {
        KeysetOrigin::Seed { .. } => refuse(Conflict::WrongState),
        origin @ KeysetOrigin::Import { .. } => Ok(origin),
    }
}
