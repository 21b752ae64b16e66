//! What the tests of lost money share: a world whose every sat is counted after whatever went wrong.
#![allow(dead_code, unused_imports, reason = "each test program uses its own part")]

mod books;
mod proxy;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use hazel_lightning::fake::InvoiceSpec;
use tempfile::TempDir;

pub(crate) use proxy::{Fault, Proxy, Spell};

use books::{Books, assert_paid_once, read_only};

use crate::support::{Mint, NEVER_MS, Said, User};

/// How often a wallet is asked to go on with what is open, before something counts as stuck.
const TRIES: u32 = 40;

/// A mint, a mint elsewhere that is paid, and two wallets: `alice` is the one in trouble.
pub(crate) struct World {
    home: TempDir,
    pub(crate) mint: Mint,
    payee: Mint,
    pub(crate) alice: User,
    pub(crate) bob: User,
    carol: User,
    /// Makes each foreign invoice another.
    invoices: std::cell::Cell<u8>,
}

impl World {
    /// Both wallets hold a lot, and invoices pay themselves at once.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let ledger = home.path().join("lightning.sqlite");
        let mut mint = Mint::start(&home.path().join("mint"), &ledger, 0);
        mint.restart(&[("settle-after-ms", 0), ("pay-after-ms", 0)]);
        let payee = Mint::start(&home.path().join("payee"), &ledger, NEVER_MS);
        let alice = User::new(home.path().join("alice"), Some(&mint));
        let bob = User::new(home.path().join("bob"), Some(&mint));
        let carol = User::new(home.path().join("carol"), Some(&payee));
        for user in [&alice, &bob] {
            user.hazel(&["mint", "20000"]).ok();
        }
        Self { home, mint, payee, alice, bob, carol, invoices: std::cell::Cell::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A token of bob's for alice.
    #[track_caller]
    pub(crate) fn token(&self, amount: &str) -> String {
        self.bob.hazel(&["send", amount, "--yes"]).ok().token()
    }

    /// An invoice elsewhere, which only a payment out of this mint pays.
    #[track_caller]
    pub(crate) fn invoice(&self, amount: &str) -> String {
        self.carol.invoice(amount)
    }

    /// An invoice elsewhere that cannot be paid.
    pub(crate) fn bad_invoice(&self, sat: u64) -> String {
        self.invoices.set(self.invoices.get() + 1);
        let script = r#"{"pay_invoice_state":"FAILED","check_payment_state":"FAILED"}"#;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        InvoiceSpec::foreign([self.invoices.get(); 32], Some(sat * 1_000), script, now).build().expect("an invoice")
    }

    /// Everybody goes on with what is open; then nothing is held by anybody, and the wallets and the tokens that nobody has
    /// claimed are worth what the mint owes, to the sat.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, users: &[&User], at: &str) {
        for user in users {
            settle(user, at);
        }
        let mut owned = 0;
        for user in users {
            let (available, held, sent) = user.balance();
            assert_eq!(held, 0, "{at}: nothing stays held");
            owned += available + sent;
        }
        Books::of(&self.path("mint").join("mint.sqlite")).assert_owned(owned, at);
        assert_paid_once(&self.path("lightning.sqlite"), at);
        for user in users {
            assert_no_counter_twice(user, at);
        }
    }
}

/// Has a wallet go on until nothing is open but invoices that nobody has paid and restores, which wait for their user.
#[track_caller]
fn settle(user: &User, at: &str) {
    for _ in 0..TRIES {
        let said = user.hazel(&["pending", "--json"]);
        assert_eq!(said.code, Some(0), "{at}: {said:#?}");
        let open = said.json()["operations"].as_array().expect("a list").clone();
        let waits = |state: &str| ["MintQuoted", "RestoreScanning"].contains(&state);
        if open.iter().all(|one| waits(one["state"].as_str().expect("a state"))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let open = user.hazel(&["pending"]);
    assert_eq!(open.out, "", "{at}: something does not end");
}

/// The states of a wallet's unfinished operations, as the file has them.
pub(crate) fn open_states(user: &User) -> BTreeSet<String> {
    let path = user.folder().join("wallet.sqlite");
    if !path.exists() {
        return BTreeSet::new();
    }
    let database = read_only(&path);
    let Ok(mut rows) = database.prepare("SELECT DISTINCT state FROM operations WHERE finished = 0") else {
        // It was killed before it had made its tables.
        return BTreeSet::new();
    };
    let states = rows.query_map([], |row| row.get(0)).expect("read");
    states.collect::<Result<_, _>>().expect("text")
}

/// No two proofs of a wallet are of one counter: then the mint would have shown that they are one wallet's.
#[track_caller]
fn assert_no_counter_twice(user: &User, at: &str) {
    let twice = "SELECT count(*) - count(DISTINCT hex(seed) || hex(keyset_id) || counter) FROM proofs WHERE counter IS NOT NULL";
    let database = read_only(&user.folder().join("wallet.sqlite"));
    let twice: i64 = database.query_row(twice, [], |row| row.get(0)).expect("counted");
    assert_eq!(twice, 0, "{at}: no counter is used twice");
}
