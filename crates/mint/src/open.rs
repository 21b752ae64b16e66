//! Opening a mint: the seed must be the database's, every keyset must derive to the keys it was published with.

use std::collections::BTreeSet;
use std::sync::Arc;

use hazel_protocol::KeysetId;
use hazel_protocol::keys::KeysetWithKeys;

use crate::administer::BY_THE_MINT;
use crate::config::{MintConfig, UnitConfig};
use crate::keyring::{Keyring, path_of};
use crate::mint::{Mint, Ports};
use crate::ports::{
    ApplyError, BindSeed, Change, Conflict, KeysetRecord, Observer, ReadError, Signer, SignerError, Timestamp,
};

/// Why a mint cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The seed is not the one this database was made with.
    #[error("this seed is not the one the database was made with; nothing was changed")]
    OtherSeed,
    /// A keyset of the database does not derive from this seed.
    #[error("keyset {0} does not derive from this seed; nothing was changed")]
    OtherKeys(KeysetId),
    /// The private keys of an imported keyset are not there, or not all.
    #[error("the private keys of the imported keyset {0} are missing or are others; nothing was changed")]
    MissingKeys(KeysetId),
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// The ledger refuses or does not answer.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The signer refuses or does not answer.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

impl Mint {
    /// Opens the mint: binds the database to the seed, checks and loads every keyset, adds one for each unit that has none.
    ///
    /// Recovers nothing yet, so that the listener need not wait: [`start`](Self::start) does.
    ///
    /// # Errors
    /// The seed or a keyset is not the database's; a port does not answer. The ledger is unchanged then, but for keysets already added.
    pub async fn open(config: MintConfig, ports: Ports) -> Result<Arc<Self>, OpenError> {
        if config.units.is_empty() {
            return Err(OpenError::Config("a mint needs at least one unit".to_owned()));
        }
        require_backends(&config, &ports)?;
        // Compared before bound: a wrong seed must leave no trace.
        let records = load_keysets(&ports).await?;
        bind_seed(&ports).await?;
        let units = config.units.clone();
        let mint = Self::assemble(config, ports, Keyring::new(records));
        mint.ports.store.enlist(mint.owner).await?;
        mint.listen_to_ledger().await?;
        for unit in units {
            mint.require_keyset(unit).await?;
        }
        Ok(mint)
    }

    /// Hears of every commit from now on. What earlier starts left unfinished is remembered first, so that its end can be told.
    async fn listen_to_ledger(&self) -> Result<(), ReadError> {
        const PAGE: u32 = 1_000;
        let store = &self.ports.store;
        let mut after = None;
        loop {
            let page = store.unfinished(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for operation in page {
                let contents = store.contents(operation.id).await?;
                self.hub.remember(operation.id, contents.inputs.iter().map(|input| &input.row));
            }
        }
        let hub: Arc<dyn Observer> = self.hub.clone();
        store.observe(hub);
        Ok(())
    }

    /// Adds a keyset when `unit` has none that signs. One that would be born expired helps nobody: then the unit only spends. One that is
    /// stopped waits for an operator, who may allow it or add another; a restart decides nothing.
    async fn require_keyset(&self, unit: UnitConfig) -> Result<(), OpenError> {
        let now = self.now();
        if self.ports.store.is_shared() {
            // Another process may have started at the same moment.
            self.follow_keysets().await?;
        }
        if self.keyring().active(&unit.unit, now).is_some() {
            return Ok(());
        }
        if self.keyring().iter().any(|keyset| keyset.unit == unit.unit && keyset.active && keyset.latched) {
            tracing::error!(unit = %unit.unit, "the keyset is stopped: nothing of this unit is signed until an operator acts");
            return Ok(());
        }
        if unit.final_expiry.is_some_and(|expiry| expiry <= now) {
            tracing::error!(unit = %unit.unit, "the configured final expiry has passed: nothing of this unit is signed");
            return Ok(());
        }
        self.add_keyset(unit.into(), BY_THE_MINT).await.map(drop)
    }
}

/// What was set about payment methods is about those that have a backend, once each.
fn require_backends(config: &MintConfig, ports: &Ports) -> Result<(), OpenError> {
    let set: BTreeSet<_> = config.methods.iter().map(|method| &method.method).collect();
    if set.is_empty() || set.len() != config.methods.len() || !ports.payments.methods().eq(set) {
        return Err(OpenError::Config("a mint needs payment methods, each with one backend".to_owned()));
    }
    Ok(())
}

async fn bind_seed(ports: &Ports) -> Result<(), OpenError> {
    let bind = BindSeed { fingerprint: ports.signer.fingerprint() };
    match ports.store.apply(Change::BindSeed(bind)).await {
        Ok(_) => Ok(()),
        Err(ApplyError::Conflict(Conflict::OtherSeed)) => Err(OpenError::OtherSeed),
        Err(error) => Err(error.into()),
    }
}

/// Reads the keysets and derives each again: what the seed gives must be what was published.
async fn load_keysets(ports: &Ports) -> Result<Vec<KeysetRecord>, OpenError> {
    let records = ports.store.keysets().await?;
    let mut seen = BTreeSet::new();
    for record in &records {
        let published = KeysetWithKeys {
            id: record.id,
            unit: record.unit.clone(),
            active: record.active,
            input_fee_ppk: record.input_fee_ppk,
            final_expiry: record.final_expiry.map(Timestamp::to_unix),
            keys: record.keys.clone(),
        };
        if published.verify_id().is_err() || !seen.insert(record.id) {
            return Err(OpenError::OtherKeys(record.id));
        }
        load_keys(&*ports.signer, record).await?;
    }
    Ok(records)
}

/// Loads the private keys of a keyset, which must be those of the public ones.
pub(crate) async fn load_keys(signer: &dyn Signer, record: &KeysetRecord) -> Result<(), OpenError> {
    let Some(path) = path_of(record) else {
        let loaded = signer.load_import(record.id).await?;
        return if loaded.as_ref() == Some(&record.keys) { Ok(()) } else { Err(OpenError::MissingKeys(record.id)) };
    };
    if signer.derive(&path).await? != record.keys {
        return Err(OpenError::OtherKeys(record.id));
    }
    Ok(signer.load(record.id, &path).await?)
}
