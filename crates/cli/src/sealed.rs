//! Words under a passphrase: Argon2id (RFC 9106) makes the key of it, XChaCha20-Poly1305 keeps the words.
//!
//! The costs stand in the file, bound to the text by the authentication, so that they can grow with the machines. They are
//! bounded when they are read: a file of somebody else's must not take all the memory.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::locking::{from_hex, to_hex};
use crate::passphrase::Passphrase;

/// The second recommended choice of RFC 9106: 64 MiB, three passes, four lanes.
const COSTS: Costs = Costs { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

/// The highest costs that are accepted: 1 GiB, 64 passes, 16 lanes.
const MAX_COSTS: Costs = Costs { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };

const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Words are filled up to this many bytes, so that their length tells nothing. 24 words have at most 215.
const PADDED_BYTES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    #[serde(rename = "sealed_words")]
    version: u32,
    argon2id: Costs,
    salt: String,
    nonce: String,
    text: String,
}

const VERSION: u32 = 1;

/// Why a file was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// The passphrase is another, or the file was changed.
    WrongPassphrase,
    /// The file is not one of ours, or of a later version, or its costs are beyond reason.
    Malformed,
}

/// Whether the text of a seed file is sealed.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Seals words.
///
/// # Errors
/// When the system gives no randomness, or no memory.
pub(crate) fn seal(words: &str, passphrase: &Passphrase) -> Result<String, String> {
    let mut random = [0; SALT_BYTES + NONCE_BYTES];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    let (salt, nonce) = random.split_at(SALT_BYTES);
    let key = key(passphrase, COSTS, salt).ok_or("there is not enough memory")?;
    if words.len() > PADDED_BYTES {
        return Err("the words are too long".to_owned());
    }
    // Room for all up front: growing would leave copies of the words behind.
    let mut padded = Zeroizing::new(Vec::with_capacity(PADDED_BYTES));
    padded.extend_from_slice(words.as_bytes());
    padded.resize(PADDED_BYTES, b' ');
    let nonce_array: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| "the nonce has another length")?;
    let aad = bound(COSTS, &to_hex(salt));
    let text = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::from(nonce_array), Payload { msg: &padded, aad: aad.as_bytes() })
        .map_err(|error| error.to_string())?;
    let sealed =
        Sealed { version: VERSION, argon2id: COSTS, salt: to_hex(salt), nonce: to_hex(nonce), text: to_hex(&text) };
    serde_json::to_string(&sealed).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`Unopened`].
pub(crate) fn open(text: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, Unopened> {
    let sealed: Sealed = hazel_protocol::from_json(text.trim().as_bytes()).map_err(|_| Unopened::Malformed)?;
    let Sealed { version, argon2id: costs, salt, nonce, text } = sealed;
    let is_bounded =
        costs.memory_kib <= MAX_COSTS.memory_kib && costs.passes <= MAX_COSTS.passes && costs.lanes <= MAX_COSTS.lanes;
    if version != VERSION || !is_bounded {
        return Err(Unopened::Malformed);
    }
    let salt_bytes: [u8; SALT_BYTES] = from_hex(&salt).ok_or(Unopened::Malformed)?;
    let nonce: [u8; NONCE_BYTES] = from_hex(&nonce).ok_or(Unopened::Malformed)?;
    let text: [u8; PADDED_BYTES + 16] = from_hex(&text).ok_or(Unopened::Malformed)?;
    let key = key(passphrase, costs, &salt_bytes).ok_or(Unopened::Malformed)?;
    let aad = bound(costs, &to_hex(&salt_bytes));
    let opened = XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::from(nonce), Payload { msg: &text, aad: aad.as_bytes() })
        .map(Zeroizing::new)
        .map_err(|_| Unopened::WrongPassphrase)?;
    std::str::from_utf8(&opened).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| Unopened::Malformed)
}

/// What the authentication covers beside the words.
fn bound(Costs { memory_kib, passes, lanes }: Costs, salt: &str) -> String {
    format!("hazel sealed words {VERSION}; argon2id {memory_kib} {passes} {lanes} {salt}")
}

fn key(passphrase: &Passphrase, costs: Costs, salt: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(KEY_BYTES)).ok()?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice()).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(&Zeroizing::new(text.to_owned())).expect("a passphrase")
    }

    #[test]
    fn words_come_out_under_their_passphrase_alone() {
        let sealed = seal(WORDS, &passphrase("correct horse")).expect("sealed");
        assert!(is_sealed(&sealed) && !is_sealed(WORDS));
        assert!(!sealed.contains("abandon"));
        assert_eq!(open(&sealed, &passphrase("correct horse")).expect("opened").trim(), WORDS);
        assert_eq!(open(&sealed, &passphrase("correct Horse")).expect_err("another"), Unopened::WrongPassphrase);
        assert_ne!(seal(WORDS, &passphrase("correct horse")).expect("sealed"), sealed, "salt and nonce are new");
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let sealed = seal(WORDS, &passphrase("x")).expect("sealed");
        let changed = sealed.replace("\"passes\":3", "\"passes\":2");
        assert_ne!(changed, sealed);
        assert_eq!(open(&changed, &passphrase("x")).expect_err("changed"), Unopened::WrongPassphrase);
        for (from, to) in [
            ("\"passes\":3", "\"passes\":65"),
            ("\"memory_kib\":65536", "\"memory_kib\":4294967295"),
            ("\"lanes\":4", "\"lanes\":0"),
            ("\"sealed_words\":1", "\"sealed_words\":2"),
            ("\"salt\":\"", "\"salt\":\"00"),
        ] {
            let changed = sealed.replace(from, to);
            assert_ne!(changed, sealed, "{from}");
            assert_eq!(open(&changed, &passphrase("x")).expect_err(to), Unopened::Malformed);
        }
        for text in ["", "{}", "{", &sealed[..sealed.len() / 2]] {
            assert_eq!(open(text, &passphrase("x")).expect_err("malformed"), Unopened::Malformed);
        }
    }

    #[test]
    fn a_passphrase_is_one_line_of_bounded_length() {
        assert_eq!(passphrase("a b \r\n").as_bytes(), b"a b ");
        for text in ["", "\n", &"x".repeat(1_025)] {
            assert!(Passphrase::new(&Zeroizing::new(text.to_owned())).is_err());
        }
        assert_eq!(format!("{:?}", passphrase("secret")), "Passphrase(..)");
    }
}
