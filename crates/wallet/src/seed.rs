//! The secret that everything in a wallet derives from.

use std::fmt;

use hazel_protocol::nut13::{self, DerivationError, derive};
use hazel_protocol::nut27::backup_key;
use hazel_protocol::{BlindingFactor, KeysetId, Secret, SecretKey};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::ports::SeedFingerprint;

/// A BIP-39 seed of 64 bytes, erased when dropped. It is never stored by this crate.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 64]>);

impl Seed {
    /// Takes the 64 bytes.
    pub fn from_bytes(bytes: Zeroizing<[u8; 64]>) -> Self {
        Self(bytes)
    }

    /// The seed of a BIP-39 mnemonic and its passphrase, which may be empty.
    pub fn from_mnemonic(mnemonic: &bip39::Mnemonic, passphrase: &str) -> Self {
        Self(Zeroizing::new(mnemonic.to_seed(passphrase)))
    }

    /// The secret and blinding factor of one counter under a keyset (NUT-13).
    pub(crate) fn derive(&self, keyset: &KeysetId, counter: u64) -> Result<(Secret, BlindingFactor), DerivationError> {
        derive(&self.0, keyset, counter)
    }

    /// A key for a purpose of the wallet's own.
    pub(crate) fn derive_key(&self, purpose: &str, context: &[u8]) -> Result<SecretKey, DerivationError> {
        nut13::derive_key(&self.0, purpose, context)
    }

    /// The ephemeral key that blinds the lock of one output (NUT-28). Whoever sends again derives the same.
    pub(crate) fn derive_blinder(&self, keyset: &KeysetId, counter: u64) -> Result<SecretKey, DerivationError> {
        self.derive_key("p2bk", &[keyset.as_bytes(), &counter.to_be_bytes()[..]].concat())
    }

    /// The key that the list of mints is backed up with (NUT-27).
    ///
    /// # Errors
    /// [`Error::Bug`], with a probability below 2^-127.
    pub fn backup_key(&self) -> Result<SecretKey, Error> {
        backup_key(&self.0).map_err(|_| Error::Bug("a key of the wallet is unusable"))
    }

    /// A key that payments for one request are sent to by Nostr, so that nobody can link two requests by it (NUT-18). `request` names
    /// the request.
    ///
    /// # Errors
    /// [`Error::Bug`], with a probability below 2^-127.
    pub fn request_key(&self, request: &str) -> Result<SecretKey, Error> {
        self.derive_key("nostr request", request.as_bytes()).map_err(|_| Error::Bug("a key of the wallet is unusable"))
    }

    /// The name of the seed: what it derives for a keyset id that no keys can have.
    ///
    /// # Errors
    /// [`DerivationError::Unusable`], which has a probability below 2^-127.
    pub(crate) fn fingerprint(&self) -> Result<SeedFingerprint, DerivationError> {
        let mut id = [0; 33];
        id[0] = 1;
        let nobodys = KeysetId::from_bytes(&id).map_err(|_| DerivationError::Unusable)?;
        let (secret, _) = self.derive(&nobodys, 0)?;
        let half = secret.as_str().get(..32).and_then(|hex| hex.parse().ok());
        half.ok_or(DerivationError::Unusable)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
