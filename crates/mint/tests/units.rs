//! Units with a rate and payment methods of any name: agreed once, to the msat, and never converted anew.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod world;

use hazel_mint::ports::*;
use hazel_mint::*;
use hazel_protocol::melt::{MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltQuoteState};
use hazel_protocol::mint::{MintQuoteBolt11Request, MintQuoteBolt11Response, MintQuoteState, MintRequest};
use hazel_protocol::*;
use world::*;

const CENT: CurrencyUnit = CurrencyUnit::Usd;

/// A cent is 1052 and 12/19 msat.
const RATE: &str = "20000/19";

/// Sat, usd, eur (which has no source of rates) and two methods.
fn two_of_each() -> MintConfig {
    let usd = UnitConfig {
        quotes: Some(QuoteLimits {
            mint_min: Amount::from_u64(5),
            mint_max: Amount::from_u64(10_000),
            melt_min: Amount::from_u64(2),
            melt_max: Amount::from_u64(1_000),
        }),
        ..UnitConfig::new(CENT)
    };
    let own = QuoteLimits {
        mint_min: Amount::from_u64(50),
        mint_max: Amount::from_u64(60),
        melt_min: Amount::from_u64(50),
        melt_max: Amount::from_u64(60),
    };
    let counter = MethodConfig {
        name: Some("At the counter".to_owned()),
        units: Some(vec![CENT]),
        quotes: [(CENT, own)].into(),
        ..MethodConfig::new(method("counter_1"))
    };
    MintConfig {
        units: vec![UnitConfig::new(CurrencyUnit::Sat), usd, UnitConfig::new(CurrencyUnit::Eur)],
        methods: vec![MethodConfig::new(PaymentMethod::bolt11()), counter],
        ..config()
    }
}

fn method(name: &str) -> PaymentMethod {
    name.parse().unwrap()
}

async fn bottle() -> Bottle {
    let bottle = Bottle::new(two_of_each()).await;
    bottle.rates.set(CENT, RATE);
    bottle
}

fn mint_request(amount: u64, unit: CurrencyUnit) -> MintQuoteBolt11Request {
    MintQuoteBolt11Request { amount: Amount::from_u64(amount), unit, description: None, pubkey: None }
}

async fn open(bottle: &Bottle, method: &str, amount: u64) -> Result<MintQuoteBolt11Response, MintError> {
    bottle.mint.open_mint_quote(method, mint_request(amount, CENT)).await
}

async fn ask(bottle: &Bottle, method: &str, invoice: &str) -> Result<MeltQuoteBolt11Response, MintError> {
    let request = MeltQuoteBolt11Request { request: invoice.to_owned(), unit: CENT, options: None };
    bottle.mint.open_melt_quote(method, request).await
}

fn cents(bottle: &Bottle, amounts: &[u64]) -> Vec<Prepared> {
    let id = bottle.mint.keyring().active(&CENT, bottle.world.now()).unwrap().id;
    amounts.iter().map(|amount| bottle.output_on(id, *amount)).collect()
}

/// Money arrives for a quote, as its backend tells it.
fn pay(bottle: &Bottle, quote: &MintQuoteBolt11Response, msat: u64) {
    let (payment_hash, _) = read_invoice(&quote.request).unwrap();
    let mut settled = bottle.payments.settled.lock().unwrap();
    let cursor = u64::try_from(settled.len()).unwrap() + 1;
    settled.push(Settlement { payment_hash, credit: format!("paid-{cursor}"), amount_msat: msat, cursor });
}

/// Proofs in usd, paid for by `method`.
async fn fund(bottle: &Bottle, method: &str, amounts: &[u64]) -> Vec<Proof> {
    let quote = open(bottle, method, amounts.iter().sum()).await.unwrap();
    let (_, msat) = read_invoice(&quote.request).unwrap();
    pay(bottle, &quote, msat);
    settle(bottle, method, &quote).await;
    let outputs = cents(bottle, amounts);
    let request = MintRequest { quote: quote.quote, outputs: messages(&outputs), signature: None };
    let issued = bottle.mint.issue(method, request).await.unwrap();
    bottle.proofs(&outputs, &issued.signatures)
}

/// Has the reconciler ask about a quote.
async fn settle(bottle: &Bottle, method: &str, quote: &MintQuoteBolt11Response) -> MintQuoteBolt11Response {
    bottle.mint.mint_quote(method, &quote.quote).await.unwrap();
    bottle.mint.sweep().await.unwrap();
    bottle.mint.mint_quote(method, &quote.quote).await.unwrap()
}

