//! Encrypted ledgers: nothing readable on the disk, and clear words for every wrong key.
#![cfg(all(feature = "mint", feature = "sqlcipher"))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::fs;

use hazel_mint::ports::Store;
use hazel_sqlite::{DatabaseKey, MintStore, OpenError, OpenOptions};
use support::workload::{PLANTED_REQUEST, round, setup};
use support::{Disk, KEY, file, options};

fn with_key(text: &str) -> OpenOptions {
    OpenOptions { key: Some(DatabaseKey::from_text(text).unwrap()), readers: 1, ..OpenOptions::default() }
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Texts that are on the disk of a plaintext ledger.
const PLANTED: [&str; 4] = [PLANTED_REQUEST, "mint_quotes", "mint-0-0", "SQLite format 3"];

async fn live(options: &OpenOptions) -> Disk {
    let disk = Disk::with(options);
    for change in setup().into_iter().chain(round(0, 0)) {
        disk.store.apply(change).await.unwrap();
    }
    disk
}

#[tokio::test]
async fn neither_the_file_nor_its_log_holds_plaintext() {
    let disk = live(&options()).await;
    let log = disk.folder.path().join("mint.sqlite-wal");
    assert!(fs::metadata(&log).unwrap().len() > 10_000, "the log holds the changes");
    for path in [disk.path(), log] {
        let content = fs::read(&path).unwrap();
        for text in PLANTED {
            assert!(!holds(&content, text), "{} holds {text:?}", path.display());
        }
    }
    disk.store.close();
    let content = fs::read(disk.path()).unwrap();
    assert!(content.len() > 10_000 && PLANTED.iter().all(|text| !holds(&content, text)));
}

/// The search is able to find.
#[tokio::test]
async fn a_plaintext_ledger_holds_all_of_it() {
    let disk = live(&OpenOptions::default()).await;
    disk.store.close();
    let content = fs::read(disk.path()).unwrap();
    assert!(PLANTED.iter().all(|text| holds(&content, text)));
}

#[tokio::test]
async fn only_the_right_key_opens() {
    let disk = live(&with_key("correct horse battery staple")).await;
    disk.store.close();
    for wrong in ["correct horse battery stable", KEY, "correct horse battery staple'"] {
        let error = MintStore::open(&disk.path(), &with_key(wrong)).expect_err("a wrong key");
        assert!(matches!(error, OpenError::WrongKey), "{error}");
        assert_eq!(error.to_string(), "the database key is wrong or the file is not a database");
    }
    let error = MintStore::open(&disk.path(), &OpenOptions::default()).expect_err("no key");
    assert!(matches!(error, OpenError::KeyMissing), "{error}");
    let store = MintStore::open(&disk.path(), &with_key("correct horse battery staple")).expect("the right key");
    assert_eq!(store.keysets().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_plaintext_ledger_does_not_take_a_key() {
    let disk = live(&OpenOptions::default()).await;
    disk.store.close();
    let error = MintStore::open(&disk.path(), &with_key("secret")).expect_err("not encrypted");
    assert!(matches!(error, OpenError::NotEncrypted), "{error}");
}

#[test]
fn a_key_may_hold_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let key = with_key("it's \"quoted\"; --");
    drop(MintStore::open(&file(folder.path()), &key).expect("a new ledger"));
    drop(MintStore::open(&file(folder.path()), &key).expect("the same"));
}
