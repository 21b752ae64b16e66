//! Changes of the wallet's memory, each a few indexed statements inside the writer's transaction.

use hazel_protocol::nut13::keyset_id_int;
use hazel_protocol::{KeysetId, KeysetVersion, KeysetWithKeys, PointBytes};
use hazel_wallet::keysets::unchanged;
use hazel_wallet::ports::{
    AddMint, Change, Conflict, CounterStep, ErrandRecord, HistoryEntry, MalformedRecord, MarkSpent, Moves, OperationId,
    OperationRecord, ProofRecord, ProofStatus, RecordInfo, RecordKeysets, SeedFingerprint, Step, TakeOver, encode,
};
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::rows::{self, stored_amount, stored_time};
use super::sql;
use crate::columns::{one, run, run_one, stored};
use crate::fault::{Fault, StoreFault};

type Applied = Result<(), Fault<Conflict>>;

/// Refuses a change.
fn refused<T>(conflict: Conflict) -> Result<T, Fault<Conflict>> {
    Err(Fault::Refused(conflict))
}

/// Applies a change.
pub(super) fn apply(connection: &Connection, change: &Change) -> Applied {
    match change {
        Change::AddMint(change) => add_mint(connection, change),
        Change::RecordInfo(change) => record_info(connection, change),
        Change::RecordKeysets(change) => record_keysets(connection, change),
        Change::Begin(step) => begin(connection, step),
        Change::Advance(step) => go_on(connection, step, false),
        Change::Settle(step) => go_on(connection, step, true),
        Change::TakeOver(change) => take_over(connection, change),
        Change::MarkSpent(change) => mark_spent(connection, change),
        Change::KeepErrand(record) => keep_errand(connection, record),
    }
}

fn add_mint(connection: &Connection, change: &AddMint) -> Applied {
    run(connection, sql::ADD_MINT, (change.url.as_str(), stored_time(change.at)?))?;
    Ok(())
}

/// The JSON of a record that is kept whole.
fn json(encoded: Result<Zeroizing<String>, MalformedRecord>) -> Result<Zeroizing<String>, StoreFault> {
    encoded.map_err(|_| StoreFault::corrupt("a record cannot be written"))
}

fn record_info(connection: &Connection, change: &RecordInfo) -> Applied {
    let info = json(encode(&change.info))?;
    match run(connection, sql::SET_INFO, (change.url.as_str(), info.as_str(), stored_time(change.at)?))? {
        0 => refused(Conflict::MintUnknown(change.url.clone())),
        _ => Ok(()),
    }
}

fn record_keysets(connection: &Connection, change: &RecordKeysets) -> Applied {
    if rows::mint(connection, &change.mint)?.is_none() {
        return refused(Conflict::MintUnknown(change.mint.clone()));
    }
    for shown in &change.keysets {
        match rows::keyset(connection, &change.mint, &shown.id)? {
            Some(known) => {
                if !unchanged(&known.keyset, shown) {
                    return refused(Conflict::KeysetChanged(shown.id));
                }
                run_one(
                    connection,
                    sql::SET_ACTIVE,
                    (change.mint.as_str(), shown.id.as_bytes(), shown.active),
                    "a keyset vanished",
                )?;
            }
            None => add_keyset(connection, change, shown)?,
        }
    }
    Ok(())
}

fn add_keyset(connection: &Connection, change: &RecordKeysets, shown: &KeysetWithKeys) -> Applied {
    let path = path(&shown.id);
    if let Some((other, mint)) = rows::colliding(connection, &change.mint, &shown.id, path)? {
        return refused(Conflict::KeysetCollides(shown.id, other, mint));
    }
    let (id, short) = (shown.id.as_bytes(), shown.id.short());
    let body = json(encode(shown))?;
    let values = (id, change.mint.as_str(), short.as_bytes(), path, shown.active, body.as_str());
    run(connection, sql::ADD_KEYSET, values)?;
    Ok(())
}

/// What stands for the keyset in a derivation path, which only version 1 has.
fn path(id: &KeysetId) -> Option<u32> {
    (id.version() == KeysetVersion::V1).then(|| keyset_id_int(id))
}

