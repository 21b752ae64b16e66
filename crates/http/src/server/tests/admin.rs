//! The operator's surface on a real socket.

use serde_json::json;

use super::api::fund;
use super::world::Served;
use super::*;

const ALICE: &str = "a11ce0000000000000000000000000000000000000";
const BOB: &str = "b0b00000000000000000000000000000000000000000";

/// The operator's surface of this mint, for two operators.
async fn surface(served: &Served) -> SocketAddr {
    let token = |name, secret| AdminToken::new(name, secret).expect("a token");
    let config = AdminConfig { tokens: vec![token("alice", ALICE), token("bob", BOB)] };
    listen(admin_router(Arc::clone(&served.mint), config), ListenConfig::default()).await
}

async fn ask(address: SocketAddr, secret: &str, method: &str, path: &str, body: &Value) -> Reply {
    let headers = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    request(address, method, path, &headers, body.to_string().as_bytes()).await
}

async fn read(address: SocketAddr, path: &str) -> Value {
    let reply = ask(address, ALICE, "GET", path, &Value::Null).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), None, "no page in a browser has business here");
    reply.json()
}

/// A refusal: its code.
async fn refused(address: SocketAddr, path: &str, body: &Value, status: u16) -> u64 {
    let reply = ask(address, ALICE, "POST", path, body).await;
    assert_eq!(reply.status, status, "{reply:?}");
    reply.json()["code"].as_u64().expect("a code")
}

