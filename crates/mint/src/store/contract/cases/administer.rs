//! Acts with their line in the audit log: `Administer`, and what an import may do.

use hazel_protocol::Amount;

use crate::ports::{
    Act, AddKeyset, Administer, Applied, AuditEntry, Conflict, ImportRows, KeysetOrigin, KeysetRecord, LatchKeyset,
    MAX_ACTOR_BYTES, MAX_AUDIT_DETAIL_BYTES, MeterKeyset,
};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{KEYSETS, NOW, Swap, input, operation, output, sat, sat_next, sign, usd};

cases!("administer":
    an_act_and_its_line_are_one_change,
    a_refused_act_leaves_no_line,
    a_late_repetition_of_an_act_changes_nothing,
    one_id_is_one_act,
    the_log_is_paged_newest_first,
    lines_are_bounded,
    imports_are_derived_nowhere,
    an_import_is_added_unmetered,
    imported_rows_are_spent_and_signed,
    imported_rows_collide_with_known_ones,
    rows_are_imported_of_unmetered_imports_only,
    imported_rows_are_of_their_keyset,
    an_unmetered_import_has_no_bound,
    a_metered_import_has_its_bound,
    an_import_is_metered_once,
);

fn administer(n: u32, act: Act) -> Administer {
    let entry = AuditEntry {
        id: operation(n),
        at: NOW.plus(n.into()),
        actor: "operator".to_owned(),
        detail: format!("act {n}"),
    };
    Administer { entry, act }
}

fn add(n: u32, keyset: &KeysetRecord) -> Administer {
    administer(n, Act::AddKeyset(AddKeyset { keyset: keyset.clone() }))
}

fn latch(n: u32, latched: bool) -> Administer {
    administer(n, Act::LatchKeyset(LatchKeyset { keyset: sat(), latched }))
}

fn meter(n: u32, carried: u64) -> Administer {
    administer(n, Act::MeterKeyset(MeterKeyset { keyset: sat(), carried: Amount::from_u64(carried) }))
}

/// Proofs `spent` and outputs `signed`, of one unit each.
fn import(n: u32, spent: &[u32], signed: &[u32]) -> Administer {
    let spent = spent.iter().map(|n| input(*n, sat(), 1)).collect();
    let signed = signed.iter().map(|n| sign(&output(*n, sat(), 1))).collect();
    administer(n, Act::ImportRows(ImportRows { keyset: sat(), spent, signed }))
}

/// The keyset `sat` as an import that signs nothing.
fn imported() -> KeysetRecord {
    KeysetRecord { origin: KeysetOrigin::Import { carried: None }, active: false, latched: true, ..KEYSETS.sat.clone() }
}

fn spend(n: u32, amount: u64) -> Swap {
    Swap {
        inputs: vec![input(n, sat(), amount)],
        outputs: vec![output(n, usd(), amount)],
        fees: vec![],
        ..Swap::new(n)
    }
}

async fn an_act_and_its_line_are_one_change(bench: &Bench) {
    assert_eq!(bench.accept_twice(add(1, &KEYSETS.sat)).await, Applied::Done);
    bench.accept_twice(latch(2, true)).await;
    bench.accept_twice(latch(3, false)).await;
    let ledger = bench.snapshot().await;
    let lines: Vec<_> = ledger.audit.iter().map(|line| (line.entry.id, line.action.as_str())).collect();
    assert_eq!(lines, [(operation(3), "keyset.allow"), (operation(2), "keyset.stop"), (operation(1), "keyset.add")]);
    assert!(ledger.audit.iter().all(|line| line.keyset == sat()));
    assert_eq!(ledger.audit[0].entry, latch(3, false).entry, "every field");
    assert_eq!(ledger.keysets, std::slice::from_ref(&KEYSETS.sat));
}

async fn a_refused_act_leaves_no_line(bench: &Bench) {
    bench.refuse(latch(1, true), Conflict::KeysetUnknown(sat())).await;
    bench.accept(add(2, &KEYSETS.sat)).await;
    let rival = KeysetRecord { input_fee_ppk: 1, ..KEYSETS.sat.clone() };
    bench.refuse(add(3, &rival), Conflict::KeysetExists).await;
    assert_eq!(bench.snapshot().await.audit.len(), 1);
}

