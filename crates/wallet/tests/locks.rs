//! Locked tokens: made, opened, refused, taken while the mint is away, taken back.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_protocol::conditions::ConditionError;
use hazel_protocol::{PublicKey, Token};
use hazel_wallet::ports::OperationKind;
use hazel_wallet::{Error, LOCK_KEYS, LockTerms, ReceiveOptions, ResumeOutcome, SendOptions, SentToken};
use support::{Bank, Fault, KeysetKind, Peer, sat, send};

/// SHA-256 of 32 zero bytes.
const HASH: &str = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";

fn bank() -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, 0))
}

fn hash() -> [u8; 32] {
    *HASH.parse::<hazel_protocol::Scalar32>().unwrap().as_bytes()
}

fn key(peer: &Peer) -> PublicKey {
    peer.wallet.lock_key(0).unwrap()
}

async fn send_locked(peer: &Peer, amount: u64, lock: LockTerms) -> SentToken {
    let options = SendOptions { lock: Some(lock), ..SendOptions::default() };
    peer.wallet.prepare_send(sat(amount), options).await.unwrap().confirm().await.unwrap()
}

async fn receive(peer: &Peer, token: &Token) -> Result<u64, Error> {
    let prepared = peer.wallet.prepare_receive(token).await?;
    Ok(prepared.confirm().await?.amount.to_u64())
}

fn assert_locked(answer: &Result<u64, Error>, why: ConditionError) {
    assert_eq!(*answer, Err(Error::TokenLocked(why)));
}

#[tokio::test]
async fn money_locked_to_a_key_is_for_its_wallet_alone() {
    for sig_all in [false, true] {
        let bank = bank();
        let alice = Peer::with(&bank, 1, 64).await;
        let (carol, dave) = (Peer::new(&bank, 2).await, Peer::new(&bank, 3).await);
        let sent = send_locked(&alice, 21, LockTerms { sig_all, ..LockTerms::to_key(key(&carol)) }).await;
        assert_eq!(sent.token_value, sat(21));
        assert_locked(&receive(&dave, &sent.token).await, ConditionError::Unsigned);
        assert!(matches!(receive(&alice, &sent.token).await, Err(Error::TokenLocked(_))), "nor for the sender");
        assert_eq!(receive(&carol, &sent.token).await, Ok(21));
        assert_eq!(alice.total().await + carol.total().await, bank.outstanding() + 21, "alice was not told yet");
        assert_eq!(alice.wallet.check_sent().await, Ok(sat(0)));
        carol.assert_sound("carol").await;
    }
}

#[tokio::test]
async fn a_locked_send_whose_answer_was_lost_is_finished_with_the_same_lock() {
    let bank = bank();
    let mut alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    alice.link.fail("swap", [Fault::LoseAnswer, Fault::LoseRequest, Fault::LoseRequest]);
    let options = SendOptions { lock: Some(LockTerms::to_key(key(&carol))), ..SendOptions::default() };
    alice.wallet.prepare_send(sat(21), options).await.unwrap().confirm().await.unwrap_err();
    alice = alice.restart();
    let mut resumed = alice.wallet.resume().await.unwrap();
    let ResumeOutcome::Token(sent) = resumed.remove(0).outcome else { panic!("no token") };
    assert!(matches!(receive(&Peer::new(&bank, 3).await, &sent.token).await, Err(Error::TokenLocked(_))));
    assert_eq!(receive(&carol, &sent.token).await, Ok(21));
}

#[tokio::test]
async fn a_receive_signed_as_a_whole_is_signed_anew_when_the_keyset_rotates() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let sent = send_locked(&alice, 21, LockTerms { sig_all: true, ..LockTerms::to_key(key(&carol)) }).await;
    let prepared = carol.wallet.prepare_receive(&sent.token).await.unwrap();
    carol.link.fail("swap", [Fault::LoseRequest, Fault::LoseRequest, Fault::LoseRequest]);
    prepared.confirm().await.unwrap_err();
    bank.add_keyset(KeysetKind::V2, 0);
    carol.wallet.resume().await.unwrap();
    assert_eq!(carol.available().await, 21);
}

