//! Encryption between two users (NIP-44, version 2).
//!
//! The two share a key, from which each message has keys of its own by a fresh nonce: `ChaCha20` hides it, HMAC-SHA256 guards it, and
//! padding hides about how long it is. Whoever reads checks the HMAC before anything else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

use crate::identity::{Identity, User};

/// Longest message, in bytes of UTF-8.
pub const MAX_PLAINTEXT_BYTES: usize = 65_535;

const SALT: &[u8] = b"nip44-v2";
const VERSION: u8 = 2;
const NONCE_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
/// The shortest and longest base64 of a message.
const PAYLOAD_CHARACTERS: std::ops::RangeInclusive<usize> = 132..=87_472;

/// Why a message cannot be encrypted or read. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nip44Error {
    /// Empty, or longer than [`MAX_PLAINTEXT_BYTES`].
    #[error("a message has 1 to {MAX_PLAINTEXT_BYTES} bytes")]
    Length,
    /// The other user's key is not on the curve.
    #[error("the key of the other side is not on the curve")]
    Key,
    /// Encrypted in a way that this crate does not know.
    #[error("the message is encrypted in an unknown way")]
    Version,
    /// Not base64, too short or too long.
    #[error("the encrypted message is malformed")]
    Malformed,
    /// Changed on the way, or for somebody else.
    #[error("the message cannot be decrypted")]
    Mac,
    /// Its author padded it wrongly, or it is not UTF-8.
    #[error("the decrypted message is malformed")]
    Plaintext,
}

/// What two users encrypt with. The same from both sides.
#[derive(Clone)]
pub struct ConversationKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConversationKey(..)")
    }
}

impl ConversationKey {
    /// The key of these two.
    ///
    /// # Errors
    /// [`Nip44Error::Key`].
    pub fn new(own: &Identity, other: &User) -> Result<Self, Nip44Error> {
        let shared = own.shared_x(other).ok_or(Nip44Error::Key)?;
        Ok(Self(hmac(SALT, &[&shared[..]])))
    }

