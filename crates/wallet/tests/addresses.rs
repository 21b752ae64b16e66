//! Lightning addresses against the servers behind them, honest and not.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hazel_protocol::EndpointUrl;
use hazel_wallet::ports::{RemoteError, Web};
use hazel_wallet::{Error, ErrorClass, MeltOutcome, Payee};
use serde_json::{Value, json};
use support::{Bank, KeysetKind, Peer, sat};

type Answer = Result<String, RemoteError>;

/// A server that gives its answers in turn, and what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Value>) -> Self {
        let answers = answers.into_iter().map(|answer| Ok(answer.to_string())).collect();
        Self { answers: Mutex::new(answers), asked: Mutex::default() }
    }
}

#[async_trait]
impl Web for Script {
    async fn fetch(&self, url: &EndpointUrl, query: &[(&str, &str)]) -> Result<Vec<u8>, RemoteError> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.asked.lock().unwrap().push(format!("{url} {}", query.join(" ")));
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| Err(RemoteError::NotSent("nobody is there".to_owned()))).map(String::into_bytes)
    }
}

fn parameters() -> Value {
    json!({
        "callback": "https://pay.example/cb?k=1",
        "minSendable": 1_000,
        "maxSendable": 100_000,
        "metadata": r#"[["text/plain","tea\u001b[2J"],["text/identifier","alice@pay.example"]]"#,
        "commentAllowed": 5,
        "tag": "payRequest",
    })
}

const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// An invoice over some satoshi with a hash of a description.
fn invoice(sat: u64, hash: Option<[u8; 32]>) -> String {
    let mut fields = String::new();
    if let Some(hash) = hash {
        let bits: Vec<u8> = hash.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let five =
            |bits: &[u8]| (0..5).fold(0, |sum: usize, place| sum * 2 + usize::from(*bits.get(place).unwrap_or(&0)));
        fields.push_str("hp5");
        fields.extend(bits.chunks(5).map(|bits| ALPHABET.chars().nth(five(bits)).unwrap()));
    }
    format!("lnbcrt{}n1{}{fields}{}", sat * 10, "q".repeat(7), "q".repeat(110))
}

fn hash_of(parameters: &Value) -> [u8; 32] {
    let parsed: hazel_protocol::PayParameters = serde_json::from_value(parameters.clone()).unwrap();
    parsed.hash()
}

async fn ask(answers: [Value; 2], msat: u64, comment: Option<&str>) -> Result<String, Error> {
    let web = Script::new(answers);
    let payee = Payee::resolve(&web, &"alice@pay.example".parse().unwrap()).await?;
    payee.invoice(&web, msat, comment).await
}

#[tokio::test]
async fn an_address_is_paid() {
    let bank = Arc::new(Bank::new(KeysetKind::V2, 0));
    let alice = Peer::with(&bank, 1, 64).await;
    let right = invoice(21, Some(hash_of(&parameters())));
    let web = Script::new([parameters(), json!({ "pr": right.to_ascii_uppercase(), "routes": [] })]);
    let payee = Payee::resolve(&web, &"Alice@pay.example".parse().unwrap()).await.unwrap();
    assert_eq!((payee.limits(), payee.comment_limit()), ((1_000, 100_000), 5));
    assert!(payee.description().starts_with("tea") && !payee.description().contains('\u{1b}'), "made harmless");
    let invoice = payee.invoice(&web, 21_000, Some("thé")).await.unwrap();
    let asked = web.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["https://pay.example/.well-known/lnurlp/alice ", "https://pay.example/cb?k=1 amount=21000 comment=thé"]
    );
    let prepared = alice.wallet.prepare_melt(&invoice, None).await.unwrap();
    let MeltOutcome::Paid(paid) = prepared.confirm().await.unwrap() else { panic!("pending") };
    assert_eq!(paid.amount, sat(21));
}

#[tokio::test]
async fn an_invoice_must_be_the_one_that_was_asked_for() {
    let right = hash_of(&parameters());
    for (answer, good) in [
        (json!({ "pr": invoice(21, Some(right)) }), true),
        // A server need not commit to what it said, and then its invoice carries some text of its own.
        (json!({ "pr": invoice(21, None) }), true),
        (json!({ "pr": invoice(22, Some(right)) }), false),
        (json!({ "pr": invoice(20, Some(right)) }), false),
        (json!({ "pr": invoice(21, Some([7; 32])) }), false),
        (json!({ "pr": invoice(0, Some(right)).replace("lnbcrt0n", "lnbcrt") }), false),
        (json!({ "pr": "lnbc1" }), false),
        (json!({ "pr": "x".repeat(10_000) }), false),
        (json!({ "pr": null }), false),
        (json!({}), false),
        (json!([]), false),
    ] {
        let asked = ask([parameters(), answer.clone()], 21_000, None).await;
        assert_eq!(asked.is_ok(), good, "{answer}: {asked:?}");
        if let Err(error) = asked {
            assert_eq!(error.class(), ErrorClass::Request, "{error}");
        }
    }
}

#[tokio::test]
async fn limits_hold_before_anything_is_asked() {
    for (msat, comment, why) in [
        (999, None, "takes from"),
        (100_001, None, "takes from"),
        (0, None, "takes from"),
        (u64::MAX, None, "takes from"),
        (1_000, Some("sixsix"), "comment"),
    ] {
        let web = Script::new([parameters()]);
        let payee = Payee::resolve(&web, &"a@pay.example".parse().unwrap()).await.unwrap();
        let error = payee.invoice(&web, msat, comment).await.unwrap_err();
        assert!(error.to_string().contains(why), "{msat}: {error}");
        assert_eq!(web.asked.lock().unwrap().len(), 1, "the callback was asked");
    }
    let mut endless = parameters();
    endless["commentAllowed"] = json!(u64::MAX);
    let web = Script::new([endless]);
    let payee = Payee::resolve(&web, &"a@pay.example".parse().unwrap()).await.unwrap();
    assert_eq!(payee.comment_limit(), 1000);
}

#[tokio::test]
async fn a_server_that_says_no_or_nonsense_is_not_paid() {
    let says_no = json!({ "status": "ERROR", "reason": "closed\u{1b}[31m" });
    let error = ask([says_no.clone(), json!({})], 1_000, None).await.unwrap_err();
    assert!(matches!(&error, Error::PayeeSaid(reason) if reason.contains("closed") && !reason.contains('\u{1b}')));
    assert!(matches!(ask([parameters(), says_no], 1_000, None).await, Err(Error::PayeeSaid(_))));
    let with = |field: &str, value: Value| {
        let mut parameters = parameters();
        parameters[field] = value;
        parameters
    };
    for hostile in [
        json!(null),
        json!([parameters()]),
        with("tag", json!("withdrawRequest")),
        with("minSendable", json!(200_000)),
        with("minSendable", json!(0)),
        with("metadata", json!("[]")),
        with("callback", json!("ftp://pay.example")),
        with("callback", json!("https://pay.example/@x")),
        with("maxSendable", json!(1e30)),
        with("commentAllowed", json!(-1)),
    ] {
        let refused = ask([hostile.clone(), json!({ "pr": invoice(1, None) })], 1_000, None).await;
        assert!(matches!(refused, Err(Error::Payee(_))), "{hostile}: {refused:?}");
    }
    let nobody = Payee::resolve(&Script::default(), &"a@pay.example".parse().unwrap()).await.unwrap_err();
    assert_eq!(nobody.class(), ErrorClass::Unreachable);
}
