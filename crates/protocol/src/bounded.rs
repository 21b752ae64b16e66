//! Lists with a limit that holds while they are read.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// A list of at most `N` items.
///
/// Reading stops with an error at item `N + 1`, whatever follows, so that a peer cannot make a list grow beyond its
/// limit.
///
/// ```
/// use hazel_protocol::{BoundedVec, from_json};
/// let pair: BoundedVec<u8, 2> = from_json(b"[1, 2]")?;
/// assert_eq!(pair.len(), 2);
/// let error = from_json::<BoundedVec<u8, 2>>(b"[1, 2, 3]").expect_err("one item too many");
/// assert_eq!(error.to_string(), "too many items: at most 2 are allowed at line 1 column 9");
/// # Ok::<(), hazel_protocol::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BoundedVec<T, const N: usize>(Vec<T>);

/// A list is longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many items: at most {limit} are allowed")]
pub struct TooManyItems {
    /// The limit, a count of items.
    pub limit: usize,
}

impl<T, const N: usize> BoundedVec<T, N> {
    /// The most items that the list may have.
    pub const LIMIT: usize = N;

    /// The empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The items as a plain list.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }

    /// The items.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Adds an item at the end.
    ///
    /// # Errors
    /// [`TooManyItems`] when the list is full.
    pub fn push(&mut self, item: T) -> Result<(), TooManyItems> {
        if self.0.len() >= N {
            return Err(TooManyItems { limit: N });
        }
        self.0.push(item);
        Ok(())
    }
}

impl<T, const N: usize> Default for BoundedVec<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for BoundedVec<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> AsRef<[T]> for BoundedVec<T, N> {
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> TryFrom<Vec<T>> for BoundedVec<T, N> {
    type Error = TooManyItems;
    fn try_from(items: Vec<T>) -> Result<Self, TooManyItems> {
        if items.len() > N {
            return Err(TooManyItems { limit: N });
        }
        Ok(Self(items))
    }
}

impl<T, const N: usize> From<BoundedVec<T, N>> for Vec<T> {
    fn from(list: BoundedVec<T, N>) -> Self {
        list.0
    }
}

impl<T, const N: usize> IntoIterator for BoundedVec<T, N> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a BoundedVec<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Serialize, const N: usize> Serialize for BoundedVec<T, N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for BoundedVec<T, N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_seq(ListVisitor { what: "items", item: PhantomData })
    }
}

/// How the error of a list of inputs that is too long begins.
pub(crate) const TOO_MANY_INPUTS: &str = "too many inputs";
/// How the error of a list of outputs that is too long begins.
pub(crate) const TOO_MANY_OUTPUTS: &str = "too many outputs";
/// How the error of a list of quotes that is too long begins.
pub(crate) const TOO_MANY_QUOTES: &str = "too many quotes";

/// A list whose errors call its items inputs, for `#[serde(deserialize_with)]`.
pub(crate) fn inputs<'de, D, T, const N: usize>(d: D) -> Result<BoundedVec<T, N>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    d.deserialize_seq(ListVisitor { what: "inputs", item: PhantomData })
}

/// A list whose errors call its items outputs, for `#[serde(deserialize_with)]`.
pub(crate) fn outputs<'de, D, T, const N: usize>(d: D) -> Result<BoundedVec<T, N>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    d.deserialize_seq(ListVisitor { what: "outputs", item: PhantomData })
}

/// A list whose errors call its items quotes, for `#[serde(deserialize_with)]`.
pub(crate) fn quotes<'de, D, T, const N: usize>(d: D) -> Result<BoundedVec<T, N>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    d.deserialize_seq(ListVisitor { what: "quotes", item: PhantomData })
}

/// As [`outputs`], for a list that may be missing or `null`.
pub(crate) fn outputs_option<'de, D, T, const N: usize>(d: D) -> Result<Option<BoundedVec<T, N>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Named<T, const N: usize>(BoundedVec<T, N>);
    impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Named<T, N> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            outputs(d).map(Self)
        }
    }
    Ok(Option::<Named<T, N>>::deserialize(d)?.map(|list| list.0))
}

/// A plain list of at most `N` items, or nothing for `null`, for `#[serde(deserialize_with)]`.
pub(crate) fn list<'de, D, T, const N: usize>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<BoundedVec<T, N>>::deserialize(d)?.unwrap_or_default().into_inner())
}

struct ListVisitor<T, const N: usize> {
    what: &'static str,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for ListVisitor<T, N> {
    type Value = BoundedVec<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N} {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = BoundedVec::new();
        while let Some(item) = items.next_element()? {
            let too_many = |_| A::Error::custom(format_args!("too many {}: at most {N} are allowed", self.what));
            list.push(item).map_err(too_many)?;
        }
        Ok(list)
    }
}