#[tokio::test]
async fn two_of_three_sign_one_after_the_other() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let (carol, dave) = (Peer::new(&bank, 2).await, Peer::new(&bank, 3).await);
    let keys = vec![key(&alice), key(&carol), key(&dave)];
    let sent = send_locked(&alice, 10, LockTerms { keys, n_sigs: Some(2), ..LockTerms::default() }).await;
    assert_locked(&receive(&carol, &sent.token).await, ConditionError::TooFewSignatures);
    let signed = carol.wallet.cosign(&sent.token).await.unwrap();
    assert_eq!(Peer::new(&bank, 9).await.wallet.cosign(&signed).await, Err(Error::NothingToSign));
    let text = signed.to_string();
    assert_eq!(receive(&dave, &text.parse().unwrap()).await, Ok(10));
}

#[tokio::test]
async fn a_hash_lock_opens_with_its_preimage() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let lock = LockTerms { keys: vec![key(&carol)], ..LockTerms::to_hash(hash()) };
    let sent = send_locked(&alice, 10, lock).await;
    assert_locked(&receive(&carol, &sent.token).await, ConditionError::PreimageMissing);
    let with = |preimage: String| ReceiveOptions { preimage: Some(preimage) };
    let wrong = carol.wallet.prepare_receive_with(&sent.token, &with("11".repeat(32))).await.unwrap_err();
    assert_eq!(wrong, Error::TokenLocked(ConditionError::PreimageWrong));
    let prepared = carol.wallet.prepare_receive_with(&sent.token, &with("00".repeat(32))).await.unwrap();
    assert_eq!(prepared.confirm().await.unwrap().amount, sat(10));
}

#[tokio::test]
async fn the_sender_takes_a_lock_back_once_it_has_expired() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let lock = LockTerms { locktime: Some(1_500_000), refund: vec![key(&alice)], ..LockTerms::to_key(key(&carol)) };
    let sent = send_locked(&alice, 10, lock).await;
    let early = alice.wallet.prepare_take_back(sent.operation).await.unwrap_err();
    assert!(matches!(early, Error::TokenLocked(_)), "{early}");
    alice.world.pass(600_000);
    bank.set_time(1_600_000);
    let taken = alice.wallet.prepare_take_back(sent.operation).await.unwrap();
    assert_eq!(taken.confirm().await.unwrap().amount, sat(10));
    assert_eq!(alice.available().await, 64);
    alice.assert_sound("alice").await;
}

#[tokio::test]
async fn locks_that_make_no_sense_and_mints_that_enforce_none_are_refused() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let own = key(&alice);
    let bad = [
        LockTerms::default(),
        LockTerms { n_sigs: Some(0), ..LockTerms::to_key(own) },
        LockTerms { n_sigs: Some(2), ..LockTerms::to_key(own) },
        LockTerms { keys: vec![own, own], ..LockTerms::default() },
        LockTerms { refund: vec![own], ..LockTerms::to_key(own) },
        LockTerms { locktime: Some(9), n_sigs_refund: Some(1), ..LockTerms::to_key(own) },
    ];
    for lock in bad {
        let options = SendOptions { lock: Some(lock.clone()), ..SendOptions::default() };
        let error = alice.wallet.prepare_send(sat(1), options).await.unwrap_err();
        assert!(matches!(error, Error::Lock(_)), "{lock:?}: {error}");
    }
    assert_eq!(alice.wallet.lock_key(LOCK_KEYS), Err(Error::OutOfKeys));
    bank.ignore_locks();
    alice.wallet.refresh_info().await.unwrap();
    let options = SendOptions { lock: Some(LockTerms::to_key(own)), ..SendOptions::default() };
    assert!(matches!(alice.wallet.prepare_send(sat(1), options).await, Err(Error::Lock(_))));
    assert_eq!(alice.available().await, 64);
}

