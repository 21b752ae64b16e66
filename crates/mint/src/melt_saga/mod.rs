//! NUT-05: the melt. Ecash in, a Lightning payment and its change out.
//!
//! ```text
//! Reserved --dispatch--> Dispatched --pay--> Paid ----settle----> quote PAID, inputs SPENT
//!    |  \                     |      \-----> Failed --release---> quote UNPAID, inputs back
//!    |   settle internally     \-----------> Unknown --poll--> Paid | Failed | Unknown
//!    \--release
//! ```
//!
//! `release` exists only on [`Reserved`] and [`Failed`]: once the backend may have been called, only its word that the payment
//! failed (or was never heard of) gives the inputs back. [`Unknown`] can do nothing but `poll`.

mod amounts;
mod plan;
mod quote;
mod recovery;
mod state;

use std::sync::Arc;

use futures_util::future::{Either, select};
use hazel_protocol::melt::{MeltQuoteBolt11Response, MeltQuoteState, MeltRequest};
use hazel_protocol::{ErrorCode, QuoteId};
use tokio::sync::oneshot;

pub use plan::{Facts, Step, plan};
pub use state::{Case, Dispatched, Failed, Paid, Reserved, Unknown};

use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{InputRow, MeltQuote, MeltQuoteStatus, OperationId, OutputRow};
use crate::replay::{LOOK_AGAIN, same_inputs, spent_keys};
use crate::verify::verify_blanks;
use state::{Internal, Outcome, Reservation};

/// A melt that may be tried: everything but the ledger has agreed.
struct VerifiedMelt {
    quote: MeltQuote,
    inputs: Vec<InputRow>,
    blanks: Vec<OutputRow>,
}

impl Mint {
    /// `POST /v1/melt/{method}` (NUT-05, NUT-08, NUT-23).
    ///
    /// Waits for the payment unless `prefer_async` is set; after the configured time it answers PENDING. The same request again is
    /// answered with the quote and its change, also while the payment is on its way.
    ///
    /// # Errors
    /// 20004 when the payment failed (the inputs can be spent again); the rule that is broken; what the ledger holds against it.
    pub async fn melt(
        self: &Arc<Self>,
        method: &str,
        request: MeltRequest,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let _admitted = self.admit()?;
        let repeat = request.clone();
        match self.try_melt(method, request).await {
            Err(refusal) if refusal.may_be_replay() => self.replay_melt(method, repeat, refusal).await,
            answer => answer,
        }
    }

    async fn try_melt(
        self: &Arc<Self>,
        method: &str,
        request: MeltRequest,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let quote = self.known_melt_quote(method, &request.quote).await?;
        let id = quote.id.clone();
        let prefer_async = request.prefer_async;
        let verified = self.verify_melt(quote, request).await?;
        let (operation, ended) = self.begin_melt(verified).await?;
        if !prefer_async {
            let timeout = self.ports.environment.sleep(self.config.melt_wait);
            if let Either::Left((Ok(Err(refusal)), _)) = select(ended, timeout).await {
                return Err(refusal);
            }
        }
        self.answer_of(operation, method, &id).await
    }

    /// The quote as this operation left it. When the quote is no longer this operation's, its payment has failed.
    async fn answer_of(
        self: &Arc<Self>,
        operation: OperationId,
        method: &str,
        id: &QuoteId,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let quote = self.known_melt_quote(method, id).await?;
        if quote.operation != Some(operation) {
            return Err(MintError::refused(ErrorCode::LightningPaymentFailed));
        }
        self.describe(quote).await
    }

    async fn verify_melt(&self, quote: MeltQuote, request: MeltRequest) -> Result<VerifiedMelt, MintError> {
        refuse_unless_payable(&quote, self)?;
        let rules = self.rules();
        let inputs = rules.check_inputs(request.inputs.into_inner())?;
        let messages = request.outputs.map(hazel_protocol::BoundedVec::into_inner).unwrap_or_default();
        let blanks_unit = rules.check_blanks(&messages)?;
        if inputs.unit != quote.unit || blanks_unit.is_some_and(|unit| unit != quote.unit) {
            return Err(MintError::refused(ErrorCode::UnitMismatch));
        }
        amounts::require_covered(&quote, inputs.sum, inputs.fee)?;
        let inputs = inputs.unlock(&messages, Some(&quote.id), rules.now)?;
        let environment = &*self.ports.environment;
        let blanks = verify_blanks(messages, environment).await?;
        let inputs = inputs.verify(&*self.ports.signer, environment).await?;
        Ok(VerifiedMelt { quote, inputs: inputs.rows, blanks })
    }

