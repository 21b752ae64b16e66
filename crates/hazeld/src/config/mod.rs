//! What the operator wants: the file, the environment over it, and the rules between the values.
//!
//! | step | where | refuses |
//! |---|---|---|
//! | read the file | `file` | unknown keys, wrong types; with line and column |
//! | replace values from the environment | `overrides` | unknown variables that start with `HAZELD_` |
//! | judge them together | `check` | values that are missing or do not go together |
//!
//! What comes out is a [`Config`] that can be wired up without asking again.

mod check;
mod error;
mod file;
mod methods;
mod overrides;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hazel_http::server::{ListenConfig, ServerConfig};
use hazel_lightning::fake::{Behaviour, Settle};
use hazel_mint::MintConfig;
use hazel_mint::ports::FixedRates;
use hazel_protocol::PaymentMethod;
use toml::Table;

pub(crate) use error::ConfigError;
pub(crate) use methods::{distinct, ledger_of, rate_of};
pub(crate) use values::{DatabaseUrl, Durability, Level, LogFormat, PostgresUrl};

use file::File;

/// The commented example, as `hazeld config example` prints it.
pub(crate) const EXAMPLE: &str = include_str!("../../hazeld.example.toml");

/// A configuration that is whole.
#[derive(Debug)]
pub(crate) struct Config {
    /// What the engine is told.
    pub(crate) mint: MintConfig,
    /// The API's listener.
    pub(crate) http: Http,
    /// The operator's surface, if there is to be one.
    pub(crate) admin: Option<AdminListener>,
    /// What units are worth that are not bitcoin's own.
    pub(crate) rates: FixedRates,
    /// The ledger.
    pub(crate) database: Database,
    /// Where the words are.
    pub(crate) seed: SecretSource,
    /// The files with the private keys of imported keysets.
    pub(crate) imported_keysets: Vec<PathBuf>,
    /// The fake Lightning node.
    pub(crate) lightning: Fake,
    /// The fake nodes that serve payment methods other than bolt11.
    pub(crate) other_methods: BTreeMap<PaymentMethod, Fake>,
    /// The log.
    pub(crate) log: Log,
}

/// The API's listener.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// What requests may cost.
    pub(crate) server: ServerConfig,
    /// What connections may cost.
    pub(crate) connections: ListenConfig,
}

impl Http {
    /// The defaults, at an address.
    pub(crate) fn at(listen: SocketAddr) -> Self {
        Self { listen, server: ServerConfig::default(), connections: ListenConfig::default() }
    }
}

/// The operator's surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminListener {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Names and secrets of those who are let in; made with one of each when it is missing.
    pub(crate) token_file: PathBuf,
    /// Where to write down the address, for those who cannot know the port.
    pub(crate) url_file: Option<PathBuf>,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// In one SQLite file, for one process.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Where the key of an encrypted file is.
        key: Option<SecretSource>,
    },
    /// In a PostgreSQL database, for any number of processes.
    Postgres {
        /// Where it is.
        url: PostgresUrl,
        /// Most connections that read at the same time.
        readers: usize,
        /// What makes a change durable; `None` goes by the number of hosts.
        durability: Option<Durability>,
    },
}

impl Database {
    /// Connections that read, when nothing is said.
    pub(crate) const READERS: usize = 8;

    /// The defaults, at a place.
    pub(crate) fn at(url: DatabaseUrl) -> Self {
        match url {
            DatabaseUrl::Sqlite(path) => Self::Sqlite { path, key: None },
            DatabaseUrl::Postgres(url) => Self::Postgres { url, readers: Self::READERS, durability: None },
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => path.display().fmt(f),
            Self::Postgres { url, .. } => url.fmt(f),
        }
    }
}

/// Where a secret is. The secret itself is never part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// In a file that holds nothing else.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// How the fake Lightning node behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fake {
    /// Its own file.
    pub(crate) ledger: PathBuf,
    /// What it does.
    pub(crate) behaviour: Behaviour,
    /// It pays invoices without an amount.
    pub(crate) amountless: bool,
    /// It pays parts of invoices.
    pub(crate) mpp: bool,
}

impl Fake {
    /// After how long its invoices pay themselves, in ms, when nothing else is said.
    pub(crate) const SETTLE_AFTER_MS: u64 = 1_000;

    /// The defaults, with the ledger in a file.
    pub(crate) fn in_file(ledger: PathBuf) -> Self {
        let behaviour = Behaviour { settle: Settle::AfterMs(Self::SETTLE_AFTER_MS), ..Behaviour::default() };
        Self { ledger, behaviour, amountless: true, mpp: true }
    }
}

/// The log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// How much there is.
    pub(crate) level: Level,
}

/// Reads `path` and lays the environment over it.
///
/// # Errors
/// [`ConfigError`] says what the operator has to change.
pub(crate) fn load(
    path: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
    parse(path, &text, environment)
}

fn parse(
    path: &Path,
    text: &str,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let wrong = |error: toml::de::Error| ConfigError::parse(path, text, &error);
    let file: File = toml::from_str(text).map_err(wrong)?;
    let table: Table = toml::from_str(text).map_err(wrong)?;
    let file = overrides::apply(table, file, &overrides::from_environment(environment)?)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    check::judge(file, folder).map_err(|message| ConfigError::Rule { path: path.to_owned(), message })
}

#[cfg(test)]
mod tests;
