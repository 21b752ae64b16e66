//! The real world for the engine: the system's clock, its randomness, and tokio's timers.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hazel_wallet::ports::{Environment, Timestamp};

/// The system this process runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemEnvironment(());

impl SystemEnvironment {
    /// Shows that the system gives randomness.
    ///
    /// # Errors
    /// When it gives none.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        getrandom::fill(&mut [0])?;
        Ok(Self(()))
    }
}

/// The wall clock. One set before 1970 reads as 1970: quotes are then far from expired, and no money depends on it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_unix(since.as_secs())
}

impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Nothing that a wallet does without randomness is safe, and the start has shown that there was some.
            tracing::error!(%error, "the operating system gives no randomness any more");
            std::process::abort();
        }
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_randomness_are_real() {
        let environment = SystemEnvironment::new().expect("randomness");
        assert!(environment.now() > Timestamp::from_unix(1_700_000_000));
        let (mut a, mut b) = ([0; 32], [0; 32]);
        environment.fill_random(&mut a);
        environment.fill_random(&mut b);
        assert_ne!(a, b);
    }
}
