//! Schema versions: numbered, embedded, forward only.
//!
//! `user_version` in the file's header is the number of migrations that have run, `application_id` says whose file it is. Each
//! migration runs in one transaction together with the change of these numbers, so one that is interrupted never happened.

use rusqlite::Connection;

use crate::database::OpenError;

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
    /// Marks the file as ours.
    pub(crate) application_id: i32,
    /// Whose database it is, for the message when another one's is opened.
    pub(crate) owner: &'static str,
    /// Step `n` leads from version `n` to version `n + 1`.
    pub(crate) steps: &'static [Migration],
}

impl Migrations {
    /// Brings the database to the newest version.
    pub(crate) fn run(&self, connection: &Connection) -> Result<(), OpenError> {
        let current = self.version(connection)?;
        for (version, step) in (1_i64..).zip(self.steps) {
            if version > current {
                self.step(connection, version, step).map_err(OpenError::sqlite("upgrade"))?;
                tracing::info!(version, name = step.name, "upgraded the database");
            }
        }
        Ok(())
    }

    /// The version of the database, which is ours and not too new.
    fn version(&self, connection: &Connection) -> Result<i64, OpenError> {
        let read = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(OpenError::sqlite("read"));
        let owner = read("PRAGMA application_id")?;
        let version = read("PRAGMA user_version")?;
        let tables = read("SELECT count(*) FROM sqlite_schema")?;
        let is_new = owner == 0 && version == 0 && tables == 0;
        if !is_new && owner != i64::from(self.application_id) {
            return Err(OpenError::OtherProgram { expected: self.owner });
        }
        let known = i64::try_from(self.steps.len()).expect("a program holds few migrations");
        if !(0..=known).contains(&version) {
            return Err(OpenError::TooNew { found: version, known });
        }
        Ok(version)
    }

    /// Runs one step and moves the version, or does neither.
    ///
    /// References are checked once at its end: a step may rebuild a table that others refer to, whose rows are gone for a moment.
    fn step(&self, connection: &Connection, version: i64, step: &Migration) -> rusqlite::Result<()> {
        let had_foreign_keys: bool = connection.query_row("PRAGMA foreign_keys", [], |row| row.get(0))?;
        connection.pragma_update(None, "foreign_keys", false)?;
        let done = self.transact(connection, version, step);
        connection.pragma_update(None, "foreign_keys", had_foreign_keys)?;
        done
    }

    fn transact(&self, connection: &Connection, version: i64, step: &Migration) -> rusqlite::Result<()> {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(step.sql)?;
        if transaction.prepare("PRAGMA foreign_key_check")?.exists([])? {
            let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY);
            return Err(rusqlite::Error::SqliteFailure(error, Some("a row refers to one that is missing".to_owned())));
        }
        let mark = format!("PRAGMA application_id = {}; PRAGMA user_version = {version};", self.application_id);
        transaction.execute_batch(&mark)?;
        transaction.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration = Migration { name: "base", sql: "CREATE TABLE t (a INTEGER NOT NULL) STRICT;" };
    const ONE: Migrations = Migrations { application_id: 77, owner: "test", steps: &[FIRST] };
    const TWO: Migrations = Migrations {
        application_id: 77,
        owner: "test",
        steps: &[
            FIRST,
            Migration { name: "more", sql: "ALTER TABLE t ADD COLUMN b TEXT; INSERT INTO t VALUES (1, 'x');" },
        ],
    };
    /// Its second step breaks after it has done half of its work.
    const BROKEN: Migrations = Migrations {
        application_id: 77,
        owner: "test",
        steps: &[
            FIRST,
            Migration { name: "half", sql: "ALTER TABLE t ADD COLUMN b TEXT; INSERT INTO missing VALUES (1);" },
        ],
    };

    fn empty() -> Connection {
        Connection::open_in_memory().expect("memory")
    }

    #[test]
    fn steps_run_once_and_in_order() {
        let connection = empty();
        ONE.run(&connection).expect("first version");
        for _ in 0..2 {
            TWO.run(&connection).expect("second version");
        }
        let rows: i64 =
            connection.query_row("SELECT count(*) FROM t WHERE b = 'x'", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_step_that_breaks_off_leaves_nothing_behind() {
        let connection = empty();
        BROKEN.run(&connection).expect_err("it breaks");
        assert_eq!(TWO.version(&connection).expect("version"), 1);
        TWO.run(&connection).expect("the same step, whole this time");
    }

    #[test]
    fn a_step_may_rebuild_a_table_that_others_refer_to_but_leave_no_row_without_its_own() {
        const BASE: Migration = Migration {
            name: "base",
            sql: "CREATE TABLE p (id INTEGER PRIMARY KEY) STRICT; CREATE TABLE c (p INTEGER REFERENCES p (id)) STRICT; \
                  INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);",
        };
        const REBUILT: Migrations = Migrations {
            application_id: 77,
            owner: "test",
            steps: &[
                BASE,
                Migration {
                    name: "rebuild",
                    sql: "CREATE TABLE p2 (id INTEGER PRIMARY KEY, a TEXT) STRICT; INSERT INTO p2 SELECT id, 'x' FROM p; \
                          DROP TABLE p; ALTER TABLE p2 RENAME TO p;",
                },
            ],
        };
        const LOSSY: Migrations = Migrations {
            application_id: 77,
            owner: "test",
            steps: &[BASE, Migration { name: "lose", sql: "DELETE FROM p;" }],
        };
        let connection = empty();
        connection.execute_batch("PRAGMA foreign_keys = ON").expect("set");
        LOSSY.run(&connection).expect_err("a row would refer to nothing");
        assert_eq!(REBUILT.version(&connection).expect("version"), 1);
        REBUILT.run(&connection).expect("rebuilt");
        connection.execute("DELETE FROM p", []).expect_err("references are kept again");
    }

    #[test]
    fn newer_and_foreign_databases_are_refused() {
        let connection = empty();
        TWO.run(&connection).expect("second version");
        assert!(matches!(ONE.run(&connection), Err(OpenError::TooNew { found: 2, known: 1 })));
        connection.execute_batch("PRAGMA application_id = 78").expect("changed");
        assert!(matches!(TWO.run(&connection), Err(OpenError::OtherProgram { .. })));
        let foreign = empty();
        foreign.execute_batch("CREATE TABLE theirs (a)").expect("made");
        assert!(matches!(ONE.run(&foreign), Err(OpenError::OtherProgram { .. })));
    }
}
