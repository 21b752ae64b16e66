//! All wallets of one store and seed: one for each mint and unit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hazel_protocol::{CurrencyUnit, MintUrl};

use crate::errand::Errand;
use crate::error::Error;
use crate::ports::{ApplyError, Change, Conflict, Environment, ErrandId, ErrandRecord, MintConnector, Store};
use crate::resume::Resumed;
use crate::seed::Seed;
use crate::wallet::{Policy, Wallet};

/// How often a change of an errand is made anew because somebody else changed it.
const MAX_OVERTAKEN: u32 = 16;

/// Makes the connection to a mint when one is needed.
pub trait Connect: Send + Sync + 'static {
    /// A connector for the mint. Opens no connection yet.
    ///
    /// # Errors
    /// Why this mint is not dealt with, for people.
    fn connect(&self, mint: &MintUrl) -> Result<Arc<dyn MintConnector>, String>;
}

impl<F> Connect for F
where
    F: Fn(&MintUrl) -> Result<Arc<dyn MintConnector>, String> + Send + Sync + 'static,
{
    fn connect(&self, mint: &MintUrl) -> Result<Arc<dyn MintConnector>, String> {
        self(mint)
    }
}

/// All wallets of one store and seed. Clones are the same; make it once and clone it.
///
/// ```
/// use std::sync::Arc;
///
/// use hazel_protocol::{CurrencyUnit, MintUrl};
/// use hazel_wallet::ports::{Environment, MintConnector};
/// use hazel_wallet::store::MemoryStore;
/// use hazel_wallet::{Error, Policy, Seed, Wallets};
///
/// fn open(seed: Seed, environment: Arc<dyn Environment>, connector: Arc<dyn MintConnector>) -> Result<(), Error> {
///     let connect = move |_: &MintUrl| Ok(Arc::clone(&connector));
///     let wallets = Wallets::new(Arc::new(MemoryStore::new()), seed, environment, Policy::default(), connect);
///     let mint = "https://mint.example".parse().expect("a url");
///     assert_eq!(wallets.wallet(&mint, &CurrencyUnit::Sat)?.unit(), &CurrencyUnit::Sat);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Wallets {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    seed: Seed,
    environment: Arc<dyn Environment>,
    policy: Policy,
    connect: Box<dyn Connect>,
    opened: Mutex<BTreeMap<(MintUrl, CurrencyUnit), Wallet>>,
}

impl std::fmt::Debug for Wallets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallets").finish_non_exhaustive()
    }
}

impl Wallets {
    /// All wallets of a store. Asks nobody.
    pub fn new(
        store: Arc<dyn Store>,
        seed: Seed,
        environment: Arc<dyn Environment>,
        policy: Policy,
        connect: impl Connect,
    ) -> Self {
        let connect = Box::new(connect);
        Self { inner: Arc::new(Inner { store, seed, environment, policy, connect, opened: Mutex::default() }) }
    }

    /// The wallet of a mint and unit, the same one for every call. Asks nothing of the mint.
    ///
    /// # Errors
    /// [`Error::NoConnection`].
    pub fn wallet(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Wallet, Error> {
        let mut opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (mint.clone(), unit.clone());
        if let Some(wallet) = opened.get(&key) {
            return Ok(wallet.clone());
        }
        let Inner { store, seed, environment, policy, connect, .. } = &*self.inner;
        let connector = connect.connect(mint).map_err(|reason| Error::NoConnection(mint.clone(), reason))?;
        let (store, environment) = (Arc::clone(store), Arc::clone(environment));
        let wallet =
            Wallet::open_with(store, connector, seed.clone(), mint.clone(), unit.clone(), environment, *policy)?;
        opened.insert(key, wallet.clone());
        Ok(wallet)
    }

    /// The wallets of every mint that was added, for each unit it has keysets of. Mints that cannot be dealt with are left out.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn all(&self) -> Result<Vec<Wallet>, Error> {
        let mut all = Vec::new();
        for mint in self.store().mints().await? {
            let keysets = self.store().keysets(&mint.url).await?;
            let mut units: Vec<CurrencyUnit> = keysets.into_iter().map(|record| record.keyset.unit).collect();
            units.sort();
            units.dedup();
            all.extend(units.iter().filter_map(|unit| self.wallet(&mint.url, unit).ok()));
        }
        Ok(all)
    }

    /// Takes up every operation of every wallet, as [`Wallet::resume`] does, and then sees what became of the errands.
    /// Deliveries are tried again by [`deliver_open`](Self::deliver_open).
    ///
    /// # Errors
    /// [`Error::Read`]. What goes wrong with one operation is in its [`Resumed`].
    pub async fn resume(&self) -> Result<Vec<Resumed>, Error> {
        let mut resumed = Vec::new();
        for wallet in self.all().await? {
            resumed.extend(wallet.resume().await?);
        }
        self.settle_errands().await?;
        Ok(resumed)
    }

    /// Reads off the operations what became of each errand. Asks nobody.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Store`].
    pub async fn settle_errands(&self) -> Result<(), Error> {
        for record in self.store().open_errands().await? {
            match record.errand {
                Errand::Request(_) => drop(self.settle_request(record.id, None).await?),
                Errand::Delivery(_) => drop(self.settle_delivery(record.id).await?),
                Errand::Parts(_) => drop(self.settle_parts(record.id).await?),
            }
        }
        Ok(())
    }
}

/// Everything below is for what is built on errands.
impl Wallets {
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// A new id: a UUID v7 of the environment's time and randomness.
    pub(crate) fn new_errand_id(&self) -> ErrandId {
        let mut random = [0; 10];
        self.inner.environment.fill_random(&mut random);
        let millis = self.inner.environment.now().to_unix().saturating_mul(1000);
        ErrandId::from_bytes(*uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_bytes())
    }

    pub(crate) async fn keep_new(&self, id: ErrandId, errand: Errand) -> Result<ErrandRecord, Error> {
        let now = self.inner.environment.now();
        let record = ErrandRecord { id, version: 1, created_at: now, updated_at: now, errand };
        self.keep(&record).await?;
        Ok(record)
    }

    async fn keep(&self, record: &ErrandRecord) -> Result<(), ApplyError> {
        let mut tries = 1;
        loop {
            match self.store().apply(Change::KeepErrand(Box::new(record.clone()))).await {
                Err(ApplyError::Ambiguous(_)) if tries < 5 => {
                    self.inner.environment.sleep(std::time::Duration::from_secs(tries)).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Changes an errand: `change` gets it as it stands and says how it shall stand, or that it may stay. Made anew when somebody
    /// else was faster, so that every change sees the one before. A change of an errand that is done is none.
    pub(crate) async fn change_errand(
        &self,
        id: ErrandId,
        change: impl Fn(&Errand) -> Result<Option<Errand>, Error>,
    ) -> Result<ErrandRecord, Error> {
        for _ in 0..MAX_OVERTAKEN {
            let known = self.store().errand(id).await?.ok_or(Error::OperationUnknown)?;
            let Some(errand) = change(&known.errand)?.filter(|errand| *errand != known.errand) else {
                return Ok(known);
            };
            let version = known.version.saturating_add(1);
            let next = ErrandRecord { version, updated_at: self.inner.environment.now(), errand, ..known };
            match self.keep(&next).await {
                Ok(()) => return Ok(next),
                Err(ApplyError::Conflict(Conflict::ErrandMoved)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Stale)
    }
}
