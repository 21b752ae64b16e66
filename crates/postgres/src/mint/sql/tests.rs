//! How PostgreSQL runs each statement.

use tokio_postgres::{Client, NoTls};

use super::ALL;
use crate::mint::MIGRATIONS;
use crate::session::Session;
use crate::settings::Settings;

/// Statements that may read a whole table: there are few keysets and few instances.
const WHOLE_TABLE: &[&str] = &["KEYSETS", "TOTALS", "FORGET_INSTANCES", "LIVING", "IS_FIRST"];

/// A database with the schema and nothing in it, on a connection that plans as for any values and scans no table that has a fitting index.
async fn empty(test: &str) -> Client {
    let server = std::env::var("HAZEL_TEST_POSTGRES").expect("HAZEL_TEST_POSTGRES names a server");
    let schema = format!("plans{}_{test}", std::process::id());
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await.expect("the server answers");
    drop(tokio::spawn(connection));
    client
        .batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"))
        .await
        .expect("made");
    let joint = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{joint}options=-csearch_path%3D{schema}");
    let session = Session::open(&Settings::from_url(&url, None).expect("a URL")).await.expect("a session");
    MIGRATIONS.run(&session).await.expect("the schema");
    let set = format!("SET search_path = {schema}; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off");
    client.batch_execute(&set).await.expect("set");
    client
}

async fn plan(client: &Client, name: &str, sql: &str) -> Vec<String> {
    let count = client.prepare(sql).await.expect("a valid statement").params().len();
    let values = if count == 0 { String::new() } else { format!("({})", vec!["NULL"; count].join(", ")) };
    client.batch_execute(&format!("PREPARE {name} AS {sql}")).await.expect("prepared");
    let lines = client.query(&format!("EXPLAIN EXECUTE {name}{values}"), &[]).await.expect("a plan");
    lines.iter().map(|line| line.get(0)).collect()
}

#[tokio::test]
async fn no_statement_scans_a_table() {
    let client = empty("scans").await;
    for (name, sql) in ALL.iter().filter(|(name, _)| !WHOLE_TABLE.contains(name)) {
        let plan = plan(&client, name, sql).await;
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{name}: {plan:#?}");
    }
}

#[tokio::test]
async fn recovery_and_melts_look_up_by_index() {
    let client = empty("indexes").await;
    for (name, index) in [
        ("PROOFS_OF", "proofs_by_operation"),
        ("SPEND_PROOFS", "proofs_by_operation"),
        ("REMOVE_PROOFS", "proofs_by_operation"),
        ("BLIND_SIGNATURES_OF", "blind_signatures_by_operation"),
        ("HAS_CONTENTS", "proofs_by_operation"),
        ("HAS_CONTENTS", "blind_signatures_by_operation"),
        ("MELT_QUOTE_BY_OPERATION", "melt_quotes_by_operation"),
        ("MELT_QUOTE_IN_USE", "melt_quotes_one_payment"),
        ("UNPAID_MINT_QUOTES", "mint_quotes_unpaid"),
        ("UNFINISHED_AFTER", "operations_unfinished"),
        ("PRUNE_MINT_QUOTES", "mint_quotes_unpaid"),
        ("PRUNE_MELT_QUOTES", "melt_quotes_unpaid"),
        ("PRUNE_TOMBSTONES", "operations_given_up"),
    ] {
        let sql = ALL.iter().find(|(other, _)| *other == name).expect("it exists").1;
        let plan = plan(&client, &format!("{name}_{index}"), sql).await;
        assert!(plan.iter().any(|step| step.contains(index)), "{name} does not use {index}: {plan:#?}");
    }
}
