//! The daemon on an encrypted database: its key from a file or from the environment, and clear words for every key that is not it.
#![cfg(feature = "sqlcipher")]

mod client;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use client::{Launch, Wallet};
use hazel_protocol::{MintQuoteBolt11Response, MintQuoteState, ProofState, QuoteId};
use tempfile::TempDir;

/// A passphrase, and a page key in hex.
const KEYS: [&str; 2] =
    ["correct horse battery staple", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"];

/// How the daemon is told its key: the line of its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Nowhere,
    File,
    Variable,
}

/// A mint's folder with a seed and the example configuration.
struct Place(TempDir);

impl Place {
    fn new(source: Source) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        let seed = Launch::hazeld(&["seed", "new", "--file"]).arg(place.file("seed")).output();
        assert_eq!(seed.status.code(), Some(0));
        place.configure(source);
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the example configuration with a key from `source`.
    fn configure(&self, source: Source) {
        let example = String::from_utf8(Launch::hazeld(&["config", "example"]).output().stdout).expect("text");
        let commented = match source {
            Source::Nowhere => None,
            Source::File => Some("key_file = \"database.key\""),
            Source::Variable => Some("key_env = \"HAZELD_DATABASE_KEY\""),
        };
        let text = commented.map_or_else(
            || example.clone(),
            |line| {
                assert!(example.contains(&format!("# {line}\n")), "the example shows it");
                example.replace(&format!("# {line}\n"), &format!("{line}\n"))
            },
        );
        std::fs::write(self.file("hazeld.toml"), text).expect("written");
    }

    /// Writes the key file, for its owner only.
    fn key_file(&self, text: &str) {
        let path = self.file("database.key");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    }

    fn start(&self) -> Launch {
        Launch::hazeld(&["start", "--config"])
            .arg(self.file("hazeld.toml"))
            .env("HAZELD_HTTP__LISTEN", "127.0.0.1:0")
            .env("HAZELD_LIGHTNING__SETTLE_AFTER_MS", "150")
    }

    /// A start in which the key comes from where [`configure`](Self::configure) said.
    fn start_with(&self, source: Source, key: &str) -> Launch {
        match source {
            Source::Nowhere => self.start(),
            Source::File => {
                self.key_file(&format!("{key}\n"));
                self.start()
            }
            Source::Variable => self.start().env("HAZELD_DATABASE_KEY", key),
        }
    }
}

/// The run ends with this code, says this, and shows no key.
fn assert_refused(launch: Launch, code: i32, text: &str) {
    let output = launch.output();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(text), "{text:?} is not in: {said}");
    assert!(output.stdout.is_empty(), "it never listened");
    for key in KEYS {
        assert!(!said.contains(key), "a key is shown: {said}");
    }
}

