//! Every released schema, with live data in it, upgraded to the newest one.
#![cfg(feature = "mint")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use hazel_mint::ports::{
    Change, LatchKeyset, OperationId, OperationState, OwnerId, ReleaseSwap, Store, SwapResolution,
};
use hazel_mint::store::contract::Snapshot;
use hazel_sqlite::MintStore;
use rusqlite::Connection;
use rusqlite::types::Value;
use support::workload::{NOW, Plan, Told, keyset, setup};
use support::{Disk, file, options, raw};

/// Two clients that finish everything, and a third that is stopped on the way.
const WHOLE: u32 = 2;
/// The third client's melt has been dispatched and not recorded.
const STOPPED_AFTER: usize = 10;

fn plan() -> Plan {
    Plan::new(3, 2)
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("mint-v"));
    paths.sort();
    paths
}

/// The changes whose effect is in every fixture.
fn applied() -> Vec<(u32, usize)> {
    plan().steps().filter(|(client, place)| *client < WHOLE || *place < STOPPED_AFTER).collect()
}

/// Writes the fixture of the newest schema. Run it by hand when a version is released:
/// `cargo test -p hazel-sqlite --test mint_upgrade -- --ignored write_fixture`
#[tokio::test]
#[ignore = "writes a fixture"]
async fn write_fixture() {
    let disk = Disk::new();
    for change in setup() {
        disk.store.apply(change).await.unwrap();
    }
    for step in applied() {
        disk.store.apply(plan().change(step).clone()).await.unwrap();
    }
    // A swap that nobody drives any more, a tombstone, and a keyset that is stopped.
    let swap = plan().change((WHOLE, 14 - 2)).clone();
    assert!(matches!(swap, Change::OpenMintQuote(_)), "the next round begins");
    disk.store.apply(abandoned()).await.unwrap();
    disk.store.apply(Change::ReleaseSwap(given_up())).await.unwrap();
    disk.store.apply(Change::LatchKeyset(LatchKeyset { keyset: keyset().id, latched: true })).await.unwrap();
    disk.store.close();
    let connection = raw(&disk.path());
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/mint-v{version}.sql"));
    fs::write(path, dump(&connection)).unwrap();
}

/// A reservation of which nothing more is heard.
fn abandoned() -> Change {
    let Change::ReserveSwap(mut reserve) = plan().change((0, 3)).clone() else { unreachable!("the first swap") };
    reserve.operation = OperationId::from_bytes([0x55; 16]);
    for row in &mut reserve.inputs {
        let mut y = *row.y.as_bytes();
        y[32] = 0x55;
        row.y = hazel_protocol::PointBytes::from_bytes(&y).unwrap();
    }
    for row in &mut reserve.outputs {
        let mut b = *row.b.as_bytes();
        b[32] = 0x55;
        row.b = hazel_protocol::PointBytes::from_bytes(&b).unwrap();
    }
    Change::ReserveSwap(reserve)
}

fn given_up() -> ReleaseSwap {
    ReleaseSwap { operation: OperationId::from_bytes([0x66; 16]), owner: OwnerId::from_bytes([7; 16]), now: NOW }
}

/// A database as statements, like the `.dump` of the SQLite shell.
fn dump(connection: &Connection) -> String {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let mut text = format!("PRAGMA application_id = {};\n", number("PRAGMA application_id"));
    writeln!(text, "PRAGMA user_version = {};", number("PRAGMA user_version")).unwrap();
    let list = "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, rowid";
    let mut statement = connection.prepare(list).unwrap();
    let objects = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
        .unwrap();
    for (name, kind, sql) in objects.map(Result::unwrap) {
        writeln!(text, "{sql};").unwrap();
        if kind == "table" {
            rows(connection, &name, &mut text);
        }
    }
    text
}

fn rows(connection: &Connection, table: &str, text: &mut String) {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<String> = (0..count).map(|column| literal(&row.get_unwrap(column))).collect();
        writeln!(text, "INSERT INTO {table} VALUES ({});", values.join(", ")).unwrap();
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => String::from("NULL"),
        Value::Integer(number) => number.to_string(),
        Value::Real(_) => panic!("the ledger has no such numbers"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => bytes.iter().fold(String::from("x'"), |text, byte| format!("{text}{byte:02x}")) + "'",
    }
}

fn schema(connection: &Connection) -> Vec<(String, String)> {
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn every_released_schema_upgrades_with_its_data() {
    assert!(!fixtures().is_empty());
    for fixture in fixtures() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        raw(&path).execute_batch(&fs::read_to_string(&fixture).unwrap()).unwrap();
        let store = MintStore::open(&path, &options()).unwrap();
        audit(&store).await;
        go_on(&store).await;
        store.close();
        let fresh = Disk::new();
        fresh.store.close();
        assert_eq!(schema(&raw(&path)), schema(&raw(&fresh.path())), "{}", fixture.display());
    }
}

/// Everything that was in the ledger is in it still.
async fn audit(store: &MintStore) {
    let mut known = plan().known();
    known.note(&abandoned());
    let ledger = Snapshot::take(store, &known).await;
    let told: BTreeMap<_, _> = applied().into_iter().map(|step| (step, Told::Yes)).collect();
    plan().check(&ledger, &told).unwrap();
    assert_eq!(ledger.keysets, [hazel_mint::ports::KeysetRecord { latched: true, ..keyset() }]);
    assert_eq!(ledger.cursor, 1);
    let states: Vec<_> = ledger.unfinished.iter().map(|row| row.state).collect();
    assert_eq!(states, [OperationState::Dispatched, OperationState::SetupComplete]);
    let [totals] = ledger.totals.as_slice() else { panic!("one keyset") };
    let totals =
        [totals.1.issued, totals.1.redeemed, totals.1.reserved, totals.1.fees].map(hazel_protocol::Amount::to_u64);
    assert_eq!(totals, [16 * 5 + 4 * 5 + 4, 4 * 5 + 4 * 4, 4 + 4, 0]);
}

/// What was unfinished can be finished, and what was finished cannot be done again.
async fn go_on(store: &MintStore) {
    use hazel_mint::ports::{Applied, ApplyError, Conflict, ResolveSwap};
    let finished = plan().change((0, 4)).clone();
    let Change::SettleSwap(settle) = &finished else { unreachable!("the first swap's end") };
    let replayed = store.apply(finished.clone()).await.unwrap();
    assert_eq!(replayed, Applied::Signatures(settle.outputs.clone()));
    let Change::ReserveSwap(late) = abandoned() else { unreachable!("a reservation") };
    let late = hazel_mint::ports::ReserveSwap { operation: given_up().operation, ..late };
    let answer = store.apply(Change::ReserveSwap(late)).await;
    assert_eq!(answer, Err(ApplyError::Conflict(Conflict::OperationEnded)), "the tombstone stands");
    let resolve = ResolveSwap { operation: OperationId::from_bytes([0x55; 16]), owner: given_up().owner, now: NOW };
    let resolved = store.apply(Change::ResolveSwap(resolve)).await.unwrap();
    assert_eq!(resolved, Applied::Resolved(SwapResolution::Removed));
    for place in [10, 11] {
        store.apply(plan().change((WHOLE, place)).clone()).await.unwrap();
    }
    assert!(store.unfinished(None, 10).await.unwrap().is_empty());
}
