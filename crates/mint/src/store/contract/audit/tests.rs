//! Rows by other hands are what the auditor is for: it must see what does not add up.

use std::sync::Arc;

use hazel_protocol::Amount;

use crate::ports::KeysetTotals;
use crate::store::contract::Bench;
use crate::store::contract::fixture::{FUNDS, Swap, sat};
use crate::store::memory::MemoryStore;

/// A ledger with a swap under way.
async fn bench() -> (Bench, Swap) {
    let bench = Bench::new(Arc::new(MemoryStore::new()), drop);
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    (bench, swap)
}

async fn faults(bench: &Bench) -> Vec<String> {
    bench.snapshot().await.faults()
}

#[tokio::test]
async fn a_sound_ledger_has_no_faults() {
    let (bench, swap) = bench().await;
    assert_eq!(faults(&bench).await, Vec::<String>::new());
    bench.accept(swap.settle()).await;
    assert_eq!(faults(&bench).await, Vec::<String>::new());
}

#[tokio::test]
async fn totals_that_are_not_the_sums_are_seen() {
    let (bench, _) = bench().await;
    let totals = bench.store().totals().await.expect("memory can be read")[0].1;
    let one_more = KeysetTotals { issued: Amount::from_u64(FUNDS + 1), ..totals };
    bench.plant_totals(sat(), one_more).await;
    assert_eq!(faults(&bench).await.len(), 1);
    bench.plant_totals(sat(), KeysetTotals { issued: Amount::ZERO, ..totals }).await;
    assert_eq!(faults(&bench).await.len(), 2, "not the sum, and overdrawn");
}

#[tokio::test]
async fn a_spent_input_of_an_unfinished_swap_is_seen() {
    let (bench, swap) = bench().await;
    bench.plant_spent(&[swap.inputs[0].y]).await;
    assert_eq!(faults(&bench).await.len(), 2, "by the input and by the row");
}

#[tokio::test]
async fn a_signature_of_an_unfinished_swap_is_seen() {
    let (bench, swap) = bench().await;
    bench.plant_signatures(swap.operation, &swap.signed()[..1]).await;
    assert_eq!(faults(&bench).await.len(), 1);
}
