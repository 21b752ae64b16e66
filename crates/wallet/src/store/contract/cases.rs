//! What a store promises, case by case.

use std::sync::Arc;

use hazel_protocol::{Amount, CurrencyUnit, KeysetWithKeys, MintInfo, PointBytes};

use super::Harness;
use super::fixture::{
    completed, errand, expired, furnish, history, id, keyset, mint, prepared, proof, row, seed, step, ys,
};
use crate::ports::{
    AddMint, ApplyError, Change, Conflict, CounterStep, ErrandRecord, MarkSpent, OperationId, ProofStatus, RecordInfo,
    RecordKeysets, Step, Store, TakeOver, Timestamp,
};

const SAT: CurrencyUnit = CurrencyUnit::Sat;

pub(super) async fn run(harness: &dyn Harness) {
    mints_and_info(&*harness.fresh().await).await;
    keysets_are_fixed(&*harness.fresh().await).await;
    keysets_never_collide(&*harness.fresh().await).await;
    counters_are_taken_once(&*furnished(harness).await).await;
    proofs_are_held_by_one(&*furnished(harness).await).await;
    what_is_held_moves_on(&*furnished(harness).await).await;
    steps_are_compare_and_set(&*furnished(harness).await).await;
    a_step_is_all_or_nothing(&*furnished(harness).await).await;
    nothing_stays_held(&*furnished(harness).await).await;
    spent_is_final(&*furnished(harness).await).await;
    lists_and_histories(&*furnished(harness).await).await;
    errands_are_compare_and_set(&*harness.fresh().await).await;
    sessions(harness).await;
}

async fn furnished(harness: &dyn Harness) -> Arc<dyn Store> {
    let store = harness.fresh().await;
    furnish(&*store).await;
    store
}

async fn conflict(store: &dyn Store, change: Change) -> Conflict {
    match store.apply(change.clone()).await {
        Err(ApplyError::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?} for {change:?}"),
    }
}

async fn ok(store: &dyn Store, change: Change) {
    store.apply(change.clone()).await.unwrap_or_else(|error| panic!("{error} for {change:?}"));
}

fn begin(step: Step) -> Change {
    Change::Begin(Box::new(step))
}

fn advance(step: Step) -> Change {
    Change::Advance(Box::new(step))
}

fn settle(step: Step) -> Change {
    Change::Settle(Box::new(step))
}

fn holding(store: &dyn Store, number: u8, proofs: &[u8]) -> Step {
    let mut begun = step(row(number, 1, store.session(), prepared(1)));
    begun.moves.hold = ys(proofs);
    begun
}

async fn status(store: &dyn Store, number: u8) -> ProofStatus {
    let found = store.proofs_by_y(&[proof(number).y]).await.expect("a read");
    found[0].as_ref().expect("a known proof").status
}

async fn mints_and_info(store: &dyn Store) {
    assert_eq!(store.mints().await, Ok(Vec::new()));
    let info = MintInfo { name: Some("m".to_owned()), ..MintInfo::default() };
    let at = Timestamp::from_unix(9);
    let record = Change::RecordInfo(Box::new(RecordInfo { url: mint(0), info: info.clone(), at }));
    assert_eq!(conflict(store, record.clone()).await, Conflict::MintUnknown(mint(0)));
    for url in [mint(1), mint(0), mint(0)] {
        ok(store, Change::AddMint(AddMint { url, at })).await;
    }
    ok(store, record).await;
    ok(store, Change::AddMint(AddMint { url: mint(0), at: Timestamp::from_unix(99) })).await;
    let mints = store.mints().await.expect("a read");
    assert_eq!(mints.len(), 2, "a mint is added once");
    assert_eq!((mints[0].info.clone(), mints[0].added_at, mints[0].refreshed_at), (Some(info), at, Some(at)));
    assert_eq!(store.mint(&mint(1)).await.expect("a read").as_ref(), Some(&mints[1]));
    assert_eq!(store.mint(&mint(2)).await, Ok(None));
}

