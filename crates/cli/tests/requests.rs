//! Payment requests and Lightning addresses by the command, with a real mint and real sockets.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use support::{Mint, User};

const PATIENCE: Duration = Duration::from_mins(2);

struct World {
    home: tempfile::TempDir,
    mint: Mint,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mint = Mint::start(&home.path().join("mint"), &home.path().join("lightning.sqlite"), 0);
        Self { home, mint }
    }

    fn payer_and_payee(&self) -> (User, User) {
        let of = |name: &str| User::new(self.home.path().join(name), Some(&self.mint));
        let (alice, bob) = (of("alice"), of("bob"));
        alice.hazel(&["mint", "100"]).ok();
        (alice, bob)
    }
}

/// Answers the n-th request with the n-th status and body; what it got comes through the channel.
fn serve(listener: TcpListener, answers: Vec<(u16, String)>) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut got = Vec::new();
            let mut chunk = vec![0; 65_536];
            loop {
                let count = stream.read(&mut chunk).expect("readable");
                got.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&got);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                    break;
                }
            }
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).expect("writable");
            tell.send(String::from_utf8_lossy(&got).into_owned()).expect("somebody listens");
        }
    });
    told
}

fn free() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("an address").to_string();
    (listener, at)
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").expect("a request").1
}

#[test]
fn a_request_is_paid_over_the_web_even_when_nobody_is_there_at_first() {
    let world = World::new();
    let (alice, bob) = world.payer_and_payee();
    let (listener, at) = free();
    drop(listener);
    let asked = bob.hazel(&["--json", "request", "21", "--post", &format!("http://{at}/paid"), "--description", "tea"]);
    let asked = asked.ok().json();
    let (id, request) = (asked["id"].as_str().unwrap(), asked["bech32"].as_str().unwrap());
    assert_eq!((asked["state"].as_str(), asked["single_use"].as_bool()), (Some("open"), Some(true)));

    // A wallet goes to no place without encryption unless it is told to.
    let pay = ["--json", "--yes", "pay-request", request];
    assert!(alice.hazel(&pay).fails_with(1).out.contains("none of the ways"));
    let pay = ["--json", "--yes", "--allow-http", "pay-request", request];
    let undelivered = alice.hazel(&pay).fails_with(5).json();
    assert!(undelivered["error"]["message"].as_str().unwrap().contains("--take-back"), "{undelivered}");
    assert_eq!(alice.balance(), (79, 0, 21));
    let listener = TcpListener::bind(&at).expect("the port is free again");
    let got = serve(listener, vec![(200, String::new()), (400, "no".to_owned())]);
    let delivered = alice.hazel(&["--json", "--allow-http", "pay-request", "--deliver"]).ok().json();
    assert_eq!(delivered["deliveries"][0]["state"], "delivered");
    let payload = got.recv_timeout(PATIENCE).expect("a payment");
    assert!(payload.starts_with("POST /paid HTTP/1.1"), "{payload}");
    let received = bob.hazel_reads(&["--json", "request", "receive", "-"], body(&payload)).ok().json();
    assert_eq!((received["amount"].as_u64(), received["request"]["state"].as_str()), (Some(21), Some("closed")));
    assert_eq!(bob.balance(), (21, 0, 0));
    let shown = bob.hazel(&["--json", "request", "show", id]).ok().json();
    assert_eq!((shown["received"].as_u64(), shown["payments"].as_u64()), (Some(21), Some(1)));
    bob.hazel_reads(&["request", "receive", "-"], body(&payload)).fails_with(1);

    // Paid again by mistake: the shop refuses, and the money comes back.
    let again = alice.hazel(&pay).fails_with(5).json();
    let payload = got.recv_timeout(PATIENCE).expect("a payment");
    bob.hazel_reads(&["request", "receive", "-"], body(&payload)).fails_with(1);
    let text = again["error"]["message"].as_str().unwrap();
    let delivery = text.rsplit("--take-back ").next().unwrap().split('`').next().unwrap();
    alice.hazel(&["pay-request", "--take-back", delivery]).ok();
    assert_eq!((alice.hazel(&["pending"]).ok(), alice.balance().0).1, 79);
    assert!(alice.hazel(&["pay-request", "--deliver"]).ok().out.contains("Nothing"));
}

#[test]
fn a_request_without_a_way_is_paid_by_hand() {
    let world = World::new();
    let (alice, bob) = world.payer_and_payee();
    let asked = bob.hazel(&["--json", "request", "--reusable", "--lock", "0"]).ok().json();
    let request = asked["request"].as_str().unwrap();
    assert!(request.starts_with("creqA"), "{request}");
    alice.hazel(&["--yes", "pay-request", request]).fails_with(1);
    for amount in ["5", "6"] {
        let paid = alice.hazel(&["--yes", "pay-request", request, "--amount", amount, "--memo", "hi"]).ok();
        let said = bob.hazel_reads(&["request", "receive", "-"], &paid.out).ok().out;
        assert!(said.contains(&format!("{amount} sat came in")) && said.contains("hi"), "{said}");
    }
    assert_eq!((bob.balance(), alice.balance().0), ((11, 0, 0), 89));
    let listed = bob.hazel(&["--json", "request", "list"]).ok().json();
    assert_eq!(listed["requests"][0]["payments"], 2);
    bob.hazel(&["request", "close", asked["id"].as_str().unwrap()]).ok();
    assert_eq!(bob.hazel(&["--json", "request", "list"]).ok().json()["requests"], json!([]));
}

#[test]
fn an_address_is_paid_and_a_greedy_one_is_not() {
    let mut world = World::new();
    let (alice, bob) = world.payer_and_payee();
    world.mint.restart(&[("settle-after-ms", support::NEVER_MS), ("pay-after-ms", 0)]);
    let (listener, at) = free();
    let parameters = json!({
        "callback": format!("http://{at}/invoice"),
        "minSendable": 1000,
        "maxSendable": 50_000,
        "metadata": r#"[["text/plain","bob's till"]]"#,
        "commentAllowed": 10,
        "tag": "payRequest",
    });
    let invoice = |amount: &str| (200, json!({ "pr": bob.invoice(amount) }).to_string());
    let got = serve(
        listener,
        vec![(200, parameters.to_string()), invoice("10"), (200, parameters.to_string()), invoice("11")],
    );
    let address = format!("bob@{at}");
    let pay = ["--yes", "--allow-http", "pay", &address, "--amount", "10", "--comment", "cheers"];
    let paid = alice.hazel(&pay).ok();
    assert!(paid.out.contains("Paid 10 sat") && paid.err.contains("bob's till"), "{paid:?}");
    let asked: Vec<String> = (0..2).map(|_| got.recv_timeout(PATIENCE).expect("a question")).collect();
    assert!(asked[0].starts_with("GET /.well-known/lnurlp/bob HTTP/1.1"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /invoice?amount=10000&comment=cheers HTTP/1.1"), "{}", asked[1]);
    let before = alice.balance();
    assert!(alice.hazel(&pay).fails_with(1).err.contains("another amount"));
    assert_eq!(alice.balance(), before);
    assert!(alice.hazel(&["--yes", "--allow-http", "pay", &address]).fails_with(2).err.contains("--amount"));
    assert_eq!(bob.balance().0, 10, "what was paid arrived");
}
