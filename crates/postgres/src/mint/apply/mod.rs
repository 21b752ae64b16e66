//! The changes of the port as statements, each inside a transaction that the writer opened.
//!
//! Other processes write between two statements of a change, so each function takes its locks before it looks: it locks or inserts the row
//! of the operation first (the operation names its quote), then quotes in the order of their ids, then proofs and outputs in the order of
//! their keys, then the books. An insert that meets the same key of a transaction still under way waits for its end. What is then read by a
//! statement of its own is what was committed before that statement began. A function that fails may have written already: the writer takes
//! that back.

mod administer;
mod custody;
mod keysets;
mod melt;
mod mint_quotes;
mod swap;
mod upkeep;

use hazel_mint::ports::{
    Applied, ApplyError, Change, Conflict, KnownInput, KnownOutput, OperationId, OperationRecord, Timestamp,
};
use hazel_mint::store::check;
use tokio_postgres::Row;

use super::{rows, sql};
use crate::columns::{Columns, stored};
use crate::fault::{Fault, RowFault};
use crate::session::{Session, Values};

/// Why a change of the ledger was not applied.
pub(super) type LedgerFault = Fault<Conflict>;

/// What a change says, or why it was not applied.
pub(super) type Outcome = Result<Applied, LedgerFault>;

impl From<Conflict> for LedgerFault {
    fn from(conflict: Conflict) -> Self {
        Self::Refused(conflict)
    }
}

/// An open transaction.
#[derive(Clone, Copy)]
pub(super) struct Tx<'a> {
    pub(super) session: &'a Session,
    /// The stripe of the books that this writer adds to.
    pub(super) stripe: i32,
}

impl Tx<'_> {
    /// Every row of a query, decoded.
    async fn all<T>(
        &self,
        sql: &'static str,
        values: Values<'_>,
        decode: impl Fn(&Row) -> Result<T, RowFault>,
    ) -> Result<Vec<T>, RowFault> {
        self.session.rows(sql, values).await?.iter().map(decode).collect()
    }

    /// The row of a query that has at most one, decoded.
    async fn one<T>(
        &self,
        sql: &'static str,
        values: Values<'_>,
        decode: impl Fn(&Row) -> Result<T, RowFault>,
    ) -> Result<Option<T>, RowFault> {
        self.session.row(sql, values).await?.as_ref().map(decode).transpose()
    }

    /// Runs a statement; says how many rows it changed.
    async fn run(&self, sql: &'static str, values: Values<'_>) -> Result<u64, RowFault> {
        Ok(self.session.run(sql, values).await?)
    }

    /// Has the commit wait until what was read before is durable: for an answer out of the ledger, and after a commit in doubt.
    pub(super) async fn mark(&self) -> Result<(), RowFault> {
        self.run_one(sql::MARK, &[], "the version of the schema is gone").await
    }

    /// Runs a statement that must change exactly one row.
    async fn run_one(&self, sql: &'static str, values: Values<'_>, otherwise: &str) -> Result<(), RowFault> {
        match self.run(sql, values).await? {
            1 => Ok(()),
            _ => Err(RowFault::corrupt(otherwise)),
        }
    }
}

/// Applies one change of the ledger.
pub(super) async fn apply(tx: Tx<'_>, change: &Change) -> Outcome {
    check(change).map_err(precondition)?;
    match change {
        Change::BindSeed(change) => keysets::bind_seed(tx, change).await,
        Change::AddKeyset(change) => keysets::add(tx, change).await,
        Change::LatchKeyset(change) => keysets::latch(tx, change).await,
        Change::Administer(change) => administer::administer(tx, change).await,
        Change::OpenMintQuote(change) => mint_quotes::open(tx, change).await,
        Change::CreditMintQuote(change) => mint_quotes::credit(tx, change).await,
        Change::Issue(change) => mint_quotes::issue(tx, change).await,
        Change::ReserveSwap(change) => swap::reserve(tx, change).await,
        Change::SettleSwap(change) => swap::settle(tx, change).await,
        Change::ReleaseSwap(change) => swap::release(tx, change).await,
        Change::ResolveSwap(change) => swap::resolve(tx, change).await,
        Change::OpenMeltQuote(change) => melt::open(tx, change).await,
        Change::ReserveMelt(change) => melt::reserve(tx, change).await,
        Change::DispatchMelt(change) => melt::dispatch(tx, change).await,
        Change::RecordMelt(change) => melt::record(tx, change).await,
        Change::SettleMelt(change) => melt::settle(tx, change).await,
        Change::SettleInternally(change) => melt::settle_internally(tx, change).await,
        Change::ReleaseMelt(change) => melt::release(tx, change).await,
        Change::TakeOver(change) => upkeep::take_over(tx, change).await,
        Change::Prune(change) => upkeep::prune(tx, change).await,
    }
}

