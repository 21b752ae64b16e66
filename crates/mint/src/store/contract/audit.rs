//! An auditor that knows what must be true of every ledger, and none of the changes that led to it.

use std::collections::BTreeMap;

use hazel_protocol::{CurrencyUnit, KeysetId};

use crate::ports::{
    Contents, InputState, KeysetRecord, KnownOutput, MeltQuoteStatus, OperationId, OperationKind, OperationRecord,
    OperationState, Store,
};

use super::snapshot::{Known, Snapshot};

/// Reads the whole ledger and says what is wrong with it; nothing when it is sound. `known` must name every key that was
/// ever applied, or the sums cannot agree.
///
/// # Panics
/// When a read has no answer.
pub async fn audit(store: &dyn Store, known: &Known) -> Vec<String> {
    Snapshot::take(store, known).await.faults()
}

/// One rule: the faults it finds are added to the list.
type Rule = fn(&Snapshot, &mut Vec<String>);

const RULES: [Rule; 10] = [
    totals_are_sums,
    never_overdrawn,
    one_active_keyset_per_unit,
    pending_inputs_have_a_row,
    outputs_are_signed_when_finished,
    rows_hold_what_they_should,
    reads_agree,
    finished_operations_balance,
    mint_quotes_balance,
    melt_quotes_follow_their_operation,
];

impl Snapshot {
    /// Everything that is wrong with this ledger.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for rule in RULES {
            rule(self, &mut faults);
        }
        faults
    }

    /// # Panics
    /// When anything is wrong with this ledger.
    pub fn assert_sound(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "the ledger is not sound:\n{}", faults.join("\n"));
    }

    fn finished(&self, operation: OperationId) -> bool {
        !self.operations.contains_key(&operation)
    }

    /// Whether another mint did this, whose rows were imported.
    fn imported(&self, operation: OperationId) -> bool {
        self.audit.iter().any(|line| line.entry.id == operation)
    }

    fn unit(&self, keyset: KeysetId) -> Option<&CurrencyUnit> {
        self.keysets.iter().find(|record| record.id == keyset).map(|record| &record.unit)
    }
}

/// `issued`, `redeemed` and `reserved` are the sums of signed outputs, SPENT inputs and PENDING inputs.
fn totals_are_sums(ledger: &Snapshot, faults: &mut Vec<String>) {
    let mut sums: BTreeMap<KeysetId, [u128; 3]> = BTreeMap::new();
    for known in ledger.outputs.values().filter(|known| known.signature.is_some()) {
        sums.entry(known.output.keyset).or_default()[0] += u128::from(known.output.amount.to_u64());
    }
    for known in ledger.inputs.values() {
        let column = if known.state == InputState::Spent { 1 } else { 2 };
        sums.entry(known.row.keyset).or_default()[column] += u128::from(known.row.amount.to_u64());
    }
    for (keyset, totals) in &ledger.totals {
        let kept = [totals.issued, totals.redeemed, totals.reserved].map(|amount| u128::from(amount.to_u64()));
        let rows = sums.remove(keyset).unwrap_or_default();
        if kept != rows {
            faults.push(format!("{keyset}: issued, redeemed, reserved are {kept:?}, the rows come to {rows:?}"));
        }
    }
    faults.extend(sums.keys().map(|keyset| format!("{keyset}: rows of a keyset that is not known")));
}

/// Of no keyset more is spent or held than was issued, and over all no more is kept than was spent. (Of one keyset more may
/// be kept: the fee of inputs of several is booked on one of them.)
fn never_overdrawn(ledger: &Snapshot, faults: &mut Vec<String>) {
    let mut kept = 0;
    for (keyset, totals) in &ledger.totals {
        let record = ledger.keysets.iter().find(|record| record.id == *keyset);
        let carried = record.and_then(KeysetRecord::carried).map(|carried| i128::from(carried.to_u64()));
        let [issued, redeemed, reserved, fees] =
            [totals.issued, totals.redeemed, totals.reserved, totals.fees].map(|amount| i128::from(amount.to_u64()));
        if carried.is_some_and(|carried| redeemed + reserved > issued + carried) {
            faults.push(format!("{keyset}: overdrawn: {totals:?}"));
        }
        kept += fees - redeemed;
    }
    if kept > 0 {
        faults.push(format!("{kept} more was kept than was spent"));
    }
}

