//! Keys of locks that the mint cannot link to their owners: Pay-to-Blinded-Key (NUT-28).
//!
//! A sender makes a fresh key pair `E = eG` for each output and puts `P + rG` into the lock instead of the receiver's key `P`. Only the
//! receiver, who knows `p`, and the sender, who knows `e`, can compute `r`; `E` travels beside the proof and never reaches the mint.
//!
//! ```
//! use hazel_protocol::conditions::ConditionKind;
//! use hazel_protocol::p2bk::{blind_lock, derive_key};
//! use hazel_protocol::{Curve, SecretKey};
//!
//! // In earnest, both keys come from a seed or the random source of the system.
//! let (curve, p, e) = (Curve::new(&[1; 32]), SecretKey::from_bytes(&[2; 32])?, SecretKey::from_bytes(&[3; 32])?);
//! let receiver = p.public_key(&curve);
//!
//! // The sender locks to a key that nobody has seen before.
//! let lock = blind_lock(&curve, &e, ConditionKind::P2pk, &[receiver], &[])?;
//! assert_ne!(lock.main[0], receiver);
//!
//! // The receiver finds the private key of it.
//! let ephemeral = e.public_key(&curve);
//! let k = derive_key(&curve, &p, &ephemeral, 0, &lock.main[0]).ok_or("not for this key")?;
//! assert_eq!(k.public_key(&curve), lock.main[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Slots
//!
//! A blinding depends on the place of the key in the lock: `data` is slot 0, then come `pubkeys`, then `refund`. In a hash lock the hash
//! has slot 0.
//!
//! # Secret scalars
//!
//! `p`, `e`, `r` and everything made of them enter constant-time operations only.

use bitcoin::hashes::{Hash, HashEngine, sha256};
use secp256k1::{Scalar, ecdh};
use zeroize::Zeroizing;

use crate::conditions::{Condition, ConditionKind};
use crate::crypto::{Curve, add, negate};
use crate::point::{PointBytes, PublicKey};
use crate::scalar::{BlindingFactor, SecretKey};

/// Most keys in one lock with blinded keys, the hash of a hash lock among them (NUT-28). A count.
pub const MAX_SLOTS: usize = 11;

const DOMAIN: &[u8] = b"Cashu_P2BK_v1";

/// Why a key cannot be blinded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum P2bkError {
    /// More keys than NUT-28 has slots for.
    #[error("a lock with blinded keys has at most {MAX_SLOTS} of them")]
    TooManyKeys,
    /// This ephemeral key does not do; another will. The probability is below 2^-127.
    #[error("nothing can be derived from this ephemeral key")]
    Unusable,
}

/// The keys of a lock, blinded, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlindedKeys {
    /// Those of the main pathway.
    pub main: Vec<PublicKey>,
    /// Those of the refund pathway.
    pub refund: Vec<PublicKey>,
}

/// Blinds every key of a lock. `ephemeral` is fresh for each output; only the outputs of one request with `SIG_ALL` share one, because
/// their locks must be the same.
///
/// # Errors
/// [`P2bkError`].
pub fn blind_lock(
    curve: &Curve,
    ephemeral: &SecretKey,
    kind: ConditionKind,
    main: &[PublicKey],
    refund: &[PublicKey],
) -> Result<BlindedKeys, P2bkError> {
    let keys = main.iter().chain(refund).enumerate().map(|(place, key)| {
        let slot = u8::try_from(first_slot(kind) + place).map_err(|_| P2bkError::TooManyKeys)?;
        blind_key(curve, ephemeral, key, slot)
    });
    let mut main_keys: Vec<PublicKey> = keys.collect::<Result<_, _>>()?;
    let refund = main_keys.split_off(main.len());
    Ok(BlindedKeys { main: main_keys, refund })
}

/// Blinds one key: `P' = P + rG`.
///
/// # Errors
/// [`P2bkError::TooManyKeys`] from slot [`MAX_SLOTS`] on; [`P2bkError::Unusable`].
pub fn blind_key(curve: &Curve, ephemeral: &SecretKey, key: &PublicKey, slot: u8) -> Result<PublicKey, P2bkError> {
    if usize::from(slot) >= MAX_SLOTS {
        return Err(P2bkError::TooManyKeys);
    }
    let r = blinding(&shared_secret(ephemeral, key), slot).ok_or(P2bkError::Unusable)?;
    let mask = r.with(|r| curve.multiply_generator(r));
    add(key, &mask).map_err(|_| P2bkError::Unusable)
}

