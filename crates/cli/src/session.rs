//! An open wallet folder: its seed, its store, its mints, and the engine over them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hazel_http::client::{ClientConfig, HttpConnector, tls_config};
use hazel_nostr::backup::MintBackup;
use hazel_nostr::relay::{RelayConfig, Relays};
use hazel_protocol::{Amount, CurrencyUnit, Curve, MintUrl, neutralise};
use hazel_sqlite::{DatabaseKey, OpenError, OpenOptions, WalletStore};
use hazel_wallet::ports::{Environment, MintConnector, MintRecord, Store};
use hazel_wallet::{Policy, Seed, Wallet, Wallets};

use crate::cli::Global;
use crate::environment::SystemEnvironment;
use crate::failure::{Failure, Kind, add_mint_hint};
use crate::folder::Folder;
use crate::output::Output;
use crate::preferences::Preferences;
use crate::seed;

/// Where `hazeld dev` listens; the mint of a wallet that knows none.
const DEV_MINT: &str = "http://127.0.0.1:3338";

/// How often, and with which pause, a database is tried that another process has: most commands take a moment only.
const OPEN_TRIES: u32 = 20;
const OPEN_PAUSE: Duration = Duration::from_millis(150);

/// An open wallet folder.
pub(crate) struct Session {
    /// What every command understands.
    pub(crate) global: Global,
    /// Where to write.
    pub(crate) output: Output,
    /// The wallet's memory.
    pub(crate) store: Arc<dyn Store>,
    /// What the user prefers.
    pub(crate) preferences: Preferences,
    /// None while the passphrase was not asked for.
    seed: Option<Seed>,
    environment: Arc<SystemEnvironment>,
}

impl Session {
    /// Opens the wallet; a new one is made where there is none. With `may_stay_sealed` nobody is asked for a passphrase.
    pub(crate) async fn open(global: Global, output: Output, may_stay_sealed: bool) -> Result<Self, Failure> {
        let folder = Folder::new(global.wallet.as_deref())?;
        let passphrase = global.passphrase();
        if !seed::exists(&folder) {
            let sealing = if passphrase.is_named() { Some(passphrase.new_one().await?) } else { None };
            seed::create(&folder, sealing.as_ref())?;
            welcome(&folder, &output);
        }
        let seed = if may_stay_sealed && !passphrase.is_named() && seed::is_sealed(&folder)? {
            None
        } else {
            let passphrase = seed::passphrase(&folder, &passphrase).await?;
            Some(seed::read(&folder, passphrase.as_ref())?)
        };
        let store = Memory::open(&global, &folder).await?.store;
        let preferences = Preferences::read(&folder.preferences())?;
        let environment = SystemEnvironment::new().map_err(|error| {
            Failure::new(Kind::Wallet, format!("the operating system gives no randomness: {error}"))
        })?;
        Ok(Self { global, output, store, preferences, seed, environment: Arc::new(environment) })
    }

    /// Whether money can be dealt with.
    pub(crate) const fn is_unlocked(&self) -> bool {
        self.seed.is_some()
    }

    /// Talks to a mint.
    pub(crate) fn connector(&self, mint: &MintUrl) -> Result<HttpConnector, Failure> {
        connector(&self.global, mint)
    }

