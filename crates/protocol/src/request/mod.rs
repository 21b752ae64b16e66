//! Payment requests: what a receiver wants to be paid, and where to (NUT-18, NUT-26).
//!
//! A request is text. `creqA...` is CBOR in base64 (NUT-18); `CREQB1...` is bech32m (NUT-26), shorter and made for QR codes. Both say
//! the same and both are read, also out of a `bitcoin:` URI (BIP-321). The answer is a [`PaymentPayload`] with proofs.
//!
//! ```
//! use hazel_protocol::{Amount, CurrencyUnit, PaymentRequest, RequestParts};
//!
//! let parts = RequestParts {
//!     amount: Some(Amount::from_u64(1000)),
//!     unit: Some(CurrencyUnit::Sat),
//!     mints: vec!["https://mint.example.com".parse()?],
//!     ..RequestParts::default()
//! };
//! let request = PaymentRequest::new(parts)?;
//! assert_eq!(request.to_cbor_text()?.parse::<PaymentRequest>()?, request);
//! assert_eq!(request.to_bech32_text()?.parse::<PaymentRequest>()?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`PaymentRequest`] keeps what [`PaymentRequest::new`] checks: limits of every list and text, and a unit wherever there is an
//! amount. What it means for a wallet (a mint it trusts, a transport it has, a lock it understands) is the wallet's to decide.

mod cbor;
mod payload;
mod tlv;
mod wire;

use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use payload::PaymentPayload;

use crate::amount::Amount;
use crate::bech32::Bech32Error;
use crate::cbor::CborError;
use crate::limits::{
    MAX_DESCRIPTION_BYTES, MAX_PAYMENT_ID_BYTES, MAX_PAYMENT_REQUEST_BYTES, MAX_REQUEST_MINTS, MAX_REQUEST_TAGS,
    MAX_TAG_TEXT_BYTES, MAX_TAG_TEXTS, MAX_TRANSPORTS, MAX_URL_BYTES,
};
use crate::nip19::{NostrProfile, NostrProfileError};
use crate::unit::{CurrencyUnit, UnitError};
use crate::url::{EndpointUrl, MintUrl, MintUrlError};
use wire::Wire;

