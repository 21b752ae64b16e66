//! One database file: taken for this process, checked, brought up to date, and connected to in three roles.
//!
//! Opening goes through fixed steps, each with an error of its own: the file is made (readable by its owner only) when it is
//! missing, its canonical path is locked, the kind of file is compared with the key that was or was not given, the key is tried,
//! write-ahead logging is turned on, and the migrations run.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::key::DatabaseKey;
use crate::lock::{FileLock, LockError, private};
use crate::migration::Migrations;

/// How long a connection waits for another program that holds the file, such as a shell or a backup tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first bytes of every plaintext database.
const PLAINTEXT_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Prepared statements kept by each connection; more than any store has.
const STATEMENT_CACHE: usize = 256;

/// Makes durable what an earlier process wrote to the log and did not live to sync: from now on it can be read, and so be acted on.
/// Copying the log into the file syncs it first.
fn sync_log(connection: &Connection) -> Result<(), OpenError> {
    connection.execute_batch("PRAGMA synchronous = FULL;").map_err(OpenError::sqlite("prepare"))?;
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    copied.map_err(OpenError::sqlite("sync"))
}

/// Constraints between tables are enforced, commits are synced, and 16 MiB of pages are kept.
const WRITER_PRAGMAS: &str = "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;";

/// How a store is opened. The default is right for most programs.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The key of an encrypted file; needs the feature `sqlcipher`. `None` opens plaintext files only.
    pub key: Option<DatabaseKey>,
    /// Threads, each with a connection of its own, that serve reads. At least one is started.
    pub readers: usize,
    /// Changes that may wait for the writer before further ones are refused at once.
    pub write_queue: usize,
    /// Reads that may wait for a reader before further ones are refused at once.
    pub read_queue: usize,
    /// The file never grows beyond this many pages of 4096 bytes; changes that need more are refused as on a full disk.
    pub max_pages: Option<u32>,
    /// Once the write-ahead log holds this many pages of 4096 bytes the writer waits until it has been emptied.
    pub max_wal_pages: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { key: None, readers: 4, write_queue: 1024, read_queue: 1024, max_pages: None, max_wal_pages: 16_384 }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has the database.
    #[error("the database {} is in use{}", path.display(), holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse {
        /// The canonical path of the database.
        path: PathBuf,
        /// The process that holds the lock, where that is known.
        holder: Option<u32>,
    },
    /// The file or its lock cannot be made or reached.
    #[error("cannot {what} {}: {error}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The same file has a second name, under which a second process could open it past the lock.
    #[error("the database {} has another hard link; remove it so that no second process can open the file under that name", .0.display())]
    HardLinked(PathBuf),
    /// A key was given, but this program was built without the feature `sqlcipher`.
    #[error("a database key was given, but this program is built without database encryption")]
    KeyUnsupported,
    /// A key was given for a file that is not encrypted.
    #[error("a database key was given, but the database is not encrypted")]
    NotEncrypted,
    /// No key was given, and the file is not a plaintext database.
    #[error("the file is encrypted and no database key was given, or it is not a database")]
    KeyMissing,
    /// The file cannot be read with the key.
    #[error("the database key is wrong or the file is not a database")]
    WrongKey,
    /// The file is no database, or its first page is damaged.
    #[error("the file is not a database")]
    NotADatabase,
    /// The file system cannot carry the shared memory that write-ahead logging needs (most network file systems cannot).
    #[error("the file system of the database does not support write-ahead logging")]
    NoWriteAheadLog,
    /// A newer version of the program has upgraded the database.
    #[error(
        "the database has schema version {found}, but this program knows versions up to {known} only: run a newer version"
    )]
    TooNew {
        /// The version of the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Another program made the database.
    #[error("the database belongs to another program, not to the {expected}")]
    OtherProgram {
        /// What this program would have opened.
        expected: &'static str,
    },
    /// The operating system gives no thread.
    #[error("cannot start a thread for the database: {0}")]
    Thread(io::Error),
    /// SQLite refused something.
    #[error("cannot {what} the database: {error}")]
    Sqlite {
        /// What was tried.
        what: &'static str,
        /// What SQLite said.
        error: rusqlite::Error,
    },
}

impl OpenError {
    /// Wraps what SQLite said; for use with `map_err`.
    pub(crate) fn sqlite(what: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |error| Self::Sqlite { what, error }
    }
}

/// A database file that this process holds exclusively, at the newest schema version.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    key: Option<DatabaseKey>,
    max_pages: Option<u32>,
    /// Dropped last: no connection outlives it.
    _lock: FileLock,
}

impl Database {
    /// Takes, checks and upgrades the database at `path`, making it when it is missing.
    pub(crate) fn open(path: &Path, options: &OpenOptions, migrations: &Migrations) -> Result<Self, OpenError> {
        if options.key.is_some() && cfg!(not(feature = "sqlcipher")) {
            return Err(OpenError::KeyUnsupported);
        }
        let path = create(path)?;
        check_file(&path)?;
        let lock = FileLock::take(&path).map_err(|error| match error {
            LockError::Held(holder) => OpenError::InUse { path: path.clone(), holder },
            LockError::Io(error) => OpenError::File { what: "lock", path: path.clone(), error },
        })?;
        check_kind(&path, options.key.is_some())?;
        let database = Self { path, key: options.key.clone(), max_pages: options.max_pages, _lock: lock };
        let connection = database.first_connection()?;
        migrations.run(&connection)?;
        sync_log(&connection)?;
        Ok(database)
    }

