//! Payments that several mints make together, and payments that outlive the process that ordered them.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_protocol::{CurrencyUnit, MintUrl, QuoteId};
use hazel_wallet::errand::PartsState;
use hazel_wallet::ports::Store;
use hazel_wallet::state::State;
use hazel_wallet::{Error, MeltOutcome, PartsOutcome, Wallets};
use support::mint::{Lightning, invoice};
use support::{Bank, Fault, KeysetKind, Link, Peer, sat};

const SECOND: &str = "https://second.example";

/// A wallet at two mints that pay parts.
struct World {
    banks: [Arc<Bank>; 2],
    alice: Peer,
    line: Arc<Link>,
}

impl World {
    async fn new(amounts: [u64; 2], fee_ppk: u64) -> Self {
        let bank = || Arc::new(Bank::new(KeysetKind::V2, fee_ppk));
        let banks = [bank(), bank()];
        for bank in &banks {
            bank.pay_parts();
        }
        let alice = Peer::with(&banks[0], 1, amounts[0]).await;
        let line = Arc::new(Link::new(Arc::clone(&banks[1]), Arc::clone(&alice.crash)));
        let world = Self { banks, alice, line };
        let second = world.wallets().wallet(&second(), &CurrencyUnit::Sat).unwrap();
        second.add_mint().await.unwrap();
        let mut pending = second.prepare_mint(sat(amounts[1]), None).await.unwrap();
        pending.wait_paid(&mut |_| {}).await.unwrap();
        pending.confirm().await.unwrap();
        world
    }

    /// As after a restart.
    fn wallets(&self) -> Wallets {
        self.alice.wallets(&[(SECOND, &self.line)])
    }

    /// What is free and what is held, over both mints.
    async fn sums(&self) -> (u64, u64) {
        let balances = self.alice.disk.balances().await.unwrap();
        let free = balances.iter().map(|sum| sum.available.to_u64()).sum();
        (free, balances.iter().map(|sum| sum.held.to_u64()).sum())
    }

    fn owed(&self) -> u64 {
        self.banks.iter().map(|bank| bank.outstanding()).sum()
    }

    fn quote_of(&self, bank: usize) -> QuoteId {
        let route = ["https://mint.example", SECOND][bank].parse().unwrap();
        let rows =
            futures_util::future::FutureExt::now_or_never(self.alice.disk.unfinished(&route, &CurrencyUnit::Sat));
        let rows = rows.unwrap().unwrap();
        let mut quotes = rows.into_iter().filter_map(|row| match row.state {
            State::MeltRequested(state) => Some(state.prepared.quote.quote),
            _ => None,
        });
        quotes.next_back().unwrap()
    }
}

fn second() -> MintUrl {
    SECOND.parse().unwrap()
}

fn outside(sat: u64) -> String {
    invoice(sat, &QuoteId::new("outside").unwrap())
}

