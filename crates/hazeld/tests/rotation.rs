//! Keysets that rotate while clients work, and the operator's commands, on the real process.

mod client;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Answer, Api, Draft, Launch, Wallet, audit, invoice, sum};
use hazel_protocol::{
    KeysetId, KeysetsResponse, MeltQuoteBolt11Response, MeltQuoteState, MintResponse, Proof, ProofState, SwapResponse,
};
use serde_json::{Value, json};

/// Rotations while the clients work.
const ROTATIONS: u64 = 24;
/// Clients that work meanwhile.
const CLIENTS: u8 = 4;
/// What each of them begins with, in sat.
const FUNDS: u64 = 2_000;

/// Denominations in turn: powers of two, prices with no power of two but 1, and both.
fn denominations(turn: u64) -> Vec<u64> {
    let powers: Vec<u64> = (0..12).map(|power| 1 << power).collect();
    match turn % 3 {
        0 => powers,
        1 => vec![1, 5, 10, 25, 50, 100, 250, 500, 1_000],
        _ => vec![1, 3, 7, 16, 60, 256, 777],
    }
}

async fn rotate(operator: &Api, turn: u64) -> KeysetId {
    let body = json!({"unit": "sat", "input_fee_ppk": turn % 4 * 100, "denominations": denominations(turn)});
    let made: Value = operator.post("/v1/admin/keysets/rotate", &body).await.ok();
    made["id"].as_str().expect("an id").parse().expect("an id")
}

/// What it costs to spend these, whatever their keysets.
async fn fee_of(api: &Api, proofs: &[Proof]) -> u64 {
    let list: KeysetsResponse = api.get("/v1/keysets").await.ok();
    let fees: BTreeMap<KeysetId, u64> = list.keysets.iter().map(|keyset| (keyset.id, keyset.input_fee_ppk)).collect();
    let ppk: u64 = proofs.iter().map(|proof| fees[&proof.id]).sum();
    ppk.div_ceil(1_000)
}

/// A client, and what it did that must be answered alike for ever.
struct Worker {
    wallet: Wallet,
    /// No two of all clients' payments have one number.
    payments: std::ops::RangeFrom<u64>,
    proofs: Vec<Proof>,
    swaps: Vec<(Wallet, Vec<Proof>, Draft, SwapResponse)>,
    /// Refusals because the keyset was rotated in between.
    late: u32,
    melted: u32,
}

impl Worker {
    async fn start(url: &str, seed: u8) -> Self {
        let wallet = Wallet::open(url, seed).await;
        let quote = wallet.paid_quote(FUNDS).await;
        let draft = wallet.draft_parts(FUNDS);
        let answer: MintResponse = wallet.try_issue(&quote, &draft).await.expect("answered").ok();
        let proofs = wallet.finish_all(&draft, &answer.signatures);
        let payments = u64::from(seed) * 1_000_000..;
        Self { wallet, payments, proofs, swaps: Vec::new(), late: 0, melted: 0 }
    }

    /// True when it was late: the keyset that it asked for is not the one that signs any more.
    fn is_late(&mut self, answer: &Answer) -> bool {
        assert!(answer.status < 500, "{answer:?}");
        let late = answer.code() == Some(12_002);
        self.late += u32::from(late);
        late
    }

    async fn swap(&mut self) {
        let wallet = self.wallet.refreshed().await;
        let left = sum(&self.proofs) - fee_of(&wallet.api, &self.proofs).await;
        let draft = wallet.draft_parts(left);
        let answer = wallet.try_swap(&self.proofs, &draft).await.expect("answered");
        if self.is_late(&answer) {
            return;
        }
        let response: SwapResponse = answer.ok();
        let fresh = wallet.finish_all(&draft, &response.signatures);
        let spent = std::mem::replace(&mut self.proofs, fresh);
        self.swaps.push((wallet, spent, draft, response));
    }

    async fn melt(&mut self) {
        let wallet = self.wallet.refreshed().await;
        let number = self.payments.next().expect("it has no end");
        let quote = wallet.melt_quote(&invoice(number, 3)).await;
        let blanks = wallet.draft(&[0; 40]);
        let answer = wallet.try_melt(&quote.quote, &self.proofs, &blanks).await.expect("answered");
        if self.is_late(&answer) {
            return;
        }
        let paid: MeltQuoteBolt11Response = answer.ok();
        assert_eq!(paid.state, MeltQuoteState::Paid);
        self.proofs = wallet.finish(&blanks, &paid.change.expect("change"));
        self.melted += 1;
    }

    /// A quote that was paid is issued, however often the keyset is rotated in between.
    async fn mint(&mut self) {
        let quote = self.wallet.paid_quote(20).await;
        loop {
            let wallet = self.wallet.refreshed().await;
            let draft = wallet.draft_parts(20);
            let answer = wallet.try_issue(&quote, &draft).await.expect("answered");
            if !self.is_late(&answer) {
                let answer: MintResponse = answer.ok();
                self.proofs.extend(wallet.finish_all(&draft, &answer.signatures));
                return;
            }
        }
    }

    async fn work(mut self, stop: Arc<AtomicBool>) -> Self {
        let mut round = 0;
        while (!stop.load(Ordering::SeqCst) || round < 6) && sum(&self.proofs) > FUNDS / 4 {
            round += 1;
            match round % 6 {
                0 | 3 => self.melt().await,
                4 => self.mint().await,
                _ => self.swap().await,
            }
        }
        self
    }

