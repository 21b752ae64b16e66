//! What the wallet believes about a mint's keysets (NUT-01, NUT-02).
//!
//! A keyset is checked once, when it is first seen: its id must be the hash of its keys. From then on everything but the
//! `active` flag is fixed, whatever the mint says later, because amounts, fees and secrets depend on it.

use std::collections::{BTreeMap, BTreeSet};

use hazel_protocol::nut13::keyset_id_int;
use hazel_protocol::{
    Amount, AmountError, CurrencyUnit, KeysResponse, KeysetId, KeysetInfo, KeysetKeys, KeysetVersion, KeysetWithKeys,
    KeysetsResponse, MintUrl, Proof, PublicKey, input_fee, verify_keyset_id,
};

use crate::error::Violation;
use crate::ports::{KeysetRecord, Timestamp};

/// Most keysets of one unit that a mint may list before the wallet stops asking for keys. A count.
pub const MAX_KEYSETS_OF_UNIT: usize = 1000;

/// Whether two keysets must not be in one wallet: one mint shows the same short id for both, or they have one NUT-13 derivation path.
///
/// Equal short ids of a mint would make its tokens ambiguous; equal paths of different version 1 ids would derive the same secrets
/// twice. The same keyset at two mints is no collision: keys are public, so anybody can list them, and one counter serves both.
pub fn collide((mint, id): (&MintUrl, &KeysetId), (other_mint, other): (&MintUrl, &KeysetId)) -> bool {
    let same_short = mint == other_mint && id.short() == other.short();
    let same_path = id != other && both_v1(id, other) && keyset_id_int(id) == keyset_id_int(other);
    same_short || same_path
}

fn both_v1(a: &KeysetId, b: &KeysetId) -> bool {
    a.version() == KeysetVersion::V1 && b.version() == KeysetVersion::V1
}

/// Whether a keyset still is what it was; the `active` flag may differ.
pub fn unchanged(known: &KeysetWithKeys, shown: &KeysetWithKeys) -> bool {
    same_terms(known, &shown.info()) && known.keys == shown.keys
}

fn same_terms(known: &KeysetWithKeys, shown: &KeysetInfo) -> bool {
    known.id == shown.id
        && known.unit == shown.unit
        && known.input_fee_ppk == shown.input_fee_ppk
        && expiry(known.final_expiry) == expiry(shown.final_expiry)
}

/// Zero and missing both mean that a keyset never expires.
pub(crate) fn expiry(shown: Option<u64>) -> Option<u64> {
    shown.filter(|at| *at != 0)
}

/// The keysets of one mint and unit.
#[derive(Debug, Clone, Default)]
pub struct Keysets {
    by_id: BTreeMap<KeysetId, KeysetWithKeys>,
}

impl Keysets {
    /// Takes the records of one mint and keeps those of `unit`.
    pub fn of_unit(records: Vec<KeysetRecord>, unit: &CurrencyUnit) -> Self {
        let keysets = records.into_iter().map(|record| record.keyset);
        let by_id = keysets.filter(|keyset| keyset.unit == *unit).map(|keyset| (keyset.id, keyset)).collect();
        Self { by_id }
    }

