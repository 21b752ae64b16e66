//! What swaps and melts share: taking proofs and outputs into custody, giving them back, and the books of the keysets.

use std::collections::{BTreeMap, BTreeSet};

use hazel_mint::ports::{
    Conflict, InputRow, InputState, KeysetTotals, KnownInput, OperationId, OperationKind, OutputRow, SignedRow,
};
use hazel_mint::store::rules::is_overdrawn;
use hazel_protocol::{Amount, AmountError, KeysetId, Witness};
use rusqlite::{Connection, params};

use super::rows::Account;
use super::{LedgerFault, corrupt, refuse, rows, sql};
use crate::columns::{run, run_one, stored};
use crate::fault::StoreFault;

/// An attempt to take custody.
pub(super) struct Reservation<'a> {
    pub(super) operation: OperationId,
    pub(super) kind: OperationKind,
    pub(super) inputs: &'a [InputRow],
    pub(super) outputs: &'a [OutputRow],
}

impl Reservation<'_> {
    /// Writes proofs and outputs, or refuses in the order of the port: inputs, outputs, keysets known, keysets not latched, not
    /// overdrawn. Among several keysets the one with the smallest id is named.
    pub(super) fn take(&self, connection: &Connection) -> Result<(), LedgerFault> {
        refuse_known_inputs(connection, self.inputs)?;
        refuse_known_outputs(connection, self.outputs.iter())?;
        let mut books = Books::default();
        let keysets = self.inputs.iter().map(|row| row.keyset).chain(self.outputs.iter().map(|row| row.keyset));
        books.open(connection, keysets)?;
        let taken = wide_sums(self.inputs);
        books.refuse_latched(taken.keys())?;
        books.refuse_overdrawn(&taken)?;
        for row in self.inputs {
            books.update(row.keyset, |totals| {
                totals.reserved = totals.reserved.checked_add(row.amount)?;
                Ok(())
            })?;
        }
        self.add_inputs(connection, &books)?;
        self.add_outputs(connection, &books)?;
        books.write(connection)
    }

    fn add_inputs(&self, connection: &Connection, books: &Books) -> Result<(), LedgerFault> {
        let mut statement = connection.prepare_cached(sql::ADD_PROOF)?;
        for (position, row) in (0_i64..).zip(self.inputs) {
            statement.execute(params![
                row.y.as_bytes(),
                books.row(row.keyset)?,
                stored(row.amount.to_u64(), "an amount")?,
                row.c.as_bytes(),
                row.witness.as_ref().map(Witness::as_str),
                self.operation.as_bytes(),
                self.kind.as_str(),
                position,
            ])?;
        }
        Ok(())
    }

    fn add_outputs(&self, connection: &Connection, books: &Books) -> Result<(), LedgerFault> {
        let mut statement = connection.prepare_cached(sql::ADD_OUTPUT)?;
        for (position, row) in (0_i64..).zip(self.outputs) {
            statement.execute(params![
                row.b.as_bytes(),
                books.row(row.keyset)?,
                stored(row.amount.to_u64(), "an amount")?,
                self.operation.as_bytes(),
                self.kind.as_str(),
                position,
            ])?;
        }
        Ok(())
    }

    /// Whether the rows of this operation are exactly these, in this order.
    pub(super) fn stands(&self, connection: &Connection) -> Result<bool, StoreFault> {
        let inputs = rows::inputs_of(connection, self.operation)?;
        let outputs = rows::outputs_of(connection, self.operation)?;
        Ok(inputs.iter().map(|known| &known.row).eq(self.inputs)
            && outputs.iter().map(|known| &known.output).eq(self.outputs))
    }
}

/// SPENT outranks PENDING in what the loser is told.
pub(super) fn refuse_known_inputs(connection: &Connection, inputs: &[InputRow]) -> Result<(), LedgerFault> {
    let mut is_pending = false;
    for row in inputs {
        match rows::proof_state(connection, &row.y)? {
            Some(InputState::Spent) => return refuse(Conflict::InputsSpent),
            Some(InputState::Pending) => is_pending = true,
            None => {}
        }
    }
    if is_pending { refuse(Conflict::InputsPending) } else { Ok(()) }
}

