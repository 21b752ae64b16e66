//! The power goes while the real process works, and it starts again from what the disk may hold then.
//!
//! A shim records every write and sync of the database. From its trace the test rebuilds what the disk may hold at a sync: all
//! that was synced before, and of what came after a prefix, or all but one write. On each of these disks the daemon is started
//! again. Every signature that a client had been given is in its ledger, and what the ledger says is out is what the clients
//! hold.
//!
//! Exhaustive: in a short run of two clients, every prefix of the log and every hole in it (all but one write) at every sync. Sampled:
//! how much of a copy of the log into the database has survived (none, half or all of its writes), and the long run of eight clients
//! with a checkpoint under load.
#![cfg(target_os = "linux")]

mod client;
#[path = "../../sqlite/tests/shim/mod.rs"]
mod shim;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Draft, Launch, Wallet, audit, copy_folder, invoice, sum, wait_until};
use hazel_protocol::{
    BlindSignature, MeltQuoteBolt11Response, MeltQuoteState, MintResponse, Proof, ProofState, QuoteId, SwapResponse,
};
use rusqlite::Connection;
use shim::{DiskFile, EIO, ENOSPC, Event, Fault, SimulatedDisk, mark, read_trace, under_shim};
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Something the mint has answered, and what that answer promised.
struct Promise {
    what: What,
    draft: Draft,
    signatures: Vec<BlindSignature>,
    inputs: Vec<Proof>,
}

impl Promise {
    /// By how much it changes what wallets hold.
    fn gain(&self) -> i64 {
        let signed: u64 = self.signatures.iter().map(|signature| signature.amount.to_u64()).sum();
        let small = |amount: u64| i64::try_from(amount).expect("small");
        small(signed) - small(sum(&self.inputs))
    }
}

enum What {
    Swap,
    Issue(QuoteId),
    Melt(QuoteId),
}

/// The promises in the order in which they were heard, and their marks in the trace.
#[derive(Clone)]
struct Heard {
    promises: Arc<Mutex<Vec<Promise>>>,
    trace: PathBuf,
}

impl Heard {
    fn hear(&self, promise: Promise) {
        let mut promises = self.promises.lock().expect("no test panics here");
        mark(&self.trace, &promises.len().to_string());
        promises.push(promise);
    }
}

/// One client's work: it swaps, pays, mints and swaps again.
async fn work(wallet: Wallet, mut money: Vec<Proof>, heard: Heard, number: u64, rounds: u64) {
    for round in 0..rounds {
        money = swap(&wallet, money, &heard).await;
        if round % 4 == 1 {
            money = melt(&wallet, money, &heard, number * 1_000 + round).await;
        }
        if round % 4 == 2 {
            money.extend(mint(&wallet, &heard).await);
        }
    }
}

async fn swap(wallet: &Wallet, inputs: Vec<Proof>, heard: &Heard) -> Vec<Proof> {
    let draft = wallet.draft_for(sum(&inputs));
    let answer: SwapResponse = wallet.try_swap(&inputs, &draft).await.expect("answered").ok();
    let signatures = answer.signatures.into_inner();
    let fresh = wallet.finish_all(&draft, &signatures);
    heard.hear(Promise { what: What::Swap, draft, signatures, inputs });
    fresh
}

async fn mint(wallet: &Wallet, heard: &Heard) -> Vec<Proof> {
    let quote = wallet.paid_quote(16).await;
    let draft = wallet.draft_for(16);
    let answer: MintResponse = wallet.try_issue(&quote, &draft).await.expect("answered").ok();
    let signatures = answer.signatures.into_inner();
    let fresh = wallet.finish_all(&draft, &signatures);
    heard.hear(Promise { what: What::Issue(quote), draft, signatures, inputs: Vec::new() });
    fresh
}