async fn keysets_are_fixed(store: &dyn Store) {
    let record = |keysets| Change::RecordKeysets(RecordKeysets { mint: mint(0), keysets });
    assert_eq!(conflict(store, record(vec![keyset(0)])).await, Conflict::MintUnknown(mint(0)));
    ok(store, Change::AddMint(AddMint { url: mint(0), at: Timestamp::default() })).await;
    ok(store, record(vec![keyset(0), keyset(1)])).await;
    ok(store, record(vec![KeysetWithKeys { active: false, ..keyset(1) }])).await;
    let fee = KeysetWithKeys { input_fee_ppk: 7, ..keyset(0) };
    let keys = KeysetWithKeys { keys: keyset(1).keys, ..keyset(0) };
    let expiry = KeysetWithKeys { final_expiry: Some(7), ..keyset(0) };
    let unit = KeysetWithKeys { unit: CurrencyUnit::Usd, ..keyset(0) };
    for changed in [fee, keys, expiry, unit] {
        let change = record(vec![keyset(3), changed]);
        assert_eq!(conflict(store, change).await, Conflict::KeysetChanged(keyset(0).id));
    }
    let mut known: Vec<_> = store.keysets(&mint(0)).await.expect("a read").into_iter().map(|k| k.keyset).collect();
    known.sort_by_key(|keyset| !keyset.active);
    assert_eq!(known, vec![keyset(0), KeysetWithKeys { active: false, ..keyset(1) }], "refused as a whole");
    assert_eq!(store.keysets(&mint(1)).await, Ok(Vec::new()));
}

async fn keysets_never_collide(store: &dyn Store) {
    for number in [0, 1] {
        ok(store, Change::AddMint(AddMint { url: mint(number), at: Timestamp::default() })).await;
    }
    let of = |number, keysets| Change::RecordKeysets(RecordKeysets { mint: mint(number), keysets });
    ok(store, of(0, vec![keyset(0), keyset(1)])).await;
    // Anybody can list the keyset of another mint; each has its own view of it.
    let shared = KeysetWithKeys { active: false, ..keyset(0) };
    ok(store, of(1, vec![keyset(2), shared.clone(), keyset(1)])).await;
    let ids = |records: Vec<crate::ports::KeysetRecord>| -> Vec<_> {
        records.into_iter().map(|record| (record.mint, record.keyset.id, record.keyset.active)).collect()
    };
    let first = ids(store.keysets(&mint(0)).await.expect("a read"));
    assert!(first.contains(&(mint(0), keyset(0).id, true)) && first.len() == 2, "{first:?}");
    let second = ids(store.keysets(&mint(1)).await.expect("a read"));
    assert!(second.contains(&(mint(1), shared.id, false)) && second.len() == 3, "{second:?}");
    let of_id = |bytes: &[u8]| hazel_protocol::KeysetId::from_bytes(bytes).expect("a sound id");
    let mut bytes = keyset(1).id.as_bytes().to_vec();
    bytes[32] ^= 1;
    let twin = KeysetWithKeys { id: of_id(&bytes), ..keyset(1) };
    let expected = Conflict::KeysetCollides(twin.id, keyset(1).id, mint(0));
    assert_eq!(conflict(store, of(0, vec![keyset(3), twin])).await, expected, "equal short ids at one mint");
    // The path is the id modulo 2^31 - 1; adding that to an id leads to the same one.
    let number = u64::from_be_bytes(*keyset(0).id.short().as_bytes()) + (1 << 31) - 1;
    let on_path = KeysetWithKeys { id: of_id(&number.to_be_bytes()), ..keyset(0) };
    let answer = conflict(store, of(1, vec![on_path.clone()])).await;
    let found =
        matches!(&answer, Conflict::KeysetCollides(shown, known, _) if (*shown, *known) == (on_path.id, keyset(0).id));
    assert!(found, "equal derivation paths, at whichever mint: {answer}");
    assert_eq!(store.keysets(&mint(0)).await.expect("a read").len(), 2, "refused as a whole");
}

