//! What an operator opens and closes, and that NUT-06 says no more and no less than what holds.

mod world;

use hazel_mint::{Doors, MintConfig, QuoteLimits, UnitConfig};
use hazel_protocol::melt::{AmountlessOption, MeltOptions, MppOption};
use hazel_protocol::*;
use world::*;

fn with_doors(doors: Doors) -> MintConfig {
    MintConfig { doors, ..config() }
}

fn quote_request(amount: u64) -> MintQuoteBolt11Request {
    MintQuoteBolt11Request {
        amount: Amount::from_u64(amount),
        unit: CurrencyUnit::Sat,
        description: None,
        pubkey: None,
    }
}

fn melt_quote_request(invoice: String, options: Option<MeltOptions>) -> MeltQuoteBolt11Request {
    MeltQuoteBolt11Request { request: invoice, unit: CurrencyUnit::Sat, options }
}

#[tokio::test]
async fn a_mint_that_stopped_minting_still_issues_what_was_paid() {
    let bottle = Bottle::new(with_doors(Doors::default())).await;
    let paid = bottle.paid_quote(8).await;
    let bottle = bottle.reopen(with_doors(Doors { minting: false, ..Doors::default() })).await;
    let info = bottle.mint.info().nuts;
    assert_eq!((info.nut04.map(|s| s.disabled), info.nut05.map(|s| s.disabled)), (Some(true), Some(false)));
    assert_eq!(code(&bottle.mint.open_mint_quote("bolt11", quote_request(8)).await), 20_003);
    let outputs = bottle.outputs(&[8]);
    let request = MintRequest { quote: paid, outputs: messages(&outputs), signature: None };
    bottle.mint.issue("bolt11", request).await.expect("it is paid for");
}

#[tokio::test]
async fn a_mint_that_stopped_paying_still_answers_what_it_paid() {
    let bottle = Bottle::new(with_doors(Doors::default())).await;
    let proofs = bottle.fund(&[8, 4]).await;
    let paid = bottle.melt_quote(&bottle.payments.foreign_invoice(8_000)).await;
    let open = bottle.melt_quote(&bottle.payments.foreign_invoice(4_000)).await;
    let request = melt_request(&paid.quote, &proofs[..1], &[]);
    let answer = bottle.mint.melt("bolt11", request.clone()).await.expect("paid");
    let bottle = bottle.reopen(with_doors(Doors { melting: false, ..Doors::default() })).await;
    assert_eq!(bottle.mint.info().nuts.nut05.map(|settings| settings.disabled), Some(true));
    let fresh = melt_quote_request(bottle.payments.foreign_invoice(1_000), None);
    assert_eq!(code(&bottle.mint.open_melt_quote("bolt11", fresh).await), 20_000);
    assert_eq!(code(&bottle.mint.melt("bolt11", melt_request(&open.quote, &proofs[1..], &[])).await), 20_000);
    assert_eq!(bottle.states(&proofs).await, [ProofState::Spent, ProofState::Unspent]);
    assert_eq!(bottle.mint.melt("bolt11", request).await, Ok(answer), "the same request again");
}

#[tokio::test]
async fn a_key_can_be_required_of_mint_quotes() {
    let bottle = Bottle::new(with_doors(Doors { pubkey_required: true, ..Doors::default() })).await;
    assert_eq!(code(&bottle.mint.open_mint_quote("bolt11", quote_request(8)).await), 20_009);
    let pubkey = Some(SecretKey::from_bytes(&[7; 32]).expect("a key").public_key(&Curve::new(&[1; 32])));
    let locked = MintQuoteBolt11Request { pubkey, ..quote_request(8) };
    let quote = bottle.mint.open_mint_quote("bolt11", locked).await.expect("a quote");
    assert_eq!(quote.pubkey, pubkey);
}

#[tokio::test]
async fn what_the_backend_cannot_is_neither_advertised_nor_done() {
    let bottle = Bottle::new(config()).await;
    let nuts = bottle.mint.info().nuts;
    assert_eq!(nuts.nut15, None);
    let methods = nuts.nut05.expect("melting").methods;
    assert_eq!(methods[0].options, Some(serde_json::json!({ "amountless": false })));
    let msat = Amount::from_u64(4_000);
    let part = MeltOptions { amountless: None, mpp: Some(MppOption { amount: msat }) };
    let chosen = MeltOptions { amountless: Some(AmountlessOption { amount_msat: msat }), mpp: None };
    for (options, refused_with) in [(part, 11_012), (chosen, 11_011)] {
        let request = melt_quote_request(bottle.payments.foreign_invoice(8_000), Some(options));
        assert_eq!(code(&bottle.mint.open_melt_quote("bolt11", request).await), refused_with);
    }
}

