//! `SIG_ALL` (NUT-11): one signature speaks for the whole request, and for that request only.

use hazel_protocol::conditions::{input_digest, melt_digest, swap_digest};
use hazel_protocol::{BlindedMessage, MeltQuoteBolt11Response, MeltQuoteState, Proof, Secret, Witness};
use serde_json::{Value, json};

use crate::client::{Answer, Launch, Wallet, audit, invoice, sum};
use crate::locks::Ring;

const NOT_OPENED: Option<u64> = Some(10_001);

/// Secrets locked to a key, with tags that do not differ.
fn secrets(ring: &Ring, key: u8, tags: &Value, nonces: std::ops::Range<u8>) -> Vec<Secret> {
    let lock =
        |nonce: u8| json!(["P2PK", { "nonce": format!("{key:02x}{nonce:062x}"), "data": ring.key(key), "tags": tags }]);
    nonces.map(|nonce| Secret::new(lock(nonce).to_string()).expect("a secret")).collect()
}

fn all() -> Value {
    json!([["sigflag", "SIG_ALL"]])
}

/// Puts the signature of a key over `digest` into the input at `place`.
fn signed(ring: &Ring, inputs: &[Proof], place: usize, key: u8, digest: &[u8; 32]) -> Vec<Proof> {
    let mut inputs = inputs.to_vec();
    let witness = json!({ "signatures": [ring.sign(key, digest, 1)] }).to_string();
    inputs[place].witness = Some(Witness::new(witness).expect("short"));
    inputs
}

fn pick(messages: &[BlindedMessage], places: &[usize]) -> Vec<BlindedMessage> {
    places.iter().map(|place| messages[*place].clone()).collect()
}

