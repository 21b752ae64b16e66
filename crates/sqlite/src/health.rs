//! Whether the store may still be used.

use tokio::sync::watch;

/// Shared by every thread of a store. Once a reason to stop is set it stays.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    reason: watch::Sender<Option<String>>,
}

impl Health {
    /// A store in good health.
    pub(crate) fn new() -> Self {
        Self { reason: watch::Sender::new(None) }
    }

    /// Stops the store for good: nothing that the disk holds can be trusted to stay. The first reason is kept.
    pub(crate) fn poison(&self, reason: &str) {
        let is_first = self.reason.send_if_modified(|current| {
            let is_first = current.is_none();
            if is_first {
                *current = Some(reason.to_owned());
            }
            is_first
        });
        if is_first {
            tracing::error!(reason, "the database must not be written any more: stop the process");
        }
    }

    /// Why the store was stopped; `None` while it is well.
    pub(crate) fn poisoned(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    /// Completes when the store has been stopped, with the reason.
    pub(crate) async fn closed(&self) -> String {
        let mut reason = self.reason.subscribe();
        let stopped = reason.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, so waiting cannot fail.
        stopped.map_or_else(|_| String::from("the store is gone"), |value| value.clone().unwrap_or_default())
    }
}
