//! Melts that were interrupted or are in doubt: the same states, loaded from the ledger, and the same steps.

use super::plan::{Facts, Step, plan};
use super::state::{Case, Failed, Paid, Reserved, record};
use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{MeltOutcome, MeltProgress, OperationId, OperationRecord, OperationState, PaymentStatus};

impl Mint {
    /// Takes the steps that `plan` gives for an unfinished melt, until it has ended or has to wait; whether it has ended.
    ///
    /// The caller holds the operation and its row is ours.
    ///
    /// # Errors
    /// A port does not answer; the next sweep tries again.
    pub(crate) async fn reconcile_melt(&self, operation: OperationId) -> Result<bool, MintError> {
        while let Some(row) = self.ports.store.operation(operation).await? {
            let Some(melt) = &row.melt else { return Ok(true) };
            let Some(case) = self.load_case(&row, melt).await? else { return Ok(true) };
            let facts = self.gather_facts(&row, melt, &case).await?;
            match plan(&row, &facts) {
                Step::NotMine => return Ok(true),
                Step::Wait => return Ok(false),
                Step::Alarm(why) => {
                    tracing::error!(%operation, "ALARM: {why}; the melt stays in doubt, an operator must look");
                    return Ok(false);
                }
                Step::Record(outcome) => {
                    let waits = outcome == MeltOutcome::Unknown;
                    record(self, operation, outcome).await?;
                    if waits {
                        return Ok(false);
                    }
                }
                ending => return self.end(ending, &row, case).await.map(|()| true),
            }
        }
        Ok(true)
    }

    /// Takes a step that ends the melt.
    async fn end(&self, step: Step, row: &OperationRecord, case: Case) -> Result<(), MintError> {
        match (step, row.melt.as_ref().and_then(|melt| melt.paid.clone())) {
            (Step::Settle, Some(evidence)) => Paid::load(case, evidence).settle(self).await,
            (Step::Settle, None) => return Err(MintError::Bug("a paid melt without its evidence".to_owned())),
            _ if row.state == OperationState::Reserved => Reserved::load(case).release(self).await,
            _ => Failed::load(case).release(self).await,
        }
        Ok(())
    }

    /// `None` when it has ended meanwhile.
    async fn load_case(&self, row: &OperationRecord, melt: &MeltProgress) -> Result<Option<Case>, MintError> {
        let quote = self.ports.store.melt_quote(&melt.quote).await?;
        let quote = quote.ok_or_else(|| MintError::Bug("a melt without its quote".to_owned()))?;
        if quote.operation != Some(row.id) {
            tracing::error!(operation = %row.id, "ALARM: the quote of a melt names another operation");
            return Ok(None);
        }
        let contents = self.ports.store.contents(row.id).await?;
        let inputs = contents.inputs.into_iter().map(|input| input.row).collect();
        let blanks = contents.outputs.into_iter().map(|output| output.output).collect();
        Ok(Some(Case { operation: row.id, quote, inputs, blanks }))
    }

    async fn gather_facts(&self, row: &OperationRecord, melt: &MeltProgress, case: &Case) -> Result<Facts, MintError> {
        let in_doubt = matches!(row.state, OperationState::Dispatched | OperationState::Unknown);
        let status = if in_doubt { self.backend_word(row, &case.quote.method).await } else { None };
        let proof_holds = match &status {
            Some(PaymentStatus::Paid(evidence)) => case.proven(self, &evidence.proof),
            _ => false,
        };
        let dispatcher_is_dead = match melt.dispatched_by {
            Some(owner) if owner != self.owner => self.ports.store.owner_is_dead(owner).await?,
            _ => false,
        };
        Ok(Facts { status, proof_holds, me: self.owner, dispatcher_is_dead, now: self.now() })
    }

    /// What the backend knows; `None` when it does not answer.
    async fn backend_word(&self, row: &OperationRecord, method: &str) -> Option<PaymentStatus> {
        let Ok(payments) = self.ports.payments.of(method) else {
            tracing::error!(operation = %row.id, method, "ALARM: a payment is in doubt, and its method is no longer configured");
            return None;
        };
        match payments.status(row.id).await {
            Ok(status) => Some(status),
            Err(error) => {
                tracing::warn!(operation = %row.id, %error, "the backend does not say what became of a payment");
                None
            }
        }
    }
}
