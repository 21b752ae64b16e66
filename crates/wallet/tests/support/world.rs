//! Clock, randomness and crashes under control, and a wallet with everything around it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hazel_protocol::{CurrencyUnit, KeysetId, MintUrl, PointBytes, ProofState};
use hazel_wallet::ports::{
    ApplyError, BalanceRecord, Change, Environment, ErrandId, ErrandRecord, HistoryEntry, KeysetRecord, MintConnector,
    MintRecord, OperationId, OperationRecord, ProofRecord, ProofStatus, ReadError, SeedFingerprint, SessionId, Store,
    Timestamp,
};
use hazel_wallet::store::MemoryStore;
use hazel_wallet::{Policy, Seed, Wallet, Wallets};
use tokio::sync::Notify;

use super::{Bank, Link, sat};

/// Time that passes only when somebody waits, and numbers that look random.
pub struct TestEnvironment {
    now: AtomicU64,
    drawn: AtomicU64,
}

impl TestEnvironment {
    pub fn new(salt: u64) -> Self {
        Self { now: AtomicU64::new(1_000_000), drawn: AtomicU64::new(salt << 32) }
    }

    pub fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now.load(Ordering::SeqCst))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut x = self.drawn.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x ^= x >> 29;
            *byte = u8::try_from(x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56).unwrap();
        }
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.now.fetch_add(delay.as_secs(), Ordering::SeqCst);
        Box::pin(tokio::task::yield_now())
    }
}

/// Stops everything at the n-th step.
#[derive(Default)]
pub struct Crash {
    steps_left: AtomicU64,
    hit: Notify,
}

impl Crash {
    pub fn never(&self) {
        self.steps_left.store(u64::MAX, Ordering::SeqCst);
    }

    pub fn after(&self, steps: u64) {
        self.steps_left.store(steps, Ordering::SeqCst);
    }

    /// A step. Whoever reaches it when none is left goes no further.
    pub async fn point(&self) {
        let left = self.steps_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.hit.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Runs something until it ends, or until it is cut off: then none.
pub async fn run_until_crash<T>(crash: &Crash, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = crash.hit.notified() => None,
        done = work => Some(done),
    }
}

/// A store that can be cut off before and after each change.
pub struct CrashStore {
    inner: MemoryStore,
    crash: Arc<Crash>,
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for CrashStore {
            fn session(&self) -> SessionId {
                self.inner.session()
            }

            async fn apply(&self, change: Change) -> Result<(), ApplyError> {
                self.crash.point().await;
                let answer = self.inner.apply(change).await;
                self.crash.point().await;
                answer
            }

            async fn history(
                &self,
                of: Option<(&MintUrl, &CurrencyUnit)>,
                before: Option<OperationId>,
                limit: u32,
            ) -> Result<Vec<HistoryEntry>, ReadError> {
                self.inner.history(of, before, limit).await
            }

            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, ReadError> {
                self.inner.$name($($arg),*).await
            })*
        }
    };
}

pass_on! {
    session_gone(session: SessionId) -> bool;
    mints() -> Vec<MintRecord>;
    mint(url: &MintUrl) -> Option<MintRecord>;
    keysets(mint: &MintUrl) -> Vec<KeysetRecord>;
    counter(seed: SeedFingerprint, keyset: KeysetId) -> u64;
    proofs(mint: &MintUrl, unit: &CurrencyUnit, status: ProofStatus) -> Vec<ProofRecord>;
    proofs_by_y(ys: &[PointBytes]) -> Vec<Option<ProofRecord>>;
    held_by(operation: OperationId) -> Vec<ProofRecord>;
    sent_by(operation: OperationId) -> Vec<ProofRecord>;
    operation(id: OperationId) -> Option<OperationRecord>;
    unfinished(mint: &MintUrl, unit: &CurrencyUnit) -> Vec<OperationRecord>;
    watched(mint: &MintUrl, unit: &CurrencyUnit) -> Vec<OperationRecord>;
    errand(id: ErrandId) -> Option<ErrandRecord>;
    open_errands() -> Vec<ErrandRecord>;
    balances() -> Vec<BalanceRecord>;
}

pub fn seed(number: u8) -> Seed {
    Seed::from_bytes(zeroize::Zeroizing::new([number; 64]))
}

pub fn url() -> MintUrl {
    "https://mint.example".parse().unwrap()
}

/// A wallet with its disk, its line to the mint, and its world.
pub struct Peer {
    pub wallet: Wallet,
    pub disk: MemoryStore,
    pub link: Arc<Link>,
    pub world: Arc<TestEnvironment>,
    pub crash: Arc<Crash>,
    seed: u8,
}

