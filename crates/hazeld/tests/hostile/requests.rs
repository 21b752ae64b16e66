//! Single requests that no honest wallet sends: each is refused with a 4xx that says why, and changes nothing.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Books, Hazeld, Launch, Wallet, audit, sum};

/// Not a header that means anything.
const PLAIN: (&str, &str) = ("x-plain", "1");

/// 2^64, one more than any amount.
const TOO_LARGE: &str = "18446744073709551616";

/// A mint, a wallet with money, and the books as they were.
struct Bench {
    _folder: TempDir,
    database: PathBuf,
    mint: Hazeld,
    wallet: Wallet,
    /// A swap that would succeed: a proof of 8 for an output of 8.
    swap: Value,
    before: Books,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mint = Launch::dev(folder.path()).start();
        let wallet = Wallet::open(mint.url(), 1).await;
        let swap = json!({ "inputs": wallet.mint(8).await, "outputs": wallet.draft(&[8]).messages });
        let database = folder.path().join("mint.sqlite");
        let before = audit(&database);
        Self { _folder: folder, database, mint, wallet, swap, before }
    }

    async fn send(&self, path: &str, text: String) -> Answer {
        self.wallet.api.post_text(path, text, PLAIN).await
    }

    /// Sends a text and asserts that it is refused as malformed or by a rule.
    async fn refused(&self, what: &str, path: &str, text: String) {
        let answer = self.send(path, text).await;
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert!(answer.code().is_some_and(|code| (10_000..30_000).contains(&code)), "{what}: {answer:?}");
    }

    /// The swap with one place of its text replaced.
    fn with(&self, from: &str, to: &str) -> String {
        let text = self.swap.to_string();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is there to be replaced");
        changed
    }

    /// Nothing has changed, and the swap still works.
    async fn close(self) {
        assert_eq!(self.before, audit(&self.database), "a refusal changes nothing");
        assert!(self.send("/v1/swap", self.swap.to_string()).await.is_ok(), "the honest swap still works");
        self.mint.stop();
        audit(&self.database).assert_settled(8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_none() {
    let bench = Bench::new().await;
    let odd =
        ["0", "-1", "3", TOO_LARGE, "18446744073709551615", "9007199254740993", "1.5", "8.0", "\"8\"", "null", "true"];
    for amount in odd.into_iter().chain(["1e30", "1e1", "[8]", "{}", "08", "+8", "NaN"]) {
        let text = bench.swap.to_string();
        // The first amount of the text is the input's, the last is the output's.
        let input = bench.with("\"amount\":8", &format!("\"amount\":{amount}"));
        let at = text.rfind("\"amount\":8").expect("the output's amount");
        let output = format!("{}\"amount\":{amount}{}", &text[..at], &text[at + "\"amount\":8".len()..]);
        bench.refused(&format!("input of {amount}"), "/v1/swap", input).await;
        bench.refused(&format!("output of {amount}"), "/v1/swap", output).await;
        if amount != "3" {
            let quote = format!("{{\"amount\":{amount},\"unit\":\"sat\"}}");
            bench.refused(&format!("quote over {amount}"), "/v1/mint/quote/bolt11", quote).await;
        }
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_that_wrap_and_outputs_above_the_quote() {
    let bench = Bench::new().await;
    let wallet = &bench.wallet;
    // Two outputs of 2^63 and one of 8 wrap to 8.
    let half = 1_u64 << 63;
    let mut outputs = json!(wallet.draft(&[1, 1, 8]).messages);
    outputs[0]["amount"] = json!(half);
    outputs[1]["amount"] = json!(half);
    let mut wrapped = bench.swap.clone();
    wrapped["outputs"] = outputs;
    bench.refused("outputs that wrap", "/v1/swap", wrapped.to_string()).await;
    for (what, inputs, outputs) in [
        ("no inputs", json!([]), bench.swap["outputs"].clone()),
        ("no outputs", bench.swap["inputs"].clone(), json!([])),
        ("neither", json!([]), json!([])),
    ] {
        bench.refused(what, "/v1/swap", json!({ "inputs": inputs, "outputs": outputs }).to_string()).await;
    }
    let quote = wallet.paid_quote(8).await;
    let before = audit(&bench.database);
    for amounts in [vec![8, 1], vec![16], vec![1 << 39], vec![4]] {
        let request = json!({ "quote": quote, "outputs": wallet.draft(&amounts).messages });
        bench.refused(&format!("{amounts:?} for 8"), "/v1/mint/bolt11", request.to_string()).await;
    }
    assert_eq!(before, audit(&bench.database), "a refusal changes nothing");
    let request = json!({ "quote": quote, "outputs": wallet.draft(&[8]).messages });
    assert!(
        bench.send("/v1/mint/bolt11", request.to_string()).await.is_ok(),
        "a failed mint leaves the quote mintable"
    );
    bench.mint.stop();
    audit(&bench.database).assert_settled(16);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_are_none() {
    let bench = Bench::new().await;
    let (b, c) = (text_of(&bench.swap["outputs"][0]["B_"]), text_of(&bench.swap["inputs"][0]["C"]));
    let body = &b[2..];
    let bad = [
        format!("02{}", "0".repeat(64)),
        format!("02{}", "f".repeat(64)),
        "00".to_owned(),
        format!("04{body}{body}"),
        format!("06{body}{body}"),
        format!("07{body}{body}"),
        format!("05{body}"),
        b[..65].to_owned(),
        b[..64].to_owned(),
        format!("{b}00"),
        format!("0x{b}"),
        format!(" {b}"),
        format!("{b} "),
        b.to_uppercase(),
        String::new(),
    ];
    for point in &bad {
        bench.refused(&format!("B_ {point}"), "/v1/swap", bench.with(&b, point)).await;
        bench.refused(&format!("C {point}"), "/v1/swap", bench.with(&c, point)).await;
    }
    // Whether a key to look up is on the curve does not matter, its form does.
    for point in &bad[2..] {
        bench.refused(&format!("Y {point}"), "/v1/checkstate", json!({ "Ys": [point] }).to_string()).await;
    }
    bench.close().await;
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_no_secret_witness_or_keyset() {
    let bench = Bench::new().await;
    let secret = text_of(&bench.swap["inputs"][0]["secret"]);
    let id = text_of(&bench.swap["inputs"][0]["id"]);
    let long = "x".repeat(4_097);
    for other in
        ["", &long, "\\ud800", "\\u0000", "\u{1F600}", "[\\\"P2PK\\\"]", "[\\\"P2PK\\\",7]", "[\\\"NEW\\\",{}]"]
    {
        bench.refused(&format!("secret {other:.40}"), "/v1/swap", bench.with(&secret, other)).await;
    }
    for other in ["", "00", "zz", &id.to_uppercase(), "00ffffffffffffff", &"0".repeat(500)] {
        bench.refused(&format!("keyset {other:.40}"), "/v1/swap", bench.with(&id, other)).await;
    }
    let place = format!("\"secret\":\"{secret}\"");
    for witness in ["7", "[]", "true", &format!("\"{}\"", "x".repeat(8_193))] {
        let text = bench.with(&place, &format!("{place},\"witness\":{witness}"));
        bench.refused(&format!("witness {witness:.40}"), "/v1/swap", text).await;
    }
    let twice = bench.with(&place, &format!("{place},{place}"));
    bench.refused("a key twice", "/v1/swap", twice).await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_is_room_for() {
    let bench = Bench::new().await;
    let (input, output) = (bench.swap["inputs"][0].clone(), bench.swap["outputs"][0].clone());
    let many = |value: &Value| Value::from(vec![value.clone(); 1_001]);
    let y = output["B_"].clone();
    for (what, path, body) in [
        ("inputs", "/v1/swap", json!({ "inputs": many(&input), "outputs": [output] })),
        ("outputs", "/v1/swap", json!({ "inputs": [input], "outputs": many(&output) })),
        ("Ys", "/v1/checkstate", json!({ "Ys": many(&y) })),
        ("outputs to restore", "/v1/restore", json!({ "outputs": many(&output) })),
        ("quotes", "/v1/mint/quote/bolt11/check", json!({ "quotes": many(&json!("q")) })),
    ] {
        bench.refused(&format!("1001 {what}"), path, body.to_string()).await;
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    bench.refused("deep", "/v1/swap", deep.clone()).await;
    bench
        .refused("deep inside", "/v1/swap", bench.with("\"amount\":8", &format!("\"amount\":8,\"more\":{deep}")))
        .await;
    let long = bench.with("\"amount\":8", &format!("\"amount\":8,\"more\":\"{}\"", "x".repeat(3 << 20)));
    let answer = bench.send("/v1/swap", long).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let zipped = bench.wallet.api.post_text("/v1/swap", bench.swap.to_string(), ("content-encoding", "gzip")).await;
    assert_eq!(zipped.status, 415, "{zipped:?}");
    for description in ["x".repeat(641), "\u{1b}[2J".repeat(200)] {
        let quote = json!({ "amount": 1, "unit": "sat", "description": description });
        bench.refused("a long description", "/v1/mint/quote/bolt11", quote.to_string()).await;
    }
    for unit in [String::new(), "x".repeat(33), "SAT".to_owned(), "s\u{1}t".to_owned()] {
        let quote = json!({ "amount": 1, "unit": unit });
        bench.refused("an odd unit", "/v1/mint/quote/bolt11", quote.to_string()).await;
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_that_are_evaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).args(&["--input-fee-ppk", "100"]).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let coins = wallet.mint(15).await;
    for (what, inputs, out) in
        [("one input", &coins[3..], 8), ("all of them", &coins[..], 15), ("half of it", &coins[..], 13)]
    {
        let body = json!({ "inputs": inputs, "outputs": wallet.draft_for(out).messages });
        let answer = wallet.api.post("/v1/swap", &body).await;
        assert_eq!(answer.code(), Some(11_005), "{what}: {answer:?}");
    }
    let change = wallet.swap(&coins).await;
    assert_eq!(sum(&change), 14, "four inputs at 100 ppk cost one");
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(14);
}
