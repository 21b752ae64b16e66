//! A database in use: one writer, a few readers, a checkpointer, and their orderly end.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::checkpointer::Checkpointer;
use crate::database::{Database, OpenError, OpenOptions};
use crate::fault::StoreFault;
use crate::health::Health;
use crate::migration::Migrations;
use crate::readers::{ReadFault, ReadHandle, Readers};
use crate::writer::{Ledger, WriteError, WriteHandle, Writer};

/// Everything a store needs below its own rules.
pub(crate) struct Engine<L: Ledger> {
    writes: WriteHandle<L>,
    reads: ReadHandle,
    health: Health,
    threads: Mutex<Option<Threads<L>>>,
}

/// Dropped, and so ended, in the order of the fields; the file's lock is given back last.
struct Threads<L: Ledger> {
    _writer: Writer<L>,
    _readers: Readers,
    _checkpointer: Checkpointer,
    _database: Arc<Database>,
}

impl<L: Ledger> Engine<L> {
    /// Opens the database at `path` and starts its threads. `verify` sees the upgraded database first.
    pub(crate) fn open(
        path: &Path,
        options: &OpenOptions,
        migrations: &Migrations,
        verify: impl FnOnce(&Connection) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let database = Arc::new(Database::open(path, options, migrations)?);
        let health = Health::new();
        let connections = (0..options.readers.max(1)).map(|_| database.reader()).collect::<Result<Vec<_>, _>>()?;
        if let Some(connection) = connections.first() {
            verify(connection)?;
        }
        let checkpointer = Checkpointer::start(database.checkpointer()?, health.clone())?;
        let readers = Readers::start(connections, options.read_queue)?;
        let (writer, handle) = Writer::start(
            Arc::clone(&database),
            health.clone(),
            checkpointer.requests(),
            options.write_queue,
            options.max_wal_pages,
        )?;
        let reads = readers.handle();
        let threads = Mutex::new(Some(Threads {
            _writer: writer,
            _readers: readers,
            _checkpointer: checkpointer,
            _database: database,
        }));
        Ok(Self { writes: handle, reads, health, threads })
    }

    /// Queues a change and waits for its commit.
    pub(crate) async fn apply(&self, change: L::Change) -> Result<L::Answer, WriteError<L::Refusal>> {
        self.writes.apply(change).await
    }

    /// Has `listener` hear of every commit from now on, in their order, before their callers do.
    #[cfg(feature = "mint")]
    pub(crate) fn listen(&self, listener: impl Fn(&L::Change, &L::Answer) + Send + Sync + 'static) {
        self.writes.listen(listener);
    }

    /// Runs a read in one transaction on a reading thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, ReadFault> {
        if let Some(reason) = self.health.poisoned() {
            return Err(ReadFault::Unavailable(reason));
        }
        self.reads.read(read).await
    }

    /// Completes, with the reason, when the store has stopped for good and the process should end.
    pub(crate) async fn closed(&self) -> String {
        self.health.closed().await
    }

    /// Commits what is queued, empties the write-ahead log, closes every connection and gives the lock back. Blocks meanwhile.
    pub(crate) fn close(&self) {
        drop(self.threads.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl<L: Ledger> Drop for Engine<L> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Turns the errors of the engine into those of a port, which has the same four and two.
#[cfg(feature = "mint")]
macro_rules! port_errors {
    ($apply:ty, $refusal:ty, $read:ty) => {
        impl From<$crate::writer::WriteError<$refusal>> for $apply {
            fn from(error: $crate::writer::WriteError<$refusal>) -> Self {
                match error {
                    $crate::writer::WriteError::Refused(conflict) => Self::Conflict(conflict),
                    $crate::writer::WriteError::Unavailable(reason) => Self::Unavailable(reason),
                    $crate::writer::WriteError::Ambiguous(reason) => Self::Ambiguous(reason),
                    $crate::writer::WriteError::Corrupt(reason) => Self::Corrupt(reason),
                }
            }
        }

        impl From<$crate::readers::ReadFault> for $read {
            fn from(fault: $crate::readers::ReadFault) -> Self {
                match fault {
                    $crate::readers::ReadFault::Unavailable(reason) => Self::Unavailable(reason),
                    $crate::readers::ReadFault::Corrupt(reason) => Self::Corrupt(reason),
                }
            }
        }
    };
}

#[cfg(feature = "mint")]
pub(crate) use port_errors;
