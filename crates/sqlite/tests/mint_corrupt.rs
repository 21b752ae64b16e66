//! Rows that cannot be right are reported with their table and column, and never read as something else.
#![cfg(feature = "mint")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use hazel_mint::ports::{ApplyError, Change, Conflict, MintQuote, OperationId, PaymentProof, ReadError, Store};
use hazel_mint::store::contract::Known;
use support::Disk;
use support::workload::{NOW, round, setup};

/// A ledger with finished and unfinished operations, and the keys of its rows.
async fn live() -> (Disk, Known) {
    let disk = Disk::new();
    let mut known = Known::default();
    let whole = round(0, 0);
    let unfinished = round(1, 0);
    // The second client stops before its melt is settled.
    let changes = setup().into_iter().chain(whole).chain(unfinished.into_iter().take(11));
    for change in changes {
        known.note(&change);
        disk.store.apply(change).await.unwrap();
    }
    (disk, known)
}

/// The first thing that any read says is wrong.
async fn first_fault(disk: &Disk, known: &Known) -> Option<String> {
    let ys: Vec<_> = known.ys.iter().copied().collect();
    let bs: Vec<_> = known.bs.iter().copied().collect();
    let mut results = vec![
        disk.store.inputs(&ys).await.map(drop),
        disk.store.outputs(&bs).await.map(drop),
        disk.store.unfinished(None, 100).await.map(drop),
        disk.store.unfinished(Some(OperationId::from_bytes([0; 16])), 100).await.map(drop),
        disk.store.keysets().await.map(drop),
        disk.store.totals().await.map(drop),
        disk.store.cursor(&hazel_protocol::PaymentMethod::bolt11()).await.map(drop),
        disk.store.unpaid_mint_quotes(NOW.minus(1), 100).await.map(drop),
    ];
    for id in &known.mint_quotes {
        results.push(disk.store.mint_quotes(std::slice::from_ref(id)).await.map(drop));
    }
    for hash in &known.hashes {
        results.push(disk.store.mint_quote_by_hash(hash).await.map(drop));
    }
    for id in &known.melt_quotes {
        results.push(disk.store.melt_quote(id).await.map(drop));
    }
    for operation in &known.operations {
        results.push(disk.store.contents(*operation).await.map(drop));
        results.push(disk.store.operation(*operation).await.map(drop));
    }
    results.into_iter().find_map(|result| match result {
        Ok(()) => None,
        Err(ReadError::Corrupt(what)) => Some(what),
        Err(ReadError::Unavailable(what)) => panic!("not an answer to a malformed row: {what}"),
    })
}