    /// The engine for a mint and unit. Asks nothing of the mint.
    pub(crate) fn wallet(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Wallet, Failure> {
        self.wallet_with(mint, unit, Policy::default())
    }

    /// As [`wallet`](Self::wallet), with a policy.
    pub(crate) fn wallet_with(&self, mint: &MintUrl, unit: &CurrencyUnit, policy: Policy) -> Result<Wallet, Failure> {
        tracing::debug!(%mint, %unit, "dealing with a mint");
        let connector = Arc::new(self.connector(mint)?);
        let (store, environment) = (Arc::clone(&self.store), Arc::clone(&self.environment));
        let seed = self.seed()?.clone();
        Ok(Wallet::open_with(store, connector, seed, mint.clone(), unit.clone(), environment, policy)?)
    }

    /// The engine over all mints that the user trusts.
    pub(crate) fn wallets(&self) -> Result<Wallets, Failure> {
        let (global, preferences) = (self.global.clone(), self.preferences.clone());
        let connect = move |mint: &MintUrl| -> Result<Arc<dyn MintConnector>, String> {
            if preferences.is_removed(mint) {
                return Err("it is not trusted any more".to_owned());
            }
            let connector = connector(&global, mint).map_err(|failure| failure.message)?;
            Ok(Arc::new(connector))
        };
        let (store, environment) = (Arc::clone(&self.store), Arc::clone(&self.environment));
        Ok(Wallets::new(store, self.seed()?.clone(), environment, Policy::default(), connect))
    }

    /// The list of mints that relays of Nostr keep for the seed (NUT-27).
    pub(crate) fn mint_backup(&self, relays: &[String]) -> Result<MintBackup, Failure> {
        Ok(MintBackup::new(self.relays(relays)?, self.curve(), self.seed()?)?)
    }

    /// The way to these relays of Nostr.
    fn relays(&self, relays: &[String]) -> Result<Relays, Failure> {
        let encrypted = relays.iter().any(|relay| relay.starts_with("wss:"));
        let config = RelayConfig { allow_plain: self.global.allow_http, ..RelayConfig::default() };
        Ok(Relays::new(Arc::new(tls_config(encrypted)?), config))
    }

    /// A context of the curve for keys that are no mint's.
    fn curve(&self) -> Arc<Curve> {
        let mut entropy = [0; 32];
        self.environment.fill_random(&mut entropy);
        Arc::new(Curve::new(&entropy))
    }

    /// The clock and the random source.
    pub(crate) fn environment(&self) -> &SystemEnvironment {
        &self.environment
    }

    fn seed(&self) -> Result<&Seed, Failure> {
        self.seed.as_ref().ok_or_else(|| Failure::new(Kind::Passphrase, "the seed of the wallet is sealed"))
    }

    /// The mints that the user trusts, first added first.
    pub(crate) async fn mints(&self) -> Result<Vec<MintRecord>, Failure> {
        let mut mints = self.store.mints().await?;
        mints.retain(|mint| !self.preferences.is_removed(&mint.url));
        mints.sort_by_key(|mint| mint.added_at);
        Ok(mints)
    }

    /// Whether the user trusts the mint.
    pub(crate) async fn trusts(&self, mint: &MintUrl) -> Result<bool, Failure> {
        Ok(!self.preferences.is_removed(mint) && self.store.mint(mint).await?.is_some())
    }

    /// The mint to deal with: the one that was named, the preferred one, the first one, or that of `hazeld dev`.
    pub(crate) async fn selected_mint(&self) -> Result<MintUrl, Failure> {
        if let Some(named) = &self.global.mint {
            return Ok(named.clone());
        }
        let mints = self.mints().await?;
        if let Some(default) = self.preferences.default_mint()
            && mints.iter().any(|mint| mint.url == *default)
        {
            return Ok(default.clone());
        }
        match mints.into_iter().next() {
            Some(first) => Ok(first.url),
            None => Ok(DEV_MINT.parse()?),
        }
    }

    /// The engine for the selected mint and unit. Naming a mint is trusting it, so it is added when it is new.
    pub(crate) async fn selected_wallet(&mut self) -> Result<Wallet, Failure> {
        let mint = self.selected_mint().await?;
        let wallet = self.wallet(&mint, &self.global.unit_or_sat())?;
        if !self.trusts(&mint).await? {
            self.add(&wallet).await?;
        }
        Ok(wallet)
    }

    /// Trusts a mint from now on, and says so.
    pub(crate) async fn add(&mut self, wallet: &Wallet) -> Result<MintRecord, Failure> {
        let url = wallet.mint_url();
        let record = wallet.add_mint().await.map_err(|error| self.about_new_mint(error.into()))?;
        self.preferences.restore(url)?;
        let info = record.info.clone().unwrap_or_default();
        let name = info.name.as_deref().map(|name| format!(" ({})", neutralise(name))).unwrap_or_default();
        self.output.note(format!("Added the mint {url}{name}."));
        if let Some(motd) = info.motd.filter(|motd| !motd.is_empty()) {
            self.output.note(format!("It says: {motd}"));
        }
        Ok(record)
    }

    /// A mint that nobody named and that is not there: the user has to name one.
    fn about_new_mint(&self, failure: Failure) -> Failure {
        if failure.kind == Kind::Unreachable && self.global.mint.is_none() {
            return failure.hint("name a mint with `--mint URL`, or start one to try things out: `hazeld dev`");
        }
        failure
    }

    /// The engine for a mint that a token is of.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the user does not trust the mint, has not named it and does not want to `trust` it now.
    pub(crate) async fn wallet_of_token(
        &mut self,
        mint: &MintUrl,
        unit: &CurrencyUnit,
        trust: bool,
    ) -> Result<Wallet, Failure> {
        let wallet = self.wallet(mint, unit)?;
        if self.trusts(mint).await? {
            return Ok(wallet);
        }
        if !trust && self.selected_mint().await? != *mint {
            return Err(Failure::new(Kind::Refused, format!("the token is of {mint}, which is not in this wallet"))
                .hint(add_mint_hint(mint.as_str())));
        }
        self.add(&wallet).await?;
        Ok(wallet)
    }

    /// The units that the wallet knows keysets of, at one mint.
    pub(crate) async fn units(&self, mint: &MintUrl) -> Result<BTreeSet<CurrencyUnit>, Failure> {
        let keysets = self.store.keysets(mint).await?;
        Ok(keysets.into_iter().map(|record| record.keyset.unit).collect())
    }

    /// Another mint that holds enough, for a hint.
    pub(crate) async fn mint_with(&self, amount: Amount, unit: &CurrencyUnit) -> Result<Option<MintUrl>, Failure> {
        let balances = self.store.balances().await?;
        Ok(balances.into_iter().find(|sum| sum.unit == *unit && sum.available >= amount).map(|sum| sum.mint))
    }

    /// Adds to a failure for want of money where there is more.
    pub(crate) async fn or_elsewhere(&self, failure: Failure, amount: Amount, unit: &CurrencyUnit) -> Failure {
        match (failure.kind, self.mint_with(amount, unit).await) {
            (Kind::NotEnoughMoney, Ok(Some(other))) => {
                failure.hint(format!("there is enough at another mint: `--mint {other}`"))
            }
            _ => failure,
        }
    }
}

/// The memory of a wallet alone, for what needs no seed.
pub(crate) struct Memory {
    /// The database.
    pub(crate) store: Arc<dyn Store>,
}

impl Memory {
    /// The memory of the wallet, if there is a wallet. Nothing is made.
    pub(crate) async fn open_existing(global: &Global) -> Result<Option<Self>, Failure> {
        let folder = Folder::new(global.wallet.as_deref())?;
        if folder.database().exists() { Self::open(global, &folder).await.map(Some) } else { Ok(None) }
    }

