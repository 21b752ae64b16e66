//! Text that comes from another party: how it is read, bounded and shown.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Makes text from another party safe to show in a terminal or a log: control characters (escape sequences, line
/// breaks) and characters that reorder the line become `?`.
///
/// ```
/// assert_eq!(hazel_protocol::neutralise("hi\u{1b}[2J there"), "hi?[2J there");
/// ```
pub fn neutralise(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { '?' }).collect()
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{200b}'..='\u{200f}' // zero width, left-to-right marks
            | '\u{2028}'..='\u{202e}' // line separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{feff}')
}

/// The longest prefix of `text` that has at most `limit` bytes and ends between two characters.
pub(crate) fn prefix(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A string of at most `N` bytes, for `#[serde(deserialize_with)]`.
pub(crate) fn bounded<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<String, D::Error> {
    d.deserialize_string(BoundedText::<N>)
}

/// An optional string of at most `N` bytes, for `#[serde(default, deserialize_with)]`; `null` is none.
pub(crate) fn bounded_option<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<Option<String>, D::Error> {
    struct Optional<const N: usize>;
    impl<'de, const N: usize> Visitor<'de> for Optional<N> {
        type Value = Option<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a string of at most {N} bytes or null")
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
            bounded::<D, N>(d).map(Some)
        }
    }
    d.deserialize_option(Optional::<N>)
}

struct BoundedText<const N: usize>;

impl<const N: usize> Visitor<'_> for BoundedText<N> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string of at most {N} bytes")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if text.len() > N {
            return Err(E::custom(format_args!("text of {} bytes is longer than the limit of {N}", text.len())));
        }
        Ok(text.to_owned())
    }
}

/// Serde for a type whose JSON form is the string that `Display` writes and `FromStr` reads.
///
/// Errors come from `FromStr` and so never repeat the text.
macro_rules! serde_as_text {
    ($type:ty, $what:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        $crate::text::serde_from_text!($type, $what);
    };
}

/// The reading half of [`serde_as_text`].
macro_rules! serde_from_text {
    ($type:ty, $what:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                d.deserialize_str(Text)
            }
        }
    };
}

pub(crate) use {serde_as_text, serde_from_text};
