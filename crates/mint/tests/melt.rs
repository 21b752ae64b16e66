//! NUT-05 and NUT-08 on the engine: payment, change, doubt, own invoices, recovery.

mod world;

use std::sync::atomic::Ordering;

use hazel_mint::ports::*;
use hazel_protocol::melt::MeltQuoteState;
use hazel_protocol::*;
use world::*;

const SAT: u64 = 1_000;

#[tokio::test]
async fn a_melt_pays_and_gives_the_unused_fee_back_in_order() {
    let bottle = Bottle::new(config()).await;
    bottle.payments.fee_reserve_msat.store(20 * SAT, Ordering::SeqCst);
    bottle.say(Script::Pay { fee_msat: 6_500 });
    let proofs = bottle.fund(&[64, 32, 16, 8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(100 * SAT)).await;
    assert_eq!((quote.amount.to_u64(), quote.fee_reserve.to_u64()), (100, 20));
    let blanks = bottle.outputs(&[1, 1, 1, 1, 1]);
    let request = melt_request(&quote.quote, &proofs, &blanks);
    let paid = bottle.mint.melt("bolt11", request.clone()).await.expect("paid");
    assert_eq!(paid.state, MeltQuoteState::Paid);
    assert!(paid.payment_preimage.is_some());
    // 120 in, 100 paid, 6.5 of fee rounded up to 7 against the user.
    let change = paid.change.clone().expect("13 are left");
    assert_eq!(change.iter().map(|c| c.amount.to_u64()).collect::<Vec<_>>(), [1, 4, 8]);
    let change = bottle.proofs(&blanks, &change);
    bottle.swap(&change, &bottle.outputs(&[1, 4, 8])).await.expect("change is money");
    assert_eq!(bottle.states(&proofs).await, [ProofState::Spent; 4]);
    assert_eq!(bottle.mint.melt("bolt11", request).await, Ok(paid), "the same again");
    assert_eq!(bottle.outstanding().await, 13);
    assert_eq!(bottle.payments.calls.lock().expect("held by none").len(), 1);
}

#[tokio::test]
async fn too_few_blanks_carry_the_largest_parts_and_the_rest_is_kept() {
    let bottle = Bottle::new(config()).await;
    bottle.payments.fee_reserve_msat.store(20 * SAT, Ordering::SeqCst);
    let proofs = bottle.fund(&[64, 32, 16, 8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(100 * SAT)).await;
    let blanks = bottle.outputs(&[1]);
    let paid = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &blanks)).await.expect("paid");
    let amounts: Vec<_> = paid.change.expect("some").iter().map(|c| c.amount.to_u64()).collect();
    assert_eq!(amounts, [16]);
    let totals = bottle.store.totals().await.expect("readable");
    assert_eq!(totals[0].1.fees.to_u64(), 4);
}

#[tokio::test]
async fn msat_are_rounded_against_the_payer() {
    let bottle = Bottle::new(config()).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(10_500)).await;
    assert_eq!(quote.amount.to_u64(), 11);
    let ten = bottle.fund(&[8, 2]).await;
    assert_eq!(code(&bottle.mint.melt("bolt11", melt_request(&quote.quote, &ten, &[])).await), 11_005);
    let eleven = bottle.fund(&[8, 2, 1]).await;
    bottle.mint.melt("bolt11", melt_request(&quote.quote, &eleven, &[])).await.expect("covered");
    assert_eq!(bottle.payments.calls.lock().expect("held by none")[0].amount_msat, 10_500);
}

#[tokio::test]
async fn a_failed_payment_gives_the_inputs_and_blanks_back() {
    for script in [Script::Say(PaymentStatus::Failed), Script::Break(PaymentStatus::Failed), Script::Refuse] {
        let bottle = Bottle::new(config()).await;
        bottle.say(script);
        let proofs = bottle.fund(&[8, 2]).await;
        let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
        let blanks = bottle.outputs(&[1, 1]);
        let request = melt_request(&quote.quote, &proofs, &blanks);
        assert_eq!(code(&bottle.mint.melt("bolt11", request.clone()).await), 20_004);
        assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent; 2]);
        bottle.nothing_unfinished().await;
        bottle.say(Script::Pay { fee_msat: 0 });
        let paid = bottle.mint.melt("bolt11", request).await.expect("a second try, same inputs, blanks and quote");
        assert_eq!(paid.change.expect("2 are left").len(), 1);
    }
}

