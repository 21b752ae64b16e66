//! `TakeOver`, `Prune`.

use hazel_protocol::{PaymentMethod, QuoteId};

use crate::ports::{
    Applied, Conflict, MeltOutcome, MeltQuote, MintQuote, OpenMeltQuote, OpenMintQuote, OperationRecord, Prune,
    TakeOver,
};
use crate::store::TOMBSTONE_SECS;
use crate::store::contract::Bench;
use crate::store::contract::fixture::{ALICE, BOB, CAROL, Melt, Minting, NOW, Swap, evidence, melt_quote};

cases!("upkeep":
    taking_over_changes_the_owner_and_nothing_else,
    one_taker_wins,
    nothing_is_taken_from_another_or_from_nobody,
    stale_quotes_are_pruned,
    quotes_in_use_are_not_pruned,
    pruning_goes_in_small_steps,
    a_pruned_quote_leaves_its_hash_free,
);

async fn taking_over_changes_the_owner_and_nothing_else(bench: &Bench) {
    bench.fund().await;
    let (swap, melt) = (Swap::new(1), Melt::new(2));
    bench.accept(swap.reserve()).await;
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.accept(melt.dispatch()).await;
    let mut expected = bench.snapshot().await;
    assert_eq!(bench.accept_twice(swap.take_over(BOB)).await, Applied::Done);
    bench.accept_twice(melt.take_over(BOB)).await;
    for row in expected.operations.values_mut().chain(&mut expected.unfinished) {
        *row = OperationRecord { owner: BOB, ..row.clone() };
    }
    assert_eq!(bench.snapshot().await, expected);
    bench.accept(Swap { owner: BOB, ..swap }.settle()).await;
    bench.accept(Melt { owner: BOB, ..melt }.record(MeltOutcome::Unknown)).await;
}

async fn one_taker_wins(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    bench.accept(swap.take_over(BOB)).await;
    bench.refuse(swap.take_over(CAROL), Conflict::OperationGone).await;
    bench.accept(Swap { owner: BOB, ..swap.clone() }.take_over(CAROL)).await;
    bench.refuse(swap.take_over(BOB), Conflict::OperationGone).await;
}

async fn nothing_is_taken_from_another_or_from_nobody(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.refuse(swap.take_over(BOB), Conflict::OperationGone).await;
    bench.accept(swap.reserve()).await;
    let from_carol = TakeOver { from: CAROL, ..swap.take_over(BOB) };
    bench.refuse(from_carol, Conflict::OperationGone).await;
    // Whoever has it already has taken it over.
    bench.repeat(TakeOver { from: CAROL, ..swap.take_over(ALICE) }, &Applied::Done).await;
    bench.accept(swap.settle()).await;
    bench.refuse(swap.take_over(BOB), Conflict::OperationGone).await;
}

fn prune(before: u64, limit: u32) -> Prune {
    Prune { method: PaymentMethod::bolt11(), before: NOW.plus(before), limit, now: NOW }
}

/// Opens mint and melt quotes `n` that expire `secs` after `NOW`.
async fn quotes_expiring(bench: &Bench, n: u32, secs: u64) -> (QuoteId, QuoteId) {
    let mint = MintQuote { expiry: NOW.plus(secs), ..Minting::new(n).quote };
    let melt = MeltQuote { expiry: NOW.plus(secs), ..melt_quote(n) };
    let ids = (mint.id.clone(), melt.id.clone());
    bench.accept(OpenMintQuote { quote: mint }).await;
    bench.accept(OpenMeltQuote { quote: melt }).await;
    ids
}

async fn stale_quotes_are_pruned(bench: &Bench) {
    let (stale_mint, stale_melt) = quotes_expiring(bench, 1, 99).await;
    let (fresh_mint, fresh_melt) = quotes_expiring(bench, 2, 100).await;
    let other = Prune { method: "other".parse().expect("a name"), ..prune(100, 10) };
    bench.repeat(other, &Applied::Pruned(0)).await;
    assert_eq!(bench.accept(prune(100, 10)).await, Applied::Pruned(2));
    bench.repeat(prune(100, 10), &Applied::Pruned(0)).await;
    let ledger = bench.snapshot().await;
    assert!(!ledger.mint_quotes.contains_key(&stale_mint) && !ledger.melt_quotes.contains_key(&stale_melt));
    assert!(ledger.mint_quotes.contains_key(&fresh_mint) && ledger.melt_quotes.contains_key(&fresh_melt));
    bench.refuse(Minting::new(1).credit(), Conflict::QuoteUnknown).await;
    bench.refuse(Melt::new(1).reserve(), Conflict::QuoteUnknown).await;
}

async fn quotes_in_use_are_not_pruned(bench: &Bench) {
    bench.fund().await;
    let credited = Minting::new(1);
    bench.accept(credited.open()).await;
    bench.accept(credited.credit()).await;
    bench.mint(&Minting::new(2)).await;
    let (held, paid) = (Melt::new(3), Melt::new(4));
    for melt in [&held, &paid] {
        bench.accept(melt.open()).await;
        bench.accept(melt.reserve()).await;
        bench.accept(melt.dispatch()).await;
    }
    bench.accept(paid.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(paid.settle()).await;
    // Of all this only the blank of the paid melt that got no change is free.
    assert_eq!(bench.accept(prune(1_000_000, 1000)).await, Applied::Pruned(1));
    bench.repeat(prune(1_000_000, 1000), &Applied::Pruned(0)).await;
    bench.accept(held.record(MeltOutcome::Failed)).await;
    bench.accept(held.release()).await;
    assert_eq!(bench.accept(prune(1_000_000, 1000)).await, Applied::Pruned(1));
}

async fn pruning_goes_in_small_steps(bench: &Bench) {
    for n in 1..=5 {
        quotes_expiring(bench, n, 10).await;
        bench.accept(Swap::new(100 + n).release()).await;
    }
    let now = NOW.plus(TOMBSTONE_SECS + 1);
    let step = |limit| Prune { method: PaymentMethod::bolt11(), before: NOW.plus(11), limit, now };
    bench.repeat(step(0), &Applied::Pruned(0)).await;
    for expected in [6, 6, 3, 0] {
        assert_eq!(bench.accept(step(2)).await, Applied::Pruned(expected));
    }
}

async fn a_pruned_quote_leaves_its_hash_free(bench: &Bench) {
    let (id, _) = quotes_expiring(bench, 1, 10).await;
    bench.accept(prune(11, 10)).await;
    let next = MintQuote { payment_hash: Minting::new(1).quote.payment_hash, ..Minting::new(2).quote };
    bench.accept(OpenMintQuote { quote: next }).await;
    let ledger = bench.snapshot().await;
    assert!(!ledger.mint_quotes.contains_key(&id));
    bench.refuse(Minting::new(1).open(), Conflict::QuoteExists).await;
}