#[tokio::test]
async fn every_limit_that_is_advertised_holds_to_the_unit() {
    let mut limited = config();
    limited.limits.mint_min = Amount::from_u64(5);
    limited.limits.mint_max = Amount::from_u64(50);
    limited.limits.melt_min = Amount::from_u64(6);
    limited.limits.melt_max = Amount::from_u64(60);
    limited.limits.max_batch = 2;
    let bottle = Bottle::new(limited).await;
    let nuts = bottle.mint.info().nuts;
    let range = |settings: Option<PaymentSettings>| {
        let method = settings.expect("shown").methods.remove(0);
        let bound = |amount: Option<Amount>| amount.expect("shown").to_u64();
        (bound(method.min_amount), bound(method.max_amount))
    };
    let (least, most) = range(nuts.nut04);
    for (amount, refused) in [(least - 1, true), (least, false), (most, false), (most + 1, true)] {
        let answer = bottle.mint.open_mint_quote("bolt11", quote_request(amount)).await;
        assert_eq!(answer.is_err(), refused, "mint {amount}");
        assert!(!refused || code(&answer) == 11_006, "mint {amount}: {answer:?}");
    }
    let (least, most) = range(nuts.nut05);
    for (amount, refused) in [(least - 1, true), (least, false), (most, false), (most + 1, true)] {
        let request = melt_quote_request(bottle.payments.foreign_invoice(amount * 1_000), None);
        let answer = bottle.mint.open_melt_quote("bolt11", request).await;
        assert_eq!(answer.is_err(), refused, "melt {amount}");
        assert!(!refused || code(&answer) == 11_006, "melt {amount}: {answer:?}");
    }
    let batch = nuts.nut29.and_then(|settings| settings.max_batch_size).expect("shown");
    let mut quotes = Vec::new();
    for _ in 0..=batch {
        quotes.push(bottle.mint.open_mint_quote("bolt11", quote_request(5)).await.expect("a quote").quote);
    }
    let check = |quotes: &[QuoteId]| MintQuotesCheckRequest { quotes: quotes.to_vec().try_into().expect("few") };
    bottle.mint.mint_quotes("bolt11", check(&quotes[1..])).await.expect("as many as is said");
    assert_eq!(code(&bottle.mint.mint_quotes("bolt11", check(&quotes)).await), 11_017);
}

#[tokio::test]
async fn each_unit_has_limits_of_its_own() {
    let [mint_min, mint_max, melt_min, melt_max] = [2_000, 9_000, 3_000, 8_000].map(Amount::from_u64);
    let own = QuoteLimits { mint_min, mint_max, melt_min, melt_max };
    let msat = UnitConfig { quotes: Some(own), ..UnitConfig::new(CurrencyUnit::Msat) };
    let mut both = MintConfig { units: vec![UnitConfig::new(CurrencyUnit::Sat), msat], ..config() };
    both.limits.mint_max = Amount::from_u64(50);
    both.limits.melt_max = Amount::from_u64(60);
    let bottle = Bottle::new(both).await;
    let nuts = bottle.mint.info().nuts;
    let most = |settings: Option<PaymentSettings>| {
        let of = |method: MethodSettings| (method.unit.to_string(), method.min_amount, method.max_amount);
        let mut shown: Vec<_> = settings.expect("shown").methods.into_iter().map(of).collect();
        shown.sort();
        shown
    };
    let row =
        |unit: &str, min: u64, max: u64| (unit.to_owned(), Some(Amount::from_u64(min)), Some(Amount::from_u64(max)));
    assert_eq!(most(nuts.nut04), [row("msat", 2_000, 9_000), row("sat", 1, 50)]);
    assert_eq!(most(nuts.nut05), [row("msat", 3_000, 8_000), row("sat", 1, 60)]);
    for (unit, amount, refused) in [
        (CurrencyUnit::Msat, 1_999, true),
        (CurrencyUnit::Msat, 2_000, false),
        (CurrencyUnit::Msat, 9_000, false),
        (CurrencyUnit::Msat, 9_001, true),
        (CurrencyUnit::Sat, 50, false),
        (CurrencyUnit::Sat, 51, true),
    ] {
        let request = MintQuoteBolt11Request { unit: unit.clone(), ..quote_request(amount) };
        let answer = bottle.mint.open_mint_quote("bolt11", request).await;
        assert_eq!(answer.is_err(), refused, "mint {amount} {unit}: {answer:?}");
    }
    for (unit, msat, refused) in [
        (CurrencyUnit::Msat, 2_999, true),
        (CurrencyUnit::Msat, 3_000, false),
        (CurrencyUnit::Msat, 8_000, false),
        (CurrencyUnit::Msat, 8_001, true),
        (CurrencyUnit::Sat, 60_000, false),
        (CurrencyUnit::Sat, 60_001, true),
    ] {
        let invoice = bottle.payments.foreign_invoice(msat);
        let request = MeltQuoteBolt11Request { unit: unit.clone(), ..melt_quote_request(invoice, None) };
        let answer = bottle.mint.open_melt_quote("bolt11", request).await;
        assert_eq!(answer.is_err(), refused, "melt {msat} msat in {unit}: {answer:?}");
        assert!(!refused || code(&answer) == 11_006, "{answer:?}");
    }
}

#[tokio::test]
async fn a_unit_that_is_only_spent_is_advertised_for_payments_alone() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let next = UnitConfig::new(CurrencyUnit::Sat).into();
    let signing = bottle.mint.rotate_keyset(next, "operator").await.expect("rotates");
    bottle.mint.latch_keyset(signing, true, "operator", "").await.expect("stops");
    let nuts = bottle.mint.info().nuts;
    assert_eq!(nuts.nut04.expect("minting").methods, []);
    assert!(bottle.mint.open_mint_quote("bolt11", quote_request(8)).await.is_err(), "nothing is sold");
    let paying: Vec<_> = nuts.nut05.expect("melting").methods.into_iter().map(|method| method.unit).collect();
    assert_eq!(paying, [CurrencyUnit::Sat], "once, for all its keysets");
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8_000)).await;
    bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await.expect("paid");
    bottle.mint.latch_keyset(proofs[0].id, true, "operator", "").await.expect("stops");
    assert_eq!(bottle.mint.info().nuts.nut05.expect("melting").methods, [], "nothing can be spent either");
}