async fn melt(wallet: &Wallet, inputs: Vec<Proof>, heard: &Heard, number: u64) -> Vec<Proof> {
    let quote = wallet.melt_quote(&invoice(number, 5)).await.quote;
    let blanks = wallet.draft(&[0; 6]);
    let answer: MeltQuoteBolt11Response = wallet.try_melt(&quote, &inputs, &blanks).await.expect("answered").ok();
    assert_eq!(answer.state, MeltQuoteState::Paid);
    let signatures = answer.change.expect("change").into_inner();
    let change = wallet.finish(&blanks, &signatures);
    heard.hear(Promise { what: What::Melt(quote), draft: blanks, signatures, inputs });
    change
}

/// A run that was recorded and then killed.
struct Recording {
    /// Seed and fake node as they were at the end; the database is not in it.
    folder: TempDir,
    /// The disk at the start.
    start: SimulatedDisk,
    events: Vec<Event>,
    promises: Vec<Promise>,
    /// What the clients held at the start.
    held: i64,
    wallet: Wallet,
    database: PathBuf,
    log: PathBuf,
}

/// What each client has before the recording begins.
const STAKE: u64 = 48;

/// Runs clients, each for so many rounds, under the shim, and kills the mint.
async fn record(clients: u8, rounds: u64) -> Recording {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let mut moneys = Vec::new();
    for _ in 0..clients {
        moneys.push(wallet.mint(STAKE).await);
    }
    let held = i64::from(clients) * i64::try_from(STAKE).expect("small");
    mint.stop();

    let real = folder.path().canonicalize().expect("a path");
    let (database, log) = (real.join("mint.sqlite"), real.join("mint.sqlite-wal"));
    let mut start = SimulatedDisk::default();
    for path in [&database, &log] {
        let content = std::fs::read(path).unwrap_or_default();
        start.files.insert(path.clone(), DiskFile::confirmed(content));
    }
    let trace = real.join("trace");
    let heard = Heard { promises: Arc::default(), trace: trace.clone() };
    let mint =
        Launch::dev(folder.path()).with(|command| under_shim(command, "mint.sqlite", Some(&trace), None)).start();
    let wallet = wallet.moved_to(mint.url());
    let running: Vec<_> = (0..clients)
        .zip(moneys)
        .map(|(number, money)| tokio::spawn(work(wallet.clone(), money, heard.clone(), number.into(), rounds)))
        .collect();
    for client in running {
        client.await.expect("every request of the load succeeds");
    }
    mint.kill();
    let events = read_trace(&trace);
    for path in [&trace, &database, &log, &real.join("mint.sqlite-shm"), &real.join("mint.sqlite.lock")] {
        std::fs::remove_file(path).expect("there");
    }
    let promises = std::mem::take(&mut *heard.promises.lock().expect("no test panics here"));
    Recording { folder, start, events, promises, held, wallet, database, log }
}

/// One way in which the power may go: where in the trace, and what has survived of what was not synced there.
#[derive(Clone, Copy)]
struct Cut {
    event: usize,
    /// Of the pending changes of the log.
    log: Survivors,
    /// So many of the pending changes of the database, which a checkpoint writes.
    database: usize,
}

#[derive(Clone, Copy)]
enum Survivors {
    First(usize),
    AllBut(usize),
}

/// The disk after one cut, and how many promises had been heard by then.
struct Found {
    database: Vec<u8>,
    log: Vec<u8>,
    heard: usize,
    /// Where in the trace, for the message.
    place: String,
}

/// Which cuts are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// At every sync.
    All,
    /// Only while the log is being copied into the database or begins anew.
    AroundCheckpoints,
}

/// Goes through the trace and calls `visit` with the disk wherever the power may go: just before a sync, when everything since the
/// last one is still in the balance, and at the end.
fn walk(recording: &Recording, mut visit: impl FnMut(usize, &SimulatedDisk)) {
    let mut disk = recording.start.clone();
    for (at, event) in recording.events.iter().enumerate() {
        if matches!(event, Event::Sync { file } if *file == recording.log || *file == recording.database) {
            visit(at, &disk);
        }
        disk.step(event);
    }
    visit(recording.events.len(), &disk);
}

