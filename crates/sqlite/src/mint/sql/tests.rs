//! How SQLite runs each statement.

use rusqlite::Connection;

use super::{ALL, WHOLE_TABLE};
use crate::mint::MIGRATIONS;

/// A database with the schema and nothing in it: the planner decides by the schema alone, as it does without ANALYZE in a live one.
fn empty() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    MIGRATIONS.run(&connection).expect("the schema");
    connection
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a valid statement");
    let count = statement.parameter_count();
    let nothing = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, count));
    let lines = statement.query_map(nothing, |row| row.get::<_, String>("detail")).expect("a plan");
    lines.collect::<Result<_, _>>().expect("its lines")
}

/// A step that visits all rows of a table or an index. `SCAN CONSTANT ROW` visits none.
fn is_scan(step: &str) -> bool {
    step.starts_with("SCAN") && step != "SCAN CONSTANT ROW"
}

#[test]
fn no_statement_scans_a_table() {
    let connection = empty();
    for (name, sql) in ALL {
        let plan = plan(&connection, sql);
        let scans = plan.iter().any(|step| is_scan(step));
        assert_eq!(scans, WHOLE_TABLE.contains(name), "{name}: {plan:#?}");
    }
}

#[test]
fn recovery_and_melts_look_up_by_index() {
    let connection = empty();
    for (name, index) in [
        ("PROOFS_OF", "proofs_by_operation"),
        ("SPEND_PROOFS", "proofs_by_operation"),
        ("REMOVE_PROOFS", "proofs_by_operation"),
        ("BLIND_SIGNATURES_OF", "blind_signatures_by_operation"),
        ("REMOVE_OUTPUTS", "blind_signatures_by_operation"),
        ("HAS_CONTENTS", "proofs_by_operation"),
        ("HAS_CONTENTS", "blind_signatures_by_operation"),
        ("MELT_QUOTE_BY_OPERATION", "melt_quotes_by_operation"),
        ("MELT_QUOTE_IN_USE", "melt_quotes_one_payment"),
        ("UNPAID_MINT_QUOTES", "mint_quotes_unpaid"),
        ("PRUNE_MINT_QUOTES", "mint_quotes_unpaid"),
        ("PRUNE_MELT_QUOTES", "melt_quotes_unpaid"),
        ("PRUNE_TOMBSTONES", "tombstones_by_age"),
    ] {
        let sql = ALL.iter().find(|(other, _)| *other == name).expect("it exists").1;
        let plan = plan(&connection, sql);
        assert!(plan.iter().any(|step| step.contains(index)), "{name} does not use {index}: {plan:#?}");
    }
}

#[test]
fn rows_of_an_operation_come_in_order_without_sorting() {
    let connection = empty();
    for name in ["PROOFS_OF", "BLIND_SIGNATURES_OF", "DRAWN_QUOTES", "UNFINISHED", "UNFINISHED_AFTER"] {
        let sql = ALL.iter().find(|(other, _)| *other == name).expect("it exists").1;
        let plan = plan(&connection, sql);
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:#?}");
    }
}
