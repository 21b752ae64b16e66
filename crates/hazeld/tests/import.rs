//! A keyset of another mint, with a version 1 id, taken over and served by the real process.

mod client;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use client::{Api, Launch, Wallet, invoice, sum};
use hazel_protocol::crypto::{blind, sign, unblind};
use hazel_protocol::{
    Amount, BlindedMessage, BlindingFactor, Curve, KeysResponse, KeysetId, KeysetKeys, KeysetsResponse,
    MeltQuoteBolt11Response, MeltQuoteState, PointBytes, Proof, ProofState, Secret, SecretKey, SwapResponse,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The other mint: its private keys, and what its wallets hold.
struct OtherMint {
    keys: BTreeMap<u64, SecretKey>,
    id: KeysetId,
    curve: Curve,
}

impl OtherMint {
    /// Keys for 1, 2, 4 .. 128 that no seed of ours gives.
    fn new() -> Self {
        let curve = Curve::new(&[3; 32]);
        let key = |power: u8| (1 << power, SecretKey::from_bytes(&[power + 1; 32]).expect("a scalar"));
        let keys: BTreeMap<u64, SecretKey> = (0..8).map(key).collect();
        let public = keys.iter().map(|(amount, key)| (Amount::from_u64(*amount), key.public_key(&curve))).collect();
        let id = KeysetKeys::new(public).expect("keys").id_v1();
        Self { keys, id, curve }
    }

    fn keys_file(&self) -> String {
        let digits =
            |key: &SecretKey| key.expose_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let keys: BTreeMap<String, String> =
            self.keys.iter().map(|(amount, key)| (amount.to_string(), digits(key))).collect();
        json!({"id": self.id, "unit": "sat", "input_fee_ppk": 0, "keys": keys}).to_string()
    }

    /// Coin `n`: what a wallet asked for, what it got, and the proof that it made of it.
    fn coin(&self, n: u64, amount: u64) -> (BlindedMessage, PointBytes, Proof) {
        let secret = Secret::new(format!("coin {n}")).expect("short");
        let mut scalar = [1; 32];
        scalar[..8].copy_from_slice(&(n + 1).to_be_bytes());
        let r = BlindingFactor::from_bytes(&scalar).expect("a scalar");
        let b = blind(&self.curve, &secret.y(), &r).expect("no infinity");
        let key = &self.keys[&amount];
        let signature = sign(key, &b);
        let c = unblind(&signature, &r, &key.public_key(&self.curve)).expect("no infinity");
        let value = Amount::from_u64(amount);
        let message = BlindedMessage { amount: value, id: self.id, b: PointBytes::from(&b) };
        let proof = Proof {
            amount: value,
            id: self.id,
            secret,
            c: PointBytes::from(&c),
            witness: None,
            dleq: None,
            p2pk_e: None,
        };
        (message, PointBytes::from(&signature), proof)
    }
}

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
}

/// A mint with a configuration of its own and a history, stopped.
fn configured() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[database]\nurl = \"sqlite:mint.sqlite\"\n[seed]\nfile = \"seed\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                  [lightning]\nbackend = \"fake\"\ni_know_this_is_not_real_money = true\nsettle_after_ms = 150\npay_after_ms = 0\n\
                  reserve_ppm = 0\nreserve_min_msat = 0\n";
    std::fs::write(folder.path().join("hazeld.toml"), config).expect("written");
    let seed = Launch::hazeld(&["seed", "new", "--file"]).arg(folder.path().join("seed")).output();
    assert_eq!(seed.status.code(), Some(0));
    folder
}

fn start(folder: &Path) -> Launch {
    Launch::hazeld(&["start", "--config"]).arg(folder.join("hazeld.toml"))
}

fn import(folder: &Path, more: &[&str]) -> Launch {
    Launch::hazeld(&["keyset", "import", "--config"])
        .arg(folder.join("hazeld.toml"))
        .arg("--keys")
        .arg(folder.join("old.json"))
        .args(more)
        .with(|command| {
            command.current_dir(folder);
        })
}

#[track_caller]
fn refused(output: &Output, code: i32, text: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(text), "{text:?} is not in: {said}");
}

fn name_keys(folder: &Path) {
    let path = folder.join("hazeld.toml");
    let config = std::fs::read_to_string(&path).expect("there");
    std::fs::write(&path, format!("{config}[[imported_keyset]]\nfile = \"old.json\"\n")).expect("written");
}