/// The cuts at the syncs that `which` names: every prefix of the log, and every hole in it.
fn cuts(recording: &Recording, which: Which) -> Vec<Cut> {
    let mut cuts = Vec::new();
    walk(recording, |event, disk| {
        let (database, log) = (&disk.files[&recording.database], &disk.files[&recording.log]);
        let restarts = |event: &Event| matches!(event, Event::Write { offset: 0, .. } | Event::Truncate { .. });
        if which == Which::All || !database.pending.is_empty() || log.pending.iter().any(restarts) {
            let all = database.pending.len();
            // Half of what is being copied into the database may be there as well.
            let databases = if all == 0 { vec![0] } else { vec![0, all / 2, all] };
            let prefixes = (0..=log.pending.len()).map(Survivors::First);
            let logs: Vec<_> = prefixes.chain((0..log.pending.len()).map(Survivors::AllBut)).collect();
            for database in databases {
                cuts.extend(logs.iter().map(|log| Cut { event, log: *log, database }));
            }
        }
    });
    cuts
}

/// At most `most` of them, evenly.
fn sample(cuts: Vec<Cut>, most: usize) -> Vec<Cut> {
    let step = cuts.len().div_ceil(most).max(1);
    cuts.into_iter().step_by(step).collect()
}

/// What the disk holds after a cut.
fn find(recording: &Recording, disk: &SimulatedDisk, cut: Cut) -> Found {
    let log = &disk.files[&recording.log];
    let (content, place) = match cut.log {
        Survivors::First(count) => (log.with_first(count), format!("{count} of the log")),
        Survivors::AllBut(index) => (log.without(index), format!("all but {index} of the log")),
    };
    Found {
        database: disk.files[&recording.database].with_first(cut.database),
        log: content,
        heard: disk.marks.len(),
        place: format!("event {}: {place}, {} of the database", cut.event, cut.database),
    }
}

/// Starts the mint on every cut, two at a time, and holds it to its promises.
async fn honour(recording: Recording, cuts: Vec<Cut>) {
    let recording = Arc::new(recording);
    let (send, disks) = async_channel();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (recording, disks) = (Arc::clone(&recording), Arc::clone(&disks));
            tokio::spawn(async move {
                while let Some(found) = { disks.lock().await.recv().await } {
                    honour_after(&recording, &found).await;
                }
            })
        })
        .collect();
    let feeder = tokio::task::spawn_blocking(move || {
        walk(&recording, |event, disk| {
            for cut in cuts.iter().filter(|cut| cut.event == event) {
                // Nobody takes it when a worker has failed, and then that is what the test says.
                let _ = send.blocking_send(find(&recording, disk, *cut));
            }
        });
    });
    for worker in workers {
        worker.await.expect("every promise is kept");
    }
    feeder.await.expect("the trace is read");
}

/// A queue of a few disks, so that not all of them are in memory at once.
fn async_channel() -> (Sender<Found>, Arc<tokio::sync::Mutex<Receiver<Found>>>) {
    let (send, receive) = channel(4);
    (send, Arc::new(tokio::sync::Mutex::new(receive)))
}

/// Takes back what the node had not yet been asked for when the power went: its file is that of the end of the recording, and a payment
/// which the ledger has not dispatched would say that the ledger is an old copy.
fn forget_later_payments(folder: &Path, cut: &Found) {
    let look = tempfile::tempdir().expect("a folder");
    let database = look.path().join("mint.sqlite");
    std::fs::write(&database, &cut.database).expect("written");
    std::fs::write(look.path().join("mint.sqlite-wal"), &cut.log).expect("written");
    let known: HashSet<Vec<u8>> = ids(
        &database,
        "SELECT operation_id FROM operations WHERE state <> 'reserved'
         UNION SELECT operation_id FROM proofs WHERE operation_id NOT IN (SELECT operation_id FROM operations)",
    )
    .into_iter()
    .collect();
    let node = folder.join("lightning.sqlite");
    let books = Connection::open(&node).expect("the node's file opens");
    for payment in ids(&node, "SELECT payment_id FROM payments") {
        if !known.contains(&payment) {
            books.execute("DELETE FROM payments WHERE payment_id = ?1", [payment]).expect("forgotten");
        }
    }
}

