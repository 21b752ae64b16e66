//! A wallet in a folder, for the examples: what a program has to bring along to use the engine.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hazel_http::client::{ClientConfig, HttpConnector};
use hazel_protocol::{CurrencyUnit, MintUrl};
use hazel_sqlite::WalletStore;
use hazel_wallet::ports::{Environment, MintConnector, Timestamp};
use hazel_wallet::{Policy, Seed, Wallet, Wallets};

/// Whatever goes wrong ends an example.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The clock, the randomness and the timers of this machine.
struct System;

impl Environment for System {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(UNIX_EPOCH.elapsed().unwrap_or_default().as_secs())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }

    fn sleep(&self, delay: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(delay))
    }
}

/// Opens the wallet in `folder`, trusts the mint, and goes on with what an earlier run had to leave open.
///
/// # Errors
/// When the folder cannot be used or the mint cannot be reached.
pub(crate) async fn open(folder: &Path, mint: &str) -> Result<(Wallets, Wallet), Failure> {
    std::fs::create_dir_all(folder)?;
    let store = Arc::new(WalletStore::open(&folder.join("wallet.sqlite"), &hazel_sqlite::OpenOptions::default())?);
    let connect = |mint: &MintUrl| -> Result<Arc<dyn MintConnector>, String> {
        let connector = HttpConnector::new(mint, ClientConfig::default()).map_err(|error| error.to_string())?;
        Ok(Arc::new(connector))
    };
    let wallets = Wallets::new(store, seed(&folder.join("seed"))?, Arc::new(System), Policy::default(), connect);
    let wallet = wallets.wallet(&mint.parse()?, &CurrencyUnit::Sat)?;
    wallet.add_mint().await?;
    wallets.resume().await?;
    Ok((wallets, wallet))
}

/// The words of the seed are kept beside the database. Whoever reads that file has the money.
fn seed(path: &Path) -> Result<Seed, Failure> {
    if !path.exists() {
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy)?;
        let words = bip39::Mnemonic::from_entropy(&entropy)?.to_string();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(words.as_bytes())?;
        file.sync_all()?;
    }
    let words: bip39::Mnemonic = std::fs::read_to_string(path)?.trim().parse()?;
    Ok(Seed::from_mnemonic(&words, ""))
}

/// The n-th argument of the program.
///
/// # Errors
/// When there are fewer.
pub(crate) fn argument(number: usize, what: &str) -> Result<String, Failure> {
    std::env::args().nth(number).ok_or_else(|| format!("argument {number} is missing: {what}").into())
}