fn begin(connection: &Connection, step: &Step) -> Applied {
    let row = &step.operation;
    if row.version != 1 || row.state.is_finished() {
        return refused(Conflict::Malformed("an operation begins unfinished, at version 1"));
    }
    if rows::mint(connection, &row.mint)?.is_none() {
        return refused(Conflict::MintUnknown(row.mint.clone()));
    }
    match rows::operation(connection, row.id)? {
        Some(known) if known == *row => return Ok(()),
        Some(_) => return refused(Conflict::OperationExists),
        None => {}
    }
    let body = json(encode(&row.state))?;
    let values = rusqlite::params![
        row.id.as_bytes(),
        row.mint.as_str(),
        row.unit.as_str(),
        row.seed.as_bytes(),
        stored(row.version, "a version")?,
        row.session.as_bytes(),
        stored_time(row.created_at)?,
        stored_time(row.updated_at)?,
        row.state.kind().as_str(),
        row.state.name(),
        row.state.is_finished(),
        row.state.is_watched(),
        body.as_str(),
    ];
    run(connection, sql::ADD_OPERATION, values)?;
    effects(connection, step)
}

fn go_on(connection: &Connection, step: &Step, finish: bool) -> Applied {
    let row = &step.operation;
    if row.state.is_finished() != finish {
        return refused(Conflict::Malformed("only a settled operation is finished"));
    }
    let Some(known) = rows::operation(connection, row.id)? else { return refused(Conflict::OperationMoved) };
    if known == *row {
        return Ok(());
    }
    let expected = known.version.checked_add(1) == Some(row.version);
    if known.state.is_finished() || !expected || known.session != row.session {
        return refused(Conflict::OperationMoved);
    }
    set_operation(connection, row)?;
    effects(connection, step)?;
    if finish && one(connection, sql::HOLDS_ANY, [row.id.as_bytes()], |_| Ok(()))?.is_some() {
        return refused(Conflict::Malformed("a settled operation leaves no proof held"));
    }
    Ok(())
}

fn set_operation(connection: &Connection, row: &OperationRecord) -> Applied {
    let body = json(encode(&row.state))?;
    let values = rusqlite::params![
        row.id.as_bytes(),
        stored(row.version, "a version")?,
        row.session.as_bytes(),
        stored_time(row.updated_at)?,
        row.state.kind().as_str(),
        row.state.name(),
        row.state.is_finished(),
        row.state.is_watched(),
        body.as_str(),
    ];
    Ok(run_one(connection, sql::SET_OPERATION, values, "an operation vanished")?)
}

/// Everything that moves with the row of the operation.
fn effects(connection: &Connection, step: &Step) -> Applied {
    if step.history.is_some() && !step.operation.state.is_finished() {
        return refused(Conflict::Malformed("only a settled operation has a history"));
    }
    move_proofs(connection, step.operation.id, &step.moves)?;
    for counter in &step.counters {
        count(connection, step.operation.seed, counter)?;
    }
    match &step.history {
        Some(entry) => add_history(connection, entry),
        None => Ok(()),
    }
}

fn move_proofs(connection: &Connection, id: OperationId, moves: &Moves) -> Applied {
    let lists = [
        (sql::HOLD, &moves.hold),
        (sql::SPEND, &moves.spend),
        (sql::RELEASE, &moves.release),
        (sql::SEND, &moves.send),
    ];
    for (sql, ys) in lists {
        for y in ys {
            move_proof(connection, sql, y, id)?;
        }
    }
    moves.add.iter().try_for_each(|proof| add_proof(connection, proof))
}

fn move_proof(connection: &Connection, sql: &str, y: &PointBytes, id: OperationId) -> Applied {
    match run(connection, sql, (y.as_bytes(), id.as_bytes()))? {
        1 => Ok(()),
        _ => refused(Conflict::ProofTaken),
    }
}

