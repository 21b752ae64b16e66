//! Locks as they are written on the command line: `--lock-to`, `--locktime` and the like, or a description.
//!
//! A description is the object that a payment request has for the lock it wants (`nut10` in NUT-18), so that one that was made
//! elsewhere is understood here, and the other way round.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use hazel_protocol::{PublicKey, from_json};
use hazel_wallet::{LockTerms, Wallet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calendar::When;
use crate::environment::now;
use crate::failure::{Failure, Kind};
use crate::folder::failed;

/// The longest description that is read, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 4_096;

/// The longest file that is read for a preimage, in bytes.
const MAX_PREIMAGE_FILE_BYTES: u64 = 1_024;

/// Who may spend a token.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Options of the lock")]
pub(crate) struct LockArgs {
    /// Lock the token to a public key, given as 66 hex digits, or `me`; repeat it for several keys
    #[arg(long, value_name = "KEY")]
    lock_to: Vec<KeyName>,
    /// How many of the keys must sign [default: 1]
    #[arg(long, value_name = "N", requires = "lock_to")]
    signatures: Option<u32>,
    /// Lock the token to the SHA-256 of a preimage, given as 64 hex digits
    #[arg(long, value_name = "SHA256", value_parser = hash)]
    hash: Option<Hash>,
    /// When the lock ends: `7d`, `12h`, `30m`, `2031-02-28`, `2031-02-28T09:05`, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    locktime: Option<When>,
    /// Who may spend the token once the lock has ended [default: anyone]; repeat it for several keys
    #[arg(long, value_name = "KEY", requires = "locktime")]
    refund_to: Vec<KeyName>,
    /// How many of those must sign [default: 1]
    #[arg(long, value_name = "N", requires = "refund_to")]
    refund_signatures: Option<u32>,
    /// Signatures must cover the whole request that spends the token
    #[arg(long)]
    sig_all: bool,
}

/// What opens a hash lock.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PreimageArgs {
    /// The preimage of a hash lock, 64 hex digits; others on this machine can see it here
    #[arg(long, value_name = "HEX", conflicts_with = "preimage_file")]
    preimage: Option<String>,
    /// Read the preimage from the first line of this file
    #[arg(long, value_name = "FILE")]
    preimage_file: Option<PathBuf>,
}

impl PreimageArgs {
    /// The preimage, in hex, if there is one.
    pub(crate) fn read(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.preimage_file else { return Ok(self.preimage.clone()) };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_PREIMAGE_FILE_BYTES).read_to_string(&mut text));
        read.map_err(failed("read the preimage in", path))?;
        Ok(Some(text.lines().next().unwrap_or_default().trim().to_owned()))
    }
}

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

/// A public key, or that of this wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyName {
    /// The wallet's first key.
    Me,
    /// This one.
    Key(PublicKey),
}

impl std::str::FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "me" {
            return Ok(Self::Me);
        }
        text.parse().map(Self::Key).map_err(|_| "not a public key: 66 hex digits that begin with 02 or 03".to_owned())
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    from_hex(text).map(Hash).ok_or_else(|| "not a SHA-256: 64 hex digits".to_owned())
}

impl LockArgs {
    /// The terms, or none when there is to be no lock.
    pub(crate) fn terms(&self, wallet: &Wallet) -> Result<Option<LockTerms>, Failure> {
        let is_empty = self.lock_to.is_empty() && self.hash.is_none() && self.locktime.is_none() && !self.sig_all;
        if is_empty {
            return Ok(None);
        }
        let now = now();
        if let Some(when) = self.locktime
            && when.at(now) <= now
        {
            return Err(Failure::new(Kind::Usage, "the locktime is in the past, so anybody could take the token"));
        }
        let terms = LockTerms {
            hash: self.hash.map(|hash| hash.0),
            keys: keys(wallet, &self.lock_to)?,
            n_sigs: self.signatures,
            locktime: self.locktime.map(|when| when.at(now).to_unix()),
            refund: keys(wallet, &self.refund_to)?,
            n_sigs_refund: self.refund_signatures,
            sig_all: self.sig_all,
            blind: false,
        };
        terms.check()?;
        Ok(Some(terms))
    }
}

