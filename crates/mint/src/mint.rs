//! The engine: its parts, how it is opened, started and drained.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use hazel_protocol::keys::{KeysResponse, KeysetsResponse};
use hazel_protocol::{CurrencyUnit, ErrorCode, KeysetId, PaymentMethod, QuoteId};
use tokio::sync::{Notify, oneshot};

use crate::administer::BY_THE_MINT;
use crate::backends::Backends;
use crate::config::MintConfig;
use crate::driving::{BusyGuard, Driving, DrivingGuard};
use crate::error::{Group, MintError};
use crate::events::Hub;
use crate::keyring::Keyring;
use crate::ports::{
    Act, Applied, ApplyError, Change, Conflict, Environment, Fence, KeysetRecord, LatchKeyset, OperationId, OwnerId,
    Rates, Signer, Store, Timestamp,
};
use crate::questions::Questions;
use crate::rate::Rate;
use crate::strays::Strays;
use crate::verify::Rules;

/// How often a change whose commit is in doubt is sent again before the sweeper is left to decide: some ten seconds, so that on a full
/// disk a client hears of it in time.
const AMBIGUOUS_ATTEMPTS: u32 = 10;

/// The longest pause between two of these attempts.
const AMBIGUOUS_PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the engine needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The holder of the private keys.
    pub signer: Arc<dyn Signer>,
    /// Who is paid and pays, by method.
    pub payments: Backends,
    /// What units are worth.
    pub rates: Arc<dyn Rates>,
    /// Clock, randomness, tasks.
    pub environment: Arc<dyn Environment>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// A mint.
///
/// Every request that moves money runs in a task of its own: once begun it runs to its end, also when the client hangs up.
pub struct Mint {
    pub(crate) config: MintConfig,
    pub(crate) ports: Ports,
    /// This start of this process.
    pub(crate) owner: OwnerId,
    pub(crate) driving: Arc<Driving>,
    keyring: RwLock<Arc<Keyring>>,
    draining: AtomicBool,
    /// Ends the background loops.
    pub(crate) stop: Notify,
    /// Wakes a background loop before its pause is over.
    pub(crate) wake: Wake,
    /// Mint quotes that somebody waits for.
    pub(crate) questions: Questions,
    pub(crate) strays: Strays,
    /// When the stream of each method had last been read to its end, in seconds since the epoch; 0 for never.
    pub(crate) caught_up: BTreeMap<PaymentMethod, AtomicU64>,
    /// Whether the ledger was compared with the node since the start.
    pub(crate) compared: AtomicBool,
    /// Who listens to what.
    pub(crate) hub: Arc<Hub>,
    /// One keyset is added at a time.
    pub(crate) adding_keyset: tokio::sync::Mutex<()>,
    /// Keysets that this process has stopped, and whether the ledger has it, too: until it was read from there it holds whatever is read.
    stopped: Mutex<BTreeMap<KeysetId, InLedger>>,
}

/// Whether the ledger has what is decided here.
type InLedger = bool;

/// The bells of the background loops.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) melts_bell: Notify,
    pub(crate) quotes_bell: Notify,
}

