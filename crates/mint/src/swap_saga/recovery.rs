//! Swaps that were interrupted: by a crash, a power cut, a panic, a release that failed.

use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{Applied, ApplyError, Change, Conflict, OperationId, OperationKind, ResolveSwap, SwapResolution};
use crate::sweep::Orphan;

/// What a recovery did, by number of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Signatures were there: proofs are SPENT.
    pub spent: u64,
    /// No signature was there: proofs can be spent again.
    pub removed: u64,
    /// Some signatures were there and some were not: untouched, an operator must look.
    pub mixed: u64,
    /// Could not be decided now; the next sweep tries again.
    pub deferred: u64,
}

impl Mint {
    /// Resolves every unfinished swap that nobody alive drives.
    ///
    /// Blind signatures stored for all its outputs: its proofs become SPENT. None: its proofs and reserved outputs are removed, so
    /// that the user can spend again. Runs at start-up, beside the first requests, and with every sweep.
    ///
    /// # Errors
    /// The ledger cannot be read. What was resolved until then stays resolved.
    pub async fn recover_from_bad_swaps(&self) -> Result<RecoveryReport, MintError> {
        let mut report = RecoveryReport::default();
        let mut after = None;
        loop {
            let page = self.orphans_after(after).await?;
            for orphan in page.orphans.iter().filter(|orphan| orphan.record.kind == OperationKind::Swap) {
                report.count(self.resolve_swap(orphan).await);
            }
            match page.last {
                Some(last) => after = Some(last),
                None => return Ok(report),
            }
        }
    }

    /// Decides one interrupted swap; `None` when somebody else has ended it meanwhile or it cannot be decided now.
    async fn resolve_swap(&self, orphan: &Orphan) -> Outcome {
        let operation = orphan.record.id;
        let Some(_guard) = self.driving.claim(operation) else { return Outcome::Gone };
        match self.adopt(orphan).await {
            Ok(()) => {}
            Err(error) => return Outcome::of_error(operation, &error),
        }
        let resolve = ResolveSwap { operation, owner: self.owner, now: self.now() };
        match self.apply(Change::ResolveSwap(resolve)).await {
            Ok(Applied::Resolved(resolution)) => {
                log(operation, resolution);
                Outcome::Resolved(resolution)
            }
            Ok(other) => {
                tracing::error!(%operation, ?other, "the ledger gave an answer to another question");
                Outcome::Deferred
            }
            Err(error) => Outcome::of_error(operation, &error),
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Resolved(SwapResolution),
    Gone,
    Deferred,
}

impl Outcome {
    fn of_error(operation: OperationId, error: &ApplyError) -> Self {
        if *error == ApplyError::Conflict(Conflict::OperationGone) {
            return Self::Gone;
        }
        tracing::warn!(%operation, %error, "an interrupted swap is not resolved yet");
        Self::Deferred
    }
}

impl RecoveryReport {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Resolved(SwapResolution::Spent) => self.spent += 1,
            Outcome::Resolved(SwapResolution::Removed) => self.removed += 1,
            Outcome::Resolved(SwapResolution::Mixed) => self.mixed += 1,
            Outcome::Gone => {}
            Outcome::Deferred => self.deferred += 1,
        }
    }
}

fn log(operation: OperationId, resolution: SwapResolution) {
    match resolution {
        SwapResolution::Spent => tracing::warn!(%operation, "interrupted swap: signatures found, proofs are SPENT"),
        SwapResolution::Removed => tracing::info!(%operation, "interrupted swap: undone, proofs can be spent again"),
        SwapResolution::Mixed => tracing::error!(
            %operation,
            "ALARM: interrupted swap with some outputs signed and some not; untouched, an operator must look"
        ),
    }
}
