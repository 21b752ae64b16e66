//! Requests in doubt, at a mint that forgets, refuses for ever, or mixes things up.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hazel_protocol::{CurrencyUnit, ErrorCode};
use hazel_wallet::ports::Store;
use hazel_wallet::{Error, ErrorClass, MeltOutcome, PaidMelt, ResumeOutcome, SendOptions};
use serde_json::json;
use support::mint::invoice;
use support::{Bank, Fault, KeysetKind, Peer, sat};

fn bank() -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, 0))
}

fn pay(sat: u64) -> String {
    invoice(sat, &hazel_protocol::QuoteId::new("outside").unwrap())
}

async fn melt(peer: &Peer) -> Result<MeltOutcome, Error> {
    peer.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await
}

async fn resume_one(peer: &Peer) -> ResumeOutcome {
    let mut resumed = peer.wallet.resume().await.unwrap();
    assert_eq!(resumed.len(), 1, "{resumed:?}");
    resumed.remove(0).outcome
}

fn lose(count: usize) -> impl Iterator<Item = Fault> {
    (0..count).map(|_| Fault::LoseRequest)
}

async fn assert_sound(peer: &Peer) {
    peer.assert_sound("the end").await;
    assert_eq!(peer.total().await, peer.link.bank.outstanding());
}

/// A payment whose first copy is lost and whose second is refused, so that a swap replaces it; the swap is lost too.
async fn replaced() -> Peer {
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.link.fail("melt", [Fault::LoseRequest, Fault::Refuse(ErrorCode::TransactionNotBalanced)]);
    peer.link.fail("swap", lose(3));
    assert!(matches!(melt(&peer).await, Err(Error::Ambiguous { .. })));
    peer
}

#[tokio::test]
async fn a_replaced_payment_ends_though_the_mint_forgot_its_quote() {
    let peer = replaced().await.restart();
    peer.link.bank.forget_melt_quotes();
    let outcome = resume_one(&peer).await;
    assert!(matches!(outcome, ResumeOutcome::Failed(Error::Refused { .. })), "{outcome:?}");
    assert_eq!(peer.available().await, 64);
    assert_sound(&peer).await;
}

#[tokio::test]
async fn change_is_found_though_the_mint_forgot_the_quote() {
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.link.fail("melt", [Fault::LoseAnswer]);
    peer.link.fail("melt_quote_status", lose(1));
    assert!(matches!(melt(&peer).await, Err(Error::Ambiguous { .. })));
    peer.link.bank.forget_melt_quotes();
    let outcome = resume_one(&peer).await;
    assert!(matches!(&outcome, ResumeOutcome::Paid(PaidMelt { change, .. }) if *change == sat(33)), "{outcome:?}");
    assert_sound(&peer).await;
}

#[tokio::test]
async fn a_payment_made_between_two_questions_is_seen() {
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.link.fail("melt", [Fault::LoseAnswer]);
    // The answers of before the payment: one to the poll, one after the refusal of the second copy.
    let asked = AtomicU32::new(0);
    peer.link.forge("melt_quote_status", move |answer| {
        if asked.fetch_add(1, Ordering::SeqCst) < 2 {
            answer["state"] = json!("UNPAID");
        }
    });
    let outcome = melt(&peer).await;
    assert!(matches!(&outcome, Ok(MeltOutcome::Paid(paid)) if paid.change == sat(33)), "{outcome:?}");
    assert_sound(&peer).await;
}

async fn send(peer: &Peer) -> Result<(), Error> {
    let prepared = peer.wallet.prepare_send(sat(21), SendOptions::default()).await.unwrap();
    prepared.confirm().await.map(drop)
}

#[tokio::test]
async fn what_cannot_be_asked_while_a_copy_is_under_way_leaves_the_outcome_open() {
    let first_copy_lost = || [Fault::LoseRequest, Fault::Refuse(ErrorCode::KeysetInactive)];
    let peer = Peer::with(&bank(), 1, 64).await;
    let prepared = peer.wallet.prepare_send(sat(21), SendOptions::default()).await.unwrap();
    peer.link.fail("swap", first_copy_lost());
    peer.link.fail("keysets", [Fault::None, Fault::NotSent]);
    let error = prepared.confirm().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Ambiguous, "swap: {error}");

    let peer = Peer::with(&bank(), 1, 64).await;
    let pending = peer.wallet.prepare_mint(sat(21), None).await.unwrap();
    peer.link.fail("mint", first_copy_lost());
    peer.link.fail("keysets", [Fault::None, Fault::NotSent]);
    let error = pending.confirm().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Ambiguous, "mint: {error}");

    let peer = Peer::with(&bank(), 1, 64).await;
    let prepared = peer.wallet.prepare_melt(&pay(30), None).await.unwrap();
    peer.link.fail("melt", first_copy_lost());
    peer.link.fail("keysets", (0..9).map(|_| Fault::NotSent));
    let error = prepared.confirm().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Ambiguous, "melt: {error}");
}

