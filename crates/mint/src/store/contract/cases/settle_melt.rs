//! How a melt ends paid: `SettleMelt`, `SettleInternally`.

use hazel_protocol::{Amount, CurrencyUnit, PaymentMethod};

use crate::ports::{
    Applied, Conflict, CreditMintQuote, InputState, KeysetTotals, MeltOutcome, MeltQuote, MeltQuoteStatus, MintQuote,
    PaidEvidence, PaymentProof, Prune, SettleInternally, SettleMelt, SignedRow,
};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{
    BOB, CAROL, FUNDS, Melt, Minting, NOW, Swap, evidence, input, melt_quote, operation, output, quote_id, sat,
    sign_as, usd,
};

cases!("settle melt":
    settling_spends_and_gives_change,
    settling_books_every_keyset,
    anybody_settles_what_is_paid,
    vouched_payments_have_no_preimage,
    only_a_paid_melt_is_settled,
    an_issue_is_not_the_melt_of_its_quotes_id,
    a_settled_melt_answers_with_the_quote,
    change_is_of_this_melts_blanks,
    any_blanks_may_get_change,
    no_more_is_given_than_was_taken,
    left_over_blanks_are_in_the_way_until_pruned,
    change_is_counted_though_its_keyset_is_retired,
    both_legs_settle_in_one,
    settling_internally_needs_a_reserved_row_of_this_owner,
    a_paid_mint_quote_is_not_paid_again,
    the_legs_have_one_unit,
    the_mint_quote_is_of_the_same_invoice,
    an_overdrawn_keyset_pays_no_mint_quote,
    internal_settlement_gives_no_more_than_was_taken,
    an_outside_payment_counts_beside_the_internal_one,
    settled_internally_it_answers_with_the_quote,
);

async fn pay(bench: &Bench, melt: &Melt, evidence: PaidEvidence) {
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.accept(melt.dispatch()).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence))).await;
}

async fn paid(bench: &Bench, n: u32) -> Melt {
    let melt = Melt::new(n);
    pay(bench, &melt, evidence()).await;
    melt
}

fn settled_quote(melt: &Melt, preimage: Option<[u8; 32]>) -> MeltQuote {
    MeltQuote {
        status: MeltQuoteStatus::Paid,
        operation: Some(melt.operation),
        preimage,
        updated_at: NOW.plus(5),
        ..melt.quote.clone()
    }
}

async fn settling_spends_and_gives_change(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    let quote = settled_quote(&melt, Some([0x42; 32]));
    assert_eq!(bench.accept_twice(melt.settle()).await, Applied::MeltQuote(quote.clone()));
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.melt_quotes[&quote.id], quote);
    assert!(ledger.operations.is_empty(), "the row goes");
    let contents = &ledger.contents[&melt.operation];
    assert!(contents.inputs.iter().map(|known| &known.row).eq(&melt.inputs));
    assert!(contents.inputs.iter().all(|known| known.state == InputState::Spent));
    let change = &melt.change[0];
    assert_eq!(contents.outputs[0].output, change.output, "the imprinted amount is kept");
    assert_eq!(contents.outputs[0].signature, Some((change.c, change.dleq)));
    assert_eq!(contents.outputs[1].output, melt.blanks[1], "a blank without change stays as it is");
    assert_eq!(contents.outputs[1].signature, None);
    assert_eq!(contents.quotes, std::slice::from_ref(&melt.quote.id));
    assert_eq!(bench.totals(sat()).await, [FUNDS + 1, 12, 0, 2]);
}

async fn settling_books_every_keyset(bench: &Bench) {
    bench.fund().await;
    let blanks = vec![output(1, usd(), 0), output(2, sat(), 0)];
    let melt = Melt {
        inputs: vec![input(1, usd(), 16), input(2, sat(), 8), input(3, usd(), 4)],
        change: vec![sign_as(&blanks[0], Amount::from_u64(2)), sign_as(&blanks[1], Amount::from_u64(4))],
        blanks,
        fees: vec![(usd(), Amount::from_u64(3)), (sat(), Amount::from_u64(1))],
        ..Melt::new(1)
    };
    pay(bench, &melt, evidence()).await;
    bench.accept_twice(melt.settle()).await;
    assert_eq!(bench.totals(usd()).await, [FUNDS + 2, 20, 0, 3]);
    assert_eq!(bench.totals(sat()).await, [FUNDS + 4, 8, 0, 1]);
}

async fn anybody_settles_what_is_paid(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    bench.accept(melt.take_over(BOB)).await;
    bench.accept(melt.settle()).await;
}

