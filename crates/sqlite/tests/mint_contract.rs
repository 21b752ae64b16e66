//! The mint store against the suite that every store must pass.
#![cfg(feature = "mint")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use hazel_mint::store::contract;
use support::OnDisk;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    contract::run_all(&OnDisk).await.assert_passed();
}
