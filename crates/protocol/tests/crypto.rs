//! Blind signatures and DLEQ proofs outside the vectors: what must fail, and how.

use hazel_protocol::crypto::{
    blind, hash_to_curve, sign, sign_with_dleq, unblind, verify_dleq, verify_proof_dleq, verify_unblinded,
};
use hazel_protocol::{
    BlindingFactor, Curve, Dleq, DleqError, InfinityError, PointBytes, PublicKey, Scalar32, Secret, SecretKey,
};

const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

struct World {
    curve: Curve,
    k: SecretKey,
    public: PublicKey,
    secret: Secret,
    r: BlindingFactor,
    b: PublicKey,
    c: PublicKey,
    dleq: Dleq,
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("in range")
}

fn world() -> World {
    let curve = Curve::new(&[9; 32]);
    let k = key(0x11);
    let public = k.public_key(&curve);
    let secret = Secret::new("a secret").expect("short");
    let r = BlindingFactor::from_bytes(&[0x22; 32]).expect("in range");
    let b = blind(&curve, &secret.y(), &r).expect("honest");
    let (c, dleq) = sign_with_dleq(&curve, &k, &public, &b);
    World { curve, k, public, secret, r, b, c, dleq }
}

fn negated(point: &PublicKey) -> PublicKey {
    let mut bytes = point.to_bytes();
    bytes[0] ^= 1;
    PublicKey::from_bytes(&bytes).expect("the other root")
}

fn scalar(text: &str) -> Scalar32 {
    text.parse().expect("64 digits")
}

#[test]
fn the_blinding_of_the_context_changes_no_result() {
    let other = Curve::new(&[10; 32]);
    let w = world();
    assert_eq!(w.k.public_key(&other), w.public);
    assert_eq!(sign_with_dleq(&other, &w.k, &w.public, &w.b), (w.c, w.dleq));
    assert_eq!(blind(&other, &w.secret.y(), &w.r), Ok(w.b));
}

#[test]
fn only_the_right_key_secret_and_bytes_verify() {
    let w = world();
    let c = unblind(&w.c, &w.r, &w.public).expect("honest");
    let bytes = PointBytes::from(c);
    assert!(verify_unblinded(&w.k, &w.secret.y(), &bytes));
    assert!(!verify_unblinded(&key(0x12), &w.secret.y(), &bytes));
    assert!(!verify_unblinded(&w.k, &hash_to_curve(b"another secret"), &bytes));
    assert!(!verify_unblinded(&w.k, &w.secret.y(), &PointBytes::from(negated(&c))));
    let mut off = *bytes.as_bytes();
    off[32] ^= 1;
    assert!(!verify_unblinded(&w.k, &w.secret.y(), &PointBytes::from_bytes(&off).expect("the shape of a point")));
    assert!(!verify_unblinded(&w.k, &w.secret.y(), &PointBytes::from_bytes(&[2; 33]).expect("the shape of a point")));
}

#[test]
fn sums_at_infinity_are_errors() {
    let w = world();
    let r_as_key = SecretKey::from_bytes(w.r.expose_bytes()).expect("in range");
    // A mint that has guessed the secret answers with rK.
    let guessed = sign(&r_as_key, &w.public);
    assert_eq!(unblind(&guessed, &w.r, &w.public), Err(InfinityError));
    let minus_rg = negated(&r_as_key.public_key(&w.curve));
    assert_eq!(blind(&w.curve, &minus_rg, &w.r), Err(InfinityError));
    let dleq = w.dleq.with_blinding_factor(w.r.clone());
    assert_eq!(verify_proof_dleq(&w.public, &w.secret, &negated(&guessed), &dleq), Err(DleqError::Infinity));
}

#[test]
fn dleq_scalars_out_of_range_are_errors() {
    let w = world();
    for bad in ["00".repeat(32), ORDER.to_owned(), "ff".repeat(32)] {
        for dleq in [Dleq { e: scalar(&bad), ..w.dleq }, Dleq { s: scalar(&bad), ..w.dleq }] {
            assert_eq!(verify_dleq(&w.public, &w.b, &w.c, &dleq), Err(DleqError::ScalarOutOfRange));
        }
    }
}

#[test]
fn dleq_commitments_at_infinity_are_errors() {
    let w = world();
    let one = SecretKey::from_bytes(scalar(&format!("{}01", "00".repeat(31))).as_bytes()).expect("in range");
    let g = one.public_key(&w.curve);
    // With A = G and s = e, R1 = sG - eA is at infinity; with C_ = B_ so is R2.
    let dleq = Dleq { e: w.dleq.e, s: w.dleq.e };
    assert_eq!(verify_dleq(&g, &w.b, &w.b, &dleq), Err(DleqError::Infinity));
    assert_eq!(verify_dleq(&w.public, &w.b, &w.b, &dleq), Err(DleqError::Infinity));
}

#[test]
fn every_part_of_a_dleq_proof_counts() {
    let w = world();
    let check = |a, b, c, dleq| verify_dleq(a, b, c, dleq);
    assert_eq!(check(&w.public, &w.b, &w.c, &w.dleq), Ok(()));
    let other = key(0x33).public_key(&w.curve);
    let swapped = Dleq { e: w.dleq.s, s: w.dleq.e };
    for result in [
        check(&other, &w.b, &w.c, &w.dleq),
        check(&w.public, &other, &w.c, &w.dleq),
        check(&w.public, &w.b, &other, &w.dleq),
        check(&w.public, &w.b, &negated(&w.c), &w.dleq),
        check(&w.public, &w.b, &w.c, &swapped),
    ] {
        assert_eq!(result, Err(DleqError::Mismatch));
    }
}

#[test]
fn a_signature_by_an_unpublished_key_convinces_nobody() {
    let w = world();
    let hidden = key(0x44);
    // A mint that marks a user signs with another key and proves it against the published one.
    let (c, dleq) = sign_with_dleq(&w.curve, &hidden, &w.public, &w.b);
    assert_eq!(verify_dleq(&w.public, &w.b, &c, &dleq), Err(DleqError::Mismatch));
}

#[test]
fn carol_needs_the_right_secret_signature_and_factor() {
    let w = world();
    let c = unblind(&w.c, &w.r, &w.public).expect("honest");
    let dleq = w.dleq.with_blinding_factor(w.r.clone());
    assert_eq!(verify_proof_dleq(&w.public, &w.secret, &c, &dleq), Ok(()));
    let secret = Secret::new("another secret").expect("short");
    assert_eq!(verify_proof_dleq(&w.public, &secret, &c, &dleq), Err(DleqError::Mismatch));
    assert_eq!(verify_proof_dleq(&w.public, &w.secret, &w.b, &dleq), Err(DleqError::Mismatch));
    let r = BlindingFactor::from_bytes(&[0x23; 32]).expect("in range");
    let other = w.dleq.with_blinding_factor(r);
    assert_eq!(verify_proof_dleq(&w.public, &w.secret, &c, &other), Err(DleqError::Mismatch));
}