#[tokio::test]
async fn two_mints_pay_what_none_of_them_could() {
    for fee_ppk in [0, 100, 1000] {
        let world = World::new([64, 64], fee_ppk).await;
        let wallets = world.wallets();
        let prepared = wallets.prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
        let shares: Vec<u64> = prepared.shares().iter().map(|(_, share)| share.to_u64()).collect();
        assert_eq!((shares.len(), shares.iter().sum::<u64>()), (2, 90), "{shares:?}");
        let most = prepared.most_fee().to_u64();
        let PartsOutcome::Paid(paid) = prepared.confirm().await.unwrap() else { panic!("pending") };
        let fees: u64 = paid.iter().map(|part| part.fee.to_u64()).sum();
        assert!(fees <= most, "{fees} of {most}");
        assert_eq!(world.sums().await, (128 - 90 - fees, 0));
        // What routing cost is the network's, the rest of the fees the mints'.
        assert!(world.owed() >= 128 - 90 - fees);
        assert_eq!(world.alice.disk.open_errands().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn one_mint_pays_all_when_it_can() {
    let world = World::new([200, 64], 0).await;
    let prepared = world.wallets().prepare_parts(&outside(100), &CurrencyUnit::Sat).await.unwrap();
    assert_eq!(prepared.shares().len(), 1);
    assert!(matches!(prepared.confirm().await, Ok(PartsOutcome::Paid(_))));
}

#[tokio::test]
async fn what_fails_fails_as_a_whole_and_everything_comes_back() {
    let world = World::new([64, 64], 0).await;
    let wallets = world.wallets();
    for bank in &world.banks {
        bank.set_lightning(Lightning::Fails);
    }
    let prepared = wallets.prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
    assert!(world.sums().await.1 >= 90, "the proofs are held");
    let error = prepared.confirm().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(world.sums().await, (128, 0));
    assert_eq!(world.owed(), 128);
}

#[tokio::test]
async fn too_little_is_said_and_nothing_stays_held() {
    let world = World::new([64, 64], 0).await;
    let wallets = world.wallets();
    for amount in [125, 129, 1000] {
        let error = wallets.prepare_parts(&outside(amount), &CurrencyUnit::Sat).await.unwrap_err();
        assert!(matches!(error, Error::InsufficientFunds { .. }), "{amount}: {error}");
        assert_eq!(world.sums().await, (128, 0), "{amount}");
    }
    let prepared = wallets.prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
    prepared.cancel().await.unwrap();
    assert_eq!(world.sums().await, (128, 0));
    // A mint that does not answer pays nothing.
    world.line.fail("keysets", [Fault::NotSent]);
    let error = wallets.prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientFunds { .. }), "{error}");
    assert_eq!(world.sums().await, (128, 0));
}

#[tokio::test]
async fn parts_that_hang_are_decided_after_a_restart() {
    for fee in [Some(1), None] {
        let world = World::new([64, 64], 0).await;
        for bank in &world.banks {
            bank.set_lightning(Lightning::Hangs);
        }
        let prepared = world.wallets().prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
        let PartsOutcome::Pending { errand } = prepared.confirm().await.unwrap() else { panic!("decided") };
        let wallets = world.wallets();
        wallets.resume().await.unwrap();
        assert_eq!(wallets.parts_state(errand).await, Ok(PartsState::Open));
        for (number, bank) in world.banks.iter().enumerate() {
            bank.resolve_melt(&world.quote_of(number), fee);
            bank.set_lightning(if fee.is_some() { Lightning::Pays(1) } else { Lightning::Fails });
        }
        wallets.resume().await.unwrap();
        let expected = if fee.is_some() { PartsState::Paid } else { PartsState::Failed };
        assert_eq!(wallets.parts_state(errand).await, Ok(expected));
        assert_eq!(world.sums().await, (if fee.is_some() { 128 - 90 - 2 } else { 128 }, 0));
    }
}

#[tokio::test]
async fn a_payment_torn_by_its_receiver_is_said_to_be_that() {
    let world = World::new([64, 64], 0).await;
    world.banks[1].set_lightning(Lightning::Fails);
    let prepared = world.wallets().prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
    let share = prepared.shares()[0].1.to_u64();
    assert_eq!(prepared.confirm().await, Err(Error::Torn));
    assert_eq!(world.sums().await, (128 - share - 1, 0), "the other mint gave its part back");
}

/// Cut off at each step in turn, started again: whatever was paid is paid, and the rest is free.
#[tokio::test]
async fn parts_that_are_cut_off_lose_nothing() {
    let mut steps = 0;
    loop {
        let world = World::new([64, 64], 0).await;
        let wallets = world.wallets();
        let prepared = wallets.prepare_parts(&outside(90), &CurrencyUnit::Sat).await.unwrap();
        world.alice.crash.after(steps);
        let done = support::run_until_crash(&world.alice.crash, Box::pin(prepared.confirm())).await.is_some();
        world.alice.crash.never();
        let wallets = world.wallets();
        wallets.resume().await.unwrap();
        let (free, held) = world.sums().await;
        assert_eq!((free, held), (world.owed(), 0), "step {steps}");
        assert_eq!(world.alice.disk.open_errands().await.unwrap().len(), 0, "step {steps}");
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 8, "{steps}");
}

#[tokio::test]
async fn a_payment_that_is_only_ordered_is_followed_by_whoever_opens_the_wallet() {
    for fee in [Some(1), None] {
        let world = World::new([64, 64], 0).await;
        world.banks[0].set_lightning(Lightning::Hangs);
        let prepared = world.alice.wallet.prepare_melt(&outside(20), None).await;
        // The wallet of before has lost its session to the second mint's.
        drop(prepared);
        let alice = world.wallets().wallet(&support::world::url(), &CurrencyUnit::Sat).unwrap();
        alice.resume().await.unwrap();
        let prepared = alice.prepare_melt(&outside(20), None).await.unwrap();
        let MeltOutcome::Pending { operation } = prepared.order().await.unwrap() else { panic!("waited") };
        assert!(world.alice.link.copies("melt").iter().all(|json| json.contains(r#""prefer_async":true"#)));
        assert_eq!(world.alice.link.copies("melt_quote_status").len(), 0, "nobody waits");

        let later = world.wallets().wallet(&support::world::url(), &CurrencyUnit::Sat).unwrap();
        let mut waits = 0;
        let decided = {
            let (bank, quote) = (Arc::clone(&world.banks[0]), world.quote_of(0));
            let mut waiting = || {
                waits += 1;
                if waits == 3 {
                    bank.resolve_melt(&quote, fee);
                    bank.set_lightning(Lightning::Fails);
                }
            };
            later.wait_melt(operation, &mut waiting).await
        };
        match fee {
            Some(fee) => assert_eq!(decided.unwrap().fee, sat(fee)),
            None => assert!(matches!(decided, Err(Error::Refused { .. })), "{decided:?}"),
        }
        assert_eq!(world.sums().await, (if fee.is_some() { 128 - 21 } else { 128 }, 0));
        let unknown = later.wait_melt(hazel_wallet::ports::OperationId::from_bytes([9; 16]), &mut || {}).await;
        assert_eq!(unknown, Err(Error::OperationUnknown));
    }
}
