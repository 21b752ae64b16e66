//! The exclusive lock beside a database file.
//!
//! It is taken before SQLite opens the file and held until every connection is closed. Whoever holds it knows that every
//! earlier process that wrote this database is dead, which is what lets recovery start at once. The operating system drops it
//! with the process, so a crash leaves nothing to clean up; the lock file itself stays.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    /// Closing the file gives the lock back.
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process (or another store in this one) has it; its process id where it can be read.
    Held(Option<u32>),
    /// The lock file cannot be made, opened or locked.
    Io(io::Error),
}

impl FileLock {
    /// Takes the lock of `database`, which must be a canonical path.
    pub(crate) fn take(database: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let mut file = options.open(lock_path(database)).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // The id only serves a message: a full disk, say, must not keep the owner of the database from it.
        let _ = sign(&mut file);
        Ok(Self { _file: file })
    }
}

/// The lock file of `database`: its name with `.lock` at the end.
pub(crate) fn lock_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    PathBuf::from(name)
}

/// Makes files readable by their owner only.
pub(crate) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Writes this process's id into the lock file, for the message that a second process shows.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The process id in the lock file. It only serves a message, so anything odd is no id.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mint.sqlite");
        let first = FileLock::take(&path).expect("free");
        match FileLock::take(&path) {
            Err(LockError::Held(pid)) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("the lock was given twice: {other:?}"),
        }
        drop(first);
        FileLock::take(&path).expect("free again");
    }

    /// Every write to this device fails as on a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_takes_nothing_from_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mint.sqlite");
        let mut full = OpenOptions::new().read(true).write(true).open("/dev/full").expect("there");
        assert!(sign(&mut full).is_err(), "the id cannot be written there");
        std::os::unix::fs::symlink("/dev/full", lock_path(&path)).expect("linked");
        let held = FileLock::take(&path).expect("the id is not needed");
        assert!(matches!(FileLock::take(&path), Err(LockError::Held(None))));
        drop(held);
    }
}
