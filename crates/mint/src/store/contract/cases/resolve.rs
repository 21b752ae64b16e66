//! `ResolveSwap`: what becomes of a swap that nobody drives any more.

use crate::ports::{Applied, Conflict, InputState, SwapResolution};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{BOB, FUNDS, Melt, Swap, operation, sat};

cases!("resolve swap":
    without_signatures_everything_is_removed,
    with_all_signatures_the_inputs_are_spent,
    with_some_signatures_nothing_is_touched,
    only_pending_rows_are_acted_on,
    the_row_must_be_a_swap_of_this_owner,
    a_resolved_swap_is_gone,
);

async fn without_signatures_everything_is_removed(bench: &Bench) {
    bench.fund().await;
    let before = bench.snapshot().await;
    let swap = bench.reserved_swap(1).await;
    bench.accept(swap.take_over(BOB)).await;
    let taken = Swap { owner: BOB, ..swap.clone() };
    assert_eq!(bench.accept(taken.resolve()).await, Applied::Resolved(SwapResolution::Removed));
    assert_eq!(bench.snapshot().await, before, "nothing is left of it");
    bench.refuse(swap.settle(), Conflict::OperationGone).await;
    bench.accept(Swap { operation: operation(2), ..swap }.reserve()).await;
}

async fn with_all_signatures_the_inputs_are_spent(bench: &Bench) {
    bench.fund().await;
    let (swap, other) = (bench.reserved_swap(1).await, bench.reserved_swap(2).await);
    bench.plant_signatures(swap.operation, &swap.signed()).await;
    assert_eq!(bench.accept(swap.resolve()).await, Applied::Resolved(SwapResolution::Spent));
    bench.snapshot().await.assert_sound();
    let ledger = bench.snapshot().await;
    assert!(swap.inputs.iter().all(|row| ledger.inputs[&row.y].state == InputState::Spent));
    assert!(ledger.operations.keys().eq([&other.operation]), "its row goes, the other stays");
    assert_eq!(bench.totals(sat()).await[..3], [FUNDS + 9, 10, 10]);
    // From here on it is a finished swap like any other.
    bench.repeat(swap.settle(), &Applied::Signatures(swap.signed())).await;
    bench.refuse(swap.release(), Conflict::OperationEnded).await;
}

async fn with_some_signatures_nothing_is_touched(bench: &Bench) {
    bench.fund().await;
    for n in [1, 2] {
        let swap = bench.reserved_swap(n).await;
        let one = usize::try_from(n).expect("small") - 1;
        bench.plant_signatures(swap.operation, &swap.signed()[one..=one]).await;
        let before = bench.snapshot().await;
        let first = bench.accept_twice(swap.resolve()).await;
        assert_eq!(first, Applied::Resolved(SwapResolution::Mixed));
        assert_eq!(bench.snapshot().await, before, "an operator finds everything as it was");
    }
}

async fn only_pending_rows_are_acted_on(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.plant_spent(&[swap.inputs[1].y]).await;
    assert_eq!(bench.accept(swap.resolve()).await, Applied::Resolved(SwapResolution::Removed));
    let ledger = bench.snapshot().await;
    assert!(!ledger.inputs.contains_key(&swap.inputs[0].y), "the pending input can be spent again");
    assert_eq!(ledger.inputs[&swap.inputs[1].y].state, InputState::Spent, "the spent one cannot");
    assert_eq!(bench.totals(sat()).await, [FUNDS, 2, 0, 0]);

    let swap = bench.reserved_swap(2).await;
    bench.plant_spent(&[swap.inputs[0].y]).await;
    bench.plant_signatures(swap.operation, &swap.signed()).await;
    assert_eq!(bench.accept(swap.resolve()).await, Applied::Resolved(SwapResolution::Spent));
    assert_eq!(bench.totals(sat()).await[..3], [FUNDS + 9, 12, 0], "nothing is redeemed twice");
}

async fn the_row_must_be_a_swap_of_this_owner(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.refuse(swap.resolve(), Conflict::OperationGone).await;
    bench.accept(swap.reserve()).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.resolve(), Conflict::OperationGone).await;
    let melt = Melt::new(2);
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(Swap { operation: melt.operation, ..swap }.resolve(), Conflict::OperationGone).await;
}

async fn a_resolved_swap_is_gone(bench: &Bench) {
    bench.fund().await;
    let (removed, settled) = (bench.reserved_swap(1).await, bench.reserved_swap(2).await);
    bench.accept(removed.resolve()).await;
    bench.refuse(removed.resolve(), Conflict::OperationGone).await;
    bench.accept(settled.settle()).await;
    bench.refuse(settled.resolve(), Conflict::OperationGone).await;
}
