//! The seed and the keysets: `BindSeed`, `AddKeyset`, `LatchKeyset`.

use hazel_protocol::CurrencyUnit;

use crate::ports::{AddKeyset, Applied, BindSeed, Conflict, KeysetOrigin, KeysetRecord, LatchKeyset};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{KEYSETS, Minting, NOW, Swap, input, keyset, output, sat, sat_next, usd};

cases!("keysets":
    one_seed_is_bound,
    added_keysets_are_kept_in_order,
    a_new_active_keyset_retires_the_others_of_its_unit,
    an_inactive_keyset_retires_nobody,
    a_late_repetition_does_not_undo_a_rotation,
    the_same_keyset_may_be_added_by_two,
    another_keyset_of_the_id_is_refused,
    another_keyset_of_the_index_is_refused,
    a_new_keyset_is_not_latched,
    latching_is_kept_and_cleared,
    ids_of_both_versions_are_kept,
    latching_an_unknown_keyset_is_refused,
);

fn add(keyset: &KeysetRecord) -> AddKeyset {
    AddKeyset { keyset: keyset.clone() }
}

async fn one_seed_is_bound(bench: &Bench) {
    assert_eq!(bench.accept_twice(BindSeed { fingerprint: [1; 32] }).await, Applied::Done);
    bench.refuse(BindSeed { fingerprint: [2; 32] }, Conflict::OtherSeed).await;
    bench.accept(BindSeed { fingerprint: [1; 32] }).await;
}

async fn added_keysets_are_kept_in_order(bench: &Bench) {
    let keysets = [&KEYSETS.usd, &KEYSETS.sat];
    for keyset in keysets {
        assert_eq!(bench.accept_twice(add(keyset)).await, Applied::Done);
    }
    let ledger = bench.snapshot().await;
    assert!(ledger.keysets.iter().eq(keysets), "every field, in the order they were added");
    assert!(ledger.totals.iter().map(|(id, _)| *id).eq([usd(), sat()]), "totals in the order of the keysets");
    assert_eq!(bench.totals(sat()).await, [0; 4]);
}

async fn a_new_active_keyset_retires_the_others_of_its_unit(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    bench.accept(add(&KEYSETS.usd)).await;
    bench.accept_twice(add(&KEYSETS.sat_next)).await;
    assert_eq!(active(bench).await, [false, true, true]);
}

async fn an_inactive_keyset_retires_nobody(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    let idle = KeysetRecord { active: false, ..KEYSETS.sat_next.clone() };
    bench.accept_twice(add(&idle)).await;
    assert_eq!(active(bench).await, [true, false]);
}

async fn a_late_repetition_does_not_undo_a_rotation(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    bench.accept(add(&KEYSETS.sat_next)).await;
    bench.repeat(add(&KEYSETS.sat), &Applied::Done).await;
    assert_eq!(active(bench).await, [false, true]);
}

async fn active(bench: &Bench) -> Vec<bool> {
    bench.snapshot().await.keysets.iter().map(|keyset| keyset.active).collect()
}

/// Two processes that derive the same keys agree, whenever each did it.
async fn the_same_keyset_may_be_added_by_two(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    let again = KeysetRecord { created_at: NOW.plus(7), ..KEYSETS.sat.clone() };
    bench.repeat(add(&again), &Applied::Done).await;
}

async fn another_keyset_of_the_id_is_refused(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    let known = &KEYSETS.sat;
    let others = [
        KeysetRecord { unit: CurrencyUnit::Eur, ..known.clone() },
        KeysetRecord { origin: KeysetOrigin::Seed { index: 9 }, ..known.clone() },
        KeysetRecord { origin: KeysetOrigin::Import { carried: None }, latched: true, ..known.clone() },
        KeysetRecord { input_fee_ppk: known.input_fee_ppk + 1, ..known.clone() },
        KeysetRecord { final_expiry: Some(NOW), ..known.clone() },
        KeysetRecord { keys: KEYSETS.usd.keys.clone(), unit: CurrencyUnit::Eur, ..known.clone() },
        KeysetRecord { keys: KEYSETS.sat_next.keys.clone(), ..known.clone() },
    ];
    for other in others {
        bench.refuse(add(&other), Conflict::KeysetExists).await;
    }
}

async fn another_keyset_of_the_index_is_refused(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    let rival = KeysetRecord { origin: KEYSETS.sat.origin, ..KEYSETS.sat_next.clone() };
    bench.refuse(add(&rival), Conflict::KeysetExists).await;
    // The same index of another unit is free.
    bench.accept(add(&keyset(CurrencyUnit::Eur, 0, 0))).await;
}

async fn a_new_keyset_is_not_latched(bench: &Bench) {
    bench.reject(add(&KeysetRecord { latched: true, ..KEYSETS.sat.clone() })).await;
}

async fn latching_is_kept_and_cleared(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    bench.accept(add(&KEYSETS.usd)).await;
    let latch = |latched| LatchKeyset { keyset: sat(), latched };
    assert_eq!(bench.accept_twice(latch(true)).await, Applied::Done);
    assert!(bench.snapshot().await.keysets.iter().map(|keyset| keyset.latched).eq([true, false]));
    bench.accept_twice(latch(false)).await;
    assert!(bench.snapshot().await.keysets.iter().all(|keyset| !keyset.latched));
}

async fn ids_of_both_versions_are_kept(bench: &Bench) {
    let old = KeysetRecord {
        id: KEYSETS.usd.keys.id_v1(),
        unit: "hours".parse().expect("a unit"),
        final_expiry: Some(NOW.plus(1)),
        ..KEYSETS.usd.clone()
    };
    bench.accept_twice(add(&old)).await;
    bench.accept_twice(add(&KEYSETS.usd)).await;
    assert!(bench.snapshot().await.keysets.iter().eq([&old, &KEYSETS.usd]));
    let minting = Minting::of(1, old.id, old.unit.clone(), &[8]);
    bench.mint(&minting).await;
    let swap =
        Swap { inputs: vec![input(1, old.id, 8)], outputs: vec![output(1, old.id, 8)], fees: vec![], ..Swap::new(1) };
    bench.accept(swap.reserve()).await;
    bench.accept_twice(swap.settle()).await;
    assert_eq!(bench.totals(old.id).await, [16, 8, 0, 0]);
    assert_eq!(bench.totals(usd()).await, [0; 4]);
}

async fn latching_an_unknown_keyset_is_refused(bench: &Bench) {
    bench.accept(add(&KEYSETS.sat)).await;
    let change = LatchKeyset { keyset: sat_next(), latched: true };
    bench.refuse(change, Conflict::KeysetUnknown(sat_next())).await;
}
