//! Locked tokens, tokens that nobody claimed, and tokens that are taken offline: the real command against a real mint.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{User, World};

fn key(user: &User) -> String {
    user.hazel(&["keys"]).ok().out.trim().to_owned()
}

/// Sends and gives the token.
fn send(user: &User, arguments: &[&str]) -> String {
    let mut all = vec!["--yes", "send"];
    all.extend(arguments);
    user.hazel(&all).ok().token()
}

#[test]
fn a_token_is_for_the_key_it_is_locked_to() {
    let world = World::new(0);
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    alice.hazel(&["mint", "64"]).ok();

    let asked = alice.hazel_reads(&["send", "8", "--lock-to", &key(&bob)], "n\n").fails_with(1);
    assert!(asked.err.contains("opened by the key it is locked to"), "{asked:?}");
    let sent = alice.hazel(&["--yes", "--json", "send", "8", "--lock-to", &key(&bob), "--memo", "tea"]).ok().json();
    assert_eq!(sent["lock"]["d"].as_str(), Some(key(&bob).as_str()), "{sent}");
    let token = sent["token"].as_str().expect("a token");
    let refused = carol.hazel(&["receive", token]).fails_with(1);
    assert!(refused.err.contains("locked"), "{refused:?}");
    bob.hazel(&["receive", token]).ok();
    assert_eq!((alice.balance().0, bob.balance(), carol.balance()), (56, (8, 0, 0), (0, 0, 0)));

    // A second key of the same wallet opens as well as the first.
    let second = bob.hazel(&["keys", "new"]).ok().out.trim().to_owned();
    assert_ne!(second, key(&world.user("dave")));
    let listed = bob.hazel(&["keys", "--json"]).ok().json();
    assert_eq!(listed["keys"][1]["key"].as_str(), Some(second.as_str()), "{listed}");
    bob.hazel(&["receive", &send(&alice, &["8", "--lock-to", &second, "--sig-all"])]).ok();
    assert_eq!(bob.balance(), (16, 0, 0));
    // The mint sees keys that nobody has seen before.
    let hidden = send(&alice, &["8", "--lock-to", &second, "--blind"]);
    carol.hazel(&["receive", &hidden]).fails_with(1);
    bob.hazel(&["receive", &hidden]).ok();
    assert_eq!(bob.balance(), (24, 0, 0));
}

#[test]
fn several_keys_sign_one_after_the_other() {
    let world = World::new(0);
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    alice.hazel(&["mint", "64"]).ok();
    let lock = alice.hazel(&["lock", "--lock-to", &key(&bob), "--lock-to", &key(&carol), "--signatures", "2"]).ok().out;
    let token = send(&alice, &["16", "--lock", lock.trim()]);
    bob.hazel(&["receive", &token]).fails_with(1);
    let half = bob.hazel_reads(&["--json", "unlock", "-"], &token).ok().json();
    assert_eq!((half["signatures"].as_u64(), half["needed"].as_u64()), (Some(1), Some(2)), "{half}");
    let half = half["token"].as_str().expect("a token");
    world.user("dave").hazel(&["receive", half]).fails_with(1);
    world.user("dave").hazel(&["cosign", half]).fails_with(1);
    carol.hazel(&["receive", half]).ok();
    assert_eq!(carol.balance(), (16, 0, 0));
}

#[test]
fn a_preimage_opens_a_hash() {
    let world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    // The SHA-256 of 32 zero bytes.
    let hash = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    let token = send(&alice, &["8", "--hash", hash, "--lock-to", &key(&bob)]);
    bob.hazel(&["receive", &token]).fails_with(1);
    bob.hazel(&["receive", &token, "--preimage", &"11".repeat(32)]).fails_with(1);
    let file = world.folder().join("preimage");
    std::fs::write(&file, "00".repeat(32) + "\n").expect("written");
    bob.hazel(&["receive", &token, "--preimage-file", &file.to_string_lossy()]).ok();
    let token = send(&alice, &["4", "--hash", hash]);
    bob.hazel(&["receive", &token, "--preimage", &"00".repeat(32)]).ok();
    assert_eq!(bob.balance(), (12, 0, 0));
}

