//! Every released schema of the wallet, with live data in it, upgraded to the newest one.
#![cfg(all(feature = "wallet", not(feature = "sqlcipher")))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

use std::path::Path;

use hazel_protocol::{Amount, CurrencyUnit, MintUrl};
use hazel_sqlite::{OpenOptions, WalletStore};
use hazel_wallet::ports::{OperationKind, ProofStatus, Store};
use hazel_wallet::state::State;
use rusqlite::Connection;

/// A wallet that minted 100, handed out 21 and 5, saw the 21 claimed or not, and waits for an invoice over 7 to be paid.
const VERSION_1: &str = include_str!("fixtures/wallet-v1.sql");
/// The same wallet, with the keysets of each mint.
const VERSION_2: &str = include_str!("fixtures/wallet-v2.sql");

fn open(path: &Path) -> WalletStore {
    WalletStore::open(path, &OpenOptions { readers: 1, ..OpenOptions::default() }).unwrap()
}

fn schema(path: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(path).unwrap();
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn every_released_schema_upgrades_with_its_data() {
    for version in [VERSION_1, VERSION_2] {
        let folder = tempfile::tempdir().unwrap();
        let (path, fresh) = (folder.path().join("wallet.sqlite"), folder.path().join("fresh.sqlite"));
        Connection::open(&path).unwrap().execute_batch(version).unwrap();
        let store = open(&path);
        audit(&store).await;
        store.close();
        open(&fresh).close();
        assert_eq!(schema(&path), schema(&fresh));
    }
}

/// Everything that was in the wallet is in it still.
async fn audit(store: &WalletStore) {
    let sat = CurrencyUnit::Sat;
    let mints = store.mints().await.unwrap();
    let mint: &MintUrl = &mints[0].url;
    assert_eq!((mints.len(), mints[0].info.clone().unwrap().name.unwrap()), (1, "Hazel dev mint".to_owned()));
    let keysets = store.keysets(mint).await.unwrap();
    assert_eq!(keysets.len(), 1);
    assert!(keysets[0].keyset.active && keysets[0].keyset.unit == sat);
    let balances = store.balances().await.unwrap();
    assert_eq!((balances[0].available, balances[0].sent), (Amount::from_u64(74), Amount::from_u64(26)));
    let proofs = store.proofs(mint, &sat, ProofStatus::Available).await.unwrap();
    let origin = proofs[0].origin.unwrap();
    assert!(store.counter(origin.seed, keysets[0].keyset.id).await.unwrap() > origin.counter);
    let history = store.history(None, None, 10).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|line| line.kind).collect();
    assert_eq!(kinds, [OperationKind::Send, OperationKind::Send, OperationKind::Mint]);
    let unfinished = store.unfinished(mint, &sat).await.unwrap();
    assert!(matches!(&unfinished[0].state, State::MintQuoted(state) if state.amount == Amount::from_u64(7)));
    let sent = store.sent_by(history[1].operation).await.unwrap();
    assert_eq!(Amount::checked_sum(sent.iter().map(|proof| proof.proof.amount)).unwrap(), Amount::from_u64(21));
}
