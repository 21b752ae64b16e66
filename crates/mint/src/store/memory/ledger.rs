//! The tables, and the rows a change would write into them.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, KeysetId, PointBytes, QuoteId};

use crate::ports::{
    Applied, ApplyError, AuditRecord, Conflict, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput,
    MeltQuote, MintQuote, OperationId, OperationRecord, Timestamp,
};

/// Everything the ledger knows.
#[derive(Default)]
pub(super) struct Ledger {
    /// The fingerprint of the seed it belongs to.
    pub(super) seed: Option<[u8; 32]>,
    /// How far the stream of each payment method has been read.
    pub(super) cursors: BTreeMap<String, u64>,
    /// In the order they were added.
    pub(super) keysets: Vec<KeysetRecord>,
    /// One row for each keyset.
    pub(super) totals: BTreeMap<KeysetId, KeysetTotals>,
    pub(super) mint_quotes: BTreeMap<QuoteId, MintQuote>,
    /// Each credit that counted, and the mint quote it went to.
    pub(super) credits: BTreeMap<String, QuoteId>,
    pub(super) melt_quotes: BTreeMap<QuoteId, MeltQuote>,
    /// Unfinished operations.
    pub(super) operations: BTreeMap<OperationId, OperationRecord>,
    /// What each operation, finished or not, brought in.
    pub(super) brought: BTreeMap<OperationId, Brought>,
    /// The audit log, oldest first.
    pub(super) audit: Vec<AuditRecord>,
    /// Ids that were given up before they were reserved, and when.
    pub(super) tombstones: BTreeMap<OperationId, Timestamp>,
    /// PENDING and SPENT proofs by Y.
    pub(super) inputs: BTreeMap<PointBytes, KnownInput>,
    /// Reserved and signed outputs by B_.
    pub(super) outputs: BTreeMap<PointBytes, KnownOutput>,
}

/// The keys of the rows of one operation, in the order of its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Brought {
    pub(super) ys: Vec<PointBytes>,
    pub(super) bs: Vec<PointBytes>,
    pub(super) quotes: Vec<QuoteId>,
}

/// Rows to write; `None` removes the row.
pub(super) type Rows<K, V> = BTreeMap<K, Option<V>>;

/// Everything one change does to the ledger.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) seed: Option<[u8; 32]>,
    pub(super) cursor: Option<(String, u64)>,
    /// The whole table, when a keyset changes.
    pub(super) keysets: Option<Vec<KeysetRecord>>,
    pub(super) totals: BTreeMap<KeysetId, KeysetTotals>,
    /// A new line of the audit log.
    pub(super) audit: Option<AuditRecord>,
    pub(super) mint_quotes: Rows<QuoteId, MintQuote>,
    pub(super) credits: BTreeMap<String, QuoteId>,
    pub(super) melt_quotes: Rows<QuoteId, MeltQuote>,
    pub(super) operations: Rows<OperationId, OperationRecord>,
    pub(super) brought: Rows<OperationId, Brought>,
    pub(super) tombstones: Rows<OperationId, Timestamp>,
    pub(super) inputs: Rows<PointBytes, KnownInput>,
    pub(super) outputs: Rows<PointBytes, KnownOutput>,
}

/// What a change writes and answers, or why it is refused.
pub(super) type Outcome = Result<(Writes, Applied), ApplyError>;

/// The answer of a change that finds everything as it wants it.
pub(super) fn unchanged(applied: Applied) -> (Writes, Applied) {
    (Writes::default(), applied)
}

/// A refusal by the state of the ledger.
pub(super) fn refuse<T>(conflict: Conflict) -> Result<T, ApplyError> {
    Err(conflict.into())
}

/// A change that breaks its own preconditions.
pub(super) fn corrupt<T>(why: &str) -> Result<T, ApplyError> {
    Err(ApplyError::Corrupt(why.to_owned()))
}

impl Ledger {
    /// Writes the rows. Nothing here can fail.
    pub(super) fn commit(&mut self, writes: Writes) {
        self.seed = writes.seed.or(self.seed);
        self.cursors.extend(writes.cursor);
        if let Some(keysets) = writes.keysets {
            self.keysets = keysets;
        }
        self.totals.extend(writes.totals);
        self.audit.extend(writes.audit);
        self.credits.extend(writes.credits);
        merge(&mut self.mint_quotes, writes.mint_quotes);
        merge(&mut self.melt_quotes, writes.melt_quotes);
        merge(&mut self.operations, writes.operations);
        merge(&mut self.brought, writes.brought);
        merge(&mut self.tombstones, writes.tombstones);
        merge(&mut self.inputs, writes.inputs);
        merge(&mut self.outputs, writes.outputs);
    }

    /// What an operation brought in that is still there, in order.
    pub(super) fn contents_of(&self, operation: OperationId) -> Contents {
        let Some(brought) = self.brought.get(&operation) else {
            return Contents::default();
        };
        Contents {
            inputs: brought.ys.iter().filter_map(|y| self.inputs.get(y)).cloned().collect(),
            outputs: brought.bs.iter().filter_map(|b| self.outputs.get(b)).cloned().collect(),
            quotes: brought.quotes.clone(),
        }
    }

    /// Whether an operation has ended with effect: it has no row any more, and what it brought in stands.
    pub(super) fn finished(&self, operation: OperationId) -> bool {
        !self.operations.contains_key(&operation) && self.brought.contains_key(&operation)
    }

    /// Refuses an id that has been used up: its operation finished, or a tombstone stands.
    pub(super) fn usable(&self, operation: OperationId) -> Result<(), Conflict> {
        if self.tombstones.contains_key(&operation) || self.finished(operation) {
            return Err(Conflict::OperationEnded);
        }
        Ok(())
    }

    /// What was signed of a keyset elsewhere; `None` for an import that is unmetered.
    pub(super) fn carried(&self, keyset: KeysetId) -> Option<Amount> {
        let record = self.keysets.iter().find(|record| record.id == keyset);
        record.map_or(Some(Amount::ZERO), KeysetRecord::carried)
    }

    pub(super) fn mint_quote(&self, id: &QuoteId) -> Result<&MintQuote, Conflict> {
        self.mint_quotes.get(id).ok_or(Conflict::QuoteUnknown)
    }

    pub(super) fn melt_quote(&self, id: &QuoteId) -> Result<&MeltQuote, Conflict> {
        self.melt_quotes.get(id).ok_or(Conflict::QuoteUnknown)
    }
}

/// The time of a row's change: never earlier than its last one, whatever the clock says.
pub(super) fn later(now: Timestamp, previous: Timestamp) -> Timestamp {
    now.max(previous.plus(1))
}

fn merge<K: Ord, V>(table: &mut BTreeMap<K, V>, rows: Rows<K, V>) {
    for (key, row) in rows {
        match row {
            Some(row) => table.insert(key, row),
            None => table.remove(&key),
        };
    }
}
