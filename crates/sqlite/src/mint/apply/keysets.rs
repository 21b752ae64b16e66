//! The seed and the keysets.

use hazel_mint::ports::{AddKeyset, Applied, BindSeed, Conflict, KeysetRecord, LatchKeyset};
use hazel_mint::store::rules::same_keyset;
use rusqlite::{Connection, params};

use super::{LedgerFault, Outcome, refuse, rows, sql};
use crate::columns::{Columns, one, run, run_one, stored};
use crate::fault::StoreFault;

pub(super) fn bind_seed(connection: &Connection, change: &BindSeed) -> Outcome {
    let bound: Option<[u8; 32]> =
        one(connection, sql::META, [], |row| Columns::of(row, "meta").optional("seed_fingerprint", Columns::array))?
            .ok_or_else(|| StoreFault::corrupt("meta has no row"))?;
    match bound {
        Some(bound) if bound != change.fingerprint => return refuse(Conflict::OtherSeed),
        Some(_) => {}
        None => run_one(connection, sql::BIND_SEED, [change.fingerprint], "meta has no row")?,
    }
    Ok(Applied::Done)
}

/// A keyset that is there already stays as it is now: a late repetition does not undo a rotation.
pub(super) fn add(connection: &Connection, change: &AddKeyset) -> Outcome {
    let new = &change.keyset;
    if let Some(old) = in_the_way(connection, new)? {
        return if same_keyset(&old, new) { Ok(Applied::Done) } else { refuse(Conflict::KeysetExists) };
    }
    if new.active {
        run(connection, sql::RETIRE_KEYSETS, [new.unit.as_str()])?;
    }
    let expiry = new.final_expiry.map(|time| stored(time.to_unix(), "a keyset's expiry")).transpose()?;
    let row = params![
        new.id.as_bytes(),
        new.unit.as_str(),
        new.index(),
        new.active,
        stored(new.input_fee_ppk, "a keyset's fee")?,
        expiry,
        rows::encode_keys(&new.keys),
        stored(new.created_at.to_unix(), "a time")?,
        new.carried().map(|carried| stored(carried.to_u64(), "an amount")).transpose()?,
        new.latched,
    ];
    run_one(connection, sql::ADD_KEYSET, row, "a keyset was not added")?;
    Ok(Applied::Done)
}

/// The keyset that has the new one's id, or its unit and index.
fn in_the_way(connection: &Connection, new: &KeysetRecord) -> Result<Option<KeysetRecord>, LedgerFault> {
    let by_id = one(connection, sql::KEYSET, [new.id.as_bytes()], rows::keyset_record)?;
    if by_id.is_some() {
        return Ok(by_id);
    }
    let Some(index) = new.index() else { return Ok(None) };
    let place = params![new.unit.as_str(), index];
    Ok(one(connection, sql::KEYSET_BY_INDEX, place, rows::keyset_record)?)
}

pub(super) fn latch(connection: &Connection, change: &LatchKeyset) -> Outcome {
    match run(connection, sql::LATCH_KEYSET, params![change.keyset.as_bytes(), change.latched])? {
        0 => refuse(Conflict::KeysetUnknown(change.keyset)),
        _ => Ok(Applied::Done),
    }
}
