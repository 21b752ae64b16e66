//! Version 4: CBOR with one-letter keys, proofs grouped by keyset (NUT-00).

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use super::{RAW_PREFIX, TokenError, TokenProof, check, write_text};
use crate::amount::Amount;
use crate::cbor::{Encoded, Slot, bytes, count, each_field, each_item, malformed, optional, text};
use crate::dleq::ProofDleq;
use crate::keyset::TokenKeysetId;
use crate::limits::{MAX_TOKEN_BYTES, MAX_TOKEN_PROOFS};
use crate::point::PointBytes;
use crate::proof::{Proof, Witness};
use crate::scalar::{BlindingFactor, Scalar32, ScalarError};
use crate::secret::Secret;
use crate::unit::CurrencyUnit;
use crate::url::MintUrl;

/// A token of version 4. Its proofs are of one mint and one unit, and stand together by keyset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenV4 {
    mint: MintUrl,
    unit: CurrencyUnit,
    memo: Option<String>,
    proofs: Vec<TokenProof>,
}

impl TokenV4 {
    /// A token of one mint. It names the keysets in full; see [`TokenV4::with_short_ids`].
    ///
    /// # Errors
    /// [`TokenError`] when there are no proofs, too many, the same one twice, the memo is too long, or the text would be
    /// longer than [`MAX_TOKEN_BYTES`].
    pub fn new(mint: MintUrl, unit: CurrencyUnit, memo: Option<String>, proofs: &[Proof]) -> Result<Self, TokenError> {
        Self::of_token_proofs(mint, unit, memo, proofs.iter().map(TokenProof::from).collect())
    }

    /// As [`TokenV4::new`], for proofs whose keyset ids may be short.
    pub(crate) fn of_token_proofs(
        mint: MintUrl,
        unit: CurrencyUnit,
        memo: Option<String>,
        proofs: Vec<TokenProof>,
    ) -> Result<Self, TokenError> {
        let token = Self::checked(mint, unit, memo, proofs)?;
        // Four characters for three bytes, and the prefix with its scheme.
        if token.to_cbor().len() > (MAX_TOKEN_BYTES - 16) / 4 * 3 {
            return Err(TokenError::TooLong);
        }
        Ok(token)
    }

    /// The same token with the short form of version 2 keyset ids, which saves 34 characters for each keyset. A receiver has
    /// to ask the mint for its keysets before the proofs can be checked.
    #[must_use]
    pub fn with_short_ids(mut self) -> Self {
        for proof in &mut self.proofs {
            if let TokenKeysetId::Full(id) = proof.id
                && let Ok(short) = TokenKeysetId::from_bytes(id.short().as_bytes())
            {
                proof.id = short;
            }
        }
        self
    }

    /// The mint.
    pub const fn mint_url(&self) -> &MintUrl {
        &self.mint
    }

    /// The unit.
    pub const fn unit(&self) -> &CurrencyUnit {
        &self.unit
    }

    /// The text of the sender.
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }

    /// The proofs, those of one keyset together.
    pub fn token_proofs(&self) -> &[TokenProof] {
        &self.proofs
    }

    /// The binary form: `craw`, `B`, CBOR.
    pub fn to_raw(&self) -> Vec<u8> {
        [RAW_PREFIX, b"B", &self.to_cbor()].concat()
    }

    fn checked(
        mint: MintUrl,
        unit: CurrencyUnit,
        memo: Option<String>,
        mut proofs: Vec<TokenProof>,
    ) -> Result<Self, TokenError> {
        check(&proofs, memo.as_deref())?;
        group(&mut proofs);
        Ok(Self { mint, unit, memo, proofs })
    }

    fn to_cbor(&self) -> Zeroizing<Vec<u8>> {
        let mut encoder = Encoder::new(Vec::new());
        self.encode(&mut encoder).expect("writing to memory cannot fail");
        Zeroizing::new(encoder.into_writer())
    }

    /// Writes the fields in the order of the examples of NUT-00: `t`, `d`, `m`, `u`.
    fn encode(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        let groups: Vec<&[TokenProof]> = self.proofs.chunk_by(|a, b| a.id == b.id).collect();
        e.map(3 + u64::from(self.memo.is_some()))?;
        e.str("t")?.array(count(groups.len()))?;
        for group in groups {
            encode_group(e, group)?;
        }
        if let Some(memo) = &self.memo {
            e.str("d")?.str(memo)?;
        }
        e.str("m")?.str(self.mint.as_str())?;
        e.str("u")?.str(self.unit.as_str())?;
        Ok(())
    }

    /// Reads the CBOR of a token, without prefix and base64.
    pub(super) fn from_cbor(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut decoder = Decoder::new(bytes);
        let token = decode_token(&mut decoder)?;
        if decoder.position() != bytes.len() {
            return Err(TokenError::TrailingBytes);
        }
        Ok(token)
    }
}

impl fmt::Display for TokenV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, 'B', &self.to_cbor())
    }
}

/// Moves proofs of one keyset together: keysets in the order of their first proof, proofs of one keyset in their order.
fn group(proofs: &mut [TokenProof]) {
    let mut order = BTreeMap::new();
    for proof in proofs.iter() {
        let next = order.len();
        order.entry(proof.id).or_insert(next);
    }
    proofs.sort_by_key(|proof| order.get(&proof.id).copied());
}

