//! The file of an imported keyset's private keys.
//!
//! ```json
//! {"id": "009a1f293253e41e", "unit": "sat", "input_fee_ppk": 0, "final_expiry": null, "keys": {"1": "<64 hex digits>", "2": ".."}}
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hazel_protocol::crypto::Curve;
use hazel_protocol::{
    Amount, CurrencyUnit, KeysetId, KeysetKeys, MAX_KEYS_PER_KEYSET, PublicKey, SecretKey, from_json, verify_keyset_id,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private;

/// The longest keys file, in bytes: 256 keys of some hundred bytes fit twice.
const MAX_FILE_BYTES: usize = 64 * 1024;
/// What the file is called in messages.
const WHAT: &str = "keys file";

/// An imported keyset with its private keys; they follow from the id's own rule.
pub(crate) struct KeysFile {
    pub(crate) id: KeysetId,
    pub(crate) keys: BTreeMap<Amount, SecretKey>,
    pub(super) unit: CurrencyUnit,
    pub(super) input_fee_ppk: u64,
    pub(super) final_expiry: Option<u64>,
    pub(super) public: KeysetKeys,
}

/// The private keys with their public ones, for looking at the rows of a history.
pub(super) struct KeysSigner<'a> {
    pub(super) curve: Curve,
    keys: BTreeMap<Amount, (&'a SecretKey, PublicKey)>,
}

impl KeysSigner<'_> {
    pub(super) fn key(&self, amount: Amount) -> Option<(&SecretKey, &PublicKey)> {
        self.keys.get(&amount).map(|(secret, public)| (*secret, public))
    }
}

impl KeysFile {
    pub(super) fn signer(&self) -> Result<KeysSigner<'_>, Failure> {
        let public = |amount: &Amount| self.public.get(*amount).copied();
        let keys = self.keys.iter().filter_map(|(amount, secret)| Some((*amount, (secret, public(amount)?)))).collect();
        Ok(KeysSigner { curve: curve()?, keys })
    }
}

/// Reads keys files; no keyset twice.
pub(crate) fn read_keys(paths: &[PathBuf]) -> Result<Vec<KeysFile>, Failure> {
    let mut files: Vec<KeysFile> = Vec::with_capacity(paths.len());
    for path in paths {
        let file = read(path)?;
        if files.iter().any(|other| other.id == file.id) {
            return Err(private::wrong(WHAT, path, "another file holds the same keyset"));
        }
        files.push(file);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<KeysFile, Failure> {
    let text = private::read(WHAT, path, MAX_FILE_BYTES)?;
    let wrong = |why: &str| private::wrong(WHAT, path, why);
    let written: Written = from_json(text.as_bytes()).map_err(|error| wrong(&error.to_string()))?;
    let curve = curve()?;
    let keys = written.keys.0;
    let public = keys.iter().map(|(amount, secret)| (*amount, secret.public_key(&curve))).collect();
    let public = KeysetKeys::new(public).map_err(|error| wrong(&error.to_string()))?;
    let Written { id, unit, input_fee_ppk, final_expiry, .. } = written;
    verify_keyset_id(&id, &public, &unit, input_fee_ppk, final_expiry).map_err(|error| wrong(&error.to_string()))?;
    Ok(KeysFile { id, keys, unit, input_fee_ppk, final_expiry, public })
}

/// A context for the curve, blinded with fresh randomness.
fn curve() -> Result<Curve, Failure> {
    let mut entropy = Zeroizing::new([0; 32]);
    getrandom::fill(entropy.as_mut_slice())
        .map_err(|error| Failure::Internal(format!("the operating system gives no randomness: {error}")))?;
    Ok(Curve::new(&entropy))
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: KeysetId,
    unit: CurrencyUnit,
    #[serde(default)]
    input_fee_ppk: u64,
    #[serde(default)]
    final_expiry: Option<u64>,
    keys: SecretKeys,
}

struct SecretKeys(BTreeMap<Amount, SecretKey>);

impl<'de> Deserialize<'de> for SecretKeys {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = SecretKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from amounts to private keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<SecretKeys, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some(amount) = entries.next_key::<String>()? {
                    let amount: Amount = amount.parse().map_err(A::Error::custom)?;
                    let HexKey(key) = entries.next_value()?;
                    if keys.len() == MAX_KEYS_PER_KEYSET || keys.insert(amount, key).is_some() {
                        return Err(A::Error::custom("too many keys, or two for one amount"));
                    }
                }
                Ok(SecretKeys(keys))
            }
        }
        d.deserialize_map(Keys)
    }
}

/// A private key as 64 hex digits. The message of an error holds none of them.
struct HexKey(SecretKey);

impl<'de> Deserialize<'de> for HexKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = HexKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a private key: 64 lower-case hex digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HexKey, E> {
                let mut bytes = Zeroizing::new([0_u8; 32]);
                let wrong = || E::custom("a private key is 64 lower-case hex digits, and a number of the curve");
                if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(wrong());
                }
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                    let [high, low] = digits else { return Err(wrong()) };
                    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(wrong()) };
                    *byte = high << 4 | low;
                }
                SecretKey::from_bytes(&bytes).map(HexKey).map_err(|_| wrong())
            }
        }
        d.deserialize_str(Digits)
    }
}
