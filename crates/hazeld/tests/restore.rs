//! A wallet that is years old, found again by its seed: thousands of counters over keysets of which all but one are retired.

mod client;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Draft, Launch, Wallet, audit, rotate, sum};
use hazel_http::client::{ClientConfig, HttpConnector};
use hazel_protocol::{Amount, CurrencyUnit, MintResponse};
use hazel_sqlite::{OpenOptions, WalletStore};
use hazel_wallet::ports::{Environment, Timestamp};
use hazel_wallet::{RestoreProgress, Seed, SendOptions};

const KEYSETS: usize = 6;
/// Counters that are used of each: more than 5,000 together.
const COUNTERS: usize = 840;
/// Outputs of one request.
const AT_ONCE: usize = 420;
/// Far more than it takes, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_mins(2);
const SEED: u8 = 11;

struct System;

impl Environment for System {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("randomness");
    }

    fn sleep(&self, delay: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
}

/// Uses `COUNTERS` counters of the keyset that signs now, and spends every third proof. Gives what is left, and what others have.
async fn use_up(wallet: &Wallet) -> (u64, u64) {
    let (mut left, mut gone) = (0, 0);
    for turn in 0..COUNTERS / AT_ONCE {
        let amounts: Vec<u64> = (0..AT_ONCE).map(|number| 1 << (number % 10)).collect();
        let quote = wallet.paid_quote(amounts.iter().sum()).await;
        let draft: Draft = wallet.draft(&amounts);
        let issued: MintResponse = wallet.try_issue(&quote, &draft).await.expect("answered").ok();
        let proofs = wallet.finish(&draft, &issued.signatures);
        let (spent, kept): (Vec<_>, Vec<_>) = proofs.into_iter().enumerate().partition(|(number, _)| number % 3 == 0);
        let spent: Vec<_> = spent.into_iter().map(|(_, proof)| proof).collect();
        let kept: Vec<_> = kept.into_iter().map(|(_, proof)| proof).collect();
        // To somebody else, who has another seed.
        let somebody = u8::try_from(turn).expect("few") + SEED + 1;
        gone += sum(&wallet.another(somebody).swap(&spent).await);
        left += sum(&kept);
    }
    (left, gone)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_counters_over_six_keysets_come_back_to_the_sat() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let (mut expected, mut gone) = (0, 0);
    for number in 0..KEYSETS {
        if number > 0 {
            rotate(folder.path());
        }
        // A keyset has counters of its own, which begin at 0.
        let used = use_up(&Wallet::open(mint.url(), SEED).await).await;
        (expected, gone) = (expected + used.0, gone + used.1);
    }

    let store =
        Arc::new(WalletStore::open(&folder.path().join("wallet.sqlite"), &OpenOptions::default()).expect("new"));
    let url: hazel_protocol::MintUrl = mint.url().parse().expect("an address");
    let connector = Arc::new(HttpConnector::new(&url, ClientConfig::default()).expect("set up"));
    let seed = Seed::from_bytes([SEED; 64].into());
    let wallet =
        hazel_wallet::Wallet::open(store, connector, seed, url, CurrencyUnit::Sat, Arc::new(System)).expect("opened");
    wallet.add_mint().await.expect("added");

    let began = Instant::now();
    let mut told: Vec<RestoreProgress> = Vec::new();
    let restored = wallet.restore(&mut |progress| told.push(progress)).await.expect("restored");
    let took = began.elapsed();
    assert!(took < LIMIT, "it took {took:?}");
    assert_eq!((restored.amount, restored.bad), (Amount::from_u64(expected), 0), "every sat");
    assert_eq!(wallet.balance().await.expect("read").available, Amount::from_u64(expected));
    assert_progress(&told, expected);

    // The counters have moved past all that: what is made now was never made before, and old keysets can be spent.
    let options = SendOptions::default();
    let prepared = wallet.prepare_send(Amount::from_u64(expected / 2), options).await.expect("enough");
    prepared.confirm().await.expect("new outputs");
    let again = wallet.restore(&mut |_| {}).await.expect("restored");
    assert_eq!(again.amount, Amount::ZERO, "nothing comes twice");
    let balance = wallet.balance().await.expect("read");
    assert_eq!(balance.held, Amount::ZERO);
    let held = balance.available.checked_add(balance.sent).expect("small").to_u64();
    audit(&folder.path().join("mint.sqlite")).assert_settled(held + gone);
    mint.stop();
}

/// It is told often, in order, about every keyset, and what was found only grows.
fn assert_progress(told: &[RestoreProgress], expected: u64) {
    assert!(told.len() >= KEYSETS * 2, "told {} times", told.len());
    assert!(told.iter().all(|progress| progress.keyset_count == KEYSETS));
    let used = u64::try_from(COUNTERS).expect("small");
    for number in 1..=KEYSETS {
        let last = told.iter().rfind(|progress| progress.keyset_number == number).expect("every keyset");
        assert!(last.scanned >= used, "keyset {number}: {} counters", last.scanned);
    }
    assert!(told.is_sorted_by_key(|progress| (progress.keyset_number, progress.scanned)));
    assert!(told.is_sorted_by_key(|progress| progress.found));
    assert_eq!(told.last().expect("told").found, Amount::from_u64(expected));
}
