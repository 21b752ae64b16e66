//! Money that goes out: what becomes of a payment, and what the node says about it.
//!
//! The two are kept apart. `fate` and `state` are the truth that the audit reads; the `says` and `err` columns are the script. A node that
//! lies therefore still has honest books.

use hazel_mint::ports::{OperationId, PaidEvidence, Payment, PaymentProof, PaymentStatus, Portion, Refusal};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::books::{U64, Write};
use super::error::FakeError;
use super::incoming;
use super::invoice::{MAX_MSAT, Parsed};
use super::ledger::{CallOutcome, PaymentState};
use super::steering::{self, Behaviour, Fate, Says, Script, Shows, Steer};

/// The most payments named at once.
const MAX_MADE: u32 = 1_000;

/// What the process that calls can do; the rest is on the ledger.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) instance: String,
    pub(super) amountless: bool,
    pub(super) mpp: bool,
    pub(super) vouches: bool,
}

/// What `pay` did to the ledger.
pub(super) enum Begun {
    /// A payment is there, new or known.
    Attempt(i64),
    /// None is, and this is why.
    Refused(Refusal, String),
    /// The node never heard of it.
    Unreachable,
}

/// Which call asks about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Pay,
    Status,
}

/// A payment as it stands.
pub(super) struct Look {
    /// It may still end by itself.
    pub(super) moving: bool,
    /// What the node says; `None` when the script wants the call to fail.
    pub(super) says: Option<PaymentStatus>,
}

struct Attempt {
    id: i64,
    payment_hash: [u8; 32],
    amount_msat: u64,
    fee_msat: u64,
    fate: Fate,
    state: PaymentState,
    due_ms: Option<u64>,
    held: bool,
    says: [Option<Says>; 2],
    errs: [bool; 2],
}

const ATTEMPT_COLUMNS: &str =
    "id, payment_hash, amount_msat, fee_msat, fate, state, due_ms, held, pay_says, check_says, pay_err, check_err";

impl Attempt {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            payment_hash: row.get(1)?,
            amount_msat: row.get::<_, U64>(2)?.0,
            fee_msat: row.get::<_, U64>(3)?.0,
            fate: stored(row, 4, Fate::from_stored)?,
            state: stored(row, 5, PaymentState::from_stored)?,
            due_ms: row.get::<_, Option<U64>>(6)?.map(|due| due.0),
            held: row.get(7)?,
            says: [stored_says(row, 8)?, stored_says(row, 9)?],
            errs: [row.get(10)?, row.get(11)?],
        })
    }

    fn load(conn: &Connection, id: i64) -> Result<Self, FakeError> {
        let sql = format!("SELECT {ATTEMPT_COLUMNS} FROM payments WHERE id = ?1");
        Ok(conn.prepare_cached(&sql)?.query_row([id], Self::read)?)
    }
}

/// Reads a column that holds one of a few words.
pub(super) fn stored<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| {
        let unknown = format!("unknown word {text:?}");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, unknown.into())
    })
}

fn stored_says(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Says>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => stored(row, column, Says::from_stored).map(Some),
    }
}

/// The amount that paying this portion of the invoice is about, in msat.
pub(super) fn amount_to_pay(caller: &Caller, parsed: &Parsed, portion: Portion) -> Result<u64, FakeError> {
    let refuse = |refusal, why: &str| Err(FakeError::Refused(refusal, why.into()));
    match (parsed.amount_msat, portion) {
        (_, Portion::Chosen(given) | Portion::Part(given)) if given == 0 || given > MAX_MSAT => {
            refuse(Refusal::AmountImpossible, "the amount is zero or too large")
        }
        (None, Portion::Whole) => refuse(Refusal::AmountMissing, "the invoice has no amount, so one must be given"),
        (None, Portion::Part(_)) => refuse(Refusal::AmountMissing, "an invoice without an amount has no parts"),
        (None, Portion::Chosen(_)) if !caller.amountless => {
            refuse(Refusal::AmountlessUnsupported, "invoices without an amount cannot be paid here")
        }
        (Some(asked), Portion::Chosen(given)) if given != asked => {
            refuse(Refusal::AmountDiffers, "the amount is not the invoice's")
        }
        (Some(asked), Portion::Part(given)) if given > asked => {
            refuse(Refusal::AmountDiffers, "the amount is more than the invoice asks for")
        }
        (Some(asked), Portion::Part(given)) if given < asked && !caller.mpp => {
            refuse(Refusal::AmountDiffers, "an invoice cannot be paid in parts here")
        }
        (_, Portion::Chosen(given) | Portion::Part(given)) => Ok(given),
        (Some(asked), Portion::Whole) => Ok(asked),
    }
}

