//! The daemon as a stranger runs it: started, used, refused, stopped.

mod client;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use client::{Hazeld, Launch, Wallet, audit, invoice, is_on_postgres, payments_by_hash, sum};
use hazel_lightning::fake::open_ledger;
use hazel_protocol::{MeltQuoteBolt11Response, MeltQuoteState, MintQuoteState, ProofState, SwapResponse};
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The run ends with this code and says this.
fn assert_refused(launch: Launch, code: i32, text: &str) -> String {
    let output = launch.output();
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert!(said(&output).contains(text), "{text:?} is not in: {}", said(&output));
    said(&output)
}

#[tokio::test]
async fn money_moves_from_mint_to_swap_to_melt() {
    let folder = folder();
    // One sat of reserve, half of which routing uses up, and a tenth of a sat for each input.
    let mint = Launch::dev(folder.path())
        .args(&["--input-fee-ppk", "100"])
        .fake("reserve-min-msat", 2_000)
        .fake("settle-after-ms", 300)
        .start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let info: Value = wallet.api.get("/v1/info").await.ok();
    assert_eq!(info["nuts"]["5"]["disabled"], false, "{info}");
    assert_eq!(wallet.fee_ppk, 100);

    let minted = wallet.mint(100).await;
    assert_eq!(sum(&minted), 100);
    let swapped = wallet.swap(&minted).await;
    assert_eq!(sum(&swapped), 99);
    assert!(wallet.states(&minted).await.iter().all(|state| *state == ProofState::Spent));

    let quote = wallet.melt_quote(&invoice(1, 21)).await;
    assert_eq!((quote.amount.to_u64(), quote.fee_reserve.to_u64()), (21, 2));
    let blanks = wallet.draft(&[0; 8]);
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote.quote, &swapped, &blanks).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    let change = wallet.finish(&blanks, &paid.change.expect("change"));
    assert_eq!(sum(&change), 99 - wallet.fee(swapped.len()) - 21 - 1);
    assert_eq!(wallet.melt_quote_now(&quote.quote).await.state, MeltQuoteState::Paid);
    mint.stop();

    let books = audit(&folder.path().join("mint.sqlite"));
    books.assert_settled(sum(&change));
    assert_eq!((books.credited, books.drawn, books.paid_out, books.routing), (100, 100, 21, 1));
    assert!(payments_by_hash(&folder.path().join("lightning.sqlite")).values().eq(&[1]));
}

#[tokio::test]
async fn an_own_invoice_is_paid_inside_the_mint() {
    let folder = folder();
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 2).await;
    let money = wallet.mint(64).await;
    mint.stop();
    // From here on the node pays nothing by itself.
    let mint = Launch::dev(folder.path()).fake("settle-after-ms", 3_600_000).start();
    let wallet = wallet.moved_to(mint.url());
    let other = wallet.another(3);
    let request = other.mint_quote(40).await;
    let quote = wallet.melt_quote(&request.request).await;
    let blanks = wallet.draft(&[0; 7]);
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote.quote, &money, &blanks).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    assert_eq!(sum(&wallet.finish(&blanks, &paid.change.expect("change"))), 24);
    assert_eq!(other.mint_quote_state(&request.quote).await, MintQuoteState::Paid);
    assert!(other.try_issue(&request.quote, &other.draft_for(40)).await.expect("answered").is_ok());
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(64);
    assert!(payments_by_hash(&folder.path().join("lightning.sqlite")).is_empty(), "Lightning was not used");
}

#[tokio::test]
async fn the_same_request_is_answered_alike_after_a_restart() {
    let folder = folder();
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 4).await;
    let money = wallet.mint(31).await;
    let draft = wallet.draft_for(31);
    let first: SwapResponse = wallet.try_swap(&money, &draft).await.expect("answered").ok();
    mint.stop();
    let mint = Launch::dev(folder.path()).start();
    let wallet = wallet.moved_to(mint.url());
    assert_eq!(Wallet::open(mint.url(), 4).await.keyset, wallet.keyset, "the same keys");
    let again: SwapResponse = wallet.try_swap(&money, &draft).await.expect("answered").ok();
    assert_eq!(first, again);
    let refused = wallet.try_swap(&money, &wallet.draft_for(31)).await.expect("answered");
    assert_eq!(refused.code(), Some(11001), "the same inputs for other outputs");
    mint.stop();
}

