//! What turns up after an operation is over, and coins put in order.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_protocol::ErrorCode;
use hazel_wallet::{Error, ResumeOutcome};
use support::{Bank, Fault, KeysetKind, Peer, sat, send};

fn bank(fee_ppk: u64) -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, fee_ppk))
}

#[tokio::test]
async fn an_invoice_that_is_paid_after_it_was_given_up_is_minted_once() {
    let bank = bank(0);
    bank.pays_itself(false);
    let mut alice = Peer::new(&bank, 1).await;
    let pending = alice.wallet.prepare_mint(sat(21), None).await.unwrap();
    let quote = pending.quote().clone();
    pending.cancel().await.unwrap();
    assert!(alice.wallet.look_after().await.unwrap().is_empty(), "not paid yet");
    bank.pay_invoice(&quote);
    alice = alice.restart();
    let found = alice.wallet.look_after().await.unwrap();
    assert!(matches!(found[0].outcome, ResumeOutcome::Completed { amount } if amount == sat(21)), "{found:?}");
    assert!(alice.wallet.look_after().await.unwrap().is_empty());
    assert_eq!(alice.available().await, 21);
    alice.assert_sound("alice").await;
}

#[tokio::test]
async fn a_receive_that_was_given_up_and_arrives_late_is_found() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let token = send(&alice, 21).await;
    let prepared = carol.wallet.prepare_receive(&token).await.unwrap();
    // A proxy keeps the first copy, and says of the second that the proofs are forged.
    carol.link.fail("swap", [Fault::Hold, Fault::Refuse(ErrorCode::ProofVerificationFailed)]);
    assert!(matches!(prepared.confirm().await, Err(Error::Refused { .. })));
    assert!(carol.wallet.look_after().await.unwrap().is_empty());
    carol.link.deliver();
    let found = carol.wallet.look_after().await.unwrap();
    assert!(matches!(found[0].outcome, ResumeOutcome::Completed { amount } if amount == sat(21)), "{found:?}");
    assert!(carol.wallet.look_after().await.unwrap().is_empty());
    assert_eq!(carol.available().await, 21);
    carol.assert_sound("carol").await;
}

#[tokio::test]
async fn coins_that_a_twin_spent_are_seen_and_stay_as_they_are() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 21).await;
    assert_eq!(alice.wallet.spent_elsewhere().await.unwrap(), sat(0));
    let twin = Peer::new(&bank, 1).await;
    twin.wallet.restore(&mut |_| ()).await.unwrap();
    let carol = Peer::new(&bank, 2).await;
    let token = send(&twin, 16).await;
    carol.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    assert!(alice.wallet.spent_elsewhere().await.unwrap() >= sat(16));
    assert_eq!(alice.available().await, 21, "a mint that lies must not make the wallet forget its coins");
}

#[tokio::test]
async fn small_and_old_coins_become_few_and_new() {
    let bank = bank(100);
    let alice = Peer::new(&bank, 1).await;
    for _ in 0..8 {
        alice.mint(7).await;
    }
    let prepared = alice.wallet.prepare_consolidate().await.unwrap();
    assert_eq!((prepared.coins_before(), prepared.value(), prepared.fee()), (24, sat(56), sat(3)));
    let after = prepared.coins_after();
    assert_eq!(prepared.confirm().await.unwrap().amount, sat(53));
    assert_eq!((alice.available().await, alice.free_keysets().await.len()), (53, after));
    assert_eq!(alice.wallet.prepare_consolidate().await.unwrap_err(), Error::NothingToConsolidate);
    let new = bank.add_keyset(KeysetKind::V2, 0);
    alice.wallet.prepare_consolidate().await.unwrap().confirm().await.unwrap();
    assert!(alice.free_keysets().await.iter().all(|id| *id == new));
    alice.assert_sound("alice").await;
}
