//! Rows of the wallet's tables, read without trusting them.

use hazel_protocol::{
    Amount, BlindingFactor, CurrencyUnit, KeysetId, KeysetWithKeys, MintUrl, PointBytes, Proof, ProofDleq, Scalar32,
    Secret, Witness,
};
use hazel_wallet::errand::Errand;
use hazel_wallet::ports::{
    BalanceRecord, ErrandId, ErrandRecord, HistoryEntry, KeysetRecord, MintRecord, OperationId, OperationKind,
    OperationRecord, Origin, ProofRecord, ProofStatus, SeedFingerprint, SessionId, Timestamp, decode,
};
use hazel_wallet::state::State;
use rusqlite::{Connection, Row};

use super::sql;
use crate::columns::{Columns, all, one, stored};
use crate::fault::StoreFault;

fn amount(row: Columns<'_>, column: &str) -> Result<Amount, StoreFault> {
    Ok(Amount::from_u64(row.unsigned(column)?))
}

fn time(row: Columns<'_>, column: &str) -> Result<Timestamp, StoreFault> {
    Ok(Timestamp::from_unix(row.unsigned(column)?))
}

fn operation_id(row: Columns<'_>, column: &str) -> Result<OperationId, StoreFault> {
    Ok(OperationId::from_bytes(row.array(column)?))
}

fn seed(row: Columns<'_>, column: &str) -> Result<SeedFingerprint, StoreFault> {
    Ok(SeedFingerprint::from_bytes(row.array(column)?))
}

fn keyset_id(row: Columns<'_>, column: &str) -> Result<KeysetId, StoreFault> {
    KeysetId::from_bytes(row.bytes(column)?).map_err(|_| row.malformed(column))
}

fn point(row: Columns<'_>, column: &str) -> Result<PointBytes, StoreFault> {
    PointBytes::from_bytes(row.bytes(column)?).map_err(|_| row.malformed(column))
}

fn text(row: Columns<'_>, column: &str) -> Result<String, StoreFault> {
    row.text(column).map(str::to_owned)
}

fn kind(row: Columns<'_>, column: &str) -> Result<OperationKind, StoreFault> {
    OperationKind::from_stored(row.text(column)?).ok_or_else(|| row.malformed(column))
}

fn status(row: Columns<'_>, column: &str) -> Result<ProofStatus, StoreFault> {
    ProofStatus::from_stored(row.text(column)?).ok_or_else(|| row.malformed(column))
}

pub(super) fn session(row: &Row<'_>) -> Result<SessionId, StoreFault> {
    Ok(SessionId::from_bytes(Columns::of(row, "session").array("session")?))
}

fn mint_record(row: &Row<'_>) -> Result<MintRecord, StoreFault> {
    let row = Columns::of(row, "mints");
    Ok(MintRecord {
        url: row.parsed("url")?,
        info: row.optional("info", |row, column| decode(row.text(column)?).map_err(|_| row.malformed(column)))?,
        added_at: time(row, "added_at")?,
        refreshed_at: row.optional("refreshed_at", time)?,
    })
}

pub(super) fn mints(connection: &Connection) -> Result<Vec<MintRecord>, StoreFault> {
    all(connection, sql::MINTS, [], mint_record)
}

pub(super) fn mint(connection: &Connection, url: &MintUrl) -> Result<Option<MintRecord>, StoreFault> {
    one(connection, sql::MINT, [url.as_str()], mint_record)
}

fn keyset_record(row: &Row<'_>) -> Result<KeysetRecord, StoreFault> {
    let row = Columns::of(row, "keysets");
    let keyset: KeysetWithKeys = decode(row.text("body")?).map_err(|_| row.malformed("body"))?;
    if keyset.id != keyset_id(row, "keyset_id")? {
        return Err(row.malformed("body"));
    }
    Ok(KeysetRecord { mint: row.parsed("mint")?, keyset: KeysetWithKeys { active: row.flag("active")?, ..keyset } })
}

pub(super) fn keysets(connection: &Connection, mint: &MintUrl) -> Result<Vec<KeysetRecord>, StoreFault> {
    all(connection, sql::KEYSETS, [mint.as_str()], keyset_record)
}

