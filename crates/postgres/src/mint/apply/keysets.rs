//! The seed and the keysets. Every change here holds the row of `meta`, so that rotations of several processes come one after the other.

use hazel_mint::ports::{AddKeyset, Applied, BindSeed, Conflict, KeysetRecord, LatchKeyset};
use hazel_mint::store::rules::same_keyset;
use tokio_postgres::Row;

use super::{LedgerFault, Outcome, Tx, refuse, rows, sql};
use crate::columns::{Columns, stored};
use crate::fault::RowFault;

pub(super) async fn bind_seed(tx: Tx<'_>, change: &BindSeed) -> Outcome {
    let fingerprint = |row: &Row| Columns::of(row, "meta").array::<32>("seed_fingerprint");
    let bound = tx.one(sql::BIND_SEED, &[&change.fingerprint.as_slice()], fingerprint).await?;
    match bound {
        Some(bound) if bound == change.fingerprint => Ok(Applied::Done),
        Some(_) => refuse(Conflict::OtherSeed),
        None => Err(RowFault::corrupt("meta has no row").into()),
    }
}

/// Waits for every other change of keysets, and keeps later ones waiting.
pub(super) async fn alone(tx: Tx<'_>) -> Result<(), LedgerFault> {
    let found = tx.one(sql::LOCK_META, &[], |_| Ok(())).await?;
    Ok(found.ok_or_else(|| RowFault::corrupt("meta has no row"))?)
}

/// A keyset that is there already stays as it is now: a late repetition does not undo a rotation.
pub(super) async fn add(tx: Tx<'_>, change: &AddKeyset) -> Outcome {
    alone(tx).await?;
    let new = &change.keyset;
    if let Some(old) = in_the_way(tx, new).await? {
        return if same_keyset(&old, new) { Ok(Applied::Done) } else { refuse(Conflict::KeysetExists) };
    }
    let (id, unit, keys) = (new.id.as_bytes(), new.unit.as_str(), rows::keys_to_bytes(&new.keys));
    if new.active {
        tx.run(sql::RETIRE_KEYSETS, &[&unit]).await?;
    }
    let expiry = new.final_expiry.map(|time| stored(time.to_unix(), "a keyset's expiry")).transpose()?;
    let carried = new.carried().map(|carried| stored(carried.to_u64(), "an amount")).transpose()?;
    let (fee, created_at) = (stored(new.input_fee_ppk, "a keyset's fee")?, stored(new.created_at.to_unix(), "a time")?);
    let index = new.index().map(i64::from);
    let values: crate::session::Values<'_> =
        &[&id, &unit, &index, &new.active, &fee, &expiry, &keys, &created_at, &carried, &new.latched];
    tx.run_one(sql::ADD_KEYSET, values, "a keyset was not added").await?;
    Ok(Applied::Done)
}

/// The keyset that has the new one's id, or its unit and index.
async fn in_the_way(tx: Tx<'_>, new: &KeysetRecord) -> Result<Option<KeysetRecord>, LedgerFault> {
    let by_id = tx.one(sql::KEYSET, &[&new.id.as_bytes()], rows::keyset).await?;
    let Some(index) = new.index().filter(|_| by_id.is_none()) else { return Ok(by_id) };
    Ok(tx.one(sql::KEYSET_BY_INDEX, &[&new.unit.as_str(), &i64::from(index)], rows::keyset).await?)
}

pub(super) async fn latch(tx: Tx<'_>, change: &LatchKeyset) -> Outcome {
    alone(tx).await?;
    match tx.run(sql::LATCH_KEYSET, &[&change.keyset.as_bytes(), &change.latched]).await? {
        0 => refuse(Conflict::KeysetUnknown(change.keyset)),
        _ => Ok(Applied::Done),
    }
}
