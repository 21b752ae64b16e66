//! The reference ledger against the suite that it is the model of.

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::MemoryStore;
use crate::store::contract::{self, Harness};

struct InMemory;

#[async_trait]
impl Harness for InMemory {
    type Store = MemoryStore;

    async fn fresh(&self) -> MemoryStore {
        MemoryStore::new()
    }

    async fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }

    fn spawn(task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    let report = contract::run_all(&InMemory).await;
    report.assert_passed();
}