pub(super) fn keyset(
    connection: &Connection,
    mint: &MintUrl,
    id: &KeysetId,
) -> Result<Option<KeysetRecord>, StoreFault> {
    one(connection, sql::KEYSET, (mint.as_str(), id.as_bytes()), keyset_record)
}

/// A keyset that a new one cannot be told from.
pub(super) fn colliding(
    connection: &Connection,
    mint: &MintUrl,
    id: &KeysetId,
    path: Option<u32>,
) -> Result<Option<(KeysetId, MintUrl)>, StoreFault> {
    one(connection, sql::COLLIDING, (mint.as_str(), id.short().as_bytes(), path, id.as_bytes()), |row| {
        let row = Columns::of(row, "keysets");
        Ok((keyset_id(row, "keyset_id")?, row.parsed("mint")?))
    })
}

pub(super) fn counter(connection: &Connection, seed: SeedFingerprint, keyset: &KeysetId) -> Result<u64, StoreFault> {
    let next = one(connection, sql::COUNTER, (seed.as_bytes(), keyset.as_bytes()), |row| {
        Columns::of(row, "counters").unsigned("next")
    })?;
    // not a row: a seed without one has used no counter
    Ok(next.unwrap_or(0))
}

fn operation_record(row: &Row<'_>) -> Result<OperationRecord, StoreFault> {
    let row = Columns::of(row, "operations");
    let state: State = decode(row.text("body")?).map_err(|_| row.malformed("body"))?;
    if state.name() != row.text("state")? {
        return Err(row.malformed("state"));
    }
    Ok(OperationRecord {
        id: operation_id(row, "operation_id")?,
        mint: row.parsed("mint")?,
        unit: row.parsed("unit")?,
        seed: seed(row, "seed")?,
        version: row.unsigned("version")?,
        session: SessionId::from_bytes(row.array("session")?),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        state,
    })
}

pub(super) fn operation(connection: &Connection, id: OperationId) -> Result<Option<OperationRecord>, StoreFault> {
    one(connection, sql::OPERATION, [id.as_bytes()], operation_record)
}

pub(super) fn operations(
    connection: &Connection,
    sql: &str,
    mint: &MintUrl,
    unit: &CurrencyUnit,
) -> Result<Vec<OperationRecord>, StoreFault> {
    all(connection, sql, (mint.as_str(), unit.as_str()), operation_record)
}

fn dleq(row: Columns<'_>) -> Result<Option<ProofDleq>, StoreFault> {
    row.optional("dleq_e", |row, column| {
        Ok(ProofDleq {
            e: Scalar32::from_bytes(row.array(column)?),
            s: Scalar32::from_bytes(row.array("dleq_s")?),
            r: BlindingFactor::from_bytes(row.bytes("dleq_r")?).map_err(|_| row.malformed("dleq_r"))?,
        })
    })
}

fn proof_record(row: &Row<'_>) -> Result<ProofRecord, StoreFault> {
    let row = Columns::of(row, "proofs");
    let witness = |row: Columns<'_>, column: &str| Witness::new(row.text(column)?).map_err(|_| row.malformed(column));
    let origin =
        |row: Columns<'_>, column: &str| Ok(Origin { seed: seed(row, column)?, counter: row.unsigned("counter")? });
    Ok(ProofRecord {
        y: point(row, "y")?,
        mint: row.parsed("mint")?,
        unit: row.parsed("unit")?,
        proof: Proof {
            amount: amount(row, "amount")?,
            id: keyset_id(row, "keyset_id")?,
            secret: Secret::new(row.text("secret")?).map_err(|_| row.malformed("secret"))?,
            c: point(row, "c")?,
            witness: row.optional("witness", witness)?,
            dleq: dleq(row)?,
            p2pk_e: row.optional("p2pk_e", point)?,
        },
        status: status(row, "status")?,
        held_by: row.optional("held_by", operation_id)?,
        sent_by: row.optional("sent_by", operation_id)?,
        origin: row.optional("seed", origin)?,
    })
}

pub(super) fn proof(connection: &Connection, y: &PointBytes) -> Result<Option<ProofRecord>, StoreFault> {
    one(connection, sql::PROOF, [y.as_bytes()], proof_record)
}

