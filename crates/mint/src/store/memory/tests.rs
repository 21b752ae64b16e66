//! The reference ledger against the suite that it is the model of.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::MemoryStore;
use crate::store::contract::{self, Coverage, Harness};

struct InMemory;

#[async_trait]
impl Harness for InMemory {
    type Store = MemoryStore;

    async fn fresh(&self) -> MemoryStore {
        MemoryStore::new()
    }

    async fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }

    #[expect(clippy::disallowed_methods, reason = "the races of the suite run beside the test")]
    fn spawn(task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    let report = contract::run_all(&InMemory).await;
    report.assert_passed();
}

/// What the random sequences must meet, so that they cannot pass by refusing everything.
#[tokio::test]
async fn random_sequences_meet_every_change_and_refusal() {
    let mut met = Coverage::default();
    for seed in 0..20 {
        met.add(contract::random(&InMemory, seed, 1_000).await);
    }
    let missing: Vec<&str> = CHANGES.into_iter().filter(|name| !met.accepted.contains_key(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "changes that were never accepted");
    let refused: BTreeSet<&str> = met.refused.keys().map(|(_, why)| why.as_str()).collect();
    let missing: Vec<&str> = REFUSALS.into_iter().filter(|name| !refused.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "refusals that were never given");
}

const CHANGES: [&str; 20] = [
    "BindSeed",
    "AddKeyset",
    "LatchKeyset",
    "Administer",
    "OpenMintQuote",
    "CreditMintQuote",
    "Issue",
    "ReserveSwap",
    "SettleSwap",
    "ReleaseSwap",
    "ResolveSwap",
    "OpenMeltQuote",
    "ReserveMelt",
    "DispatchMelt",
    "RecordMelt",
    "SettleMelt",
    "SettleInternally",
    "ReleaseMelt",
    "TakeOver",
    "Prune",
];

const REFUSALS: [&str; 23] = [
    "InputsSpent",
    "InputsPending",
    "OutputsSigned",
    "OutputsPending",
    "Overdrawn",
    "KeysetLatched",
    "KeysetUnknown",
    "KeysetExists",
    "OtherSeed",
    "QuoteUnknown",
    "QuoteExists",
    "QuoteNotPaid",
    "QuoteIssued",
    "QuotePending",
    "QuotePaid",
    "InvoicePending",
    "InvoicePaid",
    "MintQuoteSettled",
    "UnitMismatch",
    "OperationGone",
    "OperationEnded",
    "WrongState",
    "Corrupt",
];

#[test]
#[should_panic(expected = "the suite ran no case")]
fn a_suite_that_ran_nothing_has_not_passed() {
    contract::Report::default().assert_passed();
}

#[test]
#[should_panic(expected = "1 of 1 cases failed")]
fn a_suite_with_a_failure_has_not_passed() {
    let failed = vec![("a case".to_owned(), "a reason".to_owned())];
    contract::Report { ran: vec!["a case".to_owned()], failed }.assert_passed();
}