/// What the rules that every store shares say, which is always `Corrupt`.
fn precondition(error: ApplyError) -> LedgerFault {
    match error {
        ApplyError::Conflict(conflict) => Fault::Refused(conflict),
        ApplyError::Corrupt(why) | ApplyError::Unavailable(why) | ApplyError::Ambiguous(why) => Fault::Corrupt(why),
    }
}

/// A change that breaks its own preconditions.
fn corrupt<T>(why: &str) -> Result<T, LedgerFault> {
    Err(Fault::Corrupt(why.to_owned()))
}

/// A refusal by the state of the ledger.
fn refuse<T>(conflict: Conflict) -> Result<T, LedgerFault> {
    Err(conflict.into())
}

/// What the row of an operation says, which is locked from then on.
enum Standing {
    /// There is no row: it never was, or it has ended.
    Absent,
    /// The id was given up before it was used.
    GivenUp,
    /// It has begun and not ended.
    Running(OperationRecord),
}

impl Standing {
    fn running(self) -> Option<OperationRecord> {
        match self {
            Self::Running(row) => Some(row),
            Self::Absent | Self::GivenUp => None,
        }
    }
}

/// Locks the row of an operation. Another transaction that changes it is waited for.
async fn standing(tx: Tx<'_>, operation: OperationId) -> Result<Standing, LedgerFault> {
    let id = operation.as_bytes().as_slice();
    let found = tx.one(sql::LOCK_OPERATION, &[&id], rows::operation_or_tombstone).await?;
    Ok(found.map_or(Standing::Absent, |row| row.map_or(Standing::GivenUp, Standing::Running)))
}

/// Whether an operation without a row has ended with effect: something it brought in stands.
///
/// The caller has seen that there is no row. If one has come since, what stands may be a reservation, and the change looks again.
async fn left_something(tx: Tx<'_>, operation: OperationId) -> Result<bool, LedgerFault> {
    let (has_contents, is_running) = traces(tx, operation).await?;
    if is_running { Err(Fault::Busy) } else { Ok(has_contents) }
}

/// Whether anything that an operation brought in is there, and whether it is running, at one moment.
async fn traces(tx: Tx<'_>, operation: OperationId) -> Result<(bool, bool), LedgerFault> {
    let flags = |row: &Row| {
        let row = Columns::of(row, "operations");
        Ok((row.flag("has_contents")?, row.flag("is_running")?))
    };
    let found = tx.one(sql::HAS_CONTENTS, &[&operation.as_bytes().as_slice()], flags).await?;
    found.ok_or_else(|| Fault::Corrupt("a query for one row gave none".to_owned()))
}

/// Leaves a tombstone that a late reservation collides with. The caller has seen that there is no row.
async fn give_up(tx: Tx<'_>, operation: OperationId, now: Timestamp) -> Result<(), LedgerFault> {
    let (id, now) = (operation.as_bytes().as_slice(), stored(now.to_unix(), "a time")?);
    match tx.run(sql::GIVE_UP, &[&id, &now]).await? {
        1 => Ok(()),
        // A reservation came between the look and this: the next look sees it.
        _ => Err(Fault::Busy),
    }
}

async fn inputs_of(tx: Tx<'_>, operation: OperationId) -> Result<Vec<KnownInput>, RowFault> {
    tx.all(sql::PROOFS_OF, &[&operation.as_bytes().as_slice()], rows::input).await
}

async fn outputs_of(tx: Tx<'_>, operation: OperationId) -> Result<Vec<KnownOutput>, RowFault> {
    tx.all(sql::BLIND_SIGNATURES_OF, &[&operation.as_bytes().as_slice()], rows::output).await
}