fn keys(wallet: &Wallet, names: &[KeyName]) -> Result<Vec<PublicKey>, Failure> {
    names
        .iter()
        .map(|name| match name {
            KeyName::Me => Ok(wallet.lock_key(0)?),
            KeyName::Key(key) => Ok(*key),
        })
        .collect()
}

/// A lock in words.
pub(crate) fn sentence(terms: &LockTerms) -> String {
    let mut parts = Vec::new();
    match (terms.keys.len(), terms.n_sigs.unwrap_or(1)) {
        (0, _) => {}
        (1, _) => parts.push("the key it is locked to".to_owned()),
        (keys, needed) => parts.push(format!("{needed} of {keys} keys")),
    }
    if terms.hash.is_some() {
        parts.push("the preimage of its hash".to_owned());
    }
    let opened = format!("opened by {}", parts.join(" and "));
    let Some(locktime) = terms.locktime else { return opened };
    let after = match (terms.refund.len(), terms.n_sigs_refund.unwrap_or(1)) {
        (0, _) => "anyone".to_owned(),
        (1, _) => "the refund key".to_owned(),
        (keys, needed) => format!("{needed} of {keys} refund keys"),
    };
    let until = crate::calendar::utc(hazel_wallet::ports::Timestamp::from_unix(locktime));
    format!("{opened}, and by {after} after {until} UTC")
}

/// A description, as it is written (`nut10` in NUT-18).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    k: String,
    d: String,
    #[serde(default)]
    t: Vec<Vec<String>>,
}

/// The description of a lock, to be read by [`read`].
pub(crate) fn document(terms: &LockTerms) -> Result<Value, Failure> {
    let hex_of = |keys: &[PublicKey]| keys.iter().map(PublicKey::to_string).collect::<Vec<_>>();
    let mut tags: Vec<Vec<String>> = Vec::new();
    let mut tag = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            tags.push(std::iter::once(name.to_owned()).chain(values).collect());
        }
    };
    let (kind, data, more) = match (&terms.hash, terms.keys.split_first()) {
        (Some(hash), _) => ("HTLC", to_hex(hash), terms.keys.as_slice()),
        (None, Some((first, more))) => ("P2PK", first.to_string(), more),
        (None, None) => return Err(Failure::new(Kind::Usage, "a lock needs a key or a hash")),
    };
    let number = |value: Option<u64>| value.map(|value| value.to_string()).into_iter().collect::<Vec<_>>();
    tag("pubkeys", hex_of(more));
    tag("n_sigs", number(terms.n_sigs.map(u64::from)));
    tag("locktime", number(terms.locktime));
    tag("refund", hex_of(&terms.refund));
    tag("n_sigs_refund", number(terms.n_sigs_refund.map(u64::from)));
    if terms.sig_all {
        tag("sigflag", vec!["SIG_ALL".to_owned()]);
    }
    let description = Description { k: kind.to_owned(), d: data, t: tags };
    serde_json::to_value(&description).map_err(|error| Failure::new(Kind::Bug, error.to_string()))
}

