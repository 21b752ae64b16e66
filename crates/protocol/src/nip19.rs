//! How a user of Nostr is named: `npub` and `nprofile` (NIP-19).

use std::fmt;
use std::str::FromStr;

use crate::bech32::{self, Bech32, Bech32Error};
use crate::limits::{MAX_RELAY_BYTES, MAX_RELAYS};
use crate::text::serde_as_text;

const PUBLIC_KEY: &str = "npub";
const PROFILE: &str = "nprofile";
const TYPE_KEY: u8 = 0;
const TYPE_RELAY: u8 = 1;

/// A user of Nostr and the relays where messages reach it.
///
/// The key is an x coordinate of 32 bytes, on the curve or not: whoever encrypts to it finds out. A relay is printable ASCII
/// without spaces; whoever connects decides whether it is the URL of a relay.
///
/// ```
/// use hazel_protocol::NostrProfile;
/// let text = "nprofile1qqsrhuxx8l9ex335q7he0f09aej04zpazpl0ne2cgukyawd24mayt8gpp4mhxue69uhhytnc9e3k7mgpz4mhxue69uhkg6nzv9ejuumpv34kytnrdaksjlyr9p";
/// let profile: NostrProfile = text.parse()?;
/// assert_eq!(profile.relays(), ["wss://r.x.com", "wss://djbas.sadkb.com"]);
/// assert_eq!(profile.to_string(), text);
/// # Ok::<(), hazel_protocol::NostrProfileError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NostrProfile {
    key: [u8; 32],
    relays: Vec<String>,
}

/// Why a text is not the name of a user of Nostr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NostrProfileError {
    /// Neither `npub` nor `nprofile`, or a mistyped one.
    #[error("not an npub or nprofile: {0}")]
    Bech32(#[from] Bech32Error),
    /// What it carries ends early or has the wrong length.
    #[error("the nprofile is malformed")]
    Malformed,
    /// An `nprofile` without a key, or with two.
    #[error("the nprofile does not name one key")]
    Key,
    /// More than [`MAX_RELAYS`].
    #[error("the nprofile names more than {MAX_RELAYS} relays")]
    TooManyRelays,
    /// Not 1 to [`MAX_RELAY_BYTES`] bytes of printable ASCII.
    #[error("a relay has 1 to {MAX_RELAY_BYTES} printable characters")]
    Relay,
}

impl NostrProfile {
    /// A user with this key, big-endian, who reads at these relays.
    ///
    /// # Errors
    /// [`NostrProfileError::TooManyRelays`], [`NostrProfileError::Relay`].
    pub fn new(key: [u8; 32], relays: Vec<String>) -> Result<Self, NostrProfileError> {
        if relays.len() > MAX_RELAYS {
            return Err(NostrProfileError::TooManyRelays);
        }
        let sound = |relay: &String| {
            (1..=MAX_RELAY_BYTES).contains(&relay.len()) && relay.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !relays.iter().all(sound) {
            return Err(NostrProfileError::Relay);
        }
        Ok(Self { key, relays })
    }

    /// The x coordinate of the public key, big-endian.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Where messages reach the user, as it wrote it.
    pub fn relays(&self) -> &[String] {
        &self.relays
    }

    fn read(bytes: &[u8]) -> Result<Self, NostrProfileError> {
        let mut key = None;
        let mut relays = Vec::new();
        let mut rest = bytes;
        while let [kind, length, tail @ ..] = rest {
            let (value, tail) = tail.split_at_checked(usize::from(*length)).ok_or(NostrProfileError::Malformed)?;
            rest = tail;
            match *kind {
                TYPE_KEY if key.is_some() => return Err(NostrProfileError::Key),
                TYPE_KEY => key = Some(value.try_into().map_err(|_| NostrProfileError::Malformed)?),
                TYPE_RELAY if relays.len() == MAX_RELAYS => return Err(NostrProfileError::TooManyRelays),
                TYPE_RELAY => relays.push(String::from_utf8(value.to_vec()).map_err(|_| NostrProfileError::Relay)?),
                // NIP-19: what is not known is skipped.
                _ => {}
            }
        }
        if !rest.is_empty() {
            return Err(NostrProfileError::Malformed);
        }
        Self::new(key.ok_or(NostrProfileError::Key)?, relays)
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![TYPE_KEY, 32];
        bytes.extend(self.key);
        for relay in &self.relays {
            bytes.extend([TYPE_RELAY, u8::try_from(relay.len()).expect("checked when it was made")]);
            bytes.extend(relay.as_bytes());
        }
        bytes
    }
}

// A relay's length is written in one byte.
const _: () = assert!(MAX_RELAY_BYTES <= 255);

impl fmt::Display for NostrProfile {
    /// Writes an `npub` when there are no relays to name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.relays.is_empty() {
            bech32::encode::<Bech32>(&self.key, PUBLIC_KEY)
        } else {
            bech32::encode::<Bech32>(&self.write(), PROFILE)
        };
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl FromStr for NostrProfile {
    type Err = NostrProfileError;

    fn from_str(text: &str) -> Result<Self, NostrProfileError> {
        let text = text.strip_prefix("nostr:").unwrap_or(text);
        if text.starts_with(PUBLIC_KEY) || text.starts_with("NPUB") {
            let key = bech32::decode::<Bech32>(text, PUBLIC_KEY)?;
            return Self::new(key.try_into().map_err(|_| NostrProfileError::Malformed)?, Vec::new());
        }
        Self::read(&bech32::decode::<Bech32>(text, PROFILE)?)
    }
}

serde_as_text!(NostrProfile, "an npub or nprofile");
