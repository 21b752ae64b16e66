//! One connection: its settings, its prepared statements, and the warnings that came with its commits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Error, Row, Statement};

use crate::settings::{Durability, OpenError, Settings};

/// What every connection sets for itself, whatever the server's defaults are.
///
/// No statement and no wait for a lock goes on for ever, and a transaction that was left open frees its locks. `on` waits for the disk, and for the
/// synchronous standby where the server has one.
const ON_CONNECT: &str = "SET synchronous_commit = 'on'; SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
                          SET idle_in_transaction_session_timeout = '15s'; SET default_transaction_isolation = 'read committed'; \
                          SET client_min_messages = 'warning'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'";

/// Values of a statement.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// An open connection.
pub(crate) struct Session {
    client: Client,
    /// Prepared once for each statement, by its text.
    prepared: Mutex<HashMap<&'static str, Statement>>,
    /// How many warnings of class 01 the server has sent.
    warnings: Arc<AtomicU64>,
}

impl Session {
    /// Connects, and sets what a connection sets. Gives up after the time that the settings allow for each host.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let gone = |error: Error| OpenError::Connect(reason(&error));
        let (client, mut connection) = settings.config.connect(settings.tls.clone()).await.map_err(gone)?;
        let warnings = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&warnings);
        // It ends when the client is dropped or the connection is lost; what is under way then fails by itself.
        drop(tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                note(&message, &counted);
            }
        }));
        client.batch_execute(ON_CONNECT).await.map_err(gone)?;
        Ok(Self { client, prepared: Mutex::default(), warnings })
    }

    /// Opens a connection for what must be durable: to a server that confirms nothing which it can lose, whichever of the hosts it is by now.
    pub(crate) async fn open_durable(settings: &Settings) -> Result<Self, OpenError> {
        let session = Self::open(settings).await?;
        for setting in ["fsync", "full_page_writes"] {
            if session.setting(setting).await? != "on" {
                return Err(OpenError::NotDurable(setting));
            }
        }
        let replicated = settings.durability == Durability::Replicated;
        if replicated && session.setting("synchronous_standby_names").await?.trim().is_empty() {
            return Err(OpenError::NotReplicated);
        }
        Ok(session)
    }

    /// A setting of the server, as it is now.
    async fn setting(&self, name: &'static str) -> Result<String, OpenError> {
        let failed = OpenError::failed("look at the settings of");
        let row = self.row("SELECT current_setting($1)", &[&name]).await.map_err(&failed)?;
        row.map_or_else(|| Ok(String::new()), |row| row.try_get(0).map_err(&failed))
    }

    /// Whether the connection is known to be lost.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// How many warnings have come. A notice is counted before the answer that it came with is handed on.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::SeqCst)
    }

    /// Runs statements without values, in one round trip.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Every row of a query.
    pub(crate) async fn rows(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, values).await
    }

    /// The row of a query that has at most one.
    pub(crate) async fn row(&self, sql: &'static str, values: Values<'_>) -> Result<Option<Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query_opt(&statement, values).await
    }

    /// Runs a statement; says how many rows it changed.
    pub(crate) async fn run(&self, sql: &'static str, values: Values<'_>) -> Result<u64, Error> {
        let statement = self.prepare(sql).await?;
        self.client.execute(&statement, values).await
    }

    pub(crate) async fn prepare(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }
}

fn note(message: &AsyncMessage, warnings: &AtomicU64) {
    if let AsyncMessage::Notice(notice) = message
        && notice.code().code().starts_with("01")
    {
        warnings.fetch_add(1, Ordering::SeqCst);
        tracing::warn!(code = notice.code().code(), "a warning of the database");
    }
}

/// Why there is no connection. Nothing of a row is in it, so the server's own words may be said: a wrong password, a missing database.
fn reason(error: &Error) -> String {
    let mut text = error.as_db_error().map_or_else(|| error.to_string(), |cause| cause.message().to_owned());
    let mut source = std::error::Error::source(error).filter(|_| error.as_db_error().is_none());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