#[tokio::test]
async fn an_invoice_asks_for_the_msat_above_and_what_arrives_counts_below() {
    let bottle = bottle().await;
    let quote = open(&bottle, "bolt11", 100).await.unwrap();
    let (_, msat) = read_invoice(&quote.request).unwrap();
    assert_eq!(msat, 105_264, "100 cents are 105,263 and 3/19 msat");
    pay(&bottle, &quote, msat - 1);
    let short = settle(&bottle, "bolt11", &quote).await;
    assert_eq!((short.amount_paid, short.state), (Some(Amount::from_u64(99)), MintQuoteState::Unpaid));
    let quote = open(&bottle, "bolt11", 100).await.unwrap();
    pay(&bottle, &quote, msat);
    let whole = settle(&bottle, "bolt11", &quote).await;
    assert_eq!((whole.amount_paid, whole.state), (Some(Amount::from_u64(100)), MintQuoteState::Paid));
}

#[tokio::test]
async fn a_rate_that_moves_changes_no_quote_that_is_open() {
    let mut bottle = bottle().await;
    let minted = open(&bottle, "bolt11", 100).await.unwrap();
    let (_, msat) = read_invoice(&minted.request).unwrap();
    let proofs = fund(&bottle, "bolt11", &[64, 32, 8]).await;
    bottle.payments.fee_reserve_msat.store(3_000, std::sync::atomic::Ordering::SeqCst);
    let invoice = bottle.payments.foreign_invoice(100_000);
    let melted = ask(&bottle, "bolt11", &invoice).await.unwrap();
    // 100,000 msat are 95 cents, 3,000 msat 2.85: rounded up.
    assert_eq!((melted.amount, melted.fee_reserve), (Amount::from_u64(95), Amount::from_u64(3)));

    // A cent is now worth twice as much, then there is no rate at all, and the process is another one.
    bottle.rates.set(CENT, "40000/19");
    bottle.rates.lose();
    bottle.restart().await;
    pay(&bottle, &minted, msat);
    assert_eq!(settle(&bottle, "bolt11", &minted).await.amount_paid, Some(Amount::from_u64(100)));
    bottle.say(Script::Pay { fee_msat: 1_100 });
    let blanks = cents(&bottle, &[1, 1, 1, 1]);
    let paid = bottle.mint.melt("bolt11", melt_request(&melted.quote, &proofs, &blanks)).await.unwrap();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    let call = bottle.payments.calls.lock().unwrap().last().cloned().unwrap();
    // Three cents of reserve cover 3,157 and 17/19 msat: the msat below.
    assert_eq!((call.amount_msat, call.max_fee_msat), (100_000, 3_157));
    // 101,100 msat are 96.045 cents, so 97: of 104 come back 7.
    let change: Vec<u64> = paid.change.unwrap().iter().map(|signature| signature.amount.to_u64()).collect();
    assert_eq!(change, [1, 2, 4]);
    // New quotes wait for a rate.
    let refused = open(&bottle, "bolt11", 100).await.unwrap_err();
    assert_eq!((refused.blame(), refused.retry_after_secs()), (Blame::Outside, Some(5)));
    let refused = ask(&bottle, "bolt11", &bottle.payments.foreign_invoice(100_000)).await.unwrap_err();
    assert_eq!(refused.blame(), Blame::Outside);
}

/// Else whoever opens both quotes around a change of the rate would make money.
#[tokio::test]
async fn an_own_invoice_costs_what_its_quote_asks_for_whatever_the_rate_is_now() {
    for now in ["40000/19", "10000/19", RATE] {
        let bottle = bottle().await;
        let own = open(&bottle, "bolt11", 100).await.unwrap();
        let proofs = fund(&bottle, "bolt11", &[64, 32, 4, 4]).await;
        bottle.rates.set(CENT, now);
        let quote = ask(&bottle, "bolt11", &own.request).await.unwrap();
        assert_eq!((quote.amount, quote.fee_reserve), (Amount::from_u64(100), Amount::ZERO), "{now}");
        let blanks = cents(&bottle, &[1, 1, 1]);
        let paid = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &blanks)).await.unwrap();
        let change: Vec<u64> = paid.change.unwrap().iter().map(|signature| signature.amount.to_u64()).collect();
        assert_eq!((paid.state, change), (MeltQuoteState::Paid, vec![4]), "{now}");
        let credited = bottle.mint.mint_quote("bolt11", &own.quote).await.unwrap();
        assert_eq!(credited.amount_paid, Some(Amount::from_u64(100)));
        assert!(bottle.payments.calls.lock().unwrap().is_empty(), "nothing was paid outside");
    }
}

