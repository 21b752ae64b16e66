//! `ReserveSwap`.

use crate::ports::AddKeyset;
use crate::ports::{
    Applied, Conflict, InputRow, InputState, LatchKeyset, OperationKind, OperationState, OutputRow, ReserveSwap,
};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{
    ALICE, BOB, FUNDS, KEYSETS, Melt, Minting, NOW, Swap, input, operation, output, sat, sat_next, usd, y,
};

cases!("reserve swap":
    reserving_holds_inputs_and_outputs,
    several_keysets_are_booked_each,
    refusals_come_in_order,
    a_proof_is_known_by_its_y_alone,
    an_output_is_known_by_its_b_alone,
    one_bad_row_among_many_refuses_all,
    an_id_serves_one_attempt,
    another_owner_cannot_repeat_it,
    an_id_with_other_contents_is_rejected,
    no_more_is_redeemed_than_was_issued,
    the_overdrawn_keyset_is_named,
    amounts_that_wrap_are_overdrawn,
    a_latched_keyset_can_be_signed_but_not_redeemed,
    keysets_must_be_known,
    nothing_is_named_twice_or_missing,
);

async fn reserving_holds_inputs_and_outputs(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    assert_eq!(bench.accept_twice(swap.reserve()).await, Applied::Done);
    bench.repeat(ReserveSwap { now: NOW.plus(30), ..swap.reserve() }, &Applied::Done).await;
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

async fn several_keysets_are_booked_each(bench: &Bench) {
    bench.fund().await;
    let inputs = vec![input(1, usd(), 4), input(2, sat(), 2), input(3, usd(), 1)];
    bench.accept_twice(Swap { inputs, ..Swap::new(1) }.reserve()).await;
    assert_eq!(bench.totals(sat()).await, [FUNDS, 0, 2, 0]);
    assert_eq!(bench.totals(usd()).await, [FUNDS, 0, 5, 0]);
}

/// A request with everything wrong is repaired one fault at a time, and each time the next reason is given.
async fn refusals_come_in_order(bench: &Bench) {
    bench.fund().await;
    let (settled, reserved) = (Swap::new(1), Swap::new(2));
    bench.accept(settled.reserve()).await;
    bench.accept(settled.settle()).await;
    bench.accept(reserved.reserve()).await;
    bench.accept(LatchKeyset { keyset: usd(), latched: true }).await;
    let given_up = Swap::new(9);
    bench.accept(given_up.release()).await;

    let fine = input(901, sat(), 1);
    let mut request = Swap::new(9);
    request.inputs = vec![
        fine.clone(),
        reserved.inputs[0].clone(),
        settled.inputs[0].clone(),
        input(902, usd(), 1),
        input(903, sat(), 1 << 40),
    ];
    request.outputs = vec![
        output(904, sat(), 1),
        reserved.outputs[0].clone(),
        settled.outputs[0].clone(),
        output(905, sat_next(), 1),
    ];
    bench.refuse(request.reserve(), Conflict::OperationEnded).await;
    request.operation = operation(10);
    bench.refuse(request.reserve(), Conflict::InputsSpent).await;
    request.inputs.remove(2);
    bench.refuse(request.reserve(), Conflict::InputsPending).await;
    request.inputs.remove(1);
    bench.refuse(request.reserve(), Conflict::OutputsSigned).await;
    request.outputs.remove(2);
    bench.refuse(request.reserve(), Conflict::OutputsPending).await;
    request.outputs.remove(1);
    bench.refuse(request.reserve(), Conflict::KeysetUnknown(sat_next())).await;
    request.outputs.pop();
    bench.refuse(request.reserve(), Conflict::KeysetLatched(usd())).await;
    request.inputs.remove(1);
    bench.refuse(request.reserve(), Conflict::Overdrawn(sat())).await;
    request.inputs.pop();
    assert_eq!(request.inputs, [fine]);
    bench.accept(request.reserve()).await;
}

async fn a_proof_is_known_by_its_y_alone(bench: &Bench) {
    bench.fund().await;
    let (settled, reserved) = (Swap::new(1), Swap::new(2));
    bench.accept(settled.reserve()).await;
    bench.accept(settled.settle()).await;
    bench.accept(reserved.reserve()).await;
    let disguised = |n: u32| InputRow { y: y(n), ..input(777, usd(), 1) };
    let spending = |row: InputRow| Swap { inputs: vec![row], ..Swap::new(3) }.reserve();
    bench.refuse(spending(disguised(10)), Conflict::InputsSpent).await;
    bench.refuse(spending(disguised(20)), Conflict::InputsPending).await;
}

async fn an_output_is_known_by_its_b_alone(bench: &Bench) {
    bench.fund().await;
    let (settled, reserved) = (Swap::new(1), Swap::new(2));
    bench.accept(settled.reserve()).await;
    bench.accept(settled.settle()).await;
    bench.accept(reserved.reserve()).await;
    let asking = |n: u32| Swap { outputs: vec![output(n, usd(), 64)], ..Swap::new(3) }.reserve();
    bench.refuse(asking(10), Conflict::OutputsSigned).await;
    bench.refuse(asking(20), Conflict::OutputsPending).await;
}

async fn one_bad_row_among_many_refuses_all(bench: &Bench) {
    bench.fund().await;
    let held = Swap::new(1);
    bench.accept(held.reserve()).await;
    let mut many = Swap::new(2);
    many.inputs = (100..160).map(|n| input(n, sat(), 1)).collect();
    many.outputs = (100..160).map(|n| output(n, sat(), 1)).collect();
    let mut last_input = many.clone();
    last_input.inputs.push(held.inputs[1].clone());
    bench.refuse(last_input.reserve(), Conflict::InputsPending).await;
    let mut last_output = many.clone();
    last_output.outputs.push(held.outputs[1].clone());
    bench.refuse(last_output.reserve(), Conflict::OutputsPending).await;
    bench.accept_twice(many.reserve()).await;
}

async fn an_id_serves_one_attempt(bench: &Bench) {
    bench.fund().await;
    let finished = Swap::new(1);
    bench.accept(finished.reserve()).await;
    bench.accept(finished.settle()).await;
    let issued = Minting::new(1);
    bench.mint(&issued).await;
    for used_up in [finished.operation, issued.operation] {
        let reuse = Swap { operation: used_up, ..Swap::new(2) };
        bench.refuse(reuse.reserve(), Conflict::OperationEnded).await;
    }
    // A replay of the finished swap has ended, too, before its inputs are looked at.
    bench.refuse(finished.reserve(), Conflict::OperationEnded).await;
}

async fn another_owner_cannot_repeat_it(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    bench.refuse(Swap { owner: BOB, ..swap.clone() }.reserve(), Conflict::OperationGone).await;
    bench.accept(swap.take_over(BOB)).await;
    bench.refuse(swap.reserve(), Conflict::OperationGone).await;
}

async fn an_id_with_other_contents_is_rejected(bench: &Bench) {
    bench.fund().await;
    let (swap, melt) = (Swap::new(1), Melt::new(2));
    bench.accept(swap.reserve()).await;
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    let fresh = Swap::new(3);
    let others = [
        Swap { operation: swap.operation, ..fresh.clone() },
        Swap { inputs: fresh.inputs.clone(), ..swap.clone() },
        Swap { outputs: fresh.outputs.clone(), ..swap.clone() },
        Swap { inputs: swap.inputs[..1].to_vec(), ..swap.clone() },
        Swap { outputs: swap.outputs.iter().rev().cloned().collect(), ..swap.clone() },
        Swap { operation: melt.operation, ..fresh.clone() },
        Swap { operation: melt.operation, inputs: melt.inputs.clone(), outputs: melt.blanks.clone(), ..fresh },
    ];
    for other in others {
        bench.reject(other.reserve()).await;
    }
}

async fn no_more_is_redeemed_than_was_issued(bench: &Bench) {
    bench.fund().await;
    let spending = |n: u32, amount: u64| Swap { inputs: vec![input(10 * n, sat(), amount)], ..Swap::new(n) };
    bench.refuse(spending(1, FUNDS + 1).reserve(), Conflict::Overdrawn(sat())).await;
    let most = Swap {
        inputs: vec![input(20, sat(), FUNDS - 10)],
        outputs: vec![output(20, usd(), FUNDS - 10)],
        fees: vec![],
        ..Swap::new(2)
    };
    bench.accept(most.reserve()).await;
    bench.refuse(spending(3, 11).reserve(), Conflict::Overdrawn(sat())).await;
    bench.accept(most.settle()).await;
    bench.refuse(spending(3, 11).reserve(), Conflict::Overdrawn(sat())).await;
    bench.accept(spending(3, 10).reserve()).await;
    bench.refuse(spending(4, 1).reserve(), Conflict::Overdrawn(sat())).await;
}

async fn the_overdrawn_keyset_is_named(bench: &Bench) {
    bench.fund().await;
    let asking = |sats: u64, cents: u64| {
        Swap { inputs: vec![input(1, usd(), cents), input(2, sat(), sats)], ..Swap::new(1) }.reserve()
    };
    bench.refuse(asking(1, FUNDS + 1), Conflict::Overdrawn(usd())).await;
    bench.refuse(asking(FUNDS + 1, 1), Conflict::Overdrawn(sat())).await;
    // Of several the one with the smallest id.
    bench.refuse(asking(FUNDS + 1, FUNDS + 1), Conflict::Overdrawn(sat().min(usd()))).await;
    bench.accept(asking(FUNDS, FUNDS)).await;
}

async fn amounts_that_wrap_are_overdrawn(bench: &Bench) {
    bench.fund().await;
    for amounts in [[u64::MAX, 1], [1 << 63, 1 << 63], [u64::MAX, u64::MAX], [1, u64::MAX]] {
        let inputs = (1..).zip(amounts).map(|(n, amount)| input(n, sat(), amount)).collect();
        bench.refuse(Swap { inputs, ..Swap::new(1) }.reserve(), Conflict::Overdrawn(sat())).await;
    }
}

async fn a_latched_keyset_can_be_signed_but_not_redeemed(bench: &Bench) {
    bench.fund().await;
    bench.accept(LatchKeyset { keyset: usd(), latched: true }).await;
    let from_usd = Swap { inputs: vec![input(1, usd(), 4)], ..Swap::new(1) };
    bench.refuse(from_usd.reserve(), Conflict::KeysetLatched(usd())).await;
    let into_usd = Swap { outputs: vec![output(1, usd(), 4)], ..Swap::new(2) };
    bench.accept(into_usd.reserve()).await;
    bench.accept(LatchKeyset { keyset: usd(), latched: false }).await;
    bench.accept(Swap { outputs: vec![output(2, sat(), 4)], ..from_usd }.reserve()).await;
}

async fn keysets_must_be_known(bench: &Bench) {
    bench.fund().await;
    let unknown = Conflict::KeysetUnknown(sat_next());
    bench.refuse(Swap { inputs: vec![input(1, sat_next(), 4)], ..Swap::new(1) }.reserve(), unknown.clone()).await;
    bench.refuse(Swap { outputs: vec![output(1, sat_next(), 4)], ..Swap::new(1) }.reserve(), unknown).await;
    bench.accept(AddKeyset { keyset: KEYSETS.sat_next.clone() }).await;
    // Nothing of the new keyset was ever issued.
    let counterfeit = Swap { inputs: vec![input(1, sat_next(), 1)], ..Swap::new(1) };
    bench.refuse(counterfeit.reserve(), Conflict::Overdrawn(sat_next())).await;
    bench.accept(Swap { outputs: vec![output(1, sat_next(), 4)], ..Swap::new(1) }.reserve()).await;
}

async fn nothing_is_named_twice_or_missing(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    let same_y = InputRow { y: swap.inputs[0].y, ..input(5, usd(), 1) };
    let same_b = OutputRow { b: swap.outputs[0].b, ..output(5, usd(), 1) };
    let bad = [
        Swap { inputs: vec![], ..swap.clone() },
        Swap { outputs: vec![], ..swap.clone() },
        Swap { inputs: vec![swap.inputs[0].clone(), same_y], ..swap.clone() },
        Swap { outputs: vec![swap.outputs[0].clone(), same_b], ..swap },
    ];
    for change in bad {
        bench.reject(change.reserve()).await;
    }
}
