//! NUT-29 on the engine: a batch is issued whole or not at all, and its repeat is answered from the ledger.

mod world;

use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use hazel_protocol::conditions::sign_digest;
use hazel_protocol::*;
use world::*;

fn batch(quotes: &[QuoteId], outputs: &[Prepared]) -> MintBatchRequest {
    MintBatchRequest {
        quotes: quotes.to_vec().try_into().expect("few"),
        quote_amounts: None,
        outputs: messages(outputs),
        signatures: None,
    }
}

fn amounts(amounts: &[u64]) -> BoundedVec<Amount, MAX_BATCH> {
    amounts.iter().copied().map(Amount::from_u64).collect::<Vec<_>>().try_into().expect("few")
}

fn signatures(list: Vec<Option<String>>) -> BoundedVec<Option<QuoteSignature>, MAX_BATCH> {
    list.into_iter().map(|text| text.map(QuoteSignature)).collect::<Vec<_>>().try_into().expect("few")
}

/// NUT-20: over the quote id and every `B_`.
fn sign(bottle: &Bottle, key: &SecretKey, quote: &QuoteId, outputs: &[Prepared]) -> String {
    let message = outputs.iter().fold(quote.as_str().to_owned(), |text, output| text + &output.message.b.to_string());
    let digest = sha256::Hash::hash(message.as_bytes()).to_byte_array();
    let signature = sign_digest(&bottle.curve, key, &digest, &[1; 32]);
    signature.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn states(bottle: &Bottle, quotes: &[QuoteId]) -> Vec<MintQuoteState> {
    let request = MintQuotesCheckRequest { quotes: quotes.to_vec().try_into().expect("few") };
    let found = bottle.mint.mint_quotes("bolt11", request).await.expect("all known");
    found.iter().map(|quote| quote.state).collect()
}

#[tokio::test]
async fn a_batch_draws_on_all_its_quotes_and_its_repeat_gets_the_same_signatures() {
    let mut bottle = Bottle::new(config()).await;
    let quotes = [bottle.paid_quote(5).await, bottle.paid_quote(3).await];
    let outputs = bottle.outputs(&[4, 4]);
    let request = MintBatchRequest { quote_amounts: Some(amounts(&[5, 3])), ..batch(&quotes, &outputs) };
    let first = bottle.mint.issue_batch("bolt11", request.clone()).await.expect("paid");
    assert_eq!(bottle.proofs(&outputs, &first.signatures).len(), 2);
    assert_eq!(states(&bottle, &quotes).await, [MintQuoteState::Issued; 2]);
    assert_eq!(bottle.outstanding().await, 8);
    bottle.restart().await;
    assert_eq!(bottle.mint.issue_batch("bolt11", request.clone()).await.as_ref(), Ok(&first));
    let turned = batch(&[quotes[1].clone(), quotes[0].clone()], &outputs);
    assert_eq!(
        bottle.mint.issue_batch("bolt11", turned).await.as_ref(),
        Ok(&first),
        "the order of quotes says nothing"
    );
    let fewer = MintRequest { quote: quotes[0].clone(), outputs: messages(&outputs), signature: None };
    assert_eq!(code(&bottle.mint.issue("bolt11", fewer).await), 20_002, "one quote of two is another request");
    let others = batch(&quotes, &bottle.outputs(&[4, 4]));
    assert_eq!(code(&bottle.mint.issue_batch("bolt11", others).await), 20_002, "other outputs");
    assert_eq!(bottle.outstanding().await, 8);
}

#[tokio::test]
async fn every_rule_of_a_batch_has_its_code_and_changes_nothing() {
    let bottle = Bottle::new(config()).await;
    let paid = [bottle.paid_quote(5).await, bottle.paid_quote(3).await];
    let unpaid_request = MintQuoteBolt11Request {
        amount: Amount::from_u64(3),
        unit: CurrencyUnit::Sat,
        description: None,
        pubkey: None,
    };
    let unpaid = bottle.mint.open_mint_quote("bolt11", unpaid_request).await.expect("within limits").quote;
    let unknown: QuoteId = "019e6d5a-2347-7000-8037-b42dae20f1fe".parse().expect("well formed");
    let (a, b) = (paid[0].clone(), paid[1].clone());
    let eight = bottle.outputs(&[8]);
    let plain = batch(&paid, &eight);
    let many: Vec<QuoteId> = (0..101).map(|n| format!("q{n}").parse().expect("well formed")).collect();
    let table = [
        ("no quotes", batch(&[], &eight), 10_000),
        ("no outputs", batch(&paid, &[]), 11_000),
        ("a quote twice", batch(&[a.clone(), a.clone()], &eight), 11_016),
        ("too many quotes", batch(&many, &eight), 11_017),
        ("an unknown quote", batch(&[a.clone(), unknown], &eight), 20_000),
        ("an unpaid quote", batch(&[a.clone(), unpaid], &eight), 20_001),
        ("too little out", batch(&paid, &bottle.outputs(&[4])), 11_005),
        ("too much out", batch(&paid, &bottle.outputs(&[8, 1])), 11_005),
        ("an amount too few", MintBatchRequest { quote_amounts: Some(amounts(&[8])), ..plain.clone() }, 10_000),
        ("other amounts", MintBatchRequest { quote_amounts: Some(amounts(&[4, 4])), ..plain.clone() }, 11_005),
        ("a signature too few", MintBatchRequest { signatures: Some(signatures(vec![None])), ..plain.clone() }, 20_008),
        (
            "a signature for a quote that is not locked",
            MintBatchRequest { signatures: Some(signatures(vec![None, Some("ab".repeat(64))])), ..plain.clone() },
            20_008,
        ),
    ];
    for (what, request, expected) in table {
        assert_eq!(code(&bottle.mint.issue_batch("bolt11", request).await), expected, "{what}");
    }
    assert_eq!(code(&bottle.mint.issue_batch("bolt12", plain.clone()).await), 10_000, "another method");
    assert_eq!(states(&bottle, &[a, b]).await, [MintQuoteState::Paid; 2]);
    assert_eq!(bottle.outstanding().await, 0);
    bottle.mint.issue_batch("bolt11", plain).await.expect("all was as it should be");
}

#[tokio::test]
async fn locked_quotes_of_a_batch_want_the_signature_of_their_key_over_all_outputs() {
    let bottle = Bottle::new(config()).await;
    let key = SecretKey::from_bytes(&[3; 32]).expect("in range");
    let locked = bottle.paid_locked_quote(4, Some(key.public_key(&bottle.curve))).await;
    let free = bottle.paid_quote(4).await;
    let quotes = [locked.clone(), free.clone()];
    let outputs = bottle.outputs(&[4, 4]);
    let good = sign(&bottle, &key, &locked, &outputs);
    let other_key = SecretKey::from_bytes(&[4; 32]).expect("in range");
    for (what, list) in [
        ("none", None),
        ("null for the locked one", Some(signatures(vec![None, None]))),
        ("of another key", Some(signatures(vec![Some(sign(&bottle, &other_key, &locked, &outputs)), None]))),
        ("of another quote", Some(signatures(vec![Some(sign(&bottle, &key, &free, &outputs)), None]))),
        ("over fewer outputs", Some(signatures(vec![Some(sign(&bottle, &key, &locked, &outputs[..1])), None]))),
        ("in the wrong place", Some(signatures(vec![None, Some(good.clone())]))),
    ] {
        let request = MintBatchRequest { signatures: list, ..batch(&quotes, &outputs) };
        assert_eq!(code(&bottle.mint.issue_batch("bolt11", request).await), 20_008, "{what}");
    }
    let request = MintBatchRequest { signatures: Some(signatures(vec![Some(good), None])), ..batch(&quotes, &outputs) };
    bottle.mint.issue_batch("bolt11", request).await.expect("signed");
}

#[tokio::test]
async fn batches_and_single_mints_of_one_quote_issue_once() {
    let bottle = Arc::new(Bottle::new(config()).await);
    let (shared, other) = (bottle.paid_quote(8).await, bottle.paid_quote(8).await);
    let tries = (0..50).map(|n| {
        let (bottle, shared, other) = (Arc::clone(&bottle), shared.clone(), other.clone());
        async move {
            if n % 2 == 0 {
                let request = batch(&[shared, other], &bottle.outputs(&[16]));
                bottle.mint.issue_batch("bolt11", request).await
            } else {
                let outputs = messages(&bottle.outputs(&[8]));
                bottle.mint.issue("bolt11", MintRequest { quote: shared, outputs, signature: None }).await
            }
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.iter().filter(|answer| answer.is_err()) {
        assert_eq!(code(refused), 20_002);
    }
    assert!([8, 16].contains(&bottle.outstanding().await));
}