/// What a payment of `amount_msat` is of this invoice. The mint has agreed to a part when it made its quote.
fn portion_of(parsed: &Parsed, amount_msat: u64) -> Portion {
    match parsed.amount_msat {
        Some(_) => Portion::Part(amount_msat),
        None => Portion::Chosen(amount_msat),
    }
}

/// Records a call of `pay` and begins the payment if nothing speaks against it.
pub(super) fn begin(
    write: &Write<'_>,
    caller: &Caller,
    payment: &Payment,
    invoice: Result<Parsed, FakeError>,
) -> Result<Begun, FakeError> {
    let payment_hash = invoice.as_ref().map(|parsed| parsed.payment_hash).ok();
    let record = |outcome| record_call(write, caller, payment, payment_hash, outcome);
    if write.behaviour.down || write.behaviour.pay_unreachable {
        record(CallOutcome::Unreachable)?;
        return Ok(Begun::Unreachable);
    }
    let checked = invoice.and_then(|parsed| {
        amount_to_pay(caller, &parsed, portion_of(&parsed, payment.amount_msat))?;
        Ok(parsed)
    });
    let parsed = match checked {
        Ok(parsed) => parsed,
        Err(why) => {
            record(CallOutcome::Refused)?;
            return Ok(Begun::Refused(why.refusal(), why.to_string()));
        }
    };
    let known = deciding_attempt(&write.tx, payment.id, &write.behaviour)?.filter(|_| write.behaviour.idempotent);
    // The last look at the clock and the fence before the node has the payment.
    if !payment.fence.is_open() {
        record(CallOutcome::Late)?;
        return Ok(Begun::Refused(Refusal::TooLate, "who pays may no longer act, so the payment was not sent".into()));
    }
    if write.now_ms >= payment.not_after.to_unix().saturating_mul(1_000) {
        record(CallOutcome::Late)?;
        return Ok(Begun::Refused(Refusal::TooLate, "its deadline has passed, so the payment was not sent".into()));
    }
    match known {
        Some(known) => record(CallOutcome::Joined).map(|_| Begun::Attempt(known.id)),
        None => start(write, caller, payment, &parsed, record(CallOutcome::Started)?).map(Begun::Attempt),
    }
}

fn record_call(
    write: &Write<'_>,
    caller: &Caller,
    payment: &Payment,
    payment_hash: Option<[u8; 32]>,
    outcome: CallOutcome,
) -> Result<i64, FakeError> {
    let sql = "INSERT INTO pay_calls
        (payment_id, payment_hash, request, amount_msat, max_fee_msat, not_after, at_ms, instance, outcome)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    write.tx.prepare_cached(sql)?.execute(params![
        payment.id.as_bytes(),
        payment_hash,
        payment.request,
        U64::clamped(payment.amount_msat),
        U64::clamped(payment.max_fee_msat),
        U64::clamped(payment.not_after.to_unix()),
        U64(write.now_ms),
        caller.instance,
        outcome.as_str(),
    ])?;
    Ok(write.tx.last_insert_rowid())
}

/// Puts a new payment on its way. One without delay ends within this transaction.
fn start(write: &Write<'_>, caller: &Caller, payment: &Payment, parsed: &Parsed, call: i64) -> Result<i64, FakeError> {
    let fee_msat = write.behaviour.fee_msat(payment.amount_msat);
    let (fate, script) = fate(write, caller, payment, parsed, fee_msat)?;
    if fate == Fate::Paid {
        incoming::call_off(&write.tx, &parsed.payment_hash)?;
    }
    let sql = "INSERT INTO payments (call, payment_id, payment_hash, amount_msat, fee_msat, started_ms, fate, due_ms,
        hold_ms, pay_says, check_says, pay_err, check_err)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    write.tx.prepare_cached(sql)?.execute(params![
        call,
        payment.id.as_bytes(),
        parsed.payment_hash,
        U64(payment.amount_msat),
        U64(fee_msat),
        U64(write.now_ms),
        fate.as_str(),
        U64(write.now_ms.saturating_add(write.behaviour.pay_delay_ms)),
        U64(write.behaviour.mpp_timeout_ms.max(1)),
        script.map(|script| script.pay_invoice_state.as_str()),
        script.map(|script| script.check_payment_state.as_str()),
        script.is_some_and(|script| script.pay_err),
        script.is_some_and(|script| script.check_err),
    ])?;
    let id = write.tx.last_insert_rowid();
    write.catch_up()?;
    Ok(id)
}

