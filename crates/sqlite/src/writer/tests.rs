//! The writer with a ledger of one table, so that each way a group can go is visible by itself.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::checkpointer::Checkpointer;
use crate::database::OpenOptions;
use crate::migration::{Migration, Migrations};

const MIGRATIONS: Migrations = Migrations {
    application_id: 5,
    owner: "test",
    steps: &[Migration { name: "base", sql: "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB) STRICT;" }],
};

#[derive(Debug, Clone)]
enum Step {
    /// Adds a row; refused when it is there.
    Add(i64),
    /// Adds a row, not durably.
    AddLoosely(i64),
    /// Adds a row and then finds a reason to refuse.
    AddAndRefuse(i64),
    /// Adds a row that is there already, past every check.
    Collide(i64),
    /// Ends the transaction, as SQLite may on a full disk.
    EndTransaction,
    /// Ends the transaction and fails as well.
    FailAndEnd,
    /// Says how the next commit is synced.
    Synchronous,
    Panic,
}

struct Table;

impl Ledger for Table {
    type Change = Step;
    type Answer = i64;
    type Refusal = &'static str;

    fn durable(change: &Step) -> bool {
        !matches!(change, Step::AddLoosely(_))
    }

    fn apply(connection: &Connection, change: &Step) -> Result<i64, Fault<&'static str>> {
        let add = |a: i64| connection.execute("INSERT INTO t (a) VALUES (?1)", [a]);
        match change {
            Step::Add(a) | Step::AddLoosely(a) => {
                let known: i64 = connection.query_row("SELECT count(*) FROM t WHERE a = ?1", [a], |row| row.get(0))?;
                if known > 0 {
                    return Err(Fault::Refused("known"));
                }
                add(*a)?;
                Ok(*a)
            }
            Step::AddAndRefuse(a) => {
                add(*a)?;
                Err(Fault::Refused("on second thought"))
            }
            Step::Collide(a) => {
                add(*a)?;
                Ok(*a)
            }
            Step::EndTransaction => {
                connection.execute_batch("ROLLBACK")?;
                Err(Fault::Refused("unseen"))
            }
            Step::FailAndEnd => {
                connection.execute_batch("ROLLBACK")?;
                add(1).and_then(|_| add(1))?;
                Ok(0)
            }
            Step::Synchronous => Ok(connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?),
            Step::Panic => panic!("a bug"),
        }
    }
}

/// A writer, and what keeps it alive.
struct Rig {
    groups: Groups,
    database: Arc<Database>,
    checkpointer: Checkpointer,
    folder: tempfile::TempDir,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.sqlite");
    let database = Arc::new(Database::open(&path, &OpenOptions::default(), &MIGRATIONS).expect("open"));
    let health = Health::new();
    let checkpointer = Checkpointer::start(database.checkpointer().expect("connect"), health.clone()).expect("start");
    let log = Log::new(checkpointer.requests(), 4);
    let groups = Groups { database: Arc::clone(&database), connection: None, log, health };
    Rig { groups, database, checkpointer, folder }
}

impl Rig {
    /// Runs one group and gives the answers.
    fn group(&mut self, steps: &[Step]) -> Vec<Answer<Table>> {
        let (jobs, answers): (Vec<_>, Vec<_>) = steps
            .iter()
            .map(|step| {
                let (answer, answered) = oneshot::channel();
                (Job::<Table> { change: step.clone(), answer }, answered)
            })
            .unzip();
        self.groups.serve(jobs, &Notice::none());
        answers.into_iter().map(|answer| answer.blocking_recv().expect("answered")).collect()
    }

    fn rows(&self) -> Vec<i64> {
        let connection = self.database.reader().expect("connect");
        crate::columns::all(&connection, "SELECT a FROM t ORDER BY a", [], |row| Ok(row.get(0)?)).expect("rows")
    }
}

#[test]
fn a_refusal_undoes_its_own_change_only() {
    let mut rig = rig();
    let answers = rig.group(&[Step::Add(1), Step::AddAndRefuse(2), Step::Add(1), Step::Add(3)]);
    let refused = |why| Err(WriteError::Refused(why));
    assert_eq!(answers, [Ok(1), refused("on second thought"), refused("known"), Ok(3)]);
    assert_eq!(rig.rows(), [1, 3]);
}

#[test]
fn a_broken_constraint_is_one_changes_fault() {
    let mut rig = rig();
    let answers = rig.group(&[Step::Add(1), Step::Collide(1), Step::Add(2)]);
    assert!(matches!(answers.as_slice(), [Ok(1), Err(WriteError::Corrupt(_)), Ok(2)]), "{answers:?}");
    assert_eq!(rig.rows(), [1, 2]);
}

#[test]
fn nothing_runs_after_sqlite_has_ended_the_transaction() {
    let mut rig = rig();
    for end in [Step::EndTransaction, Step::FailAndEnd] {
        let answers = rig.group(&[Step::Add(10), end.clone(), Step::Add(11)]);
        let unavailable = |answer: &Answer<Table>| matches!(answer, Err(WriteError::Unavailable(_)));
        assert!(answers.iter().all(unavailable), "{end:?}: {answers:?}");
    }
    // What `FailAndEnd` wrote on its own, outside any transaction, is there; nothing of the groups is.
    assert_eq!(rig.rows(), [1]);
    assert_eq!(rig.group(&[Step::Add(12)]), [Ok(12)]);
}

