//! One wallet: a mint, a unit, a seed, and what the store remembers of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hazel_protocol::{
    Amount, BoundedVec, CheckStateRequest, CurrencyUnit, Curve, KeysetId, KeysetWithKeys, MintInfo, MintUrl,
    PointBytes, Proof, ProofState, RestoreRequest,
};

use crate::error::{Error, Violation};
use crate::failpoint::failpoint;
use crate::keysets::{self, Keysets};
use crate::lock::LockTerms;
use crate::outputs::{self, Derived};
use crate::ports::{
    AddMint, ApplyError, BalanceRecord, Change, Conflict, ConnectorError, Environment, HistoryEntry, MarkSpent,
    MintConnector, MintRecord, OperationId, Origin, ProofRecord, ProofStatus, RecordInfo, RecordKeysets,
    SeedFingerprint, Store, Timestamp,
};
use crate::seed::Seed;
use crate::select::Coin;
use crate::state::PlannedOutput;
use crate::verify::{self, RequireDleq};

/// What a wallet accepts of mints and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Signatures of the mint without a DLEQ proof (NUT-12).
    pub mint_dleq: RequireDleq,
    /// Proofs of received tokens without a DLEQ proof. They are swapped before they count, so the mint checks them too.
    pub token_dleq: RequireDleq,
    /// The most that a fee reserve may be, in thousandths of the payment.
    pub fee_reserve_permille: u64,
    /// A fee reserve up to this is accepted whatever the payment, in the minor unit.
    pub fee_reserve_floor: Amount,
    /// How often one call sends a request whose answer was lost, at most.
    pub copies_per_call: u32,
    /// How long a lock must still hold for its token to be taken while the mint is away, in seconds.
    pub offline_lock_secs: u64,
    /// How often one call asks for the state of a payment in flight, at most, before it leaves it to a later one.
    pub melt_polls: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mint_dleq: RequireDleq::Yes,
            token_dleq: RequireDleq::IfPresent,
            fee_reserve_permille: 100,
            fee_reserve_floor: Amount::from_u64(100),
            copies_per_call: 3,
            offline_lock_secs: 24 * 3600,
            melt_polls: 30,
        }
    }
}

/// A wallet for one mint and one unit. Clones are the same wallet; open it once and clone it.
///
/// Every method may be dropped at any point without loss of money; [`resume`](Self::resume) finds what was left open.
#[derive(Clone)]
pub struct Wallet {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connector: Arc<dyn MintConnector>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) seed: Seed,
    pub(crate) fingerprint: SeedFingerprint,
    pub(crate) mint: MintUrl,
    pub(crate) unit: CurrencyUnit,
    pub(crate) policy: Policy,
    curve: Curve,
    driven: Arc<Mutex<BTreeSet<OperationId>>>,
    /// The time in the last operation id, in milliseconds.
    last_id: AtomicU64,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("mint", &self.inner.mint).field("unit", &self.inner.unit).finish_non_exhaustive()
    }
}

/// What a wallet holds, in the minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Free to spend.
    pub available: Amount,
    /// Held by operations that are not finished.
    pub held: Amount,
    /// In tokens that were handed out and not seen claimed. Not the wallet's any more, once they are.
    pub sent: Amount,
}

