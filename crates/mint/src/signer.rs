//! Private keys from a BIP-39 seed, held in this process.
//!
//! Keys are derived hardened, by unit, index and position of the denomination:
//! `m / 129372' / 1' / unit' / index' / position'`, where `unit` is the first 31 bits of the SHA-256 of the unit's name.
//! The mint's identity key (NUT-06) is `m / 129372' / 2' / 0'`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bitcoin::NetworkKind;
use bitcoin::bip32::{ChildNumber, Xpriv};
use bitcoin::hashes::{Hash, HashEngine, sha256};
use futures_util::stream::{self, StreamExt};
use hazel_protocol::crypto::{self, Curve};
use hazel_protocol::{Amount, CurrencyUnit, KeysetId, KeysetKeys, PublicKey, SecretKey};
use secp256k1::{All, Secp256k1};
use zeroize::Zeroizing;

use crate::ports::{Claim, Environment, KeysetPath, Promise, Signer, SignerError, ToSign, compute};

/// Outputs or claims that one job on the compute pool takes; enough to outweigh handing it over.
const JOB_SIZE: usize = 16;

/// Jobs of one request that wait on the compute pool at once, so that a large request leaves room for others.
const JOBS_AT_ONCE: usize = 4;

const PURPOSE: u32 = 129_372;

struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

type KeysetPairs = BTreeMap<Amount, KeyPair>;

/// A [`Signer`] whose keys live in this process.
pub struct LocalSigner {
    master: Arc<Master>,
    identity: PublicKey,
    fingerprint: [u8; 32],
    curve: Arc<Curve>,
    keysets: RwLock<HashMap<KeysetId, Arc<KeysetPairs>>>,
    /// Given from outside, not from the seed.
    imports: HashMap<KeysetId, Arc<KeysetPairs>>,
    environment: Arc<dyn Environment>,
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The seed cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this seed derives no valid key, make another")]
pub struct BadSeed;

/// The root of the derivation, wiped on drop.
struct Master {
    seed: Zeroizing<[u8; 64]>,
    curve: Secp256k1<All>,
}

impl Master {
    fn derive(&self, path: &[u32]) -> Result<SecretKey, BadSeed> {
        let mut key = Xpriv::new_master(NetworkKind::Main, &*self.seed).map_err(|_| BadSeed)?;
        let steps: Result<Vec<_>, _> = path.iter().map(|step| ChildNumber::from_hardened_idx(*step)).collect();
        let child = key.derive_priv(&self.curve, &steps.map_err(|_| BadSeed)?);
        key.private_key.non_secure_erase();
        let mut child = child.map_err(|_| BadSeed)?;
        let bytes = Zeroizing::new(child.private_key.secret_bytes());
        child.private_key.non_secure_erase();
        SecretKey::from_bytes(&bytes).map_err(|_| BadSeed)
    }
}

fn unit_step(unit: &CurrencyUnit) -> u32 {
    let hash = sha256::Hash::hash(unit.to_string().as_bytes()).to_byte_array();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 1
}

fn fingerprint_of(identity: &PublicKey) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(b"Hazel_seed_fingerprint_v1");
    engine.input(&identity.to_bytes());
    sha256::Hash::from_engine(engine).to_byte_array()
}

impl LocalSigner {
    /// A signer for `seed` (the 64 bytes of BIP-39). `entropy` blinds the curve context against side channels.
    ///
    /// # Errors
    /// [`BadSeed`] when the seed derives no valid key, which no random seed does.
    pub fn new(
        seed: Zeroizing<[u8; 64]>,
        entropy: &[u8; 32],
        environment: Arc<dyn Environment>,
    ) -> Result<Self, BadSeed> {
        let mut context = Secp256k1::new();
        context.seeded_randomize(entropy);
        let master = Master { seed, curve: context };
        let curve = Arc::new(Curve::new(entropy));
        let identity = master.derive(&[PURPOSE, 2, 0])?.public_key(&curve);
        let fingerprint = fingerprint_of(&identity);
        let (keysets, imports) = (RwLock::default(), HashMap::new());
        Ok(Self { master: Arc::new(master), identity, fingerprint, curve, keysets, imports, environment })
    }

    /// This signer with the private keys of a keyset that does not come from its seed.
    #[must_use]
    pub fn with_import(mut self, id: KeysetId, keys: BTreeMap<Amount, SecretKey>) -> Self {
        let pair = |secret: SecretKey| KeyPair { public: secret.public_key(&self.curve), secret };
        let pairs = keys.into_iter().map(|(amount, secret)| (amount, pair(secret))).collect();
        self.imports.insert(id, Arc::new(pairs));
        self
    }

    /// Derives on the compute pool.
    async fn pairs_of(&self, path: &KeysetPath) -> Result<KeysetPairs, SignerError> {
        let (master, curve, path) = (Arc::clone(&self.master), Arc::clone(&self.curve), path.clone());
        let derived = compute(&*self.environment, move || derive_pairs(&master, &curve, &path)).await;
        let unavailable = |why: String| SignerError::Unavailable(why);
        derived.map_err(|error| unavailable(error.to_string()))?.map_err(|bad| unavailable(bad.to_string()))
    }

