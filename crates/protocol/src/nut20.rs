//! What is signed for a mint quote that is locked to a key (NUT-20).

use bitcoin::hashes::{Hash, HashEngine, sha256};

use crate::proof::BlindedMessage;
use crate::quote::QuoteId;

/// SHA-256 over the quote id and the hex of every `B_`, in their order.
pub fn digest(quote: &QuoteId, outputs: &[BlindedMessage]) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(quote.as_str().as_bytes());
    for output in outputs {
        engine.input(output.b.to_string().as_bytes());
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}
