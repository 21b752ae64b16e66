//! Units that are not bitcoin's own, over HTTP: worth what the operator says when a quote is opened, to the msat.

mod client;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Answer, Hazeld, Launch, Wallet, sum};
use hazel_lightning::fake::{InvoiceSpec, open_ledger};
use hazel_protocol::{
    CurrencyUnit, KeysetsResponse, MeltQuoteBolt11Response, MeltQuoteState, MintInfo, MintQuoteBolt11Response, Proof,
    ProofState,
};
use serde_json::{Value, json};

/// A cent is 1052 and 12/19 msat.
const USD: &str = "usd=20000/19";

/// A point is 2500 msat and a half.
const POINTS: &str = "points=2500.5";

/// An invoice of a node somewhere else. Each `number` is another invoice.
fn invoice_over(number: u8, msat: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    InvoiceSpec::foreign([number; 32], Some(msat), "a test", now).build().expect("an invoice")
}

/// A mint in three units, whose node asks for 3,000 msat of fee and uses half of it.
fn launch(folder: &Path, usd: &str) -> Hazeld {
    let units = ["--unit", "sat", "--unit", usd, "--unit", POINTS, "--input-fee-ppk", "100"];
    Launch::dev(folder).args(&units).fake("reserve-min-msat", 3_000).start()
}

fn points() -> CurrencyUnit {
    "points".parse().expect("a unit")
}

async fn asked(wallet: &Wallet, unit: &str, path: &str, more: Value) -> Answer {
    let mut request = json!({ "unit": unit });
    request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    wallet.api.post(path, &request).await
}

/// The only invoice of the fake node over so many msat.
fn is_asked_for(folder: &Path, msat: u64) -> bool {
    let invoices = open_ledger(folder.join("lightning.sqlite")).and_then(|books| books.invoices()).expect("readable");
    invoices.iter().filter(|invoice| invoice.amount_msat == msat).count() == 1
}

struct Melted {
    amount: u64,
    reserve: u64,
    change: u64,
}

/// Pays an invoice of a node somewhere else, with blanks for the change.
async fn melt(wallet: &Wallet, invoice: &str, coins: &[Proof]) -> (Melted, Vec<Proof>) {
    let quote = wallet.melt_quote(invoice).await;
    let blanks = wallet.draft(&[0; 6]);
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote.quote, coins, &blanks).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    let change = wallet.finish(&blanks, &paid.change.expect("change"));
    let melted = Melted { amount: quote.amount.to_u64(), reserve: quote.fee_reserve.to_u64(), change: sum(&change) };
    (melted, change)
}

#[tokio::test(flavor = "multi_thread")]
async fn cents_and_points_are_minted_swapped_and_melted_to_the_msat() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path(), USD);
    // 100 cents are 105,263.15.. msat, 100 points 250,050. 100,000 msat are 95 cents or 39.99.. points; the fee of at most 3,000 msat is 2.85
    // cents or 1.19.. points. Paid are 101,500 msat: 96.4 cents or 40.59 points. One input in all costs one unit.
    for (number, unit, asked, owed, reserve, charged) in
        [(1, CurrencyUnit::Usd, 105_264, 95, 3, 97), (2, points(), 250_050, 40, 2, 41)]
    {
        let wallet = Wallet::open_in(mint.url(), number, unit.clone()).await;
        let coins = wallet.mint(100).await;
        assert!(is_asked_for(folder.path(), asked), "{unit}");
        let coins = wallet.swap(&coins).await;
        assert_eq!(sum(&coins), 99, "{unit}: the fee of a swap");
        let (melted, change) = melt(&wallet, &invoice_over(number, 100_000), &coins).await;
        assert_eq!((melted.amount, melted.reserve), (owed, reserve), "{unit}");
        assert_eq!(melted.change, 99 - charged - wallet.fee(coins.len()), "{unit}");
        assert!(wallet.states(&change).await.iter().all(|state| *state == ProofState::Unspent));
        let books = open_ledger(folder.path().join("lightning.sqlite")).expect("the fake's books open");
        let call = books.pay_calls().expect("readable").pop().expect("it was called");
        let cap = if unit == CurrencyUnit::Usd { 3_157 } else { 5_001 };
        assert_eq!((call.amount_msat, call.max_fee_msat), (100_000, cap), "{unit}");
    }
    mint.stop();
}