    /// One keyset.
    pub fn get(&self, id: &KeysetId) -> Option<&KeysetWithKeys> {
        self.by_id.get(id)
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &KeysetWithKeys> {
        self.by_id.values()
    }

    /// The ids.
    pub fn ids(&self) -> Vec<KeysetId> {
        self.by_id.keys().copied().collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The mint's key for an amount of a keyset.
    pub fn key(&self, id: &KeysetId, amount: Amount) -> Option<&PublicKey> {
        self.by_id.get(id)?.keys.get(amount)
    }

    /// The fee per input of a keyset, in thousandths of the minor unit.
    pub fn fee_ppk(&self, id: &KeysetId) -> Option<u64> {
        self.by_id.get(id).map(|keyset| keyset.input_fee_ppk)
    }

    /// What the mint takes for spending these proofs together (NUT-02); none when a keyset is unknown.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] for absurd fees.
    pub fn input_fee(&self, proofs: &[Proof]) -> Option<Result<Amount, AmountError>> {
        let fees: Option<Vec<u64>> = proofs.iter().map(|proof| self.fee_ppk(&proof.id)).collect();
        fees.map(input_fee)
    }

    /// The keyset for new outputs: active, not expired, of the lowest fee, the newer version first.
    pub fn for_outputs(&self, now: Timestamp) -> Option<&KeysetWithKeys> {
        self.by_id
            .values()
            .filter(|keyset| keyset.active && !has_expired(keyset, now))
            .min_by_key(|keyset| (keyset.input_fee_ppk, std::cmp::Reverse(keyset.id.version()), keyset.id))
    }
}

/// Whether the mint takes proofs of the keyset no more (NUT-02).
pub(crate) fn has_expired(keyset: &KeysetWithKeys, now: Timestamp) -> bool {
    expiry(keyset.final_expiry).is_some_and(|at| at <= now.to_unix())
}

/// What a mint's list of keysets means for the wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Keysets of the unit that are new: their keys have to be fetched.
    pub new: Vec<KeysetInfo>,
    /// Known keysets whose flag changes.
    pub changed: Vec<KeysetWithKeys>,
}

/// Compares the mint's list with what is known of its keysets of `unit`. A keyset that is no longer listed counts as
/// inactive.
///
/// # Errors
/// [`Violation`] when a keyset is listed twice, has changed, or there are more than [`MAX_KEYSETS_OF_UNIT`].
pub fn compare(known: &Keysets, listed: &KeysetsResponse, unit: &CurrencyUnit) -> Result<Listing, Violation> {
    let mut seen = BTreeSet::new();
    let mut listing = Listing { new: Vec::new(), changed: Vec::new() };
    for shown in &listed.keysets {
        if !seen.insert(shown.id) {
            return Err(Violation::KeysetTwice(shown.id));
        }
        match known.get(&shown.id) {
            Some(keyset) if !same_terms(keyset, shown) => return Err(Violation::KeysetChanged(shown.id)),
            Some(keyset) if keyset.active != shown.active => {
                listing.changed.push(KeysetWithKeys { active: shown.active, ..keyset.clone() });
            }
            None if shown.unit == *unit => listing.new.push(shown.clone()),
            _ => {}
        }
    }
    if listing.new.len() > MAX_KEYSETS_OF_UNIT {
        return Err(Violation::TooManyKeysets(listing.new.len()));
    }
    let gone = known.iter().filter(|keyset| keyset.active && !seen.contains(&keyset.id));
    listing.changed.extend(gone.map(|keyset| KeysetWithKeys { active: false, ..keyset.clone() }));
    Ok(listing)
}

/// Takes the keys of a listed keyset out of an answer and checks that the id commits to them.
///
/// # Errors
/// [`Violation::KeysMissing`] when the answer does not hold the keyset, [`Violation::KeysetId`] when the id does not match.
pub fn accept(listed: &KeysetInfo, answer: &KeysResponse) -> Result<KeysetWithKeys, Violation> {
    let found = answer.keysets.iter().find(|keyset| keyset.id == listed.id);
    let keys: &KeysetKeys = &found.ok_or(Violation::KeysMissing(listed.id))?.keys;
    verify_keyset_id(&listed.id, keys, &listed.unit, listed.input_fee_ppk, listed.final_expiry)
        .map_err(|_| Violation::KeysetId(listed.id))?;
    Ok(KeysetWithKeys {
        id: listed.id,
        unit: listed.unit.clone(),
        active: listed.active,
        input_fee_ppk: listed.input_fee_ppk,
        final_expiry: listed.final_expiry,
        keys: keys.clone(),
    })
}
