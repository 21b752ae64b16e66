//! What swaps and melts share: taking proofs and outputs into custody, giving them back, and the books of the keysets.

use std::collections::{BTreeMap, BTreeSet};

use hazel_mint::ports::{
    Conflict, InputRow, InputState, KeysetTotals, KnownInput, OperationId, OperationKind, OperationState, OutputRow,
    OwnerId, SignedRow, Timestamp,
};
use hazel_mint::store::rules::is_overdrawn;
use hazel_protocol::{Amount, AmountError, KeysetId, QuoteId, Witness};

use super::super::rows::Account;
use super::{LedgerFault, Standing, Tx, corrupt, inputs_of, outputs_of, refuse, rows, sql, standing, traces};
use crate::columns::stored;
use crate::fault::{Fault, RowFault};

/// An attempt to take custody.
pub(super) struct Reservation<'a> {
    pub(super) operation: OperationId,
    pub(super) kind: OperationKind,
    /// The state that its row begins in.
    pub(super) state: OperationState,
    pub(super) owner: OwnerId,
    /// The quote that a melt pays.
    pub(super) quote: Option<&'a QuoteId>,
    pub(super) inputs: &'a [InputRow],
    pub(super) outputs: &'a [OutputRow],
    pub(super) now: Timestamp,
}

/// What an attempt found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// Its row is written now.
    New,
    /// It stands already, as it is asked for.
    Again,
}

impl Reservation<'_> {
    /// Writes the row of the operation, or finds it there. The insert waits for another transaction with this id.
    pub(super) async fn begin(&self, tx: Tx<'_>) -> Result<Begun, LedgerFault> {
        let (id, owner) = (self.operation.as_bytes().as_slice(), self.owner.as_bytes().as_slice());
        let (kind, state, now) = (self.kind.as_str(), self.state.as_str(), stored(self.now.to_unix(), "a time")?);
        let quote = self.quote.map(QuoteId::as_str);
        if tx.run(sql::ADD_OPERATION, &[&id, &kind, &state, &owner, &now, &quote]).await? == 1 {
            let (is_used, _) = traces(tx, self.operation).await?;
            return if is_used { refuse(Conflict::OperationEnded) } else { Ok(Begun::New) };
        }
        match standing(tx, self.operation).await? {
            Standing::GivenUp => refuse(Conflict::OperationEnded),
            // It ended between the two statements.
            Standing::Absent => Err(Fault::Busy),
            Standing::Running(row) if row.owner != self.owner => refuse(Conflict::OperationGone),
            Standing::Running(row) => {
                let is_same = row.kind == self.kind && row.melt.as_ref().map(|melt| &melt.quote) == self.quote;
                if is_same && self.stands(tx).await? {
                    Ok(Begun::Again)
                } else {
                    corrupt("the id of another operation")
                }
            }
        }
    }

    /// Whether the rows of this operation are exactly these, in this order.
    async fn stands(&self, tx: Tx<'_>) -> Result<bool, RowFault> {
        let inputs = inputs_of(tx, self.operation).await?;
        let outputs = outputs_of(tx, self.operation).await?;
        let are_same = inputs.iter().map(|known| &known.row).eq(self.inputs);
        Ok(are_same && outputs.iter().map(|known| &known.output).eq(self.outputs))
    }

    /// Writes proofs and outputs, or refuses in the order of the port: inputs, outputs, keysets known, keysets not latched, not
    /// overdrawn. Among several keysets the one with the smallest id is named.
    pub(super) async fn take(&self, tx: Tx<'_>) -> Result<(), LedgerFault> {
        let mut books = Books::default();
        let keysets = self.inputs.iter().map(|row| row.keyset).chain(self.outputs.iter().map(|row| row.keyset));
        if let Some(unknown) = books.open(tx, keysets).await? {
            self.refuse_known(tx).await?;
            return refuse(Conflict::KeysetUnknown(unknown));
        }
        let mut taken: BTreeMap<KeysetId, u128> = BTreeMap::new();
        for row in self.inputs {
            *taken.entry(row.keyset).or_default() += u128::from(row.amount.to_u64());
        }
        if self.inputs.iter().any(|row| amount(row.amount).is_err()) {
            // What cannot be written is refused for the reason that comes first, if there is one.
            self.refuse_known(tx).await?;
            books.refuse_overdraft(&taken)?;
        }
        add_inputs(tx, (self.operation, self.kind), InputState::Pending, self.inputs, &books).await?;
        let unsigned: Vec<Placed<'_>> = self.outputs.iter().map(|output| (output, None)).collect();
        add_outputs(tx, (self.operation, self.kind), &unsigned, &books).await?;
        books.refuse_overdraft(&taken)?;
        for row in self.inputs {
            books.reserve(row.keyset, row.amount)?;
        }
        books.write(tx).await
    }

    async fn refuse_known(&self, tx: Tx<'_>) -> Result<(), LedgerFault> {
        refuse_known_inputs(tx, self.operation, self.inputs).await?;
        refuse_known_outputs(tx, self.operation, self.outputs).await
    }
}