/// Quotes on both sides of a new rate: each is settled as it was opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_rate_is_for_new_quotes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path(), USD);
    let wallet = Wallet::open_in(mint.url(), 1, CurrencyUnit::Usd).await;
    let coins = wallet.mint(200).await;
    let unspent = wallet.mint_quote(70).await;
    let owing = wallet.melt_quote(&invoice_over(1, 100_000)).await;
    mint.stop();
    let mint = launch(folder.path(), "usd=40000/19");
    let wallet = wallet.moved_to(mint.url());
    let fresh = wallet.melt_quote(&invoice_over(2, 100_000)).await;
    assert_eq!((fresh.amount.to_u64(), fresh.fee_reserve.to_u64()), (48, 2), "half as many");
    assert_eq!(wallet.melt_quote_now(&owing.quote).await.amount.to_u64(), 95);
    let blanks = wallet.draft(&[0; 8]);
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&owing.quote, &coins, &blanks).await.expect("answered").ok();
    let change = sum(&wallet.finish(&blanks, &paid.change.expect("change")));
    assert_eq!(change, 200 - 97 - wallet.fee(coins.len()), "at the old rate");
    let state = async || {
        let path = format!("/v1/mint/quote/bolt11/{}", unspent.quote.as_str());
        wallet.api.get(&path).await.ok::<MintQuoteBolt11Response>().amount_paid.expect("told").to_u64()
    };
    for _ in 0..1_200 {
        if state().await > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(state().await, 70, "paid with the msat of the old rate");
    mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_never_mixed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path(), USD);
    let (sat, usd) = (Wallet::open(mint.url(), 1).await, Wallet::open_in(mint.url(), 2, CurrencyUnit::Usd).await);
    let (sats, cents) = (sat.mint(64).await, usd.mint(64).await);
    let refused = |answer: Option<Answer>| answer.expect("answered").code();
    assert_eq!(refused(sat.try_swap(&sats, &usd.draft(&[32])).await), Some(11_010));
    let both = [sats.clone(), cents.clone()].concat();
    assert_eq!(refused(usd.try_swap(&both, &usd.draft(&[64])).await), Some(11_009));
    let quote = usd.paid_quote(32).await;
    assert_eq!(refused(sat.try_issue(&quote, &sat.draft(&[32])).await), Some(11_010));
    let melt = usd.melt_quote(&invoice_over(1, 10_000)).await;
    assert_eq!(refused(usd.try_melt(&melt.quote, &sats, &usd.draft(&[0])).await), Some(11_010));
    assert_eq!(refused(usd.try_melt(&melt.quote, &cents, &sat.draft(&[0])).await), Some(11_010));
    // An invoice of the mint's own is settled in its own unit alone.
    let own = sat.mint_quote(10).await;
    let other = asked(&usd, "usd", "/v1/melt/quote/bolt11", json!({ "request": own.request })).await;
    assert_eq!(other.code(), Some(11_010));
    let auth = asked(&usd, "auth", "/v1/mint/quote/bolt11", json!({ "amount": 1 })).await;
    assert_eq!(auth.code(), Some(11_013));
    let euro = asked(&usd, "eur", "/v1/melt/quote/bolt11", json!({ "request": invoice_over(2, 10_000) })).await;
    assert_eq!(euro.code(), Some(11_013));
    usd.swap(&cents).await;
    sat.swap(&sats).await;
    mint.stop();
}

/// Limits of each unit, shown as they are enforced, from a configuration.
#[tokio::test(flavor = "multi_thread")]
async fn each_unit_has_limits_and_keysets_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = Launch::hazeld(&["config", "example"]).output().stdout;
    let example = String::from_utf8(example).expect("UTF-8");
    let units = "[[unit]]\nunit = \"usd\"\nrate = \"20000/19\"\nmint_min = 5\nmint_max = 50\nmelt_min = 6\nmelt_max = 60\n\
                 [[unit]]\nunit = \"points\"\nrate = \"2500.5\"\ninput_fee_ppk = 7\ndenominations = [1, 10, 100]\n";
    let file = folder.path().join("hazeld.toml");
    std::fs::write(&file, format!("{example}\n{units}")).expect("written");
    Launch::hazeld(&["seed", "new", "--file"]).arg(folder.path().join("seed")).output();
    let mint = Launch::hazeld(&["start", "--config"]).arg(&file).env("HAZELD_HTTP__LISTEN", "127.0.0.1:0").start();
    let wallet = Wallet::open_in(mint.url(), 1, CurrencyUnit::Usd).await;
    for (amount, code) in [(4, Some(11_006)), (5, None), (50, None), (51, Some(11_006))] {
        let answer = asked(&wallet, "usd", "/v1/mint/quote/bolt11", json!({ "amount": amount })).await;
        assert_eq!(answer.code(), code, "{amount}");
    }
    // With a reserve of 1,000 msat, one cent: 6 to 60 cents are up to 63,157 msat.
    for (number, msat, code) in
        [(1, 5_263, Some(11_006)), (2, 5_264, None), (3, 62_105, None), (4, 62_106, Some(11_006))]
    {
        let request = json!({ "request": invoice_over(number, msat) });
        let answer = asked(&wallet, "usd", "/v1/melt/quote/bolt11", request).await;
        assert_eq!(answer.code(), code, "{msat}");
    }
    let info: MintInfo = wallet.api.get("/v1/info").await.ok();
    let melting = info.nuts.nut05.expect("it pays").methods;
    let shown: Vec<_> = melting.iter().map(|m| (m.unit.to_string(), m.max_amount.expect("told").to_u64())).collect();
    let expected = [("sat", 100_000_000), ("usd", 60), ("points", 100_000_000)];
    assert_eq!(shown, expected.map(|(unit, most)| (unit.to_owned(), most)));
    let keysets: KeysetsResponse = wallet.api.get("/v1/keysets").await.ok();
    let fees: Vec<_> = keysets.keysets.iter().map(|k| (k.unit.to_string(), k.input_fee_ppk)).collect();
    assert_eq!(fees, [("sat", 0), ("usd", 0), ("points", 7)].map(|(unit, fee)| (unit.to_owned(), fee)));
    mint.stop();
}

#[test]
fn a_unit_without_its_rate_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    for (unit, said) in [
        ("usd", "its rate is missing"),
        ("usd=0.5", "from 1 to"),
        ("usd=1,5", "a number of msat"),
        ("sat=1000", "nobody can set"),
        ("auth=1", "no money"),
        ("US D=1", "a unit has"),
    ] {
        let data = folder.path().join("data");
        let output =
            Launch::hazeld(&["dev", "--listen", "127.0.0.1:0", "--unit", unit, "--data-dir"]).arg(&data).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), data.exists()), (Some(2), false), "{unit}: {text}");
        assert!(text.contains(said), "{unit}: {text}");
    }
}
