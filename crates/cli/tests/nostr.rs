//! The list of mints kept at a relay, and a wallet that was lost, found again by its words.

#[path = "../../nostr/tests/relay/mod.rs"]
#[allow(dead_code, reason = "only an honest relay is needed here")]
mod relay;
mod support;

use relay::{Manner, Relay};
use support::{User, World};

#[test]
fn a_lost_wallet_finds_its_mints_and_its_money_by_its_words() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let relay = runtime.block_on(Relay::start(Manner::Honest));
    let url = relay.url.as_str();
    let world = World::new(300);
    let alice = world.user("alice");
    alice.hazel(&["mint", "100"]).ok();
    // Nobody listens there.
    let closed = "ws://127.0.0.1:1";
    alice.hazel(&["backup", "--allow-http", "--to-nostr", closed]).fails_with(3);
    // Without encryption only if that is asked for.
    alice.hazel(&["backup", "--to-nostr", url]).fails_with(3);
    let kept = alice.hazel(&["--json", "backup", "--allow-http", "--to-nostr", url, closed]).ok().json();
    assert_eq!((&kept["relays"][0]["kept"], &kept["relays"][1]["kept"]), (&true.into(), &false.into()), "{kept}");
    let events = relay.events();
    assert_eq!(events.len(), 1);
    assert!(!events[0].to_string().contains("127.0.0.1"), "only the seed can read it");

    let words = alice.hazel(&["--yes", "seed", "show"]).ok().out;
    let bob = User::new(world.folder().join("bob"), None);
    bob.hazel_reads(&["init", "--from-words", "-"], &words).ok();
    bob.hazel(&["--yes", "restore", "--allow-http", "--from-nostr", closed]).fails_with(3);
    let found = bob.hazel(&["--yes", "--json", "restore", "--allow-http", "--from-nostr", closed, url]).ok().json();
    assert_eq!(found["restored"][0]["amount"], 100, "{found}");
    assert_eq!(bob.balance().0, 100);

    let carol = User::new(world.folder().join("carol"), None);
    carol.hazel(&["init"]).ok();
    carol.hazel(&["--yes", "restore", "--allow-http", "--from-nostr", url]).fails_with(1);
}
