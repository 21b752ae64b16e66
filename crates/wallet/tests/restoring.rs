//! Restore by the seed alone, over many keysets, some inactive, some of the old kind.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_wallet::{RestoreProgress, SendOptions};
use support::{Bank, Fault, KeysetKind, Peer, run_until_crash, sat, send};

/// A seed with money under six keysets, of which one is active and two are of version 1, after much back and forth.
async fn long_life() -> (Arc<Bank>, u64) {
    let bank = Arc::new(Bank::new(KeysetKind::V1, 0));
    let alice = Peer::new(&bank, 1).await;
    let other = Peer::new(&bank, 2).await;
    for (number, kind) in
        [KeysetKind::V2, KeysetKind::V1, KeysetKind::V2, KeysetKind::V2, KeysetKind::V2].iter().enumerate()
    {
        for _ in 0..12 {
            alice.mint(127).await;
        }
        for amount in [1, 2, 63] {
            let token = send(&alice, amount).await;
            other.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
        }
        bank.add_keyset(*kind, u64::try_from(number).unwrap() * 100);
    }
    alice.mint(100).await;
    (bank, alice.available().await)
}

#[tokio::test]
async fn everything_is_found_again() {
    let (bank, before) = long_life().await;
    let again = Peer::new(&bank, 1).await;
    let mut seen: Vec<RestoreProgress> = Vec::new();
    let restored = again.wallet.restore(&mut |progress| seen.push(progress)).await.unwrap();
    assert_eq!(restored.amount, sat(before));
    assert_eq!(again.available().await, before);
    again.assert_sound("restored").await;
    assert!(seen.windows(2).all(|pair| pair[0].found <= pair[1].found));
    assert_eq!(seen.last().unwrap().keyset_count, 6);
    assert!(seen.iter().map(|progress| progress.keyset_number).max() == Some(6));
    // Counters were moved past what was found: the next operation meets nothing old.
    again.mint(50).await;
    send(&again, 3).await;
    assert_eq!(again.total().await, before + 50);
    // Again: nothing new.
    assert_eq!(again.wallet.restore(&mut |_| {}).await.unwrap().amount, sat(0));
}

#[tokio::test]
async fn a_restore_that_is_cut_off_goes_on_where_it_was() {
    let (bank, before) = long_life().await;
    let mut again = Peer::new(&bank, 1).await;
    let mut cuts = 0;
    loop {
        again.crash.after(25);
        let done = run_until_crash(&again.crash, again.wallet.restore(&mut |_| {})).await;
        again = again.restart();
        if done.is_some() {
            break;
        }
        cuts += 1;
        assert!(cuts < 100, "it makes progress");
    }
    assert!(cuts > 3);
    assert_eq!(again.available().await, before);
    assert_eq!(again.wallet.history(None, 10).await.unwrap().len(), 1, "one restore");
}

#[tokio::test]
async fn a_gap_of_less_than_three_batches_is_bridged() {
    let bank = Arc::new(Bank::new(KeysetKind::V2, 0));
    let alice = Peer::new(&bank, 1).await;
    alice.mint(64).await;
    // Each of these takes seven counters that are never signed.
    for _ in 0..40 {
        alice.link.fail("swap", [Fault::NotSent]);
        let prepared = alice.wallet.prepare_send(sat(1), SendOptions::default()).await.unwrap();
        prepared.confirm().await.unwrap_err();
    }
    alice.mint(64).await;
    let before = alice.total().await;
    let again = Peer::new(&bank, 1).await;
    again.wallet.restore(&mut |_| {}).await.unwrap();
    assert_eq!(again.available().await, before);
}

#[tokio::test]
async fn money_in_flight_stays_with_its_operation() {
    let bank = Arc::new(Bank::new(KeysetKind::V2, 0));
    let alice = Peer::with(&bank, 1, 64).await;
    alice.link.fail("swap", [Fault::LoseAnswer]);
    alice.link.fail("check_state", [Fault::LoseRequest]);
    let prepared = alice.wallet.prepare_send(sat(21), SendOptions::default()).await.unwrap();
    prepared.confirm().await.unwrap_err();
    // The swap was applied and the wallet does not know. A restore leaves its outputs alone.
    alice.wallet.restore(&mut |_| {}).await.unwrap();
    assert_eq!(alice.available().await, 0);
    alice.wallet.resume().await.unwrap();
    let balance = alice.wallet.balance().await.unwrap();
    assert_eq!((balance.available, balance.held, balance.sent), (sat(43), sat(0), sat(21)));
}
