//! Events: what relays keep and pass on (NIP-01).
//!
//! The id of an event is the SHA-256 of what it says, and its author signs the id.

use std::sync::OnceLock;

use bitcoin::hashes::{Hash, sha256};
use hazel_protocol::{JsonError, Scalar32, from_json};
use secp256k1::schnorr::Signature;
use secp256k1::{Message, Secp256k1, VerifyOnly, XOnlyPublicKey};
use serde::{Deserialize, Serialize};

use crate::identity::{Identity, User};

/// The longest event that is read, in bytes of JSON. A message of NIP-44 is at most 87,472 characters.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most tags of an event that is read. A count.
pub const MAX_EVENT_TAGS: usize = 256;

/// A sealed message (NIP-59).
pub const KIND_SEAL: u16 = 13;
/// A private message to one user (NIP-17).
pub const KIND_PRIVATE_MESSAGE: u16 = 14;
/// What a sealed message travels in (NIP-59).
pub const KIND_GIFT_WRAP: u16 = 1059;
/// Data of a program, of which relays keep the newest for each author and `d` tag (NIP-78).
pub const KIND_APPLICATION_DATA: u16 = 30_078;

/// Why something is not an event. Holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Longer than [`MAX_EVENT_BYTES`], or with more than [`MAX_EVENT_TAGS`].
    #[error("the event is too large")]
    TooLarge,
    /// Not the JSON of an event.
    #[error("the event is malformed: {0}")]
    Malformed(#[from] JsonError),
    /// The id is not the hash of what it says.
    #[error("the id of the event is not that of its content")]
    Id,
    /// The author did not sign it.
    #[error("the signature of the event does not hold")]
    Signature,
}

/// What an event says, without its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// When it was made, in seconds since 1970, if the author tells the truth.
    pub created_at: u64,
    /// What it is.
    pub kind: u16,
    /// What relays can look for, each with its name first.
    pub tags: Vec<Vec<String>>,
    /// The text.
    pub content: String,
}

impl Draft {
    /// The hash of all that the event says (NIP-01).
    ///
    /// # Panics
    /// Never: texts and numbers can be written as JSON.
    pub fn id(&self, author: &User) -> [u8; 32] {
        let Self { created_at, kind, tags, content } = self;
        let text = serde_json::to_string(&(0, author, created_at, kind, tags, content)).expect("plain data");
        sha256::Hash::hash(text.as_bytes()).to_byte_array()
    }

    /// The event of this author. `entropy` is mixed into the signature's nonce and should come from the system's random source.
    pub fn sign(self, author: &Identity, entropy: &[u8; 32]) -> Event {
        let id = self.id(&author.user());
        let signature = author.sign(&id, entropy);
        Event { id, author: author.user(), signature, draft: self }
    }
}

/// An event whose id and signature hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    id: [u8; 32],
    author: User,
    signature: [u8; 64],
    draft: Draft,
}

/// The JSON of an event.
#[derive(Serialize, Deserialize)]
struct Wire {
    id: Scalar32,
    pubkey: User,
    created_at: u64,
    kind: u16,
    tags: Vec<Vec<String>>,
    content: String,
    sig: String,
}

impl Event {
    /// Reads an event and checks its id and its signature.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn from_json(json: &[u8]) -> Result<Self, EventError> {
        if json.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge);
        }
        Self::check(from_json(json)?)
    }

    fn check(wire: Wire) -> Result<Self, EventError> {
        let Wire { id, pubkey, created_at, kind, tags, content, sig } = wire;
        if tags.len() > MAX_EVENT_TAGS {
            return Err(EventError::TooLarge);
        }
        let draft = Draft { created_at, kind, tags, content };
        let id = *id.as_bytes();
        if draft.id(&pubkey) != id {
            return Err(EventError::Id);
        }
        let signature: Signature = sig.parse().map_err(|_| EventError::Signature)?;
        let key = XOnlyPublicKey::from_slice(pubkey.as_bytes()).map_err(|_| EventError::Signature)?;
        let verified = verifier().verify_schnorr(&signature, &Message::from_digest(id), &key);
        verified.map_err(|_| EventError::Signature)?;
        Ok(Self { id, author: pubkey, signature: signature.serialize(), draft })
    }

    /// The JSON, on one line.
    ///
    /// # Panics
    /// Never: texts and numbers can be written as JSON.
    pub fn to_json(&self) -> String {
        let Draft { created_at, kind, tags, content } = self.draft.clone();
        let sig = Signature::from_slice(&self.signature).expect("64 bytes").to_string();
        let wire =
            Wire { id: Scalar32::from_bytes(self.id), pubkey: self.author, created_at, kind, tags, content, sig };
        serde_json::to_string(&wire).expect("plain data")
    }

    /// The hash that names it.
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Who signed it.
    pub const fn author(&self) -> User {
        self.author
    }

    /// What it says.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Whether there is a tag of this name with this value.
    pub fn has_tag(&self, name: &str, value: &str) -> bool {
        let mut tags = self.draft.tags.iter();
        tags.any(|tag| tag.first().is_some_and(|text| text == name) && tag.get(1).is_some_and(|text| text == value))
    }
}

/// The context for public values.
fn verifier() -> &'static Secp256k1<VerifyOnly> {
    static CONTEXT: OnceLock<Secp256k1<VerifyOnly>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::verification_only)
}