#[tokio::test]
async fn nothing_is_said_without_a_token() {
    let served = Served::new().await;
    let address = surface(&served).await;
    let cut = &ALICE[1..];
    for headers in [
        String::new(),
        "authorization: Bearer\r\n".to_owned(),
        format!("authorization: Bearer {cut}\r\n"),
        format!("authorization: Bearer {ALICE} \u{a0}\r\n"),
        format!("authorization: Basic {ALICE}\r\n"),
        format!("authorization: {ALICE}\r\n"),
        format!("authorization: Bearer {ALICE}\r\nauthorization: Bearer {BOB}\r\n"),
        format!("cookie: {ALICE}\r\n"),
    ] {
        for (method, path) in [
            ("GET", "/v1/admin/keysets"),
            ("POST", "/v1/admin/keysets/rotate"),
            ("GET", "/v1/admin/audit"),
            ("GET", "/nothing"),
            ("OPTIONS", "/v1/admin/keysets"),
        ] {
            let reply = request(address, method, path, &headers, b"").await;
            assert_eq!(reply.status, 401, "{headers} {reply:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(served.mint.keysets().keysets.len(), 1);
    // The public API has none of this.
    assert_eq!(get(served.address, "/v1/admin/keysets").await.refused(404), 10_000);
}

#[tokio::test]
async fn acts_are_done_and_told() {
    let served = Served::new().await;
    let address = surface(&served).await;
    let first = served.keyset();
    let body = json!({"unit": "sat", "input_fee_ppk": 100, "denominations": [25, 10, 5, 1], "final_expiry": 4_000_000_000_u64});
    let reply = ask(address, ALICE, "POST", "/v1/admin/keysets/rotate", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let made = reply.json();
    assert_eq!(made["denominations"], json!([1, 5, 10, 25]));
    assert_eq!((&made["active"], &made["input_fee_ppk"]), (&json!(true), &json!(100)));
    let shown = get(served.address, "/v1/keysets").await.json();
    assert_eq!(shown["keysets"][1]["id"], made["id"]);
    assert_eq!(shown["keysets"][1]["final_expiry"], 4_000_000_000_u64);

    for (secret, how, reason) in [(BOB, "stop", "leaked?"), (ALICE, "allow", "no")] {
        let path = format!("/v1/admin/keysets/{first}/{how}");
        let reply = ask(address, secret, "POST", &path, &json!({"reason": reason})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json()["stopped"], how == "stop");
        assert_eq!(refused(address, &path, &json!({"reason": "again"}), 400).await, 12_000);
    }
    let log = read(address, "/v1/admin/audit").await;
    let lines: Vec<_> = log["audit"].as_array().expect("a list").iter().collect();
    let told: Vec<_> = lines.iter().map(|line| (line["actor"].as_str(), line["action"].as_str())).collect();
    let expected =
        [("alice", "keyset.allow"), ("bob", "keyset.stop"), ("alice", "keyset.add"), ("hazeld", "keyset.add")];
    assert_eq!(told, expected.map(|(actor, action)| (Some(actor), Some(action))));
    assert_eq!((&lines[1]["detail"], &lines[1]["keyset"]), (&json!("leaked?"), &json!(first)));
    let page = read(address, &format!("/v1/admin/audit?limit=1&before={}", lines[1]["sequence"])).await;
    assert_eq!(page["audit"], json!([lines[2]]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let served = Served::new().await;
    let address = surface(&served).await;
    let rotate = "/v1/admin/keysets/rotate";
    for (body, status, code) in [
        (json!({}), 400, 10_000),
        (json!({"unit": "sat", "fee": 1}), 400, 10_000),
        (json!({"unit": "sat", "input_fee_ppk": -1}), 400, 10_000),
        (json!({"unit": "eur"}), 400, 11_013),
        (json!({"unit": "sat", "input_fee_ppk": 1_001}), 400, 12_000),
        (json!({"unit": "sat", "denominations": []}), 400, 12_000),
        (json!({"unit": "sat", "denominations": [2, 4]}), 400, 12_000),
        (json!({"unit": "sat", "denominations": [1, 1]}), 400, 12_000),
        (json!({"unit": "sat", "denominations": (1..=257).collect::<Vec<u64>>()}), 400, 10_000),
        (json!({"unit": "sat", "final_expiry": served.now()}), 400, 12_000),
    ] {
        assert_eq!(refused(address, rotate, &body, status).await, code, "{body}");
    }
    let first = served.keyset();
    let stop = format!("/v1/admin/keysets/{first}/stop");
    for body in [json!({}), json!({"reason": ""}), json!({"reason": "r".repeat(513)}), json!({"reason": 1})] {
        assert_eq!(refused(address, &stop, &body, 400).await, 10_000, "{body}");
    }
    let unknown = "/v1/admin/keysets/00ffffffffffffff/stop";
    assert_eq!(refused(address, unknown, &json!({"reason": "x"}), 400).await, 12_001);
    let large = json!({"reason": "r".repeat(100_000)});
    assert_eq!(refused(address, &stop, &large, 413).await, 10_000);
    for path in [
        "/v1/admin/audit?limit=0",
        "/v1/admin/audit?after=1",
        "/v1/admin/keysets?skip=x",
        "/v1/admin/operations?after=1",
    ] {
        assert_eq!(ask(address, ALICE, "GET", path, &Value::Null).await.status, 400, "{path}");
    }
    assert_eq!(served.mint.keysets().keysets.len(), 1);
    assert_eq!(read(address, "/v1/admin/audit").await["audit"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn books_and_unfinished_operations_are_shown() {
    let served = Served::new().await;
    let address = surface(&served).await;
    let coins = fund(&served, &[8, 32]).await;
    served.node.slow.store(true, std::sync::atomic::Ordering::SeqCst);
    let request = json!({"request": "inv:201:38000", "unit": "sat"});
    let quote = super::api::done(&served, "/v1/melt/quote/bolt11", &request).await;
    let melt = json!({"quote": quote["quote"], "inputs": coins});
    assert_eq!(super::api::done(&served, "/v1/melt/bolt11", &melt).await["state"], "PENDING");
    let list = read(address, "/v1/admin/keysets").await;
    let books = ["issued", "redeemed", "reserved", "fees", "carried"].map(|key| list["keysets"][0][key].as_u64());
    assert_eq!(books, [40, 0, 40, 0, 0].map(Some));
    assert_eq!(read(address, "/v1/admin/keysets?skip=1").await, json!({"count": 1, "keysets": []}));
    let page = read(address, "/v1/admin/operations?limit=5").await;
    let [operation] = page["operations"].as_array().expect("a list").as_slice() else { panic!("{page}") };
    assert_eq!((&operation["kind"], &operation["state"]), (&json!("melt"), &json!("unknown")));
    assert!(!page.to_string().contains(quote["quote"].as_str().expect("an id")), "who knows the quote can act on it");
    let after = format!("/v1/admin/operations?after={}", operation["id"].as_str().expect("an id"));
    assert_eq!(read(address, &after).await["operations"], json!([]));
}
