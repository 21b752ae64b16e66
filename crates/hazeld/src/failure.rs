//! Why the daemon stopped, and what it tells whoever started it.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::seed::SeedError;

/// Everything that ends the process early. Its text is for the operator and holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is wrong; nothing was opened.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line asks for something that is not allowed.
    #[error("{0}")]
    Usage(String),
    /// Another process has the database.
    #[error("{0}")]
    Locked(String),
    /// The seed cannot be used.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The database does not belong to this seed, is newer than this program, or is damaged.
    #[error("{0}")]
    Mismatch(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the operating system says.
        reason: std::io::Error,
    },
    /// The store must not be used any more.
    #[error("the store had to stop: {0}")]
    StoreStopped(String),
    /// Anything else.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// The code the process exits with; the table is in the README.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Locked(_) => 3,
            Self::Seed(_) | Self::Mismatch(_) => 4,
            Self::Listen { .. } => 5,
            Self::StoreStopped(_) => 6,
            Self::Internal(_) => 70,
        }
    }
}
