//! Swaps: `ReserveSwap`, `SettleSwap`, `ReleaseSwap`.

use crate::ports::{Applied, Change, Conflict, InputState, LatchKeyset, OperationKind, OperationState, Prune};
use crate::store::contract::Bench;
use crate::store::contract::fixture::*;

cases!("swap":
    reserving_holds_inputs_and_outputs,
    settling_signs_and_spends,
    releasing_gives_everything_back,
);

async fn reserving_holds_inputs_and_outputs(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    assert_eq!(bench.accept_twice(swap.reserve()).await, Applied::Done);
    let ledger = bench.snapshot().await;
    let contents = &ledger.contents[&swap.operation];
    assert!(contents.inputs.iter().map(|known| &known.row).eq(&swap.inputs), "inputs in the order of the request");
    assert!(
        contents.outputs.iter().map(|known| &known.output).eq(&swap.outputs),
        "outputs in the order of the request"
    );
    assert!(
        contents.inputs.iter().all(|known| known.state == InputState::Pending && known.kind == OperationKind::Swap)
    );
    assert!(contents.outputs.iter().all(|known| known.signature.is_none() && known.kind == OperationKind::Swap));
    assert!(contents.quotes.is_empty(), "a swap has no quotes");
    let row = &ledger.operations[&swap.operation];
    assert_eq!((row.kind, row.state, row.owner), (OperationKind::Swap, OperationState::SetupComplete, ALICE));
    assert_eq!((row.created_at, &row.melt), (NOW, &None));
    assert_eq!(bench.totals(sat()).await, [FUNDS, 0, 10, 0]);
}

async fn settling_signs_and_spends(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    assert_eq!(bench.accept_twice(swap.settle()).await, Applied::Signatures(swap.signed()));
    let ledger = bench.snapshot().await;
    let contents = &ledger.contents[&swap.operation];
    assert!(contents.inputs.iter().all(|known| known.state == InputState::Spent));
    let stored = contents.outputs.iter().zip(swap.signed());
    assert!(
        stored.into_iter().all(|(known, row)| known.output == row.output && known.signature == Some((row.c, row.dleq)))
    );
    assert!(ledger.operations.is_empty(), "the row goes");
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 10, 0, 1]);
}

async fn releasing_gives_everything_back(bench: &Bench) {
    bench.fund().await;
    let before = bench.snapshot().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    assert_eq!(bench.accept(swap.release()).await, Applied::Done);
    assert_eq!(bench.snapshot().await, before, "nothing is left of it");
    bench.accept(Swap { operation: operation(2), ..swap }.reserve()).await;
}