#[tokio::test]
async fn unknown_stays_pending_over_polls_and_restarts_until_there_is_evidence() {
    for doubt in [PaymentStatus::Unknown, PaymentStatus::Pending] {
        let mut bottle = Bottle::new(config()).await;
        bottle.say(Script::Break(doubt));
        let proofs = bottle.fund(&[8]).await;
        let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
        let request = melt_request(&quote.quote, &proofs, &[]);
        let answer = bottle.mint.melt("bolt11", request.clone()).await.expect("not known yet");
        assert_eq!(answer.state, MeltQuoteState::Pending);
        for _ in 0..3 {
            bottle.restart().await;
            bottle.world.ahead.fetch_add(100, Ordering::SeqCst);
            for _ in 0..10 {
                bottle.mint.sweep().await.expect("readable");
                bottle.world.sleep(std::time::Duration::from_millis(5)).await;
            }
            assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
        }
        let other = bottle.fund(&[8]).await;
        assert_eq!(code(&bottle.mint.melt("bolt11", melt_request(&quote.quote, &other, &[])).await), 20_005);
        bottle.say(Script::Pay { fee_msat: 0 });
        bottle.world.ahead.fetch_add(100, Ordering::SeqCst);
        bottle.settle_down().await;
        let paid = bottle.mint.melt("bolt11", request).await.expect("a replay");
        assert_eq!(paid.state, MeltQuoteState::Paid);
        assert_eq!(bottle.payments.calls.lock().expect("held by none").len(), 1, "one payment");
    }
}

#[tokio::test]
async fn a_preimage_that_does_not_fit_is_not_paid() {
    let bottle = Bottle::new(config()).await;
    bottle.say(Script::Lie);
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let answer = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await.expect("in doubt");
    assert_eq!(answer.state, MeltQuoteState::Pending);
    assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
}

#[tokio::test]
async fn an_own_invoice_settles_inside_without_a_payment() {
    let bottle = Bottle::new(config()).await;
    let request = hazel_protocol::mint::MintQuoteBolt11Request {
        amount: Amount::from_u64(8),
        unit: CurrencyUnit::Sat,
        description: None,
        pubkey: None,
    };
    let own = bottle.mint.open_mint_quote("bolt11", request).await.expect("within limits");
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&own.request).await;
    assert_eq!(quote.fee_reserve, Amount::ZERO);
    let second = bottle.melt_quote(&own.request).await;
    let paid = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await.expect("paid");
    assert_eq!(paid.state, MeltQuoteState::Paid);
    let credited = bottle.mint.mint_quote("bolt11", &own.quote).await.expect("known");
    assert_eq!(credited.amount_paid, Some(Amount::from_u64(8)));
    assert!(bottle.payments.calls.lock().expect("held by none").is_empty());
    let more = bottle.fund(&[8]).await;
    let again = bottle.mint.melt("bolt11", melt_request(&second.quote, &more, &[])).await;
    assert_eq!(code(&again), 20_006, "a second quote of a paid invoice");
    assert_eq!(bottle.states(&more).await, [ProofState::Unspent]);
    let open_again =
        hazel_protocol::melt::MeltQuoteBolt11Request { request: own.request, unit: CurrencyUnit::Sat, options: None };
    assert_eq!(code(&bottle.mint.open_melt_quote("bolt11", open_again).await), 20_006);
}

#[tokio::test]
async fn two_quotes_of_one_invoice_lead_to_one_payment() {
    let bottle = Bottle::new(config()).await;
    let invoice = bottle.payments.foreign_invoice(8 * SAT);
    let (one, two) = (bottle.melt_quote(&invoice).await, bottle.melt_quote(&invoice).await);
    let (p, q) = (bottle.fund(&[8]).await, bottle.fund(&[8]).await);
    let both = futures_util::future::join(
        bottle.mint.melt("bolt11", melt_request(&one.quote, &p, &[])),
        bottle.mint.melt("bolt11", melt_request(&two.quote, &q, &[])),
    );
    let (a, b) = both.await;
    assert_eq!([&a, &b].iter().filter(|answer| answer.is_ok()).count(), 1, "{a:?} {b:?}");
    assert_eq!(bottle.payments.calls.lock().expect("held by none").len(), 1);
    assert_eq!(bottle.outstanding().await, 8);
}

#[tokio::test]
async fn swap_against_melt_of_one_proof_one_wins() {
    for _ in 0..10 {
        let bottle = Bottle::new(config()).await;
        let proofs = bottle.fund(&[8]).await;
        let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
        let outputs = bottle.outputs(&[8]);
        let (swapped, melted) = futures_util::future::join(
            bottle.swap(&proofs, &outputs),
            bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])),
        )
        .await;
        assert!(swapped.is_ok() != melted.is_ok(), "{swapped:?} {melted:?}");
        assert_eq!(bottle.outstanding().await, if swapped.is_ok() { 8 } else { 0 });
    }
}

/// Cuts a melt off at the change that `at` picks: it and everything after it fail until the restart.
async fn cut_off(at: fn(&Change) -> bool) -> (Bottle, Vec<Proof>, QuoteId, Vec<Prepared>) {
    let mut bottle = Bottle::new(config()).await;
    bottle.payments.fee_reserve_msat.store(2 * SAT, Ordering::SeqCst);
    let proofs = bottle.fund(&[8, 2]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let blanks = bottle.outputs(&[1, 1]);
    let mut cut = false;
    bottle.fault(move |change| {
        cut = cut || at(change);
        cut.then(|| ApplyError::Unavailable("cut off by the test".to_owned()))
    });
    let _ = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &blanks)).await;
    bottle.restart_without_faults().await;
    (bottle, proofs, quote.quote, blanks)
}