/// Says that this process works on an operation, until dropped.
#[derive(Debug)]
pub(crate) struct Driving {
    id: OperationId,
    driven: Arc<Mutex<BTreeSet<OperationId>>>,
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Wallet {
    /// Opens the wallet of a mint and unit. Asks nothing of the mint, so it works offline.
    ///
    /// Call [`resume`](Self::resume) next. A mint that was never added refuses every operation with
    /// [`Error::MintUnknown`] until [`add_mint`](Self::add_mint).
    ///
    /// # Errors
    /// [`Error::Bug`] for a seed that nothing can be derived from, which does not happen.
    pub fn open(
        store: Arc<dyn Store>,
        connector: Arc<dyn MintConnector>,
        seed: Seed,
        mint: MintUrl,
        unit: CurrencyUnit,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, Error> {
        Self::open_with(store, connector, seed, mint, unit, environment, Policy::default())
    }

    /// As [`open`](Self::open), with a policy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        store: Arc<dyn Store>,
        connector: Arc<dyn MintConnector>,
        seed: Seed,
        mint: MintUrl,
        unit: CurrencyUnit,
        environment: Arc<dyn Environment>,
        policy: Policy,
    ) -> Result<Self, Error> {
        let fingerprint = seed.fingerprint().map_err(|_| Error::Bug("the seed is unusable"))?;
        let mut entropy = zeroize::Zeroizing::new([0; 32]);
        environment.fill_random(&mut *entropy);
        let curve = Curve::new(&entropy);
        let driven = Arc::default();
        let last_id = AtomicU64::new(0);
        let inner =
            Inner { store, connector, environment, seed, fingerprint, mint, unit, policy, curve, driven, last_id };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The mint.
    pub fn mint_url(&self) -> &MintUrl {
        &self.inner.mint
    }

    /// The unit.
    pub fn unit(&self) -> &CurrencyUnit {
        &self.inner.unit
    }

    /// Trusts the mint from now on, and fetches what it says about itself and its keysets.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Error::HostileMint`] when a keyset does not bear checking.
    pub async fn add_mint(&self) -> Result<MintRecord, Error> {
        let at = self.now();
        // Both are asked for before the mint is written down, so that a wrong address leaves nothing behind.
        let info = self.inner.connector.info().await?;
        let listed = self.inner.connector.keysets().await?;
        let change = self.check_listing(&Keysets::default(), &listed).await?;
        self.commit(Change::AddMint(AddMint { url: self.inner.mint.clone(), at })).await?;
        self.record_keysets(change).await?;
        self.record_info(info).await?;
        self.mint_record().await
    }

    /// What is known of the mint.
    ///
    /// # Errors
    /// [`Error::MintUnknown`].
    pub async fn mint_record(&self) -> Result<MintRecord, Error> {
        let record = self.inner.store.mint(&self.inner.mint).await?;
        record.ok_or_else(|| Error::MintUnknown(self.inner.mint.clone()))
    }

    /// Fetches and remembers what the mint says about itself (NUT-06).
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`].
    pub async fn refresh_info(&self) -> Result<MintInfo, Error> {
        self.mint_record().await?;
        let info = self.inner.connector.info().await?;
        self.record_info(info.clone()).await?;
        Ok(info)
    }

    async fn record_info(&self, info: MintInfo) -> Result<(), Error> {
        let change = RecordInfo { url: self.inner.mint.clone(), info, at: self.now() };
        Ok(self.commit(Change::RecordInfo(Box::new(change))).await?)
    }

    /// What the wallet holds. Asks nothing of the mint.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn balance(&self) -> Result<Balance, Error> {
        let all = self.inner.store.balances().await?;
        let own = all.into_iter().find(|sum| sum.mint == self.inner.mint && sum.unit == self.inner.unit);
        let balance = own.map(|BalanceRecord { available, held, sent, .. }| Balance { available, held, sent });
        Ok(balance.unwrap_or_default())
    }

    /// Completed operations of this wallet, the last completed first: up to `limit`, completed before `before`.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn history(&self, before: Option<OperationId>, limit: u32) -> Result<Vec<HistoryEntry>, Error> {
        let of = Some((&self.inner.mint, &self.inner.unit));
        Ok(self.inner.store.history(of, before, limit).await?)
    }

    /// Asks the mint which handed-out tokens were claimed, and returns how much of them still is not.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`], [`Error::HostileMint`].
    pub async fn check_sent(&self) -> Result<Amount, Error> {
        let sent = self.inner.store.proofs(&self.inner.mint, &self.inner.unit, ProofStatus::Sent).await?;
        let ys: Vec<PointBytes> = sent.iter().map(|proof| proof.y).collect();
        let states = self.states(&ys).await?;
        let claimed = ys.iter().zip(&states).filter(|(_, state)| **state == ProofState::Spent);
        let claimed: Vec<PointBytes> = claimed.map(|(y, _)| *y).collect();
        if !claimed.is_empty() {
            self.commit(Change::MarkSpent(MarkSpent { ys: claimed })).await?;
        }
        Ok(self.balance().await?.sent)
    }
}

/// A look at what the wallet holds.
impl Wallet {
    /// Asks the mint about the free coins, and returns what those are worth that it says are spent: by another wallet of the same
    /// seed, or by a thief. Changes nothing: a mint that lies here gains nothing, and one that does not refuses them when they are used.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`], [`Error::HostileMint`].
    pub async fn spent_elsewhere(&self) -> Result<Amount, Error> {
        let free = self.inner.store.proofs(&self.inner.mint, &self.inner.unit, ProofStatus::Available).await?;
        let ys: Vec<PointBytes> = free.iter().map(|proof| proof.y).collect();
        let states = self.states(&ys).await?;
        let gone = free.iter().zip(states).filter(|(_, state)| *state == ProofState::Spent);
        Ok(Amount::checked_sum(gone.map(|(proof, _)| proof.proof.amount))?)
    }
}

/// Everything below is for the sagas.
impl Wallet {
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.environment.now()
    }

    pub(crate) async fn sleep(&self, seconds: u64) {
        self.inner.environment.sleep(Duration::from_secs(seconds)).await;
    }

