//! Many at once, and many for long: nobody meets a lock or a 5xx, and the books are whole.
//!
//! `HAZEL_LOAD_SECS` makes the writers go on for so long; without it they stop after a few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hazel_protocol::{PointBytes, Proof, ProofState};
use serde_json::{Value, json};

use crate::bench::{Bench, eventually};
use crate::client::{Launch, NEVER_MS, Wallet, is_on_postgres, sum};

/// Clients that write at once.
const WRITERS: usize = 100;

/// Unpaid quotes in the ledger.
const UNPAID: u64 = 100_000;

/// How many of these ended long ago.
const OLD: u64 = 5_000;

fn load_time() -> Duration {
    let given = std::env::var("HAZEL_LOAD_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(5))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_writers_meet_no_lock() {
    let bench = Bench::new(|launch| launch).await;
    let coins = bench.wallet.mint_ones(WRITERS).await;
    let until = Instant::now() + load_time();
    let swaps = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = coins
        .into_iter()
        .map(|coin| {
            let (wallet, swaps) = (bench.wallet.clone(), Arc::clone(&swaps));
            tokio::spawn(async move {
                let mut held = vec![coin];
                while Instant::now() < until {
                    // Refuses any answer but a success.
                    held = wallet.swap(&held).await;
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
                held
            })
        })
        .collect();
    let mut held: Vec<Proof> = Vec::new();
    for writer in writers {
        held.extend(writer.await.expect("every swap is answered"));
    }
    assert!(swaps.load(Ordering::Relaxed) >= u64::try_from(WRITERS).expect("small"), "each got its turn");
    bench.assert_all(&held, ProofState::Unspent).await;
    bench.close(sum(&held));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_checks_of_a_thousand_proofs_at_once() {
    let bench = Bench::new(|launch| launch).await;
    let spent = bench.wallet.mint_ones(500).await;
    let held = bench.wallet.swap(&spent).await;
    let ys: Vec<PointBytes> = spent.iter().map(|proof| PointBytes::from(&proof.y())).collect();
    let known: Vec<String> = ys.iter().map(ToString::to_string).collect();
    // As many again that the mint has never seen.
    let unknown = known.iter().map(|y| format!("{}{}", &y[..2], y[2..].chars().rev().collect::<String>()));
    let all: Vec<String> = known.iter().cloned().chain(unknown).collect();
    let body = json!({ "Ys": all });
    let checks: Vec<_> = (0..200)
        .map(|_| {
            let (api, body) = (bench.wallet.api.clone(), body.clone());
            tokio::spawn(async move { api.post("/v1/checkstate", &body).await.ok::<Value>() })
        })
        .collect();
    // Others are served meanwhile.
    let held = bench.wallet.swap(&held).await;
    for check in checks {
        let answer = check.await.expect("every check is answered");
        let states = answer["states"].as_array().expect("states");
        assert_eq!(states.len(), 1_000);
        let of = |places: &[Value], state: &str| places.iter().filter(|entry| entry["state"] == state).count();
        assert_eq!((of(&states[..500], "SPENT"), of(&states[500..], "UNSPENT")), (500, 500));
    }
    bench.close(sum(&held));
}

/// Its invoices wait to be paid.
fn unpaid(launch: Launch) -> Launch {
    launch.fake("settle-after-ms", NEVER_MS)
}

/// Quotes like one that the mint has made, unpaid; the first [`OLD`] of them ended three days ago.
fn plant_quotes(ledger: &rusqlite::Connection) {
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO mint_quotes (quote_id, method, unit, amount, request, payment_hash, expiry, created_at, updated_at, rate)
        SELECT 'planted-' || i, method, unit, amount, request, randomblob(32),
            expiry - CASE WHEN i <= ?2 THEN 259200 ELSE 0 END,
            created_at - CASE WHEN i <= ?2 THEN 259200 ELSE 0 END,
            updated_at - CASE WHEN i <= ?2 THEN 259200 ELSE 0 END, rate
        FROM n, (SELECT * FROM mint_quotes LIMIT 1)";
    let numbers = [UNPAID, OLD].map(|number| i64::try_from(number).expect("small"));
    ledger.execute(sql, numbers).expect("planted");
}

async fn is_known(wallet: &Wallet, number: u64) -> bool {
    wallet.api.get(&format!("/v1/mint/quote/bolt11/planted-{number}")).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_unpaid_quotes_slow_nothing_and_the_old_are_forgotten() {
    if is_on_postgres() {
        return;
    }
    let bench = Bench::new(unpaid).await;
    let quote = bench.wallet.mint_quote(8).await;
    let bench = bench.restart_after(plant_quotes);
    assert!(is_known(&bench.wallet, OLD).await, "none is forgotten before the payments were heard of");
    let began = Instant::now();
    for number in 0..200 {
        assert!(is_known(&bench.wallet, OLD + 1 + number * 400).await);
        bench.wallet.mint_quote(8).await;
    }
    let hash = bench.node.invoices().expect("read")[0].payment_hash;
    bench.node.settle(&hash, 8_000).expect("paid");
    eventually("paid", async || bench.wallet.mint_quote_state(&quote.quote).await.as_str() == "PAID").await;
    assert!(began.elapsed() < Duration::from_secs(40), "nothing waits for the many: {:?}", began.elapsed());
    // The first round of forgetting comes a minute after the start.
    let forgotten = async || !is_known(&bench.wallet, 1).await && !is_known(&bench.wallet, OLD).await;
    let mut rounds = 0;
    while !forgotten().await {
        rounds += 1;
        assert!(rounds < 600, "the old are not forgotten");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(is_known(&bench.wallet, OLD + 1).await && is_known(&bench.wallet, UNPAID).await, "the others stand");
    bench.close(0);
}