    /// Encrypts a message. `nonce` is fresh from the system's random source; no two messages may share one.
    ///
    /// # Errors
    /// [`Nip44Error::Length`].
    pub fn encrypt(&self, message: &str, nonce: &[u8; NONCE_BYTES]) -> Result<String, Nip44Error> {
        let length = u16::try_from(message.len()).ok().filter(|length| *length > 0).ok_or(Nip44Error::Length)?;
        let mut text = Zeroizing::new(vec![0; 2 + padded(message.len())]);
        text[..2].copy_from_slice(&length.to_be_bytes());
        text[2..2 + message.len()].copy_from_slice(message.as_bytes());
        let keys = self.message_keys(nonce);
        keys.cipher().apply_keystream(&mut text);
        let mac = hmac(keys.hmac(), &[nonce, &text]);
        Ok(STANDARD.encode([&[VERSION], &nonce[..], &text, &mac[..]].concat()))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Nip44Error`].
    pub fn decrypt(&self, payload: &str) -> Result<Zeroizing<String>, Nip44Error> {
        if payload.starts_with('#') {
            return Err(Nip44Error::Version);
        }
        if !PAYLOAD_CHARACTERS.contains(&payload.len()) {
            return Err(Nip44Error::Malformed);
        }
        let bytes = STANDARD.decode(payload).map_err(|_| Nip44Error::Malformed)?;
        let (version, rest) = bytes.split_first().ok_or(Nip44Error::Malformed)?;
        if *version != VERSION {
            return Err(Nip44Error::Version);
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Nip44Error::Malformed)?;
        let (text, mac) = rest.split_last_chunk::<MAC_BYTES>().ok_or(Nip44Error::Malformed)?;
        let keys = self.message_keys(nonce);
        if !equal(&hmac(keys.hmac(), &[nonce, text]), mac) {
            return Err(Nip44Error::Mac);
        }
        let mut text = Zeroizing::new(text.to_vec());
        keys.cipher().apply_keystream(&mut text);
        unpad(&text)
    }

    /// HKDF-Expand of 76 bytes.
    fn message_keys(&self, nonce: &[u8; NONCE_BYTES]) -> MessageKeys {
        let first = hmac(&*self.0, &[nonce, &[1]]);
        let second = hmac(&*self.0, &[&first[..], nonce, &[2]]);
        let third = hmac(&*self.0, &[&second[..], nonce, &[3]]);
        let mut keys = Zeroizing::new([0; 76]);
        for (place, byte) in keys.iter_mut().zip(first.iter().chain(&*second).chain(&*third)) {
            *place = *byte;
        }
        MessageKeys(keys)
    }
}

/// 32 bytes for the cipher, 12 for its nonce, 32 for the HMAC.
struct MessageKeys(Zeroizing<[u8; 76]>);

impl MessageKeys {
    fn cipher(&self) -> ChaCha20 {
        ChaCha20::new_from_slices(&self.0[..32], &self.0[32..44]).expect("32 and 12 bytes")
    }

    fn hmac(&self) -> &[u8] {
        &self.0[44..]
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut engine = HmacEngine::<sha256::Hash>::new(key);
    for part in parts {
        engine.input(part);
    }
    Zeroizing::new(Hmac::from_engine(engine).to_byte_array())
}

/// Compares all bytes, however early they differ.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// How long a message of so many bytes is with its padding: multiples of 32, and of ever larger steps for longer ones.
fn padded(length: usize) -> usize {
    if length <= 32 {
        return 32;
    }
    let step = (length.next_power_of_two() / 8).max(32);
    length.div_ceil(step) * step
}

fn unpad(text: &[u8]) -> Result<Zeroizing<String>, Nip44Error> {
    let (length, rest) = text.split_first_chunk::<2>().ok_or(Nip44Error::Plaintext)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || rest.len() != padded(length) {
        return Err(Nip44Error::Plaintext);
    }
    let message = std::str::from_utf8(&rest[..length]).map_err(|_| Nip44Error::Plaintext)?;
    Ok(Zeroizing::new(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bitcoin::hashes::hex::FromHex;
    use hazel_protocol::{Curve, SecretKey};
    use serde_json::Value;

    use super::*;

    /// The vectors of NIP-44.
    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/vectors/nip44.json")).expect("json")
    }

    fn cases<'a>(vectors: &'a Value, validity: &str, name: &str) -> &'a Vec<Value> {
        let cases = vectors["v2"][validity][name].as_array().expect("a list");
        assert!(!cases.is_empty());
        cases
    }

    fn text<'a>(case: &'a Value, name: &str) -> &'a str {
        case[name].as_str().expect("a text")
    }

    fn bytes<const N: usize>(case: &Value, name: &str) -> [u8; N]
    where
        [u8; N]: FromHex,
    {
        <[u8; N]>::from_hex(text(case, name)).unwrap_or_else(|_| panic!("{name} of {case}"))
    }

    fn identity(secret: &[u8; 32]) -> Option<Identity> {
        let curve = Arc::new(Curve::new(&[7; 32]));
        SecretKey::from_bytes(secret).map(|secret| Identity::new(curve, secret)).ok()
    }

    fn key(case: &Value) -> ConversationKey {
        ConversationKey(Zeroizing::new(bytes(case, "conversation_key")))
    }

    #[test]
    fn nip44_keys() {
        let vectors = vectors();
        for case in cases(&vectors, "valid", "get_conversation_key") {
            let own = identity(&bytes(case, "sec1")).expect("a key");
            let key = ConversationKey::new(&own, &User::from_bytes(bytes(case, "pub2"))).expect("a point");
            assert_eq!(*key.0, bytes::<32>(case, "conversation_key"));
        }
        for case in cases(&vectors, "invalid", "get_conversation_key") {
            let own = identity(&bytes(case, "sec1"));
            let other = User::from_bytes(bytes(case, "pub2"));
            assert!(own.is_none_or(|own| ConversationKey::new(&own, &other).is_err()), "{case}");
        }
        let of_messages = &vectors["v2"]["valid"]["get_message_keys"];
        for case in of_messages["keys"].as_array().expect("a list") {
            let keys = key(of_messages).message_keys(&bytes(case, "nonce"));
            assert_eq!(keys.0[..32], bytes::<32>(case, "chacha_key"));
            assert_eq!(keys.0[32..44], bytes::<12>(case, "chacha_nonce"));
            assert_eq!(keys.hmac(), bytes::<32>(case, "hmac_key"));
        }
    }

    #[test]
    fn nip44_messages() {
        let vectors = vectors();
        for case in cases(&vectors, "valid", "encrypt_decrypt") {
            let (one, two) = (identity(&bytes(case, "sec1")), identity(&bytes(case, "sec2")));
            let (one, two) = (one.expect("a key"), two.expect("a key"));
            let payload = text(case, "payload");
            for (own, other) in [(&one, &two), (&two, &one)] {
                let key = ConversationKey::new(own, &other.user()).expect("a point");
                let encrypted = key.encrypt(text(case, "plaintext"), &bytes(case, "nonce"));
                assert_eq!(encrypted.as_deref(), Ok(payload));
                assert_eq!(key.decrypt(payload).expect("readable").as_str(), text(case, "plaintext"));
            }
        }
    }

    #[test]
    fn nip44_lengths() {
        let vectors = vectors();
        for case in cases(&vectors, "valid", "calc_padded_len") {
            let number = |place: usize| case[place].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number");
            assert_eq!(padded(number(0)), number(1));
        }
        let key = ConversationKey(Zeroizing::new([1; 32]));
        for length in [0, MAX_PLAINTEXT_BYTES + 1] {
            assert_eq!(key.encrypt(&"x".repeat(length), &[2; 32]), Err(Nip44Error::Length));
        }
        let longest = key.encrypt(&"x".repeat(MAX_PLAINTEXT_BYTES), &[2; 32]).expect("short enough");
        assert_eq!(longest.len(), *PAYLOAD_CHARACTERS.end());
    }

    #[test]
    fn nip44_refusals() {
        let vectors = vectors();
        for case in cases(&vectors, "invalid", "decrypt") {
            assert!(key(case).decrypt(text(case, "payload")).is_err(), "{case}");
        }
        let key = ConversationKey(Zeroizing::new([1; 32]));
        let payload = key.encrypt("hello", &[2; 32]).expect("short enough");
        let mut bytes = STANDARD.decode(&payload).expect("base64");
        for place in 1..bytes.len() {
            bytes[place] ^= 1;
            assert_eq!(key.decrypt(&STANDARD.encode(&bytes)).map(drop), Err(Nip44Error::Mac), "byte {place}");
            bytes[place] ^= 1;
        }
    }
}