fn add_proof(connection: &Connection, record: &ProofRecord) -> Applied {
    if (record.status == ProofStatus::Held) != record.held_by.is_some() {
        return refused(Conflict::Malformed("a held proof names its holder"));
    }
    if record.status == ProofStatus::Sent && record.sent_by.is_none() {
        return refused(Conflict::Malformed("a sent proof names its operation"));
    }
    let proof = &record.proof;
    let dleq = proof.dleq.as_ref();
    let counter = record.origin.map(|origin| stored(origin.counter, "a counter")).transpose()?;
    let values = rusqlite::params![
        record.y.as_bytes(),
        record.mint.as_str(),
        record.unit.as_str(),
        proof.id.as_bytes(),
        stored_amount(proof.amount)?,
        proof.secret.as_str(),
        proof.c.as_bytes(),
        proof.witness.as_ref().map(hazel_protocol::Witness::as_str),
        dleq.map(|dleq| dleq.e.as_bytes()),
        dleq.map(|dleq| dleq.s.as_bytes()),
        dleq.map(|dleq| dleq.r.expose_bytes()),
        record.status.as_str(),
        record.held_by.as_ref().map(OperationId::as_bytes),
        record.sent_by.as_ref().map(OperationId::as_bytes),
        record.origin.as_ref().map(|origin| origin.seed.as_bytes()),
        counter,
        proof.p2pk_e.as_ref().map(PointBytes::as_bytes),
    ];
    run(connection, sql::ADD_PROOF, values)?;
    Ok(())
}

fn count(connection: &Connection, seed: SeedFingerprint, step: &CounterStep) -> Applied {
    let (keyset, next) = match step {
        CounterStep::Take { keyset, from, count } => {
            if rows::counter(connection, seed, keyset)? != *from {
                return refused(Conflict::CounterMoved(*keyset));
            }
            match from.checked_add(*count) {
                Some(next) => (keyset, next),
                None => return refused(Conflict::Malformed("a counter overflows")),
            }
        }
        CounterStep::AtLeast { keyset, next } => (keyset, (*next).max(rows::counter(connection, seed, keyset)?)),
    };
    run(connection, sql::SET_COUNTER, (seed.as_bytes(), keyset.as_bytes(), stored(next, "a counter")?))?;
    Ok(())
}

fn add_history(connection: &Connection, entry: &HistoryEntry) -> Applied {
    let values = rusqlite::params![
        entry.operation.as_bytes(),
        entry.mint.as_str(),
        entry.unit.as_str(),
        entry.kind.as_str(),
        stored_amount(entry.amount)?,
        stored_amount(entry.fee)?,
        stored_time(entry.at)?,
        entry.memo,
        entry.invoice,
        entry.preimage,
    ];
    run(connection, sql::ADD_HISTORY, values)?;
    Ok(())
}

/// Whoever holds the file's lock knows that every session but its own is gone, and takes over for its own only.
fn take_over(connection: &Connection, change: &TakeOver) -> Applied {
    let Some(row) = rows::operation(connection, change.operation)? else { return refused(Conflict::OperationMoved) };
    let next = change.version.saturating_add(1);
    if row.session == change.session && row.version == next {
        return Ok(());
    }
    if row.version != change.version || row.state.is_finished() {
        return refused(Conflict::OperationMoved);
    }
    if row.session == change.session {
        return refused(Conflict::SessionAlive);
    }
    let values = (row.id.as_bytes(), stored(next, "a version")?, change.session.as_bytes(), stored_time(change.at)?);
    Ok(run_one(connection, sql::SET_SESSION, values, "an operation vanished")?)
}

fn keep_errand(connection: &Connection, record: &ErrandRecord) -> Applied {
    let known = rows::errand(connection, record.id)?;
    if known.as_ref() == Some(record) {
        return Ok(());
    }
    let version = known.as_ref().map_or(0, |known| known.version);
    let is_done = known.as_ref().is_some_and(|known| known.errand.is_done());
    if is_done || version.checked_add(1) != Some(record.version) {
        return refused(Conflict::ErrandMoved);
    }
    let body = json(encode(&record.errand))?;
    let values = rusqlite::params![
        record.id.as_bytes(),
        stored(record.version, "a version")?,
        stored_time(record.created_at)?,
        stored_time(record.updated_at)?,
        record.errand.is_done(),
        body.as_str(),
    ];
    let sql = if known.is_some() { sql::SET_ERRAND } else { sql::ADD_ERRAND };
    Ok(run_one(connection, sql, values, "an errand vanished")?)
}

fn mark_spent(connection: &Connection, change: &MarkSpent) -> Applied {
    for y in &change.ys {
        run(connection, sql::MARK_SPENT, [y.as_bytes()])?;
    }
    Ok(())
}
