//! The real wallet is killed, with SIGKILL, before and after every step that it takes, against a real mint.
//!
//! A step is a change of its database: all go through one function, which holds the two points. So the test does not name the
//! steps: it kills at the first, the second and so on until the command comes to its end by itself, and then checks by the states that it left
//! behind that it was everywhere.
#![cfg(feature = "failpoints")]
#![allow(clippy::panic, reason = "tests")]

mod loss;
mod support;

use std::collections::BTreeSet;

use loss::{World, open_states};
use support::User;

/// More steps than any command takes.
const MAX_STEPS: usize = 60;

const POINTS: [&str; 2] = ["hazel::fail::wallet-before-commit", "hazel::fail::wallet-after-commit"];

/// Kills alice's command at every step and checks the world after each. Gives the states in which operations were left.
fn kill_everywhere(world: &World, name: &str, command: impl Fn() -> Vec<String>) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    for point in POINTS {
        for step in 1..=MAX_STEPS {
            let at = format!("{name}, killed at {point} #{step}");
            let arguments = command();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ended = world.alice.killed_at(&format!("{point}#{step}"), &arguments);
            left.extend(open_states(&world.alice));
            world.assert_nothing_lost(&[&world.alice, &world.bob], &at);
            if ended.is_some() {
                assert!(step > 1, "{at}: it was killed at least once");
                break;
            }
            assert!(step < MAX_STEPS, "{at}: it never ends");
        }
    }
    left
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// The states that must have been left behind.
#[track_caller]
fn assert_left(left: &BTreeSet<String>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|state| (*state).to_owned()).collect();
    assert!(left.is_superset(&expected), "killed in all of {expected:?}, and was in {left:?}");
}

#[test]
fn a_mint_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "mint", || words(["mint", "77"]));
    assert_left(&left, &["MintQuoted", "MintRequested"]);
}

#[test]
fn a_first_start_killed_at_any_step_loses_nothing() {
    let mut world = World::new();
    let known = world.alice.clone();
    for point in POINTS {
        for step in 1..=MAX_STEPS {
            let at = format!("a first mint, killed at {point} #{step}");
            world.alice = User::new(world.path(&format!("new-{}-{step}", point.len())), Some(&world.mint));
            let ended = world.alice.killed_at(&format!("{point}#{step}"), &["mint", "5"]).is_some();
            world.alice.hazel(&["mint", "5"]).ok();
            let total = world.alice.balance();
            assert!(total == (5, 0, 0) || total == (10, 0, 0), "{at}: {total:?}");
            world.alice.hazel(&["send", "5", "--yes"]).ok();
            let rest = world.alice.hazel(&["send", &(total.0 - 5).to_string(), "--yes"]);
            let tokens = world.alice.hazel(&["pending", "--tokens", "--json"]).ok().json();
            assert!(rest.code == Some(0) || total.0 == 5, "{at}: {rest:?}");
            for token in tokens["tokens"].as_array().expect("a list") {
                known.hazel(&["receive", token["token"].as_str().expect("a token")]).ok();
            }
            world.assert_nothing_lost(&[&known, &world.bob, &world.alice], &at);
            if ended {
                assert!(step > 1, "{at}: it was killed at least once");
                break;
            }
        }
    }
}

#[test]
fn a_send_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "send", || words(["send", "21", "--yes"]));
    assert_left(&left, &["SendPrepared", "SendRequested"]);
    // Exactly what a proof is worth needs no swap.
    let left = kill_everywhere(&world, "send without a swap", || words(["send", "1024", "--yes"]));
    assert_left(&left, &["SendPrepared"]);
}

#[test]
fn a_receive_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "receive", || vec!["receive".to_owned(), world.token("13")]);
    assert_left(&left, &["ReceiveRequested"]);
}

#[test]
fn a_receive_while_the_mint_is_away_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let key = world.alice.hazel(&["keys"]).ok().out.trim().to_owned();
    let left = kill_everywhere(&world, "receive offline", || {
        let token = world.bob.hazel(&["send", "9", "--yes", "--lock-to", &key]).ok().token();
        vec!["receive".to_owned(), "--offline".to_owned(), token]
    });
    assert_left(&left, &["ReceiveStored"]);
}

#[test]
fn a_take_back_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "take back", || {
        let sent = world.alice.hazel(&["send", "5", "--yes", "--json"]).ok().json();
        let operation = sent["operation"].as_str().expect("an operation").to_owned();
        vec!["take-back".to_owned(), operation, "--yes".to_owned()]
    });
    assert_left(&left, &["ReceiveRequested"]);
}

#[test]
fn an_exchange_of_coins_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "consolidate", || {
        for _ in 0..10 {
            world.alice.hazel(&["mint", "3"]).ok();
        }
        words(["consolidate", "--yes"])
    });
    assert_left(&left, &["SwapRequested"]);
}

#[test]
fn a_payment_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left = kill_everywhere(&world, "pay", || vec!["pay".to_owned(), world.invoice("9"), "--yes".to_owned()]);
    assert_left(&left, &["MeltPrepared", "MeltRequested"]);
}

#[test]
fn a_payment_that_fails_killed_at_any_step_loses_nothing() {
    let world = World::new();
    let left =
        kill_everywhere(&world, "pay in vain", || vec!["pay".to_owned(), world.bad_invoice(9), "--yes".to_owned()]);
    assert_left(&left, &["MeltPrepared", "MeltRequested"]);
}

#[test]
fn a_wallet_killed_while_it_goes_on_loses_nothing() {
    let world = World::new();
    let pay = || vec!["pay".to_owned(), world.invoice("9"), "--yes".to_owned()];
    let send = || words(["send", "21", "--yes"]);
    let [before, after] = POINTS;
    for name in ["send", "pay"] {
        for first in 2..=4 {
            for second in 1..=MAX_STEPS {
                let at = format!("{name}, killed at step {first} and again at step {second} of going on");
                let arguments = if name == "send" { send() } else { pay() };
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                if world.alice.killed_at(&format!("{before}#{first}"), &arguments).is_some() {
                    break;
                }
                let ended = world.alice.killed_at(&format!("{after}#{second}"), &["balance"]).is_some();
                world.assert_nothing_lost(&[&world.alice, &world.bob], &at);
                if ended {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_restore_killed_at_any_step_finds_all() {
    let world = World::new();
    world.alice.hazel(&["send", "21", "--yes"]).ok();
    let seed = world.alice.hazel(&["seed", "show", "--yes"]).ok().out;
    let (available, _, sent) = world.alice.balance();
    for point in POINTS {
        for step in 1..=MAX_STEPS {
            let at = format!("restore, killed at {point} #{step}");
            let again = User::new(world.path(&format!("again-{}-{step}", point.len())), Some(&world.mint));
            again.hazel_reads(&["init", "--from-words", "-"], &seed).ok();
            let ended = again.killed_at(&format!("{point}#{step}"), &["restore"]).is_some();
            if !ended {
                again.hazel(&["restore"]).ok();
            }
            // By the seed alone a token that nobody has claimed is as good as kept.
            assert_eq!(again.balance(), (available + sent, 0, 0), "{at}");
            assert!(open_states(&again).is_empty(), "{at}: nothing is open");
            if ended {
                assert!(step > 1, "{at}: it was killed at least once");
                break;
            }
        }
    }
}
