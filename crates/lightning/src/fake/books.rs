//! The ledger file: opening it, and the transactions everything else runs in.
//!
//! Time passes in here only when somebody looks. What is due is kept as a point in time, and whoever opens the next transaction after it
//! writes what happened, in the order of the due times. SQLite admits one writer, and a row that has struck loses its due time in the
//! same transaction, so each event is written exactly once however many processes look.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hazel_mint::ports::Refusal;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::FakeError;
use super::steering::{self, Behaviour};
use super::world::World;
use super::{incoming, outgoing};

const SCHEMA_VERSION: i64 = 1;

/// Marks the file as ours: `HzFk` in ASCII.
const APPLICATION_ID: i64 = 0x487a_466b;

/// How long a writer waits for another process, in ms.
const BUSY_TIMEOUT_MS: u64 = 15_000;

/// How long opening waits between tries to switch a new file to WAL, in ms.
const OPEN_RETRY_MS: u64 = 20;

/// Opening tries this often before it gives up.
const OPEN_TRIES: u32 = 500;

/// A `u64` in a signed column. No value of the fake needs the top bit; one that does is an error on the way in and out.
#[derive(Debug, Clone, Copy)]
pub(super) struct U64(pub(super) u64);

impl ToSql for U64 {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = i64::try_from(self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(value.into())
    }
}

impl FromSql for U64 {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let stored = value.as_i64()?;
        u64::try_from(stored).map(Self).map_err(|_| FromSqlError::OutOfRange(stored))
    }
}

impl U64 {
    /// For a value chosen by the caller of the node, where the exact size beyond the range of a column says nothing more.
    pub(super) fn clamped(value: u64) -> Self {
        Self(value.min(u64::try_from(i64::MAX).expect("i64::MAX is positive")))
    }
}

/// A transaction that holds the write lock, with the time and the behaviour that apply in it.
pub(super) struct Write<'a> {
    pub(super) tx: Transaction<'a>,
    /// Read after the lock was had, so that waiting for it counts.
    pub(super) now_ms: u64,
    pub(super) behaviour: Behaviour,
}

/// One connection to the ledger.
pub(super) struct Books {
    conn: Connection,
    world: Arc<dyn World>,
    base: Behaviour,
}

impl Books {
    /// Opens the ledger, or makes one when there is no file.
    pub(super) fn open(path: &Path, world: Arc<dyn World>, base: Behaviour) -> Result<Self, FakeError> {
        create_private(path)?;
        let mut conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
        recognise(&conn)?;
        switch_to_wal(&conn)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", "ON")?;
        create_schema(&mut conn, world.as_ref())?;
        Ok(Self { conn, world, base })
    }

    pub(super) fn behaviour(&self) -> Result<Behaviour, FakeError> {
        steering::effective(&self.conn, &self.base)
    }

    /// Runs `job` with the write lock, after everything that is due has happened, and commits unless it fails.
    pub(super) fn write<T>(
        &mut self,
        job: impl FnOnce(&mut Write<'_>) -> Result<T, FakeError>,
    ) -> Result<T, FakeError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let behaviour = steering::effective(&tx, &self.base)?;
        let mut write = Write { tx, now_ms: self.world.now_ms(), behaviour };
        write.catch_up()?;
        let result = job(&mut write)?;
        write.tx.commit()?;
        Ok(result)
    }

    /// Runs `job` on the ledger as it stands now; writes only when something is due.
    pub(super) fn read<T>(&mut self, job: impl FnOnce(&Connection) -> Result<T, FakeError>) -> Result<T, FakeError> {
        if next_event(&self.conn, self.world.now_ms())?.is_some() {
            self.write(|_| Ok(()))?;
        }
        job(&self.conn)
    }
}

impl Write<'_> {
    /// Lets everything happen that is due, in the order of the due times.
    pub(super) fn catch_up(&self) -> Result<(), FakeError> {
        while let Some(event) = next_event(&self.tx, self.now_ms)? {
            match event {
                Event::Invoice(id) => incoming::fall_due(&self.tx, id)?,
                Event::Payment(id) => outgoing::fall_due(&self.tx, id)?,
            }
        }
        Ok(())
    }
}

enum Event {
    Invoice(i64),
    Payment(i64),
}

/// The earliest event that is due.
fn next_event(conn: &Connection, now_ms: u64) -> Result<Option<Event>, FakeError> {
    let sql = "SELECT 0, id, due_ms FROM invoices WHERE due_ms <= ?1
               UNION ALL SELECT 1, id, due_ms FROM payments WHERE due_ms <= ?1
               ORDER BY 3, 1, 2 LIMIT 1";
    let mut statement = conn.prepare_cached(sql)?;
    let event = statement.query_row([U64::clamped(now_ms)], |row| {
        let id = row.get(1)?;
        Ok(if row.get::<_, bool>(0)? { Event::Payment(id) } else { Event::Invoice(id) })
    });
    Ok(event.optional()?)
}

/// The file holds the node's key, so nobody else on the machine reads it.
fn create_private(path: &Path) -> Result<(), FakeError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

/// Refuses a file that is something else, before anything in it is changed.
fn recognise(conn: &Connection) -> Result<(), FakeError> {
    let read = |pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let not_ours = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => FakeError::NotALedger,
        _ => error.into(),
    };
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(not_ours)?;
    let id = read("application_id")?;
    if id != APPLICATION_ID && (id != 0 || tables != 0) {
        return Err(FakeError::NotALedger);
    }
    match read("user_version")? {
        found if found > SCHEMA_VERSION => Err(FakeError::Newer { found, known: SCHEMA_VERSION }),
        _ => Ok(()),
    }
}

/// SQLite does not always wait for its busy time-out when it changes the journal mode, so this does.
fn switch_to_wal(conn: &Connection) -> Result<(), FakeError> {
    for _ in 0..OPEN_TRIES {
        match conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(Duration::from_millis(OPEN_RETRY_MS));
            }
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(FakeError::Corrupt(format!("its journal mode stays {mode}"))),
            Err(error) => return Err(error.into()),
        }
    }
    Err(FakeError::Refused(Refusal::Other, "other processes keep the fake ledger locked".into()))
}

/// Of several processes that open a new file at once, the first to get the write lock makes the schema.
fn create_schema(conn: &mut Connection, world: &dyn World) -> Result<(), FakeError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    recognise(&tx)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        tx.execute_batch(include_str!("schema.sql"))?;
        tx.execute("INSERT INTO node (id, secret) VALUES (1, ?1)", params![new_node_secret(world)])?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    tx.commit()?;
    Ok(())
}

/// Nearly all 32-byte strings are keys; the loop is for the others.
fn new_node_secret(world: &dyn World) -> [u8; 32] {
    let mut secret = [0; 32];
    loop {
        world.fill_random(&mut secret);
        if secp256k1::SecretKey::from_slice(&secret).is_ok() {
            return secret;
        }
    }
}