    /// The canonical path of the file.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection for the one thread that writes. It never checkpoints by itself.
    pub(crate) fn writer(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        connection.execute_batch(WRITER_PRAGMAS).map_err(OpenError::sqlite("prepare"))?;
        if let Some(pages) = self.max_pages {
            let sql = format!("PRAGMA max_page_count = {pages};");
            connection.execute_batch(&sql).map_err(OpenError::sqlite("limit the size of"))?;
        }
        Ok(connection)
    }

    /// A connection that can only read.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        connection.execute_batch("PRAGMA query_only = ON;").map_err(OpenError::sqlite("prepare"))?;
        Ok(connection)
    }

    /// A connection that moves the write-ahead log into the database file. It syncs both.
    pub(crate) fn checkpointer(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        connection.execute_batch("PRAGMA synchronous = FULL;").map_err(OpenError::sqlite("prepare"))?;
        Ok(connection)
    }

    /// The connection that finds out whether the key fits and turns on write-ahead logging.
    fn first_connection(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        if let Err(error) = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
            return Err(match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) if self.key.is_some() => OpenError::WrongKey,
                Some(ErrorCode::NotADatabase) => OpenError::NotADatabase,
                _ => OpenError::Sqlite { what: "read", error },
            });
        }
        let mode: String = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(OpenError::sqlite("prepare"))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(OpenError::NoWriteAheadLog);
        }
        connection.execute_batch(WRITER_PRAGMAS).map_err(OpenError::sqlite("prepare"))?;
        Ok(connection)
    }

    /// What every connection has in common. The key comes before any other statement.
    fn connect(&self) -> Result<Connection, OpenError> {
        let failed = OpenError::sqlite("open");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(&failed)?;
        self.unlock(&connection)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        // Closing never checkpoints: after a failed sync nothing may be copied out of the log any more.
        for config in [DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, DbConfig::SQLITE_DBCONFIG_DEFENSIVE] {
            connection.set_db_config(config, true).map_err(&failed)?;
        }
        let pragmas = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; \
                       PRAGMA wal_autocheckpoint = 0; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;";
        connection.execute_batch(pragmas).map_err(&failed)?;
        Ok(connection)
    }

    /// Hands the key to SQLCipher, and makes sure that it is SQLCipher.
    #[cfg(feature = "sqlcipher")]
    fn unlock(&self, connection: &Connection) -> Result<(), OpenError> {
        let Some(key) = &self.key else { return Ok(()) };
        // What SQLite says of this statement could quote it, so that is not passed on.
        connection.execute_batch(&key.pragma()).map_err(|_| OpenError::WrongKey)?;
        // A wrong key is an error of ours; SQLCipher need not write about it to the standard error as well.
        connection.execute_batch("PRAGMA cipher_log_level = NONE").map_err(OpenError::sqlite("open"))?;
        connection.query_row("PRAGMA cipher_version", [], |_| Ok(())).map_err(|_| OpenError::KeyUnsupported)
    }

    /// A plain build has no keys to hand on; `open` has refused them.
    #[cfg(not(feature = "sqlcipher"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the encrypting build needs both")]
    fn unlock(&self, _: &Connection) -> Result<(), OpenError> {
        Ok(())
    }
}

/// Makes the file when it is missing, and gives its canonical path, which every spelling of it shares.
///
/// An existing file is not opened here: closing it again would drop the locks that a SQLite connection of this process may have on it.
fn create(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |what| move |error| OpenError::File { what, path: path.to_owned(), error };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let is_new = match options.open(path) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed("create")(error)),
    };
    let canonical = fs::canonicalize(path).map_err(failed("find"))?;
    if is_new {
        sync_folder(&canonical).map_err(failed("create"))?;
    }
    Ok(canonical)
}

/// Makes the new file's name survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Refuses what is no file, and a file with two names: the lock is beside one of them only.
fn check_file(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::File { what: "use", path: path.to_owned(), error };
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&found) > 1 {
        return Err(OpenError::HardLinked(path.to_owned()));
    }
    Ok(())
}

/// Compares the kind of an existing file with whether a key was given.
fn check_kind(path: &Path, has_key: bool) -> Result<(), OpenError> {
    let mut header = Vec::with_capacity(PLAINTEXT_HEADER.len());
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut header)).map_err(|error| OpenError::File {
        what: "read",
        path: path.to_owned(),
        error,
    })?;
    match (header.is_empty(), header == PLAINTEXT_HEADER, has_key) {
        (true, _, _) | (_, true, false) | (_, false, true) => Ok(()),
        (_, true, true) => Err(OpenError::NotEncrypted),
        (_, false, false) => Err(OpenError::KeyMissing),
    }
}
