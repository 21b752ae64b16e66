//! The keysets of a mint: which are known, which one signs, what they charge (NUT-01, NUT-02).

use std::collections::BTreeMap;
use std::sync::Arc;

use hazel_protocol::keys::{KeysResponse, KeysetInfo, KeysetWithKeys, KeysetsResponse};
use hazel_protocol::{Amount, BoundedVec, CurrencyUnit, ErrorCode, KeysetId, MAX_KEYSETS};

use crate::error::MintError;
use crate::ports::{KeysetOrigin, KeysetPath, KeysetRecord, Timestamp};

/// Every keyset of the mint, as of one moment. Replaced whole at a rotation.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keysets: BTreeMap<KeysetId, Arc<KeysetRecord>>,
    /// In the order they were added; old ones are listed for ever.
    order: Vec<KeysetId>,
    active: BTreeMap<CurrencyUnit, KeysetId>,
}

impl Keyring {
    /// The keyring of these records, given in the order they were added.
    pub fn new(records: impl IntoIterator<Item = KeysetRecord>) -> Self {
        let mut ring = Self::default();
        for record in records {
            if record.active {
                ring.active.insert(record.unit.clone(), record.id);
            }
            ring.order.push(record.id);
            ring.keysets.insert(record.id, Arc::new(record));
        }
        ring
    }

    /// Every keyset, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeysetRecord>> {
        self.order.iter().filter_map(|id| self.keysets.get(id))
    }

    /// The keyset that signs outputs of `unit`; `None` also when it has expired.
    pub fn active(&self, unit: &CurrencyUnit, now: Timestamp) -> Option<&Arc<KeysetRecord>> {
        self.active.get(unit).and_then(|id| self.keysets.get(id)).filter(|keyset| keyset.signs(now))
    }

    /// The keyset that signs outputs of `unit`.
    ///
    /// # Errors
    /// 12003 when it has expired, 12002 when it is stopped or there is none.
    pub fn signing_of(&self, unit: &CurrencyUnit, now: Timestamp) -> Result<&Arc<KeysetRecord>, MintError> {
        match self.active.get(unit) {
            Some(id) => self.signing(id, now),
            None => Err(MintError::refused(ErrorCode::KeysetInactive)),
        }
    }

    /// This keyring with one keyset stopped, or allowed again.
    pub fn with_latched(&self, id: KeysetId, latched: bool) -> Self {
        self.with_changed(id, |keyset| keyset.latched = latched)
    }

    /// This keyring with one import metered.
    pub fn with_carried(&self, id: KeysetId, carried: Amount) -> Self {
        self.with_changed(id, |keyset| keyset.origin = KeysetOrigin::Import { carried: Some(carried) })
    }

    fn with_changed(&self, id: KeysetId, change: impl FnOnce(&mut KeysetRecord)) -> Self {
        let mut ring = self.clone();
        if let Some(keyset) = ring.keysets.get_mut(&id) {
            change(Arc::make_mut(keyset));
        }
        ring
    }

    /// Whether one more keyset could be listed: wallets read no longer lists, and no keyset may vanish from the list.
    pub fn has_room(&self) -> bool {
        self.order.len() < MAX_KEYSETS
    }

    /// This keyring with `added` as the keyset that signs its unit.
    pub fn with(&self, added: KeysetRecord) -> Self {
        let stays_active = |record: &KeysetRecord| record.active && record.unit != added.unit;
        let former = |record: &Arc<KeysetRecord>| KeysetRecord { active: stays_active(record), ..(**record).clone() };
        let mut records: Vec<KeysetRecord> = self.iter().map(former).collect();
        records.push(added);
        Self::new(records)
    }

    /// A known keyset, whatever its state.
    ///
    /// # Errors
    /// 12001 when the mint has none of this id.
    pub fn known(&self, id: &KeysetId) -> Result<&Arc<KeysetRecord>, MintError> {
        self.keysets.get(id).ok_or_else(|| MintError::refused(ErrorCode::KeysetUnknown))
    }

    /// A keyset whose proofs are accepted: known and not past its final expiry.
    ///
    /// # Errors
    /// 12001 or 12003.
    pub fn spendable(&self, id: &KeysetId, now: Timestamp) -> Result<&Arc<KeysetRecord>, MintError> {
        let keyset = self.known(id)?;
        if keyset.has_expired(now) {
            return Err(MintError::refused(ErrorCode::KeysetExpired));
        }
        Ok(keyset)
    }

    /// A keyset that signs: spendable and active.
    ///
    /// # Errors
    /// 12001, 12003 or 12002.
    pub fn signing(&self, id: &KeysetId, now: Timestamp) -> Result<&Arc<KeysetRecord>, MintError> {
        let keyset = self.spendable(id, now)?;
        if keyset.signs(now) { Ok(keyset) } else { Err(MintError::refused(ErrorCode::KeysetInactive)) }
    }

    /// The index for the next keyset of `unit`.
    pub fn next_index(&self, unit: &CurrencyUnit) -> u32 {
        let highest = self.iter().filter(|keyset| keyset.unit == *unit).filter_map(|keyset| keyset.index()).max();
        highest.map_or(0, |index| index.saturating_add(1))
    }

    /// `GET /v1/keys`: the keysets that sign, with their keys.
    pub fn keys_response(&self, now: Timestamp) -> KeysResponse {
        KeysResponse { keysets: list(self.iter().filter(|keyset| keyset.signs(now)).map(|k| with_keys(k, now))) }
    }

    /// `GET /v1/keys/{id}`: one keyset, active or not.
    ///
    /// # Errors
    /// 12001.
    pub fn keys_of_response(&self, id: &KeysetId, now: Timestamp) -> Result<KeysResponse, MintError> {
        Ok(KeysResponse { keysets: list(std::iter::once(with_keys(self.known(id)?, now))) })
    }

    /// `GET /v1/keysets`: every keyset ever, without keys.
    pub fn keysets_response(&self, now: Timestamp) -> KeysetsResponse {
        KeysetsResponse { keysets: list(self.iter().map(|keyset| info(keyset, now))) }
    }
}