#[tokio::test]
async fn units_are_never_mixed_and_one_without_a_rate_has_no_quotes() {
    let bottle = bottle().await;
    let proofs = fund(&bottle, "bolt11", &[64, 32, 8]).await;
    assert_eq!(code(&bottle.swap(&proofs, &bottle.outputs(&[64, 32, 8])).await), 11_010);
    let mut mixed = bottle.fund(&[64]).await;
    mixed.extend(proofs.clone());
    assert_eq!(code(&bottle.swap(&mixed, &cents(&bottle, &[128, 32, 8])).await), 11_009);
    let quote = ask(&bottle, "bolt11", &bottle.payments.foreign_invoice(10_000)).await.unwrap();
    let sats = bottle.fund(&[64]).await;
    assert_eq!(code(&bottle.mint.melt("bolt11", melt_request(&quote.quote, &sats, &[])).await), 11_010);
    let own = bottle.mint.open_mint_quote("bolt11", mint_request(100, CurrencyUnit::Sat)).await.unwrap();
    assert_eq!(code(&ask(&bottle, "bolt11", &own.request).await), 11_010, "an own invoice of another unit");
    let eur = bottle.mint.open_mint_quote("bolt11", mint_request(100, CurrencyUnit::Eur)).await;
    assert_eq!(code(&eur), 11_013);
    bottle.swap(&proofs, &cents(&bottle, &[64, 32, 4, 4])).await.unwrap();
}

#[tokio::test]
async fn limits_are_those_of_the_pair_then_the_unit_then_the_mint_and_shown() {
    let bottle = bottle().await;
    for (method, refused, taken) in [("bolt11", [4, 10_001], [5, 10_000]), ("counter_1", [49, 61], [50, 60])] {
        for amount in refused {
            assert_eq!(code(&open(&bottle, method, amount).await), 11_006, "{method} {amount}");
        }
        for amount in taken {
            open(&bottle, method, amount).await.unwrap();
        }
    }
    // 60 cents are 63,157 msat at most.
    for (msat, fits) in [(51_000, false), (52_000, true), (63_157, true), (63_158, false)] {
        let answer = ask(&bottle, "counter_1", &bottle.payments.foreign_invoice(msat)).await;
        assert_eq!(answer.is_ok(), fits, "{msat}");
    }
    let nuts = bottle.mint.info().nuts;
    let shown = |settings: &hazel_protocol::info::PaymentSettings| -> Vec<_> {
        let row = |method: &hazel_protocol::info::MethodSettings| {
            let (min, max) = (method.min_amount.unwrap().to_u64(), method.max_amount.unwrap().to_u64());
            (method.method.clone(), method.unit.to_string(), min, max)
        };
        settings.methods.iter().map(row).collect()
    };
    let row = |method: &str, unit: &str, min, max| (method.to_owned(), unit.to_owned(), min, max);
    let (sat, counter) = (row("bolt11", "sat", 1, 100_000_000), row("counter_1", "usd", 50, 60));
    assert_eq!(shown(&nuts.nut04.unwrap()), [sat.clone(), row("bolt11", "usd", 5, 10_000), counter.clone()]);
    let nut05 = nuts.nut05.unwrap();
    assert_eq!(shown(&nut05), [sat, row("bolt11", "usd", 2, 1_000), counter]);
    assert_eq!(nut05.methods.last().unwrap().method_name.as_deref(), Some("At the counter"));
}

