//! `Issue`: ecash on paid quotes.

use hazel_protocol::{Amount, CurrencyUnit};

use crate::ports::{Applied, Conflict, CreditMintQuote, InputState, Issue, OperationKind, SignedRow, Timestamp};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{
    FUNDS, Melt, Minting, NOW, Swap, b, operation, output, quote_id, sat, sat_next, sign, sign_all, usd,
};

cases!("issue":
    issuing_signs_and_counts,
    issuing_again_answers_with_the_same_signatures,
    the_ledgers_signatures_are_the_answer,
    an_id_that_issued_other_things_has_ended,
    an_unpaid_quote_issues_nothing,
    a_quote_issues_no_more_than_was_paid,
    a_quote_can_be_issued_in_parts,
    several_quotes_issue_at_once_or_not_at_all,
    the_first_quote_in_the_way_is_named,
    quotes_come_before_outputs,
    a_known_output_is_refused,
    an_unknown_keyset_is_refused,
    ids_in_use_are_refused,
    an_issue_draws_what_it_signs,
    an_issue_is_not_an_input,
);

async fn paid(bench: &Bench, n: u32) -> Minting {
    let minting = Minting::new(n);
    bench.accept(minting.open()).await;
    bench.accept(minting.credit()).await;
    minting
}

async fn issuing_signs_and_counts(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let late: Timestamp = minting.quote.expiry.plus(5);
    let answer = bench.accept_twice(Issue { now: late, ..minting.issue() }).await;
    assert_eq!(answer, Applied::Signatures(sign_all(&minting.outputs)));
    let ledger = bench.snapshot().await;
    let contents = &ledger.contents[&minting.operation];
    assert!(contents.outputs.iter().map(|known| &known.output).eq(&minting.outputs), "in the order of the request");
    assert!(contents.outputs.iter().all(|known| known.kind == OperationKind::Issue && known.signature.is_some()));
    assert_eq!((contents.inputs.len(), &contents.quotes), (0, &vec![minting.quote.id.clone()]));
    let quote = &ledger.mint_quotes[&minting.quote.id];
    assert_eq!((quote.amount_issued, quote.updated_at), (minting.amount(), late));
    assert!(ledger.operations.is_empty(), "an issue has no row");
    assert_eq!(bench.totals(sat()).await, [FUNDS + 16, 0, 0, 0]);
    assert_eq!(bench.totals(usd()).await, [FUNDS, 0, 0, 0]);
}

async fn issuing_again_answers_with_the_same_signatures(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let first = bench.accept(minting.issue()).await;
    // Whatever has happened to the outputs' proofs and the quote since.
    bench.accept(CreditMintQuote { credit: "more".to_owned(), ..minting.credit() }).await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    bench.accept(swap.settle()).await;
    bench.repeat(Issue { now: NOW.plus(1_000_000), ..minting.issue() }, &first).await;
}

async fn the_ledgers_signatures_are_the_answer(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let first = bench.accept(minting.issue()).await;
    let other_c = minting.issue().outputs.into_iter().map(|row| SignedRow { c: b(999), ..row }).collect();
    bench.repeat(Issue { outputs: other_c, ..minting.issue() }, &first).await;
}

async fn an_id_that_issued_other_things_has_ended(bench: &Bench) {
    bench.fund().await;
    let (one, two) = (paid(bench, 1).await, paid(bench, 2).await);
    bench.accept(one.issue()).await;
    let reordered = one.issue().outputs.into_iter().rev().collect();
    let others = [
        Issue { operation: one.operation, ..two.issue() },
        Issue { outputs: two.issue().outputs, ..one.issue() },
        Issue { draws: two.issue().draws, ..one.issue() },
        Issue { outputs: reordered, ..one.issue() },
    ];
    for other in others {
        bench.refuse(other, Conflict::OperationEnded).await;
    }
}