async fn counters_are_taken_once(store: &dyn Store) {
    let (first, second) = (keyset(0).id, keyset(1).id);
    let take = |from, count| CounterStep::Take { keyset: first, from, count };
    let begun = |number, counters| begin(Step { counters, ..step(row(number, 1, store.session(), prepared(1))) });
    ok(store, begun(1, vec![take(0, 5)])).await;
    assert_eq!(conflict(store, begun(2, vec![take(0, 1)])).await, Conflict::CounterMoved(first));
    assert_eq!(store.operation(id(2)).await, Ok(None));
    ok(store, begun(2, vec![take(5, 2), CounterStep::AtLeast { keyset: second, next: 40 }])).await;
    ok(store, begun(3, vec![CounterStep::AtLeast { keyset: second, next: 30 }])).await;
    assert_eq!(store.counter(seed(1), first).await, Ok(7));
    assert_eq!(store.counter(seed(1), second).await, Ok(40), "a counter never goes back");
    assert_eq!(store.counter(seed(2), first).await, Ok(0), "seeds count apart");
    let overflow = begun(4, vec![CounterStep::Take { keyset: second, from: 40, count: u64::MAX }]);
    assert!(matches!(conflict(store, overflow).await, Conflict::Malformed(_)));
}

async fn proofs_are_held_by_one(store: &dyn Store) {
    ok(store, begin(holding(store, 1, &[0, 1]))).await;
    assert_eq!(conflict(store, begin(holding(store, 2, &[2, 1]))).await, Conflict::ProofTaken);
    assert_eq!(status(store, 2).await, ProofStatus::Available, "refused as a whole");
    assert_eq!(conflict(store, begin(holding(store, 2, &[100]))).await, Conflict::ProofTaken, "unknown");
    assert_eq!(conflict(store, begin(holding(store, 2, &[3, 3]))).await, Conflict::ProofTaken, "twice");
    let held: Vec<PointBytes> = store.held_by(id(1)).await.expect("a read").iter().map(|p| p.y).collect();
    let mut expected = ys(&[0, 1]);
    expected.sort_unstable();
    assert_eq!(held, expected);
    let balances = store.balances().await.expect("a read");
    let of = |balance: &crate::ports::BalanceRecord| (balance.available, balance.held, balance.sent);
    assert_eq!(balances.iter().map(of).collect::<Vec<_>>(), vec![sums(27, 3, 0)]);
}

fn sums(available: u64, held: u64, sent: u64) -> (Amount, Amount, Amount) {
    (Amount::from_u64(available), Amount::from_u64(held), Amount::from_u64(sent))
}

async fn what_is_held_moves_on(store: &dyn Store) {
    ok(store, begin(holding(store, 1, &[0, 1, 2]))).await;
    let mut end = step(row(1, 2, store.session(), completed()));
    end.moves.spend = ys(&[0]);
    end.moves.release = ys(&[1]);
    end.moves.send = ys(&[2]);
    end.moves.add = vec![proof(50), proof(3)];
    end.history = Some(history(1));
    let mut foreign = end.clone();
    foreign.moves.spend = ys(&[0, 4]);
    assert_eq!(conflict(store, settle(foreign)).await, Conflict::ProofTaken, "held by nobody");
    ok(store, settle(end.clone())).await;
    ok(store, settle(end)).await;
    for (number, expected) in [
        (0, ProofStatus::Spent),
        (1, ProofStatus::Available),
        (2, ProofStatus::Sent),
        (3, ProofStatus::Available),
        (50, ProofStatus::Available),
    ] {
        assert_eq!(status(store, number).await, expected, "proof {number}");
    }
    let sent = store.sent_by(id(1)).await.expect("a read");
    assert_eq!(sent.iter().map(|proof| proof.y).collect::<Vec<_>>(), ys(&[2]));
    // What was sent is taken back, and given up again.
    ok(store, begin(holding(store, 2, &[2]))).await;
    let mut back = step(row(2, 2, store.session(), completed()));
    back.moves.release = ys(&[2]);
    ok(store, settle(back)).await;
    assert_eq!(status(store, 2).await, ProofStatus::Sent);
    let stored = store.proofs_by_y(&[proof(50).y, proof(99).y]).await.expect("a read");
    assert_eq!(stored, vec![Some(proof(50)), None], "a proof comes back as it went in");
}

