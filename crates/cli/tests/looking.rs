//! What only looks: `decode`, `doctor`, QR codes, completions and the manual.

mod support;

use hazel_protocol::{CurrencyUnit, KeysetId, Proof, Token, TokenKeysetId, TokenV4};
use serde_json::Value;
use support::{NEVER_MS, User, World};

fn decode(user: &User, text: &str, flags: &[&str]) -> Value {
    let mut all = vec!["--json", "decode", text];
    all.extend(flags);
    user.hazel(&all).ok().json()
}

#[test]
fn a_token_is_looked_into_without_its_mint() {
    let mut world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let token = alice.hazel(&["--yes", "send", "21", "--memo", "tea"]).ok().token();
    let spent = alice.hazel(&["--yes", "send", "4"]).ok().token();
    world.user("bob").hazel(&["receive", &spent]).ok();
    let stranger = User::new(world.folder().join("stranger"), None);
    let checked = decode(&stranger, &spent, &["--check"]);
    assert_eq!((&checked["mints"][0]["spent"], &checked["mints"][0]["unspent"]), (&4.into(), &0.into()), "{checked}");

    world.mint.kill();
    let known = decode(&alice, &token, &[]);
    assert_eq!((known["type"].as_str(), known["value"].as_u64()), (Some("token"), Some(21)), "{known}");
    assert_eq!((known["memo"].as_str(), known["unit"].as_str()), (Some("tea"), Some("sat")));
    assert_eq!(known["mints"][0]["dleq"], "valid");
    let unknown = decode(&stranger, &token, &[]);
    assert_eq!(unknown["mints"][0]["dleq"], "keys-unknown", "{unknown}");
    assert!(!stranger.folder().exists(), "looking makes no wallet");
    stranger.hazel(&["decode", &token, "--check"]).fails_with(3);
    let said = alice.hazel_reads(&["decode", "-"], &token).ok();
    assert!(said.out.contains("every DLEQ proof holds"), "{said:?}");
    // The secrets are the money.
    let key = alice.hazel(&["--json", "decode", &token]).ok().out;
    assert!(!key.contains("secret") && !key.contains("\"C\""));

    for (text, code) in [("cashuBnonsense", 1), ("nonsense", 1), (&token[..token.len() - 9], 1)] {
        stranger.hazel(&["decode", text]).fails_with(code);
    }
}

/// The token with the signatures of its coins exchanged, or without what shows that the mint made them.
fn tampered(token: &str, change: impl Fn(&mut [Proof])) -> String {
    let token: Token = token.parse().expect("a token");
    let ids: Vec<KeysetId> = token
        .token_proofs()
        .into_iter()
        .filter_map(|(_, proof)| if let TokenKeysetId::Full(id) = proof.id { Some(id) } else { None })
        .collect();
    let mut proofs = token.proofs(&ids).expect("full ids");
    change(&mut proofs);
    let mint = token.mints()[0].clone();
    TokenV4::new(mint, CurrencyUnit::Sat, None, &proofs).expect("a token").to_string()
}

#[test]
fn a_forged_token_is_known_by_its_proofs() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let token = alice.hazel(&["--yes", "send", "3"]).ok().token();
    let forged = tampered(&token, |proofs| {
        let first = proofs[0].c;
        proofs[0].c = proofs[1].c;
        proofs[1].c = first;
    });
    assert_eq!(decode(&alice, &forged, &[])["mints"][0]["dleq"], "forged");
    assert!(alice.hazel(&["decode", &forged]).ok().out.contains("it is forged"));
    let bare = tampered(&token, |proofs| proofs.iter_mut().for_each(|proof| proof.dleq = None));
    assert_eq!(decode(&alice, &bare, &[])["mints"][0]["dleq"], "missing");
    alice.hazel(&["receive", &forged]).fails_with(1);
}

