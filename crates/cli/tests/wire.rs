//! The wire between the real wallet and a real mint fails at every request, in every way, and no sat is lost.
//!
//! `loss::Proxy` says what can go wrong. A command is run with its first request hit, then with its second, until it comes to its end
//! without one that was. After each the wire works again, the wallet goes on with what is open, and everything is counted.

mod loss;
mod support;

use std::time::Duration;

use loss::{Fault, Proxy, Spell, World};
use support::{Said, User};

/// How long a user looks at a command that waits for its mint, before Ctrl-C. Longer than a command tries by itself.
const LOOKED_AT: Duration = Duration::from_secs(15);

/// More requests than any command sends.
const MAX_REQUESTS: usize = 60;

/// How a request may be lost: hit once with the wire good again at once, or with nothing getting through any more.
const LOSSES: [(Fault, Spell); 5] = [
    (Fault::LoseRequest, Spell::Once),
    (Fault::LoseAnswer, Spell::Once),
    (Fault::CutAnswer, Spell::Once),
    (Fault::LoseAnswer, Spell::Dead),
    (Fault::LoseRequest, Spell::Dead),
];

/// What alice runs.
type Command = fn(&Wired) -> Vec<String>;

/// A world in which alice's wire to the mint can fail.
struct Wired {
    world: World,
    proxy: Proxy,
    /// Knows the mint by the proxy's address alone.
    alice: User,
}

impl Wired {
    fn new() -> Self {
        let world = World::new();
        let proxy = Proxy::start(&world.mint.url());
        let alice = User::new(world.path("wired"), None).at(proxy.url());
        alice.hazel(&["mint", "20000"]).ok();
        Self { world, proxy, alice }
    }

    /// A token of bob's, as if his mint had the proxy's address.
    fn token(&self, amount: &str) -> String {
        let bob = User::new(self.world.path("wired-bob"), None).at(self.proxy.url());
        if !bob.folder().exists() {
            bob.hazel(&["mint", "5000"]).ok();
        }
        bob.hazel(&["send", amount, "--yes"]).ok().token()
    }

    /// Runs alice's command; one that waits for a mint that is gone is stopped by its user.
    #[track_caller]
    fn run(&self, arguments: &[String], at: &str) -> Said {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut running = self.alice.begin(&arguments);
        if !running.ends_within(LOOKED_AT) {
            running.signal("INT");
        }
        let said = running.end();
        assert!(said.code.is_some_and(|code| code < 70 || code == 130), "{at}: {said:#?}");
        said
    }

    #[track_caller]
    fn assert_nothing_lost(&self, at: &str) {
        let bob = User::new(self.world.path("wired-bob"), None).at(self.proxy.url());
        let mut users = vec![&self.world.alice, &self.world.bob, &self.alice];
        if bob.folder().exists() {
            users.push(&bob);
        }
        self.world.assert_nothing_lost(&users, at);
    }

    /// Hits every request of a command, one after another, in every way.
    fn lose_everywhere(&self, name: &str, command: impl Fn(&Self) -> Vec<String>) {
        for (fault, spell) in LOSSES {
            for number in 1..=MAX_REQUESTS {
                let at = format!("{name}: {fault:?} {spell:?} of request {number}");
                let arguments = command(self);
                self.proxy.arm(number, fault, spell);
                let said = self.run(&arguments, &at);
                let hit = self.proxy.mend();
                self.assert_nothing_lost(&at);
                if !hit {
                    assert!(number > 2, "{at}: some requests were hit");
                    assert_eq!(said.code, Some(0), "{at}: {said:#?}");
                    break;
                }
                assert!(number < MAX_REQUESTS, "{at}: it never ends");
            }
        }
    }