async fn a_late_repetition_of_an_act_changes_nothing(bench: &Bench) {
    bench.accept(add(1, &KEYSETS.sat)).await;
    bench.accept(latch(2, true)).await;
    bench.accept(latch(3, false)).await;
    bench.repeat(latch(2, true), &Applied::Done).await;
    assert!(!bench.snapshot().await.keysets[0].latched, "allowed since");
}

async fn one_id_is_one_act(bench: &Bench) {
    bench.accept(add(1, &KEYSETS.sat)).await;
    bench.refuse(latch(1, true), Conflict::OperationEnded).await;
    let other = Administer {
        entry: AuditEntry { actor: "somebody".to_owned(), ..add(1, &KEYSETS.sat).entry },
        ..add(1, &KEYSETS.sat)
    };
    bench.refuse(other, Conflict::OperationEnded).await;
}

async fn the_log_is_paged_newest_first(bench: &Bench) {
    bench.accept(add(1, &KEYSETS.sat)).await;
    // Ids and times go down, sequences go up.
    for n in (2..20).rev() {
        bench.accept(latch(n, n % 2 == 0)).await;
    }
    let whole = bench.snapshot().await.audit;
    let ids: Vec<_> = whole.iter().map(|line| line.entry.id).collect();
    let expected: Vec<_> = (2..20).chain([1]).map(operation).collect();
    assert_eq!(ids, expected, "by pages of five");
    assert_eq!(bench.store().audit(None, 0).await.expect("readable"), []);
    assert_eq!(bench.store().audit(Some(whole[3].sequence), 2).await.expect("readable"), whole[4..6]);
    assert_eq!(bench.store().audit(Some(0), 10).await.expect("readable"), []);
    assert_eq!(bench.store().audit(Some(u64::MAX), 100).await.expect("readable"), whole);
}

async fn lines_are_bounded(bench: &Bench) {
    let with = |actor: String, detail: String| {
        let change = add(1, &KEYSETS.sat);
        Administer { entry: AuditEntry { actor, detail, ..change.entry.clone() }, ..change }
    };
    bench.reject(with(String::new(), String::new())).await;
    bench.reject(with("a".repeat(MAX_ACTOR_BYTES + 1), String::new())).await;
    bench.reject(with("a".to_owned(), "d".repeat(MAX_AUDIT_DETAIL_BYTES + 1))).await;
    bench.accept(with("a".repeat(MAX_ACTOR_BYTES), "d".repeat(MAX_AUDIT_DETAIL_BYTES))).await;
}

async fn imports_are_derived_nowhere(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    let origin = KeysetOrigin::Import { carried: None };
    let second = KeysetRecord { origin, latched: true, ..KEYSETS.sat_next.clone() };
    bench.accept(add(2, &second)).await;
    let active: Vec<bool> = bench.snapshot().await.keysets.iter().map(|keyset| keyset.active).collect();
    assert_eq!(active, [false, true]);
    let derived = KeysetRecord { origin: KeysetOrigin::Seed { index: 1 }, latched: false, ..second };
    bench.refuse(add(3, &derived), Conflict::KeysetExists).await;
}

async fn an_import_is_added_unmetered(bench: &Bench) {
    let metered = KeysetOrigin::Import { carried: Some(Amount::ZERO) };
    bench.reject(add(1, &KeysetRecord { origin: metered, ..imported() })).await;
    bench.reject(AddKeyset { keyset: KeysetRecord { origin: metered, ..imported() } }).await;
    bench.reject(AddKeyset { keyset: KeysetRecord { latched: false, ..imported() } }).await;
    bench.accept(AddKeyset { keyset: imported() }).await;
    bench.accept(add(2, &imported())).await;
    assert_eq!(bench.snapshot().await.keysets, [imported()]);
}

async fn imported_rows_are_spent_and_signed(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    bench.accept_twice(import(2, &[1, 2, 3], &[1, 2, 3, 4, 5])).await;
    bench.accept_twice(import(3, &[4], &[])).await;
    bench.accept_twice(import(4, &[], &[6])).await;
    assert_eq!(bench.totals(sat()).await, [6, 4, 0, 0]);
    let contents = bench.store().contents(operation(2)).await.expect("readable");
    assert_eq!((contents.inputs.len(), contents.outputs.len(), contents.quotes.len()), (3, 5, 0));
    assert!(contents.outputs.iter().all(|known| known.signature.is_some()));
    bench.accept(add(5, &KEYSETS.usd)).await;
    bench.refuse(spend(1, 1).reserve(), Conflict::InputsSpent).await;
    bench.refuse(spend(9, 1).reserve(), Conflict::KeysetLatched(sat())).await;
}