async fn vouched_payments_have_no_preimage(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    pay(bench, &melt, PaidEvidence { proof: PaymentProof::Vouched, total_msat: 8_000 }).await;
    assert_eq!(bench.accept_twice(melt.settle()).await, Applied::MeltQuote(settled_quote(&melt, None)));
}

async fn only_a_paid_melt_is_settled(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    bench.refuse(melt.settle(), Conflict::OperationGone).await;
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(melt.settle(), Conflict::WrongState).await;
    bench.accept(melt.dispatch()).await;
    bench.refuse(melt.settle(), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Unknown)).await;
    bench.refuse(melt.settle(), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Failed)).await;
    bench.refuse(melt.settle(), Conflict::WrongState).await;
    bench.accept(melt.release()).await;
    bench.refuse(melt.settle(), Conflict::OperationGone).await;
    let (held, done) = (Swap::new(2), Swap::new(3));
    bench.accept(held.reserve()).await;
    bench.accept(done.reserve()).await;
    bench.accept(done.settle()).await;
    for swap in [held, done] {
        bench.refuse(SettleMelt { operation: swap.operation, ..melt.settle() }, Conflict::OperationGone).await;
    }
}

/// Mint and melt quotes have ids of their own.
async fn an_issue_is_not_the_melt_of_its_quotes_id(bench: &Bench) {
    bench.fund().await;
    let (mut minting, mut melt) = (Minting::new(1), Melt::new(1));
    melt.quote.id = quote_id("same", 1);
    minting.quote.id = quote_id("same", 1);
    bench.mint(&minting).await;
    bench.accept_twice(melt.open()).await;
    bench.refuse(SettleMelt { operation: minting.operation, ..melt.settle() }, Conflict::OperationGone).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(SettleMelt { operation: minting.operation, ..melt.settle() }, Conflict::OperationGone).await;
}

async fn a_settled_melt_answers_with_the_quote(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    let answer = bench.accept(melt.settle()).await;
    bench
        .accept(Prune {
            method: PaymentMethod::bolt11(),
            before: NOW.plus(1_000_000),
            limit: 1000,
            now: NOW.plus(1_000_000),
        })
        .await;
    bench.repeat(SettleMelt { now: NOW.plus(777), ..melt.settle() }, &answer).await;
    // The quote decides; another poller may have counted the change otherwise.
    bench.repeat(SettleMelt { change: vec![], fees: vec![], ..melt.settle() }, &answer).await;
}

async fn change_is_of_this_melts_blanks(bench: &Bench) {
    bench.fund().await;
    let (other, melt) = (bench.reserved_melt(2).await, paid(bench, 1).await);
    let one = Amount::from_u64(1);
    let [first, second] = [0, 1].map(|n: usize| sign_as(&melt.blanks[n], one));
    let wrong_keyset = SignedRow { output: output(11, usd(), 1), ..first.clone() };
    let bad = [
        vec![sign_as(&other.blanks[0], one)],
        vec![sign_as(&output(500, sat(), 0), one)],
        vec![first.clone(), sign_as(&output(500, sat(), 0), one)],
        vec![second.clone(), first.clone()],
        vec![first.clone(), first.clone()],
        vec![wrong_keyset],
        vec![sign_as(&melt.blanks[0], Amount::ZERO)],
    ];
    for change in bad {
        bench.reject(SettleMelt { change, ..melt.settle() }).await;
    }
    bench.accept(SettleMelt { change: vec![first, second], ..melt.settle() }).await;
}

async fn any_blanks_may_get_change(bench: &Bench) {
    bench.fund().await;
    let none = paid(bench, 1).await;
    bench.accept(SettleMelt { change: vec![], ..none.settle() }).await;
    let last = paid(bench, 2).await;
    let change = vec![sign_as(&last.blanks[1], Amount::from_u64(2))];
    bench.accept_twice(SettleMelt { change, ..last.settle() }).await;
    let outputs = &bench.snapshot().await.contents[&last.operation].outputs;
    assert!(outputs[0].signature.is_none() && outputs[1].signature.is_some());
    let without = Melt { blanks: vec![], change: vec![], ..Melt::new(3) };
    pay(bench, &without, evidence()).await;
    bench.accept_twice(without.settle()).await;
    assert_eq!(bench.totals(sat()).await, [FUNDS + 2, 36, 0, 6]);
}

async fn no_more_is_given_than_was_taken(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    let fees = |n: u64| vec![(sat(), Amount::from_u64(n))];
    bench.reject(SettleMelt { fees: fees(12), ..melt.settle() }).await;
    bench.reject(SettleMelt { fees: fees(u64::MAX), ..melt.settle() }).await;
    let thirteen = vec![sign_as(&melt.blanks[0], Amount::from_u64(13))];
    bench.reject(SettleMelt { change: thirteen, fees: vec![], ..melt.settle() }).await;
    let twice = vec![(sat(), Amount::from_u64(1)), (sat(), Amount::from_u64(1))];
    bench.reject(SettleMelt { fees: twice, ..melt.settle() }).await;
    bench.accept(SettleMelt { fees: fees(11), ..melt.settle() }).await;
}

