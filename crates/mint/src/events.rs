//! What changed, told to those who asked to hear of it, in the order of the commits (NUT-17).
//!
//! The ledger tells the [`Hub`] of every commit. A commit names operations; what interests a wallet are quotes and proofs, so the hub knows
//! the inputs of every operation that has not ended. A listener that does not keep up loses its place: it is never waited for.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hazel_protocol::check::ProofState;
use hazel_protocol::{PointBytes, QuoteId, Witness};
use tokio::sync::mpsc;

use crate::ports::{Applied, Change, InputRow, MeltQuote, MintQuote, Observer, OperationId, SwapResolution};

/// Events that may wait for a listener to take them.
const WAITING_MAX: usize = 4096;

/// What can be listened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    MintQuote(QuoteId),
    MeltQuote(QuoteId),
    Proof(PointBytes),
}

/// A change of something that is listened to.
#[derive(Debug, Clone)]
pub enum Event {
    /// A mint quote as the commit left it.
    #[doc(hidden)]
    MintQuote(Box<MintQuote>),
    /// A mint quote that a commit changed without saying to what.
    #[doc(hidden)]
    MintQuoteChanged(QuoteId),
    /// A melt quote as the commit left it.
    #[doc(hidden)]
    MeltQuote(Box<MeltQuote>),
    /// A proof as the commit left it.
    #[doc(hidden)]
    Proof(PointBytes, ProofState, Option<Witness>),
    /// A proof as it was found, whoever left it so; what came between may have been missed.
    #[doc(hidden)]
    ProofSeen(PointBytes, ProofState, Option<Witness>),
}

impl Event {
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::MintQuote(quote) => Key::MintQuote(quote.id.clone()),
            Self::MintQuoteChanged(id) => Key::MintQuote(id.clone()),
            Self::MeltQuote(quote) => Key::MeltQuote(quote.id.clone()),
            Self::Proof(y, ..) | Self::ProofSeen(y, ..) => Key::Proof(*y),
        }
    }
}

/// An input that an operation holds: its Y and its witness.
type Held = (PointBytes, Option<Witness>);

/// Who listens to one thing.
#[derive(Default)]
struct Watch {
    listeners: HashSet<u64>,
    /// The moment at which it was last changed by a commit of this process.
    changed: u64,
}

#[derive(Default)]
struct Inner {
    /// The inputs of operations that have not ended.
    held: HashMap<OperationId, Vec<Held>>,
    /// Who listens to what.
    watchers: HashMap<Key, Watch>,
    /// Grows with every change that somebody listens to.
    moment: u64,
    listeners: HashMap<u64, mpsc::Sender<Event>>,
    next_listener: u64,
    closed: bool,
}

/// Passes on what the ledger commits.
#[derive(Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more listener; nothing is heard by it before it watches something.
    pub(crate) fn join(&self) -> (u64, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut inner = self.lock();
        let id = inner.next_listener;
        inner.next_listener += 1;
        if !inner.closed {
            inner.listeners.insert(id, sender);
        }
        (id, receiver)
    }

    /// From now on `listener` hears of `keys`.
    pub(crate) fn watch<'a>(&self, listener: u64, keys: impl IntoIterator<Item = &'a Key>) {
        let mut inner = self.lock();
        for key in keys {
            inner.watchers.entry(key.clone()).or_default().listeners.insert(listener);
        }
    }

    /// From now on it does not.
    pub(crate) fn unwatch<'a>(&self, listener: u64, keys: impl IntoIterator<Item = &'a Key>) {
        let mut inner = self.lock();
        for key in keys {
            if let Some(watch) = inner.watchers.get_mut(key) {
                watch.listeners.remove(&listener);
                if watch.listeners.is_empty() {
                    inner.watchers.remove(key);
                }
            }
        }
    }

    /// Everything that somebody listens to, and the moment of this look.
    pub(crate) fn watched(&self) -> (Vec<Key>, u64) {
        let inner = self.lock();
        (inner.watchers.keys().cloned().collect(), inner.moment)
    }

    /// Tells whoever listens of what was found in the ledger after the moment `since`; not of what has changed here meanwhile, since the finding may be
    /// older than that.
    pub(crate) fn tell(&self, event: &Event, since: u64) {
        let mut inner = self.lock();
        if inner.watchers.get(&event.key()).is_some_and(|watch| watch.changed <= since) {
            inner.pass_on(event);
        }
    }

    /// Ends a listener that watches nothing any more.
    pub(crate) fn leave(&self, listener: u64) {
        self.lock().listeners.remove(&listener);
    }

    /// Ends every listener, and those that come later: the mint is shutting down.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.listeners.clear();
    }

    /// An operation from before this start holds `inputs`.
    pub(crate) fn remember<'a>(&self, operation: OperationId, inputs: impl Iterator<Item = &'a InputRow>) {
        self.lock().held.insert(operation, inputs.map(held).collect());
    }
}

