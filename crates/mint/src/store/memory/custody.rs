//! What swaps and melts share: taking proofs and outputs into custody, giving them back, and the books of the keysets.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, AmountError, KeysetId};

use crate::ports::{
    ApplyError, Conflict, InputRow, InputState, KeysetTotals, KnownInput, KnownOutput, OperationId, OperationKind,
    OutputRow, SignedRow,
};

use crate::store::rules::is_overdrawn;

use super::ledger::{Brought, Ledger, Rows, Writes, corrupt};

/// An attempt to take custody.
pub(super) struct Reservation<'a> {
    pub(super) operation: OperationId,
    pub(super) kind: OperationKind,
    pub(super) inputs: &'a [InputRow],
    pub(super) outputs: &'a [OutputRow],
}

impl Reservation<'_> {
    /// The refusals in the order of the port: inputs, outputs, keysets known, keysets not latched, not overdrawn.
    /// Among several keysets the one with the smallest id is named.
    pub(super) fn take(&self, ledger: &Ledger) -> Result<Writes, ApplyError> {
        refuse_known_inputs(ledger, self.inputs)?;
        refuse_known_outputs(ledger, &self.outputs.iter())?;
        let by_keyset = sums(self.inputs);
        refuse_unknown_keysets(ledger, by_keyset.keys().copied().chain(self.outputs.iter().map(|row| row.keyset)))?;
        refuse_latched(ledger, by_keyset.keys())?;
        refuse_overdrawn(ledger, &by_keyset)?;
        let mut books = Books::new(ledger);
        for row in self.inputs {
            books.reserve(row)?;
        }
        Ok(Writes { totals: books.totals, inputs: self.pending(), outputs: self.reserved(), ..Writes::default() })
    }

    pub(super) fn brought(&self) -> Brought {
        Brought {
            ys: self.inputs.iter().map(|row| row.y).collect(),
            bs: self.outputs.iter().map(|row| row.b).collect(),
            quotes: Vec::new(),
        }
    }

    fn pending(&self) -> Rows<hazel_protocol::PointBytes, KnownInput> {
        let known = |row: &InputRow| KnownInput {
            row: row.clone(),
            state: InputState::Pending,
            operation: self.operation,
            kind: self.kind,
        };
        self.inputs.iter().map(|row| (row.y, Some(known(row)))).collect()
    }

    fn reserved(&self) -> Rows<hazel_protocol::PointBytes, KnownOutput> {
        let known = |row: &OutputRow| KnownOutput {
            output: row.clone(),
            signature: None,
            operation: self.operation,
            kind: self.kind,
        };
        self.outputs.iter().map(|row| (row.b, Some(known(row)))).collect()
    }

    /// Whether the rows of this operation are exactly these, in this order.
    pub(super) fn stands(&self, ledger: &Ledger) -> bool {
        let contents = ledger.contents_of(self.operation);
        contents.inputs.iter().map(|known| &known.row).eq(self.inputs)
            && contents.outputs.iter().map(|known| &known.output).eq(self.outputs)
    }
}

pub(super) fn refuse_known_inputs(ledger: &Ledger, inputs: &[InputRow]) -> Result<(), Conflict> {
    let states = || inputs.iter().filter_map(|row| ledger.inputs.get(&row.y)).map(|known| known.state);
    if states().any(|state| state == InputState::Spent) {
        return Err(Conflict::InputsSpent);
    }
    if states().next().is_some() { Err(Conflict::InputsPending) } else { Ok(()) }
}

pub(super) fn refuse_known_outputs<'a>(
    ledger: &Ledger,
    outputs: &(impl Iterator<Item = &'a OutputRow> + Clone),
) -> Result<(), Conflict> {
    let known = || outputs.clone().filter_map(|row| ledger.outputs.get(&row.b));
    if known().any(|output| output.signature.is_some()) {
        return Err(Conflict::OutputsSigned);
    }
    if known().next().is_some() { Err(Conflict::OutputsPending) } else { Ok(()) }
}

pub(super) fn refuse_unknown_keysets(ledger: &Ledger, keysets: impl Iterator<Item = KeysetId>) -> Result<(), Conflict> {
    let unknown = keysets.filter(|keyset| !ledger.totals.contains_key(keyset)).min();
    unknown.map_or(Ok(()), |keyset| Err(Conflict::KeysetUnknown(keyset)))
}

fn refuse_latched<'a>(ledger: &Ledger, mut keysets: impl Iterator<Item = &'a KeysetId>) -> Result<(), Conflict> {
    let latched = |id: &KeysetId| ledger.keysets.iter().any(|keyset| keyset.id == *id && keyset.latched);
    keysets.find(|id| latched(id)).map_or(Ok(()), |id| Err(Conflict::KeysetLatched(*id)))
}

/// Refuses when `redeemed + reserved + more > issued` for any keyset in `more`.
fn refuse_overdrawn(ledger: &Ledger, more: &BTreeMap<KeysetId, u128>) -> Result<(), Conflict> {
    for (keyset, more) in more {
        let totals = ledger.totals.get(keyset).copied().unwrap_or_default();
        if is_overdrawn(&totals, ledger.carried(*keyset), *more) {
            return Err(Conflict::Overdrawn(*keyset));
        }
    }
    Ok(())
}