/// The ids that a statement finds; none in a file from before there were tables.
fn ids(file: &Path, sql: &str) -> Vec<Vec<u8>> {
    let books = Connection::open(file).expect("it opens");
    let Ok(mut rows) = books.prepare(sql) else { return Vec::new() };
    let found = rows.query_map([], |row| row.get(0)).expect("it can be asked");
    found.map(|id| id.expect("an id")).collect()
}

async fn honour_after(recording: &Recording, cut: &Found) {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(recording.folder.path(), folder.path());
    std::fs::write(folder.path().join("mint.sqlite"), &cut.database).expect("written");
    std::fs::write(folder.path().join("mint.sqlite-wal"), &cut.log).expect("written");
    forget_later_payments(folder.path(), cut);
    let mint = Launch::dev(folder.path()).start();
    let wallet = recording.wallet.moved_to(mint.url());
    let promises = &recording.promises[..cut.heard];
    for group in promises.chunks(50) {
        honour_group(&wallet, group, cut).await;
    }
    if let Some(last) = promises.last() {
        replay(&wallet, last).await;
    }
    let database = folder.path().join("mint.sqlite");
    let settled = || {
        let books = audit(&database);
        (books.unfinished, books.pending, books.reserved_outputs) == (0, 0, 0)
    };
    let settled = tokio::task::block_in_place(|| wait_until(Duration::from_mins(1), settled));
    assert!(settled, "{}: {:?}\n{}", cut.place, audit(&database), mint.log());
    let held = held_after(&wallet, recording, cut.heard).await;
    assert_eq!(audit(&database).outstanding, held, "{}: the ledger says what is held", cut.place);
}

/// What the clients hold on a mint at rest: what they have heard of, and what was on its way to them and is in the ledger.
async fn held_after(wallet: &Wallet, recording: &Recording, heard: usize) -> i64 {
    let (heard, later) = recording.promises.split_at(heard);
    let gained: i64 = heard.iter().map(Promise::gain).sum();
    // Each has at least one signature, and an operation has all of them or none.
    let firsts: Vec<_> = later.iter().map(|promise| promise.draft.messages[0].clone()).collect();
    let done = if firsts.is_empty() { Vec::new() } else { wallet.restore(&firsts).await };
    let on_its_way = later.iter().zip(&done).filter(|(_, signature)| signature.is_some());
    recording.held + gained + on_its_way.map(|(promise, _)| promise.gain()).sum::<i64>()
}

/// Every signature is in the ledger, byte for byte, and what paid for it is spent.
async fn honour_group(wallet: &Wallet, promises: &[Promise], cut: &Found) {
    let signed = |promise: &Promise| promise.draft.messages[..promise.signatures.len()].to_vec();
    let messages: Vec<_> = promises.iter().flat_map(signed).collect();
    let given = promises.iter().flat_map(|promise| &promise.signatures);
    let found = wallet.restore(&messages).await;
    assert!(found.iter().map(Option::as_ref).eq(given.map(Some)), "{}: a signature is missing", cut.place);
    let inputs: Vec<Proof> = promises.iter().flat_map(|promise| promise.inputs.clone()).collect();
    let states = wallet.states(&inputs).await;
    assert!(states.iter().all(|state| *state == ProofState::Spent), "{}: an input is back", cut.place);
}

