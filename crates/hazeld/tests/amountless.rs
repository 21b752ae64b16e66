//! NUT-23 over HTTP: invoices that leave the amount to the payer.

mod client;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Answer, Hazeld, Launch, Wallet, audit, payments_by_hash, sum};
use hazel_lightning::fake::InvoiceSpec;
use hazel_protocol::{
    Amount, AmountlessOption, CurrencyUnit, MeltOptions, MeltQuoteBolt11Request, MeltQuoteBolt11Response,
    MeltQuoteState, MintInfo, MppOption, ProofState,
};
use serde_json::json;

/// An invoice of a node somewhere else, without an amount or over so many msat. Each `number` is another invoice.
fn invoice_over(number: u8, msat: Option<u64>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    InvoiceSpec::foreign([number; 32], msat, "a test", now).build().expect("an invoice")
}

fn chosen(msat: u64) -> MeltOptions {
    MeltOptions { amountless: Some(AmountlessOption { amount_msat: Amount::from_u64(msat) }), mpp: None }
}

/// A mint whose node asks for 2 sat of fee and uses 1.
async fn open(folder: &Path) -> (Hazeld, Wallet) {
    let mint = Launch::dev(folder).fake("reserve-min-msat", 2_000).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    (mint, wallet)
}

async fn quote(wallet: &Wallet, invoice: &str, options: Option<MeltOptions>) -> Answer {
    let request = MeltQuoteBolt11Request { request: invoice.to_owned(), unit: CurrencyUnit::Sat, options };
    wallet.api.post("/v1/melt/quote/bolt11", &request).await
}

async fn advertised(wallet: &Wallet) -> serde_json::Value {
    let info: MintInfo = wallet.api.get("/v1/info").await.ok();
    json!(info.nuts.nut05.expect("it pays").methods[0].options)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_chooses_to_the_msat_and_pays_whole_sats() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mint, wallet) = open(folder.path()).await;
    assert_eq!(advertised(&wallet).await, json!({ "amountless": true }));
    let mut held = 0;
    for (number, msat, owed, given) in [(1, 10_500, 11, 16), (2, 1, 1, 4), (3, 7_000, 7, 9)] {
        let invoice = invoice_over(number, None);
        let quote: MeltQuoteBolt11Response = quote(&wallet, &invoice, Some(chosen(msat))).await.ok();
        assert_eq!((quote.amount.to_u64(), quote.fee_reserve.to_u64()), (owed, 2), "{msat} msat");
        let (coins, blanks) = (wallet.mint(given).await, wallet.draft(&[0; 4]));
        let paid: MeltQuoteBolt11Response =
            wallet.try_melt(&quote.quote, &coins, &blanks).await.expect("answered").ok();
        assert_eq!(paid.state, MeltQuoteState::Paid);
        let change = sum(&wallet.finish(&blanks, &paid.change.expect("change")));
        assert_eq!(change, given - owed - 1, "{msat} msat");
        held += change;
    }
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_is_missing_or_impossible_is_refused_at_the_quote() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mint, wallet) = open(folder.path()).await;
    let (open, fixed) = (invoice_over(1, None), invoice_over(2, Some(8_000)));
    let part = MeltOptions { amountless: None, mpp: Some(MppOption { amount: Amount::from_u64(1_000) }) };
    let both = MeltOptions { mpp: part.mpp, ..chosen(1_000) };
    for (what, invoice, options, code) in [
        ("no options", &open, None, 11_011),
        ("empty options", &open, Some(MeltOptions::default()), 11_011),
        ("a part of nothing", &open, Some(part), 11_011),
        ("both", &open, Some(both), 11_012),
        ("nothing", &open, Some(chosen(0)), 11_006),
        ("more than there is", &open, Some(chosen(u64::MAX)), 11_006),
        ("less than the invoice", &fixed, Some(chosen(7_999)), 11_012),
        ("more than the invoice", &fixed, Some(chosen(8_001)), 11_012),
    ] {
        let answer = quote(&wallet, invoice, options).await;
        assert_eq!((answer.status, answer.code()), (400, Some(code)), "{what}: {answer:?}");
    }
    let same: MeltQuoteBolt11Response = quote(&wallet, &fixed, Some(chosen(8_000))).await.ok();
    assert_eq!(same.amount.to_u64(), 8, "the invoice's own amount, said again");
    mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_of_two_amounts_for_one_invoice_lead_to_one_payment() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mint, wallet) = open(folder.path()).await;
    let invoice = invoice_over(1, None);
    let small: MeltQuoteBolt11Response = quote(&wallet, &invoice, Some(chosen(5_000))).await.ok();
    let large: MeltQuoteBolt11Response = quote(&wallet, &invoice, Some(chosen(6_000))).await.ok();
    let (coins, others) = (wallet.mint(7).await, wallet.mint(8).await);
    let none = wallet.draft(&[]);
    assert!(wallet.try_melt(&small.quote, &coins, &none).await.expect("answered").is_ok());
    let refused = wallet.try_melt(&large.quote, &others, &none).await.expect("answered");
    assert_eq!(refused.code(), Some(20_006), "{refused:?}");
    assert!(wallet.states(&others).await.iter().all(|state| *state == ProofState::Unspent));
    assert_eq!(quote(&wallet, &invoice, Some(chosen(5_000))).await.code(), Some(20_006), "paid is paid");
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(8);
    assert!(payments_by_hash(&folder.path().join("lightning.sqlite")).values().eq(&[1]));
}