    async fn open(global: &Global, folder: &Folder) -> Result<Self, Failure> {
        let options = OpenOptions { key: key(global)?, readers: 1, ..OpenOptions::default() };
        let store: Arc<dyn Store> = Arc::new(open_store(folder, &options).await?);
        tracing::debug!(database = %folder.database().display(), "opened");
        Ok(Self { store })
    }
}

/// Talks to a mint.
pub(crate) fn connector(global: &Global, mint: &MintUrl) -> Result<HttpConnector, Failure> {
    let config = ClientConfig { allow_http: global.allow_http, ..ClientConfig::default() };
    Ok(HttpConnector::new(mint, config)?)
}

fn key(global: &Global) -> Result<Option<DatabaseKey>, Failure> {
    let Some(path) = &global.database_key_file else { return Ok(None) };
    let key = DatabaseKey::from_file(path);
    key.map(Some).map_err(|error| Failure::new(Kind::Wallet, format!("{}: {error}", path.display())))
}

async fn open_store(folder: &Folder, options: &OpenOptions) -> Result<WalletStore, Failure> {
    let path = folder.database();
    for _ in 1..OPEN_TRIES {
        match WalletStore::open(&path, options) {
            Err(OpenError::InUse { .. }) => tokio::time::sleep(OPEN_PAUSE).await,
            other => return other.map_err(|error| database_failure(&error)),
        }
    }
    WalletStore::open(&path, options).map_err(|error| database_failure(&error))
}

fn database_failure(error: &OpenError) -> Failure {
    let failure = Failure::new(Kind::Wallet, error.to_string());
    match error {
        OpenError::InUse { .. } => {
            failure.hint("let the other `hazel` finish, or stop it with Ctrl-C: nothing is lost by that")
        }
        OpenError::KeyMissing => failure.hint("name the file with the key: `--database-key-file FILE`"),
        _ => failure,
    }
}

/// Said once, when a command makes a new wallet.
pub(crate) fn welcome(folder: &Folder, output: &Output) {
    output.note(format!("Made a new wallet in {}.", folder.path().display()));
    output.note(format!(
        "Its seed is in {}. Write its words down: `hazel --wallet {} seed show`.",
        folder.seed().display(),
        folder.path().display()
    ));
}
