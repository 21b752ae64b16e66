//! How a swap ends: `SettleSwap`, `ReleaseSwap`.

use hazel_protocol::{Amount, CurrencyUnit, PaymentMethod};

use crate::ports::{
    Applied, Change, Conflict, InputState, KeysetTotals, LatchKeyset, OutputRow, Prune, ReleaseSwap, SettleSwap,
    SignedRow,
};
use crate::store::TOMBSTONE_SECS;
use crate::store::contract::Bench;
use crate::store::contract::fixture::{
    BOB, FUNDS, Melt, Minting, NOW, Swap, b, input, operation, output, sat, sat_next, sign, sign_all, usd,
};

cases!("end of a swap":
    settling_signs_and_spends,
    settling_books_every_keyset,
    settling_needs_the_row_of_this_owner,
    a_former_owner_cannot_settle,
    a_settled_swap_answers_for_ever,
    a_settled_swap_answers_with_the_ledgers_signatures,
    a_settled_swap_has_no_other_outputs,
    exactly_the_reserved_outputs_are_signed,
    inputs_are_outputs_plus_fees,
    fees_are_of_known_keysets,
    outputs_signed_by_other_hands_are_not_signed_again,
    a_thousand_of_each_keep_their_order,
    an_overdrawn_keyset_lets_nothing_out,
    a_latched_keyset_still_settles,
    a_spent_proof_stays_spent,
    releasing_gives_everything_back,
    a_release_is_not_remembered,
    releasing_nothing_leaves_a_tombstone,
    a_tombstone_stands_for_an_hour,
    a_finished_operation_cannot_be_released,
    another_owner_cannot_release,
);

async fn settled(bench: &Bench, n: u32) -> Swap {
    let swap = bench.reserved_swap(n).await;
    bench.accept(swap.settle()).await;
    swap
}

async fn settling_signs_and_spends(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    assert_eq!(bench.accept_twice(swap.settle()).await, Applied::Signatures(swap.signed()));
    let ledger = bench.snapshot().await;
    let contents = &ledger.contents[&swap.operation];
    assert!(contents.inputs.iter().map(|known| &known.row).eq(&swap.inputs), "witnesses and all");
    assert!(contents.inputs.iter().all(|known| known.state == InputState::Spent));
    let stored: Vec<_> = contents.outputs.iter().map(|known| (known.output.clone(), known.signature)).collect();
    let given: Vec<_> = swap.signed().into_iter().map(|row| (row.output, Some((row.c, row.dleq)))).collect();
    assert_eq!(stored, given);
    assert!(ledger.operations.is_empty(), "the row goes");
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 10, 0, 1]);
}

async fn settling_books_every_keyset(bench: &Bench) {
    bench.fund().await;
    let swap = Swap {
        inputs: vec![input(1, usd(), 32), input(2, sat(), 16), input(3, usd(), 8)],
        outputs: vec![output(1, sat(), 32), output(2, usd(), 8), output(3, sat(), 8)],
        fees: vec![(usd(), Amount::from_u64(5)), (sat(), Amount::from_u64(3))],
        ..Swap::new(1)
    };
    bench.accept(swap.reserve()).await;
    bench.accept_twice(swap.settle()).await;
    assert_eq!(bench.totals(sat()).await, [FUNDS + 40, 16, 0, 3]);
    assert_eq!(bench.totals(usd()).await, [FUNDS + 8, 40, 0, 5]);
}

async fn settling_needs_the_row_of_this_owner(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.refuse(swap.settle(), Conflict::OperationGone).await;
    bench.accept(swap.reserve()).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.settle(), Conflict::OperationGone).await;
    bench.accept(swap.release()).await;
    bench.refuse(swap.settle(), Conflict::OperationGone).await;
    // A tombstone is no row either, nor is the row of a melt.
    bench.accept(swap.release()).await;
    bench.refuse(swap.settle(), Conflict::OperationGone).await;
    let melt = Melt::new(2);
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    let outputs = sign_all(&melt.blanks);
    bench.refuse(SettleSwap { operation: melt.operation, outputs, ..swap.settle() }, Conflict::OperationGone).await;
}

