//! Locked money: what a sender may ask for, and how a receiver opens it (NUT-10, NUT-11, NUT-14).
//!
//! The keys of a wallet come from its seed, so whoever has the words can open what was locked to it. A locked output is
//! derived like any other: its counter gives the blinding factor and, as the nonce, what would else be the whole secret. So the
//! terms of the lock and the counter are enough to make the same output again.
//!
//! The keys of a lock can be hidden from the mint (NUT-28). The key they are blinded with derives from the counter, too; its public
//! part travels with the proof, by which the receiver, or the sender who takes the money back, finds which of its keys sign.

use std::collections::BTreeSet;

use hazel_protocol::conditions::{
    Condition, ConditionError, ConditionKey, ConditionKind, Lock, Malformed, SigFlag, Spend, Unlock, input_digest,
    sign_digest, swap_digest,
};
use hazel_protocol::p2bk::{self, MAX_SLOTS};
use hazel_protocol::{
    BlindedMessage, Curve, MintInfo, PointBytes, Proof, PublicKey, Scalar32, Secret, SecretKey, Supported,
};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::wallet::Wallet;

/// How many of the wallet's keys are tried on a lock. A count.
pub const LOCK_KEYS: u32 = 64;

/// How much is computed to find the wallet's keys in blinded locks of one token, in points. After that only those keys are tried that
/// were found before.
const BLIND_SEARCH_POINTS: usize = 65_536;

/// Who may spend what is sent.
///
/// ```
/// use hazel_protocol::{Curve, SecretKey};
/// use hazel_wallet::LockTerms;
///
/// let key = SecretKey::from_bytes(&[7; 32])?.public_key(&Curve::new(&[1; 32]));
/// let terms = LockTerms { locktime: Some(1_900_000_000), refund: vec![key], ..LockTerms::to_key(key) };
/// assert!(terms.check().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockTerms {
    /// The SHA-256 whose preimage must be shown; none for a lock to keys alone.
    pub hash: Option<[u8; 32]>,
    /// The keys that may sign. A lock without a hash needs at least one.
    pub keys: Vec<PublicKey>,
    /// How many of them must; 1 if nothing is said. A count.
    pub n_sigs: Option<u32>,
    /// When the lock expires, in seconds since 1970; never if nothing is said.
    pub locktime: Option<u64>,
    /// Who may spend once it has expired; anyone if there are none.
    pub refund: Vec<PublicKey>,
    /// How many of those must sign; 1 if nothing is said. A count.
    pub n_sigs_refund: Option<u32>,
    /// Whether a signature covers the whole request, so that nobody can redirect it.
    pub sig_all: bool,
    /// Whether the mint is kept from seeing the keys (NUT-28): each output then has keys that nobody has seen before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
}

impl LockTerms {
    /// For whoever has this key.
    pub fn to_key(key: PublicKey) -> Self {
        Self { keys: vec![key], ..Self::default() }
    }

    /// For whoever knows the preimage of this SHA-256.
    pub fn to_hash(hash: [u8; 32]) -> Self {
        Self { hash: Some(hash), ..Self::default() }
    }

