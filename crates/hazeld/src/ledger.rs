//! The ledger that a configuration names, whichever database it is in.

use std::sync::Arc;

use hazel_mint::ports::Store;
use hazel_sqlite::DatabaseKey;

use crate::config::{Database, Durability, SecretSource};
use crate::failure::Failure;

/// An open ledger.
pub(crate) enum Ledger {
    /// This process alone has it.
    Sqlite(Arc<hazel_sqlite::MintStore>),
    /// Other processes may have it, too.
    Postgres(Arc<hazel_postgres::MintStore>),
}

impl Ledger {
    /// Opens it, making its tables when there are none.
    pub(crate) async fn open(database: &Database) -> Result<Self, Failure> {
        match database {
            Database::Sqlite { path, key } => {
                let key = key.as_ref().map(database_key).transpose()?;
                let options = hazel_sqlite::OpenOptions { key, ..hazel_sqlite::OpenOptions::default() };
                let opened = hazel_sqlite::MintStore::open(path, &options).map_err(sqlite_failure)?;
                Ok(Self::Sqlite(Arc::new(opened)))
            }
            Database::Postgres { url, readers, durability } => {
                let durability = durability.map(|durability| match durability {
                    Durability::Local => hazel_postgres::Durability::Local,
                    Durability::Replicated => hazel_postgres::Durability::Replicated,
                });
                let options = hazel_postgres::OpenOptions { readers: *readers, stripe: any_stripe()?, durability };
                let opened = hazel_postgres::MintStore::open(url.reveal(), &options).await;
                Ok(Self::Postgres(Arc::new(opened.map_err(|error| postgres_failure(&error))?)))
            }
        }
    }

    /// It, as the engine knows it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::<hazel_sqlite::MintStore>::clone(store),
            Self::Postgres(store) => Arc::<hazel_postgres::MintStore>::clone(store),
        }
    }

    /// Completes, with the reason, when this process may use it no longer.
    pub(crate) async fn closed(&self) -> String {
        match self {
            Self::Sqlite(store) => store.closed().await,
            Self::Postgres(store) => store.closed().await,
        }
    }

    /// Closes it: another process may go on at once.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close(),
            Self::Postgres(store) => store.close().await,
        }
    }

    /// Refuses a ledger that a mint runs on. A SQLite file that is open here is open nowhere else.
    pub(crate) async fn demand_idle(&self) -> Result<(), Failure> {
        let Self::Postgres(store) = self else { return Ok(()) };
        match store.living().await {
            Ok(0) => Ok(()),
            Ok(living) => {
                Err(Failure::Locked(format!("the database is in use by {living} running mints: stop them first")))
            }
            Err(error) => Err(Failure::Internal(error.to_string())),
        }
    }
}

/// One of many, so that two processes seldom share it.
fn any_stripe() -> Result<u8, Failure> {
    let mut stripe = [0];
    getrandom::fill(&mut stripe)
        .map_err(|error| Failure::Internal(format!("the operating system gives no randomness: {error}")))?;
    Ok(stripe[0])
}

fn sqlite_failure(error: hazel_sqlite::OpenError) -> Failure {
    match error {
        hazel_sqlite::OpenError::InUse { .. } => {
            Failure::Locked(format!("{error}: one process at a time can run a mint on it"))
        }
        error => Failure::Mismatch(error.to_string()),
    }
}

fn postgres_failure(error: &hazel_postgres::OpenError) -> Failure {
    use hazel_postgres::OpenError;
    let text = error.to_string();
    match error {
        OpenError::Url(_) | OpenError::Unprotected(_) | OpenError::Tls(_) => Failure::Usage(text),
        OpenError::NotDurable(_)
        | OpenError::NotReplicated
        | OpenError::OtherProgram { .. }
        | OpenError::TooNew { .. } => Failure::Mismatch(text),
        // The server may be there in a moment: whoever starts this program should try again.
        OpenError::Connect(_) | OpenError::Failed { .. } => Failure::Internal(text),
    }
}

fn database_key(source: &SecretSource) -> Result<DatabaseKey, Failure> {
    match source {
        SecretSource::File(path) => {
            DatabaseKey::from_file(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
        }
        SecretSource::Variable(name) => {
            let text = std::env::var(name).map_err(|_| {
                Failure::Usage(format!(
                    "the environment variable {name}, which should hold the database key, is not set"
                ))
            })?;
            DatabaseKey::from_text(text)
                .map_err(|error| Failure::Usage(format!("the environment variable {name}: {error}")))
        }
    }
}
