//! What every start does first: it goes on with what an earlier one had to leave open.

use std::time::Duration;

use hazel_protocol::{CurrencyUnit, MintUrl};
use hazel_wallet::ports::OperationKind;
use hazel_wallet::{Error, Policy, ResumeOutcome, Resumed};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::session::Session;

/// What the start is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// How long it may take for each mint and unit. What needs longer stays for the next one.
    pub(crate) limit: Duration,
    /// Whether invoices that only wait to be paid are worth a line.
    pub(crate) tells_invoices: bool,
}

impl Session {
    /// Brings what is open at every mint as far as it goes now, and says briefly what that was.
    pub(crate) async fn resume(&self, start: Start) -> Result<(), Failure> {
        if !self.is_unlocked() {
            return Ok(());
        }
        for mint in self.store.mints().await? {
            for unit in self.units(&mint.url).await? {
                if !self.store.unfinished(&mint.url, &unit).await?.is_empty() {
                    self.resume_at(&mint.url, &unit, start).await?;
                }
            }
        }
        Ok(())
    }

    async fn resume_at(&self, mint: &MintUrl, unit: &CurrencyUnit, start: Start) -> Result<(), Failure> {
        // The user waits for something else: one look at each operation is enough.
        let policy = Policy { copies_per_call: 1, melt_polls: 0, ..Policy::default() };
        // A mint that cannot even be tried must not keep the user from the others.
        let wallet = match self.wallet_with(mint, unit, policy) {
            Ok(wallet) => wallet,
            Err(failure) => {
                self.output.note(format!("Something is open at {mint} and left for later: {}.", failure.message));
                return Ok(());
            }
        };
        let Ok(resumed) = tokio::time::timeout(start.limit, wallet.resume()).await else {
            self.output.note(format!("The mint {mint} is slow; what is open there is left for later."));
            return Ok(());
        };
        tracing::debug!(%mint, %unit, count = resumed.as_ref().map_or(0, Vec::len), "went on with what was open");
        let mut unreachable = None;
        for one in resumed? {
            self.output.resumed(document(mint, unit, &one));
            match &one.outcome {
                ResumeOutcome::Failed(Error::Unreachable(reason)) => unreachable = Some(reason.clone()),
                _ => self.tell(unit, &one, start),
            }
        }
        if let Some(reason) = unreachable {
            self.output.note(format!(
                "Something is open at {mint}, which cannot be reached ({reason}); it is left for later."
            ));
        }
        Ok(())
    }

    fn tell(&self, unit: &CurrencyUnit, one: &Resumed, start: Start) {
        if let Some(text) = sentence(unit, one, start) {
            self.output.note(text);
        }
    }
}

/// What became of an operation, for people; none when that is no news.
pub(crate) fn sentence(unit: &CurrencyUnit, one: &Resumed, start: Start) -> Option<String> {
    use OperationKind::{Melt, Mint, Receive, Restore};
    Some(match (&one.outcome, one.kind) {
        (ResumeOutcome::Completed { amount }, Mint) => {
            format!("Finished: an invoice was paid, {amount} {unit} came in.")
        }
        (ResumeOutcome::Completed { amount }, Receive) => {
            format!("Finished an interrupted receive: {amount} {unit} came in.")
        }
        (ResumeOutcome::Completed { amount }, _) => format!("Finished an interrupted exchange of {amount} {unit}."),
        (ResumeOutcome::Token(token), _) => format!(
            "Finished an interrupted send of {} {unit}; show its token with `hazel pending --tokens`.",
            token.token_value
        ),
        (ResumeOutcome::Paid(paid), _) => {
            format!("Finished: a payment of {} {unit} was made, for a fee of {}.", paid.amount, paid.fee)
        }
        (ResumeOutcome::Cancelled, Mint) => "An invoice was never paid and has expired.".to_owned(),
        (ResumeOutcome::Cancelled, _) => "Undid what was never confirmed; its money is free again.".to_owned(),
        (ResumeOutcome::Waiting, Mint) if !start.tells_invoices => return None,
        (ResumeOutcome::Waiting, Mint) => "An invoice waits to be paid: `hazel mint --resume`.".to_owned(),
        (ResumeOutcome::Waiting, Melt) => "A payment is still under way at the mint; its money stays held.".to_owned(),
        (ResumeOutcome::Waiting, Restore) => "A restore was interrupted; `hazel restore` goes on with it.".to_owned(),
        (ResumeOutcome::Waiting, _) => return None,
        (ResumeOutcome::Failed(error), kind) => format!("An interrupted {} is not finished: {error}.", verb(kind)),
    })
}

/// What the user did, as a noun.
pub(crate) const fn verb(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Mint => "mint",
        OperationKind::Send => "send",
        OperationKind::Receive => "receive",
        OperationKind::Swap => "swap",
        OperationKind::Melt => "pay",
        OperationKind::Restore => "restore",
    }
}

/// What became of an operation, for scripts.
pub(crate) fn document(mint: &MintUrl, unit: &CurrencyUnit, one: &Resumed) -> Value {
    let mut json = json!({
        "operation": one.operation.to_string(),
        "kind": verb(one.kind),
        "mint": mint,
        "unit": unit,
    });
    let (outcome, amount) = match &one.outcome {
        ResumeOutcome::Completed { amount } => ("completed", Some(*amount)),
        ResumeOutcome::Token(token) => ("completed", Some(token.token_value)),
        ResumeOutcome::Paid(paid) => ("completed", Some(paid.amount)),
        ResumeOutcome::Cancelled => ("cancelled", None),
        ResumeOutcome::Waiting => ("waiting", None),
        ResumeOutcome::Failed(error) => {
            json["error"] = Failure::from(error.clone()).to_json()["error"].take();
            ("failed", None)
        }
    };
    json["outcome"] = json!(outcome);
    if let Some(amount) = amount {
        json["amount"] = json!(amount);
    }
    json
}
