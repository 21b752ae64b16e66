//! The blind signature scheme (NUT-00) and the proof that a mint used its published key (NUT-12).
//!
//! Names follow the NUTs: the mint has a key pair `K = kG` for each amount, the wallet a secret `x` and a blinding factor
//! `r`.
//!
//! ```text
//! wallet   Y  = hash_to_curve(x)          hash_to_curve
//!          B_ = Y + rG                    blind
//! mint     C_ = kB_                       sign, sign_with_dleq
//! wallet   C  = C_ - rK                   verify_dleq, unblind
//! other    C  belongs to x by the mint    verify_proof_dleq
//! mint     C == kY                        verify_unblinded
//! ```
//!
//! # Secret scalars
//!
//! The keys of the mint, its nonces and the blinding factors of wallets enter constant-time operations only: `k * P` is
//! the elliptic-curve Diffie-Hellman function of libsecp256k1, `k * G` its key generation on a context blinded with
//! randomness, `r + e * a` its scalar arithmetic for keys. The faster variable-time multiplication is for verification, where
//! every number is public.

#![expect(clippy::many_single_char_names, reason = "the names are those of the NUTs")]

use std::fmt;
use std::sync::OnceLock;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use secp256k1::{All, Scalar, Secp256k1, ecdh};
use zeroize::Zeroizing;

use crate::dleq::{Dleq, ProofDleq};
use crate::hex;
use crate::point::{POINT_BYTES, PointBytes, PublicKey};
use crate::scalar::{BlindingFactor, Scalar32, SecretKey};
use crate::secret::Secret;

const HASH_TO_CURVE_DOMAIN: &[u8] = b"Secp256k1_HashToCurve_Cashu_";
const NONCE_DOMAIN: &[u8] = b"Cashu_DLEQ_R_v1";

/// A sum of points is the point at infinity, which has no encoding. Honest values never lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result is the point at infinity")]
pub struct InfinityError;

/// Why a DLEQ proof does not convince.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DleqError {
    /// `e` or `s` is zero or not below the order of the curve.
    #[error("a scalar of the dleq proof is out of range")]
    ScalarOutOfRange,
    /// A sum of points on the way is the point at infinity.
    #[error("the dleq proof leads to the point at infinity")]
    Infinity,
    /// The equations do not hold: another key made the signature, or the proof belongs to other values.
    #[error("the dleq proof does not match")]
    Mismatch,
}

impl From<InfinityError> for DleqError {
    fn from(_: InfinityError) -> Self {
        Self::Infinity
    }
}

/// A context of the curve library whose multiplications of the generator are blinded with randomness.
///
/// Make one at start-up from fresh entropy and share it; it is never changed afterwards. Functions that only verify need
/// none.
pub struct Curve(Secp256k1<All>);

impl Curve {
    /// Makes a context blinded with `entropy`, which should come from the system's random source and be used once.
    pub fn new(entropy: &[u8; 32]) -> Self {
        let mut context = Secp256k1::new();
        context.seeded_randomize(entropy);
        Self(context)
    }

    /// The context itself, for signatures.
    pub(crate) const fn context(&self) -> &Secp256k1<All> {
        &self.0
    }

    /// `kG` in constant time.
    pub(crate) fn multiply_generator(&self, key: &secp256k1::SecretKey) -> PublicKey {
        secp256k1::PublicKey::from_secret_key(&self.0, key).into()
    }
}

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Curve(..)")
    }
}

/// The context for computations on public values.
pub(crate) fn public_context() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}

/// Maps a message to a point whose discrete logarithm nobody knows (NUT-00).
///
/// # Panics
/// Never in practice: half of all x coordinates are on the curve, and about 4 billion are tried.
pub fn hash_to_curve(msg: &[u8]) -> PublicKey {
    let mut engine = sha256::Hash::engine();
    engine.input(HASH_TO_CURVE_DOMAIN);
    engine.input(msg);
    let msg_hash = sha256::Hash::from_engine(engine);
    (0..=u32::MAX)
        .find_map(|counter| {
            let mut engine = sha256::Hash::engine();
            engine.input(msg_hash.as_byte_array());
            engine.input(&counter.to_le_bytes());
            let mut point = [0x02; POINT_BYTES];
            point[1..].copy_from_slice(sha256::Hash::from_engine(engine).as_byte_array());
            PublicKey::from_bytes(&point).ok()
        })
        .expect("every second hash is the x coordinate of a point")
}

