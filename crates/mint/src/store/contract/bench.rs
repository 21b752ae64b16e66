//! A store under test, and what has been put into it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use hazel_protocol::{KeysetId, PointBytes};
use tokio::sync::oneshot;

use crate::ports::{Applied, ApplyError, Change, Conflict, KeysetTotals, OperationId, SignedRow};

use super::Subject;
use super::fixture::IntoChange;
use super::snapshot::{Known, Snapshot};

/// A store under test. It remembers every key that was ever named, so that a [`Snapshot`] misses nothing.
pub struct Bench {
    store: Arc<dyn Subject>,
    known: Mutex<Known>,
    planted: AtomicBool,
    spawn: fn(BoxFuture<'static, ()>),
}

/// What a change came to.
pub type Answer = Result<Applied, ApplyError>;

impl Bench {
    /// Wraps a store; `spawn` runs a task beside the caller.
    pub fn new(store: Arc<dyn Subject>, spawn: fn(BoxFuture<'static, ()>)) -> Self {
        Self { store, known: Mutex::default(), planted: AtomicBool::new(false), spawn }
    }

    /// The store itself.
    pub fn store(&self) -> &dyn Subject {
        &*self.store
    }

    /// Every key named so far, and whether rows have been planted. Lets go of the store.
    pub fn into_known(self) -> (Known, bool) {
        (self.known.into_inner().unwrap_or_else(PoisonError::into_inner), self.planted.into_inner())
    }

    fn note(&self, change: &Change) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).note(change);
    }

    /// Applies a change, whatever the answer.
    pub async fn apply(&self, change: impl IntoChange) -> Answer {
        let change = change.into_change();
        self.note(&change);
        self.store.apply(change).await
    }

    /// Applies a change that must be accepted.
    ///
    /// # Panics
    /// When it is not.
    pub async fn accept(&self, change: impl IntoChange) -> Applied {
        let change = change.into_change();
        let answer = self.apply(change.clone()).await;
        assert!(answer.is_ok(), "{change:?} was refused: {answer:?}");
        answer.expect("it was accepted")
    }

    /// Applies a change that must be accepted, and again: the answer and the ledger must be as after the first time.
    ///
    /// # Panics
    /// When it is refused, or the second time differs.
    pub async fn accept_twice(&self, change: impl IntoChange) -> Applied {
        let change = change.into_change();
        let first = self.accept(change.clone()).await;
        self.repeat(change, &first).await;
        first
    }

    /// Applies a change that has been applied: it must answer `first` and change nothing.
    ///
    /// # Panics
    /// When it does not.
    pub async fn repeat(&self, change: impl IntoChange, first: &Applied) {
        let change = change.into_change();
        let before = self.snapshot_for(&change).await;
        let again = self.accept(change.clone()).await;
        assert_eq!(*first, again, "the answer to the repeated {change:?}");
        assert_eq!(before, self.snapshot().await, "the ledger after the repeated {change:?}");
    }

    /// Applies a change that must be refused for this reason and leave no trace.
    ///
    /// # Panics
    /// When it is not, or something changed.
    pub async fn refuse(&self, change: impl IntoChange, why: Conflict) {
        let change = change.into_change();
        let before = self.snapshot_for(&change).await;
        let answer = self.store.apply(change.clone()).await;
        assert_eq!(answer, Err(ApplyError::Conflict(why)), "the answer to {change:?}");
        assert_eq!(before, self.snapshot().await, "the ledger after the refused {change:?}");
    }

    /// Applies a change that breaks its own preconditions: `Corrupt`, and no trace.
    ///
    /// # Panics
    /// When it is not, or something changed.
    pub async fn reject(&self, change: impl IntoChange) {
        let change = change.into_change();
        let before = self.snapshot_for(&change).await;
        let answer = self.store.apply(change.clone()).await;
        assert!(matches!(answer, Err(ApplyError::Corrupt(_))), "the answer to {change:?} is {answer:?}");
        assert_eq!(before, self.snapshot().await, "the ledger after the rejected {change:?}");
    }

    /// The ledger, by every read there is.
    pub async fn snapshot(&self) -> Snapshot {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Snapshot::take(&*self.store, &known).await
    }

    async fn snapshot_for(&self, change: &Change) -> Snapshot {
        self.note(change);
        self.snapshot().await
    }

    /// The totals of one keyset: issued, redeemed, reserved, fees.
    ///
    /// # Panics
    /// When the keyset is not known.
    pub async fn totals(&self, keyset: KeysetId) -> [u64; 4] {
        let all = self.store.totals().await.expect("totals can be read");
        let (_, totals) = all.into_iter().find(|(id, _)| *id == keyset).expect("the keyset is known");
        [totals.issued, totals.redeemed, totals.reserved, totals.fees].map(hazel_protocol::Amount::to_u64)
    }

    /// Plants signatures; from here on the sums need not agree.
    pub async fn plant_signatures(&self, operation: OperationId, rows: &[SignedRow]) {
        self.planted.store(true, Ordering::Relaxed);
        self.store.plant_signatures(operation, rows).await;
    }

    /// Plants spent inputs; from here on the sums need not agree.
    pub async fn plant_spent(&self, ys: &[PointBytes]) {
        self.planted.store(true, Ordering::Relaxed);
        self.store.plant_spent(ys).await;
    }

    /// Plants totals; from here on the sums need not agree.
    pub async fn plant_totals(&self, keyset: KeysetId, totals: KeysetTotals) {
        self.planted.store(true, Ordering::Relaxed);
        self.store.plant_totals(keyset, totals).await;
    }

    /// Runs every script in a task of its own, all at once. A script ends at its first refusal. The answers come in the
    /// order of the scripts.
    ///
    /// # Panics
    /// When a task panics.
    pub async fn race(&self, scripts: Vec<Vec<Change>>) -> Vec<Vec<Answer>> {
        let mut waiting = Vec::new();
        for script in scripts {
            for change in &script {
                self.note(change);
            }
            let (done, answers) = oneshot::channel();
            let run = run_script(Arc::clone(&self.store), script);
            (self.spawn)(Box::pin(async move {
                let answers = run.await;
                drop(done.send(answers));
            }));
            waiting.push(answers);
        }
        let mut all = Vec::new();
        for answers in waiting {
            all.push(answers.await.expect("no task panics"));
        }
        all
    }
}

async fn run_script(store: Arc<dyn Subject>, script: Vec<Change>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for change in script {
        answers.push(store.apply(change).await);
        if answers.last().is_some_and(Result::is_err) {
            break;
        }
    }
    answers
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("known", &self.known).finish_non_exhaustive()
    }
}