    /// Nothing is lost, and what was done is told again.
    async fn check(&self) {
        assert!(self.wallet.states(&self.proofs).await.iter().all(|state| *state == ProofState::Unspent));
        let (first, last) = (self.swaps.first().expect("swapped"), self.swaps.last().expect("swapped"));
        for (wallet, spent, draft, response) in [first, last] {
            let again: SwapResponse = wallet.try_swap(spent, draft).await.expect("answered").ok();
            assert_eq!(again, *response, "a repetition is answered alike, whatever signs now");
            let restored = wallet.restore(&draft.messages).await;
            assert!(restored.into_iter().map(|found| found.expect("signed")).eq(response.signatures.iter().cloned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keysets_rotate_while_clients_work_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let operator = Api::of_operator(folder.path());
    let mut workers = Vec::new();
    for seed in 1..=CLIENTS {
        workers.push(Worker::start(mint.url(), seed).await);
    }
    let former = Wallet::open(mint.url(), 99).await;
    let stop = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = workers.into_iter().map(|worker| tokio::spawn(worker.work(Arc::clone(&stop)))).collect();
    let mut made = vec![former.keyset];
    for turn in 1..=ROTATIONS {
        made.push(rotate(&operator, turn).await);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut held = 0;
    let (mut late, mut melted) = (0, 0);
    for worker in running {
        let worker = worker.await.expect("a client panicked");
        worker.check().await;
        held += sum(&worker.proofs);
        (late, melted) = (late + worker.late, melted + worker.melted);
    }
    assert!(melted > 0, "something was paid");
    println!("{late} requests were late, {melted} payments");

    let list: KeysetsResponse = former.api.get("/v1/keysets").await.ok();
    assert!(list.keysets.iter().map(|keyset| keyset.id).eq(made.iter().copied()), "all of them, in their order");
    assert_eq!(list.keysets.iter().filter(|keyset| keyset.active).count(), 1);
    let quote = former.paid_quote(8).await;
    let refused = former.try_issue(&quote, &former.draft(&[8])).await.expect("answered");
    assert_eq!(refused.code(), Some(12_002), "the former keyset signs nothing");
    mint.stop();
    let books = audit(&folder.path().join("mint.sqlite"));
    assert_eq!(books.paid_out, i64::from(melted) * 3);
    books.assert_settled(held);
}

#[tokio::test]
async fn change_is_signed_by_a_keyset_that_was_rotated_during_the_payment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).fake("pay-after-ms", 1_500).fake("reserve-min-msat", 4_000).start();
    let operator = Api::of_operator(folder.path());
    let wallet = Wallet::open(mint.url(), 1).await;
    let money = wallet.mint(32).await;
    let quote = wallet.melt_quote(&invoice(1, 10)).await;
    let blanks = wallet.draft(&[0; 5]);
    let melting = {
        let (wallet, id, money, blanks) = (wallet.clone(), quote.quote.clone(), money.clone(), blanks.clone());
        tokio::spawn(async move { wallet.try_melt(&id, &money, &blanks).await.expect("answered") })
    };
    while wallet.melt_quote_now(&quote.quote).await.state == MeltQuoteState::Unpaid {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let next = rotate(&operator, 1).await;
    assert_ne!(next, wallet.keyset);
    let paid: MeltQuoteBolt11Response = melting.await.expect("no panic").ok();
    let change = wallet.finish(&blanks, &paid.change.expect("change"));
    assert_eq!(sum(&change), 32 - 10 - 2);
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(20);
}

/// Runs a command of the operator; what it says.
fn command(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let output = Launch::hazeld(words).arg("--data-dir").arg(folder).output();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn the_operators_commands_do_what_they_say() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let mode = std::fs::metadata(folder.path().join("admin-token")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = Wallet::open(mint.url(), 1).await.keyset.to_string();
    let rotated = command(
        folder.path(),
        &["keyset", "rotate", "--unit", "sat", "--input-fee-ppk", "200", "--denominations", "1,5,10"],
    );
    assert_eq!(rotated.0, Some(0), "{rotated:?}");
    let now = Wallet::open(mint.url(), 1).await;
    assert_eq!(now.fee_ppk, 200);
    assert!(rotated.1.contains(&now.keyset.to_string()), "{rotated:?}");
    let stopped = command(folder.path(), &["keyset", "stop", &first, "--reason", "seen \u{1b}[2J elsewhere"]);
    assert!(stopped.0 == Some(0) && stopped.1.contains("stopped"), "{stopped:?}");
    let again = command(folder.path(), &["keyset", "stop", &first, "--reason", "again"]);
    assert!(again.0 == Some(2) && again.2.contains("stopped already"), "{again:?}");
    let (code, list, _) = command(folder.path(), &["keyset", "list"]);
    assert_eq!((code, list.lines().count()), (Some(0), 3), "{list}");
    mint.stop();
    let gone = command(folder.path(), &["keyset", "list"]);
    assert!(gone.0 == Some(2) && gone.2.contains("no hazeld dev"), "{gone:?}");

    let mint = Launch::dev(folder.path()).start();
    let allowed = command(folder.path(), &["keyset", "allow", &first, "--reason", "looked"]);
    assert_eq!(allowed.0, Some(0), "{allowed:?}");
    let (_, log, _) = command(folder.path(), &["audit"]);
    let actions: Vec<_> = log.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!(actions, ["keyset.allow", "keyset.stop", "keyset.add", "keyset.add"], "{log}");
    assert!(log.contains("seen ?[2J elsewhere"), "nothing steers the terminal: {log}");
    let (_, page, _) = command(folder.path(), &["audit", "--json", "--limit", "1"]);
    let page: Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!(page["audit"][0]["actor"], "operator");
    let secret = std::fs::read_to_string(folder.path().join("admin-token")).expect("there");
    let secret = secret.trim().rsplit(' ').next().expect("a secret");
    assert!(!mint.log().contains(secret), "the secret is in no log");
    mint.stop();
}