/// Blinds a point: `B_ = Y + rG` (NUT-00).
///
/// # Errors
/// [`InfinityError`] when `Y` is `-rG`, which takes knowledge of the discrete logarithm of `Y`.
pub fn blind(curve: &Curve, y: &PublicKey, r: &BlindingFactor) -> Result<PublicKey, InfinityError> {
    let mask = r.with(|r| curve.multiply_generator(r));
    add(y, &mask)
}

/// Signs a blinded message: `C_ = kB_` (NUT-00), in constant time.
pub fn sign(k: &SecretKey, b: &PublicKey) -> PublicKey {
    k.with(|k| multiply(k, b))
}

/// Signs a blinded message and proves that the key of `kk = kG` did it (NUT-12).
///
/// The nonce of the proof derives from the key and the points, so no randomness is needed and the same message always
/// gets the same proof.
///
/// # Panics
/// Never in practice: 256 nonces in a row would have to be unusable, each with a probability below 2^-127.
pub fn sign_with_dleq(curve: &Curve, k: &SecretKey, kk: &PublicKey, b: &PublicKey) -> (PublicKey, Dleq) {
    let c = sign(k, b);
    let dleq =
        (0..=u8::MAX).find_map(|counter| prove(curve, k, kk, b, &c, counter)).expect("nearly every nonce is usable");
    (c, dleq)
}

/// One attempt at a DLEQ proof; none when nonce, challenge or response is zero or not below the order of the curve.
fn prove(curve: &Curve, k: &SecretKey, kk: &PublicKey, b: &PublicKey, c: &PublicKey, counter: u8) -> Option<Dleq> {
    let nonce = SecretKey::from_bytes(&nonce_bytes(k, kk, b, c, counter)).ok()?;
    let r1 = nonce.public_key(curve);
    let r2 = sign(&nonce, b);
    let e = hash_e(&[r1, r2, *kk, *c]);
    let s = respond(&nonce, k, e)?;
    Some(Dleq { e: Scalar32::from_bytes(e), s: Scalar32::from_bytes(s) })
}

fn nonce_bytes(k: &SecretKey, kk: &PublicKey, b: &PublicKey, c: &PublicKey, counter: u8) -> Zeroizing<[u8; 32]> {
    let mut engine = HmacEngine::<sha256::Hash>::new(k.expose_bytes());
    engine.input(NONCE_DOMAIN);
    for point in [kk, b, c] {
        engine.input(&point.to_uncompressed());
    }
    engine.input(&[counter]);
    Zeroizing::new(Hmac::from_engine(engine).to_byte_array())
}

/// `s = nonce + e * k` modulo the order of the curve, in constant time.
fn respond(nonce: &SecretKey, k: &SecretKey, e: [u8; 32]) -> Option<[u8; 32]> {
    let e = Scalar::from_be_bytes(e).ok()?;
    let mut product = k.with(|k| k.mul_tweak(&e)).ok()?;
    let mut tweak = Scalar::from(product);
    let sum = nonce.with(|nonce| nonce.add_tweak(&tweak)).ok();
    product.non_secure_erase();
    tweak.non_secure_erase();
    sum.map(|s| s.secret_bytes())
}

/// Takes the blinding off a signature: `C = C_ - rK` (NUT-00). `r` is a secret of the wallet, so this is constant time.
///
/// # Errors
/// [`InfinityError`] when `C_` is `rK`: a mint that guessed the secret can send that.
pub fn unblind(c_: &PublicKey, r: &BlindingFactor, k: &PublicKey) -> Result<PublicKey, InfinityError> {
    let mask = r.with(|r| multiply(r, k));
    add(c_, &negate(&mask))
}

