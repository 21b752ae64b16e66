//! The one task that writes: changes come from a queue and are committed in groups.
//!
//! A group is one transaction with a savepoint for each change, so that a change which is refused takes back only what it wrote itself. Everybody
//! is answered after the commit. When the transaction fails by chance (a deadlock with another process, a time-out) its changes are applied once
//! more, each alone, so that only the guilty fails. When it is not known whether a commit went through, because the connection was lost under it or the
//! server says that no standby may have it, the same changes are sent again: each finds its own effect and answers as the first time, or applies
//! now. A read could not decide that, since the first commit may still be on its way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hazel_mint::ports::{Applied, ApplyError, Change, Observer};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::apply::{LedgerFault, Tx, apply};
use super::lease::Lease;
use crate::fault::{Fault, Reach, describe, reach};
use crate::session::Session;
use crate::settings::Settings;

/// Changes that may wait. Whoever finds the queue full is told so at once.
const QUEUE: usize = 1_024;
/// Changes in one transaction.
const GROUP: usize = 64;
/// How long one transaction may take with everything, before its connection is given up and its outcome is in doubt.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the changes of a failed group are tried again, all together.
const AGAIN: Duration = Duration::from_secs(8);
/// The first pause between two tries; each is twice as long as the last, up to a limit.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// What a change came to.
type Answer = Result<Applied, ApplyError>;

struct Job {
    change: Change,
    answer: oneshot::Sender<Answer>,
}

/// Sends changes to the writer.
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    observer: Arc<Mutex<Option<Arc<dyn Observer>>>>,
}

impl Writer {
    /// Starts the task; it ends when the last sender is gone and the queue is empty.
    pub(super) fn start(settings: Settings, session: Session, stripe: i32, lease: Lease) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let observer = Arc::default();
        let task = Task { settings, session: Some(session), stripe, lease, observer: Arc::clone(&observer) };
        drop(tokio::spawn(task.run(jobs)));
        Self { queue, observer }
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Queues a change and waits for its commit.
    pub(super) async fn apply(&self, change: Change) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { change, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ApplyError::Unavailable("too many changes are waiting".to_owned()),
            mpsc::error::TrySendError::Closed(_) => ApplyError::Unavailable("the store is closed".to_owned()),
        })?;
        // The task answers every job it took; if it is gone nobody knows how far it came.
        answered.await.unwrap_or_else(|_| Err(ApplyError::Ambiguous("the writer ended".to_owned())))
    }
}

/// Why a transaction gave no answers.
#[derive(Debug)]
enum Broken {
    /// There is no connection, or no lease any more; nothing was begun.
    Away(String),
    /// It was taken back whole. The same changes may well go through another time.
    Undone(String),
    /// Nobody knows whether it was committed.
    InDoubt(String),
}

struct Task {
    settings: Settings,
    /// `None` after the connection was lost.
    session: Option<Session>,
    stripe: i32,
    lease: Lease,
    observer: Arc<Mutex<Option<Arc<dyn Observer>>>>,
}

