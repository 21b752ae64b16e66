//! The routes with a real engine behind them.

use std::sync::atomic::Ordering;

use hazel_protocol::Proof;
use serde_json::json;

use super::world::{Prepared, Served};
use super::*;

/// Outputs as JSON.
pub(super) fn messages(outputs: &[Prepared]) -> Value {
    outputs.iter().map(|output| json!(output.message)).collect()
}

pub(super) async fn call(served: &Served, path: &str, message: &Value) -> Reply {
    post(served.address, path, &message.to_string()).await
}

/// A call that must succeed.
pub(super) async fn done(served: &Served, path: &str, message: &Value) -> Value {
    let reply = call(served, path, message).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.json()
}

/// Waits until a quote has this state.
pub(super) async fn until(served: &Served, path: &str, state: &str) -> Value {
    for _ in 0..500 {
        let quote = get(served.address, path).await.json();
        if quote["state"] == state {
            return quote;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{path} never became {state}");
}

pub(super) async fn paid_quote(served: &Served, amount: u64) -> String {
    let quote = done(served, "/v1/mint/quote/bolt11", &json!({"amount": amount, "unit": "sat"})).await;
    let id = quote["quote"].as_str().expect("an id").to_owned();
    until(served, &format!("/v1/mint/quote/bolt11/{id}"), "PAID").await;
    id
}

/// Fresh proofs of these amounts.
pub(super) async fn fund(served: &Served, amounts: &[u64]) -> Vec<Proof> {
    let quote = paid_quote(served, amounts.iter().sum()).await;
    let outputs = served.outputs(amounts);
    let answer = done(served, "/v1/mint/bolt11", &json!({"quote": quote, "outputs": messages(&outputs)})).await;
    proofs(served, &outputs, &answer["signatures"])
}

pub(super) fn proofs(served: &Served, outputs: &[Prepared], signatures: &Value) -> Vec<Proof> {
    served.proofs(outputs, &serde_json::from_value::<Vec<_>>(signatures.clone()).expect("signatures"))
}

#[tokio::test]
async fn what_is_public_may_be_cached_for_a_moment() {
    let served = Served::new().await;
    let id = served.keyset();
    for path in ["/v1/info", "/v1/keys", "/v1/keysets", &format!("/v1/keys/{id}")] {
        let reply = get(served.address, path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("public, max-age=5"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.json().is_object());
    }
    let keys = get(served.address, &format!("/v1/keys/{id}")).await.json();
    assert_eq!(keys["keysets"][0]["id"], json!(id));
    assert_eq!(keys["keysets"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_keyset_that_is_none_is_unknown() {
    let served = Served::new().await;
    let other = "00ffffffffffffff";
    for id in [other, "x", "00", "%2e%2e", "0NI3TUAs1Sfy", "00FFFFFFFFFFFFFF", &"0".repeat(500)] {
        assert_eq!(get(served.address, &format!("/v1/keys/{id}")).await.refused(400), 12_001, "{id}");
    }
    assert_eq!(get(served.address, "/v1/keys/%ff").await.refused(404), 10_000);
    assert_eq!(get(served.address, "/v1/keys/a/b").await.refused(404), 10_000);
}

#[tokio::test]
async fn money_goes_round() {
    let served = Served::new().await;
    let coins = fund(&served, &[2, 8, 32]).await;

    let outputs = served.outputs(&[2, 4, 4, 32]);
    let swap = json!({"inputs": coins, "outputs": messages(&outputs)});
    let answer = done(&served, "/v1/swap", &swap).await;
    assert_eq!(done(&served, "/v1/swap", &swap).await, answer, "the same request has the same answer");
    let fresh = proofs(&served, &outputs, &answer["signatures"]);

    let ys: Vec<_> = coins.iter().chain(&fresh).map(Proof::y).collect();
    let states = done(&served, "/v1/checkstate", &json!({"Ys": ys})).await;
    let spent: Vec<_> = states["states"].as_array().expect("a list").iter().map(|entry| &entry["state"]).collect();
    assert_eq!(json!(spent), json!(["SPENT", "SPENT", "SPENT", "UNSPENT", "UNSPENT", "UNSPENT", "UNSPENT"]));

    let restored = done(&served, "/v1/restore", &json!({"outputs": messages(&outputs)})).await;
    assert_eq!(restored["signatures"], answer["signatures"]);

    let again = json!({"inputs": coins, "outputs": messages(&served.outputs(&[8, 32]))});
    assert_eq!(call(&served, "/v1/swap", &again).await.refused(400), 11_005);
    let again = json!({"inputs": coins, "outputs": messages(&served.outputs(&[2, 8, 32]))});
    assert_eq!(call(&served, "/v1/swap", &again).await.refused(400), 11_001);

    let quote = done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:200:38000", "unit": "sat"})).await;
    assert_eq!((quote["amount"].as_u64(), quote["fee_reserve"].as_u64()), (Some(38), Some(2)));
    let path = format!("/v1/melt/quote/bolt11/{}", quote["quote"].as_str().expect("an id"));
    assert_eq!(get(served.address, &path).await.json()["state"], "UNPAID");
    let blanks = served.outputs(&[0, 0, 0]);
    let melt = json!({"quote": quote["quote"], "inputs": fresh, "outputs": messages(&blanks)});
    let paid = done(&served, "/v1/melt/bolt11", &melt).await;
    assert_eq!(paid["state"], "PAID");
    let change = proofs(&served, &blanks, &paid["change"]);
    assert_eq!(change.iter().map(|proof| proof.amount.to_u64()).sum::<u64>(), 3);
    assert_eq!(get(served.address, &path).await.json()["state"], "PAID");
}

#[tokio::test]
async fn a_slow_payment_is_pending() {
    let served = Served::new().await;
    served.node.slow.store(true, Ordering::SeqCst);
    let coins = fund(&served, &[8, 32]).await;
    let quote = done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:201:38000", "unit": "sat"})).await;
    let melt = json!({"quote": quote["quote"], "inputs": coins});
    assert_eq!(done(&served, "/v1/melt/bolt11", &melt).await["state"], "PENDING");
    let swap = json!({"inputs": coins, "outputs": messages(&served.outputs(&[8, 32]))});
    assert_eq!(call(&served, "/v1/swap", &swap).await.refused(400), 11_002);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let served = Served::new().await;
    let coins = fund(&served, &[8, 32]).await;
    let outputs = served.outputs(&[8, 32]);
    let body = json!({"inputs": coins, "outputs": messages(&outputs)}).to_string();
    let head = format!(
        "POST /v1/swap HTTP/1.1\r\nhost: mint\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(served.address).await.expect("a server");
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.expect("writable");
    drop(stream);
    let ys: Vec<_> = coins.iter().map(Proof::y).collect();
    for _ in 0..200 {
        let states = done(&served, "/v1/checkstate", &json!({"Ys": ys})).await.to_string();
        if !states.contains("PENDING") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Done or never begun; in both cases the same request has an answer.
    let answer = post(served.address, "/v1/swap", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn amounts_are_whole_numbers_that_fit() {
    let served = Served::new().await;
    let coins = fund(&served, &[8]).await;
    let good = json!({"inputs": coins, "outputs": messages(&served.outputs(&[8]))}).to_string();
    let quote = paid_quote(&served, 8).await;
    let issue = json!({"quote": quote, "outputs": messages(&served.outputs(&[8]))}).to_string();
    let wrong = [
        "0",
        "-1",
        "3",
        "18446744073709551616",
        "9007199254740993",
        "1.5",
        "8.0",
        "8e0",
        "\"8\"",
        "null",
        "true",
        "[8]",
        "{}",
    ];
    for amount in wrong {
        for (path, body) in [("/v1/swap", &good), ("/v1/mint/bolt11", &issue)] {
            let body = body.replacen(r#""amount":8"#, &format!(r#""amount":{amount}"#), 1);
            let reply = post(served.address, path, &body).await;
            let code = reply.refused(400);
            assert!((10_000..13_000).contains(&code), "{amount}: {reply:?}");
        }
        let body = format!(r#"{{"amount":{amount},"unit":"sat"}}"#);
        let reply = post(served.address, "/v1/mint/quote/bolt11", &body).await;
        if !["3"].contains(&amount) {
            reply.refused(400);
        }
    }
    // Nothing of it has changed anything.
    assert_eq!(post(served.address, "/v1/swap", &good).await.status, 200);
    assert_eq!(post(served.address, "/v1/mint/bolt11", &issue).await.status, 200);
}

#[tokio::test]
async fn messages_of_other_shapes_are_refused() {
    let served = Served::new().await;
    let coins = fund(&served, &[8]).await;
    let good = json!({"inputs": coins, "outputs": messages(&served.outputs(&[8]))});
    let secret = good["inputs"][0]["secret"].as_str().expect("a text").to_owned();
    let c = good["inputs"][0]["C"].as_str().expect("a point").to_owned();
    let text = good.to_string();
    let without = |key: &str| {
        let mut message = good.clone();
        message.as_object_mut().expect("an object").remove(key);
        message.to_string()
    };
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wrong = [
        without("inputs"),
        without("outputs"),
        text.replace("\"inputs\":[", "\"inputs\":[null,"),
        text.replace("\"inputs\":[", "\"inputs\":[[],"),
        text.replacen('{', "{\"inputs\":[],", 1),
        text.replacen('{', "{\"in\\u0070uts\":[],", 1),
        text.replacen('{', &format!("{{\"unknown\":{deep},"), 1),
        text.replace(&format!("\"{secret}\""), "\"\\ud800\""),
        text.replace(&format!("\"{secret}\""), "\"\""),
        text.replace(&format!("\"{secret}\""), "7"),
        text.replace(&secret, &"x".repeat(5_000)),
        text.replace(&c, &c.to_uppercase()),
        text.replace(&c, &format!("04{}", &c[2..])),
        text.replace(&c, &c[2..]),
        text.replace(&c, &format!("0x{c}")),
        text.replace(&c, &format!(" {c}")),
    ];
    for body in wrong {
        let reply = post(served.address, "/v1/swap", &body).await;
        assert_eq!(reply.refused(400), 10_000, "{}", &body[..body.len().min(300)]);
        assert!(!reply.body.contains(&secret), "{reply:?}");
    }
    let reply = call(&served, "/v1/swap", &json!({"inputs": [], "outputs": []})).await;
    reply.refused(400);
    assert_eq!(post(served.address, "/v1/swap", &text).await.status, 200);
}

#[tokio::test]
async fn lists_are_bounded() {
    let served = Served::new().await;
    let coins = fund(&served, &[1]).await;
    let output = json!(served.outputs(&[1])[0].message);
    let y = json!(coins[0].y());
    let many = |item: &Value, count: usize| Value::Array(vec![item.clone(); count]);
    let inputs = json!({"inputs": many(&json!(coins[0]), 1_001), "outputs": [output]});
    assert_eq!(call(&served, "/v1/swap", &inputs).await.refused(400), 11_014);
    let outputs = json!({"inputs": coins, "outputs": many(&output, 1_001)});
    assert_eq!(call(&served, "/v1/swap", &outputs).await.refused(400), 11_015);
    assert_eq!(call(&served, "/v1/checkstate", &json!({"Ys": many(&y, 1_001)})).await.refused(400), 10_000);
    assert_eq!(
        done(&served, "/v1/checkstate", &json!({"Ys": many(&y, 1_000)})).await["states"][999]["state"],
        "UNSPENT"
    );
    assert_eq!(call(&served, "/v1/restore", &json!({"outputs": many(&output, 1_001)})).await.refused(400), 11_015);
}

#[tokio::test]
async fn methods_and_quotes_are_names() {
    let served = Served::new().await;
    let ask = r#"{"amount":8,"unit":"sat"}"#;
    for method in ["BOLT11", "bolt%2011", "b%00", "bolt11%0d%0a", "b.c", "%C3%A4", &"b".repeat(33)] {
        let reply = post(served.address, &format!("/v1/mint/quote/{method}"), ask).await;
        assert_eq!(reply.refused(400), 10_000, "{method}");
        get(served.address, &format!("/v1/melt/quote/{method}/abc")).await.refused(400);
    }
    for path in ["/v1/mint/quote/bolt12", "/v1/mint/quote/onchain"] {
        post(served.address, path, ask).await.refused(400);
    }
    for quote in ["nothing", "a%20b", "%1b[2J", &"q".repeat(65), "0190cafe-0000-7000-8000-000000000000"] {
        for kind in ["mint", "melt"] {
            let reply = get(served.address, &format!("/v1/{kind}/quote/bolt11/{quote}")).await;
            assert_eq!(reply.refused(400), 20_000, "{quote}");
        }
    }
    // A quote of one kind is none of the other.
    let quote = paid_quote(&served, 8).await;
    assert_eq!(get(served.address, &format!("/v1/melt/quote/bolt11/{quote}")).await.refused(400), 20_000);
    assert_eq!(get(served.address, &format!("/v1/mint/quote/bolt12/{quote}")).await.status, 400);
}

#[tokio::test]
async fn every_route_takes_one_method_only() {
    let served = Served::new().await;
    for path in
        ["/v1/info", "/v1/keys", "/v1/keysets", "/v1/keys/00", "/v1/mint/quote/bolt11/x", "/v1/melt/quote/bolt11/x"]
    {
        let reply = post(served.address, path, "{}").await;
        assert_eq!((reply.refused(405), reply.header("allow")), (10_000, Some("GET,HEAD")), "{path}");
    }
    for path in [
        "/v1/swap",
        "/v1/checkstate",
        "/v1/restore",
        "/v1/mint/quote/bolt11",
        "/v1/mint/bolt11",
        "/v1/melt/quote/bolt11",
        "/v1/melt/bolt11",
    ] {
        let reply = get(served.address, path).await;
        assert_eq!((reply.refused(405), reply.header("allow")), (10_000, Some("POST")), "{path}");
        let reply = request(served.address, "POST", path, "content-type: text/plain\r\n", b"{}").await;
        assert_eq!(reply.refused(415), 10_000, "{path}");
        assert_eq!(post(served.address, path, "{").await.refused(400), 10_000, "{path}");
        assert_eq!(post(served.address, path, "[]").await.refused(400), 10_000, "{path}");
    }
    for path in ["/", "/v1", "/v1/", "/v2/info", "/v1/mint", "/v1/mint/quote/bolt11/x/y", "/V1/info"] {
        assert_eq!(get(served.address, path).await.refused(404), 10_000, "{path}");
    }
}

#[tokio::test]
async fn a_node_that_is_away_is_not_the_clients_fault_nor_told_about() {
    let served = Served::new().await;
    let coins = fund(&served, &[8]).await;
    served.node.down.store(true, Ordering::SeqCst);
    let ask = json!({"amount": 8, "unit": "sat"});
    let reply = call(&served, "/v1/mint/quote/bolt11", &ask).await;
    reply.refused(503);
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.body.contains("macaroon") && !reply.body.contains("/srv"), "{reply:?}");
    let swap = json!({"inputs": coins, "outputs": messages(&served.outputs(&[8]))});
    done(&served, "/v1/swap", &swap).await;
    served.node.broken.store(true, Ordering::SeqCst);
    let reply = call(&served, "/v1/mint/quote/bolt11", &ask).await;
    assert_eq!(reply.refused(500), 50_000);
    assert!(!reply.body.contains("secret"));
}

#[tokio::test]
async fn a_mint_that_shuts_down_says_so() {
    let served = Served::new().await;
    assert!(served.mint.drain(Duration::from_secs(1)).await);
    let reply = call(&served, "/v1/mint/quote/bolt11", &json!({"amount": 8, "unit": "sat"})).await;
    assert_eq!(reply.refused(503), 50_000);
    assert!(reply.header("retry-after").is_some());
}
