//! Sessions that are killed at any moment, and writers that cannot see each other: nothing is lost, and nothing applied twice.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hazel_mint::ports::{
    Applied, ApplyError, Change, Conflict, InputRow, OperationId, OutputRow, OwnerId, ReserveSwap, SettleSwap,
    SignedRow, Store, TakeOver,
};
use hazel_mint::store::contract::Snapshot;
use hazel_postgres::MintStore;
use hazel_protocol::{Amount, Dleq, PointBytes, Scalar32};
use support::workload::{NOW, Plan, Step, Told, keyset, round, setup};
use support::{Place, raw, server};

/// Ends every session of the store under test, in the middle of whatever it does.
const KILL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";

async fn ready(store: &MintStore) {
    for change in setup() {
        store.apply(change).await.expect("a new ledger takes it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_are_served_while_sessions_are_killed() {
    let mut place = Place::new().await;
    let name = format!("hunted{}", std::process::id());
    place.url = format!("{}&application_name={name}", place.url);
    let store = Arc::new(place.open().await);
    ready(&store).await;
    let (done, killed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let hunter = {
        let (done, killed) = (Arc::clone(&done), Arc::clone(&killed));
        tokio::spawn(async move {
            let admin = raw(&server()).await;
            while !done.load(Ordering::SeqCst) {
                let count: i64 = admin.query_one(KILL, &[&name]).await.expect("killed").get(0);
                killed.fetch_add(u64::try_from(count).expect("a count"), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        })
    };
    let plan = Plan::new(8, 3);
    let told: Arc<Mutex<BTreeMap<Step, Told>>> = Arc::default();
    let tell = {
        let told = Arc::clone(&told);
        move |step, answer| {
            told.lock().expect("no panic").insert(step, answer);
        }
    };
    plan.run(Arc::<MintStore>::clone(&store), tell).await;
    done.store(true, Ordering::SeqCst);
    hunter.await.expect("the hunter ends");
    let told = told.lock().expect("no panic").clone();
    assert!(killed.load(Ordering::SeqCst) > 0, "no session was killed");
    assert!(told.values().any(|told| *told == Told::Yes), "nobody was served");
    plan.check(&Snapshot::take(&*store, &plan.known()).await, &told).expect("what was said is so");
}

fn point(kind: u8, number: u8) -> PointBytes {
    let mut bytes = [kind; 33];
    bytes[0] = 2;
    bytes[32] = number;
    PointBytes::from_bytes(&bytes).expect("the shape of a point")
}

/// A swap of 9 for 1: what is left stays with the mint, so that no new coins make room for the next.
fn swap(number: u8) -> (ReserveSwap, SettleSwap) {
    let id = keyset().id;
    let [given, taken, fee] = [1, 9, 8].map(Amount::from_u64);
    let (operation, owner) = (OperationId::from_bytes([number; 16]), OwnerId::from_bytes([7; 16]));
    let output = OutputRow { b: point(0xbb, number), keyset: id, amount: given };
    let input = InputRow { y: point(0xaa, number), keyset: id, amount: taken, c: point(0xcc, number), witness: None };
    let dleq = Dleq { e: Scalar32::from_bytes([5; 32]), s: Scalar32::from_bytes([6; 32]) };
    let signed = SignedRow { output: output.clone(), c: point(0xdd, number), dleq };
    (
        ReserveSwap { operation, owner, inputs: vec![input], outputs: vec![output], now: NOW },
        SettleSwap { operation, owner, outputs: vec![signed], fees: vec![(id, fee)], now: NOW },
    )
}

/// Two processes reserve more than there is, neither seeing the other: whoever settles, no more goes out than was issued.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_let_nothing_out_above_what_was_issued() {
    let place = Place::new().await;
    let stores = [place.open_as(1).await, place.open_as(2).await];
    ready(&stores[0]).await;
    for change in round(0, 0).into_iter().take(3) {
        stores[0].apply(change).await.expect("16 are issued");
    }
    for number in 1..=10 {
        let (one, other) = (swap(2 * number), swap(2 * number + 1));
        let race = |store: usize, (reserve, settle): (ReserveSwap, SettleSwap)| {
            let store = &stores[store];
            async move {
                store.apply(Change::ReserveSwap(reserve)).await?;
                store.apply(Change::SettleSwap(settle)).await
            }
        };
        let answers = tokio::join!(race(0, one.clone()), race(1, other.clone()));
        let won = [&answers.0, &answers.1].into_iter().filter(|answer| answer.is_ok()).count();
        assert!(won <= 1, "{answers:?}");
        for answer in [answers.0, answers.1] {
            let is_told =
                matches!(&answer, Ok(Applied::Signatures(_)) | Err(ApplyError::Conflict(Conflict::Overdrawn(_))));
            assert!(is_told, "{answer:?}");
        }
        let totals = stores[0].totals().await.expect("the books")[0].1;
        assert!(totals.redeemed <= totals.issued, "{totals:?}");
        if won == 1 {
            return;
        }
        // Both were refused: both give back, and the next two try.
        for (store, (reserve, _)) in stores.iter().zip([one, other]) {
            let release =
                hazel_mint::ports::ReleaseSwap { operation: reserve.operation, owner: reserve.owner, now: NOW };
            store.apply(Change::ReleaseSwap(release)).await.expect("given back");
        }
    }
}

/// A process that was paused for longer than its lease has lost what it held, and writes nothing any more when it wakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_lapsed_owner_held_is_taken_over_and_it_writes_no_more() {
    let place = Place::new().await;
    let (paused, other) = (place.open_as(1).await, place.open_as(2).await);
    ready(&paused).await;
    for change in round(0, 0).into_iter().take(3) {
        paused.apply(change).await.expect("16 are issued");
    }
    let (reserve, settle) = swap(1);
    let (me, them) = (reserve.owner, OwnerId::from_bytes([8; 16]));
    paused.enlist(me).await.expect("a lease");
    other.enlist(them).await.expect("a lease");
    paused.apply(Change::ReserveSwap(reserve.clone())).await.expect("reserved");
    let take_over = Change::TakeOver(TakeOver { operation: reserve.operation, from: me, to: them, now: NOW });
    assert!(!other.owner_has_lapsed(me).await.expect("read"));
    let early = other.apply(take_over.clone()).await;
    assert_eq!(early, Err(Conflict::OperationGone.into()), "nobody takes from the living");
    // As if the process had been stopped: nobody has renewed its lease.
    let lapse = "UPDATE instances SET expires_at = clock_timestamp() - INTERVAL '1 second' WHERE owner = $1";
    place.raw().await.execute(lapse, &[&me.as_bytes().as_slice()]).await.expect("lapsed");
    assert!(other.owner_has_lapsed(me).await.expect("read"));
    assert!(!other.owner_is_dead(me).await.expect("read"), "silence is no proof");
    other.apply(take_over).await.expect("taken over");
    let late = paused.apply(Change::SettleSwap(settle.clone())).await;
    assert_eq!(late, Err(Conflict::OperationGone.into()), "the row is the fence");
    assert!(paused.closed().await.contains("run out"));
    let refused = paused.apply(Change::SettleSwap(settle.clone())).await;
    assert!(matches!(refused, Err(ApplyError::Unavailable(_))), "{refused:?}");
    other.apply(Change::SettleSwap(SettleSwap { owner: them, ..settle })).await.expect("settled by who has it");
}

/// A commit that returns with a warning, as one does that no standby may have, is not told as durable. The warning is made by a trigger that runs at
/// the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_with_a_warning_is_in_doubt_until_one_without() {
    let place = Place::new().await;
    let store = place.open().await;
    ready(&store).await;
    let raw = place.raw().await;
    let warn = "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'doubt'; RETURN NULL; END $$";
    let trigger = |table: &str, event: &str| {
        format!(
            "CREATE CONSTRAINT TRIGGER doubt AFTER {event} ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()"
        )
    };
    raw.batch_execute(warn).await.expect("made");
    // Only the first commit warns: the quote is there when it is sent again.
    raw.batch_execute(&trigger("mint_quotes", "INSERT")).await.expect("made");
    for change in round(0, 0).into_iter().take(3) {
        store.apply(change).await.expect("resolved by sending it again");
    }
    // Every commit warns: nobody can say that it is durable, though it is visible.
    raw.batch_execute(&trigger("hazel_schema", "UPDATE")).await.expect("made");
    raw.batch_execute(&trigger("operations", "DELETE")).await.expect("made");
    let (reserve, settle) = swap(1);
    store.apply(Change::ReserveSwap(reserve)).await.expect("visible");
    let doubtful = store.apply(Change::SettleSwap(settle.clone())).await;
    assert!(matches!(doubtful, Err(ApplyError::Ambiguous(_))), "{doubtful:?}");
    raw.batch_execute("DROP TRIGGER doubt ON hazel_schema").await.expect("dropped");
    let settled = store.apply(Change::SettleSwap(settle.clone())).await;
    assert_eq!(settled, Ok(Applied::Signatures(settle.outputs)));
}
