//! What an operator may do, and that the audit log tells of it.

mod world;

use hazel_mint::RotateKeyset;
use hazel_mint::ports::*;
use hazel_protocol::{Amount, CurrencyUnit};
use world::{Bottle, code, config};

fn rotate(amounts: &[u64]) -> RotateKeyset {
    let denominations = amounts.iter().copied().map(Amount::from_u64).collect();
    RotateKeyset { unit: CurrencyUnit::Sat, denominations, input_fee_ppk: 0, final_expiry: None }
}

async fn actions(bottle: &Bottle) -> Vec<(String, String)> {
    let log = bottle.mint.audit_log(None, 100).await.expect("readable");
    log.into_iter().map(|line| (line.entry.actor, line.action)).collect()
}

#[tokio::test]
async fn every_act_is_in_the_log() {
    let bottle = Bottle::new(config()).await;
    let first = bottle.mint.keysets().keysets[0].id;
    let second = bottle.mint.rotate_keyset(rotate(&[1, 5, 10, 25]), "alice").await.expect("rotates");
    bottle.mint.latch_keyset(first, true, "bob", "a key may have leaked").await.expect("stops");
    assert_eq!(code(&bottle.mint.latch_keyset(first, true, "bob", "again").await), 12_000);
    bottle.mint.latch_keyset(first, false, "carol", "looked").await.expect("allows");
    assert_eq!(code(&bottle.mint.latch_keyset(first, false, "carol", "again").await), 12_000);
    let expected =
        [("carol", "keyset.allow"), ("bob", "keyset.stop"), ("alice", "keyset.add"), ("hazeld", "keyset.add")];
    let expected = expected.map(|(actor, action)| (actor.to_owned(), action.to_owned()));
    assert_eq!(actions(&bottle).await, expected);
    let log = bottle.mint.audit_log(None, 2).await.expect("readable");
    assert_eq!(log[1].entry.detail, "a key may have leaked");
    let rest = bottle.mint.audit_log(Some(log[1].sequence), 100).await.expect("readable");
    assert_eq!(rest[0].entry.detail, "unit sat, fee 0 ppk, 4 denominations, expires never");
    assert_eq!((rest[0].keyset, rest.len()), (second, 2));
}

#[tokio::test]
async fn a_stopped_keyset_spends_and_signs_nothing_until_it_is_allowed() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let outputs = bottle.outputs(&[8]);
    bottle.mint.latch_keyset(proofs[0].id, true, "operator", "").await.expect("stops");
    assert_eq!(code(&bottle.swap(&proofs, &outputs).await), 12_002);
    bottle.mint.rotate_keyset(rotate(&[1, 2, 4, 8]), "operator").await.expect("rotates");
    assert_eq!(code(&bottle.swap(&proofs, &bottle.outputs(&[8])).await), 12_000);
    bottle.mint.latch_keyset(proofs[0].id, false, "operator", "").await.expect("allows");
    bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("spends");
}

#[tokio::test]
async fn only_keysets_that_make_sense_are_added() {
    let bottle = Bottle::new(config()).await;
    let past = Some(bottle.world.now());
    for wrong in [
        rotate(&[2, 4]),
        rotate(&[1, 1]),
        rotate(&(1..=257).collect::<Vec<_>>()),
        rotate(&[1, (1 << 62) + 1]),
        RotateKeyset { input_fee_ppk: 1_001, ..rotate(&[1]) },
        RotateKeyset { final_expiry: past, ..rotate(&[1]) },
    ] {
        assert_eq!(code(&bottle.mint.rotate_keyset(wrong.clone(), "operator").await), 12_000, "{wrong:?}");
    }
    let unknown = RotateKeyset { unit: CurrencyUnit::Eur, ..rotate(&[1]) };
    assert_eq!(code(&bottle.mint.rotate_keyset(unknown, "operator").await), 11_013);
    assert_eq!(bottle.mint.keysets().keysets.len(), 1);
    let widest: Vec<u64> = (1..=255).chain([1 << 62]).collect();
    bottle.mint.rotate_keyset(rotate(&widest), "operator").await.expect("the widest there is");
}

/// Another process on the same ledger has taken the next index: this one takes the one after it.
#[tokio::test]
async fn two_processes_that_rotate_take_two_indexes() {
    let bottle = Bottle::new(config()).await;
    let records = bottle.store.keysets().await.expect("readable");
    let rival = KeysetRecord { origin: KeysetOrigin::Seed { index: 1 }, ..of_another_process(&records[0]).await };
    bottle.store.apply(Change::AddKeyset(AddKeyset { keyset: rival.clone() })).await.expect("added");
    let mine = bottle.mint.rotate_keyset(rotate(&[1, 2]), "operator").await.expect("rotates");
    let records = bottle.store.keysets().await.expect("readable");
    let indexes: Vec<_> = records.iter().map(|record| (record.id, record.index(), record.active)).collect();
    assert_eq!(indexes[1..], [(rival.id, Some(1), false), (mine, Some(2), true)]);
    assert_eq!(bottle.mint.keysets().keysets.len(), 3, "this process knows the other's");
}

/// A keyset of the same seed at index 1, as another process would make it.
async fn of_another_process(like: &KeysetRecord) -> KeysetRecord {
    let other = Bottle::new(config()).await;
    other.mint.rotate_keyset(rotate(&[1, 2, 4]), "another").await.expect("rotates");
    let made = other.store.keysets().await.expect("readable").remove(1);
    KeysetRecord { created_at: like.created_at, ..made }
}
