//! NUT-04 and NUT-20 on the engine: quotes, payment, issuing, replays.

mod world;

use std::sync::Arc;

use hazel_mint::ports::*;
use hazel_protocol::mint::*;
use hazel_protocol::*;
use world::*;

fn quote_request(amount: u64, pubkey: Option<PublicKey>) -> MintQuoteBolt11Request {
    MintQuoteBolt11Request { amount: Amount::from_u64(amount), unit: CurrencyUnit::Sat, description: None, pubkey }
}

fn mint_request(quote: &QuoteId, outputs: &[Prepared]) -> MintRequest {
    MintRequest { quote: quote.clone(), outputs: messages(outputs), signature: None }
}

#[tokio::test]
async fn a_quote_is_unpaid_then_paid_then_issued() {
    let bottle = Bottle::new(config()).await;
    bottle.mint.start();
    let opened = bottle.mint.open_mint_quote("bolt11", quote_request(10, None)).await.expect("within limits");
    assert_eq!(opened.state, MintQuoteState::Unpaid);
    let outputs = bottle.outputs(&[2, 8]);
    let early = bottle.mint.issue("bolt11", mint_request(&opened.quote, &outputs)).await;
    assert_eq!(code(&early), 20_001);
    let (hash, msat) = read_invoice(&opened.request).expect("ours");
    bottle.payments.settle(hash, msat);
    let paid = loop {
        let quote = bottle.mint.mint_quote("bolt11", &opened.quote).await.expect("known");
        if quote.state != MintQuoteState::Unpaid {
            break quote;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((paid.state, paid.amount_paid), (MintQuoteState::Paid, Some(Amount::from_u64(10))));
    assert!(paid.updated_at > opened.updated_at, "strictly, also within one second");
    bottle.mint.issue("bolt11", mint_request(&opened.quote, &outputs)).await.expect("paid");
    let issued = bottle.mint.mint_quote("bolt11", &opened.quote).await.expect("known");
    assert_eq!(issued.state, MintQuoteState::Issued);
    assert!(issued.updated_at > paid.updated_at);
    assert!(bottle.mint.drain(std::time::Duration::from_secs(5)).await);
}

#[tokio::test]
async fn one_settlement_delivered_often_is_credited_once() {
    let bottle = Bottle::new(config()).await;
    let opened = bottle.mint.open_mint_quote("bolt11", quote_request(10, None)).await.expect("within limits");
    let (hash, msat) = read_invoice(&opened.request).expect("ours");
    bottle.payments.settle(hash, msat);
    bottle.mint.start();
    for _ in 0..20 {
        bottle.mint.mint_quote("bolt11", &opened.quote).await.expect("known");
        bottle.mint.sweep().await.expect("readable");
    }
    let quote = bottle.mint.mint_quote("bolt11", &opened.quote).await.expect("known");
    assert_eq!(quote.amount_paid, Some(Amount::from_u64(10)));
}

#[tokio::test]
async fn quote_rules_have_their_codes() {
    let bottle = Bottle::new(config()).await;
    let open = |request: MintQuoteBolt11Request| async { code(&bottle.mint.open_mint_quote("bolt11", request).await) };
    assert_eq!(open(quote_request(0, None)).await, 11_006);
    assert_eq!(open(quote_request(100_000_001, None)).await, 11_006);
    assert_eq!(open(quote_request(1 << 63, None)).await, 11_006);
    let usd = MintQuoteBolt11Request { unit: CurrencyUnit::Usd, ..quote_request(1, None) };
    assert_eq!(open(usd).await, 11_013);
    assert_eq!(code(&bottle.mint.open_mint_quote("bolt12", quote_request(1, None)).await), 10_000);
    let unknown = QuoteId::new("no-such-quote").expect("well formed");
    assert_eq!(code(&bottle.mint.mint_quote("bolt11", &unknown).await), 20_000);
    let quote = bottle.paid_quote(8).await;
    assert_eq!(code(&bottle.mint.mint_quote("bolt12", &quote).await), 10_000);
}

#[tokio::test]
async fn outputs_must_sum_to_the_quote() {
    let bottle = Bottle::new(config()).await;
    let quote = bottle.paid_quote(8).await;
    for amounts in [&[8, 1][..], &[4], &[1 << 39, 1 << 39]] {
        let answer = bottle.mint.issue("bolt11", mint_request(&quote, &bottle.outputs(amounts))).await;
        assert_eq!(code(&answer), 11_005, "{amounts:?}");
    }
    bottle.mint.issue("bolt11", mint_request(&quote, &bottle.outputs(&[8]))).await.expect("the quote is still good");
}

#[tokio::test]
async fn fifty_mints_of_one_quote_issue_once_and_the_winner_replays() {
    let bottle = Arc::new(Bottle::new(config()).await);
    let quote = bottle.paid_quote(8).await;
    let tries = (0..50).map(|_| {
        let (bottle, quote) = (Arc::clone(&bottle), quote.clone());
        async move {
            let request = mint_request(&quote, &bottle.outputs(&[8]));
            (bottle.mint.issue("bolt11", request.clone()).await, request)
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|(answer, _)| answer.is_ok()).count(), 1);
    for (answer, request) in answers {
        match answer {
            Ok(first) => assert_eq!(bottle.mint.issue("bolt11", request).await, Ok(first), "a replay"),
            Err(_) => assert_eq!(code(&answer), 20_002),
        }
    }
    assert_eq!(bottle.outstanding().await, 8);
}

#[tokio::test]
async fn a_quote_paid_after_its_expiry_is_issued() {
    let bottle = Bottle::new(config()).await;
    let quote = bottle.paid_quote(8).await;
    bottle.world.ahead.store(1 << 33, std::sync::atomic::Ordering::SeqCst);
    bottle.mint.issue("bolt11", mint_request(&quote, &bottle.outputs(&[8]))).await.expect("paid is paid");
}

#[tokio::test]
async fn a_locked_quote_wants_the_signature_of_its_key_over_these_outputs() {
    let bottle = Bottle::new(config()).await;
    let secp = secp256k1::Secp256k1::new();
    let pair = secp256k1::Keypair::from_seckey_slice(&secp, &[5; 32]).expect("a scalar");
    let key = PublicKey::from_bytes(&pair.public_key().serialize()).expect("a point");
    let opened = bottle.mint.open_mint_quote("bolt11", quote_request(10, Some(key))).await.expect("within limits");
    let credit = CreditMintQuote {
        quote: opened.quote.clone(),
        credit: "c".to_owned(),
        amount: Amount::from_u64(10),
        cursor: None,
        now: bottle.world.now(),
    };
    bottle.store.apply(Change::CreditMintQuote(credit)).await.expect("credited");
    let outputs = bottle.outputs(&[2, 8]);
    let sign = |pair: &secp256k1::Keypair, quote: &str, outputs: &[Prepared]| {
        use bitcoin::hashes::{Hash, sha256};
        let text: String = outputs.iter().map(|o| o.message.b.to_string()).collect();
        let digest = sha256::Hash::hash(format!("{quote}{text}").as_bytes()).to_byte_array();
        secp.sign_schnorr_no_aux_rand(&secp256k1::Message::from_digest(digest), pair).to_string()
    };
    let other = secp256k1::Keypair::from_seckey_slice(&secp, &[6; 32]).expect("a scalar");
    let id = opened.quote.as_str();
    let reordered = [outputs[1].clone(), outputs[0].clone()];
    let bad = [
        None,
        Some("00".to_owned()),
        Some(sign(&other, id, &outputs)),
        Some(sign(&pair, "another-quote", &outputs)),
        Some(sign(&pair, id, &reordered)),
        Some(sign(&pair, id, &outputs[..1])),
    ];
    for signature in bad {
        let request = MintRequest { signature: signature.clone(), ..mint_request(&opened.quote, &outputs) };
        assert_eq!(code(&bottle.mint.issue("bolt11", request).await), 20_008, "{signature:?}");
    }
    let signature = Some(sign(&pair, id, &outputs));
    let request = MintRequest { signature, ..mint_request(&opened.quote, &outputs) };
    bottle.mint.issue("bolt11", request).await.expect("signed by the owner");
}

#[tokio::test]
async fn rotation_moves_signing_to_the_new_keyset_and_keeps_the_old_spendable() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let old = proofs[0].id;
    let late = bottle.paid_quote(8).await;
    let rotate = hazel_mint::config::UnitConfig::new(CurrencyUnit::Sat).into();
    let new = bottle.mint.rotate_keyset(rotate, "operator").await.expect("rotates");
    let answer = bottle.mint.issue("bolt11", mint_request(&late, &[bottle.output_on(old, 8)])).await;
    assert_eq!(code(&answer), 12_002);
    let swapped = bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("old proofs spend");
    assert_eq!(swapped[0].id, new);
    assert_eq!(bottle.mint.keys().keysets.len(), 1);
    assert_eq!(bottle.mint.keysets().keysets.len(), 2, "listed for ever");
    assert!(bottle.mint.keys_of(&old).is_ok());
}

#[tokio::test]
async fn an_expired_keyset_neither_signs_nor_spends() {
    let mut units = vec![hazel_mint::UnitConfig::new(CurrencyUnit::Sat)];
    let bottle = Bottle::new(config()).await;
    let soon = bottle.world.now().plus(10_000);
    units[0].final_expiry = Some(soon);
    let bottle = Bottle::new(hazel_mint::MintConfig { units, ..config() }).await;
    let proofs = bottle.fund(&[8]).await;
    let outputs = bottle.outputs(&[8]);
    bottle.world.ahead.store(20_000, std::sync::atomic::Ordering::SeqCst);
    let answer = bottle.mint.swap(swap_request(&proofs, &outputs)).await;
    assert_eq!(code(&answer), 12_003);
}