async fn swap(wallet: &Wallet, inputs: &[Proof], outputs: &[BlindedMessage]) -> Answer {
    wallet.api.post("/v1/swap", &json!({ "inputs": inputs, "outputs": outputs })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_every_input_and_output_of_a_swap() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let database = folder.path().join("mint.sqlite");
    let (wallet, ring) = (Wallet::open(mint.url(), 1).await, Ring::new());
    let pair = wallet.mint_secrets(4, &secrets(&ring, 1, &all(), 0..2)).await;
    let third = wallet.mint_secrets(4, &secrets(&ring, 1, &all(), 2..3)).await;
    let (owned, thief) = (wallet.draft(&[4, 2, 2]).messages, wallet.draft(&[4, 2, 2]).messages);
    let digest = swap_digest(&pair, &owned);
    let good = signed(&ring, &pair, 0, 1, &digest);
    let before = audit(&database);
    let reordered = pick(&owned, &[0, 2, 1]);
    let mut valued_otherwise = owned.clone();
    (valued_otherwise[0].amount, valued_otherwise[1].amount) = (owned[1].amount, owned[0].amount);
    let more = [owned.clone(), pick(&thief, &[0])].concat();
    let with_third = [good.clone(), third.clone()].concat();
    let own = input_digest(&pair[0].secret);
    for (what, inputs, outputs) in [
        ("unsigned", pair.clone(), owned.clone()),
        ("signed in the second input", signed(&ring, &pair, 1, 1, &digest), owned.clone()),
        ("by another key", signed(&ring, &pair, 0, 2, &digest), owned.clone()),
        ("over its secret alone", signed(&ring, &pair, 0, 1, &own), owned.clone()),
        ("other outputs", good.clone(), thief.clone()),
        ("one output is another's", good.clone(), [pick(&owned, &[0, 1]), pick(&thief, &[2])].concat()),
        ("outputs in another order", good.clone(), reordered),
        ("amounts moved", good.clone(), valued_otherwise),
        ("an input and an output more", with_third, more),
        ("an input and an output fewer", vec![good[0].clone()], owned[..1].to_vec()),
        ("inputs in another order", vec![good[1].clone(), good[0].clone()], owned.clone()),
    ] {
        let answer = swap(&wallet, &inputs, &outputs).await;
        assert_eq!(answer.code(), NOT_OPENED, "{what}: {answer:?}");
    }
    assert_eq!(before, audit(&database), "a refusal changes nothing");
    assert!(swap(&wallet, &good, &owned).await.is_ok(), "as it was signed");
    mint.stop();
    audit(&database).assert_settled(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_input_comes_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let database = folder.path().join("mint.sqlite");
    let (wallet, ring) = (Wallet::open(mint.url(), 1).await, Ring::new());
    let first = wallet.mint_secrets(4, &secrets(&ring, 1, &all(), 0..1)).await;
    let noted = json!([["sigflag", "SIG_ALL"], ["note", "x"]]);
    let expired = json!([["sigflag", "SIG_ALL"], ["locktime", "1000000000"]]);
    let others = [
        ("plain", vec![Secret::new("plain").expect("a secret")]),
        ("another flag", secrets(&ring, 1, &json!([["sigflag", "SIG_INPUTS"]]), 10..11)),
        ("no flag", secrets(&ring, 1, &json!([]), 11..12)),
        ("another tag", secrets(&ring, 1, &noted, 12..13)),
        ("a tag that opens it", secrets(&ring, 1, &expired, 13..14)),
        ("another key", secrets(&ring, 2, &all(), 14..15)),
    ];
    let outputs = wallet.draft(&[8]).messages;
    for (what, secrets) in others {
        let other = wallet.mint_secrets(4, &secrets).await;
        for inputs in [[first.clone(), other.clone()].concat(), [other, first.clone()].concat()] {
            let digest = swap_digest(&inputs, &outputs);
            let both = signed(&ring, &signed(&ring, &inputs, 0, 1, &digest), 1, 1, &digest);
            let answer = swap(&wallet, &both, &outputs).await;
            assert_eq!(answer.code(), NOT_OPENED, "{what}: {answer:?}");
        }
    }
    let outputs = wallet.draft(&[4]).messages;
    let alone = signed(&ring, &first, 0, 1, &swap_digest(&first, &outputs));
    assert!(swap(&wallet, &alone, &outputs).await.is_ok());
    mint.stop();
    audit(&database).assert_settled(7 * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_the_quote_and_the_blanks_of_a_melt() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let database = folder.path().join("mint.sqlite");
    let (wallet, ring) = (Wallet::open(mint.url(), 1).await, Ring::new());
    let coins = wallet.mint_secrets(8, &secrets(&ring, 1, &all(), 0..2)).await;
    let (quote, other) =
        (wallet.melt_quote(&invoice(1, 10)).await.quote, wallet.melt_quote(&invoice(2, 10)).await.quote);
    let (draft, thief) = (wallet.draft(&[0, 0, 0]), wallet.draft(&[0, 0, 0]).messages);
    let owned = draft.messages.clone();
    let digest = melt_digest(&coins, &owned, &quote);
    let good = signed(&ring, &coins, 0, 1, &digest);
    let before = audit(&database);
    let as_swap = signed(&ring, &coins, 0, 1, &swap_digest(&coins, &owned));
    let without = signed(&ring, &coins, 0, 1, &melt_digest(&coins, &[], &quote));
    for (what, quote, inputs, blanks) in [
        ("another quote", &other, &good, json!(owned)),
        ("no blanks", &quote, &good, json!(null)),
        ("no blanks in a list", &quote, &good, json!([])),
        ("fewer blanks", &quote, &good, json!(owned[..2])),
        ("blanks of a thief", &quote, &good, json!(thief)),
        ("blanks in another order", &quote, &good, json!([owned[1], owned[0], owned[2]])),
        ("blanks that were not signed for", &quote, &without, json!(thief)),
        ("the message of a swap", &quote, &as_swap, json!(owned)),
        ("unsigned", &quote, &coins, json!(owned)),
    ] {
        let answer =
            wallet.api.post("/v1/melt/bolt11", &json!({ "quote": quote, "inputs": inputs, "outputs": blanks })).await;
        assert_eq!(answer.code(), NOT_OPENED, "{what}: {answer:?}");
    }
    assert_eq!(before, audit(&database), "a refusal changes nothing");
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote, &good, &draft).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    assert_eq!(sum(&wallet.finish(&draft, &paid.change.expect("change"))), 6);
    // With nothing to come back, the signature is over the inputs and the quote.
    let exact = wallet.mint_secrets(2, &secrets(&ring, 1, &all(), 5..10)).await;
    let exact = signed(&ring, &exact, 0, 1, &melt_digest(&exact, &[], &other));
    let paid = wallet.api.post("/v1/melt/bolt11", &json!({ "quote": other, "inputs": exact })).await;
    assert!(paid.is_ok(), "{paid:?}");
    mint.stop();
    audit(&database).assert_settled(6);
}