#[test]
fn a_group_is_synced_when_any_of_it_is_durable() {
    const FULL: i64 = 2;
    const NORMAL: i64 = 1;
    let mut rig = rig();
    assert_eq!(rig.group(&[Step::AddLoosely(1), Step::Synchronous])[1], Ok(FULL));
    assert_eq!(rig.group(&[Step::AddLoosely(2)]), [Ok(2)]);
    let connection = rig.groups.connection.as_ref().expect("open");
    let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("read");
    assert_eq!(level, NORMAL);
    assert_eq!(rig.group(&[Step::Synchronous]), [Ok(FULL)]);
}

#[test]
fn durability_that_cannot_be_had_is_refused() {
    let mut rig = rig();
    rig.group(&[Step::AddLoosely(1)]);
    let connection = rig.groups.connection.as_ref().expect("open");
    // Inside a transaction the pragma does nothing and says nothing.
    connection.execute_batch("BEGIN").expect("begun");
    assert!(matches!(set_durability(connection, true), Err(GroupError::NotApplied(_))));
    connection.execute_batch("ROLLBACK").expect("ended");
    assert!(set_durability(connection, true).is_ok());
}

#[test]
fn a_full_database_applies_nothing_of_the_group() {
    let mut rig = rig();
    rig.group(&[Step::Add(1)]);
    let connection = rig.groups.connection.as_ref().expect("open");
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("read");
    connection.execute_batch(&format!("PRAGMA max_page_count = {pages}")).expect("set");
    let steps: Vec<Step> = (2..2000).map(Step::Add).collect();
    let answers = rig.group(&steps);
    assert!(answers.iter().all(|answer| matches!(answer, Err(WriteError::Unavailable(_)))));
    assert_eq!(rig.rows(), [1]);
    // The next connection has no such bound.
    assert_eq!(rig.group(&[Step::Add(2)]), [Ok(2)]);
}

#[test]
fn another_programs_lock_is_waited_for() {
    let mut rig = rig();
    rig.group(&[Step::Add(1)]);
    let other = Connection::open(rig.database.path()).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        other.execute_batch("COMMIT").expect("released");
    });
    assert_eq!(rig.group(&[Step::Add(2)]), [Ok(2)]);
    release.join().expect("ended");
}

#[test]
fn the_log_stays_short() {
    let mut rig = rig();
    let log = rig.folder.path().join("t.sqlite-wal");
    for a in 0..200 {
        assert_eq!(rig.group(&[Step::Add(a)]), [Ok(a)]);
        let length = std::fs::metadata(&log).expect("a log").len();
        assert!(length < 8 * 4200, "the log has {length} bytes");
    }
    drop(rig.checkpointer);
    drop(rig.groups);
}

#[test]
fn a_poisoned_store_answers_nothing() {
    let mut rig = rig();
    rig.groups.health.poison("the disk");
    assert_eq!(rig.group(&[Step::Add(1)]), [Err(WriteError::Unavailable(String::from("the disk")))]);
    assert_eq!(rig.rows(), Vec::<i64>::new());
}

#[tokio::test]
async fn a_panic_leaves_nobody_waiting() {
    let rig = rig();
    let health = Health::new();
    let (writer, handle) =
        Writer::<Table>::start(Arc::clone(&rig.database), health.clone(), rig.checkpointer.requests(), 8, 100)
            .expect("start");
    assert!(matches!(handle.apply(Step::Panic).await, Err(WriteError::Ambiguous(_))));
    assert_eq!(health.closed().await, "the writer panicked");
    assert!(matches!(handle.apply(Step::Add(1)).await, Err(WriteError::Unavailable(_))));
    drop(writer);
    assert_eq!(rig.rows(), Vec::<i64>::new());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_close_commits_what_waits() {
    let rig = rig();
    let other = Connection::open(rig.database.path()).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let (writer, handle) =
        Writer::<Table>::start(Arc::clone(&rig.database), Health::new(), rig.checkpointer.requests(), 2, 100)
            .expect("start");
    let handle = Arc::new(handle);
    let mut waiting = tokio::task::JoinSet::new();
    // One group at most is taken from the queue and stuck; two more changes may wait behind it.
    let mut full = 0;
    for a in 0..20 {
        let handle = Arc::clone(&handle);
        waiting.spawn(async move { handle.apply(Step::Add(a)).await });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while let Some(answer) = waiting.try_join_next() {
        assert!(matches!(answer.expect("ended"), Err(WriteError::Unavailable(_))));
        full += 1;
    }
    assert_eq!(full, 17, "one is being applied, two wait");
    other.execute_batch("COMMIT").expect("released");
    drop(writer);
    while let Some(answer) = waiting.join_next().await {
        assert!(answer.expect("ended").is_ok());
    }
    assert_eq!(rig.rows().len(), 3);
    assert!(matches!(handle.apply(Step::Add(99)).await, Err(WriteError::Unavailable(_))));
}
