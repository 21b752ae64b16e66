//! Signatures on their way between signer, ledger and wire.

use hazel_protocol::{BlindSignature, PointBytes};

use crate::error::MintError;
use crate::ports::{KnownOutput, Promise, SignedRow, Signer, SignerError, ToSign};
use crate::verify::output_row;

/// An output and the signature made for it, not yet durable.
#[derive(Debug, Clone)]
pub(crate) struct SignedOutput {
    output: ToSign,
    promise: Promise,
}

impl SignedOutput {
    /// The row to store.
    pub(crate) fn row(&self) -> SignedRow {
        SignedRow { output: output_row(&self.output), c: PointBytes::from(&self.promise.c), dleq: self.promise.dleq }
    }

    /// The wire form. Only for signatures whose commit is durable.
    pub(crate) fn into_signature(self) -> BlindSignature {
        BlindSignature {
            amount: self.output.amount,
            id: self.output.keyset,
            c: self.promise.c,
            dleq: Some(self.promise.dleq),
        }
    }
}

/// Signs all of `outputs`, in their order.
///
/// # Errors
/// The signer's; nothing is signed then as far as anyone can see.
pub(crate) async fn sign_outputs(signer: &dyn Signer, outputs: Vec<ToSign>) -> Result<Vec<SignedOutput>, SignerError> {
    let promises = signer.sign(outputs.clone()).await?;
    if promises.len() != outputs.len() {
        return Err(SignerError::Unavailable("the signer gave another number of signatures than asked".to_owned()));
    }
    Ok(outputs.into_iter().zip(promises).map(|(output, promise)| SignedOutput { output, promise }).collect())
}

/// The signature of a ledger row; `None` while the output is only reserved.
///
/// # Errors
/// The row holds no point.
pub(crate) fn stored_signature(known: &KnownOutput) -> Result<Option<BlindSignature>, MintError> {
    let Some((c, dleq)) = &known.signature else { return Ok(None) };
    let c = c.parse().map_err(|_| MintError::Bug("a stored signature is not a point on the curve".to_owned()))?;
    Ok(Some(BlindSignature { amount: known.output.amount, id: known.output.keyset, c, dleq: Some(*dleq) }))
}