/// What becomes of a new payment. One that cannot be made has no script: it has failed, and the node says so.
fn fate(
    write: &Write<'_>,
    caller: &Caller,
    payment: &Payment,
    parsed: &Parsed,
    fee_msat: u64,
) -> Result<(Fate, Option<Script>), FakeError> {
    let behaviour = &write.behaviour;
    if behaviour.fail_next_pays > 0 {
        steering::store(&write.tx, &Steer::FailNextPays(behaviour.fail_next_pays - 1))?;
        return Ok((Fate::Failed, None));
    }
    let over_cap = fee_msat > payment.max_fee_msat && !behaviour.ignore_fee_cap;
    let foreign = incoming::payee(&write.tx, &parsed.payment_hash)?.is_none();
    if over_cap || (foreign && !caller.vouches) {
        return Ok((Fate::Failed, None));
    }
    let script = parsed.description.as_deref().and_then(Script::from_description).or(behaviour.script);
    Ok((script.map_or(Fate::Paid, Script::fate), script))
}

/// The payment with row `id` arrives, comes back, or gets stuck.
pub(super) fn fall_due(conn: &Connection, id: i64) -> Result<(), FakeError> {
    let attempt = Attempt::load(conn, id)?;
    let Some(at_ms) = attempt.due_ms else { return Ok(()) };
    match attempt.fate {
        Fate::Failed => end(conn, id, PaymentState::Failed, at_ms),
        Fate::Stuck => {
            conn.prepare_cached("UPDATE payments SET due_ms = NULL WHERE id = ?1")?.execute([id])?;
            Ok(())
        }
        Fate::Paid => arrive(conn, &attempt, at_ms),
    }
}

fn arrive(conn: &Connection, attempt: &Attempt, at_ms: u64) -> Result<(), FakeError> {
    let Some(payee) = incoming::payee(conn, &attempt.payment_hash)? else {
        return end(conn, attempt.id, PaymentState::Paid, at_ms);
    };
    if !payee.payable {
        return end(conn, attempt.id, PaymentState::Failed, at_ms);
    }
    conn.prepare_cached("UPDATE payments SET held = 1 WHERE id = ?1")?.execute([attempt.id])?;
    let parts = held_parts(conn, &attempt.payment_hash)?;
    let total: u64 = parts.iter().map(|(_, msat)| msat).fold(0, |sum, msat| sum.saturating_add(*msat));
    if total >= payee.amount_msat {
        incoming::credit(conn, &attempt.payment_hash, &format!("pay-{}", attempt.id), total, at_ms)?;
        return parts.iter().try_for_each(|(id, _)| end(conn, *id, PaymentState::Paid, at_ms));
    }
    if attempt.held {
        return end(conn, attempt.id, PaymentState::Failed, at_ms);
    }
    conn.prepare_cached("UPDATE payments SET due_ms = ?2 + hold_ms WHERE id = ?1")?
        .execute(params![attempt.id, U64(at_ms)])?;
    Ok(())
}

