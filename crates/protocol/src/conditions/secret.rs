//! Reads a secret in the form of NUT-10. No curve arithmetic happens here.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::MAX_KEYS_PER_SECRET;
use super::error::{Malformed, Tag};
use crate::hex;
use crate::json::from_json;
use crate::point::{PointBytes, PublicKey};
use crate::secret::Secret;

/// The kinds of condition (NUT-11, NUT-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// Locked to keys.
    P2pk,
    /// Locked to a hash, and keys where it names some.
    Htlc,
}

impl ConditionKind {
    /// The name in a secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P2pk => "P2PK",
            Self::Htlc => "HTLC",
        }
    }
}

/// What a signature covers (NUT-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigFlag {
    /// The secret of its own input.
    #[default]
    Inputs,
    /// Every input and output of the request.
    All,
}

impl SigFlag {
    /// The value of the tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inputs => "SIG_INPUTS",
            Self::All => "SIG_ALL",
        }
    }
}

/// The x coordinate of a key in a condition. Keys that differ in parity alone are the same key (NUT-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConditionKey([u8; 32]);

impl ConditionKey {
    fn read(text: &str) -> Result<Self, Malformed> {
        let bytes: [u8; 33] = hex_any_case(text).ok_or(Malformed::Key)?;
        PointBytes::from_bytes(&bytes).map(Self::from).map_err(|_| Malformed::Key)
    }

    /// The x coordinate, big-endian. On the curve or not: verification finds out.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<&PublicKey> for ConditionKey {
    fn from(key: &PublicKey) -> Self {
        PointBytes::from(key).into()
    }
}

impl From<PointBytes> for ConditionKey {
    fn from(point: PointBytes) -> Self {
        let [_parity, x @ ..] = *point.as_bytes();
        Self(x)
    }
}

/// Keys of which some must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pathway {
    pub(super) keys: Vec<ConditionKey>,
    pub(super) needed: usize,
}

/// A well-formed spending condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    kind: ConditionKind,
    data: String,
    tags: Vec<Vec<String>>,
    flag: SigFlag,
    hash: Option<[u8; 32]>,
    main: Option<Pathway>,
    locktime: Option<u64>,
    refund: Option<Pathway>,
}

/// NUT-10's object. A field twice is an error, and so is one that NUT-10 does not have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    // Makes secrets differ and has no meaning of its own, but must be there.
    #[serde(rename = "nonce")]
    _nonce: String,
    data: String,
    #[serde(default)]
    tags: Option<Vec<Vec<String>>>,
}

/// A [`Body`] that stands there as an object; a derived reader also takes a list for one.
struct Object(Body);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with nonce, data and tags")
            }
            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Object, A::Error> {
                Body::deserialize(MapAccessDeserializer::new(entries)).map(Object)
            }
        }
        d.deserialize_map(Entries)
    }
}

impl Condition {
    /// The condition that `secret` carries; `None` for a plain secret.
    ///
    /// # Errors
    /// [`Malformed`] for every secret that begins with `[` and is not a condition of a known kind.
    pub fn of(secret: &Secret) -> Result<Option<Self>, Malformed> {
        let text = secret.as_str().trim_start();
        if !text.starts_with('[') {
            return Ok(None);
        }
        let (kind, Object(body)): (String, Object) = from_json(text.as_bytes()).map_err(|_| Malformed::Shape)?;
        let kind = [ConditionKind::P2pk, ConditionKind::Htlc].into_iter().find(|known| known.as_str() == kind);
        Self::read(kind.ok_or(Malformed::Kind)?, body).map(Some)
    }

    fn read(kind: ConditionKind, body: Body) -> Result<Self, Malformed> {
        let list = body.tags.unwrap_or_default();
        let tags = Tags::read(&list)?;
        let flag = tags.flag()?;
        let pubkeys = tags.keys(Tag::Pubkeys)?;
        let (hash, main_keys) = match kind {
            ConditionKind::P2pk => {
                let mut keys = vec![ConditionKey::read(&body.data)?];
                keys.extend(pubkeys.unwrap_or_default());
                (None, Some(keys))
            }
            ConditionKind::Htlc => (Some(hex_any_case(&body.data).ok_or(Malformed::Hash)?), pubkeys),
        };
        let refund_keys = tags.keys(Tag::Refund)?;
        let total = main_keys.as_ref().map_or(0, Vec::len) + refund_keys.as_ref().map_or(0, Vec::len);
        if total > MAX_KEYS_PER_SECRET {
            return Err(Malformed::TooManyKeys);
        }
        let main = tags.pathway(main_keys, Tag::NSigs)?;
        let refund = tags.pathway(refund_keys, Tag::NSigsRefund)?;
        let locktime = tags.locktime()?;
        Ok(Self { kind, data: body.data, tags: list, flag, hash, main, locktime, refund })
    }

    /// The kind.
    pub const fn kind(&self) -> ConditionKind {
        self.kind
    }

    /// What signatures cover.
    pub const fn flag(&self) -> SigFlag {
        self.flag
    }

    /// When the lock expires, in seconds since 1970; `None` is never.
    pub const fn locktime(&self) -> Option<u64> {
        self.locktime
    }

    /// Whether the lock has expired. At the very second of the locktime it has not.
    pub fn expired(&self, now: u64) -> bool {
        self.locktime.is_some_and(|locktime| locktime < now)
    }