async fn imported_rows_collide_with_known_ones(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    bench.accept(add(2, &KEYSETS.usd)).await;
    bench.accept(import(3, &[1], &[1])).await;
    bench.accept(latch(5, false)).await;
    bench.refuse(import(4, &[2, 1], &[2]), Conflict::InputsSpent).await;
    bench.refuse(import(4, &[2], &[2, 1]), Conflict::OutputsSigned).await;
    bench.accept(spend(7, 1).reserve()).await;
    bench.refuse(import(4, &[7], &[]), Conflict::InputsPending).await;
    bench.refuse(import(4, &[], &[7]), Conflict::OutputsPending).await;
    assert_eq!(bench.totals(sat()).await, [1, 1, 1, 0]);
}

async fn rows_are_imported_of_unmetered_imports_only(bench: &Bench) {
    bench.refuse(import(1, &[1], &[]), Conflict::KeysetUnknown(sat())).await;
    bench.accept(add(2, &imported())).await;
    bench.accept(meter(3, 0)).await;
    bench.refuse(import(4, &[1], &[]), Conflict::WrongState).await;
    bench.accept(add(5, &KEYSETS.sat_next)).await;
    let act = ImportRows { keyset: sat_next(), spent: vec![input(1, sat_next(), 1)], signed: vec![] };
    bench.refuse(administer(6, Act::ImportRows(act)), Conflict::WrongState).await;
}

async fn imported_rows_are_of_their_keyset(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    bench.accept(add(2, &KEYSETS.usd)).await;
    let rows = |spent, signed| administer(3, Act::ImportRows(ImportRows { keyset: sat(), spent, signed }));
    bench.reject(rows(vec![input(1, usd(), 1)], vec![])).await;
    bench.reject(rows(vec![], vec![sign(&output(1, usd(), 1))])).await;
    bench.reject(rows(vec![input(1, sat(), 1), input(1, sat(), 1)], vec![])).await;
    bench.reject(rows(vec![], vec![])).await;
}

async fn an_unmetered_import_has_no_bound(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    bench.accept(add(2, &KEYSETS.usd)).await;
    bench.accept(latch(9, false)).await;
    let swap = spend(1, 128);
    bench.accept(swap.reserve()).await;
    bench.accept_twice(swap.settle()).await;
    assert_eq!(bench.totals(sat()).await, [0, 128, 0, 0]);
}

async fn a_metered_import_has_its_bound(bench: &Bench) {
    bench.accept(add(1, &imported())).await;
    bench.accept(add(2, &KEYSETS.usd)).await;
    bench.accept(latch(9, false)).await;
    let early = spend(1, 8);
    bench.accept(early.reserve()).await;
    bench.refuse(meter(3, 7), Conflict::Overdrawn(sat())).await;
    bench.accept_twice(meter(3, 16)).await;
    let records = bench.snapshot().await.keysets;
    assert_eq!(records[0].origin, KeysetOrigin::Import { carried: Some(Amount::from_u64(16)) });
    bench.accept_twice(early.settle()).await;
    bench.refuse(spend(2, 9).reserve(), Conflict::Overdrawn(sat())).await;
    let rest = spend(3, 8);
    bench.accept(rest.reserve()).await;
    bench.accept_twice(rest.settle()).await;
    bench.refuse(spend(4, 1).reserve(), Conflict::Overdrawn(sat())).await;
}

async fn an_import_is_metered_once(bench: &Bench) {
    bench.refuse(meter(1, 5), Conflict::KeysetUnknown(sat())).await;
    bench.accept(add(2, &imported())).await;
    bench.accept(meter(3, 5)).await;
    bench.accept(meter(4, 5)).await;
    bench.refuse(meter(5, 6), Conflict::WrongState).await;
    let act = MeterKeyset { keyset: usd(), carried: Amount::ZERO };
    bench.accept(add(6, &KEYSETS.usd)).await;
    bench.refuse(administer(7, Act::MeterKeyset(act)), Conflict::WrongState).await;
}
