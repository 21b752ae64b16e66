//! NUT-10, NUT-11 and NUT-14 on the engine: locks hold in swap and melt alike, and a repeat is answered whatever the time.

mod world;

use std::sync::atomic::Ordering;

use hazel_mint::ports::*;
use hazel_protocol::conditions::{Lock, Unlock, input_digest, melt_digest, sign_digest, swap_digest};
use hazel_protocol::*;
use world::*;

fn key_of(bottle: &Bottle, n: u8) -> PublicKey {
    secret_key(n).public_key(&bottle.curve)
}

fn secret_key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).expect("in range")
}

fn sign(bottle: &Bottle, proof: &mut Proof, digest: &[u8; 32], keys: &[u8]) {
    let signatures = keys.iter().map(|n| sign_digest(&bottle.curve, &secret_key(*n), digest, &[*n; 32])).collect();
    proof.witness = Some(Unlock { signatures, preimage: None }.to_witness().expect("short"));
}

/// Signs the input alone.
fn signed(bottle: &Bottle, proof: &Proof, keys: &[u8]) -> Proof {
    let mut proof = proof.clone();
    let digest = input_digest(&proof.secret);
    sign(bottle, &mut proof, &digest, keys);
    proof
}

#[tokio::test]
async fn a_locked_proof_is_swapped_by_its_key_alone_and_its_witness_is_shown() {
    let bottle = Bottle::new(config()).await;
    let locked = bottle.fund_locked(8, &Lock::to_key(key_of(&bottle, 1))).await;
    let outputs = bottle.outputs(&[8]);
    for (what, proof) in [("unsigned", locked.clone()), ("by another key", signed(&bottle, &locked, &[2]))] {
        let answer = bottle.mint.swap(swap_request(&[proof], &outputs)).await;
        assert_eq!(code(&answer), 10_001, "{what}");
        assert_eq!(bottle.states(std::slice::from_ref(&locked)).await, [ProofState::Unspent], "{what}");
    }
    let opened = signed(&bottle, &locked, &[1]);
    bottle.swap(std::slice::from_ref(&opened), &outputs).await.expect("its key signed");
    let request = CheckStateRequest { ys: vec![PointBytes::from(&opened.y())].try_into().expect("one") };
    let shown = bottle.mint.check_state(request).await.expect("readable");
    assert_eq!(shown.states[0].witness, opened.witness);
    bottle.nothing_unfinished().await;
}

#[tokio::test]
async fn sig_all_of_a_swap_holds_its_outputs() {
    let bottle = Bottle::new(config()).await;
    let mut locked = bottle.fund_locked(8, &Lock::to_key(key_of(&bottle, 1)).sig_all()).await;
    let (mine, thief) = (bottle.outputs(&[4, 4]), bottle.outputs(&[4, 4]));
    let digest = swap_digest(std::slice::from_ref(&locked), &messages(&mine));
    sign(&bottle, &mut locked, &digest, &[1]);
    let stolen = bottle.mint.swap(swap_request(std::slice::from_ref(&locked), &thief)).await;
    assert_eq!(code(&stolen), 10_001, "a signature for other outputs");
    bottle.swap(&[locked], &mine).await.expect("the outputs that were signed");
}

#[tokio::test]
async fn sig_all_of_a_melt_holds_its_blanks_and_its_quote() {
    let bottle = Bottle::new(config()).await;
    let mut locked = bottle.fund_locked(16, &Lock::to_key(key_of(&bottle, 1)).sig_all()).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(10_000)).await;
    let other = bottle.melt_quote(&bottle.payments.foreign_invoice(10_000)).await;
    let blanks = bottle.outputs(&[0, 0, 0]);
    let digest = melt_digest(std::slice::from_ref(&locked), &messages(&blanks), &quote.quote);
    sign(&bottle, &mut locked, &digest, &[1]);
    let inputs = std::slice::from_ref(&locked);
    for (what, quote, blanks) in
        [("another quote", &other, &blanks[..]), ("no blanks", &quote, &[]), ("fewer blanks", &quote, &blanks[..2])]
    {
        let answer = bottle.mint.melt("bolt11", melt_request(&quote.quote, inputs, blanks)).await;
        assert_eq!(code(&answer), 10_001, "{what}");
    }
    let paid = bottle.mint.melt("bolt11", melt_request(&quote.quote, inputs, &blanks)).await.expect("as signed");
    assert_eq!(paid.state, MeltQuoteState::Paid);
    bottle.nothing_unfinished().await;
}

#[tokio::test]
async fn after_the_locktime_anyone_may_and_a_repeat_is_answered_when_the_clock_is_set_back() {
    let bottle = Bottle::new(config()).await;
    let soon = bottle.world.now().plus(1_000).to_unix();
    let locked = bottle.fund_locked(8, &Lock::to_key(key_of(&bottle, 1)).locktime(soon)).await;
    let request = swap_request(std::slice::from_ref(&locked), &bottle.outputs(&[8]));
    assert_eq!(code(&bottle.mint.swap(request.clone()).await), 10_001, "before the locktime");
    bottle.world.ahead.store(2_000, Ordering::SeqCst);
    let first = bottle.mint.swap(request.clone()).await.expect("anyone may");
    bottle.world.ahead.store(0, Ordering::SeqCst);
    assert_eq!(bottle.mint.swap(request).await.as_ref(), Ok(&first), "the ledger knows the request");
    let another = swap_request(std::slice::from_ref(&locked), &bottle.outputs(&[8]));
    assert_eq!(code(&bottle.mint.swap(another).await), 10_001, "another request is none of its repeats");
}

#[tokio::test]
async fn a_repeat_needs_no_witness() {
    let bottle = Bottle::new(config()).await;
    let locked = bottle.fund_locked(8, &Lock::to_key(key_of(&bottle, 1))).await;
    let outputs = bottle.outputs(&[8]);
    let first = bottle.mint.swap(swap_request(&[signed(&bottle, &locked, &[1])], &outputs)).await.expect("signed");
    let again = bottle.mint.swap(swap_request(&[locked], &outputs)).await;
    assert_eq!(again.as_ref(), Ok(&first), "the answer holds nothing that restore would not give");
}
