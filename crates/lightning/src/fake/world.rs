//! Clock, randomness and waiting, handed in so that a test can hold the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// What a [`FakeNode`](super::FakeNode) takes from outside.
///
/// Every process on one ledger should read the same clock: delays are kept in the file as points in time.
#[async_trait]
pub trait World: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Fills `bytes` from a cryptographically secure source.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Completes after `delay`.
    async fn sleep(&self, delay: Duration);
}

/// The clock and randomness of the operating system, and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemWorld;

#[async_trait]
impl World for SystemWorld {
    fn now_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("a running operating system gives randomness");
    }

    async fn sleep(&self, delay: Duration) {
        tokio::time::sleep(delay).await;
    }
}
