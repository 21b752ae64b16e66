//! `CREQB1`: type, length and value in bech32m (NUT-26).

use super::wire::POST;
use super::{
    LockKind, PaymentRequest, PaymentRequestError, RequestParts, RequestedLock, Transport, TransportTarget, check_count,
};
use crate::amount::Amount;
use crate::bech32::{self, Bech32m};
use crate::limits::{MAX_RELAYS, MAX_REQUEST_MINTS, MAX_REQUEST_TAGS, MAX_TAG_TEXTS, MAX_TRANSPORTS};
use crate::nip19::NostrProfile;
use crate::unit::CurrencyUnit;

/// The human-readable part.
pub(super) const PREFIX: &str = "creqb";

/// The fields of a request.
mod field {
    pub(super) const ID: u8 = 1;
    pub(super) const AMOUNT: u8 = 2;
    pub(super) const UNIT: u8 = 3;
    pub(super) const SINGLE_USE: u8 = 4;
    pub(super) const MINT: u8 = 5;
    pub(super) const DESCRIPTION: u8 = 6;
    pub(super) const TRANSPORT: u8 = 7;
    pub(super) const LOCK: u8 = 8;
}

/// The fields of a transport and of a lock.
mod part {
    pub(super) const KIND: u8 = 1;
    pub(super) const BODY: u8 = 2;
    pub(super) const TAG: u8 = 3;
}

const KIND_NOSTR: u8 = 0;
const KIND_POST: u8 = 1;
const KIND_P2PK: u8 = 0;
const KIND_HTLC: u8 = 1;
/// What stands for `sat`.
const UNIT_SAT: [u8; 1] = [0];
/// The tag that names a relay of a Nostr transport.
const RELAY: &str = "r";

type Read<T> = Result<T, PaymentRequestError>;

/// Reads the whole text.
pub(super) fn read(text: &str) -> Read<PaymentRequest> {
    PaymentRequest::new(read_parts(&bech32::decode::<Bech32m>(text, PREFIX)?)?)
}

/// Writes the whole text.
pub(super) fn write(request: &PaymentRequest) -> Read<String> {
    let bytes = write_parts(request)?;
    let text = bech32::encode::<Bech32m>(&bytes, PREFIX).map_err(|_| PaymentRequestError::TooLong)?;
    Ok(text.to_ascii_uppercase())
}

fn read_parts(bytes: &[u8]) -> Read<RequestParts> {
    let mut parts = RequestParts::default();
    for (kind, value) in entries(bytes)? {
        match kind {
            field::ID => once(&mut parts.id, text(value)?)?,
            field::AMOUNT => once(&mut parts.amount, amount(value)?)?,
            field::UNIT if value == UNIT_SAT => once(&mut parts.unit, CurrencyUnit::Sat)?,
            field::UNIT => once(&mut parts.unit, text(value)?.parse()?)?,
            field::SINGLE_USE => once(&mut parts.single_use, flag(value)?)?,
            field::MINT => {
                check_count("mints", parts.mints.len() + 1, MAX_REQUEST_MINTS)?;
                parts.mints.push(text(value)?.parse()?);
            }
            field::DESCRIPTION => once(&mut parts.description, text(value)?)?,
            field::TRANSPORT => {
                check_count("transports", parts.transports.len() + 1, MAX_TRANSPORTS)?;
                parts.transports.push(read_transport(value)?);
            }
            field::LOCK => once(&mut parts.lock, read_lock(value)?)?,
            // What is not known is skipped, by NUT-26.
            _ => {}
        }
    }
    Ok(parts)
}

/// Type and value of each entry.
fn entries(bytes: &[u8]) -> Read<Vec<(u8, &[u8])>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let [kind, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, tail) = tail.split_at_checked(length).ok_or(PaymentRequestError::Tlv("it ends early"))?;
        entries.push((*kind, value));
        rest = tail;
    }
    if rest.is_empty() { Ok(entries) } else { Err(PaymentRequestError::Tlv("it ends early")) }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Read<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PaymentRequestError::Tlv("a field is given twice")),
    }
}

fn text(value: &[u8]) -> Read<String> {
    String::from_utf8(value.to_vec()).map_err(|_| PaymentRequestError::Tlv("a text is not valid UTF-8"))
}

fn amount(value: &[u8]) -> Read<Amount> {
    let bytes = value.try_into().map_err(|_| PaymentRequestError::Tlv("the amount does not have 8 bytes"))?;
    Ok(Amount::from_u64(u64::from_be_bytes(bytes)))
}

fn flag(value: &[u8]) -> Read<bool> {
    match value {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(PaymentRequestError::Tlv("the single-use flag is neither 0 nor 1")),
    }
}

/// The fields of a transport or a lock.
struct Block<'a> {
    kind: u8,
    body: &'a [u8],
    tags: Vec<Vec<String>>,
}

fn read_block(bytes: &[u8], tag_limit: usize) -> Read<Block<'_>> {
    let (mut kind, mut body, mut tags) = (None, None, Vec::new());
    for (name, value) in entries(bytes)? {
        match (name, value) {
            (part::KIND, [number]) => once(&mut kind, *number)?,
            (part::KIND, _) => return Err(PaymentRequestError::Tlv("a kind does not have 1 byte")),
            (part::BODY, _) => once(&mut body, value)?,
            (part::TAG, _) => {
                check_count("tags", tags.len() + 1, tag_limit)?;
                tags.push(read_tag(value)?);
            }
            _ => {}
        }
    }
    match (kind, body) {
        (Some(kind), Some(body)) => Ok(Block { kind, body, tags }),
        _ => Err(PaymentRequestError::Tlv("a transport or lock is not complete")),
    }
}