fn encode_group(e: &mut Encoder<Vec<u8>>, proofs: &[TokenProof]) -> Encoded {
    let Some(first) = proofs.first() else {
        return Ok(());
    };
    e.map(2)?.str("i")?.bytes(first.id.as_bytes())?;
    e.str("p")?.array(count(proofs.len()))?;
    proofs.iter().try_for_each(|proof| encode_proof(e, proof))
}

fn encode_proof(e: &mut Encoder<Vec<u8>>, proof: &TokenProof) -> Encoded {
    let extras = [proof.dleq.is_some(), proof.witness.is_some(), proof.p2pk_e.is_some()];
    e.map(3 + extras.into_iter().map(u64::from).sum::<u64>())?;
    e.str("a")?.u64(proof.amount.to_u64())?;
    e.str("s")?.str(proof.secret.as_str())?;
    e.str("c")?.bytes(proof.c.as_bytes())?;
    if let Some(dleq) = &proof.dleq {
        e.str("d")?.map(3)?;
        e.str("e")?.bytes(dleq.e.as_bytes())?;
        e.str("s")?.bytes(dleq.s.as_bytes())?;
        e.str("r")?.bytes(dleq.r.expose_bytes())?;
    }
    if let Some(witness) = &proof.witness {
        e.str("w")?.str(witness.as_str())?;
    }
    if let Some(ephemeral) = &proof.p2pk_e {
        e.str("pe")?.bytes(ephemeral.as_bytes())?;
    }
    Ok(())
}

fn decode_token(d: &mut Decoder<'_>) -> Result<TokenV4, TokenError> {
    let mut mint = Slot::new("m");
    let mut unit = Slot::new("u");
    let mut memo = Slot::new("d");
    let mut proofs = Slot::new("t");
    each_field::<TokenError>(d, |d, field| {
        match field {
            "m" => mint.fill(text(d)?.parse()?)?,
            "u" => unit.fill(text(d)?.parse()?)?,
            "d" => memo.fill(optional(d, text)?.map(str::to_owned))?,
            "t" => proofs.fill(decode_groups(d)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    TokenV4::checked(mint.required()?, unit.required()?, memo.or_none(), proofs.required()?)
}

fn decode_groups(d: &mut Decoder<'_>) -> Result<Vec<TokenProof>, TokenError> {
    let mut all = Vec::new();
    each_item::<TokenError>(d, |d| {
        let mut id = Slot::new("i");
        let mut proofs = Slot::new("p");
        each_field::<TokenError>(d, |d, field| {
            match field {
                "i" => id.fill(TokenKeysetId::from_bytes(bytes(d)?)?)?,
                "p" => proofs.fill(decode_proofs(d, MAX_TOKEN_PROOFS - all.len())?)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let id = id.required()?;
        all.extend(proofs.required()?.into_iter().map(|proof| TokenProof { id, ..proof }));
        Ok(())
    })?;
    Ok(all)
}

/// Reads at most `limit` proofs. Their keyset id is a placeholder, for it may come after them.
fn decode_proofs(d: &mut Decoder<'_>, limit: usize) -> Result<Vec<TokenProof>, TokenError> {
    let mut proofs = Vec::new();
    each_item::<TokenError>(d, |d| {
        if proofs.len() == limit {
            return Err(TokenError::TooManyProofs);
        }
        proofs.push(decode_proof(d)?);
        Ok(())
    })?;
    Ok(proofs)
}

fn decode_proof(d: &mut Decoder<'_>) -> Result<TokenProof, TokenError> {
    let mut amount = Slot::new("a");
    let mut secret = Slot::new("s");
    let mut c = Slot::new("c");
    let mut dleq = Slot::new("d");
    let mut witness = Slot::new("w");
    let mut ephemeral = Slot::new("pe");
    each_field::<TokenError>(d, |d, field| {
        match field {
            "a" => amount.fill(Amount::from_u64(d.u64().map_err(malformed)?))?,
            "s" => secret.fill(Secret::new(text(d)?)?)?,
            "c" => c.fill(PointBytes::from_bytes(bytes(d)?)?)?,
            "d" => dleq.fill(optional(d, decode_dleq)?)?,
            "w" => witness.fill(optional(d, text)?.map(Witness::new).transpose()?)?,
            "pe" => ephemeral.fill(optional(d, bytes)?.map(PointBytes::from_bytes).transpose()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(TokenProof {
        amount: amount.required()?,
        id: TokenKeysetId::from_bytes(&[0; 8])?,
        secret: secret.required()?,
        c: c.required()?,
        witness: witness.or_none(),
        dleq: dleq.or_none(),
        p2pk_e: ephemeral.or_none(),
    })
}

fn decode_dleq(d: &mut Decoder<'_>) -> Result<ProofDleq, TokenError> {
    let mut e = Slot::new("e");
    let mut s = Slot::new("s");
    let mut r = Slot::new("r");
    each_field::<TokenError>(d, |d, field| {
        match field {
            "e" => e.fill(scalar(d)?)?,
            "s" => s.fill(scalar(d)?)?,
            "r" => r.fill(BlindingFactor::from_bytes(bytes(d)?)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(ProofDleq { e: e.required()?, s: s.required()?, r: r.required()? })
}

fn scalar(d: &mut Decoder<'_>) -> Result<Scalar32, TokenError> {
    let bytes = bytes(d)?;
    let bytes = bytes.try_into().map_err(|_| ScalarError::Length(bytes.len()))?;
    Ok(Scalar32::from_bytes(bytes))
}
