//! A few threads with a read-only connection each. They serve reads beside the writer and never wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::database::OpenError;
use crate::fault::{Reach, StoreFault, reach};
use crate::queue::{Queue, Refused};

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadFault {
    /// Try again later.
    Unavailable(String),
    /// A row or the file is damaged.
    Corrupt(String),
}

impl From<StoreFault> for ReadFault {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Corrupt(what) => Self::Corrupt(what),
            StoreFault::Sqlite(error) => match reach(&error) {
                Reach::Change | Reach::Damage => Self::Corrupt(error.to_string()),
                Reach::Database | Reach::Sync => Self::Unavailable(error.to_string()),
            },
        }
    }
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The pool of reading threads.
pub(crate) struct Readers {
    queue: Arc<Queue<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one thread for each connection; up to `capacity` reads may wait.
    pub(crate) fn start(connections: Vec<Connection>, capacity: usize) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new(capacity));
        let mut readers = Self { queue, threads: Vec::with_capacity(connections.len()) };
        for connection in connections {
            let queue = Arc::clone(&readers.queue);
            let builder = thread::Builder::new().name("hazel-read".to_owned());
            let thread = builder.spawn(move || work(&queue, &connection)).map_err(OpenError::Thread)?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// For callers; outlives the threads.
    pub(crate) fn handle(&self) -> ReadHandle {
        ReadHandle(Arc::clone(&self.queue))
    }
}

impl Drop for Readers {
    /// Serves what waits and ends the threads.
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread panicked");
            }
        }
    }
}

/// Hands reads to the pool.
#[derive(Clone)]
pub(crate) struct ReadHandle(Arc<Queue<Read>>);

impl ReadHandle {
    /// Runs `read` in one read transaction, so that all its statements see the same state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, ReadFault> {
        let (answer, answered) = oneshot::channel();
        let job = move |connection: &Connection| {
            // A caller that has gone away needs no answer.
            let _ = answer.send(in_transaction(connection, read));
        };
        self.0.push(Box::new(job)).map_err(|refused| {
            ReadFault::Unavailable(match refused {
                Refused::Full => String::from("too many reads are waiting"),
                Refused::Closed => String::from("the store is closed"),
            })
        })?;
        let result = answered.await.map_err(|_| ReadFault::Unavailable(String::from("the read did not end")))?;
        result.map_err(ReadFault::from)
    }
}

fn work(queue: &Queue<Read>, connection: &Connection) {
    while let Some(reads) = queue.take(1) {
        for read in reads {
            // The transaction ends by unwinding, so the connection stays good for the next read.
            if catch_unwind(AssertUnwindSafe(|| read(connection))).is_err() {
                tracing::error!("a read panicked");
            }
        }
    }
}

fn in_transaction<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, StoreFault>,
) -> Result<T, StoreFault> {
    let transaction = connection.unchecked_transaction()?;
    let value = read(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
