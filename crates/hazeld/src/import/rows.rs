//! The history of an imported keyset: lines of JSON, each verified with the keyset's own keys before it is believed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use hazel_mint::ports::{ImportRows, InputRow, OutputRow, SignedRow};
use hazel_protocol::crypto::{sign_with_dleq, verify_unblinded};
use hazel_protocol::{Amount, KeysetId, PointBytes, PublicKey, Secret, from_json};
use serde::Deserialize;

use super::keys::KeysSigner;
use crate::failure::Failure;

/// The longest line, in bytes: a secret of the longest kind, escaped.
const MAX_LINE_BYTES: u64 = 32 * 1024;

/// A file of rows.
pub(super) struct Rows<'a> {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
    kind: Kind,
    signer: &'a KeysSigner<'a>,
}

#[derive(Clone, Copy)]
enum Kind {
    Spent,
    Signed,
}

/// A proof that was redeemed. Other members are passed over.
#[derive(Deserialize)]
struct SpentLine {
    amount: Amount,
    id: Option<KeysetId>,
    #[serde(rename = "C", alias = "c")]
    c: PointBytes,
    #[serde(rename = "Y", alias = "y")]
    y: Option<PointBytes>,
    secret: Option<Secret>,
}

/// An output that was signed. Other members are passed over.
#[derive(Deserialize)]
struct SignedLine {
    amount: Amount,
    id: Option<KeysetId>,
    #[serde(rename = "B_", alias = "b_")]
    b: PublicKey,
    #[serde(rename = "C_", alias = "c_")]
    c: PublicKey,
}

impl<'a> Rows<'a> {
    pub(super) fn spent(path: &Path, signer: &'a KeysSigner<'a>) -> Result<Self, Failure> {
        Self::open(path, Kind::Spent, signer)
    }

    pub(super) fn signed(path: &Path, signer: &'a KeysSigner<'a>) -> Result<Self, Failure> {
        Self::open(path, Kind::Signed, signer)
    }

    fn open(path: &Path, kind: Kind, signer: &'a KeysSigner<'a>) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), line: 0, kind, signer })
    }

    /// Up to `most` rows; none at the end of the file.
    pub(super) fn next_chunk(&mut self, keyset: KeysetId, most: usize) -> Result<ImportRows, Failure> {
        let mut rows = ImportRows { keyset, spent: Vec::new(), signed: Vec::new() };
        while rows.spent.len() + rows.signed.len() < most {
            let Some(text) = self.next_line()? else { break };
            let read = match self.kind {
                Kind::Spent => self.spent_row(keyset, &text).map(|row| rows.spent.push(row)),
                Kind::Signed => self.signed_row(keyset, &text).map(|row| rows.signed.push(row)),
            };
            read.map_err(|why| self.wrong(&why))?;
        }
        Ok(rows)
    }

    /// The next line that is not empty.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let mut text = Vec::new();
            let read = (&mut self.reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut text);
            self.line += 1;
            let read = read.map_err(|error| self.wrong(&error.to_string()))?;
            if read == 0 {
                return Ok(None);
            }
            if u64::try_from(read).is_ok_and(|read| read > MAX_LINE_BYTES) {
                return Err(self.wrong("it is too long"));
            }
            if !text.trim_ascii().is_empty() {
                return Ok(Some(text));
            }
        }
    }

    fn spent_row(&self, keyset: KeysetId, text: &[u8]) -> Result<InputRow, String> {
        let SpentLine { amount, id, c, y, secret } = from_json(text).map_err(|error| error.to_string())?;
        let (key, _) = self.key(keyset, id, amount)?;
        let computed = secret.map(|secret| secret.y());
        let given: Option<PublicKey> = y.map(|y| y.parse()).transpose().map_err(|_| "Y is no point".to_owned())?;
        let y = match (computed, given) {
            (Some(computed), Some(given)) if computed != given => return Err("Y is not that of the secret".to_owned()),
            (Some(y), _) | (None, Some(y)) => y,
            (None, None) => return Err("Y and secret are missing".to_owned()),
        };
        if !verify_unblinded(key, &y, &c) {
            return Err("this keyset has not signed it".to_owned());
        }
        Ok(InputRow { y: PointBytes::from(&y), keyset, amount, c, witness: None })
    }

    fn signed_row(&self, keyset: KeysetId, text: &[u8]) -> Result<SignedRow, String> {
        let SignedLine { amount, id, b, c } = from_json(text).map_err(|error| error.to_string())?;
        let (secret, public) = self.key(keyset, id, amount)?;
        let (expected, dleq) = sign_with_dleq(&self.signer.curve, secret, public, &b);
        if expected != c {
            return Err("this keyset has not signed it".to_owned());
        }
        let output = OutputRow { b: PointBytes::from(&b), keyset, amount };
        Ok(SignedRow { output, c: PointBytes::from(&c), dleq })
    }

    fn key(
        &self,
        keyset: KeysetId,
        named: Option<KeysetId>,
        amount: Amount,
    ) -> Result<(&hazel_protocol::SecretKey, &PublicKey), String> {
        if named.is_some_and(|named| named != keyset) {
            return Err("it is of another keyset".to_owned());
        }
        self.signer.key(amount).ok_or_else(|| format!("the keyset has no key for the amount {amount}"))
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::Usage(format!("{} line {}: {why}; the keyset stays stopped", self.path.display(), self.line))
    }
}
