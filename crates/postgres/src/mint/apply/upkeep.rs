//! Taking over from the dead, and sweeping up.

use hazel_mint::ports::{Applied, Conflict, Prune, TakeOver};
use hazel_mint::store::TOMBSTONE_SECS;

use tokio_postgres::Row;

use super::{Outcome, Tx, refuse, sql, standing};
use crate::columns::{Columns, stored};

pub(super) async fn take_over(tx: Tx<'_>, change: &TakeOver) -> Outcome {
    let owner = standing(tx, change.operation).await?.running().map(|row| row.owner);
    if owner == Some(change.to) {
        return Ok(Applied::Done);
    }
    if owner != Some(change.from) {
        return refuse(Conflict::OperationGone);
    }
    // A lease that has run out is never renewed, so what this says stays true until the commit.
    let is_alive = |row: &Row| Columns::of(row, "instances").flag("is_alive");
    let from = change.from.as_bytes().as_slice();
    if tx.one(sql::IS_ALIVE, &[&from], is_alive).await? != Some(false) {
        return refuse(Conflict::OperationGone);
    }
    let (id, to) = (change.operation.as_bytes().as_slice(), change.to.as_bytes().as_slice());
    tx.run_one(sql::TAKE_OVER, &[&id, &to, &from], "an operation's row was not there to be changed").await?;
    Ok(Applied::Done)
}

pub(super) async fn prune(tx: Tx<'_>, change: &Prune) -> Outcome {
    let before = stored(change.before.to_unix(), "a time")?;
    let written_before = stored(change.now.minus(TOMBSTONE_SECS).to_unix(), "a time")?;
    let limit = i64::from(change.limit);
    let mut pruned = 0;
    let method = change.method.as_str();
    for sql in [sql::PRUNE_MINT_QUOTES, sql::PRUNE_MELT_QUOTES] {
        pruned += tx.run(sql, &[&before, &limit, &method]).await?;
    }
    for (sql, time) in [(sql::PRUNE_BLANKS, before), (sql::PRUNE_TOMBSTONES, written_before)] {
        pruned += tx.run(sql, &[&time, &limit]).await?;
    }
    Ok(Applied::Pruned(pruned))
}
