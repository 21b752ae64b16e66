//! `creqA`: CBOR in base64 (NUT-18).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::wire::{Wire, WireLock, WireTransport};
use super::{LockKind, PaymentRequest, PaymentRequestError, check_count};
use crate::amount::Amount;
use crate::cbor::{CborError, Encoded, Slot, count, each_field, each_item, malformed, optional, text};
use crate::limits::{MAX_PAYMENT_REQUEST_BYTES, MAX_REQUEST_MINTS, MAX_REQUEST_TAGS, MAX_TAG_TEXTS, MAX_TRANSPORTS};

/// Base64 with the URL alphabet: written with padding, read with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type Read<T> = Result<T, PaymentRequestError>;

/// Reads what follows `creqA`.
pub(super) fn read(content: &str) -> Read<PaymentRequest> {
    // Wallets that write the other alphabet of base64 are read, too.
    let content = content.replace('+', "-").replace('/', "_");
    let bytes = BASE64.decode(content).map_err(|_| PaymentRequestError::Base64)?;
    let mut decoder = Decoder::new(&bytes);
    let wire = decode(&mut decoder)?;
    if decoder.position() != bytes.len() {
        return Err(PaymentRequestError::TrailingBytes);
    }
    wire.try_into()
}

/// Writes `creqA` and what follows it.
pub(super) fn write(request: &PaymentRequest) -> Read<String> {
    if request.lock.as_ref().is_some_and(|lock| matches!(lock.kind, LockKind::Numbered(_))) {
        return Err(PaymentRequestError::NoForm("kind of lock"));
    }
    let mut encoder = Encoder::new(Vec::new());
    encode(&mut encoder, &request.clone().into()).expect("writing to memory cannot fail");
    let text = format!("creqA{}", BASE64.encode(encoder.into_writer()));
    if text.len() > MAX_PAYMENT_REQUEST_BYTES { Err(PaymentRequestError::TooLong) } else { Ok(text) }
}

/// Writes the fields in the order of the examples of NUT-18.
fn encode(e: &mut Encoder<Vec<u8>>, wire: &Wire) -> Encoded {
    let lists = [!wire.t.is_empty(), !wire.m.is_empty()];
    let options = [wire.i.is_some(), wire.a.is_some(), wire.u.is_some(), wire.d.is_some(), wire.s.is_some()];
    let fields = lists.into_iter().chain(options).chain([wire.nut10.is_some()]);
    e.map(count(fields.filter(|there| *there).count()))?;
    if !wire.t.is_empty() {
        e.str("t")?.array(count(wire.t.len()))?;
        wire.t.iter().try_for_each(|transport| encode_transport(e, transport))?;
    }
    encode_text(e, "i", wire.i.as_deref())?;
    if let Some(amount) = wire.a {
        e.str("a")?.u64(amount.to_u64())?;
    }
    encode_text(e, "u", wire.u.as_deref())?;
    if !wire.m.is_empty() {
        e.str("m")?.array(count(wire.m.len()))?;
        wire.m.iter().try_for_each(|mint| e.str(mint).map(drop))?;
    }
    encode_text(e, "d", wire.d.as_deref())?;
    if let Some(single_use) = wire.s {
        e.str("s")?.bool(single_use)?;
    }
    let Some(lock) = &wire.nut10 else { return Ok(()) };
    e.str("nut10")?.map(2 + u64::from(!lock.t.is_empty()))?.str("k")?.str(&lock.k)?.str("d")?.str(&lock.d)?;
    encode_tags(e, "t", &lock.t)
}

fn encode_text(e: &mut Encoder<Vec<u8>>, name: &str, text: Option<&str>) -> Encoded {
    text.map_or(Ok(()), |text| e.str(name)?.str(text).map(drop))
}

fn encode_transport(e: &mut Encoder<Vec<u8>>, wire: &WireTransport) -> Encoded {
    e.map(2 + u64::from(!wire.g.is_empty()))?.str("t")?.str(&wire.t)?.str("a")?.str(&wire.a)?;
    encode_tags(e, "g", &wire.g)
}