async fn left_over_blanks_are_in_the_way_until_pruned(bench: &Bench) {
    bench.fund().await;
    let melt = paid(bench, 1).await;
    bench.accept(melt.settle()).await;
    // Paid at NOW + 5; until pruned to a later time its blanks are taken.
    let prune = |before| Prune {
        method: PaymentMethod::bolt11(),
        before: NOW.plus(before),
        limit: 1000,
        now: NOW.plus(1_000_000),
    };
    bench.repeat(prune(5), &Applied::Pruned(0)).await;
    let used = Swap { outputs: vec![output(11, sat(), 1)], ..Swap::new(2) };
    bench.refuse(used.reserve(), Conflict::OutputsSigned).await;
    let left_over = Swap { outputs: vec![output(10, sat(), 1)], ..Swap::new(2) };
    bench.refuse(left_over.reserve(), Conflict::OutputsPending).await;
    assert_eq!(bench.accept(prune(6)).await, Applied::Pruned(1));
    bench.refuse(used.reserve(), Conflict::OutputsSigned).await;
    bench.accept(left_over.reserve()).await;
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.contents[&melt.operation].outputs.len(), 1, "the blank is another operation's now");
}

async fn change_is_counted_though_its_keyset_is_retired(bench: &Bench) {
    use crate::ports::{AddKeyset, LatchKeyset};
    use crate::store::contract::fixture::KEYSETS;
    bench.fund().await;
    let melt = paid(bench, 1).await;
    bench.accept(AddKeyset { keyset: KEYSETS.sat_next.clone() }).await;
    bench.accept(LatchKeyset { keyset: sat(), latched: true }).await;
    bench.accept_twice(melt.settle()).await;
    assert_eq!(bench.totals(sat()).await, [FUNDS + 1, 12, 0, 2]);
}

/// A mint quote of 8 sat and a melt that pays its invoice, reserved.
async fn own_invoice(bench: &Bench, n: u32) -> (MintQuote, Melt) {
    let minting = Minting::of(n, sat(), CurrencyUnit::Sat, &[8]);
    bench.accept(minting.open()).await;
    let quote = MeltQuote { payment_hash: minting.quote.payment_hash, ..melt_quote(n) };
    let melt = Melt { quote, ..Melt::new(n) };
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    (minting.quote, melt)
}

async fn both_legs_settle_in_one(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let answer = bench.accept_twice(melt.settle_internally(&mint_quote)).await;
    assert_eq!(answer, Applied::MeltQuote(settled_quote(&melt, Some([0x11; 32]))));
    let ledger = bench.snapshot().await;
    let credited = MintQuote { amount_paid: Amount::from_u64(8), updated_at: NOW.plus(5), ..mint_quote.clone() };
    assert_eq!(ledger.mint_quotes[&mint_quote.id], credited);
    assert!(ledger.operations.is_empty());
    assert!(ledger.contents[&melt.operation].inputs.iter().all(|known| known.state == InputState::Spent));
    assert_eq!(bench.totals(sat()).await, [FUNDS + 1, 12, 0, 3]);
    bench.accept(Minting::of(1, sat(), CurrencyUnit::Sat, &[8]).issue()).await;
    let (mint_quote, melt) = own_invoice(bench, 2).await;
    let change = SettleInternally { preimage: None, ..melt.settle_internally(&mint_quote) };
    assert_eq!(bench.accept_twice(change).await, Applied::MeltQuote(settled_quote(&melt, None)));
}

async fn settling_internally_needs_a_reserved_row_of_this_owner(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let settle = |melt: &Melt| melt.settle_internally(&mint_quote);
    bench.refuse(settle(&Melt { owner: BOB, ..melt.clone() }), Conflict::OperationGone).await;
    bench.refuse(settle(&Melt { operation: operation(9), ..melt.clone() }), Conflict::OperationGone).await;
    let swap = Swap::new(3);
    bench.accept(swap.reserve()).await;
    bench.refuse(settle(&Melt { operation: swap.operation, ..melt.clone() }), Conflict::OperationGone).await;
    let unknown = SettleInternally { mint_quote: quote_id("mint", 99), ..settle(&melt) };
    bench.refuse(unknown, Conflict::QuoteUnknown).await;
    bench.accept(melt.dispatch()).await;
    bench.refuse(settle(&melt), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Unknown)).await;
    bench.refuse(settle(&melt), Conflict::WrongState).await;
    bench.accept(melt.record(MeltOutcome::Failed)).await;
    bench.refuse(settle(&melt), Conflict::WrongState).await;
    bench.accept(melt.release()).await;
    bench.refuse(settle(&melt), Conflict::OperationGone).await;
}

