//! The one thread that writes.
//!
//! Changes wait in a bounded queue. The thread takes what is there, applies it as one group (a savepoint for each change, one commit for
//! all) and answers only after the commit returned. A lone change is a group of one; nothing ever waits for company.
//!
//! | what fails | what was applied | what callers are told |
//! |---|---|---|
//! | a rule or a constraint, in one change | the others | that caller: refused, or corrupt |
//! | a statement or BEGIN, by the disk or memory | nothing of the group | all: unavailable |
//! | COMMIT | not known: the group is applied once more on a new connection | as usual, or ambiguous when that fails too |
//! | a sync | not known, now or later | ambiguous; the store stops for good |

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpointer::Requests;
use crate::database::{Database, OpenError};
use crate::fault::{Fault, Reach, StoreFault, reach};
use crate::health::Health;
use crate::queue::{Queue, Refused};

/// Changes committed together at most, which bounds how long the first of them waits.
const MAX_GROUP: usize = 128;
/// After this many pages of 4096 bytes the log is worth a passive checkpoint.
const PASSIVE_PAGES: i32 = 1000;

/// What a store does with a change inside the writer's transaction.
pub(crate) trait Ledger: Send + 'static {
    /// One change.
    type Change: Send + 'static;
    /// What an applied change says.
    type Answer: Send + 'static;
    /// Why a change is refused by the state of the database.
    type Refusal: Send + 'static;

    /// Whether the change must survive a power cut once it has been answered.
    fn durable(change: &Self::Change) -> bool;

    /// Applies a change, or fails; what a failed change has written is undone by the caller. Never ends the transaction.
    fn apply(connection: &Connection, change: &Self::Change) -> Result<Self::Answer, Fault<Self::Refusal>>;
}

/// Why a change was not applied, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteError<R> {
    /// By the state of the database. Definite.
    Refused(R),
    /// Not applied; try again later. Definite.
    Unavailable(String),
    /// Nobody knows; send the same change again.
    Ambiguous(String),
    /// Not applied: a row, the file or the change itself is malformed.
    Corrupt(String),
}

/// What hears of each committed change, on the writing thread.
type Listener<L> = Box<dyn Fn(&<L as Ledger>::Change, &<L as Ledger>::Answer) + Send + Sync>;

/// Where the listener stands, if there is one.
pub(crate) struct Notice<L: Ledger>(RwLock<Option<Listener<L>>>);

impl<L: Ledger> Notice<L> {
    const fn none() -> Self {
        Self(RwLock::new(None))
    }

    #[cfg(feature = "mint")]
    fn set(&self, listener: Listener<L>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    fn tell(&self, job: &Job<L>, answer: &Answer<L>) {
        let listener = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(listener), Ok(answer)) = (&*listener, answer) {
            listener(&job.change, answer);
        }
    }
}

type Answer<L> = Result<<L as Ledger>::Answer, WriteError<<L as Ledger>::Refusal>>;

struct Job<L: Ledger> {
    change: L::Change,
    answer: oneshot::Sender<Answer<L>>,
}

impl<L: Ledger> Job<L> {
    /// A caller that has gone away misses its answer; the change stands all the same.
    fn answer(self, answer: Answer<L>) {
        let _ = self.answer.send(answer);
    }
}

/// Hands changes to the writer.
pub(crate) struct WriteHandle<L: Ledger> {
    queue: Arc<Queue<Job<L>>>,
    #[cfg(feature = "mint")]
    notice: Arc<Notice<L>>,
    health: Health,
}

impl<L: Ledger> WriteHandle<L> {
    /// Has `listener` hear of every commit from now on, in their order, before their callers do.
    #[cfg(feature = "mint")]
    pub(crate) fn listen(&self, listener: impl Fn(&L::Change, &L::Answer) + Send + Sync + 'static) {
        self.notice.set(Box::new(listener));
    }

