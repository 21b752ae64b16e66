//! NUT-17: subscriptions. What is asked for is said at once, and then every change of it, once and in order.
//!
//! To miss nothing, a subscription is registered first and reads the ledger second. Events that the reading already saw are told apart by
//! what they change: a quote by its revision (`updated_at` strictly increases), a proof by the state it was in before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hazel_protocol::check::{ProofState, ProofStateEntry};
use hazel_protocol::ws::{NotificationPayload, SubscriptionKind};
use hazel_protocol::{PointBytes, QuoteId};
use tokio::sync::mpsc;

use crate::error::{Group, MintError};
use crate::events::{Event, Key};
use crate::lookup::entry;
use crate::mint::Mint;
use crate::mint_quote::{response, state_of};
use crate::ports::{MeltQuoteStatus, MintQuote, Timestamp};

/// How far a subscriber has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A mint quote, its revision and whether it still waits for money.
    MintQuote(Timestamp, bool),
    /// A melt quote, its revision and state.
    MeltQuote(Timestamp, MeltQuoteStatus),
    /// A proof and its state.
    Proof(ProofState),
    /// A proof and the state that it was found in, maybe some states later.
    ProofSeen(ProofState),
}

/// One connection's subscriptions.
#[derive(Debug)]
pub struct Listener {
    mint: Arc<Mint>,
    id: u64,
    events: mpsc::Receiver<Event>,
    subscriptions: BTreeMap<String, BTreeMap<Key, Told>>,
}

impl Mint {
    /// A connection that may subscribe. Dropping it ends all its subscriptions.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let (id, events) = self.hub.join();
        Listener { mint: Arc::clone(self), id, events, subscriptions: BTreeMap::new() }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let watched: BTreeSet<&Key> = self.subscriptions.values().flat_map(BTreeMap::keys).collect();
        self.mint.hub.unwatch(self.id, watched);
        self.mint.hub.leave(self.id);
    }
}

impl Listener {
    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Begins the subscription `id`; what is asked for as it stands, one payload for each filter.
    ///
    /// # Errors
    /// The id is in use; a filter is malformed or names nothing that this mint has; the ledger's. Nothing is subscribed then.
    pub async fn subscribe(
        &mut self,
        id: String,
        kind: &SubscriptionKind,
        filters: &[String],
    ) -> Result<Vec<NotificationPayload>, MintError> {
        if self.subscriptions.contains_key(&id) {
            return Err(MintError::invalid(Group::Request, "this subId is in use on this connection"));
        }
        let method = match kind {
            SubscriptionKind::MintQuote(method) | SubscriptionKind::MeltQuote(method) => Some(method.as_str()),
            SubscriptionKind::ProofState => None,
        };
        let keys = keys_of(kind, filters)?;
        self.mint.hub.watch(self.id, &keys);
        match self.snapshot(&keys, method).await {
            Ok(found) => {
                let (told, payloads): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                self.subscriptions.insert(id, keys.into_iter().zip(told).collect());
                Ok(payloads)
            }
            Err(error) => {
                self.unwatch_unused(keys);
                Err(error)
            }
        }
    }

    /// Ends the subscription `id`; false when there is none.
    pub fn unsubscribe(&mut self, id: &str) -> bool {
        let Some(ended) = self.subscriptions.remove(id) else { return false };
        self.unwatch_unused(ended.into_keys());
        true
    }

    fn unwatch_unused(&self, keys: impl IntoIterator<Item = Key>) {
        let used = |key: &Key| self.subscriptions.values().any(|keys| keys.contains_key(key));
        let unused: Vec<Key> = keys.into_iter().filter(|key| !used(key)).collect();
        self.mint.hub.unwatch(self.id, &unused);
    }

    async fn snapshot(
        &self,
        keys: &[Key],
        method: Option<&str>,
    ) -> Result<Vec<(Told, NotificationPayload)>, MintError> {
        let ys: Vec<PointBytes> = keys.iter().filter_map(Key::as_proof).collect();
        if !ys.is_empty() {
            let known = self.mint.ports.store.inputs(&ys).await?;
            let entries = ys.iter().zip(known).map(|(y, known)| entry(*y, known));
            return Ok(entries.map(|entry| (Told::Proof(entry.state), proof(entry))).collect());
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(match key {
                Key::MintQuote(id) => self.mint_quote(id, method).await?,
                Key::MeltQuote(id) => self.melt_quote(id, method).await?,
                Key::Proof(_) => return Err(MintError::Bug("a proof among quotes".to_owned())),
            });
        }
        Ok(found)
    }

    /// The quote; of this method, if one is given.
    async fn mint_quote(&self, id: &QuoteId, method: Option<&str>) -> Result<(Told, NotificationPayload), MintError> {
        let found = self.mint.ports.store.mint_quotes(std::slice::from_ref(id)).await?;
        let mut found = found.into_iter().flatten().filter(|quote| method.is_none_or(|method| quote.method == method));
        let quote = found.next().ok_or_else(|| self.no_such_quote(method))?;
        if is_unpaid(&quote) {
            self.mint.wonder_about(&quote);
        }
        Ok(told_of_mint(quote))
    }

    async fn melt_quote(&self, id: &QuoteId, method: Option<&str>) -> Result<(Told, NotificationPayload), MintError> {
        let found = self.mint.ports.store.melt_quote(id).await?;
        let found = found.filter(|quote| method.is_none_or(|method| quote.method == method));
        let quote = found.ok_or_else(|| self.no_such_quote(method))?;
        let told = Told::MeltQuote(quote.updated_at, quote.status);
        Ok((told, NotificationPayload::MeltQuote(Box::new(self.mint.describe(quote).await?))))
    }