fn read_tag(bytes: &[u8]) -> Read<Vec<String>> {
    let mut texts = Vec::new();
    let mut rest = bytes;
    while let [length, tail @ ..] = rest {
        check_count("texts in a tag", texts.len() + 1, MAX_TAG_TEXTS)?;
        let (value, tail) =
            tail.split_at_checked(usize::from(*length)).ok_or(PaymentRequestError::Tlv("a tag ends early"))?;
        texts.push(text(value)?);
        rest = tail;
    }
    Ok(texts)
}

fn read_transport(bytes: &[u8]) -> Read<Transport> {
    let Block { kind, body, mut tags } = read_block(bytes, MAX_REQUEST_TAGS + MAX_RELAYS)?;
    let other = |kind: &str| TransportTarget::Other {
        kind: kind.to_owned(),
        target: String::from_utf8_lossy(body).into_owned(),
    };
    let target = match kind {
        KIND_NOSTR => {
            let key = body.try_into().map_err(|_| PaymentRequestError::Tlv("a key at nostr does not have 32 bytes"))?;
            let relays = tags.extract_if(.., |tag| tag.first().is_some_and(|name| name == RELAY));
            let relays = relays.flat_map(|tag| tag.into_iter().skip(1)).collect();
            TransportTarget::Nostr(NostrProfile::new(key, relays)?)
        }
        KIND_POST => text(body)?.parse().map_or_else(|_| other(POST), TransportTarget::Post),
        number => other(&number.to_string()),
    };
    Ok(Transport { target, tags })
}

fn read_lock(bytes: &[u8]) -> Read<RequestedLock> {
    let Block { kind, body, tags } = read_block(bytes, MAX_REQUEST_TAGS)?;
    let kind = match kind {
        KIND_P2PK => LockKind::P2pk,
        KIND_HTLC => LockKind::Htlc,
        other => LockKind::Numbered(other),
    };
    Ok(RequestedLock { kind, data: text(body)?, tags })
}

/// Writes the fields in the order of their numbers.
fn write_parts(parts: &RequestParts) -> Read<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut put = |kind, value: &[u8]| put(&mut bytes, kind, value);
    if let Some(id) = &parts.id {
        put(field::ID, id.as_bytes())?;
    }
    if let Some(amount) = parts.amount {
        put(field::AMOUNT, &amount.to_u64().to_be_bytes())?;
    }
    match &parts.unit {
        None => {}
        Some(CurrencyUnit::Sat) => put(field::UNIT, &UNIT_SAT)?,
        Some(unit) => put(field::UNIT, unit.as_str().as_bytes())?,
    }
    if let Some(single_use) = parts.single_use {
        put(field::SINGLE_USE, &[u8::from(single_use)])?;
    }
    parts.mints.iter().try_for_each(|mint| put(field::MINT, mint.as_str().as_bytes()))?;
    if let Some(description) = &parts.description {
        put(field::DESCRIPTION, description.as_bytes())?;
    }
    parts.transports.iter().try_for_each(|transport| put(field::TRANSPORT, &write_transport(transport)?))?;
    if let Some(lock) = &parts.lock {
        put(field::LOCK, &write_lock(lock)?)?;
    }
    Ok(bytes)
}

fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) -> Read<()> {
    let length = u16::try_from(value.len()).map_err(|_| PaymentRequestError::TooLong)?;
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value);
    Ok(())
}

fn write_transport(transport: &Transport) -> Read<Vec<u8>> {
    let mut bytes = Vec::new();
    let relays: &[String] = match &transport.target {
        TransportTarget::Nostr(profile) => {
            put(&mut bytes, part::KIND, &[KIND_NOSTR])?;
            put(&mut bytes, part::BODY, profile.key())?;
            profile.relays()
        }
        TransportTarget::Post(url) => {
            put(&mut bytes, part::KIND, &[KIND_POST])?;
            put(&mut bytes, part::BODY, url.as_str().as_bytes())?;
            &[]
        }
        TransportTarget::Other { .. } => return Err(PaymentRequestError::NoForm("transport")),
    };
    write_tags(&mut bytes, &transport.tags)?;
    relays.iter().try_for_each(|relay| write_tags(&mut bytes, &[vec![RELAY.to_owned(), relay.clone()]]))?;
    Ok(bytes)
}

fn write_lock(lock: &RequestedLock) -> Read<Vec<u8>> {
    let kind = match lock.kind {
        LockKind::P2pk => KIND_P2PK,
        LockKind::Htlc => KIND_HTLC,
        LockKind::Numbered(number) => number,
        LockKind::Named(_) => return Err(PaymentRequestError::NoForm("kind of lock")),
    };
    let mut bytes = Vec::new();
    put(&mut bytes, part::KIND, &[kind])?;
    put(&mut bytes, part::BODY, lock.data.as_bytes())?;
    write_tags(&mut bytes, &lock.tags)?;
    Ok(bytes)
}

fn write_tags(bytes: &mut Vec<u8>, tags: &[Vec<String>]) -> Read<()> {
    for tag in tags {
        let mut value = Vec::new();
        for text in tag {
            value.push(u8::try_from(text.len()).map_err(|_| PaymentRequestError::NoForm("tag"))?);
            value.extend(text.as_bytes());
        }
        put(bytes, part::TAG, &value)?;
    }
    Ok(())
}