async fn a_former_owner_cannot_settle(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.accept(swap.take_over(BOB)).await;
    bench.refuse(swap.settle(), Conflict::OperationGone).await;
    bench.refuse(swap.release(), Conflict::OperationGone).await;
    bench.accept(Swap { owner: BOB, ..swap }.settle()).await;
}

async fn a_settled_swap_answers_for_ever(bench: &Bench) {
    bench.fund().await;
    let swap = settled(bench, 1).await;
    let other = settled(bench, 2).await;
    bench.accept(LatchKeyset { keyset: sat(), latched: true }).await;
    bench
        .accept(Prune {
            method: PaymentMethod::bolt11(),
            before: NOW.plus(1_000_000),
            limit: 1000,
            now: NOW.plus(1_000_000),
        })
        .await;
    bench.repeat(swap.settle(), &Applied::Signatures(swap.signed())).await;
    // Fees and owner are no part of the answer.
    let change = SettleSwap { owner: BOB, fees: vec![], now: NOW.plus(99), ..swap.settle() };
    bench.repeat(change, &Applied::Signatures(swap.signed())).await;
    bench.repeat(other.settle(), &Applied::Signatures(other.signed())).await;
}

async fn a_settled_swap_answers_with_the_ledgers_signatures(bench: &Bench) {
    bench.fund().await;
    let swap = settled(bench, 1).await;
    let outputs = swap.signed().into_iter().map(|row| SignedRow { c: b(999), ..row }).collect();
    bench.repeat(SettleSwap { outputs, ..swap.settle() }, &Applied::Signatures(swap.signed())).await;
}

/// Outputs that are not those of the reservation: fewer, more, others, another order, amount or keyset.
fn wrong_outputs(swap: &Swap) -> Vec<Vec<OutputRow>> {
    let given = &swap.outputs;
    let more = [given.clone(), vec![output(500, sat(), 1)]].concat();
    let changed = |row: OutputRow| vec![row, given[1].clone()];
    vec![
        given[..1].to_vec(),
        more,
        given.iter().rev().cloned().collect(),
        changed(OutputRow { b: b(501), ..given[0].clone() }),
        changed(OutputRow { amount: Amount::from_u64(4), ..given[0].clone() }),
        changed(OutputRow { keyset: usd(), ..given[0].clone() }),
    ]
}

async fn a_settled_swap_has_no_other_outputs(bench: &Bench) {
    bench.fund().await;
    let swap = settled(bench, 1).await;
    for outputs in wrong_outputs(&swap) {
        let change = SettleSwap { outputs: sign_all(&outputs), ..swap.settle() };
        bench.refuse(change, Conflict::OperationGone).await;
    }
    // An issue that finished with these outputs is no swap.
    let minting = Minting::new(1);
    bench.mint(&minting).await;
    let outputs = sign_all(&minting.outputs);
    let change = SettleSwap { operation: minting.operation, outputs, ..swap.settle() };
    bench.refuse(change, Conflict::OperationGone).await;
}

async fn exactly_the_reserved_outputs_are_signed(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    for outputs in wrong_outputs(&swap) {
        bench.reject(SettleSwap { outputs: sign_all(&outputs), ..swap.settle() }).await;
    }
    let twice = vec![sign(&swap.outputs[0]), sign(&swap.outputs[0])];
    bench.reject(SettleSwap { outputs: twice, ..swap.settle() }).await;
    bench.reject(SettleSwap { outputs: vec![], ..swap.settle() }).await;
    bench.accept(swap.settle()).await;
}