#[tokio::test]
async fn a_token_locked_to_this_wallet_is_taken_while_the_mint_is_away_and_counts_once() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let mut carol = Peer::new(&bank, 2).await;
    let sent = send_locked(&alice, 21, LockTerms::to_key(key(&carol))).await;
    for route in ["keysets", "swap", "check_state", "info", "keys"] {
        carol.link.fail(route, (0..20).map(|_| Fault::NotSent));
    }
    let stored = carol.wallet.receive_offline(&sent.token, &ReceiveOptions::default()).await.unwrap();
    assert_eq!(stored.value, sat(21));
    let again = carol.wallet.receive_offline(&sent.token, &ReceiveOptions::default()).await;
    assert_eq!(again, Err(Error::TokenAlreadyOwned));
    carol = carol.restart();
    let resumed = carol.wallet.resume().await.unwrap();
    assert!(matches!(resumed[0].outcome, ResumeOutcome::Failed(Error::Unreachable(_))), "{resumed:?}");
    for route in ["keysets", "swap", "check_state", "info", "keys"] {
        carol.link.forget_faults(route);
    }
    carol = carol.restart();
    let resumed = carol.wallet.resume().await.unwrap();
    assert_eq!(resumed[0].kind, OperationKind::Receive);
    assert!(matches!(resumed[0].outcome, ResumeOutcome::Completed { amount } if amount == sat(21)));
    assert_eq!(carol.available().await, 21);
    let again = carol.wallet.receive_offline(&sent.token, &ReceiveOptions::default()).await;
    assert_eq!(again, Err(Error::TokenAlreadyOwned));
    carol.assert_sound("carol").await;
}

#[tokio::test]
async fn what_somebody_else_can_spend_is_not_taken_offline() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let refuse = async |token: &Token| {
        let answer = carol.wallet.receive_offline(token, &ReceiveOptions { preimage: Some("00".repeat(32)) }).await;
        assert!(matches!(answer, Err(Error::NotOffline(_))), "{answer:?}");
    };
    refuse(&send(&alice, 1).await).await;
    let soon = LockTerms { locktime: Some(1_000_100), ..LockTerms::to_key(key(&carol)) };
    let either = LockTerms { keys: vec![key(&carol), key(&alice)], ..LockTerms::default() };
    for lock in [soon, either, LockTerms::to_key(key(&alice)), LockTerms::to_hash(hash())] {
        refuse(&send_locked(&alice, 1, lock).await.token).await;
    }
    // Without the proof that the mint signed it, anything can be written into a token.
    let sent = send_locked(&alice, 2, LockTerms::to_key(key(&carol))).await;
    let ids: Vec<_> = alice.free_keysets().await;
    let proofs: Vec<_> =
        sent.token.proofs(&ids).unwrap().into_iter().map(hazel_protocol::Proof::for_the_mint).collect();
    let bare = hazel_protocol::TokenV4::new(support::world::url(), "sat".parse().unwrap(), None, &proofs).unwrap();
    let answer = carol.wallet.receive_offline(&Token::V4(bare), &ReceiveOptions::default()).await;
    assert_eq!(answer, Err(Error::TokenWithoutDleq));
}

#[tokio::test]
async fn what_is_left_of_a_token_that_was_claimed_in_part_is_taken_back() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let prepared = alice.wallet.prepare_send(sat(21), SendOptions::default()).await.unwrap();
    let sent = prepared.confirm().await.unwrap();
    let ids = alice.free_keysets().await;
    let proofs = sent.token.proofs(&ids).unwrap();
    let part = hazel_protocol::TokenV4::new(support::world::url(), "sat".parse().unwrap(), None, &proofs[..1]).unwrap();
    let claimed = receive(&carol, &Token::V4(part)).await.unwrap();
    let taken = alice.wallet.prepare_take_back(sent.operation).await.unwrap();
    assert_eq!(taken.amount().to_u64(), 21 - claimed);
    taken.confirm().await.unwrap();
    assert_eq!(alice.available().await, 64 - claimed);
    assert_eq!(alice.wallet.balance().await.unwrap().sent, sat(0));
    assert_eq!(alice.wallet.prepare_take_back(sent.operation).await.unwrap_err(), Error::Claimed);
    alice.assert_sound("alice").await;
}