#[test]
fn a_refund_comes_back_after_the_locktime() {
    let world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    let token = send(&alice, &["8", "--lock-to", &key(&bob), "--locktime", "8s", "--refund-to", "me"]);
    let sends = alice.hazel(&["take-back", "--json"]).ok().json();
    let operation = sends["tokens"][0]["operation"].as_str().expect("an operation").to_owned();
    assert_eq!(sends["tokens"][0]["unclaimed"], 8);
    let take = || alice.hazel(&["--yes", "take-back", &operation]);
    let mut tries = 0;
    while take().code != Some(0) {
        assert_eq!(alice.balance().0, 56);
        tries += 1;
        assert!(tries < 200, "the lock does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(alice.balance(), (64, 0, 0));
    bob.hazel(&["receive", &token]).fails_with(1);
}

#[test]
fn locks_that_make_no_sense_are_refused_before_money_moves() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let key = key(&alice);
    for (arguments, code) in [
        (vec!["--lock-to", "02"], 2),
        (vec!["--hash", "00"], 2),
        (vec!["--signatures", "2"], 2),
        (vec!["--refund-to", &key], 2),
        (vec!["--locktime", "yesterday"], 2),
        (vec!["--lock-to", &key, "--locktime", "2001-01-01"], 2),
        (vec!["--locktime", "7d"], 1),
        (vec!["--sig-all"], 1),
        (vec!["--blind"], 2),
        (vec!["--hash", &"00".repeat(32), "--blind"], 1),
        (vec!["--lock-to", &key, "--lock-to", &key], 1),
        (vec!["--lock-to", &key, "--signatures", "2"], 1),
        (vec!["--lock", "{}"], 2),
        (vec!["--lock-to", &key, "--offline"], 2),
    ] {
        let mut all = vec!["--yes", "send", "8"];
        all.extend(&arguments);
        let said = alice.hazel(&all);
        assert_eq!(said.code, Some(code), "{arguments:?}: {said:#?}");
        assert!(said.out.is_empty());
    }
    assert_eq!(alice.balance(), (64, 0, 0));
}

fn state(token: &Value) -> (u64, &str) {
    (token["value"].as_u64().expect("an amount"), token["state"].as_str().expect("a word"))
}

#[test]
fn what_nobody_claimed_comes_back() {
    let world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    assert!(alice.hazel(&["take-back"]).ok().out.contains("No token"));
    let first = send(&alice, &["1"]);
    let (second, third) = (send(&alice, &["2"]), send(&alice, &["4"]));
    bob.hazel(&["receive", &second]).ok();
    let pending = alice.hazel(&["pending", "--json"]).ok().json();
    let mut states: Vec<_> = pending["tokens"].as_array().expect("a list").iter().map(state).collect();
    states.sort_unstable();
    assert_eq!(states, [(1, "unclaimed"), (2, "claimed"), (4, "unclaimed")], "{pending}");
    let listed = alice.hazel(&["take-back", "--json"]).ok().json();
    assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(2), "{listed}");

    let listed = listed["tokens"].as_array().expect("a list");
    let of_one = listed.iter().find(|token| token["value"] == 1).expect("the first token");
    let operation = of_one["operation"].as_str().expect("an operation").to_owned();
    alice.hazel_reads(&["take-back", &operation], "n\n").fails_with(1);
    assert_eq!(alice.balance(), (57, 0, 5));
    alice.hazel_reads(&["take-back", &operation], "y\n").ok();
    assert_eq!(alice.balance(), (58, 0, 4));
    bob.hazel(&["receive", &first]).fails_with(1);
    let all = alice.hazel(&["--yes", "--json", "take-back", "--all"]).ok().json();
    assert_eq!(all["taken_back"][0]["amount"], 4, "{all}");
    bob.hazel(&["receive", &third]).fails_with(1);
    alice.hazel(&["--yes", "take-back", &operation]).fails_with(1);
    alice.hazel(&["--yes", "take-back", "01890000-0000-7000-8000-000000000000"]).fails_with(1);
    assert_eq!((alice.balance(), bob.balance()), ((62, 0, 0), (2, 0, 0)));
}

