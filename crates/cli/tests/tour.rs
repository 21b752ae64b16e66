//! The wallet command and the mint as strangers run them: the README's tour, and what can go wrong on it.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Mint, NEVER_MS, User, World, free_port, hazeld};

#[test]
fn the_tour_of_the_readme() {
    let mut world = World::new(300);
    let (alice, bob) = (world.user("alice"), world.user("bob"));

    let minted = alice.hazel(&["mint", "100"]).ok();
    assert!(minted.out.contains("\nlnbcrt") && minted.out.contains("100 sat came in."), "{minted:?}");
    assert!(minted.err.contains("seed show") && minted.err.contains("Added the mint"), "said once: {minted:?}");

    let token = alice.hazel_reads(&["send", "21"], "y\n").ok().token();
    assert!(bob.hazel(&["receive", &token]).ok().out.contains("21 sat came in."));
    bob.hazel(&["receive", &token]).fails_with(1);

    // An invoice of another mint, and one of this mint.
    world.stop_settling();
    let payee = world.payee();
    let carol = User::new(world.folder().join("carol"), Some(&payee));
    let paid = alice.hazel(&["--yes", "--json", "pay", &carol.invoice("10")]).ok().json();
    let fee = paid["fee"].as_u64().expect("a fee");
    assert_eq!((paid["amount"].as_u64(), paid["state"].as_str()), (Some(10), Some("paid")));
    carol.hazel(&["mint", "--resume"]).ok();
    assert_eq!(carol.balance(), (10, 0, 0), "what left one mint arrived at the other");
    assert!(alice.hazel_reads(&["pay", &bob.invoice("5")], "yes\n").ok().out.contains("Paid 5 sat, for no fee."));

    assert_eq!(bob.balance(), (26, 0, 0));
    alice.hazel(&["pending"]).ok();
    assert_eq!(alice.balance(), (100 - 21 - 10 - fee - 5, 0, 0));
    let history = alice.hazel(&["history", "--json"]).ok().json();
    let kinds: Vec<&str> =
        history["history"].as_array().expect("a list").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["pay", "pay", "send", "mint"]);
    for (filter, count) in [
        (vec!["--kind", "pay"], 2),
        (vec!["--kind", "send", "--kind", "mint"], 2),
        (vec!["--direction", "in"], 1),
        (vec!["--direction", "out", "--limit", "2"], 2),
        (vec!["--since", "1d"], 4),
        (vec!["--until", "1d"], 0),
        (vec!["--memo", "no such text"], 0),
    ] {
        let mut all = vec!["--json", "history"];
        all.extend(&filter);
        let history = alice.hazel(&all).ok().json();
        assert_eq!(history["history"].as_array().map(Vec::len), Some(count), "{filter:?}: {history}");
    }
}

#[test]
fn the_words_give_the_money_back() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "100"]).ok();
    let token = alice.hazel(&["send", "21", "--yes"]).ok().token();
    world.user("bob").hazel_reads(&["receive", "-"], &token).ok();

    let refused = alice.hazel(&["seed", "show"]).fails_with(1);
    assert!(refused.out.is_empty(), "the words need a yes");
    let words = alice.hazel(&["seed", "show", "--yes"]).ok().out;
    assert_eq!(words.split_whitespace().count(), 12);

    let again = world.user("again");
    again.hazel(&["restore"]).fails_with(1);
    assert!(!again.folder().exists(), "a restore makes no seed");
    again.hazel_reads(&["init", "--from-words", "-"], &words).ok();
    again.hazel_reads(&["init", "--from-words", "-"], &words).fails_with(1);
    let restored = again.hazel(&["restore", "--json"]).ok().json();
    assert_eq!(restored["restored"][0]["amount"], 79);
    assert_eq!(again.balance(), (79, 0, 0));
    assert_eq!(again.hazel(&["restore", "--json"]).ok().json()["restored"][0]["amount"], 0, "nothing comes twice");
    assert_eq!(again.balance(), (79, 0, 0));
    // The counters moved on with it: what is restored can be spent.
    let token = again.hazel(&["send", "79", "--yes"]).ok().token();
    world.user("bob").hazel(&["receive", &token]).ok();
    assert_eq!(world.user("bob").balance(), (100, 0, 0));
}