pub(super) fn proofs(
    connection: &Connection,
    mint: &MintUrl,
    unit: &CurrencyUnit,
    status: ProofStatus,
) -> Result<Vec<ProofRecord>, StoreFault> {
    all(connection, sql::PROOFS, (mint.as_str(), unit.as_str(), status.as_str()), proof_record)
}

pub(super) fn proofs_of(connection: &Connection, sql: &str, id: OperationId) -> Result<Vec<ProofRecord>, StoreFault> {
    all(connection, sql, [id.as_bytes()], proof_record)
}

pub(super) fn balances(connection: &Connection) -> Result<Vec<BalanceRecord>, StoreFault> {
    let mut balances: Vec<BalanceRecord> = Vec::new();
    let sums = all(connection, sql::BALANCES, [], |row| {
        let row = Columns::of(row, "proofs");
        Ok((row.parsed("mint")?, row.parsed("unit")?, status(row, "status")?, amount(row, "amount")?))
    })?;
    for (mint, unit, status, amount) in sums {
        if balances.last().is_none_or(|last| last.mint != mint || last.unit != unit) {
            let (available, held, sent) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
            balances.push(BalanceRecord { mint, unit, available, held, sent });
        }
        if let Some(last) = balances.last_mut() {
            match status {
                ProofStatus::Available => last.available = amount,
                ProofStatus::Held => last.held = amount,
                ProofStatus::Sent => last.sent = amount,
                ProofStatus::Spent => {}
            }
        }
    }
    Ok(balances)
}

fn errand_record(row: &Row<'_>) -> Result<ErrandRecord, StoreFault> {
    let row = Columns::of(row, "errands");
    let errand: Errand = decode(row.text("body")?).map_err(|_| row.malformed("body"))?;
    if errand.is_done() != row.flag("done")? {
        return Err(row.malformed("done"));
    }
    Ok(ErrandRecord {
        id: ErrandId::from_bytes(row.array("errand_id")?),
        version: row.unsigned("version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        errand,
    })
}

pub(super) fn errand(connection: &Connection, id: ErrandId) -> Result<Option<ErrandRecord>, StoreFault> {
    one(connection, sql::ERRAND, [id.as_bytes()], errand_record)
}

pub(super) fn open_errands(connection: &Connection) -> Result<Vec<ErrandRecord>, StoreFault> {
    all(connection, sql::OPEN_ERRANDS, [], errand_record)
}

fn history_entry(row: &Row<'_>) -> Result<HistoryEntry, StoreFault> {
    let row = Columns::of(row, "history");
    Ok(HistoryEntry {
        operation: operation_id(row, "operation_id")?,
        mint: row.parsed("mint")?,
        unit: row.parsed("unit")?,
        kind: kind(row, "kind")?,
        amount: amount(row, "amount")?,
        fee: amount(row, "fee")?,
        at: time(row, "at")?,
        memo: row.optional("memo", text)?,
        invoice: row.optional("invoice", text)?,
        preimage: row.optional("preimage", text)?,
    })
}

pub(super) fn history(
    connection: &Connection,
    of: Option<&(MintUrl, CurrencyUnit)>,
    before: Option<OperationId>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, StoreFault> {
    let before = match before {
        None => i64::MAX,
        // not a row: an operation without a line comes before all lines, which count from 1
        Some(id) => one(connection, sql::HISTORY_NUMBER, [id.as_bytes()], |row| Ok(row.get("number")?))?.unwrap_or(0),
    };
    match of {
        Some((mint, unit)) => {
            all(connection, sql::HISTORY_OF, (before, limit, mint.as_str(), unit.as_str()), history_entry)
        }
        None => all(connection, sql::HISTORY, (before, limit), history_entry),
    }
}

/// An amount as SQLite stores it.
pub(super) fn stored_amount(amount: Amount) -> Result<i64, StoreFault> {
    stored(amount.to_u64(), "an amount")
}

/// A time as SQLite stores it.
pub(super) fn stored_time(at: Timestamp) -> Result<i64, StoreFault> {
    stored(at.to_unix(), "a time")
}
