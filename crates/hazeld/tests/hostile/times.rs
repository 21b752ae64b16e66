//! What time and restarts must not change: a settlement that comes again and again, a request that comes after its keyset, its lock or its
//! books have changed.

use hazel_protocol::conditions::input_digest;
use hazel_protocol::{MintResponse, ProofState, Secret};
use serde_json::{Value, json};

use crate::bench::{Bench, eventually, foreign, now};
use crate::client::{Launch, NEVER_MS, Server, Wallet, audit, is_on_postgres};
use crate::locks::Ring;

/// Its invoices wait to be paid, and it says what it asks the node.
fn told(launch: Launch) -> Launch {
    launch.fake("settle-after-ms", NEVER_MS).args(&["--log-level", "debug"])
}

fn cursor(bench: &Bench) -> i64 {
    let ledger = rusqlite::Connection::open(bench.database()).expect("the ledger opens");
    ledger.query_row("SELECT cursor FROM streams", [], |row| row.get(0)).expect("a cursor")
}

async fn amount_paid(wallet: &Wallet, quote: &str) -> Value {
    wallet.api.get(&format!("/v1/mint/quote/bolt11/{quote}")).await.body["amount_paid"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_settlement_delivered_twenty_times_is_credited_once() {
    if is_on_postgres() {
        return;
    }
    let mut bench = Bench::new(told).await;
    let quote = bench.wallet.mint_quote(8).await.quote;
    let hash = bench.node.invoices().expect("read")[0].payment_hash;
    // Half of it: the quote is still waited for, so that every look has the node asked as well.
    bench.node.settle(&hash, 4_000).expect("paid");
    eventually("credited", async || amount_paid(&bench.wallet, quote.as_str()).await == json!(4)).await;
    for _ in 0..10 {
        // The stream is read from its beginning, at the start; and every look asks.
        bench = bench.restart_after(|ledger| {
            ledger.execute("UPDATE streams SET cursor = 0", []).expect("rewound");
        });
        let lookers: Vec<_> = (0..8)
            .map(|_| {
                let (wallet, quote) = (bench.wallet.clone(), quote.clone());
                tokio::spawn(async move { amount_paid(&wallet, quote.as_str()).await })
            })
            .collect();
        for looker in lookers {
            assert_eq!(looker.await.expect("answered"), json!(4));
        }
        eventually("delivered by the stream and by a question", async || {
            assert_eq!(amount_paid(&bench.wallet, quote.as_str()).await, json!(4), "credited once");
            cursor(&bench) > 0 && bench.logged("asking the node about a quote") > 0
        })
        .await;
    }
    bench.node.settle(&hash, 4_000).expect("paid");
    eventually("credited", async || amount_paid(&bench.wallet, quote.as_str()).await == json!(8)).await;
    let draft = bench.wallet.draft_for(8);
    let issued: MintResponse = bench.wallet.try_issue(&quote, &draft).await.expect("answered").ok();
    bench.wallet.finish_all(&draft, &issued.signatures);
    let books = audit(&bench.database());
    assert_eq!((books.credited, books.drawn), (8, 8), "{books:?}");
    bench.close(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_answered_after_its_keyset_has_expired() {
    let expiry = now() + 25;
    let unit = format!("[[unit]]\nunit = \"sat\"\nfinal_expiry = {expiry}\n");
    let server = Server::start("mint_quote_secs = 2", "settle_after_ms = 150", &unit);
    let wallet = Wallet::open(server.mint.url(), 1).await;
    let coins = json!(wallet.mint(8).await);
    let quote = wallet.paid_quote(4).await;
    let (spare, paying) = (wallet.mint(2).await, wallet.mint(16).await);
    let melt_quote = wallet.melt_quote(&foreign(1, 16_000, "expires").build().expect("an invoice")).await.quote;
    let blanks = wallet.draft(&[0]).messages;
    let requests = [
        ("/v1/swap", json!({ "inputs": coins, "outputs": wallet.draft(&[8]).messages })),
        ("/v1/mint/bolt11", json!({ "quote": quote, "outputs": wallet.draft(&[4]).messages })),
        ("/v1/melt/bolt11", json!({ "quote": melt_quote, "inputs": paying, "outputs": blanks })),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for (path, body) in &requests {
        answers.push(wallet.api.post(path, body).await.ok());
    }
    eventually("the keyset ends", async || now() > expiry).await;
    let fresh = json!({ "inputs": spare, "outputs": wallet.draft(&[2]).messages });
    assert_eq!(wallet.api.post("/v1/swap", &fresh).await.code(), Some(12_003), "the keyset has ended");
    let before = audit(&server.database());
    for _ in 0..2 {
        for ((path, body), first) in requests.iter().zip(&answers) {
            assert_eq!(wallet.api.post(path, body).await.ok::<Value>(), *first, "{path}");
        }
    }
    let other = json!({ "inputs": coins, "outputs": wallet.draft(&[8]).messages });
    assert_eq!(wallet.api.post("/v1/swap", &other).await.code(), Some(12_003), "other outputs");
    assert_eq!(before, audit(&server.database()), "a repeat changes nothing");
    let database = server.database();
    server.mint.stop();
    audit(&database).assert_settled(14);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_answered_after_its_locktime() {
    let bench = Bench::new(|launch| launch).await;
    let (wallet, ring) = (&bench.wallet, Ring::new());
    let locktime = now() + 6;
    let lock = |nonce: &str, data: &str| {
        let text = json!(["P2PK", { "nonce": nonce, "data": data, "tags": [["locktime", locktime.to_string()], ["refund", ring.key(2)]] }]);
        Secret::new(text.to_string()).expect("a secret")
    };
    let secrets = ["a", "b"].map(|nonce| lock(nonce, &ring.key(1)));
    let coins = wallet.mint_secrets(8, &secrets).await;
    let signed = |place: usize, key: u8| {
        let mut coin = json!(coins[place]);
        let signature = ring.sign(key, &input_digest(&secrets[place]), key);
        coin["witness"] = json!(json!({ "signatures": [signature] }).to_string());
        json!([coin])
    };
    let outputs = json!(wallet.draft(&[8]).messages);
    let request = json!({ "inputs": signed(0, 1), "outputs": outputs });
    let first: Value = bench.post("/v1/swap", &request).await.ok();
    let late = json!({ "inputs": signed(1, 2), "outputs": wallet.draft(&[8]).messages });
    if now() + 1 < locktime {
        assert_eq!(bench.post("/v1/swap", &late).await.code(), Some(10_001), "a refund before its time");
    }
    eventually("the locktime passes", async || bench.post("/v1/swap", &late).await.is_ok()).await;
    assert!(now() >= locktime);
    let bench = bench.killed();
    for inputs in [signed(0, 1), signed(0, 2), json!([coins[0]])] {
        let again = json!({ "inputs": inputs, "outputs": outputs });
        assert_eq!(bench.post("/v1/swap", &again).await.ok::<Value>(), first, "the ledger answers, no witness decides");
    }
    bench.assert_all(&coins, ProofState::Spent).await;
    let other = json!({ "inputs": signed(0, 2), "outputs": bench.wallet.draft(&[8]).messages });
    assert_eq!(bench.post("/v1/swap", &other).await.code(), Some(11_001), "the refund of what was taken");
    bench.close(16);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_ever_issued_is_refused_and_stops_the_keyset() {
    if is_on_postgres() {
        return;
    }
    let bench = Bench::new(|launch| launch).await;
    let coins = [bench.wallet.mint(8).await, bench.wallet.mint(8).await].concat();
    // The books say that 8 were issued, and there are 16: whoever made the others has the key.
    let bench = bench.restart_after(|ledger| {
        ledger.execute("UPDATE keysets SET issued = 8", []).expect("changed");
    });
    let quote = bench.wallet.melt_quote(&foreign(1, 16_000, "leaked").build().expect("an invoice")).await;
    let answer = bench.melt(&quote, &coins, &json!([])).await;
    assert_eq!((answer.status, answer.code()), (400, Some(12_000)), "{answer:?}");
    assert!(bench.node.pay_calls().expect("read").is_empty(), "refused before any payment");
    assert!(bench.says("ALARM: more was presented than this keyset ever issued"));
    bench.assert_all(&coins, ProofState::Unspent).await;
    let bench = bench.killed();
    let half = json!({ "inputs": coins[..1], "outputs": bench.wallet.draft(&[8]).messages });
    let answer = bench.post("/v1/swap", &half).await;
    assert!(matches!(answer.code(), Some(12_000 | 12_002)), "stopped until an operator has looked: {answer:?}");
    let keysets = bench.wallet.api.get("/v1/keysets").await;
    assert_eq!(keysets.body["keysets"][0]["active"], json!(false));
    bench.mint.stop();
}
