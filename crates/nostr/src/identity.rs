//! Users of Nostr: a key pair of which the public half is an x coordinate.

use std::fmt;
use std::sync::Arc;

use hazel_protocol::conditions::sign_digest;
use hazel_protocol::{Curve, PublicKey, Scalar32, SecretKey, crypto};
use zeroize::Zeroizing;

/// Names a user: the x coordinate of a public key, 64 hex digits as text. On the curve or not: whoever encrypts to it finds out.
pub type User = Scalar32;

/// A user whose secret key is at hand.
#[derive(Clone)]
pub struct Identity {
    curve: Arc<Curve>,
    secret: SecretKey,
    user: User,
}

impl Identity {
    /// The user with this key.
    pub fn new(curve: Arc<Curve>, secret: SecretKey) -> Self {
        let [_parity, x @ ..] = secret.public_key(&curve).to_bytes();
        Self { curve, secret, user: User::from_bytes(x) }
    }

    /// A user that has never been seen, from 32 bytes of fresh entropy; none for entropy that is no key, with a probability below 2^-127.
    pub fn ephemeral(curve: Arc<Curve>, entropy: &Zeroizing<[u8; 32]>) -> Option<Self> {
        SecretKey::from_bytes(entropy).map(|secret| Self::new(curve, secret)).ok()
    }

    /// How others call the user.
    pub const fn user(&self) -> User {
        self.user
    }

    /// The context of the curve that the key is used with.
    pub const fn curve(&self) -> &Arc<Curve> {
        &self.curve
    }

    /// Signs a hash (BIP-340).
    pub(crate) fn sign(&self, digest: &[u8; 32], entropy: &[u8; 32]) -> [u8; 64] {
        sign_digest(&self.curve, &self.secret, digest, entropy)
    }

    /// The x coordinate that only the two users can compute, in constant time; none when `other` is not on the curve.
    pub(crate) fn shared_x(&self, other: &User) -> Option<Zeroizing<[u8; 32]>> {
        let lifted = PublicKey::from_bytes(&[&[0x02], &other.as_bytes()[..]].concat()).ok()?;
        let [_parity, x @ ..] = crypto::sign(&self.secret, &lifted).to_bytes();
        Some(Zeroizing::new(x))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.user)
    }
}
