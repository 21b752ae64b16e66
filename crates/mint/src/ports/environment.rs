//! The world as the engine sees it: time, randomness, tasks and processor time.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `secs` seconds after the Unix epoch.
    pub const fn from_unix(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the Unix epoch.
    pub const fn to_unix(self) -> u64 {
        self.0
    }

    /// This time plus `secs` seconds; stays at the end of time when that overflows.
    pub const fn plus(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs))
    }

    /// This time minus `secs` seconds; stays at the epoch when that underflows.
    pub const fn minus(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// Clock, randomness, tasks and a pool of threads for curve arithmetic.
///
/// The engine reads none of these by itself, which is what lets a simulator run it under virtual time.
pub trait Environment: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` from a cryptographically secure source.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Runs `task` to its end, whatever becomes of the caller.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Completes after `delay`.
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()>;

    /// Runs `job` on a thread meant for work that keeps a core busy. A job that panics takes nothing else with it.
    fn compute(&self, job: Box<dyn FnOnce() + Send + 'static>);
}

/// A computation did not return: it panicked or its pool has shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a computation ended without a result")]
pub struct ComputeFailed;

/// Runs `job` on the environment's compute pool and waits for its result.
///
/// # Errors
/// [`ComputeFailed`] when the job panicked or the pool is gone.
pub async fn compute<T: Send + 'static>(
    environment: &dyn Environment,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeFailed> {
    let (done, result) = oneshot::channel();
    environment.compute(Box::new(move || {
        // The receiver is gone only when its caller was dropped; then nobody wants the result.
        let _ = done.send(job());
    }));
    result.await.map_err(|_| ComputeFailed)
}