#[tokio::test]
async fn a_method_of_any_name_works_from_end_to_end_and_by_its_own_path_alone() {
    let bottle = bottle().await;
    let proofs = fund(&bottle, "counter_1", &[32, 16, 8]).await;
    let quote = open(&bottle, "counter_1", 50).await.unwrap();
    for other in ["bolt11", "counter", "counter_1_"] {
        assert!(bottle.mint.mint_quote(other, &quote.quote).await.is_err(), "{other}");
        let outputs = cents(&bottle, &[32, 16, 2]);
        let request = MintRequest { quote: quote.quote.clone(), outputs: messages(&outputs), signature: None };
        assert!(bottle.mint.issue(other, request).await.is_err(), "{other}");
        let check =
            hazel_protocol::mint::MintQuotesCheckRequest { quotes: vec![quote.quote.clone()].try_into().unwrap() };
        assert!(bottle.mint.mint_quotes(other, check).await.is_err(), "{other}");
    }
    // What one method asks for is not paid by the other: each has a backend of its own.
    assert_eq!(code(&ask(&bottle, "bolt11", &quote.request).await), 20_000);
    let sat = bottle.mint.open_mint_quote("counter_1", mint_request(50, CurrencyUnit::Sat)).await;
    assert_eq!(code(&sat), 11_013, "a unit that the method does not serve");

    let melt = ask(&bottle, "counter_1", &bottle.payments.foreign_invoice(55_000)).await.unwrap();
    assert_eq!(melt.amount, Amount::from_u64(53));
    assert!(bottle.mint.melt_quote("bolt11", &melt.quote).await.is_err());
    assert!(bottle.mint.melt("bolt11", melt_request(&melt.quote, &proofs, &[])).await.is_err());
    let blanks = cents(&bottle, &[1, 1]);
    let paid = bottle.mint.melt("counter_1", melt_request(&melt.quote, &proofs, &blanks)).await.unwrap();
    let change: Vec<u64> = paid.change.unwrap().iter().map(|signature| signature.amount.to_u64()).collect();
    assert_eq!((paid.state, change), (MeltQuoteState::Paid, vec![1, 2]));
}

/// Each backend counts for itself.
#[tokio::test]
async fn payments_of_two_methods_may_have_the_same_name() {
    let bottle = bottle().await;
    for method in ["bolt11", "counter_1"] {
        bottle.payments.settled.lock().unwrap().clear();
        let quote = open(&bottle, method, 50).await.unwrap();
        let (_, msat) = read_invoice(&quote.request).unwrap();
        pay(&bottle, &quote, msat);
        for _ in 0..2 {
            assert_eq!(settle(&bottle, method, &quote).await.amount_paid, Some(Amount::from_u64(50)), "{method}");
            bottle.world.ahead.fetch_add(11, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

/// What was paid for, and what is in doubt, outlives the setting.
#[tokio::test]
async fn a_method_that_is_no_longer_served_gives_no_quotes_and_honours_what_was_paid() {
    let bottle = bottle().await;
    let proofs = fund(&bottle, "counter_1", &[32, 16, 8]).await;
    let melt = ask(&bottle, "counter_1", &bottle.payments.foreign_invoice(55_000)).await.unwrap();
    let quote = open(&bottle, "counter_1", 50).await.unwrap();
    let (_, msat) = read_invoice(&quote.request).unwrap();
    pay(&bottle, &quote, msat);
    settle(&bottle, "counter_1", &quote).await;
    let without = MintConfig { methods: vec![MethodConfig::new(PaymentMethod::bolt11())], ..two_of_each() };
    let bottle = bottle.reopen(without).await;
    assert_eq!(code(&open(&bottle, "counter_1", 50).await), 10_000);
    assert_eq!(code(&ask(&bottle, "counter_1", "inv:00:1").await), 10_000);
    let outputs = cents(&bottle, &[32, 16, 2]);
    let request = MintRequest { quote: quote.quote, outputs: messages(&outputs), signature: None };
    bottle.mint.issue("counter_1", request).await.unwrap();
    // Nobody could pay it, so it is said at once and the proofs are free.
    assert_eq!(code(&bottle.mint.melt("counter_1", melt_request(&melt.quote, &proofs, &[])).await), 20_004);
    bottle.swap(&proofs, &cents(&bottle, &[32, 16, 8])).await.unwrap();
}

#[tokio::test]
async fn a_mint_does_not_open_with_methods_that_nobody_serves() {
    let bottle = bottle().await;
    let environment: std::sync::Arc<dyn Environment> = bottle.world.clone();
    for methods in [vec![], vec!["counter_1"], vec!["bolt11", "counter_1"], vec!["bolt11", "bolt11"]] {
        let signer = LocalSigner::new(zeroize::Zeroizing::new(SEED), &[2; 32], environment.clone()).unwrap();
        let ports = Ports {
            store: bottle.store.clone(),
            signer: std::sync::Arc::new(signer),
            payments: Backends::bolt11(bottle.payments.clone()),
            rates: bottle.rates.clone(),
            environment: environment.clone(),
        };
        let methods: Vec<_> = methods.into_iter().map(|name| MethodConfig::new(method(name))).collect();
        let refused = Mint::open(MintConfig { methods, ..two_of_each() }, ports).await;
        assert!(matches!(refused, Err(OpenError::Config(_))));
    }
}