    /// Whether a mint will know how to open it.
    ///
    /// # Errors
    /// [`Error::Lock`]: what is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        let refund_without_end = self.locktime.is_none() && !self.refund.is_empty();
        if refund_without_end {
            return Err(Error::Lock("refund keys mean nothing without a locktime"));
        }
        if self.blind && self.keys.is_empty() && self.refund.is_empty() {
            return Err(Error::Lock("it has no keys to hide"));
        }
        if self.blind && usize::from(self.hash.is_some()) + self.keys.len() + self.refund.len() > MAX_SLOTS {
            return Err(Error::Lock("it has more keys than can be hidden"));
        }
        self.to_secret(&[0; 32]).map(drop)
    }

    /// As [`to_secret`](Self::to_secret), with every key blinded if there is an ephemeral key.
    pub(crate) fn to_secret_blinded(
        &self,
        curve: &Curve,
        ephemeral: Option<&SecretKey>,
        nonce: &[u8; 32],
    ) -> Result<Secret, Error> {
        let Some(ephemeral) = ephemeral else { return self.to_secret(nonce) };
        let kind = if self.hash.is_some() { ConditionKind::Htlc } else { ConditionKind::P2pk };
        let keys = p2bk::blind_lock(curve, ephemeral, kind, &self.keys, &self.refund);
        let keys = keys.map_err(|_| Error::Lock("its keys cannot be hidden"))?;
        Self { keys: keys.main, refund: keys.refund, ..self.clone() }.to_secret(nonce)
    }

    /// The secret with these terms and this nonce.
    pub(crate) fn to_secret(&self, nonce: &[u8; 32]) -> Result<Secret, Error> {
        let (lock, more) = match (&self.hash, self.keys.split_first()) {
            (Some(hash), _) => (Lock::to_hash(hash), self.keys.as_slice()),
            (None, Some((first, more))) => (Lock::to_key(*first), more),
            (None, None) => return Err(Error::Lock("a lock needs a key or a hash")),
        };
        let lock = if more.is_empty() { lock } else { lock.pubkeys(more) };
        let lock = self.n_sigs.map_or(lock.clone(), |count| lock.n_sigs(count));
        let lock = self.locktime.map_or(lock.clone(), |time| lock.locktime(time));
        let lock = if self.refund.is_empty() { lock } else { lock.refund(&self.refund) };
        let lock = self.n_sigs_refund.map_or(lock.clone(), |count| lock.n_sigs_refund(count));
        let lock = if self.sig_all { lock.sig_all() } else { lock };
        let secret = lock.to_secret(nonce).map_err(|_| Error::Lock("it has too many keys"))?;
        match Condition::of(&secret) {
            Ok(Some(_)) => Ok(secret),
            Ok(None) => Err(Error::Bug("a lock was taken for a plain secret")),
            Err(Malformed::TooManyKeys) => Err(Error::Lock("it has too many keys")),
            Err(Malformed::RepeatedKey) => Err(Error::Lock("a key in it appears twice")),
            Err(Malformed::Count(_)) => Err(Error::Lock("it wants no signature, or more than there are keys")),
            Err(_) => Err(Error::Lock("it is malformed")),
        }
    }

    /// A mint that does not enforce a lock takes the money from anyone.
    pub(crate) fn check_support(&self, info: Option<&MintInfo>) -> Result<(), Error> {
        let nuts = info.map(|info| &info.nuts);
        let says = |nut: Option<Supported>| nut.is_some_and(|nut| nut.supported);
        let supported = match self.hash {
            Some(_) => says(nuts.and_then(|nuts| nuts.nut14)),
            None => says(nuts.and_then(|nuts| nuts.nut11)),
        };
        if supported { Ok(()) } else { Err(Error::Lock("the mint does not say that it enforces such locks")) }
    }
}

/// The nonce of a locked output: the NUT-13 secret of its counter.
pub(crate) fn nonce(secret: &Secret) -> Result<[u8; 32], Error> {
    let scalar: Scalar32 = secret.as_str().parse().map_err(|_| Error::Bug("a derived secret is not 32 bytes"))?;
    Ok(*scalar.as_bytes())
}

/// What a lock says, for people and for rules about what to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// Keys, or a hash.
    pub kind: ConditionKind,
    /// When it expires, in seconds since 1970.
    pub locktime: Option<u64>,
    /// Whether signatures cover the whole request.
    pub sig_all: bool,
    /// How many signatures the main pathway needs. A count.
    pub needed: usize,
    /// How many keys it has. A count.
    pub keys: usize,
    /// How many of those are of this wallet. A count.
    pub own_keys: usize,
}

