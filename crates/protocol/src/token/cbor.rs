//! Reading CBOR maps and arrays whose fields come in any order.

use minicbor::Decoder;
use minicbor::data::Type;

use super::TokenError;
use crate::limits::MAX_NESTING;

/// The value of one field of a map, which may be filled once.
pub(super) struct Slot<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Slot<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    pub(super) fn fill(&mut self, value: T) -> Result<(), TokenError> {
        if self.value.is_some() {
            return Err(TokenError::DuplicateField(self.name));
        }
        self.value = Some(value);
        Ok(())
    }

    pub(super) fn required(self) -> Result<T, TokenError> {
        self.value.ok_or(TokenError::MissingField(self.name))
    }
}

impl<T> Slot<Option<T>> {
    /// The value of a field that may be missing or null.
    pub(super) fn or_none(self) -> Option<T> {
        self.value.flatten()
    }
}

/// The decoder's errors name types and positions and quote nothing.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn malformed(error: minicbor::decode::Error) -> TokenError {
    TokenError::Cbor(error.to_string())
}

/// Reads a map. `read` gets the name of each field and says whether it knows it and has read its value; the values of other
/// fields, and of fields whose name is no text, are skipped.
pub(super) fn each_field<'b>(
    d: &mut Decoder<'b>,
    mut read: impl FnMut(&mut Decoder<'b>, &str) -> Result<bool, TokenError>,
) -> Result<(), TokenError> {
    let length = d.map().map_err(malformed)?;
    repeat(d, length, |d| {
        let known = if d.datatype().map_err(malformed)? == Type::String {
            let name = d.str().map_err(malformed)?;
            read(d, name)?
        } else {
            skip(d, MAX_NESTING)?;
            false
        };
        if known { Ok(()) } else { skip(d, MAX_NESTING) }
    })
}

/// Reads an array.
pub(super) fn each_item<'b>(
    d: &mut Decoder<'b>,
    read: impl FnMut(&mut Decoder<'b>) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    let length = d.array().map_err(malformed)?;
    repeat(d, length, read)
}

/// Reads a value that may be null.
pub(super) fn optional<'b, T>(
    d: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, TokenError>,
) -> Result<Option<T>, TokenError> {
    match d.datatype().map_err(malformed)? {
        Type::Null => d.null().map(|()| None).map_err(malformed),
        Type::Undefined => d.undefined().map(|()| None).map_err(malformed),
        _ => read(d).map(Some),
    }
}

/// Calls `read` for each item of a container: `length` times, or up to the mark that ends a container of open length.
fn repeat<'b>(
    d: &mut Decoder<'b>,
    length: Option<u64>,
    mut read: impl FnMut(&mut Decoder<'b>) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    if let Some(length) = length {
        return (0..length).try_for_each(|_| read(d));
    }
    while d.datatype().map_err(malformed)? != Type::Break {
        read(d)?;
    }
    d.set_position(d.position() + 1);
    Ok(())
}

/// Skips one value, at most `depth` levels deep.
fn skip(d: &mut Decoder<'_>, depth: usize) -> Result<(), TokenError> {
    let depth = depth.checked_sub(1).ok_or(TokenError::TooDeep)?;
    match d.datatype().map_err(malformed)? {
        Type::Array | Type::ArrayIndef => each_item(d, |d| skip(d, depth)),
        Type::Map | Type::MapIndef => {
            let length = d.map().map_err(malformed)?;
            repeat(d, length, |d| {
                skip(d, depth)?;
                skip(d, depth)
            })
        }
        Type::Tag => {
            d.tag().map_err(malformed)?;
            skip(d, depth)
        }
        Type::Break => Err(TokenError::Cbor("unexpected end of a container".to_owned())),
        // Numbers, simple values, and strings in one or several chunks hold no further values.
        _ => d.skip().map_err(malformed),
    }
}
