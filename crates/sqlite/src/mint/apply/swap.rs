//! Swaps: reserved, settled, released, resolved after a crash.

use hazel_mint::ports::{
    Applied, Conflict, OperationId, OperationKind, OperationRecord, OwnerId, ReleaseSwap, ReserveSwap, ResolveSwap,
    SettleSwap, SwapResolution, Timestamp,
};
use hazel_mint::store::rules::{demand_balance, same_outputs};
use rusqlite::{Connection, params};

use super::custody::{Reservation, refuse_overdrawn_reservation, remove, spend};
use super::mint_quotes::signatures;
use super::{Outcome, corrupt, demand_unused, left_something, precondition, refuse, rows, sql};
use crate::columns::{run, run_one, stored};
use crate::fault::StoreFault;

pub(super) fn reserve(connection: &Connection, change: &ReserveSwap) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Swap,
        inputs: &change.inputs,
        outputs: &change.outputs,
    };
    if let Some(row) = rows::operation(connection, change.operation)? {
        return reserved_before(connection, &row, change.owner, &reservation);
    }
    demand_unused(connection, change.operation)?;
    reservation.take(connection)?;
    let now = stored(change.now.to_unix(), "a time")?;
    let row = params![change.operation.as_bytes(), change.owner.as_bytes(), now];
    run_one(connection, sql::ADD_SWAP, row, "an operation was not added")?;
    Ok(Applied::Done)
}

fn reserved_before(
    connection: &Connection,
    row: &OperationRecord,
    owner: OwnerId,
    reservation: &Reservation<'_>,
) -> Outcome {
    if row.owner != owner {
        return refuse(Conflict::OperationGone);
    }
    if row.kind != OperationKind::Swap || !reservation.stands(connection)? {
        return corrupt("the id of another operation");
    }
    Ok(Applied::Done)
}

/// Refuses unless the row is that of a swap of this owner.
fn demand_owned(row: Option<&OperationRecord>, owner: OwnerId) -> Result<(), Conflict> {
    let drives = row.filter(|row| row.kind == OperationKind::Swap && row.owner == owner);
    drives.map_or(Err(Conflict::OperationGone), |_| Ok(()))
}

pub(super) fn settle(connection: &Connection, change: &SettleSwap) -> Outcome {
    let row = rows::operation(connection, change.operation)?;
    if row.is_none() && left_something(connection, change.operation)? {
        return settled_before(connection, change);
    }
    demand_owned(row.as_ref(), change.owner)?;
    let inputs = rows::inputs_of(connection, change.operation)?;
    let outputs = rows::outputs_of(connection, change.operation)?;
    let unsigned = outputs.iter().all(|known| known.signature.is_none());
    if !unsigned || !same_outputs(&outputs, &change.outputs) {
        return corrupt("the signed outputs are not the reserved ones");
    }
    demand_balance(&inputs, &change.outputs, &change.fees).map_err(precondition)?;
    refuse_overdrawn_reservation(connection, &inputs)?;
    spend(connection, change.operation, inputs, &change.outputs, &change.fees)?;
    Ok(Applied::Signatures(change.outputs.clone()))
}

/// A swap that finished with exactly these outputs answers with its stored signatures, whoever asks.
fn settled_before(connection: &Connection, change: &SettleSwap) -> Outcome {
    let outputs = rows::outputs_of(connection, change.operation)?;
    let is_swap = outputs.iter().all(|known| known.kind == OperationKind::Swap);
    if is_swap && same_outputs(&outputs, &change.outputs) {
        return Ok(Applied::Signatures(signatures(outputs)?));
    }
    refuse(Conflict::OperationGone)
}

pub(super) fn release(connection: &Connection, change: &ReleaseSwap) -> Outcome {
    let row = rows::operation(connection, change.operation)?;
    if row.is_some() {
        demand_owned(row.as_ref(), change.owner)?;
        if rows::outputs_of(connection, change.operation)?.iter().any(|known| known.signature.is_some()) {
            return corrupt("a swap with signatures is not undone");
        }
        remove(connection, change.operation)?;
        return Ok(Applied::Done);
    }
    if left_something(connection, change.operation)? {
        return refuse(Conflict::OperationEnded);
    }
    give_up(connection, change.operation, change.now)?;
    Ok(Applied::Done)
}

/// Leaves a tombstone that a late reservation collides with. The time of the first one stays.
pub(super) fn give_up(connection: &Connection, operation: OperationId, now: Timestamp) -> Result<(), StoreFault> {
    let now = stored(now.to_unix(), "a time")?;
    run(connection, sql::ADD_TOMBSTONE, params![operation.as_bytes(), now]).map(|_| ())
}

pub(super) fn resolve(connection: &Connection, change: &ResolveSwap) -> Outcome {
    let row = rows::operation(connection, change.operation)?;
    demand_owned(row.as_ref(), change.owner)?;
    let outputs = rows::outputs_of(connection, change.operation)?;
    let signed = outputs.iter().filter(|known| known.signature.is_some()).count();
    if signed == 0 {
        remove(connection, change.operation)?;
        return Ok(Applied::Resolved(SwapResolution::Removed));
    }
    if signed < outputs.len() {
        return Ok(Applied::Resolved(SwapResolution::Mixed));
    }
    // Whoever stored the signatures has counted them as issued; what is left is to redeem the PENDING inputs.
    let inputs = rows::inputs_of(connection, change.operation)?;
    spend(connection, change.operation, inputs, &[], &[])?;
    Ok(Applied::Resolved(SwapResolution::Spent))
}
