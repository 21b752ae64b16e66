//! NUT-06: whatever `/v1/info` says is so. Every text is the configured one, every limit holds to the unit, every NUT that is named is
//! there, what is switched off is refused, and nothing is said that is not tried here.

#![allow(clippy::panic, reason = "what is tried nowhere fails the test")]

mod client;

use std::collections::BTreeSet;

use client::{NEVER_MS, Server, Wallet, sum};
use futures_util::{SinkExt, StreamExt};
use hazel_lightning::fake::InvoiceSpec;
use hazel_protocol::conditions::{input_digest, sign_digest};
use hazel_protocol::{
    Curve, MeltQuoteBolt11Response, MintQuoteBolt11Response, MintResponse, PointBytes, ProofState, QuoteId, Secret,
    SecretKey, Witness, nut20,
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(1);

/// Texts as an operator sets them.
const TEXTS: &str = r#"
description = "short"
description_long = "longer"
contact = [{ method = "email", info = "mint@example.com" }]
motd = "of the day"
icon_url = "https://example.com/icon.png"
urls = ["https://mint.example.com"]
tos_url = "https://example.com/terms"
"#;

/// Two units with limits of their own, and a batch that is soon full.
const LIMITS: &str = r#"
[[unit]]
unit = "sat"
mint_min = 4
mint_max = 64
melt_min = 3
melt_max = 32
[[unit]]
unit = "msat"
mint_min = 4000
mint_max = 64000
melt_min = 3000
melt_max = 32000
[limits]
max_batch = 3
"#;

/// Everything that `/v1/info` shows of a mint so configured. What is not in this list has no test below.
const SHOWN: &[&str] = &[
    "name",
    "pubkey",
    "version",
    "description",
    "description_long",
    "contact",
    "motd",
    "icon_url",
    "urls",
    "time",
    "tos_url",
    "nuts",
];
const NUTS: &[&str] = &["4", "5", "7", "8", "9", "10", "11", "12", "14", "15", "17", "19", "20", "29"];

struct Bench {
    server: Server,
    wallet: Wallet,
    curve: Curve,
}

impl Bench {
    async fn start() -> Self {
        let server = Server::start(TEXTS, "settle_after_ms = 150", LIMITS);
        let wallet = Wallet::open(server.mint.url(), 1).await;
        Self { server, wallet, curve: Curve::new(&[3; 32]) }
    }

    /// The code of a refusal; none when it is done.
    async fn code(&self, path: &str, body: Value) -> Option<u64> {
        self.wallet.api.post(path, &body).await.code()
    }

    async fn melt_quote(&self, invoice: String, unit: &Value, options: Value) -> Option<u64> {
        self.code("/v1/melt/quote/bolt11", json!({ "request": invoice, "unit": unit, "options": options })).await
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// That an object has these keys and no others.
fn has_only(value: &Value, known: &[&str]) {
    assert_eq!(keys(value), known.iter().copied().collect(), "each is tried here: {value}");
}

fn list(value: &Value) -> &[Value] {
    let list = value.as_array().expect("a list");
    assert!(!list.is_empty());
    list
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn invoice_over(number: u64, msat: Option<u64>) -> String {
    let mut preimage = [0x6b; 32];
    preimage[..8].copy_from_slice(&number.to_be_bytes());
    InvoiceSpec::foreign(preimage, msat, "a test", now()).build().expect("an invoice")
}

fn msat_of(unit: &Value) -> u64 {
    match unit.as_str() {
        Some("sat") => 1_000,
        Some("msat") => 1,
        other => panic!("{other:?} is not configured"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_mint_says_of_itself_is_so() {
    let bench = Bench::start().await;
    let info: Value = bench.wallet.api.get("/v1/info").await.ok();
    has_only(&info, SHOWN);
    texts(&info);
    has_only(&info["nuts"], NUTS);
    for (nut, setting) in info["nuts"].as_object().expect("an object") {
        match nut.as_str() {
            "4" => minting(&bench, setting).await,
            "5" => melting(&bench, setting).await,
            "7" => states(&bench, setting).await,
            "8" => change(&bench, setting).await,
            "9" => restore(&bench, setting).await,
            "10" | "11" => key_lock(&bench, setting).await,
            "12" => dleq(&bench, setting).await,
            "14" => hash_lock(&bench, setting).await,
            "15" => parts(&bench, setting).await,
            "17" => subscriptions(&bench, setting).await,
            "19" => replays(&bench, setting).await,
            "20" => locked_quote(&bench, setting).await,
            "29" => batches(&bench, setting).await,
            other => panic!("NUT-{other} is tried nowhere"),
        }
    }
    bench.server.mint.stop();
}

fn texts(info: &Value) {
    let configured = json!({
        "name": "test", "description": "short", "description_long": "longer", "motd": "of the day",
        "contact": [{ "method": "email", "info": "mint@example.com" }], "icon_url": "https://example.com/icon.png",
        "urls": ["https://mint.example.com"], "tos_url": "https://example.com/terms",
    });
    for (key, value) in configured.as_object().expect("an object") {
        assert_eq!(info[key], *value, "{key}");
    }
    assert_eq!(info["version"], concat!("Hazel/", env!("CARGO_PKG_VERSION")));
    assert!(info["pubkey"].as_str().expect("a text").parse::<hazel_protocol::PublicKey>().is_ok());
    assert!(info["time"].as_u64().expect("seconds").abs_diff(now()) < 120, "{info}");
}

fn is_supported(setting: &Value) {
    assert_eq!(*setting, json!({ "supported": true }));
}

/// The bounds of a method: just inside is taken, just outside is refused.
fn around(method: &Value) -> [(u64, Option<u64>); 4] {
    let bound = |name: &str| method[name].as_u64().expect("an amount");
    let (min, max) = (bound("min_amount"), bound("max_amount"));
    [(min - 1, Some(11_006)), (min, None), (max, None), (max + 1, Some(11_006))]
}

/// The pairs of method and unit, in the order of the mint.
fn assert_both_units(methods: &Value) {
    let units: BTreeSet<_> = list(methods).iter().map(|method| method["unit"].as_str().expect("a unit")).collect();
    assert_eq!(units, ["msat", "sat"].into(), "{methods}");
    assert!(list(methods).iter().all(|method| method["method"] == "bolt11"), "{methods}");
}

// NUT-04
async fn minting(bench: &Bench, setting: &Value) {
    has_only(setting, &["methods", "disabled"]);
    assert_eq!(setting["disabled"], false);
    assert_both_units(&setting["methods"]);
    for method in list(&setting["methods"]) {
        has_only(method, &["method", "unit", "min_amount", "max_amount", "options"]);
        let quote = |amount: u64| json!({ "amount": amount, "unit": method["unit"] });
        for (amount, code) in around(method) {
            assert_eq!(bench.code("/v1/mint/quote/bolt11", quote(amount)).await, code, "{amount}: {method}");
        }
        assert_eq!(method["options"], json!({ "description": true }));
        let mut described = quote(method["min_amount"].as_u64().expect("an amount"));
        described["description"] = json!("for tea at noon");
        let quote: MintQuoteBolt11Response = bench.wallet.api.post("/v1/mint/quote/bolt11", &described).await.ok();
        assert!(quote.request.contains(&in_bech32(b"for tea at noon")), "the payer reads it: {}", quote.request);
    }
}

/// How bytes stand in an invoice: whole groups of five.
fn in_bech32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    assert_eq!(bytes.len() % 5, 0);
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1)));
    let bits: Vec<usize> = bits.collect();
    bits.chunks(5).map(|group| char::from(ALPHABET[group.iter().fold(0, |sum, bit| 2 * sum + bit)])).collect()
}

// NUT-05
async fn melting(bench: &Bench, setting: &Value) {
    has_only(setting, &["methods", "disabled"]);
    assert_eq!(setting["disabled"], false);
    assert_both_units(&setting["methods"]);
    for method in list(&setting["methods"]) {
        has_only(method, &["method", "unit", "min_amount", "max_amount", "options"]);
        let scale = msat_of(&method["unit"]);
        for (amount, code) in around(method) {
            let invoice = invoice_over(amount * scale, Some(amount * scale));
            assert_eq!(bench.melt_quote(invoice, &method["unit"], Value::Null).await, code, "{amount}: {method}");
        }
        assert_eq!(method["options"], json!({ "amountless": true }));
        let chosen = json!({ "amountless": { "amount_msat": 5_000 } });
        assert_eq!(bench.melt_quote(invoice_over(scale, None), &method["unit"], chosen).await, None, "{method}");
    }
}

// NUT-07
async fn states(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let proofs = bench.wallet.mint(4).await;
    assert_eq!(bench.wallet.states(&proofs).await, [ProofState::Unspent]);
    bench.wallet.swap(&proofs).await;
    assert_eq!(bench.wallet.states(&proofs).await, [ProofState::Spent]);
}

// NUT-08
async fn change(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let (wallet, blanks) = (&bench.wallet, bench.wallet.draft(&[0, 0, 0, 0]));
    let proofs = wallet.mint(16).await;
    let quote = wallet.melt_quote(&invoice_over(80, Some(5_000))).await.quote;
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote, &proofs, &blanks).await.expect("answered").ok();
    assert_eq!(sum(&wallet.finish(&blanks, &paid.change.expect("change"))), 11);
}

// NUT-09
async fn restore(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let (wallet, draft) = (&bench.wallet, bench.wallet.draft(&[4]));
    assert_eq!(wallet.restore(&draft.messages).await, [None], "nothing was signed yet");
    let quote = wallet.paid_quote(4).await;
    let issued: MintResponse = wallet.try_issue(&quote, &draft).await.expect("answered").ok();
    let found = wallet.restore(&draft.messages).await;
    assert_eq!(json!(found), json!(issued.signatures));
}

/// A proof with this lock is refused as it is and taken with the witness.
async fn assert_locked(bench: &Bench, lock: Value, witness: impl Fn(&Secret) -> Value) {
    let secret = Secret::new(lock.to_string()).expect("a secret");
    let mut proofs = bench.wallet.mint_secrets(4, std::slice::from_ref(&secret)).await;
    let draft = bench.wallet.draft(&[4]);
    let refused = bench.wallet.try_swap(&proofs, &draft).await.expect("answered");
    assert_eq!(refused.code(), Some(10_001), "{refused:?}");
    proofs[0].witness = Some(Witness::new(witness(&secret).to_string()).expect("short"));
    assert!(bench.wallet.try_swap(&proofs, &draft).await.expect("answered").is_ok(), "opened");
}

fn nonce() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{now:064x}")
}

// NUT-10, NUT-11
async fn key_lock(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let key = SecretKey::from_bytes(&[7; 32]).expect("in range");
    let lock = json!(["P2PK", { "nonce": nonce(), "data": key.public_key(&bench.curve).to_string(), "tags": [] }]);
    let signature = |secret: &Secret| {
        let bytes = sign_digest(&bench.curve, &key, &input_digest(secret), &[1; 32]);
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    assert_locked(bench, lock, |secret| json!({ "signatures": [signature(secret)] })).await;
}

// NUT-14
async fn hash_lock(bench: &Bench, setting: &Value) {
    is_supported(setting);
    // SHA-256 of 32 bytes of 9.
    let hash = "8c0cc17a04942cc4f8e0fe0b302606d3108860c126428ba2ceeb5f9ed41c2b05";
    let lock = json!(["HTLC", { "nonce": nonce(), "data": hash, "tags": [] }]);
    assert_locked(bench, lock, |_| json!({ "preimage": "09".repeat(32), "signatures": [] })).await;
}

// NUT-12: the wallet of these tests checks the proof of every signature that it takes.
async fn dleq(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let proofs = bench.wallet.mint(12).await;
    let swapped = bench.wallet.swap(&proofs).await;
    assert_eq!(sum(&swapped), 12);
}

// NUT-15
async fn parts(bench: &Bench, setting: &Value) {
    has_only(setting, &["methods"]);
    assert_both_units(&setting["methods"]);
    for method in list(&setting["methods"]) {
        has_only(method, &["method", "unit"]);
        for (msat, code) in [(10_000, None), (20_001, Some(11_012))] {
            let invoice = invoice_over(150 + msat_of(&method["unit"]), Some(20_000));
            let options = json!({ "mpp": { "amount": msat } });
            assert_eq!(bench.melt_quote(invoice, &method["unit"], options).await, code, "{method}");
        }
    }
}

// NUT-17
async fn subscriptions(bench: &Bench, setting: &Value) {
    has_only(setting, &["supported"]);
    assert_both_units(&setting["supported"]);
    let url = format!("{}/v1/ws", bench.server.mint.url().replace("http://", "ws://"));
    let (mut socket, _) = connect_async(url).await.expect("a WebSocket");
    let mut told = async |kind: &str, filter: &str| -> Value {
        let params = json!({ "kind": kind, "subId": format!("{kind}{filter}"), "filters": [filter] });
        let request = json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1 });
        socket.send(Message::text(request.to_string())).await.expect("sent");
        loop {
            let came = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an answer");
            let Message::Text(text) = came.expect("open").expect("sound") else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message.get("result").is_none() {
                return message;
            }
        }
    };
    for entry in list(&setting["supported"]) {
        has_only(entry, &["method", "unit", "commands"]);
        for command in list(&entry["commands"]) {
            let (kind, scale) = (command.as_str().expect("a text"), msat_of(&entry["unit"]));
            let (filter, state) = match kind {
                "bolt11_mint_quote" => {
                    let request = json!({ "amount": 5_000 / scale, "unit": entry["unit"] });
                    let quote: Value = bench.wallet.api.post("/v1/mint/quote/bolt11", &request).await.ok();
                    (quote["quote"].as_str().expect("an id").to_owned(), "UNPAID")
                }
                "bolt11_melt_quote" => {
                    let request = json!({ "request": invoice_over(170 + scale, Some(5_000)), "unit": entry["unit"] });
                    let quote: Value = bench.wallet.api.post("/v1/melt/quote/bolt11", &request).await.ok();
                    (quote["quote"].as_str().expect("an id").to_owned(), "UNPAID")
                }
                "proof_state" => (y_of(scale), "UNSPENT"),
                other => panic!("{other} is tried nowhere"),
            };
            assert_eq!(told(kind, &filter).await["params"]["payload"]["state"], state, "{command} {entry}");
        }
    }
    assert_eq!(told("bolt12_mint_quote", "x").await["error"]["code"], -32_602, "what is not named is not there");
}

