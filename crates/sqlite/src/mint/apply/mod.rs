//! The changes of the port as statements, each inside the savepoint that the writer opened for it.
//!
//! Nobody else writes between two statements of a change, so each function reads what it needs, decides as the docs of its change say,
//! and writes. A function that fails may have written already: the writer takes that back.

mod administer;
mod custody;
mod keysets;
mod melt;
mod mint_quotes;
mod swap;
mod upkeep;

use hazel_mint::ports::{Applied, ApplyError, Change, Conflict, OperationId};
use hazel_mint::store::check;
use rusqlite::Connection;

use super::{rows, sql};
use crate::columns::{Columns, one};
use crate::fault::{Fault, StoreFault};

/// Why a change of the ledger was not applied.
pub(super) type LedgerFault = Fault<Conflict>;

/// What a change says, or why it was not applied.
pub(super) type Outcome = Result<Applied, LedgerFault>;

impl From<Conflict> for LedgerFault {
    fn from(conflict: Conflict) -> Self {
        Self::Refused(conflict)
    }
}

/// Applies one change of the ledger.
pub(super) fn apply(connection: &Connection, change: &Change) -> Outcome {
    check(change).map_err(precondition)?;
    match change {
        Change::BindSeed(change) => keysets::bind_seed(connection, change),
        Change::AddKeyset(change) => keysets::add(connection, change),
        Change::LatchKeyset(change) => keysets::latch(connection, change),
        Change::Administer(change) => administer::administer(connection, change),
        Change::OpenMintQuote(change) => mint_quotes::open(connection, change),
        Change::CreditMintQuote(change) => mint_quotes::credit(connection, change),
        Change::Issue(change) => mint_quotes::issue(connection, change),
        Change::ReserveSwap(change) => swap::reserve(connection, change),
        Change::SettleSwap(change) => swap::settle(connection, change),
        Change::ReleaseSwap(change) => swap::release(connection, change),
        Change::ResolveSwap(change) => swap::resolve(connection, change),
        Change::OpenMeltQuote(change) => melt::open(connection, change),
        Change::ReserveMelt(change) => melt::reserve(connection, change),
        Change::DispatchMelt(change) => melt::dispatch(connection, change),
        Change::RecordMelt(change) => melt::record(connection, change),
        Change::SettleMelt(change) => melt::settle(connection, change),
        Change::SettleInternally(change) => melt::settle_internally(connection, change),
        Change::ReleaseMelt(change) => melt::release(connection, change),
        Change::TakeOver(change) => upkeep::take_over(connection, change),
        Change::Prune(change) => upkeep::prune(connection, change),
    }
}

/// What the rules that every store shares say, which is always `Corrupt`.
fn precondition(error: ApplyError) -> LedgerFault {
    match error {
        ApplyError::Conflict(conflict) => conflict.into(),
        ApplyError::Corrupt(why) | ApplyError::Unavailable(why) | ApplyError::Ambiguous(why) => {
            StoreFault::Corrupt(why).into()
        }
    }
}

/// A change that breaks its own preconditions.
fn corrupt<T>(why: &str) -> Result<T, LedgerFault> {
    Err(StoreFault::corrupt(why).into())
}

/// A refusal by the state of the ledger.
fn refuse<T>(conflict: Conflict) -> Result<T, LedgerFault> {
    Err(conflict.into())
}

/// Whether an operation without a row has ended with effect: something it brought in stands.
///
/// The caller has seen that there is no row, or this says nothing.
fn left_something(connection: &Connection, operation: OperationId) -> Result<bool, StoreFault> {
    let found = one(connection, sql::HAS_CONTENTS, [operation.as_bytes()], |row| {
        Columns::of(row, "operations").flag("has_contents")
    })?;
    found.ok_or_else(|| StoreFault::corrupt("a query for one row gave none"))
}

/// Whether the operation was given up before it was reserved.
fn is_given_up(connection: &Connection, operation: OperationId) -> Result<bool, StoreFault> {
    let written = one(connection, sql::TOMBSTONE, [operation.as_bytes()], |row| {
        Columns::of(row, "tombstones").unsigned("created_at")
    })?;
    Ok(written.is_some())
}

/// Refuses the id of an operation without a row that has been used up: the operation finished, or a tombstone stands.
fn demand_unused(connection: &Connection, operation: OperationId) -> Result<(), LedgerFault> {
    if is_given_up(connection, operation)? || left_something(connection, operation)? {
        return refuse(Conflict::OperationEnded);
    }
    Ok(())
}