/// The parts of an invoice that have reached the payee and wait there for the rest.
fn held_parts(conn: &Connection, payment_hash: &[u8; 32]) -> Result<Vec<(i64, u64)>, FakeError> {
    let sql = "SELECT id, amount_msat FROM payments WHERE payment_hash = ?1 AND held = 1 AND state = 'in_flight'";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([payment_hash], |row| Ok((row.get(0)?, row.get::<_, U64>(1)?.0)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn end(conn: &Connection, id: i64, state: PaymentState, at_ms: u64) -> Result<(), FakeError> {
    let sql = "UPDATE payments SET state = ?2, ended_ms = ?3, due_ms = NULL WHERE id = ?1 AND state = 'in_flight'";
    conn.prepare_cached(sql)?.execute(params![id, state.as_str(), U64(at_ms)])?;
    Ok(())
}

/// Of all attempts with one id the one that tells most: paid before on its way before failed, then the newest.
fn deciding_attempt(conn: &Connection, id: OperationId, behaviour: &Behaviour) -> Result<Option<Attempt>, FakeError> {
    if behaviour.forget {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {ATTEMPT_COLUMNS} FROM payments WHERE payment_id = ?1 AND forgotten = 0
         ORDER BY CASE state WHEN 'paid' THEN 0 WHEN 'in_flight' THEN 1 ELSE 2 END, id DESC LIMIT 1"
    );
    Ok(conn.prepare_cached(&sql)?.query_row([id.as_bytes()], Attempt::read).optional()?)
}

/// The payment with row `attempt`, as the node tells `pay`.
pub(super) fn look(conn: &Connection, behaviour: &Behaviour, caller: &Caller, attempt: i64) -> Result<Look, FakeError> {
    let attempt = Attempt::load(conn, attempt)?;
    let says = report(conn, behaviour, caller, &attempt, Asker::Pay)?;
    Ok(Look { moving: attempt.due_ms.is_some(), says })
}

/// The payment with our `id`, as the node tells `status`; `None` when the script wants the call to fail.
pub(super) fn status(
    conn: &Connection,
    behaviour: &Behaviour,
    caller: &Caller,
    id: OperationId,
) -> Result<Option<PaymentStatus>, FakeError> {
    match deciding_attempt(conn, id, behaviour)? {
        None => Ok(Some(PaymentStatus::NeverHeard)),
        Some(attempt) => report(conn, behaviour, caller, &attempt, Asker::Status),
    }
}

/// The ids of the newest payments that were made or are on their way.
pub(super) fn made(conn: &Connection) -> Result<Vec<OperationId>, FakeError> {
    let sql = "SELECT payment_id FROM payments WHERE state <> 'failed' AND forgotten = 0 ORDER BY id DESC LIMIT ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([MAX_MADE], |row| row.get(0).map(OperationId::from_bytes))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn report(
    conn: &Connection,
    behaviour: &Behaviour,
    caller: &Caller,
    attempt: &Attempt,
    asker: Asker,
) -> Result<Option<PaymentStatus>, FakeError> {
    let index = usize::from(asker == Asker::Status);
    let (says, err) = (attempt.says[index], attempt.errs[index]);
    if err {
        return Ok(None);
    }
    if asker == Asker::Status && behaviour.stale_failed && has_stale_failure(conn, attempt)? {
        return Ok(Some(PaymentStatus::Failed));
    }
    Ok(Some(match says {
        _ if attempt.due_ms.is_some() => PaymentStatus::Pending,
        None | Some(Says::Paid) => truth(conn, behaviour, caller, attempt)?,
        Some(Says::Pending) => PaymentStatus::Pending,
        Some(Says::Unknown) => PaymentStatus::Unknown,
        Some(Says::Unpaid | Says::Failed) => PaymentStatus::Failed,
    }))
}

fn truth(
    conn: &Connection,
    behaviour: &Behaviour,
    caller: &Caller,
    attempt: &Attempt,
) -> Result<PaymentStatus, FakeError> {
    Ok(match attempt.state {
        PaymentState::InFlight => PaymentStatus::Pending,
        PaymentState::Failed => PaymentStatus::Failed,
        PaymentState::Paid => match proof(conn, behaviour.shows, caller, attempt)? {
            Some(proof) => PaymentStatus::Paid(PaidEvidence {
                proof,
                total_msat: attempt.amount_msat.saturating_add(attempt.fee_msat),
            }),
            None => PaymentStatus::Unknown,
        },
    })
}

/// What the node shows. A payment made by a process that vouches has nothing to show to one that does not.
fn proof(
    conn: &Connection,
    shows: Shows,
    caller: &Caller,
    attempt: &Attempt,
) -> Result<Option<PaymentProof>, FakeError> {
    let known = incoming::preimage(conn, &attempt.payment_hash)?;
    Ok(match shows {
        Shows::ZeroPreimage => Some(PaymentProof::Preimage([0; 32])),
        // The hash does not hash to itself.
        Shows::WrongPreimage => Some(PaymentProof::Preimage(attempt.payment_hash)),
        Shows::Truth => known.map(PaymentProof::Preimage).or(caller.vouches.then_some(PaymentProof::Vouched)),
    })
}

fn has_stale_failure(conn: &Connection, attempt: &Attempt) -> Result<bool, FakeError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM payments WHERE payment_hash = ?1 AND id < ?2 AND state = 'failed')";
    let failed: bool =
        conn.prepare_cached(sql)?.query_row(params![attempt.payment_hash, attempt.id], |row| row.get(0))?;
    Ok(failed && attempt.state == PaymentState::InFlight)
}

/// A test ends a payment that is on its way or stuck, and the node tells the truth about it from now on.
pub(super) fn resolve(write: &Write<'_>, id: OperationId, fate: Fate) -> Result<(), FakeError> {
    let sql = "UPDATE payments SET fate = ?2, due_ms = ?3, pay_says = NULL, check_says = NULL, pay_err = 0,
        check_err = 0 WHERE payment_id = ?1 AND state = 'in_flight'";
    let changed = write.tx.prepare_cached(sql)?.execute(params![id.as_bytes(), fate.as_str(), U64(write.now_ms)])?;
    if changed == 0 {
        return Err(FakeError::NotFound("payment on its way"));
    }
    write.catch_up()
}

/// The node no longer knows the payments with this id that it has seen so far. What they do goes on.
pub(super) fn forget(conn: &Connection, id: OperationId) -> Result<(), FakeError> {
    let changed =
        conn.prepare_cached("UPDATE payments SET forgotten = 1 WHERE payment_id = ?1")?.execute([id.as_bytes()])?;
    if changed == 0 { Err(FakeError::NotFound("payment")) } else { Ok(()) }
}
