//! The fields of a request with the names and types of NUT-18, which JSON and CBOR share.

use serde::{Deserialize, Serialize};

use super::{LockKind, PaymentRequest, PaymentRequestError, RequestParts, RequestedLock, Transport, TransportTarget};
use crate::amount::Amount;
use crate::bounded::list;
use crate::limits::{MAX_REQUEST_MINTS, MAX_REQUEST_TAGS, MAX_TRANSPORTS};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) i: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) a: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) u: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) s: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_REQUEST_MINTS>")]
    pub(super) m: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) d: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_TRANSPORTS>")]
    pub(super) t: Vec<WireTransport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nut10: Option<WireLock>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireTransport {
    pub(super) t: String,
    pub(super) a: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_REQUEST_TAGS>")]
    pub(super) g: Vec<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireLock {
    pub(super) k: String,
    pub(super) d: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_REQUEST_TAGS>")]
    pub(super) t: Vec<Vec<String>>,
}

pub(super) const NOSTR: &str = "nostr";
pub(super) const POST: &str = "post";
const P2PK: &str = "P2PK";
const HTLC: &str = "HTLC";

impl TryFrom<Wire> for PaymentRequest {
    type Error = PaymentRequestError;

    fn try_from(wire: Wire) -> Result<Self, PaymentRequestError> {
        Self::new(RequestParts {
            id: wire.i,
            amount: wire.a,
            unit: wire.u.map(|unit| unit.parse()).transpose()?,
            single_use: wire.s,
            mints: wire.m.iter().map(|mint| mint.parse()).collect::<Result<_, _>>()?,
            description: wire.d,
            transports: wire.t.into_iter().map(Transport::from).collect(),
            lock: wire.nut10.map(RequestedLock::from),
        })
    }
}

impl From<WireTransport> for Transport {
    fn from(WireTransport { t: kind, a: target, g: tags }: WireTransport) -> Self {
        let known = match kind.as_str() {
            NOSTR => target.parse().ok().map(TransportTarget::Nostr),
            POST => target.parse().ok().map(TransportTarget::Post),
            _ => None,
        };
        Self { target: known.unwrap_or(TransportTarget::Other { kind, target }), tags }
    }
}

impl From<WireLock> for RequestedLock {
    fn from(wire: WireLock) -> Self {
        let kind = match wire.k.as_str() {
            P2PK => LockKind::P2pk,
            HTLC => LockKind::Htlc,
            _ => LockKind::Named(wire.k),
        };
        Self { kind, data: wire.d, tags: wire.t }
    }
}

impl From<PaymentRequest> for Wire {
    fn from(PaymentRequest(parts): PaymentRequest) -> Self {
        Self {
            i: parts.id,
            a: parts.amount,
            u: parts.unit.map(|unit| unit.to_string()),
            s: parts.single_use,
            m: parts.mints.iter().map(ToString::to_string).collect(),
            d: parts.description,
            t: parts.transports.into_iter().map(WireTransport::from).collect(),
            nut10: parts.lock.map(WireLock::from),
        }
    }
}

impl From<Transport> for WireTransport {
    fn from(transport: Transport) -> Self {
        let (t, a) = match transport.target {
            TransportTarget::Nostr(profile) => (NOSTR.to_owned(), profile.to_string()),
            TransportTarget::Post(url) => (POST.to_owned(), url.to_string()),
            TransportTarget::Other { kind, target } => (kind, target),
        };
        Self { t, a, g: transport.tags }
    }
}

impl From<RequestedLock> for WireLock {
    fn from(lock: RequestedLock) -> Self {
        let k = match lock.kind {
            LockKind::P2pk => P2PK.to_owned(),
            LockKind::Htlc => HTLC.to_owned(),
            LockKind::Named(name) => name,
            // JSON is for people to read here; `creqA` refuses it.
            LockKind::Numbered(number) => number.to_string(),
        };
        Self { k, d: lock.data, t: lock.tags }
    }
}