#[test]
fn locks_are_shown_as_they_are() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let key = alice.hazel(&["keys"]).ok().out.trim().to_owned();
    let lock = ["--lock-to", &key, "--locktime", "2100-01-01", "--refund-to", "me"];
    let mut all = vec!["--yes", "send", "8"];
    all.extend(lock);
    let token = alice.hazel(&all).ok().token();
    let lock = decode(&alice, &token, &[])["mints"][0]["locks"][0].take();
    assert_eq!((lock["kind"].as_str(), lock["needed"].as_u64()), (Some("keys"), Some(1)), "{lock}");
    assert_eq!((lock["locktime"].as_u64(), lock["refund_keys"].as_u64()), (Some(4_102_444_800), Some(1)), "{lock}");
    let said = alice.hazel(&["decode", &token]).ok();
    assert!(said.out.contains("after 2100-01-01 00:00 UTC by 1 of 1 refund keys"), "{said:?}");
}

#[test]
fn invoices_and_requests_are_looked_into() {
    let world = World::new(NEVER_MS);
    let alice = world.user("alice");
    let json = alice.hazel(&["--json", "mint", "21", "--no-wait", "--description", "two teas"]).ok().json();
    let invoice = json["invoice"].as_str().expect("an invoice");
    for text in [invoice.to_owned(), invoice.to_uppercase(), format!("lightning:{invoice}")] {
        let decoded = decode(&alice, &text, &[]);
        assert_eq!((decoded["type"].as_str(), decoded["amount_msat"].as_u64()), (Some("invoice"), Some(21_000)));
        assert_eq!((decoded["network"].as_str(), decoded["expired"].as_bool()), (Some("regtest"), Some(false)));
        assert_eq!(decoded["description"], "two teas");
    }
    // The first examples of NUT-18 and NUT-26.
    let request = "creqApWF0gaNhdGVub3N0cmFheKlucHJvZmlsZTFxeTI4d3VtbjhnaGo3dW45ZDNzaGp0bnl2OWtoMnVld2Q5aHN6OW1od2RlbjV0ZTB3ZmprY2N0ZTljdXJ4dmVuOWVlaHFjdHJ2NWhzenJ0aHdkZW41dGUwZGVoaHh0bnZkYWtxcWd5ZGFxeTdjdXJrNDM5eWtwdGt5c3Y3dWRoZGh1NjhzdWNtMjk1YWtxZWZkZWhrZjBkNDk1Y3d1bmw1YWeBgmFuYjE3YWloYjdhOTAxNzZhYQphdWNzYXRhbYF4Imh0dHBzOi8vbm9mZWVzLnRlc3RudXQuY2FzaHUuc3BhY2U=";
    let decoded = decode(&alice, request, &[]);
    assert_eq!((decoded["type"].as_str(), decoded["id"].as_str()), (Some("request"), Some("b7a90176")), "{decoded}");
    assert_eq!((decoded["amount"].as_u64(), decoded["unit"].as_str()), (Some(10), Some("sat")));
    assert_eq!(decoded["transports"][0]["type"], "nostr");
    assert!(alice.hazel(&["decode", request]).ok().out.contains("10 sat"));
}

#[test]
fn the_doctor_finishes_what_can_be_and_says_what_cannot() {
    let mut world = World::new(0);
    let alice = world.user("alice");
    let well = alice.hazel(&["doctor"]).ok();
    assert!(well.out.contains("Everything is finished"), "{well:?}");
    alice.hazel(&["mint", "64"]).ok();
    let payee = world.payee();
    let carol = User::new(world.folder().join("carol"), Some(&payee));
    let invoice = carol.invoice("20");
    // The mint dies while it pays.
    world.mint.restart(&[("settle-after-ms", NEVER_MS), ("pay-after-ms", 6_000)]);
    let mut paying = alice.begin(&["--yes", "--json", "pay", &invoice]);
    paying.says("Paying");
    world.mint.kill();
    paying.end().fails_with(5);

    let sick = alice.hazel(&["--json", "doctor"]).fails_with(5).json();
    assert!(!sick["failed"].as_array().expect("a list").is_empty(), "{sick}");
    assert_eq!(sick["error"]["kind"], "pending");
    world.mint.restart(&[("settle-after-ms", NEVER_MS), ("pay-after-ms", 0)]);
    let mut tries = 0;
    loop {
        let said = alice.hazel(&["--json", "doctor"]);
        if said.code == Some(0) {
            let well = said.json();
            assert_eq!(well["done"][0]["kind"], "pay", "{well}");
            assert_eq!(well["mints"][0]["spent_elsewhere"], 0, "{well}");
            break;
        }
        tries += 1;
        assert!(tries < 100, "it does not end: {said:?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(alice.balance().1, 0);
    assert!(alice.hazel(&["doctor"]).ok().out.contains("Everything is finished"));
}

#[test]
fn the_doctor_sees_coins_that_another_device_spent() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "32"]).ok();
    let words = alice.hazel(&["--yes", "seed", "show"]).ok().out;
    let twin = world.user("twin");
    twin.hazel_reads(&["init", "--from-words", "-"], &words).ok();
    twin.hazel(&["restore"]).ok();
    let token = twin.hazel(&["--yes", "send", "32"]).ok().token();
    world.user("bob").hazel(&["receive", &token]).ok();
    let said = alice.hazel(&["--json", "doctor"]).fails_with(5).json();
    assert_eq!(said["mints"][0]["spent_elsewhere"], 32, "{said}");
    assert_eq!(alice.balance().0, 32, "looking changes nothing");
}