#[cfg(unix)]
#[test]
fn what_the_wallet_keeps_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["init"]).ok();
    alice.hazel(&["mint", "8"]).ok();
    alice.hazel(&["mints", "default", &world.mint.url()]).ok();
    let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(alice.folder()), 0o700);
    for entry in std::fs::read_dir(alice.folder()).expect("listed") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// Every field of a document is in the README, in the row of its command.
fn assert_documented(arguments: &[&str], json: &Value) {
    let readme = include_str!("../README.md");
    let rows: Vec<(&str, &str)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .skip_while(|(command, _)| *command != "init")
        .collect();
    let line = arguments.join(" ");
    let is_row = |command: &str| line == command || line.starts_with(&format!("{command} "));
    let row = rows.iter().filter(|(command, _)| is_row(command)).max_by_key(|(command, _)| command.len());
    assert!(row.is_some(), "{line} is in the README");
    let fields = row.map_or("", |(_, fields)| fields);
    for field in json.as_object().expect("an object").keys().filter(|field| *field != "resumed") {
        assert!(fields.contains(&format!("`{field}`")), "{field} of {line} is in the README");
    }
}

#[test]
fn every_command_writes_one_document() {
    let world = World::new(0);
    let alice = world.user("alice");
    let url = world.mint.url();
    let object = |arguments: &[&str], field: &str| -> Value {
        let mut all = vec!["--json", "--yes"];
        all.extend(arguments);
        let json = alice.hazel(&all).ok().json();
        assert!(json.get(field).is_some(), "{arguments:?}: {json}");
        assert_documented(arguments, &json);
        json
    };
    object(&["init"], "seed_file");
    object(&["seed", "show"], "words");
    object(&["keys"], "keys");
    object(&["lock", "--lock-to", "me"], "lock");
    object(&["completions", "bash"], "completions");
    object(&["man"], "man");
    object(&["seed", "passphrase", "--remove"], "sealed");
    object(&["mints"], "mints");
    object(&["mints", "add", &url], "new");
    object(&["mints", "info", &url], "info");
    object(&["mints", "default", &url], "default");
    assert_eq!(object(&["mint", "64"], "invoice")["state"], "issued");
    object(&["mint", "1", "--no-wait"], "invoice");
    object(&["mint", "--resume"], "minted");
    object(&["balance"], "total");
    let token = object(&["send", "21", "--memo", "tea"], "token")["token"].as_str().expect("a token").to_owned();
    assert_eq!(object(&["pending", "--tokens"], "tokens")["tokens"][0]["token"].as_str(), Some(token.as_str()));
    // Receiving what one has handed out oneself is taking it back.
    assert_eq!(object(&["receive", &token], "received")["received"][0]["memo"], "tea");
    object(&["history", "--limit", "1"], "history");
    object(&["decode", &token], "type");
    object(&["take-back"], "tokens");
    object(&["take-back", "--all"], "taken_back");
    object(&["consolidate"], "consolidated");
    object(&["doctor"], "done");
    object(&["restore"], "restored");
    assert_eq!(alice.balance(), (65, 0, 0));

    let error = |arguments: &[&str], code: i32| -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        alice.hazel(&all).fails_with(code).json()["error"].take()
    };
    assert_eq!(error(&["receive", &token], 1)["kind"], "refused");
    assert_eq!(error(&["send", "21"], 1)["kind"], "declined");
    assert_eq!(error(&["send", "many"], 2)["kind"], "usage");
    assert_eq!(error(&["nonsense"], 2)["kind"], "usage");
    assert_eq!(error(&["--mint", "http://127.0.0.1:1", "mint", "1"], 3)["kind"], "unreachable");
    assert_eq!(error(&["send", "1000"], 4)["kind"], "not-enough-money");
    assert_eq!(error(&["pay", "lnbc1nonsense"], 1)["kind"], "refused");
    assert_eq!(error(&["receive", "cashuBnonsense"], 1)["kind"], "refused");
    assert_eq!(error(&["mints", "remove", &url], 1)["kind"], "refused");
    let key = alice.folder().join("key");
    std::fs::write(&key, "a key for a wallet that has none").expect("written");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("made private");
    assert_eq!(error(&["--database-key-file", &key.to_string_lossy(), "balance"], 7)["kind"], "wallet");
    let http = error(&["--mint", "http://192.0.2.1", "mint", "1"], 1);
    assert!(http["hint"].as_str().is_some_and(|hint| hint.contains("--allow-http")), "{http}");
}