/// The private keys for every slot of a lock that was blinded for one of `own`, in the order of the slots.
pub fn derive_keys(curve: &Curve, own: &[SecretKey], ephemeral: &PublicKey, condition: &Condition) -> Vec<SecretKey> {
    let slots = slots(condition);
    let of_one = |key: &SecretKey| {
        let shared = shared_secret(key, ephemeral);
        let found = slots.iter().filter_map(|(slot, blinded)| derive(curve, key, &shared, *slot, blinded));
        found.collect::<Vec<_>>()
    };
    own.iter().flat_map(of_one).collect()
}

/// The private key of a blinded key; none when it was blinded for another key than `own`, or for another slot.
pub fn derive_key(
    curve: &Curve,
    own: &SecretKey,
    ephemeral: &PublicKey,
    slot: u8,
    blinded: &PublicKey,
) -> Option<SecretKey> {
    derive(curve, own, &shared_secret(own, ephemeral), slot, blinded)
}

/// Takes the blinding off, `P = P' - rG`, and looks whether that is `pG` but for its parity. If the parity is the same, the key is
/// `p + r`; else the sender knew the key by its x coordinate alone, and it is `-p + r`.
fn derive(curve: &Curve, own: &SecretKey, shared: &SharedSecret, slot: u8, blinded: &PublicKey) -> Option<SecretKey> {
    let r = blinding(shared, slot)?;
    let mask = r.with(|r| curve.multiply_generator(r));
    let unblinded = add(blinded, &negate(&mask)).ok()?;
    let natural = own.public_key(curve);
    let same = unblinded == natural;
    if !same && unblinded != negate(&natural) {
        return None;
    }
    own.with(|own| {
        let mut own = if same { *own } else { own.negate() };
        let mut tweak = r.with(|r| Scalar::from(*r));
        let sum = own.add_tweak(&tweak);
        own.non_secure_erase();
        tweak.non_secure_erase();
        let mut sum = sum.ok()?;
        let key = SecretKey::from_bytes(&Zeroizing::new(sum.secret_bytes())).ok();
        sum.non_secure_erase();
        key
    })
}

/// The keys of a lock with their slots; those that are no points, and so cannot be signed for, are left out.
fn slots(condition: &Condition) -> Vec<(u8, PublicKey)> {
    let numbered = condition.points().into_iter().zip(first_slot(condition.kind())..MAX_SLOTS);
    numbered.filter_map(|(point, slot)| Some((u8::try_from(slot).ok()?, PointBytes::parse(&point).ok()?))).collect()
}

const fn first_slot(kind: ConditionKind) -> usize {
    match kind {
        ConditionKind::P2pk => 0,
        ConditionKind::Htlc => 1,
    }
}

/// The x coordinate that only the two parties can compute.
type SharedSecret = Zeroizing<[u8; 32]>;

fn shared_secret(key: &SecretKey, point: &PublicKey) -> SharedSecret {
    key.with(|key| {
        let xy = Zeroizing::new(ecdh::shared_secret_point(point.as_inner(), key));
        let mut x = Zeroizing::new([0; 32]);
        x.copy_from_slice(&xy[..32]);
        x
    })
}

