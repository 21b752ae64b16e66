//! One suite that every store must pass.
//!
//! It has four parts. *Cases* say one sentence of the port's docs each (`cases`). *Random sequences* apply thousands of
//! changes to the store and to [`MemoryStore`](super::memory::MemoryStore) and compare every answer ([`random`]). *Races* let
//! many tasks want the same rows (`races`). An *auditor* that knows none of the rules of the changes recomputes the
//! sums from the rows after each of them ([`audit`]).
//!
//! A store crate implements [`Harness`] and [`Plant`] in its tests and calls [`run_all`]:
//!
//! ```ignore
//! let report = hazel_mint::store::contract::run_all(&MyHarness).await;
//! report.assert_passed();
//! ```
//!
//! After each case the store is closed, opened again and must show the same ledger. Nothing depends on timing. A
//! failed assertion in a case is caught and reported with the case's name, so that one run shows all failures.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hazel_protocol::{KeysetId, PointBytes};

use crate::ports::{KeysetTotals, OperationId, SignedRow, Store};

mod audit;
mod bench;
#[macro_use]
mod cases;
mod fixture;
mod generate;
mod races;
mod random;
mod snapshot;

pub use audit::audit;
pub use bench::{Answer, Bench};
pub use fixture::IntoChange;
pub use random::{Coverage, random};
pub use snapshot::{Known, Snapshot};

/// Makes the stores under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The store under test.
    type Store: Store + Plant;

    /// An empty store, apart from every other.
    async fn fresh(&self) -> Self::Store;

    /// Closes the store in good order and opens its data again. A store without durability gives itself back.
    async fn reopen(&self, store: Self::Store) -> Self::Store;

    /// Runs a task beside the caller, on another thread where there is one.
    fn spawn(task: BoxFuture<'static, ()>);
}

/// Writes rows that no change can write: what a database by other hands may hold. They may panic where the rows they
/// start from are not there.
#[async_trait]
pub trait Plant: Send + Sync {
    /// Stores these signatures on reserved outputs of an unfinished operation, counted as issued of their keysets.
    async fn plant_signatures(&self, operation: OperationId, rows: &[SignedRow]);

    /// Makes PENDING inputs SPENT, moved from `reserved` to `redeemed`.
    async fn plant_spent(&self, ys: &[PointBytes]);

    /// Overwrites the totals of a keyset.
    async fn plant_totals(&self, keyset: KeysetId, totals: KeysetTotals);
}

/// A store that rows can be planted in.
pub trait Subject: Store + Plant {}

impl<S: Store + Plant> Subject for S {}

/// What a run of the suite came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// The names of all cases that ran.
    pub ran: Vec<String>,
    /// The names of those that failed, each with the reason.
    pub failed: Vec<(String, String)>,
}

impl Report {
    /// How many cases ran.
    pub fn cases(&self) -> usize {
        self.ran.len()
    }

    /// # Panics
    /// When a case failed, or none ran.
    pub fn assert_passed(&self) {
        assert!(!self.ran.is_empty(), "the suite ran no case");
        let lines: Vec<String> = self.failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        assert!(lines.is_empty(), "{} of {} cases failed:\n{}", lines.len(), self.cases(), lines.join("\n"));
    }

    async fn run(&mut self, name: &str, case: impl Future<Output = ()> + Send) {
        self.ran.push(name.to_owned());
        if let Err(panic) = AssertUnwindSafe(case).catch_unwind().await {
            self.failed.push((name.to_owned(), words(panic.as_ref())));
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked without words".to_owned())
}

/// How many random sequences [`run_all`] runs, seeds 1, 2, ..
const RANDOM_SEEDS: u64 = 3;

/// How long each of them is.
const RANDOM_STEPS: u32 = 800;

/// Runs everything: cases, races, and a few short random sequences.
pub async fn run_all<H: Harness>(harness: &H) -> Report {
    let mut report = Report::default();
    for case in cases::all().chain(races::CASES) {
        report.run(case.name, on_fresh(harness, case)).await;
    }
    for seed in 1..=RANDOM_SEEDS {
        let name = format!("random sequences: seed {seed}");
        report.run(&name, async { drop(random(harness, seed, RANDOM_STEPS).await) }).await;
    }
    report
}

/// One case on a store of its own, then the auditor, then once more after a close and an open.
async fn on_fresh<H: Harness>(harness: &H, case: &cases::Case) {
    let store = Arc::new(harness.fresh().await);
    let bench = Bench::new(Arc::<H::Store>::clone(&store), H::spawn);
    (case.run)(&bench).await;
    let (known, planted) = bench.into_known();
    let before = Snapshot::take(&*store, &known).await;
    if !planted {
        before.assert_sound();
    }
    let store = Arc::into_inner(store).expect("every task of the case has ended");
    let store = harness.reopen(store).await;
    let after = Snapshot::take(&store, &known).await;
    assert_eq!(before, after, "the ledger after it was closed and opened again");
}
