//! The states of a swap and the steps between them.

use hazel_protocol::swap::SwapResponse;
use hazel_protocol::{Amount, BlindSignature, KeysetId};

use super::compensation::Failed;
use crate::error::MintError;
use crate::failpoint::failpoint;
use crate::mint::Mint;
use crate::ports::{Change, InputRow, OperationId, ReserveSwap, SettleSwap, ToSign};
use crate::signing::{SignedOutput, sign_outputs};
use crate::verify::{VerifiedOutputs, VerifiedSwap};

/// Verified, and not yet in the ledger.
#[derive(Debug)]
pub struct Initial {
    operation: OperationId,
    inputs: Vec<InputRow>,
    outputs: VerifiedOutputs,
    fees: Vec<(KeysetId, Amount)>,
}

/// Inputs are PENDING, outputs reserved, the operation row is there.
#[derive(Debug)]
pub struct SetupComplete {
    operation: OperationId,
    to_sign: Vec<ToSign>,
    fees: Vec<(KeysetId, Amount)>,
}

/// Every output is signed, in memory only.
#[derive(Debug)]
pub struct Signed {
    operation: OperationId,
    outputs: Vec<SignedOutput>,
    fees: Vec<(KeysetId, Amount)>,
}

/// Inputs are SPENT and the signatures are durable.
#[derive(Debug)]
pub struct Completed {
    signatures: Vec<BlindSignature>,
}

impl Initial {
    /// A swap that may be tried, under a new operation id.
    pub fn new(operation: OperationId, verified: VerifiedSwap) -> Self {
        let VerifiedSwap { inputs, outputs, fees } = verified;
        Self { operation, inputs, outputs, fees }
    }

    /// Takes custody: commits `ReserveSwap`.
    ///
    /// # Errors
    /// What the ledger holds against it. Nothing is reserved then, or, if its commit stayed in doubt, the sweeper undoes it.
    pub async fn setup(self, mint: &Mint) -> Result<SetupComplete, MintError> {
        failpoint!("swap-before-reserve");
        let reserve = ReserveSwap {
            operation: self.operation,
            owner: mint.owner,
            inputs: self.inputs,
            outputs: self.outputs.rows(),
            now: mint.now(),
        };
        mint.apply(Change::ReserveSwap(reserve)).await?;
        failpoint!("swap-after-reserve");
        Ok(SetupComplete { operation: self.operation, to_sign: self.outputs.to_sign, fees: self.fees })
    }
}

impl SetupComplete {
    /// Asks the signer. Nothing leaves the process.
    ///
    /// # Errors
    /// The signer's reason, with what has to be undone.
    pub async fn sign(self, mint: &Mint) -> Result<Signed, Failed> {
        match sign_outputs(&*mint.ports.signer, self.to_sign).await {
            Ok(outputs) => {
                failpoint!("swap-after-sign");
                Ok(Signed { operation: self.operation, outputs, fees: self.fees })
            }
            Err(error) => Err(Failed::new(self.operation, error.into())),
        }
    }
}

impl Signed {
    /// Commits `SettleSwap`: from here on the swap is done.
    ///
    /// # Errors
    /// What the ledger holds against it, with what has to be undone.
    pub async fn finalize(self, mint: &Mint) -> Result<Completed, Failed> {
        let settle = SettleSwap {
            operation: self.operation,
            owner: mint.owner,
            outputs: self.outputs.iter().map(SignedOutput::row).collect(),
            fees: self.fees,
            now: mint.now(),
        };
        match mint.apply(Change::SettleSwap(settle)).await {
            Ok(_) => {
                failpoint!("swap-after-settle");
                Ok(Completed { signatures: self.outputs.into_iter().map(SignedOutput::into_signature).collect() })
            }
            Err(error) => Err(Failed::new(self.operation, error.into())),
        }
    }
}

impl Completed {
    /// Lets the signatures go.
    ///
    /// # Errors
    /// None that a request within the limits can meet.
    pub fn release(self) -> Result<SwapResponse, MintError> {
        response(self.signatures)
    }
}

/// The answer with these signatures.
pub(super) fn response(signatures: Vec<BlindSignature>) -> Result<SwapResponse, MintError> {
    let signatures = signatures.try_into().map_err(|_| MintError::Bug("more signatures than outputs".to_owned()))?;
    Ok(SwapResponse { signatures })
}