/// `r = SHA-256(domain || x || slot)`, and once more with `0xff` behind it if that is no scalar.
fn blinding(shared: &SharedSecret, slot: u8) -> Option<BlindingFactor> {
    let hash = |more: &[u8]| {
        let mut engine = sha256::Hash::engine();
        for part in [DOMAIN, &shared[..], &[slot], more] {
            engine.input(part);
        }
        Zeroizing::new(sha256::Hash::from_engine(engine).to_byte_array())
    };
    BlindingFactor::from_bytes(&*hash(&[])).or_else(|_| BlindingFactor::from_bytes(&*hash(&[0xff]))).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::conditions::Lock;
    use crate::json::from_json;
    use crate::proof::Proof;
    use crate::scalar::Scalar32;

    /// The vectors of NUT-28.
    #[derive(Deserialize)]
    struct Vectors {
        e: Scalar32,
        #[serde(rename = "E")]
        ephemeral: PublicKey,
        p: Scalar32,
        #[serde(rename = "P")]
        receiver: PublicKey,
        #[serde(rename = "Zx")]
        shared: Scalar32,
        r: Vec<Scalar32>,
        blinded: Vec<PublicKey>,
        standard: Vec<Scalar32>,
        negated: Vec<Scalar32>,
        natural: PublicKey,
        proof: Proof,
    }

    fn vectors() -> Vectors {
        from_json(include_bytes!("../tests/vectors/nut28.json")).expect("the vectors have this shape")
    }

    fn curve() -> Curve {
        Curve::new(&[7; 32])
    }

    fn key(bytes: Scalar32) -> SecretKey {
        SecretKey::from_bytes(bytes.as_bytes()).expect("a valid key")
    }

    #[test]
    fn nut28_vectors() {
        let (vectors, curve) = (vectors(), curve());
        let (e, p) = (key(vectors.e), key(vectors.p));
        assert_eq!(e.public_key(&curve), vectors.ephemeral);
        assert_eq!(p.public_key(&curve), vectors.natural);
        for shared in [shared_secret(&e, &vectors.receiver), shared_secret(&p, &vectors.ephemeral)] {
            assert_eq!(&*shared, vectors.shared.as_bytes());
        }
        // The receiver's key has the other parity than `pG`, so the negated derivation is right; for `pG` itself the standard one.
        let shared = shared_secret(&e, &vectors.receiver);
        for (slot, blinded) in vectors.blinded.iter().enumerate() {
            let place = u8::try_from(slot).expect("11 slots");
            let r = blinding(&shared, place).expect("a scalar");
            assert_eq!(r.expose_bytes(), vectors.r[slot].as_bytes());
            assert_eq!(blind_key(&curve, &e, &vectors.receiver, place).as_ref(), Ok(blinded));
            let negated = derive_key(&curve, &p, &vectors.ephemeral, place, blinded).expect("for this key");
            assert_eq!(negated.expose_bytes(), vectors.negated[slot].as_bytes());
            let natural = blind_key(&curve, &e, &vectors.natural, place).expect("a point");
            let standard = derive_key(&curve, &p, &vectors.ephemeral, place, &natural).expect("for this key");
            assert_eq!(standard.expose_bytes(), vectors.standard[slot].as_bytes());
        }
    }

    #[test]
    fn the_example_proof_is_opened_by_the_receiver_alone() {
        let (vectors, curve) = (vectors(), curve());
        let condition = Condition::of(&vectors.proof.secret).expect("well-formed").expect("a lock");
        let keys = derive_keys(&curve, &[key(vectors.p)], &vectors.ephemeral, &condition);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].expose_bytes(), vectors.negated[0].as_bytes());
        let others = [key(vectors.e), key(Scalar32::from_bytes([9; 32]))];
        assert!(derive_keys(&curve, &others, &vectors.ephemeral, &condition).is_empty());
        assert!(derive_keys(&curve, &[key(vectors.p)], &vectors.receiver, &condition).is_empty());
    }

    #[test]
    fn every_key_has_its_slot() {
        let curve = curve();
        let secret = |byte| SecretKey::from_bytes(&[byte; 32]).expect("a valid key");
        let (e, own) = (secret(9), [secret(1), secret(2), secret(3)]);
        let public: Vec<_> = own.iter().map(|key| key.public_key(&curve)).collect();
        for kind in [ConditionKind::P2pk, ConditionKind::Htlc] {
            let keys = blind_lock(&curve, &e, kind, &public[..2], &public[2..]).expect("three keys");
            assert_eq!((keys.main.len(), keys.refund.len()), (2, 1));
            let first = u8::from(kind == ConditionKind::Htlc);
            assert_eq!(blind_key(&curve, &e, &public[2], first + 2), Ok(keys.refund[0]));
            // The tags stand in another order than the slots.
            let (lock, more) = match kind {
                ConditionKind::P2pk => (Lock::to_key(keys.main[0]), &keys.main[1..]),
                ConditionKind::Htlc => (Lock::to_hash(&[5; 32]), &keys.main[..]),
            };
            let secret = lock.refund(&keys.refund).locktime(1).pubkeys(more).to_secret(&[0; 32]).expect("short");
            let condition = Condition::of(&secret).expect("well-formed").expect("a lock");
            let ephemeral = e.public_key(&curve);
            let derived = derive_keys(&curve, &own, &ephemeral, &condition);
            let derived: Vec<_> = derived.iter().map(|key| key.public_key(&curve)).collect();
            assert_eq!(derived, [keys.main[0], keys.main[1], keys.refund[0]], "{kind:?}");
            // In another slot it is another key.
            assert!(derive_key(&curve, &own[0], &ephemeral, 5, &keys.main[0]).is_none());
        }
    }

    #[test]
    fn there_are_eleven_slots() {
        let curve = curve();
        let key = SecretKey::from_bytes(&[1; 32]).expect("a valid key");
        let public = key.public_key(&curve);
        let blind = |kind, count| blind_lock(&curve, &key, kind, &vec![public; count], &[]);
        assert!(blind(ConditionKind::P2pk, 11).is_ok());
        assert_eq!(blind(ConditionKind::P2pk, 12), Err(P2bkError::TooManyKeys));
        assert!(blind(ConditionKind::Htlc, 10).is_ok());
        assert_eq!(blind(ConditionKind::Htlc, 11), Err(P2bkError::TooManyKeys));
        assert_eq!(blind(ConditionKind::P2pk, 1000), Err(P2bkError::TooManyKeys));
    }
}
