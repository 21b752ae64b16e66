//! Many tasks that want the same rows at once. Who wins is open; that exactly one does, and what the others are told, is not.

use hazel_protocol::{Amount, CurrencyUnit};

use crate::ports::{
    AddKeyset, Applied, ApplyError, Change, Conflict, CreditMintQuote, InputState, Issue, KeysetRecord, MeltOutcome,
    MeltQuote, OwnerId, ResolveSwap, TakeOver,
};

use super::Bench;
use super::bench::Answer;
use super::fixture::{
    ALICE, FUNDS, IntoChange, KEYSETS, Melt, Minting, NOW, Swap, evidence, input, keyset, melt_quote, operation,
    output, sat, sign, usd,
};
use super::generate::Generator;

cases!("races":
    fifty_swaps_of_one_proof,
    overlapping_swaps_in_reverse_order,
    one_output_wanted_by_many,
    fifty_issues_on_one_quote,
    single_and_batch_issues_on_one_quote,
    one_output_issued_on_many_quotes,
    a_swap_against_a_melt,
    many_melts_of_one_quote,
    two_quotes_of_one_invoice,
    one_credit_delivered_by_many,
    many_takers_of_one_operation,
    one_settlement_sent_by_many,
    settling_against_resolving,
    settling_against_releasing,
    a_late_reservation_against_its_release,
    an_internal_settlement_against_an_outside_payment,
    paid_against_failed_and_release,
    the_last_of_the_issued,
    keysets_rotated_by_many,
    everything_at_once,
);

/// Which answers of the last change of each script were accepted.
fn winners(all: &[Vec<Answer>], length: usize) -> Vec<usize> {
    let won = |answers: &Vec<Answer>| answers.len() == length && answers.iter().all(Result::is_ok);
    all.iter().enumerate().filter(|(_, answers)| won(answers)).map(|(index, _)| index).collect()
}

/// Checks that one script went through, and that every other was refused for one of these reasons.
fn one_wins(all: &[Vec<Answer>], length: usize, reasons: &[Conflict]) -> usize {
    let won = winners(all, length);
    assert_eq!(won.len(), 1, "winners of {all:?}");
    for answers in all.iter().filter(|answers| answers.iter().any(Result::is_err)) {
        let last = answers.last().expect("a script has an answer");
        let told = matches!(last, Err(ApplyError::Conflict(why)) if reasons.contains(why));
        assert!(told, "a loser was told {last:?}");
    }
    won[0]
}

fn swap_through(swap: &Swap) -> Vec<Change> {
    vec![swap.reserve().into_change(), swap.settle().into_change()]
}

/// Swaps 1, 2, .. with the same inputs, each with outputs of its own.
fn rivals(count: u32, inputs: impl Fn(u32) -> Vec<crate::ports::InputRow>) -> Vec<Swap> {
    (1..=count).map(|n| Swap { inputs: inputs(n), fees: vec![], ..Swap::new(n) }).collect()
}

async fn fifty_swaps_of_one_proof(bench: &Bench) {
    bench.fund().await;
    let swaps = rivals(50, |_| vec![input(5000, sat(), 9)]);
    let all = bench.race(swaps.iter().map(swap_through).collect()).await;
    let winner = one_wins(&all, 2, &[Conflict::InputsPending, Conflict::InputsSpent]);
    assert_eq!(all[winner][1], Ok(Applied::Signatures(swaps[winner].signed())));
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.contents.len(), 3, "of the losers nothing is left");
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 9, 0, 0]);
}

async fn overlapping_swaps_in_reverse_order(bench: &Bench) {
    bench.fund().await;
    let swaps = rivals(24, |n| {
        let mut inputs: Vec<_> = (0..9).map(|k| input(5000 + k, sat(), 1)).collect();
        if n.is_multiple_of(2) {
            inputs.reverse();
        }
        inputs
    });
    let all = bench.race(swaps.iter().map(swap_through).collect()).await;
    one_wins(&all, 2, &[Conflict::InputsPending, Conflict::InputsSpent]);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 9, 0, 0]);
}

async fn one_output_wanted_by_many(bench: &Bench) {
    bench.fund().await;
    let wanting = |n| Swap { outputs: vec![output(5000, sat(), 9), output(n, usd(), 1)], fees: vec![], ..Swap::new(n) };
    let all = bench.race((1..=24).map(wanting).map(|swap| swap_through(&swap)).collect()).await;
    one_wins(&all, 2, &[Conflict::OutputsPending, Conflict::OutputsSigned]);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 10, 0, 0]);
}