async fn inputs_are_outputs_plus_fees(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    let (none, half, one, two) = (Amount::ZERO, Amount::MAX, Amount::from_u64(1), Amount::from_u64(2));
    let wrong = [
        vec![],
        vec![(sat(), none)],
        vec![(sat(), two)],
        vec![(sat(), one), (usd(), one)],
        vec![(sat(), one), (sat(), none)],
        vec![(sat(), half), (usd(), two)],
    ];
    for fees in wrong {
        bench.reject(SettleSwap { fees, ..swap.settle() }).await;
    }
    bench.accept(swap.settle()).await;
    // A swap that would create money was reserved all the same; it cannot be settled.
    let minting_money = Swap { outputs: vec![output(21, sat(), 64)], fees: vec![], ..Swap::new(2) };
    bench.accept(minting_money.reserve()).await;
    bench.reject(minting_money.settle()).await;
}

async fn fees_are_of_known_keysets(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    let fees = vec![(sat_next(), Amount::from_u64(1))];
    bench.refuse(SettleSwap { fees, ..swap.settle() }, Conflict::KeysetUnknown(sat_next())).await;
}

async fn outputs_signed_by_other_hands_are_not_signed_again(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.plant_signatures(swap.operation, &swap.signed()[..1]).await;
    bench.reject(swap.settle()).await;
    bench.plant_signatures(swap.operation, &swap.signed()[1..]).await;
    bench.reject(swap.settle()).await;
}

/// The most that a request may hold.
async fn a_thousand_of_each_keep_their_order(bench: &Bench) {
    bench.fund().await;
    for n in 1..=4 {
        bench.mint(&Minting::of(n, sat(), CurrencyUnit::Sat, &[128, 128])).await;
    }
    let shuffled = |n: u32| 10_000 + (n * 617) % 1_000;
    let swap = Swap {
        inputs: (0..1_000).map(|n| input(shuffled(n), sat(), 1)).collect(),
        outputs: (0..1_000).map(|n| output(shuffled(n + 500), sat(), 1)).collect(),
        fees: vec![],
        ..Swap::new(1)
    };
    bench.accept_twice(swap.reserve()).await;
    assert_eq!(bench.accept(swap.settle()).await, Applied::Signatures(swap.signed()));
    let contents = bench.store().contents(swap.operation).await.expect("contents can be read");
    assert!(contents.inputs.iter().map(|known| &known.row).eq(&swap.inputs));
    assert!(contents.outputs.iter().map(|known| &known.output).eq(&swap.outputs));
}

/// As when two reservations could not see each other.
async fn an_overdrawn_keyset_lets_nothing_out(bench: &Bench) {
    bench.fund().await;
    let mixed = Swap { inputs: vec![input(1, usd(), 8), input(2, sat(), 2)], ..Swap::new(1) };
    bench.accept(mixed.reserve()).await;
    let unseen = |reserved| totals(FUNDS, 0, reserved);
    bench.plant_totals(sat(), unseen(FUNDS + 1)).await;
    bench.refuse(mixed.settle(), Conflict::Overdrawn(sat())).await;
    bench.plant_totals(usd(), unseen(FUNDS + 1)).await;
    bench.refuse(mixed.settle(), Conflict::Overdrawn(sat().min(usd()))).await;
    bench.plant_totals(sat(), unseen(FUNDS)).await;
    bench.refuse(mixed.settle(), Conflict::Overdrawn(usd())).await;
    bench.plant_totals(usd(), totals(FUNDS, FUNDS, 8)).await;
    bench.refuse(mixed.settle(), Conflict::Overdrawn(usd())).await;
    bench.accept(mixed.release()).await;
    assert_eq!(bench.totals(usd()).await, [FUNDS, FUNDS, 0, 0], "a release is not held up");
}

fn totals(issued: u64, redeemed: u64, reserved: u64) -> KeysetTotals {
    let [issued, redeemed, reserved] = [issued, redeemed, reserved].map(Amount::from_u64);
    KeysetTotals { issued, redeemed, reserved, fees: Amount::ZERO }
}