fn holds(path: &Path, text: &str) -> bool {
    let content = std::fs::read(path).expect("read");
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Texts that stand in a plaintext ledger with this quote.
fn telling(quote: &MintQuoteBolt11Response) -> [&str; 4] {
    [&quote.request, quote.quote.as_str(), "mint_quotes", "SQLite format 3"]
}

/// The same quote is there with the same invoice.
async fn assert_found(wallet: &Wallet, id: &QuoteId, request: &str) {
    let found: MintQuoteBolt11Response = wallet.api.get(&format!("/v1/mint/quote/bolt11/{}", id.as_str())).await.ok();
    assert_eq!(found.request, request);
}

#[tokio::test]
async fn the_money_is_there_after_a_restart_with_the_same_key() {
    for source in [Source::File, Source::Variable] {
        for key in KEYS {
            let place = Place::new(source);
            let mint = place.start_with(source, key).start();
            let wallet = Wallet::open(mint.url(), 1).await;
            let money = wallet.mint(31).await;
            let quote = wallet.mint_quote(16).await;
            let log = mint.log();
            mint.stop();
            assert!(!log.contains(key), "the key is in the log");

            let mint = place.start_with(source, key).start();
            let again = Wallet::open(mint.url(), 1).await;
            assert_eq!(again.keyset, wallet.keyset, "the same keys");
            let wallet = wallet.moved_to(mint.url());
            assert_found(&wallet, &quote.quote, &quote.request).await;
            assert!(wallet.states(&money).await.iter().all(|state| *state == ProofState::Unspent));
            assert_eq!(client::sum(&wallet.swap(&money).await), 31, "{source:?}: the money can be spent");
            assert!(wallet.states(&money).await.iter().all(|state| *state == ProofState::Spent));
            mint.stop();
        }
    }
}

#[tokio::test]
async fn the_source_of_the_key_may_change() {
    let place = Place::new(Source::File);
    let mint = place.start_with(Source::File, KEYS[0]).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let quote = wallet.mint_quote(16).await;
    mint.stop();
    place.configure(Source::Variable);
    let mint = place.start_with(Source::Variable, KEYS[0]).start();
    assert_found(&wallet.moved_to(mint.url()), &quote.quote, &quote.request).await;
    mint.stop();
}

#[test]
fn a_wrong_key_is_refused_and_changes_nothing() {
    let place = Place::new(Source::Variable);
    place.start_with(Source::Variable, KEYS[0]).start().stop();
    let before = std::fs::read(place.file("mint.sqlite")).expect("read");
    for wrong in ["correct horse battery stable", KEYS[1], "correct horse battery staple'"] {
        assert_refused(place.start_with(Source::Variable, wrong), 4, "the database key is wrong");
    }
    place.configure(Source::File);
    assert_refused(place.start_with(Source::File, KEYS[1]), 4, "the database key is wrong");
    assert_eq!(std::fs::read(place.file("mint.sqlite")).expect("read"), before);
    place.start_with(Source::File, KEYS[0]).start().stop();
}

#[test]
fn no_key_is_refused() {
    let place = Place::new(Source::Variable);
    // Configured, and not there: nothing is opened.
    assert_refused(place.start(), 2, "HAZELD_DATABASE_KEY, which should hold the database key, is not set");
    assert_refused(place.start_with(Source::Variable, " "), 2, "HAZELD_DATABASE_KEY: the database key is empty");
    place.configure(Source::File);
    assert_refused(place.start(), 2, "database.key: the database key file cannot be read");
    place.key_file("\n");
    assert_refused(place.start(), 2, "database.key: the database key is empty");
    assert!(!place.file("mint.sqlite").exists(), "nothing was made");

    // Not configured, for an encrypted database.
    place.start_with(Source::File, KEYS[0]).start().stop();
    place.configure(Source::Nowhere);
    assert_refused(place.start(), 4, "the file is encrypted and no database key was given");
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let place = Place::new(Source::File);
    let launch = place.start_with(Source::File, KEYS[0]);
    std::fs::set_permissions(place.file("database.key"), Permissions::from_mode(0o644)).expect("set");
    assert_refused(launch, 2, "database.key: the database key file can be read by others: run chmod 600 on it");
    assert!(!place.file("mint.sqlite").exists(), "nothing was made");
}

#[test]
fn a_plaintext_database_takes_no_key() {
    let place = Place::new(Source::Nowhere);
    place.start().start().stop();
    place.configure(Source::Variable);
    assert_refused(place.start_with(Source::Variable, KEYS[0]), 4, "the database is not encrypted");
}

/// A mint with a quote, running.
async fn quoted(place: &Place, launch: Launch) -> MintQuoteBolt11Response {
    let mint = launch.start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let quote = wallet.mint_quote(16).await;
    while wallet.mint_quote_state(&quote.quote).await != MintQuoteState::Paid {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(std::fs::metadata(place.file("mint.sqlite-wal")).expect("there").len() > 10_000, "the log holds it");
    // The log stays as it is when the process is killed.
    mint.kill();
    quote
}

#[tokio::test]
async fn neither_the_file_nor_its_log_holds_plaintext() {
    let place = Place::new(Source::File);
    let quote = quoted(&place, place.start_with(Source::File, KEYS[0])).await;
    let names = ["mint.sqlite", "mint.sqlite-wal"];
    for name in names {
        for text in telling(&quote) {
            assert!(!holds(&place.file(name), text), "{name} holds {text:?}");
        }
    }
    // Nor does the file once the log has been copied into it.
    let mint = place.start().start();
    assert_found(&Wallet::open(mint.url(), 1).await, &quote.quote, &quote.request).await;
    mint.stop();
    for text in telling(&quote) {
        assert!(!holds(&place.file("mint.sqlite"), text), "mint.sqlite holds {text:?}");
    }
}

/// The search is able to find.
#[tokio::test]
async fn a_plaintext_database_holds_all_of_it() {
    let place = Place::new(Source::Nowhere);
    let quote = quoted(&place, place.start()).await;
    assert!(holds(&place.file("mint.sqlite-wal"), &quote.request), "the log of a plaintext ledger");
    place.start().start().stop();
    for text in telling(&quote) {
        assert!(holds(&place.file("mint.sqlite"), text), "{text:?} is not in the file");
    }
}
