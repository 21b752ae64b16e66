//! One suite that every wallet store must pass: cases by hand, and random sequences compared with [`MemoryStore`].
//!
//! A store's tests implement [`Harness`] and call [`run_all`], which panics with the name of what does not hold.

#[expect(clippy::panic, reason = "a broken promise ends the suite")]
mod cases;
mod fixture;
mod random;

use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryStore;
use crate::ports::Store;

/// Makes the stores under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new, empty store.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// The same content under a new session, as after a restart. The given store is not used any more.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

/// Runs every case, and as many random sequences as fit into a test.
///
/// # Panics
/// When something does not hold.
pub async fn run_all(harness: &dyn Harness) {
    cases::run(harness).await;
    for seed in 1..=12 {
        random::run(harness, seed, 150).await;
    }
}

/// The harness of [`MemoryStore`]: keeps each store it made, so that it can open it again.
#[derive(Debug, Default)]
pub struct InMemory {
    newest: std::sync::Mutex<Option<MemoryStore>>,
}

#[async_trait]
impl Harness for InMemory {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.keep(MemoryStore::new())
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        let again = self.lock().as_ref().map(MemoryStore::reopen);
        self.keep(again.expect("a store was made before"))
    }
}

impl InMemory {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<MemoryStore>> {
        self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn keep(&self, store: MemoryStore) -> Arc<dyn Store> {
        let twin = store.twin();
        *self.lock() = Some(store);
        Arc::new(twin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_store_in_memory_keeps_the_contract() {
        run_all(&InMemory::default()).await;
    }
}
