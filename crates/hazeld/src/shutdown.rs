//! When to stop: a signal, or a store that must not be used any more.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a process that a signal ends is 128 plus the signal's number.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Listens for SIGINT and SIGTERM from the moment it is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes over both signals; without a call of [`next`](Self::next) they do nothing from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one of them; its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => SIGTERM,
        }
    }

    /// Ends the process at the next signal, without waiting for anything: what is under way is left to recovery.
    pub(crate) fn exit_at_next(mut self) {
        tokio::spawn(async move {
            let number = self.next().await;
            tracing::warn!("told twice to stop: leaving at once");
            std::process::exit(128 + number);
        });
    }
}