#[test]
fn a_locked_token_is_taken_while_the_mint_is_away() {
    let mut world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    bob.hazel(&["mint", "1"]).ok();
    let locked = send(&alice, &["8", "--lock-to", &key(&bob)]);
    let open = send(&alice, &["4"]);
    world.mint.kill();

    let refused = bob.hazel(&["receive", "--offline", &open]).fails_with(1);
    assert!(refused.err.contains("not locked to this wallet"), "{refused:?}");
    bob.hazel(&["receive", &locked]).fails_with(3);
    let stored = bob.hazel(&["--json", "receive", "--offline", &locked]).ok().json();
    assert_eq!(stored["received"][0]["state"], "stored", "{stored}");
    bob.hazel(&["receive", "--offline", &locked]).fails_with(1);
    assert_eq!(bob.balance().0, 1, "it counts once it is swapped");
    // What fits exactly can be sent meanwhile.
    let coins = alice.hazel(&["--yes", "--json", "send", "52", "--offline"]).ok().json();
    assert_eq!(coins["fee"], 0, "{coins}");
    world.mint.restart(&[]);
    bob.hazel(&["pending"]).ok();
    assert_eq!(bob.balance(), (9, 0, 0));
}

#[test]
fn several_tokens_are_taken_at_once() {
    let world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    let tokens: Vec<String> = ["1", "2", "4"].iter().map(|amount| send(&alice, &[amount])).collect();
    let input = format!("{}\n\n{}\n{}\n{}", tokens[0], tokens[1], tokens[0], tokens[2]);
    let said = bob.hazel_reads(&["--json", "receive"], &input).fails_with(1).json();
    assert_eq!(said["received"].as_array().map(Vec::len), Some(3), "{said}");
    assert_eq!(said["error"]["kind"], "refused", "{said}");
    assert_eq!(bob.balance(), (7, 0, 0));
    bob.hazel_reads(&["receive"], "").fails_with(2);
}

#[test]
fn many_small_coins_become_few() {
    let world = World::new(0);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    alice.hazel(&["mint", "64"]).ok();
    for _ in 0..12 {
        bob.hazel(&["receive", &send(&alice, &["1"])]).ok();
    }
    bob.hazel_reads(&["consolidate"], "n\n").fails_with(1);
    let done = bob.hazel(&["--yes", "--json", "consolidate"]).ok().json();
    assert_eq!((done["consolidated"].as_bool(), done["coins_before"].as_u64()), (Some(true), Some(12)), "{done}");
    let again = bob.hazel(&["--yes", "--json", "consolidate"]).ok().json();
    assert_eq!(again["consolidated"], false);
    assert_eq!(bob.balance(), (12, 0, 0));
}

#[test]
fn money_of_a_mint_that_is_not_trusted_is_moved_to_one_that_is() {
    let mut world = World::new(0);
    let (alice, bob) = (world.user("alice"), User::new(world.folder().join("bob"), None));
    alice.hazel(&["mint", "512"]).ok();
    let token = send(&alice, &["200", "--memo", "tea"]);
    world.stop_settling();
    let home = world.payee();
    let swap = ["receive", &token, "--swap-to", &home.url()];
    bob.hazel(&swap).fails_with(1);
    bob.hazel(&["mints", "add", &home.url()]).ok();
    bob.hazel_reads(&swap, "n\n").fails_with(1);
    assert_eq!(bob.balance(), (0, 0, 0), "the token is still good");
    let mut all = vec!["--yes", "--json"];
    all.extend(swap);
    let said = bob.hazel(&all).ok().json();
    let part = &said["received"][0];
    let number = |name: &str| part[name].as_u64().expect("an amount");
    assert_eq!(part["swapped_to"].as_str(), Some(home.url().as_str()), "{said}");
    assert_eq!(number("amount") + number("fee") + number("left"), 200, "{said}");
    assert!(number("amount") > 180, "{said}");
    let at_home = bob.hazel(&["--json", "--mint", &home.url(), "balance"]).ok().json();
    assert_eq!(at_home["total"]["sat"].as_u64(), Some(number("amount")), "{at_home}");
    let listed = bob.hazel(&["mints", "--json"]).ok().json();
    assert_eq!(listed["mints"].as_array().map(Vec::len), Some(1), "it is not trusted by that: {listed}");
    bob.hazel(&["receive", &send(&alice, &["8"])]).fails_with(1);
}

#[test]
fn a_mint_is_trusted_by_saying_so() {
    let world = World::new(0);
    let alice = world.user("alice");
    alice.hazel(&["mint", "64"]).ok();
    let token = send(&alice, &["8"]);
    let stranger = User::new(world.folder().join("stranger"), None);
    stranger.hazel(&["receive", &token]).fails_with(1);
    stranger.hazel(&["receive", &token, "--trust"]).ok();
    assert_eq!(stranger.balance(), (8, 0, 0));
    assert!(stranger.hazel(&["mints"]).ok().out.contains(&world.mint.url()));
}
