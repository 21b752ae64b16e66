//! Quotes: locked ones, those of other methods and units, names that are none, and many looks at one.

use hazel_protocol::{BlindedMessage, CurrencyUnit, Curve, MintQuoteBolt11Response, QuoteId, SecretKey, nut20};
use serde_json::{Value, json};

use crate::bench::{Bench, eventually, foreign};
use crate::client::{Answer, Books, Launch, Server, Wallet, audit};

fn as_is(launch: Launch) -> Launch {
    launch
}

/// A key that quotes are locked to.
struct Locker {
    curve: Curve,
    key: SecretKey,
}

impl Locker {
    fn new(number: u8) -> Self {
        Self { curve: Curve::new(&[9; 32]), key: SecretKey::from_bytes(&[number; 32]).expect("in range") }
    }

    async fn quote(&self, wallet: &Wallet, amount: u64) -> QuoteId {
        let pubkey = self.key.public_key(&self.curve);
        let request = json!({ "amount": amount, "unit": "sat", "pubkey": pubkey });
        let quote: MintQuoteBolt11Response = wallet.api.post("/v1/mint/quote/bolt11", &request).await.ok();
        eventually("paid", async || wallet.mint_quote_state(&quote.quote).await.as_str() == "PAID").await;
        quote.quote
    }