async fn an_unpaid_quote_issues_nothing(bench: &Bench) {
    bench.fund().await;
    let minting = Minting::new(1);
    bench.refuse(minting.issue(), Conflict::QuoteUnknown).await;
    bench.accept(minting.open()).await;
    bench.refuse(minting.issue(), Conflict::QuoteNotPaid).await;
    bench.accept(CreditMintQuote { amount: Amount::from_u64(15), ..minting.credit() }).await;
    bench.refuse(minting.issue(), Conflict::QuoteNotPaid).await;
    bench.accept(CreditMintQuote { credit: "rest".to_owned(), amount: Amount::from_u64(1), ..minting.credit() }).await;
    bench.accept_twice(minting.issue()).await;
}

async fn a_quote_issues_no_more_than_was_paid(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let one_more = |n| Issue { operation: operation(n), ..draw(&minting, n, 1) };
    let above = Issue { operation: operation(7), ..draw(&minting, 7, 17) };
    bench.refuse(above, Conflict::QuoteNotPaid).await;
    let wrapping = Issue { operation: operation(8), ..draw(&minting, 8, u64::MAX) };
    bench.refuse(wrapping, Conflict::QuoteNotPaid).await;
    bench.accept(minting.issue()).await;
    bench.refuse(one_more(9), Conflict::QuoteIssued).await;
    let wrapping = Issue { operation: operation(10), ..draw(&minting, 10, u64::MAX) };
    bench.refuse(wrapping, Conflict::QuoteIssued).await;
    bench.accept(CreditMintQuote { credit: "one".to_owned(), amount: Amount::from_u64(1), ..minting.credit() }).await;
    bench.accept(one_more(11)).await;
    bench.refuse(one_more(12), Conflict::QuoteIssued).await;
}

/// An issue of one output of `amount` on the quote of `minting`.
fn draw(minting: &Minting, n: u32, amount: u64) -> Issue {
    Issue {
        operation: operation(n),
        draws: vec![(minting.quote.id.clone(), Amount::from_u64(amount))],
        outputs: vec![sign(&output(n, sat(), amount))],
        now: NOW,
    }
}

async fn a_quote_can_be_issued_in_parts(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    for (n, amount) in [(1, 8), (2, 4), (3, 4)] {
        bench.accept_twice(draw(&minting, n, amount)).await;
    }
    bench.refuse(draw(&minting, 4, 1), Conflict::QuoteIssued).await;
    assert_eq!(bench.totals(sat()).await, [FUNDS + 16, 0, 0, 0]);
}

/// An issue on both quotes; the outputs are those of both.
fn on_both(one: &Minting, two: &Minting) -> Issue {
    let (first, second) = (one.issue(), two.issue());
    Issue {
        draws: [first.draws, second.draws].concat(),
        outputs: [first.outputs, second.outputs].concat(),
        ..one.issue()
    }
}

async fn several_quotes_issue_at_once_or_not_at_all(bench: &Bench) {
    bench.fund().await;
    let one = paid(bench, 1).await;
    let two = Minting::new(2);
    bench.accept(two.open()).await;
    bench.refuse(on_both(&one, &two), Conflict::QuoteNotPaid).await;
    bench.accept(two.credit()).await;
    bench.accept_twice(on_both(&one, &two)).await;
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.contents[&one.operation].quotes, [one.quote.id.clone(), two.quote.id.clone()]);
    assert!(ledger.mint_quotes.values().all(|quote| quote.amount_issued == quote.amount_paid));
    bench.refuse(two.issue(), Conflict::QuoteIssued).await;
}

async fn the_first_quote_in_the_way_is_named(bench: &Bench) {
    bench.fund().await;
    let (issued, paid_one) = (paid(bench, 1).await, paid(bench, 2).await);
    bench.accept(issued.issue()).await;
    let (unpaid, unknown) = (Minting::new(3), Minting::new(4));
    bench.accept(unpaid.open()).await;
    let fresh = |first: &Minting, second: &Minting| Issue { operation: operation(5), ..on_both(first, second) };
    bench.refuse(fresh(&unpaid, &issued), Conflict::QuoteNotPaid).await;
    bench.refuse(fresh(&issued, &unpaid), Conflict::QuoteIssued).await;
    bench.refuse(fresh(&unknown, &issued), Conflict::QuoteUnknown).await;
    bench.refuse(fresh(&paid_one, &unknown), Conflict::QuoteUnknown).await;
}

