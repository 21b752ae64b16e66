//! Random sequences of changes, applied to a store and to the model, every answer compared.
//!
//! The changes are drawn from a small window of numbers that moves on, so that most of them meet something: a proof
//! that is held, an id that has ended, a quote that is paid. What was reserved is remembered, so that settlements and
//! releases mostly fit. One seed gives one sequence: it depends on the model's answers, never on the store's.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::{ApplyError, Change, Store};
use crate::store::memory::MemoryStore;

use super::Harness;
use super::bench::Answer;
use super::generate::Generator;
use super::snapshot::{Known, Snapshot};

/// After how many changes all reads are compared.
const COMPARE_EVERY: u32 = 200;

/// What a random sequence has met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many changes were applied.
    pub steps: u32,
    /// How often each change was accepted.
    pub accepted: BTreeMap<String, u32>,
    /// How often each change was refused for each reason.
    pub refused: BTreeMap<(String, String), u32>,
}

impl Coverage {
    /// Adds what another sequence has met.
    pub fn add(&mut self, other: Self) {
        self.steps += other.steps;
        for (name, count) in other.accepted {
            *self.accepted.entry(name).or_default() += count;
        }
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
    }

    fn note(&mut self, change: &Change, answer: &Answer) {
        self.steps += 1;
        let name = first_word(&format!("{change:?}"));
        let why = match answer {
            Ok(_) => {
                *self.accepted.entry(name).or_default() += 1;
                return;
            }
            Err(ApplyError::Conflict(conflict)) => first_word(&format!("{conflict:?}")),
            Err(error) => first_word(&format!("{error:?}")),
        };
        *self.refused.entry((name, why)).or_default() += 1;
    }
}

fn first_word(debug: &str) -> String {
    debug.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Applies `steps` random changes to a fresh store and to the model and compares every answer, and every so often all
/// reads; at the end the ledger is audited, closed, opened and read once more.
///
/// # Panics
/// When an answer or a read differs. The message gives the seed, the step and the change.
pub async fn random<H: Harness>(harness: &H, seed: u64, steps: u32) -> Coverage {
    let (store, model) = (harness.fresh().await, MemoryStore::new());
    let mut generator = Generator::new(seed);
    let mut known = Known::default();
    let mut coverage = Coverage::default();
    for step in 1..=steps {
        let change = generator.next_change();
        known.note(&change);
        let expected = model.apply(change.clone()).await;
        let answer = store.apply(change.clone()).await;
        assert!(
            same(&expected, &answer),
            "seed {seed}, step {step}: {change:?}\n  the model answers {expected:?}\n  the store answers {answer:?}"
        );
        generator.heard(&change, expected.is_ok());
        coverage.note(&change, &expected);
        if step % COMPARE_EVERY == 0 || step == steps {
            compare(&store, &model, &known, &format!("seed {seed}, step {step}")).await;
        }
    }
    let store = harness.reopen(store).await;
    compare(&store, &model, &known, &format!("seed {seed}, after it was closed and opened again")).await;
    coverage
}

/// Answers are compared whole, but for the words of an error that says the caller is at fault.
fn same(expected: &Answer, answer: &Answer) -> bool {
    matches!((expected, answer), (Err(ApplyError::Corrupt(_)), Err(ApplyError::Corrupt(_)))) || expected == answer
}

async fn compare(store: &dyn Store, model: &dyn Store, known: &Known, when: &str) {
    let (expected, found) = (Snapshot::take(model, known).await, Snapshot::take(store, known).await);
    let differences = differences(&expected, &found);
    assert!(differences.is_empty(), "{when}: the store differs from the model:\n{}", differences.join("\n"));
    let faults = found.faults();
    assert!(faults.is_empty(), "{when}: the ledger is not sound:\n{}", faults.join("\n"));
}

/// What differs, row by row: whole snapshots are too long to read.
fn differences(expected: &Snapshot, found: &Snapshot) -> Vec<String> {
    let mut all = Vec::new();
    rows("input", &expected.inputs, &found.inputs, &mut all);
    rows("output", &expected.outputs, &found.outputs, &mut all);
    rows("contents of", &expected.contents, &found.contents, &mut all);
    rows("operation", &expected.operations, &found.operations, &mut all);
    rows("mint quote", &expected.mint_quotes, &found.mint_quotes, &mut all);
    rows("mint quote of hash", &expected.by_hash, &found.by_hash, &mut all);
    rows("melt quote", &expected.melt_quotes, &found.melt_quotes, &mut all);
    if all.is_empty() && expected != found {
        all.push(format!("expected {expected:?}\n  found {found:?}"));
    }
    all
}

fn rows<K, V>(what: &str, expected: &BTreeMap<K, V>, found: &BTreeMap<K, V>, all: &mut Vec<String>)
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let (wanted, there) = (expected.get(key), found.get(key));
        if wanted != there {
            all.push(format!("{what} {key:?}:\n  expected {wanted:?}\n  found {there:?}"));
        }
    }
}