/// The operation that brings rows in.
type Bringer = (OperationId, OperationKind);

/// Writes proofs that nobody has seen, or refuses. The insert waits for another transaction that writes one of them.
pub(super) async fn add_inputs(
    tx: Tx<'_>,
    (operation, kind): Bringer,
    state: InputState,
    inputs: &[InputRow],
    books: &Books,
) -> Result<(), LedgerFault> {
    let mut sorted: Vec<(i64, &InputRow)> = (0..).zip(inputs).collect();
    sorted.sort_by_key(|(_, row)| row.y);
    let ys: Vec<&[u8]> = sorted.iter().map(|(_, row)| row.y.as_bytes().as_slice()).collect();
    let keysets = sorted.iter().map(|(_, row)| books.row(row.keyset)).collect::<Result<Vec<_>, _>>()?;
    let amounts = sorted.iter().map(|(_, row)| amount(row.amount)).collect::<Result<Vec<_>, _>>()?;
    let cs: Vec<&[u8]> = sorted.iter().map(|(_, row)| row.c.as_bytes().as_slice()).collect();
    let witness = |row: &InputRow| row.witness.as_ref().map(Witness::as_str).map(str::as_bytes).map(<[u8]>::to_vec);
    let witnesses: Vec<Option<Vec<u8>>> = sorted.iter().map(|(_, row)| witness(row)).collect();
    let positions: Vec<i64> = sorted.iter().map(|(position, _)| *position).collect();
    let state = match state {
        InputState::Pending => "pending",
        InputState::Spent => "spent",
    };
    let (id, kind) = (operation.as_bytes().as_slice(), kind.as_str());
    let added =
        tx.run(sql::ADD_PROOFS, &[&ys, &keysets, &amounts, &cs, &witnesses, &positions, &state, &id, &kind]).await?;
    if is_all(added, inputs) {
        return Ok(());
    }
    refuse_known_inputs(tx, operation, inputs).await?;
    // Whoever had it has given it back since. It was held when this was asked.
    refuse(Conflict::InputsPending)
}

/// An output, and its signature where it has one already.
pub(super) type Placed<'a> = (&'a OutputRow, Option<&'a SignedRow>);

