//! NUT-17 over a real WebSocket: nothing is missed, told twice or out of order, and a bad client hurts nobody but itself.

mod client;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Hazeld, Launch, Wallet, invoice, wait_until};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use hazel_protocol::{PointBytes, Proof, QuoteId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SUBSCRIBERS: usize = 200;
const CLIENTS: u8 = 64;
const PATIENCE: Duration = Duration::from_mins(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// `hazeld start` with these settings on top of the example's.
fn started(settings: &[(&str, &str)]) -> (TempDir, Hazeld) {
    let folder = tempfile::tempdir().expect("a folder");
    let example = Launch::hazeld(&["config", "example"]).output();
    std::fs::write(folder.path().join("hazeld.toml"), &example.stdout).expect("written");
    let seed = Launch::hazeld(&["seed", "new", "--file"]).arg(folder.path().join("seed")).output();
    assert_eq!(seed.status.code(), Some(0));
    let mut launch =
        Launch::hazeld(&["start", "--config"]).arg(folder.path().join("hazeld.toml")).on_database_of(folder.path());
    for (name, value) in [("HTTP__LISTEN", "127.0.0.1:0"), ("LIGHTNING__PAY_AFTER_MS", "0")].iter().chain(settings) {
        launch = launch.env(&format!("HAZELD_{name}"), value);
    }
    (folder, launch.start())
}

async fn connect(mint: &Hazeld) -> Socket {
    let url = format!("{}/v1/ws", mint.url().replace("http://", "ws://"));
    connect_async(url).await.expect("a WebSocket").0
}

fn subscribe(id: usize, kind: &str, name: &str, filters: &[String]) -> Message {
    let params = json!({ "kind": kind, "subId": name, "filters": filters });
    Message::text(json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": id }).to_string())
}

/// The next message that is JSON; `None` when the socket is closed.
async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("something comes")? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Every notification so far: for each subscription, what it was told of each thing, in order.
type Heard = Arc<Mutex<BTreeMap<(String, String), Vec<String>>>>;

/// Reads a socket to its end.
async fn read_all(
    mut reader: impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
    heard: Heard,
) {
    while let Some(Ok(message)) = reader.next().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert!(message["error"].is_null(), "{message}");
        let Some(params) = message.get("params") else { continue };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let payload = &params["payload"];
        let thing = payload.get("quote").or_else(|| payload.get("Y")).expect("a quote or a proof");
        let key = (text(&params["subId"]), text(thing));
        heard.lock().expect("no panic").entry(key).or_default().push(text(&payload["state"]));
    }
}

/// Of how many things the last that was told is `state`.
fn count_of(heard: &Heard, letter: char, state: &str) -> usize {
    let heard = heard.lock().expect("no panic");
    let there = heard
        .iter()
        .filter(|((name, _), states)| name.starts_with(letter) && states.last().is_some_and(|last| last == state));
    there.count()
}

/// What was told is the end of the whole story, each chapter once.
fn assert_story(told: &[String], story: &[&str]) {
    let begins = story.iter().position(|state| told.first().is_some_and(|first| first == state));
    assert!(begins.is_some_and(|begins| told == &story[begins..]), "{told:?}");
}

/// Swaps its money round and round until told to stop.
async fn keep_swapping(wallet: Wallet, stop: Arc<AtomicBool>) -> usize {
    let mut proofs = wallet.mint(4).await;
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        proofs = wallet.swap(&proofs).await;
        swaps += 1;
    }
    swaps
}

fn ys(proofs: &[Proof]) -> Vec<String> {
    proofs.iter().map(|proof| PointBytes::from(&proof.y()).to_string()).collect()
}

async fn joined<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in running {
        done.push(task.await.expect("no task panics"));
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_subscribers_hear_everything_once_and_in_order_while_others_swap() {
    everybody_hears_their_own(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_subscribers_with_a_socket_each_hear_everything_once_and_in_order_while_others_swap() {
    everybody_hears_their_own(SUBSCRIBERS).await;
}

/// Who subscribes, over how many sockets, and what each socket was told.
struct Audience {
    writers: Vec<SplitSink<Socket, Message>>,
    readers: Vec<JoinHandle<()>>,
    heard: Vec<Heard>,
}

impl Audience {
    async fn connect(mint: &Hazeld, sockets: usize) -> Self {
        let mut audience = Self { writers: Vec::new(), readers: Vec::new(), heard: Vec::new() };
        for _ in 0..sockets {
            let (writer, reader) = connect(mint).await.split();
            let heard = Heard::default();
            audience.readers.push(tokio::spawn(read_all(reader, Arc::clone(&heard))));
            audience.writers.push(writer);
            audience.heard.push(heard);
        }
        audience
    }

    /// Subscriber `n` subscribes, on the socket that it has or shares.
    async fn subscribe(&mut self, n: usize, kind: &str, letter: char, filters: &[String]) {
        let socket = n % self.writers.len();
        let message = subscribe(n, kind, &format!("{letter}{n}"), filters);
        self.writers[socket].send(message).await.expect("sent");
    }

    /// Waits until the last that was told of each of `count` things is `state`.
    async fn wait(&self, letter: char, count: usize, state: &str) {
        wait(|| self.heard.iter().map(|heard| count_of(heard, letter, state)).sum::<usize>() == count).await;
    }

    /// Every socket is open and was told the stories of its own subscribers and of nobody else, each once and in order.
    fn assert_stories(self) {
        assert!(self.readers.iter().all(|reader| !reader.is_finished()), "all sockets are still open");
        let sockets = self.heard.len();
        let mut from_the_start = 0;
        for (socket, heard) in self.heard.iter().enumerate() {
            self.readers[socket].abort();
            let heard = heard.lock().expect("no panic");
            assert_eq!(heard.len(), 3 * SUBSCRIBERS / sockets, "a story of each quote and each proof");
            for ((name, _), told) in heard.iter() {
                let n: usize = name[1..].parse().expect("the number of a subscriber");
                assert_eq!(n % sockets, socket, "everybody hears their own");
                if name.starts_with('q') {
                    assert_story(told, &["UNPAID", "PAID", "ISSUED"]);
                } else {
                    assert_eq!(told, &["UNSPENT", "PENDING", "SPENT"], "{name}");
                }
            }
            from_the_start += heard.values().filter(|told| told[0] == "UNPAID").count();
        }
        assert!(from_the_start > 0, "some were subscribed to before they were paid");
    }
}

/// Two hundred subscribers over so many sockets follow a quote and its two proofs from the invoice to the swap.
async fn everybody_hears_their_own(sockets: usize) {
    let (_folder, mint) = started(&[("HTTP__MAX_SUBSCRIPTIONS", "400"), ("LIGHTNING__SETTLE_AFTER_MS", "4000")]);
    let wallet = Wallet::open(mint.url(), 1).await;
    let mut audience = Audience::connect(&mint, sockets).await;
    let stop = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(keep_swapping(wallet.another(100 + n), Arc::clone(&stop)))).collect();

    let quotes: Vec<QuoteId> = joined((0..SUBSCRIBERS).map(|_| {
        let wallet = wallet.clone();
        async move { wallet.mint_quote(2).await.quote }
    }))
    .await;
    for (n, quote) in quotes.iter().enumerate() {
        audience.subscribe(n, "bolt11_mint_quote", 'q', &[quote.as_str().to_owned()]).await;
    }
    audience.wait('q', SUBSCRIBERS, "PAID").await;
    let proofs = joined(quotes.into_iter().map(|quote| {
        let wallet = wallet.clone();
        async move {
            let draft = wallet.draft(&[1, 1]);
            let answer = wallet.try_issue(&quote, &draft).await.expect("an answer");
            let answer: hazel_protocol::MintResponse = answer.ok();
            wallet.finish_all(&draft, &answer.signatures)
        }
    }))
    .await;
    for (n, proofs) in proofs.iter().enumerate() {
        audience.subscribe(n, "proof_state", 'p', &ys(proofs)).await;
    }
    audience.wait('p', 2 * SUBSCRIBERS, "UNSPENT").await;
    joined(proofs.into_iter().map(|proofs| {
        let wallet = wallet.clone();
        async move { wallet.swap(&proofs).await }
    }))
    .await;
    audience.wait('p', 2 * SUBSCRIBERS, "SPENT").await;
    audience.wait('q', SUBSCRIBERS, "ISSUED").await;
    // What would be told twice had time to arrive.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut swaps = 0;
    for client in traffic {
        swaps += client.await.expect("no client panics");
    }
    assert!(swaps > usize::from(CLIENTS), "others swapped meanwhile: {swaps}");
    audience.assert_stories();
}

async fn wait(mut condition: impl FnMut() -> bool) {
    let patience = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < patience, "it does not come to pass");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn dev() -> (TempDir, Hazeld, Wallet, Socket) {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let socket = connect(&mint).await;
    (folder, mint, wallet, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_melt_quote_is_told_with_its_preimage_and_its_inputs_beside_it() {
    let (_folder, _mint, wallet, mut socket) = dev().await;
    let proofs = wallet.mint(8).await;
    let quote = wallet.melt_quote(&invoice(1, 8)).await.quote;
    let id = [quote.as_str().to_owned()];
    socket.send(subscribe(1, "bolt11_melt_quote", "m", &id)).await.expect("sent");
    assert_eq!(next(&mut socket).await.expect("an answer")["result"], json!({ "status": "OK", "subId": "m" }));
    assert_eq!(next(&mut socket).await.expect("a snapshot")["params"]["payload"]["state"], "UNPAID");
    let paid = wallet.try_melt(&quote, &proofs, &wallet.draft(&[])).await;
    drop(paid);
    let mut told = Vec::new();
    while told.last().is_none_or(|last: &Value| last["state"] != "PAID") {
        told.push(next(&mut socket).await.expect("a notification")["params"]["payload"].clone());
    }
    let states: Vec<_> = told.iter().map(|payload| payload["state"].as_str().expect("a state")).collect();
    assert_eq!(states, ["PENDING", "PAID"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_the_socket_goes_on() {
    let (_folder, _mint, wallet, mut socket) = dev().await;
    let quote = wallet.mint_quote(8).await.quote.as_str().to_owned();
    let y = format!("02{}", "11".repeat(32));
    let request = |method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 7 }).to_string()
    };
    let params = |kind: &str, filters: Value| json!({ "kind": kind, "subId": "s", "filters": filters });
    let unknown = "019e6d5a-2347-7000-8037-b42dae20f1fe";
    let table = [
        ("no JSON", "{".to_owned(), -32_700, Value::Null),
        ("deep JSON", "[".repeat(100_000), -32_700, Value::Null),
        ("no object", "[]".to_owned(), -32_700, Value::Null),
        (
            "a request without an id",
            r#"{"jsonrpc":"2.0","method":"subscribe","params":{}}"#.to_owned(),
            -32_600,
            Value::Null,
        ),
        ("another version", request("subscribe", json!({})).replace("2.0", "1.0"), -32_600, json!(7)),
        ("another method", request("publish", json!({})), -32_601, json!(7)),
        ("no params", request("subscribe", json!({})), -32_602, json!(7)),
        ("another kind", request("subscribe", params("bolt12_mint_quote", json!([quote]))), -32_602, json!(7)),
        ("no kind", request("subscribe", params("x", json!([quote]))), -32_602, json!(7)),
        ("no filters", request("subscribe", params("proof_state", json!([]))), -32_602, json!(7)),
        ("1001 filters", request("subscribe", params("proof_state", json!(vec![&y; 1001]))), -32_602, json!(7)),
        ("no point", request("subscribe", params("proof_state", json!(["02"]))), -32_602, json!(7)),
        ("an unknown quote", request("subscribe", params("bolt11_mint_quote", json!([unknown]))), -32_602, json!(7)),
        ("no such subscription", request("unsubscribe", json!({ "subId": "s" })), -32_602, json!(7)),
    ];
    for (what, text, code, id) in table {
        socket.send(Message::text(text)).await.expect("sent");
        let answer = next(&mut socket).await.unwrap_or_else(|| panic!("{what}: closed"));
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{what}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
    }
    socket.send(subscribe(1, "proof_state", "s", &[y.clone(), y.clone()])).await.expect("sent");
    assert_eq!(next(&mut socket).await.expect("an answer")["result"]["status"], "OK");
    assert_eq!(next(&mut socket).await.expect("a snapshot")["params"]["payload"]["state"], "UNSPENT");
    socket.send(subscribe(2, "proof_state", "s", &[y])).await.expect("sent");
    assert_eq!(next(&mut socket).await.expect("once only")["error"]["code"], -32_602, "the same id twice");
    socket.send(Message::text(request("unsubscribe", json!({ "subId": "s" })))).await.expect("sent");
    assert_eq!(next(&mut socket).await.expect("an answer")["result"]["subId"], "s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_at_most_a_hundred_subscriptions() {
    let (_folder, _mint, _wallet, mut socket) = dev().await;
    let y = format!("02{}", "11".repeat(32));
    for n in 0..101 {
        socket.send(subscribe(n, "proof_state", &format!("s{n}"), std::slice::from_ref(&y))).await.expect("sent");
        let answer = next(&mut socket).await.expect("an answer");
        if n == 100 {
            assert_eq!(answer["error"]["code"], -32_602, "{answer}");
        } else {
            assert_eq!(answer["result"]["status"], "OK", "{answer}");
            assert_eq!(next(&mut socket).await.expect("a snapshot")["params"]["subId"], format!("s{n}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_no_text_or_too_long_end_the_socket_and_nothing_else() {
    let (_folder, mint, wallet, mut socket) = dev().await;
    let mut long = connect(&mint).await;
    socket.send(Message::binary(vec![0; 4])).await.expect("sent");
    assert_eq!(next(&mut socket).await, None, "binary");
    // It may be gone before all is sent.
    let _ = long.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(next(&mut long).await, None, "a mebibyte");
    let mut other = connect(&mint).await;
    let y = ys(&wallet.mint(1).await);
    other.send(subscribe(1, "proof_state", "s", &y)).await.expect("sent");
    assert_eq!(next(&mut other).await.expect("an answer")["result"]["status"], "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_on_a_socket_costs_points_as_elsewhere() {
    let (_folder, mint) = started(&[("RATE__PER_SECOND", "1"), ("RATE__BURST", "40")]);
    let mut socket = connect(&mint).await;
    let y = [format!("02{}", "11".repeat(32))];
    let (mut taken, mut refused) = (0, 0);
    for id in 0..60 {
        socket.send(subscribe(id, "proof_state", &format!("s{id}"), &y)).await.expect("sent");
        let answer = loop {
            let message = next(&mut socket).await.expect("the socket stays");
            if message["id"] == id {
                break message;
            }
        };
        match answer["error"]["code"].as_i64() {
            None => taken += 1,
            Some(code) => {
                assert_eq!(code, -32_029, "{answer}");
                refused += 1;
            }
        }
    }
    assert!(taken >= 10 && refused >= 10, "{taken} were taken and {refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_does_not_answer_pings_is_closed_and_one_that_does_stays() {
    let (_folder, mint) = started(&[("HTTP__SOCKET_PING_SECS", "1"), ("HTTP__MAX_SOCKETS", "2")]);
    let silent = connect(&mint).await;
    let mut lively = connect(&mint).await;
    let url = format!("{}/v1/ws", mint.url().replace("http://", "ws://"));
    assert!(connect_async(&url).await.is_err(), "there is no room for a third");
    let pinged = tokio::time::timeout(Duration::from_secs(4), async {
        let mut pings = 0;
        while let Some(Ok(message)) = lively.next().await {
            pings += usize::from(message.is_ping());
        }
        pings
    });
    assert!(pinged.await.is_err(), "who reads answers pings and stays");
    // The silent one is not read, so its pongs are never sent; its place is free again.
    let mut free = false;
    for _ in 0..100 {
        free = free || connect_async(&url).await.is_ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if free {
            break;
        }
    }
    assert!(free, "the silent socket gave its place back");
    drop(silent);
    assert!(wait_until(Duration::from_secs(5), || !mint.log().contains("panicked")));
}

/// The close frame that a socket ends with, if it ends with one.
async fn farewell(socket: &mut Socket) -> Option<u16> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("the socket ends")? {
            Ok(Message::Close(frame)) => return Some(frame.map_or(1005, |frame| frame.code.into())),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_frame_is_answered_with_one_and_every_end_has_one() {
    let (_folder, mint, _wallet, mut socket) = dev().await;
    let y = [format!("02{}", "11".repeat(32))];
    socket.send(subscribe(1, "proof_state", "s", &y)).await.expect("sent");
    assert_eq!(next(&mut socket).await.expect("an answer")["result"]["status"], "OK");
    let own_word = CloseFrame { code: 1000.into(), reason: "done".into() };
    socket.send(Message::Close(Some(own_word))).await.expect("sent");
    assert_eq!(farewell(&mut socket).await, Some(1000), "the client's own code comes back");
    let mut plain = connect(&mint).await;
    plain.send(Message::Close(None)).await.expect("sent");
    assert_eq!(farewell(&mut plain).await, Some(1005), "a close frame without a code is answered, too");
    let mut binary = connect(&mint).await;
    binary.send(Message::binary(vec![0; 4])).await.expect("sent");
    // Messages that are still on their way must not break the connection before its last word.
    for n in 0..20 {
        binary.send(subscribe(n, "proof_state", "s", &y)).await.expect("sent");
    }
    assert_eq!(farewell(&mut binary).await, Some(1003), "binary");
    let mut open = connect(&mint).await;
    let stopping = tokio::task::spawn_blocking(move || mint.stop());
    assert_eq!(farewell(&mut open).await, Some(1013), "the mint stops");
    stopping.await.expect("it stops");
}