#[test]
fn a_token_is_good_for_one_and_of_a_mint_that_is_trusted() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "32"]).ok();
    let memo = "\u{1b}]0;owned\u{7}\u{202e}tea";
    let token = alice.hazel(&["send", "8", "--yes", "--memo", memo]).ok().token();

    let stranger = User::new(world.folder().join("stranger"), None);
    let refused = stranger.hazel(&["receive", &token]).fails_with(1);
    let advice = format!("hazel mints add {}", world.mint.url());
    assert!(refused.err.contains(&advice), "{refused:?}");
    stranger.hazel(&["mints", "add", &world.mint.url()]).ok();
    let received = stranger.hazel(&["receive", &token]).ok();
    assert!(received.out.contains("tea"), "{received:?}");
    let quiet = |text: &str| !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    assert!(quiet(&received.out) && quiet(&received.err), "{received:?}");
    assert!(quiet(&alice.hazel(&["history"]).ok().out) && quiet(&alice.hazel(&["history", "--json"]).ok().out));

    let late = world.user("late").hazel(&["--json", "receive", &token]).fails_with(1).json();
    assert_eq!(late["error"]["code"], 11_001);
    alice.hazel(&["pending"]).ok();
    assert_eq!((alice.balance(), stranger.balance()), ((24, 0, 0), (8, 0, 0)));

    stranger.hazel(&["mints", "remove", &world.mint.url()]).fails_with(1);
    let back = stranger.hazel(&["send", "8", "--yes"]).ok().token();
    alice.hazel(&["receive", &back]).ok();
    stranger.hazel(&["pending"]).ok();
    stranger.hazel(&["mints", "remove", &world.mint.url()]).ok();
    let token = alice.hazel(&["send", "8", "--yes"]).ok().token();
    stranger.hazel(&["receive", &token]).fails_with(1);
}

#[test]
fn without_a_yes_nothing_moves() {
    let mut world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "32"]).ok();
    world.stop_settling();
    let invoice = bob.invoice("4");
    for answer in ["", "n\n", "\n", "yeah\n"] {
        assert!(alice.hazel_reads(&["send", "5"], answer).fails_with(1).out.is_empty());
        let asked = alice.hazel_reads(&["pay", &invoice], answer).fails_with(1);
        assert!(asked.err.contains("Pay 4 sat"), "{asked:?}");
        assert_eq!(alice.balance(), (32, 0, 0));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_wait_goes_on() {
    let mut world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    bob.hazel(&["mint", "64"]).ok();
    world.stop_settling();

    for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let mut waiting = alice.begin(&["mint", "7"]);
        let invoice = waiting.shows("\nlnbcrt") + &waiting.shows("\n");
        let invoice = invoice.lines().last().expect("an invoice").to_owned();
        if code == Some(130) {
            let busy = alice.hazel(&["--json", "balance"]).fails_with(7).json();
            assert_eq!(busy["error"]["kind"], "wallet", "one process at a time has the wallet");
        }
        waiting.signal(signal);
        let ended = waiting.end();
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(code.is_none() || ended.err.contains("hazel mint --resume"), "{ended:?}");
        bob.hazel(&["pay", &invoice, "--yes"]).ok();
    }
    // Each start takes what was paid before it, and says so.
    let last = alice.hazel(&["history", "--json"]).ok().json();
    assert_eq!(
        (last["resumed"][0]["outcome"].as_str(), last["resumed"][0]["amount"].as_u64()),
        (Some("completed"), Some(7))
    );
    assert_eq!(last["history"].as_array().map(Vec::len), Some(3), "{last}");
    assert_eq!(alice.balance(), (21, 0, 0));
}

