//! Two mints on one PostgreSQL database: they are one mint, whichever is asked, killed, or stopped for a while.

mod client;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use client::{Hazeld, Launch, Wallet, audit, invoice, rotate, state_of_melt, sum, wait_until};
use futures_util::{SinkExt, StreamExt};
use hazel_lightning::fake::{CallOutcome, FakeLedger, Steer, open_ledger};
use hazel_protocol::{MeltQuoteBolt11Response, MeltQuoteState, ProofState, SwapResponse};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// As long as a lease runs.
const LEASE: Duration = Duration::from_secs(10);
/// How long a dead process's work may lie about, on a machine that is busy with other things.
const TWO_LEASES: Duration = Duration::from_secs(20);

/// An input is spent, or held by another request right now.
const SPENT_OR_PENDING: [u64; 2] = [11_001, 11_002];

/// A database, a seed and a node that several mints share.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn launch(&self, name: &str) -> Launch {
        Launch::replica(self.folder.path(), name)
    }

    /// Starts two mints, one after the other.
    fn two(&self) -> (Hazeld, Hazeld) {
        (self.launch("a").start(), self.launch("b").start())
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn node(&self) -> FakeLedger {
        open_ledger(self.folder.path().join("lightning.sqlite")).expect("the node's file opens")
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("mint.sqlite")
    }

    fn is_settled(&self) -> bool {
        let books = audit(&self.database());
        (books.unfinished, books.pending, books.reserved_outputs) == (0, 0, 0)
    }
}

/// Runs two things at once.
fn both<T: Send>(first: impl FnOnce() -> T + Send, second: impl FnOnce() -> T + Send) -> (T, T) {
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().expect("no panic"), second)
    })
}

async fn keysets(url: &str) -> Value {
    client::Api::new(url).get("/v1/keysets").await.ok()
}

