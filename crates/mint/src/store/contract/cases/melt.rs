//! How a melt takes custody and gives it back: `ReserveMelt`, `ReleaseMelt`.

use hazel_protocol::{Amount, PaymentMethod, QuoteId};

use crate::ports::{
    Applied, Conflict, InputRow, InputState, LatchKeyset, MeltOutcome, MeltProgress, MeltQuote, MeltQuoteStatus,
    OpenMeltQuote, OperationKind, OperationState, OutputRow, Prune, ReserveMelt,
};
use crate::store::TOMBSTONE_SECS;
use crate::store::contract::Bench;
use crate::store::contract::fixture::{
    ALICE, BOB, FUNDS, Melt, Minting, NOW, Swap, evidence, input, operation, output, quote_id, sat, sat_next, usd,
};

cases!("custody of a melt":
    reserving_holds_quote_inputs_and_blanks,
    a_melt_may_have_no_blanks,
    refusals_come_in_order,
    a_quote_is_paid_by_one_melt,
    an_invoice_is_paid_by_one_melt,
    an_id_serves_one_attempt,
    an_id_with_other_contents_is_rejected,
    another_owner_cannot_repeat_it,
    it_may_be_repeated_while_it_runs,
    blanks_have_no_amount,
    swaps_and_melts_hold_against_each_other,
    releasing_gives_everything_back,
    only_a_melt_that_cannot_be_paid_is_released,
    a_finished_melt_cannot_be_released,
    another_owner_cannot_release,
    releasing_nothing_leaves_a_tombstone,
    a_release_names_its_quote,
);

async fn opened(bench: &Bench, n: u32) -> Melt {
    let melt = Melt::new(n);
    bench.accept(melt.open()).await;
    melt
}

async fn paid(bench: &Bench, n: u32) -> Melt {
    let melt = bench.reserved_melt(n).await;
    bench.accept(melt.dispatch()).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(melt.settle()).await;
    melt
}

async fn reserving_holds_quote_inputs_and_blanks(bench: &Bench) {
    bench.fund().await;
    let melt = opened(bench, 1).await;
    let now = NOW.plus(3);
    let answer = bench.accept_twice(ReserveMelt { now, ..melt.reserve() }).await;
    let held = MeltQuote {
        status: MeltQuoteStatus::Pending,
        operation: Some(melt.operation),
        updated_at: now,
        ..melt.quote.clone()
    };
    assert_eq!(answer, Applied::MeltQuote(held.clone()));
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.melt_quotes[&melt.quote.id], held);
    let contents = &ledger.contents[&melt.operation];
    assert!(contents.inputs.iter().map(|known| &known.row).eq(&melt.inputs), "inputs in the order of the request");
    assert!(contents.outputs.iter().map(|known| &known.output).eq(&melt.blanks), "blanks in the order of the request");
    assert!(
        contents.inputs.iter().all(|known| known.state == InputState::Pending && known.kind == OperationKind::Melt)
    );
    assert!(contents.outputs.iter().all(|known| known.signature.is_none() && known.kind == OperationKind::Melt));
    assert_eq!(contents.quotes, std::slice::from_ref(&melt.quote.id));
    let row = &ledger.operations[&melt.operation];
    assert_eq!((row.kind, row.state, row.owner), (OperationKind::Melt, OperationState::Reserved, ALICE));
    let progress = MeltProgress { quote: melt.quote.id.clone(), not_after: None, dispatched_by: None, paid: None };
    assert_eq!((row.created_at, &row.melt), (now, &Some(progress)));
    assert_eq!(bench.totals(sat()).await, [FUNDS, 0, 12, 0]);
}

async fn a_melt_may_have_no_blanks(bench: &Bench) {
    bench.fund().await;
    let melt = Melt { blanks: vec![], ..opened(bench, 1).await };
    bench.accept_twice(melt.reserve()).await;
    bench.accept(melt.release()).await;
}

