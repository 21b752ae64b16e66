//! Moves the write-ahead log into the database file, on a connection and a thread of its own.
//!
//! The writer asks for a passive checkpoint now and then, which disturbs nobody. When the log has grown beyond its bound the writer
//! asks for it to be emptied and waits meanwhile, so the two never compete for the write lock.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::OpenError;
use crate::fault::{Reach, reach};
use crate::health::Health;
use crate::queue::Queue;

/// How long emptying the log waits for a reader that still needs it.
const READER_PATIENCE: Duration = Duration::from_millis(250);

enum Task {
    /// Copy what can be copied without waiting for anybody.
    Passive,
    /// Copy everything and make the log empty, then say whether it is.
    Truncate(SyncSender<bool>),
}

/// Asks the checkpointing thread for work.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Queue<Task>>);

impl Requests {
    /// Asks for a passive checkpoint; one that is already waiting is enough.
    pub(crate) fn passive(&self) {
        // A refusal means that one is waiting, or that the store is being closed, which ends in a checkpoint anyway.
        let _ = self.0.push(Task::Passive);
    }

    /// Has the log emptied and waits for it. False when a reader holds on to the log, or it could not be copied.
    pub(crate) fn truncate(&self) -> bool {
        let (done, wait) = sync_channel(1);
        // Without an answer the thread is gone, and the log as it was.
        self.0.push(Task::Truncate(done)).is_ok() && wait.recv().unwrap_or(false)
    }
}

/// The checkpointing thread.
pub(crate) struct Checkpointer {
    requests: Requests,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread on its connection.
    pub(crate) fn start(connection: Connection, health: Health) -> Result<Self, OpenError> {
        connection.busy_timeout(READER_PATIENCE).map_err(OpenError::sqlite("prepare"))?;
        // One passive request, one to empty the log, one at the end: more never wait.
        let queue = Arc::new(Queue::new(3));
        let requests = Requests(Arc::clone(&queue));
        let thread = thread::Builder::new()
            .name("hazel-checkpoint".to_owned())
            .spawn(move || work(&queue, &connection, &health))
            .map_err(OpenError::Thread)?;
        Ok(Self { requests, thread: Some(thread) })
    }

    /// For the writer.
    pub(crate) fn requests(&self) -> Requests {
        self.requests.clone()
    }
}

impl Drop for Checkpointer {
    /// Empties the log a last time and ends the thread.
    fn drop(&mut self) {
        self.requests.truncate();
        self.requests.0.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpointing thread panicked");
        }
    }
}

fn work(queue: &Queue<Task>, connection: &Connection, health: &Health) {
    while let Some(tasks) = queue.take(1) {
        for task in tasks {
            match task {
                Task::Passive => drop(copy(connection, health, PASSIVE)),
                Task::Truncate(done) => {
                    // The writer that asked waits for this; if it is gone nobody does.
                    let _ = done.send(empty(connection, health));
                }
            }
        }
    }
    if health.poisoned().is_none() {
        // The last connection to close removes the empty log. It loses nothing where it cannot.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    }
}

const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Copies first what needs no lock, so that the locked part is short. Says whether the log is empty.
fn empty(connection: &Connection, health: &Health) -> bool {
    copy(connection, health, PASSIVE) && copy(connection, health, TRUNCATE)
}

/// Runs a checkpoint and says whether nobody was in its way. One that fails loses nothing, since the log stays; only a failed sync is the
/// end, and after one nothing is copied any more.
fn copy(connection: &Connection, health: &Health, sql: &str) -> bool {
    if health.poisoned().is_some() {
        return false;
    }
    match connection.query_row(sql, [], |row| row.get::<_, bool>(0)) {
        Ok(is_held_up) => return !is_held_up,
        Err(error) if reach(&error) == Reach::Sync => health.poison("a sync failed while checkpointing"),
        Err(error) => tracing::warn!(%error, "a checkpoint failed; the write-ahead log stays as it is"),
    }
    false
}
