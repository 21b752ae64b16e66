//! Whether a payment is what a request asks for, and what a requested lock means.

use hazel_protocol::conditions::{Condition, Malformed};
use hazel_protocol::{LockKind, PaymentPayload, PaymentRequest, Proof, PublicKey, RequestedLock, Secret};
use serde::Deserialize;

use crate::error::Error;
use crate::lock::LockTerms;

/// Whether mint and unit of a payment are as asked for.
pub(super) fn fits(request: &PaymentRequest, payload: &PaymentPayload) -> Result<(), Error> {
    if request.unit.as_ref().is_some_and(|unit| *unit != payload.unit) {
        return Err(Error::PaymentRefused("it is in another unit"));
    }
    if !request.mints.is_empty() && !request.mints.contains(&payload.mint) {
        return Err(Error::PaymentRefused("it is of a mint that was not asked for"));
    }
    Ok(())
}

/// Whether every proof has the lock that was asked for. Order and spelling of tags that mean the same may differ.
pub(super) fn is_locked_as(proofs: &[Proof], lock: &RequestedLock) -> Result<(), Error> {
    let wanted = lock_terms(lock)?;
    let refused = Err(Error::PaymentRefused("it is not locked as was asked for"));
    for proof in proofs {
        let Ok(Some(requested)) = read(&proof.secret) else { return refused };
        if lock_terms(&requested).ok().as_ref() != Some(&wanted) {
            return refused;
        }
    }
    Ok(())
}

/// What a receiver asks for when it wants this lock.
pub(super) fn requested_lock(lock: &LockTerms) -> Result<RequestedLock, Error> {
    if lock.blind {
        return Err(Error::Lock("whoever pays a request has to know its keys"));
    }
    lock.check()?;
    let secret = lock.to_secret(&[0; 32])?;
    let requested = read(&secret).map_err(|_| Error::Bug("a lock cannot be read back"))?;
    requested.ok_or(Error::Bug("a lock was taken for a plain secret"))
}

/// The terms of a lock that somebody else asks for.
///
/// # Errors
/// [`Error::RequestTerms`] for a lock of an unknown kind, one with tags that this wallet does not know, and one that makes no sense:
/// money is not locked to what is not understood.
pub(super) fn lock_terms(lock: &RequestedLock) -> Result<LockTerms, Error> {
    const UNKNOWN: Error = Error::RequestTerms("it wants a lock that this wallet does not know");
    const MALFORMED: Error = Error::RequestTerms("the lock that it wants makes no sense");
    let key = |text: &String| text.parse::<PublicKey>().map_err(|_| MALFORMED);
    let keys = |texts: &[String]| texts.iter().map(key).collect::<Result<Vec<_>, _>>();
    let mut terms = match &lock.kind {
        LockKind::P2pk => LockTerms::to_key(key(&lock.data)?),
        LockKind::Htlc => LockTerms::to_hash(hash(&lock.data).ok_or(MALFORMED)?),
        LockKind::Named(_) | LockKind::Numbered(_) => return Err(UNKNOWN),
    };
    let mut seen: Vec<&str> = Vec::new();
    for tag in &lock.tags {
        let [name, values @ ..] = tag.as_slice() else { return Err(MALFORMED) };
        if seen.contains(&name.as_str()) {
            return Err(MALFORMED);
        }
        seen.push(name);
        let number = || one(values).and_then(|text| text.parse::<u64>().ok()).ok_or(MALFORMED);
        let count = || number().and_then(|number| u32::try_from(number).map_err(|_| MALFORMED));
        match name.as_str() {
            "pubkeys" => terms.keys.extend(keys(values)?),
            "refund" => terms.refund = keys(values)?,
            "n_sigs" => terms.n_sigs = Some(count()?),
            "n_sigs_refund" => terms.n_sigs_refund = Some(count()?),
            "locktime" => terms.locktime = Some(number()?),
            "sigflag" if one(values) == Some("SIG_ALL") => terms.sig_all = true,
            "sigflag" if one(values) == Some("SIG_INPUTS") => {}
            _ => return Err(UNKNOWN),
        }
    }
    terms.check().map_err(|_| MALFORMED)?;
    Ok(terms)
}

fn one(values: &[String]) -> Option<&str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    text.parse::<hazel_protocol::Scalar32>().ok().map(|bytes| *bytes.as_bytes())
}

/// The lock in a secret, as a request would ask for it; none for a plain secret.
fn read(secret: &Secret) -> Result<Option<RequestedLock>, Malformed> {
    #[derive(Deserialize)]
    struct Body {
        data: String,
        #[serde(default)]
        tags: Vec<Vec<String>>,
    }
    if Condition::of(secret)?.is_none() {
        return Ok(None);
    }
    let (kind, body): (String, Body) =
        hazel_protocol::from_json(secret.as_str().as_bytes()).map_err(|_| Malformed::Shape)?;
    let kind = match kind.as_str() {
        "P2PK" => LockKind::P2pk,
        _ => LockKind::Htlc,
    };
    Ok(Some(RequestedLock { kind, data: body.data, tags: body.tags }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hazel_protocol::{Curve, SecretKey};

    fn key(number: u8) -> PublicKey {
        SecretKey::from_bytes(&[number; 32]).expect("a key").public_key(&Curve::new(&[1; 32]))
    }

    fn rich() -> LockTerms {
        LockTerms {
            keys: vec![key(1), key(2), key(3)],
            n_sigs: Some(2),
            locktime: Some(1_900_000_000),
            refund: vec![key(4), key(5)],
            n_sigs_refund: Some(1),
            sig_all: true,
            hash: None,
            blind: false,
        }
    }

    #[test]
    fn a_lock_survives_the_way_through_a_request() {
        let hashed = LockTerms { hash: Some([9; 32]), ..rich() };
        for terms in [LockTerms::to_key(key(1)), LockTerms::to_hash([7; 32]), rich(), hashed] {
            let requested = requested_lock(&terms).expect("a request");
            assert_eq!(lock_terms(&requested), Ok(terms));
        }
    }

    #[test]
    fn what_is_not_understood_is_not_locked_to() {
        let good = requested_lock(&rich()).expect("a request");
        let with = |tag: &[&str]| {
            let tag: Vec<String> = tag.iter().map(|text| (*text).to_owned()).collect();
            RequestedLock { tags: vec![tag], kind: LockKind::P2pk, data: key(1).to_string() }
        };
        for (lock, why) in [
            (RequestedLock { kind: LockKind::Named("CAT".to_owned()), ..good.clone() }, "kind"),
            (RequestedLock { kind: LockKind::Numbered(7), ..good.clone() }, "kind"),
            (RequestedLock { data: "02".to_owned(), ..good.clone() }, "key"),
            (RequestedLock { tags: [good.tags.clone(), good.tags.clone()].concat(), ..good }, "repeated"),
            (with(&["color", "red"]), "tag"),
            (with(&["locktime"]), "no value"),
            (with(&["locktime", "-1"]), "negative"),
            (with(&["n_sigs", "2"]), "more than there are"),
            (with(&["n_sigs", "4294967296"]), "overflow"),
            (with(&["sigflag", "SIG_NONE"]), "flag"),
            (with(&["pubkeys", "xx"]), "key"),
            (with(&["refund", &key(2).to_string()]), "without locktime"),
        ] {
            assert!(matches!(lock_terms(&lock), Err(Error::RequestTerms(_))), "{why}");
        }
    }
}
