//! The work nobody asks for: finishing what was interrupted, hearing of payments, forgetting what is over.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, select};
use hazel_protocol::PaymentMethod;
use tokio::sync::Notify;

use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{
    Applied, ApplyError, Change, OperationId, OperationKind, OperationRecord, Prune, TakeOver, Timestamp,
};

/// Unfinished operations read at once.
const PAGE: u32 = 256;

/// How long a quote that was never paid is kept after it expired, in seconds.
const PRUNE_AFTER_SECS: u64 = 86_400;

/// Rows of each kind removed at once.
const PRUNE_LIMIT: u32 = 500;

/// The pause between two prunings.
const PRUNE_INTERVAL: Duration = Duration::from_mins(1);

/// The shortest pause between two rounds of recovery.
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// The pause before a loop that panicked begins anew.
const AFTER_PANIC: Duration = Duration::from_secs(1);

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
    /// Starts recovery, at once and ever after, and the listeners for payments. Returns at once.
    pub fn start(self: &Arc<Self>) {
        self.keep_running("the comparison with the node", |mint| {
            async move { mint.compare_until_done().await }.boxed()
        });
        self.keep_running("recovery", |mint| mint.recover_until_stopped().boxed());
        for method in self.ports.payments.methods() {
            let method = method.clone();
            let hear = move |mint: Arc<Self>| mint.hear_of_payments_until_stopped(method.clone()).boxed();
            self.keep_running("the stream of payments", hear);
        }
        self.keep_running("questions about quotes", |mint| mint.ask_until_stopped().boxed());
        self.keep_running("pruning", |mint| mint.prune_until_stopped().boxed());
        self.keep_running("following other processes", |mint| mint.follow_others_until_stopped().boxed());
    }

    /// Spawns a loop that ends when the mint stops. A panic in it is reported, and it begins anew.
    fn keep_running(
        self: &Arc<Self>,
        what: &'static str,
        run: impl Fn(Arc<Self>) -> BoxFuture<'static, ()> + Send + 'static,
    ) {
        let mint = Arc::clone(self);
        let supervised = async move {
            while AssertUnwindSafe(run(Arc::clone(&mint))).catch_unwind().await.is_err() {
                tracing::error!("{what} panicked and begins anew");
                mint.ports.environment.sleep(AFTER_PANIC).await;
            }
        };
        self.ports.environment.spawn(supervised.boxed());
    }

    async fn recover_until_stopped(self: Arc<Self>) {
        while !self.is_draining() {
            if let Err(error) = self.recover().await {
                tracing::error!(%error, "recovery was cut short");
            }
            // However often somebody rings, rounds keep their distance.
            self.pause(LEAST_PAUSE, None).await;
            let rest = self.config.sweep_interval.saturating_sub(LEAST_PAUSE);
            self.pause(rest, Some(&self.wake.melts_bell)).await;
        }
    }

    async fn prune_until_stopped(self: Arc<Self>) {
        while !self.is_draining() {
            self.pause(PRUNE_INTERVAL, None).await;
            self.prune().await;
        }
    }

    /// Waits for `interval`, for the bell, or for the end.
    pub(crate) async fn pause(&self, interval: Duration, bell: Option<&Notify>) {
        let rung = match bell {
            Some(bell) => bell.notified().boxed(),
            None => pending().boxed(),
        };
        let woken = select(self.stop.notified().boxed(), rung);
        select(woken, self.ports.environment.sleep(interval)).await;
    }

    /// Resolves what was interrupted, swaps and melts, once. Neither is held up by the other's failure.
    ///
    /// # Errors
    /// The ledger cannot be read.
    async fn recover(self: &Arc<Self>) -> Result<(), MintError> {
        self.write_stopped().await;
        let swaps = self.recover_from_bad_swaps().await;
        let melts = self.reconcile_melts().await;
        let report = swaps?;
        if report.spent + report.removed > 0 {
            tracing::info!(?report, "interrupted swaps resolved");
        }
        melts
    }

    /// Everything that the background does, once: recovery, and questions about quotes that somebody waits for.
    ///
    /// # Errors
    /// A port does not answer.
    pub async fn sweep(self: &Arc<Self>) -> Result<(), MintError> {
        let recovered = self.recover().await;
        self.ask_about_quotes().await?;
        recovered
    }

    /// The page of orphans after `after`.
    pub(crate) async fn orphans_after(&self, after: Option<OperationId>) -> Result<OrphanPage, MintError> {
        let page = self.ports.store.unfinished(after, PAGE).await?;
        let last =
            if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) { None } else { page.last().map(|r| r.id) };
        let mut orphans = Vec::new();
        // One question for each owner and not for each operation.
        let mut lapsed = BTreeMap::from([(self.owner, true)]);
        for record in page {
            if self.driving.contains(record.id) {
                continue;
            }
            let has_lapsed = match lapsed.get(&record.owner) {
                Some(known) => *known,
                None => self.ports.store.owner_has_lapsed(record.owner).await?,
            };
            lapsed.insert(record.owner, has_lapsed);
            if has_lapsed {
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

    /// Forgets old quotes, of each method as far back as its stream of payments has been read: money may still be on its way for the
    /// others, and for those of a method that is not served now.
    pub async fn prune(&self) {
        for (method, secs) in &self.caught_up {
            self.prune_until(method, Timestamp::from_unix(secs.load(Ordering::Acquire))).await;
        }
    }

    async fn prune_until(&self, method: &PaymentMethod, caught_up: Timestamp) {
        let now = self.now();
        let before = caught_up.min(now).minus(PRUNE_AFTER_SECS);
        while !self.is_draining() && before > Timestamp::default() {
            let prune = Prune { method: method.clone(), before, limit: PRUNE_LIMIT, now };
            match self.apply(Change::Prune(prune)).await {
                Ok(Applied::Pruned(rows)) if rows >= u64::from(PRUNE_LIMIT) => {}
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "old quotes are not pruned"),
            }
            self.ports.environment.sleep(LEAST_PAUSE).await;
        }
    }
}
