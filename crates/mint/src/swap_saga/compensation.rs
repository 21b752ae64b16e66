//! Undoing a swap that was set up and could not be finished.

use std::time::Duration;

use crate::error::MintError;
use crate::failpoint::failpoint;
use crate::mint::Mint;
use crate::ports::{Applied, ApplyError, Change, Conflict, OperationId, ReleaseSwap};

/// How often a release is tried before the sweeper is left to do it.
const RELEASE_ATTEMPTS: u32 = 10;

/// The longest pause between two of these attempts.
const RELEASE_PAUSE_MAX: Duration = Duration::from_millis(200);

/// A swap that failed after its setup: what it reserved has to go.
#[derive(Debug)]
#[must_use = "a failed swap leaves its inputs PENDING until it is compensated"]
pub struct Failed {
    operation: OperationId,
    error: MintError,
}

impl Failed {
    pub(super) const fn new(operation: OperationId, error: MintError) -> Self {
        Self { operation, error }
    }

    /// Commits `ReleaseSwap` and gives back why the swap failed.
    ///
    /// When the release itself fails again and again, the row stays, nobody drives it any more, and the sweeper resolves it.
    pub async fn compensate(self, mint: &Mint) -> MintError {
        failpoint!("swap-before-release");
        let mut pause = Duration::from_millis(10);
        for _ in 0..RELEASE_ATTEMPTS {
            match self.try_release(mint).await {
                Ok(_) => return self.error,
                Err(ApplyError::Conflict(Conflict::OperationGone | Conflict::OperationEnded)) => {
                    tracing::warn!(operation = %self.operation, "a failed swap had been ended by someone else");
                    return self.error;
                }
                Err(error) => tracing::warn!(operation = %self.operation, %error, "a failed swap is not released yet"),
            }
            mint.ports.environment.sleep(pause).await;
            pause = (pause * 2).min(RELEASE_PAUSE_MAX);
        }
        tracing::error!(operation = %self.operation, "a failed swap is left to the sweeper");
        self.error
    }

    async fn try_release(&self, mint: &Mint) -> Result<Applied, ApplyError> {
        failpoint!("swap-release", Err(ApplyError::Unavailable("a failpoint".to_owned())));
        let release = ReleaseSwap { operation: self.operation, owner: mint.owner, now: mint.now() };
        mint.apply(Change::ReleaseSwap(release)).await
    }
}
