//! The work nobody asks for: finishing what was interrupted, hearing of payments, forgetting what is over.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select;

use crate::error::MintError;
use crate::mint::{AskedAbout, Mint};
use crate::ports::{ApplyError, Change, OperationId, OperationKind, OperationRecord, Prune, TakeOver, Timestamp};

/// Unfinished operations read at once.
const PAGE: u32 = 256;

/// Seconds between two questions to the backend about one mint quote.
const QUOTE_INTERVAL_SECS: u64 = 10;

/// Seconds between two questions to the backend about one melt in doubt.
const MELT_INTERVAL_SECS: u64 = 2;

/// The most quotes and melts whose last question is remembered.
const ASKED_MAX: usize = 10_000;

/// How long a quote that was never paid is kept after it expired, in seconds.
const PRUNE_AFTER_SECS: u64 = 86_400;

/// Rows of each kind removed by one sweep.
const PRUNE_LIMIT: u32 = 500;

/// Sweeps between two prunings.
const PRUNE_EVERY: u32 = 30;

/// An unfinished operation that nobody drives: ours without a task, or a dead owner's.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) record: OperationRecord,
}

/// Some orphans, and where to go on.
#[derive(Debug)]
pub(crate) struct OrphanPage {
    pub(crate) orphans: Vec<Orphan>,
    pub(crate) last: Option<OperationId>,
}

impl Mint {
    /// Starts recovery, at once and ever after, and the listener for payments. Returns at once.
    pub fn start(self: &Arc<Self>) {
        let mint = Arc::clone(self);
        self.ports.environment.spawn(async move { mint.sweep_until_stopped().await }.boxed());
        let mint = Arc::clone(self);
        self.ports.environment.spawn(async move { mint.hear_of_payments_until_stopped().await }.boxed());
    }

    async fn sweep_until_stopped(self: Arc<Self>) {
        let mut round: u32 = 0;
        while !self.is_draining() {
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "a sweep was cut short");
            }
            if round.is_multiple_of(PRUNE_EVERY) {
                self.prune().await;
            }
            round = round.wrapping_add(1);
            self.pause(self.config.sweep_interval).await;
        }
    }

    /// Waits for `interval`, for a wake-up, or for the end.
    async fn pause(&self, interval: Duration) {
        let woken = select(self.stop.notified().boxed(), self.wake.notified().boxed());
        select(woken, self.ports.environment.sleep(interval)).await;
    }

    /// Resolves what was interrupted and asks about what was wondered about, once.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn sweep(self: &Arc<Self>) -> Result<(), MintError> {
        let report = self.recover_from_bad_swaps().await?;
        if report.spent + report.removed > 0 {
            tracing::info!(?report, "interrupted swaps resolved");
        }
        self.reconcile_melts().await?;
        self.ask_about_quotes().await
    }

    /// The page of orphans after `after`.
    pub(crate) async fn orphans_after(&self, after: Option<OperationId>) -> Result<OrphanPage, MintError> {
        let page = self.ports.store.unfinished(after, PAGE).await?;
        let last =
            if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) { None } else { page.last().map(|r| r.id) };
        let mut orphans = Vec::new();
        for record in page {
            if self.driving.contains(record.id) {
                continue;
            }
            if record.owner == self.owner || self.ports.store.owner_is_dead(record.owner).await? {
                orphans.push(Orphan { record });
            }
        }
        Ok(OrphanPage { orphans, last })
    }

    /// Makes the row of an orphan ours.
    pub(crate) async fn adopt(&self, orphan: &Orphan) -> Result<(), ApplyError> {
        let OperationRecord { id, owner, .. } = orphan.record;
        if owner == self.owner {
            return Ok(());
        }
        let take_over = TakeOver { operation: id, from: owner, to: self.owner, now: self.now() };
        self.apply(Change::TakeOver(take_over)).await.map(drop)
    }

    /// Gives each orphaned melt a task of its own, so that a slow backend holds up nothing else.
    async fn reconcile_melts(self: &Arc<Self>) -> Result<(), MintError> {
        let mut after = None;
        loop {
            let page = self.orphans_after(after).await?;
            for orphan in page.orphans {
                if orphan.record.kind == OperationKind::Melt {
                    self.spawn_melt(orphan);
                }
            }
            match page.last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    fn spawn_melt(self: &Arc<Self>, orphan: Orphan) {
        let operation = orphan.record.id;
        let Some(guard) = self.driving.claim(operation) else { return };
        let mint = Arc::clone(self);
        self.spawn_guarded(guard, async move {
            let done = match mint.adopt(&orphan).await {
                Ok(()) => mint.reconcile_melt(operation).await.map(drop),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = done {
                tracing::warn!(%operation, %error, "an unfinished melt is not resolved yet");
            }
        });
    }

    async fn prune(&self) {
        let now = self.now();
        let prune = Prune { before: now.minus(PRUNE_AFTER_SECS), limit: PRUNE_LIMIT, now };
        if let Err(error) = self.apply(Change::Prune(prune)).await {
            tracing::warn!(%error, "old quotes are not pruned");
        }
    }

    /// Someone looked at an undecided quote: have the reconciler look too, unless it just did.
    pub(crate) fn wonder_about(&self, what: AskedAbout) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < ASKED_MAX && !asked.contains_key(&what) {
            asked.insert(what, Timestamp::default());
            drop(asked);
            self.wake.notify_one();
        }
    }

    /// Whether the backend may be asked about `what` now; if so it counts as asked.
    pub(crate) fn may_ask(&self, what: &AskedAbout) -> bool {
        let interval = match what {
            AskedAbout::MintQuote(_) => QUOTE_INTERVAL_SECS,
            AskedAbout::Melt(_) => MELT_INTERVAL_SECS,
        };
        let now = self.now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(what).is_some_and(|last| last.plus(interval) > now) {
            return false;
        }
        asked.retain(|_, last| last.plus(QUOTE_INTERVAL_SECS) > now || *last == Timestamp::default());
        if asked.len() < ASKED_MAX {
            asked.insert(what.clone(), now);
        }
        true
    }
}