#[tokio::test]
async fn a_melt_cut_off_before_the_backend_was_called_unlocks_by_itself() {
    let (bottle, proofs, ..) = cut_off(|change| matches!(change, Change::DispatchMelt(_))).await;
    bottle.settle_down().await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent; 2]);
    assert!(bottle.payments.calls.lock().expect("held by none").is_empty());
}

#[tokio::test]
async fn a_melt_cut_off_after_the_payment_is_settled_by_evidence_with_the_same_change() {
    for at in [
        |change: &Change| matches!(change, Change::RecordMelt(_)),
        |change: &Change| matches!(change, Change::SettleMelt(_)),
    ] {
        let (bottle, proofs, quote, blanks) = cut_off(at).await;
        assert_eq!(bottle.states(&proofs).await, [ProofState::Pending; 2]);
        bottle.settle_down().await;
        let paid = bottle.mint.melt("bolt11", melt_request(&quote, &proofs, &blanks)).await.expect("a replay");
        assert_eq!(paid.state, MeltQuoteState::Paid);
        let change = bottle.proofs(&blanks, &paid.change.expect("the reserve was not used"));
        assert_eq!(change.iter().map(|p| p.amount.to_u64()).sum::<u64>(), 2);
        assert_eq!(bottle.payments.calls.lock().expect("held by none").len(), 1);
    }
}

#[tokio::test]
async fn more_than_was_ever_issued_is_refused_alarms_and_stops_the_keyset() {
    let bottle = Bottle::new(config()).await;
    // Two proofs of 8 exist; the books say that 8 were issued: a key has leaked.
    let proofs = bottle.fund(&[8, 8]).await;
    let keyset = proofs[0].id;
    let booked = KeysetTotals { issued: Amount::from_u64(8), ..KeysetTotals::default() };
    hazel_mint::store::contract::Plant::plant_totals(&bottle.store.inner, keyset, booked).await;
    assert_eq!(code(&bottle.swap(&proofs, &bottle.outputs(&[8, 8])).await), 12_000);
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent; 2]);
    assert!(bottle.store.keysets().await.expect("readable")[0].latched);
    // Nothing more is sold of it, and what there is of it is not taken, though another keyset could sign.
    assert!(!bottle.mint.keysets().keysets[0].active);
    let on_it = [bottle.output_on(keyset, 8)];
    assert_eq!(code(&bottle.swap(&proofs[..1], &on_it).await), 12_002);
    let rotate = hazel_mint::config::UnitConfig::new(CurrencyUnit::Sat).into();
    bottle.mint.rotate_keyset(rotate, "operator").await.expect("rotates");
    assert_eq!(code(&bottle.swap(&proofs[..1], &bottle.outputs(&[8])).await), 12_000, "stopped");
}

#[tokio::test]
async fn a_keyset_stays_stopped_though_the_ledger_could_not_be_told() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8, 8]).await;
    let booked = KeysetTotals { issued: Amount::from_u64(8), ..KeysetTotals::default() };
    hazel_mint::store::contract::Plant::plant_totals(&bottle.store.inner, proofs[0].id, booked).await;
    bottle.fault(|change| {
        let stops = matches!(change, Change::Administer(administer) if matches!(administer.act, Act::LatchKeyset(_)));
        stops.then(|| ApplyError::Unavailable("the disk is full".to_owned()))
    });
    assert_eq!(code(&bottle.swap(&proofs, &bottle.outputs(&[8, 8])).await), 12_000);
    assert!(!bottle.store.keysets().await.expect("readable")[0].latched, "the ledger was not told");
    // The keysets are read again, and the books alone would allow one of the two proofs.
    let rotate = hazel_mint::config::UnitConfig::new(CurrencyUnit::Sat).into();
    bottle.mint.rotate_keyset(rotate, "operator").await.expect("rotates");
    assert_eq!(code(&bottle.swap(&proofs[..1], &bottle.outputs(&[8])).await), 12_000, "stopped here");
    bottle.no_fault();
    bottle.mint.sweep().await.expect("readable");
    assert!(bottle.store.keysets().await.expect("readable")[0].latched, "told again");
    bottle.mint.latch_keyset(proofs[0].id, false, "operator", "looked at").await.expect("allowed");
    bottle.swap(&proofs[..1], &bottle.outputs(&[8])).await.expect("and good again");
}

#[tokio::test]
async fn prefer_async_answers_pending_at_once() {
    let bottle = Bottle::new(config()).await;
    bottle.say(Script::Say(PaymentStatus::Pending));
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let mut request = melt_request(&quote.quote, &proofs, &[]);
    request.prefer_async = true;
    let answer = bottle.mint.melt("bolt11", request).await.expect("taken");
    assert_eq!(answer.state, MeltQuoteState::Pending);
    assert!(answer.updated_at > quote.updated_at, "each change is later, also within a second");
    let asked = bottle.mint.melt_quote("bolt11", &quote.quote).await.expect("known");
    assert_eq!(asked.state, MeltQuoteState::Pending);
}
