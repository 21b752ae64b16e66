//! The evaluator: first everything that is cheap, then the curve.

use bitcoin::hashes::{Hash, sha256};
use secp256k1::schnorr::Signature;
use secp256k1::{Message, XOnlyPublicKey};

use super::error::{ConditionError, Malformed};
use super::secret::{Condition, ConditionKey, Pathway, SigFlag, hex_any_case};
use super::sign::{input_digest, request_digest};
use super::witness::{SIGNATURE_BYTES, Unlock};
use super::{MAX_KEYS_PER_SECRET, MAX_VERIFICATIONS};
use crate::crypto::public_context;
use crate::proof::{BlindedMessage, Proof};
use crate::quote::QuoteId;

/// A swap or melt that wants to spend inputs.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// What is spent, in the order of the request.
    pub inputs: &'a [Proof],
    /// What is to be signed, in the order of the request; for a melt its blank outputs.
    pub outputs: &'a [BlindedMessage],
    /// The quote that a melt pays; `None` for a swap.
    pub quote: Option<&'a QuoteId>,
    /// The mint's time, in seconds since 1970.
    pub now: u64,
}

/// The curve arithmetic that is left once every cheap rule has passed. It holds what it needs, so it can be done elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "nothing is allowed before it is verified"]
pub struct Plan {
    tasks: Vec<Task>,
}

/// One message and who has to have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    /// Keys that must be points, whether they sign or not.
    keys: Vec<ConditionKey>,
    /// SHA-256 of the message.
    digest: [u8; 32],
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
    /// One of these is enough. Empty when no signature is needed.
    pathways: Vec<Pathway>,
}

impl Spend<'_> {
    /// Checks everything but points and signatures.
    ///
    /// # Errors
    /// [`ConditionError`]: the first rule that is broken.
    pub fn plan(&self) -> Result<Plan, ConditionError> {
        let conditions: Result<Vec<_>, Malformed> =
            self.inputs.iter().map(|input| Condition::of(&input.secret)).collect();
        let conditions = conditions?;
        let whole = conditions.iter().flatten().any(|condition| condition.flag() == SigFlag::All);
        let tasks = if whole { self.whole(&conditions)? } else { self.each(&conditions)? };
        let work: usize = tasks.iter().map(Task::work).sum();
        if work > MAX_VERIFICATIONS {
            return Err(ConditionError::TooMuchWork);
        }
        Ok(Plan { tasks })
    }

    /// `SIG_ALL`: one lock, one message, one witness.
    fn whole(&self, conditions: &[Option<Condition>]) -> Result<Vec<Task>, ConditionError> {
        let Some((Some(first), others)) = conditions.split_first() else { return Err(ConditionError::Mixed) };
        let same = |other: &Option<Condition>| other.as_ref().is_some_and(|other| first.same_lock(other));
        if !others.iter().all(same) {
            return Err(ConditionError::Mixed);
        }
        let digest = request_digest(self.inputs, self.outputs, self.quote);
        let witness = self.inputs.first().and_then(|input| input.witness.as_ref());
        Ok(vec![Task::new(first, self.now, digest, || Unlock::read(witness))?])
    }

    /// `SIG_INPUTS`: every input for itself.
    fn each(&self, conditions: &[Option<Condition>]) -> Result<Vec<Task>, ConditionError> {
        let locked = self.inputs.iter().zip(conditions).filter_map(|(input, lock)| Some((input, lock.as_ref()?)));
        locked
            .map(|(input, lock)| {
                let unlock = || Unlock::read(input.witness.as_ref());
                Task::new(lock, self.now, input_digest(&input.secret), unlock)
            })
            .collect()
    }
}

impl Task {
    fn new(
        lock: &Condition,
        now: u64,
        digest: [u8; 32],
        unlock: impl FnOnce() -> Result<Unlock, ConditionError>,
    ) -> Result<Self, ConditionError> {
        let keys = lock.keys().collect();
        let free = Self { keys, digest, signatures: Vec::new(), pathways: Vec::new() };
        let expired = lock.expired(now);
        if expired && lock.refund().is_none() {
            return Ok(free);
        }
        let unlock = unlock()?;
        let hash_lock = check_preimage(lock, &unlock);
        if hash_lock.is_ok() && lock.main().is_none() {
            return Ok(free);
        }
        let main = lock.main().filter(|_| hash_lock.is_ok());
        let refund = lock.refund().filter(|_| expired);
        let pathways: Vec<Pathway> = main.into_iter().chain(refund).cloned().collect();
        match hash_lock {
            Err(error) if pathways.is_empty() => Err(error),
            _ if unlock.signatures.is_empty() => Err(ConditionError::Unsigned),
            _ => Ok(Self { signatures: unlock.signatures, pathways, ..free }),
        }
    }

    /// Verifications at most.
    fn work(&self) -> usize {
        let keys: usize = self.pathways.iter().map(|pathway| pathway.keys.len()).sum();
        debug_assert!(keys <= MAX_KEYS_PER_SECRET, "a condition with more is malformed");
        keys * self.signatures.len()
    }

    fn verify(&self) -> Result<(), ConditionError> {
        for key in &self.keys {
            point(key)?;
        }
        if self.pathways.is_empty() || self.pathways.iter().any(|pathway| self.opens(pathway)) {
            return Ok(());
        }
        Err(ConditionError::TooFewSignatures)
    }

    /// Whether enough keys have signed. A key counts once; so does a signature, which verifies under one x coordinate only.
    fn opens(&self, pathway: &Pathway) -> bool {
        let message = Message::from_digest(self.digest);
        let signed_by = |key: &&ConditionKey| {
            let Ok(key) = point(key) else { return false };
            self.signatures.iter().any(|bytes| {
                let signature = Signature::from_slice(bytes);
                signature.is_ok_and(|signature| public_context().verify_schnorr(&signature, &message, &key).is_ok())
            })
        };
        pathway.keys.iter().filter(signed_by).take(pathway.needed).count() == pathway.needed
    }
}

impl Plan {
    /// Whether no input is locked: there is nothing to verify.
    pub const fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Checks every key and enough signatures.
    ///
    /// # Errors
    /// [`Malformed::Key`] for a key that is no point, [`ConditionError::TooFewSignatures`].
    pub fn verify(&self) -> Result<(), ConditionError> {
        self.tasks.iter().try_for_each(Task::verify)
    }
}

fn point(key: &ConditionKey) -> Result<XOnlyPublicKey, Malformed> {
    XOnlyPublicKey::from_slice(key.as_bytes()).map_err(|_| Malformed::Key)
}

/// NUT-14: the preimage is 32 bytes of hex. A lock without a hash needs none.
fn check_preimage(lock: &Condition, unlock: &Unlock) -> Result<(), ConditionError> {
    let Some(hash) = lock.hash() else { return Ok(()) };
    let text = unlock.preimage.as_deref().ok_or(ConditionError::PreimageMissing)?;
    let preimage: [u8; 32] = hex_any_case(text).ok_or(ConditionError::PreimageWrong)?;
    if sha256::Hash::hash(&preimage).as_byte_array() == hash {
        return Ok(());
    }
    Err(ConditionError::PreimageWrong)
}