    /// Holds back every request of a command, one after another; the mint gets it when all is over for the wallet.
    fn hold_everywhere(&self, name: &str, command: impl Fn(&Self) -> Vec<String>) {
        for spell in [Spell::Once, Spell::Dead] {
            for number in 1..=MAX_REQUESTS {
                let at = format!("{name}: request {number} held back, and then {spell:?}");
                let arguments = command(self);
                self.proxy.arm(number, Fault::Hold, spell);
                self.run(&arguments, &at);
                let hit = self.proxy.mend();
                assert_eq!(hit, self.proxy.holds(), "{at}");
                self.assert_nothing_lost(&at);
                self.proxy.deliver();
                self.assert_nothing_lost(&format!("{at}, and delivered"));
                if !hit {
                    break;
                }
            }
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn mint(_: &Wired) -> Vec<String> {
    words(["mint", "77"])
}

fn send(_: &Wired) -> Vec<String> {
    words(["send", "21", "--yes"])
}

fn receive(wired: &Wired) -> Vec<String> {
    vec!["receive".to_owned(), wired.token("13")]
}

fn pay(wired: &Wired) -> Vec<String> {
    vec!["pay".to_owned(), wired.world.invoice("9"), "--yes".to_owned()]
}

#[test]
fn a_mint_over_a_wire_that_fails_loses_nothing() {
    Wired::new().lose_everywhere("mint", mint);
}

#[test]
fn a_send_over_a_wire_that_fails_loses_nothing() {
    Wired::new().lose_everywhere("send", send);
}

#[test]
fn a_receive_over_a_wire_that_fails_loses_nothing() {
    Wired::new().lose_everywhere("receive", receive);
}

#[test]
fn a_payment_over_a_wire_that_fails_loses_nothing() {
    Wired::new().lose_everywhere("pay", pay);
}

#[test]
fn a_restore_over_a_wire_that_fails_finds_all() {
    let wired = Wired::new();
    let seed = wired.alice.hazel(&["seed", "show", "--yes"]).ok().out;
    let available = wired.alice.balance().0;
    for (fault, spell) in LOSSES {
        for number in 1..=MAX_REQUESTS {
            let at = format!("restore: {fault:?} {spell:?} of request {number}");
            let again = User::new(wired.world.path(&format!("again-{fault:?}-{spell:?}-{number}")), None);
            let again = again.at(wired.proxy.url());
            again.hazel_reads(&["init", "--from-words", "-"], &seed).ok();
            wired.proxy.arm(number, fault, spell);
            let said = again.hazel(&["restore"]);
            let hit = wired.proxy.mend();
            if said.code != Some(0) {
                assert!(hit, "{at}: {said:#?}");
                again.hazel(&["restore"]).ok();
            }
            assert_eq!(again.balance(), (available, 0, 0), "{at}");
            if !hit {
                break;
            }
            assert!(number < MAX_REQUESTS, "{at}: it never ends");
        }
    }
}

#[test]
fn a_mint_or_send_held_back_and_delivered_late_doubles_nothing() {
    let wired = Wired::new();
    wired.hold_everywhere("mint", mint);
    wired.hold_everywhere("send", send);
}

#[test]
fn a_receive_or_payment_held_back_and_delivered_late_doubles_nothing() {
    let wired = Wired::new();
    wired.hold_everywhere("receive", receive);
    wired.hold_everywhere("pay", pay);
}

/// Sends what a wallet has while its request is held back: the mint must not take both.
#[test]
fn what_is_free_after_a_held_request_is_free() {
    let wired = Wired::new();
    let commands: [(&str, Command); 2] = [("send", send), ("pay", pay)];
    for (name, command) in commands {
        for number in 1..=5 {
            let at = format!("{name}: request {number} held back, and all that is free spent");
            let arguments = command(&wired);
            wired.proxy.arm(number, Fault::Hold, Spell::Dead);
            wired.run(&arguments, &at);
            wired.proxy.mend();
            wired.assert_nothing_lost(&at);
            let all = wired.alice.balance().0.to_string();
            let token = wired.alice.hazel(&["send", &all, "--yes"]).ok().token();
            let back = wired.alice.hazel(&["receive", &token]).ok();
            wired.proxy.deliver();
            assert!(back.out.contains("came in"), "{at}: {back:?}");
            wired.assert_nothing_lost(&at);
        }
    }
}