/// The same request again has the same answer.
async fn replay(wallet: &Wallet, promise: &Promise) {
    let again = match &promise.what {
        What::Swap => {
            let answer: SwapResponse = wallet.try_swap(&promise.inputs, &promise.draft).await.expect("answered").ok();
            answer.signatures.into_inner()
        }
        What::Issue(quote) => {
            let answer: MintResponse = wallet.try_issue(quote, &promise.draft).await.expect("answered").ok();
            answer.signatures.into_inner()
        }
        What::Melt(quote) => {
            let answer = wallet.try_melt(quote, &promise.inputs, &promise.draft).await.expect("answered");
            let answer: MeltQuoteBolt11Response = answer.ok();
            assert_eq!(answer.state, MeltQuoteState::Paid);
            answer.change.expect("change").into_inner()
        }
    };
    assert_eq!(again, promise.signatures);
}

/// `HAZEL_POWER_CUTS` tries up to so many of what is sampled; the default is as many as a test should take.
fn most(default: usize) -> usize {
    std::env::var("HAZEL_POWER_CUTS").map_or(default, |text| text.parse().expect("a number of cuts"))
}

/// Swaps, a melt and an issue of each of two clients. Exhaustive: at every sync, every prefix of the writes to the log since the last
/// one, a frame whose header alone was written included, and every hole in them.
#[tokio::test(flavor = "multi_thread")]
async fn every_signature_given_survives_a_power_cut_at_every_frame() {
    let recording = record(2, 4).await;
    let cuts = cuts(&recording, Which::All);
    println!("{} promises, {} cuts", recording.promises.len(), cuts.len());
    assert!(recording.promises.len() == 12 && cuts.len() >= 100, "the shim has seen the load");
    honour(recording, cuts).await;
}

/// A checkpoint while eight clients work. All of it is sampled.
#[tokio::test(flavor = "multi_thread")]
async fn every_signature_given_survives_a_power_cut_around_a_checkpoint() {
    let recording = record(8, 24).await;
    let cuts = cuts(&recording, Which::AroundCheckpoints);
    let all = cuts.len();
    let cuts = sample(cuts, most(60));
    println!("{} promises, {} of {all} cuts", recording.promises.len(), cuts.len());
    let copied =
        recording.events.iter().any(|event| matches!(event, Event::Write { file, .. } if *file == recording.database));
    assert!(copied && all >= 10, "there was a checkpoint");
    honour(recording, cuts).await;
}

/// So many syncs of the database are confirmed before the disk breaks: more than a start needs, and some for the load.
const GOOD_SYNCS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_keep_what_it_is_given_ends_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let mut money = wallet.mint(48).await;
    mint.stop();
    let fault = Fault { sync: true, at: GOOD_SYNCS, errno: EIO, sticky: true, short: false };
    let mut mint =
        Launch::dev(folder.path()).with(|command| under_shim(command, "mint.sqlite", None, Some(fault))).start();
    let wallet = wallet.moved_to(mint.url());
    let mut rounds = 0;
    let unanswered = loop {
        let draft = wallet.draft_for(48);
        match wallet.try_swap(&money, &draft).await {
            Some(answer) if answer.is_ok() => {
                let answer: SwapResponse = answer.ok();
                money = wallet.finish_all(&draft, &answer.signatures);
            }
            // It says that it cannot, or nothing at all.
            Some(answer) => break Some(answer.status).filter(|status| *status >= 500).map(|_| draft).expect("a 5xx"),
            None => break draft,
        }
        rounds += 1;
        assert!(rounds < 100, "the disk does not break");
    };
    let status = tokio::task::block_in_place(|| mint.wait());
    assert_eq!(status.code(), Some(6), "{}", mint.log());
    assert!(mint.log().contains("the store had to stop"), "{}", mint.log());

    // What was answered is there, and what was not can be asked again.
    let mint = Launch::dev(folder.path()).start();
    let wallet = wallet.moved_to(mint.url());
    let done: SwapResponse = wallet.try_swap(&money, &unanswered).await.expect("answered").ok();
    wallet.finish_all(&unanswered, &done.signatures);
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(48);
}