#[tokio::test]
async fn a_send_that_may_not_ask_the_mint_needs_fitting_coins() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 7).await;
    let offline = SendOptions { offline: true, ..SendOptions::default() };
    alice.link.fail("keysets", (0..9).map(|_| Fault::NotSent));
    let sent = alice.wallet.prepare_send(sat(5), offline.clone()).await.unwrap().confirm().await.unwrap();
    assert_eq!(sent.token_value, sat(5));
    assert_eq!(alice.wallet.prepare_send(sat(1), offline.clone()).await.unwrap_err(), Error::NoExactMatch);
    assert!(alice.link.copies("swap").is_empty());
}

/// A lock whose keys the mint does not see.
fn hidden(lock: LockTerms) -> LockTerms {
    LockTerms { blind: true, ..lock }
}

fn proofs_of(sent: &SentToken) -> Vec<hazel_protocol::TokenProof> {
    sent.token.token_proofs().into_iter().map(|(_, proof)| proof.clone()).collect()
}

#[tokio::test]
async fn a_hidden_key_is_seen_by_nobody_and_found_by_its_owner() {
    for sig_all in [false, true] {
        let bank = bank();
        let alice = Peer::with(&bank, 1, 64).await;
        let (carol, dave) = (Peer::new(&bank, 2).await, Peer::new(&bank, 3).await);
        let own = carol.wallet.lock_key(63).unwrap();
        let sent = send_locked(&alice, 21, hidden(LockTerms { sig_all, ..LockTerms::to_key(own) })).await;
        let proofs = proofs_of(&sent);
        assert!(proofs.iter().all(|proof| !proof.secret.as_str().contains(&own.to_string()[2..])));
        let ephemeral: std::collections::BTreeSet<_> = proofs.iter().map(|proof| proof.p2pk_e.unwrap()).collect();
        // Each output has a key of its own, but for those that one signature covers.
        assert_eq!(ephemeral.len(), if sig_all { 1 } else { proofs.len() });
        assert_locked(&receive(&dave, &sent.token).await, ConditionError::Unsigned);
        let text = sent.token.to_string();
        assert_eq!(receive(&carol, &text.parse().unwrap()).await, Ok(21));
        assert_eq!(alice.wallet.check_sent().await, Ok(sat(0)));
        carol.assert_sound("carol").await;
    }
}

#[tokio::test]
async fn a_hidden_lock_survives_a_lost_answer_and_a_rotation() {
    for sig_all in [false, true] {
        let bank = bank();
        let mut alice = Peer::with(&bank, 1, 64).await;
        let carol = Peer::new(&bank, 2).await;
        let lock = hidden(LockTerms { sig_all, ..LockTerms::to_key(key(&carol)) });
        alice.link.fail("swap", [Fault::LoseAnswer, Fault::LoseRequest, Fault::LoseRequest]);
        let options = SendOptions { lock: Some(lock), ..SendOptions::default() };
        alice.wallet.prepare_send(sat(21), options).await.unwrap().confirm().await.unwrap_err();
        alice = alice.restart();
        let mut resumed = alice.wallet.resume().await.unwrap();
        let ResumeOutcome::Token(sent) = resumed.remove(0).outcome else { panic!("no token") };
        assert!(proofs_of(&sent).iter().all(|proof| proof.p2pk_e.is_some()));
        // The receiver's request is lost, and its keyset is gone when it is made anew: a signature over all is made anew, too.
        let prepared = carol.wallet.prepare_receive(&sent.token).await.unwrap();
        carol.link.fail("swap", [Fault::LoseRequest, Fault::LoseRequest, Fault::LoseRequest]);
        prepared.confirm().await.unwrap_err();
        bank.add_keyset(KeysetKind::V2, 0);
        let carol = carol.restart();
        carol.wallet.resume().await.unwrap();
        assert_eq!(carol.available().await, 21);
    }
}