fn encode_tags(e: &mut Encoder<Vec<u8>>, name: &str, tags: &[Vec<String>]) -> Encoded {
    if tags.is_empty() {
        return Ok(());
    }
    e.str(name)?.array(count(tags.len()))?;
    tags.iter().try_for_each(|tag| {
        e.array(count(tag.len()))?;
        tag.iter().try_for_each(|text| e.str(text).map(drop))
    })
}

fn decode(d: &mut Decoder<'_>) -> Read<Wire> {
    let (mut id, mut amount, mut unit) = (Slot::new("i"), Slot::new("a"), Slot::new("u"));
    let (mut single_use, mut mints, mut description) = (Slot::new("s"), Slot::new("m"), Slot::new("d"));
    let (mut transports, mut nut10) = (Slot::new("t"), Slot::new("nut10"));
    each_field::<PaymentRequestError>(d, |d, field| {
        match field {
            "i" => id.fill(optional(d, owned)?)?,
            "a" => amount.fill(optional(d, whole_number)?)?,
            "u" => unit.fill(optional(d, owned)?)?,
            "s" => single_use.fill(optional(d, |d| d.bool().map_err(malformed))?)?,
            "m" => mints.fill(optional(d, |d| items(d, "mints", MAX_REQUEST_MINTS, |d| Ok(owned(d)?)))?)?,
            "d" => description.fill(optional(d, owned)?)?,
            "t" => transports.fill(optional(d, |d| items(d, "transports", MAX_TRANSPORTS, transport))?)?,
            "nut10" => nut10.fill(optional(d, lock)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Wire {
        i: id.or_none(),
        a: amount.or_none(),
        u: unit.or_none(),
        s: single_use.or_none(),
        m: mints.or_none().unwrap_or_default(),
        d: description.or_none(),
        t: transports.or_none().unwrap_or_default(),
        nut10: nut10.or_none(),
    })
}

fn owned(d: &mut Decoder<'_>) -> Result<String, CborError> {
    text(d).map(str::to_owned)
}

/// An amount. Floats are refused even where they stand for whole numbers: from 2^53 on they no longer do.
fn whole_number(d: &mut Decoder<'_>) -> Result<Amount, CborError> {
    match d.datatype().map_err(malformed)? {
        Type::F16 | Type::F32 | Type::F64 => Err(CborError::Malformed("the amount is not a whole number".to_owned())),
        _ => d.u64().map(Amount::from_u64).map_err(malformed),
    }
}

/// A list of at most `limit` items.
fn items<'b, T>(
    d: &mut Decoder<'b>,
    what: &'static str,
    limit: usize,
    mut read: impl FnMut(&mut Decoder<'b>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut list = Vec::new();
    each_item::<PaymentRequestError>(d, |d| {
        check_count(what, list.len() + 1, limit)?;
        list.push(read(d)?);
        Ok(())
    })?;
    Ok(list)
}

fn tags(d: &mut Decoder<'_>) -> Read<Vec<Vec<String>>> {
    items(d, "tags", MAX_REQUEST_TAGS, |d| items(d, "texts in a tag", MAX_TAG_TEXTS, |d| Ok(owned(d)?)))
}

fn transport(d: &mut Decoder<'_>) -> Read<WireTransport> {
    let (mut t, mut a, mut g) = (Slot::new("t"), Slot::new("a"), Slot::new("g"));
    each_field::<PaymentRequestError>(d, |d, field| {
        match field {
            "t" => t.fill(owned(d)?)?,
            "a" => a.fill(owned(d)?)?,
            "g" => g.fill(optional(d, tags)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(WireTransport { t: t.required()?, a: a.required()?, g: g.or_none().unwrap_or_default() })
}

fn lock(d: &mut Decoder<'_>) -> Read<WireLock> {
    let (mut k, mut data, mut t) = (Slot::new("k"), Slot::new("d"), Slot::new("t"));
    each_field::<PaymentRequestError>(d, |d, field| {
        match field {
            "k" => k.fill(owned(d)?)?,
            "d" => data.fill(owned(d)?)?,
            "t" => t.fill(optional(d, tags)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(WireLock { k: k.required()?, d: data.required()?, t: t.or_none().unwrap_or_default() })
}
