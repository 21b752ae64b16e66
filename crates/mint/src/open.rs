//! Opening a mint: the seed must be the database's, every keyset must derive to the keys it was published with.

use std::collections::BTreeSet;
use std::sync::Arc;

use hazel_protocol::keys::KeysetWithKeys;
use hazel_protocol::{Amount, CurrencyUnit, ErrorCode, KeysetId};

use crate::config::{MintConfig, UnitConfig};
use crate::error::{Group, MintError};
use crate::keyring::{Keyring, path_of};
use crate::mint::{Mint, Ports};
use crate::ports::{
    AddKeyset, ApplyError, BindSeed, Change, Conflict, KeysetPath, KeysetRecord, Observer, ReadError, SignerError,
    Timestamp,
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

/// What a new keyset is like.
#[derive(Debug, Clone)]
pub struct RotateKeyset {
    /// The unit whose active keyset is replaced.
    pub unit: CurrencyUnit,
    /// The values its keys stand for.
    pub denominations: Vec<Amount>,
    /// Fee per input, in thousandths of the unit.
    pub input_fee_ppk: u64,
    /// When it expires for good.
    pub final_expiry: Option<Timestamp>,
}

impl From<UnitConfig> for RotateKeyset {
    fn from(unit: UnitConfig) -> Self {
        Self {
            unit: unit.unit,
            denominations: unit.denominations,
            input_fee_ppk: unit.input_fee_ppk,
            final_expiry: unit.final_expiry,
        }
    }
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
        // Compared before bound: a wrong seed must leave no trace.
        let records = load_keysets(&ports).await?;
        bind_seed(&ports).await?;
        let units = config.units.clone();
        let mint = Self::assemble(config, ports, Keyring::new(records));
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

    /// Adds a keyset when `unit` has none that signs. One that would be born expired helps nobody: then the unit only spends.
    async fn require_keyset(&self, unit: UnitConfig) -> Result<(), OpenError> {
        let now = self.now();
        if self.keyring().active(&unit.unit, now).is_some() {
            return Ok(());
        }
        if unit.final_expiry.is_some_and(|expiry| expiry <= now) {
            tracing::error!(unit = %unit.unit, "the configured final expiry has passed: nothing of this unit is signed");
            return Ok(());
        }
        self.add_keyset(unit.into()).await.map(drop)
    }

    /// Adds a keyset for a unit and makes it the one that signs; the former stays spendable and listed for ever.
    ///
    /// # Errors
    /// No such unit, denominations that make no keyset, or a port's.
    pub async fn rotate_keyset(&self, rotate: RotateKeyset) -> Result<KeysetId, MintError> {
        if !self.keyring().iter().any(|keyset| keyset.unit == rotate.unit) {
            return Err(MintError::refused(ErrorCode::UnitUnsupported));
        }
        self.add_keyset(rotate).await.map_err(|error| match error {
            OpenError::Apply(error) => error.into(),
            OpenError::Read(error) => error.into(),
            OpenError::Signer(error) => error.into(),
            OpenError::Config(text) => MintError::invalid(Group::Keyset, text),
            other => MintError::Bug(other.to_string()),
        })
    }

    async fn add_keyset(&self, wanted: RotateKeyset) -> Result<KeysetId, OpenError> {
        let _alone = self.adding_keyset.lock().await;
        let path = path_for(&wanted, self.keyring().next_index(&wanted.unit))?;
        let keys = self.ports.signer.derive(&path).await?;
        let expiry = wanted.final_expiry.map(Timestamp::to_unix);
        let id = keys.id_v2(&wanted.unit, wanted.input_fee_ppk, expiry);
        let keyset = KeysetRecord {
            id,
            unit: wanted.unit,
            index: path.index,
            active: true,
            input_fee_ppk: wanted.input_fee_ppk,
            final_expiry: wanted.final_expiry,
            keys,
            created_at: self.now(),
            latched: false,
        };
        // The key is loaded before anyone can learn of the keyset.
        self.ports.signer.load(id, &path).await?;
        self.apply(Change::AddKeyset(AddKeyset { keyset: keyset.clone() })).await?;
        self.replace_keyring(self.keyring().with(keyset));
        Ok(id)
    }
}

fn path_for(wanted: &RotateKeyset, index: u32) -> Result<KeysetPath, OpenError> {
    let mut amounts = wanted.denominations.clone();
    amounts.sort_unstable();
    amounts.dedup();
    if amounts.len() != wanted.denominations.len() || amounts.first().is_none_or(|smallest| smallest.is_zero()) {
        return Err(OpenError::Config("denominations must be above zero, distinct, and at least one".to_owned()));
    }
    Ok(KeysetPath { unit: wanted.unit.clone(), index, amounts })
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
        let path = path_of(record);
        let published = KeysetWithKeys {
            id: record.id,
            unit: record.unit.clone(),
            active: record.active,
            input_fee_ppk: record.input_fee_ppk,
            final_expiry: record.final_expiry.map(Timestamp::to_unix),
            keys: record.keys.clone(),
        };
        let derived = ports.signer.derive(&path).await?;
        if derived != record.keys || published.verify_id().is_err() {
            return Err(OpenError::OtherKeys(record.id));
        }
        if !seen.insert(record.id) {
            return Err(OpenError::OtherKeys(record.id));
        }
        ports.signer.load(record.id, &path).await?;
    }
    Ok(records)
}