#[test]
fn a_payment_in_doubt_is_seen_to_its_end() {
    let mut world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let payee = world.payee();
    let carol = User::new(world.folder().join("carol"), Some(&payee));
    let invoice = carol.invoice("20");

    // The mint dies while it pays.
    world.mint.restart(&[("settle-after-ms", NEVER_MS), ("pay-after-ms", 6_000)]);
    let mut paying = alice.begin(&["--yes", "--json", "pay", &invoice]);
    paying.says("Paying");
    world.mint.kill();
    let doubt = paying.end().fails_with(5).json();
    assert_eq!(doubt["error"]["kind"], "pending");
    let offline = alice.hazel(&["balance", "--json"]).ok().json();
    assert!(offline["balances"][0]["held"].as_u64().is_some_and(|held| held >= 20), "{offline}");
    let pending = alice.hazel(&["pending", "--json"]).ok().json();
    assert_eq!(pending["operations"][0]["invoice"].as_str(), Some(invoice.as_str()));

    world.mint.restart(&[("settle-after-ms", NEVER_MS), ("pay-after-ms", 0)]);
    let mut tries = 0;
    while alice.balance().1 != 0 {
        tries += 1;
        assert!(tries < 100, "the payment stays open");
        std::thread::sleep(Duration::from_millis(200));
    }
    carol.hazel(&["mint", "--resume"]).ok();
    let (left, arrived) = (alice.balance().0, carol.balance().0);
    let history = alice.hazel(&["history", "--json"]).ok().json();
    let fee = history["history"][0]["fee"].as_u64().expect("a fee");
    assert_eq!((arrived, left + fee), (20, 44), "paid once, and the change came back: {history}");
}

/// The shell block under the heading.
fn first_transfer() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(readme).expect("the README");
    let section = text.split("## A first transfer").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a shell block").to_owned()
}

#[test]
fn the_first_transfer_works_as_written() {
    let home = tempfile::tempdir().expect("a folder");
    let mint = Mint::start(&home.path().join("mint"), &home.path().join("lightning.sqlite"), 1_000);
    let folder = home.path().display().to_string();
    let script = first_transfer();
    for expected in ["cargo build --release -p hazel\n", "target/release/hazel", "http://127.0.0.1:3338", "/tmp/"] {
        assert!(script.contains(expected), "{expected} is in the README");
    }
    // The same script, with the programs under test and folders of its own.
    let script = script
        .replace("cargo build --release -p hazel\n", "")
        .replace("/tmp/", &format!("{folder}/"))
        .replace("http://127.0.0.1:3338", &mint.url())
        .replace("target/release/hazel", env!("CARGO_BIN_EXE_hazel"));
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}\n{errors}");
    assert!(said.contains("100 sat came in.") && said.contains("21 sat came in."), "{said}");
    assert!(said.contains("Paid 10 sat, for a fee of 1."), "{said}");
    let balances: Vec<&str> = said.lines().filter(|line| line.ends_with(" sat") && line.len() < 10).collect();
    assert_eq!(balances, ["68 sat", "21 sat"], "{said}");
}

#[test]
fn the_recorded_tour_is_what_a_new_user_sees() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let run = Command::new(docs.join("record-tour.sh"))
        .env("HAZEL", env!("CARGO_BIN_EXE_hazel"))
        .env("HAZELD", hazeld())
        .env("PORT", free_port().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}\n{errors}");
    let recorded = std::fs::read_to_string(docs.join("tour.txt")).expect("the recording");
    assert_eq!(said, recorded, "record it anew: docs/record-tour.sh > docs/tour.txt");
}
