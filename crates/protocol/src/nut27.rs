//! The key of a wallet's backup at Nostr (NUT-27).

use bitcoin::hashes::{Hash, HashEngine, sha256};
use zeroize::Zeroizing;

use crate::scalar::{ScalarError, SecretKey};

const DOMAIN: &[u8] = b"cashu-mint-backup";

/// The key that signs and encrypts the list of mints of the wallet with this 64-byte BIP-39 seed: SHA-256 of the seed and a domain.
///
/// # Errors
/// [`ScalarError::OutOfRange`], with a probability below 2^-127.
pub fn backup_key(seed: &[u8; 64]) -> Result<SecretKey, ScalarError> {
    let mut engine = sha256::Hash::engine();
    engine.input(seed);
    engine.input(DOMAIN);
    SecretKey::from_bytes(&Zeroizing::new(sha256::Hash::from_engine(engine).to_byte_array()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Curve;
    use crate::hex;

    #[test]
    fn nut27_vector() {
        let words = "half depart obvious quality work element tank gorilla view sugar picture humble";
        let words: bip39::Mnemonic = words.parse().expect("words");
        let key = backup_key(&words.to_seed("")).expect("a key");
        let secret = "e7ca79469a270b36617e4227ff2f068d3bcbb6b072c8584190b0203597c53c0d";
        assert_eq!(hex::encode(key.expose_bytes()), secret);
        let x = "0767277aaed200af7a8843491745272fc1ad2c7bfe340225e6f34f3a9a273aed";
        assert_eq!(hex::encode(&key.public_key(&Curve::new(&[1; 32])).to_bytes()[1..]), x);
    }
}