/// How many keysets sign sat.
fn signing(keysets: &Value) -> usize {
    let list = keysets["keysets"].as_array().expect("a list");
    list.iter().filter(|keyset| keyset["active"] == true && keyset["unit"] == "sat").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_start_and_rotate_at_once_agree() {
    let site = Site::new();
    let (a, b) = (site.launch("a"), site.launch("b"));
    let (a, b) = tokio::task::block_in_place(|| both(|| a.start(), || b.start()));
    let begun = keysets(a.url()).await;
    assert_eq!(begun, keysets(b.url()).await, "one empty database was made into one mint");
    assert_eq!(signing(&begun), 1);
    for _ in 0..3 {
        tokio::task::block_in_place(|| both(|| rotate(&site.data("a")), || rotate(&site.data("b"))));
    }
    let mut now = (Value::Null, Value::Null);
    for _ in 0..120 {
        now = (keysets(a.url()).await, keysets(b.url()).await);
        if now.0 == now.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(now.0, now.1, "each soon knows what the other did");
    assert_eq!(signing(&now.0), 1);
    let wallet = Wallet::open(b.url(), 1).await;
    assert_eq!(sum(&wallet.mint(8).await), 8);
    // One rotates; the other, asked at once, rotates from there.
    tokio::task::block_in_place(|| rotate(&site.data("a")));
    let before = keysets(a.url()).await["keysets"].as_array().expect("a list").len();
    tokio::task::block_in_place(|| rotate(&site.data("b")));
    assert_eq!(keysets(b.url()).await["keysets"].as_array().expect("a list").len(), before + 1);
    a.stop();
    b.stop();
    audit(&site.database()).assert_settled(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_spends_at_two_mints_one_wins_and_either_repeats_the_answer() {
    let site = Site::new();
    let (a, b) = site.two();
    let here = Wallet::open(a.url(), 1).await;
    let there = here.moved_to(b.url());
    let rounds = 12;
    for _ in 0..rounds {
        let money = here.mint(8).await;
        let drafts = [here.draft_for(8), here.draft_for(8)];
        let (first, second) = tokio::join!(here.try_swap(&money, &drafts[0]), there.try_swap(&money, &drafts[1]));
        let answers = [first.expect("answered"), second.expect("answered")];
        let winner = answers.iter().position(client::Answer::is_ok).expect("one wins");
        let loser = &answers[1 - winner];
        assert!(loser.code().is_some_and(|code| SPENT_OR_PENDING.contains(&code)), "one loses: {loser:?}");
        for wallet in [&here, &there] {
            let again: SwapResponse = wallet.try_swap(&money, &drafts[winner]).await.expect("answered").ok();
            assert_eq!(serde_json::to_value(&again).expect("JSON"), answers[winner].body);
            assert_eq!(wallet.states(&money).await, vec![ProofState::Spent; money.len()]);
        }
    }
    a.stop();
    b.stop();
    audit(&site.database()).assert_settled(8 * rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_of_an_invoice_is_made_by_two_mints() {
    let site = Site::new();
    let (a, b) = site.two();
    let here = Wallet::open(a.url(), 1).await;
    let there = here.moved_to(b.url());
    let money = [here.mint(8).await, here.mint(8).await];
    let quote = here.melt_quote(&invoice(1, 8)).await;
    let none = here.draft(&[]);
    let (first, second) =
        tokio::join!(here.try_melt(&quote.quote, &money[0], &none), there.try_melt(&quote.quote, &money[1], &none));
    let won = [first.expect("answered").is_ok(), second.expect("answered").is_ok()];
    assert_ne!(won[0], won[1], "one of them pays");
    assert_eq!(site.node().payments().expect("read").len(), 1);
    a.stop();
    b.stop();
    audit(&site.database()).assert_settled(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_mint_leaves_is_resolved_by_another_within_two_leases() {
    let site = Site::new();
    let a = site.launch("a").fake("pay-after-ms", 3_000).start();
    let b = site.launch("b").start();
    let here = Wallet::open(a.url(), 1).await;
    let there = here.moved_to(b.url());
    let money = here.mint(8).await;
    let quote = here.melt_quote(&invoice(2, 8)).await;
    let melting = tokio::spawn({
        let (here, money, id) = (here.clone(), money.clone(), quote.quote.clone());
        async move { here.try_melt(&id, &money, &here.draft(&[])).await }
    });
    let node = site.node();
    let is_sent = || !node.payments().expect("read").is_empty();
    assert!(tokio::task::block_in_place(|| wait_until(TWO_LEASES, is_sent)), "{}", a.log());
    a.kill();
    assert!(melting.await.expect("no panic").is_none(), "nobody answered");
    assert!(tokio::task::block_in_place(|| wait_until(TWO_LEASES, || site.is_settled())), "{}", b.log());
    assert_eq!(there.melt_quote_now(&quote.quote).await.state, MeltQuoteState::Paid);
    assert_eq!(node.payments().expect("read").len(), 1);
    b.stop();
    audit(&site.database()).assert_settled(0);
}

/// How long a payment may be tried in the next test: longer than the mint is stopped.
const PAYMENT_SECS: u64 = 40;

/// The lease fences and not the clock: the mint wakes while the payment would still be in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_was_stopped_before_it_paid_pays_no_more() {
    let site = Site::new();
    let timeout = PAYMENT_SECS.to_string();
    let mut a = site.launch("a").args(&["--payment-timeout-secs", &timeout]).start();
    let b = site.launch("b").args(&["--payment-timeout-secs", &timeout]).start();
    let here = Wallet::open(a.url(), 1).await;
    let there = here.moved_to(b.url());
    let money = here.mint(8).await;
    let quote = here.melt_quote(&invoice(3, 8)).await;
    let node = site.node();
    // The node takes its time, so that there is some between the commit that allows the payment and the payment.
    node.steer(&Steer::LatencyMs(4_000)).expect("bent");
    let melting = tokio::spawn({
        let (here, money, id) = (here.clone(), money.clone(), quote.quote.clone());
        async move { here.try_melt(&id, &money, &here.draft(&[])).await }
    });
    let state = || state_of_melt(site.folder.path());
    let is_dispatched = || state().as_deref() == Some("dispatched");
    assert!(tokio::task::block_in_place(|| wait_until(TWO_LEASES, is_dispatched)), "{}", a.log());
    a.signal("STOP");
    assert!(node.pay_calls().expect("read").is_empty(), "it was stopped in between");
    node.steer_back().expect("bent back");
    tokio::task::block_in_place(|| thread::sleep(LEASE + Duration::from_secs(4)));
    a.signal("CONT");
    assert_eq!(tokio::task::block_in_place(|| a.wait()).code(), Some(6), "{}", a.log());
    drop(melting.await.expect("no panic"));
    let calls = node.pay_calls().expect("read");
    let [call] = calls.as_slice() else { panic!("it tried once: {calls:?}\n{}", a.log()) };
    assert_eq!(call.outcome, CallOutcome::Late, "it was not sent");
    assert!(call.at_ms < call.not_after.to_unix() * 1_000, "it was not too late by the clock: {call:?}");
    // Once nobody can call any more, the money is free again, and pays once.
    let patience = Duration::from_secs(PAYMENT_SECS) + TWO_LEASES;
    assert!(tokio::task::block_in_place(|| wait_until(patience, || site.is_settled())), "{}", b.log());
    assert_eq!(there.states(&money).await, vec![ProofState::Unspent; money.len()]);
    let paid: MeltQuoteBolt11Response =
        there.try_melt(&quote.quote, &money, &there.draft(&[])).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    assert_eq!(node.payments().expect("read").len(), 1);
    b.stop();
    audit(&site.database()).assert_settled(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_at_one_mint_hears_what_is_done_at_another() {
    let site = Site::new();
    let (a, b) = site.two();
    let here = Wallet::open(a.url(), 1).await;
    let money = here.mint(8).await;
    let quote = here.paid_quote(8).await;
    let url = format!("{}/v1/ws", b.url().replace("http://", "ws://"));
    let mut socket = connect_async(url).await.expect("a WebSocket").0;
    let y = hazel_protocol::PointBytes::from(&money[0].y()).to_string();
    for (id, kind, filter) in [(1, "proof_state", y), (2, "bolt11_mint_quote", quote.as_str().to_owned())] {
        let params = json!({ "kind": kind, "subId": kind, "filters": [filter] });
        let request = json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": id });
        socket.send(Message::text(request.to_string())).await.expect("sent");
    }
    // Told at once how it stands, and then what becomes of it.
    let mut awaited = vec![
        ("proof_state", "UNSPENT"),
        ("bolt11_mint_quote", "PAID"),
        ("proof_state", "SPENT"),
        ("bolt11_mint_quote", "ISSUED"),
    ];
    let mut acted = false;
    while !awaited.is_empty() {
        if awaited.len() == 2 && !acted {
            acted = true;
            here.swap(&money).await;
            assert!(here.try_issue(&quote, &here.draft_for(8)).await.expect("answered").is_ok());
        }
        let heard = tokio::time::timeout(Duration::from_mins(1), socket.next()).await;
        let Some(Ok(Message::Text(text))) = heard.unwrap_or_else(|_| panic!("still awaited: {awaited:?}")) else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        let (name, state) = (&message["params"]["subId"], &message["params"]["payload"]["state"]);
        awaited.retain(|(kind, wanted)| name != kind || state != wanted);
    }
    a.stop();
    b.stop();
    audit(&site.database()).assert_settled(16);
}
