//! NUT-03: the swap, a strict line of states.
//!
//! ```text
//! Initial --setup--> SetupComplete --sign--> Signed --finalize--> Completed
//!               \________________|_____________|  any failure: compensate
//! ```
//!
//! | state | in the ledger | if the process dies here |
//! |---|---|---|
//! | [`Initial`] | nothing | nothing has happened |
//! | [`SetupComplete`] | inputs PENDING, outputs reserved, operation row | recovery removes them: the inputs can be spent again |
//! | [`Signed`] | the same; signatures only in memory | the same |
//! | [`Completed`] | inputs SPENT, signatures stored, no row | done; the same request again gets the same signatures |
//!
//! A state is a struct and a step consumes it, so no other order compiles. Signatures leave in [`Completed`] alone, which only a
//! durable commit can make.

mod compensation;
mod recovery;
mod state;

use std::sync::Arc;

use hazel_protocol::swap::{SwapRequest, SwapResponse};

pub use recovery::RecoveryReport;
pub use state::{Completed, Initial, SetupComplete, Signed};

use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::OperationKind;
use crate::replay::Asked;
use crate::verify::{VerifiedSwap, attribute_fee, check_balance};

impl Mint {
    /// `POST /v1/swap` (NUT-03).
    ///
    /// The same request again gets the same signatures, for ever; while the first still runs, it waits for it.
    ///
    /// # Errors
    /// The rule that is broken, or what the ledger holds against it; nothing has changed then.
    pub async fn swap(self: &Arc<Self>, request: SwapRequest) -> Result<SwapResponse, MintError> {
        let _admitted = self.admit()?;
        let asked = Asked::swap(&request);
        let refusal = match self.try_swap(request).await {
            Err(error) if error.may_be_replay() => error,
            answer => return answer,
        };
        let signatures = self.replay(OperationKind::Swap, asked, refusal).await?;
        state::response(signatures)
    }

    async fn try_swap(self: &Arc<Self>, request: SwapRequest) -> Result<SwapResponse, MintError> {
        let verified = self.verify_swap(request).await?;
        let operation = self.new_operation();
        self.drive(operation, |mint| async move { run(&mint, Initial::new(operation, verified)).await }).await
    }

    async fn verify_swap(&self, request: SwapRequest) -> Result<VerifiedSwap, MintError> {
        let rules = self.rules();
        let inputs = rules.check_inputs(request.inputs.into_inner())?;
        let outputs = rules.check_outputs(request.outputs.into_inner())?;
        check_balance(&inputs, &outputs)?;
        let inputs = inputs.unlock(outputs.messages(), None, rules.now)?;
        let environment = &*self.ports.environment;
        let outputs = outputs.verify(environment).await?;
        let inputs = inputs.verify(&*self.ports.signer, environment).await?;
        let fees = attribute_fee(&inputs.rows, inputs.fee);
        Ok(VerifiedSwap { inputs: inputs.rows, outputs, fees })
    }
}

/// The whole line, or back to its start.
async fn run(mint: &Mint, initial: Initial) -> Result<SwapResponse, MintError> {
    let set_up = initial.setup(mint).await?;
    let signed = match set_up.sign(mint).await {
        Ok(signed) => signed,
        Err(failed) => return Err(failed.compensate(mint).await),
    };
    match signed.finalize(mint).await {
        Ok(completed) => completed.release(),
        Err(failed) => Err(failed.compensate(mint).await),
    }
}