/// How many writes of the database a start on a copy of `prepared` does.
fn writes_of_a_start(prepared: &Path) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(prepared, folder.path());
    let trace = folder.path().join("trace");
    let mint =
        Launch::dev(folder.path()).with(|command| under_shim(command, "mint.sqlite", Some(&trace), None)).start();
    std::thread::sleep(Duration::from_millis(500));
    mint.kill();
    let events = read_trace(&trace);
    events.iter().filter(|event| matches!(event, Event::Write { .. } | Event::Truncate { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failed_write_costs_one_refusal_at_most() {
    let prepared = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(prepared.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let money = wallet.mint(48).await;
    mint.stop();
    let quiet = writes_of_a_start(prepared.path());
    let mut failed = 0;
    for step in 1..=most(20) {
        let folder = tempfile::tempdir().expect("a folder");
        copy_folder(prepared.path(), folder.path());
        let errno = if step % 2 == 0 { EIO } else { ENOSPC };
        let fault = Fault { sync: false, at: quiet + step, errno, sticky: false, short: step % 3 == 0 };
        let mint =
            Launch::dev(folder.path()).with(|command| under_shim(command, "mint.sqlite", None, Some(fault))).start();
        let wallet = wallet.moved_to(mint.url());
        let draft = wallet.draft_for(48);
        let first = wallet.try_swap(&money, &draft).await.expect("answered");
        assert!(first.is_ok() || first.status == 503, "{first:?}\n{}", mint.log());
        let again: SwapResponse = wallet.try_swap(&money, &draft).await.expect("answered").ok();
        assert!(!first.is_ok() || first.ok::<SwapResponse>() == again, "what was answered stands");
        let fresh = wallet.swap(&wallet.finish_all(&draft, &again.signatures)).await;
        failed += usize::from(mint.log().contains("a commit failed"));
        mint.stop();
        audit(&folder.path().join("mint.sqlite")).assert_settled(sum(&fresh));
    }
    assert!(failed > 0, "some write of a swap failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let mut money = wallet.mint(48).await;
    mint.stop();
    let at = writes_of_a_start(folder.path()) + 100;
    let fault = Fault { sync: false, at, errno: ENOSPC, sticky: true, short: true };
    // Started by a configuration, so that the client need not wait long: a commit that failed is in doubt, and is tried on.
    let example = Launch::hazeld(&["config", "example"]).output().stdout;
    std::fs::write(folder.path().join("hazeld.toml"), example).expect("written");
    let mint = Launch::hazeld(&["start", "--config"])
        .arg(folder.path().join("hazeld.toml"))
        .env("HAZELD_HTTP__LISTEN", "127.0.0.1:0")
        .env("HAZELD_HTTP__REQUEST_TIMEOUT_SECS", "3")
        .with(|command| under_shim(command, "mint.sqlite", None, Some(fault)))
        .start();
    let wallet = wallet.moved_to(mint.url());
    let mut rounds = 0;
    let refused = loop {
        let draft = wallet.draft_for(48);
        let answer = wallet.try_swap(&money, &draft).await.expect("answered");
        if !answer.is_ok() {
            assert!([503, 504].contains(&answer.status), "{answer:?}\n{}", mint.log());
            break draft;
        }
        let answer: SwapResponse = answer.ok();
        money = wallet.finish_all(&draft, &answer.signatures);
        rounds += 1;
        assert!(rounds < 100, "the disk does not fill up");
    };
    // It goes on refusing, and reads go on.
    let again = wallet.try_swap(&money, &refused).await.expect("answered");
    assert!([503, 504].contains(&again.status), "{again:?}");
    assert_eq!(wallet.api.get("/v1/keys").await.status, 200);
    assert_eq!(wallet.states(&money).await.len(), money.len());
    mint.kill();

    let mint = Launch::dev(folder.path()).start();
    let wallet = wallet.moved_to(mint.url());
    let states = wallet.states(&money).await;
    assert!(states.iter().all(|state| *state == ProofState::Unspent), "what was refused is undone: {states:?}");
    let done: SwapResponse = wallet.try_swap(&money, &refused).await.expect("answered").ok();
    wallet.finish_all(&refused, &done.signatures);
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(48);
}
