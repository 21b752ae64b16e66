//! The reference ledger: the rules of [`ports::change`](crate::ports) as maps behind one lock.
//!
//! It is written to be read beside the docs of each change: one short function per change, in the order of its docs.
//! Such a function sees the ledger as it is (`&Ledger`) and returns the `Writes` that the change comes
//! to, so that a refused change cannot have touched anything. The lock is held from the first look to the last write.
//!
//! Nothing is kept when the process ends, so `durable` means as little here as `visible`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hazel_protocol::{KeysetId, PaymentMethod, PointBytes, QuoteId};

use crate::ports::{
    Applied, ApplyError, AuditRecord, Change, Contents, KeysetRecord, KeysetTotals, KnownInput, KnownOutput, MeltQuote,
    MintQuote, Observer, OperationId, OperationRecord, ReadError, Store, Timestamp,
};

mod administer;
mod custody;
mod keysets;
mod ledger;
mod melt;
mod mint_quotes;
#[cfg(any(test, feature = "contract"))]
mod plant;
mod swap;
mod upkeep;

use ledger::{Ledger, Outcome};

/// A ledger in memory. For experiments and tests, and the model that other stores are compared with.
#[derive(Default)]
pub struct MemoryStore {
    ledger: Mutex<Ledger>,
    /// Told while the ledger is locked, so that it hears in the order of the commits.
    observer: Mutex<Option<Arc<dyn Observer>>>,
}

impl MemoryStore {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere leaves the ledger whole: rows are only written by [`Ledger::commit`], after every check.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// What a change comes to, given the ledger as it is.
fn decide(ledger: &Ledger, change: &Change) -> Outcome {
    super::check(change)?;
    match change {
        Change::BindSeed(change) => keysets::bind_seed(ledger, change),
        Change::AddKeyset(change) => keysets::add_keyset(ledger, change),
        Change::LatchKeyset(change) => keysets::latch_keyset(ledger, change),
        Change::Administer(change) => administer::administer(ledger, change),
        Change::OpenMintQuote(change) => mint_quotes::open(ledger, change),
        Change::CreditMintQuote(change) => mint_quotes::credit(ledger, change),
        Change::Issue(change) => mint_quotes::issue(ledger, change),
        Change::ReserveSwap(change) => swap::reserve(ledger, change),
        Change::SettleSwap(change) => swap::settle(ledger, change),
        Change::ReleaseSwap(change) => swap::release(ledger, change),
        Change::ResolveSwap(change) => swap::resolve(ledger, change),
        Change::OpenMeltQuote(change) => melt::open(ledger, change),
        Change::ReserveMelt(change) => melt::reserve(ledger, change),
        Change::DispatchMelt(change) => melt::dispatch(ledger, change),
        Change::RecordMelt(change) => melt::record(ledger, change),
        Change::SettleMelt(change) => melt::settle(ledger, change),
        Change::SettleInternally(change) => melt::settle_internally(ledger, change),
        Change::ReleaseMelt(change) => melt::release(ledger, change),
        Change::TakeOver(change) => upkeep::take_over(ledger, change),
        Change::Prune(change) => Ok(upkeep::prune(ledger, change)),
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        let mut ledger = self.lock();
        let (writes, applied) = decide(&ledger, &change)?;
        ledger.commit(writes);
        if let Some(observer) = &*self.observer.lock().unwrap_or_else(PoisonError::into_inner) {
            observer.committed(&change, &applied);
        }
        Ok(applied)
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        let ledger = self.lock();
        Ok(ys.iter().map(|y| ledger.inputs.get(y).cloned()).collect())
    }

    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        let ledger = self.lock();
        Ok(bs.iter().map(|b| ledger.outputs.get(b).cloned()).collect())
    }

    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        Ok(self.lock().contents_of(operation))
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        Ok(self.lock().operations.get(&operation).cloned())
    }

    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        let ledger = self.lock();
        let later = ledger.operations.values().filter(|row| after.is_none_or(|after| row.id > after));
        Ok(later.take(at_most(limit)).cloned().collect())
    }

    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        let ledger = self.lock();
        Ok(ids.iter().map(|id| ledger.mint_quotes.get(id).cloned()).collect())
    }

    async fn mint_quote_by_hash(&self, payment_hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        let ledger = self.lock();
        Ok(ledger.mint_quotes.values().find(|quote| quote.payment_hash == *payment_hash).cloned())
    }

    async fn unpaid_mint_quotes(&self, expiring_after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        let ledger = self.lock();
        let open = |quote: &&MintQuote| quote.amount_paid.is_zero() && quote.expiry > expiring_after;
        let mut quotes: Vec<MintQuote> = ledger.mint_quotes.values().filter(open).cloned().collect();
        quotes.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        quotes.truncate(at_most(limit));
        Ok(quotes)
    }

    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        Ok(self.lock().melt_quotes.get(id).cloned())
    }

    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        Ok(self.lock().keysets.clone())
    }

    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        let ledger = self.lock();
        let of = |id: KeysetId| ledger.totals.get(&id).copied().unwrap_or_default();
        Ok(ledger.keysets.iter().map(|keyset| (keyset.id, of(keyset.id))).collect())
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        let ledger = self.lock();
        let older = ledger.audit.iter().rev().filter(|line| before.is_none_or(|before| line.sequence < before));
        Ok(older.take(at_most(limit)).cloned().collect())
    }

    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        Ok(self.lock().cursors.get(method.as_str()).copied().unwrap_or(0))
    }
}

/// A limit of rows as a length; a limit that no memory can reach stands for all.
fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
