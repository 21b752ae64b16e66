//! Reads: a few connections beside the writer's, opened when they are needed.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio_postgres::Row;

use crate::fault::{Reach, RowFault, describe, reach};
use crate::session::{Session, Values};
use crate::settings::Settings;

/// How often a read that lost its connection is tried: once more than a pool of stale connections needs after the server was restarted.
const TRIES: u32 = 3;

/// Why a read has no answer.
#[derive(Debug)]
pub(crate) enum ReadFault {
    /// Try again later.
    Unavailable(String),
    /// A row is malformed.
    Corrupt(String),
}

impl From<RowFault> for ReadFault {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Corrupt(what) => Self::Corrupt(what),
            RowFault::Postgres(error) => Self::Unavailable(describe(&error)),
        }
    }
}

/// The connections that read.
pub(crate) struct Readers {
    settings: Settings,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
}

/// A statement with its values.
pub(crate) type Query<'a> = (&'static str, Values<'a>);

impl Readers {
    /// At most `connections`; none is opened yet.
    pub(crate) fn new(settings: Settings, connections: usize) -> Self {
        Self { settings, idle: Mutex::default(), permits: Semaphore::new(connections.max(1)) }
    }

    /// Every row of a query.
    pub(crate) async fn rows(&self, query: Query<'_>) -> Result<Vec<Row>, ReadFault> {
        // One query gives one list of rows.
        Ok(self.snapshot(&[query]).await?.into_iter().flatten().collect())
    }

    /// The rows of several queries, all of one moment. Nothing is changed by a read, so one whose connection was lost is sent again.
    pub(crate) async fn snapshot(&self, queries: &[Query<'_>]) -> Result<Vec<Vec<Row>>, ReadFault> {
        let closed = |_| ReadFault::Unavailable("the store is closed".to_owned());
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let session = self.session(tries).await?;
            match ask(&session, queries).await {
                Ok(rows) => {
                    self.keep(session);
                    return Ok(rows);
                }
                // The session is dropped here, with whatever transaction it may be in.
                Err(error) if tries < TRIES && reach(&error) == Reach::Connection => {}
                Err(error) => return Err(ReadFault::Unavailable(describe(&error))),
            }
        }
    }

    /// Puts a connection by for the next read.
    fn keep(&self, session: Session) {
        // not a row: a panic elsewhere leaves the list whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// An idle connection, but after a failure a new one: the others may be as stale.
    async fn session(&self, tries: u32) -> Result<Session, ReadFault> {
        if tries == 1 {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(session) = idle.pop() {
                if !session.is_closed() {
                    return Ok(session);
                }
            }
        }
        Session::open(&self.settings).await.map_err(|error| ReadFault::Unavailable(error.to_string()))
    }
}

async fn ask(session: &Session, queries: &[Query<'_>]) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    let is_one = queries.len() == 1;
    if !is_one {
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    }
    let mut all = Vec::with_capacity(queries.len());
    for (sql, values) in queries {
        all.push(session.rows(sql, values).await?);
    }
    if !is_one {
        session.batch("COMMIT").await?;
    }
    Ok(all)
}