async fn a_paid_mint_quote_is_not_paid_again(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let minting = Minting::of(1, sat(), CurrencyUnit::Sat, &[8]);
    bench.accept(minting.credit()).await;
    bench.refuse(melt.settle_internally(&mint_quote), Conflict::MintQuoteSettled).await;
    bench.accept(minting.issue()).await;
    bench.refuse(melt.settle_internally(&mint_quote), Conflict::MintQuoteSettled).await;
    // A little of it is enough.
    let (mint_quote, melt) = own_invoice(bench, 2).await;
    let little = Minting::of(2, sat(), CurrencyUnit::Sat, &[8]).credit();
    bench.accept(CreditMintQuote { amount: Amount::from_u64(1), ..little }).await;
    bench.refuse(melt.settle_internally(&mint_quote), Conflict::MintQuoteSettled).await;
    bench.accept(melt.release()).await;
}

async fn the_legs_have_one_unit(bench: &Bench) {
    bench.fund().await;
    let cents = Minting::of(1, usd(), CurrencyUnit::Usd, &[8]);
    bench.accept(cents.open()).await;
    let quote = MeltQuote { payment_hash: cents.quote.payment_hash, ..melt_quote(1) };
    let melt = Melt { quote, ..Melt::new(1) };
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(melt.settle_internally(&cents.quote), Conflict::UnitMismatch).await;
    bench.accept(cents.credit()).await;
    bench.refuse(melt.settle_internally(&cents.quote), Conflict::MintQuoteSettled).await;
}

async fn the_mint_quote_is_of_the_same_invoice(bench: &Bench) {
    bench.fund().await;
    let (_, melt) = own_invoice(bench, 1).await;
    let stranger = Minting::new(2);
    bench.accept(stranger.open()).await;
    bench.reject(melt.settle_internally(&stranger.quote)).await;
}

/// As when two reservations could not see each other.
async fn an_overdrawn_keyset_pays_no_mint_quote(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let [issued, reserved] = [FUNDS, FUNDS + 1].map(Amount::from_u64);
    bench.plant_totals(sat(), KeysetTotals { issued, reserved, ..KeysetTotals::default() }).await;
    bench.refuse(melt.settle_internally(&mint_quote), Conflict::Overdrawn(sat())).await;
}

async fn internal_settlement_gives_no_more_than_was_taken(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let whole = melt.settle_internally(&mint_quote);
    let amount = Amount::from_u64(9);
    bench.reject(SettleInternally { amount, ..whole.clone() }).await;
    bench.reject(SettleInternally { amount: Amount::MAX, ..whole.clone() }).await;
    bench.reject(SettleInternally { amount: Amount::ZERO, ..whole.clone() }).await;
    let foreign = vec![sign_as(&output(500, sat(), 0), Amount::from_u64(1))];
    bench.reject(SettleInternally { change: foreign, ..whole.clone() }).await;
    let twice = vec![(sat(), Amount::from_u64(1)), (sat(), Amount::from_u64(1))];
    bench.reject(SettleInternally { fees: twice, ..whole.clone() }).await;
    bench.accept(whole).await;
}

async fn an_outside_payment_counts_beside_the_internal_one(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    bench.accept(melt.settle_internally(&mint_quote)).await;
    let outside = Minting::of(1, sat(), CurrencyUnit::Sat, &[8]).credit();
    bench.accept_twice(outside.clone()).await;
    // The internal credit has a name, and that counts once like any other.
    let named = CreditMintQuote { credit: format!("internal:{}", melt.quote.id), ..outside };
    bench.accept_twice(named).await;
    assert_eq!(bench.snapshot().await.mint_quotes[&mint_quote.id].amount_paid, Amount::from_u64(16));
}

async fn settled_internally_it_answers_with_the_quote(bench: &Bench) {
    bench.fund().await;
    let (mint_quote, melt) = own_invoice(bench, 1).await;
    let answer = bench.accept(melt.settle_internally(&mint_quote)).await;
    bench.accept(Minting::of(1, sat(), CurrencyUnit::Sat, &[8]).issue()).await;
    for owner in [BOB, CAROL] {
        bench.repeat(Melt { owner, ..melt.clone() }.settle_internally(&mint_quote), &answer).await;
    }
    bench.repeat(melt.settle(), &answer).await;
    bench.refuse(melt.release(), Conflict::OperationEnded).await;
    bench.refuse(melt.dispatch(), Conflict::OperationGone).await;
}
