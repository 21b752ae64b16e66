//! The operations this process is driving right now.
//!
//! An unfinished row of ours that is not in this set belongs to nobody: its task panicked, its release failed, or its
//! reservation came late. The sweeper resolves it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::ports::OperationId;

/// The set, and word of its size.
#[derive(Debug)]
pub(crate) struct Driving {
    operations: Mutex<BTreeSet<OperationId>>,
    count: watch::Sender<usize>,
}

impl Default for Driving {
    fn default() -> Self {
        Self { operations: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Driving {
    /// Takes `operation` in hand until the guard is dropped; `None` when somebody has it.
    pub(crate) fn claim(self: &Arc<Self>, operation: OperationId) -> Option<DrivingGuard> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        if !operations.insert(operation) {
            return None;
        }
        self.count.send_replace(operations.len());
        Some(DrivingGuard { operation, set: Arc::clone(self) })
    }

    /// Whether somebody here drives `operation`.
    pub(crate) fn contains(&self, operation: OperationId) -> bool {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).contains(&operation)
    }

    /// How many are driven.
    pub(crate) fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Completes when none is driven.
    pub(crate) async fn idle(&self) {
        let mut count = self.count.subscribe();
        // The sender lives in `self`, so the wait ends only because the count is zero.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

/// Holds one operation in the set; leaving it is what dropping does, also when a task panics.
#[derive(Debug)]
pub(crate) struct DrivingGuard {
    operation: OperationId,
    set: Arc<Driving>,
}

impl Drop for DrivingGuard {
    fn drop(&mut self) {
        let mut operations = self.set.operations.lock().unwrap_or_else(PoisonError::into_inner);
        operations.remove(&self.operation);
        self.set.count.send_replace(operations.len());
    }
}