/// Where the private keys of `record` are derived; `None` for an import.
pub fn path_of(record: &KeysetRecord) -> Option<KeysetPath> {
    let amounts = record.keys.amounts().into_iter().collect();
    record.index().map(|index| KeysetPath { unit: record.unit.clone(), index, amounts })
}

/// The wire's list of `items`, which has room for all: no mint adds a keyset that it could not list.
fn list<T, const N: usize>(items: impl Iterator<Item = T>) -> BoundedVec<T, N> {
    let mut list = BoundedVec::new();
    for item in items {
        if list.push(item).is_err() {
            break;
        }
    }
    list
}

fn with_keys(keyset: &KeysetRecord, now: Timestamp) -> KeysetWithKeys {
    KeysetWithKeys {
        id: keyset.id,
        unit: keyset.unit.clone(),
        active: keyset.signs(now),
        input_fee_ppk: keyset.input_fee_ppk,
        final_expiry: keyset.final_expiry.map(Timestamp::to_unix),
        keys: keyset.keys.clone(),
    }
}

fn info(keyset: &KeysetRecord, now: Timestamp) -> KeysetInfo {
    KeysetInfo {
        id: keyset.id,
        unit: keyset.unit.clone(),
        active: keyset.signs(now),
        input_fee_ppk: keyset.input_fee_ppk,
        final_expiry: keyset.final_expiry.map(Timestamp::to_unix),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hazel_protocol::KeysetKeys;
    use hazel_protocol::crypto::hash_to_curve;

    use super::*;

    /// Keyset `n` of one unit: the same key, another fee, and so another id.
    fn keyset(n: u32, keys: &KeysetKeys) -> KeysetRecord {
        KeysetRecord {
            id: keys.id_v2(&CurrencyUnit::Sat, n.into(), None),
            unit: CurrencyUnit::Sat,
            origin: KeysetOrigin::Seed { index: n },
            active: false,
            input_fee_ppk: n.into(),
            final_expiry: None,
            keys: keys.clone(),
            created_at: Timestamp::default(),
            latched: false,
        }
    }

    #[test]
    fn every_keyset_is_listed_for_ever_and_there_is_no_more_than_can_be() {
        let keys = KeysetKeys::new(BTreeMap::from([(Amount::from_u64(1), hash_to_curve(b"key"))])).expect("a key");
        let most = u32::try_from(MAX_KEYSETS).expect("ten thousand");
        let ring = Keyring::new((0..most - 1).map(|n| keyset(n, &keys)));
        assert!(ring.has_room());
        let full = ring.with(KeysetRecord { active: true, ..keyset(most - 1, &keys) });
        assert!(!full.has_room());
        let listed = full.keysets_response(Timestamp::default()).keysets;
        assert_eq!(listed.len(), MAX_KEYSETS);
        assert!(listed.iter().zip(0..).all(|(listed, n)| listed.input_fee_ppk == n), "in the order they were added");
        assert!(listed.last().is_some_and(|newest| newest.active), "the one that signs among them");
    }
}
