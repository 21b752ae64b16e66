//! Payment methods of any name, over HTTP and WebSocket: each with quotes of its own, which no other path shows.

mod client;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{Hazeld, Launch, Wallet, sum};
use futures_util::{SinkExt, StreamExt};
use hazel_lightning::fake::{InvoiceSpec, open_ledger};
use hazel_protocol::{
    CurrencyUnit, MeltQuoteBolt11Response, MeltQuoteState, MintInfo, MintQuoteBolt11Response, MintQuoteState,
    MintResponse, QuoteId,
};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(2);

/// The name of the method: every kind of character that there may be.
const METHOD: &str = "till_7-b";

/// What it asks to be paid by is whatever its backend gives: the fake gives and takes these.
fn request_over(number: u8, msat: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    InvoiceSpec::foreign([number; 32], Some(msat), "a test", now).build().expect("a request")
}

/// A mint with bolt11 and another method, whose nodes ask for 2,000 msat of fee and use half of it.
fn launch(folder: &Path) -> Hazeld {
    let arguments = ["--method", METHOD, "--unit", "sat", "--unit", "usd=1000.5"];
    Launch::dev(folder).args(&arguments).fake("reserve-min-msat", 2_000).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_of_any_name_mints_and_melts_and_answers_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path());
    for (number, unit) in [(1, CurrencyUnit::Sat), (2, CurrencyUnit::Usd)] {
        let bolt11 = Wallet::open_in(mint.url(), number, unit.clone()).await;
        let wallet = bolt11.by(METHOD);
        let quote = wallet.paid_quote(64).await;
        let draft = wallet.draft(&[32, 32]);
        let issued = wallet.try_issue(&quote, &draft).await.expect("answered").body;
        let again = wallet.try_issue(&quote, &draft).await.expect("answered").body;
        assert_eq!(issued, again, "{unit}: a repeat");
        assert_eq!(bolt11.try_issue(&quote, &draft).await.expect("answered").code(), Some(20_000), "another path");
        let answer: MintResponse = serde_json::from_value(issued).expect("signatures");
        // Money is money, however it came in.
        let coins = bolt11.swap(&wallet.finish_all(&draft, &answer.signatures)).await;
        let request = request_over(number, 50_000);
        let quote = wallet.melt_quote(&request).await;
        let blanks = wallet.draft(&[0; 4]);
        assert_eq!(bolt11.try_melt(&quote.quote, &coins, &blanks).await.expect("answered").code(), Some(20_000));
        let paid = wallet.try_melt(&quote.quote, &coins, &blanks).await.expect("answered").body;
        let again = wallet.try_melt(&quote.quote, &coins, &blanks).await.expect("answered").body;
        assert_eq!(paid, again, "{unit}: a repeat");
        let paid: MeltQuoteBolt11Response = serde_json::from_value(paid).expect("a quote");
        // 51,000 msat are 51 sat, or 50.97.. cents.
        assert_eq!(
            (paid.state, sum(&wallet.finish(&blanks, &paid.change.expect("change")))),
            (MeltQuoteState::Paid, 13)
        );
    }
    let made = |file: &str| open_ledger(folder.path().join(file)).and_then(|books| books.payments()).expect("books");
    assert_eq!((made(&format!("method-{METHOD}.sqlite")).len(), made("lightning.sqlite").len()), (2, 0));
    mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_but_its_own_shows_a_quote() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path());
    let bolt11 = Wallet::open(mint.url(), 1).await;
    let till = bolt11.by(METHOD);
    for (owner, other, name) in [(&bolt11, &till, METHOD), (&till, &bolt11, "bolt11")] {
        let minting = owner.paid_quote(8).await;
        let melting = owner.melt_quote(&request_over(3, 5_000)).await.quote;
        let refused = |path: String| async move { other.api.get(&path).await.code() };
        assert_eq!(refused(format!("/v1/mint/quote/{name}/{}", minting.as_str())).await, Some(20_000));
        assert_eq!(refused(format!("/v1/melt/quote/{name}/{}", melting.as_str())).await, Some(20_000));
        let batch = json!({ "quotes": [minting] });
        assert_eq!(other.api.post(&format!("/v1/mint/quote/{name}/check"), &batch).await.code(), Some(20_000));
        let own = other.paid_quote(8).await;
        let mixed = json!({ "quotes": [own, minting], "outputs": other.draft(&[16]).outputs() });
        assert_eq!(other.api.post(&format!("/v1/mint/{name}/batch"), &mixed).await.code(), Some(20_000));
        assert_eq!(owner.mint_quote_state(&minting).await, MintQuoteState::Paid, "and nothing was drawn");
    }
    for method in ["till_7-", "till", "bolt12", "batch"] {
        let unknown =
            bolt11.api.post(&format!("/v1/mint/quote/{method}"), &json!({ "amount": 1, "unit": "sat" })).await;
        assert_eq!(unknown.code(), Some(10_000), "{method}");
        let unknown = bolt11.api.get(&format!("/v1/mint/quote/{method}/{}", "0".repeat(36))).await;
        assert_eq!(unknown.code(), Some(10_000), "{method}");
    }
    mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_one_method_is_issued_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path());
    let wallet = Wallet::open(mint.url(), 1).await.by(METHOD);
    let quotes = [wallet.paid_quote(8).await, wallet.paid_quote(4).await];
    let draft = wallet.draft(&[8, 4]);
    let batch = json!({ "quotes": quotes, "outputs": draft.outputs() });
    let path = format!("/v1/mint/{METHOD}/batch");
    let answer: MintResponse = wallet.api.post(&path, &batch).await.ok();
    wallet.swap(&wallet.finish_all(&draft, &answer.signatures)).await;
    let states: Vec<MintQuoteBolt11Response> =
        wallet.api.post(&format!("/v1/mint/quote/{METHOD}/check"), &json!({ "quotes": quotes })).await.ok();
    assert!(states.iter().all(|quote| quote.state == MintQuoteState::Issued));
    mint.stop();
}