#[test]
fn the_seed_and_its_folder_are_private() {
    let parent = folder();
    let data = parent.path().join("new").join("data");
    let mint = Launch::dev(&data).start();
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data.join("seed")), 0o600);
    assert!(is_on_postgres() || mode(&data.join("mint.sqlite")) == 0o600);
    assert_eq!(mode(&data), 0o700);
    mint.stop();
}

#[test]
fn dev_says_loudly_what_it_is_and_where_its_files_are() {
    let folder = folder();
    let mint = Launch::dev(folder.path()).start();
    let database = if is_on_postgres() { "postgres://127.0.0.1" } else { "mint.sqlite" };
    for text in ["NOT REAL MONEY", database, "lightning.sqlite", folder.path().to_str().expect("text")] {
        assert!(mint.logs(text, Duration::from_secs(5)), "{text:?} is not in: {}", mint.log());
    }
    mint.stop();
}

#[test]
fn dev_serves_this_machine_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let launch = Launch::hazeld(&["dev", "--listen", address, "--data-dir", "/nonexistent/hazel"]);
        assert_refused(launch, 2, "loopback");
    }
    assert!(!Path::new("/nonexistent").exists());
}

#[test]
fn a_second_process_on_the_database_is_refused() {
    if is_on_postgres() {
        return;
    }
    let folder = folder();
    let mint = Launch::dev(folder.path()).start();
    assert_refused(Launch::dev(folder.path()), 3, "in use by process");
    // Also under another name of the same file.
    let link = folder.path().join("link.sqlite");
    std::os::unix::fs::symlink(folder.path().join("mint.sqlite"), &link).expect("linked");
    assert_refused(Launch::dev(folder.path()).args(&["--database"]).arg(&link), 3, "in use by process");
    mint.stop();
    Launch::dev(folder.path()).start().stop();
}

#[test]
fn a_database_keeps_its_seed() {
    let (folder, other) = (folder(), folder());
    Launch::dev(folder.path()).start().stop();
    Launch::dev(other.path()).start().stop();
    let seed = folder.path().join("seed");
    let right = std::fs::read(&seed).expect("read");

    std::fs::remove_file(&seed).expect("removed");
    assert_refused(Launch::dev(folder.path()), 4, "put the seed back");
    assert!(!seed.exists(), "no other seed was made");

    std::fs::copy(other.path().join("seed"), &seed).expect("copied");
    assert_refused(Launch::dev(folder.path()), 4, "this seed");

    std::fs::write(&seed, "abandon abandon\n").expect("written");
    let text = assert_refused(Launch::dev(folder.path()), 4, "BIP-39");
    assert!(!text.contains("abandon"));

    std::fs::write(&seed, right).expect("written");
    Launch::dev(folder.path()).start().stop();

    std::fs::set_permissions(&seed, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert_refused(Launch::dev(folder.path()), 4, "chmod 600");
}

#[test]
fn a_file_that_is_no_ledger_is_refused() {
    if is_on_postgres() {
        return;
    }
    let folder = folder();
    let path = folder.path().join("mint.sqlite");
    std::fs::write(&path, "something else entirely, and long enough to have a header").expect("written");
    assert_refused(Launch::dev(folder.path()), 4, "not a database");
    assert!(!folder.path().join("seed").exists());
}

#[test]
fn an_address_in_use_is_refused() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let launch = Launch::hazeld(&["dev", "--listen", &address, "--data-dir"]).arg(folder.path());
    assert_refused(launch, 5, "cannot listen on");
}