fn y_of(number: u64) -> String {
    PointBytes::from(&Secret::new(format!("secret {number}")).expect("a secret").y()).to_string()
}

// NUT-19
async fn replays(bench: &Bench, setting: &Value) {
    has_only(setting, &["ttl", "cached_endpoints"]);
    assert_eq!(setting["ttl"], Value::Null, "for ever");
    let (wallet, messages) = (&bench.wallet, |amounts: &[u64]| json!(bench.wallet.draft(amounts).messages));
    for endpoint in list(&setting["cached_endpoints"]) {
        has_only(endpoint, &["method", "path"]);
        assert_eq!(endpoint["method"], "POST");
        let path = endpoint["path"].as_str().expect("a path");
        let body = match path {
            "/v1/mint/bolt11" => json!({ "quote": wallet.paid_quote(4).await, "outputs": messages(&[4]) }),
            "/v1/mint/bolt11/batch" => {
                let quotes = [wallet.paid_quote(4).await, wallet.paid_quote(4).await];
                json!({ "quotes": quotes, "outputs": messages(&[8]) })
            }
            "/v1/swap" => json!({ "inputs": wallet.mint(4).await, "outputs": messages(&[4]) }),
            "/v1/melt/bolt11" => {
                let quote = wallet.melt_quote(&invoice_over(190, Some(4_000))).await.quote;
                json!({ "quote": quote, "inputs": wallet.mint(8).await, "outputs": messages(&[0, 0, 0]) })
            }
            other => panic!("{other} is tried nowhere"),
        };
        let first: Value = wallet.api.post(path, &body).await.ok();
        assert_eq!(wallet.api.post(path, &body).await.ok::<Value>(), first, "{path}");
    }
}