impl Wake {
    /// Somebody waits for a melt.
    pub(crate) fn melts(&self) {
        self.melts_bell.notify_one();
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Mint {
    pub(crate) fn assemble(config: MintConfig, ports: Ports, keyring: Keyring) -> Arc<Self> {
        let mut owner = [0; 16];
        ports.environment.fill_random(&mut owner);
        let caught_up = ports.payments.methods().map(|method| (method.clone(), AtomicU64::new(0))).collect();
        Arc::new(Self {
            config,
            ports,
            owner: OwnerId::from_bytes(owner),
            driving: Arc::default(),
            keyring: RwLock::new(Arc::new(keyring)),
            draining: AtomicBool::new(false),
            stop: Notify::new(),
            wake: Wake::default(),
            questions: Questions::default(),
            strays: Strays::default(),
            caught_up,
            compared: AtomicBool::new(false),
            hub: Arc::default(),
            adding_keyset: tokio::sync::Mutex::default(),
            stopped: Mutex::default(),
        })
    }

    /// The settings this mint was opened with.
    pub fn config(&self) -> &MintConfig {
        &self.config
    }

    /// `GET /v1/keys` (NUT-01).
    pub fn keys(&self) -> KeysResponse {
        self.keyring().keys_response(self.now())
    }

    /// `GET /v1/keys/{keyset_id}` (NUT-02).
    ///
    /// # Errors
    /// 12001 when the mint has no such keyset.
    pub fn keys_of(&self, id: &KeysetId) -> Result<KeysResponse, MintError> {
        self.keyring().keys_of_response(id, self.now())
    }

    /// `GET /v1/keysets` (NUT-02).
    pub fn keysets(&self) -> KeysetsResponse {
        self.keyring().keysets_response(self.now())
    }

    /// The keysets as of now.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts what `change` makes of the keyring in its place; nobody else changes it meanwhile.
    pub(crate) fn change_keyring(&self, change: impl FnOnce(&Keyring) -> Keyring) {
        let mut keyring = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        *keyring = Arc::new(change(&keyring));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.environment.now()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules { keyring: self.keyring(), limits: self.config.limits, now: self.now() }
    }

    /// Open while this process holds what it pays for.
    pub(crate) fn fence(&self) -> Fence {
        let store = Arc::clone(&self.ports.store);
        Fence::new(move || store.may_pay())
    }

    /// A UUID v7, from the clock and 74 random bits.
    fn uuid(&self) -> uuid::Uuid {
        let mut random = [0; 10];
        self.ports.environment.fill_random(&mut random);
        let millis = self.now().to_unix().saturating_mul(1_000);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    pub(crate) fn new_operation(&self) -> OperationId {
        OperationId::from_bytes(*self.uuid().as_bytes())
    }

    pub(crate) fn new_quote_id(&self) -> Result<QuoteId, MintError> {
        QuoteId::new(self.uuid().to_string()).map_err(|error| MintError::Bug(error.to_string()))
    }

    /// Applies `change`; while its commit is in doubt it is sent again until the answer is definite.
    ///
    /// An `Ambiguous` that comes back has outlasted every attempt: the sweeper decides.
    pub(crate) async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        self.refuse_stopped(&change)?;
        let mut pause = Duration::from_millis(20);
        for _ in 0..AMBIGUOUS_ATTEMPTS {
            match self.ports.store.apply(change.clone()).await {
                Err(ApplyError::Ambiguous(text)) => {
                    tracing::warn!(error = %text, "a commit is in doubt, sending the change again");
                    self.ports.environment.sleep(pause).await;
                    pause = (pause * 2).min(AMBIGUOUS_PAUSE_MAX);
                }
                definite => {
                    self.alarm_if_overdrawn(&definite).await;
                    return definite;
                }
            }
        }
        Err(ApplyError::Ambiguous("no definite answer after many attempts".to_owned()))
    }

    /// More was presented of a keyset than it ever issued: its key has leaked. Stop it until an operator has looked.
    async fn alarm_if_overdrawn(&self, answer: &Result<Applied, ApplyError>) {
        let Err(ApplyError::Conflict(Conflict::Overdrawn(keyset))) = answer else { return };
        tracing::error!(%keyset, "ALARM: more was presented than this keyset ever issued; it is stopped");
        self.stopped().insert(*keyset, false);
        self.change_keyring(|ring| ring.with_latched(*keyset, true));
        self.write_stopped().await;
    }

    /// Takes nothing of a keyset that was stopped here, whether the ledger could be told or not.
    fn refuse_stopped(&self, change: &Change) -> Result<(), ApplyError> {
        let inputs = match change {
            Change::ReserveSwap(change) => &change.inputs,
            Change::ReserveMelt(change) => &change.inputs,
            _ => return Ok(()),
        };
        let stopped = self.stopped();
        match inputs.iter().find(|input| stopped.contains_key(&input.keyset)) {
            Some(input) => Err(ApplyError::Conflict(Conflict::KeysetLatched(input.keyset))),
            None => Ok(()),
        }
    }

    fn stopped(&self) -> MutexGuard<'_, BTreeMap<KeysetId, InLedger>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the ledger which keysets were stopped here. What fails is tried again by the sweeper.
    pub(crate) async fn write_stopped(&self) {
        let open: Vec<_> = self.stopped().iter().filter(|(_, written)| !**written).map(|(id, _)| *id).collect();
        for keyset in open {
            let act = Act::LatchKeyset(LatchKeyset { keyset, latched: true });
            let latch = self.administer(act, BY_THE_MINT, "more was presented than was ever issued");
            match self.ports.store.apply(latch).await {
                Ok(_) => drop(self.stopped().entry(keyset).and_modify(|written| *written = true)),
                Err(error) => tracing::error!(%keyset, %error, "the keyset could not be stopped in the ledger"),
            }
        }
    }

    /// The keysets stopped here that the ledger has so: what is read of it from now on is as true as this.
    pub(crate) fn written_stops(&self) -> Vec<KeysetId> {
        self.stopped().iter().filter(|(_, written)| **written).map(|(id, _)| *id).collect()
    }

    /// A keyring read from the ledger takes the place of the one before. Keysets stay stopped that were stopped here, but for those whose
    /// stop was `written` before the ledger was read.
    pub(crate) fn replace_keyring(&self, read: Keyring, written: &[KeysetId]) {
        let mut stopped = self.stopped();
        stopped.retain(|id, _| !written.contains(id));
        let ring = stopped.keys().fold(read, |ring, id| ring.with_latched(*id, true));
        self.change_keyring(|_| ring);
    }

    /// An operator has looked at a keyset and allows it.
    pub(crate) fn forget_stop(&self, keyset: KeysetId) {
        self.stopped().remove(&keyset);
    }

    /// Lets a request in, unless the mint is shutting down, which waits for those that are in.
    pub(crate) fn admit(&self) -> Result<BusyGuard, MintError> {
        let guard = self.driving.enter();
        if self.is_draining() {
            return Err(MintError::Busy { retry_after_secs: 5 });
        }
        Ok(guard)
    }

    /// Runs `work` on `operation` in a task of its own and waits for its answer. The task goes on when the caller is dropped.
    pub(crate) async fn drive<T, F>(
        self: &Arc<Self>,
        operation: OperationId,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, MintError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MintError>> + Send + 'static,
    {
        let guard =
            self.driving.claim(operation).ok_or_else(|| MintError::Bug("an operation id was used twice".to_owned()))?;
        let (done, answer) = oneshot::channel();
        let work = work(Arc::clone(self));
        self.spawn_guarded(guard, async move {
            // The caller may have hung up; the work is done all the same.
            let _ = done.send(work.await);
        });
        answer.await.unwrap_or_else(|_| Err(MintError::Bug("the task of an operation panicked".to_owned())))
    }

    /// Spawns `task`, holding `guard` until it ends or panics.
    pub(crate) fn spawn_guarded(&self, guard: DrivingGuard, task: impl Future<Output = ()> + Send + 'static) {
        let task = async move {
            let _guard = guard;
            task.await;
        };
        self.ports.environment.spawn(task.boxed());
    }

    /// Stops background work, refuses new requests and waits for running operations; true when none is left.
    ///
    /// Melts in flight are left to recovery once `within` is over.
    pub async fn drain(&self, within: Duration) -> bool {
        self.draining.store(true, Ordering::Release);
        self.stop.notify_waiters();
        self.hub.close();
        let idle = self.driving.idle().boxed();
        let timeout: BoxFuture<'static, ()> = self.ports.environment.sleep(within);
        match select(idle, timeout).await {
            Either::Left(_) => true,
            Either::Right(_) => self.driving.is_idle(),
        }
    }

    /// Whether [`drain`](Self::drain) has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The keyset that signs `unit`, which is what makes it a unit of this mint.
    ///
    /// # Errors
    /// 11013 for a unit without keysets; 12003 or 12002 while none signs.
    pub(crate) fn require_unit(&self, unit: &CurrencyUnit) -> Result<Arc<KeysetRecord>, MintError> {
        let (ring, now) = (self.keyring(), self.now());
        self.require_spendable(unit)?;
        ring.signing_of(unit, now).map(Arc::clone)
    }

    /// That not every keyset of `unit` is stopped.
    ///
    /// # Errors
    /// 12000.
    pub(crate) fn require_allowed(&self, unit: &CurrencyUnit) -> Result<(), MintError> {
        if self.keyring().iter().filter(|keyset| keyset.unit == *unit).all(|keyset| keyset.latched) {
            return Err(MintError::invalid(Group::Keyset, "this unit is stopped, ask the operator of the mint"));
        }
        Ok(())
    }

    /// That quotes of `method` can be in `unit`, whatever its keysets are like.
    ///
    /// # Errors
    /// A method that is not served; 11013.
    pub(crate) fn require_method(&self, method: &str, unit: &CurrencyUnit) -> Result<(), MintError> {
        self.ports.payments.of(method)?;
        let serves = self.config.method(method).is_some_and(|config| config.serves(unit));
        if serves && self.has_rate(unit) { Ok(()) } else { Err(MintError::refused(ErrorCode::UnitUnsupported)) }
    }

    /// Whether quotes can be made in `unit`.
    pub(crate) fn has_rate(&self, unit: &CurrencyUnit) -> bool {
        Rate::fixed(unit).is_some() || self.ports.rates.serves(unit)
    }

    /// What one `unit` is worth now, to be kept in a quote.
    ///
    /// # Errors
    /// 11013 for a unit without a rate; the source does not answer.
    pub(crate) async fn rate_of(&self, unit: &CurrencyUnit) -> Result<Rate, MintError> {
        match Rate::fixed(unit) {
            Some(rate) => Ok(rate),
            None => Ok(self.ports.rates.rate(unit).await?),
        }
    }

    /// Why there is no quote of `method` with an id that was given.
    pub(crate) fn no_such_quote(&self, method: &str) -> MintError {
        let unknown = || MintError::invalid(Group::Quote, "no such quote");
        self.ports.payments.of(method).err().unwrap_or_else(unknown)
    }

    /// That there may be proofs of `unit` to spend.
    ///
    /// # Errors
    /// 11013 for a unit without keysets; 12003 when all have expired.
    pub(crate) fn require_spendable(&self, unit: &CurrencyUnit) -> Result<(), MintError> {
        let (ring, now) = (self.keyring(), self.now());
        let mut keysets = ring.iter().filter(|keyset| keyset.unit == *unit).peekable();
        if keysets.peek().is_none() || *unit == CurrencyUnit::Auth {
            return Err(MintError::refused(ErrorCode::UnitUnsupported));
        }
        if keysets.all(|keyset| keyset.has_expired(now)) {
            return Err(MintError::refused(ErrorCode::KeysetExpired));
        }
        Ok(())
    }
}