/// Statements that plant a bad value, and the column that must be named.
const PLANTED: &[(&str, &str)] = &[
    ("UPDATE proofs SET y = unhex(concat('07', substr(hex(y), 3)))", "proofs.y"),
    ("UPDATE proofs SET amount = -1", "proofs.amount"),
    ("UPDATE proofs SET c = x'02'", "proofs.c"),
    ("UPDATE proofs SET state = 'unspent'", "proofs.state"),
    ("UPDATE proofs SET operation_id = x'00' WHERE id = 1", "proofs.operation_id"),
    ("UPDATE proofs SET operation_kind = 'gift'", "proofs.operation_kind"),
    ("UPDATE proofs SET witness = CAST(x'ff' AS TEXT)", "proofs.witness"),
    ("UPDATE proofs SET keyset = 99", "proofs.keyset"),
    ("UPDATE blind_signatures SET b = zeroblob(33) WHERE id = 1", "blind_signatures.b"),
    ("UPDATE blind_signatures SET amount = -9", "blind_signatures.amount"),
    ("UPDATE blind_signatures SET c = NULL WHERE c IS NOT NULL", "blind_signatures.c"),
    ("UPDATE blind_signatures SET dleq_e = NULL", "blind_signatures.dleq_e"),
    ("UPDATE blind_signatures SET dleq_s = x'00' WHERE c IS NOT NULL", "blind_signatures.dleq_s"),
    ("UPDATE blind_signatures SET operation_kind = ''", "blind_signatures.operation_kind"),
    ("UPDATE blind_signatures SET keyset = 99", "blind_signatures.keyset"),
    ("UPDATE keysets SET keyset_id = zeroblob(9)", "keysets.keyset_id"),
    ("UPDATE keysets SET unit = 'SAT'", "keysets.unit"),
    ("UPDATE keysets SET derivation_index = 4294967296", "keysets.derivation_index"),
    ("UPDATE keysets SET active = 2", "keysets.active"),
    ("UPDATE keysets SET input_fee_ppk = -1", "keysets.input_fee_ppk"),
    ("UPDATE keysets SET public_keys = substr(public_keys, 1, 40)", "keysets.public_keys"),
    ("UPDATE keysets SET public_keys = zeroblob(41)", "keysets.public_keys"),
    ("UPDATE keysets SET public_keys = CAST(public_keys || substr(public_keys, 1, 41) AS BLOB)", "keysets.public_keys"),
    ("UPDATE keysets SET latched = -1", "keysets.latched"),
    ("UPDATE keysets SET issued = -1", "keysets.issued"),
    ("UPDATE mint_quotes SET unit = ''", "mint_quotes.unit"),
    ("UPDATE mint_quotes SET amount_paid = -1", "mint_quotes.amount_paid"),
    ("UPDATE mint_quotes SET pubkey = zeroblob(33)", "mint_quotes.pubkey"),
    ("UPDATE mint_quotes SET expiry = -1", "mint_quotes.expiry"),
    ("UPDATE mint_quotes SET id = id + 100", "draws.quote"),
    ("UPDATE melt_quotes SET status = 'lost'", "melt_quotes.status"),
    ("UPDATE melt_quotes SET operation_id = x'01' WHERE id = 1", "melt_quotes.operation_id"),
    ("UPDATE melt_quotes SET preimage = x'00'", "melt_quotes.preimage"),
    ("UPDATE operations SET kind = 'issue'", "operations.kind"),
    ("UPDATE operations SET state = 'dispatched'", "operations.state"),
    ("UPDATE operations SET state = 'setup_complete'", "operations.state"),
    ("UPDATE operations SET state = 'done'", "operations.state"),
    ("UPDATE operations SET owner = x'00'", "operations.owner"),
    ("UPDATE operations SET quote = 99", "operations.quote"),
    ("UPDATE operations SET paid_proof = 'vouched'", "operations.paid_proof"),
    ("UPDATE operations SET paid_total_msat = x'00'", "operations.paid_total_msat"),
    ("UPDATE streams SET cursor = -1", "streams.cursor"),
    ("UPDATE mint_quotes SET rate = ''", "mint_quotes.rate"),
    ("UPDATE melt_quotes SET rate = '1/2'", "melt_quotes.rate"),
];

#[tokio::test]
async fn every_bad_value_is_named() {
    let (disk, known) = live().await;
    assert_eq!(first_fault(&disk, &known).await, None, "a sound ledger");
    for (plant, column) in PLANTED {
        let (disk, known) = live().await;
        disk.by_other_hands(plant);
        let fault = first_fault(&disk, &known).await;
        assert_eq!(fault, Some(format!("{column} is malformed")), "{plant}");
    }
}

#[tokio::test]
async fn a_proof_does_not_become_unspent_when_its_keyset_is_gone() {
    let (disk, known) = live().await;
    disk.by_other_hands("DELETE FROM keysets");
    let ys: Vec<_> = known.ys.iter().copied().collect();
    assert!(matches!(disk.store.inputs(&ys).await, Err(ReadError::Corrupt(_))));
}