    /// Queues a change and waits for its commit. A full queue refuses at once.
    pub(crate) async fn apply(&self, change: L::Change) -> Answer<L> {
        if let Some(reason) = self.health.poisoned() {
            return Err(WriteError::Unavailable(reason));
        }
        let (answer, answered) = oneshot::channel();
        self.queue.push(Job { change, answer }).map_err(|refused| {
            WriteError::Unavailable(match refused {
                Refused::Full => String::from("too many changes are waiting"),
                Refused::Closed => String::from("the store is closed"),
            })
        })?;
        answered.await.unwrap_or_else(|_| Err(WriteError::Ambiguous(String::from("the writer broke off"))))
    }
}

/// The writing thread.
pub(crate) struct Writer<L: Ledger> {
    queue: Arc<Queue<Job<L>>>,
    thread: Option<JoinHandle<()>>,
}

impl<L: Ledger> Writer<L> {
    /// Starts the thread. Up to `capacity` changes may wait; a log of `max_wal_pages` is emptied before the next group.
    pub(crate) fn start(
        database: Arc<Database>,
        health: Health,
        checkpoints: Requests,
        capacity: usize,
        max_wal_pages: u32,
    ) -> Result<(Self, WriteHandle<L>), OpenError> {
        let queue = Arc::new(Queue::new(capacity));
        // A bound that the counter cannot reach is none.
        let max_wal_pages = i32::try_from(max_wal_pages).unwrap_or(i32::MAX);
        let log = Log::new(checkpoints, max_wal_pages);
        let connection = connect(&database, &log.pages)?;
        let groups = Groups { database, log, connection: Some(connection), health: health.clone() };
        let notice = Arc::new(Notice::none());
        let work = Work { queue: Arc::clone(&queue), notice: Arc::clone(&notice), health: health.clone() };
        let thread = thread::Builder::new()
            .name("hazel-write".to_owned())
            .spawn(move || work.run(groups))
            .map_err(OpenError::Thread)?;
        let handle = WriteHandle {
            queue: Arc::clone(&queue),
            #[cfg(feature = "mint")]
            notice,
            health,
        };
        Ok((Self { queue, thread: Some(thread) }, handle))
    }
}

impl<L: Ledger> Drop for Writer<L> {
    /// Commits what waits and ends the thread.
    fn drop(&mut self) {
        self.queue.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writing thread panicked");
        }
    }
}

/// The thread's side of the queue. However the thread ends, nobody is left waiting.
struct Work<L: Ledger> {
    queue: Arc<Queue<Job<L>>>,
    notice: Arc<Notice<L>>,
    health: Health,
}

impl<L: Ledger> Work<L> {
    fn run(self, mut groups: Groups) {
        while let Some(jobs) = self.queue.take(MAX_GROUP) {
            groups.serve(jobs, &self.notice);
        }
    }
}

impl<L: Ledger> Drop for Work<L> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.health.poison("the writer panicked");
        }
        self.queue.close();
        while let Some(jobs) = self.queue.take(MAX_GROUP) {
            for job in jobs {
                job.answer(Err(WriteError::Unavailable(String::from("the writer has ended"))));
            }
        }
    }
}

/// How a group that was not committed ended.
#[derive(Debug, Clone)]
enum GroupError {
    /// Nothing of it was applied.
    NotApplied(String),
    /// Nothing of it was applied; the file is damaged.
    Damaged(String),
    /// COMMIT failed.
    CommitFailed(String),
    /// The disk did not confirm a sync during COMMIT.
    SyncFailed(String),
}

impl GroupError {
    /// A failure before COMMIT: no commit mark has reached the log, so nothing was applied.
    fn before_commit(error: &rusqlite::Error) -> Self {
        match reach(error) {
            Reach::Damage => Self::Damaged(error.to_string()),
            Reach::Change | Reach::Database | Reach::Sync => Self::NotApplied(error.to_string()),
        }
    }

