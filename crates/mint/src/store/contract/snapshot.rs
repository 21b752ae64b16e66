//! Everything that can be read of a ledger, at one moment.

use std::collections::{BTreeMap, BTreeSet};

use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};

use crate::ports::{
    Act, AuditRecord, Change, Contents, InputRow, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote,
    MintQuote, OperationId, OperationRecord, SignedRow, Store, Timestamp,
};

/// The keys to look up: everything a test has put in, or tried to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Y of inputs.
    pub ys: BTreeSet<PointBytes>,
    /// `B_` of outputs.
    pub bs: BTreeSet<PointBytes>,
    /// Operations.
    pub operations: BTreeSet<OperationId>,
    /// Mint quotes.
    pub mint_quotes: BTreeSet<QuoteId>,
    /// Payment hashes of mint quotes.
    pub hashes: BTreeSet<[u8; 32]>,
    /// Melt quotes.
    pub melt_quotes: BTreeSet<QuoteId>,
}

impl Known {
    /// Adds every key that a change names.
    pub fn note(&mut self, change: &Change) {
        match change {
            Change::BindSeed(_) | Change::AddKeyset(_) | Change::LatchKeyset(_) | Change::Prune(_) => {}
            Change::OpenMintQuote(change) => {
                self.mint_quotes.insert(change.quote.id.clone());
                self.hashes.insert(change.quote.payment_hash);
            }
            Change::Administer(change) => {
                self.operations.insert(change.entry.id);
                if let Act::ImportRows(act) = &change.act {
                    self.note_inputs(&act.spent);
                    self.note_signed(&act.signed);
                }
            }
            Change::CreditMintQuote(change) => drop(self.mint_quotes.insert(change.quote.clone())),
            Change::Issue(change) => {
                self.operations.insert(change.operation);
                self.mint_quotes.extend(change.draws.iter().map(|(quote, _)| quote.clone()));
                self.note_signed(&change.outputs);
            }
            Change::ReserveSwap(change) => {
                self.operations.insert(change.operation);
                self.note_inputs(&change.inputs);
                self.bs.extend(change.outputs.iter().map(|row| row.b));
            }
            Change::SettleSwap(change) => {
                self.operations.insert(change.operation);
                self.note_signed(&change.outputs);
            }
            _ => self.note_melt(change),
        }
    }

    fn note_melt(&mut self, change: &Change) {
        match change {
            Change::OpenMeltQuote(change) => drop(self.melt_quotes.insert(change.quote.id.clone())),
            Change::ReserveMelt(change) => {
                self.operations.insert(change.operation);
                self.melt_quotes.insert(change.quote.clone());
                self.note_inputs(&change.inputs);
                self.bs.extend(change.blanks.iter().map(|row| row.b));
            }
            Change::SettleMelt(change) => {
                self.operations.insert(change.operation);
                self.note_signed(&change.change);
            }
            Change::SettleInternally(change) => {
                self.operations.insert(change.operation);
                self.mint_quotes.insert(change.mint_quote.clone());
                self.note_signed(&change.change);
            }
            Change::ReleaseMelt(change) => {
                self.operations.insert(change.operation);
                self.melt_quotes.insert(change.quote.clone());
            }
            Change::ReleaseSwap(change) => drop(self.operations.insert(change.operation)),
            Change::ResolveSwap(change) => drop(self.operations.insert(change.operation)),
            Change::DispatchMelt(change) => drop(self.operations.insert(change.operation)),
            Change::RecordMelt(change) => drop(self.operations.insert(change.operation)),
            Change::TakeOver(change) => drop(self.operations.insert(change.operation)),
            _ => {}
        }
    }

    fn note_inputs(&mut self, rows: &[InputRow]) {
        self.ys.extend(rows.iter().map(|row| row.y));
    }

    fn note_signed(&mut self, rows: &[SignedRow]) {
        self.bs.extend(rows.iter().map(|row| row.output.b));
    }
}

/// What every read of the port said about the known keys. Keys that the ledger does not know are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Proofs by Y.
    pub inputs: BTreeMap<PointBytes, KnownInput>,
    /// Outputs by `B_`.
    pub outputs: BTreeMap<PointBytes, KnownOutput>,
    /// What each operation brought in.
    pub contents: BTreeMap<OperationId, Contents>,
    /// Unfinished operations, as [`Store::operation`] gives them.
    pub operations: BTreeMap<OperationId, OperationRecord>,
    /// Unfinished operations, as [`Store::unfinished`] lists them.
    pub unfinished: Vec<OperationRecord>,
    /// Mint quotes by id.
    pub mint_quotes: BTreeMap<QuoteId, MintQuote>,
    /// The same, found by their payment hash.
    pub by_hash: BTreeMap<[u8; 32], MintQuote>,
    /// Mint quotes with nothing paid, oldest first.
    pub unpaid: Vec<MintQuote>,
    /// Melt quotes by id.
    pub melt_quotes: BTreeMap<QuoteId, MeltQuote>,
    /// Keysets in the order they were added.
    pub keysets: Vec<KeysetRecord>,
    /// Their totals.
    pub totals: Vec<(KeysetId, KeysetTotals)>,
    /// The audit log, newest first.
    pub audit: Vec<AuditRecord>,
    /// The cursor of the stream of `bolt11`.
    pub cursor: u64,
}