    /// Whether both may stand in one request that is signed as a whole.
    pub(super) fn same_lock(&self, other: &Self) -> bool {
        self.kind == other.kind && self.data == other.data && self.tags == other.tags
    }

    /// The SHA-256 whose preimage a hash lock wants.
    pub const fn hash(&self) -> Option<&[u8; 32]> {
        self.hash.as_ref()
    }

    pub(super) const fn main(&self) -> Option<&Pathway> {
        self.main.as_ref()
    }

    pub(super) const fn refund(&self) -> Option<&Pathway> {
        self.refund.as_ref()
    }

    /// The keys of the main pathway, and how many of them must sign; none for a hash lock without keys.
    pub fn signers(&self) -> Option<(&[ConditionKey], usize)> {
        self.main.as_ref().map(|pathway| (pathway.keys.as_slice(), pathway.needed))
    }

    /// The keys that can spend once the lock has expired, and how many of them must sign; none when anyone can.
    pub fn refunders(&self) -> Option<(&[ConditionKey], usize)> {
        self.refund.as_ref().map(|pathway| (pathway.keys.as_slice(), pathway.needed))
    }

    /// Every key as it stands there, with its parity: that of `data`, then `pubkeys`, then `refund`, the order of NUT-28's slots.
    pub(crate) fn points(&self) -> Vec<PointBytes> {
        let data = (self.kind == ConditionKind::P2pk).then_some(&self.data);
        let of_tag = |tag: Tag| self.tags.iter().find(move |list| list[0] == tag.as_str()).into_iter();
        let of_tags = [Tag::Pubkeys, Tag::Refund].into_iter().flat_map(of_tag).flat_map(|list| &list[1..]);
        let bytes = data.into_iter().chain(of_tags).filter_map(|text| hex_any_case::<33>(text));
        bytes.filter_map(|bytes| PointBytes::from_bytes(&bytes).ok()).collect()
    }

    /// Every key, of both pathways, in the order of NUT-28's slots.
    pub fn keys(&self) -> impl Iterator<Item = ConditionKey> {
        [&self.main, &self.refund].into_iter().flatten().flat_map(|pathway| pathway.keys.iter().copied())
    }
}

/// The known tags of a secret, each at most once; others mean nothing here.
struct Tags<'a>(Vec<(Tag, &'a [String])>);

impl<'a> Tags<'a> {
    fn read(list: &'a [Vec<String>]) -> Result<Self, Malformed> {
        let mut known = Vec::new();
        for tag in list {
            let (name, values) = tag.split_first().ok_or(Malformed::EmptyTag)?;
            if tag.iter().any(String::is_empty) {
                return Err(Malformed::EmptyTag);
            }
            let Some(tag) = Tag::of(name) else { continue };
            if known.iter().any(|(other, _)| *other == tag) {
                return Err(Malformed::Repeated(tag));
            }
            known.push((tag, values));
        }
        Ok(Self(known))
    }

    fn values(&self, tag: Tag) -> Option<&'a [String]> {
        self.0.iter().find(|(known, _)| *known == tag).map(|(_, values)| *values)
    }

    /// The value of a tag that takes one.
    fn value(&self, tag: Tag) -> Result<Option<&'a str>, Malformed> {
        match self.values(tag) {
            None => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(Malformed::NotOneValue(tag)),
        }
    }

    fn flag(&self) -> Result<SigFlag, Malformed> {
        let flags = [SigFlag::Inputs, SigFlag::All];
        match self.value(Tag::SigFlag)? {
            None => Ok(SigFlag::default()),
            Some(text) => flags.into_iter().find(|flag| flag.as_str() == text).ok_or(Malformed::SigFlag),
        }
    }

    fn keys(&self, tag: Tag) -> Result<Option<Vec<ConditionKey>>, Malformed> {
        self.values(tag).map(|texts| texts.iter().map(|text| ConditionKey::read(text)).collect()).transpose()
    }

    /// The keys with the number of them that must sign: 1 unless `count` says otherwise.
    fn pathway(&self, keys: Option<Vec<ConditionKey>>, count: Tag) -> Result<Option<Pathway>, Malformed> {
        let needed = self.value(count)?.map(|text| decimal(text).ok_or(Malformed::Count(count))).transpose()?;
        let Some(keys) = keys else {
            return if needed.is_none() { Ok(None) } else { Err(Malformed::Count(count)) };
        };
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed::RepeatedKey);
        }
        let needed = needed.map_or(Some(1), |count| usize::try_from(count).ok());
        match needed {
            Some(needed) if needed >= 1 && (needed <= keys.len() || self.values(count).is_none()) => {
                Ok(Some(Pathway { keys, needed }))
            }
            _ => Err(Malformed::Count(count)),
        }
    }

    /// NUT-11: what is no valid time locks for ever.
    fn locktime(&self) -> Result<Option<u64>, Malformed> {
        match self.values(Tag::Locktime) {
            None | Some([]) => Ok(None),
            Some([text]) => Ok(decimal(text)),
            Some(_) => Err(Malformed::NotOneValue(Tag::Locktime)),
        }
    }
}

/// A number written with decimal digits and nothing else.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Conditions are the one place where hex may be of either case: NUT-11 compares keys without regard to it.
pub(super) fn hex_any_case<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    hex::decode(&text.to_ascii_lowercase()).ok()
}