/// The history of the other mint: coins 0 to 2 of 8 were spent; 0 to 9 were signed.
fn write_history(folder: &Path, old: &OtherMint) {
    let (mut spent, mut signed) = (String::new(), String::new());
    for n in 0..10 {
        let (message, signature, proof) = old.coin(n, 8);
        let row = json!({"amount": 8, "B_": message.b, "C_": signature, "created": 1_700_000_000});
        writeln!(signed, "{row}").expect("a string");
        if n < 3 {
            // One by its secret, the others by their Y.
            let key = if n == 0 {
                json!({"secret": proof.secret})
            } else {
                json!({"Y": PointBytes::from(&proof.y()), "id": old.id})
            };
            let mut row = json!({"amount": 8, "C": proof.c});
            row.as_object_mut().expect("an object").extend(key.as_object().expect("an object").clone());
            writeln!(spent, "{row}").expect("a string");
        }
    }
    std::fs::write(folder.join("spent.jsonl"), spent).expect("written");
    std::fs::write(folder.join("signed.jsonl"), signed).expect("written");
}

/// Issued, redeemed, reserved, carried, and whether it is stopped, as the ledger keeps them.
fn books(database: &Path, id: KeysetId) -> [i64; 5] {
    let ledger = rusqlite::Connection::open(database).expect("the ledger opens");
    let sql = "SELECT issued, redeemed, reserved, carried, latched FROM keysets WHERE keyset_id = ?1";
    let row = ledger.query_row(sql, [id.as_bytes()], |row| Ok([0, 1, 2, 3, 4].map(|column| row.get_unwrap(column))));
    row.expect("one keyset")
}

/// Turns the operator's surface on, at a port that is free now; the commands have to know it.
fn give_surface(folder: &Path) {
    let config = std::fs::read_to_string(folder.join("hazeld.toml")).expect("there");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let admin = format!("[admin]\nlisten = \"{free}\"\ntoken_file = \"admin-token\"\n");
    std::fs::write(folder.join("hazeld.toml"), format!("{config}{admin}")).expect("written");
}

/// Runs a command of the operator.
fn ask(folder: &Path, words: &[&str]) -> Output {
    Launch::hazeld(words).arg("--config").arg(folder.join("hazeld.toml")).output()
}

const HISTORY: [&str; 6] = ["--spent", "spent.jsonl", "--signed", "signed.jsonl", "--outstanding", "56"];

#[tokio::test]
async fn a_keyset_of_another_mint_is_served() {
    let folder = configured();
    let folder = folder.path();
    let old = OtherMint::new();
    write_private(&folder.join("old.json"), &old.keys_file());
    write_history(folder, &old);
    name_keys(folder);
    let imported = import(folder, &HISTORY).output();
    assert_eq!(imported.status.code(), Some(0), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(String::from_utf8_lossy(&imported.stdout).contains("3 spent proofs and 10 signatures; it is metered"));
    refused(&import(folder, &HISTORY).output(), 2, "in the database already");

    let mint = start(folder).start();
    refused(&import(folder, &HISTORY).output(), 3, "in use by process");
    let wallet = Wallet::open(mint.url(), 1).await;
    let list: KeysetsResponse = wallet.api.get("/v1/keysets").await.ok();
    let shown: Vec<_> = list.keysets.iter().map(|keyset| (keyset.id, keyset.active)).collect();
    assert_eq!(shown, [(old.id, false), (wallet.keyset, true)]);
    let keys: KeysResponse = wallet.api.get(&format!("/v1/keys/{}", old.id)).await.ok();
    keys.keysets[0].verify_id().expect("a version 1 id is the hash of its keys");

    let coins: Vec<Proof> = (0..10).map(|n| old.coin(n, 8).2).collect();
    let states = wallet.states(&coins).await;
    assert_eq!(states[..3], [ProofState::Spent; 3]);
    assert_eq!(states[3..], [ProofState::Unspent; 7]);
    for spent in &coins[..3] {
        let answer = wallet.try_swap(std::slice::from_ref(spent), &wallet.draft(&[8])).await.expect("answered");
        assert_eq!(answer.code(), Some(11_001), "it was spent at the other mint");
    }
    let draft = wallet.draft(&[16, 8]);
    let answer: SwapResponse = wallet.try_swap(&coins[3..6], &draft).await.expect("answered").ok();
    assert_eq!(sum(&wallet.finish_all(&draft, &answer.signatures)), 24);
    let quote = wallet.melt_quote(&invoice(1, 8)).await;
    let paid: MeltQuoteBolt11Response =
        wallet.try_melt(&quote.quote, &coins[6..7], &wallet.draft(&[])).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);

    // Wallets restore what the other mint had signed, with a proof; and nothing new is signed.
    let asked: Vec<BlindedMessage> = (0..11).map(|n| old.coin(n, 8).0).collect();
    let restored = wallet.restore(&asked).await;
    assert!(restored[..10].iter().zip(0..).all(|(found, n)| {
        found.as_ref().is_some_and(|found| PointBytes::from(&found.c) == old.coin(n, 8).1 && found.dleq.is_some())
    }));
    assert_eq!(restored[10], None);
    let body = json!({"inputs": &coins[7..8], "outputs": [old.coin(50, 8).0]});
    assert_eq!(wallet.api.post("/v1/swap", &body).await.code(), Some(12_002));

    // Its keys are known elsewhere: more than was out is refused, and the keyset is stopped.
    let forged: Vec<Proof> = (100..104).map(|n| old.coin(n, 8).2).collect();
    let answer = wallet.try_swap(&forged, &wallet.draft(&[32])).await.expect("answered");
    assert_eq!(answer.code(), Some(12_000));
    assert!(mint.log().contains("ALARM"), "{}", mint.log());
    mint.stop();
    // Ten of 8 were signed, there; three were spent there, three and one here; nothing but that was out; and it is stopped.
    assert_eq!(books(&folder.join("mint.sqlite"), old.id), [80, 56, 0, 0, 1]);

    // Without its keys the mint cannot honour the keyset, so it does not start.
    std::fs::rename(folder.join("old.json"), folder.join("away.json")).expect("moved");
    refused(&start(folder).output(), 2, "old.json");
    let config = std::fs::read_to_string(folder.join("hazeld.toml")).expect("there");
    std::fs::write(folder.join("hazeld.toml"), config.split("[[imported").next().expect("the rest")).expect("written");
    refused(&start(folder).output(), 4, &format!("the imported keyset {}", old.id));
}

