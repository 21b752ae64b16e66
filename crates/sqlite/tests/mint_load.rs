//! Many clients at once: nobody is refused, nobody sees a lock, and the write-ahead log stays short.
#![cfg(feature = "mint")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use hazel_mint::ports::{ReadError, Store};
use hazel_mint::store::contract::Snapshot;
use hazel_sqlite::OpenOptions;
use support::workload::{Plan, Step, Told, setup};
use support::{Disk, options, raw};

const MAX_WAL_PAGES: u32 = 200;

fn busy() -> OpenOptions {
    OpenOptions { max_wal_pages: MAX_WAL_PAGES, ..options() }
}

async fn ready(options: &OpenOptions) -> Arc<Disk> {
    let disk = Disk::with(options);
    for change in setup() {
        disk.store.apply(change).await.unwrap();
    }
    Arc::new(disk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_clients_are_all_served() {
    let disk = ready(&busy()).await;
    let plan = Plan::new(64, 2);
    let told: Arc<Mutex<BTreeMap<Step, Told>>> = Arc::default();
    let tell = {
        let told = Arc::clone(&told);
        move |step, answer| {
            told.lock().unwrap().insert(step, answer);
        }
    };
    let reading = tokio::spawn(keep_reading(Arc::clone(&disk), plan.clone()));
    let other_program = raw(&disk.path());
    plan.run(Arc::<Disk>::clone(&disk), tell).await;
    // Another program may read meanwhile, and write when it is quick.
    other_program.query_row("SELECT count(*) FROM proofs", [], |_| Ok(())).unwrap();
    reading.abort();
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), plan.steps().count());
    assert!(told.values().all(|told| *told == Told::Yes), "nobody was refused");
    plan.check(&Snapshot::take(&disk.store, &plan.known()).await, &told).unwrap();
}

/// Readers that never rest can hold on to the log for a while longer; it is emptied when they let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_stays_within_its_bound() {
    let disk = ready(&busy()).await;
    let log = disk.folder.path().join("mint.sqlite-wal");
    let longest = Arc::new(Mutex::new(0));
    let tell = {
        let longest = Arc::clone(&longest);
        move |_, _| {
            let mut longest = longest.lock().unwrap();
            *longest = fs::metadata(&log).unwrap().len().max(*longest);
        }
    };
    Plan::new(64, 10).run(Arc::<Disk>::clone(&disk), tell).await;
    // The log may pass its bound by the pages of one group. Without a bound it would reach ten times this.
    let (longest, bound) = (*longest.lock().unwrap(), 2 * u64::from(MAX_WAL_PAGES) * 4096);
    assert!(longest < bound, "the log grew to {longest} bytes");
}

async fn keep_reading(disk: Arc<Disk>, plan: Plan) {
    let known = plan.known();
    let ys: Vec<_> = known.ys.iter().copied().collect();
    loop {
        let answer = disk.store.inputs(&ys).await;
        assert_eq!(answer.map(|found| found.len()), Ok(ys.len()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_reads_of_a_thousand_keys() {
    let disk = ready(&busy()).await;
    let keys: Vec<_> = Plan::new(64, 4).known().ys.iter().copied().cycle().take(1000).collect();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (disk, keys) = (Arc::clone(&disk), keys.clone());
        reads.spawn(async move { disk.store.inputs(&keys).await });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.unwrap().map(|found| found.len()), Ok(1000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_of_reads_refuses_at_once() {
    let disk = ready(&OpenOptions { readers: 1, read_queue: 1, ..options() }).await;
    let keys: Vec<_> = Plan::new(64, 4).known().ys.iter().copied().cycle().take(10_000).collect();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (disk, keys) = (Arc::clone(&disk), keys.clone());
        reads.spawn(async move { disk.store.inputs(&keys).await });
    }
    let mut refused = 0;
    while let Some(read) = reads.join_next().await {
        match read.unwrap() {
            Ok(found) => assert_eq!(found.len(), 10_000),
            Err(ReadError::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "fifty reads of ten thousand keys cannot all wait in a queue of one");
    let too_many = [keys.as_slice(), &keys[..1]].concat();
    assert!(matches!(disk.store.inputs(&too_many).await, Err(ReadError::Corrupt(_))));
}