#[test]
fn a_qr_code_stands_beside_the_answer() {
    let world = World::new(NEVER_MS);
    let alice = world.user("alice");
    let said = alice.hazel(&["mint", "21", "--no-wait", "--qr"]).ok();
    let drawn: Vec<&str> = said.err.lines().filter(|line| line.starts_with(['█', '▀'])).collect();
    let width = drawn[0].chars().count();
    assert!(drawn.len() > 20 && drawn.iter().all(|line| line.chars().count() == width), "{}", said.err);
    assert_eq!(drawn.len(), width.div_ceil(2));
    assert!(!said.out.contains('█') && said.out.starts_with("lnbcrt"), "{said:?}");
    // Where nobody looks no code moves, and the answer comes all the same.
    alice.hazel(&["mint", "1", "--no-wait", "--qr"]).ok();
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_token_moves_until_enter_is_pressed() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "255"]).ok();
    let mut terminal = alice.begin_on_terminal(&["--yes", "send", "127", "--qr"]);
    let shown = terminal.shows("\u{1b}[");
    assert!(shown.contains("Enter goes on"), "{shown}");
    terminal.shows("\u{1b}[");
    terminal.types("\n");
    let token = terminal.shows("cashuB") + &terminal.shows("\n");
    let token = &token[token.find("cashuB").expect("the token")..];
    terminal.end().ok();
    world.user("bob").hazel(&["receive", token.trim()]).ok();
    assert_eq!(world.user("bob").balance(), (127, 0, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn colours_are_for_people_who_want_them() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "8"]).ok();
    assert!(!alice.hazel(&["history"]).ok().out.contains('\u{1b}'), "not when piped");
    assert!(alice.begin_on_terminal(&["history"]).end().ok().out.contains("\u{1b}[1m"));
    let quiet = alice.begin_on_terminal_with(&["history"], &[("NO_COLOR", "1")]).end().ok();
    assert!(quiet.out.contains("mint") && !quiet.out.contains('\u{1b}'), "{quiet:?}");
}

#[test]
fn the_manual_and_the_completions_know_every_command() {
    let alice = User::new(std::env::temp_dir().join("hazel-that-is-never-made"), None);
    let help = alice.hazel(&["--help"]).ok().out;
    let commands = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).expect("a list");
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 20 && names.contains(&"take-back"), "{names:?}");
    let page = alice.hazel(&["man"]).ok().out;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = alice.hazel(&["completions", shell]).ok().out;
        assert!(names.iter().all(|name| script.contains(name)), "{shell}");
        assert!(!script.contains('?') || shell != "bash" || !script.contains("??"), "nothing was neutralised");
    }
    for name in names.iter().filter(|name| **name != "help") {
        assert!(page.contains(&name.replace('-', "\\-")), "{name} is in the manual");
        assert!(alice.hazel(&["man", name]).ok().out.contains(".SH SYNOPSIS"), "{name}");
        let readme = include_str!("../README.md");
        assert!(readme.contains(&format!("`hazel {name}")), "{name} is in the README");
    }
    let send = alice.hazel(&["send", "--help"]).ok().out;
    for heading in ["Options of the lock:", "Options of every command:"] {
        assert!(send.contains(heading), "{send}");
    }
    assert!(alice.hazel(&["man", "mints", "add"]).ok().out.contains("Trust a mint"));
    alice.hazel(&["man", "nonsense"]).fails_with(2);
    assert!(!alice.folder().exists());
}