/// A request with everything wrong is repaired one fault at a time, and each time the next reason is given.
async fn refusals_come_in_order(bench: &Bench) {
    bench.fund().await;
    let (spent, pending) = (Swap::new(1), Swap::new(2));
    bench.accept(spent.reserve()).await;
    bench.accept(spent.settle()).await;
    bench.accept(pending.reserve()).await;
    bench.accept(LatchKeyset { keyset: usd(), latched: true }).await;
    let (done, held) = (paid(bench, 3).await, opened(bench, 4).await);
    let twin = MeltQuote { id: quote_id("melt", 5), ..held.quote.clone() };
    bench.accept(OpenMeltQuote { quote: twin.clone() }).await;
    bench.accept(held.reserve()).await;
    let given_up = opened(bench, 9).await;
    bench.accept(given_up.release()).await;

    let fine = input(901, sat(), 1);
    let mut request = given_up.reserve();
    request.quote = quote_id("melt", 999);
    let blank = |swap: &Swap| OutputRow { amount: Amount::ZERO, ..swap.outputs[0].clone() };
    request.inputs = vec![
        fine.clone(),
        pending.inputs[0].clone(),
        spent.inputs[0].clone(),
        input(902, usd(), 1),
        input(903, sat(), 1 << 40),
    ];
    request.blanks = vec![output(904, sat(), 0), blank(&pending), blank(&spent), output(905, sat_next(), 0)];

    bench.refuse(request.clone(), Conflict::OperationEnded).await;
    request.operation = operation(10);
    bench.refuse(request.clone(), Conflict::QuoteUnknown).await;
    request.quote = done.quote.id.clone();
    bench.refuse(request.clone(), Conflict::QuotePaid).await;
    request.quote = held.quote.id.clone();
    bench.refuse(request.clone(), Conflict::QuotePending).await;
    request.quote = twin.id.clone();
    bench.refuse(request.clone(), Conflict::InvoicePending).await;
    request.quote = given_up.quote.id.clone();
    bench.refuse(request.clone(), Conflict::InputsSpent).await;
    request.inputs.remove(2);
    bench.refuse(request.clone(), Conflict::InputsPending).await;
    request.inputs.remove(1);
    bench.refuse(request.clone(), Conflict::OutputsSigned).await;
    request.blanks.remove(2);
    bench.refuse(request.clone(), Conflict::OutputsPending).await;
    request.blanks.remove(1);
    bench.refuse(request.clone(), Conflict::KeysetUnknown(sat_next())).await;
    request.blanks.pop();
    bench.refuse(request.clone(), Conflict::KeysetLatched(usd())).await;
    request.inputs.remove(1);
    bench.refuse(request.clone(), Conflict::Overdrawn(sat())).await;
    request.inputs.pop();
    assert_eq!(request.inputs, [fine]);
    bench.accept(request).await;
}

async fn a_quote_is_paid_by_one_melt(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    let rival = Melt { quote: melt.quote.clone(), ..Melt::new(2) };
    bench.refuse(rival.reserve(), Conflict::QuotePending).await;
    bench.accept(melt.dispatch()).await;
    bench.refuse(rival.reserve(), Conflict::QuotePending).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.refuse(rival.reserve(), Conflict::QuotePending).await;
    bench.accept(melt.settle()).await;
    bench.refuse(rival.reserve(), Conflict::QuotePaid).await;
}

