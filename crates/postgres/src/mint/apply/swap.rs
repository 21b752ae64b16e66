//! Swaps: reserved, settled, released, resolved after a crash.

use hazel_mint::ports::{
    Applied, Conflict, OperationKind, OperationRecord, OperationState, OwnerId, ReleaseSwap, ReserveSwap, ResolveSwap,
    SettleSwap, SwapResolution,
};
use hazel_mint::store::rules::{demand_balance, same_outputs};

use super::custody::{Begun, Reservation, refuse_overdrawn_reservation, remove, spend};
use super::mint_quotes::signatures;
use super::{
    LedgerFault, Outcome, Standing, Tx, corrupt, give_up, inputs_of, left_something, outputs_of, precondition, refuse,
    standing,
};

pub(super) async fn reserve(tx: Tx<'_>, change: &ReserveSwap) -> Outcome {
    let reservation = Reservation {
        operation: change.operation,
        kind: OperationKind::Swap,
        state: OperationState::SetupComplete,
        owner: change.owner,
        quote: None,
        inputs: &change.inputs,
        outputs: &change.outputs,
        now: change.now,
    };
    if reservation.begin(tx).await? == Begun::Again {
        return Ok(Applied::Done);
    }
    reservation.take(tx).await?;
    Ok(Applied::Done)
}

/// The row of a swap of this owner.
fn owned(found: Standing, owner: OwnerId) -> Result<OperationRecord, LedgerFault> {
    let row = found.running().filter(|row| row.kind == OperationKind::Swap && row.owner == owner);
    row.ok_or_else(|| Conflict::OperationGone.into())
}

pub(super) async fn settle(tx: Tx<'_>, change: &SettleSwap) -> Outcome {
    let found = standing(tx, change.operation).await?;
    let is_running = matches!(found, Standing::Running(_));
    if !is_running && left_something(tx, change.operation).await? {
        return settled_before(tx, change).await;
    }
    owned(found, change.owner)?;
    let inputs = inputs_of(tx, change.operation).await?;
    let outputs = outputs_of(tx, change.operation).await?;
    let is_unsigned = outputs.iter().all(|known| known.signature.is_none());
    if !is_unsigned || !same_outputs(&outputs, &change.outputs) {
        return corrupt("the signed outputs are not the reserved ones");
    }
    demand_balance(&inputs, &change.outputs, &change.fees).map_err(precondition)?;
    refuse_overdrawn_reservation(tx, &inputs).await?;
    spend(tx, change.operation, inputs, &change.outputs, &change.fees).await?;
    Ok(Applied::Signatures(change.outputs.clone()))
}

/// A swap that finished with exactly these outputs answers with its stored signatures, whoever asks.
async fn settled_before(tx: Tx<'_>, change: &SettleSwap) -> Outcome {
    let outputs = outputs_of(tx, change.operation).await?;
    let is_swap = outputs.iter().all(|known| known.kind == OperationKind::Swap);
    if !is_swap || !same_outputs(&outputs, &change.outputs) {
        return refuse(Conflict::OperationGone);
    }
    tx.mark().await?;
    Ok(Applied::Signatures(signatures(outputs)?))
}

pub(super) async fn release(tx: Tx<'_>, change: &ReleaseSwap) -> Outcome {
    match standing(tx, change.operation).await? {
        Standing::GivenUp => {}
        Standing::Absent if left_something(tx, change.operation).await? => return refuse(Conflict::OperationEnded),
        Standing::Absent => give_up(tx, change.operation, change.now).await?,
        found @ Standing::Running(_) => {
            owned(found, change.owner)?;
            if outputs_of(tx, change.operation).await?.iter().any(|known| known.signature.is_some()) {
                return corrupt("a swap with signatures is not undone");
            }
            remove(tx, change.operation).await?;
        }
    }
    Ok(Applied::Done)
}

pub(super) async fn resolve(tx: Tx<'_>, change: &ResolveSwap) -> Outcome {
    let found = standing(tx, change.operation).await?;
    owned(found, change.owner)?;
    let outputs = outputs_of(tx, change.operation).await?;
    let signed = outputs.iter().filter(|known| known.signature.is_some()).count();
    let resolution = if signed == 0 {
        remove(tx, change.operation).await?;
        SwapResolution::Removed
    } else if signed < outputs.len() {
        SwapResolution::Mixed
    } else {
        // Whoever stored the signatures has counted them as issued; what is left is to redeem the PENDING inputs.
        let inputs = inputs_of(tx, change.operation).await?;
        spend(tx, change.operation, inputs, &[], &[]).await?;
        SwapResolution::Spent
    };
    Ok(Applied::Resolved(resolution))
}