    fn at_commit(error: &rusqlite::Error) -> Self {
        match reach(error) {
            Reach::Sync => Self::SyncFailed(error.to_string()),
            Reach::Change | Reach::Database | Reach::Damage => Self::CommitFailed(error.to_string()),
        }
    }

    /// What each caller of the group is told.
    fn answer<R>(&self) -> WriteError<R> {
        match self {
            Self::NotApplied(reason) => WriteError::Unavailable(reason.clone()),
            Self::Damaged(reason) => WriteError::Corrupt(reason.clone()),
            Self::CommitFailed(reason) | Self::SyncFailed(reason) => WriteError::Ambiguous(reason.clone()),
        }
    }
}

/// Runs groups on the write connection.
struct Groups {
    database: Arc<Database>,
    /// `None` after a commit failed, until the next group opens a new one.
    connection: Option<Connection>,
    log: Log,
    health: Health,
}

impl Groups {
    /// Runs one group and answers its callers.
    fn serve<L: Ledger>(&mut self, jobs: Vec<Job<L>>, notice: &Notice<L>) {
        if let Some(reason) = self.health.poisoned() {
            for job in jobs {
                job.answer(Err(WriteError::Unavailable(reason.clone())));
            }
            return;
        }
        match self.settle::<L>(&jobs) {
            Ok(answers) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    notice.tell(&job, &answer);
                    job.answer(answer);
                }
                self.log.after_commit();
            }
            Err(error) => {
                for job in jobs {
                    job.answer(Err(error.answer()));
                }
            }
        }
    }

    /// Runs one group, a second time when its commit failed. Once a commit has failed nothing but a commit is definite.
    fn settle<L: Ledger>(&mut self, jobs: &[Job<L>]) -> Result<Vec<Answer<L>>, GroupError> {
        let error = match self.attempt::<L>(jobs) {
            Err(GroupError::CommitFailed(reason)) => reason,
            other => return other,
        };
        tracing::warn!(error, "a commit failed; the same changes are applied once more");
        self.attempt::<L>(jobs).map_err(|second| match second {
            GroupError::SyncFailed(_) => second,
            _ => GroupError::CommitFailed(error),
        })
    }

    /// Runs one group once, and parts with a connection that can no longer be relied on.
    fn attempt<L: Ledger>(&mut self, jobs: &[Job<L>]) -> Result<Vec<Answer<L>>, GroupError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                connect(&self.database, &self.log.pages).map_err(|error| GroupError::NotApplied(error.to_string()))?
            }
        };
        let result = self.commit_group::<L>(&connection, jobs);
        match &result {
            Ok(_) => self.connection = Some(connection),
            Err(GroupError::SyncFailed(reason)) => self.health.poison(reason),
            // Dropping the connection rolls back whatever may still be open.
            Err(_) => {}
        }
        result
    }

    /// BEGIN, every change, COMMIT. No statement follows one that has ended the transaction.
    fn commit_group<L: Ledger>(&self, connection: &Connection, jobs: &[Job<L>]) -> Result<Vec<Answer<L>>, GroupError> {
        set_durability(connection, jobs.iter().any(|job| L::durable(&job.change)))?;
        self.run(connection, "BEGIN IMMEDIATE")?;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(self.apply_one::<L>(connection, &job.change)?);
        }
        execute(connection, "COMMIT").map_err(|error| GroupError::at_commit(&error))?;
        Ok(answers)
    }

    /// One change in its savepoint. An error ends the group; a refusal is an answer and undoes this change only.
    fn apply_one<L: Ledger>(&self, connection: &Connection, change: &L::Change) -> Result<Answer<L>, GroupError> {
        self.run(connection, "SAVEPOINT one_change")?;
        let fault = match L::apply(connection, change) {
            Ok(answer) => {
                self.run(connection, "RELEASE one_change")?;
                return Ok(Ok(answer));
            }
            Err(fault) => fault,
        };
        let ended = connection.is_autocommit();
        let answer = match fault {
            Fault::Refused(reason) => WriteError::Refused(reason),
            Fault::Store(StoreFault::Corrupt(reason)) => WriteError::Corrupt(reason),
            Fault::Store(StoreFault::Sqlite(error)) => {
                if ended || reach(&error) != Reach::Change {
                    return Err(self.abandon(&error));
                }
                WriteError::Corrupt(error.to_string())
            }
        };
        if ended {
            return Err(GroupError::NotApplied(String::from("the transaction ended early")));
        }
        self.run(connection, "ROLLBACK TO one_change")?;
        self.run(connection, "RELEASE one_change")?;
        Ok(Err(answer))
    }

    /// A statement of the group itself.
    fn run(&self, connection: &Connection, sql: &str) -> Result<(), GroupError> {
        execute(connection, sql).map_err(|error| self.abandon(&error))
    }

    /// The group is over before its COMMIT. A sync that failed on the way (a log that spilled) stops the store as well.
    fn abandon(&self, error: &rusqlite::Error) -> GroupError {
        if reach(error) == Reach::Sync {
            self.health.poison(&error.to_string());
        }
        GroupError::before_commit(error)
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Sets how the next commit is synced, and makes sure of it. The pragma takes effect when it is prepared, and only outside of a transaction:
/// inside one it does nothing and says nothing, so it is read back.
fn set_durability(connection: &Connection, durable: bool) -> Result<(), GroupError> {
    const FULL: i64 = 2;
    let sql = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
    let level: i64 = connection
        .execute_batch(sql)
        .and_then(|()| connection.query_row("PRAGMA synchronous", [], |row| row.get(0)))
        .map_err(|error| GroupError::before_commit(&error))?;
    if durable && level != FULL {
        return Err(GroupError::NotApplied(format!("the database would not sync at commit (level {level})")));
    }
    Ok(())
}

/// A write connection that reports how many pages its log holds.
fn connect(database: &Database, pages: &Arc<AtomicI32>) -> Result<Connection, OpenError> {
    let mut connection = database.writer()?;
    let pages = Arc::clone(pages);
    connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            pages.store(count, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(OpenError::sqlite("prepare"))?;
    Ok(connection)
}

/// Keeps the write-ahead log short.
struct Log {
    /// Pages in the log after the last commit; set by the connection's hook on the writing thread.
    pages: Arc<AtomicI32>,
    checkpoints: Requests,
    /// After a commit, the log has at most this many pages, unless a reader holds on to it.
    max_pages: i32,
    /// Its size after the commit before.
    last: i32,
    /// The size at which the next passive checkpoint is worth its syncs.
    next_passive: i32,
    /// The size at which emptying the log is tried next; above `max_pages` while a reader holds on to it.
    next_truncate: i32,
}

impl Log {
    fn new(checkpoints: Requests, max_pages: i32) -> Self {
        let pages = Arc::new(AtomicI32::new(0));
        Self { pages, checkpoints, max_pages, last: 0, next_passive: PASSIVE_PAGES, next_truncate: max_pages }
    }

    /// Asks for the checkpoints that are due. The callers of the group have been answered.
    fn after_commit(&mut self) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.last {
            self.began_anew();
        }
        self.last = pages;
        if pages >= self.next_truncate {
            if self.checkpoints.truncate() {
                self.began_anew();
            } else {
                self.next_truncate = pages.saturating_add(PASSIVE_PAGES);
            }
        } else if pages >= self.next_passive {
            self.checkpoints.passive();
            self.next_passive = pages.saturating_add(PASSIVE_PAGES);
        }
    }

    fn began_anew(&mut self) {
        self.last = 0;
        self.next_passive = PASSIVE_PAGES;
        self.next_truncate = self.max_pages;
    }
}

#[cfg(test)]
mod tests;