impl Peer {
    /// A wallet that knows the mint and is empty.
    pub async fn new(bank: &Arc<Bank>, seed: u8) -> Self {
        let peer = Self::stranger(bank, seed);
        peer.wallet.add_mint().await.expect("the mint answers");
        peer
    }

    /// A wallet that does not know the mint yet.
    pub fn stranger(bank: &Arc<Bank>, seed: u8) -> Self {
        let crash = Arc::new(Crash::default());
        crash.never();
        let link = Arc::new(Link::new(Arc::clone(bank), Arc::clone(&crash)));
        let world = Arc::new(TestEnvironment::new(u64::from(seed)));
        Self::around(MemoryStore::new(), link, world, crash, seed)
    }

    fn around(disk: MemoryStore, link: Arc<Link>, world: Arc<TestEnvironment>, crash: Arc<Crash>, number: u8) -> Self {
        let store = CrashStore { inner: disk.reopen(), crash: Arc::clone(&crash) };
        let environment: Arc<TestEnvironment> = Arc::clone(&world);
        let connector: Arc<Link> = Arc::clone(&link);
        let wallet =
            Wallet::open(Arc::new(store), connector, seed(number), url(), CurrencyUnit::Sat, environment).unwrap();
        Self { wallet, disk, link, world, crash, seed: number }
    }

    /// All wallets on the same disk, as after a restart, of this mint and of others by their URL.
    pub fn wallets(&self, others: &[(&str, &Arc<Link>)]) -> Wallets {
        let mut links: BTreeMap<MintUrl, Arc<Link>> = BTreeMap::from([(url(), Arc::clone(&self.link))]);
        links.extend(others.iter().map(|(url, link)| (url.parse().unwrap(), Arc::clone(link))));
        let store = CrashStore { inner: self.disk.reopen(), crash: Arc::clone(&self.crash) };
        let environment: Arc<TestEnvironment> = Arc::clone(&self.world);
        let connect = move |mint: &MintUrl| -> Result<Arc<dyn MintConnector>, String> {
            let link = links.get(mint).ok_or_else(|| "there is no line to it".to_owned())?;
            let connector: Arc<Link> = Arc::clone(link);
            Ok(connector)
        };
        Wallets::new(Arc::new(store), seed(self.seed), environment, Policy::default(), connect)
    }

    /// Another wallet on the same disk.
    pub fn wallet_with(&self, mint: &str, policy: Policy) -> Wallet {
        let (connector, environment) = (Arc::clone(&self.link), Arc::clone(&self.world));
        let store = Arc::new(self.disk.reopen());
        let mint = mint.parse().unwrap();
        Wallet::open_with(store, connector, seed(self.seed), mint, CurrencyUnit::Sat, environment, policy).unwrap()
    }

    /// The same wallet after its process ended and was started again.
    #[must_use]
    pub fn restart(self) -> Self {
        self.crash.never();
        let Self { disk, link, world, crash, seed, .. } = self;
        Self::around(disk, link, world, crash, seed)
    }

    /// A wallet with this much, in the denominations of a fresh mint.
    pub async fn with(bank: &Arc<Bank>, seed: u8, amount: u64) -> Self {
        let peer = Self::new(bank, seed).await;
        peer.mint(amount).await;
        peer
    }

    pub async fn mint(&self, amount: u64) {
        let mut pending = self.wallet.prepare_mint(sat(amount), None).await.expect("a quote");
        self.link.bank.pay_invoice(pending.quote());
        pending.wait_paid(&mut |_| {}).await.expect("paid");
        pending.confirm().await.expect("minted");
    }

    pub async fn available(&self) -> u64 {
        self.wallet.balance().await.expect("a read").available.to_u64()
    }

    /// The keysets of the free proofs.
    pub async fn free_keysets(&self) -> Vec<KeysetId> {
        let free = self.disk.proofs(&url(), &CurrencyUnit::Sat, ProofStatus::Available).await.expect("a read");
        free.into_iter().map(|proof| proof.proof.id).collect()
    }

    /// Everything that is the wallet's, whatever its status.
    pub async fn total(&self) -> u64 {
        let balance = self.wallet.balance().await.expect("a read");
        balance.available.to_u64() + balance.held.to_u64() + balance.sent.to_u64()
    }

    /// Checks that nothing is held, and that the mint honours everything that is free.
    pub async fn assert_sound(&self, at: &str) {
        let balance = self.wallet.balance().await.expect("a read");
        assert_eq!(balance.held, sat(0), "{at}: something is held");
        for status in [ProofStatus::Available, ProofStatus::Sent] {
            let proofs = self.disk.proofs(&url(), &CurrencyUnit::Sat, status).await.expect("a read");
            for proof in proofs {
                assert_eq!(self.link.bank.state_of(&proof.y), ProofState::Unspent, "{at}: {status:?}");
            }
        }
    }
}
