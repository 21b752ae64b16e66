//! Acts with their line in the audit log: `Administer`.

use hazel_protocol::KeysetId;

use crate::ports::{
    Act, Administer, Applied, AuditRecord, Conflict, ImportRows, InputState, KeysetOrigin, KeysetRecord, KnownInput,
    KnownOutput, MeterKeyset, OperationId, OperationKind,
};
use crate::store::rules::is_overdrawn;

use super::custody::{Books, refuse_known_inputs, refuse_known_outputs};
use super::keysets;
use super::ledger::{Brought, Ledger, Outcome, Writes, refuse, unchanged};

pub(super) fn administer(ledger: &Ledger, change: &Administer) -> Outcome {
    if let Some(line) = ledger.audit.iter().find(|line| line.entry.id == change.entry.id) {
        return if line.is_of(change) { Ok(unchanged(Applied::Done)) } else { refuse(Conflict::OperationEnded) };
    }
    let (writes, applied) = act(ledger, change)?;
    let sequence = ledger.audit.last().map_or(1, |line| line.sequence.saturating_add(1));
    let line = AuditRecord {
        sequence,
        entry: change.entry.clone(),
        action: change.act.name().to_owned(),
        keyset: change.act.keyset(),
    };
    Ok((Writes { audit: Some(line), ..writes }, applied))
}

fn act(ledger: &Ledger, change: &Administer) -> Outcome {
    match &change.act {
        Act::AddKeyset(act) => keysets::add_keyset(ledger, act),
        Act::LatchKeyset(act) => keysets::latch_keyset(ledger, act),
        Act::ImportRows(act) => import_rows(ledger, change.entry.id, act),
        Act::MeterKeyset(act) => meter(ledger, act),
    }
}

fn import_rows(ledger: &Ledger, operation: OperationId, act: &ImportRows) -> Outcome {
    if imported(ledger, act.keyset)?.carried().is_some() {
        return refuse(Conflict::WrongState);
    }
    ledger.usable(operation)?;
    refuse_known_inputs(ledger, &act.spent)?;
    refuse_known_outputs(ledger, &act.signed.iter().map(|row| &row.output))?;
    let mut books = Books::new(ledger);
    let mut writes = Writes::default();
    let mut brought = Brought::default();
    for row in &act.spent {
        books.redeemed_elsewhere(row)?;
        brought.ys.push(row.y);
        let known = KnownInput { row: row.clone(), state: InputState::Spent, operation, kind: OperationKind::Swap };
        writes.inputs.insert(row.y, Some(known));
    }
    for row in &act.signed {
        books.issue(&row.output)?;
        brought.bs.push(row.output.b);
        let signature = Some((row.c, row.dleq));
        let known = KnownOutput { output: row.output.clone(), signature, operation, kind: OperationKind::Issue };
        writes.outputs.insert(row.output.b, Some(known));
    }
    writes.brought.insert(operation, Some(brought));
    writes.totals = books.totals;
    Ok((writes, Applied::Done))
}

fn meter(ledger: &Ledger, act: &MeterKeyset) -> Outcome {
    let carried = Some(act.carried);
    match imported(ledger, act.keyset)?.carried() {
        None => {}
        known if known == carried => return Ok(unchanged(Applied::Done)),
        Some(_) => return refuse(Conflict::WrongState),
    }
    let totals = ledger.totals.get(&act.keyset).copied().unwrap_or_default();
    if is_overdrawn(&totals, carried, 0) {
        return refuse(Conflict::Overdrawn(act.keyset));
    }
    let mut keysets = ledger.keysets.clone();
    for keyset in keysets.iter_mut().filter(|keyset| keyset.id == act.keyset) {
        keyset.origin = KeysetOrigin::Import { carried };
    }
    Ok((Writes { keysets: Some(keysets), ..Writes::default() }, Applied::Done))
}

/// A keyset that is an import.
fn imported(ledger: &Ledger, id: KeysetId) -> Result<&KeysetRecord, Conflict> {
    let keyset = ledger.keysets.iter().find(|keyset| keyset.id == id).ok_or(Conflict::KeysetUnknown(id))?;
    if keyset.index().is_some() { Err(Conflict::WrongState) } else { Ok(keyset) }
}
