//! The wallet store against the suite that every store must pass, and against its own file.
#![cfg(feature = "wallet")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hazel_sqlite::{OpenError, OpenOptions, WalletStore};
use hazel_wallet::ports::Store;
use hazel_wallet::store::contract::{Harness, run_all};
use tempfile::TempDir;

/// The key of encrypted test databases.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn options() -> OpenOptions {
    let mut options = OpenOptions { readers: 1, ..OpenOptions::default() };
    if cfg!(feature = "sqlcipher") {
        options.key = Some(hazel_sqlite::DatabaseKey::from_text(KEY).expect("a key"));
    }
    options
}

fn open(path: &Path) -> Result<WalletStore, OpenError> {
    WalletStore::open(path, &options())
}

/// Each store in a folder of its own; the newest can be opened again.
#[derive(Default)]
struct OnDisk {
    folders: Mutex<Vec<TempDir>>,
}

impl OnDisk {
    fn newest(&self) -> PathBuf {
        self.folders.lock().unwrap().last().expect("a folder").path().join("wallet.sqlite")
    }
}

#[async_trait]
impl Harness for OnDisk {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.folders.lock().unwrap().push(tempfile::tempdir().expect("a folder"));
        Arc::new(open(&self.newest()).expect("a new store"))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        Arc::new(open(&self.newest()).expect("the same store"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    run_all(&OnDisk::default()).await;
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wallet.sqlite");
    let first = open(&path).expect("a new store");
    assert!(matches!(open(&path), Err(OpenError::InUse { .. })));
    first.close();
    open(&path).expect("the lock is given back");
}

#[cfg(feature = "mint")]
#[test]
fn the_database_of_a_mint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.sqlite");
    drop(hazel_sqlite::MintStore::open(&path, &options()).expect("a new ledger"));
    assert!(matches!(open(&path), Err(OpenError::OtherProgram { .. })));
}
