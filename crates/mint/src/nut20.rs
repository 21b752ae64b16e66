//! NUT-20: a mint quote locked to a key is issued only to who signs for it.

use std::sync::LazyLock;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use hazel_protocol::{BlindedMessage, ErrorCode, PublicKey, QuoteId};
use secp256k1::schnorr::Signature;
use secp256k1::{Message, Secp256k1, VerifyOnly};

use crate::error::MintError;

static VERIFIER: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Checks `signature` over `quote` and `outputs` against the key the quote is locked to. A quote that is not locked needs none.
///
/// # Errors
/// 20008 when it is missing, malformed, by another key, of another quote or over other outputs.
pub(crate) fn check_signature(
    lock: Option<&PublicKey>,
    signature: Option<&str>,
    quote: &QuoteId,
    outputs: &[BlindedMessage],
) -> Result<(), MintError> {
    let Some(key) = lock else { return Ok(()) };
    let invalid = || MintError::refused(ErrorCode::MintSignatureInvalid);
    let signature: Signature = signature.ok_or_else(invalid)?.parse().map_err(|_| invalid())?;
    let (key, _) = key.as_inner().x_only_public_key();
    VERIFIER.verify_schnorr(&signature, &digest(quote, outputs), &key).map_err(|_| invalid())
}

/// SHA-256 over the quote id and the hex of every `B_`, in their order.
fn digest(quote: &QuoteId, outputs: &[BlindedMessage]) -> Message {
    let mut engine = sha256::Hash::engine();
    engine.input(quote.as_str().as_bytes());
    for output in outputs {
        engine.input(output.b.to_string().as_bytes());
    }
    Message::from_digest(sha256::Hash::from_engine(engine).to_byte_array())
}

#[cfg(test)]
mod tests {
    use hazel_protocol::mint::MintRequest;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        pubkey: PublicKey,
        valid: MintRequest,
        invalid: MintRequest,
    }

    #[test]
    fn vectors() {
        let vectors: Vectors = serde_json::from_str(include_str!("nut20/vectors.json")).expect("well formed");
        let lock = Some(&vectors.pubkey);
        let check = |lock, request: &MintRequest| {
            check_signature(lock, request.signature.as_deref(), &request.quote, &request.outputs)
        };
        assert_eq!(check(lock, &vectors.valid), Ok(()));
        let refused = Err(MintError::refused(ErrorCode::MintSignatureInvalid));
        assert_eq!(check(lock, &vectors.invalid), refused);
        let unsigned = MintRequest { signature: None, ..vectors.valid };
        assert_eq!(check(lock, &unsigned), refused);
        assert_eq!(check(None, &unsigned), Ok(()), "a quote that is not locked needs none");
    }
}