#[tokio::test]
async fn hidden_keys_of_several_sign_one_after_the_other() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let (carol, dave) = (Peer::new(&bank, 2).await, Peer::new(&bank, 3).await);
    let keys = vec![key(&alice), key(&carol), key(&dave)];
    let lock = hidden(LockTerms { keys, n_sigs: Some(2), ..LockTerms::to_hash(hash()) });
    let sent = send_locked(&alice, 10, lock).await;
    assert_locked(&receive(&carol, &sent.token).await, ConditionError::PreimageMissing);
    let signed = carol.wallet.cosign(&sent.token).await.unwrap();
    assert_eq!(Peer::new(&bank, 9).await.wallet.cosign(&signed).await, Err(Error::NothingToSign));
    let with = ReceiveOptions { preimage: Some("00".repeat(32)) };
    let prepared = dave.wallet.prepare_receive_with(&signed, &with).await.unwrap();
    assert_eq!(prepared.confirm().await.unwrap().amount, sat(10));
}

#[tokio::test]
async fn the_sender_takes_back_by_a_hidden_refund_key() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let lock = LockTerms { locktime: Some(1_500_000), refund: vec![key(&alice)], ..LockTerms::to_key(key(&carol)) };
    let sent = send_locked(&alice, 10, hidden(lock)).await;
    assert!(matches!(alice.wallet.prepare_take_back(sent.operation).await, Err(Error::TokenLocked(_))));
    alice.world.pass(600_000);
    bank.set_time(1_600_000);
    let taken = alice.wallet.prepare_take_back(sent.operation).await.unwrap();
    assert_eq!(taken.confirm().await.unwrap().amount, sat(10));
    assert_eq!(alice.available().await, 64);
    alice.assert_sound("alice").await;
}

#[tokio::test]
async fn a_hidden_lock_is_taken_offline() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let sent = send_locked(&alice, 21, hidden(LockTerms::to_key(key(&carol)))).await;
    // Without the ephemeral key nobody knows whose it is.
    let ids = alice.free_keysets().await;
    let proofs = sent.token.proofs(&ids).unwrap().into_iter();
    let bare: Vec<_> = proofs.map(|proof| hazel_protocol::Proof { p2pk_e: None, ..proof }).collect();
    let bare = hazel_protocol::TokenV4::new(support::world::url(), "sat".parse().unwrap(), None, &bare).unwrap();
    let answer = carol.wallet.receive_offline(&Token::V4(bare), &ReceiveOptions::default()).await;
    assert!(matches!(answer, Err(Error::NotOffline(_))), "{answer:?}");
    let stored = carol.wallet.receive_offline(&sent.token, &ReceiveOptions::default()).await.unwrap();
    assert_eq!(stored.value, sat(21));
    let carol = carol.restart();
    carol.wallet.resume().await.unwrap();
    assert_eq!(carol.available().await, 21);
}

#[tokio::test]
async fn a_lock_that_cannot_be_hidden_is_refused() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    let keys: Vec<_> = (0..12).map(|number| alice.wallet.lock_key(number).unwrap()).collect();
    let many = |count: usize| LockTerms { keys: keys[..count].to_vec(), ..LockTerms::default() };
    assert!(hidden(many(11)).check().is_ok());
    for lock in [many(12), LockTerms { hash: Some(hash()), ..many(11) }, LockTerms::to_hash(hash())] {
        assert!(matches!(hidden(lock).check(), Err(Error::Lock(_))));
    }
}
