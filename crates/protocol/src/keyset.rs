//! Keysets: the public keys of a mint, and the ids that commit to them (NUT-01, NUT-02).
//!
//! A [`KeysetId`] is a hash. Version 1 (`00...`, 8 bytes) covers the keys alone; version 2 (`01...`, 33 bytes) covers the
//! unit, the fee and the expiry, too. A wallet computes the id itself ([`verify_keyset_id`]), so that a mint cannot show
//! different keys to different users under one id. Tokens may carry only the first 8 bytes of a version 2 id, a
//! [`ShortKeysetId`], which means nothing until it is resolved against the ids of the mint.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write;
use std::str::FromStr;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::amount::Amount;
use crate::hex::{self, HexError};
use crate::limits::MAX_KEYS_PER_KEYSET;
use crate::point::PublicKey;
use crate::text::serde_as_text;
use crate::unit::CurrencyUnit;

const V1_BYTES: usize = 8;
const V2_BYTES: usize = 33;
const V1_PREFIX: u8 = 0x00;
const V2_PREFIX: u8 = 0x01;

/// What is wrong with a keyset or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysetError {
    /// The text of the id is not canonical hexadecimal.
    #[error("invalid keyset id: {0}")]
    Hex(#[from] HexError),
    /// The length of the id fits no version; the number is in bytes.
    #[error("invalid keyset id: {0} bytes fit no known version")]
    Length(usize),
    /// The first byte is no known version, or belongs to another length.
    #[error("invalid keyset id: version byte {0:02x} does not fit the length")]
    Version(u8),
    /// A short id was given where the full one is needed.
    #[error("invalid keyset id: this is a short id, the full one is needed")]
    Short,
    /// No known keyset has this id.
    #[error("no known keyset has this id")]
    Unknown,
    /// A short id fits more than one known keyset.
    #[error("the short keyset id fits more than one known keyset")]
    Ambiguous,
    /// The keyset has no keys.
    #[error("the keyset has no keys")]
    NoKeys,
    /// The keyset has more than [`MAX_KEYS_PER_KEYSET`] keys.
    #[error("the keyset has more than {MAX_KEYS_PER_KEYSET} keys")]
    TooManyKeys,
    /// The keyset has a key for the amount zero.
    #[error("the keyset has a key for the amount zero")]
    ZeroAmount,
    /// Two keys are given for one amount.
    #[error("the keyset has two keys for the amount {0}")]
    DuplicateAmount(Amount),
    /// The id is not the hash of the keys and properties shown with it.
    #[error("the keyset id does not match the keys and properties of the keyset")]
    Mismatch,
}

/// The version of a keyset id (NUT-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeysetVersion {
    /// `00`: 8 bytes, covers the public keys. Deprecated.
    V1,
    /// `01`: 33 bytes, covers keys, unit, fee and final expiry.
    V2,
}

/// The full id of a keyset (NUT-02).
///
/// ```
/// use hazel_protocol::{KeysetId, KeysetVersion};
/// let id: KeysetId = "009a1f293253e41e".parse()?;
/// assert_eq!(id.version(), KeysetVersion::V1);
/// # Ok::<(), hazel_protocol::KeysetError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeysetId {
    version: KeysetVersion,
    /// Padded with zeroes at the end.
    bytes: [u8; V2_BYTES],
}

impl KeysetId {
    /// Reads the bytes of an id: 8 that begin with `00`, or 33 that begin with `01`.
    ///
    /// # Errors
    /// [`KeysetError::Short`] for a short id, [`KeysetError::Length`] or [`KeysetError::Version`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeysetError> {
        match TokenKeysetId::from_bytes(bytes)? {
            TokenKeysetId::Full(id) => Ok(id),
            TokenKeysetId::Short(_) => Err(KeysetError::Short),
        }
    }

    /// The bytes: 8 or 33.
    pub fn as_bytes(&self) -> &[u8] {
        match self.version {
            KeysetVersion::V1 => &self.bytes[..V1_BYTES],
            KeysetVersion::V2 => &self.bytes,
        }
    }

    /// The version.
    pub const fn version(&self) -> KeysetVersion {
        self.version
    }

    /// The first 8 bytes. For a version 1 id these are the whole id.
    pub fn short(&self) -> ShortKeysetId {
        let mut bytes = [0; V1_BYTES];
        bytes.copy_from_slice(&self.bytes[..V1_BYTES]);
        ShortKeysetId(bytes)
    }

    fn v1(bytes: [u8; V1_BYTES]) -> Self {
        let mut padded = [0; V2_BYTES];
        padded[..V1_BYTES].copy_from_slice(&bytes);
        Self { version: KeysetVersion::V1, bytes: padded }
    }
}

