//! Acts with their line in the audit log.

use hazel_mint::ports::{Act, Administer, Applied, Conflict, ImportRows, KeysetOrigin, MeterKeyset, OperationId};
use hazel_mint::store::rules::is_overdrawn;
use hazel_protocol::{KeysetId, Witness};
use rusqlite::{Connection, params};

use super::custody::{Books, refuse_known_inputs, refuse_known_outputs};
use super::mint_quotes::add_signatures;
use super::{LedgerFault, Outcome, demand_unused, keysets, refuse, rows, sql};
use crate::columns::{one, run_one, stored};

pub(super) fn administer(connection: &Connection, change: &Administer) -> Outcome {
    if let Some(line) = one(connection, sql::AUDIT_LINE, [change.entry.id.as_bytes()], rows::audit_record)? {
        return if line.is_of(change) { Ok(Applied::Done) } else { refuse(Conflict::OperationEnded) };
    }
    let applied = match &change.act {
        Act::AddKeyset(act) => keysets::add(connection, act)?,
        Act::LatchKeyset(act) => keysets::latch(connection, act)?,
        Act::ImportRows(act) => import_rows(connection, change.entry.id, act)?,
        Act::MeterKeyset(act) => meter(connection, act)?,
    };
    let keyset = change.act.keyset();
    let row = params![
        change.entry.id.as_bytes(),
        stored(change.entry.at.to_unix(), "a time")?,
        change.entry.actor,
        change.act.name(),
        keyset.as_bytes(),
        change.entry.detail,
    ];
    run_one(connection, sql::ADD_AUDIT_LINE, row, "a line of the audit log was not written")?;
    Ok(applied)
}

fn import_rows(connection: &Connection, operation: OperationId, act: &ImportRows) -> Outcome {
    if imported(connection, act.keyset)?.origin.carried().is_some() {
        return refuse(Conflict::WrongState);
    }
    demand_unused(connection, operation)?;
    refuse_known_inputs(connection, &act.spent)?;
    refuse_known_outputs(connection, act.signed.iter().map(|row| &row.output))?;
    let mut books = Books::default();
    books.open(connection, std::iter::once(act.keyset))?;
    add_spent(connection, operation, act, &mut books)?;
    for row in &act.signed {
        books.issue(act.keyset, row.output.amount)?;
    }
    add_signatures(connection, operation, &act.signed, &books)?;
    books.write(connection)?;
    Ok(Applied::Done)
}

fn add_spent(
    connection: &Connection,
    operation: OperationId,
    act: &ImportRows,
    books: &mut Books,
) -> Result<(), LedgerFault> {
    let mut statement = connection.prepare_cached(sql::ADD_SPENT_PROOF)?;
    for (position, row) in (0_i64..).zip(&act.spent) {
        books.redeem(act.keyset, row.amount)?;
        statement.execute(params![
            row.y.as_bytes(),
            books.row(act.keyset)?,
            stored(row.amount.to_u64(), "an amount")?,
            row.c.as_bytes(),
            row.witness.as_ref().map(Witness::as_str),
            operation.as_bytes(),
            position,
        ])?;
    }
    Ok(())
}

fn meter(connection: &Connection, act: &MeterKeyset) -> Outcome {
    let carried = Some(act.carried);
    let account = imported(connection, act.keyset)?;
    match account.origin.carried() {
        None => {}
        known if known == carried => return Ok(Applied::Done),
        Some(_) => return refuse(Conflict::WrongState),
    }
    if is_overdrawn(&account.totals, carried, 0) {
        return refuse(Conflict::Overdrawn(act.keyset));
    }
    let row = params![act.keyset.as_bytes(), stored(act.carried.to_u64(), "an amount")?];
    run_one(connection, sql::METER_KEYSET, row, "a keyset's row was not there to be changed")?;
    Ok(Applied::Done)
}

/// The account of a keyset that is an import.
fn imported(connection: &Connection, id: KeysetId) -> Result<rows::Account, LedgerFault> {
    match rows::account(connection, &id)? {
        None => refuse(Conflict::KeysetUnknown(id)),
        Some(account) if matches!(account.origin, KeysetOrigin::Seed { .. }) => refuse(Conflict::WrongState),
        Some(account) => Ok(account),
    }
}