#[tokio::test]
async fn a_change_that_meets_a_bad_row_writes_nothing() {
    let (disk, _) = live().await;
    disk.by_other_hands("UPDATE proofs SET state = 'unspent'");
    let reserve = round(0, 0).into_iter().find(|change| matches!(change, Change::ReserveSwap(_))).unwrap();
    let Change::ReserveSwap(mut reserve) = reserve else { unreachable!("it was looked for") };
    reserve.operation = OperationId::from_bytes([0x77; 16]);
    let answer = disk.store.apply(Change::ReserveSwap(reserve.clone())).await;
    assert_eq!(answer, Err(ApplyError::Corrupt(String::from("proofs.state is malformed"))));
    disk.by_other_hands("UPDATE proofs SET state = 'spent'");
    let answer = disk.store.apply(Change::ReserveSwap(reserve)).await;
    assert_eq!(answer, Err(ApplyError::Conflict(Conflict::InputsSpent)), "and the evidence has stayed");
}

/// What the store has checked stands a second time in the schema.
#[test]
fn the_schema_refuses_what_the_store_would_never_write() {
    let disk = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(live()).0;
    let connection = support::raw(&disk.path());
    connection.execute_batch("PRAGMA ignore_check_constraints = OFF; PRAGMA foreign_keys = ON").unwrap();
    for sql in [
        "UPDATE keysets SET reserved = issued - redeemed + 1",
        "UPDATE keysets SET redeemed = issued + 1",
        "UPDATE keysets SET fees = -1",
        "UPDATE mint_quotes SET amount_issued = amount_paid + 1",
        "UPDATE proofs SET y = (SELECT y FROM proofs LIMIT 1)",
        "UPDATE proofs SET state = 'free'",
        "UPDATE proofs SET amount = 1.5",
        "UPDATE proofs SET amount = 9223372036854775808",
        "UPDATE blind_signatures SET b = (SELECT b FROM blind_signatures LIMIT 1)",
        "UPDATE blind_signatures SET dleq_e = NULL WHERE c IS NOT NULL",
        "UPDATE melt_quotes SET status = 'unpaid'",
        "UPDATE melt_quotes SET payment_hash = zeroblob(32)",
        "UPDATE operations SET state = 'paid', paid_proof = NULL, paid_preimage = NULL, paid_total_msat = NULL",
        "UPDATE operations SET kind = 'swap'",
        "INSERT INTO credits SELECT credit, quote, amount, created_at FROM credits LIMIT 1",
        "INSERT INTO proofs (y, keyset, amount, c, state, operation_id, operation_kind, position)
         VALUES (zeroblob(33), 99, 1, zeroblob(33), 'spent', zeroblob(16), 'swap', 0)",
        "DELETE FROM keysets",
        "INSERT INTO meta (id) VALUES (2)",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_signed_integer_is_refused() {
    let disk = Disk::new();
    for change in setup() {
        disk.store.apply(change).await.unwrap();
    }
    let Change::OpenMintQuote(open) = round(0, 0).remove(0) else { unreachable!("a round begins with a quote") };
    let too_much = MintQuote { amount: Some(hazel_protocol::Amount::from_u64(1 << 63)), ..open.quote.clone() };
    let mut change = open.clone();
    change.quote = too_much;
    let answer = disk.store.apply(Change::OpenMintQuote(change)).await;
    assert!(matches!(answer, Err(ApplyError::Corrupt(_))), "{answer:?}");
    assert_eq!(disk.store.mint_quotes(&[open.quote.id]).await.unwrap(), [None]);
}

/// Evidence that money has left is never refused for a number in it.
#[tokio::test]
async fn evidence_is_kept_whatever_total_it_names() {
    use hazel_mint::ports::{MeltOutcome, PaidEvidence, RecordMelt};
    let disk = Disk::new();
    let steps = round(0, 0);
    for change in setup().into_iter().chain(steps.iter().take(10).cloned()) {
        disk.store.apply(change).await.unwrap();
    }
    let Change::RecordMelt(record) = steps[10].clone() else { unreachable!("the payment comes tenth") };
    let evidence = PaidEvidence { proof: PaymentProof::Vouched, total_msat: u64::MAX };
    let record = RecordMelt { outcome: MeltOutcome::Paid(evidence.clone()), ..record };
    disk.store.apply(Change::RecordMelt(record.clone())).await.unwrap();
    let row = disk.store.operation(record.operation).await.unwrap().expect("unfinished");
    assert_eq!(row.melt.expect("a melt").paid, Some(evidence));
}
