//! Opening a ledger: tables are made once, others' are left alone, and rows that cannot be right are reported.

mod support;

use hazel_mint::ports::{ApplyError, BindSeed, Change, OwnerId, ReadError, Store};
use hazel_postgres::{Durability, MintStore, OpenError, OpenOptions};
use hazel_protocol::PaymentMethod;
use support::workload::{round, setup};
use support::{Place, server};

async fn refused(url: &str) -> OpenError {
    MintStore::open(url, &OpenOptions::default()).await.expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_at_once_make_the_tables_once() {
    let place = Place::new().await;
    let mut opening = tokio::task::JoinSet::new();
    for stripe in 0..8 {
        let url = place.url.clone();
        opening.spawn(async move { MintStore::open(&url, &OpenOptions { stripe, ..OpenOptions::default() }).await });
    }
    while let Some(opened) = opening.join_next().await {
        let store = opened.expect("no panic").expect("it opens");
        assert!(store.keysets().await.expect("read").is_empty());
    }
    let version: i32 =
        place.raw().await.query_one("SELECT version FROM hazel_schema", &[]).await.expect("one row").get(0);
    assert_eq!(version, 3);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let place = Place::new().await;
    drop(place.open().await);
    let raw = place.raw().await;
    raw.batch_execute("UPDATE hazel_schema SET version = 99").await.expect("set");
    assert!(matches!(refused(&place.url).await, OpenError::TooNew { found: 99, known: 3 }));
    raw.batch_execute("UPDATE hazel_schema SET version = 2, owner = 'another'").await.expect("set");
    assert!(matches!(refused(&place.url).await, OpenError::OtherProgram { .. }));
}

#[tokio::test]
async fn tables_of_another_program_are_refused_and_left_as_they_are() {
    let place = Place::new().await;
    let raw = place.raw().await;
    raw.batch_execute("CREATE TABLE theirs (a INTEGER)").await.expect("made");
    assert!(matches!(refused(&place.url).await, OpenError::OtherProgram { .. }));
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()";
    let count: i64 = raw.query_one(tables, &[]).await.expect("one row").get(0);
    assert_eq!(count, 1);
}

/// The test's server speaks no TLS: what asks for it gets no connection, and not one without.
#[tokio::test]
async fn a_server_without_tls_is_not_used_where_tls_was_asked_for() {
    let joint = if server().contains('?') { '&' } else { '?' };
    let error = refused(&format!("{}{joint}sslmode=require", server())).await;
    assert!(matches!(error, OpenError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let error = refused(&format!("postgres://u:hush@127.0.0.1:{port}/mint")).await;
    assert!(matches!(error, OpenError::Connect(_)), "{error}");
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
}

/// What other hands did to a ledger, and the column that is blamed.
const BROKEN: &[(&str, &str)] = &[
    ("UPDATE proofs SET keyset = 77", "proofs.keyset"),
    ("UPDATE proofs SET amount = -1", "proofs.amount"),
    ("UPDATE proofs SET state = 'unspent'", "proofs.state"),
    ("UPDATE proofs SET c = '\\x02'", "proofs.c"),
    ("UPDATE blind_signatures SET dleq_s = NULL", "blind_signatures.dleq_s"),
    ("UPDATE blind_signatures SET operation_kind = 'gift'", "blind_signatures.operation_kind"),
    ("UPDATE keysets SET public_keys = '\\x00'", "keysets.public_keys"),
    ("UPDATE keysets SET carried = 5", "keysets.carried"),
    ("UPDATE totals SET redeemed = -1000", "totals.redeemed"),
    ("UPDATE mint_quotes SET payment_hash = '\\x01'", "mint_quotes.payment_hash"),
    ("UPDATE melt_quotes SET status = 'lost'", "melt_quotes.status"),
    ("UPDATE mint_quotes SET rate = '1/2'", "mint_quotes.rate"),
    ("UPDATE melt_quotes SET rate = ''", "melt_quotes.rate"),
    ("UPDATE streams SET cursor = -1", "streams.cursor"),
];

/// Every CHECK, so that a value that breaks one can be planted.
const DROP_CHECKS: &str = "DO $$ DECLARE c RECORD; BEGIN FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
                           WHERE contype = 'c' AND connamespace = current_schema()::regnamespace LOOP \
                           EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$";

#[tokio::test]
async fn a_row_that_cannot_be_right_is_reported() {
    for (broken, column) in BROKEN {
        let place = Place::new().await;
        let store = place.open().await;
        let mut known = hazel_mint::store::contract::Known::default();
        for change in setup().into_iter().chain(round(0, 0)) {
            known.note(&change);
            store.apply(change).await.expect("applied");
        }
        let raw = place.raw().await;
        raw.batch_execute(DROP_CHECKS).await.expect("dropped");
        raw.batch_execute(broken).await.expect("planted");
        let (ys, bs): (Vec<_>, Vec<_>) = (known.ys.iter().copied().collect(), known.bs.iter().copied().collect());
        let quotes: Vec<_> = known.mint_quotes.iter().cloned().collect();
        let mut answers = vec![
            store.inputs(&ys).await.map(drop),
            store.outputs(&bs).await.map(drop),
            store.mint_quotes(&quotes).await.map(drop),
            store.keysets().await.map(drop),
            store.totals().await.map(drop),
            store.cursor(&PaymentMethod::bolt11()).await.map(drop),
        ];
        for id in &known.melt_quotes {
            answers.push(store.melt_quote(id).await.map(drop));
        }
        let faults: Vec<ReadError> = answers.into_iter().filter_map(Result::err).collect();
        let blamed = format!("{column} is malformed");
        assert!(faults.contains(&ReadError::Corrupt(blamed)), "{broken}: {faults:?}");
    }
}

#[tokio::test]
async fn the_eldest_that_lives_does_what_one_should_do() {
    let place = Place::new().await;
    let (elder, younger) = (place.open_as(0).await, place.open_as(1).await);
    assert!(!elder.is_first().await.expect("read"), "it has no lease yet");
    let owner = OwnerId::from_bytes([1; 16]);
    elder.enlist(owner).await.expect("known");
    younger.enlist(OwnerId::from_bytes([2; 16])).await.expect("known");
    let firsts = async || (elder.is_first().await.expect("read"), younger.is_first().await.expect("read"));
    assert_eq!(firsts().await, (true, false));
    assert_eq!(younger.living().await.expect("read"), 2);
    assert!(elder.may_pay() && !younger.owner_has_lapsed(owner).await.expect("read"));

    elder.close().await;
    assert!(!elder.may_pay(), "a lease that was given back allows nothing");
    let refused = elder.apply(Change::BindSeed(BindSeed { fingerprint: [7; 32] })).await;
    assert!(matches!(refused, Err(ApplyError::Unavailable(_))), "{refused:?}");
    assert!(younger.owner_has_lapsed(owner).await.expect("read"), "others may go on at once");
    assert_eq!(firsts().await, (false, true));
    assert_eq!(younger.living().await.expect("read"), 1);
}

#[tokio::test]
async fn a_server_that_waits_for_no_standby_is_refused_where_one_is_to_have_everything() {
    let place = Place::new().await;
    let options = OpenOptions { durability: Some(Durability::Replicated), ..OpenOptions::default() };
    let refused = MintStore::open(&place.url, &options).await;
    assert!(matches!(refused, Err(OpenError::NotReplicated)), "{refused:?}");
}