// NUT-20
async fn locked_quote(bench: &Bench, setting: &Value) {
    is_supported(setting);
    let key = SecretKey::from_bytes(&[8; 32]).expect("in range");
    let request = json!({ "amount": 4, "unit": "sat", "pubkey": key.public_key(&bench.curve) });
    let quote: MintQuoteBolt11Response = bench.wallet.api.post("/v1/mint/quote/bolt11", &request).await.ok();
    wait_paid(bench, &quote.quote).await;
    let outputs = bench.wallet.draft(&[4]).outputs();
    let unsigned = json!({ "quote": quote.quote, "outputs": outputs });
    assert_eq!(bench.code("/v1/mint/bolt11", unsigned.clone()).await, Some(20_008));
    let mut signed = unsigned;
    signed["signature"] = json!(nut20::sign(&bench.curve, &key, &quote.quote, &outputs, &[1; 32]));
    assert_eq!(bench.code("/v1/mint/bolt11", signed).await, None);
}

async fn wait_paid(bench: &Bench, quote: &QuoteId) {
    for _ in 0..1_200 {
        if bench.wallet.mint_quote_state(quote).await == hazel_protocol::MintQuoteState::Paid {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the fake node does not pay");
}

// NUT-29
async fn batches(bench: &Bench, setting: &Value) {
    has_only(setting, &["max_batch_size", "methods"]);
    assert_eq!(setting["methods"], json!(["bolt11"]));
    let most = usize::try_from(setting["max_batch_size"].as_u64().expect("a count")).expect("small");
    let mut quotes = Vec::new();
    for _ in 0..=most {
        quotes.push(bench.wallet.paid_quote(4).await);
    }
    for (path, count) in [("/v1/mint/quote/bolt11/check", most), ("/v1/mint/bolt11/batch", most)] {
        let request = |count: usize| {
            let outputs = bench.wallet.draft(&vec![4; count]).messages;
            if path.ends_with("check") {
                return json!({ "quotes": quotes[..count] });
            }
            json!({ "quotes": quotes[..count], "outputs": outputs })
        };
        assert_eq!(bench.code(path, request(count + 1)).await, Some(11_017), "{path}");
        assert_eq!(bench.code(path, request(count)).await, None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_said_and_refused() {
    let in_lightning = format!("settle_after_ms = {NEVER_MS}\nmpp = false\namountless = false");
    let server = Server::start("minting = false\nmelting = false", &in_lightning, "");
    let api = server.api();
    let info: Value = api.get("/v1/info").await.ok();
    let nuts: Vec<_> = NUTS.iter().copied().filter(|nut| *nut != "15").collect();
    has_only(&info["nuts"], &nuts);
    assert_eq!((&info["nuts"]["4"]["disabled"], &info["nuts"]["5"]["disabled"]), (&json!(true), &json!(true)));
    assert_eq!(info["nuts"]["5"]["methods"][0]["options"], json!({ "amountless": false }));
    let mint = api.post("/v1/mint/quote/bolt11", &json!({ "amount": 4, "unit": "sat" })).await;
    assert_eq!(mint.code(), Some(20_003), "{mint:?}");
    let melt =
        api.post("/v1/melt/quote/bolt11", &json!({ "request": invoice_over(1, Some(4_000)), "unit": "sat" })).await;
    assert_eq!(melt.code(), Some(20_000), "{melt:?}");

    let server = Server::start("", "mpp = false\namountless = false", "");
    let quote = |invoice: String, options: Value| json!({ "request": invoice, "unit": "sat", "options": options });
    let part = quote(invoice_over(1, Some(8_000)), json!({ "mpp": { "amount": 4_000 } }));
    let chosen = quote(invoice_over(2, None), json!({ "amountless": { "amount_msat": 4_000 } }));
    for (what, body, code) in [("a part", part, 11_012), ("an amount of the payer's", chosen, 11_011)] {
        let answer = server.api().post("/v1/melt/quote/bolt11", &body).await;
        assert_eq!(answer.code(), Some(code), "{what}: {answer:?}");
    }
}