    fn sign(&self, quote: &QuoteId, outputs: &[BlindedMessage]) -> String {
        nut20::sign(&self.curve, &self.key, quote, outputs, &[1; 32])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_quote_wants_the_signature_of_its_key_over_just_these_outputs() {
    let bench = Bench::new(as_is).await;
    let wallet = &bench.wallet;
    let (owner, thief) = (Locker::new(7), Locker::new(8));
    let (quote, other) = (owner.quote(wallet, 7).await, owner.quote(wallet, 7).await);
    let outputs = wallet.draft(&[1, 2, 4]).messages;
    let pieces = wallet.draft(&[1, 2, 2, 2]).messages;
    let reordered: Vec<_> = outputs.iter().rev().cloned().collect();
    let exchanged = [&outputs[..2], &wallet.draft(&[4]).messages].concat();
    let good = owner.sign(&quote, &outputs);
    let cases: Vec<(&str, &[BlindedMessage], Value)> = vec![
        ("null", &outputs, Value::Null),
        ("empty", &outputs, json!("")),
        ("no signature", &outputs, json!("00".repeat(64))),
        ("no hex", &outputs, json!("zz".repeat(64))),
        ("half of it", &outputs, json!(good[..64])),
        ("more than it", &outputs, json!(format!("{good}00"))),
        ("another key", &outputs, json!(thief.sign(&quote, &outputs))),
        ("of another quote", &outputs, json!(owner.sign(&other, &outputs))),
        ("outputs reordered", &reordered, json!(good)),
        ("an output added", &pieces, json!(owner.sign(&quote, &pieces[..3]))),
        ("an output removed", &outputs, json!(owner.sign(&quote, &pieces))),
        ("an output exchanged", &exchanged, json!(good)),
    ];
    let before = audit(&bench.database());
    for (what, outputs, signature) in cases {
        let request = json!({ "quote": quote, "outputs": outputs, "signature": signature });
        let answer = bench.post("/v1/mint/bolt11", &request).await;
        // What is longer than any signature is no such request at all.
        let code = if what == "more than it" { 10_000 } else { 20_008 };
        assert_eq!((answer.status, answer.code()), (400, Some(code)), "{what}: {answer:?}");
    }
    let unsigned = bench.post("/v1/mint/bolt11", &json!({ "quote": quote, "outputs": outputs })).await;
    assert_eq!(unsigned.code(), Some(20_008));
    batches(&bench, (&owner, &thief), [&quote, &other]).await;
    assert_eq!(before, audit(&bench.database()), "a refusal changes nothing");
    let request = json!({ "quote": quote, "outputs": outputs, "signature": good });
    let first: Value = bench.post("/v1/mint/bolt11", &request).await.ok();
    // The answer holds nothing that a restore would not give: who repeats it needs no signature.
    assert_eq!(bench.post("/v1/mint/bolt11", &request).await.ok::<Value>(), first);
    bench.close(7);
}

/// In a batch each quote wants a signature of its own over all the outputs (NUT-29).
async fn batches(bench: &Bench, (owner, thief): (&Locker, &Locker), [quote, other]: [&QuoteId; 2]) {
    let outputs = bench.wallet.draft(&[2, 4, 8]).messages;
    let (mine, yours) = (owner.sign(quote, &outputs), owner.sign(other, &outputs));
    let fewer = owner.sign(other, &outputs[..2]);
    for (what, signatures) in [
        ("none", Value::Null),
        ("one of them missing", json!([mine, null])),
        ("one for both", json!([mine, mine])),
        ("exchanged", json!([yours, mine])),
        ("another key's", json!([mine, thief.sign(other, &outputs)])),
        ("over fewer outputs", json!([mine, fewer])),
        ("one too few", json!([mine])),
        ("one too many", json!([mine, yours, mine])),
    ] {
        let request =
            json!({ "quotes": [quote, other], "quote_amounts": [7, 7], "outputs": outputs, "signatures": signatures });
        let answer = bench.post("/v1/mint/bolt11/batch", &request).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(matches!(answer.code(), Some(20_008 | 10_000 | 11_000 | 20_000)), "{what}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_one_unit_is_none_of_another() {
    let server = Server::start("", "settle_after_ms = 150", "[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\n");
    let sat = Wallet::open(server.mint.url(), 1).await;
    let msat = Wallet::open_in(server.mint.url(), 2, CurrencyUnit::Msat).await;
    let (coins, small) = (sat.mint(8).await, msat.mint(8).await);
    let (paid, little) = (sat.paid_quote(8).await, msat.paid_quote(8).await);
    let invoice = foreign(1, 8_000, "units").build().expect("an invoice");
    let (pays, pays_little) = (sat.melt_quote(&invoice).await, msat.melt_quote(&invoice).await);
    let both = [coins.clone(), small.clone()].concat();
    let (into, little_into) = (json!(sat.draft(&[8]).messages), json!(msat.draft(&[8]).messages));
    let mixed = json!([into[0], little_into[0]]);
    let eight_thousand = msat.mint(8_192).await;
    let before = audit(&server.database());
    let issue = |quote: &QuoteId, outputs: &Value| json!({ "quote": quote, "outputs": outputs });
    let swap = |inputs: &Value, outputs: &Value| json!({ "inputs": inputs, "outputs": outputs });
    let melt = |quote: &QuoteId, inputs: &Value, outputs: &Value| json!({ "quote": quote, "inputs": inputs, "outputs": outputs });
    let (coins, small, both) = (json!(coins), json!(small), json!(both));
    for (what, path, body, codes) in [
        ("sat for msat", "/v1/swap", swap(&coins, &little_into), [11_010, 11_010]),
        ("msat for sat", "/v1/swap", swap(&small, &into), [11_010, 11_010]),
        ("both in", "/v1/swap", swap(&both, &into), [11_009, 11_010]),
        ("both out", "/v1/swap", swap(&coins, &mixed), [11_009, 11_010]),
        ("both in and out", "/v1/swap", swap(&both, &mixed), [11_009, 11_009]),
        ("a quote in sat, outputs in msat", "/v1/mint/bolt11", issue(&paid, &little_into), [11_010, 11_010]),
        ("a quote in msat, outputs in sat", "/v1/mint/bolt11", issue(&little, &into), [11_010, 11_010]),
        ("outputs of both", "/v1/mint/bolt11", issue(&paid, &mixed), [11_009, 11_009]),
        ("a payment in msat by sat", "/v1/melt/bolt11", melt(&pays_little.quote, &coins, &json!([])), [11_010, 11_010]),
        (
            "a payment in sat by msat",
            "/v1/melt/bolt11",
            melt(&pays.quote, &json!(eight_thousand), &json!([])),
            [11_010, 11_010],
        ),
        (
            "a payment in sat, blanks in msat",
            "/v1/melt/bolt11",
            melt(&pays.quote, &coins, &little_into),
            [11_010, 11_010],
        ),
        ("a payment by both", "/v1/melt/bolt11", melt(&pays.quote, &both, &json!([])), [11_009, 11_009]),
    ] {
        let answer = sat.api.post(path, &body).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(codes.map(Some).contains(&answer.code()), "{what}: {answer:?}");
    }
    for (path, body) in [
        ("/v1/mint/quote/bolt11", json!({ "amount": 8, "unit": "auth" })),
        ("/v1/melt/quote/bolt11", json!({ "request": invoice, "unit": "auth" })),
    ] {
        assert_eq!(sat.api.post(path, &body).await.code(), Some(11_013), "no money is of the unit auth");
    }
    assert_eq!(before, audit(&server.database()), "a refusal changes nothing");
    server.mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_is_seen_by_its_own_method_and_kind_alone() {
    let bench = Bench::new(as_is).await;
    let wallet = &bench.wallet;
    let mint = wallet.paid_quote(8).await;
    let melt = wallet.melt_quote(&foreign(1, 8_000, "method").build().expect("an invoice")).await.quote;
    let outputs = wallet.draft(&[8]).messages;
    let coins = wallet.mint(8).await;
    let before = audit(&bench.database());
    let refused = |what: &str, answer: &Answer| {
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert!(answer.body["code"].is_u64(), "{what}: {answer:?}");
        assert!(!answer.body.to_string().contains("lnbc"), "{what} shows no quote: {answer:?}");
    };
    for method in ["bolt12", "onchain", "BOLT11", "bolt11x", "bolt-11"] {
        for (kind, id) in [("mint", &mint), ("melt", &melt)] {
            refused(method, &wallet.api.get(&format!("/v1/{kind}/quote/{method}/{}", id.as_str())).await);
        }
        let issue = json!({ "quote": mint, "outputs": outputs });
        refused(method, &bench.post(&format!("/v1/mint/{method}"), &issue).await);
        let batch = json!({ "quotes": [mint], "outputs": outputs });
        refused(method, &bench.post(&format!("/v1/mint/{method}/batch"), &batch).await);
        refused(method, &bench.post(&format!("/v1/mint/quote/{method}/check"), &json!({ "quotes": [mint] })).await);
        let pay = json!({ "quote": melt, "inputs": coins });
        refused(method, &bench.post(&format!("/v1/melt/{method}"), &pay).await);
    }
    refused("a melt's as a mint's", &wallet.api.get(&format!("/v1/mint/quote/bolt11/{}", melt.as_str())).await);
    refused("a mint's as a melt's", &wallet.api.get(&format!("/v1/melt/quote/bolt11/{}", mint.as_str())).await);
    refused("issued on a melt's", &bench.post("/v1/mint/bolt11", &json!({ "quote": melt, "outputs": outputs })).await);
    refused("paid by a mint's", &bench.post("/v1/melt/bolt11", &json!({ "quote": mint, "inputs": coins })).await);
    assert_eq!(before, audit(&bench.database()), "a refusal changes nothing");
    assert!(bench.post("/v1/mint/bolt11", &json!({ "quote": mint, "outputs": outputs })).await.is_ok());
    bench.close(16);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_texts_that_are_none() {
    let bench = Bench::new(as_is).await;
    let api = &bench.wallet.api;
    let before: Books = audit(&bench.database());
    let long = "x".repeat(2_000);
    for name in ["%00", "%1b%5B2J", "..%2f..%2fetc", "%ff", "a%20b", "%E2%80%AE", &long, "'%20OR%201=1--"] {
        for path in [
            format!("/v1/mint/quote/{name}/q"),
            format!("/v1/mint/quote/bolt11/{name}"),
            format!("/v1/melt/quote/bolt11/{name}"),
            format!("/v1/keys/{name}"),
        ] {
            let answer = api.get(&path).await;
            assert!((400..500).contains(&answer.status), "{path:.60}: {answer:?}");
        }
        let answer = bench.post(&format!("/v1/mint/quote/{name}"), &json!({ "amount": 1, "unit": "sat" })).await;
        assert!((400..500).contains(&answer.status), "{name:.60}: {answer:?}");
    }
    let invoice = foreign(1, 8_000, "texts").build().expect("an invoice");
    let upper = invoice.to_uppercase();
    let mixed = format!("{}{}", &upper[..20], &invoice[20..]);
    let (huge, esc) = ("l".repeat(100_000), format!("{invoice}\u{1b}[2J"));
    for request in [
        "",
        " ",
        "lnbc",
        &invoice[..40],
        &mixed,
        &huge,
        &esc,
        "\u{0}",
        "\u{202e}",
        "bitcoin:?lightning=lnbc1",
        &format!("{invoice}x"),
    ] {
        let answer = bench.post("/v1/melt/quote/bolt11", &json!({ "request": request, "unit": "sat" })).await;
        assert!((400..500).contains(&answer.status), "{request:.40?}: {answer:?}");
        let detail = answer.body["detail"].as_str().expect("a sentence");
        assert!(detail.len() < 300 && !detail.chars().any(char::is_control), "{detail:?}");
    }
    // A short id (its first 8 bytes) is a token's way to name a keyset, never a request's.
    let id = bench.wallet.keyset.to_string();
    let coins = json!(bench.wallet.mint(8).await);
    let funded = audit(&bench.database());
    let outputs = json!(bench.wallet.draft(&[8]).messages);
    for short in [&id[..16], &id[..id.len() - 2], &format!("{id}00"), &format!("0x{id}")] {
        assert_ne!(short, id);
        let answer = api.get(&format!("/v1/keys/{short}")).await;
        assert!((400..500).contains(&answer.status), "{short}: {answer:?}");
        for (place, body) in [("inputs", (&coins, &outputs)), ("outputs", (&coins, &outputs))] {
            let mut request = json!({ "inputs": body.0, "outputs": body.1 });
            request[place][0]["id"] = json!(short);
            let answer = bench.post("/v1/swap", &request).await;
            assert_eq!(answer.status, 400, "{short} in {place}: {answer:?}");
        }
    }
    assert_eq!(funded, audit(&bench.database()), "a refusal changes nothing");
    assert_eq!(before.outstanding, 0);
    bench.close(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_looks_at_one_quote_ask_the_node_once_per_interval() {
    const LOOKS: usize = 10_000;
    let bench = Bench::new(|launch| launch.fake("settle-after-ms", 3_600_000).args(&["--log-level", "debug"])).await;
    let quote = bench.wallet.mint_quote(8).await.quote;
    let began = std::time::Instant::now();
    let lookers: Vec<_> = (0..50)
        .map(|_| {
            let (wallet, quote) = (bench.wallet.clone(), quote.clone());
            tokio::spawn(async move {
                for _ in 0..LOOKS / 50 {
                    assert_eq!(wallet.mint_quote_state(&quote).await.as_str(), "UNPAID");
                }
            })
        })
        .collect();
    for looker in lookers {
        looker.await.expect("answered");
    }
    let asked = bench.logged("asking the node about a quote");
    let most = began.elapsed().as_secs() / 10 + 1;
    assert!(asked >= 1, "somebody waits for it");
    assert!(u64::try_from(asked).expect("few") <= most, "{asked} questions in {:?}", began.elapsed());
    // Other quotes wait no longer for that.
    let hash = bench.node.invoices().expect("read")[0].payment_hash;
    bench.node.settle(&hash, 8_000).expect("paid");
    eventually("paid", async || bench.wallet.mint_quote_state(&quote).await.as_str() == "PAID").await;
    bench.close(0);
}
