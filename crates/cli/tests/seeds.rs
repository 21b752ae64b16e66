//! Seeds under a passphrase: the real command, which nobody sits at.

#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use support::{User, World};

/// A private file with a passphrase.
fn passphrase(world: &World, name: &str, text: &str) -> String {
    let path: PathBuf = world.folder().join(name);
    std::fs::write(&path, format!("{text}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("made private");
    path.to_str().expect("text").to_owned()
}

fn seed_file(user: &User) -> String {
    std::fs::read_to_string(user.folder().join("seed")).expect("the seed file")
}

#[test]
fn a_sealed_seed_wants_its_passphrase() {
    let world = World::new(0);
    let (right, wrong) = (passphrase(&world, "right", "correct horse"), passphrase(&world, "wrong", "battery"));
    let alice = world.user("alice");
    // Nobody is there to be asked, so nothing is made.
    alice.hazel(&["init", "--passphrase"]).fails_with(8);
    assert!(!alice.folder().join("seed").exists());
    let made = alice.hazel(&["--json", "init", "--passphrase", "--passphrase-file", &right]).ok().json();
    assert_eq!(made["sealed"], true);
    let words = alice.hazel(&["--yes", "seed", "show", "--passphrase-file", &right]).ok().out;
    assert_eq!(words.split_whitespace().count(), 12);
    let file = seed_file(&alice);
    assert!(words.split_whitespace().all(|word| !file.contains(word) || word.len() < 5), "{file}");

    alice.hazel(&["--passphrase-file", &right, "mint", "16"]).ok();
    // What moves no money needs no passphrase; all else does.
    assert_eq!(alice.balance(), (16, 0, 0));
    alice.hazel(&["history"]).ok();
    for arguments in [vec!["send", "1"], vec!["mint", "1"], vec!["keys"], vec!["--yes", "seed", "show"]] {
        let mut all = vec!["--json", "--yes"];
        all.extend(&arguments);
        assert_eq!(alice.hazel(&all).fails_with(8).json()["error"]["kind"], "passphrase", "{arguments:?}");
        all.extend(["--passphrase-file", &wrong]);
        assert_eq!(alice.hazel(&all).fails_with(8).json()["error"]["kind"], "passphrase", "{arguments:?}");
    }
    assert_eq!(alice.balance(), (16, 0, 0));
    alice.hazel(&["--yes", "--passphrase-file", &right, "send", "1"]).ok();
}

#[test]
fn passphrases_come_from_files_descriptors_and_the_environment() {
    let world = World::new(0);
    let right = passphrase(&world, "right", "correct horse");
    let alice = world.user("alice");
    alice.hazel(&["init", "--passphrase-file", &right]).ok();
    let key = alice.hazel(&["keys", "--passphrase-file", &right]).ok().out;
    // Standard input is a file like others.
    assert_eq!(alice.hazel_reads(&["keys", "--passphrase-fd", "0"], "correct horse\n").ok().out, key);
    assert_eq!(alice.hazel_with(&["keys", "--passphrase-env", "OPENS"], &[("OPENS", "correct horse")]).ok().out, key);
    assert_eq!(alice.hazel_with(&["keys"], &[("HAZEL_PASSPHRASE_FILE", &right)]).ok().out, key);
    alice.hazel(&["keys", "--passphrase-env", "IS_NOT_SET"]).fails_with(2);
    alice.hazel_reads(&["keys", "--passphrase-fd", "0"], "\n").fails_with(2);
    std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o644)).expect("set");
    alice.hazel(&["keys", "--passphrase-file", &right]).fails_with(7);
}

#[test]
fn a_passphrase_is_changed_and_removed() {
    let world = World::new(0);
    let (first, second) = (passphrase(&world, "first", "one"), passphrase(&world, "second", "two"));
    let alice = world.user("alice");
    alice.hazel(&["init"]).ok();
    let words = alice.hazel(&["--yes", "seed", "show"]).ok().out;
    assert_eq!(seed_file(&alice), words);
    let change = |old: &str, new: &[&str]| {
        let mut all = vec!["seed", "passphrase"];
        if !old.is_empty() {
            all.extend(["--passphrase-file", old]);
        }
        all.extend(new);
        alice.hazel(&all)
    };
    change("", &["--new-passphrase-file", &first]).ok();
    assert_ne!(seed_file(&alice), words);
    change(&second, &["--new-passphrase-file", &second]).fails_with(8);
    change(&first, &["--new-passphrase-file", &second]).ok();
    alice.hazel(&["--yes", "seed", "show", "--passphrase-file", &first]).fails_with(8);
    assert_eq!(alice.hazel(&["--yes", "seed", "show", "--passphrase-file", &second]).ok().out, words);
    change(&second, &["--remove"]).ok();
    assert_eq!(seed_file(&alice), words);
    assert_eq!(alice.hazel(&["--yes", "seed", "show"]).ok().out, words);
    let mode = std::fs::metadata(alice.folder().join("seed")).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_seal_is_told_from_a_wrong_passphrase() {
    let world = World::new(0);
    let right = passphrase(&world, "right", "one");
    let alice = world.user("alice");
    alice.hazel(&["init", "--passphrase-file", &right]).ok();
    let path = alice.folder().join("seed");
    let file = seed_file(&alice);
    std::fs::write(&path, &file[..file.len() - 20]).expect("written");
    alice.hazel(&["keys", "--passphrase-file", &right]).fails_with(7);
    std::fs::write(&path, file.replace("\"memory_kib\":65536", "\"memory_kib\":4000000000")).expect("written");
    alice.hazel(&["keys", "--passphrase-file", &right]).fails_with(7);
    std::fs::write(&path, file).expect("written");
    alice.hazel(&["keys", "--passphrase-file", &right]).ok();
}