impl fmt::Display for KeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for KeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeysetId({self})")
    }
}

impl FromStr for KeysetId {
    type Err = KeysetError;
    fn from_str(text: &str) -> Result<Self, KeysetError> {
        match text.parse()? {
            TokenKeysetId::Full(id) => Ok(id),
            TokenKeysetId::Short(_) => Err(KeysetError::Short),
        }
    }
}

serde_as_text!(KeysetId, "a keyset id: 16 or 66 lower-case hex digits");

/// The first 8 bytes of a keyset id, as tokens may carry them (NUT-00).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortKeysetId([u8; V1_BYTES]);

impl ShortKeysetId {
    /// Takes 8 bytes.
    pub const fn from_bytes(bytes: [u8; V1_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; V1_BYTES] {
        &self.0
    }
}

impl fmt::Display for ShortKeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ShortKeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortKeysetId({self})")
    }
}

/// A keyset id as it stands in a token: full or short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKeysetId {
    /// A full id of either version.
    Full(KeysetId),
    /// The first 8 bytes of a version 2 id.
    Short(ShortKeysetId),
}

impl TokenKeysetId {
    /// Reads 8 or 33 bytes. Eight bytes that begin with `01` are a short id.
    ///
    /// # Errors
    /// [`KeysetError::Length`] or [`KeysetError::Version`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeysetError> {
        if let Ok(bytes) = <[u8; V1_BYTES]>::try_from(bytes) {
            return match bytes[0] {
                V1_PREFIX => Ok(Self::Full(KeysetId::v1(bytes))),
                V2_PREFIX => Ok(Self::Short(ShortKeysetId(bytes))),
                other => Err(KeysetError::Version(other)),
            };
        }
        let bytes = <[u8; V2_BYTES]>::try_from(bytes).map_err(|_| KeysetError::Length(bytes.len()))?;
        match bytes[0] {
            V2_PREFIX => Ok(Self::Full(KeysetId { version: KeysetVersion::V2, bytes })),
            other => Err(KeysetError::Version(other)),
        }
    }

    /// The bytes: 8 or 33.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Full(id) => id.as_bytes(),
            Self::Short(id) => id.as_bytes(),
        }
    }

    /// The full id: itself, or the one among `known` that a short id belongs to.
    ///
    /// # Errors
    /// [`KeysetError::Unknown`] or [`KeysetError::Ambiguous`] for a short id.
    pub fn resolve(&self, known: &[KeysetId]) -> Result<KeysetId, KeysetError> {
        match self {
            Self::Full(id) => Ok(*id),
            Self::Short(id) => resolve_short_id(*id, known),
        }
    }
}

impl fmt::Display for TokenKeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl FromStr for TokenKeysetId {
    type Err = KeysetError;
    fn from_str(text: &str) -> Result<Self, KeysetError> {
        let mut buffer = [0u8; V2_BYTES];
        let bytes = match text.len() {
            16 => &mut buffer[..V1_BYTES],
            66 => &mut buffer[..],
            other => return Err(KeysetError::Length(other / 2)),
        };
        hex::decode_into(text, bytes)?;
        Self::from_bytes(bytes)
    }
}

serde_as_text!(TokenKeysetId, "a keyset id: 16 or 66 lower-case hex digits");

/// The one id among `known` that begins with the short id (NUT-00). The same id listed twice counts once.
///
/// # Errors
/// [`KeysetError::Unknown`] when there is none, [`KeysetError::Ambiguous`] when there are several.
pub fn resolve_short_id(short: ShortKeysetId, known: &[KeysetId]) -> Result<KeysetId, KeysetError> {
    let mut found = None;
    for id in known.iter().filter(|id| id.short() == short) {
        match found {
            Some(other) if other != *id => return Err(KeysetError::Ambiguous),
            _ => found = Some(*id),
        }
    }
    found.ok_or(KeysetError::Unknown)
}

/// The public keys of a keyset, one for each amount (NUT-01): 1 to [`MAX_KEYS_PER_KEYSET`], none for zero.
///
/// In JSON it is an object from decimal amounts to points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysetKeys(BTreeMap<Amount, PublicKey>);