fn one_active_keyset_per_unit(ledger: &Snapshot, faults: &mut Vec<String>) {
    let mut active: BTreeMap<&CurrencyUnit, u32> = BTreeMap::new();
    for keyset in ledger.keysets.iter().filter(|keyset| keyset.active) {
        *active.entry(&keyset.unit).or_default() += 1;
    }
    let several = active.into_iter().filter(|(_, count)| *count > 1);
    faults.extend(several.map(|(unit, count)| format!("{unit}: {count} active keysets")));
}

/// PENDING means: held by an unfinished operation of that kind. SPENT means: by a finished one.
fn pending_inputs_have_a_row(ledger: &Snapshot, faults: &mut Vec<String>) {
    for (y, known) in &ledger.inputs {
        let held = ledger.operations.get(&known.operation).map(|row| row.kind);
        let wanted = if known.state == InputState::Pending { Some(known.kind) } else { None };
        if held != wanted || known.kind == OperationKind::Issue {
            faults.push(format!("input {y}: {:?} of {}, whose row is of kind {held:?}", known.state, known.operation));
        }
    }
}

/// Signed means: by a finished operation. Unsigned: of an unfinished one, or a blank that got no change.
fn outputs_are_signed_when_finished(ledger: &Snapshot, faults: &mut Vec<String>) {
    for (b, known) in &ledger.outputs {
        let finished = ledger.finished(known.operation);
        let blank = known.kind == OperationKind::Melt;
        let sound = if known.signature.is_some() { finished } else { !finished || blank };
        if !sound || known.output.b != *b {
            faults.push(format!("output {b}: signed {}, finished {finished}", known.signature.is_some()));
        }
    }
}

/// An unfinished operation holds inputs, all PENDING, and its state belongs to its kind.
fn rows_hold_what_they_should(ledger: &Snapshot, faults: &mut Vec<String>) {
    for (id, row) in &ledger.operations {
        let contents = ledger.contents.get(id).cloned().unwrap_or_default();
        let pending = contents.inputs.iter().all(|known| known.state == InputState::Pending);
        if contents.inputs.is_empty() || !pending || !shape_is_sound(row) {
            faults.push(format!("operation {row:?} holds {contents:?}"));
        }
    }
}

fn shape_is_sound(row: &OperationRecord) -> bool {
    let swap = row.kind == OperationKind::Swap && row.state == OperationState::SetupComplete;
    let Some(melt) = &row.melt else {
        return swap;
    };
    let called = row.state != OperationState::Reserved;
    row.kind == OperationKind::Melt
        && row.state != OperationState::SetupComplete
        && melt.not_after.is_some() == called
        && melt.dispatched_by.is_some() == called
        && melt.paid.is_some() == (row.state == OperationState::Paid)
}

/// Two reads that show the same row show it alike.
fn reads_agree(ledger: &Snapshot, faults: &mut Vec<String>) {
    if !ledger.unfinished.iter().eq(ledger.operations.values()) {
        faults.push(format!("unfinished {:?}, one by one {:?}", ledger.unfinished, ledger.operations));
    }
    for (id, contents) in &ledger.contents {
        let inputs = contents
            .inputs
            .iter()
            .all(|known| known.operation == *id && ledger.inputs.get(&known.row.y) == Some(known));
        let outputs = contents
            .outputs
            .iter()
            .all(|known| known.operation == *id && ledger.outputs.get(&known.output.b) == Some(known));
        if !inputs || !outputs {
            faults.push(format!("operation {id}: its contents differ from the rows by key"));
        }
    }
    let listed = ledger.contents.values().map(|contents| (contents.inputs.len(), contents.outputs.len()));
    let listed = listed.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if listed != (ledger.inputs.len(), ledger.outputs.len()) {
        faults.push(format!(
            "contents list {listed:?} rows, by key there are {:?}",
            (ledger.inputs.len(), ledger.outputs.len())
        ));
    }
    for (hash, quote) in &ledger.by_hash {
        if quote.payment_hash != *hash || ledger.mint_quotes.get(&quote.id) != Some(quote) {
            faults.push(format!("mint quote {:?} differs when found by its hash", quote.id));
        }
    }
    if !ledger
        .unpaid
        .iter()
        .all(|quote| ledger.mint_quotes.get(&quote.id) == Some(quote) && quote.amount_paid.is_zero())
    {
        faults.push("the unpaid mint quotes differ from the rows by key".to_owned());
    }
}

