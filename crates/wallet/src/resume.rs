//! Bringing interrupted operations to their end.

use hazel_protocol::Amount;

use crate::error::Error;
use crate::melt::{MeltOutcome, PaidMelt};
use crate::mint::GRACE_SECS;
use crate::ports::{OperationId, OperationKind, OperationRecord};
use crate::saga::Saga;
use crate::send::SentToken;
use crate::state::{Cancelled, State};
use crate::wallet::Wallet;

/// An operation that [`Wallet::resume`] took up.
#[derive(Debug)]
pub struct Resumed {
    /// The operation.
    pub operation: OperationId,
    /// What it is for.
    pub kind: OperationKind,
    /// How it stands now.
    pub outcome: ResumeOutcome,
}

/// How an operation stands after [`Wallet::resume`].
#[derive(Debug)]
pub enum ResumeOutcome {
    /// It was completed, and this much, in the minor unit, came into the wallet.
    Completed {
        /// What came in.
        amount: Amount,
    },
    /// It was completed, and its token waits to be handed out.
    Token(Box<SentToken>),
    /// The payment was made.
    Paid(PaidMelt),
    /// It had not sent anything yet; its money is free again.
    Cancelled,
    /// It needs more time: an invoice to be paid, a payment under way, a restore to be continued.
    Waiting,
    /// It ended or stays open for this reason; [`Error::class`] tells which.
    Failed(Error),
}

impl Wallet {
    /// Takes up every operation of this wallet that nobody drives, and brings it as far as it goes now.
    ///
    /// Call it after opening a wallet, and whenever an operation ended in [`Error::Ambiguous`].
    ///
    /// # Errors
    /// [`Error::Read`]. What goes wrong with one operation is in its [`Resumed`].
    pub async fn resume(&self) -> Result<Vec<Resumed>, Error> {
        let mut resumed = Vec::new();
        for row in self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await? {
            let (operation, kind) = (row.id, row.state.kind());
            let outcome = match self.resume_one(row).await {
                Ok(None) => continue,
                Ok(Some(outcome)) => outcome,
                Err(error) => ResumeOutcome::Failed(error),
            };
            resumed.push(Resumed { operation, kind, outcome });
        }
        Ok(resumed)
    }

    pub(crate) async fn resume_one(&self, row: OperationRecord) -> Result<Option<ResumeOutcome>, Error> {
        if row.seed != self.inner.fingerprint {
            return Err(Error::OtherSeed);
        }
        match self.adopt(row).await? {
            // Boxed, for it is as large as all operations together.
            Some(saga) => Box::pin(saga.resume()).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Saga<State> {
    async fn resume(self) -> Result<ResumeOutcome, Error> {
        let kind = self.state.kind();
        match self.state.clone() {
            State::MintQuoted(state) => self.with(state).resume_quoted().await,
            State::MintRequested(state) => {
                let minted = self.with(state).drive(false).await?;
                Ok(ResumeOutcome::Completed { amount: minted.amount })
            }
            State::SendPrepared(_) | State::MeltPrepared(_) => {
                self.release(Cancelled { kind }).await?;
                Ok(ResumeOutcome::Cancelled)
            }
            State::SendRequested(state) => {
                let wallet = self.wallet.clone();
                let done = self.with(state).exchange(false).await?.done().await?;
                let token = wallet.token_of(done.operation).await?;
                Ok(ResumeOutcome::Token(Box::new(SentToken { fee: done.fee, ..token })))
            }
            State::ReceiveStored(state) => {
                let done = self.with(state).request().await?.exchange(true).await?.done().await?;
                Ok(ResumeOutcome::Completed { amount: done.kept })
            }
            State::ReceiveRequested(state) => {
                let done = self.with(state).exchange(false).await?.done().await?;
                Ok(ResumeOutcome::Completed { amount: done.kept })
            }
            State::SwapRequested(state) => {
                let done = self.with(state).exchange(false).await?.done().await?;
                Ok(ResumeOutcome::Completed { amount: done.kept })
            }
            State::MeltRequested(state) => {
                let polls = self.wallet.inner.policy.melt_polls;
                self.with(state).drive(false, polls).await.map(melted)
            }
            State::MeltReplaced(state) => {
                let code = state.requested.dispatch.refused;
                self.with(state).drive(false, code, String::new()).await.map(melted)
            }
            State::RestoreScanning(_) => Ok(ResumeOutcome::Waiting),
            _ => Err(Error::Bug("a finished operation was listed as unfinished")),
        }
    }
}

fn melted(outcome: MeltOutcome) -> ResumeOutcome {
    match outcome {
        MeltOutcome::Paid(paid) => ResumeOutcome::Paid(paid),
        MeltOutcome::Pending { .. } => ResumeOutcome::Waiting,
    }
}

impl Saga<crate::state::MintQuoted> {
    async fn resume_quoted(mut self) -> Result<ResumeOutcome, Error> {
        if self.check().await? {
            let minted = self.request().await?.drive(true).await?;
            return Ok(ResumeOutcome::Completed { amount: minted.amount });
        }
        if self.has_expired(GRACE_SECS) {
            self.expire().await?;
            return Ok(ResumeOutcome::Cancelled);
        }
        Ok(ResumeOutcome::Waiting)
    }
}