    /// A new id: a UUID v7 of the environment's time and randomness, later than all before.
    pub(crate) fn new_operation_id(&self) -> OperationId {
        let mut random = [0; 10];
        self.inner.environment.fill_random(&mut random);
        let now = self.now().to_unix().saturating_mul(1000);
        let later = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.inner.last_id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        let millis = last.ok().and_then(later).unwrap_or(now);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        OperationId::from_bytes(*id.as_bytes())
    }

    /// Marks an operation as driven by this process; none when it already is.
    pub(crate) fn drive(&self, id: OperationId) -> Option<Driving> {
        let driven = Arc::clone(&self.inner.driven);
        let new = driven.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        new.then_some(Driving { id, driven })
    }

    /// Applies a change, again while its outcome is not known.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), ApplyError> {
        let mut tries: u64 = 1;
        loop {
            failpoint!("wallet-before-commit");
            let answer = self.inner.store.apply(change.clone()).await;
            failpoint!("wallet-after-commit");
            match answer {
                Err(ApplyError::Ambiguous(_)) if tries < 5 => {
                    self.sleep(tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// The keysets as they are remembered.
    pub(crate) async fn known_keysets(&self) -> Result<Keysets, Error> {
        self.mint_record().await?;
        let records = self.inner.store.keysets(&self.inner.mint).await?;
        Ok(Keysets::of_unit(records, &self.inner.unit))
    }

    /// Asks the mint for its keysets and remembers what is new.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`]; [`Error::HostileMint`] when a keyset does not bear checking.
    pub async fn refresh_keysets(&self) -> Result<(), Error> {
        self.refreshed_keysets().await.map(drop)
    }

    /// The keysets as the mint lists them now; what it cannot change is compared with what is remembered.
    pub(crate) async fn refreshed_keysets(&self) -> Result<Keysets, Error> {
        let known = self.known_keysets().await?;
        let listed = self.inner.connector.keysets().await?;
        let change = self.check_listing(&known, &listed).await?;
        if change.keysets.is_empty() {
            return Ok(known);
        }
        self.record_keysets(change).await?;
        self.known_keysets().await
    }

    /// Remembers keysets. One that collides with another is left out and not used; it must not keep the wallet from the others.
    async fn record_keysets(&self, mut change: RecordKeysets) -> Result<(), Error> {
        loop {
            match self.commit(Change::RecordKeysets(change.clone())).await {
                Err(ApplyError::Conflict(Conflict::KeysetCollides(shown, _, _))) if change.keysets.len() > 1 => {
                    change.keysets.retain(|keyset| keyset.id != shown);
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// As [`refreshed_keysets`](Self::refreshed_keysets), or as they are remembered when the mint does not answer.
    pub(crate) async fn keysets_if_reachable(&self) -> Result<Keysets, Error> {
        match self.refreshed_keysets().await {
            Err(Error::Unreachable(_) | Error::Ambiguous { .. }) => self.known_keysets().await,
            answer => answer,
        }
    }

    async fn check_listing(
        &self,
        known: &Keysets,
        listed: &hazel_protocol::KeysetsResponse,
    ) -> Result<RecordKeysets, Error> {
        let listing = keysets::compare(known, listed, &self.inner.unit)?;
        let mut keysets = listing.changed;
        // One question answers for all active keysets, which are nearly always the new ones.
        let active =
            if listing.new.iter().any(|new| new.active) { Some(self.inner.connector.keys().await?) } else { None };
        for new in &listing.new {
            let shown = active.as_ref().filter(|answer| answer.keysets.iter().any(|keyset| keyset.id == new.id));
            keysets.push(match shown {
                Some(answer) => keysets::accept(new, answer)?,
                None => keysets::accept(new, &self.inner.connector.keys_of(&new.id).await?)?,
            });
        }
        Ok(RecordKeysets { mint: self.inner.mint.clone(), keysets })
    }

    pub(crate) fn keyset_for_outputs<'a>(&self, keysets: &'a Keysets) -> Result<&'a KeysetWithKeys, Error> {
        let none = || Error::NoActiveKeyset { mint: self.inner.mint.clone(), unit: self.inner.unit.clone() };
        keysets.for_outputs(self.now()).ok_or_else(none)
    }

    pub(crate) async fn next_counter(&self, keyset: KeysetId) -> Result<u64, Error> {
        Ok(self.inner.store.counter(self.inner.fingerprint, keyset).await?)
    }

    pub(crate) fn curve(&self) -> &Curve {
        &self.inner.curve
    }

    /// Outputs with their secrets; those that go into a token get `lock`.
    pub(crate) fn derive(&self, planned: &[PlannedOutput], lock: Option<&LockTerms>) -> Result<Vec<Derived>, Error> {
        outputs::derive_all(&self.inner.seed, &self.inner.curve, planned, lock)
    }

    /// The free proofs, and what selection has to know of each. Proofs of keysets that are not known, or that have expired so
    /// that the mint takes them no more, are left out.
    pub(crate) async fn available(&self, keysets: &Keysets) -> Result<(Vec<ProofRecord>, Vec<Coin>), Error> {
        let proofs = self.inner.store.proofs(&self.inner.mint, &self.inner.unit, ProofStatus::Available).await?;
        let now = self.now();
        let known = proofs.into_iter().filter_map(|proof| {
            let keyset = keysets.get(&proof.proof.id).filter(|keyset| !keysets::has_expired(keyset, now))?;
            let amount = proof.proof.amount.to_u64();
            let expiry = keysets::expiry(keyset.final_expiry);
            let coin = Coin { amount, fee_ppk: keyset.input_fee_ppk, active: keyset.active, expiry };
            Some((proof, coin))
        });
        Ok(known.unzip())
    }

    /// A proof that the wallet got, as the store keeps it.
    pub(crate) fn new_proof(&self, proof: Proof, planned: &PlannedOutput, status: ProofStatus) -> ProofRecord {
        ProofRecord {
            y: PointBytes::from(&proof.y()),
            mint: self.inner.mint.clone(),
            unit: self.inner.unit.clone(),
            proof,
            status,
            held_by: None,
            sent_by: None,
            origin: Some(Origin { seed: self.inner.fingerprint, counter: planned.counter }),
        }
    }

    /// The states of proofs, in the same order (NUT-07).
    pub(crate) async fn states(&self, ys: &[PointBytes]) -> Result<Vec<ProofState>, Error> {
        let mut states = Vec::with_capacity(ys.len());
        for asked in ys.chunks(STATES_PER_REQUEST) {
            let list = BoundedVec::try_from(asked.to_vec()).map_err(|_| Error::Bug("a state request is too long"))?;
            let answer = self.inner.connector.check_state(&CheckStateRequest { ys: list }).await?;
            states.extend(verify::states(asked, &answer)?);
        }
        Ok(states)
    }

    /// The proofs that the mint signed for some outputs, one entry for each (NUT-09). One bad signature spoils the answer.
    pub(crate) async fn restore_outputs(
        &self,
        keysets: &Keysets,
        planned: &[PlannedOutput],
        lock: Option<&LockTerms>,
    ) -> Result<Vec<Option<Proof>>, Error> {
        let proofs = self.restore_each(keysets, planned, lock).await?;
        Ok(proofs.into_iter().map(Option::transpose).collect::<Result<_, Violation>>()?)
    }

    /// As [`restore_outputs`](Self::restore_outputs), with each bad signature in its place.
    pub(crate) async fn restore_each(
        &self,
        keysets: &Keysets,
        planned: &[PlannedOutput],
        lock: Option<&LockTerms>,
    ) -> Result<Vec<Option<Result<Proof, Violation>>>, Error> {
        let mut proofs = Vec::with_capacity(planned.len());
        let derived = self.derive(planned, lock)?;
        for derived in derived.chunks(RESTORE_BATCH) {
            let messages: Vec<_> = derived.iter().map(Derived::message).collect();
            let outputs = BoundedVec::try_from(messages).map_err(|_| Error::Bug("a restore request is too long"))?;
            let answer = self.inner.connector.restore(&RestoreRequest { outputs }).await?;
            proofs.extend(verify::restored(keysets, derived, &answer, self.inner.policy.mint_dleq)?);
        }
        Ok(proofs)
    }
}

/// Proofs in one state request. A count.
const STATES_PER_REQUEST: usize = 500;

/// Outputs in one restore request (NUT-13). A count.
pub(crate) const RESTORE_BATCH: usize = 100;

/// The one place that says what an answer of a mint is worth to an operation.
pub(crate) enum Answer<T> {
    /// The mint did what it was asked.
    Final(T),
    /// This copy of the request changed nothing.
    Refused { code: u16, detail: String },
    /// The request may have been applied, or may still be.
    Ambiguous(String),
    /// This copy of the request never left.
    NotSent(String),
}

impl<T> From<Result<T, ConnectorError>> for Answer<T> {
    fn from(answer: Result<T, ConnectorError>) -> Self {
        match answer {
            Ok(answer) => Self::Final(answer),
            Err(ConnectorError::Refused(error)) => {
                Self::Refused { code: error.code, detail: hazel_protocol::neutralise(&error.detail) }
            }
            Err(ConnectorError::Ambiguous(reason)) => Self::Ambiguous(reason),
            Err(ConnectorError::NotSent(reason)) => Self::NotSent(reason),
        }
    }
}

/// Whether a step failed only because somebody was faster, so that it may be made anew.
pub(crate) fn was_overtaken(error: &ApplyError) -> bool {
    matches!(error, ApplyError::Conflict(Conflict::CounterMoved(_) | Conflict::ProofTaken))
}
