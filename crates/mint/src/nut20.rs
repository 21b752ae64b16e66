//! NUT-20: a mint quote locked to a key is issued only to who signs for it.

use std::sync::LazyLock;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use hazel_protocol::mint::MintRequest;
use hazel_protocol::{ErrorCode, PublicKey};
use secp256k1::schnorr::Signature;
use secp256k1::{Message, Secp256k1, VerifyOnly};

use crate::error::MintError;

static VERIFIER: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Checks the signature of `request` against the key its quote is locked to. A quote that is not locked needs none.
///
/// # Errors
/// 20008 when it is missing, malformed, by another key, or over other outputs.
pub(crate) fn check_signature(lock: Option<&PublicKey>, request: &MintRequest) -> Result<(), MintError> {
    let Some(key) = lock else { return Ok(()) };
    let invalid = || MintError::refused(ErrorCode::MintSignatureInvalid);
    let signature = request.signature.as_deref().ok_or_else(invalid)?;
    let signature: Signature = signature.parse().map_err(|_| invalid())?;
    let (key, _) = key.as_inner().x_only_public_key();
    VERIFIER.verify_schnorr(&signature, &digest(request), &key).map_err(|_| invalid())
}

/// SHA-256 over the quote id and the hex of every `B_`, in their order.
fn digest(request: &MintRequest) -> Message {
    let mut engine = sha256::Hash::engine();
    engine.input(request.quote.as_str().as_bytes());
    for output in &*request.outputs {
        engine.input(output.b.to_string().as_bytes());
    }
    Message::from_digest(sha256::Hash::from_engine(engine).to_byte_array())
}

#[cfg(test)]
mod tests {
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
        assert_eq!(check_signature(lock, &vectors.valid), Ok(()));
        let refused = Err(MintError::refused(ErrorCode::MintSignatureInvalid));
        assert_eq!(check_signature(lock, &vectors.invalid), refused);
        let unsigned = MintRequest { signature: None, ..vectors.valid };
        assert_eq!(check_signature(lock, &unsigned), refused);
        assert_eq!(check_signature(None, &unsigned), Ok(()), "a quote that is not locked needs none");
    }
}