async fn an_invoice_is_paid_by_one_melt(bench: &Bench) {
    bench.fund().await;
    let (melt, mut twin) = (opened(bench, 1).await, Melt::new(2));
    twin.quote.payment_hash = melt.quote.payment_hash;
    bench.accept(twin.open()).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(twin.reserve(), Conflict::InvoicePending).await;
    bench.accept(melt.release()).await;
    bench.accept(twin.reserve()).await;
    bench.refuse(Melt { operation: operation(9), ..melt.clone() }.reserve(), Conflict::InvoicePending).await;
    bench.accept(twin.dispatch()).await;
    bench.accept(twin.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(twin.settle()).await;
    bench.refuse(Melt { operation: operation(9), ..melt }.reserve(), Conflict::InvoicePaid).await;
}

async fn an_id_serves_one_attempt(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    bench.refuse(melt.reserve(), Conflict::OperationEnded).await;
    let next = opened(bench, 2).await;
    bench.refuse(Melt { operation: melt.operation, ..next.clone() }.reserve(), Conflict::OperationEnded).await;
    let swap = Swap::new(3);
    bench.accept(swap.reserve()).await;
    bench.accept(swap.settle()).await;
    bench.refuse(Melt { operation: swap.operation, ..next }.reserve(), Conflict::OperationEnded).await;
}

async fn an_id_with_other_contents_is_rejected(bench: &Bench) {
    bench.fund().await;
    let (melt, fresh) = (bench.reserved_melt(1).await, opened(bench, 2).await);
    let swap = Swap::new(3);
    bench.accept(swap.reserve()).await;
    let others = [
        Melt { quote: fresh.quote.clone(), ..melt.clone() },
        Melt { inputs: fresh.inputs.clone(), ..melt.clone() },
        Melt { inputs: melt.inputs[..1].to_vec(), ..melt.clone() },
        Melt { blanks: fresh.blanks.clone(), ..melt.clone() },
        Melt { blanks: vec![], ..melt.clone() },
        Melt { blanks: melt.blanks.iter().rev().cloned().collect(), ..melt.clone() },
        Melt { operation: melt.operation, ..fresh.clone() },
        Melt { operation: swap.operation, ..fresh },
    ];
    for other in others {
        bench.reject(other.reserve()).await;
    }
}

async fn another_owner_cannot_repeat_it(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    bench.refuse(Melt { owner: BOB, ..melt.clone() }.reserve(), Conflict::OperationGone).await;
    bench.accept(melt.take_over(BOB)).await;
    bench.refuse(melt.reserve(), Conflict::OperationGone).await;
}

async fn it_may_be_repeated_while_it_runs(bench: &Bench) {
    bench.fund().await;
    let melt = opened(bench, 1).await;
    let first = bench.accept(melt.reserve()).await;
    bench.accept(melt.dispatch()).await;
    bench.repeat(melt.reserve(), &first).await;
    bench.accept(melt.record(MeltOutcome::Unknown)).await;
    bench.repeat(melt.reserve(), &first).await;
}

async fn blanks_have_no_amount(bench: &Bench) {
    bench.fund().await;
    let melt = opened(bench, 1).await;
    let same_y = InputRow { y: melt.inputs[0].y, ..input(5, usd(), 1) };
    let same_b = OutputRow { b: melt.blanks[0].b, ..output(5, usd(), 0) };
    let bad = [
        Melt { blanks: vec![output(1, sat(), 1)], ..melt.clone() },
        Melt { blanks: vec![melt.blanks[0].clone(), same_b], ..melt.clone() },
        Melt { inputs: vec![melt.inputs[0].clone(), same_y], ..melt.clone() },
        Melt { inputs: vec![], ..melt },
    ];
    for change in bad {
        bench.reject(change.reserve()).await;
    }
}

async fn swaps_and_melts_hold_against_each_other(bench: &Bench) {
    bench.fund().await;
    let (melt, swap) = (bench.reserved_melt(1).await, Swap::new(2));
    bench.accept(swap.reserve()).await;
    let stealing = Swap { inputs: melt.inputs.clone(), ..Swap::new(3) };
    bench.refuse(stealing.reserve(), Conflict::InputsPending).await;
    let imitating =
        Swap { outputs: vec![OutputRow { amount: Amount::from_u64(8), ..melt.blanks[1].clone() }], ..Swap::new(3) };
    bench.refuse(imitating.reserve(), Conflict::OutputsPending).await;
    let other = opened(bench, 4).await;
    bench.refuse(Melt { inputs: swap.inputs.clone(), ..other.clone() }.reserve(), Conflict::InputsPending).await;
    bench.accept(swap.settle()).await;
    bench.refuse(Melt { inputs: swap.inputs, ..other.clone() }.reserve(), Conflict::InputsSpent).await;
    let signed = OutputRow { amount: Amount::ZERO, ..swap.outputs[0].clone() };
    bench.refuse(Melt { blanks: vec![signed], ..other }.reserve(), Conflict::OutputsSigned).await;
}

async fn releasing_gives_everything_back(bench: &Bench) {
    bench.fund().await;
    let melt = opened(bench, 1).await;
    let mut before = bench.snapshot().await;
    bench.accept(melt.reserve()).await;
    let answer = bench.accept(melt.release()).await;
    let freed = MeltQuote { updated_at: NOW.plus(9), ..melt.quote.clone() };
    assert_eq!(answer, Applied::MeltQuote(freed.clone()));
    before.melt_quotes.insert(freed.id.clone(), freed);
    assert_eq!(bench.snapshot().await, before, "nothing is left of it but the date");
    let again = Melt { operation: operation(2), ..melt };
    bench.accept(again.reserve()).await;
    bench.accept(again.dispatch()).await;
}

async fn only_a_melt_that_cannot_be_paid_is_released(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    bench.accept(melt.dispatch()).await;
    bench.refuse(melt.release(), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Unknown)).await;
    bench.refuse(melt.release(), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Failed)).await;
    bench.accept(melt.release()).await;
    let melt = Melt { operation: operation(2), ..melt };
    bench.accept(melt.reserve()).await;
    bench.accept(melt.dispatch()).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.refuse(melt.release(), Conflict::WrongState).await;
}