async fn fifty_issues_on_one_quote(bench: &Bench) {
    bench.fund().await;
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    bench.accept(minting.credit()).await;
    let attempt = |n: u32| Issue {
        operation: operation(n),
        outputs: vec![sign(&output(2 * n, sat(), 8)), sign(&output(2 * n + 1, sat(), 8))],
        ..minting.issue()
    };
    let all = bench.race((1..=50).map(|n| vec![attempt(n).into_change()]).collect()).await;
    one_wins(&all, 1, &[Conflict::QuoteIssued]);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 16, 0, 0, 0]);
}

async fn single_and_batch_issues_on_one_quote(bench: &Bench) {
    bench.fund().await;
    let mintings: Vec<Minting> = (0..12).map(Minting::new).collect();
    for minting in &mintings {
        bench.accept(minting.open()).await;
        bench.accept(minting.credit()).await;
    }
    // Each script draws on quote 0 and on one of its own, every second in reverse.
    let batch = |n: u32, own: &Minting| {
        let mut draws = [mintings[0].issue().draws, own.issue().draws].concat();
        if n.is_multiple_of(2) {
            draws.reverse();
        }
        let outputs = (0..4).map(|k| sign(&output(10 * n + k, sat(), 8))).collect();
        Issue { operation: operation(n), draws, outputs, now: NOW }.into_change()
    };
    let mut scripts: Vec<Vec<Change>> = (1u32..).zip(&mintings[1..]).map(|(n, own)| vec![batch(n, own)]).collect();
    scripts.push(vec![mintings[0].issue().into_change()]);
    let all = bench.race(scripts).await;
    one_wins(&all, 1, &[Conflict::QuoteIssued]);
    let quotes = bench.snapshot().await.mint_quotes;
    assert_eq!(quotes[&mintings[0].quote.id].amount_issued, mintings[0].amount());
}

async fn one_output_issued_on_many_quotes(bench: &Bench) {
    bench.fund().await;
    let mut scripts = Vec::new();
    for n in 1..=20 {
        let minting = Minting::new(n);
        bench.accept(minting.open()).await;
        bench.accept(minting.credit()).await;
        let outputs = vec![sign(&output(10 * n, sat(), 8)), sign(&output(5000, sat(), 8))];
        scripts.push(vec![Issue { outputs, ..minting.issue() }.into_change()]);
    }
    let all = bench.race(scripts).await;
    one_wins(&all, 1, &[Conflict::OutputsSigned]);
    let issued =
        bench.snapshot().await.mint_quotes.into_values().filter(|quote| !quote.amount_issued.is_zero()).count();
    assert_eq!(issued, 3, "the quotes of the losers can still be issued");
}

fn melt_through(melt: &Melt) -> Vec<Change> {
    vec![
        melt.reserve().into_change(),
        melt.dispatch().into_change(),
        melt.record(MeltOutcome::Paid(evidence())).into_change(),
        melt.settle().into_change(),
    ]
}

async fn a_swap_against_a_melt(bench: &Bench) {
    bench.fund().await;
    let shared = || vec![input(5001, sat(), 8), input(5000, sat(), 4)];
    let mut scripts = Vec::new();
    for n in 1..=10 {
        let melt = Melt { inputs: shared(), ..Melt::new(n) };
        bench.accept(melt.open()).await;
        scripts.push(melt_through(&melt));
        let swap =
            Swap { inputs: shared(), outputs: vec![output(600 + n, sat(), 12)], fees: vec![], ..Swap::new(50 + n) };
        scripts.push(swap_through(&swap));
    }
    let all = bench.race(scripts).await;
    let through = all.iter().filter(|answers| answers.len() > 1).count();
    assert_eq!(through, 1, "of swaps and melts together one takes custody: {all:?}");
    let [_, redeemed, reserved, _] = bench.totals(sat()).await;
    assert_eq!((redeemed, reserved), (12, 0));
    assert_eq!(bench.snapshot().await.operations.len(), 0);
}

async fn many_melts_of_one_quote(bench: &Bench) {
    bench.fund().await;
    let quote = melt_quote(1);
    let melts: Vec<Melt> = (1..=20).map(|n| Melt { quote: quote.clone(), ..Melt::new(n) }).collect();
    bench.accept(melts[0].open()).await;
    let all = bench.race(melts.iter().map(melt_through).collect()).await;
    let winner = one_wins(&all, 4, &[Conflict::QuotePending, Conflict::QuotePaid]);
    assert_eq!(bench.snapshot().await.melt_quotes[&quote.id].operation, Some(melts[winner].operation));
    assert_eq!(bench.totals(sat()).await, [FUNDS + 1, 12, 0, 2]);
}

async fn two_quotes_of_one_invoice(bench: &Bench) {
    bench.fund().await;
    let hash = melt_quote(1).payment_hash;
    let mut scripts = Vec::new();
    for n in 1..=16 {
        let melt = Melt { quote: MeltQuote { payment_hash: hash, ..melt_quote(n) }, ..Melt::new(n) };
        bench.accept(melt.open()).await;
        scripts.push(melt_through(&melt));
    }
    let all = bench.race(scripts).await;
    one_wins(&all, 4, &[Conflict::InvoicePending, Conflict::InvoicePaid]);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 1, 12, 0, 2]);
}