#[tokio::test]
async fn an_import_that_breaks_off_leaves_the_keyset_stopped_and_goes_on() {
    let folder = configured();
    let folder = folder.path();
    let old = OtherMint::new();
    write_private(&folder.join("old.json"), &old.keys_file());
    write_history(folder, &old);
    refused(&import(folder, &HISTORY).output(), 2, "does not name");
    name_keys(folder);
    refused(&start(folder).output(), 2, "hazeld keyset import");
    refused(&import(folder, &[]).output(), 2, "--spent");
    let good = std::fs::read_to_string(folder.join("spent.jsonl")).expect("there");
    let forged = json!({"amount": 4, "C": old.coin(0, 8).2.c, "secret": "coin 0"});
    let other = json!({"amount": 8, "C": old.coin(0, 8).2.c, "secret": "coin 0", "id": "00ffffffffffffff"});
    for (text, said) in [
        (format!("{good}{forged}\n"), "line 4: this keyset has not signed it"),
        (format!("\n{other}\n"), "line 2: it is of another keyset"),
        ("{\"amount\":8}\n".to_owned(), "line 1: "),
        (format!("{{\"amount\":3,\"secret\":\"x\",\"C\":{}}}\n", json!(old.coin(0, 8).2.c)), "no key for the amount 3"),
    ] {
        std::fs::write(folder.join("spent.jsonl"), text).expect("written");
        refused(&import(folder, &HISTORY).output(), 2, said);
    }
    // Broken off: it is listed, and nothing of it is taken.
    let mint = start(folder).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let coin = old.coin(5, 8).2;
    let answer = wallet.try_swap(std::slice::from_ref(&coin), &wallet.draft(&[8])).await.expect("answered");
    assert_eq!(answer.code(), Some(12_000));
    mint.stop();
    std::fs::write(folder.join("spent.jsonl"), good).expect("written");
    let too_little = ["--spent", "spent.jsonl", "--signed", "signed.jsonl", "--outstanding", "55"];
    refused(&import(folder, &too_little).output(), 2, "the books do not add up");
    assert_eq!(import(folder, &HISTORY).output().status.code(), Some(0), "the rows that are in are not taken twice");
    let mint = start(folder).start();
    let wallet = wallet.moved_to(mint.url());
    let answer = wallet.try_swap(std::slice::from_ref(&coin), &wallet.draft(&[8])).await.expect("answered");
    assert!(answer.is_ok(), "{answer:?}");
    mint.stop();
}

