//! Opening and closing the mint's ledger: who may, what is refused, and what is left on the disk.
#![cfg(feature = "mint")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use hazel_mint::ports::{ApplyError, BindSeed, Change, Store};
use hazel_sqlite::{MINT_APPLICATION_ID, MintStore, OpenError, OpenOptions};
use support::{Disk, file, options, raw};

fn refused(path: &Path, options: &OpenOptions) -> OpenError {
    MintStore::open(path, options).expect_err("it must not open")
}

fn bind() -> Change {
    Change::BindSeed(BindSeed { fingerprint: [1; 32] })
}

/// Not a test by itself: a second process that tries to open a database.
#[test]
#[ignore = "started by other tests"]
fn second_process() {
    let Some(path) = std::env::var_os("HAZEL_TEST_DATABASE") else { return };
    let message =
        MintStore::open(Path::new(&path), &options()).map_or_else(|error| error.to_string(), |_| String::new());
    fs::write(std::env::var_os("HAZEL_TEST_REPORT").unwrap(), message).unwrap();
}

#[test]
fn a_second_process_is_told_who_has_the_database() {
    let disk = Disk::new();
    let report = disk.folder.path().join("report");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "second_process", "--ignored"]);
    command.env("HAZEL_TEST_DATABASE", disk.path()).env("HAZEL_TEST_REPORT", &report);
    let run = |command: &mut Command| {
        assert!(command.stdout(std::process::Stdio::null()).status().unwrap().success());
        fs::read_to_string(&report).unwrap()
    };
    let message = run(&mut command);
    assert!(message.contains("is in use by process"), "{message}");
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    disk.store.close();
    assert_eq!(run(&mut command), "", "free again");
}

#[test]
fn every_spelling_of_the_path_meets_the_same_lock() {
    let disk = Disk::new();
    let folder = disk.folder.path();
    fs::create_dir(folder.join("sub")).unwrap();
    assert!(matches!(refused(&disk.path(), &options()), OpenError::InUse { .. }));
    assert!(matches!(refused(&folder.join("sub/../mint.sqlite"), &options()), OpenError::InUse { .. }));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(disk.path(), folder.join("alias.sqlite")).unwrap();
        std::os::unix::fs::symlink(folder, folder.join("sub/loop")).unwrap();
        assert!(matches!(refused(&folder.join("alias.sqlite"), &options()), OpenError::InUse { .. }));
        assert!(matches!(refused(&folder.join("sub/loop/mint.sqlite"), &options()), OpenError::InUse { .. }));
    }
}

#[test]
#[cfg(unix)]
fn a_file_with_two_names_is_refused() {
    let disk = Disk::new();
    disk.store.close();
    fs::hard_link(disk.path(), disk.folder.path().join("second.sqlite")).unwrap();
    assert!(matches!(refused(&disk.path(), &options()), OpenError::HardLinked(_)));
}

#[test]
#[cfg(unix)]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let disk = Disk::new();
    for name in ["mint.sqlite", "mint.sqlite-wal", "mint.sqlite-shm", "mint.sqlite.lock"] {
        let mode = fs::metadata(disk.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn closing_leaves_one_file_that_holds_everything() {
    let disk = Disk::new();
    disk.store.apply(bind()).await.unwrap();
    disk.store.close();
    disk.store.close();
    assert!(matches!(disk.store.apply(bind()).await, Err(ApplyError::Unavailable(_))));
    assert!(disk.store.keysets().await.is_err());
    for name in ["mint.sqlite-wal", "mint.sqlite-shm"] {
        assert!(!disk.folder.path().join(name).exists(), "{name} is left");
    }
    let copy = tempfile::tempdir().unwrap();
    fs::copy(disk.path(), file(copy.path())).unwrap();
    let copy = MintStore::open(&file(copy.path()), &options()).unwrap();
    copy.apply(bind()).await.expect("the seed it was bound to");
    copy.apply(Change::BindSeed(BindSeed { fingerprint: [2; 32] })).await.expect_err("another seed");
}

#[test]
fn a_newer_schema_is_refused_by_its_number() {
    let disk = Disk::new();
    disk.store.close();
    disk.by_other_hands("PRAGMA user_version = 99");
    let error = refused(&disk.path(), &options());
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }));
    assert!(error.to_string().contains("run a newer version"), "{error}");
}

#[test]
fn databases_of_other_programs_are_refused() {
    let disk = Disk::new();
    disk.store.close();
    disk.by_other_hands(&format!("PRAGMA application_id = {}", MINT_APPLICATION_ID + 1));
    assert!(matches!(refused(&disk.path(), &options()), OpenError::OtherProgram { .. }));
    let folder = tempfile::tempdir().unwrap();
    raw(&file(folder.path())).execute_batch("CREATE TABLE theirs (a)").unwrap();
    assert!(matches!(refused(&file(folder.path()), &options()), OpenError::OtherProgram { .. }));
}

#[test]
fn a_schema_that_is_not_that_of_its_version_is_refused() {
    let disk = Disk::new();
    disk.store.close();
    disk.by_other_hands("ALTER TABLE proofs DROP COLUMN witness");
    assert!(matches!(refused(&disk.path(), &options()), OpenError::Sqlite { .. }));
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    fs::write(&path, "certainly not a database, although it is long enough to be one").unwrap();
    let plain = OpenOptions::default();
    assert!(matches!(refused(&path, &plain), OpenError::KeyMissing));
    fs::write(&path, [b"SQLite format 3\0".as_slice(), [0xff; 4096].as_slice()].concat()).unwrap();
    assert!(matches!(refused(&path, &plain), OpenError::NotADatabase), "{}", refused(&path, &plain));
    let missing = folder.path().join("missing/mint.sqlite");
    assert!(matches!(refused(&missing, &plain), OpenError::File { what: "create", .. }));
    assert!(matches!(refused(folder.path(), &plain), OpenError::File { .. }));
    #[cfg(unix)]
    {
        let dangling = folder.path().join("dangling.sqlite");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
        assert!(matches!(refused(&dangling, &plain), OpenError::File { what: "find", .. }));
    }
}

#[test]
#[cfg(not(feature = "sqlcipher"))]
fn a_key_needs_a_build_that_encrypts() {
    let folder = tempfile::tempdir().unwrap();
    let key = Some(hazel_sqlite::DatabaseKey::from_text("secret").unwrap());
    let error = refused(&file(folder.path()), &OpenOptions { key, ..OpenOptions::default() });
    assert!(matches!(error, OpenError::KeyUnsupported));
    assert!(!file(folder.path()).exists(), "nothing was made");
}
