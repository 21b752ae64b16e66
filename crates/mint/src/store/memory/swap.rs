//! Swaps: reserved, settled, released, resolved after a crash.

use crate::ports::{
    Applied, Conflict, OperationId, OperationKind, OperationRecord, OperationState, OwnerId, ReleaseSwap, ReserveSwap,
    ResolveSwap, SettleSwap, SwapResolution,
};
use crate::store::rules::{demand_balance, same_outputs};

use super::custody::{Reservation, refuse_overdrawn_reservation, remove, spend};
use super::ledger::{Ledger, Outcome, Writes, corrupt, refuse, unchanged};
use super::mint_quotes::signatures;

pub(super) fn reserve(ledger: &Ledger, change: &ReserveSwap) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Swap,
        inputs: &change.inputs,
        outputs: &change.outputs,
    };
    if let Some(row) = ledger.operations.get(&change.operation) {
        return reserved_before(ledger, row, change.owner, &reservation);
    }
    ledger.usable(change.operation)?;
    let mut writes = reservation.take(ledger)?;
    writes.operations.insert(change.operation, Some(new_row(change)));
    writes.brought.insert(change.operation, Some(reservation.brought()));
    Ok((writes, Applied::Done))
}

fn reserved_before(ledger: &Ledger, row: &OperationRecord, owner: OwnerId, reservation: &Reservation<'_>) -> Outcome {
    if row.owner != owner {
        return refuse(Conflict::OperationGone);
    }
    if row.kind != OperationKind::Swap || !reservation.stands(ledger) {
        return corrupt("the id of another operation");
    }
    Ok(unchanged(Applied::Done))
}

fn new_row(change: &ReserveSwap) -> OperationRecord {
    OperationRecord {
        id: change.operation,
        kind: OperationKind::Swap,
        state: OperationState::SetupComplete,
        owner: change.owner,
        created_at: change.now,
        melt: None,
    }
}

/// The row of an unfinished swap of this owner.
fn owned(ledger: &Ledger, operation: OperationId, owner: OwnerId) -> Result<&OperationRecord, Conflict> {
    let row = ledger.operations.get(&operation);
    row.filter(|row| row.kind == OperationKind::Swap && row.owner == owner).ok_or(Conflict::OperationGone)
}

pub(super) fn settle(ledger: &Ledger, change: &SettleSwap) -> Outcome {
    if ledger.finished(change.operation) {
        return settled_before(ledger, change);
    }
    owned(ledger, change.operation, change.owner)?;
    let contents = ledger.contents_of(change.operation);
    let unsigned = contents.outputs.iter().all(|known| known.signature.is_none());
    if !unsigned || !same_outputs(&contents.outputs, &change.outputs) {
        return corrupt("the signed outputs are not the reserved ones");
    }
    demand_balance(&contents.inputs, &change.outputs, &change.fees)?;
    refuse_overdrawn_reservation(ledger, &contents.inputs)?;
    let writes = spend(ledger, change.operation, &change.outputs, &change.fees)?;
    Ok((writes, Applied::Signatures(change.outputs.clone())))
}

/// A swap that finished with exactly these outputs answers with its stored signatures, whoever asks.
fn settled_before(ledger: &Ledger, change: &SettleSwap) -> Outcome {
    let contents = ledger.contents_of(change.operation);
    let swap = contents.outputs.iter().all(|known| known.kind == OperationKind::Swap);
    if swap && same_outputs(&contents.outputs, &change.outputs) {
        return Ok(unchanged(Applied::Signatures(signatures(&contents.outputs)?)));
    }
    refuse(Conflict::OperationGone)
}

pub(super) fn release(ledger: &Ledger, change: &ReleaseSwap) -> Outcome {
    if ledger.finished(change.operation) {
        return refuse(Conflict::OperationEnded);
    }
    if ledger.operations.contains_key(&change.operation) {
        owned(ledger, change.operation, change.owner)?;
        if ledger.contents_of(change.operation).outputs.iter().any(|known| known.signature.is_some()) {
            return corrupt("a swap with signatures is not undone");
        }
        return Ok((remove(ledger, change.operation)?, Applied::Done));
    }
    let mut writes = Writes::default();
    if !ledger.tombstones.contains_key(&change.operation) {
        writes.tombstones.insert(change.operation, Some(change.now));
    }
    Ok((writes, Applied::Done))
}

pub(super) fn resolve(ledger: &Ledger, change: &ResolveSwap) -> Outcome {
    owned(ledger, change.operation, change.owner)?;
    let contents = ledger.contents_of(change.operation);
    let signed = contents.outputs.iter().filter(|known| known.signature.is_some()).count();
    if signed == 0 {
        return Ok((remove(ledger, change.operation)?, Applied::Resolved(SwapResolution::Removed)));
    }
    if signed < contents.outputs.len() {
        return Ok(unchanged(Applied::Resolved(SwapResolution::Mixed)));
    }
    // Whoever stored the signatures has counted them as issued; what is left is to redeem the PENDING inputs.
    Ok((spend(ledger, change.operation, &[], &[])?, Applied::Resolved(SwapResolution::Spent)))
}