/// How many different requests went out on a route.
fn different(peer: &Peer, route: &str) -> usize {
    peer.link.copies(route).into_iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn a_swap_refused_for_ever_is_not_made_anew() {
    let peer = Peer::with(&bank(), 1, 64).await;
    let refusals = (0..9).map(|_| Fault::Refuse(ErrorCode::TransactionNotBalanced));
    peer.link.fail("swap", [Fault::LoseRequest].into_iter().chain(refusals));
    assert_eq!(send(&peer).await.unwrap_err().class(), ErrorClass::Ambiguous);
    for _ in 0..8 {
        let outcome = resume_one(&peer).await;
        assert!(matches!(outcome, ResumeOutcome::Failed(Error::Ambiguous { .. })), "{outcome:?}");
    }
    assert_eq!(different(&peer, "swap"), 1, "the same bytes, no new outputs");
    assert!(matches!(resume_one(&peer).await, ResumeOutcome::Token(_)));
    assert_sound(&peer).await;
}

#[tokio::test]
async fn fresh_outputs_are_tried_once_a_call_and_not_for_ever() {
    let peer = Peer::with(&bank(), 1, 64).await;
    let refusals = || (0..200).map(|_| Fault::Refuse(ErrorCode::KeysetInactive));
    peer.link.fail("swap", [Fault::LoseRequest].into_iter().chain(refusals()));
    send(&peer).await.unwrap_err();
    assert_eq!(different(&peer, "swap"), 2);
    for _ in 0..50 {
        resume_one(&peer).await;
    }
    assert_eq!(different(&peer, "swap"), 33, "the first, and as many as are watched");
    peer.link.forget_faults("swap");
    assert!(matches!(resume_one(&peer).await, ResumeOutcome::Token(_)));
    assert_sound(&peer).await;
}

#[tokio::test]
async fn outputs_that_are_in_use_elsewhere_are_passed_over() {
    let in_use = || [Fault::Refuse(ErrorCode::OutputsPending)];
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.link.fail("swap", in_use());
    send(&peer).await.unwrap();
    assert_eq!(different(&peer, "swap"), 2);
    peer.link.fail("mint", in_use());
    peer.mint(10).await;
    assert_sound(&peer).await;
}

#[tokio::test]
async fn a_payment_whose_blanks_are_in_use_elsewhere_is_over() {
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.link.fail("melt", [Fault::Refuse(ErrorCode::OutputsPending)]);
    let error = melt(&peer).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code, .. } if code == ErrorCode::OutputsPending.code()), "{error}");
    assert_eq!(peer.available().await, 64);
    melt(&peer).await.unwrap();
    assert_sound(&peer).await;
}

#[tokio::test]
async fn proofs_of_an_expired_keyset_are_not_spent() {
    let bank = bank();
    bank.add_expiring_keyset(KeysetKind::V2, 0, Some(2_000_000));
    let peer = Peer::with(&bank, 1, 64).await;
    bank.add_keyset(KeysetKind::V2, 0);
    peer.mint(32).await;
    let prepared = peer.wallet.prepare_send(sat(64), SendOptions::default()).await.unwrap();
    prepared.cancel().await.unwrap();
    peer.world.pass(1_500_000);
    let error = peer.wallet.prepare_send(sat(64), SendOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientFunds { available, .. } if available == sat(32)), "{error}");
    send(&peer).await.unwrap();
}