#[test]
fn keys_files_are_private_and_whole() {
    let folder = configured();
    let folder = folder.path();
    let old = OtherMint::new();
    name_keys(folder);
    let path = folder.join("old.json");
    let good: Value = serde_json::from_str(&old.keys_file()).expect("JSON");
    let with = |key: &str, value: Value| {
        let mut file = good.clone();
        file[key] = value;
        file.to_string()
    };
    let mut fewer = good.clone();
    fewer["keys"].as_object_mut().expect("an object").remove("128");
    let secret = good["keys"]["8"].as_str().expect("digits").to_owned();
    for (text, said) in [
        (with("id", json!("00ffffffffffffff")), "does not match"),
        (fewer.to_string(), "does not match"),
        (with("keys", json!({})), "no keys"),
        (with("keys", json!({"1": "00"})), "64 lower-case hex digits"),
        (with("keys", json!({"1": "0".repeat(64)})), "64 lower-case hex digits"),
        (with("keys", json!({"01": secret})), "keys file"),
        (with("unit", json!("SAT!")), "keys file"),
        (with("kyes", json!(1)), "keys file"),
        (format!("{{\"keys\":{{\"1\":\"{secret}\",\"1\":\"{secret}\"}}}}"), "two for one amount"),
    ] {
        write_private(&path, &text);
        let output = import(folder, &["--nothing-spent"]).output();
        refused(&output, 2, said);
        assert!(!String::from_utf8_lossy(&output.stderr).contains(&secret), "no key is shown");
    }
    write_private(&path, &good.to_string());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    refused(&import(folder, &["--nothing-spent"]).output(), 2, "chmod 600");
    write_private(&path, &good.to_string());
    let imported = import(folder, &["--nothing-spent"]).output();
    assert!(String::from_utf8_lossy(&imported.stdout).contains("unmetered"), "{imported:?}");
}

/// An import may sign, in place of the mint's own keyset, and is rotated like any other.
#[tokio::test]
async fn an_import_signs_when_it_is_active() {
    let folder = configured();
    let folder = folder.path();
    let old = OtherMint::new();
    write_private(&folder.join("old.json"), &old.keys_file());
    name_keys(folder);
    let imported = import(folder, &["--nothing-spent", "--active", "--outstanding", "0"]).output();
    assert_eq!(imported.status.code(), Some(0), "{}", String::from_utf8_lossy(&imported.stderr));
    give_surface(folder);
    let mint = start(folder).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    assert_eq!(wallet.keyset, old.id);
    let coins = wallet.mint(24).await;
    let swapped = wallet.swap(&coins).await;
    assert!(swapped.iter().all(|proof| proof.id == old.id));
    let list = ask(folder, &["keyset", "list"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let row: Vec<_> = list.lines().nth(1).expect("a keyset").split_whitespace().collect();
    assert_eq!(row, [&old.id.to_string(), "sat", "active", "0", "never", "48", "24", "0", "0", "0"]);
    let log = ask(folder, &["audit", "--json"]);
    let log: Value = serde_json::from_slice(&log.stdout).expect("JSON");
    let actions: Vec<_> = log["audit"].as_array().expect("a list").iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["keyset.allow", "keyset.meter", "keyset.add"]);
    assert_eq!(log["audit"][0]["actor"], "keyset import");
    mint.stop();
    let gone = ask(folder, &["keyset", "list"]);
    refused(&gone, 70, "is the mint running?");
    let mint = start(folder).start();
    let list: KeysetsResponse = Api::new(mint.url()).get("/v1/keysets").await.ok();
    assert_eq!(list.keysets.len(), 1, "no keyset of the seed is made while one signs");
    mint.stop();
}

#[tokio::test]
async fn an_unmetered_import_is_metered_once_while_the_mint_runs() {
    let folder = configured();
    let folder = folder.path();
    let old = OtherMint::new();
    write_private(&folder.join("old.json"), &old.keys_file());
    name_keys(folder);
    assert_eq!(import(folder, &["--nothing-spent"]).output().status.code(), Some(0));
    give_surface(folder);
    let mint = start(folder).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let coins: Vec<Proof> = (0..4).map(|n| old.coin(n, 8).2).collect();
    assert!(wallet.try_swap(&coins[..2], &wallet.draft(&[16])).await.expect("answered").is_ok(), "nothing bounds it");
    let id = old.id.to_string();
    refused(&ask(folder, &["keyset", "meter", &id, "--carried", "15"]), 2, "more of the keyset has been redeemed");
    let metered = ask(folder, &["keyset", "meter", &id, "--carried", "24"]);
    assert_eq!(metered.status.code(), Some(0), "{metered:?}");
    refused(&ask(folder, &["keyset", "meter", &id, "--carried", "25"]), 2, "metered already");
    let own = wallet.keyset.to_string();
    refused(&ask(folder, &["keyset", "meter", &own, "--carried", "25"]), 2, "metered already");
    let all = wallet.try_swap(&coins[2..], &wallet.draft(&[16])).await.expect("answered");
    assert_eq!(all.code(), Some(12_000), "32 would be redeemed of 24");
    mint.stop();
    assert_eq!(books(&folder.join("mint.sqlite"), old.id), [0, 16, 0, 24, 1]);
}