/// A folder with the example configuration and the seed it names.
fn configured() -> TempDir {
    let folder = folder();
    let example = Launch::hazeld(&["config", "example"]).output();
    assert_eq!(example.status.code(), Some(0));
    std::fs::write(folder.path().join("hazeld.toml"), &example.stdout).expect("written");
    let seed = Launch::hazeld(&["seed", "new", "--file"]).arg(folder.path().join("seed")).output();
    assert_eq!(seed.status.code(), Some(0), "{}", said(&seed));
    assert!(seed.stdout.is_empty(), "the words are in the file and nowhere else");
    folder
}

fn start(folder: &TempDir) -> Launch {
    Launch::hazeld(&["start", "--config"]).arg(folder.path().join("hazeld.toml")).on_database_of(folder.path())
}

#[tokio::test]
async fn the_example_configuration_runs() {
    let folder = configured();
    let check = Launch::hazeld(&["config", "check", "--config"]).arg(folder.path().join("hazeld.toml")).output();
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
    let mint = start(&folder)
        .env("HAZELD_HTTP__LISTEN", "127.0.0.1:0")
        .env("HAZELD_MINT__NAME", "From the environment")
        .env("HAZELD_LOG__FORMAT", "json")
        .env("HAZELD_LIGHTNING__SETTLE_AFTER_MS", "0")
        .start();
    let wallet = Wallet::open(mint.url(), 5).await;
    let info: Value = wallet.api.get("/v1/info").await.ok();
    assert_eq!(info["name"], "From the environment");
    assert_eq!(sum(&wallet.mint(8).await), 8);
    let log = mint.log();
    mint.stop();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("NOT REAL MONEY")).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(parsed["level"].is_string() && parsed["message"].is_string(), "{line}");
    }
    assert_eq!(
        folder.path().join("mint.sqlite").exists(),
        !is_on_postgres(),
        "paths are relative to the configuration"
    );
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let folder = configured();
    let path = folder.path().join("hazeld.toml");
    let right = std::fs::read_to_string(&path).expect("read");
    let line = right.lines().position(|line| line == "[http]").expect("there") + 2;
    std::fs::write(&path, right.replace("[http]\n", "[http]\nlsten = \"127.0.0.1:0\"\n")).expect("written");
    let place = format!("hazeld.toml:{line}:1: unknown key 'lsten': did you mean 'listen'?");
    assert_refused(start(&folder), 2, &place);
    assert_refused(Launch::hazeld(&["config", "check", "--config"]).arg(&path), 2, &place);
    assert!(!folder.path().join("mint.sqlite").exists(), "nothing was opened");

    std::fs::write(&path, &right).expect("written");
    assert_refused(start(&folder).env("HAZELD_HTTP__LSTEN", "127.0.0.1:0"), 2, "HAZELD_HTTP__LSTEN");
    assert_refused(start(&folder).env("HAZELD_LIGHTNING__BACKEND", "lnd"), 2, "HAZELD_LIGHTNING__BACKEND");
    assert_refused(
        start(&folder).env("HAZELD_LIGHTNING__I_KNOW_THIS_IS_NOT_REAL_MONEY", "false"),
        2,
        "i_know_this_is_not_real_money",
    );
    std::fs::remove_file(&path).expect("removed");
    assert_refused(start(&folder), 2, "cannot read the configuration");
    assert_refused(Launch::hazeld(&["dev", "--no-such-flag"]), 2, "--no-such-flag");
}

#[test]
fn start_is_given_its_seed_and_never_makes_one() {
    let folder = configured();
    let seed = folder.path().join("seed");
    let words = std::fs::read_to_string(&seed).expect("read");
    std::fs::remove_file(&seed).expect("removed");
    assert_refused(start(&folder).env("HAZELD_HTTP__LISTEN", "127.0.0.1:0"), 4, "does not exist");
    assert!(!seed.exists());
    let path = folder.path().join("hazeld.toml");
    let text = std::fs::read_to_string(&path).expect("read").replace("file = \"seed\"", "env = \"HAZELD_SEED\"");
    std::fs::write(&path, text).expect("written");
    let launch = start(&folder).env("HAZELD_HTTP__LISTEN", "127.0.0.1:0");
    launch.env("HAZELD_SEED", words.trim()).start().stop();
    assert_refused(start(&folder).env("HAZELD_HTTP__LISTEN", "127.0.0.1:0"), 4, "HAZELD_SEED");
}

