//! The holder of the mint's private keys.

use async_trait::async_trait;
use hazel_protocol::{Amount, CurrencyUnit, Dleq, KeysetId, KeysetKeys, PointBytes, PublicKey};

/// Which private keys: enough to derive them from the seed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeysetPath {
    /// The unit's part of the derivation path.
    pub unit: CurrencyUnit,
    /// The keyset's index within the unit.
    pub index: u32,
    /// The denominations, ascending, none zero.
    pub amounts: Vec<Amount>,
}

/// A proof whose mint signature is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The keyset it names.
    pub keyset: KeysetId,
    /// The value it claims.
    pub amount: Amount,
    /// `hash_to_curve(secret)`.
    pub y: PublicKey,
    /// The unblinded signature it shows; compared as bytes, never parsed.
    pub c: PointBytes,
}

/// A blinded message to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    /// With which keyset.
    pub keyset: KeysetId,
    /// With which key of it.
    pub amount: Amount,
    /// `B_`.
    pub b: PublicKey,
}

/// A blind signature and its NUT-12 proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// `C_`.
    pub c: PublicKey,
    /// That `C_` was made with the published key.
    pub dleq: Dleq,
}

/// Why the signer did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A keyset that was never loaded, or an amount it has no key for.
    #[error("keyset {0} has no key for amount {1}")]
    NoKey(KeysetId, Amount),
    /// The signer is away or overloaded; nothing was released.
    #[error("the signer is unavailable: {0}")]
    Unavailable(String),
}

/// Holds the private keys and does the curve arithmetic with them, in constant time.
///
/// It decides nothing: what may be signed is the engine's matter. Signing the same blinded message again gives the same
/// signature and the same proof, so a crash between signing and storing loses nothing.
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// A hash of the seed from which the seed cannot be found; equal for every replica of one mint.
    fn fingerprint(&self) -> [u8; 32];

    /// The public key the mint shows in NUT-06.
    fn identity(&self) -> PublicKey;

    /// Derives the keys of `path` and gives the public ones. Loads nothing.
    async fn derive(&self, path: &KeysetPath) -> Result<KeysetKeys, SignerError>;

    /// Makes the keys of `path` usable under `id`. The caller has compared the public keys first.
    async fn load(&self, id: KeysetId, path: &KeysetPath) -> Result<(), SignerError>;

    /// Makes the keys of an imported keyset, which the signer was given from outside, usable under their `id`, and gives the public ones; `None` when
    /// it has none of this id.
    async fn load_import(&self, _id: KeysetId) -> Result<Option<KeysetKeys>, SignerError> {
        Ok(None)
    }

    /// For each claim, whether `k * Y` equals `C`, in their order.
    async fn verify(&self, claims: Vec<Claim>) -> Result<Vec<bool>, SignerError>;

    /// Signs each blinded message, in their order; all or none.
    async fn sign(&self, outputs: Vec<ToSign>) -> Result<Vec<Promise>, SignerError>;
}
