//! Reads a request body: one JSON object, unambiguous, then the message in it.
//!
//! Two readers that see different values in one text are how a check is walked around. So before a message is read, its text
//! must be one object in which no key stands twice, at any depth. The parser refuses nesting beyond 128 levels; the check is
//! written so that this holds for ignored fields too.

use std::borrow::Cow;
use std::fmt;

use hazel_protocol::{ErrorCode, JsonError, MAX_INPUTS, MAX_OUTPUTS, from_json};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most members in one object of a request. The messages of the NUTs have ten at most.
const MAX_MEMBERS: usize = 64;

/// Why a body is not the message that the route takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not such a message. The error holds none of the body.
    Malformed(JsonError),
    /// A list of the message is longer than this mint reads: [`ErrorCode::MaxInputsExceeded`] or
    /// [`ErrorCode::MaxOutputsExceeded`].
    TooMany(ErrorCode),
}

/// Reads the message in `body`.
///
/// # Errors
/// [`Unreadable`].
pub(super) fn read_message<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    from_json::<Object>(body).map_err(Unreadable::Malformed)?;
    from_json(body).map_err(|error| match too_many(body) {
        Some(code) if !error.is_syntax() => Unreadable::TooMany(code),
        _ => Unreadable::Malformed(error),
    })
}

/// Which list of a transaction is too long, if one is. Looked at only when the message was refused, to give that refusal the
/// code that the NUTs have for it.
fn too_many(body: &[u8]) -> Option<ErrorCode> {
    #[derive(Deserialize)]
    struct Lengths {
        #[serde(default)]
        inputs: Length,
        #[serde(default)]
        outputs: Length,
    }
    let lengths: Lengths = from_json(body).ok()?;
    match lengths {
        Lengths { inputs, .. } if inputs.0 > MAX_INPUTS => Some(ErrorCode::MaxInputsExceeded),
        Lengths { outputs, .. } if outputs.0 > MAX_OUTPUTS => Some(ErrorCode::MaxOutputsExceeded),
        _ => None,
    }
}

/// How many items a list has; what is no list counts as empty.
#[derive(Default)]
struct Length(usize);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Length;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Length, A::Error> {
                let mut count = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Length(count))
            }
            fn visit_unit<E: Error>(self) -> Result<Length, E> {
                Ok(Length(0))
            }
        }
        d.deserialize_any(Count)
    }
}

/// A JSON object without repeated keys at any depth. Holds nothing: it is a check.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object, A::Error> {
                check_members(members).map(|()| Object)
            }
        }
        d.deserialize_map(Members)
    }
}

fn check_members<'de, A: MapAccess<'de>>(mut members: A) -> Result<(), A::Error> {
    let mut seen: Vec<Cow<'de, str>> = Vec::new();
    while let Some(Key(key)) = members.next_key()? {
        if seen.len() >= MAX_MEMBERS {
            return Err(A::Error::custom(format_args!("an object has more than {MAX_MEMBERS} members")));
        }
        if seen.contains(&key) {
            return Err(A::Error::custom("an object has a key twice"));
        }
        seen.push(key);
        members.next_value::<AnyValue>()?;
    }
    Ok(())
}

/// The key of a member, borrowed from the body where its spelling has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_str(Text)
    }
}

/// Any JSON value in which no object has a key twice. Unlike [`IgnoredAny`] it is read by recursion, so the parser's limit on
/// nesting applies to it.
struct AnyValue;

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_unit<E: Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnyValue, A::Error> {
        while items.next_element::<AnyValue>()?.is_some() {}
        Ok(AnyValue)
    }
    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<AnyValue, A::Error> {
        check_members(members).map(|()| AnyValue)
    }
}

#[cfg(test)]
mod tests {
    use hazel_protocol::SwapRequest;
    use serde_json::Value;

    use super::*;

    fn shape(text: &str) -> Result<Value, Unreadable> {
        read_message(text.as_bytes())
    }

    #[test]
    fn only_one_object_is_a_message() {
        assert!(shape(r#" {"a": [1, 2.5, "x", null, true, {"b": {}}]} "#).is_ok());
        for text in
            ["", " ", "null", "[]", "1", "\"x\"", "{} {}", "{}x", "{", "{\"a\":}", "{'a':1}", "\u{feff}{}", "{a:1}"]
        {
            assert!(shape(text).is_err(), "{text:?}");
        }
        assert!(read_message::<Value>(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_key_stands_once_in_any_spelling_and_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"unknown":{"a":1,"b":2,"a":3}}"#,
            r#"{"list":[{"a":1},{"a":1,"a":2}]}"#,
        ] {
            let Err(Unreadable::Malformed(error)) = shape(text) else { panic!("{text}") };
            assert!(error.to_string().contains("twice"), "{error}");
        }
        assert!(shape(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded_in_known_and_unknown_fields() {
        let nested =
            |depth: usize, open: &str, close: &str| format!("{{\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        assert!(shape(&nested(100, "[", "]")).is_ok());
        for depth in [128, 100_000] {
            assert!(shape(&nested(depth, "[", "]")).is_err());
            assert!(shape(&nested(depth, "{\"x\":", "}")).is_err());
        }
        assert!(shape(&"[".repeat(100_000)).is_err());
        assert!(shape(&format!("{{\"inputs\":{}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn an_object_has_few_members() {
        let object = |members: usize| {
            let list: Vec<String> = (0..members).map(|n| format!("\"k{n}\":0")).collect();
            format!("{{{}}}", list.join(","))
        };
        assert!(shape(&object(MAX_MEMBERS)).is_ok());
        assert!(shape(&object(MAX_MEMBERS + 1)).is_err());
    }

    #[test]
    fn a_list_that_is_too_long_has_the_code_of_the_nuts() {
        let output = r#"{"amount":1,"id":"009a1f293253e41e","B_":"02634a2c2b34bec9e8a4aba4361f6bf202d7fa2365379b0840afe249a7a9d71239"}"#;
        let outputs = |n: usize| format!(r#"{{"inputs":[],"outputs":[{}]}}"#, vec![output; n].join(","));
        assert!(read_message::<SwapRequest>(outputs(MAX_OUTPUTS).as_bytes()).is_ok());
        assert_eq!(
            read_message::<SwapRequest>(outputs(MAX_OUTPUTS + 1).as_bytes()),
            Err(Unreadable::TooMany(ErrorCode::MaxOutputsExceeded))
        );
        let input = r#"{"amount":1,"id":"009a1f293253e41e","secret":"x","C":"02634a2c2b34bec9e8a4aba4361f6bf202d7fa2365379b0840afe249a7a9d71239"}"#;
        let inputs = format!(r#"{{"inputs":[{}],"outputs":[]}}"#, vec![input; MAX_INPUTS + 1].join(","));
        assert_eq!(
            read_message::<SwapRequest>(inputs.as_bytes()),
            Err(Unreadable::TooMany(ErrorCode::MaxInputsExceeded))
        );
    }
}