impl KeysetKeys {
    /// Takes the keys.
    ///
    /// # Errors
    /// [`KeysetError::NoKeys`], [`KeysetError::TooManyKeys`] or [`KeysetError::ZeroAmount`].
    pub fn new(keys: BTreeMap<Amount, PublicKey>) -> Result<Self, KeysetError> {
        if keys.is_empty() {
            return Err(KeysetError::NoKeys);
        }
        if keys.len() > MAX_KEYS_PER_KEYSET {
            return Err(KeysetError::TooManyKeys);
        }
        if keys.contains_key(&Amount::ZERO) {
            return Err(KeysetError::ZeroAmount);
        }
        Ok(Self(keys))
    }

    /// The key for an amount, if the keyset has it.
    pub fn get(&self, amount: Amount) -> Option<&PublicKey> {
        self.0.get(&amount)
    }

    /// Amounts and keys, in ascending order of the amount.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Amount, &PublicKey)> + ExactSizeIterator {
        self.0.iter().map(|(amount, key)| (*amount, key))
    }

    /// The amounts, which are the denominations that [`Amount::split`] takes.
    pub fn amounts(&self) -> BTreeSet<Amount> {
        self.0.keys().copied().collect()
    }

    /// The number of keys, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a keyset is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The version 1 id: the first 7 bytes of the SHA-256 of all points, after the byte `00` (NUT-02).
    pub fn id_v1(&self) -> KeysetId {
        let mut engine = sha256::Hash::engine();
        for key in self.0.values() {
            engine.input(&key.to_bytes());
        }
        let hash = sha256::Hash::from_engine(engine).to_byte_array();
        let mut bytes = [V1_PREFIX; V1_BYTES];
        bytes[1..].copy_from_slice(&hash[..V1_BYTES - 1]);
        KeysetId::v1(bytes)
    }

    /// The version 2 id: the byte `01` and the SHA-256 of a text that names keys, unit, fee and expiry (NUT-02).
    ///
    /// `input_fee_ppk` is in thousandths of a minor unit per input; `final_expiry` in seconds since 1970. Zero stands for
    /// none in both.
    pub fn id_v2(&self, unit: &CurrencyUnit, input_fee_ppk: u64, final_expiry: Option<u64>) -> KeysetId {
        let mut text = String::new();
        for (index, (amount, key)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            append(&mut text, format_args!("{comma}{amount}:{key}"));
        }
        append(&mut text, format_args!("|unit:{unit}"));
        if input_fee_ppk != 0 {
            append(&mut text, format_args!("|input_fee_ppk:{input_fee_ppk}"));
        }
        if let Some(expiry) = final_expiry.filter(|expiry| *expiry != 0) {
            append(&mut text, format_args!("|final_expiry:{expiry}"));
        }
        let mut bytes = [V2_PREFIX; V2_BYTES];
        bytes[1..].copy_from_slice(sha256::Hash::hash(text.as_bytes()).as_byte_array());
        KeysetId { version: KeysetVersion::V2, bytes }
    }
}

fn append(text: &mut String, part: fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a string cannot fail");
}

/// Checks that `id` is the hash of the keys and properties that a mint shows with it, by the rule of the id's own
/// version (NUT-02).
///
/// # Errors
/// [`KeysetError::Mismatch`].
pub fn verify_keyset_id(
    id: &KeysetId,
    keys: &KeysetKeys,
    unit: &CurrencyUnit,
    input_fee_ppk: u64,
    final_expiry: Option<u64>,
) -> Result<(), KeysetError> {
    let expected = match id.version() {
        KeysetVersion::V1 => keys.id_v1(),
        KeysetVersion::V2 => keys.id_v2(unit, input_fee_ppk, final_expiry),
    };
    if expected == *id { Ok(()) } else { Err(KeysetError::Mismatch) }
}

impl Serialize for KeysetKeys {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(amount, key)| (amount.to_string(), key)))
    }
}

impl<'de> Deserialize<'de> for KeysetKeys {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = KeysetKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from amounts to public keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<KeysetKeys, A::Error> {
        let mut keys = BTreeMap::new();
        while let Some(AmountKey(amount)) = entries.next_key()? {
            if keys.len() == MAX_KEYS_PER_KEYSET {
                return Err(A::Error::custom(KeysetError::TooManyKeys));
            }
            if keys.insert(amount, entries.next_value()?).is_some() {
                return Err(A::Error::custom(KeysetError::DuplicateAmount(amount)));
            }
        }
        KeysetKeys::new(keys).map_err(A::Error::custom)
    }
}

/// An amount as the key of a JSON object: decimal digits in a string.
struct AmountKey(Amount);

impl FromStr for AmountKey {
    type Err = crate::amount::AmountError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

crate::text::serde_from_text!(AmountKey, "an amount in decimal digits");
