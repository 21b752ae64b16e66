//! An old copy of the database behind a node that has gone on.

use hazel_protocol::{MeltQuoteBolt11Response, Proof, ProofState};
use serde_json::{Value, json};

use crate::bench::{Bench, foreign};
use crate::client::{Api, Hazeld, Launch, Wallet, audit, copy_folder, is_on_postgres};

const ALARM: &str = "which this ledger does not know: it is an old copy";

async fn pay(bench: &Bench, number: u8, coins: &[Proof]) {
    let msat = coins.iter().map(|coin| coin.amount.to_u64() * 1_000).sum();
    let quote = bench.wallet.melt_quote(&foreign(number, msat, "history").build().expect("an invoice")).await;
    let paid: MeltQuoteBolt11Response = bench.melt(&quote, coins, &json!([])).await.ok();
    assert_eq!(paid.state.as_str(), "PAID");
}

/// Puts an old copy of the database in place of the one there.
fn put_back(bench: &Bench, copy: &std::path::Path) {
    for entry in std::fs::read_dir(bench.folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mint.sqlite")) {
            std::fs::remove_file(path).expect("removed");
        }
    }
    std::fs::copy(copy.join("mint.sqlite"), bench.database()).expect("restored");
}

fn allow(bench: &Bench) {
    let id = bench.wallet.keyset.to_string();
    let allowed = Launch::hazeld(&["keyset", "allow", &id, "--reason", "looked at", "--data-dir"]);
    let done = allowed.arg(bench.folder.path()).output();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_database_is_found_and_only_read() {
    if is_on_postgres() {
        return;
    }
    let mut bench = Bench::new(|launch| launch).await;
    let coins = bench.wallet.mint(31).await;
    let paid = bench.wallet.paid_quote(4).await;
    pay(&bench, 1, &coins[..1]).await;
    let copy = tempfile::tempdir().expect("a folder");
    let folder = bench.folder.path().to_owned();
    bench = bench.restart_after(|_| copy_folder(&folder, copy.path()));
    assert!(!bench.mint.log().contains(ALARM), "the ledger of all payments is no copy");
    let spent = &coins[1..2];
    let draft = bench.wallet.draft(&[2]);
    assert!(bench.wallet.try_swap(spent, &draft).await.expect("answered").is_ok());
    pay(&bench, 2, &coins[2..3]).await;
    bench = bench.restart_after(|_| {});
    bench.mint.terminate();
    bench.mint.wait();
    put_back(&bench, copy.path());
    bench = bench.killed();
    assert!(bench.says(ALARM), "said:\n{}", bench.mint.log());
    let before = audit_of_stopped(&bench);
    only_read(&bench, &coins, &paid).await;
    bench = bench.killed();
    only_read(&bench, &coins, &paid).await;
    assert_eq!(before, audit_of_stopped(&bench), "nothing was changed");
    let log = Api::of_operator(bench.folder.path()).get("/v1/admin/audit").await;
    assert_eq!(log.body.to_string().matches(ALARM).count(), 1, "one line: {log:?}");

    allow(&bench);
    assert!(bench.wallet.try_swap(&coins[3..4], &bench.wallet.draft(&[8])).await.expect("answered").is_ok());
    bench = bench.killed();
    assert!(bench.says(ALARM), "still said");
    let rest = bench.wallet.try_swap(&coins[4..], &bench.wallet.draft(&[16])).await.expect("answered");
    assert!(rest.is_ok(), "an operator has decided: {rest:?}");
    bench.mint.stop();
}

/// Everything that was ever spent or signed, by the files.
fn audit_of_stopped(bench: &Bench) -> (i64, i64) {
    let ledger = rusqlite::Connection::open(bench.database()).expect("the ledger opens");
    let count = |sql: &str| ledger.query_row(sql, [], |row| row.get(0)).expect("counted");
    (count("SELECT count(*) FROM proofs"), count("SELECT count(*) FROM blind_signatures"))
}

async fn only_read(bench: &Bench, coins: &[Proof], paid: &hazel_protocol::QuoteId) {
    let wallet = &bench.wallet;
    let swap = |coins: &[Proof], amount: u64| json!({ "inputs": coins, "outputs": wallet.draft(&[amount]).messages });
    let request = foreign(7, 8_000, "refused").build().expect("an invoice");
    for (what, path, body) in [
        ("what was spent since", "/v1/swap", swap(&coins[1..2], 2)),
        ("what is unspent", "/v1/swap", swap(&coins[3..4], 8)),
        ("a quote", "/v1/mint/quote/bolt11", json!({ "amount": 4, "unit": "sat" })),
        ("a payment's quote", "/v1/melt/quote/bolt11", json!({ "request": request, "unit": "sat" })),
        ("a paid quote", "/v1/mint/bolt11", json!({ "quote": paid, "outputs": wallet.draft(&[4]).messages })),
    ] {
        let answer = bench.post(path, &body).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(matches!(answer.code(), Some(12_000 | 12_002)), "{what}: {answer:?}");
    }
    assert_eq!(wallet.states(&coins[..1]).await, [ProofState::Spent], "checks go on");
    let _: Value = wallet.api.get("/v1/info").await.ok();
    let _: Value = wallet.api.post("/v1/restore", &json!({ "outputs": wallet.draft(&[1]).messages })).await.ok();
    assert_eq!(wallet.mint_quote_state(paid).await.as_str(), "PAID");
}

/// A mint of its own on a node that others use as well.
async fn neighbour(folder: &std::path::Path, node: &std::path::Path, seed: u8) -> (Hazeld, Wallet) {
    let mint = Launch::dev(folder).arg("--fake-ledger").arg(node).start();
    let wallet = Wallet::open(mint.url(), seed).await;
    (mint, wallet)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payments_of_a_neighbour_on_the_same_node_are_no_sign_of_a_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = folder.path().join("node.sqlite");
    for round in 0..2_u8 {
        for (place, name) in [(0, "one"), (1, "two")] {
            let (mint, wallet) = neighbour(&folder.path().join(name), &node, 1 + place + 2 * round).await;
            let request = foreign(1 + place + 2 * round, 8_000, "neighbours").build().expect("an invoice");
            let quote = wallet.melt_quote(&request).await.quote;
            let answer = wallet.try_melt(&quote, &wallet.mint(8).await, &wallet.draft(&[])).await.expect("answered");
            assert_eq!(answer.body["state"], "PAID");
            assert!(!mint.log().contains(ALARM), "{}", mint.log());
            mint.stop();
            audit(&folder.path().join(name).join("mint.sqlite")).assert_settled(0);
        }
    }
}
