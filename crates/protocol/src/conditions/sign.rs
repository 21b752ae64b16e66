//! The other side: locks to make, messages to sign (NUT-11, NUT-14).

use bitcoin::hashes::{Hash, HashEngine, sha256};
use secp256k1::{Keypair, Message};
use serde_json::json;

use super::error::Tag;
use super::secret::{ConditionKind, SigFlag};
use super::witness::SIGNATURE_BYTES;
use crate::crypto::Curve;
use crate::hex;
use crate::point::PublicKey;
use crate::proof::{BlindedMessage, Proof};
use crate::quote::QuoteId;
use crate::scalar::SecretKey;
use crate::secret::{Secret, SecretError};

/// What is signed for one input with `SIG_INPUTS`: SHA-256 of its secret.
pub fn input_digest(secret: &Secret) -> [u8; 32] {
    sha256::Hash::hash(secret.as_bytes()).to_byte_array()
}

/// What is signed for a whole swap with `SIG_ALL`.
pub fn swap_digest(inputs: &[Proof], outputs: &[BlindedMessage]) -> [u8; 32] {
    request_digest(inputs, outputs, None)
}

/// What is signed for a whole melt with `SIG_ALL`; `blanks` are its outputs, in order.
pub fn melt_digest(inputs: &[Proof], blanks: &[BlindedMessage], quote: &QuoteId) -> [u8; 32] {
    request_digest(inputs, blanks, Some(quote))
}

/// SHA-256 over secret and `C` of every input, amount and `B_` of every output, and the quote id of a melt, as texts.
pub(super) fn request_digest(inputs: &[Proof], outputs: &[BlindedMessage], quote: Option<&QuoteId>) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    for input in inputs {
        engine.input(input.secret.as_bytes());
        engine.input(input.c.to_string().as_bytes());
    }
    for output in outputs {
        engine.input(output.amount.to_string().as_bytes());
        engine.input(output.b.to_string().as_bytes());
    }
    if let Some(quote) = quote {
        engine.input(quote.as_str().as_bytes());
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// Signs a digest (BIP-340). `entropy` is mixed into the nonce and should come from the system's random source.
pub fn sign_digest(curve: &Curve, key: &SecretKey, digest: &[u8; 32], entropy: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
    key.with(|key| {
        let mut pair = Keypair::from_secret_key(curve.context(), key);
        let signature = curve.context().sign_schnorr_with_aux_rand(&Message::from_digest(*digest), &pair, entropy);
        pair.non_secure_erase();
        signature.serialize()
    })
}

/// A lock to make. What it does not say is left out of the secret.
///
/// ```
/// use hazel_protocol::conditions::{Condition, Lock};
/// use hazel_protocol::{Curve, SecretKey};
///
/// let key = SecretKey::from_bytes(&[7; 32])?.public_key(&Curve::new(&[1; 32]));
/// let secret = Lock::to_key(key).locktime(1_900_000_000).to_secret(&[9; 32])?;
/// let lock = Condition::of(&secret)?.ok_or("a lock")?;
/// assert_eq!(lock.locktime(), Some(1_900_000_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    kind: ConditionKind,
    data: String,
    tags: Vec<Vec<String>>,
}

impl Lock {
    /// Locks to a key (NUT-11).
    pub fn to_key(key: PublicKey) -> Self {
        Self { kind: ConditionKind::P2pk, data: key.to_string(), tags: Vec::new() }
    }

    /// Locks to the SHA-256 of 32 bytes (NUT-14).
    pub fn to_hash(hash: &[u8; 32]) -> Self {
        Self { kind: ConditionKind::Htlc, data: hex::encode(hash), tags: Vec::new() }
    }

    /// More keys of the main pathway; for a hash lock the keys of it.
    #[must_use]
    pub fn pubkeys(self, keys: &[PublicKey]) -> Self {
        self.tag(Tag::Pubkeys, keys.iter().map(PublicKey::to_string))
    }

    /// How many keys of the main pathway must sign.
    #[must_use]
    pub fn n_sigs(self, count: u32) -> Self {
        self.tag(Tag::NSigs, [count.to_string()])
    }

    /// When the lock expires, in seconds since 1970.
    #[must_use]
    pub fn locktime(self, time: u64) -> Self {
        self.tag(Tag::Locktime, [time.to_string()])
    }

    /// The keys that can spend once the lock has expired.
    #[must_use]
    pub fn refund(self, keys: &[PublicKey]) -> Self {
        self.tag(Tag::Refund, keys.iter().map(PublicKey::to_string))
    }

    /// How many refund keys must sign.
    #[must_use]
    pub fn n_sigs_refund(self, count: u32) -> Self {
        self.tag(Tag::NSigsRefund, [count.to_string()])
    }

    /// Signatures cover the whole request.
    #[must_use]
    pub fn sig_all(self) -> Self {
        self.tag(Tag::SigFlag, [SigFlag::All.as_str().to_owned()])
    }

    fn tag(mut self, tag: Tag, values: impl IntoIterator<Item = String>) -> Self {
        self.tags.push(std::iter::once(tag.as_str().to_owned()).chain(values).collect());
        self
    }

    /// The secret with this lock. `nonce` makes it differ from every other and must be random.
    ///
    /// # Errors
    /// [`SecretError::TooLong`] for more keys than a secret holds.
    pub fn to_secret(&self, nonce: &[u8; 32]) -> Result<Secret, SecretError> {
        let body = json!({ "nonce": hex::encode(nonce), "data": self.data, "tags": self.tags });
        Secret::new(json!([self.kind.as_str(), body]).to_string())
    }
}
