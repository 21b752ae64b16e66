//! Waiting for a mint that speaks up, is silent, breaks off, or lies.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_wallet::ports::{Environment, OperationId};
use hazel_wallet::{Error, Violation};
use support::{Bank, KeysetKind, Peer, sat, send};

async fn patient() -> Peer {
    let bank = Arc::new(Bank::new(KeysetKind::V2, 0));
    bank.pays_itself(false);
    Peer::new(&bank, 1).await
}

/// Waits for an invoice that is paid before the n-th look; how long that took, in seconds.
async fn wait(alice: &Peer, paid_before: usize) -> u64 {
    let mut pending = alice.wallet.prepare_mint(sat(8), None).await.unwrap();
    let (quote, bank) = (pending.quote().clone(), Arc::clone(&alice.link.bank));
    let (began, mut looks) = (alice.world.now().to_unix(), 1);
    let mut waiting = |_: &hazel_wallet::PendingMint| {
        looks += 1;
        if looks == paid_before {
            bank.pay_invoice(&quote);
        }
    };
    pending.wait_paid(&mut waiting).await.unwrap();
    pending.confirm().await.unwrap();
    alice.world.now().to_unix() - began
}

#[tokio::test]
async fn a_mint_that_does_not_speak_up_is_asked_every_few_seconds() {
    let alice = patient().await;
    let took = wait(&alice, 10).await;
    assert!((20..=60).contains(&took), "{took}");
    let tries = alice.link.copies("notices").len();
    assert!((2..=5).contains(&tries), "it is asked to speak up now and then: {tries}");
    assert_eq!(alice.available().await, 8);
}

#[tokio::test]
async fn a_mint_that_never_stops_talking_is_asked_once_a_second_at_most() {
    let alice = patient().await;
    alice.link.notices.lock().unwrap().push_back(vec![true; 1000]);
    let took = wait(&alice, 50).await;
    assert!(took >= 49, "{took}");
    assert_eq!(alice.link.copies("mint_quote_status").len(), 50);
}

#[tokio::test]
async fn a_line_that_breaks_is_made_again() {
    let alice = patient().await;
    alice.link.notices.lock().unwrap().extend([vec![true, false], vec![false], vec![true, true, false]]);
    wait(&alice, 20).await;
    assert!(alice.link.copies("notices").len() >= 3);
    assert_eq!(alice.available().await, 8);
}

/// A notice is no evidence: what counts is the answer to the question.
#[tokio::test]
async fn a_mint_that_goes_back_on_its_word_is_found_out_by_asking() {
    let alice = patient().await;
    alice.link.notices.lock().unwrap().push_back(vec![true; 5]);
    let mut pending = alice.wallet.prepare_mint(sat(8), None).await.unwrap();
    alice.link.bank.pay_invoice(pending.quote());
    assert_eq!(pending.check().await, Ok(true));
    alice.link.forge("mint_quote_status", |answer| answer["state"] = "UNPAID".into());
    let error = pending.wait_paid(&mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::HostileMint { violation: Violation::Backwards, .. }), "{error}");
    assert_eq!(alice.available().await, 0);
}

#[tokio::test]
async fn a_token_is_seen_claimed() {
    let bank = Arc::new(Bank::new(KeysetKind::V2, 0));
    let (alice, carol) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
    let (first, second) = (send(&alice, 10).await, send(&alice, 5).await);
    let sent = alice.wallet.history(None, 1).await.unwrap()[0].operation;
    carol.wallet.prepare_receive(&first).await.unwrap().confirm().await.unwrap();
    alice.link.notices.lock().unwrap().push_back(vec![true; 3]);
    let (mut waits, (give, taken)) = (0, tokio::sync::oneshot::channel());
    let mut give = Some(give);
    let waiting = &mut || {
        waits += 1;
        if waits == 3 {
            give.take().unwrap().send(()).unwrap();
        }
    };
    let claim = async {
        taken.await.unwrap();
        carol.wallet.prepare_receive(&second).await.unwrap().confirm().await.unwrap();
    };
    let (claimed, ()) = futures_util::future::join(alice.wallet.wait_claimed(sent, waiting), claim).await;
    assert_eq!((claimed, alice.wallet.balance().await.unwrap().sent), (Ok(()), sat(0)));
    let unknown = alice.wallet.wait_claimed(OperationId::from_bytes([9; 16]), &mut || {}).await;
    assert_eq!(unknown, Err(Error::OperationUnknown));
}