#[tokio::test]
async fn a_quote_that_somebody_else_paid_costs_nothing() {
    for copies in [1, 3] {
        let peer = Peer::with(&bank(), 1, 64).await;
        peer.link.fail("melt", lose(copies));
        peer.link.fail("melt_quote_status", lose(1));
        assert!(matches!(melt(&peer).await, Err(Error::Ambiguous { .. })));
        peer.link.bank.pay_elsewhere();
        let outcome = resume_one(&peer).await;
        let already_paid = ErrorCode::InvoiceAlreadyPaid.code();
        let refused = matches!(outcome, ResumeOutcome::Failed(Error::Refused { code, .. }) if code == already_paid);
        assert!(refused, "{outcome:?}");
        assert_eq!(peer.available().await, 64);
        assert_sound(&peer).await;
    }
}

#[tokio::test]
async fn a_payment_replaced_and_then_paid_by_somebody_else_costs_nothing() {
    let peer = replaced().await;
    peer.link.bank.pay_elsewhere();
    let outcome = resume_one(&peer).await;
    assert!(matches!(outcome, ResumeOutcome::Failed(Error::Refused { .. })), "{outcome:?}");
    assert_eq!(peer.available().await, 64);
    assert_sound(&peer).await;
}

#[tokio::test]
async fn a_quote_takes_one_order_at_a_time() {
    let peer = Peer::with(&bank(), 1, 64).await;
    peer.mint(64).await;
    peer.link.forge("melt_quote", |answer| answer["quote"] = json!("the-same"));
    let prepared = peer.wallet.prepare_melt(&pay(30), None).await.unwrap();
    let second = peer.wallet.prepare_melt(&pay(30), None).await.unwrap();
    peer.link.fail("melt", lose(9));
    peer.link.fail("melt_quote_status", lose(9));
    assert!(matches!(prepared.confirm().await, Err(Error::Ambiguous { .. })));
    let pending = ErrorCode::QuotePending.code();
    let error = second.confirm().await.unwrap_err();
    assert!(matches!(error, Error::Refused { code, .. } if code == pending), "{error}");
    let error = peer.wallet.prepare_melt(&pay(30), None).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code, .. } if code == pending), "{error}");
    assert_eq!(peer.wallet.balance().await.unwrap().held, sat(64), "only the first holds proofs");
}

#[tokio::test]
async fn a_token_that_is_not_of_the_mint_does_not_stay_open() {
    let bank = bank();
    let token = support::send(&Peer::with(&bank, 9, 64).await, 21).await;
    let peer = Peer::new(&bank, 1).await;
    let prepared = peer.wallet.prepare_receive(&token).await.unwrap();
    let not_its_own = ErrorCode::ProofVerificationFailed;
    // Another refusal leaves it open, for the money may be good.
    let other = Fault::Refuse(ErrorCode::TransactionNotBalanced);
    peer.link.fail("swap", [Fault::Hold, other, Fault::Refuse(not_its_own)]);
    assert_eq!(prepared.confirm().await.unwrap_err().class(), ErrorClass::Ambiguous);
    let outcome = resume_one(&peer).await;
    let refused = matches!(outcome, ResumeOutcome::Failed(Error::Refused { code, .. }) if code == not_its_own.code());
    assert!(refused, "{outcome:?}");
    assert!(peer.wallet.resume().await.unwrap().is_empty());
    let watched = peer.disk.watched(&support::world::url(), &CurrencyUnit::Sat).await.unwrap();
    assert_eq!(watched.len(), 1);
    assert!(!watched[0].state.outputs().is_empty());
    // What was held back is applied after all: the seed finds it.
    peer.link.deliver();
    peer.wallet.restore(&mut |_| {}).await.unwrap();
    assert_eq!(peer.available().await, 21);
}

#[tokio::test]
async fn blanks_that_another_device_used_do_not_keep_a_payment_open() {
    let bank = bank();
    let first = Peer::with(&bank, 1, 64).await;
    let second = Peer::new(&bank, 1).await;
    second.wallet.restore(&mut |_| {}).await.unwrap();
    second.link.fail("melt", lose(1));
    second.link.fail("melt_quote_status", lose(1));
    assert!(matches!(melt(&second).await, Err(Error::Ambiguous { .. })));
    // The first device has the proofs spent, and the same outputs signed for far more.
    let token = support::send(&first, 64).await;
    Peer::new(&bank, 9).await.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    first.mint(1023).await;
    let outcome = resume_one(&second).await;
    assert!(matches!(outcome, ResumeOutcome::Failed(Error::SpentElsewhere(_))), "{outcome:?}");
    second.assert_sound("second").await;
}
