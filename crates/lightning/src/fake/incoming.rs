//! Money that comes in: invoices of the ledger and what arrives on them.

use bitcoin::Network;
use hazel_mint::ports::{Invoice, NewInvoice, Refusal, Settlement, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::books::{U64, Write};
use super::error::FakeError;
use super::invoice::{InvoiceSpec, MAX_MSAT};
use super::steering::Settle;
use super::world::World;

/// The most settlements handed out at once.
const MAX_SETTLEMENTS: u32 = 1_000;

const SETTLEMENT_COLUMNS: &str = "payment_hash, credit, amount_msat, cursor";

/// What a payment needs to know of an invoice on the ledger.
pub(super) struct Payee {
    pub(super) amount_msat: u64,
    /// Not cancelled, and nothing has arrived yet.
    pub(super) payable: bool,
}

/// Makes an invoice and says when it pays itself.
pub(super) fn create(
    write: &Write<'_>,
    world: &dyn World,
    network: Network,
    instance: &str,
    new: &NewInvoice,
) -> Result<Invoice, FakeError> {
    let spec = spec(write, world, network, new)?;
    let request = spec.build()?;
    let expires_at = spec.created_at + spec.expiry_secs;
    let due = match write.behaviour.settle {
        Settle::AfterMs(delay) => Some(write.now_ms.saturating_add(delay)).filter(|due| due / 1_000 < expires_at),
        Settle::WhenTold => None,
    };
    let sql = "INSERT INTO invoices
        (payment_hash, preimage, request, amount_msat, created_ms, expires_at, instance, due_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let hash = spec.payment_hash();
    write.tx.prepare_cached(sql)?.execute(params![
        hash,
        spec.preimage,
        request,
        U64(new.amount_msat),
        U64(write.now_ms),
        U64(expires_at),
        instance,
        due.map(U64),
    ])?;
    Ok(Invoice { request, payment_hash: hash, expires_at: Timestamp::from_unix(expires_at) })
}

fn spec(write: &Write<'_>, world: &dyn World, network: Network, new: &NewInvoice) -> Result<InvoiceSpec, FakeError> {
    if new.amount_msat == 0 || new.amount_msat > MAX_MSAT {
        return Err(FakeError::Refused(
            Refusal::AmountImpossible,
            "an invoice needs an amount above zero that exists".into(),
        ));
    }
    let node_secret = write.tx.query_row("SELECT secret FROM node", [], |row| row.get(0))?;
    let (mut preimage, mut payment_secret) = ([0; 32], [0; 32]);
    world.fill_random(&mut preimage);
    world.fill_random(&mut payment_secret);
    Ok(InvoiceSpec {
        network,
        amount_msat: Some(new.amount_msat),
        description: new.description.clone().unwrap_or_default(),
        preimage,
        node_secret,
        payment_secret,
        created_at: write.now_ms / 1_000,
        expiry_secs: u64::from(new.expiry_secs),
    })
}

/// Looks an invoice up; `None` when some other node made it.
pub(super) fn payee(conn: &Connection, payment_hash: &[u8; 32]) -> Result<Option<Payee>, FakeError> {
    let sql = "SELECT amount_msat,
        cancelled = 0 AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.payment_hash = i.payment_hash)
        FROM invoices i WHERE payment_hash = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let row = statement
        .query_row([payment_hash], |row| Ok(Payee { amount_msat: row.get::<_, U64>(0)?.0, payable: row.get(1)? }));
    Ok(row.optional()?)
}

/// The preimage of an invoice on the ledger.
pub(super) fn preimage(conn: &Connection, payment_hash: &[u8; 32]) -> Result<Option<[u8; 32]>, FakeError> {
    let mut statement = conn.prepare_cached("SELECT preimage FROM invoices WHERE payment_hash = ?1")?;
    Ok(statement.query_row([payment_hash], |row| row.get(0)).optional()?)
}

/// Books money that arrived. `credit` is unique over the ledger.
pub(super) fn credit(
    conn: &Connection,
    payment_hash: &[u8; 32],
    credit: &str,
    amount_msat: u64,
    at_ms: u64,
) -> Result<(), FakeError> {
    let sql = "INSERT INTO settlements (payment_hash, credit, amount_msat, at_ms) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute(params![payment_hash, credit, U64(amount_msat), U64(at_ms)])?;
    Ok(())
}

/// The invoice no longer pays itself: a payer has come, or none may.
pub(super) fn call_off(conn: &Connection, payment_hash: &[u8; 32]) -> Result<(), FakeError> {
    conn.prepare_cached("UPDATE invoices SET due_ms = NULL WHERE payment_hash = ?1")?.execute([payment_hash])?;
    Ok(())
}

/// The invoice with row `id` pays itself.
pub(super) fn fall_due(conn: &Connection, id: i64) -> Result<(), FakeError> {
    let sql = "SELECT payment_hash, amount_msat, due_ms FROM invoices WHERE id = ?1";
    let (hash, amount, due): ([u8; 32], U64, U64) =
        conn.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    credit(conn, &hash, &format!("auto-{id}"), amount.0, due.0)?;
    call_off(conn, &hash)
}

/// A payer of the test's own sends `amount_msat` to an invoice; as often as it is told to, whatever has arrived before.
pub(super) fn pay_in(write: &Write<'_>, payment_hash: &[u8; 32], amount_msat: u64) -> Result<(), FakeError> {
    if amount_msat == 0 || amount_msat > MAX_MSAT {
        return Err(FakeError::Refused(
            Refusal::AmountImpossible,
            "nothing, or more than there is, cannot arrive".into(),
        ));
    }
    let sql = "SELECT cancelled, (SELECT count(*) FROM settlements) FROM invoices WHERE payment_hash = ?1";
    let found = write.tx.query_row(sql, [payment_hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (cancelled, count): (bool, i64) = found.ok_or(FakeError::NotFound("invoice"))?;
    if cancelled {
        return Err(FakeError::Refused(Refusal::Other, "the invoice was cancelled".into()));
    }
    call_off(&write.tx, payment_hash)?;
    // Rows are never removed and the lock is held, so the count is new for every credit.
    credit(&write.tx, payment_hash, &format!("told-{count}"), amount_msat, write.now_ms)
}

/// Makes an invoice unpayable, if the node can and nothing has arrived.
pub(super) fn cancel(write: &Write<'_>, payment_hash: &[u8; 32]) -> Result<(), FakeError> {
    let payee = payee(&write.tx, payment_hash)?.ok_or(FakeError::NotFound("invoice"))?;
    if write.behaviour.cancels && payee.payable {
        let sql = "UPDATE invoices SET cancelled = 1, due_ms = NULL WHERE payment_hash = ?1";
        write.tx.prepare_cached(sql)?.execute([payment_hash])?;
    }
    Ok(())
}

/// Settlements after `cursor`, oldest first.
pub(super) fn settlements_after(conn: &Connection, cursor: u64) -> Result<Vec<Settlement>, FakeError> {
    let sql = format!("SELECT {SETTLEMENT_COLUMNS} FROM settlements WHERE cursor > ?1 ORDER BY cursor LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![U64::clamped(cursor), MAX_SETTLEMENTS], settlement)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What arrived on one invoice, oldest first.
pub(super) fn settlements_of(conn: &Connection, payment_hash: &[u8; 32]) -> Result<Vec<Settlement>, FakeError> {
    let sql = format!("SELECT {SETTLEMENT_COLUMNS} FROM settlements WHERE payment_hash = ?1 ORDER BY cursor");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([payment_hash], settlement)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn settlement(row: &Row<'_>) -> rusqlite::Result<Settlement> {
    Ok(Settlement {
        payment_hash: row.get(0)?,
        credit: row.get(1)?,
        amount_msat: row.get::<_, U64>(2)?.0,
        cursor: row.get::<_, U64>(3)?.0,
    })
}