/// Signed outranks reserved.
pub(super) fn refuse_known_outputs<'a>(
    connection: &Connection,
    outputs: impl Iterator<Item = &'a OutputRow>,
) -> Result<(), LedgerFault> {
    let mut is_reserved = false;
    for row in outputs {
        match rows::is_signed(connection, &row.b)? {
            Some(true) => return refuse(Conflict::OutputsSigned),
            Some(false) => is_reserved = true,
            None => {}
        }
    }
    if is_reserved { refuse(Conflict::OutputsPending) } else { Ok(()) }
}

/// The second look at the books, before anything is let out for inputs that are reserved already.
pub(super) fn refuse_overdrawn_reservation(connection: &Connection, inputs: &[KnownInput]) -> Result<(), LedgerFault> {
    let mut books = Books::default();
    books.open(connection, inputs.iter().map(|known| known.row.keyset))?;
    books.refuse_overdrawn(&inputs.iter().map(|known| (known.row.keyset, 0)).collect())
}

/// Gives everything of an operation back: PENDING inputs, unsigned outputs and the row go.
pub(super) fn remove(connection: &Connection, operation: OperationId) -> Result<(), LedgerFault> {
    let pending = pending(rows::inputs_of(connection, operation)?)?;
    let mut books = Books::default();
    books.open(connection, pending.keys().copied())?;
    for (keyset, amount) in &pending {
        books.update(*keyset, |totals| {
            totals.reserved = totals.reserved.checked_sub(*amount)?;
            Ok(())
        })?;
    }
    run(connection, sql::REMOVE_PROOFS, [operation.as_bytes()])?;
    run(connection, sql::REMOVE_OUTPUTS, [operation.as_bytes()])?;
    run_one(connection, sql::END_OPERATION, [operation.as_bytes()], "an operation's row was not there to be removed")?;
    books.write(connection)
}