impl Wallet {
    /// A key of this wallet to have money locked to. The same number gives the same key under the same seed.
    ///
    /// # Errors
    /// [`Error::OutOfKeys`] from [`LOCK_KEYS`] on, which are not looked for when a lock is opened.
    pub fn lock_key(&self, number: u32) -> Result<PublicKey, Error> {
        Ok(self.lock_secret(number)?.public_key(self.curve()))
    }

    fn lock_secret(&self, number: u32) -> Result<SecretKey, Error> {
        if number >= LOCK_KEYS {
            return Err(Error::OutOfKeys);
        }
        let key = self.inner.seed.derive_key("lock", &number.to_be_bytes());
        key.map_err(|_| Error::Bug("a key of the wallet is unusable"))
    }

    /// Every lock on some proofs, each once.
    ///
    /// # Errors
    /// [`Error::TokenLocked`] for a lock that is malformed: nobody can open it.
    pub fn locks_of(&self, proofs: &[Proof]) -> Result<Vec<LockInfo>, Error> {
        let mut ring = self.ring()?;
        let mut locks: Vec<LockInfo> = Vec::new();
        for proof in proofs {
            let condition = Condition::of(&proof.secret).map_err(ConditionError::from)?;
            let Some(condition) = condition else { continue };
            let info = ring.describe(self.curve(), &condition, proof.p2pk_e.as_ref());
            if !locks.contains(&info) {
                locks.push(info);
            }
        }
        Ok(locks)
    }

    fn ring(&self) -> Result<KeyRing, Error> {
        let keys = (0..LOCK_KEYS).map(|number| {
            let secret = self.lock_secret(number)?;
            Ok((ConditionKey::from(&secret.public_key(self.curve())), secret))
        });
        let keys = keys.collect::<Result<_, Error>>()?;
        Ok(KeyRing { keys, found: BTreeSet::new(), points_left: BLIND_SEARCH_POINTS })
    }

    /// Adds to the inputs of a swap what opens their locks. Signatures of others that they carry stay.
    ///
    /// # Errors
    /// [`Error::TokenLocked`] when this wallet cannot open them now.
    pub(crate) fn open_locks(&self, inputs: &[Proof], outputs: &[BlindedMessage]) -> Result<Vec<Proof>, Error> {
        let signed = self.add_signatures(inputs, Some(outputs))?;
        let spend = Spend { inputs: &signed, outputs, quote: None, now: self.now().to_unix() };
        spend.plan()?.verify()?;
        Ok(signed)
    }

    /// Adds this wallet's signatures wherever one of its keys may sign for an input by itself. With `outputs`, also to a lock
    /// whose signatures cover the whole request.
    pub(crate) fn add_signatures(
        &self,
        inputs: &[Proof],
        outputs: Option<&[BlindedMessage]>,
    ) -> Result<Vec<Proof>, Error> {
        let mut signed = inputs.to_vec();
        if inputs.iter().all(|input| !is_locked(input)) {
            return Ok(signed);
        }
        let mut ring = self.ring()?;
        for (place, input) in inputs.iter().enumerate() {
            let condition = Condition::of(&input.secret).map_err(ConditionError::from)?;
            let Some(condition) = condition else { continue };
            let (digest, unlock) = match (condition.flag(), outputs) {
                (SigFlag::Inputs, _) => (input_digest(&input.secret), Unlock::read(input.witness.as_ref())?),
                // One witness, in the first input, for outputs that only this request has.
                (SigFlag::All, Some(outputs)) if place == 0 => {
                    let former = Unlock::read(input.witness.as_ref())?;
                    (swap_digest(inputs, outputs), Unlock { signatures: Vec::new(), ..former })
                }
                (SigFlag::All, _) => continue,
            };
            let keys = ring.of(self.curve(), &condition, input.p2pk_e.as_ref());
            let unlock = self.sign(&keys, &digest, unlock);
            if !unlock.signatures.is_empty() || unlock.preimage.is_some() {
                signed[place].witness = Some(unlock.to_witness().map_err(|_| ConditionError::TooManySignatures)?);
            }
        }
        Ok(signed)
    }

