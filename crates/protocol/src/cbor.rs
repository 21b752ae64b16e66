//! Reading CBOR maps and arrays whose fields come in any order.

use minicbor::Decoder;
use minicbor::data::Type;

use crate::limits::MAX_NESTING;

/// Why bytes are not the CBOR that was expected. Holds nothing of any value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Not well-formed, or of another type than expected.
    #[error("{0}")]
    Malformed(String),
    /// A field is missing.
    #[error("the field {0:?} is missing")]
    MissingField(&'static str),
    /// A field is given twice.
    #[error("the field {0:?} is given twice")]
    DuplicateField(&'static str),
    /// Values are nested too deeply.
    #[error("more than {MAX_NESTING} levels deep")]
    TooDeep,
}

/// The value of one field of a map, which may be filled once.
pub(crate) struct Slot<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Slot<T> {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    pub(crate) fn fill(&mut self, value: T) -> Result<(), CborError> {
        if self.value.is_some() {
            return Err(CborError::DuplicateField(self.name));
        }
        self.value = Some(value);
        Ok(())
    }

    pub(crate) fn required(self) -> Result<T, CborError> {
        self.value.ok_or(CborError::MissingField(self.name))
    }
}

impl<T> Slot<Option<T>> {
    /// The value of a field that may be missing or null.
    pub(crate) fn or_none(self) -> Option<T> {
        self.value.flatten()
    }
}

/// The decoder's errors name types and positions and quote nothing.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(crate) fn malformed(error: minicbor::decode::Error) -> CborError {
    CborError::Malformed(error.to_string())
}

/// Reads a map. `read` gets the name of each field and says whether it knows it and has read its value; the values of other
/// fields, and of fields whose name is no text, are skipped.
pub(crate) fn each_field<'b, E: From<CborError>>(
    d: &mut Decoder<'b>,
    mut read: impl FnMut(&mut Decoder<'b>, &str) -> Result<bool, E>,
) -> Result<(), E> {
    let length = d.map().map_err(malformed)?;
    repeat(d, length, |d| {
        let known = if d.datatype().map_err(malformed)? == Type::String {
            let name = d.str().map_err(malformed)?;
            read(d, name)?
        } else {
            skip(d, MAX_NESTING)?;
            false
        };
        if known { Ok(()) } else { Ok(skip(d, MAX_NESTING)?) }
    })
}

/// Reads an array.
pub(crate) fn each_item<'b, E: From<CborError>>(
    d: &mut Decoder<'b>,
    read: impl FnMut(&mut Decoder<'b>) -> Result<(), E>,
) -> Result<(), E> {
    let length = d.array().map_err(malformed)?;
    repeat(d, length, read)
}

/// Reads a value that may be null.
pub(crate) fn optional<'b, T, E: From<CborError>>(
    d: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, E>,
) -> Result<Option<T>, E> {
    match d.datatype().map_err(malformed)? {
        Type::Null => Ok(d.null().map(|()| None).map_err(malformed)?),
        Type::Undefined => Ok(d.undefined().map(|()| None).map_err(malformed)?),
        _ => read(d).map(Some),
    }
}

/// Calls `read` for each item of a container: `length` times, or up to the mark that ends a container of open length.
fn repeat<'b, E: From<CborError>>(
    d: &mut Decoder<'b>,
    length: Option<u64>,
    mut read: impl FnMut(&mut Decoder<'b>) -> Result<(), E>,
) -> Result<(), E> {
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
fn skip(d: &mut Decoder<'_>, depth: usize) -> Result<(), CborError> {
    let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
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
        Type::Break => Err(CborError::Malformed("unexpected end of a container".to_owned())),
        // Numbers, simple values, and strings in one or several chunks hold no further values.
        _ => d.skip().map_err(malformed),
    }
}

/// Reads a text in one piece.
pub(crate) fn text<'b>(d: &mut Decoder<'b>) -> Result<&'b str, CborError> {
    d.str().map_err(malformed)
}

/// Reads a byte string in one piece.
pub(crate) fn bytes<'b>(d: &mut Decoder<'b>) -> Result<&'b [u8], CborError> {
    d.bytes().map_err(malformed)
}

/// What writing to memory returns.
pub(crate) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// A length as CBOR writes it.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).expect("lengths in memory fit into 64 bits")
}
