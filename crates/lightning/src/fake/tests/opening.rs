//! The file itself.

use rusqlite::Connection;

use super::*;

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    (folder, path)
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let (_folder, path) = fresh();
    std::fs::write(&path, "not a database, and long enough to be sure of it").unwrap();
    assert!(matches!(open_ledger(&path), Err(FakeError::NotALedger)));

    let (_folder, path) = fresh();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE proofs (y BLOB)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open_ledger(&path), Err(FakeError::NotALedger)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_ledger_is_refused() {
    let (_folder, path) = fresh();
    open_ledger(&path).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open_ledger(&path), Err(FakeError::Newer { found: 99, .. })));
}

#[test]
fn a_missing_folder_is_an_error() {
    let (folder, _) = fresh();
    assert!(matches!(open_ledger(folder.path().join("no/such/file.db")), Err(FakeError::Io(_))));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = fresh();
    open_ledger(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn everything_outlives_a_restart() {
    let bench = Bench::told();
    let invoice = bench.invoice(9_000).await;
    let payment = bench.payment(&invoice.request, 9_000);
    let status = bench.node.pay(payment.clone()).await.unwrap();
    let Bench { world, node, ledger, path, _folder } = bench;
    drop((node, ledger));
    let node = FakeNode::open(&path, FakeConfig::instant(), world).unwrap();
    assert_eq!(node.status(payment.id).await.unwrap(), status);
    assert_eq!(node.invoice_settlements(&invoice.payment_hash).await.unwrap().len(), 1);
}

#[test]
fn look_ups_use_indexes() {
    let (_folder, path) = fresh();
    open_ledger(&path).unwrap();
    let conn = Connection::open(&path).unwrap();
    let queries = [
        "SELECT id FROM invoices WHERE due_ms <= 5",
        "SELECT id FROM payments WHERE due_ms <= 5",
        "SELECT id FROM payments WHERE payment_id = x'00'",
        "SELECT id FROM payments WHERE payment_hash = x'00'",
        "SELECT cursor FROM settlements WHERE payment_hash = x'00'",
        "SELECT cursor FROM settlements WHERE cursor > 5 ORDER BY cursor",
        "SELECT id FROM invoices WHERE payment_hash = x'00'",
    ];
    for query in queries {
        let plan: String = conn.query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get(3)).unwrap();
        assert!(plan.starts_with("SEARCH"), "{query}: {plan}");
    }
}
