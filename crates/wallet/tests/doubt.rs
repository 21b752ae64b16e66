//! Requests in doubt, at a mint that forgets, refuses for ever, or mixes things up.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hazel_protocol::ErrorCode;
use hazel_wallet::{Error, MeltOutcome, PaidMelt, ResumeOutcome};
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