/// Reads a description. What is not understood is refused, for a lock that is left out would be money for anyone.
pub(crate) fn read(text: &str) -> Result<LockTerms, Failure> {
    let refused =
        |why: &str| Failure::new(Kind::Usage, format!("this is no lock: {why}")).hint("`hazel lock` makes one");
    if text.len() > MAX_DESCRIPTION_BYTES {
        return Err(refused("it is too long"));
    }
    let Description { k, d, t } = from_json(text.as_bytes()).map_err(|_| refused("it is malformed"))?;
    let mut terms = LockTerms::default();
    match k.as_str() {
        "P2PK" => terms.keys.push(d.parse().map_err(|_| refused("its key is malformed"))?),
        "HTLC" => terms.hash = Some(from_hex(&d).ok_or_else(|| refused("its hash is malformed"))?),
        _ => return Err(refused("its kind is not known")),
    }
    let mut seen = std::collections::BTreeSet::new();
    for tag in &t {
        let Some((name, values)) = tag.split_first() else { return Err(refused("it has an empty tag")) };
        if !seen.insert(name) {
            return Err(refused("it has a tag twice"));
        }
        read_tag(&mut terms, name, values).ok_or_else(|| refused(&format!("its tag {name} is malformed")))?;
    }
    terms.check()?;
    Ok(terms)
}

fn read_tag(terms: &mut LockTerms, name: &str, values: &[String]) -> Option<()> {
    let keys = || values.iter().map(|key| key.parse().map_err(drop)).collect::<Result<Vec<PublicKey>, ()>>();
    let only = || if let [value] = values { Some(value) } else { None };
    let count = || only().and_then(|value| value.parse::<u32>().ok());
    match name {
        "pubkeys" => terms.keys.extend(keys().ok()?),
        "refund" => terms.refund = keys().ok()?,
        "n_sigs" => terms.n_sigs = Some(count()?),
        "n_sigs_refund" => terms.n_sigs_refund = Some(count()?),
        "locktime" => terms.locktime = Some(only()?.parse().ok()?),
        "sigflag" => {
            terms.sig_all = match only()?.as_str() {
                "SIG_ALL" => true,
                "SIG_INPUTS" => false,
                _ => return None,
            };
        }
        _ => return None,
    }
    Some(())
}

/// Bytes in hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads 2 * N hex digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == N * 2)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "02a1633cafcc01ebfb6d78e39f687a1f0995c62fc95f51ead10a02ee0be551b5dc";

    #[test]
    fn a_description_says_all_of_a_lock() {
        let key: PublicKey = KEY.parse().expect("a key");
        let other: PublicKey = format!("03{}", &KEY[2..]).parse().expect("a key");
        let keys = LockTerms {
            keys: vec![key],
            n_sigs: Some(1),
            locktime: Some(1_900_000_000),
            refund: vec![other],
            n_sigs_refund: Some(1),
            sig_all: true,
            ..LockTerms::default()
        };
        let hash = LockTerms { keys: vec![key], ..LockTerms::to_hash([7; 32]) };
        for terms in [keys, hash, LockTerms::to_key(key)] {
            assert_eq!(read(&document(&terms).expect("described").to_string()).expect("read"), terms);
        }
    }

    #[test]
    fn what_is_not_understood_is_no_lock() {
        let with = |tags: &str| format!(r#"{{"k":"P2PK","d":"{KEY}","t":[{tags}]}}"#);
        assert!(read(&with("")).is_ok());
        for tags in [
            r#"["unknown","1"]"#,
            r"[]",
            r#"["n_sigs","two"]"#,
            r#"["n_sigs","2"]"#,
            r#"["n_sigs","1"],["n_sigs","1"]"#,
            r#"["locktime"]"#,
            r#"["sigflag","SIG_SOME"]"#,
            r#"["pubkeys","02"]"#,
        ] {
            assert!(read(&with(tags)).is_err(), "{tags}");
        }
        for text in ["", "{}", r#"{"k":"PLAIN","d":""}"#, &"x".repeat(MAX_DESCRIPTION_BYTES + 1)] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hex_has_its_length_and_digits_only() {
        assert_eq!(from_hex("00fF"), Some([0, 255]));
        for text in ["", "0", "00", "00ff0", "+0ff", "00 f", "00fé"] {
            assert_eq!(from_hex::<2>(text), None, "{text}");
        }
        assert_eq!(to_hex(&[0, 255]), "00ff");
    }
}
