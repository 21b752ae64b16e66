//! Secrets and blinding factors that a wallet can derive again from its seed (NUT-13).
//!
//! For each keyset the wallet counts up from 0 and uses each counter for one output. Keysets of version 2 derive with
//! HMAC-SHA256, keysets of version 1 with BIP-32.

use bitcoin::NetworkKind;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv};
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use zeroize::Zeroizing;

use crate::crypto::public_context;
use crate::hex;
use crate::keyset::{KeysetId, KeysetVersion};
use crate::scalar::{BlindingFactor, ScalarError, SecretKey};
use crate::secret::Secret;

/// The counters of version 1 keysets are below this, because BIP-32 has no more hardened children.
pub const V1_COUNTER_LIMIT: u64 = 1 << 31;

const KDF_DOMAIN: &[u8] = b"Cashu_KDF_HMAC_SHA256";
const KEY_DOMAIN: &[u8] = b"Hazel_KDF_HMAC_SHA256";
/// The purpose of the BIP-32 path, the UTF-8 of a peanut.
const PURPOSE: u32 = 129_372;
/// The order of the curve, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Why nothing can be derived for a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// The counter is not below [`V1_COUNTER_LIMIT`] and the keyset is of version 1.
    #[error("the counter {0} is too large for a keyset of version 1")]
    CounterTooLarge(u64),
    /// The derived scalar is zero. The counter is to be skipped; the probability is below 2^-127.
    #[error("nothing can be derived for this counter")]
    Unusable,
}

impl From<ScalarError> for DerivationError {
    fn from(_: ScalarError) -> Self {
        Self::Unusable
    }
}

/// The secret and the blinding factor for one counter of a keyset.
///
/// `seed` is the 64-byte BIP-39 seed. The way of derivation follows the version of the keyset id.
///
/// # Errors
/// [`DerivationError::CounterTooLarge`] for a version 1 keyset and a counter of 2^31 or more.
pub fn derive(seed: &[u8; 64], keyset: &KeysetId, counter: u64) -> Result<(Secret, BlindingFactor), DerivationError> {
    match keyset.version() {
        KeysetVersion::V1 => derive_v1(seed, keyset, counter),
        KeysetVersion::V2 => derive_v2(seed, keyset, counter),
    }
}

/// A key of the wallet that can be derived again: for locks, for quotes, for an identity. NUT-13 fixes no derivation for these.
///
/// HMAC-SHA256 keyed with the seed, over a domain of its own, the length of `purpose`, `purpose` and `context`; reduced
/// modulo the order of the curve.
///
/// # Errors
/// [`DerivationError::Unusable`].
pub fn derive_key(seed: &[u8; 64], purpose: &str, context: &[u8]) -> Result<SecretKey, DerivationError> {
    let length = u64::try_from(purpose.len()).map_err(|_| DerivationError::Unusable)?;
    let mut engine = HmacEngine::<sha256::Hash>::new(seed);
    for part in [KEY_DOMAIN, &length.to_be_bytes(), purpose.as_bytes(), context] {
        engine.input(part);
    }
    let key = reduce(Zeroizing::new(Hmac::from_engine(engine).to_byte_array()));
    Ok(SecretKey::from_bytes(&key)?)
}

/// The number that stands for a keyset in a BIP-32 path: its first 8 bytes modulo 2^31 - 1.
///
/// # Panics
/// Never: the remainder fits.
pub fn keyset_id_int(keyset: &KeysetId) -> u32 {
    let number = u64::from_be_bytes(*keyset.short().as_bytes()) % ((1 << 31) - 1);
    u32::try_from(number).expect("the modulus is below 2^31")
}

fn derive_v2(seed: &[u8; 64], keyset: &KeysetId, counter: u64) -> Result<(Secret, BlindingFactor), DerivationError> {
    let secret = hmac(seed, keyset, counter, 0);
    let r = reduce(hmac(seed, keyset, counter, 1));
    Ok((hex_secret(&secret), BlindingFactor::from_bytes(&*r)?))
}

fn hmac(seed: &[u8; 64], keyset: &KeysetId, counter: u64, kind: u8) -> Zeroizing<[u8; 32]> {
    let mut engine = HmacEngine::<sha256::Hash>::new(seed);
    engine.input(KDF_DOMAIN);
    engine.input(keyset.as_bytes());
    engine.input(&counter.to_be_bytes());
    engine.input(&[kind]);
    Zeroizing::new(Hmac::from_engine(engine).to_byte_array())
}

/// Reduces a 256-bit number modulo the order of the curve. Twice the order is above 2^256, so one subtraction does it.
fn reduce(mut number: Zeroizing<[u8; 32]>) -> Zeroizing<[u8; 32]> {
    if *number < ORDER {
        return number;
    }
    let mut borrow = false;
    for (digit, order) in number.iter_mut().zip(ORDER).rev() {
        let (difference, first) = digit.overflowing_sub(order);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        *digit = difference;
        borrow = first || second;
    }
    number
}

fn derive_v1(seed: &[u8; 64], keyset: &KeysetId, counter: u64) -> Result<(Secret, BlindingFactor), DerivationError> {
    let counter = match u32::try_from(counter) {
        Ok(small) if counter < V1_COUNTER_LIMIT => small,
        _ => return Err(DerivationError::CounterTooLarge(counter)),
    };
    let parent: DerivationPath =
        [PURPOSE, 0, keyset_id_int(keyset), counter].map(|index| ChildNumber::Hardened { index }).as_slice().into();
    let unusable = |_| DerivationError::Unusable;
    let mut master = Xpriv::new_master(NetworkKind::Main, seed).map_err(unusable)?;
    let branch = master.derive_priv(public_context(), &parent).map_err(unusable);
    master.private_key.non_secure_erase();
    let mut branch = branch?;
    let secret = leaf(&branch, 0);
    let r = leaf(&branch, 1);
    branch.private_key.non_secure_erase();
    Ok((hex_secret(&*secret?), BlindingFactor::from_bytes(&*r?)?))
}

/// The private key of a non-hardened child.
fn leaf(branch: &Xpriv, index: u32) -> Result<Zeroizing<[u8; 32]>, DerivationError> {
    let mut child = branch
        .derive_priv(public_context(), &[ChildNumber::Normal { index }])
        .map_err(|_| DerivationError::Unusable)?;
    let bytes = Zeroizing::new(child.private_key.secret_bytes());
    child.private_key.non_secure_erase();
    Ok(bytes)
}

fn hex_secret(bytes: &[u8; 32]) -> Secret {
    Secret::new(hex::encode(bytes)).expect("64 digits are within the limits of a secret")
}