async fn quotes_come_before_outputs(bench: &Bench) {
    bench.fund().await;
    let (one, two) = (paid(bench, 1).await, Minting::new(2));
    bench.accept(one.issue()).await;
    let same_outputs = Issue { outputs: one.issue().outputs, ..two.issue() };
    bench.refuse(same_outputs.clone(), Conflict::QuoteUnknown).await;
    bench.accept(two.open()).await;
    bench.refuse(same_outputs.clone(), Conflict::QuoteNotPaid).await;
    bench.accept(two.credit()).await;
    bench.refuse(same_outputs, Conflict::OutputsSigned).await;
}

async fn a_known_output_is_refused(bench: &Bench) {
    bench.fund().await;
    let (settled, reserved) = (Swap::new(1), Swap::new(2));
    bench.accept(settled.reserve()).await;
    bench.accept(settled.settle()).await;
    bench.accept(reserved.reserve()).await;
    let melt = Melt::new(3);
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    let minting = paid(bench, 1).await;
    let with = |bs: [u32; 2]| {
        // Another keyset and amount make no difference: B_ is unique over all of them.
        let outputs = [sign(&output(bs[0], usd(), 4)), sign(&output(bs[1], sat(), 12))];
        Issue { outputs: outputs.to_vec(), ..minting.issue() }
    };
    bench.refuse(with([700, 10]), Conflict::OutputsSigned).await;
    bench.refuse(with([20, 10]), Conflict::OutputsSigned).await;
    bench.refuse(with([700, 20]), Conflict::OutputsPending).await;
    bench.refuse(with([30, 700]), Conflict::OutputsPending).await;
}

async fn an_unknown_keyset_is_refused(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let outputs = vec![sign(&output(1, sat(), 8)), sign(&output(2, sat_next(), 8))];
    bench.refuse(Issue { outputs, ..minting.issue() }, Conflict::KeysetUnknown(sat_next())).await;
}

async fn ids_in_use_are_refused(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let (settled, reserved, gone) = (Swap::new(1), Swap::new(2), Swap::new(3));
    bench.accept(settled.reserve()).await;
    bench.accept(settled.settle()).await;
    bench.accept(reserved.reserve()).await;
    bench.accept(gone.release()).await;
    let under = |swap: &Swap| Issue { operation: swap.operation, ..minting.issue() };
    bench.refuse(under(&settled), Conflict::OperationEnded).await;
    bench.refuse(under(&gone), Conflict::OperationEnded).await;
    bench.reject(under(&reserved)).await;
}

async fn an_issue_draws_what_it_signs(bench: &Bench) {
    bench.fund().await;
    let minting = paid(bench, 1).await;
    let id = || minting.quote.id.clone();
    let (eight, sixteen) = (Amount::from_u64(8), minting.amount());
    let whole = minting.issue();
    let wrapping = vec![sign(&output(1, sat(), u64::MAX)), sign(&output(2, sat(), 17))];
    let bad = [
        Issue { draws: vec![(id(), eight)], ..whole.clone() },
        Issue { draws: vec![], ..whole.clone() },
        Issue { outputs: vec![], ..whole.clone() },
        Issue { draws: vec![], outputs: vec![], ..whole.clone() },
        Issue { draws: vec![(id(), eight), (id(), eight)], ..whole.clone() },
        Issue { outputs: vec![whole.outputs[0].clone(), whole.outputs[0].clone()], ..whole.clone() },
        Issue { outputs: wrapping, ..whole.clone() },
        Issue { draws: vec![(id(), Amount::MAX), (quote_id("mint", 2), Amount::from_u64(17))], ..whole.clone() },
        Issue { draws: vec![(id(), sixteen), (quote_id("mint", 2), eight)], ..whole },
    ];
    for change in bad {
        bench.reject(change).await;
    }
}

/// Signing an output says nothing about a proof: issued B_ are not Ys.
async fn an_issue_is_not_an_input(bench: &Bench) {
    bench.fund().await;
    let minting = Minting::of(1, usd(), CurrencyUnit::Usd, &[4]);
    bench.mint(&minting).await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    let inputs = bench.snapshot().await.inputs;
    assert!(inputs.values().all(|known| known.state == InputState::Pending && known.operation == swap.operation));
}
