//! Moves the write-ahead log into the database file, on a connection and a thread of its own.
//!
//! The writer asks for a passive checkpoint now and then, which disturbs nobody. When the log has grown beyond its bound the writer
//! asks for it to be emptied and waits meanwhile, so the two never compete for the write lock.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::fault::{Reach, reach};
use crate::health::Health;
use crate::queue::Queue;

/// How long emptying the log waits for a reader that still needs it.
const READER_PATIENCE: Duration = Duration::from_millis(250);

enum Task {
    /// Copy what can be copied without waiting for anybody.
    Passive,
    /// Copy everything and make the log empty, then say so.
    Truncate(SyncSender<()>),
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

    /// Has the log emptied and waits for it. When a reader holds on to the log it stays as it is.
    pub(crate) fn truncate(&self) {
        let (done, wait) = sync_channel(1);
        if self.0.push(Task::Truncate(done)).is_ok() {
            // An error means that the thread is gone; then there is nothing to wait for.
            let _ = wait.recv();
        }
    }
}

/// The checkpointing thread.
pub(crate) struct Checkpointer {
    requests: Requests,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread on its connection.
    pub(crate) fn start(connection: Connection, health: Health) -> std::io::Result<Self> {
        // One passive request, one to empty the log, one at the end: more never wait.
        let queue = Arc::new(Queue::new(3));
        let requests = Requests(Arc::clone(&queue));
        let thread = thread::Builder::new()
            .name("hazel-checkpoint".to_owned())
            .spawn(move || work(&queue, &connection, &health))?;
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
            if health.poisoned().is_none() {
                let result = match &task {
                    Task::Passive => checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)"),
                    Task::Truncate(_) => empty(connection),
                };
                report(result, health);
            }
            if let Task::Truncate(done) = task {
                // The writer that asked waits for this; if it is gone nobody does.
                let _ = done.send(());
            }
        }
    }
}

/// What a checkpoint did: whether somebody was in the way, pages in the log, pages of them copied.
type Progress = (bool, i64, i64);

/// Copies first what needs no lock, so that the locked part is short.
fn empty(connection: &Connection) -> rusqlite::Result<Progress> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    connection.busy_timeout(READER_PATIENCE)?;
    checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
}

fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<Progress> {
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// A failed checkpoint loses nothing, since the log stays; only a failed sync is the end.
fn report(result: rusqlite::Result<Progress>, health: &Health) {
    match result {
        Ok((false, ..)) => {}
        Ok((true, pages, copied)) => tracing::debug!(pages, copied, "a reader holds on to the write-ahead log"),
        Err(error) if reach(&error) == Reach::Sync => health.poison("a sync failed while checkpointing"),
        Err(error) => tracing::warn!(%error, "a checkpoint failed; the write-ahead log stays as it is"),
    }
}