/// A melt that the node of this folder has and is busy with, in a task of its own.
async fn melt_on_its_way(folder: &Path, mint: &Hazeld, number: u64) -> tokio::task::JoinHandle<Option<client::Answer>> {
    let wallet = Wallet::open(mint.url(), 6).await;
    let money = wallet.mint(32).await;
    let quote = wallet.melt_quote(&invoice(number, 30)).await;
    let melting = tokio::spawn({
        let (wallet, money, quote) = (wallet.clone(), money.clone(), quote.quote.clone());
        async move { wallet.try_melt(&quote, &money, &wallet.draft(&[0; 2])).await }
    });
    let node = open_ledger(folder.join("lightning.sqlite")).expect("the node's file opens");
    while node.payments().expect("read").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(wallet.melt_quote_now(&quote.quote).await.state, MeltQuoteState::Pending);
    melting
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_what_is_under_way_end() {
    let folder = folder();
    let mut mint = Launch::dev(folder.path()).fake("pay-after-ms", 2_000).start();
    let melting = melt_on_its_way(folder.path(), &mint, 2).await;
    mint.terminate();
    assert!(mint.logs("told to stop", Duration::from_secs(10)), "{}", mint.log());
    let refused = tokio::net::TcpStream::connect(mint.url().trim_start_matches("http://")).await;
    assert!(refused.is_err(), "no new connection is taken");
    let paid: MeltQuoteBolt11Response = melting.await.expect("no panic").expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    assert_eq!(mint.wait().code(), Some(0), "{}", mint.log());
    audit(&folder.path().join("mint.sqlite")).assert_settled(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_the_next_start_goes_on() {
    let folder = folder();
    let mut mint = Launch::dev(folder.path()).fake("pay-after-ms", 8_000).start();
    let melting = melt_on_its_way(folder.path(), &mint, 3).await;
    mint.terminate();
    assert!(mint.logs("told to stop", Duration::from_secs(10)), "{}", mint.log());
    let told_again = Instant::now();
    mint.terminate();
    assert_eq!(mint.wait().code(), Some(143), "{}", mint.log());
    assert!(told_again.elapsed() < Duration::from_secs(4));
    assert!(melting.await.expect("no panic").is_none(), "no answer was promised");
    let mint = Launch::dev(folder.path()).start();
    let database = folder.path().join("mint.sqlite");
    assert!(client::wait_until(Duration::from_secs(30), || audit(&database).unfinished == 0));
    mint.stop();
    audit(&database).assert_settled(2);
    assert!(payments_by_hash(&folder.path().join("lightning.sqlite")).values().eq(&[1]));
}

#[cfg(not(feature = "failpoints"))]
#[test]
fn a_build_without_failpoints_holds_none() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_hazeld")).expect("read");
    // Put together here, so that this test's own copy is no hit.
    let prefix = ["hazel", "fail", ""].join("::");
    assert!(!program.windows(prefix.len()).any(|bytes| bytes == prefix.as_bytes()));
}

#[tokio::test]
async fn the_log_holds_no_secrets() {
    let folder = folder();
    let mint = Launch::dev(folder.path()).args(&["--log-level", "trace"]).start();
    let wallet = Wallet::open(mint.url(), 7).await;
    let money = wallet.mint(7).await;
    let swapped = wallet.swap(&money).await;
    let quote = wallet.melt_quote(&invoice(4, 7)).await.quote;
    assert!(wallet.try_melt(&quote, &swapped, &wallet.draft(&[0])).await.expect("answered").is_ok());
    let words = std::fs::read_to_string(folder.path().join("seed")).expect("read");
    let log = mint.log();
    mint.stop();
    assert!(!log.contains(words.trim()));
    let secrets =
        money.iter().chain(&swapped).flat_map(|proof| [proof.secret.as_str().to_owned(), proof.c.to_string()]);
    for secret in secrets {
        assert!(!log.contains(&secret), "a secret or a signature is in the log");
    }
}