    /// Reserves, then goes on in a task of its own. The receiver tells when it has ended, with an error when the inputs are back.
    async fn begin_melt(
        self: &Arc<Self>,
        melt: VerifiedMelt,
    ) -> Result<(OperationId, oneshot::Receiver<Result<(), MintError>>), MintError> {
        let operation = self.new_payment();
        let guard =
            self.driving.claim(operation).ok_or_else(|| MintError::Bug("an operation id was used twice".to_owned()))?;
        let (reserved, is_reserved) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let mint = Arc::clone(self);
        self.spawn_guarded(guard, async move {
            let VerifiedMelt { quote, inputs, blanks } = melt;
            let case = Case { operation, quote, inputs, blanks };
            // Whoever asked may have hung up; the melt goes on all the same.
            match Reservation::new(case).reserve(&mint).await {
                Err(error) => drop(reserved.send(Err(error))),
                Ok(state) => {
                    let _ = reserved.send(Ok(()));
                    let _ = ended.send(run(&mint, state).await);
                }
            }
        });
        is_reserved
            .await
            .unwrap_or_else(|_| Err(MintError::Bug("the task of a melt panicked".to_owned())))
            .map(|()| (operation, has_ended))
    }

    /// The answer to the same melt asked again: the quote, once it is no longer PENDING or the deadline is over.
    async fn replay_melt(
        self: &Arc<Self>,
        method: &str,
        request: MeltRequest,
        refusal: MintError,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let Some(operation) = self.repeated(method, &request).await? else { return Err(refusal) };
        let wait_until_decided = async {
            loop {
                let answer = self.answer_of(operation, method, &request.quote).await?;
                if request.prefer_async || answer.state != MeltQuoteState::Pending {
                    return Ok(answer);
                }
                self.ports.environment.sleep(LOOK_AGAIN * 4).await;
            }
        };
        futures_util::pin_mut!(wait_until_decided);
        let deadline = self.ports.environment.sleep(self.config.request_deadline);
        match select(wait_until_decided, deadline).await {
            Either::Left((decided, _)) => decided,
            Either::Right(_) => self.answer_of(operation, method, &request.quote).await,
        }
    }

    /// The operation on this quote, if it has exactly these inputs, and its blanks are among the given ones in their order.
    ///
    /// Blanks that got no change are dropped some time after the payment, so that those that are left decide.
    async fn repeated(&self, method: &str, request: &MeltRequest) -> Result<Option<OperationId>, MintError> {
        let quote = self.known_melt_quote(method, &request.quote).await?;
        let Some(operation) = quote.operation else { return Ok(None) };
        let contents = self.ports.store.contents(operation).await?;
        if contents.inputs.len() != request.inputs.len() {
            return Ok(None);
        }
        let same_blanks = request.outputs.as_ref().is_none_or(|given| {
            let mut given = given.iter().map(|blank| (blank.b, blank.id));
            contents.outputs.iter().all(|known| given.any(|blank| blank == (known.output.b, known.output.keyset)))
        });
        let spent = spent_keys(self, &request.inputs).await?;
        Ok((same_blanks && same_inputs(&contents, &spent)).then_some(operation))
    }

    async fn known_melt_quote(&self, method: &str, id: &QuoteId) -> Result<MeltQuote, MintError> {
        let quote = self.ports.store.melt_quote(id).await?.filter(|quote| quote.method == method);
        quote.ok_or_else(|| self.no_such_quote(method))
    }
}

fn refuse_unless_payable(quote: &MeltQuote, mint: &Mint) -> Result<(), MintError> {
    match quote.status {
        MeltQuoteStatus::Paid => Err(MintError::refused(ErrorCode::InvoiceAlreadyPaid)),
        MeltQuoteStatus::Pending => Err(MintError::refused(ErrorCode::QuotePending)),
        MeltQuoteStatus::Unpaid if quote.expiry <= mint.now() => Err(MintError::refused(ErrorCode::QuoteExpired)),
        // After the others: what has been begun is answered also while new payments are not made.
        MeltQuoteStatus::Unpaid => mint.require_open_for_melts(),
    }
}

/// From custody to the end, as far as this process gets. What it cannot finish the reconciler does.
///
/// An error says why the melt was undone; without one, the quote says how it stands.
async fn run(mint: &Mint, reserved: Reserved) -> Result<(), MintError> {
    match reserved.settle_internally(mint).await {
        Internal::Settled => Ok(()),
        Internal::NotOurs(reserved) => pay_outside(mint, reserved).await,
        Internal::Refused(reserved, why) => {
            reserved.release(mint).await;
            Err(why)
        }
    }
}

async fn pay_outside(mint: &Mint, reserved: Reserved) -> Result<(), MintError> {
    let dispatched = match reserved.dispatch(mint).await {
        Ok(dispatched) => dispatched,
        Err(Some((reserved, why))) => {
            reserved.release(mint).await;
            return Err(why);
        }
        Err(None) => return Ok(()),
    };
    match dispatched.pay(mint).await {
        Ok(Outcome::Paid(paid)) => paid.settle(mint).await,
        Ok(Outcome::Failed(failed)) => failed.release(mint).await,
        Ok(Outcome::Unknown(unknown)) => unknown.poll(mint).await,
        Err(error) => tracing::warn!(%error, "the backend's word on a melt could not be written down"),
    }
    Ok(())
}
