//! NUT-20: a mint quote locked to a key is issued only to who signs for it.

use std::sync::LazyLock;

use hazel_protocol::{BlindedMessage, ErrorCode, PublicKey, QuoteId, nut20};
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
    let message = Message::from_digest(nut20::digest(quote, outputs));
    VERIFIER.verify_schnorr(&signature, &message, &key).map_err(|_| invalid())
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