/// The second look at the totals, before anything is let out for inputs that are reserved already.
pub(super) fn refuse_overdrawn_reservation(ledger: &Ledger, inputs: &[KnownInput]) -> Result<(), Conflict> {
    refuse_overdrawn(ledger, &inputs.iter().map(|known| (known.row.keyset, 0)).collect())
}

/// The value of inputs by keyset; wide, so that it cannot wrap.
fn sums(inputs: &[InputRow]) -> BTreeMap<KeysetId, u128> {
    let mut sums = BTreeMap::new();
    for row in inputs {
        *sums.entry(row.keyset).or_default() += wide(row.amount);
    }
    sums
}

fn wide(amount: Amount) -> u128 {
    u128::from(amount.to_u64())
}

/// Gives everything of an operation back: PENDING inputs, unsigned outputs and the row go.
pub(super) fn remove(ledger: &Ledger, operation: OperationId) -> Result<Writes, ApplyError> {
    let contents = ledger.contents_of(operation);
    let mut books = Books::new(ledger);
    let mut writes = Writes::default();
    let mut rest = Brought::default();
    for input in &contents.inputs {
        if input.state == InputState::Pending {
            books.release(&input.row)?;
            writes.inputs.insert(input.row.y, None);
        } else {
            rest.ys.push(input.row.y);
        }
    }
    for output in contents.outputs.iter().filter(|output| output.signature.is_none()) {
        writes.outputs.insert(output.output.b, None);
    }
    writes.totals = books.totals;
    writes.operations.insert(operation, None);
    writes.brought.insert(operation, Some(rest).filter(|rest| !rest.ys.is_empty()));
    Ok(writes)
}

/// Ends an operation with effect: PENDING inputs become SPENT, the named outputs are signed, the row goes.
pub(super) fn spend(
    ledger: &Ledger,
    operation: OperationId,
    signed: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<Writes, ApplyError> {
    let contents = ledger.contents_of(operation);
    let mut books = Books::new(ledger);
    let mut writes = Writes::default();
    for input in contents.inputs.into_iter().filter(|input| input.state == InputState::Pending) {
        books.redeem(&input.row)?;
        writes.inputs.insert(input.row.y, Some(KnownInput { state: InputState::Spent, ..input }));
    }
    for row in signed {
        let Some(reserved) = ledger.outputs.get(&row.output.b) else {
            return corrupt("an output that was not reserved");
        };
        books.issue(&row.output)?;
        writes.outputs.insert(row.output.b, Some(sign(reserved, row)));
    }
    for (keyset, fee) in fees {
        books.keep(*keyset, *fee)?;
    }
    writes.totals = books.totals;
    writes.operations.insert(operation, None);
    Ok(writes)
}

/// A reserved output with its signature, and for a blank its imprinted amount.
fn sign(reserved: &KnownOutput, row: &SignedRow) -> KnownOutput {
    KnownOutput { output: row.output.clone(), signature: Some((row.c, row.dleq)), ..reserved.clone() }
}

/// The totals a change leaves, built step by step from those in the ledger.
pub(super) struct Books<'a> {
    ledger: &'a Ledger,
    pub(super) totals: BTreeMap<KeysetId, KeysetTotals>,
}

impl<'a> Books<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        Self { ledger, totals: BTreeMap::new() }
    }

    pub(super) fn reserve(&mut self, row: &InputRow) -> Result<(), ApplyError> {
        self.update(row.keyset, |totals| {
            totals.reserved = totals.reserved.checked_add(row.amount)?;
            Ok(())
        })
    }

    fn release(&mut self, row: &InputRow) -> Result<(), ApplyError> {
        self.update(row.keyset, |totals| {
            totals.reserved = totals.reserved.checked_sub(row.amount)?;
            Ok(())
        })
    }

    /// Counts a proof that another mint has redeemed.
    pub(super) fn redeemed_elsewhere(&mut self, row: &InputRow) -> Result<(), ApplyError> {
        self.update(row.keyset, |totals| {
            totals.redeemed = totals.redeemed.checked_add(row.amount)?;
            Ok(())
        })
    }

    fn redeem(&mut self, row: &InputRow) -> Result<(), ApplyError> {
        self.update(row.keyset, |totals| {
            totals.reserved = totals.reserved.checked_sub(row.amount)?;
            totals.redeemed = totals.redeemed.checked_add(row.amount)?;
            Ok(())
        })
    }

    pub(super) fn issue(&mut self, row: &OutputRow) -> Result<(), ApplyError> {
        self.update(row.keyset, |totals| {
            totals.issued = totals.issued.checked_add(row.amount)?;
            Ok(())
        })
    }

    fn keep(&mut self, keyset: KeysetId, fee: Amount) -> Result<(), ApplyError> {
        self.update(keyset, |totals| {
            totals.fees = totals.fees.checked_add(fee)?;
            Ok(())
        })
    }

    fn update(
        &mut self,
        keyset: KeysetId,
        step: impl FnOnce(&mut KeysetTotals) -> Result<(), AmountError>,
    ) -> Result<(), ApplyError> {
        let before = self.totals.get(&keyset).or_else(|| self.ledger.totals.get(&keyset)).copied();
        let mut totals = before.ok_or(Conflict::KeysetUnknown(keyset))?;
        step(&mut totals).map_err(|error| ApplyError::Corrupt(error.to_string()))?;
        self.totals.insert(keyset, totals);
        Ok(())
    }
}