async fn one_credit_delivered_by_many(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    let delivery =
        |n: u64| CreditMintQuote { cursor: (n.is_multiple_of(2)).then_some(n), now: NOW.plus(n), ..minting.credit() };
    let all = bench.race((1..=20).map(|n| vec![delivery(n).into_change()]).collect()).await;
    assert_eq!(winners(&all, 1).len(), 20, "every delivery is answered");
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.mint_quotes[&minting.quote.id].amount_paid, minting.amount());
    assert_eq!(ledger.cursor, 20);
    let quote = Applied::MintQuote(ledger.mint_quotes[&minting.quote.id].clone());
    assert!(all.iter().flatten().all(|answer| *answer == Ok(quote.clone())), "and all alike");
}

async fn many_takers_of_one_operation(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    let takers: Vec<Swap> = (1..=16).map(|n| Swap { owner: OwnerId::from_bytes([n; 16]), ..swap.clone() }).collect();
    let script = |taker: &Swap| vec![swap.take_over(taker.owner).into_change(), taker.settle().into_change()];
    let mut scripts: Vec<Vec<Change>> = takers.iter().map(script).collect();
    // The former owner is not dead, only slow.
    scripts.push(vec![TakeOver { operation: swap.operation, from: ALICE, to: ALICE, now: NOW }.into_change()]);
    let all = bench.race(scripts).await;
    let took = all[..16].iter().filter(|answers| answers[0].is_ok()).count();
    assert_eq!(took, 1, "{all:?}");
    assert_eq!(bench.snapshot().await.operations.len(), 0);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 10, 0, 1]);
}

async fn one_settlement_sent_by_many(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    let all = bench.race((0..20).map(|_| vec![swap.settle().into_change()]).collect()).await;
    assert!(all.iter().flatten().all(|answer| *answer == Ok(Applied::Signatures(swap.signed()))), "{all:?}");
    assert_eq!(bench.totals(sat()).await, [FUNDS + 9, 10, 0, 1]);
}

async fn settling_against_resolving(bench: &Bench) {
    bench.fund().await;
    for n in 1..=10 {
        let swap = Swap::new(n);
        bench.accept(swap.reserve()).await;
        let taker = OwnerId::from_bytes([9; 16]);
        let resolve = ResolveSwap { owner: taker, ..swap.resolve() }.into_change();
        let scripts = vec![vec![swap.settle().into_change()], vec![swap.take_over(taker).into_change(), resolve]];
        let all = bench.race(scripts).await;
        let (settled, resolved) = (all[0][0].is_ok(), winners(&all[1..], 2).len() == 1);
        assert!(settled != resolved, "either it was settled or it was removed: {all:?}");
        assert_eq!(bench.snapshot().await.contents.contains_key(&swap.operation), settled);
    }
}

async fn settling_against_releasing(bench: &Bench) {
    bench.fund().await;
    for n in 1..=10 {
        let swap = Swap::new(n);
        bench.accept(swap.reserve()).await;
        let all = bench.race(vec![vec![swap.settle().into_change()], vec![swap.release().into_change()]]).await;
        let (settled, released) = (&all[0][0], &all[1][0]);
        let kept = settled.is_ok() && *released == Err(Conflict::OperationEnded.into());
        let given_up = *settled == Err(Conflict::OperationGone.into()) && *released == Ok(Applied::Done);
        assert!(kept || given_up, "one of them wins: {all:?}");
    }
}

async fn a_late_reservation_against_its_release(bench: &Bench) {
    bench.fund().await;
    for n in 1..=10 {
        let swap = Swap::new(n);
        let all = bench.race(vec![vec![swap.reserve().into_change()], vec![swap.release().into_change()]]).await;
        assert_eq!(all[1][0], Ok(Applied::Done));
        let reserved = all[0][0] == Ok(Applied::Done);
        assert!(reserved || all[0][0] == Err(Conflict::OperationEnded.into()), "{all:?}");
        let ledger = bench.snapshot().await;
        assert!(ledger.operations.is_empty(), "given up, before or after");
        assert_eq!(bench.totals(sat()).await, [FUNDS, 0, 0, 0]);
    }
}

