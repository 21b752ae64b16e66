//! Payments as private messages (NUT-18): the payer's courier and the receiver's box.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hazel_protocol::{
    Curve, MAX_RELAYS, NostrProfile, NostrProfileError, PaymentPayload, Transport, TransportTarget, from_json,
};
use hazel_wallet::ports::{Courier, Environment, RemoteError};
use serde_json::json;
use zeroize::Zeroizing;

use crate::event::{Event, KIND_GIFT_WRAP};
use crate::gift::{self, PrivateMessage};
use crate::identity::{Identity, User};
use crate::relay::Relays;

/// Most payments that one box remembers to have shown. A count.
pub const MAX_REMEMBERED: usize = 10_000;

/// Takes payments to users of Nostr. Each has a sender that is used once, so that payments cannot be linked by it.
#[derive(Clone)]
pub struct NostrCourier {
    relays: Relays,
    curve: Arc<Curve>,
    environment: Arc<dyn Environment>,
}

impl std::fmt::Debug for NostrCourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NostrCourier").field("relays", &self.relays).finish_non_exhaustive()
    }
}

impl NostrCourier {
    /// A courier by these ways.
    pub fn new(relays: Relays, curve: Arc<Curve>, environment: Arc<dyn Environment>) -> Self {
        Self { relays, curve, environment }
    }

    /// The payment, readable by its receiver alone.
    fn wrapped(&self, to: &NostrProfile, payload: &PaymentPayload) -> Result<Event, RemoteError> {
        let unsent = |error: &dyn std::fmt::Display| RemoteError::NotSent(error.to_string());
        let entropy = gift::random(&*self.environment);
        let sender = Identity::ephemeral(Arc::clone(&self.curve), &entropy);
        let sender = sender.ok_or_else(|| unsent(&"no key could be drawn"))?;
        let message = serde_json::to_string(payload).map(Zeroizing::new).map_err(|error| unsent(&error))?;
        let wrapped = gift::wrap(&*self.environment, &sender, &User::from_bytes(*to.key()), &message);
        wrapped.map_err(|error| unsent(&error))
    }
}

#[async_trait]
impl Courier for NostrCourier {
    fn reaches(&self, transport: &Transport) -> bool {
        match &transport.target {
            TransportTarget::Nostr(profile) => transport.takes_nip17() && !profile.relays().is_empty(),
            TransportTarget::Post(_) | TransportTarget::Other { .. } => false,
        }
    }

    /// One relay that keeps the message is enough. If none does, the most open of their answers counts.
    async fn deliver(&self, transport: &Transport, payload: &PaymentPayload) -> Result<(), RemoteError> {
        let TransportTarget::Nostr(profile) = &transport.target else {
            return Err(RemoteError::NotSent("not a user of Nostr".to_owned()));
        };
        let event = self.wrapped(profile, payload)?;
        let answers = self.relays.publish_to_all(profile.relays(), &event).await;
        settle(answers)
    }
}

/// What several answers to the same message come to.
fn settle(answers: Vec<Result<(), RemoteError>>) -> Result<(), RemoteError> {
    let rank = |error: &RemoteError| match error {
        RemoteError::Ambiguous(_) => 2,
        RemoteError::Refused(_) => 1,
        RemoteError::NotSent(_) => 0,
    };
    if answers.iter().any(Result::is_ok) {
        return Ok(());
    }
    let worst = answers.into_iter().filter_map(Result::err).max_by_key(rank);
    Err(worst.unwrap_or_else(|| RemoteError::NotSent("the receiver names no relay".to_owned())))
}

/// Where payments for one user arrive, at several relays.
///
/// Everybody can put anything there. What comes out is a well-formed payload that was encrypted for this user; what it is worth, and for
/// which request, the wallet finds out when it receives it.
#[derive(Debug)]
pub struct PaymentBox {
    relays: Relays,
    identity: Identity,
    profile: NostrProfile,
    seen: BTreeSet<[u8; 32]>,
}

impl PaymentBox {
    /// The box of a user at these relays. For each request a user of its own keeps payments apart.
    ///
    /// # Errors
    /// [`NostrProfileError`] for too many relays, or one whose address is none.
    pub fn new(relays: Relays, identity: Identity, urls: Vec<String>) -> Result<Self, NostrProfileError> {
        let profile = NostrProfile::new(*identity.user().as_bytes(), urls)?;
        Ok(Self { relays, identity, profile, seen: BTreeSet::new() })
    }

    /// What to write into a payment request for payments to come here.
    pub fn transport(&self) -> Transport {
        Transport::nostr(self.profile.clone())
    }

    /// The next payment that was not shown before, of those that wait at the relays and those that come while `patience` lasts.
    ///
    /// # Errors
    /// [`RemoteError`] when not one relay could be listened to.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<PaymentPayload>, RemoteError> {
        if self.seen.len() >= MAX_REMEMBERED {
            return Err(RemoteError::Refused("too many payments for one box".to_owned()));
        }
        let user = self.identity.user().to_string();
        let filter = json!({ "kinds": [KIND_GIFT_WRAP], "#p": [user] });
        let (identity, seen) = (&self.identity, &self.seen);
        let listening = self.profile.relays().iter().take(MAX_RELAYS).map(|url| {
            let take = move |event: &Event| open(identity, event).filter(|(message, _)| !seen.contains(&message.id));
            self.relays.watch(url, &filter, patience, take)
        });
        let mut listening: FuturesUnordered<_> = listening.collect();
        let (mut heard, mut failure) = (false, None);
        while let Some(answer) = listening.next().await {
            match answer {
                Ok(Some((message, payload))) => {
                    drop(listening);
                    self.seen.insert(message.id);
                    return Ok(Some(payload));
                }
                Ok(None) => heard = true,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !heard => Err(error),
            _ => Ok(None),
        }
    }
}

/// The payment in an event, if it is one for this user.
fn open(identity: &Identity, event: &Event) -> Option<(PrivateMessage, PaymentPayload)> {
    let message = gift::unwrap(identity, event).ok()?;
    let payload = from_json(message.content.as_bytes()).ok()?;
    Some((message, payload))
}