    fn sign(&self, keys: &[SecretKey], digest: &[u8; 32], mut unlock: Unlock) -> Unlock {
        for key in keys {
            let mut entropy = [0; 32];
            self.inner.environment.fill_random(&mut entropy);
            unlock.signatures.push(sign_digest(self.curve(), key, digest, &entropy));
        }
        unlock
    }
}

/// The wallet's keys, by what stands for them in a lock that hides nothing.
struct KeyRing {
    keys: Vec<(ConditionKey, SecretKey)>,
    /// Places of keys that a blinded lock was found to be for.
    found: BTreeSet<usize>,
    points_left: usize,
}

impl KeyRing {
    /// The keys that sign for a lock: the wallet's own as they are, and as they were blinded for it (NUT-28).
    fn of(&mut self, curve: &Curve, condition: &Condition, ephemeral: Option<&PointBytes>) -> Vec<SecretKey> {
        let wanted: Vec<ConditionKey> = condition.keys().collect();
        let own = self.keys.iter().filter(|(key, _)| wanted.contains(key)).map(|(_, secret)| secret.clone());
        let mut own: Vec<SecretKey> = own.collect();
        // What is not a point was not made by a sender who can be paid.
        if let Some(ephemeral) = ephemeral.and_then(|point| point.parse().ok()) {
            own.extend(self.blinded(curve, condition, &ephemeral, wanted.len()));
        }
        own
    }

    fn blinded(&mut self, curve: &Curve, condition: &Condition, ephemeral: &PublicKey, slots: usize) -> Vec<SecretKey> {
        let cost = self.keys.len() * (1 + slots);
        let places: Vec<usize> = match self.points_left.checked_sub(cost) {
            Some(left) => {
                self.points_left = left;
                (0..self.keys.len()).collect()
            }
            None => self.found.iter().copied().collect(),
        };
        let mut derived = Vec::new();
        for place in places {
            let keys = p2bk::derive_keys(curve, std::slice::from_ref(&self.keys[place].1), ephemeral, condition);
            if !keys.is_empty() {
                self.found.insert(place);
            }
            derived.extend(keys);
        }
        derived
    }

    fn describe(&mut self, curve: &Curve, condition: &Condition, ephemeral: Option<&PointBytes>) -> LockInfo {
        let own = self.of(curve, condition, ephemeral);
        let own: Vec<ConditionKey> = own.iter().map(|key| ConditionKey::from(&key.public_key(curve))).collect();
        let (keys, needed) = condition.signers().unwrap_or_default();
        LockInfo {
            kind: condition.kind(),
            locktime: condition.locktime(),
            sig_all: condition.flag() == SigFlag::All,
            needed,
            keys: keys.len(),
            own_keys: keys.iter().filter(|key| own.contains(key)).count(),
        }
    }
}

/// Puts a preimage into the witness of every input with a hash lock, for [`Wallet::open_locks`] to find.
pub(crate) fn with_preimage(proofs: &[Proof], preimage: &str) -> Result<Vec<Proof>, Error> {
    let mut proofs = proofs.to_vec();
    for proof in &mut proofs {
        let condition = Condition::of(&proof.secret).map_err(ConditionError::from)?;
        if condition.is_some_and(|condition| condition.kind() == ConditionKind::Htlc) {
            let unlock = Unlock { preimage: Some(preimage.to_owned()), ..Unlock::read(proof.witness.as_ref())? };
            proof.witness = Some(unlock.to_witness().map_err(|_| ConditionError::Witness)?);
        }
    }
    Ok(proofs)
}

/// Whether the secret is a spending condition (NUT-10), well-formed or not.
pub(crate) fn is_locked(proof: &Proof) -> bool {
    proof.secret.as_str().trim_start().starts_with('[')
}