async fn steps_are_compare_and_set(store: &dyn Store) {
    let first = step(row(1, 1, store.session(), prepared(1)));
    assert!(matches!(
        conflict(store, begin(step(row(1, 2, store.session(), prepared(1))))).await,
        Conflict::Malformed(_)
    ));
    assert!(matches!(
        conflict(store, begin(step(row(1, 1, store.session(), completed())))).await,
        Conflict::Malformed(_)
    ));
    assert_eq!(conflict(store, advance(step(row(1, 2, store.session(), prepared(1))))).await, Conflict::OperationMoved);
    ok(store, begin(first.clone())).await;
    ok(store, begin(first)).await;
    let other = begin(step(row(1, 1, store.session(), prepared(2))));
    assert_eq!(conflict(store, other).await, Conflict::OperationExists);
    let next = advance(step(row(1, 2, store.session(), prepared(3))));
    ok(store, next.clone()).await;
    ok(store, next).await;
    for version in [1, 2, 4] {
        let stale = advance(step(row(1, version, store.session(), prepared(4))));
        assert_eq!(conflict(store, stale).await, Conflict::OperationMoved, "version {version}");
    }
    let not_an_end = settle(step(row(1, 3, store.session(), prepared(4))));
    assert!(matches!(conflict(store, not_an_end).await, Conflict::Malformed(_)));
    let end = advance(step(row(1, 3, store.session(), completed())));
    assert!(matches!(conflict(store, end).await, Conflict::Malformed(_)));
    ok(store, settle(step(row(1, 3, store.session(), completed())))).await;
    let after = advance(step(row(1, 4, store.session(), prepared(4))));
    assert_eq!(conflict(store, after).await, Conflict::OperationMoved, "finished");
    assert_eq!(store.operation(id(1)).await, Ok(Some(row(1, 3, store.session(), completed()))));
}

async fn a_step_is_all_or_nothing(store: &dyn Store) {
    let mut begun = holding(store, 1, &[0]);
    begun.moves.add = vec![proof(60)];
    begun.counters = vec![
        CounterStep::Take { keyset: keyset(0).id, from: 0, count: 3 },
        CounterStep::Take { keyset: keyset(1).id, from: 1, count: 3 },
    ];
    assert_eq!(conflict(store, begin(begun)).await, Conflict::CounterMoved(keyset(1).id));
    assert_eq!(store.operation(id(1)).await, Ok(None));
    assert_eq!(store.counter(seed(1), keyset(0).id).await, Ok(0));
    assert_eq!(status(store, 0).await, ProofStatus::Available);
    assert_eq!(store.proofs_by_y(&[proof(60).y]).await, Ok(vec![None]));
    let mut early = step(row(1, 1, store.session(), prepared(1)));
    early.history = Some(history(1));
    assert!(matches!(conflict(store, begin(early)).await, Conflict::Malformed(_)));
    let unknown = crate::ports::OperationRecord { mint: mint(7), ..row(1, 1, store.session(), prepared(1)) };
    assert_eq!(conflict(store, begin(step(unknown))).await, Conflict::MintUnknown(mint(7)));
}

async fn nothing_stays_held(store: &dyn Store) {
    ok(store, begin(holding(store, 1, &[0, 1]))).await;
    let mut end = step(row(1, 2, store.session(), completed()));
    end.moves.spend = ys(&[0]);
    assert!(matches!(conflict(store, settle(end)).await, Conflict::Malformed(_)));
    assert_eq!(status(store, 0).await, ProofStatus::Held);
}

async fn spent_is_final(store: &dyn Store) {
    ok(store, begin(holding(store, 1, &[0]))).await;
    ok(store, Change::MarkSpent(MarkSpent { ys: ys(&[0, 1, 99]) })).await;
    assert_eq!(status(store, 0).await, ProofStatus::Held, "held ones belong to their operation");
    assert_eq!(status(store, 1).await, ProofStatus::Spent);
    assert_eq!(conflict(store, begin(holding(store, 2, &[1]))).await, Conflict::ProofTaken);
    let mut again = step(row(3, 1, store.session(), prepared(1)));
    again.moves.add = vec![proof(1)];
    ok(store, begin(again)).await;
    assert_eq!(status(store, 1).await, ProofStatus::Spent, "a known proof stays as it is");
}

