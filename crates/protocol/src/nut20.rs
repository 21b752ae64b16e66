//! What is signed for a mint quote that is locked to a key (NUT-20).

use bitcoin::hashes::{Hash, HashEngine, sha256};

use crate::conditions::sign_digest;
use crate::crypto::Curve;
use crate::hex;
use crate::proof::BlindedMessage;
use crate::quote::QuoteId;
use crate::scalar::SecretKey;

/// The signature that issues a locked quote, in hex. `entropy` is mixed into the nonce and should come from the system's random source.
pub fn sign(curve: &Curve, key: &SecretKey, quote: &QuoteId, outputs: &[BlindedMessage], entropy: &[u8; 32]) -> String {
    hex::encode(&sign_digest(curve, key, &digest(quote, outputs), entropy))
}

/// SHA-256 over the quote id and the hex of every `B_`, in their order.
pub fn digest(quote: &QuoteId, outputs: &[BlindedMessage]) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(quote.as_str().as_bytes());
    for output in outputs {
        engine.input(output.b.to_string().as_bytes());
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}