/// Why a text is not a payment request, or why a request cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRequestError {
    /// The text does not begin like a request.
    #[error("not a payment request: it must start with creqA or creqb1")]
    Prefix,
    /// Longer than [`MAX_PAYMENT_REQUEST_BYTES`].
    #[error("the payment request is longer than {MAX_PAYMENT_REQUEST_BYTES} bytes")]
    TooLong,
    /// The part after `creqA` is not base64.
    #[error("the payment request is not valid base64")]
    Base64,
    /// The content of a `creqA` is not what it should be.
    #[error("the payment request is malformed: {0}")]
    Cbor(#[from] CborError),
    /// A mistyped `creqb1`.
    #[error(transparent)]
    Bech32(#[from] Bech32Error),
    /// The content of a `creqb1` is not what it should be.
    #[error("the payment request is malformed: {0}")]
    Tlv(&'static str),
    /// Something follows the content.
    #[error("the payment request is malformed: it has trailing bytes")]
    TrailingBytes,
    /// A text in it is longer than its limit in bytes.
    #[error("the {what} of the payment request is empty or longer than {limit} bytes")]
    Text {
        /// Which text.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A list in it has more items than its limit.
    #[error("the payment request has more than {limit} {what}")]
    TooMany {
        /// Which items.
        what: &'static str,
        /// The limit, a count.
        limit: usize,
    },
    /// An amount without a unit.
    #[error("the payment request has an amount without a unit")]
    NoUnit,
    /// A tag without a name.
    #[error("the payment request has an empty tag")]
    EmptyTag,
    /// The form that was asked for cannot say it.
    #[error("the {0} cannot be written in this form")]
    NoForm(&'static str),
    /// The unit is malformed.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// A URL is malformed.
    #[error(transparent)]
    Url(#[from] MintUrlError),
    /// The receiver at Nostr is malformed.
    #[error(transparent)]
    Nostr(#[from] NostrProfileError),
}

/// What a payment request says. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestParts {
    /// Comes back with the payment, so that the receiver knows what was paid (`i`).
    pub id: Option<String>,
    /// How much, in the minor unit (`a`); as the payer likes if nothing is said.
    pub amount: Option<Amount>,
    /// The unit (`u`). Must be there if `amount` is.
    pub unit: Option<CurrencyUnit>,
    /// Whether it is to be paid only once (`s`).
    pub single_use: Option<bool>,
    /// The mints whose money is taken (`m`); any if there are none.
    pub mints: Vec<MintUrl>,
    /// A text for the payer (`d`). Show it through [`neutralise`](crate::neutralise).
    pub description: Option<String>,
    /// How the payment reaches the receiver, the best way first (`t`); in-band if there is none.
    pub transports: Vec<Transport>,
    /// The spending condition that the receiver wants (`nut10`).
    pub lock: Option<RequestedLock>,
}

/// A way for a payment to reach its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Where to.
    pub target: TransportTarget,
    /// What more there is to say about it (`g`), each with its name first.
    pub tags: Vec<Vec<String>>,
}

/// Where a payment is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportTarget {
    /// A message to a user of Nostr.
    Nostr(NostrProfile),
    /// The body of an HTTP POST.
    Post(EndpointUrl),
    /// A way that this crate does not know, or one whose target makes no sense. Nothing can be sent there, but the others may do.
    Other {
        /// Its name.
        kind: String,
        /// Where to.
        target: String,
    },
}

/// A spending condition that the receiver wants (NUT-10), as the request says it. Whether it makes sense is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedLock {
    /// What kind of condition.
    pub kind: LockKind,
    /// The data of the condition.
    pub data: String,
    /// Its tags, each with its name first.
    pub tags: Vec<Vec<String>>,
}

/// The kind of a spending condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Locked to keys (NUT-11).
    P2pk,
    /// Locked to a hash (NUT-14).
    Htlc,
    /// A name that this crate does not know. Only NUT-18 can say it.
    Named(String),
    /// A number that this crate does not know, 2 or above. Only NUT-26 can say it.
    Numbered(u8),
}

impl Transport {
    /// A direct message to a user of Nostr (NIP-17).
    pub fn nostr(profile: NostrProfile) -> Self {
        Self { target: TransportTarget::Nostr(profile), tags: vec![vec!["n".to_owned(), "17".to_owned()]] }
    }

    /// An HTTP POST.
    pub const fn post(url: EndpointUrl) -> Self {
        Self { target: TransportTarget::Post(url), tags: Vec::new() }
    }

    /// Whether the tags say that the receiver takes direct messages of NIP-17. NUT-18 wants a tag `n` at every receiver; to one
    /// without any, NIP-17 is the best guess.
    pub fn takes_nip17(&self) -> bool {
        let mut nips = self.tags.iter().filter(|tag| tag.first().is_some_and(|name| name == "n")).peekable();
        nips.peek().is_none() || nips.any(|tag| tag.iter().skip(1).any(|nip| nip == "17"))
    }
}

/// A payment request. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct PaymentRequest(RequestParts);

impl PaymentRequest {
    /// Takes the parts.
    ///
    /// # Errors
    /// [`PaymentRequestError::Text`], [`PaymentRequestError::TooMany`], [`PaymentRequestError::NoUnit`] or
    /// [`PaymentRequestError::EmptyTag`].
    pub fn new(parts: RequestParts) -> Result<Self, PaymentRequestError> {
        check_text("id", parts.id.as_deref(), MAX_PAYMENT_ID_BYTES)?;
        check_text("description", parts.description.as_deref(), MAX_DESCRIPTION_BYTES)?;
        check_count("mints", parts.mints.len(), MAX_REQUEST_MINTS)?;
        check_count("transports", parts.transports.len(), MAX_TRANSPORTS)?;
        if parts.amount.is_some() && parts.unit.is_none() {
            return Err(PaymentRequestError::NoUnit);
        }
        for transport in &parts.transports {
            check_tags(&transport.tags)?;
            if let TransportTarget::Other { kind, target } = &transport.target {
                check_text("transport", Some(kind), MAX_TAG_TEXT_BYTES)?;
                check_text(
                    "transport",
                    Some(target).filter(|text| !text.is_empty()).map(String::as_str),
                    MAX_URL_BYTES,
                )?;
            }
        }
        if let Some(lock) = &parts.lock {
            check_lock(lock)?;
        }
        Ok(Self(parts))
    }

    /// The parts, to be changed and made a request again.
    pub fn into_parts(self) -> RequestParts {
        self.0
    }

    /// The form of NUT-18: `creqA`, then base64 with padding, as in the examples there.
    ///
    /// # Errors
    /// [`PaymentRequestError::NoForm`] for a [`LockKind::Numbered`]; [`PaymentRequestError::TooLong`].
    pub fn to_cbor_text(&self) -> Result<String, PaymentRequestError> {
        cbor::write(self)
    }

    /// The form of NUT-26: `CREQB1` and bech32m, in upper case, which QR codes hold best.
    ///
    /// # Errors
    /// [`PaymentRequestError::NoForm`] for a [`TransportTarget::Other`] or a [`LockKind::Named`];
    /// [`PaymentRequestError::TooLong`].
    pub fn to_bech32_text(&self) -> Result<String, PaymentRequestError> {
        tlv::write(self)
    }
}

impl Deref for PaymentRequest {
    type Target = RequestParts;
    fn deref(&self) -> &RequestParts {
        &self.0
    }
}

impl FromStr for PaymentRequest {
    type Err = PaymentRequestError;

    /// Reads either form with blanks around it, or the first `creq` of a `bitcoin:` URI.
    fn from_str(text: &str) -> Result<Self, PaymentRequestError> {
        let text = text.trim();
        if text.len() > MAX_PAYMENT_REQUEST_BYTES {
            return Err(PaymentRequestError::TooLong);
        }
        let text = in_bitcoin_uri(text).unwrap_or(text);
        match text.split_at_checked(5) {
            Some((prefix, content)) if prefix.eq_ignore_ascii_case("creqA") => cbor::read(content),
            Some((prefix, _)) if prefix.eq_ignore_ascii_case(tlv::PREFIX) => tlv::read(text),
            _ => Err(PaymentRequestError::Prefix),
        }
    }
}

/// The parameter `creq` of a `bitcoin:` URI. Nothing in a request needs an escape there.
fn in_bitcoin_uri(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let (_, query) = rest.split_once('?')?;
    let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let creq = parameters.find(|(name, _)| name.eq_ignore_ascii_case("creq"));
    creq.filter(|_| scheme.eq_ignore_ascii_case("bitcoin")).map(|(_, value)| value)
}

fn check_text(what: &'static str, text: Option<&str>, limit: usize) -> Result<(), PaymentRequestError> {
    match text {
        Some(text) if text.is_empty() || text.len() > limit => Err(PaymentRequestError::Text { what, limit }),
        _ => Ok(()),
    }
}

fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), PaymentRequestError> {
    if count > limit { Err(PaymentRequestError::TooMany { what, limit }) } else { Ok(()) }
}

fn check_lock(lock: &RequestedLock) -> Result<(), PaymentRequestError> {
    if let LockKind::Named(name) = &lock.kind {
        check_text("kind of lock", Some(name), MAX_TAG_TEXT_BYTES)?;
    }
    check_text("lock", Some(&lock.data), MAX_TAG_TEXT_BYTES)?;
    check_tags(&lock.tags)
}

fn check_tags(tags: &[Vec<String>]) -> Result<(), PaymentRequestError> {
    check_count("tags", tags.len(), MAX_REQUEST_TAGS)?;
    for tag in tags {
        check_count("texts in a tag", tag.len(), MAX_TAG_TEXTS)?;
        if tag.first().is_none_or(String::is_empty) {
            return Err(PaymentRequestError::EmptyTag);
        }
        if tag.iter().any(|text| text.len() > MAX_TAG_TEXT_BYTES) {
            return Err(PaymentRequestError::Text { what: "tag", limit: MAX_TAG_TEXT_BYTES });
        }
    }
    Ok(())
}