async fn an_internal_settlement_against_an_outside_payment(bench: &Bench) {
    bench.fund().await;
    for n in 1..=8 {
        let minting = Minting::of(n, sat(), CurrencyUnit::Sat, &[8]);
        let melt =
            Melt { quote: MeltQuote { payment_hash: minting.quote.payment_hash, ..melt_quote(n) }, ..Melt::new(n) };
        bench.accept(minting.open()).await;
        bench.accept(melt.open()).await;
        bench.accept(melt.reserve()).await;
        let inside = vec![melt.settle_internally(&minting.quote).into_change()];
        let all = bench.race(vec![inside, vec![minting.credit().into_change()]]).await;
        assert!(all[1][0].is_ok(), "money that arrived is always counted");
        let paid = bench.snapshot().await.mint_quotes[&minting.quote.id].amount_paid.to_u64();
        match &all[0][0] {
            Ok(_) => assert_eq!(paid, 16, "both payments were made"),
            refused => {
                assert_eq!(*refused, Err(Conflict::MintQuoteSettled.into()));
                assert_eq!(paid, 8);
                bench.accept(melt.release()).await;
            }
        }
    }
}

/// A stale "failed" and its release race with a poller that has seen the payment: paid proofs never come back.
async fn paid_against_failed_and_release(bench: &Bench) {
    bench.fund().await;
    for n in 1..=8 {
        let melt = Melt::new(n);
        bench.accept(melt.open()).await;
        bench.accept(melt.reserve()).await;
        bench.accept(melt.dispatch()).await;
        let failed = vec![melt.record(MeltOutcome::Failed).into_change(), melt.release().into_change()];
        let paid = vec![melt.record(MeltOutcome::Paid(evidence())).into_change(), melt.settle().into_change()];
        let all = bench.race(vec![failed, paid]).await;
        let (released, settled) = (winners(&all[..1], 2).len(), winners(&all[1..], 2).len());
        assert_eq!(released + settled, 1, "{all:?}");
        let states = bench.snapshot().await.inputs;
        let spent =
            melt.inputs.iter().filter(|row| states.get(&row.y).is_some_and(|known| known.state == InputState::Spent));
        assert_eq!(spent.count(), 2 * settled);
    }
}

/// Each wants more than half of what is left of the keyset.
async fn the_last_of_the_issued(bench: &Bench) {
    bench.fund().await;
    let swaps: Vec<Swap> = (1..=20)
        .map(|n| Swap {
            inputs: vec![input(n, sat(), FUNDS / 2 + 1)],
            outputs: vec![output(n, usd(), FUNDS / 2 + 1)],
            fees: vec![],
            ..Swap::new(n)
        })
        .collect();
    let all = bench.race(swaps.iter().map(swap_through).collect()).await;
    one_wins(&all, 2, &[Conflict::Overdrawn(sat())]);
    assert_eq!(bench.totals(sat()).await, [FUNDS, FUNDS / 2 + 1, 0, 0]);
}

async fn keysets_rotated_by_many(bench: &Bench) {
    bench.accept(AddKeyset { keyset: KEYSETS.sat.clone() }).await;
    // Every process believes that index 1 is the next, with a fee of its own.
    let next = |fee: u64| keyset(CurrencyUnit::Sat, 1, fee);
    let add = |keyset: KeysetRecord| vec![AddKeyset { keyset }.into_change()];
    let all = bench.race((1..=8).map(|fee| add(next(fee))).collect()).await;
    one_wins(&all, 1, &[Conflict::KeysetExists]);
    // Those who try again with indexes of their own all succeed, and one is active.
    let all = bench.race((2..=7).map(|index| add(keyset(CurrencyUnit::Sat, index, 0))).collect()).await;
    assert_eq!(winners(&all, 1).len(), 6);
    let keysets = bench.snapshot().await.keysets;
    assert_eq!((keysets.len(), keysets.iter().filter(|keyset| keyset.active).count()), (8, 1));
}

/// Eight tasks with random changes over the same rows. The auditor decides.
async fn everything_at_once(bench: &Bench) {
    for round in 0..3 {
        let mut generators: Vec<Generator> = (0..8).map(|n| Generator::new(round * 100 + n)).collect();
        // One after the other would be the random sequences; here each change is a script, so that none ends early.
        for _ in 0..60 {
            let changes: Vec<Change> = generators.iter_mut().map(Generator::next_change).collect();
            let answers = bench.race(changes.iter().map(|change| vec![change.clone()]).collect()).await;
            for ((generator, change), answer) in generators.iter_mut().zip(&changes).zip(answers.into_iter().flatten())
            {
                let definite = matches!(answer, Ok(_) | Err(ApplyError::Conflict(_) | ApplyError::Corrupt(_)));
                assert!(definite, "{change:?} was answered {answer:?}");
                generator.heard(change, answer.is_ok());
            }
        }
        bench.snapshot().await.assert_sound();
    }
    let issued: u64 = bench
        .store()
        .totals()
        .await
        .expect("totals can be read")
        .iter()
        .map(|(_, totals)| totals.issued.to_u64())
        .sum();
    assert!(issued > Amount::from_u64(FUNDS).to_u64(), "something has happened");
}