/// The states that a subscription is told of one quote, until the last of `story`.
async fn told(mint: &Hazeld, kind: &str, quote: &QuoteId, last: &str) -> Result<Vec<String>, Value> {
    let url = format!("{}/v1/ws", mint.url().replace("http://", "ws://"));
    let (mut socket, _) = connect_async(url).await.expect("a WebSocket");
    let params = json!({ "kind": kind, "subId": "it", "filters": [quote] });
    let subscribe = json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1 });
    socket.send(Message::text(subscribe.to_string())).await.expect("sent");
    let mut states: Vec<String> = Vec::new();
    while states.last().is_none_or(|state| state != last) {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("something comes");
        let Some(Ok(Message::Text(text))) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        if !message["error"].is_null() {
            return Err(message["error"].clone());
        }
        states.extend(message["params"]["payload"]["state"].as_str().map(str::to_owned));
    }
    Ok(states)
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_have_the_name_of_the_method() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path());
    let wallet = Wallet::open(mint.url(), 1).await.by(METHOD);
    let coins = wallet.mint(64).await;
    let quote = wallet.mint_quote(8).await.quote;
    let heard = told(&mint, &format!("{METHOD}_mint_quote"), &quote, "PAID").await.expect("told");
    assert!(heard == ["UNPAID", "PAID"] || heard == ["PAID"], "{heard:?}");
    let melt = wallet.melt_quote(&request_over(1, 5_000)).await.quote;
    let kind = format!("{METHOD}_melt_quote");
    let blanks = wallet.draft(&[0; 4]);
    let paying = wallet.try_melt(&melt, &coins, &blanks);
    let (heard, paid) = tokio::join!(told(&mint, &kind, &melt, "PAID"), paying);
    assert!(paid.expect("answered").is_ok());
    let (heard, story) = (heard.expect("told"), ["UNPAID", "PENDING", "PAID"]);
    assert!(story.ends_with(&heard.iter().map(String::as_str).collect::<Vec<_>>()), "{heard:?}");
    told(&mint, "bolt11_mint_quote", &quote, "PAID").await.expect_err("of another method");
    told(&mint, "bolt11_melt_quote", &melt, "PAID").await.expect_err("of another method");
    told(&mint, "till_mint_quote", &quote, "PAID").await.expect_err("there is no such method");
    mint.stop();
}

/// What is said of the methods: NUT-04, 05, 15, 17, 19, 29, and the paths of the document.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_told_of_where_it_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = launch(folder.path());
    let wallet = Wallet::open(mint.url(), 1).await;
    let info: MintInfo = wallet.api.get("/v1/info").await.ok();
    let pairs = [("bolt11", "sat"), ("bolt11", "usd"), (METHOD, "sat"), (METHOD, "usd")];
    let pairs = pairs.map(|(method, unit)| (method.to_owned(), unit.to_owned()));
    for settings in [info.nuts.nut04.expect("it mints"), info.nuts.nut05.expect("it melts")] {
        let told: Vec<_> = settings.methods.iter().map(|m| (m.method.clone(), m.unit.to_string())).collect();
        assert_eq!(told, pairs);
    }
    let parts: Vec<_> = info.nuts.nut15.expect("it pays parts").methods;
    assert!(parts.iter().map(|m| (m.method.clone(), m.unit.to_string())).eq(pairs.clone()));
    let subscribed = info.nuts.other["17"]["supported"].as_array().expect("a list").clone();
    let kinds = json!(["till_7-b_mint_quote", "till_7-b_melt_quote", "proof_state"]);
    assert_eq!((subscribed.len(), &subscribed[3]["commands"]), (4, &kinds));
    let cached = info.nuts.nut19.expect("it repeats").cached_endpoints;
    let paths: Vec<_> = cached.iter().map(|endpoint| endpoint.path.as_str()).collect();
    let of_till = ["/v1/mint/till_7-b", "/v1/mint/till_7-b/batch", "/v1/melt/till_7-b"];
    assert!(of_till.iter().all(|path| paths.contains(path)), "{paths:?}");
    assert_eq!(info.nuts.nut29.expect("it batches").methods, Some(vec!["bolt11".to_owned(), METHOD.to_owned()]));
    let document: Value = wallet.api.get("/openapi.json").await.ok();
    let parameters = &document["paths"]["/v1/mint/quote/{method}"]["post"]["parameters"];
    assert_eq!(parameters[0]["schema"]["enum"], json!(["bolt11", METHOD]));
    mint.stop();
}