/// Rows a page when listing unfinished operations: small, so that pages are turned.
const PAGE: u32 = 5;

impl Snapshot {
    /// Reads everything.
    ///
    /// # Panics
    /// When a read has no answer, or not one entry for each key.
    pub async fn take(store: &dyn Store, known: &Known) -> Self {
        let mut snapshot = Self::default();
        snapshot.read_rows(store, known).await;
        snapshot.read_operations(store, known).await;
        snapshot.read_quotes(store, known).await;
        snapshot.keysets = store.keysets().await.expect("keysets can be read");
        snapshot.totals = store.totals().await.expect("totals can be read");
        snapshot.read_audit(store).await;
        snapshot.cursor = store.cursor(&PaymentMethod::bolt11()).await.expect("the cursor can be read");
        snapshot
    }

    async fn read_rows(&mut self, store: &dyn Store, known: &Known) {
        let ys: Vec<PointBytes> = known.ys.iter().copied().collect();
        self.inputs = zip(&ys, store.inputs(&ys).await.expect("inputs can be read"));
        let bs: Vec<PointBytes> = known.bs.iter().copied().collect();
        self.outputs = zip(&bs, store.outputs(&bs).await.expect("outputs can be read"));
    }

    async fn read_operations(&mut self, store: &dyn Store, known: &Known) {
        for operation in &known.operations {
            let contents = store.contents(*operation).await.expect("contents can be read");
            if contents != Contents::default() {
                self.contents.insert(*operation, contents);
            }
            if let Some(row) = store.operation(*operation).await.expect("an operation can be read") {
                self.operations.insert(*operation, row);
            }
        }
        loop {
            let after = self.unfinished.last().map(|row| row.id);
            let page = store.unfinished(after, PAGE).await.expect("operations can be listed");
            if page.is_empty() {
                return;
            }
            let sized = u32::try_from(page.len()).is_ok_and(|rows| rows <= PAGE);
            assert!(sized, "a page is longer than its limit");
            let ids: Vec<OperationId> = after.into_iter().chain(page.iter().map(|row| row.id)).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "a page goes on upwards from where the last one ended");
            self.unfinished.extend(page);
        }
    }

    async fn read_audit(&mut self, store: &dyn Store) {
        loop {
            let before = self.audit.last().map(|line| line.sequence);
            let page = store.audit(before, PAGE).await.expect("the audit log can be read");
            if page.is_empty() {
                return;
            }
            let sized = u32::try_from(page.len()).is_ok_and(|rows| rows <= PAGE);
            assert!(sized, "a page is longer than its limit");
            let sequences: Vec<u64> = before.into_iter().chain(page.iter().map(|line| line.sequence)).collect();
            assert!(sequences.is_sorted_by(|a, b| a > b), "a page goes on downwards from where the last one ended");
            self.audit.extend(page);
        }
    }

    async fn read_quotes(&mut self, store: &dyn Store, known: &Known) {
        let ids: Vec<QuoteId> = known.mint_quotes.iter().cloned().collect();
        self.mint_quotes = zip(&ids, store.mint_quotes(&ids).await.expect("mint quotes can be read"));
        for hash in &known.hashes {
            if let Some(quote) = store.mint_quote_by_hash(hash).await.expect("a mint quote can be found") {
                self.by_hash.insert(*hash, quote);
            }
        }
        let unpaid = store.unpaid_mint_quotes(Timestamp::from_unix(0), u32::MAX).await;
        self.unpaid = unpaid.expect("unpaid mint quotes can be listed");
        for id in &known.melt_quotes {
            if let Some(quote) = store.melt_quote(id).await.expect("a melt quote can be read") {
                self.melt_quotes.insert(id.clone(), quote);
            }
        }
    }
}

fn zip<K: Ord + Clone, V>(keys: &[K], values: Vec<Option<V>>) -> BTreeMap<K, V> {
    assert_eq!(keys.len(), values.len(), "an answer has one entry for each key");
    keys.iter().cloned().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
}
