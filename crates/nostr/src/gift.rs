//! Private messages of which nobody else learns sender, time or content (NIP-17, NIP-59).
//!
//! ```text
//! rumor  what is said, by whom; unsigned, so that it proves nothing to others      kind 14
//! seal   the rumor, encrypted to the receiver, signed by the sender                kind 13
//! wrap   the seal, encrypted to the receiver, signed by a key that is used once    kind 1059
//! ```
//!
//! Relays see the wrap: a fresh key, the receiver, and a time that is up to two days too early.

use hazel_protocol::{Scalar32, from_json};
use hazel_wallet::ports::Environment;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::event::{Draft, Event, EventError, KIND_GIFT_WRAP, KIND_PRIVATE_MESSAGE, KIND_SEAL};
use crate::identity::{Identity, User};
use crate::nip44::{ConversationKey, Nip44Error};

/// How much earlier than it is a wrap may say that it was made, in seconds (NIP-59).
pub const MAX_BACKDATING_SECS: u64 = 2 * 24 * 60 * 60;

/// Why a message cannot be wrapped, or a wrap not be opened. Holds nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiftError {
    /// It is no wrap or holds no seal, or the seal no private message.
    #[error("not a private message")]
    Kind,
    /// The sender of the seal is not the sender of what is in it.
    #[error("the message pretends to be of somebody else")]
    Author,
    /// An event in it is malformed or not signed.
    #[error(transparent)]
    Event(#[from] EventError),
    /// It is too long, not for this receiver, or was changed.
    #[error(transparent)]
    Encryption(#[from] Nip44Error),
    /// The random source gives no key.
    #[error("no key could be drawn")]
    Entropy,
}

/// A private message.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateMessage {
    /// The hash of it, by which the same message is known when it comes again.
    pub id: [u8; 32],
    /// Who sent it.
    pub sender: User,
    /// The text.
    pub content: Zeroizing<String>,
}

impl std::fmt::Debug for PrivateMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateMessage({} bytes from {})", self.content.len(), self.sender)
    }
}

/// An event that nobody signed.
#[derive(Serialize, Deserialize)]
struct Rumor {
    #[serde(default)]
    id: Option<Scalar32>,
    pubkey: User,
    created_at: u64,
    kind: u16,
    #[serde(default)]
    tags: Vec<Vec<String>>,
    content: String,
}

/// Wraps a message to `receiver`.
///
/// # Errors
/// [`GiftError::Encryption`] when it is too long to be sealed and wrapped, or the receiver's key is not on the curve.
pub fn wrap(
    environment: &dyn Environment,
    sender: &Identity,
    receiver: &User,
    message: &str,
) -> Result<Event, GiftError> {
    let to = vec!["p".to_owned(), receiver.to_string()];
    let now = environment.now().to_unix();
    let draft =
        Draft { created_at: now, kind: KIND_PRIVATE_MESSAGE, tags: vec![to.clone()], content: message.to_owned() };
    let id = Scalar32::from_bytes(draft.id(&sender.user()));
    let Draft { created_at, kind, tags, content } = draft;
    let rumor = Rumor { id: Some(id), pubkey: sender.user(), created_at, kind, tags, content };
    let rumor = Zeroizing::new(serde_json::to_string(&rumor).map_err(|_| GiftError::Kind)?);
    let seal = closed(environment, sender, receiver, &rumor, KIND_SEAL, Vec::new())?;
    let once = Identity::ephemeral(sender.curve().clone(), &random(environment)).ok_or(GiftError::Entropy)?;
    closed(environment, &once, receiver, &seal.to_json(), KIND_GIFT_WRAP, vec![to])
}

/// Opens a wrap and checks everything in it.
///
/// # Errors
/// [`GiftError`].
pub fn unwrap(receiver: &Identity, event: &Event) -> Result<PrivateMessage, GiftError> {
    let seal = Event::from_json(opened(receiver, event, KIND_GIFT_WRAP)?.as_bytes())?;
    let rumor: Rumor = from_json(opened(receiver, &seal, KIND_SEAL)?.as_bytes()).map_err(EventError::from)?;
    if rumor.kind != KIND_PRIVATE_MESSAGE {
        return Err(GiftError::Kind);
    }
    if rumor.pubkey != seal.author() {
        return Err(GiftError::Author);
    }
    let Rumor { id: claimed, pubkey, created_at, kind, tags, content } = rumor;
    let draft = Draft { created_at, kind, tags, content };
    let id = draft.id(&pubkey);
    if claimed.is_some_and(|claimed| *claimed.as_bytes() != id) {
        return Err(EventError::Id.into());
    }
    Ok(PrivateMessage { id, sender: pubkey, content: Zeroizing::new(draft.content) })
}

/// An event with an encrypted text and a time that says little.
fn closed(
    environment: &dyn Environment,
    author: &Identity,
    receiver: &User,
    text: &str,
    kind: u16,
    tags: Vec<Vec<String>>,
) -> Result<Event, GiftError> {
    let content = ConversationKey::new(author, receiver)?.encrypt(text, &random(environment))?;
    let mut early = [0; 8];
    environment.fill_random(&mut early);
    let early = u64::from_le_bytes(early) % MAX_BACKDATING_SECS;
    let created_at = environment.now().to_unix().saturating_sub(early);
    Ok(Draft { created_at, kind, tags, content }.sign(author, &random(environment)))
}

fn opened(receiver: &Identity, event: &Event, kind: u16) -> Result<Zeroizing<String>, GiftError> {
    if event.draft().kind != kind {
        return Err(GiftError::Kind);
    }
    Ok(ConversationKey::new(receiver, &event.author())?.decrypt(&event.draft().content)?)
}

/// 32 bytes of the random source.
pub(crate) fn random(environment: &dyn Environment) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    environment.fill_random(&mut *bytes);
    bytes
}