impl Task {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.recv_many(&mut group, GROUP).await > 0 {
            let (changes, senders): (Vec<Change>, Vec<_>) = group.drain(..).map(|job| (job.change, job.answer)).unzip();
            let answers = self.serve(&changes).await;
            self.tell(&changes, &answers);
            for (sender, answer) in senders.into_iter().zip(answers) {
                // Whoever asked may have gone away.
                let _ = sender.send(answer);
            }
        }
    }

    fn tell(&self, changes: &[Change], answers: &[Answer]) {
        let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(observer) = &*observer else { return };
        for (change, answer) in changes.iter().zip(answers) {
            if let Ok(applied) = answer {
                observer.committed(change, applied);
            }
        }
    }

    /// One answer for each change, in their order.
    async fn serve(&mut self, changes: &[Change]) -> Vec<Answer> {
        let (is_doubtful, why) = match self.attempt(changes, false).await {
            Ok(answers) => return answers,
            Err(Broken::Away(why)) => {
                return changes.iter().map(|_| Err(ApplyError::Unavailable(why.clone()))).collect();
            }
            Err(Broken::Undone(why)) => (false, why),
            Err(Broken::InDoubt(why)) => (true, why),
        };
        tracing::warn!(changes = changes.len(), in_doubt = is_doubtful, why, "a group of changes is applied again");
        let until = Instant::now() + AGAIN;
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            answers.push(self.alone(change, is_doubtful, until).await);
        }
        answers
    }

    /// Applies one change until it is definite or the time is up.
    async fn alone(&mut self, change: &Change, mut is_doubtful: bool, until: Instant) -> Answer {
        let mut pause = PAUSE;
        loop {
            let why = match self.attempt(std::slice::from_ref(change), is_doubtful).await {
                Ok(mut answers) => return answers.pop().unwrap_or_else(|| Err(unavailable("no answer"))),
                Err(Broken::InDoubt(why)) => {
                    is_doubtful = true;
                    why
                }
                Err(Broken::Away(why) | Broken::Undone(why)) => why,
            };
            if Instant::now() + pause >= until {
                return Err(if is_doubtful { ApplyError::Ambiguous(why) } else { ApplyError::Unavailable(why) });
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// One transaction with all of these changes. `is_doubtful` when they may be in the ledger already, and nobody knows how durably.
    async fn attempt(&mut self, changes: &[Change], is_doubtful: bool) -> Result<Vec<Answer>, Broken> {
        // Asked before every transaction: one that was in doubt may be sent again long after the first.
        if let Some(why) = self.lease.refusal() {
            return Err(Broken::Away(why));
        }
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::open_durable(&self.settings).await.map_err(|error| Broken::Away(error.to_string()))?,
        };
        let tx = Tx { session: &session, stripe: self.stripe };
        let late = |_| Err(Broken::InDoubt("the database did not answer in time".to_owned()));
        let (outcome, is_usable) = match timeout(PATIENCE, transaction(tx, changes, is_doubtful)).await {
            Ok(outcome) => (outcome, true),
            Err(elapsed) => (late(elapsed), false),
        };
        // A transaction that did not end well may have left its connection anywhere.
        if is_usable && outcome.is_ok() {
            self.session = Some(session);
        }
        outcome
    }
}

fn unavailable(why: &str) -> ApplyError {
    ApplyError::Unavailable(why.to_owned())
}

/// Begins, applies each change, commits.
async fn transaction(tx: Tx<'_>, changes: &[Change], is_doubtful: bool) -> Result<Vec<Answer>, Broken> {
    let is_durable = changes.iter().any(Change::durable);
    // What need only be visible does not wait for the disk.
    let begin = if is_durable { "BEGIN" } else { "BEGIN; SET LOCAL synchronous_commit = 'off'" };
    tx.session.batch(begin).await.map_err(|error| undone(&error))?;
    if is_doubtful && is_durable {
        answer_of(tx.mark().await.map(|()| Applied::Done).map_err(LedgerFault::from))?
            .map_err(|error| Broken::Undone(error.to_string()))?;
    }
    if let [change] = changes {
        let answer = answer_of(apply(tx, change).await)?;
        if answer.is_err() {
            tx.session.batch("ROLLBACK").await.map_err(|error| undone(&error))?;
            return Ok(vec![answer]);
        }
        commit(tx.session, is_durable).await?;
        return Ok(vec![answer]);
    }
    let mut answers = Vec::with_capacity(changes.len());
    for change in changes {
        tx.session.batch("SAVEPOINT change").await.map_err(|error| undone(&error))?;
        let answer = answer_of(apply(tx, change).await)?;
        let end = if answer.is_ok() {
            "RELEASE SAVEPOINT change"
        } else {
            "ROLLBACK TO SAVEPOINT change; RELEASE SAVEPOINT change"
        };
        tx.session.batch(end).await.map_err(|error| undone(&error))?;
        answers.push(answer);
    }
    commit(tx.session, is_durable).await?;
    Ok(answers)
}

/// The answer to one change, or the end of the whole transaction.
fn answer_of(outcome: Result<Applied, LedgerFault>) -> Result<Answer, Broken> {
    match outcome {
        Ok(applied) => Ok(Ok(applied)),
        Err(Fault::Refused(conflict)) => Ok(Err(conflict.into())),
        Err(Fault::Corrupt(what)) => Ok(Err(ApplyError::Corrupt(what))),
        Err(Fault::Busy) => Err(Broken::Undone("another transaction was in the way".to_owned())),
        Err(Fault::Postgres(error)) => match reach(&error) {
            Reach::Change => Ok(Err(ApplyError::Corrupt(describe(&error)))),
            Reach::Transaction | Reach::Connection => Err(undone(&error)),
            Reach::Database => Ok(Err(ApplyError::Unavailable(describe(&error)))),
        },
    }
}

/// Nothing of it was committed: the commit had not been sent, and the connection is dropped.
fn undone(error: &tokio_postgres::Error) -> Broken {
    Broken::Undone(describe(error))
}

async fn commit(session: &Session, is_durable: bool) -> Result<(), Broken> {
    let warnings = session.warnings();
    match session.batch("COMMIT").await {
        Ok(()) if is_durable && session.warnings() != warnings => {
            Err(Broken::InDoubt("the server warned that the commit may not be replicated".to_owned()))
        }
        Ok(()) => Ok(()),
        Err(error) => match reach(&error) {
            // The server has decided, and says that it did not commit.
            Reach::Change | Reach::Transaction | Reach::Database => Err(undone(&error)),
            Reach::Connection => Err(Broken::InDoubt(describe(&error))),
        },
    }
}