    fn keyset(&self, id: KeysetId) -> Option<Arc<KeysetPairs>> {
        let keysets = self.keysets.read().unwrap_or_else(PoisonError::into_inner);
        keysets.get(&id).cloned()
    }

    /// The keysets that `ids` name, each looked up once.
    fn keysets_of(
        &self,
        ids: impl Iterator<Item = (KeysetId, Amount)>,
    ) -> Result<HashMap<KeysetId, Arc<KeysetPairs>>, SignerError> {
        let mut found = HashMap::new();
        for (id, amount) in ids {
            if let std::collections::hash_map::Entry::Vacant(entry) = found.entry(id) {
                entry.insert(self.keyset(id).ok_or(SignerError::NoKey(id, amount))?);
            }
        }
        Ok(found)
    }

    /// Runs `job` over `items` on the compute pool, in parts, and joins the results in order.
    async fn spread<T, R>(
        &self,
        items: Vec<T>,
        job: impl Fn(T) -> Result<R, SignerError> + Clone + Send + 'static,
    ) -> Result<Vec<R>, SignerError>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let mut parts = Vec::with_capacity(items.len() / JOB_SIZE + 1);
        let mut items = items.into_iter();
        loop {
            let part: Vec<T> = items.by_ref().take(JOB_SIZE).collect();
            if part.is_empty() {
                break;
            }
            let job = job.clone();
            parts.push(compute(&*self.environment, move || {
                part.into_iter().map(job).collect::<Result<Vec<R>, SignerError>>()
            }));
        }
        let mut done = stream::iter(parts).buffered(JOBS_AT_ONCE);
        let mut all = Vec::new();
        while let Some(part) = done.next().await {
            all.extend(part.map_err(|e| SignerError::Unavailable(e.to_string()))??);
        }
        Ok(all)
    }
}

fn derive_pairs(master: &Master, curve: &Curve, path: &KeysetPath) -> Result<KeysetPairs, BadSeed> {
    let unit = unit_step(&path.unit);
    let pair = |(position, amount): (u32, &Amount)| {
        let secret = master.derive(&[PURPOSE, 1, unit, path.index, position])?;
        let public = secret.public_key(curve);
        Ok((*amount, KeyPair { secret, public }))
    };
    (0..).zip(&path.amounts).map(pair).collect()
}

fn key_of(
    keysets: &HashMap<KeysetId, Arc<KeysetPairs>>,
    id: KeysetId,
    amount: Amount,
) -> Result<&KeyPair, SignerError> {
    keysets.get(&id).and_then(|keys| keys.get(&amount)).ok_or(SignerError::NoKey(id, amount))
}

#[async_trait]
impl Signer for LocalSigner {
    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    fn identity(&self) -> PublicKey {
        self.identity
    }

    async fn derive(&self, path: &KeysetPath) -> Result<KeysetKeys, SignerError> {
        let public = self.pairs_of(path).await?.into_iter().map(|(amount, pair)| (amount, pair.public)).collect();
        KeysetKeys::new(public).map_err(|e| SignerError::Unavailable(e.to_string()))
    }

    async fn load(&self, id: KeysetId, path: &KeysetPath) -> Result<(), SignerError> {
        let pairs = Arc::new(self.pairs_of(path).await?);
        self.keysets.write().unwrap_or_else(PoisonError::into_inner).insert(id, pairs);
        Ok(())
    }

    async fn load_import(&self, id: KeysetId) -> Result<Option<KeysetKeys>, SignerError> {
        let Some(pairs) = self.imports.get(&id) else { return Ok(None) };
        let public = pairs.iter().map(|(amount, pair)| (*amount, pair.public)).collect();
        self.keysets.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(pairs));
        KeysetKeys::new(public).map(Some).map_err(|e| SignerError::Unavailable(e.to_string()))
    }

    async fn verify(&self, claims: Vec<Claim>) -> Result<Vec<bool>, SignerError> {
        let keysets = Arc::new(self.keysets_of(claims.iter().map(|c| (c.keyset, c.amount)))?);
        self.spread(claims, move |claim| {
            // An amount without a key was never signed: the claim is false, not an error.
            let pair = keysets.get(&claim.keyset).and_then(|keys| keys.get(&claim.amount));
            Ok(pair.is_some_and(|pair| crypto::verify_unblinded(&pair.secret, &claim.y, &claim.c)))
        })
        .await
    }

    async fn sign(&self, outputs: Vec<ToSign>) -> Result<Vec<Promise>, SignerError> {
        let keysets = Arc::new(self.keysets_of(outputs.iter().map(|o| (o.keyset, o.amount)))?);
        let curve = Arc::clone(&self.curve);
        self.spread(outputs, move |output| {
            let pair = key_of(&keysets, output.keyset, output.amount)?;
            let (c, dleq) = crypto::sign_with_dleq(&curve, &pair.secret, &pair.public, &output.b);
            Ok(Promise { c, dleq })
        })
        .await
    }
}
