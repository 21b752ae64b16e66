//! The seed and the keysets.

use crate::ports::{AddKeyset, Applied, BindSeed, Conflict, KeysetRecord, KeysetTotals, LatchKeyset};
use crate::store::rules::same_keyset;

use super::ledger::{Ledger, Outcome, Writes, refuse, unchanged};

pub(super) fn bind_seed(ledger: &Ledger, change: &BindSeed) -> Outcome {
    match ledger.seed {
        Some(bound) if bound != change.fingerprint => refuse(Conflict::OtherSeed),
        Some(_) => Ok(unchanged(Applied::Done)),
        None => Ok((Writes { seed: Some(change.fingerprint), ..Writes::default() }, Applied::Done)),
    }
}

/// A keyset that is there already stays as it is now: a late repetition does not undo a rotation.
pub(super) fn add_keyset(ledger: &Ledger, change: &AddKeyset) -> Outcome {
    let new = &change.keyset;
    let in_the_way = |old: &&KeysetRecord| old.id == new.id || same_place(old, new);
    if let Some(old) = ledger.keysets.iter().find(in_the_way) {
        return if same_keyset(old, new) { Ok(unchanged(Applied::Done)) } else { refuse(Conflict::KeysetExists) };
    }
    let mut keysets = ledger.keysets.clone();
    if new.active {
        keysets.iter_mut().filter(|old| old.unit == new.unit).for_each(|old| old.active = false);
    }
    keysets.push(new.clone());
    let mut writes = Writes { keysets: Some(keysets), ..Writes::default() };
    writes.totals.insert(new.id, KeysetTotals::default());
    Ok((writes, Applied::Done))
}

/// Whether both are derived at one place. Imports are derived nowhere.
fn same_place(old: &KeysetRecord, new: &KeysetRecord) -> bool {
    old.unit == new.unit && old.index().is_some() && old.index() == new.index()
}

pub(super) fn latch_keyset(ledger: &Ledger, change: &LatchKeyset) -> Outcome {
    let mut keysets = ledger.keysets.clone();
    let Some(keyset) = keysets.iter_mut().find(|keyset| keyset.id == change.keyset) else {
        return refuse(Conflict::KeysetUnknown(change.keyset));
    };
    keyset.latched = change.latched;
    Ok((Writes { keysets: Some(keysets), ..Writes::default() }, Applied::Done))
}