/// Writes outputs that nobody has seen, or refuses. The insert waits for another transaction that writes one of them.
pub(super) async fn add_outputs(
    tx: Tx<'_>,
    (operation, kind): Bringer,
    outputs: &[Placed<'_>],
    books: &Books,
) -> Result<(), LedgerFault> {
    let mut sorted: Vec<(i64, &Placed<'_>)> = (0..).zip(outputs).collect();
    sorted.sort_by_key(|(_, (output, _))| output.b);
    let bs: Vec<&[u8]> = sorted.iter().map(|(_, (output, _))| output.b.as_bytes().as_slice()).collect();
    let keysets = sorted.iter().map(|(_, (output, _))| books.row(output.keyset)).collect::<Result<Vec<_>, _>>()?;
    let amounts = sorted.iter().map(|(_, (output, _))| amount(output.amount)).collect::<Result<Vec<_>, _>>()?;
    let signed = || sorted.iter().map(|(_, (_, signed))| *signed);
    let cs: Vec<Option<&[u8]>> = signed().map(|row| row.map(|row| row.c.as_bytes().as_slice())).collect();
    let es: Vec<Option<&[u8]>> = signed().map(|row| row.map(|row| row.dleq.e.as_bytes().as_slice())).collect();
    let ss: Vec<Option<&[u8]>> = signed().map(|row| row.map(|row| row.dleq.s.as_bytes().as_slice())).collect();
    let positions: Vec<i64> = sorted.iter().map(|(position, _)| *position).collect();
    let (id, kind) = (operation.as_bytes().as_slice(), kind.as_str());
    let added = tx.run(sql::ADD_OUTPUTS, &[&bs, &keysets, &amounts, &cs, &es, &ss, &positions, &id, &kind]).await?;
    if is_all(added, outputs) {
        return Ok(());
    }
    refuse_known_outputs(tx, operation, outputs.iter().map(|(output, _)| *output)).await?;
    refuse(Conflict::OutputsPending)
}

fn is_all<T>(rows: u64, of: &[T]) -> bool {
    u64::try_from(of.len()).is_ok_and(|all| all == rows)
}

fn amount(amount: Amount) -> Result<i64, RowFault> {
    stored(amount.to_u64(), "an amount")
}

/// Refuses proofs that another operation brought. SPENT outranks PENDING in what the loser is told.
pub(super) async fn refuse_known_inputs(
    tx: Tx<'_>,
    operation: OperationId,
    inputs: &[InputRow],
) -> Result<(), LedgerFault> {
    let ys: Vec<&[u8]> = inputs.iter().map(|row| row.y.as_bytes().as_slice()).collect();
    let states = tx.all(sql::PROOF_STATES, &[&ys, &operation.as_bytes().as_slice()], rows::input_state).await?;
    if states.contains(&InputState::Spent) {
        return refuse(Conflict::InputsSpent);
    }
    if states.is_empty() { Ok(()) } else { refuse(Conflict::InputsPending) }
}

/// Refuses outputs that another operation brought. Signed outranks reserved.
pub(super) async fn refuse_known_outputs(
    tx: Tx<'_>,
    operation: OperationId,
    outputs: impl IntoIterator<Item = &OutputRow>,
) -> Result<(), LedgerFault> {
    let bs: Vec<&[u8]> = outputs.into_iter().map(|row| row.b.as_bytes().as_slice()).collect();
    let states = tx.all(sql::OUTPUT_STATES, &[&bs, &operation.as_bytes().as_slice()], rows::is_signed).await?;
    if states.contains(&true) {
        return refuse(Conflict::OutputsSigned);
    }
    if states.is_empty() { Ok(()) } else { refuse(Conflict::OutputsPending) }
}

/// The second look at the books, before anything is let out for inputs that are reserved already: two reservations that could not see each
/// other are both visible by now.
pub(super) async fn refuse_overdrawn_reservation(tx: Tx<'_>, inputs: &[KnownInput]) -> Result<(), LedgerFault> {
    let mut books = Books::default();
    books.demand(tx, inputs.iter().map(|known| known.row.keyset)).await?;
    books.refuse_overdrawn(&inputs.iter().map(|known| (known.row.keyset, 0)).collect())
}

/// Gives everything of an operation back: PENDING inputs, unsigned outputs and the row go.
pub(super) async fn remove(tx: Tx<'_>, operation: OperationId) -> Result<(), LedgerFault> {
    let inputs = inputs_of(tx, operation).await?;
    let pending: Vec<&InputRow> = pending(&inputs).collect();
    let mut books = Books::default();
    books.demand(tx, pending.iter().map(|row| row.keyset)).await?;
    for row in pending {
        books.release(row.keyset, row.amount)?;
    }
    let id = operation.as_bytes().as_slice();
    tx.run(sql::REMOVE_PROOFS, &[&id]).await?;
    tx.run(sql::REMOVE_OUTPUTS, &[&id]).await?;
    end(tx, operation).await?;
    books.write(tx).await
}

/// Ends an operation with effect: PENDING inputs become SPENT, the named outputs are signed, the row goes.
pub(super) async fn spend(
    tx: Tx<'_>,
    operation: OperationId,
    inputs: Vec<KnownInput>,
    signed: &[SignedRow],
    fees: &[(KeysetId, Amount)],
) -> Result<(), LedgerFault> {
    let mut books = Books::default();
    let keysets = pending(&inputs).map(|row| row.keyset).chain(signed.iter().map(|row| row.output.keyset));
    books.demand(tx, keysets.chain(fees.iter().map(|(keyset, _)| *keyset))).await?;
    for row in pending(&inputs) {
        books.release(row.keyset, row.amount)?;
        books.redeem(row.keyset, row.amount)?;
    }
    for row in signed {
        books.issue(row.output.keyset, row.output.amount)?;
    }
    for (keyset, fee) in fees {
        books.keep(*keyset, *fee)?;
    }
    tx.run(sql::SPEND_PROOFS, &[&operation.as_bytes().as_slice()]).await?;
    sign(tx, operation, signed).await?;
    end(tx, operation).await?;
    books.write(tx).await
}

async fn end(tx: Tx<'_>, operation: OperationId) -> Result<(), LedgerFault> {
    let id = operation.as_bytes().as_slice();
    Ok(tx.run_one(sql::END_OPERATION, &[&id], "an operation's row was not there to be removed").await?)
}

fn pending(inputs: &[KnownInput]) -> impl Iterator<Item = &InputRow> {
    inputs.iter().filter(|known| known.state == InputState::Pending).map(|known| &known.row)
}

/// Stores signatures on reserved outputs of this operation, and the imprinted amounts of blanks.
async fn sign(tx: Tx<'_>, operation: OperationId, signed: &[SignedRow]) -> Result<(), LedgerFault> {
    if signed.is_empty() {
        return Ok(());
    }
    let bs: Vec<&[u8]> = signed.iter().map(|row| row.output.b.as_bytes().as_slice()).collect();
    let amounts = signed.iter().map(|row| amount(row.output.amount)).collect::<Result<Vec<_>, _>>()?;
    let cs: Vec<&[u8]> = signed.iter().map(|row| row.c.as_bytes().as_slice()).collect();
    let es: Vec<&[u8]> = signed.iter().map(|row| row.dleq.e.as_bytes().as_slice()).collect();
    let ss: Vec<&[u8]> = signed.iter().map(|row| row.dleq.s.as_bytes().as_slice()).collect();
    let id = operation.as_bytes().as_slice();
    let changed = tx.run(sql::SIGN_OUTPUTS, &[&id, &bs, &amounts, &cs, &es, &ss]).await?;
    if is_all(changed, signed) { Ok(()) } else { corrupt("an output that was not reserved") }
}

/// The totals a change leaves, built step by step from the sums in the database; what it adds and takes is then written to one stripe.
#[derive(Default)]
pub(super) struct Books {
    accounts: BTreeMap<KeysetId, Account>,
    before: BTreeMap<KeysetId, KeysetTotals>,
    changed: BTreeSet<KeysetId>,
}

impl Books {
    /// Reads the books of these keysets, in one statement. Of those that are not known the smallest is named.
    pub(super) async fn open(
        &mut self,
        tx: Tx<'_>,
        keysets: impl Iterator<Item = KeysetId>,
    ) -> Result<Option<KeysetId>, LedgerFault> {
        let wanted: BTreeSet<KeysetId> = keysets.collect();
        let ids: Vec<&[u8]> = wanted.iter().map(KeysetId::as_bytes).collect();
        self.accounts.extend(tx.all(sql::ACCOUNTS, &[&ids], rows::account).await?);
        self.before = self.accounts.iter().map(|(keyset, account)| (*keyset, account.totals)).collect();
        Ok(wanted.iter().find(|keyset| !self.accounts.contains_key(keyset)).copied())
    }

    /// The same, of keysets that must be known.
    pub(super) async fn demand(
        &mut self,
        tx: Tx<'_>,
        keysets: impl Iterator<Item = KeysetId>,
    ) -> Result<(), LedgerFault> {
        self.open(tx, keysets).await?.map_or(Ok(()), |unknown| refuse(Conflict::KeysetUnknown(unknown)))
    }

    pub(super) fn account_of(&self, keyset: KeysetId) -> Result<&Account, LedgerFault> {
        self.accounts.get(&keyset).ok_or_else(|| Conflict::KeysetUnknown(keyset).into())
    }

    /// The number of the keyset's row.
    fn row(&self, keyset: KeysetId) -> Result<i32, LedgerFault> {
        Ok(self.account_of(keyset)?.row)
    }

    /// Refuses to take this much of keysets that are latched, or would be overdrawn.
    fn refuse_overdraft(&self, taken: &BTreeMap<KeysetId, u128>) -> Result<(), LedgerFault> {
        let is_latched = |keyset: &&KeysetId| self.accounts.get(keyset).is_some_and(|account| account.latched);
        if let Some(latched) = taken.keys().find(is_latched) {
            return refuse(Conflict::KeysetLatched(*latched));
        }
        self.refuse_overdrawn(taken)
    }

    /// Refuses when `redeemed + reserved + more` is above what was issued, for any keyset in `more`.
    fn refuse_overdrawn(&self, more: &BTreeMap<KeysetId, u128>) -> Result<(), LedgerFault> {
        for (keyset, more) in more {
            let Account { totals, origin, .. } = self.account_of(*keyset)?;
            if is_overdrawn(totals, origin.carried(), *more) {
                return refuse(Conflict::Overdrawn(*keyset));
            }
        }
        Ok(())
    }

    pub(super) fn issue(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| &mut totals.issued, |sum| sum.checked_add(amount))
    }

    pub(super) fn redeem(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| &mut totals.redeemed, |sum| sum.checked_add(amount))
    }

    fn reserve(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| &mut totals.reserved, |sum| sum.checked_add(amount))
    }

    fn release(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| &mut totals.reserved, |sum| sum.checked_sub(amount))
    }

    fn keep(&mut self, keyset: KeysetId, amount: Amount) -> Result<(), LedgerFault> {
        self.update(keyset, |totals| &mut totals.fees, |sum| sum.checked_add(amount))
    }

    /// Moves one sum of a keyset.
    fn update(
        &mut self,
        keyset: KeysetId,
        sum: fn(&mut KeysetTotals) -> &mut Amount,
        step: impl FnOnce(Amount) -> Result<Amount, AmountError>,
    ) -> Result<(), LedgerFault> {
        let Some(account) = self.accounts.get_mut(&keyset) else { return refuse(Conflict::KeysetUnknown(keyset)) };
        let sum = sum(&mut account.totals);
        *sum = step(*sum).map_err(|error| Fault::Corrupt(error.to_string()))?;
        self.changed.insert(keyset);
        Ok(())
    }

    /// Writes what was added to and taken from every account that was changed, in the order of their rows.
    pub(super) async fn write(&self, tx: Tx<'_>) -> Result<(), LedgerFault> {
        let mut rows = Vec::new();
        let mut columns: [Vec<i64>; 4] = Default::default();
        for keyset in &self.changed {
            let account = self.account_of(*keyset)?;
            let Some(before) = self.before.get(keyset) else { return refuse(Conflict::KeysetUnknown(*keyset)) };
            rows.push(account.row);
            for (column, delta) in columns.iter_mut().zip(deltas(before, &account.totals)?) {
                column.push(delta);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let [issued, redeemed, reserved, fees] = &columns;
        tx.run(sql::ADD_TO_TOTALS, &[&rows, &tx.stripe, issued, redeemed, reserved, fees]).await?;
        Ok(())
    }
}

/// What was added to (or taken from) issued, redeemed, reserved and fees.
fn deltas(before: &KeysetTotals, after: &KeysetTotals) -> Result<[i64; 4], RowFault> {
    let delta = |before: Amount, after: Amount| -> Result<i64, RowFault> {
        let (before, after) = (stored(before.to_u64(), "a total")?, stored(after.to_u64(), "a total")?);
        // Neither is negative, so their difference fits.
        Ok(after - before)
    };
    Ok([
        delta(before.issued, after.issued)?,
        delta(before.redeemed, after.redeemed)?,
        delta(before.reserved, after.reserved)?,
        delta(before.fees, after.fees)?,
    ])
}