/// Custody was taken before; what is stopped is taking more.
async fn a_latched_keyset_still_settles(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.accept(LatchKeyset { keyset: sat(), latched: true }).await;
    bench.accept_twice(swap.settle()).await;
}

async fn a_spent_proof_stays_spent(bench: &Bench) {
    bench.fund().await;
    let swap = settled(bench, 1).await;
    let again = Swap { operation: operation(2), outputs: vec![output(500, sat(), 9)], ..swap.clone() };
    for change in [again.reserve(), Swap { owner: BOB, ..again }.reserve()] {
        bench.refuse(change, Conflict::InputsSpent).await;
    }
    bench
        .accept(Prune {
            method: PaymentMethod::bolt11(),
            before: NOW.plus(1_000_000),
            limit: 1000,
            now: NOW.plus(1_000_000),
        })
        .await;
    let states = bench.snapshot().await.inputs;
    assert!(swap.inputs.iter().all(|row| states[&row.y].state == InputState::Spent));
}

async fn releasing_gives_everything_back(bench: &Bench) {
    bench.fund().await;
    let before = bench.snapshot().await;
    let swap = bench.reserved_swap(1).await;
    let held = bench.reserved_swap(2).await;
    assert_eq!(bench.accept(swap.release()).await, Applied::Done);
    bench.repeat(swap.release(), &Applied::Done).await;
    bench.accept(Swap { operation: operation(3), ..swap.clone() }.reserve()).await;
    bench.accept(held.release()).await;
    bench.accept(Swap { operation: operation(3), ..swap }.release()).await;
    assert_eq!(bench.snapshot().await, before, "nothing is left of them");
}

async fn a_release_is_not_remembered(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.accept(swap.release()).await;
    bench.accept_twice(swap.reserve()).await;
    bench.accept(swap.settle()).await;
}

async fn releasing_nothing_leaves_a_tombstone(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    assert_eq!(bench.accept_twice(swap.release()).await, Applied::Done);
    bench.refuse(swap.reserve(), Conflict::OperationEnded).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.reserve(), Conflict::OperationEnded).await;
    let melt = Melt { operation: swap.operation, ..Melt::new(2) };
    bench.accept(melt.open()).await;
    bench.refuse(melt.reserve(), Conflict::OperationEnded).await;
    // The proofs are free under a new id.
    bench.accept(Swap { operation: operation(3), ..swap }.reserve()).await;
}

async fn a_tombstone_stands_for_an_hour(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.release()).await;
    // Giving up again does not make it younger.
    bench.accept(ReleaseSwap { now: NOW.plus(1800), ..swap.release() }).await;
    let prune = |secs| Prune { method: PaymentMethod::bolt11(), before: NOW, limit: 100, now: NOW.plus(secs) };
    assert_eq!(bench.accept(prune(TOMBSTONE_SECS)).await, Applied::Pruned(0));
    bench.refuse(swap.reserve(), Conflict::OperationEnded).await;
    assert_eq!(bench.accept(prune(TOMBSTONE_SECS + 1)).await, Applied::Pruned(1));
    bench.accept(swap.reserve()).await;
}

async fn a_finished_operation_cannot_be_released(bench: &Bench) {
    bench.fund().await;
    let swap = settled(bench, 1).await;
    let minting = Minting::new(1);
    bench.mint(&minting).await;
    bench.refuse(swap.release(), Conflict::OperationEnded).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.release(), Conflict::OperationEnded).await;
    bench.refuse(Swap { operation: minting.operation, ..swap }.release(), Conflict::OperationEnded).await;
}

async fn another_owner_cannot_release(bench: &Bench) {
    bench.fund().await;
    let swap = bench.reserved_swap(1).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.release(), Conflict::OperationGone).await;
    let melt = Melt::new(2);
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    let as_swap = Change::ReleaseSwap(ReleaseSwap { operation: melt.operation, ..swap.release() });
    bench.refuse(as_swap, Conflict::OperationGone).await;
}
