//! Taking over from the dead, and sweeping up.

use hazel_mint::ports::{Applied, Conflict, Prune, TakeOver};
use hazel_mint::store::TOMBSTONE_SECS;
use rusqlite::{Connection, params};

use super::{Outcome, refuse, rows, sql};
use crate::columns::{run, run_one, stored};
use crate::fault::StoreFault;

pub(super) fn take_over(connection: &Connection, change: &TakeOver) -> Outcome {
    let Some(row) = rows::operation(connection, change.operation)? else {
        return refuse(Conflict::OperationGone);
    };
    if row.owner == change.to {
        return Ok(Applied::Done);
    }
    if row.owner != change.from {
        return refuse(Conflict::OperationGone);
    }
    let row = params![change.operation.as_bytes(), change.to.as_bytes(), change.from.as_bytes()];
    run_one(connection, sql::TAKE_OVER, row, "an operation's row was not there to be changed")?;
    Ok(Applied::Done)
}

pub(super) fn prune(connection: &Connection, change: &Prune) -> Outcome {
    let before = stored(change.before.to_unix(), "a time")?;
    let written_before = stored(change.now.minus(TOMBSTONE_SECS).to_unix(), "a time")?;
    let mut pruned = 0;
    for sql in [sql::PRUNE_MINT_QUOTES, sql::PRUNE_MELT_QUOTES] {
        pruned += run(connection, sql, params![before, change.limit, change.method.as_str()])?;
    }
    for (sql, time) in [(sql::PRUNE_BLANKS, before), (sql::PRUNE_TOMBSTONES, written_before)] {
        pruned += run(connection, sql, params![time, change.limit])?;
    }
    let pruned = u64::try_from(pruned).map_err(|_| StoreFault::corrupt("more rows went than can be counted"))?;
    Ok(Applied::Pruned(pruned))
}