    /// Why a filter names no quote: nobody serves the method, or there is none.
    fn no_such_quote(&self, method: Option<&str>) -> MintError {
        let unsupported = method.and_then(|method| self.mint.ports.payments.of(method).err());
        unsupported.unwrap_or_else(no_such_quote)
    }

    /// The next event; `None` when the connection has to end, because it does not keep up or the mint is shutting down. Nothing is
    /// lost when it is dropped before it completes.
    pub async fn heard(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Whom to tell what about `event`: subscriptions with their payloads.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn tell(&mut self, event: Event) -> Result<Vec<(String, NotificationPayload)>, MintError> {
        let key = event.key();
        if !self.subscriptions.values().any(|keys| keys.contains_key(&key)) {
            return Ok(Vec::new());
        }
        let (now, payload) = self.news_of(event).await?;
        let mut tell = Vec::new();
        for (id, keys) in &mut self.subscriptions {
            if let Some(told) = keys.get_mut(&key).filter(|told| told.is_followed_by(now)) {
                *told = now.settled();
                tell.push((id.clone(), payload.clone()));
            }
        }
        Ok(tell)
    }

    async fn news_of(&self, event: Event) -> Result<(Told, NotificationPayload), MintError> {
        match event {
            Event::MintQuote(quote) => Ok(told_of_mint(*quote)),
            Event::MintQuoteChanged(id) => self.mint_quote(&id, None).await,
            Event::MeltQuote(quote) => {
                let told = Told::MeltQuote(quote.updated_at, quote.status);
                Ok((told, NotificationPayload::MeltQuote(Box::new(self.mint.describe(*quote).await?))))
            }
            Event::Proof(y, state, witness) => Ok((Told::Proof(state), proof(ProofStateEntry { y, state, witness }))),
            Event::ProofSeen(y, state, witness) => {
                Ok((Told::ProofSeen(state), proof(ProofStateEntry { y, state, witness })))
            }
        }
    }

    /// Has the reconciler ask about the unpaid mint quotes that are listened to, as a `GET` of each would.
    pub fn wonder(&self) {
        for keys in self.subscriptions.values() {
            for (key, told) in keys {
                if let (Key::MintQuote(id), Told::MintQuote(_, true)) = (key, told) {
                    self.mint.wonder_about_id(id);
                }
            }
        }
    }
}

impl Told {
    /// Whether `next` is news to who was told this.
    fn is_followed_by(&self, next: Self) -> bool {
        match (*self, next) {
            (Self::MintQuote(told, _), Self::MintQuote(next, _)) => told < next,
            (Self::MeltQuote(told, status), Self::MeltQuote(next, after)) => told < next && status != after,
            (Self::Proof(told), Self::Proof(next)) => told == before(next),
            // What is spent stays so, whatever was read before that.
            (Self::Proof(told), Self::ProofSeen(next)) => told != next && told != ProofState::Spent,
            _ => false,
        }
    }

    /// What is remembered of having been told this.
    const fn settled(self) -> Self {
        match self {
            Self::ProofSeen(state) => Self::Proof(state),
            told => told,
        }
    }
}

/// The state that a proof was in before it came to be in this one.
const fn before(state: ProofState) -> ProofState {
    match state {
        ProofState::Pending => ProofState::Unspent,
        ProofState::Unspent | ProofState::Spent => ProofState::Pending,
    }
}

fn told_of_mint(quote: MintQuote) -> (Told, NotificationPayload) {
    let told = Told::MintQuote(quote.updated_at, is_unpaid(&quote));
    (told, NotificationPayload::MintQuote(Box::new(response(quote))))
}

fn is_unpaid(quote: &MintQuote) -> bool {
    state_of(quote) == hazel_protocol::mint::MintQuoteState::Unpaid
}

fn proof(entry: ProofStateEntry) -> NotificationPayload {
    NotificationPayload::ProofState(entry)
}

fn no_such_quote() -> MintError {
    MintError::invalid(Group::Quote, "a filter names no quote of this mint")
}

impl Key {
    fn as_proof(&self) -> Option<PointBytes> {
        match self {
            Self::Proof(y) => Some(*y),
            Self::MintQuote(_) | Self::MeltQuote(_) => None,
        }
    }
}

/// What the filters name, in their order, none twice.
fn keys_of(kind: &SubscriptionKind, filters: &[String]) -> Result<Vec<Key>, MintError> {
    if filters.is_empty() {
        return Err(MintError::invalid(Group::Request, "a subscription needs at least one filter"));
    }
    let malformed = || MintError::invalid(Group::Request, "a filter is neither the id of a quote nor a point");
    let key = |text: &String| match kind {
        SubscriptionKind::MintQuote(_) => text.parse().map(Key::MintQuote).map_err(|_| no_such_quote()),
        SubscriptionKind::MeltQuote(_) => text.parse().map(Key::MeltQuote).map_err(|_| no_such_quote()),
        SubscriptionKind::ProofState => text.parse().map(Key::Proof).map_err(|_| malformed()),
    };
    let mut seen = BTreeSet::new();
    let keys: Vec<Key> = filters.iter().map(key).collect::<Result<_, _>>()?;
    Ok(keys.into_iter().filter(|key| seen.insert(key.clone())).collect())
}