fn held(input: &InputRow) -> Held {
    (input.y, input.witness.clone())
}

impl Observer for Hub {
    fn committed(&self, change: &Change, applied: &Applied) {
        let mut inner = self.lock();
        match change {
            Change::ReserveSwap(change) => inner.take(change.operation, &change.inputs),
            Change::ReserveMelt(change) => inner.take(change.operation, &change.inputs),
            Change::SettleSwap(change) => inner.end(change.operation, ProofState::Spent),
            Change::ReleaseSwap(change) => inner.end(change.operation, ProofState::Unspent),
            Change::ResolveSwap(change) => match applied {
                Applied::Resolved(SwapResolution::Spent) => inner.end(change.operation, ProofState::Spent),
                Applied::Resolved(SwapResolution::Removed) => inner.end(change.operation, ProofState::Unspent),
                _ => {}
            },
            Change::SettleMelt(change) => inner.end(change.operation, ProofState::Spent),
            Change::SettleInternally(change) => {
                inner.end(change.operation, ProofState::Spent);
                inner.publish(&Event::MintQuoteChanged(change.mint_quote.clone()));
            }
            Change::ReleaseMelt(change) => inner.end(change.operation, ProofState::Unspent),
            Change::Issue(change) => {
                for (quote, _) in &change.draws {
                    inner.publish(&Event::MintQuoteChanged(quote.clone()));
                }
            }
            Change::BindSeed(_)
            | Change::AddKeyset(_)
            | Change::LatchKeyset(_)
            | Change::Administer(_)
            | Change::OpenMintQuote(_)
            | Change::CreditMintQuote(_)
            | Change::OpenMeltQuote(_)
            | Change::DispatchMelt(_)
            | Change::RecordMelt(_)
            | Change::TakeOver(_)
            | Change::Prune(_) => {}
        }
        if inner.watchers.is_empty() {
            return;
        }
        match applied {
            Applied::MintQuote(quote) => inner.publish(&Event::MintQuote(Box::new(quote.clone()))),
            Applied::MeltQuote(quote) => inner.publish(&Event::MeltQuote(Box::new(quote.clone()))),
            Applied::Done | Applied::Signatures(_) | Applied::Resolved(_) | Applied::Pruned(_) => {}
        }
    }
}

impl Inner {
    /// An operation takes its inputs.
    fn take(&mut self, operation: OperationId, inputs: &[InputRow]) {
        let inputs: Vec<Held> = inputs.iter().map(held).collect();
        self.publish_proofs(&inputs, ProofState::Pending);
        self.held.insert(operation, inputs);
    }

    /// An operation ends, for its inputs in this way. One that is not known has ended before.
    fn end(&mut self, operation: OperationId, state: ProofState) {
        if let Some(inputs) = self.held.remove(&operation) {
            self.publish_proofs(&inputs, state);
        }
    }

    fn publish_proofs(&mut self, inputs: &[Held], state: ProofState) {
        if self.watchers.is_empty() {
            return;
        }
        for (y, witness) in inputs {
            let witness = witness.clone().filter(|_| state != ProofState::Unspent);
            self.publish(&Event::Proof(*y, state, witness));
        }
    }

    /// Tells whoever watches of a change.
    fn publish(&mut self, event: &Event) {
        if self.watchers.is_empty() {
            return;
        }
        let Some(watch) = self.watchers.get_mut(&event.key()) else { return };
        self.moment += 1;
        watch.changed = self.moment;
        self.pass_on(event);
    }

    /// Passes an event on. A listener whose queue is full is parted with.
    fn pass_on(&mut self, event: &Event) {
        let Some(watch) = self.watchers.get(&event.key()) else { return };
        for watcher in &watch.listeners {
            let full = self.listeners.get(watcher).is_some_and(|listener| listener.try_send(event.clone()).is_err());
            if full {
                self.listeners.remove(watcher);
            }
        }
    }
}
