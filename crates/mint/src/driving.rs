//! The operations this process is driving right now, and the requests that may yet begin one.
//!
//! An unfinished row of ours that is not in this set belongs to nobody: its task panicked, its release failed, or its
//! reservation came late. The sweeper resolves it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::ports::OperationId;

/// The set, and how much is going on.
#[derive(Debug)]
pub(crate) struct Driving {
    operations: Mutex<BTreeSet<OperationId>>,
    /// Operations and requests.
    busy: watch::Sender<usize>,
}

impl Default for Driving {
    fn default() -> Self {
        Self { operations: Mutex::default(), busy: watch::Sender::new(0) }
    }
}

impl Driving {
    fn operations(&self) -> MutexGuard<'_, BTreeSet<OperationId>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `operation` in hand until the guard is dropped; `None` when somebody has it.
    pub(crate) fn claim(self: &Arc<Self>, operation: OperationId) -> Option<DrivingGuard> {
        if !self.operations().insert(operation) {
            return None;
        }
        Some(DrivingGuard { operation, busy: self.enter() })
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> BusyGuard {
        self.busy.send_modify(|busy| *busy += 1);
        BusyGuard(Arc::clone(self))
    }

    /// Whether somebody here drives `operation`.
    pub(crate) fn contains(&self, operation: OperationId) -> bool {
        self.operations().contains(&operation)
    }

    /// Whether nothing is going on.
    pub(crate) fn is_idle(&self) -> bool {
        *self.busy.borrow() == 0
    }

    /// Completes when nothing is going on.
    pub(crate) async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        // The sender lives in `self`, so the wait ends only because the count is zero.
        let _ = busy.wait_for(|busy| *busy == 0).await;
    }
}

/// Counts as busy; dropping it ends that, also when a task panics.
#[derive(Debug)]
pub(crate) struct BusyGuard(Arc<Driving>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.busy.send_modify(|busy| *busy -= 1);
    }
}

/// Holds one operation in the set.
#[derive(Debug)]
pub(crate) struct DrivingGuard {
    operation: OperationId,
    busy: BusyGuard,
}

impl Drop for DrivingGuard {
    fn drop(&mut self) {
        self.busy.0.operations().remove(&self.operation);
    }
}