/// A finished swap or melt signed no more than it spent.
fn finished_operations_balance(ledger: &Snapshot, faults: &mut Vec<String>) {
    for (id, contents) in ledger.contents.iter().filter(|(id, _)| ledger.finished(**id) && !ledger.imported(**id)) {
        let (spent, signed) = (spent(contents), signed(contents));
        let issue = contents.outputs.iter().any(|known| known.kind == OperationKind::Issue);
        if !issue && signed > spent {
            faults.push(format!("operation {id}: spent {spent}, signed {signed}"));
        }
    }
}

fn spent(contents: &Contents) -> u128 {
    contents.inputs.iter().map(|known| u128::from(known.row.amount.to_u64())).sum()
}

fn signed(contents: &Contents) -> u128 {
    let signed = |known: &&KnownOutput| known.signature.is_some();
    contents.outputs.iter().filter(signed).map(|known| u128::from(known.output.amount.to_u64())).sum()
}

/// No quote issues more than it was paid, and by unit what the quotes issued is what issues signed.
fn mint_quotes_balance(ledger: &Snapshot, faults: &mut Vec<String>) {
    let mut open: BTreeMap<&CurrencyUnit, i128> = BTreeMap::new();
    for quote in ledger.mint_quotes.values() {
        if quote.amount_issued > quote.amount_paid {
            faults.push(format!("mint quote {:?} issued more than it was paid", quote.id));
        }
        *open.entry(&quote.unit).or_default() += i128::from(quote.amount_issued.to_u64());
    }
    let issued_here = |known: &&KnownOutput| known.kind == OperationKind::Issue && !ledger.imported(known.operation);
    for known in ledger.outputs.values().filter(issued_here) {
        if let Some(unit) = ledger.unit(known.output.keyset) {
            *open.entry(unit).or_default() -= i128::from(known.output.amount.to_u64());
        }
    }
    let odd = open.into_iter().filter(|(_, rest)| *rest != 0);
    faults.extend(odd.map(|(unit, rest)| format!("{unit}: quotes issued {rest} more than was signed on them")));
}

/// A quote is PENDING exactly while a row pays it, PAID when that operation finished, and one invoice is paid once.
fn melt_quotes_follow_their_operation(ledger: &Snapshot, faults: &mut Vec<String>) {
    let mut taken: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    for quote in ledger.melt_quotes.values() {
        let row = quote.operation.and_then(|operation| ledger.operations.get(&operation));
        let paying = row.and_then(|row| row.melt.as_ref()).is_some_and(|melt| melt.quote == quote.id);
        let sound = match quote.status {
            MeltQuoteStatus::Unpaid => quote.operation.is_none() && quote.preimage.is_none(),
            MeltQuoteStatus::Pending => paying && quote.preimage.is_none(),
            MeltQuoteStatus::Paid => quote.operation.is_some_and(|operation| {
                row.is_none()
                    && ledger.contents.get(&operation).is_some_and(|contents| contents.quotes == [quote.id.clone()])
            }),
        };
        if !sound {
            faults.push(format!("melt quote {quote:?} does not fit its operation {row:?}"));
        }
        if quote.status != MeltQuoteStatus::Unpaid {
            *taken.entry(quote.payment_hash).or_default() += 1;
        }
    }
    if taken.values().any(|count| *count > 1) {
        faults.push("two melt quotes of one invoice are pending or paid".to_owned());
    }
}

#[cfg(test)]
mod tests;