async fn a_finished_melt_cannot_be_released(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    bench.refuse(melt.release(), Conflict::OperationEnded).await;
    bench.refuse(Melt { owner: BOB, ..melt.clone() }.release(), Conflict::OperationEnded).await;
    let minting = Minting::new(1);
    bench.mint(&minting).await;
    bench.refuse(Melt { operation: minting.operation, ..melt }.release(), Conflict::OperationEnded).await;
}

async fn another_owner_cannot_release(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    bench.refuse(Melt { owner: BOB, ..melt.clone() }.release(), Conflict::OperationGone).await;
    let swap = Swap::new(2);
    bench.accept(swap.reserve()).await;
    bench.refuse(Melt { operation: swap.operation, ..melt }.release(), Conflict::OperationGone).await;
}

async fn releasing_nothing_leaves_a_tombstone(bench: &Bench) {
    bench.fund().await;
    let melt = opened(bench, 1).await;
    let unchanged = Applied::MeltQuote(melt.quote.clone());
    assert_eq!(bench.accept_twice(melt.release()).await, unchanged);
    bench.refuse(melt.reserve(), Conflict::OperationEnded).await;
    let prune = |secs| Prune { method: PaymentMethod::bolt11(), before: NOW, limit: 100, now: NOW.plus(9 + secs) };
    assert_eq!(bench.accept(prune(TOMBSTONE_SECS)).await, Applied::Pruned(0));
    assert_eq!(bench.accept(prune(TOMBSTONE_SECS + 1)).await, Applied::Pruned(1));
    bench.accept(melt.reserve()).await;
}

async fn a_release_names_its_quote(bench: &Bench) {
    bench.fund().await;
    let (melt, other) = (bench.reserved_melt(1).await, opened(bench, 2).await);
    bench.reject(Melt { quote: other.quote, ..melt.clone() }.release()).await;
    let unknown: QuoteId = quote_id("melt", 77);
    let nowhere = Melt { operation: operation(9), quote: MeltQuote { id: unknown, ..melt.quote.clone() }, ..melt };
    bench.refuse(nowhere.release(), Conflict::QuoteUnknown).await;
}
