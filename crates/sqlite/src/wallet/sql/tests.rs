//! How SQLite would run each statement.

use rusqlite::Connection;

use super::*;
use crate::wallet::MIGRATIONS;

/// Statements that read the whole of something on purpose: the list of mints, the covering index of what is unspent, and the index of
/// what is left to be seen to.
const MAY_SCAN: [&str; 3] = ["MINTS", "BALANCES", "OPEN_ERRANDS"];

#[test]
fn every_look_up_uses_an_index() {
    let connection = Connection::open_in_memory().expect("memory");
    MIGRATIONS.run(&connection).expect("the schema");
    for (name, sql) in ALL {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a valid statement");
        let parameters = vec![rusqlite::types::Null; statement.parameter_count()];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))
            .expect("a plan")
            .collect::<Result<_, _>>()
            .expect("a plan");
        let scans = plan.iter().any(|step| step.starts_with("SCAN") && step != "SCAN CONSTANT ROW");
        assert!(!scans || MAY_SCAN.contains(name), "{name} scans: {plan:?}");
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!sorts, "{name} sorts: {plan:?}");
    }
}
