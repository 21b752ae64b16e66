//! Random sequences of changes, compared with the store in memory after each.

use std::sync::Arc;

use hazel_protocol::CurrencyUnit;

use super::Harness;
use super::fixture::{completed, expired, furnish, history, id, keyset, mint, prepared, proof, row, seed, step, ys};
use crate::ports::{
    Change, CounterStep, MarkSpent, Moves, OperationRecord, ProofStatus, RecordKeysets, SessionId, Step, Store,
    TakeOver, Timestamp,
};
use crate::store::MemoryStore;

const SAT: CurrencyUnit = CurrencyUnit::Sat;
const PROOFS: u8 = 24;
const OPERATIONS: u8 = 6;

/// A small generator of numbers, so that a seed names a sequence for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u8::try_from((self.0 >> 11) % u64::from(sides)).unwrap_or_default()
    }

    fn some(&mut self, at_most: u8, from: u8) -> Vec<u8> {
        (0..self.roll(at_most + 1)).map(|_| self.roll(from)).collect()
    }
}

pub(super) async fn run(harness: &dyn Harness, seed: u64, steps: u32) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = MemoryStore::new();
    let mut store = harness.fresh().await;
    furnish(&model).await;
    furnish(&*store).await;
    for number in 0..steps {
        if dice.roll(40) == 0 {
            model = model.reopen();
            store = harness.reopen(store).await;
        }
        let change = random_change(&mut dice, &model).await;
        let expected = model.apply(for_session(change.clone(), model.session())).await;
        let found = store.apply(for_session(change.clone(), store.session())).await;
        assert_eq!(found, expected, "seed {seed}, step {number}: {change:?}");
        if number % 10 == 0 {
            compare(&model, &store, &format!("seed {seed}, step {number}")).await;
        }
    }
    compare(&model, &store, &format!("seed {seed}, at the end")).await;
}

/// The same change by the session of a store.
fn for_session(change: Change, session: SessionId) -> Change {
    let with = |mut step: Box<Step>| {
        step.operation.session = session;
        step
    };
    match change {
        Change::Begin(step) => Change::Begin(with(step)),
        Change::Advance(step) => Change::Advance(with(step)),
        Change::Settle(step) => Change::Settle(with(step)),
        Change::TakeOver(change) => Change::TakeOver(TakeOver { session, ..change }),
        other => other,
    }
}

async fn random_change(dice: &mut Dice, model: &MemoryStore) -> Change {
    let number = dice.roll(OPERATIONS);
    let known = model.operation(id(number)).await.expect("a read");
    let version = known.as_ref().map_or(0, |row| row.version);
    match dice.roll(16) {
        0 => Change::MarkSpent(MarkSpent { ys: ys(&dice.some(2, PROOFS)) }),
        1 => {
            let mut keyset = keyset(dice.roll(4));
            keyset.active = dice.roll(2) == 0;
            Change::RecordKeysets(RecordKeysets { mint: mint(0), keysets: vec![keyset] })
        }
        2 => {
            let version = version.saturating_sub(u64::from(dice.roll(2)));
            let at = Timestamp::from_unix(7);
            Change::TakeOver(TakeOver { operation: id(number), version, session: model.session(), at })
        }
        kind => {
            let version = if dice.roll(12) == 0 { version } else { version + 1 };
            let operation = row(number, version, model.session(), state(dice, kind));
            random_step(dice, model, operation, kind).await
        }
    }
}

fn state(dice: &mut Dice, kind: u8) -> crate::state::State {
    match (kind, dice.roll(2)) {
        (12.., 0) => completed(),
        (12.., _) => expired(),
        _ => prepared(u64::from(dice.roll(200)) + 1),
    }
}

async fn random_step(dice: &mut Dice, model: &MemoryStore, operation: OperationRecord, kind: u8) -> Change {
    let held = model.held_by(operation.id).await.expect("a read");
    let mut moves = Moves::default();
    let is_end = kind >= 12;
    for proof in held {
        match dice.roll(if is_end { 12 } else { 24 }) {
            0..4 => moves.spend.push(proof.y),
            4..8 => moves.release.push(proof.y),
            8..12 if is_end || dice.roll(2) == 0 => moves.send.push(proof.y),
            _ => {}
        }
    }
    if !is_end {
        moves.hold = ys(&dice.some(3, PROOFS));
    }
    moves.add = dice.some(2, PROOFS).into_iter().map(proof).collect();
    let mut counters = Vec::new();
    if dice.roll(3) == 0 {
        let keyset = keyset(dice.roll(2)).id;
        let next = model.counter(seed(1), keyset).await.expect("a read");
        counters.push(match dice.roll(4) {
            0 => CounterStep::AtLeast { keyset, next: u64::from(dice.roll(100)) },
            1 => CounterStep::Take { keyset, from: u64::from(dice.roll(50)), count: 2 },
            _ => CounterStep::Take { keyset, from: next, count: u64::from(dice.roll(5)) },
        });
    }
    let number = operation.id.as_bytes()[0];
    let history = (is_end && dice.roll(2) == 0).then(|| history(number));
    let is_new = operation.version <= 1;
    let step = Box::new(Step { moves, counters, history, ..step(operation) });
    match kind {
        _ if is_new && dice.roll(8) > 0 => Change::Begin(step),
        12.. => Change::Settle(step),
        _ => Change::Advance(step),
    }
}

/// Everything that can be read must be the same, but for the names of sessions.
async fn compare(model: &MemoryStore, store: &Arc<dyn Store>, at: &str) {
    let same = |rows: Vec<OperationRecord>| -> Vec<OperationRecord> {
        rows.into_iter().map(|row| OperationRecord { session: model.session(), ..row }).collect()
    };
    for status in ProofStatus::ALL {
        assert_eq!(store.proofs(&mint(0), &SAT, status).await, model.proofs(&mint(0), &SAT, status).await, "{at}");
    }
    for number in 0..OPERATIONS {
        let id = id(number);
        assert_eq!(store.held_by(id).await, model.held_by(id).await, "{at}");
        assert_eq!(store.sent_by(id).await, model.sent_by(id).await, "{at}");
        let (found, expected) =
            (store.operation(id).await.expect("a read"), model.operation(id).await.expect("a read"));
        assert_eq!(same(found.into_iter().collect()), same(expected.into_iter().collect()), "{at}");
    }
    for number in 0..2 {
        let keyset = keyset(number).id;
        assert_eq!(store.counter(seed(1), keyset).await, model.counter(seed(1), keyset).await, "{at}");
    }
    let of = (&mint(0), &SAT);
    assert_eq!(store.keysets(of.0).await, model.keysets(of.0).await, "{at}");
    assert_eq!(store.balances().await, model.balances().await, "{at}");
    assert_eq!(store.history(Some(of), None, 100).await, model.history(Some(of), None, 100).await, "{at}");
    let unfinished =
        (store.unfinished(of.0, of.1).await.expect("a read"), model.unfinished(of.0, of.1).await.expect("a read"));
    assert_eq!(same(unfinished.0), same(unfinished.1), "{at}");
    let watched = (store.watched(of.0, of.1).await.expect("a read"), model.watched(of.0, of.1).await.expect("a read"));
    assert_eq!(same(watched.0), same(watched.1), "{at}");
}