/// Whether `C` is the signature of `k` on `Y`: `kY` is computed in constant time and compared byte by byte (NUT-00).
///
/// The bytes of `C` are never taken for a point, so nothing depends on how a sender chose them.
pub fn verify_unblinded(k: &SecretKey, y: &PublicKey, c: &PointBytes) -> bool {
    let expected = k.with(|k| {
        let xy = Zeroizing::new(ecdh::shared_secret_point(y.as_inner(), k));
        let mut compressed = Zeroizing::new([0u8; POINT_BYTES]);
        compressed[0] = 0x02 | (xy[63] & 1);
        compressed[1..].copy_from_slice(&xy[..32]);
        compressed
    });
    let differences = expected.iter().zip(c.as_bytes());
    differences.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Alice's check of a blind signature: the key of `A` made `C_` out of `B_` (NUT-12).
///
/// # Errors
/// [`DleqError`] when the proof does not convince.
pub fn verify_dleq(a: &PublicKey, b_: &PublicKey, c_: &PublicKey, dleq: &Dleq) -> Result<(), DleqError> {
    let e = public_scalar(&dleq.e)?;
    let s = public_scalar(&dleq.s)?;
    let r1 = generator_commitment(a, &e, &s)?;
    let r2 = add(&public_multiply(&s, b_), &negate(&public_multiply(&e, c_)))?;
    if hash_e(&[r1, r2, *a, *c_]) == *dleq.e.as_bytes() { Ok(()) } else { Err(DleqError::Mismatch) }
}

/// Carol's check of a proof that she was given: she blinds it again as Alice did, and checks that signature (NUT-12).
///
/// # Errors
/// [`DleqError`] when the proof does not convince.
pub fn verify_proof_dleq(a: &PublicKey, secret: &Secret, c: &PublicKey, dleq: &ProofDleq) -> Result<(), DleqError> {
    // The sender knows r as well; it is still kept out of variable-time operations, for it links the proof to its issuance.
    let mask = dleq.r.with(|r| multiply(r, a));
    let c_ = add(c, &mask)?;
    let mask = dleq.r.with(|r| secp256k1::PublicKey::from_secret_key(public_context(), r));
    let b_ = add(&secret.y(), &mask.into())?;
    verify_dleq(a, &b_, &c_, &dleq.dleq())
}

/// The hash of NUT-12: SHA-256 of the uncompressed points in hexadecimal, one after the other.
pub fn hash_e(points: &[PublicKey]) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    for point in points {
        engine.input(hex::encode(&point.to_uncompressed()).as_bytes());
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// `R1 = sG - eA`, in variable time.
#[expect(clippy::disallowed_methods, reason = "this is the one place for public scalars")]
fn generator_commitment(a: &PublicKey, e: &Scalar, s: &Scalar) -> Result<PublicKey, InfinityError> {
    negate(&public_multiply(e, a))
        .as_inner()
        .add_exp_tweak(public_context(), s)
        .map(PublicKey::from)
        .map_err(|_| InfinityError)
}

fn public_scalar(scalar: &Scalar32) -> Result<Scalar, DleqError> {
    match Scalar::from_be_bytes(*scalar.as_bytes()) {
        Ok(scalar) if scalar != Scalar::ZERO => Ok(scalar),
        _ => Err(DleqError::ScalarOutOfRange),
    }
}

/// `kP` in constant time.
fn multiply(k: &secp256k1::SecretKey, point: &PublicKey) -> PublicKey {
    let mut uncompressed = [0x04; 65];
    uncompressed[1..].copy_from_slice(&ecdh::shared_secret_point(point.as_inner(), k));
    secp256k1::PublicKey::from_slice(&uncompressed)
        .expect("a multiple of a point is on the curve, and the scalar is not zero")
        .into()
}

/// `kP` for a public scalar that is not zero, in variable time.
#[expect(clippy::disallowed_methods, reason = "this is the one place for public scalars")]
fn public_multiply(scalar: &Scalar, point: &PublicKey) -> PublicKey {
    point.as_inner().mul_tweak(public_context(), scalar).expect("the scalar is neither zero nor too large").into()
}

pub(crate) fn negate(point: &PublicKey) -> PublicKey {
    point.as_inner().negate(public_context()).into()
}

pub(crate) fn add(a: &PublicKey, b: &PublicKey) -> Result<PublicKey, InfinityError> {
    a.as_inner().combine(b.as_inner()).map(PublicKey::from).map_err(|_| InfinityError)
}