/// Ends an operation with effect: PENDING inputs become SPENT, the named outputs are signed, the row goes.
pub(super) fn spend(
    connection: &Connection,
    operation: OperationId,
    inputs: Vec<KnownInput>,
    signed: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<(), LedgerFault> {
    let redeemed = pending(inputs)?;
    let issued = sums(signed.iter().map(|row| (row.output.keyset, row.output.amount)))?;
    let mut books = Books::default();
    let keysets = redeemed.keys().chain(issued.keys()).copied().chain(fees.iter().map(|(keyset, _)| *keyset));
    books.open(connection, keysets)?;
    for (keyset, amount) in &redeemed {
        books.update(*keyset, |totals| {
            totals.reserved = totals.reserved.checked_sub(*amount)?;
            totals.redeemed = totals.redeemed.checked_add(*amount)?;
            Ok(())
        })?;
    }
    for (keyset, amount) in &issued {
        books.issue(*keyset, *amount)?;
    }
    for (keyset, fee) in fees {
        books.update(*keyset, |totals| {
            totals.fees = totals.fees.checked_add(*fee)?;
            Ok(())
        })?;
    }
    run(connection, sql::SPEND_PROOFS, [operation.as_bytes()])?;
    sign(connection, operation, signed)?;
    run_one(connection, sql::END_OPERATION, [operation.as_bytes()], "an operation's row was not there to be removed")?;
    books.write(connection)
}

/// Stores signatures on reserved outputs of this operation, and the imprinted amounts of blanks.
fn sign(connection: &Connection, operation: OperationId, signed: &[SignedRow]) -> Result<(), LedgerFault> {
    let mut statement = connection.prepare_cached(sql::SIGN_OUTPUT)?;
    for row in signed {
        let changed = statement.execute(params![
            row.output.b.as_bytes(),
            operation.as_bytes(),
            stored(row.output.amount.to_u64(), "an amount")?,
            row.c.as_bytes(),
            row.dleq.e.as_bytes(),
            row.dleq.s.as_bytes(),
        ])?;
        if changed != 1 {
            return corrupt("an output that was not reserved");
        }
    }
    Ok(())
}

/// The value of PENDING inputs by keyset.
fn pending(inputs: Vec<KnownInput>) -> Result<BTreeMap<KeysetId, Amount>, StoreFault> {
    let pending = inputs.into_iter().filter(|known| known.state == InputState::Pending);
    sums(pending.map(|known| (known.row.keyset, known.row.amount)))
}

/// The value of inputs by keyset; wide, so that it cannot wrap before it is compared with what was issued.
fn wide_sums(inputs: &[InputRow]) -> BTreeMap<KeysetId, u128> {
    let mut sums = BTreeMap::new();
    for row in inputs {
        *sums.entry(row.keyset).or_default() += wide(row.amount);
    }
    sums
}

fn wide(amount: Amount) -> u128 {
    u128::from(amount.to_u64())
}

fn sums(amounts: impl Iterator<Item = (KeysetId, Amount)>) -> Result<BTreeMap<KeysetId, Amount>, StoreFault> {
    let mut sums: BTreeMap<KeysetId, Amount> = BTreeMap::new();
    for (keyset, amount) in amounts {
        let sum = sums.entry(keyset).or_default();
        *sum = sum.checked_add(amount).map_err(|error| StoreFault::corrupt(error.to_string()))?;
    }
    Ok(sums)
}

/// The totals a change leaves, built step by step from those in the database and then written.
#[derive(Default)]
pub(super) struct Books {
    accounts: BTreeMap<KeysetId, Account>,
    changed: BTreeSet<KeysetId>,
}

impl Books {
    /// Reads the books of these keysets. Of those that are not known the smallest is named.
    pub(super) fn open(
        &mut self,
        connection: &Connection,
        keysets: impl Iterator<Item = KeysetId>,
    ) -> Result<(), LedgerFault> {
        let mut unknown: Option<KeysetId> = None;
        for keyset in keysets {
            if self.accounts.contains_key(&keyset) || unknown == Some(keyset) {
                continue;
            }
            match rows::account(connection, &keyset)? {
                Some(account) => {
                    self.accounts.insert(keyset, account);
                }
                None => unknown = Some(unknown.map_or(keyset, |other| other.min(keyset))),
            }
        }
        unknown.map_or(Ok(()), |keyset| refuse(Conflict::KeysetUnknown(keyset)))
    }

    fn account(&self, keyset: KeysetId) -> Result<&Account, LedgerFault> {
        self.accounts.get(&keyset).ok_or_else(|| Conflict::KeysetUnknown(keyset).into())
    }

    /// The number of the keyset's row.
    pub(super) fn row(&self, keyset: KeysetId) -> Result<i64, LedgerFault> {
        Ok(self.account(keyset)?.row)
    }

    fn refuse_latched<'a>(&self, keysets: impl Iterator<Item = &'a KeysetId>) -> Result<(), LedgerFault> {
        for keyset in keysets {
            if self.account(*keyset)?.latched {
                return refuse(Conflict::KeysetLatched(*keyset));
            }
        }
        Ok(())
    }

    /// Refuses when `redeemed + reserved + more > issued` for any keyset in `more`.
    fn refuse_overdrawn(&self, more: &BTreeMap<KeysetId, u128>) -> Result<(), LedgerFault> {
        for (keyset, more) in more {
            let account = self.account(*keyset)?;
            if is_overdrawn(&account.totals, account.origin.carried(), *more) {
                return refuse(Conflict::Overdrawn(*keyset));
            }
        }
        Ok(())
    }

    pub(super) fn issue(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| {
            totals.issued = totals.issued.checked_add(amount)?;
            Ok(())
        })
    }

    pub(super) fn redeem(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| {
            totals.redeemed = totals.redeemed.checked_add(amount)?;
            Ok(())
        })
    }

    fn update(
        &mut self,
        keyset: KeysetId,
        step: impl FnOnce(&mut KeysetTotals) -> Result<(), AmountError>,
    ) -> Result<(), LedgerFault> {
        let account = self.accounts.get_mut(&keyset).ok_or(Conflict::KeysetUnknown(keyset))?;
        step(&mut account.totals).map_err(|error| StoreFault::corrupt(error.to_string()))?;
        self.changed.insert(keyset);
        Ok(())
    }

    /// Writes every account that was changed.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), LedgerFault> {
        for keyset in &self.changed {
            let Account { row, totals, .. } = self.account(*keyset)?;
            let row = params![
                row,
                stored(totals.issued.to_u64(), "a total")?,
                stored(totals.redeemed.to_u64(), "a total")?,
                stored(totals.reserved.to_u64(), "a total")?,
                stored(totals.fees.to_u64(), "a total")?,
            ];
            run_one(connection, sql::SET_TOTALS, row, "a keyset's row was not there to be changed")?;
        }
        Ok(())
    }
}