async fn lists_and_histories(store: &dyn Store) {
    for number in [1, 2, 3] {
        ok(store, begin(step(row(number, 1, store.session(), prepared(1))))).await;
    }
    for (number, state) in [(2, expired()), (1, completed())] {
        let mut end = step(row(number, 2, store.session(), state));
        end.history = Some(history(number));
        ok(store, settle(end)).await;
    }
    let ids = |rows: Vec<crate::ports::OperationRecord>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.unfinished(&mint(0), &SAT).await.expect("a read")), vec![id(3)]);
    assert_eq!(ids(store.unfinished(&mint(0), &CurrencyUnit::Usd).await.expect("a read")), Vec::new());
    assert_eq!(ids(store.watched(&mint(0), &SAT).await.expect("a read")), vec![id(2)]);
    let (first, second) = (mint(0), mint(1));
    assert_eq!(store.history(Some((&first, &SAT)), None, 9).await, Ok(vec![history(1), history(2)]));
    assert_eq!(store.history(None, None, 1).await, Ok(vec![history(1)]));
    assert_eq!(store.history(None, Some(id(1)), 9).await, Ok(vec![history(2)]));
    assert_eq!(store.history(None, Some(OperationId::from_bytes([0xff; 16])), 9).await, Ok(Vec::new()));
    assert_eq!(store.history(Some((&second, &SAT)), None, 9).await, Ok(Vec::new()));
    for status in ProofStatus::ALL {
        let found = store.proofs(&mint(0), &SAT, status).await.expect("a read").len();
        assert_eq!(found, if status == ProofStatus::Available { 8 } else { 0 });
    }
}

async fn errands_are_compare_and_set(store: &dyn Store) {
    let keep = |record: &ErrandRecord| Change::KeepErrand(Box::new(record.clone()));
    let (first, second) = (errand(1, 1, false), errand(2, 1, false));
    assert_eq!(store.errand(first.id).await, Ok(None));
    assert_eq!(conflict(store, keep(&errand(1, 2, false))).await, Conflict::ErrandMoved, "it must begin at 1");
    for record in [&second, &first, &first] {
        ok(store, keep(record)).await;
    }
    assert_eq!(store.open_errands().await, Ok(vec![first.clone(), second.clone()]));
    let other = ErrandRecord { updated_at: Timestamp::from_unix(99), ..first.clone() };
    assert_eq!(conflict(store, keep(&other)).await, Conflict::ErrandMoved, "the first of two wins");
    for stale in [0, 1, 3] {
        let stale = ErrandRecord { version: stale, ..errand(1, 2, true) };
        assert_eq!(conflict(store, keep(&stale)).await, Conflict::ErrandMoved);
    }
    ok(store, keep(&errand(1, 2, false))).await;
    assert_eq!(conflict(store, keep(&first)).await, Conflict::ErrandMoved, "no way back");
    ok(store, keep(&errand(1, 3, true))).await;
    ok(store, keep(&errand(1, 3, true))).await;
    assert_eq!(conflict(store, keep(&errand(1, 4, false))).await, Conflict::ErrandMoved, "done is done");
    assert_eq!(store.errand(first.id).await, Ok(Some(errand(1, 3, true))));
    assert_eq!(store.open_errands().await, Ok(vec![second]));
}

async fn sessions(harness: &dyn Harness) {
    let store = furnished(harness).await;
    let first = store.session();
    assert_eq!(store.session_gone(first).await, Ok(false));
    ok(&*store, begin(holding(&*store, 1, &[0]))).await;
    let take_over = |session, version| {
        Change::TakeOver(TakeOver { operation: id(1), version, session, at: Timestamp::from_unix(77) })
    };
    assert_eq!(conflict(&*store, take_over(first, 1)).await, Conflict::SessionAlive);
    let store = harness.reopen(store).await;
    let second = store.session();
    assert_ne!(first, second);
    assert_eq!(store.session_gone(first).await, Ok(true));
    assert_eq!(store.session_gone(second).await, Ok(false));
    assert_eq!(status(&*store, 0).await, ProofStatus::Held, "a restart frees nothing");
    let foreign = advance(step(row(1, 2, second, prepared(2))));
    assert_eq!(conflict(&*store, foreign).await, Conflict::OperationMoved, "another session drives it");
    assert_eq!(conflict(&*store, take_over(second, 5)).await, Conflict::OperationMoved);
    ok(&*store, take_over(second, 1)).await;
    ok(&*store, take_over(second, 1)).await;
    let row_now = store.operation(id(1)).await.expect("a read").expect("a row");
    assert_eq!((row_now.version, row_now.session, row_now.updated_at), (2, second, Timestamp::from_unix(77)));
    let late = advance(step(row(1, 3, first, prepared(2))));
    assert_eq!(conflict(&*store, late).await, Conflict::OperationMoved, "the former session is fenced off");
    ok(&*store, advance(step(row(1, 3, second, prepared(2))))).await;
}
