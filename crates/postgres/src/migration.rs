//! Schema versions: numbered, embedded, forward only.
//!
//! The table `hazel_schema` says whose tables these are and how many migrations have run. All that are missing run in one transaction, which
//! holds that table locked: of several processes that start at once one does it, and the others find it done.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::columns::Columns;
use crate::fault::{RowFault, describe};
use crate::session::Session;
use crate::settings::OpenError;

/// One step from a schema version to the next.
#[derive(Debug)]
pub(crate) struct Migration {
    /// What it does, for the log.
    pub(crate) name: &'static str,
    /// The statements, without transaction control.
    pub(crate) sql: &'static str,
}

/// The whole history of one kind of database. A released step is never changed; a new one is added at the end.
#[derive(Debug)]
pub(crate) struct Migrations {
    /// Whose tables they are.
    pub(crate) owner: &'static str,
    /// Step `n` leads from version `n` to version `n + 1`.
    pub(crate) steps: &'static [Migration],
}

/// How often the table of versions is tried to be made while others do the same.
const TRIES: u32 = 10;

const MAKE_TABLE: &str = "CREATE TABLE IF NOT EXISTS hazel_schema (id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL, \
                          version INTEGER NOT NULL CHECK (version >= 0))";
/// Locks out every other process that migrates, for the rest of the transaction.
const LOCK_TABLE: &str = "LOCK TABLE hazel_schema IN ACCESS EXCLUSIVE MODE";
const VERSION: &str = "SELECT owner, version FROM hazel_schema WHERE id = 1";
const OTHER_TABLES: &str = "SELECT count(*) AS tables FROM pg_catalog.pg_tables \
                            WHERE schemaname = current_schema() AND tablename <> 'hazel_schema'";
const SET_VERSION: &str = "INSERT INTO hazel_schema (id, owner, version) VALUES (1, $1, $2) \
                           ON CONFLICT (id) DO UPDATE SET version = excluded.version";

impl Migrations {
    /// Brings the database to the newest version.
    pub(crate) async fn run(&self, session: &Session) -> Result<(), OpenError> {
        let failed = OpenError::failed("upgrade");
        let mut tries = 0;
        loop {
            tries += 1;
            session.batch("BEGIN").await.map_err(&failed)?;
            match self.within(session).await {
                Ok(()) => return session.batch("COMMIT").await.map_err(failed),
                Err(Stop::Error(error)) if tries < TRIES && collided(&error) => undo(session).await?,
                Err(stop) => {
                    undo(session).await?;
                    return Err(stop.into());
                }
            }
        }
    }

    /// Every missing step, inside a transaction.
    async fn within(&self, session: &Session) -> Result<(), Stop> {
        session.batch(MAKE_TABLE).await?;
        session.batch(LOCK_TABLE).await?;
        let current = self.version(session).await?;
        for (version, step) in (1_i32..).zip(self.steps).filter(|(version, _)| *version > current) {
            session.batch(step.sql).await?;
            session.run(SET_VERSION, &[&self.owner, &version]).await?;
            tracing::info!(version, name = step.name, "upgraded the database");
        }
        Ok(())
    }

    /// The version of the database, which is ours and not too new.
    async fn version(&self, session: &Session) -> Result<i32, Stop> {
        let other = || Stop::Refused(OpenError::OtherProgram { expected: self.owner });
        let Some(row) = session.row(VERSION, &[]).await? else {
            let tables = session.row(OTHER_TABLES, &[]).await?;
            let is_empty =
                tables.is_some_and(|row| Columns::of(&row, "pg_tables").unsigned("tables").is_ok_and(|n| n == 0));
            return if is_empty { Ok(0) } else { Err(other()) };
        };
        let columns = Columns::of(&row, "hazel_schema");
        if columns.text("owner")? != self.owner {
            return Err(other());
        }
        let found = columns.small("version")?;
        let known = i32::try_from(self.steps.len()).expect("a program holds few migrations");
        if found > known { Err(Stop::Refused(OpenError::TooNew { found, known })) } else { Ok(found) }
    }
}

/// Why a migration stops.
enum Stop {
    Refused(OpenError),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<RowFault> for Stop {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Corrupt(reason) => Self::Refused(OpenError::Failed { doing: "read", reason }),
            RowFault::Postgres(error) => Self::Error(error),
        }
    }
}

impl From<Stop> for OpenError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(error) => error,
            Stop::Error(error) => Self::Failed { doing: "upgrade", reason: describe(&error) },
        }
    }
}

async fn undo(session: &Session) -> Result<(), OpenError> {
    session.batch("ROLLBACK").await.map_err(OpenError::failed("upgrade"))
}

/// Two processes that make the same table at once collide in the catalogue, whatever `IF NOT EXISTS` says.
fn collided(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}
